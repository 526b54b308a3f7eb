//! Message catalogs of GNU gettext (`.mo`; the GNU gettext manual, "The Format of GNU MO Files"): translations by
//! message.

use std::ops::Range;

use super::comparator::{FileComparator, Leaf, Pair};
use super::regions::{Numbers, span};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::explain::Context;
use crate::compare::finding::Finding;

pub(super) struct Mo;

const LITTLE: &[u8] = &[0xde, 0x12, 0x04, 0x95];
const BIG: &[u8] = &[0x95, 0x04, 0x12, 0xde];

impl FileComparator for Mo {
    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.mo", LITTLE)
    }

    fn recognises(&self, pair: &Pair) -> bool {
        let is_catalog = |bytes: &[u8]| bytes.starts_with(LITTLE) || bytes.starts_with(BIG);
        is_catalog(pair.released) && is_catalog(pair.rebuilt)
    }

    fn compare(&self, pair: &Pair) -> Option<Leaf> {
        let (old, new) = (Catalog::read(pair.released)?, Catalog::read(pair.rebuilt)?);
        let mut leaf = Leaf::of("message catalog");
        messages(&mut leaf, &old, &new);
        if old.rest != new.rest {
            leaf.add(Finding::new(
                "bytes of no message",
                hex::encode(&old.rest),
                hex::encode(&new.rest),
            ));
        }
        if old.layout != new.layout || leaf.findings.is_empty() {
            // The places of the strings have no meaning: readers find each message by its order or its hash.
            leaf.add(
                Finding::new("layout", old.layout.clone(), new.layout.clone())
                    .because(Cause::ArchiveDialect, Confidence::Proven)
                    .keyed("layout of message catalogs"),
            );
        }
        Some(leaf)
    }
}

struct Catalog<'a> {
    /// Messages with their translations, in the order of the file, which is sorted by message.
    messages: Vec<(&'a [u8], &'a [u8])>,
    /// Byte order, and whether there is a hash table.
    layout: String,
    /// Bytes between the strings that are not zero.
    rest: Vec<u8>,
}

/// Length of the header, which is followed by three tables.
const HEADER: usize = 28;

impl<'a> Catalog<'a> {
    /// `None` unless gettext can find every message, and the file contains nothing else.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        const MOST: usize = 1_000_000;
        let numbers = Numbers {
            bytes,
            little_endian: bytes.starts_with(LITTLE),
        };
        let revision = numbers.u32(4)?;
        let count = numbers.size(8)?;
        let (ids, texts) = (numbers.size(12)?, numbers.size(16)?);
        let (buckets, hash) = (numbers.size(20)?, numbers.size(24)?);
        if revision != 0 || count > MOST || buckets > MOST.checked_mul(4)? {
            return None;
        }
        // Even without a hash table, its offset is after the two other tables.
        let behind = texts.checked_add(count.checked_mul(8)?)?;
        let is_there = hash >= behind && hash.checked_sub(behind)? < 8;
        (buckets > 0 || is_there).then_some(())?;
        let mut used = vec![
            0..HEADER,
            span(ids, count.checked_mul(8)?)?,
            span(texts, count.checked_mul(8)?)?,
            span(hash, buckets.checked_mul(4)?)?,
        ];
        let mut messages = Vec::new();
        for nth in 0..count {
            let mut string = |table: usize| -> Option<&'a [u8]> {
                let entry = table.checked_add(nth.checked_mul(8)?)?;
                let own = span(numbers.size(entry.checked_add(4)?)?, numbers.size(entry)?)?;
                let with_nul = own.start..own.end.checked_add(1)?;
                (*bytes.get(own.end)? == 0).then_some(())?;
                used.push(with_nul);
                bytes.get(own)
            };
            messages.push((string(ids)?, string(texts)?));
        }
        // Binary search finds messages only if they are sorted.
        let key = |(id, _): &(&'a [u8], &'a [u8])| id.split(|byte| *byte == 0).next().unwrap_or_default();
        let sorted = messages.is_sorted_by(|one, next| key(one) < key(next));
        let hashed = buckets == 0 || is_hash_table(numbers, (hash, buckets), &messages)?;
        (sorted && hashed).then_some(())?;
        let order = if numbers.little_endian { "little" } else { "big" };
        let with = if buckets == 0 {
            "no hash table"
        } else {
            "a hash table"
        };
        Some(Self {
            layout: format!("{order} endian, {with}"),
            rest: rest(bytes, used)?,
            messages,
        })
    }
}

/// Bytes in none of the ranges, without zeros. `None` if a range is beyond the end.
fn rest(bytes: &[u8], mut used: Vec<Range<usize>>) -> Option<Vec<u8>> {
    used.sort_by_key(|range| range.start);
    let mut end = 0;
    let mut rest = Vec::new();
    let mut keep = |gap: &[u8]| rest.extend(gap.iter().filter(|byte| **byte != 0));
    for range in used {
        if range.start > end {
            keep(bytes.get(end..range.start)?);
        }
        end = end.max(range.end);
    }
    if end > bytes.len() {
        return None;
    }
    keep(bytes.get(end..)?);
    Some(rest)
}

/// Whether each message is where gettext looks for it: at its hash, or at the next free place in its probe sequence.
fn is_hash_table(
    numbers: Numbers,
    (at, buckets): (usize, usize),
    messages: &[(&[u8], &[u8])],
) -> Option<bool> {
    // The second hash is computed modulo the size minus two.
    if buckets < 3 || messages.len() > buckets {
        return Some(false);
    }
    let mut table = Vec::with_capacity(buckets);
    for nth in 0..buckets {
        table.push(numbers.size(at.checked_add(nth.checked_mul(4)?)?)?);
    }
    let mut steps = buckets.saturating_mul(64);
    for (nth, (id, _)) in messages.iter().enumerate() {
        let hash = hash_of(id.split(|byte| *byte == 0).next().unwrap_or_default())?;
        let mut place = hash.checked_rem(buckets)?;
        let step = hash.checked_rem(buckets.checked_sub(2)?)?.checked_add(1)?;
        let wanted = nth.checked_add(1)?;
        while *table.get(place)? != wanted {
            steps = steps.checked_sub(1)?;
            if *table.get(place)? == 0 {
                return Some(false);
            }
            place = place.checked_add(step)?.checked_rem(buckets)?;
        }
    }
    let filled = table.iter().filter(|entry| **entry != 0).count();
    Some(filled == messages.len())
}

/// P. J. Weinberger's hash, as in gettext.
fn hash_of(id: &[u8]) -> Option<usize> {
    let hash = id.iter().fold(0_u32, |hash, byte| {
        let hash = (hash << 4).wrapping_add(u32::from(*byte));
        let high = hash & 0xf000_0000;
        if high == 0 {
            hash
        } else {
            hash ^ (high >> 24) ^ high
        }
    });
    usize::try_from(hash).ok()
}

/// Adds translations that differ, and messages that only one side has.
fn messages(leaf: &mut Leaf, old: &Catalog, new: &Catalog) {
    let (mut before, mut after) = (old.messages.iter().peekable(), new.messages.iter().peekable());
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some((released, _)), Some((rebuilt, _))) => released.cmp(rebuilt),
        };
        let own = if order.is_le() { before.next() } else { None };
        let other = if order.is_ge() { after.next() } else { None };
        let text = |side: Option<&(&[u8], &[u8])>| side.map_or("none".to_owned(), |(_, text)| shown(text));
        match (own, other) {
            (Some(([], released)), Some((_, rebuilt))) => {
                header(
                    leaf,
                    &String::from_utf8_lossy(released),
                    &String::from_utf8_lossy(rebuilt),
                );
                if released != rebuilt && shown(released) == shown(rebuilt) {
                    leaf.add(Finding::new(
                        "header",
                        hex::encode(released),
                        hex::encode(rebuilt),
                    ));
                }
            }
            (Some((_, released)), Some((_, rebuilt))) if released == rebuilt => {}
            (Some((id, _)), _) | (None, Some((id, _))) => {
                let place = format!("translation of {:?}", shown(id));
                leaf.add(Finding::new(place, text(own), text(other)));
            }
            (None, None) => return,
        }
    }
}

/// A NUL separates plural forms, and EOT a context from its message.
fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text)
        .replace('\0', " | ")
        .replace('\u{4}', ": ")
}

/// Compares the translation of the empty message, which has lines of the form `Name: value`.
fn header(leaf: &mut Leaf, released: &str, rebuilt: &str) {
    let lines = |text: &'_ str| text.split('\n').map(str::to_owned).collect::<Vec<_>>();
    let (old, new) = (lines(released), lines(rebuilt));
    let names = |lines: &[String]| -> Vec<String> {
        let names = lines
            .iter()
            .map(|line| line.split(':').next().unwrap_or_default());
        names.map(str::to_owned).collect()
    };
    if names(&old) != names(&new) {
        leaf.add(Finding::new("header", released, rebuilt));
        return;
    }
    for (released, rebuilt) in old.iter().zip(&new).filter(|(old, new)| old != new) {
        let ((name, old), (_, new)) = (field(released), field(rebuilt));
        let place = format!("header field {name}");
        match name {
            "POT-Creation-Date" | "PO-Revision-Date" if is_date(old) && is_date(new) => leaf.add(
                Finding::new(place, old, new)
                    .because(Cause::Timestamp, Confidence::Proven)
                    .keyed("dates in message catalogs"),
            ),
            "X-Generator" => {
                let context = Context {
                    tool: true,
                    ..Context::default()
                };
                leaf.add_pair(&place, old, new, context);
            }
            _ => leaf.add(Finding::new(place, old, new)),
        }
    }
}

fn field(line: &str) -> (&str, &str) {
    line.split_once(':')
        .map_or((line, ""), |(name, value)| (name, value.trim_start_matches(' ')))
}

/// Whether a value is a date such as `2024-01-31 12:30+0100`, or the unchanged template.
fn is_date(value: &str) -> bool {
    const TEMPLATE: &str = "YEAR-MO-DA HO:MI+ZONE";
    value == TEMPLATE || jiff::fmt::strtime::parse("%Y-%m-%d %H:%M%z", value).is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::writers::mo;
    use crate::compare::cause::Cause;
    use crate::compare::{Options, compare_bytes};

    const HEADER: &str = "POT-Creation-Date: 2024-01-31 12:30+0100\nX-Generator: Poedit 3.1\n";

    fn first(released: &[u8], rebuilt: &[u8]) -> (Cause, String) {
        let found = compare_bytes("x.mo", released, rebuilt, &Options::default());
        let cause = &found.causes[0];
        (cause.cause, cause.example.place.clone())
    }

    #[test]
    fn translations_are_content_and_named_by_their_message() {
        let catalog = |yes: &str| mo(&[("", HEADER), ("no", "nein"), ("yes", yes)], true);
        let found = first(&catalog("ja"), &catalog("je"));
        assert_eq!(found, (Cause::Content, "translation of \"yes\"".into()));
    }

    #[test]
    fn the_header_has_dates_and_a_tool() {
        let catalog = |header: &str| mo(&[("", header), ("yes", "ja")], true);
        let base = catalog(HEADER);
        let date = catalog(&HEADER.replace("12:30", "13:31"));
        let tool = catalog(&HEADER.replace("3.1", "3.20"));
        let plural = catalog(&format!("{HEADER}Plural-Forms: nplurals=2;\n"));
        let odd = catalog(&HEADER.replace("2024-01-31 12:30", "; rm -rf"));
        assert_eq!(first(&base, &date).0, Cause::Timestamp);
        assert_eq!(first(&base, &tool).0, Cause::ToolVersion);
        assert_eq!(first(&base, &plural).0, Cause::Content);
        assert_eq!(first(&base, &odd).0, Cause::Content);
    }

    #[test]
    fn the_byte_order_is_a_dialect_unless_something_hides() {
        let messages = [("", HEADER), ("no", "nein"), ("yes", "ja")];
        let (little, mut big) = (mo(&messages, true), mo(&messages, false));
        assert_eq!(first(&little, &big).0, Cause::ArchiveDialect);
        big.extend(b"evil");
        assert_eq!(first(&little, &big).0, Cause::Content);
        // A message that readers can no longer find.
        let unsorted = mo(&[("", HEADER), ("yes", "ja"), ("no", "nein")], false);
        assert_eq!(first(&little, &unsorted).0, Cause::Content);
    }
}
