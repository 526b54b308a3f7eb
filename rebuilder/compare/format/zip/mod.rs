//! zip: wheels, jars, and everything else that Java and Python pack (APPNOTE 6.3.10).
//!
//! A zip file has two directories: the central one at its end, and the local headers before each entry's data. Both
//! are read, and so is everything that is between, before and behind them; what no record accounts for is content.

mod attributes;
mod bytes;
mod data;
mod directory;
mod end;
mod entry;
mod extra;
mod gaps;
mod header;
mod records;
mod signing;

#[cfg(test)]
mod tests;
mod time;

use std::io::{self, BufRead, Read as _};

use bytes::Bytes;
use data::Checked;
use directory::Directory;
use end::End;
use entry::Entry;
use header::{Central, Local};

use super::{FormatReader, Member, Visit};
use crate::compare::cause::Cause;
use crate::compare::finding::Node;
use crate::compare::limits::Meter;
use crate::compare::normalise::Normalisation;
use crate::compare::source::Source;
use crate::compare::stored::{FieldKind, Fields, Value};

pub(super) struct Zip;

static UNREAD: FieldKind = FieldKind::new("data that is not read", Cause::Unread);
static DAMAGED: FieldKind = FieldKind::new("entry that cannot be read", Cause::Unread);
static WRONG: FieldKind = FieldKind::new("entry that is not what the directory says", Cause::Content);
static BEHIND_DATA: FieldKind = FieldKind::new("bytes behind the compressed data", Cause::Content);
static BEHIND_ENTRY: FieldKind = FieldKind::new("bytes behind the entry", Cause::Content);

impl FormatReader for Zip {
    fn name(&self) -> &'static str {
        "zip"
    }

    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.zip", b"PK\x03\x04")
    }

    fn normalisations(&self) -> &'static [Normalisation] {
        &[
            Normalisation::ApkSigningBlock,
            Normalisation::ZipAlignment,
            Normalisation::ZipCompression,
            Normalisation::ZipDataDescriptor,
            Normalisation::ZipFileEncoding,
            Normalisation::ZipFileMode,
            Normalisation::ZipFileOrder,
            Normalisation::ZipMisc,
            Normalisation::ZipModeType,
            Normalisation::ZipModifiedTime,
        ]
    }

    fn order(&self) -> Option<Normalisation> {
        Some(Normalisation::ZipFileOrder)
    }

    fn begins(&self, head: &[u8]) -> bool {
        head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06")
    }

    fn ends(&self, source: &Source) -> io::Result<bool> {
        let mut bytes = Bytes::open(source)?;
        let Some(end) = end::find(&mut bytes)?.filter(|end| end.size > 0) else {
            return Ok(false);
        };
        bytes.go(end.directory)?;
        let Some(first) = Central::read(&mut bytes)? else {
            return Ok(false);
        };
        let start = first.offset.saturating_add(end.shift);
        Ok(Local::read(&mut bytes, start)?.is_some())
    }

    fn streams(&self) -> bool {
        false
    }

    fn walk(&self, source: &Source, meter: &Meter, visit: Visit) -> io::Result<Fields> {
        let mut bytes = Bytes::open(source)?;
        let Some(end) = end::find(&mut bytes)? else {
            return Err(invalid("no end record with a directory within the last 64 KiB"));
        };
        let directory = Directory::survey(&mut bytes, &end, meter)?;
        let mut headers = Bytes::open(source)?;
        headers.go(end.directory)?;
        let mut walk = Walk {
            source,
            meter,
            bytes,
            shift: end.shift,
            fields: Fields::new(),
            directory,
        };
        if !walk.prefix(visit)? {
            return Ok(Fields::new());
        }
        for index in 0..walk.directory.entries() {
            let Some(central) = Central::read(&mut headers)? else {
                return Err(invalid("the directory changed while it was read"));
            };
            if !walk.entry(index, &central, visit)? {
                return Ok(Fields::new());
            }
        }
        walk.finish(end)
    }

    fn settle(&self, node: &mut Node) {
        time::one_zone(&mut node.children);
        time::of_one_commit(node);
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Compressed data up to this size is read at once.
const SMALL: u64 = 1 << 16;

struct Walk<'a> {
    source: &'a Source,
    meter: &'a Meter,
    bytes: Bytes,
    shift: u64,
    directory: Directory,
    /// What was found out about entries once they were read.
    fields: Fields,
}

impl Walk<'_> {
    /// A program before the archive, as self-extractors have it, is compared like a member.
    fn prefix(&mut self, visit: Visit) -> io::Result<bool> {
        let length = self.directory.first();
        if length <= directory::LONGEST_PREFIX {
            return Ok(true);
        }
        self.meter.member(0)?;
        self.bytes.go(0)?;
        visit(Member {
            path: "bytes before the first entry".into(),
            fields: Fields::new(),
            size: length,
            content: &mut (&mut self.bytes).take(length),
            source: self.source.part(0, length),
        })
    }

    /// Reads one entry; answers whether to go on.
    fn entry(&mut self, index: u64, central: &Central, visit: Visit) -> io::Result<bool> {
        let (meter, header) = (self.meter, &central.header);
        meter.member(header.name.len())?;
        let start = central.offset.saturating_add(self.shift);
        let (next, _) = self.directory.after(start);
        let found = Local::read(&mut self.bytes, start)?;
        let mut unread = found
            .is_none()
            .then(|| "no local header where the directory says".to_owned());
        let local = found.unwrap_or_else(|| Local {
            header: header.clone(),
            start,
            data: start,
        });
        let packed = if unread.is_none() { header.packed } else { 0 };
        let data_end = local.data.saturating_add(packed);
        if data_end > next {
            return Err(directory::overlap(&entry::path(header)));
        }
        if unread.is_none() {
            unread = unreadable(central);
        }
        let mut small = Vec::new();
        let is_small = packed <= SMALL;
        let mut crc = 0;
        if is_small {
            self.bytes.go(local.data)?;
            (&mut self.bytes).take(packed).read_to_end(&mut small)?;
            crc = data::crc(&small);
        } else if header.method != data::STORED && unread.is_none() {
            self.bytes.go(local.data)?;
            crc = data::crc_of((&mut self.bytes).take(packed), meter)?;
        }
        let (descriptor, behind) = gaps::descriptor(&mut self.bytes, header, data_end, next)?;
        let mut fields = entry::fields(&Entry {
            index,
            local: &local,
            central,
            descriptor,
            shift: self.shift,
        });
        self.behind(behind, start, &mut fields)?;
        if let Some(reason) = &unread {
            let text = self.bytes.described(local.data, data_end, meter)?;
            fields.push((&UNREAD, Value::Text(format!("{reason}: {text}"))));
        } else if header.method != data::STORED {
            entry::packed(&mut fields, packed, crc);
        }
        let path = entry::path(header);
        let is_plain = header.method == data::STORED && unread.is_none();
        let source = is_plain.then(|| self.source.part(local.data, packed)).flatten();
        let size = if unread.is_none() { header.size } else { 0 };
        if !is_small {
            self.bytes.go(local.data)?;
        }
        let mut slice = small.as_slice();
        let mut rest = (&mut self.bytes).take(packed);
        let input: &mut dyn BufRead = if is_small { &mut slice } else { &mut rest };
        let nothing: &mut dyn BufRead = &mut io::empty();
        let is_read = unread.is_none();
        let input = if is_read { input } else { nothing };
        let mut checked = Checked::new(header, input, is_read, meter);
        let more = visit(Member {
            path: path.clone(),
            fields,
            size,
            content: &mut checked,
            source,
        })?;
        if !more {
            return Ok(false);
        }
        let faults = checked.faults(header)?;
        let left = if is_small {
            slice.len() as u64
        } else {
            rest.limit()
        };
        for (kind, text) in [(&DAMAGED, &faults.unread), (&WRONG, &faults.wrong)] {
            if let Some(text) = text {
                let text = format!("{path}: {text}");
                self.fields.push((kind, Value::Text(text)));
            }
        }
        let from = data_end.saturating_sub(left);
        if faults.unread.is_some() {
            let text = self.bytes.described(local.data, data_end, meter)?;
            self.fields
                .push((&DAMAGED, Value::Text(format!("{path}: {text}"))));
        } else if faults.is_judged && from < data_end {
            let text = self.bytes.described(from, data_end, meter)?;
            self.fields
                .push((&BEHIND_DATA, Value::Text(format!("{path}: {text}"))));
        }
        Ok(true)
    }

    /// Bytes behind an entry that begins at `start` which belong to nothing.
    fn behind(&mut self, from: u64, start: u64, fields: &mut Fields) -> io::Result<()> {
        let (next, is_entry) = self.directory.after(start);
        if from >= next {
            return Ok(());
        }
        if is_entry {
            let text = self.bytes.described(from, next, self.meter)?;
            fields.push((&BEHIND_ENTRY, Value::Text(text)));
        } else {
            let found = directory::between(&mut self.bytes, from, next, self.meter)?;
            self.fields.extend(found);
        }
        Ok(())
    }

    /// Fields of the archive itself.
    fn finish(mut self, end: End) -> io::Result<Fields> {
        let mut fields = self.fields;
        // Which entry comes first is told elsewhere.
        fields.sort_by_key(|(kind, value)| (kind.name, value.to_string()));
        fields.extend(self.directory.fields(&mut self.bytes, &end, self.meter)?);
        let (entries, directory_end) = (self.directory.entries(), self.directory.end);
        fields.extend(end.fields(&mut self.bytes, entries, directory_end, self.meter)?);
        Ok(fields)
    }
}

/// Why the data of an entry is not read, if it is not.
fn unreadable(central: &Central) -> Option<String> {
    if records::is_encrypted(central) {
        return Some("encrypted".into());
    }
    let method = central.header.method;
    (!data::reads(method)).then(|| format!("{} is not read", data::method(method)))
}
