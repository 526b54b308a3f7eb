//! Binary data as NUL-terminated strings, with other bytes between them.
//!
//! If every difference is inside a string, and all of these are explained, nothing else in the data differs. The
//! unchanged pieces also tell how far everything after a longer string has moved.

use std::ops::Range;

use imara_diff::{Algorithm, Diff, InternedInput};

use super::bytes::window;
use super::embedded::{Embedded, in_folder};
use crate::compare::cause::Reason;
use crate::compare::explain::Context;
use crate::compare::finding::Hunk;

/// Differing strings, and whether nothing else differs.
#[derive(Debug, Default)]
pub(super) struct Strings {
    pub explained: Vec<Explained>,
    /// Number of differing pieces without an explanation.
    pub unexplained: u64,
    /// Pieces that both sides have, in order.
    kept: Vec<Kept>,
    /// The differing strings, as lines.
    pub hunks: Vec<Hunk>,
}

/// A pair of strings, and one reason why they differ.
#[derive(Debug)]
pub(super) struct Explained {
    /// Offset in the released data.
    pub offset: usize,
    pub released: String,
    pub rebuilt: String,
    pub reason: Reason,
}

/// Offsets on both sides, and the length in the released data.
#[derive(Debug)]
struct Kept {
    released: usize,
    rebuilt: usize,
    length: usize,
}

/// Maximum number of bytes of data that is split.
const LARGEST: usize = 32 << 20;
/// Maximum number of differing pieces that are kept for display.
const MOST_SHOWN: usize = 100;

/// The offset and the bytes of a string.
type Piece<'a> = (usize, &'a [u8]);

/// Splits both sides at NULs, and pairs the pieces that differ; `None` if the data is too large.
pub(super) fn compare(released_data: &[u8], rebuilt_data: &[u8], context: Context) -> Option<Strings> {
    if released_data.len().max(rebuilt_data.len()) > LARGEST {
        return None;
    }
    let (old, new) = (pieces(released_data), pieces(rebuilt_data));
    let mut input: InternedInput<&[u8]> = InternedInput::default();
    input.update_before(old.iter().map(|(_, text)| *text));
    input.update_after(new.iter().map(|(_, text)| *text));
    let diff = Diff::compute(Algorithm::Histogram, &input);
    let data = Embedded::new(released_data, rebuilt_data);
    let mut found = Strings::default();
    let (mut at_old, mut at_new) = (0_usize, 0_usize);
    for hunk in diff.hunks() {
        let index = |range: Range<u32>| range.start as usize..range.end as usize;
        let (before, after) = (index(hunk.before), index(hunk.after));
        found.keep(part(&old, at_old..before.start), part(&new, at_new..after.start));
        (at_old, at_new) = (before.end, after.end);
        let lengths = before.len().abs_diff(after.len());
        found.unexplained = found.unexplained.saturating_add(lengths as u64);
        let mut others = part(&new, after).to_vec();
        if lengths == 0 {
            arrange(part(&old, before.clone()), &mut others, context.folders);
        }
        let pairs = part(&old, before).iter().zip(&others);
        for (released, rebuilt) in pairs {
            let reasons = match (printable(released.1), printable(rebuilt.1)) {
                (Some(old), Some(new)) if lengths == 0 => data.reasons(old, new, context),
                _ => Vec::new(),
            };
            found.differ(*released, *rebuilt, reasons);
        }
    }
    found.keep(part(&old, at_old..old.len()), part(&new, at_new..new.len()));
    Some(found)
}

/// Splits data at NULs. Empty pieces are padding, which depends on the lengths of the strings before.
fn pieces(data: &[u8]) -> Vec<Piece<'_>> {
    let mut at: usize = 0;
    let mut pieces = Vec::new();
    for piece in data.split(|byte| *byte == 0) {
        if !piece.is_empty() {
            pieces.push((at, piece));
        }
        at = at.saturating_add(piece.len()).saturating_add(1);
    }
    pieces
}

/// Puts each string beside the one that it is in the other build's folder: tables of strings are in the order of hashes.
fn arrange(old: &[Piece], new: &mut [Piece], folders: &[(String, String)]) {
    /// Strings are looked for one by one.
    const MOST: usize = 64;
    if folders.is_empty() || new.len() > MOST {
        return;
    }
    for (at, (_, piece)) in old.iter().enumerate() {
        let Some(text) = printable(piece) else { continue };
        let mut moved = folders.iter().filter_map(|(old, new)| in_folder(text, old, new));
        let is_free = |moved: &str| {
            let mut free = new.iter().enumerate().skip(at);
            free.find(|(_, (_, other))| *other == moved.as_bytes())
                .map(|(nth, _)| nth)
        };
        if let Some(nth) = moved.find_map(|moved| is_free(&moved)) {
            new.swap(at, nth);
        }
    }
}

/// Number of NULs after each string, and before the first one.
pub(super) fn padding(data: &[u8]) -> Vec<usize> {
    let mut counts = vec![0_usize];
    for piece in data.split(|byte| *byte == 0) {
        if !piece.is_empty() {
            counts.push(0);
        }
        if let Some(last) = counts.last_mut() {
            *last = last.saturating_add(1);
        }
    }
    counts
}

fn part<'p, 'a>(pieces: &'p [Piece<'a>], range: Range<usize>) -> &'p [Piece<'a>] {
    pieces.get(range).unwrap_or_default()
}

impl Strings {
    fn keep(&mut self, old: &[Piece], new: &[Piece]) {
        let pairs = old.iter().zip(new);
        self.kept.extend(pairs.map(|(released, rebuilt)| Kept {
            released: released.0,
            rebuilt: rebuilt.0,
            length: released.1.len(),
        }));
    }

    fn differ(&mut self, released: Piece, rebuilt: Piece, reasons: Vec<Reason>) {
        if self.hunks.len() < MOST_SHOWN {
            self.hunks.push(Hunk {
                released_from: released.0 as u64,
                released: vec![shown(released.1)],
                rebuilt_from: rebuilt.0 as u64,
                rebuilt: vec![shown(rebuilt.1)],
            });
        }
        if reasons.is_empty() {
            self.unexplained = self.unexplained.saturating_add(1);
        } else {
            self.keep(&[released], &[rebuilt]);
        }
        self.explained.extend(reasons.into_iter().map(|reason| Explained {
            offset: released.0,
            released: shown(released.1),
            rebuilt: shown(rebuilt.1),
            reason,
        }));
    }

    /// Whether all differences are explained strings.
    pub fn complete(&self) -> bool {
        self.unexplained == 0 && !self.explained.is_empty()
    }

    /// The place in the rebuilt data of the byte at `offset` of the released data, if it is in an unchanged piece.
    pub fn moved(&self, offset: usize) -> Option<usize> {
        let behind = self.kept.partition_point(|kept| kept.released <= offset);
        let kept = self.kept.get(behind.checked_sub(1)?)?;
        let within = offset.checked_sub(kept.released)?;
        // A pointer may point to the NUL at the end of a string.
        (within <= kept.length).then(|| kept.rebuilt.checked_add(within))?
    }
}

/// The piece as text, if it is readable.
fn printable(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let fine = text
        .chars()
        .all(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r'));
    (text.len() >= 3 && fine).then_some(text)
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(window(bytes, 0, 400)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::cause::{Cause, Confidence};

    /// The causes and keys of all strings; `None` if something stays unexplained.
    fn explained(old: &str, new: &str, folders: &[(&str, &str)]) -> Option<Vec<(Cause, Confidence, String)>> {
        let folders: Vec<_> = folders
            .iter()
            .map(|(old, new)| ((*old).to_owned(), (*new).to_owned()))
            .collect();
        let context = Context {
            folders: &folders,
            ..Context::default()
        };
        let found = compare(old.as_bytes(), new.as_bytes(), context).unwrap();
        found.complete().then(|| {
            let all = found.explained.into_iter().map(|told| told.reason);
            all.map(|reason| (reason.cause, reason.confidence, reason.key))
                .collect()
        })
    }

    #[test]
    fn folders_that_the_file_names_take_each_others_place() {
        const FOLDERS: &[(&str, &str)] = &[("/srv/here", "/srv/another-place")];
        let (old, new) = ("one\0/srv/here/x.c\0two", "one\0/srv/another-place/x.c\0two");
        let reason = (
            Cause::BuildPath,
            Confidence::Proven,
            "/srv/here → /srv/another-place".to_owned(),
        );
        assert_eq!(explained(old, new, FOLDERS), Some(vec![reason.clone()]));
        assert_eq!(explained(old, new, &[]), None);
        // A table of strings is in any order.
        let swapped = "one\0/srv/another-place\0/srv/another-place/x.c\0two";
        assert_eq!(
            explained("one\0/srv/here/x.c\0/srv/here\0two", swapped, FOLDERS),
            Some(vec![reason.clone(), reason])
        );
        for (old, new) in [
            // Another file, and another change in the same string.
            (old, "one\0/srv/another-place/y.c\0two"),
            (old, "one\0/srv/another-place/x.c \0two"),
            // The beginning of another name.
            ("/srv/hereafter\0", "/srv/another-placeafter\0"),
            // One string keeps its folder.
            (
                "/srv/here/x.c\0/srv/here/y.c\0",
                "/srv/another-place/x.c\0/srv/here/y.c\0",
            ),
        ] {
            assert_eq!(explained(old, new, FOLDERS), None, "{old:?} {new:?}");
        }
    }
}
