//! Compares text line by line.

mod agree;
mod chunks;
mod field;
mod kind;
mod long;
mod order;
mod pairs;
mod requirement;
#[cfg(test)]
mod tests;
mod whole;

use std::borrow::Cow;
use std::ops::Range;

use imara_diff::{Algorithm, Diff, InternedInput};
use kind::Kind;

use crate::compare::file::checksums;
use crate::compare::file::comparator::{FileComparator, Leaf, Pair};
use crate::compare::file::matching::{Changes, Sides, match_alike};
use crate::compare::finding::{Excerpt, Hunk};
use crate::compare::package::Lines;

pub(in crate::compare::file) struct Text;

/// Maximum number of hunks that are kept for display, and of lines of each.
const MOST_HUNKS: usize = 200;
const MOST_LINES: usize = 40;
const LONGEST_LINE: usize = 2000;
/// Maximum size of a text in bytes; larger ones are compared as bytes.
const LARGEST: usize = 24 << 20;

impl FileComparator for Text {
    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x/RECORD", b"")
    }

    fn recognises(&self, pair: &Pair) -> bool {
        pair.are_texts() && pair.released.len().max(pair.rebuilt.len()) <= LARGEST
    }

    fn compare(&self, pair: &Pair) -> Option<Leaf> {
        let mut leaf = Leaf::of("text");
        let kind = Kind::of(pair.path, pair.released, pair.rebuilt);
        let whole = whole::compare(kind, pair.released, pair.rebuilt)
            .or_else(|| pair.file.whole_text(pair.released, pair.rebuilt));
        if let Some(finding) = whole {
            leaf.add(finding);
            leaf.excerpts.extend(excerpt(pair.released, pair.rebuilt));
            return Some(leaf);
        }
        let known = pair.file.text();
        let sides = Sides::of(pair.released, pair.rebuilt);
        let diff = diff(&sides);
        let is_list = matches!(known.lines, Lines::Checksums(_));
        let mut changes = Changes::of(&diff, !is_list);
        order::moved(&mut leaf, &known, kind, &sides, &mut changes);
        match known.lines {
            Lines::Checksums(list) => checksums::compare(&mut leaf, &list, &sides, &mut changes),
            Lines::Single | Lines::Fields => {
                match_alike(&sides, &mut changes);
                order::crossed(&mut leaf, &known, kind, &sides, &mut changes);
            }
        }
        pairs::explain(&mut leaf, pair.file, &known, kind, &sides, &changes);
        leaf.excerpts.push(excerpt_of(&diff, &sides));
        for finding in &mut leaf.findings {
            (known.every)(finding);
        }
        Some(leaf)
    }
}

/// Only the differing lines, for comparators that find the reasons themselves; `None` if only line ends differ.
pub(in crate::compare::file) fn excerpt(released: &[u8], rebuilt: &[u8]) -> Option<Excerpt> {
    if whole::has_other_line_ends(released, rebuilt) {
        return None;
    }
    let sides = Sides::of(released, rebuilt);
    Some(excerpt_of(&diff(&sides), &sides))
}

fn diff(sides: &Sides) -> Diff {
    let mut input: InternedInput<&str> = InternedInput::default();
    input.update_before(sides.released.iter().map(|line| &**line));
    input.update_after(sides.rebuilt.iter().map(|line| &**line));
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    diff.postprocess_lines(&input);
    diff
}

fn excerpt_of(diff: &Diff, sides: &Sides) -> Excerpt {
    let range = |range: Range<u32>| range.start as usize..range.end as usize;
    let hunks: Vec<Hunk> = diff
        .hunks()
        .take(MOST_HUNKS)
        .map(|hunk| {
            let (before, after) = (range(hunk.before), range(hunk.after));
            Hunk {
                released_from: (before.start as u64).saturating_add(1),
                released: shown(sides.released.get(before).unwrap_or_default()),
                rebuilt_from: (after.start as u64).saturating_add(1),
                rebuilt: shown(sides.rebuilt.get(after).unwrap_or_default()),
            }
        })
        .collect();
    Excerpt {
        of: "lines".into(),
        more: diff.hunks().skip(MOST_HUNKS).count() as u64,
        hunks,
        ..Excerpt::default()
    }
}

fn shown(lines: &[Cow<str>]) -> Vec<String> {
    let mut kept: Vec<String> = lines
        .iter()
        .take(MOST_LINES)
        .map(|line| line.trim_end_matches('\n').chars().take(LONGEST_LINE).collect())
        .collect();
    let more = lines.len().saturating_sub(MOST_LINES);
    if more > 0 {
        kept.push(format!("… {more} more lines"));
    }
    kept
}
