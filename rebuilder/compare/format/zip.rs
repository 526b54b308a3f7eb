//! zip: wheels, jars, and everything else that Java and Python pack.

use std::io::{self, Read, Seek, SeekFrom};

use super::{FormatReader, Member, Visit, described, path_text};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::{Finding, Node};
use crate::compare::limits::{Hit, Limit, Meter, Metered};
use crate::compare::normalise::Normalisation;
use crate::compare::source::{ReadSeek, Source};
use crate::compare::stored::{FieldKind, Fields, Value};

pub(super) struct Zip;

static MODE: FieldKind = FieldKind::by("mode", Cause::Permissions, Normalisation::ZipFileMode).installed();
static TIME: FieldKind = FieldKind::by("time", Cause::Timestamp, Normalisation::ZipModifiedTime);
static EXTRA_TIME: FieldKind = FieldKind::by(
    "time in the extra field",
    Cause::Timestamp,
    Normalisation::ZipModifiedTime,
);
static EXTRA_OWNER: FieldKind = FieldKind::by(
    "owner in the extra field",
    Cause::Ownership,
    Normalisation::ZipMisc,
)
.installed();
static EXTRA_KNOWN: FieldKind = FieldKind::by("extra field", Cause::ArchiveDialect, Normalisation::ZipMisc);
static EXTRA_OTHER: FieldKind = FieldKind::new("extra field of unknown kind", Cause::Content);
static EXTRA_FIELDS: [&FieldKind; 4] = [&EXTRA_TIME, &EXTRA_OWNER, &EXTRA_KNOWN, &EXTRA_OTHER];
static COMPRESSION: FieldKind =
    FieldKind::by("compression", Cause::Compression, Normalisation::ZipCompression);
static SIZE: FieldKind = FieldKind::by(
    "compressed size",
    Cause::Compression,
    Normalisation::ZipCompression,
)
.following_contents();
static CREATOR: FieldKind = FieldKind::by(
    "creator and versions",
    Cause::ArchiveDialect,
    Normalisation::ZipMisc,
);
static ATTRIBUTES: FieldKind = FieldKind::by("attributes", Cause::ArchiveDialect, Normalisation::ZipMisc);
static DESCRIPTOR: FieldKind = FieldKind::by(
    "data descriptor",
    Cause::ArchiveDialect,
    Normalisation::ZipDataDescriptor,
);
static ENCODING: FieldKind = FieldKind::by(
    "UTF-8 flag",
    Cause::ArchiveDialect,
    Normalisation::ZipFileEncoding,
);
static FLAGS: FieldKind = FieldKind::by("flags", Cause::ArchiveDialect, Normalisation::ZipMisc);
static TYPE: FieldKind = FieldKind::new("type", Cause::Content);
static COMMENT: FieldKind = FieldKind::new("comment", Cause::Content);
static ARCHIVE_COMMENT: FieldKind = FieldKind::new("comment of the archive", Cause::Content);
static TWO_NAMES: FieldKind = FieldKind::new("name in the local header", Cause::Content);
static REPEATED: FieldKind = FieldKind::new("repeated names", Cause::Content);
static HIDDEN: FieldKind = FieldKind::new("bytes between entries", Cause::Content);
static BEFORE: FieldKind = FieldKind::new("bytes before the first entry", Cause::Content);
static AFTER: FieldKind = FieldKind::new("bytes after the end", Cause::Content);
static ENCRYPTED: FieldKind = FieldKind::new("encrypted", Cause::Content);

const UTF8: u16 = 1 << 11;
const LATE_SIZES: u16 = 1 << 3;

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
        let mut archive = zip::ZipArchive::new(io::BufReader::with_capacity(1 << 16, source.seekable()?))
            .map_err(invalid)?;
        if archive.has_overlapping_entries().map_err(invalid)? {
            return Err(Hit::error(
                Limit::OverlappingEntries,
                "entries of the zip archive share bytes",
            ));
        }
        let mut fields = Fields::new();
        let repeated = archive.has_duplicate_names();
        let mut spans = Vec::with_capacity(archive.len());
        let mut central_end = archive.central_directory_start();
        for index in 0..archive.len() {
            let entry = archive.by_index_data(index).map_err(invalid)?;
            meter.member(entry.name_raw().len())?;
            let path = path_text(entry.name_raw());
            let mut own = Fields::new();
            let is_folder = entry.is_dir();
            let local = LocalHeader::read(&mut raw, entry.header_start())?;
            let central = CentralHeader::read(&mut raw, entry.central_header_start())?;
            central_end = central_end.max(central.end);
            let made_by = entry.version_made_by();
            own.push((
                &CREATOR,
                Value::Creator {
                    system: format!("{:?}", entry.system()),
                    versions: format!(
                        "{}.{}, needs {} and {}",
                        made_by.0,
                        made_by.1,
                        local.needs,
                        entry.version_needed()
                    ),
                },
            ));
            // Writers on other systems store Unix modes too; the reader's own accessor makes some up for those.
            let stored = entry.external_attributes() >> 16;
            if let Some(mode) = (stored != 0).then_some(stored).or_else(|| entry.unix_mode()) {
                own.push((&TYPE, Value::Text(format!("{:o}", mode >> 12))));
                own.push((&MODE, Value::Mode(mode & 0o7777)));
            }
            let other = entry.external_attributes() & 0xffff;
            own.push((
                &ATTRIBUTES,
                Value::Text(format!("{other:#x} {:#x}", central.internal)),
            ));
            own.push((&TIME, Value::Time(dos_time(local.time))));
            if local.time != central.time {
                let both = format!("{} in the central directory", Value::Time(dos_time(central.time)));
                own.push((&EXTRA_TIME, Value::Text(both)));
            }
            own.push((&COMPRESSION, Value::Text(entry.compression().to_string())));
            own.push((&ENCODING, Value::Text((central.flags & UTF8 != 0).to_string())));
            if (central.flags & UTF8 != 0 || local.flags & UTF8 != 0) && !entry.name_raw().is_ascii() {
                own.push((&TYPE, Value::Text("name in UTF-8".into())));
            }
            own.push((
                &DESCRIPTOR,
                Value::Text((central.flags & LATE_SIZES != 0).to_string()),
            ));
            let rest = |flags: u16| flags & !(UTF8 | LATE_SIZES);
            own.push((
                &FLAGS,
                Value::Text(format!("{:#x} {:#x}", rest(local.flags), rest(central.flags))),
            ));
            if local.name != entry.name_raw() {
                own.push((&TWO_NAMES, Value::Text(path_text(&local.name))));
            }
            extra_fields(&local.extra, "local", &mut own);
            extra_fields(&central.extra, "central", &mut own);
            if !entry.comment_raw().is_empty() {
                own.push((&COMMENT, Value::Text(path_text(entry.comment_raw()))));
            }
            let (encrypted, packed) = (entry.encrypted(), entry.compressed_size());
            let (crc, size) = (entry.crc32(), entry.size());
            let data = local.end;
            spans.push(Span {
                start: local.start,
                end: data.saturating_add(packed),
                descriptor: (central.flags & LATE_SIZES != 0).then_some((crc, packed, size)),
            });
            let stored = entry.compression() == zip::CompressionMethod::Stored;
            let part = if stored && !encrypted {
                source.part(data, packed)
            } else {
                None
            };
            own.push((&SIZE, Value::Number(packed)));
            let readable = !encrypted && archive.by_index(index).is_ok();
            let mut entry = if readable {
                archive.by_index(index)
            } else {
                own.push((
                    &ENCRYPTED,
                    Value::Text("or of an unknown compression: compared as stored".into()),
                ));
                archive.by_index_raw(index)
            }
            .map_err(invalid)?;
            let path = if is_folder {
                path.trim_end_matches('/').to_owned()
            } else {
                path
            };
            let mut content = Metered {
                inner: &mut entry,
                meter,
            };
            let more = visit(Member {
                path,
                fields: own,
                size,
                content: &mut content,
                source: part,
            })?;
            if !more {
                return Ok(Fields::new());
            }
        }
        if repeated {
            let size = central_end.saturating_sub(archive.central_directory_start());
            raw.seek(SeekFrom::Start(archive.central_directory_start()))?;
            let (digest, _) = crate::artifact::Sha256::of_reader((&mut raw).take(size))?;
            fields.push((
                &REPEATED,
                Value::Text(format!("central directory sha256 {}…", digest.short())),
            ));
        }
        if !archive.comment().is_empty() {
            fields.push((&ARCHIVE_COMMENT, Value::Text(path_text(archive.comment()))));
        }
        gaps(&mut raw, spans, archive.central_directory_start(), &mut fields)?;
        after(&mut raw, central_end, &mut fields)?;
        Ok(fields)
    }

    fn settle(&self, node: &mut Node) {
        one_zone(&mut node.children);
    }
}

fn invalid(error: zip::result::ZipError) -> io::Error {
    match error {
        zip::result::ZipError::Io(error) => error,
        error => io::Error::new(io::ErrorKind::InvalidData, error),
    }
}

/// A number in a record; zero where the record is cut off, which its callers look at before.
fn number(bytes: &[u8], at: usize) -> u16 {
    let bytes = bytes.get(at..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u16::from_le_bytes(*bytes))
}

/// What a local header says (APPNOTE 4.3.7); the zip reader itself goes by the central directory.
struct LocalHeader {
    start: u64,
    needs: u16,
    flags: u16,
    time: (u16, u16),
    name: Vec<u8>,
    extra: Vec<u8>,
    end: u64,
}

impl LocalHeader {
    fn read(reader: &mut (impl Read + Seek), start: u64) -> io::Result<Self> {
        let mut fixed = [0; 30];
        reader.seek(SeekFrom::Start(start))?;
        reader.read_exact(&mut fixed)?;
        let mut name = vec![0; usize::from(number(&fixed, 26))];
        let mut extra = vec![0; usize::from(number(&fixed, 28))];
        reader.read_exact(&mut name)?;
        reader.read_exact(&mut extra)?;
        Ok(Self {
            start,
            needs: number(&fixed, 4),
            flags: number(&fixed, 6),
            time: (number(&fixed, 12), number(&fixed, 10)),
            end: [30, name.len(), extra.len()]
                .into_iter()
                .fold(start, |end, length| end.saturating_add(length as u64)),
            name,
            extra,
        })
    }
}

/// What the zip reader does not give of a central header (APPNOTE 4.3.12).
struct CentralHeader {
    flags: u16,
    time: (u16, u16),
    internal: u16,
    extra: Vec<u8>,
    end: u64,
}

impl CentralHeader {
    fn read(reader: &mut (impl Read + Seek), start: u64) -> io::Result<Self> {
        let mut fixed = [0; 46];
        reader.seek(SeekFrom::Start(start))?;
        reader.read_exact(&mut fixed)?;
        let name = i64::from(number(&fixed, 28));
        let mut extra = vec![0; usize::from(number(&fixed, 30))];
        reader.seek(SeekFrom::Current(name))?;
        reader.read_exact(&mut extra)?;
        let lengths = [28, 30, 32].map(|at| u64::from(number(&fixed, at)));
        Ok(Self {
            flags: number(&fixed, 8),
            time: (number(&fixed, 14), number(&fixed, 12)),
            internal: number(&fixed, 36),
            end: lengths
                .into_iter()
                .fold(start.saturating_add(46), u64::saturating_add),
            extra,
        })
    }
}

/// Seconds since 1970 of an MS-DOS date and time, read as UTC.
#[allow(
    clippy::arithmetic_side_effects,
    reason = "no field has more than seven bits, a year is at most 2107, and time has no more than 24 hours"
)]
fn dos_time((date, time): (u16, u16)) -> i64 {
    let field =
        |value: u16, shift: u16, bits: u16| i8::try_from((value >> shift) & ((1 << bits) - 1)).unwrap_or(0);
    let year = 1980 + i16::from(field(date, 9, 7));
    let civil = jiff::civil::DateTime::new(
        year,
        field(date, 5, 4).clamp(1, 12),
        field(date, 0, 5).clamp(1, 28),
        field(time, 11, 5).min(23),
        field(time, 5, 6).min(59),
        (field(time, 0, 5) * 2).min(58),
        0,
    );
    // Days after the 28th are added, as not every month has them.
    let beyond = i64::from((field(date, 0, 5) - 28).max(0)) * 86400;
    civil
        .ok()
        .and_then(|civil| jiff::tz::TimeZone::UTC.to_timestamp(civil).ok())
        .map_or(0, |time| time.as_second() + beyond)
}

/// One field for each record of an extra field (APPNOTE 4.5).
fn extra_fields(mut extra: &[u8], place: &str, fields: &mut Fields) {
    while let Some(([id, id_high, size, size_high], rest)) = extra.split_first_chunk::<4>() {
        let id = u16::from_le_bytes([*id, *id_high]);
        let size = usize::from(u16::from_le_bytes([*size, *size_high]));
        let data;
        (data, extra) = rest.split_at_checked(size).unwrap_or((rest, &[]));
        let kind = match id {
            // Times of Info-ZIP and of NTFS.
            0x5455 | 0x000a | 0x000d => &EXTRA_TIME,
            0x7875 | 0x7855 | 0x5855 => &EXTRA_OWNER,
            // zip64, Java's mark, alignment, the Unicode path beside an old name.
            0x0001 | 0xcafe | 0xd935 | 0x7075 | 0x6375 => &EXTRA_KNOWN,
            _ => &EXTRA_OTHER,
        };
        fields.push((
            kind,
            Value::Text(format!("{place} {id:#06x}: {}", hex::encode(data))),
        ));
    }
    if !extra.is_empty() && extra.iter().any(|byte| *byte != 0) {
        fields.push((
            &EXTRA_OTHER,
            Value::Text(format!("{place}: {}", hex::encode(extra))),
        ));
    }
}

/// Times that all differ by one whole number of quarter hours were written in two time zones.
fn one_zone(children: &mut [Node]) {
    let is_time = |finding: &Finding| finding.place.is(&TIME);
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
        let (Some(a), Some(b)) = (seconds(&finding.released), seconds(&finding.rebuilt)) else {
            return;
        };
        let own = a - b;
        if own == 0 || own % 900 != 0 || own.abs() > 26 * 3600 || apart.is_some_and(|apart| apart != own) {
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
            .any(|kind| EXTRA_FIELDS.contains(&kind));
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

struct Span {
    start: u64,
    end: u64,
    /// CRC, packed size and size, where they stand after the data.
    descriptor: Option<(u32, u64, u64)>,
}

/// Most bytes read of one gap.
const MOST_GAP: u64 = 1 << 20;

/// Bytes before, between and after the entries that belong to none.
fn gaps(
    reader: &mut io::BufReader<Box<dyn ReadSeek>>,
    mut spans: Vec<Span>,
    directory: u64,
    fields: &mut Fields,
) -> io::Result<()> {
    spans.sort_by_key(|span| span.start);
    let mut read = |from: u64, to: u64| -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        reader.seek(SeekFrom::Start(from))?;
        reader
            .by_ref()
            .take(to.saturating_sub(from).min(MOST_GAP))
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let first = spans.first().map_or(directory, |span| span.start);
    if first > 0 {
        fields.push((
            &BEFORE,
            Value::Text(format!("{first} bytes: {}", described(&read(0, first)?))),
        ));
    }
    let nexts = spans.iter().skip(1).map(|span| span.start).chain([directory]);
    for (span, next) in spans.iter().zip(nexts) {
        let length = next.saturating_sub(span.end);
        if length == 0 {
            continue;
        }
        let gap = read(span.end, next)?;
        let rest = span
            .descriptor
            .map_or(&gap[..], |descriptor| without_descriptor(&gap, descriptor));
        if !rest.is_empty() {
            let text = format!("{length} bytes: {}", described(rest));
            fields.push((&HIDDEN, Value::Text(text)));
        }
    }
    Ok(())
}

/// What follows a data descriptor (APPNOTE 4.3.9), in any of its four forms.
fn without_descriptor(gap: &[u8], (crc, packed, size): (u32, u64, u64)) -> &[u8] {
    for signature in [&b"PK\x07\x08"[..], b""] {
        let Some(rest) = gap.strip_prefix(signature) else {
            continue;
        };
        let Some(rest) = rest.strip_prefix(&crc.to_le_bytes()) else {
            continue;
        };
        let long = [packed.to_le_bytes(), size.to_le_bytes()].concat();
        let short = |number: u64| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
        let short = [short(packed), short(size)].concat();
        if let Some(rest) = rest
            .strip_prefix(&long[..])
            .or_else(|| rest.strip_prefix(&short[..]))
        {
            return rest;
        }
    }
    gap
}

/// From the end of the central directory to the end of the file: end records, and what does not belong there.
fn after(reader: &mut io::BufReader<Box<dyn ReadSeek>>, from: u64, fields: &mut Fields) -> io::Result<()> {
    let mut bytes = Vec::new();
    let size = reader.seek(SeekFrom::End(0))?;
    reader.seek(SeekFrom::Start(from))?;
    reader.by_ref().take(MOST_GAP).read_to_end(&mut bytes)?;
    let mut rest = &bytes[..];
    if let Some((record, behind)) = rest
        .strip_prefix(b"PK\x06\x06")
        .and_then(<[u8]>::split_first_chunk)
    {
        let record = usize::try_from(u64::from_le_bytes(*record)).unwrap_or(usize::MAX);
        rest = behind.get(record..).unwrap_or_default();
    }
    if rest.starts_with(b"PK\x06\x07") {
        rest = rest.get(20..).unwrap_or_default();
    }
    if rest.starts_with(b"PK\x05\x06") && rest.len() >= 22 {
        let end = usize::from(number(rest, 20)).saturating_add(22);
        rest = rest.get(end..).unwrap_or_default();
    }
    let length = size.saturating_sub(from);
    if !rest.is_empty() || length > MOST_GAP {
        let text = format!("{length} bytes: {}", described(rest));
        fields.push((&AFTER, Value::Text(text)));
    }
    Ok(())
}
