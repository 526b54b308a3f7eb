//! JSON: values by pointer, so that a changed value is distinguished from another order of members or another layout.

mod differ;
#[cfg(test)]
mod tests;
pub(super) mod value;

use differ::Differ;
use value::Documents;

use crate::compare::cause::{Cause, Confidence};
use crate::compare::file::comparator::{FileComparator, Leaf, Pair};
use crate::compare::file::text;
use crate::compare::finding::Finding;
use crate::compare::package::File;

pub(super) struct Json;

const LARGEST: usize = 8 << 20;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl FileComparator for Json {
    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.json", b"{")
    }

    fn recognises(&self, pair: &Pair) -> bool {
        let looks = |text: &[u8]| {
            let (_, text) = marked(text);
            let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
            text.len() <= LARGEST && matches!(first, Some(b'{' | b'['))
        };
        looks(pair.released) && looks(pair.rebuilt) && pair.are_texts()
    }

    fn compare(&self, pair: &Pair) -> Option<Leaf> {
        let (old_mark, released) = marked(pair.released);
        let (new_mark, rebuilt) = marked(pair.rebuilt);
        let old = value::read(std::str::from_utf8(released).ok()?)?;
        let new = value::read(std::str::from_utf8(rebuilt).ok()?)?;
        if old.values.len() != new.values.len() {
            // Files of JSON lines are compared as text.
            return None;
        }
        let mut leaf = Leaf::of("JSON");
        if old_mark != new_mark {
            let told = |marked| if marked { "there" } else { "missing" };
            // Some readers refuse a byte order mark.
            leaf.add(Finding::new("byte order mark", told(old_mark), told(new_mark)));
        }
        let excerpt = text::excerpt(pair.released, pair.rebuilt);
        let line_ends = excerpt.is_none();
        documents(&mut leaf, pair.file, &old, &new, line_ends);
        leaf.excerpts.extend(excerpt);
        Some(leaf)
    }
}

/// Whether a text begins with a byte order mark, and what follows.
fn marked(text: &[u8]) -> (bool, &[u8]) {
    match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => (true, rest),
        None => (false, text),
    }
}

fn documents(leaf: &mut Leaf, file: File, old: &Documents, new: &Documents, line_ends: bool) {
    let mut differ = Differ::new(file, leaf);
    let lines = old.values.len() > 1;
    for (index, (released, rebuilt)) in old.values.iter().zip(&new.values).enumerate() {
        let pointer = if lines {
            format!("document {}: ", index.saturating_add(1))
        } else {
            String::new()
        };
        differ.values(&pointer, released, rebuilt);
    }
    let (reordered, escapes) = (differ.reordered.take(), differ.escapes);
    if let Some((first, count)) = reordered {
        let place = if first.is_empty() {
            "the document".to_owned()
        } else {
            first
        };
        leaf.add(
            Finding::new(place, "same members", "same members")
                .because(Cause::Order, Confidence::Proven)
                .keyed("keys of JSON objects")
                .times(count),
        );
    }
    if escapes > 0 {
        leaf.add(
            Finding::new("strings", "same characters", "same characters")
                .because(Cause::ToolVersion, Confidence::Proven)
                .keyed("escapes in JSON strings")
                .times(escapes),
        );
    }
    if leaf.findings.is_empty() || runs(old) != runs(new) {
        let (cause, key) = if line_ends {
            (Cause::HostSystem, "line ends")
        } else {
            (Cause::ToolVersion, "layout of JSON")
        };
        leaf.add(
            Finding::new("white space between values", "same values", "same values")
                .because(cause, Confidence::Proven)
                .keyed(key),
        );
    }
}

/// The white space of all documents, sorted so that it does not depend on the order of the values.
fn runs<'a>(documents: &Documents<'a>) -> Vec<&'a str> {
    let mut runs = documents.layout.clone();
    runs.sort_unstable();
    runs
}
