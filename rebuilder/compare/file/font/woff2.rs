//! WOFF 2.0 (W3C Recommendation): the directory, and the tables in one stream of brotli. Outlines may be transformed;
//! equal transformed tables unpack to equal ones, so they are compared as they are.

use std::borrow::Cow;
use std::collections::HashSet;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

use super::super::regions::{Numbers, Region, Regions, span};
use super::{LARGEST, Sfnt, checksum};

pub(super) const MAGIC: &[u8] = b"wOF2";

const HEADER: usize = 48;
const MOST_TABLES: u16 = 4096;

/// Tags that are written as a number (WOFF 2.0, 4.1).
const TAGS: [&str; 63] = [
    "cmap", "head", "hhea", "hmtx", "maxp", "name", "OS/2", "post", "cvt ", "fpgm", "glyf", "loca", "prep",
    "CFF ", "VORG", "EBDT", "EBLC", "gasp", "hdmx", "kern", "LTSH", "PCLT", "VDMX", "vhea", "vmtx", "BASE",
    "GDEF", "GPOS", "GSUB", "EBSC", "JSTF", "MATH", "CBDT", "CBLC", "COLR", "CPAL", "SVG ", "sbix", "acnt",
    "avar", "bdat", "bloc", "bsln", "cvar", "fdsc", "feat", "fmtx", "fvar", "gvar", "hsty", "just", "lcar",
    "mort", "morx", "opbd", "prop", "trak", "Zapf", "Silf", "Glat", "Gloc", "Feat", "Sill",
];

/// An entry of the directory.
struct Entry {
    tag: String,
    /// The length in the font.
    length: usize,
    /// The length in the stream, if the table is transformed.
    transformed: Option<usize>,
}

/// The tables of a font. `None` unless the purpose of every byte is known; collections, metadata and private data are
/// not supported.
pub(super) fn read(bytes: &[u8]) -> Option<Sfnt<'_>> {
    let numbers = Numbers {
        bytes,
        little_endian: false,
    };
    let count = numbers.u16(12)?;
    let is_plain = bytes.get(4..8)? != b"ttcf"
        && numbers.u16(14)? == 0
        && numbers.size(8)? == bytes.len()
        && bytes.get(28..HEADER)? == [0; 20]
        && count <= MOST_TABLES;
    is_plain.then_some(())?;
    let mut at = HEADER;
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push(entry(bytes, &mut at)?);
    }
    let tags: HashSet<&str> = entries.iter().map(|entry| entry.tag.as_str()).collect();
    (tags.len() == entries.len()).then_some(())?;
    let stored = bytes.get(span(at, numbers.size(20)?)?)?;
    let padding = bytes.get(at.checked_add(stored.len())?..)?;
    (padding.len() < 4 && padding.iter().all(|byte| *byte == 0)).then_some(())?;
    let mut total: usize = 0;
    let mut unpacked: usize = 12;
    for entry in &entries {
        total = total.checked_add(entry.transformed.unwrap_or(entry.length))?;
        unpacked = unpacked
            .checked_add(16)?
            .checked_add(entry.length.checked_next_multiple_of(4)?)?;
    }
    (total <= LARGEST).then_some(())?;
    let data = decoded(stored, total)?;
    let mut header = bytes.get(4..8)?.to_vec();
    header.extend_from_slice(bytes.get(24..28)?);
    // Decoders take the size of the font and those of transformed tables as hints.
    if numbers.size(16)? != unpacked {
        header.extend_from_slice(bytes.get(16..20)?);
    }
    let mut rest = data.as_slice();
    let mut parts = Vec::new();
    let mut sum: u32 = 0;
    for entry in &entries {
        let (table, others) = rest.split_at_checked(entry.transformed.unwrap_or(entry.length))?;
        rest = others;
        let mut name = format!("{} table", entry.tag);
        if entry.transformed.is_some() {
            name.push_str(", transformed");
            header.extend_from_slice(&u32::try_from(entry.length).ok()?.to_be_bytes());
        } else {
            sum = sum.wrapping_add(checksum(table, entry.tag == "head")?);
        }
        parts.push(Region {
            name,
            at: 0,
            data: Cow::Owned(table.to_vec()),
        });
    }
    Some(Sfnt {
        header,
        order: entries.into_iter().map(|entry| entry.tag).collect(),
        tables: Regions { parts },
        file: None,
        sum,
        compressed: vec![stored],
    })
}

fn entry(bytes: &[u8], at: &mut usize) -> Option<Entry> {
    let flags = *bytes.get(*at)?;
    *at = at.checked_add(1)?;
    let (number, version) = (usize::from(flags & 63), flags >> 6);
    let tag = if let Some(tag) = TAGS.get(number) {
        (*tag).to_owned()
    } else {
        let tag = bytes.get(span(*at, 4)?)?;
        *at = at.checked_add(4)?;
        // The short form of a known tag is the only one.
        let tag = String::from_utf8_lossy(tag).into_owned();
        (!TAGS.contains(&tag.as_str())).then_some(tag)?
    };
    let length = number_at(bytes, at)?;
    let is_transformed = match tag.as_str() {
        "glyf" | "loca" => version != 3,
        _ => version != 0,
    };
    // The version of a transformation that has only one is not stored elsewhere.
    let is_known = !is_transformed || matches!((tag.as_str(), version), ("glyf" | "loca", 0) | ("hmtx", 1));
    is_known.then_some(())?;
    let transformed = if is_transformed {
        Some(number_at(bytes, at)?)
    } else {
        None
    };
    Some(Entry {
        tag,
        length,
        transformed,
    })
}

/// A number in groups of seven bits (WOFF 2.0, 3.1, `UIntBase128`), without leading zeros.
fn number_at(bytes: &[u8], at: &mut usize) -> Option<usize> {
    let mut number: u32 = 0;
    for nth in 0..5 {
        let byte = *bytes.get(*at)?;
        *at = at.checked_add(1)?;
        (nth != 0 || byte != 0x80).then_some(())?;
        number = number.checked_mul(128)?.checked_add(u32::from(byte & 0x7f))?;
        if byte & 0x80 == 0 {
            return usize::try_from(number).ok();
        }
    }
    None
}

/// The bytes of a stream of brotli, if there are exactly so many and nothing follows the stream.
fn decoded(stored: &[u8], length: usize) -> Option<Vec<u8>> {
    let allocator = StandardAlloc::default;
    let mut state = BrotliState::new(allocator(), allocator(), allocator());
    // Windows of more than 16 MB are not part of RFC 7932.
    state.large_window = false;
    let mut data = vec![0; length];
    let (mut left, mut taken, mut room, mut given, mut total) = (stored.len(), 0, length, 0, 0);
    let result = BrotliDecompressStream(
        &mut left, &mut taken, stored, &mut room, &mut given, &mut data, &mut total, &mut state,
    );
    (matches!(result, BrotliResult::ResultSuccess) && left == 0 && given == length).then_some(data)
}
