//! Fields of one entry.

use zip::read::ZipFileEntry;

use super::header::{CentralHeader, LATE_SIZES, LocalHeader, UTF8};
use crate::compare::cause::Cause;
use crate::compare::format::path_text;
use crate::compare::normalise::Normalisation;
use crate::compare::stored::{FieldKind, Fields, Value};

static MODE: FieldKind = FieldKind::by("mode", Cause::Permissions, Normalisation::ZipFileMode).installed();
pub(super) static TIME: FieldKind = FieldKind::by("time", Cause::Timestamp, Normalisation::ZipModifiedTime);
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
pub(super) static EXTRA_FIELDS: [&FieldKind; 4] = [&EXTRA_TIME, &EXTRA_OWNER, &EXTRA_KNOWN, &EXTRA_OTHER];
static COMPRESSION: FieldKind =
    FieldKind::by("compression", Cause::Compression, Normalisation::ZipCompression);
pub(super) static SIZE: FieldKind = FieldKind::by(
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
static TWO_NAMES: FieldKind = FieldKind::new("name in the local header", Cause::Content);

/// What both headers say of an entry.
pub(super) fn fields(entry: &ZipFileEntry, local: &LocalHeader, central: &CentralHeader) -> Fields {
    let mut fields = Fields::new();
    let mut add = |kind: &'static FieldKind, text: String| fields.push((kind, Value::Text(text)));
    add(&COMPRESSION, entry.compression().to_string());
    let is_utf8 = |flags: u16| flags & UTF8 != 0;
    add(&ENCODING, is_utf8(central.flags).to_string());
    if (is_utf8(central.flags) || is_utf8(local.flags)) && !entry.name_raw().is_ascii() {
        add(&TYPE, "name in UTF-8".into());
    }
    add(&DESCRIPTOR, central.has_late_sizes().to_string());
    let rest = |flags: u16| flags & !(UTF8 | LATE_SIZES);
    add(
        &FLAGS,
        format!("{:#x} {:#x}", rest(local.flags), rest(central.flags)),
    );
    if local.name != entry.name_raw() {
        add(&TWO_NAMES, path_text(&local.name));
    }
    extra_fields(&local.extra, "local", &mut add);
    extra_fields(&central.extra, "central", &mut add);
    if !entry.comment_raw().is_empty() {
        add(&COMMENT, path_text(entry.comment_raw()));
    }
    let mut all = origin(entry, local, central);
    all.append(&mut fields);
    all.push((&SIZE, Value::Number(entry.compressed_size())));
    all
}

/// What wrote the entry, from a file with which attributes and time.
fn origin(entry: &ZipFileEntry, local: &LocalHeader, central: &CentralHeader) -> Fields {
    let mut fields = Fields::new();
    let (major, minor) = entry.version_made_by();
    let (needs, needed) = (local.needs, entry.version_needed());
    fields.push((
        &CREATOR,
        Value::Creator {
            system: format!("{:?}", entry.system()),
            versions: format!("{major}.{minor}, needs {needs} and {needed}"),
        },
    ));
    // Writers on other systems store Unix modes too; the reader's own accessor makes some up for those.
    let stored = entry.external_attributes() >> 16;
    if let Some(mode) = (stored != 0).then_some(stored).or_else(|| entry.unix_mode()) {
        fields.push((&TYPE, Value::Text(format!("{:o}", mode >> 12))));
        fields.push((&MODE, Value::Mode(mode & 0o7777)));
    }
    let attributes = entry.external_attributes() & 0xffff;
    let text = format!("{attributes:#x} {:#x}", central.internal);
    fields.push((&ATTRIBUTES, Value::Text(text)));
    fields.push((&TIME, Value::Time(dos_time(local.time))));
    if local.time != central.time {
        let both = format!("{} in the central directory", Value::Time(dos_time(central.time)));
        fields.push((&EXTRA_TIME, Value::Text(both)));
    }
    fields
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
fn extra_fields(mut extra: &[u8], place: &str, add: &mut impl FnMut(&'static FieldKind, String)) {
    while let Some(([id, id_high, size, size_high], rest)) = extra.split_first_chunk::<4>() {
        let id = u16::from_le_bytes([*id, *id_high]);
        let size = usize::from(u16::from_le_bytes([*size, *size_high]));
        let data;
        (data, extra) = rest.split_at_checked(size).unwrap_or((rest, &[]));
        let kind: &'static FieldKind = match id {
            // Times of Info-ZIP and of NTFS.
            0x5455 | 0x000a | 0x000d => &EXTRA_TIME,
            0x7875 | 0x7855 | 0x5855 => &EXTRA_OWNER,
            // zip64, Java's mark, alignment, the Unicode path beside an old name.
            0x0001 | 0xcafe | 0xd935 | 0x7075 | 0x6375 => &EXTRA_KNOWN,
            _ => &EXTRA_OTHER,
        };
        add(kind, format!("{place} {id:#06x}: {}", hex::encode(data)));
    }
    if !extra.is_empty() && extra.iter().any(|byte| *byte != 0) {
        add(&EXTRA_OTHER, format!("{place}: {}", hex::encode(extra)));
    }
}
