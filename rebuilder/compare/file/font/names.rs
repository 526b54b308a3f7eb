//! The name table: records of texts, in platform-specific encodings.

use super::super::comparator::Leaf;
use super::super::embedded::Embedded;
use super::super::regions::{Change, Numbers, span};
use crate::compare::explain::Context;
use crate::compare::finding::Finding;

/// A record: its platform, encoding, language and name id, and the text.
type Name = ([u16; 4], String);

pub(super) fn compare(leaf: &mut Leaf, change: &Change) -> Option<()> {
    let (old, new) = (records(&change.released.data)?, records(&change.rebuilt.data)?);
    let keys = |names: &[Name]| names.iter().map(|(key, _)| *key).collect::<Vec<_>>();
    (keys(&old) == keys(&new) && old != new).then_some(())?;
    let (released, rebuilt) = (joined(&old), joined(&new));
    let data = Embedded::new(released.as_bytes(), rebuilt.as_bytes());
    for ((key, released), (_, rebuilt)) in old.iter().zip(&new).filter(|(old, new)| old != new) {
        // The unique identifier and the version may name the tool, and the time when the font was made.
        let tool = matches!(key, [_, _, _, 3 | 5]);
        let context = Context {
            tool,
            ..Context::default()
        };
        let place = format!("name table, name {} of platform {}", key[3], key[0]);
        let reasons = data.reasons(released, rebuilt, context);
        if reasons.is_empty() {
            leaf.add(Finding::new(&place, released, rebuilt));
        }
        for reason in &reasons {
            leaf.add_reason(&place, released, rebuilt, reason);
        }
    }
    Some(())
}

fn joined(names: &[Name]) -> String {
    names
        .iter()
        .map(|(_, text)| text.as_str())
        .collect::<Vec<_>>()
        .join("\n")
}

/// `None` unless the table contains only the records and their strings.
fn records(table: &[u8]) -> Option<Vec<Name>> {
    const HEADER: usize = 6;
    const RECORD: usize = 12;
    let numbers = Numbers {
        bytes: table,
        little_endian: false,
    };
    let (count, storage) = (usize::from(numbers.u16(2)?), usize::from(numbers.u16(4)?));
    let end = count.checked_mul(RECORD)?.checked_add(HEADER)?;
    (numbers.u16(0)? == 0 && storage == end).then_some(())?;
    let mut used = vec![false; table.len().checked_sub(storage)?];
    let mut names = Vec::new();
    for at in (HEADER..end).step_by(RECORD) {
        let field = |nth: usize| numbers.u16(at.checked_add(nth.checked_mul(2)?)?);
        let key = [field(0)?, field(1)?, field(2)?, field(3)?];
        let own = span(usize::from(field(5)?), usize::from(field(4)?))?;
        used.get_mut(own.clone())?.fill(true);
        let bytes = table.get(storage..)?.get(own)?;
        names.push((key, text(key[0], bytes)));
    }
    used.iter().all(|used| *used).then_some(names)
}

/// UTF-16 for Unicode and Windows; the Macintosh's own encodings extend ASCII.
fn text(platform: u16, bytes: &[u8]) -> String {
    const MACINTOSH: u16 = 1;
    if platform == MACINTOSH {
        return bytes.iter().map(|byte| char::from(*byte)).collect();
    }
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
    match (String::from_utf16(&units), rest) {
        (Ok(text), []) => text,
        _ => hex::encode(bytes),
    }
}
