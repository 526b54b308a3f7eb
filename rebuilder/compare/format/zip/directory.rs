//! The places of everything in a zip file: the entries in the directory, and bytes that belong to nothing.

use std::io::{self, Write as _};

use super::bytes::Bytes;
use super::end::End;
use super::header::Central;
use super::mapped;
use super::signing;
use crate::artifact::HashingWriter;
use crate::compare::cause::Cause;
use crate::compare::limits::{Hit, Limit, Meter};
use crate::compare::stored::{FieldKind, Fields, Value};

static BEFORE: FieldKind = FieldKind::new("bytes before the first entry", Cause::Content);
static BETWEEN: FieldKind = FieldKind::new("bytes between entries and the directory", Cause::Content);
static BEHIND: FieldKind = FieldKind::new("bytes behind the directory", Cause::Content);
static PHYSICAL: FieldKind = FieldKind::new("order of the entries' data", Cause::Order);

/// Where entries and records are.
pub(super) struct Directory {
    /// Offsets of the local headers, in order.
    starts: Vec<u64>,
    /// Ranges of the directory and the end records, in order.
    records: Vec<(u64, u64)>,
    /// A digest of the order of the local headers, if it is not that of the directory.
    order: Option<String>,
    pub end: u64,
    /// Whether it has the manifest of an Android package.
    pub is_android: bool,
}

impl Directory {
    /// Reads the directory once, to find the order of everything.
    pub fn survey(bytes: &mut Bytes, end: &End, meter: &Meter) -> io::Result<Self> {
        let limit = end.directory.saturating_add(end.size);
        let (mut starts, mut is_android) = (Vec::new(), false);
        bytes.go(end.directory)?;
        while bytes.at() < limit {
            let Some(central) = Central::read(bytes)? else {
                break;
            };
            meter.unpacked(0)?;
            is_android |= central.header.name == mapped::MANIFEST;
            starts.push(central.offset.saturating_add(end.shift));
        }
        let directory_end = bytes.at();
        let order = if starts.is_sorted() {
            None
        } else {
            Some(order(&starts)?)
        };
        starts.sort_unstable();
        if starts
            .windows(2)
            .any(|pair| matches!(pair, [one, next] if one == next))
        {
            return Err(overlap("two entries have one local header"));
        }
        let mut records = end.ranges();
        if directory_end > end.directory {
            records.push((end.directory, directory_end));
        }
        records.sort_unstable();
        Ok(Self {
            starts,
            records,
            order,
            end: directory_end,
            is_android,
        })
    }

    pub fn entries(&self) -> u64 {
        self.starts.len() as u64
    }

    /// The beginning of the last record.
    pub fn end_record(&self) -> u64 {
        self.records.last().map_or(self.end, |(start, _)| *start)
    }

    /// The beginning of whatever follows `start`, and whether that is an entry.
    pub fn after(&self, start: u64) -> (u64, bool) {
        let entry = self
            .starts
            .get(self.starts.partition_point(|other| *other <= start));
        let record = self
            .records
            .iter()
            .map(|(record, _)| *record)
            .find(|record| *record > start);
        match (entry, record) {
            (Some(entry), Some(record)) => (record.min(*entry), *entry < record),
            (Some(entry), None) => (*entry, true),
            (None, Some(record)) => (record, false),
            (None, None) => (u64::MAX, false),
        }
    }

    /// The offset of the first entry or record.
    pub fn first(&self) -> u64 {
        let records = self.records.iter().map(|(record, _)| *record);
        let entry = self.starts.first().copied();
        entry.into_iter().chain(records).min().unwrap_or(0)
    }

    /// Fields for bytes after records that belong to nothing, and for the file as a whole.
    pub fn fields(&self, bytes: &mut Bytes, end: &End, meter: &Meter) -> io::Result<Fields> {
        let mut fields = Fields::new();
        let first = self.first();
        if first > 0 && first <= LONGEST_PREFIX {
            fields.push((&BEFORE, Value::Text(bytes.described(0, first, meter)?)));
        }
        for (start, from) in &self.records {
            let (next, _) = self.after(*start);
            if next == u64::MAX || next <= *from {
                continue;
            }
            // Mozilla's omni.ja begins with the directory, followed by a copy of the end record.
            let length = next.saturating_sub(*from);
            let copy =
                length == end.fixed.len() as u64 && bytes.read_at(*from, end.fixed.len())? == end.fixed;
            if !copy {
                let text = bytes.described(*from, next, meter)?;
                fields.push((&BEHIND, Value::Text(text)));
            }
        }
        if let Some(order) = &self.order {
            let text = format!("not that of the directory, sha256 {order}…");
            fields.push((&PHYSICAL, Value::Text(text)));
        }
        Ok(fields)
    }
}

/// Maximum number of bytes before the first entry that become a field; more become a member.
pub(super) const LONGEST_PREFIX: u64 = 4096;

/// Fields for the bytes between the last entry and a record: a signing block, or anything else.
pub(super) fn between(
    bytes: &mut Bytes,
    (from, to): (u64, u64),
    end_record: u64,
    meter: &Meter,
) -> io::Result<Fields> {
    if let Some(fields) = signing::block(bytes, (from, to), end_record, meter)? {
        return Ok(fields);
    }
    let text = bytes.described(from, to, meter)?;
    Ok(vec![(&BETWEEN, Value::Text(text))])
}

pub(super) fn overlap(what: &str) -> io::Error {
    let what = format!("entries of the zip archive share bytes: {what}");
    Hit::error(Limit::OverlappingEntries, what)
}

/// A digest of the order of the entries in the file.
fn order(starts: &[u64]) -> io::Result<String> {
    let mut places: Vec<(u64, u64)> = starts.iter().copied().zip(0..).collect();
    places.sort_unstable();
    let mut digest = HashingWriter::new(io::sink());
    for (_, place) in places {
        digest.write_all(&place.to_le_bytes())?;
    }
    Ok(digest.finish().1.short())
}
