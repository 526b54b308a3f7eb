//! zip: wheels, jars, and everything else that Java and Python pack (APPNOTE 6.3.10).
//!
//! A zip file has two directories: the central one at its end, and the local headers before each entry's data. Both
//! are read, and so is everything between, before and after them; bytes that no record accounts for are content.

mod attributes;
mod bytes;
mod data;
mod directory;
mod end;
mod entry;
mod extra;
mod gaps;
mod header;
mod mapped;
mod records;
mod signers;
mod signing;

#[cfg(test)]
mod tests;
mod time;

use std::io::{self, BufRead, Read as _};

use bytes::Bytes;
use data::{Checked, Faults};
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

    /// unzip sets a folder's mode only when it creates it.
    fn folders_first(&self) -> bool {
        true
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
        for _ in 0..walk.directory.entries() {
            let Some(central) = Central::read(&mut headers)? else {
                return Err(invalid("the directory changed while it was read"));
            };
            if !walk.entry(&central, visit)? {
                return Ok(Fields::new());
            }
        }
        walk.finish(end)
    }

    fn settle(&self, node: &mut Node) {
        for child in &mut node.children {
            without_contents(child);
        }
        time::one_zone(&mut node.children);
        time::of_one_commit(node);
        signing::settle(node);
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Compressed data up to this size is read at once.
const SMALL: u64 = 1 << 16;

const NO_LOCAL: &str = "no local header where the directory says";

/// The place of an entry's data.
#[derive(Clone, Copy)]
struct Data {
    start: u64,
    end: u64,
}

impl Data {
    fn of(local: &Local, central: &header::Header) -> Self {
        // Without a local header, the beginning of the data is not known.
        let length = if local.data > local.start {
            central.packed
        } else {
            0
        };
        Self {
            start: local.data,
            end: local.data.saturating_add(length),
        }
    }

    fn length(self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

struct Walk<'a> {
    source: &'a Source,
    meter: &'a Meter,
    bytes: Bytes,
    shift: u64,
    directory: Directory,
    /// Fields that are found when entries are read.
    fields: Fields,
}

impl Walk<'_> {
    /// A program before the archive, as in self-extracting archives, is compared like a member.
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

    /// Reads one entry; returns whether to continue.
    fn entry(&mut self, central: &Central, visit: Visit) -> io::Result<bool> {
        let (meter, header) = (self.meter, &central.header);
        meter.member(header.name.len())?;
        let path = entry::path(header);
        let (local, unread) = self.local(central)?;
        let (next, _) = self.directory.after(local.start);
        let data = Data::of(&local, header);
        if data.end > next {
            return Err(directory::overlap(&path));
        }
        let is_read = unread.is_none();
        let is_packed = is_read && header.method != data::STORED;
        let (small, crc) = self.small(data, is_packed)?;
        let (descriptor, behind) = gaps::descriptor(&mut self.bytes, header, data.end, next)?;
        let mut fields = entry::fields(&Entry {
            local: &local,
            central,
            descriptor,
            shift: self.shift,
        });
        if self.directory.is_android
            && let Some(text) = mapped::described(&path, header, data.start)
        {
            fields.push((&mapped::IN_PLACE, Value::Text(text)));
        }
        self.behind(behind, local.start, &mut fields)?;
        if let Some(reason) = unread {
            let text = self.bytes.described(data.start, data.end, meter)?;
            fields.push((&UNREAD, Value::Text(format!("{reason}: {text}"))));
        } else if is_packed {
            entry::packed(&mut fields, data.length(), crc);
        }
        let is_plain = is_read && !is_packed;
        let mut slice = small.as_deref().unwrap_or_default();
        if small.is_none() {
            self.bytes.go(data.start)?;
        }
        let mut rest = (&mut self.bytes).take(data.length());
        let input: &mut dyn BufRead = match &small {
            _ if !is_read => &mut io::empty(),
            Some(_) => &mut slice,
            None => &mut rest,
        };
        let mut checked = Checked::new(header, input, is_read, meter);
        let more = visit(Member {
            path: path.clone(),
            fields,
            size: if is_read { header.size } else { 0 },
            content: &mut checked,
            source: is_plain
                .then(|| self.source.part(data.start, data.length()))
                .flatten(),
        })?;
        if !more {
            return Ok(false);
        }
        let faults = checked.faults(header)?;
        let left = small.as_ref().map_or(rest.limit(), |_| slice.len() as u64);
        self.judge(&path, &faults, data, left)?;
        Ok(true)
    }

    /// The local header of an entry, and why its data cannot be read, if it cannot.
    fn local(&mut self, central: &Central) -> io::Result<(Local, Option<String>)> {
        let start = central.offset.saturating_add(self.shift);
        if let Some(local) = Local::read(&mut self.bytes, start)? {
            return Ok((local, unreadable(central)));
        }
        let stand_in = Local {
            header: central.header.clone(),
            start,
            data: start,
        };
        Ok((stand_in, Some(NO_LOCAL.into())))
    }

    /// The data if it is small, and its CRC-32 on request, so that the compressed bytes are compared too.
    fn small(&mut self, data: Data, wants_crc: bool) -> io::Result<(Option<Vec<u8>>, u32)> {
        self.bytes.go(data.start)?;
        let mut input = (&mut self.bytes).take(data.length());
        if data.length() > SMALL {
            let crc = if wants_crc {
                data::crc_of(input, self.meter)?
            } else {
                0
            };
            return Ok((None, crc));
        }
        let mut small = Vec::new();
        input.read_to_end(&mut small)?;
        let crc = if wants_crc { data::crc(&small) } else { 0 };
        Ok((Some(small), crc))
    }

    /// Notes the faults in the data of an entry, of which `left` bytes were not needed.
    fn judge(&mut self, path: &str, faults: &Faults, data: Data, left: u64) -> io::Result<()> {
        let mut add = |kind: &'static FieldKind, text: &str| {
            let text = format!("{path}: {text}");
            self.fields.push((kind, Value::Text(text)));
        };
        if let Some(text) = &faults.unread {
            let all = self.bytes.described(data.start, data.end, self.meter)?;
            add(&DAMAGED, &format!("{text}: {all}"));
        }
        if let Some(text) = &faults.wrong {
            add(&WRONG, text);
        }
        if faults.is_judged && left > 0 {
            let from = data.end.saturating_sub(left);
            let text = self.bytes.described(from, data.end, self.meter)?;
            add(&BEHIND_DATA, &text);
        }
        Ok(())
    }

    /// Bytes after the entry that begins at `start` which belong to nothing.
    fn behind(&mut self, from: u64, start: u64, fields: &mut Fields) -> io::Result<()> {
        let (next, is_entry) = self.directory.after(start);
        if from >= next {
            return Ok(());
        }
        if is_entry {
            let text = self.bytes.described(from, next, self.meter)?;
            fields.push((&BEHIND_ENTRY, Value::Text(text)));
        } else {
            let found = directory::between(
                &mut self.bytes,
                (from, next),
                self.directory.end_record(),
                self.meter,
            )?;
            self.fields.extend(found);
        }
        Ok(())
    }

    /// Fields of the archive itself.
    fn finish(mut self, end: End) -> io::Result<Fields> {
        let mut fields = self.fields;
        // Other fields tell which entry comes first.
        fields.sort_by_key(|(kind, value)| (kind.name, value.to_string()));
        fields.extend(self.directory.fields(&mut self.bytes, &end, self.meter)?);
        let (entries, directory_end) = (self.directory.entries(), self.directory.end);
        fields.extend(end.fields(&mut self.bytes, entries, directory_end, self.meter)?);
        Ok(fields)
    }
}

/// Contents that one side could not read were not compared; only that is reported.
fn without_contents(node: &mut Node) {
    let unread = node.findings.iter().any(|finding| finding.place.is(&UNREAD));
    if unread && node.rebuilt_name.is_none() {
        node.findings.retain(|finding| finding.place.field().is_some());
        node.excerpts.clear();
        node.children.clear();
    }
}

/// Why the data of an entry cannot be read, if it cannot.
fn unreadable(central: &Central) -> Option<String> {
    if records::is_encrypted(central) {
        return Some("encrypted".into());
    }
    let method = central.header.method;
    (!data::reads(method)).then(|| format!("{} is not read", data::method(method)))
}
