//! Compares bytes without a known format.

use std::io::{self, Read};
use std::ops::Range;

use super::comparator::Leaf;
use super::embedded::Embedded;
use super::strings;
use crate::compare::explain::Context;
use crate::compare::finding::{ByteRange, Excerpt, Finding};
use crate::text::plural;

/// Maximum number of ranges that are kept for display, and of bytes of each.
const MOST_SHOWN: usize = 64;
const LONGEST_SHOWN: usize = 48;
/// Ranges with a smaller gap between them are joined.
const GAP: usize = 8;
/// Maximum number of ranges that are explained individually.
const MOST_EXPLAINED: usize = 20_000;

pub(super) fn compare(released: &[u8], rebuilt: &[u8]) -> Leaf {
    let mut leaf = Leaf::of("bytes");
    part(&mut leaf, "", released, rebuilt);
    leaf
}

/// A place in a named part of a file, or in a file without parts.
fn place(part: &str, at: u64) -> String {
    if part.is_empty() {
        format!("offset {at:#x}")
    } else {
        format!("{part} +{at:#x}")
    }
}

fn described(part: &str, of: &str) -> String {
    if part.is_empty() {
        of.to_owned()
    } else {
        format!("{of} of {part}")
    }
}

/// Adds the differences in a part of a file, under the part's name.
pub(super) fn part(leaf: &mut Leaf, name: &str, released: &[u8], rebuilt: &[u8]) {
    if released.len() == rebuilt.len() {
        let ranges = ranges(released, rebuilt);
        explain_ranges(leaf, (name, 0), released, rebuilt, &ranges);
        let mut excerpt = excerpt(0, released, rebuilt, &ranges);
        excerpt.of = described(name, "bytes");
        leaf.excerpts.push(excerpt);
        return;
    }
    let found = strings::compare(released, rebuilt, Context::default()).unwrap_or_default();
    for told in &found.explained {
        let place = place(name, told.offset as u64);
        leaf.add_reason(&place, &told.released, &told.rebuilt, &told.reason);
    }
    // In an unknown format, a NUL need not be padding.
    if !found.complete() || strings::padding(released) != strings::padding(rebuilt) {
        middle(leaf, name, released, rebuilt);
    }
    if !found.hunks.is_empty() {
        leaf.excerpts.push(Excerpt {
            of: described(name, "strings"),
            hunks: found.hunks,
            ..Excerpt::default()
        });
    }
}

/// Adds that a part differs as a change of content: no string in it may be a reason.
pub(super) fn content(leaf: &mut Leaf, name: &str, released: &[u8], rebuilt: &[u8]) {
    let ranges = ranges(released, rebuilt);
    match ranges.first() {
        Some(first) if released.len() == rebuilt.len() => {
            let bytes: usize = ranges.iter().map(Range::len).sum();
            let (old, new) = shown(released, rebuilt, first);
            let place = format!(
                "{}, {} in all",
                place(name, first.start as u64),
                plural(bytes, "byte")
            );
            leaf.add(Finding::new(place, old, new));
        }
        _ => middle(leaf, name, released, rebuilt),
    }
}

/// Compares data of two lengths: what remains without the common beginning and end.
fn middle(leaf: &mut Leaf, name: &str, released: &[u8], rebuilt: &[u8]) {
    let first = common(released.iter().zip(rebuilt));
    let behind = |bytes: &'_ [u8]| bytes.len().saturating_sub(first);
    let last = common(released.iter().rev().zip(rebuilt.iter().rev()))
        .min(behind(released))
        .min(behind(rebuilt));
    let size = |bytes: &[u8]| format!("{} bytes", behind(bytes).saturating_sub(last));
    leaf.add(Finding::new(
        format!("from {}", place(name, first as u64)),
        size(released),
        size(rebuilt),
    ));
    let shown = |bytes: &[u8]| hex::encode(window(bytes, first, LONGEST_SHOWN));
    leaf.excerpts.push(Excerpt {
        of: described(name, "bytes"),
        bytes: vec![ByteRange {
            offset: first as u64,
            released: shown(released),
            rebuilt: shown(rebuilt),
        }],
        ..Excerpt::default()
    });
}

fn common<'a>(pairs: impl Iterator<Item = (&'a u8, &'a u8)>) -> usize {
    pairs
        .take_while(|(released, rebuilt)| released == rebuilt)
        .count()
}

/// At most `most` bytes from `at`.
pub(super) fn window(bytes: &[u8], at: usize, most: usize) -> &[u8] {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.get(..most).unwrap_or(rest)
}

/// The ranges in which data of equal length differ.
pub(super) fn ranges(released: &[u8], rebuilt: &[u8]) -> Vec<Range<usize>> {
    const STEP: usize = 64;
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let blocks = released.chunks(STEP).zip(rebuilt.chunks(STEP));
    for (start, (old, new)) in (0_usize..).step_by(STEP).zip(blocks) {
        if old == new {
            continue;
        }
        for (at, (old, new)) in (start..).zip(old.iter().zip(new)) {
            if old == new {
                continue;
            }
            let end = at.saturating_add(1);
            match ranges.last_mut() {
                Some(last) if at < last.end.saturating_add(GAP) => last.end = end,
                _ => ranges.push(at..end),
            }
        }
    }
    ranges
}

/// Explains the text around each range; the rest is one change of content.
fn explain_ranges(
    leaf: &mut Leaf,
    (part, base): (&str, u64),
    released: &[u8],
    rebuilt: &[u8],
    ranges: &[Range<usize>],
) {
    let (read, beyond) = ranges.split_at_checked(MOST_EXPLAINED).unwrap_or((ranges, &[]));
    let place = |range: &Range<usize>| place(part, base.saturating_add(range.start as u64));
    let data = Embedded::new(released, rebuilt);
    let mut unexplained: Vec<&Range<usize>> = Vec::new();
    let mut done = 0;
    for range in read {
        if range.end <= done {
            continue;
        }
        match explain_range(leaf, &place(range), &data, (released, rebuilt), range) {
            Some(end) => done = end,
            None => unexplained.push(range),
        }
    }
    unexplained.extend(beyond);
    if let Some(first) = unexplained.first() {
        let bytes: usize = unexplained.iter().map(|range| range.len()).sum();
        let (old, new) = shown(released, rebuilt, first);
        leaf.add(Finding::new(
            format!("{}, {} in all", place(first), plural(bytes, "byte")),
            old,
            new,
        ));
    }
}

/// Both values of a range: the surrounding text, or the bytes.
pub(super) fn shown(released: &[u8], rebuilt: &[u8], range: &Range<usize>) -> (String, String) {
    if let Some((old, new, _)) = enclosing(released, rebuilt, range) {
        return (old, new);
    }
    let value = |bytes: &[u8]| hex::encode(window(bytes, range.start, range.len().min(16)));
    (value(released), value(rebuilt))
}

/// Adds the reasons for one range; returns the end of what they explain.
fn explain_range(
    leaf: &mut Leaf,
    place: &str,
    data: &Embedded,
    (released, rebuilt): (&[u8], &[u8]),
    range: &Range<usize>,
) -> Option<usize> {
    let (old, new, end) = enclosing(released, rebuilt, range)?;
    let reasons = data.reasons(&old, &new, Context::default());
    for reason in &reasons {
        leaf.add_reason(place, &old, &new, reason);
    }
    (!reasons.is_empty()).then_some(end)
}

fn is_printable(byte: u8) -> bool {
    (32..127).contains(&byte) || byte == b'\t'
}

/// The printable text around a range on both sides, and its end.
fn enclosing(released: &[u8], rebuilt: &[u8], range: &Range<usize>) -> Option<(String, String, usize)> {
    const FARTHEST: usize = 400;
    const SHORTEST: usize = 4;
    let own = |bytes: &'_ [u8]| {
        bytes
            .get(range.clone())
            .is_some_and(|own| own.iter().copied().all(is_printable))
    };
    if !own(released) || !own(rebuilt) {
        return None;
    }
    let before = released
        .get(..range.start)?
        .iter()
        .rev()
        .take(FARTHEST)
        .take_while(|byte| is_printable(**byte))
        .count();
    let after = released
        .get(range.end..)?
        .iter()
        .zip(rebuilt.get(range.end..)?)
        .take(FARTHEST)
        .take_while(|(old, new)| is_printable(**old) && is_printable(**new))
        .count();
    let whole = range.start.checked_sub(before)?..range.end.checked_add(after)?;
    if whole.len() < SHORTEST {
        return None;
    }
    let text = |bytes: &[u8]| Some(String::from_utf8_lossy(bytes.get(whole.clone())?).into_owned());
    Some((text(released)?, text(rebuilt)?, whole.end))
}

/// The first ranges, as whole rows of a hex dump.
pub(super) fn excerpt(base: u64, released: &[u8], rebuilt: &[u8], ranges: &[Range<usize>]) -> Excerpt {
    const ROW: usize = 16;
    let shown = |bytes: &[u8], range: &Range<usize>| {
        let start = range.start & !(ROW - 1);
        let end = range.end.checked_next_multiple_of(ROW).unwrap_or(range.end);
        hex::encode(window(bytes, start, end.saturating_sub(start).min(LONGEST_SHOWN)))
    };
    Excerpt {
        of: "bytes".into(),
        bytes: ranges
            .iter()
            .take(MOST_SHOWN)
            .map(|range| ByteRange {
                offset: base.saturating_add((range.start & !(ROW - 1)) as u64),
                released: shown(released, range),
                rebuilt: shown(rebuilt, range),
            })
            .collect(),
        more: ranges.len().saturating_sub(MOST_SHOWN) as u64,
        ..Excerpt::default()
    }
}

/// Compares two streams in pieces, for data that is too large to read whole. Returns the lengths too.
pub(in super::super) fn stream(
    mut released: impl Read,
    mut rebuilt: impl Read,
) -> io::Result<(Leaf, u64, u64)> {
    const PIECE: usize = 1 << 20;
    let mut leaf = Leaf::of("bytes");
    let (mut old_buffer, mut new_buffer) = (vec![0; PIECE], vec![0; PIECE]);
    let mut at: u64 = 0;
    loop {
        let old = fill(&mut released, &mut old_buffer)?;
        let new = fill(&mut rebuilt, &mut new_buffer)?;
        let both = old.len().min(new.len());
        let (old_both, new_both) = (window(old, 0, both), window(new, 0, both));
        if old_both != new_both {
            let ranges = ranges(old_both, new_both);
            explain_ranges(&mut leaf, ("", at), old_both, new_both, &ranges);
            if leaf.excerpts.len() < MOST_SHOWN {
                leaf.excerpts.push(excerpt(at, old_both, new_both, &ranges));
            }
        }
        let (old, new) = (old.len() as u64, new.len() as u64);
        let ended = both < PIECE;
        let both = both as u64;
        if old != new {
            let left = |read: u64, rest: &mut dyn Read| -> io::Result<u64> {
                let rest = io::copy(rest, &mut io::sink())?;
                Ok(read.saturating_sub(both).saturating_add(rest))
            };
            let (old, new) = (left(old, &mut released)?, left(new, &mut rebuilt)?);
            at = at.saturating_add(both);
            leaf.add(Finding::new(
                format!("from offset {at:#x}"),
                format!("{old} bytes"),
                format!("{new} bytes"),
            ));
            return Ok((leaf, at.saturating_add(old), at.saturating_add(new)));
        }
        at = at.saturating_add(both);
        if ended {
            return Ok((leaf, at, at));
        }
    }
}

/// Reads until the buffer is full or the stream ends; returns the part that was read.
pub(in super::super) fn fill<'a>(
    reader: &mut (impl Read + ?Sized),
    buffer: &'a mut [u8],
) -> io::Result<&'a [u8]> {
    let mut filled: usize = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(read) => filled = filled.saturating_add(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(buffer.get(..filled).unwrap_or_default())
}
