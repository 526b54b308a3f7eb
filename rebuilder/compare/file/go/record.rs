//! Finds Go's build information, as `debug/buildinfo` and `cmd/internal/buildid` do.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use object::{Object as _, ObjectSegment as _};
use regex::bytes::Regex;

/// The linker's record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Version of Go.
    pub version: String,
    /// Lines about modules and flags, in UTF-8.
    pub modules: Vec<u8>,
}

const MAGIC: &[u8] = b"\xff Go buildinf:";
const ALIGNMENT: usize = 16;
/// The two bytes after the magic number are the size of pointers, and flags.
const INLINE: u8 = 2;
const BIG_ENDIAN: u8 = 1;
pub(super) const HEADER: usize = 32;
/// Marks around the lines (`cmd/go/internal/modload`).
const START: &[u8] = b"\x30\x77\xaf\x0c\x92\x74\x08\x02\x41\xe1\xc1\x07\xe6\xd6\x18\xe6";
const END: &[u8] = b"\xf9\x32\x43\x31\x86\x18\x20\x72\x00\x82\x42\x10\x41\x16\xd8\xf2";

/// Whether the bytes begin like ELF, PE, or Mach-O of either width and byte order.
pub(super) fn is_executable(bytes: &[u8]) -> bool {
    const MAGICS: &[&[u8]] = &[
        b"\x7fELF",
        b"MZ",
        b"\xcf\xfa\xed\xfe",
        b"\xce\xfa\xed\xfe",
        b"\xfe\xed\xfa\xcf",
        b"\xfe\xed\xfa\xce",
    ];
    MAGICS.iter().any(|magic| bytes.starts_with(magic))
}

/// The single record of an executable; `None` if there are several, as nothing tells which one Go uses.
pub(super) fn read(bytes: &[u8]) -> Option<Record> {
    let places = (0..bytes.len()).step_by(ALIGNMENT);
    let mut records = places
        .zip(bytes.chunks(ALIGNMENT))
        .filter(|(_, chunk)| chunk.starts_with(MAGIC))
        .filter_map(|(at, _)| Record::at(bytes, at));
    let record = records.next()?;
    records.next().is_none().then_some(record)
}

impl Record {
    fn at(bytes: &[u8], at: usize) -> Option<Self> {
        let blob = bytes.get(at..)?;
        let (header, strings) = blob.split_at_checked(HEADER)?;
        let (width, flags) = (
            *header.get(MAGIC.len())?,
            *header.get(MAGIC.len().checked_add(1)?)?,
        );
        let (version, framed) = if flags & INLINE != 0 {
            let (version, rest) = inline(strings)?;
            (version, inline(rest)?.0)
        } else {
            let pointers = header.get(ALIGNMENT..)?;
            pointed_at(bytes, pointers, usize::from(width), flags & BIG_ENDIAN != 0)?
        };
        let version = std::str::from_utf8(version).ok()?.to_owned();
        let modules = framed.strip_prefix(START).and_then(|rest| rest.strip_suffix(END));
        // A program that was not built from modules has no lines.
        let modules = modules.unwrap_or_default().to_vec();
        let is_version = version.starts_with("go1") || version.starts_with("devel ");
        is_version.then_some(Self { version, modules })
    }
}

/// The form since Go 1.18: the length as a varint, followed by the string.
fn inline(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut length, mut shift): (usize, u32) = (0, 0);
    let mut rest = bytes;
    loop {
        let byte;
        (byte, rest) = rest.split_first()?;
        length |= usize::from(byte & 0x7f)
            .checked_shl(shift)
            .filter(|_| shift < 28)?;
        if byte & 0x80 == 0 {
            return rest.split_at_checked(length);
        }
        shift = shift.checked_add(7)?;
    }
}

/// The form until Go 1.17: the addresses of two strings, each consisting of an address and a length. Only supported
/// for ELF.
fn pointed_at<'a>(
    bytes: &'a [u8],
    pointers: &[u8],
    width: usize,
    big_endian: bool,
) -> Option<(&'a [u8], &'a [u8])> {
    let file = object::File::parse(bytes).ok()?;
    let number = |bytes: &[u8]| -> Option<u64> {
        let fold = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        let own = bytes.get(..width)?;
        Some(if big_endian {
            own.iter().fold(0, fold)
        } else {
            own.iter().rev().fold(0, fold)
        })
    };
    let data = |address: u64, size: u64| {
        file.segments()
            .find_map(|segment| segment.data_range(address, size).ok().flatten())
    };
    if width != 4 && width != 8 {
        return None;
    }
    let string = |pointer: &[u8]| {
        let header = data(number(pointer)?, (width as u64).checked_mul(2)?)?;
        data(number(header)?, number(header.get(width..)?)?)
    };
    Some((
        string(pointers)?,
        string(pointers.get(width..)?).unwrap_or_default(),
    ))
}

/// Where these lines occur between the marks that the go command puts around them.
pub(super) fn framed(bytes: &[u8], modules: &[u8]) -> Vec<usize> {
    static START_MARK: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"(?-u)\x30\x77\xaf\x0c\x92\x74\x08\x02\x41\xe1\xc1\x07\xe6\xd6\x18\xe6").ok()
    });
    let Some(mark) = START_MARK.as_ref() else {
        return Vec::new();
    };
    mark.find_iter(bytes)
        .map(|found| found.end())
        .filter(|at| {
            let rest = bytes.get(*at..).and_then(|rest| rest.strip_prefix(modules));
            rest.is_some_and(|rest| rest.starts_with(END))
        })
        .collect()
}

/// The range of the lines at an offset, with the marks around them.
pub(super) fn around(at: usize, record: &Record) -> Option<Range<usize>> {
    let end = at.checked_add(record.modules.len())?.checked_add(END.len())?;
    Some(at.checked_sub(START.len())?..end)
}

/// Whether data is this record, in the form since Go 1.18, with zeros that align what follows.
pub(super) fn is_record(data: &[u8], record: &Record) -> bool {
    let lines = || {
        let (header, strings) = data.split_at_checked(HEADER)?;
        let flags = *header.strip_prefix(MAGIC)?.get(1)?;
        let (version, rest) = (flags == INLINE).then(|| inline(strings))??;
        let (framed, padding) = inline(rest)?;
        let is_padding = padding.len() < ALIGNMENT && padding.iter().all(|byte| *byte == 0);
        let lines = framed.strip_prefix(START)?.strip_suffix(END)?;
        (is_padding && version == record.version.as_bytes()).then_some(lines)
    };
    lines().is_some_and(|lines| lines == record.modules)
}

/// The build ID: in a note for ELF, otherwise at the beginning of the code.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BuildId<'a> {
    pub at: usize,
    pub text: Cow<'a, str>,
}

impl<'a> BuildId<'a> {
    /// Searches the part of the file that the go command searches.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        const LOOKED_AT: usize = 32 << 10;
        static ID: LazyLock<Option<Regex>> = LazyLock::new(|| {
            // A note (lengths of name and value, type 4, the name Go), or the text that gc writes in other formats.
            Regex::new(concat!(
                r"(?s-u)(?:\x04\x00{3}.{4}\x04\x00{3}Go\x00\x00|\x00{3}\x04.{4}\x00{3}\x04Go\x00\x00",
                r#"|\xff Go build ID: ")"#,
                r"([A-Za-z0-9_-]{20}(?:/[A-Za-z0-9_-]{20}){1,3})[^A-Za-z0-9_/-]"
            ))
            .ok()
        });
        let head = bytes.get(..LOOKED_AT).unwrap_or(bytes);
        let found = ID.as_ref()?.captures(head)?.get(1)?;
        Some(Self {
            at: found.start(),
            text: String::from_utf8_lossy(found.as_bytes()),
        })
    }
}
