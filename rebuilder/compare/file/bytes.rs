//! Bytes without a format that is known here.

use std::io::{self, Read};

use super::{Leaf, strings};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::explain::{Context, explain};
use crate::compare::finding::{ByteRange, Excerpt, Finding};

/// Most ranges kept to be shown, and bytes of each.
const MOST_SHOWN: usize = 64;
const LONGEST_SHOWN: usize = 48;
/// Ranges closer than this are one.
const GAP: usize = 8;
/// Most ranges that are explained one by one.
const MOST_EXPLAINED: usize = 20_000;

pub(super) fn compare(released: &[u8], rebuilt: &[u8]) -> Leaf {
    let mut leaf = Leaf::of("bytes");
    if released.len() == rebuilt.len() {
        let ranges = ranges(released, rebuilt);
        explain_ranges(&mut leaf, 0, released, rebuilt, &ranges);
        leaf.excerpts.push(excerpt(0, released, rebuilt, &ranges));
        return leaf;
    }
    let found = strings::compare(released, rebuilt, Context::default()).unwrap_or_default();
    for (offset, a, b, reason) in &found.explained {
        leaf.add_reason(&format!("offset {offset:#x}"), a, b, reason);
    }
    if !found.complete() {
        let first = common(released.iter().zip(rebuilt));
        let last = common(released[first..].iter().rev().zip(rebuilt[first..].iter().rev()));
        let middle = |bytes: &[u8]| format!("{} bytes", bytes.len() - first - last);
        leaf.add(Finding::new(
            format!("from offset {first:#x}"),
            middle(released),
            middle(rebuilt),
        ));
        let head = first..(first + LONGEST_SHOWN);
        let cut = |bytes: &[u8]| hex::encode(&bytes[head.start.min(bytes.len())..head.end.min(bytes.len())]);
        leaf.excerpts.push(Excerpt {
            of: "bytes".into(),
            bytes: vec![ByteRange {
                offset: first as u64,
                released: cut(released),
                rebuilt: cut(rebuilt),
            }],
            ..Excerpt::default()
        });
    }
    if !found.hunks.is_empty() {
        leaf.excerpts.push(Excerpt {
            of: "strings".into(),
            hunks: found.hunks,
            ..Excerpt::default()
        });
    }
    leaf
}

fn common<'a>(pairs: impl Iterator<Item = (&'a u8, &'a u8)>) -> usize {
    pairs.take_while(|(a, b)| a == b).count()
}

/// Where bytes of equally long data differ.
pub(super) fn ranges(released: &[u8], rebuilt: &[u8]) -> Vec<std::ops::Range<usize>> {
    const STEP: usize = 64;
    let mut ranges: Vec<std::ops::Range<usize>> = Vec::new();
    for (block, (old, new)) in released.chunks(STEP).zip(rebuilt.chunks(STEP)).enumerate() {
        if old == new {
            continue;
        }
        for (at, _) in old.iter().zip(new).enumerate().filter(|(_, (a, b))| a != b) {
            let at = block * STEP + at;
            match ranges.last_mut() {
                Some(last) if at < last.end + GAP => last.end = at + 1,
                _ => ranges.push(at..at + 1),
            }
        }
    }
    ranges
}

fn explain_ranges(
    leaf: &mut Leaf,
    base: u64,
    released: &[u8],
    rebuilt: &[u8],
    ranges: &[std::ops::Range<usize>],
) {
    let mut unexplained = 0;
    let mut first = None;
    let mut done = 0;
    for range in ranges.iter().take(MOST_EXPLAINED) {
        if range.end <= done {
            continue;
        }
        let (text, end) = enclosing(released, rebuilt, range);
        let reasons = text.map_or_else(Vec::new, |(a, b)| {
            explain(&a, &b, Context::default())
                .into_iter()
                .map(|reason| (a.clone(), b.clone(), reason))
                .collect()
        });
        let place = format!("offset {:#x}", base + range.start as u64);
        if reasons.is_empty() {
            if let Some((a, b)) = clock(released, rebuilt, range) {
                leaf.add(
                    Finding::new(&place, a, b)
                        .because(Cause::Timestamp, Confidence::Possible)
                        .keyed("number that reads as a time"),
                );
            } else {
                unexplained += range.len() as u64;
                first.get_or_insert_with(|| (place, range.clone()));
            }
        } else {
            done = end;
            for (a, b, reason) in reasons {
                leaf.add_reason(&place, &a, &b, &reason);
            }
        }
    }
    unexplained += ranges
        .iter()
        .skip(MOST_EXPLAINED)
        .map(|range| range.len() as u64)
        .sum::<u64>();
    if unexplained > 0 {
        let (place, range) = first.unwrap_or_else(|| (String::new(), 0..0));
        let value = |bytes: &[u8]| hex::encode(&bytes[range.start..range.end.min(range.start + 16)]);
        leaf.add(Finding::new(
            format!("{place}, {unexplained} bytes in all"),
            value(released),
            value(rebuilt),
        ));
    }
}

type Texts = Option<(String, String)>;

/// The printable runs that a range lies in, and where they end.
fn enclosing(released: &[u8], rebuilt: &[u8], range: &std::ops::Range<usize>) -> (Texts, usize) {
    const FARTHEST: usize = 400;
    let printable = |byte: &u8| (32..127).contains(byte) || *byte == b'\t';
    if !released[range.clone()]
        .iter()
        .chain(&rebuilt[range.clone()])
        .all(printable)
    {
        return (None, range.end);
    }
    let before = released[..range.start]
        .iter()
        .rev()
        .take(FARTHEST)
        .take_while(|byte| printable(byte))
        .count();
    let after = released[range.end..]
        .iter()
        .zip(&rebuilt[range.end..])
        .take(FARTHEST)
        .take_while(|(a, b)| printable(a) && printable(b))
        .count();
    let whole = range.start - before..range.end + after;
    let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[whole.clone()]).into_owned();
    if whole.len() < 4 {
        return (None, range.end);
    }
    (Some((text(released), text(rebuilt))), whole.end)
}

/// Aligned 32-bit numbers that are times of the last years on both sides.
fn clock(released: &[u8], rebuilt: &[u8], range: &std::ops::Range<usize>) -> Option<(String, String)> {
    const FROM: i64 = 1_420_000_000;
    let now = jiff::Timestamp::now().as_second() + 86_400;
    let start = range.start / 4 * 4;
    if range.end > start + 4 {
        return None;
    }
    let word = |bytes: &[u8]| {
        bytes
            .get(start..start + 4)
            .and_then(|word| <[u8; 4]>::try_from(word).ok())
    };
    let (a, b) = (word(released)?, word(rebuilt)?);
    [u32::from_le_bytes, u32::from_be_bytes]
        .into_iter()
        .find_map(|read| {
            let (a, b) = (i64::from(read(a)), i64::from(read(b)));
            let text = |seconds| {
                jiff::Timestamp::from_second(seconds)
                    .map(|time| time.to_string())
                    .ok()
            };
            if (FROM..now).contains(&a) && (FROM..now).contains(&b) {
                Some((text(a)?, text(b)?))
            } else {
                None
            }
        })
}

pub(super) fn excerpt(
    base: u64,
    released: &[u8],
    rebuilt: &[u8],
    ranges: &[std::ops::Range<usize>],
) -> Excerpt {
    let shown = |bytes: &[u8], range: &std::ops::Range<usize>| {
        let start = range.start / 16 * 16;
        let end = range
            .end
            .next_multiple_of(16)
            .min(start + LONGEST_SHOWN)
            .min(bytes.len());
        hex::encode(&bytes[start..end])
    };
    Excerpt {
        of: "bytes".into(),
        bytes: ranges
            .iter()
            .take(MOST_SHOWN)
            .map(|range| ByteRange {
                offset: base + (range.start / 16 * 16) as u64,
                released: shown(released, range),
                rebuilt: shown(rebuilt, range),
            })
            .collect(),
        more: ranges.len().saturating_sub(MOST_SHOWN) as u64,
        ..Excerpt::default()
    }
}

/// Two streams side by side, in pieces: for what is too large to read whole. Gives the lengths too.
pub(in super::super) fn stream(
    mut released: impl Read,
    mut rebuilt: impl Read,
) -> io::Result<(Leaf, u64, u64)> {
    const PIECE: usize = 1 << 20;
    let mut leaf = Leaf::of("bytes");
    let (mut old, mut new) = (vec![0; PIECE], vec![0; PIECE]);
    let (mut at, mut end_old, mut end_new) = (0_u64, 0_u64, 0_u64);
    loop {
        let (a, b) = (fill(&mut released, &mut old)?, fill(&mut rebuilt, &mut new)?);
        end_old += a as u64;
        end_new += b as u64;
        let both = a.min(b);
        if old[..both] != new[..both] {
            let ranges = ranges(&old[..both], &new[..both]);
            explain_ranges(&mut leaf, at, &old[..both], &new[..both], &ranges);
            if leaf.excerpts.len() < MOST_SHOWN {
                leaf.excerpts
                    .push(excerpt(at, &old[..both], &new[..both], &ranges));
            }
        }
        at += both as u64;
        if a != b {
            end_old += io::copy(&mut released, &mut io::sink())?;
            end_new += io::copy(&mut rebuilt, &mut io::sink())?;
            let rest = |end: u64| format!("{} bytes", end - at);
            leaf.add(Finding::new(
                format!("from offset {at:#x}"),
                rest(end_old),
                rest(end_new),
            ));
            break;
        }
        if a < PIECE {
            break;
        }
    }
    Ok((leaf, end_old, end_new))
}

/// Reads until the buffer is full or the stream ends.
pub(in super::super) fn fill(reader: &mut (impl Read + ?Sized), buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
