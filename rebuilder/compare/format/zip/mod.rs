//! zip: wheels, jars, and everything else that Java and Python pack.

mod entry;
mod gaps;
mod header;

use std::io::{self, Read as _, Seek as _, SeekFrom};

use gaps::Span;
use header::{CentralHeader, LocalHeader};

use super::{FormatReader, Member, Visit, path_text};
use crate::artifact::Sha256;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::{Finding, Node};
use crate::compare::limits::{Hit, Limit, Meter, Metered};
use crate::compare::normalise::Normalisation;
use crate::compare::source::{ReadSeek, Source};
use crate::compare::stored::{FieldKind, Fields, Value};
use crate::compare::zones::zones_apart;

pub(super) struct Zip;

static ARCHIVE_COMMENT: FieldKind = FieldKind::new("comment of the archive", Cause::Content);
static REPEATED: FieldKind = FieldKind::new("repeated names", Cause::Content);
static ENCRYPTED: FieldKind = FieldKind::new("encrypted", Cause::Content);

impl FormatReader for Zip {
    fn name(&self) -> &'static str {
        "zip"
    }

    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.zip", b"PK\x03\x04")
    }

    fn normalisations(&self) -> &'static [Normalisation] {
        &[
            Normalisation::ZipCompression,
            Normalisation::ZipDataDescriptor,
            Normalisation::ZipFileEncoding,
            Normalisation::ZipFileMode,
            Normalisation::ZipFileOrder,
            Normalisation::ZipMisc,
            Normalisation::ZipModifiedTime,
        ]
    }

    fn order(&self) -> Option<Normalisation> {
        Some(Normalisation::ZipFileOrder)
    }

    fn begins(&self, head: &[u8]) -> bool {
        head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06")
    }

    fn streams(&self) -> bool {
        false
    }

    fn walk(&self, source: &Source, meter: &Meter, visit: Visit) -> io::Result<Fields> {
        let mut raw = io::BufReader::new(source.seekable()?);
        let mut archive = open(source)?;
        let mut spans = Vec::with_capacity(archive.len());
        let mut central_end = archive.central_directory_start();
        for index in 0..archive.len() {
            let entry = archive.by_index_data(index).map_err(invalid)?;
            meter.member(entry.name_raw().len())?;
            let mut path = path_text(entry.name_raw());
            if entry.is_dir() {
                path.truncate(path.trim_end_matches('/').len());
            }
            let local = LocalHeader::read(&mut raw, entry.header_start())?;
            let central = CentralHeader::read(&mut raw, entry.central_header_start())?;
            central_end = central_end.max(central.end);
            let mut fields = entry::fields(&entry, &local, &central);
            let (size, packed) = (entry.size(), entry.compressed_size());
            spans.push(Span {
                start: local.start,
                end: local.end.saturating_add(packed),
                descriptor: central.has_late_sizes().then_some((entry.crc32(), packed, size)),
            });
            let encrypted = entry.encrypted();
            let stored = entry.compression() == zip::CompressionMethod::Stored && !encrypted;
            let readable = !encrypted && archive.by_index(index).is_ok();
            let mut entry = if readable {
                archive.by_index(index)
            } else {
                let note = "or of an unknown compression: compared as stored";
                fields.push((&ENCRYPTED, Value::Text(note.into())));
                archive.by_index_raw(index)
            }
            .map_err(invalid)?;
            let mut content = Metered {
                inner: &mut entry,
                meter,
            };
            let more = visit(Member {
                path,
                fields,
                size,
                content: &mut content,
                source: source.part(local.end, packed).filter(|_| stored),
            })?;
            if !more {
                return Ok(Fields::new());
            }
        }
        of_archive(&archive, &mut raw, spans, central_end)
    }

    fn settle(&self, node: &mut Node) {
        one_zone(&mut node.children);
    }
}

type Raw = io::BufReader<Box<dyn ReadSeek>>;

fn open(source: &Source) -> io::Result<zip::ZipArchive<Raw>> {
    let reader = io::BufReader::with_capacity(1 << 16, source.seekable()?);
    let mut archive = zip::ZipArchive::new(reader).map_err(invalid)?;
    if archive.has_overlapping_entries().map_err(invalid)? {
        return Err(Hit::error(
            Limit::OverlappingEntries,
            "entries of the zip archive share bytes",
        ));
    }
    Ok(archive)
}

/// Fields of the archive itself.
fn of_archive(
    archive: &zip::ZipArchive<Raw>,
    raw: &mut Raw,
    spans: Vec<Span>,
    central_end: u64,
) -> io::Result<Fields> {
    let mut fields = Fields::new();
    let central_start = archive.central_directory_start();
    if archive.has_duplicate_names() {
        // A reader keeps only one of the entries, so their headers are compared as bytes.
        raw.seek(SeekFrom::Start(central_start))?;
        let size = central_end.saturating_sub(central_start);
        let (digest, _) = Sha256::of_reader(raw.by_ref().take(size))?;
        let text = format!("central directory sha256 {}…", digest.short());
        fields.push((&REPEATED, Value::Text(text)));
    }
    if !archive.comment().is_empty() {
        fields.push((&ARCHIVE_COMMENT, Value::Text(path_text(archive.comment()))));
    }
    gaps::between(raw, spans, central_start, &mut fields)?;
    gaps::after(raw, central_end, &mut fields)?;
    Ok(fields)
}

fn invalid(error: zip::result::ZipError) -> io::Error {
    match error {
        zip::result::ZipError::Io(error) => error,
        error => io::Error::new(io::ErrorKind::InvalidData, error),
    }
}

/// Times that all differ by one whole number of quarter hours were written in two time zones.
fn one_zone(children: &mut [Node]) {
    let is_time = |finding: &Finding| finding.place.is(&entry::TIME);
    let seconds = |text: &str| {
        text.parse::<jiff::Timestamp>()
            .ok()
            .map(jiff::Timestamp::as_second)
    };
    let mut apart = None;
    for finding in children
        .iter()
        .flat_map(|child| &child.findings)
        .filter(|finding| is_time(finding))
    {
        let (Some(released), Some(rebuilt)) = (seconds(&finding.released), seconds(&finding.rebuilt)) else {
            return;
        };
        let own = released.saturating_sub(rebuilt);
        if !zones_apart(released, rebuilt) || apart.is_some_and(|apart| apart != own) {
            return;
        }
        apart = Some(own);
    }
    if apart.is_none() {
        return;
    }
    for child in children {
        let stamped = child
            .findings
            .iter()
            .filter_map(|finding| finding.place.field())
            .any(|kind| entry::EXTRA_FIELDS.contains(&kind));
        for finding in child.findings.iter_mut().filter(|finding| is_time(finding)) {
            finding.cause = Cause::Timezone;
            finding.confidence = if stamped {
                Confidence::Likely
            } else {
                Confidence::Proven
            };
            finding.key = "local times of zip entries".into();
        }
    }
}
