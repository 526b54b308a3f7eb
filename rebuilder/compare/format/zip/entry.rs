//! Fields of one entry: its two headers, and where they disagree.
//!
//! Readers of the directory use the central header, readers of streams the local one. If the two differ, the archive
//! is a different one for each of them.

use super::attributes;
use super::data;
use super::gaps::Descriptor;
use super::header::{Central, ENCRYPTED, Header, LATE_SIZES, LEVEL, Local, STRONG, UTF8};
use super::records;
use super::time::dos_time;
use crate::compare::cause::Cause;
use crate::compare::finding::Finding;
use crate::compare::format::path_text;
use crate::compare::normalise::Normalisation;
use crate::compare::stored::{FieldKind, Fields, Value};

pub(super) static TIME: FieldKind = FieldKind::by("time", Cause::Timestamp, Normalisation::ZipModifiedTime);
static NO_TIME: FieldKind = FieldKind::by(
    "MS-DOS time that does not exist",
    Cause::Timestamp,
    Normalisation::ZipModifiedTime,
);
pub(super) static DISAGREES: FieldKind =
    FieldKind::new("local header against the directory", Cause::AmbiguousArchive);
static COMPRESSION: FieldKind =
    FieldKind::by("compression", Cause::Compression, Normalisation::ZipCompression);
static RARE_METHOD: FieldKind = FieldKind::new("method that few unpackers read", Cause::Compression);
static LEVEL_HINT: FieldKind = FieldKind::by(
    "level of compression",
    Cause::Compression,
    Normalisation::ZipCompression,
);
pub(super) static PACKED: FieldKind = FieldKind::by(
    "compressed bytes",
    Cause::Compression,
    Normalisation::ZipCompression,
)
.following_contents();
static CRC: FieldKind = FieldKind::new("CRC-32", Cause::Content).following_contents();
static CREATOR: FieldKind = FieldKind::by(
    "creator and versions",
    Cause::ArchiveDialect,
    Normalisation::ZipMisc,
);
static NEEDS: FieldKind = FieldKind::new("version that unpackers refuse", Cause::Content);
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
static NAME_ENCODING: FieldKind = FieldKind::new("encoding of the name", Cause::Content);
static BACKSLASHES: FieldKind = FieldKind::new("backslashes in the name", Cause::AmbiguousArchive);
static FLAGS: FieldKind = FieldKind::new("flags that unpackers refuse or ignore", Cause::Content);
static ENCRYPTION: FieldKind = FieldKind::new("encryption", Cause::Content);
static COMMENT: FieldKind = FieldKind::new("comment", Cause::Content);

/// The newest required version that every common unpacker accepts: 4.6, for bzip2. Info-ZIP's unzip refuses later
/// ones; rare methods are reported by name.
const NEWEST: u16 = 46;

/// An entry as its reader found it.
pub(super) struct Entry<'a> {
    pub local: &'a Local,
    pub central: &'a Central,
    pub descriptor: Option<Descriptor>,
    /// Number of bytes before the archive in its file.
    pub shift: u64,
}

/// Whether a finding is about a time of an entry.
pub(super) fn is_time(finding: &Finding) -> bool {
    finding.place.is(&TIME) || is_utc(finding)
}

/// Whether a finding is about a time that both sides store in UTC.
pub(super) fn is_utc(finding: &Finding) -> bool {
    let kind = finding.place.field();
    kind.is_some_and(records::is_utc) && finding.cause == Cause::Timestamp
}

/// The fields from both headers of an entry.
pub(super) fn fields(entry: &Entry) -> Fields {
    let Entry { local, central, .. } = *entry;
    let (inner, outer) = (&local.header, &central.header);
    let (major, minor) = ((central.made & 0xff) / 10, (central.made & 0xff) % 10);
    let (needs, needed) = (inner.needs, outer.needs);
    let creator = Value::Creator {
        system: central.system_name(),
        versions: format!("{major}.{minor}, needs {needs} and {needed}"),
    };
    let mut fields = vec![(&CREATOR, creator)];
    attributes::fields(central, &mut fields);
    let (time, exists) = dos_time(outer.time);
    fields.push((&TIME, Value::Time(time)));
    let mut add = |kind: &'static FieldKind, text: String| fields.push((kind, Value::Text(text)));
    if !exists {
        add(&NO_TIME, format!("{:04x} {:04x}", outer.time.0, outer.time.1));
    }
    for text in disagreements(entry) {
        add(&DISAGREES, text);
    }
    let newest = data::needs(outer.method).max(NEWEST);
    for needs in [needs, needed].into_iter().filter(|needs| *needs > newest) {
        add(&NEEDS, needs.to_string());
    }
    of_data(entry, &mut add);
    of_name(central, inner, &mut add);
    let rest = outer.flags & !(ENCRYPTED | LEVEL | LATE_SIZES | STRONG | UTF8);
    if rest != 0 {
        add(&FLAGS, format!("{rest:#06x}"));
    }
    if !central.comment.is_empty() {
        add(&COMMENT, path_text(&central.comment));
    }
    records::fields(entry, &mut fields);
    fields
}

/// How the data is stored, and where its sizes are.
fn of_data(entry: &Entry, add: &mut impl FnMut(&'static FieldKind, String)) {
    let header = &entry.central.header;
    let method = data::method(header.method);
    if !matches!(header.method, data::STORED | data::DEFLATED) {
        add(&RARE_METHOD, method.clone());
    }
    add(&COMPRESSION, method);
    let levels = [&entry.local.header, header].map(|header| (header.flags & LEVEL) >> 1);
    if levels != [0, 0] {
        add(&LEVEL_HINT, format!("{} and {}", levels[0], levels[1]));
    }
    add(&CRC, format!("{:08x}", header.crc));
    let descriptor = entry.descriptor.map_or_else(|| "none".into(), Descriptor::text);
    let local = &entry.local.header;
    let early = local.has(LATE_SIZES) && (local.crc != 0 || local.packed != 0 || local.size != 0);
    let early = if early { ", values in the local header" } else { "" };
    add(&DESCRIPTOR, descriptor + early);
    let encryption = match (header.has(STRONG), header.has(ENCRYPTED)) {
        (true, true) => "strong",
        (true, false) => "strong, of an entry that is not encrypted",
        (false, true) => "traditional or AES",
        (false, false) => return,
    };
    add(&ENCRYPTION, encryption.into());
}

/// Properties of the name besides its bytes.
fn of_name(central: &Central, local: &Header, add: &mut impl FnMut(&'static FieldKind, String)) {
    let header = &central.header;
    let flags = || format!("{} and {}", local.has(UTF8), header.has(UTF8));
    if header.name.is_ascii() && local.name.is_ascii() {
        if local.has(UTF8) || header.has(UTF8) {
            add(&ENCODING, flags());
        }
    } else {
        let system = if header.has(UTF8) {
            String::new()
        } else {
            central.system_name()
        };
        add(&NAME_ENCODING, format!("UTF-8: {} {system}", flags()));
    }
    // If the writer claims to be MS-DOS or Windows, unpackers turn backslashes into slashes.
    if header.name.contains(&b'\\') {
        add(&BACKSLASHES, central.system_name());
    }
}

/// Differences between what readers of the stream and of the directory see.
fn disagreements(entry: &Entry) -> Vec<String> {
    let Entry { local, central, .. } = *entry;
    let (inner, outer) = (&local.header, &central.header);
    let mut texts = Vec::new();
    let mut add = |what: &str, tell: &dyn Fn(&Header) -> String| {
        let (own, other) = (tell(inner), tell(outer));
        texts.push(format!(
            "{what}: {own} in the local header, {other} in the directory"
        ));
    };
    if inner.name != outer.name {
        add("name", &|header| path_text(&header.name));
    }
    if inner.method != outer.method {
        add("method", &|header| data::method(header.method));
    }
    let is_ascii = outer.name.is_ascii() && inner.name.is_ascii();
    let ignored = LEVEL | if is_ascii { UTF8 } else { 0 };
    if (inner.flags ^ outer.flags) & !ignored != 0 {
        add("flags", &|header| format!("{:#06x}", header.flags));
    }
    if inner.time != outer.time {
        add("time", &|header| {
            format!("{:04x} {:04x}", header.time.0, header.time.1)
        });
    }
    let late = inner.has(LATE_SIZES);
    // Zero, or all ones beside a ZIP64 field, means that the data descriptor has the value.
    let is_open = |value: u64| late && (value == 0 || value == u64::from(u32::MAX));
    let said = |header: &Header| [u64::from(header.crc), header.packed, header.size];
    if said(inner)
        .into_iter()
        .zip(said(outer))
        .any(|(own, other)| own != other && !is_open(own))
    {
        add("CRC and sizes", &|header| {
            let (packed, size) = (header.packed, header.size);
            format!("CRC-32 {:08x}, {packed} and {size} bytes", header.crc)
        });
    }
    if late {
        texts.extend(of_descriptor(entry));
    }
    let plain = outer.method == data::STORED && !outer.has(ENCRYPTED);
    if plain && outer.packed != outer.size {
        texts.push(format!(
            "stored as {} bytes that are {}",
            outer.packed, outer.size
        ));
    }
    texts
}

/// Differences in the descriptor after the data.
fn of_descriptor(entry: &Entry) -> Option<String> {
    let (inner, outer) = (&entry.local.header, &entry.central.header);
    match entry.descriptor {
        None => Some("no data descriptor with the values of the directory".into()),
        Some(found) if found.is_long != inner.zip64.replaces.is_some() => Some(format!(
            "data descriptor of {} against its ZIP64 field",
            found.text()
        )),
        Some(_) if outer.method == data::STORED && outer.size > 0 => {
            Some("stored with sizes behind the data, which readers of streams refuse".into())
        }
        Some(_) => None,
    }
}

/// The path of an entry; for a folder, without the trailing slash.
pub(super) fn path(header: &Header) -> String {
    let name = match header.name.strip_suffix(b"/") {
        Some(name) if !name.is_empty() => name,
        _ => &header.name,
    };
    path_text(name)
}

/// Adds the length and checksum of the compressed bytes, so that another compression is visible.
pub(super) fn packed(fields: &mut Fields, length: u64, crc: u32) {
    fields.push((&PACKED, Value::Text(format!("{length} bytes, CRC-32 {crc:08x}"))));
}
