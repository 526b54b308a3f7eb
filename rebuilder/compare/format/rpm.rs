//! RPM packages: two headers of tags, then a compressed cpio archive.

use std::fmt::Write as _;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use super::{FormatReader, Member, Visit};
use crate::compare::limits::Meter;
use crate::compare::source::Source;
use crate::compare::stored::Fields;

pub(super) struct Rpm;

impl FormatReader for Rpm {
    fn name(&self) -> &'static str {
        "rpm"
    }

    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.rpm", b"\xed\xab\xee\xdb")
    }

    fn begins(&self, head: &[u8]) -> bool {
        head.starts_with(&[0xed, 0xab, 0xee, 0xdb])
    }

    fn streams(&self) -> bool {
        false
    }

    fn walk(&self, source: &Source, meter: &Meter, visit: Visit) -> io::Result<Fields> {
        let mut reader = BufReader::new(source.seekable()?);
        whole(&mut reader)?;
        reader.rewind()?;
        // The library trusts counts within a header more than it should; a hostile one must not end the comparison.
        let parsed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let metadata =
                rpm::PackageMetadata::parse(&mut reader).map_err(|error| invalid(&error.to_string()))?;
            let tags = |all: Result<Tags, rpm::Error>| all.map_err(|error| invalid(&error.to_string()));
            let signature = tags(metadata.signature.get_all_entries())?;
            Ok::<_, io::Error>((signature, tags(metadata.header.get_all_entries())?))
        }));
        let (signature, header) = parsed.unwrap_or_else(|_| Err(invalid("its header contradicts itself")))?;
        let payload = reader.stream_position()?;
        let size = reader.seek(SeekFrom::End(0))?;
        for (name, tags) in [("signature", signature), ("header", header)] {
            meter.member(name.len())?;
            // One line a value, so that arrays are compared element by element.
            let mut text = String::new();
            for (tag, data) in tags {
                let tag = if name == "signature" {
                    signature_tag(tag)
                } else {
                    tag_name(tag)
                };
                match data {
                    rpm::IndexData::StringArray(values) | rpm::IndexData::I18NString(values) => {
                        for value in values {
                            let _ = writeln!(text, "{tag}: {value}");
                        }
                    }
                    rpm::IndexData::StringTag(value) => {
                        let _ = writeln!(text, "{tag}: {value}");
                    }
                    rpm::IndexData::Bin(bytes) => {
                        let _ = writeln!(text, "{tag}: {}", hex::encode(bytes));
                    }
                    numbers => {
                        let numbers = format!("{numbers:?}");
                        let list = numbers
                            .split_once('[')
                            .map_or("", |(_, list)| list.trim_end_matches([')', ']']));
                        for number in list.split(", ") {
                            let _ = writeln!(text, "{tag}: {number}");
                        }
                    }
                }
            }
            let more = visit(Member {
                path: name.to_owned(),
                fields: Fields::new(),
                size: text.len() as u64,
                content: &mut text.as_bytes(),
                source: None,
            })?;
            if !more {
                return Ok(Fields::new());
            }
        }
        meter.member(7)?;
        let length = size
            .checked_sub(payload)
            .ok_or_else(|| invalid("its payload begins beyond the file"))?;
        let mut content = source.seekable()?;
        content.seek(SeekFrom::Start(payload))?;
        visit(Member {
            path: "payload".to_owned(),
            fields: Fields::new(),
            size: length,
            content: &mut content,
            source: source.part(payload, length),
        })?;
        Ok(Fields::new())
    }
}

type Tags = Vec<(u32, rpm::IndexData)>;

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.to_owned())
}

/// Whether both headers are within the file, and all their values within them.
fn whole(reader: &mut (impl Read + Seek)) -> io::Result<()> {
    const LEAD: u64 = 96;
    const LARGEST: u64 = 256 << 20;
    let size = reader.seek(SeekFrom::End(0))?;
    let mut at = LEAD;
    for _ in 0..2 {
        let mut intro = [0; 16];
        reader.seek(SeekFrom::Start(at))?;
        reader.read_exact(&mut intro)?;
        let [_, _, count, length] = numbers(&intro);
        let taken = count.saturating_add(1).saturating_mul(16).saturating_add(length);
        let end = at.saturating_add(taken);
        if intro[..3] != [0x8e, 0xad, 0xe8] || end > size || taken > LARGEST {
            return Err(invalid("not a header, or one that ends beyond the file"));
        }
        for _ in 0..count {
            let mut entry = [0; 16];
            reader.read_exact(&mut entry)?;
            let [_, kind, offset, values] = numbers(&entry);
            // Each value of a number takes its width, each string at least its end.
            let width = match kind {
                0 => 0,
                3 => 2,
                4 => 4,
                5 => 8,
                _ => 1,
            };
            let end = values
                .checked_mul(width)
                .and_then(|size| offset.checked_add(size));
            if offset >= length.max(1) || end.is_none_or(|end| end > length) {
                return Err(invalid("a value beyond its header"));
            }
        }
        at = end.next_multiple_of(8);
    }
    Ok(())
}

/// The four numbers of a header's beginning, and of each of its entries.
fn numbers(bytes: &[u8; 16]) -> [u64; 4] {
    let (words, _) = bytes.as_chunks::<4>();
    let mut numbers = words.iter().map(|word| u64::from(u32::from_be_bytes(*word)));
    std::array::from_fn(|_| numbers.next().unwrap_or_default())
}

/// Names of the signature header's tags, whose numbers mean other things in the main header.
fn signature_tag(tag: u32) -> String {
    match tag {
        256 | 267 | 268 | 277 | 278 | 1002 | 1003 | 1005 => "signature".to_owned(),
        269 => "digest of the header by SHA-1".to_owned(),
        273 => "digest of the header by SHA-256".to_owned(),
        1004 => "digest of header and payload by MD5".to_owned(),
        270 | 271 | 1000 | 1007 => "size".to_owned(),
        tag => format!("tag {tag}"),
    }
}

/// Names of the tags that differ between builds; the others by number.
fn tag_name(tag: u32) -> String {
    let name = match tag {
        1000 => "name",
        1001 => "version",
        1002 => "release",
        1006 => "build time",
        1007 => "build host",
        1009 => "size",
        1034 => "file mtime",
        1035 => "file digest",
        1044 => "source rpm",
        1047 => "provides",
        1049 => "requires",
        1064 => "rpm version",
        1094 => "cookie: build host",
        1117 => "base name",
        1118 => "folder",
        1132 => "platform",
        5062 => "encoding",
        5092 => "payload digest",
        5097 => "alternative payload digest",
        _ => return format!("tag {tag}"),
    };
    name.to_owned()
}
