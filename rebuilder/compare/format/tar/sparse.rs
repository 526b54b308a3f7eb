//! Sparse files: the parts of a file that an archive stores, and the file that unpackers make from them.
//!
//! Old GNU (type `S`: a map in the header and in blocks after it) and GNU's three pax formats (GNU tar manual,
//! "Storing Sparse Files"): 0.0 and 0.1 with the map in records, 1.0 with the map before the data.

use std::io::{self, Read};

use super::header::{BLOCK, Block, Header, SIZE, field};
use super::number::{decimal, is_usual, number, spelling};
use super::pax_fields::{Pax, bounded};
use super::reader::{Blocks, MOST_EXTENDED, too_much};
use crate::artifact::Sha256;

/// Where the stored bytes belong in the file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Map {
    /// Offset and length of each stored part.
    parts: Vec<(u64, u64)>,
    /// Length of the file.
    pub size: u64,
}

impl Map {
    /// Whether the parts are in order within the file, and cover exactly what is stored.
    pub fn is_valid(&self, stored: u64) -> bool {
        let (mut end, mut total) = (0_u64, 0_u64);
        for (offset, length) in &self.parts {
            let (Some(next), Some(sum)) = (offset.checked_add(*length), total.checked_add(*length)) else {
                return false;
            };
            if *offset < end {
                return false;
            }
            (end, total) = (next, sum);
        }
        end <= self.size && total == stored
    }

    /// A readable description, which differs for different maps.
    pub fn described(&self) -> String {
        let text: Vec<String> = self
            .parts
            .iter()
            .map(|(at, length)| format!("{at}+{length}"))
            .collect();
        let text = text.join(" ");
        let shown = if text.len() <= 60 {
            text
        } else {
            format!(
                "{} parts, sha256 {}",
                self.parts.len(),
                Sha256::of(text.as_bytes()).to_hex()
            )
        };
        format!("{shown} of {}", self.size)
    }
}

/// The unpacked file, with zeros where nothing is stored.
pub(super) struct Expanded<'a, R> {
    pub stored: R,
    pub map: &'a Map,
    /// Index of the next or current part, and the position in the file.
    part: usize,
    at: u64,
}

impl<'a, R: Read> Expanded<'a, R> {
    pub fn new(stored: R, map: &'a Map) -> Self {
        Self {
            stored,
            map,
            part: 0,
            at: 0,
        }
    }
}

impl<R: Read> Read for Expanded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let is_past = |(offset, length): &(u64, u64), at| offset.saturating_add(*length) <= at;
        while self
            .map
            .parts
            .get(self.part)
            .is_some_and(|part| is_past(part, self.at))
        {
            self.part = self.part.saturating_add(1);
        }
        let (begin, end) = self
            .map
            .parts
            .get(self.part)
            .map_or((self.map.size, self.map.size), |part| {
                (part.0, part.0.saturating_add(part.1))
            });
        let in_hole = self.at < begin;
        let left = if in_hole { begin } else { end }.saturating_sub(self.at);
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = buffer.get_mut(..most).unwrap_or_default();
        let read = if in_hole {
            buffer.fill(0);
            most
        } else {
            self.stored.read(buffer)?
        };
        if read == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at = self.at.saturating_add(read as u64);
        Ok(read)
    }
}

/// A map from the archive, or the bytes that are not one.
pub(super) struct Found {
    pub map: Option<Map>,
    /// Name of the format, and the spelling of its numbers if that is unusual.
    pub format: String,
    /// Bytes of the map without a meaning.
    pub unused: Vec<u8>,
    /// All bytes of the map, if it is stored with the data.
    pub before_data: Vec<u8>,
}

/// The map of old GNU: pairs of numbers, followed by empty ones.
pub(super) fn old_gnu<R: Read>(header: &Header, blocks: &mut Blocks<R>) -> io::Result<Found> {
    let mut pairs = field(header.block, (386, 96)).to_vec();
    let mut unused = field(header.block, (369, 17)).to_vec();
    unused.extend_from_slice(field(header.block, (495, 17)));
    let mut more = header.block.get(482).copied().unwrap_or(0);
    let mut flags = vec![more];
    while more != 0 {
        let block: Block = blocks.block()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        pairs.extend_from_slice(field(&block, (0, 504)));
        more = block.get(504).copied().unwrap_or(0);
        flags.push(more);
        unused.extend_from_slice(field(&block, (505, 7)));
        if pairs.len() > MOST_EXTENDED {
            return Err(too_much());
        }
    }
    // Writers set the flag to 1; any other value except 0 has the same effect, but carries extra data.
    unused.extend(flags.iter().filter(|flag| **flag > 1));
    let mut map = number(field(header.block, (483, 12)))
        .and_then(|size| u64::try_from(size).ok())
        .map(|size| Map {
            parts: Vec::new(),
            size,
        });
    let mut ended = false;
    for pair in pairs.chunks(24) {
        if pair.iter().all(|byte| *byte == 0) {
            ended = true;
            continue;
        }
        if ended {
            map = None;
        }
        let (offset, length) = pair.split_at_checked(12).unwrap_or_default();
        let value = |text: &[u8]| number(text).and_then(|value| u64::try_from(value).ok());
        match (&mut map, value(offset), value(length)) {
            (Some(map), Some(offset), Some(length)) => map.parts.push((offset, length)),
            _ => map = None,
        }
    }
    let stored = header.unsigned(SIZE).unwrap_or(0);
    let map = map.filter(|map| map.is_valid(stored));
    if map.is_none() {
        unused.extend_from_slice(field(header.block, (386, 109)));
        unused.extend_from_slice(&pairs);
    }
    let size = field(header.block, (483, 12));
    let numbers = pairs.chunks(12).chain([size]).enumerate();
    let unusual = numbers.filter(|(_, text)| !is_usual(text) && text.iter().any(|byte| *byte != 0));
    let forms: Vec<String> = unusual
        .map(|(at, text)| format!(" {at}:{}", spelling(text)))
        .collect();
    Ok(Found {
        map,
        format: bounded(format!("old GNU{}", forms.concat())),
        unused,
        before_data: Vec::new(),
    })
}

/// The map of a pax sparse file; for format 1.0, it is read from the blocks before the data.
pub(super) fn pax<R: Read>(pax: &Pax, stored: u64, blocks: &mut Blocks<R>) -> io::Result<Option<Found>> {
    let sparse = &pax.sparse;
    if sparse.is_empty() {
        return Ok(None);
    }
    let get = |key: &str| {
        sparse
            .iter()
            .rev()
            .find(|(own, _)| *own == key)
            .map(|(_, value)| *value)
    };
    let count = |key: &str| sparse.iter().filter(|(own, _)| *own == key).count();
    let number = |key: &str| get(key).and_then(decimal);
    let none = |format: &str| Found {
        map: None,
        format: format.to_owned(),
        unused: Vec::new(),
        before_data: Vec::new(),
    };
    let has_only = |keys: &[&str]| {
        let known = sparse.iter().all(|(key, _)| keys.contains(key));
        let once = |key: &&str| matches!(*key, "offset" | "numbytes") || count(key) <= 1;
        known && keys.iter().all(once)
    };
    let version = (get("major"), get("minor"));
    if version == (Some(b"1"), Some(b"0")) && has_only(&["major", "minor", "name", "realsize"]) {
        let Some(size) = number("realsize") else {
            return Ok(Some(none("GNU 1.0")));
        };
        return before_data(size, stored, blocks).map(Some);
    }
    let version_fits = |minor: &[u8]| version == (None, None) || version == (Some(b"0"), Some(minor));
    let size = number("size");
    let parts = number("numblocks");
    let keys = ["major", "minor", "name", "size", "numblocks", "map"];
    let (format, texts) = if let Some(map) = get("map").filter(|_| has_only(&keys) && version_fits(b"1")) {
        ("GNU 0.1", map.split(|byte| *byte == b',').collect())
    } else if version_fits(b"0")
        && has_only(&[
            "major",
            "minor",
            "name",
            "size",
            "numblocks",
            "offset",
            "numbytes",
        ])
    {
        ("GNU 0.0", in_turn(sparse))
    } else {
        return Ok(Some(none("of no known format")));
    };
    let map = size.and_then(|size| map_of(&texts, size)).filter(|map| {
        let claimed = parts.is_some_and(|parts| parts == map.parts.len() as u64);
        claimed && map.is_valid(stored)
    });
    Ok(Some(Found { map, ..none(format) }))
}

/// The numbers of format 0.0, whose records alternate between offset and length; an invalid text if they do not.
fn in_turn<'a>(sparse: &[(&str, &'a [u8])]) -> Vec<&'a [u8]> {
    let pairs = sparse
        .iter()
        .filter(|(key, _)| matches!(*key, "offset" | "numbytes"));
    let value = |(at, (key, value)): (usize, &(&str, &'a [u8]))| -> &'a [u8] {
        let wanted = if at.is_multiple_of(2) {
            "offset"
        } else {
            "numbytes"
        };
        if *key == wanted { value } else { b"" }
    };
    pairs.enumerate().map(value).collect()
}

fn map_of(texts: &[&[u8]], size: u64) -> Option<Map> {
    let (pairs, rest) = texts.as_chunks::<2>();
    // The map of a file without any data is empty.
    if !rest.is_empty() && texts != [b""] {
        return None;
    }
    let pair = |[offset, length]: &[&[u8]; 2]| Some((decimal(offset)?, decimal(length)?));
    let parts = pairs.iter().map(pair).collect::<Option<_>>()?;
    Some(Map { parts, size })
}

/// Format 1.0: before the data, newline-terminated decimal numbers, padded with NULs to whole blocks.
fn before_data<R: Read>(size: u64, stored: u64, blocks: &mut Blocks<R>) -> io::Result<Found> {
    let (mut bytes, mut wanted, mut lines, mut end) = (Vec::new(), None, 0_usize, 0_usize);
    let whole = |bytes: &Vec<u8>| bytes.len() as u64 <= stored.saturating_sub(BLOCK as u64);
    while wanted.is_none_or(|wanted| lines < wanted) && whole(&bytes) && bytes.len() < MOST_EXTENDED {
        let block = blocks.block()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        for byte in block {
            bytes.push(byte);
            if byte == b'\n' && wanted.is_none_or(|wanted| lines < wanted) {
                lines = lines.saturating_add(1);
                end = bytes.len();
                if lines == 1 {
                    let parts = bytes.get(..end.saturating_sub(1)).and_then(decimal);
                    let parts = parts.and_then(|parts| usize::try_from(parts).ok());
                    wanted = Some(parts.unwrap_or(0).saturating_mul(2).saturating_add(1));
                }
            }
        }
    }
    let numbers = bytes.get(..end.saturating_sub(1)).unwrap_or_default();
    let texts: Vec<&[u8]> = numbers.split(|byte| *byte == b'\n').collect();
    let data = stored.checked_sub(bytes.len() as u64);
    let map = texts
        .split_first()
        .filter(|(parts, rest)| decimal(parts) == Some(rest.len() as u64 / 2))
        .and_then(|(_, rest)| map_of(rest, size))
        .filter(|map| data.is_some_and(|data| map.is_valid(data)));
    let unused = if map.is_some() {
        bytes.get(end..).unwrap_or_default().to_vec()
    } else {
        Vec::new()
    };
    Ok(Found {
        map,
        format: "GNU 1.0".to_owned(),
        unused,
        before_data: bytes,
    })
}
