//! Binary data read as strings that end in NUL, with whatever stands between them.
//!
//! When every difference lies inside strings, and each of those is explained, nothing else of the data differs;
//! the pieces that stayed also say how far everything after a longer string has moved.

use std::ops::Range;

use imara_diff::{Algorithm, Diff, InternedInput};

use crate::compare::cause::Reason;
use crate::compare::explain::{Context, explain};
use crate::compare::finding::Hunk;

/// Differing strings, and whether they are all that differs.
#[derive(Debug, Default)]
pub(super) struct Strings {
    /// Offset in the released data, both strings, and why they differ.
    pub explained: Vec<(usize, String, String, Reason)>,
    /// How many differing pieces have no explanation.
    pub unexplained: u64,
    /// Pieces that stand on both sides: released offset, rebuilt offset, released length.
    pub kept: Vec<(usize, usize, usize)>,
    /// The differing strings, as lines.
    pub hunks: Vec<Hunk>,
}

/// Most data that is split.
const LARGEST: usize = 32 << 20;
/// Most differing pieces that are kept to be shown.
const MOST_SHOWN: usize = 100;

/// Splits both at NUL, and pairs the pieces that differ; none where the data is too large.
pub(super) fn compare(released: &[u8], rebuilt: &[u8], context: Context) -> Option<Strings> {
    if released.len().max(rebuilt.len()) > LARGEST {
        return None;
    }
    // Empty pieces are padding: they come and go with the lengths of the strings before.
    let pieces = |data: &'_ [u8]| -> Vec<Range<usize>> {
        let mut at = 0;
        let mut pieces = Vec::new();
        for piece in data.split(|byte| *byte == 0) {
            if !piece.is_empty() {
                pieces.push(at..at + piece.len());
            }
            at += piece.len() + 1;
        }
        pieces
    };
    let (old, new) = (pieces(released), pieces(rebuilt));
    let mut input: InternedInput<&[u8]> = InternedInput::default();
    input.update_before(old.iter().map(|range| &released[range.clone()]));
    input.update_after(new.iter().map(|range| &rebuilt[range.clone()]));
    let diff = Diff::compute(Algorithm::Histogram, &input);
    let mut found = Strings::default();
    let (mut at_old, mut at_new) = (0_usize, 0_usize);
    let index = |number: u32| number as usize;
    for hunk in diff.hunks() {
        let (before, after) = (
            index(hunk.before.start)..index(hunk.before.end),
            index(hunk.after.start)..index(hunk.after.end),
        );
        found.keep(&old[at_old..before.start], &new[at_new..after.start]);
        (at_old, at_new) = (before.end, after.end);
        let paired = before.len() == after.len();
        for (a, b) in old[before.clone()].iter().zip(&new[after.clone()]) {
            let (text_a, text_b) = (&released[a.clone()], &rebuilt[b.clone()]);
            let reasons = match (paired, printable(text_a), printable(text_b)) {
                (true, Some(a), Some(b)) => explain(a, b, context),
                _ => Vec::new(),
            };
            if found.hunks.len() < MOST_SHOWN {
                found.hunks.push(Hunk {
                    released_from: a.start as u64,
                    released: vec![shown(text_a)],
                    rebuilt_from: b.start as u64,
                    rebuilt: vec![shown(text_b)],
                });
            }
            if reasons.is_empty() {
                found.unexplained += 1;
            } else {
                found.kept.push((a.start, b.start, text_a.len()));
            }
            for reason in reasons {
                found
                    .explained
                    .push((a.start, shown(text_a), shown(text_b), reason));
            }
        }
        found.unexplained += before.len().abs_diff(after.len()) as u64;
    }
    found.keep(&old[at_old..], &new[at_new..]);
    Some(found)
}

impl Strings {
    fn keep(&mut self, old: &[Range<usize>], new: &[Range<usize>]) {
        self.kept
            .extend(old.iter().zip(new).map(|(a, b)| (a.start, b.start, a.len())));
    }

    /// Whether explained strings are all that differs.
    pub fn complete(&self) -> bool {
        self.unexplained == 0 && !self.explained.is_empty()
    }

    /// Where the byte at `offset` of the released data stands in the rebuilt data, if it is in a piece that is kept.
    pub fn moved(&self, offset: usize) -> Option<usize> {
        let index = self
            .kept
            .partition_point(|(start, _, _)| *start <= offset)
            .checked_sub(1)?;
        let (old, new, length) = self.kept[index];
        // A pointer may stand at the end of a string, on its NUL.
        (offset - old <= length).then(|| new + (offset - old))
    }
}

/// The piece as text, where people could have written it.
fn printable(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let fine = text
        .chars()
        .all(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r'));
    (text.len() >= 3 && fine).then_some(text)
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(400)]).into_owned()
}
