//! Finds the lines of two texts that correspond.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use imara_diff::Diff;

use crate::compare::explain::skeleton;

/// The lines of both sides.
pub(super) struct Sides<'a> {
    pub released: Vec<Cow<'a, str>>,
    pub rebuilt: Vec<Cow<'a, str>>,
}

impl<'a> Sides<'a> {
    pub fn of(released: &'a [u8], rebuilt: &'a [u8]) -> Self {
        let lines = |text| imara_diff::sources::byte_lines(text).map(line_text).collect();
        Self {
            released: lines(released),
            rebuilt: lines(rebuilt),
        }
    }
}

/// A line as text; bytes that are not UTF-8 are escaped, so that different lines stay different.
fn line_text(bytes: &[u8]) -> Cow<'_, str> {
    const ESCAPE: char = char::REPLACEMENT_CHARACTER;
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(ESCAPE) => Cow::Borrowed(text),
        _ => {
            let mut text = String::with_capacity(bytes.len());
            for chunk in bytes.utf8_chunks() {
                text.push_str(&chunk.valid().replace(ESCAPE, "\u{fffd}\u{fffd}"));
                for byte in chunk.invalid() {
                    text.push_str(&format!("{ESCAPE}{byte:02x}"));
                }
            }
            Cow::Owned(text)
        }
    }
}

/// The line at a position of a diff; empty beyond the end.
pub(super) fn line_at<'a>(lines: &'a [Cow<str>], at: usize) -> &'a str {
    lines.get(at).map_or("", |line| &**line)
}

/// The number of a line, counted from 1.
pub(super) fn line_number(at: usize) -> String {
    format!("line {}", at.saturating_add(1))
}

/// Differing lines, by position.
#[derive(Default)]
pub(super) struct Changes {
    /// Lines that correspond: released, rebuilt.
    pub pairs: Vec<(usize, usize)>,
    /// Lines of the released side without a partner.
    pub removed: Vec<usize>,
    /// Lines of the rebuilt side without a partner.
    pub added: Vec<usize>,
    /// From the first differing line to the last, on both sides.
    pub span: Option<(Range<usize>, Range<usize>)>,
    /// Differing lines of both sides, between those that both have.
    hunks: Vec<(Range<usize>, Range<usize>)>,
}

impl Changes {
    /// With `by_place`, hunks with equally many lines on both sides become pairs.
    pub fn of(diff: &Diff, by_place: bool) -> Self {
        let mut changes = Self::default();
        for hunk in diff.hunks() {
            let before = hunk.before.start as usize..hunk.before.end as usize;
            let after = hunk.after.start as usize..hunk.after.end as usize;
            let span = changes
                .span
                .get_or_insert_with(|| (before.clone(), after.clone()));
            (span.0.end, span.1.end) = (before.end, after.end);
            changes.hunks.push((before.clone(), after.clone()));
            if by_place && before.len() == after.len() {
                changes.pairs.extend(before.zip(after));
            } else {
                changes.removed.extend(before);
                changes.added.extend(after);
            }
        }
        changes
    }

    /// The pairs whose lines moved past a line that both sides have, or past another pair, in order.
    pub fn moved(&self) -> Vec<(usize, usize)> {
        let mut pairs = self.pairs.clone();
        pairs.sort_unstable();
        let mut last = 0;
        pairs.retain(|(released, rebuilt)| {
            let hunk = self.hunks.partition_point(|(before, _)| before.end <= *released);
            let other = self.hunks.partition_point(|(_, after)| after.end <= *rebuilt);
            let in_order = hunk == other && *rebuilt >= last;
            if in_order {
                last = *rebuilt;
            }
            !in_order
        });
        pairs
    }
}

/// Pairs the remaining lines: first those that are equal except for values that builds leave behind, then those that
/// are one field with two values.
pub(super) fn match_alike(sides: &Sides, changes: &mut Changes) {
    match_by(sides, changes, |line| Some(skeleton(line)));
    match_by(sides, changes, |line| {
        let (name, _) = line.split_once(':')?;
        (!name.contains(' ')).then(|| name.to_owned())
    });
}

/// Pairs lines that have the same key, in their order.
fn match_by(sides: &Sides, changes: &mut Changes, key: impl Fn(&str) -> Option<String>) {
    let mut by_key: HashMap<String, Vec<usize>> = HashMap::new();
    for at in changes.added.iter().rev() {
        if let Some(key) = key(line_at(&sides.rebuilt, *at)) {
            by_key.entry(key).or_default().push(*at);
        }
    }
    let mut taken = HashSet::new();
    let pairs = &mut changes.pairs;
    changes.removed.retain(|at| {
        let own = key(line_at(&sides.released, *at));
        let partner = own.and_then(|own| by_key.get_mut(&own)?.pop());
        if let Some(partner) = partner {
            taken.insert(partner);
            pairs.push((*at, partner));
        }
        partner.is_none()
    });
    changes.added.retain(|at| !taken.contains(at));
}
