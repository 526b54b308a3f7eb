//! One header: an index of tags, and the bytes of their values.

use std::fmt::Write as _;
use std::io::{self, Read};

use super::tags::{Kind, Tag};
use super::{exactly, invalid};
use crate::compare::format::{described, path_text};
use crate::compare::limits::Meter;

/// Magic, version, four reserved bytes, and two counts.
const INTRO: usize = 16;
const ENTRY: usize = 16;

/// A stored header and its tags.
pub(super) struct Header {
    pub bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// Offset of the values.
    store: usize,
}

#[derive(Clone, Copy)]
struct Entry {
    tag: u32,
    kind: u32,
    offset: usize,
    count: usize,
}

impl Header {
    /// Reads the next header of a file of `size` bytes; values that exceed it are an error.
    pub fn read(reader: &mut impl Read, size: u64, meter: &Meter) -> io::Result<Self> {
        let mut bytes = exactly(reader, INTRO as u64, meter)?;
        if !bytes.starts_with(&[0x8e, 0xad, 0xe8]) {
            return Err(invalid("no header where one should begin"));
        }
        let count = |at| number(&bytes, at, 4).unwrap_or(u64::MAX);
        let (entries, store) = (count(8).saturating_mul(ENTRY as u64), count(12));
        let length = entries.saturating_add(store);
        if length > size {
            return Err(invalid("a header that ends beyond the file"));
        }
        bytes.extend(exactly(reader, length, meter)?);
        let store = usize::try_from(entries).map_or(usize::MAX, |entries| entries.saturating_add(INTRO));
        let mut header = Self {
            bytes,
            entries: Vec::new(),
            store,
        };
        for at in (INTRO..store).step_by(ENTRY) {
            let number = |part: usize| number(&header.bytes, at.saturating_add(part), 4);
            let parsed = (|| {
                Some(Entry {
                    tag: u32::try_from(number(0)?).ok()?,
                    kind: u32::try_from(number(4)?).ok()?,
                    offset: usize::try_from(number(8)?).ok()?,
                    count: usize::try_from(number(12)?).ok()?,
                })
            })();
            let entry = parsed.filter(|entry| header.value(entry).is_some());
            header
                .entries
                .push(entry.ok_or_else(|| invalid("a value beyond its header"))?);
        }
        Ok(header)
    }

    /// The bytes of a value, including the NULs that end its strings.
    fn value(&self, entry: &Entry) -> Option<&[u8]> {
        let rest = self.bytes.get(self.store.checked_add(entry.offset)?..)?;
        let length = match width(entry.kind) {
            Some(width) => entry.count.checked_mul(width)?,
            None if entry.kind == 0 => 0,
            None => {
                let mut ends = rest.iter().enumerate().filter(|(_, byte)| **byte == 0);
                let last = entry.count.checked_sub(1)?;
                ends.nth(last)?.0.checked_add(1)?
            }
        };
        rest.get(..length)
    }

    fn find(&self, tag: u32) -> Option<(&Entry, &[u8])> {
        let entry = self.entries.iter().find(|entry| entry.tag == tag)?;
        Some((entry, self.value(entry)?))
    }

    /// The numbers of a tag; empty if it is absent.
    pub fn numbers(&self, tag: u32) -> Vec<u64> {
        let Some((entry, value)) = self.find(tag) else {
            return Vec::new();
        };
        let width = width(entry.kind).unwrap_or(1);
        let numbers = value.chunks_exact(width);
        numbers.filter_map(|bytes| number(bytes, 0, width)).collect()
    }

    /// The strings of a tag; empty if it is absent.
    pub fn strings(&self, tag: u32) -> Vec<&[u8]> {
        let found = self.find(tag).filter(|(entry, _)| width(entry.kind).is_none());
        found.map(|(_, value)| strings(value)).unwrap_or_default()
    }

    pub fn binary(&self, tag: u32) -> Option<&[u8]> {
        self.find(tag).map(|(_, value)| value)
    }

    /// One line for each value, so that arrays are compared element by element; further lines of a value are indented.
    pub fn text(&self, name: impl Fn(u32) -> Tag) -> String {
        let mut text = String::new();
        let intro = self.bytes.get(3..8).unwrap_or_default();
        if intro != [1, 0, 0, 0, 0] {
            let _ = writeln!(text, "form of the header: {}", hex::encode(intro));
        }
        for entry in &self.entries {
            let value = self.value(entry).unwrap_or_default();
            if self.is_whole_region(entry, value) {
                continue;
            }
            let Tag { name, kind } = name(entry.tag);
            let name = match Kind::of(entry.kind) {
                own if own == kind && name == "signature" && own == Kind::Bytes && !is_openpgp(value) => {
                    format!("{name} of unknown form")
                }
                own if own == kind => name,
                own => format!("{name} as {}", own.name()),
            };
            match width(entry.kind) {
                Some(1) if value.len() > 16 && value.iter().all(|byte| *byte == 0) => {
                    let _ = writeln!(text, "{name}: {} zeros", value.len());
                }
                Some(1) if entry.kind != 2 => {
                    let _ = writeln!(text, "{name}: {}", hex::encode(value));
                }
                Some(width) => {
                    for bytes in value.chunks_exact(width) {
                        let _ = writeln!(text, "{name}: {}", number(bytes, 0, width).unwrap_or_default());
                    }
                }
                None => {
                    for string in strings(value) {
                        let lines = path_text(string).replace('\n', "\n ");
                        let _ = writeln!(text, "{name}: {lines}");
                    }
                }
            }
        }
        self.layout(&mut text);
        text
    }

    /// Whether a value says that all tags are in a single part, which is signed as a whole: then it follows from their
    /// number.
    fn is_whole_region(&self, entry: &Entry, value: &[u8]) -> bool {
        let length = self.store.saturating_sub(INTRO);
        let back = u32::try_from(length).map_or(0, u32::wrapping_neg);
        let wanted = [entry.tag, 7, back, 16].map(u32::to_be_bytes).concat();
        let first = self.entries.first().map(|first| first.tag);
        matches!(entry.tag, 62 | 63) && first == Some(entry.tag) && entry.kind == 7 && value == wanted
    }

    /// Checks that values are in the order of their tags without gaps, except the entry that marks the signed part;
    /// adds anything else to the text.
    fn layout(&self, text: &mut String) {
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        let mut ordered = true;
        let mut last = 0;
        for (place, entry) in self.entries.iter().enumerate() {
            let length = self.value(entry).map_or(0, <[u8]>::len);
            ranges.push((entry.offset, entry.offset.saturating_add(length)));
            let is_region = place == 0 && matches!(entry.tag, 61..=63);
            ordered &= is_region || entry.offset >= last;
            if !is_region {
                last = entry.offset.saturating_add(length);
            }
        }
        ranges.sort_unstable();
        let store = self.bytes.get(self.store..).unwrap_or_default();
        let (mut unused, mut at) = (Vec::new(), 0);
        for (from, to) in ranges {
            let gap = store.get(at..from).unwrap_or_default();
            // Numbers begin at multiples of their width.
            if gap.len() > 7 || gap.iter().any(|byte| *byte != 0) {
                unused.extend_from_slice(gap);
            }
            at = at.max(to);
        }
        unused.extend_from_slice(store.get(at..).unwrap_or_default());
        if !unused.is_empty() {
            let _ = writeln!(text, "bytes without a tag: {}", described(&unused));
        }
        if !ordered {
            let index = self.bytes.get(INTRO..self.store).unwrap_or_default();
            let _ = writeln!(text, "order of values: {}", described(index));
        }
    }
}

/// Whether a value is exactly one OpenPGP signature packet (RFC 9580, 4.2).
fn is_openpgp(value: &[u8]) -> bool {
    let (length, begins) = match value {
        [0x88, length, rest @ ..] | [0xc2, length @ ..=191, rest @ ..] => (u64::from(*length), rest),
        [0x89, high, low, rest @ ..] => (u64::from(u16::from_be_bytes([*high, *low])), rest),
        [0xc2, high @ 192..=223, low, rest @ ..] => {
            let length = u64::from(u16::from_be_bytes([*high, *low]));
            (length.saturating_sub(192 << 8).saturating_add(192), rest)
        }
        _ => return false,
    };
    begins.len() as u64 == length
}

fn strings(value: &[u8]) -> Vec<&[u8]> {
    let value = value.strip_suffix(&[0]).unwrap_or(value);
    value.split(|byte| *byte == 0).collect()
}

/// Width in bytes of a number of this type; `None` for strings, which are NUL-terminated.
fn width(kind: u32) -> Option<usize> {
    match kind {
        1 | 2 | 7 => Some(1),
        3 => Some(2),
        4 => Some(4),
        5 => Some(8),
        _ => None,
    }
}

fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(width)?)?;
    Some(bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}
