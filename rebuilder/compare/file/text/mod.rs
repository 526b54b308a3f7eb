//! Text, line by line.

mod field;

use std::borrow::Cow;
use std::ops::Range;

use field::field_at;
use imara_diff::{Algorithm, Diff, InternedInput};

use crate::compare::cause::{Cause, Confidence};
use crate::compare::explain::{Context, explain};
use crate::compare::file::checksums;
use crate::compare::file::comparator::{FileComparator, Leaf, Pair};
use crate::compare::file::matching::{Changes, Sides, line_at, line_number, match_alike, moved};
use crate::compare::finding::{Excerpt, Finding, Hunk};
use crate::compare::order::shuffled;
use crate::compare::package::{self, Field, File, Lines};

pub(in crate::compare::file) struct Text;

/// Most hunks kept to be shown, and lines of each.
const MOST_HUNKS: usize = 200;
const MOST_LINES: usize = 40;
const LONGEST_LINE: usize = 2000;
/// Text beyond this is compared as bytes.
const LARGEST: usize = 24 << 20;
/// Most pairs of lines that are explained one by one.
const MOST_EXPLAINED: usize = 20_000;
/// So many lines without a reason make the rest of the file a change of content as well.
const MOST_UNEXPLAINED: u64 = 200;

impl FileComparator for Text {
    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x/RECORD", b"")
    }

    fn recognises(&self, pair: &Pair) -> bool {
        pair.are_texts() && pair.released.len().max(pair.rebuilt.len()) <= LARGEST
    }

    fn compare(&self, pair: &Pair) -> Option<Leaf> {
        let mut leaf = Leaf::of("text");
        let whole = line_ends(pair.released, pair.rebuilt)
            .or_else(|| pair.file.whole_text(pair.released, pair.rebuilt));
        if let Some(finding) = whole {
            leaf.add(finding);
            return Some(leaf);
        }
        let known = pair.file.text();
        let sides = Sides::of(pair.released, pair.rebuilt);
        let diff = diff(&sides);
        let is_list = matches!(known.lines, Lines::Checksums(_));
        let mut changes = Changes::of(&diff, !is_list);
        moved(&mut leaf, &known, &sides, &mut changes);
        match known.lines {
            Lines::Checksums(list) => checksums::compare(&mut leaf, &list, &sides, &mut changes),
            Lines::Single | Lines::Fields => match_alike(&sides, &mut changes),
        }
        explain_pairs(&mut leaf, pair.file, &known, &sides, &changes);
        leaf.excerpts.push(excerpt_of(&diff, &sides));
        for finding in &mut leaf.findings {
            (known.every)(finding);
        }
        Some(leaf)
    }
}

/// Findings for pairs of lines, and for lines without a partner.
fn explain_pairs(leaf: &mut Leaf, file: File, known: &package::Text, sides: &Sides, changes: &Changes) {
    let mut read: usize = 0;
    for (released, rebuilt) in &changes.pairs {
        // A file that was written anew is a change of content; its single lines need no reasons.
        let unexplained = leaf
            .findings
            .iter()
            .filter(|finding| finding.cause == Cause::Content);
        if read >= MOST_EXPLAINED
            || unexplained.map(|finding| finding.places).sum::<u64>() >= MOST_UNEXPLAINED
        {
            break;
        }
        explain_pair(leaf, file, known, sides, (*released, *rebuilt));
        read = read.saturating_add(1);
    }
    for at in &changes.removed {
        let text = line_at(&sides.released, *at).trim_end();
        leaf.add(Finding::new(line_number(*at), text, ""));
    }
    for at in &changes.added {
        let text = line_at(&sides.rebuilt, *at).trim_end();
        leaf.add(Finding::new(line_number(*at), "", text));
    }
    let beyond = changes.pairs.len().saturating_sub(read) as u64;
    if beyond > 0 {
        leaf.add(Finding::new("lines beyond those read", "", "").times(beyond));
    }
}

fn explain_pair(leaf: &mut Leaf, file: File, known: &package::Text, sides: &Sides, at: (usize, usize)) {
    let continued = matches!(known.lines, Lines::Fields);
    let (released, rebuilt) = (
        line_at(&sides.released, at.0).trim_end(),
        line_at(&sides.rebuilt, at.1).trim_end(),
    );
    let old = field_at(&sides.released, at.0, continued);
    let new = field_at(&sides.rebuilt, at.1, continued);
    let same_field = !old.name.is_empty() && old.name == new.name;
    let name = if same_field { old.name } else { "" };
    let mut place = line_number(at.0);
    if same_field {
        place = format!("{place}, {name}");
    }
    let comments = released.starts_with('#') && rebuilt.starts_with('#');
    let field = Field {
        name: if comments && !same_field { "#" } else { name },
        released: old.value,
        rebuilt: new.value,
        place: &place,
    };
    if let Some(finding) = (known.known)(&field) {
        leaf.add(finding);
        return;
    }
    let context = Context {
        field: name,
        meaning: file.meaning(name),
        ..Context::default()
    };
    // The value alone first: a name with digits in it is not a version.
    let reasons = if same_field {
        explain(old.value, new.value, context)
    } else {
        Vec::new()
    };
    if reasons.is_empty() {
        match shuffled(released, rebuilt, &place) {
            Some(finding) => leaf.add(finding),
            None => leaf.add_pair(&place, released, rebuilt, context),
        }
    }
    for reason in &reasons {
        leaf.add_reason(&place, released, rebuilt, reason);
    }
}

/// The differing lines alone, for comparators that find the reasons by themselves; none if only line ends differ.
pub(in crate::compare::file) fn excerpt(released: &[u8], rebuilt: &[u8]) -> Option<Excerpt> {
    if line_ends(released, rebuilt).is_some() {
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

/// The same text with other line ends.
fn line_ends(released: &[u8], rebuilt: &[u8]) -> Option<Finding> {
    let (old, new) = (released.contains(&b'\r'), rebuilt.contains(&b'\r'));
    let without =
        |text: &'_ [u8]| -> Vec<u8> { text.iter().copied().filter(|byte| *byte != b'\r').collect() };
    if old == new || without(released) != without(rebuilt) {
        return None;
    }
    let word = |crs| if crs { "CR LF" } else { "LF" };
    Some(
        Finding::new("line ends", word(old), word(new))
            .because(Cause::HostSystem, Confidence::Likely)
            .keyed("line ends"),
    )
}
