//! Fields from the extra fields in an entry's two headers.

use super::data::{self, crc};
use super::entry::{DISAGREES, Entry};
use super::extra::{self, Meaning, Record, Times};
use super::header::{Central, Header, Zip64};
use super::time::ntfs_time;
use crate::compare::cause::{Cause, Confidence, Reason};
use crate::compare::format::path_text;
use crate::compare::normalise::Normalisation;
use crate::compare::stored::{FieldKind, Fields, Value};

const fn time(name: &'static str) -> FieldKind {
    FieldKind::by(name, Cause::Timestamp, Normalisation::ZipModifiedTime).refined(one_side)
}

static MODIFIED: FieldKind = time("time of modification in the extra field");
static ACCESSED: FieldKind = time("time of access in the extra field");
static CREATED: FieldKind = time("time of creation in the extra field");
static NTFS: FieldKind = time("NTFS times in the extra field");
static OWNER: FieldKind = FieldKind::by(
    "owner in the extra field",
    Cause::Ownership,
    Normalisation::ZipMisc,
)
.installed();
static KNOWN: FieldKind = FieldKind::by("extra fields", Cause::ArchiveDialect, Normalisation::ZipMisc);
static UNKNOWN: FieldKind = FieldKind::new("extra field of unknown kind", Cause::Content);
static ALIGNMENT: FieldKind = FieldKind::by(
    "alignment of the data",
    Cause::ArchiveDialect,
    Normalisation::ZipAlignment,
);
static UNICODE_PATH: FieldKind = FieldKind::new("Unicode path beside another name", Cause::AmbiguousArchive);
static UNICODE_COMMENT: FieldKind = FieldKind::new("Unicode comment", Cause::Content);
static AES: FieldKind = FieldKind::new("AES encryption", Cause::Content);

/// Whether a field is a UTC time that builds set.
pub(super) fn is_utc(kind: &'static FieldKind) -> bool {
    [&MODIFIED, &CREATED, &NTFS].contains(&kind)
}

/// Whether times are stored at all depends on the tool, not on the time.
fn one_side(released: &[Value], rebuilt: &[Value]) -> Option<Reason> {
    (released.is_empty() || rebuilt.is_empty()).then(|| {
        let key = "times in zip extra fields on one side only";
        Reason::new(Cause::ArchiveDialect, key, Confidence::Proven)
    })
}

/// The content of one header's extra field.
#[derive(Default)]
struct Said {
    times: Times,
    ntfs: Option<[u64; 3]>,
    owner: Option<(u64, u64)>,
    has_zip64: bool,
    /// The known records, in order.
    layout: String,
    rest: Fields,
}

/// The fields from both extra fields.
pub(super) fn fields(entry: &Entry, fields: &mut Fields) {
    if entry.local.header.extra.is_empty() && entry.central.header.extra.is_empty() {
        return;
    }
    let inner = said(entry, &entry.local.header, true);
    let outer = said(entry, &entry.central.header, false);
    let mut disagree = |what: &str, local: Option<String>, central: Option<String>| {
        if let (Some(local), Some(central)) = (local, central)
            && local != central
        {
            let text = format!("{what}: {local} in the local header, {central} in the directory");
            fields.push((&DISAGREES, Value::Text(text)));
        }
    };
    let times = inner.times.each().into_iter().zip(outer.times.each());
    for ((local, central), kind) in times.clone().zip([&MODIFIED, &ACCESSED, &CREATED]) {
        let text = |time: Option<i64>| time.map(|time| Value::Time(time).to_string());
        disagree(kind.name, text(local), text(central));
    }
    let ntfs = |said: &Said| said.ntfs.map(|times| times.map(ntfs_time).join(", "));
    disagree(NTFS.name, ntfs(&inner), ntfs(&outer));
    let owner = |said: &Said| said.owner.map(|(user, group)| format!("{user}:{group}"));
    disagree(OWNER.name, owner(&inner), owner(&outer));
    for ((local, central), kind) in times.zip([&MODIFIED, &ACCESSED, &CREATED]) {
        fields.extend(local.or(central).map(|time| (kind, Value::Time(time))));
    }
    let has_known = !inner.layout.is_empty() || !outer.layout.is_empty();
    let texts = [
        (&NTFS, ntfs(&inner).or_else(|| ntfs(&outer))),
        (&OWNER, owner(&inner).or_else(|| owner(&outer))),
        (
            &KNOWN,
            has_known.then(|| format!("local{}, central{}", inner.layout, outer.layout)),
        ),
    ];
    for (kind, text) in texts {
        fields.extend(text.map(|text| (kind, Value::Text(text))));
    }
    fields.extend(inner.rest);
    fields.extend(outer.rest);
}

/// Extra fields with more records than any tool writes are compared as bytes.
const MOST_RECORDS: usize = 64;

/// Reads one header's extra field, record by record.
fn said(entry: &Entry, header: &Header, is_local: bool) -> Said {
    let mut said = Said::default();
    let place = if is_local { "local" } else { "central" };
    let (own, zeros) = without_zeros(&header.extra);
    if zeros > 0 {
        said.zeros(entry, header, zeros, is_local);
    }
    if extra::records(own).count() > MOST_RECORDS {
        let text = Value::Text(format!("{place}: {}", hex::encode(own)));
        said.rest.push((&UNKNOWN, text));
        return said;
    }
    for record in extra::records(own) {
        let id = record.id.unwrap_or(0);
        let meaning = extra::meaning(&record, is_local);
        if !matches!(meaning, Meaning::Unknown | Meaning::Alignment(..)) {
            said.layout.push_str(&format!(" {id:04x}{}", shape(&record)));
        }
        let mut add = |kind: &'static FieldKind, text: String| said.rest.push((kind, Value::Text(text)));
        match meaning {
            Meaning::Owner(None, times) if times == Times::default() => {}
            Meaning::Times(times) | Meaning::Owner(None, times) if said.times == Times::default() => {
                said.times = times;
            }
            Meaning::Owner(Some(owner), times) if said.owner.is_none() => {
                said.owner = Some(owner);
                if said.times == Times::default() {
                    said.times = times;
                } else if times != Times::default() {
                    add(&UNKNOWN, raw(place, &record));
                }
            }
            Meaning::NtfsTimes(times) if said.ntfs.is_none() => said.ntfs = Some(times),
            Meaning::Zip64 if !said.has_zip64 => {
                said.has_zip64 = true;
                if !is_usual(&header.zip64, &entry.central.header) {
                    add(&UNKNOWN, raw(place, &record));
                }
                let replaces = header.zip64.replaces.unwrap_or(0);
                said.layout.push_str(&format!(" for {replaces} numbers"));
            }
            Meaning::Jar => {}
            Meaning::Alignment(multiple, padding) => {
                let aligns = is_local && aligns(entry, u64::from(multiple), padding);
                let kind = if aligns { &ALIGNMENT } else { &UNKNOWN };
                add(kind, raw(place, &record));
            }
            Meaning::UnicodePath(sum, name) => {
                if let Some(text) = another_path(header, sum, name) {
                    add(&UNICODE_PATH, format!("{place}: {text}"));
                }
            }
            Meaning::UnicodeComment(..) => add(&UNICODE_COMMENT, raw(place, &record)),
            Meaning::Aes(text) => add(&AES, format!("{place}: {text}, {}", hex::encode(record.data))),
            // Some readers use a repeated record, and others do not.
            _ => add(&UNKNOWN, raw(place, &record)),
        }
    }
    said
}

/// A Unicode path that differs from the name in the header, or that is for another name.
fn another_path(header: &Header, sum: u32, name: &[u8]) -> Option<String> {
    let is_of_it = sum == crc(&header.name);
    if is_of_it && name == header.name {
        return None;
    }
    let right = if is_of_it { "" } else { ", of another name" };
    Some(format!("{}{right}", path_text(name)))
}

impl Said {
    /// Zeros at the end, with which `zipalign` aligns stored data to four bytes or a page.
    fn zeros(&mut self, entry: &Entry, header: &Header, zeros: u64, is_local: bool) {
        let multiple = zeros.saturating_add(1).next_power_of_two().max(4);
        let at = entry.local.data.saturating_sub(entry.shift);
        let aligns = is_local && header.method == data::STORED && at.is_multiple_of(multiple);
        let kind = if aligns { &ALIGNMENT } else { &UNKNOWN };
        let place = if is_local { "local" } else { "central" };
        let text = format!("{place}: {zeros} zeros at the end");
        self.rest.push((kind, Value::Text(text)));
    }
}

/// The records before trailing zeros, and the number of these zeros.
fn without_zeros(extra: &[u8]) -> (&[u8], u64) {
    let mut used = 0_usize;
    for record in extra::records(extra) {
        let zeros = extra.get(used..).unwrap_or_default();
        if matches!(record.id, None | Some(0)) && zeros.iter().all(|byte| *byte == 0) {
            return (extra.get(..used).unwrap_or_default(), zeros.len() as u64);
        }
        used = used.saturating_add(4).saturating_add(record.data.len());
    }
    (extra, 0)
}

/// Whether padding aligns the data, and is not longer than necessary.
fn aligns(entry: &Entry, multiple: u64, padding: &[u8]) -> bool {
    let at = entry.local.data.saturating_sub(entry.shift);
    multiple.is_power_of_two()
        && at.is_multiple_of(multiple)
        && (padding.len() as u64) < multiple
        && padding.iter().all(|byte| *byte == 0)
}

/// Whether a ZIP64 field contains nothing besides the replaced numbers, or only sizes that are stored elsewhere too.
fn is_usual(zip64: &Zip64, central: &Header) -> bool {
    let sizes = [central.size, central.packed].map(u64::to_le_bytes).concat();
    let rest = &zip64.rest;
    rest.is_empty() || *rest == sizes || matches!(rest.len(), 8 | 16) && rest.iter().all(|byte| *byte == 0)
}

/// The form of a record: its length, and the byte with the flags of its times or the length of an owner.
fn shape(record: &Record) -> String {
    let length = record.data.len();
    let detail = match record.id {
        Some(0x5455) => record.data.first(),
        Some(0x7875) => record.data.get(1),
        _ => None,
    };
    detail.map_or_else(|| format!(":{length}"), |detail| format!(":{length}/{detail}"))
}

fn raw(place: &str, record: &Record) -> String {
    let id = record
        .id
        .map_or_else(|| "cut off".into(), |id| format!("{id:#06x}"));
    format!("{place} {id}: {}", hex::encode(record.data))
}

/// Whether an entry is encrypted with AES, according to its extra field.
pub(super) fn is_encrypted(central: &Central) -> bool {
    central
        .header
        .has(super::header::ENCRYPTED | super::header::STRONG)
        || extra::find(&central.header.extra, extra::AES).is_some()
}
