//! RPM packages: two headers of tags, then a compressed cpio archive.

use std::fmt::Write as _;
use std::io::{self, BufReader, Seek as _, SeekFrom};

use super::{Fields, FormatReader, Member, Visit};
use crate::compare::limits::Meter;
use crate::compare::source::Source;

pub(super) struct Rpm;

impl FormatReader for Rpm {
    fn name(&self) -> &'static str {
        "rpm"
    }

    fn begins(&self, head: &[u8]) -> bool {
        head.starts_with(&[0xed, 0xab, 0xee, 0xdb])
    }

    fn streams(&self) -> bool {
        false
    }

    fn walk(&self, source: &Source, meter: &Meter, visit: Visit) -> io::Result<Fields> {
        let seekable = || {
            source
                .seekable()
                .ok_or_else(|| io::Error::from(io::ErrorKind::NotSeekable))
        };
        let mut reader = BufReader::new(seekable()?);
        let metadata = rpm::PackageMetadata::parse(&mut reader)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        let payload = reader.stream_position()?;
        let size = reader.seek(SeekFrom::End(0))?;
        let signature = metadata.signature.get_all_entries().map_err(io::Error::other)?;
        let header = metadata.header.get_all_entries().map_err(io::Error::other)?;
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
        let mut content = seekable()?;
        content.seek(SeekFrom::Start(payload))?;
        visit(Member {
            path: "payload".to_owned(),
            fields: Fields::new(),
            size: size - payload,
            content: &mut content,
            source: source.part(payload, size - payload),
        })?;
        Ok(Fields::new())
    }
}

/// Names of the signature header's tags, whose numbers mean other things in the main header.
fn signature_tag(tag: u32) -> String {
    match tag {
        256 | 267 | 268 | 277 | 278 | 1002 | 1003 | 1005 => "signature".to_owned(),
        269 => "digest of the header (SHA-1)".to_owned(),
        273 => "digest of the header (SHA-256)".to_owned(),
        1004 => "digest of header and payload (MD5)".to_owned(),
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
