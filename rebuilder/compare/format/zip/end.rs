//! The end of a zip file: the place of its directory, and redundant records about it (APPNOTE 4.3.14 to 4.3.16).

use std::io;

use super::bytes::{Bytes, Numbers};
use crate::compare::cause::Cause;
use crate::compare::format::path_text;
use crate::compare::limits::Meter;
use crate::compare::normalise::Normalisation;
use crate::compare::stored::{FieldKind, Fields, Value};

static DISAGREES: FieldKind = FieldKind::new("end records against the directory", Cause::AmbiguousArchive);
static ZIP64_END: FieldKind =
    FieldKind::by("ZIP64 end record", Cause::ArchiveDialect, Normalisation::ZipMisc);
static EXTENSIBLE: FieldKind = FieldKind::new("data of the ZIP64 end record", Cause::Content);
static AFTER: FieldKind = FieldKind::new("bytes after the end", Cause::Content);

/// Length of the fixed part of an end record, and with the longest comment.
const FIXED: usize = 22;
const LONGEST: usize = FIXED + u16::MAX as usize;
const SIGNATURE: &[u8] = b"PK\x05\x06";

/// The end records of a zip file.
#[derive(Debug, Default)]
pub(super) struct End {
    /// Offset of the record, and the end of its comment.
    pub at: u64,
    pub after: u64,
    /// The record without its comment.
    pub fixed: Vec<u8>,
    pub comment: Vec<u8>,
    /// Offset of the directory, and its length and number of entries according to the record.
    pub directory: u64,
    pub size: u64,
    pub entries: u64,
    /// Added to every offset if other bytes precede the archive.
    pub shift: u64,
    zip64: Option<Zip64End>,
    /// Values that readers may interpret differently.
    disagreements: Vec<String>,
}

#[derive(Debug, Default)]
struct Zip64End {
    record: u64,
    /// Beginning and end of its extensible data.
    data: u64,
    end: u64,
    locator: u64,
    versions: (u16, u16),
}

/// The end of a zip file; `None` if there is no end record within the longest comment's length of the end of the file,
/// or no directory where it points.
pub(super) fn find(bytes: &mut Bytes) -> io::Result<Option<End>> {
    let from = bytes.size.saturating_sub(LONGEST as u64);
    let tail = bytes.read_at(from, LONGEST)?;
    let comment = |at: usize| usize::from(Numbers(tail.get(at..).unwrap_or_default()).u16(20));
    let end_of = |at: usize| at.saturating_add(FIXED).saturating_add(comment(at));
    let mut found: Vec<usize> = tail
        .windows(FIXED)
        .enumerate()
        .filter(|(at, window)| window.starts_with(SIGNATURE) && end_of(*at) <= tail.len())
        .map(|(at, _)| at)
        .collect();
    // First try a record whose comment ends with the file, then the last record.
    found.sort_by_key(|at| (end_of(*at) != tail.len(), std::cmp::Reverse(*at)));
    for at in found.into_iter().take(MOST_TRIED) {
        let (record, rest) = tail
            .get(at..)
            .unwrap_or_default()
            .split_at_checked(FIXED)
            .unwrap_or_default();
        let mut end = End {
            at: from.saturating_add(at as u64),
            after: from.saturating_add(end_of(at) as u64),
            fixed: record.to_vec(),
            comment: rest.get(..comment(at)).unwrap_or_default().to_vec(),
            ..End::default()
        };
        if end.locate(bytes)? {
            let others = tail.windows(SIGNATURE.len()).skip(at.saturating_add(1));
            let others = others.filter(|window| *window == SIGNATURE).count();
            if others > 0 {
                end.disagreements
                    .push(format!("{others} more end records behind the one that fits"));
            }
            return Ok(Some(end));
        }
    }
    Ok(None)
}

/// Maximum number of possible end records that are tried.
const MOST_TRIED: usize = 16;

impl End {
    /// Finds the directory: directly before the end record, as most readers do, otherwise at its offset.
    fn locate(&mut self, bytes: &mut Bytes) -> io::Result<bool> {
        let fixed = std::mem::take(&mut self.fixed);
        let numbers = Numbers(&fixed);
        let short = [
            u64::from(numbers.u16(10)),
            u64::from(numbers.u32(12)),
            u64::from(numbers.u32(16)),
        ];
        let most = [u64::from(u16::MAX), u64::from(u32::MAX), u64::from(u32::MAX)];
        let mut stated = short;
        if numbers.u16(8) != numbers.u16(10) || numbers.u32(4) != 0 {
            self.disagreements.push(format!(
                "disks {} and {}, {} of {} entries on this disk",
                numbers.u16(4),
                numbers.u16(6),
                numbers.u16(8),
                numbers.u16(10)
            ));
        }
        self.fixed.clone_from(&fixed);
        let mut before = self.at;
        if let Some((zip64, long)) = self.zip64(bytes)? {
            before = zip64.record;
            self.zip64 = Some(zip64);
            for ((stated, long), most) in stated.iter_mut().zip(long).zip(most) {
                if *stated != most && *stated != long {
                    self.disagreements
                        .push(format!("{stated} in the end record, {long} in that of ZIP64"));
                }
                *stated = long;
            }
        }
        let [entries, size, offset] = stated;
        (self.entries, self.size) = (entries, size);
        let holds = |bytes: &mut Bytes, at: u64| -> io::Result<bool> {
            Ok(size == 0 || bytes.read_at(at, 4)? == b"PK\x01\x02")
        };
        if let Some(at) = before.checked_sub(size)
            && let Some(shift) = at.checked_sub(offset)
            && holds(bytes, at)?
        {
            (self.directory, self.shift) = (at, shift);
            if shift != 0 && holds(bytes, offset)? && size != 0 {
                self.disagreements
                    .push(format!("one directory at {offset}, another at {at}"));
            }
            return Ok(true);
        }
        self.directory = offset;
        let fits = offset.checked_add(size).is_some_and(|end| end <= before);
        Ok(fits && size != 0 && holds(bytes, offset)?)
    }

    /// The ZIP64 end record, if a locator is directly before the end record, and its numbers.
    fn zip64(&mut self, bytes: &mut Bytes) -> io::Result<Option<(Zip64End, [u64; 3])>> {
        let Some(locator) = self.at.checked_sub(20) else {
            return Ok(None);
        };
        let found = bytes.read_at(locator, 20)?;
        if !found.starts_with(b"PK\x06\x07") {
            return Ok(None);
        }
        let (stated, disks) = (
            Numbers(&found).u64(8),
            (Numbers(&found).u32(4), Numbers(&found).u32(16)),
        );
        if disks != (0, 1) {
            self.disagreements
                .push(format!("disks {} and {} in the ZIP64 locator", disks.0, disks.1));
        }
        for record in [stated, locator.saturating_sub(56)] {
            let found = bytes.read_at(record, 56)?;
            if found.len() < 56 || !found.starts_with(b"PK\x06\x06") {
                continue;
            }
            let numbers = Numbers(&found);
            let end = record.saturating_add(12).saturating_add(numbers.u64(4));
            let data = record.saturating_add(56);
            if end < data || end > locator {
                continue;
            }
            if numbers.u64(24) != numbers.u64(32) || numbers.u64(16) != 0 {
                self.disagreements.push(format!(
                    "disks {} and {}, {} of {} entries on this disk, in the ZIP64 end record",
                    numbers.u32(16),
                    numbers.u32(20),
                    numbers.u64(24),
                    numbers.u64(32)
                ));
            }
            if record != stated {
                self.disagreements.push(format!(
                    "a ZIP64 locator that names {stated}, where the record is not"
                ));
            }
            let zip64 = Zip64End {
                record,
                data,
                end,
                locator,
                versions: (numbers.u16(12), numbers.u16(14)),
            };
            return Ok(Some((zip64, [32, 40, 48].map(|at| numbers.u64(at)))));
        }
        self.disagreements
            .push(format!("a ZIP64 locator that names {stated}, where no record is"));
        Ok(None)
    }

    /// The ranges of the end records, in order.
    pub fn ranges(&self) -> Vec<(u64, u64)> {
        let zip64 = self.zip64.iter().flat_map(|zip64| {
            [
                (zip64.record, zip64.end),
                (zip64.locator, zip64.locator.saturating_add(20)),
            ]
        });
        zip64.chain([(self.at, self.after)]).collect()
    }

    /// Fields of the end records. `entries` is the real number of entries, and `directory_end` the real end of the
    /// directory.
    pub fn fields(
        mut self,
        bytes: &mut Bytes,
        entries: u64,
        directory_end: u64,
        meter: &Meter,
    ) -> io::Result<Fields> {
        let mut fields = Fields::new();
        if entries != self.entries {
            self.disagreements
                .push(format!("{} entries where {entries} are", self.entries));
        }
        let size = directory_end.saturating_sub(self.directory);
        if size != self.size {
            self.disagreements
                .push(format!("{} bytes of entries where {size} are", self.size));
        }
        if self.shift != 0 {
            self.disagreements.push(format!(
                "offsets that leave out {} bytes before the archive",
                self.shift
            ));
        }
        for text in self.disagreements {
            fields.push((&DISAGREES, Value::Text(text)));
        }
        if let Some(zip64) = self.zip64 {
            let (made, needs) = zip64.versions;
            let text = format!("version {made:#x}, needs {needs}");
            fields.push((&ZIP64_END, Value::Text(text)));
            if zip64.end > zip64.data {
                let text = bytes.described(zip64.data, zip64.end, meter)?;
                fields.push((&EXTENSIBLE, Value::Text(text)));
            }
        }
        if !self.comment.is_empty() {
            fields.push((&COMMENT, Value::Text(path_text(&self.comment))));
        }
        if self.after < bytes.size {
            let text = bytes.described(self.after, bytes.size, meter)?;
            fields.push((&AFTER, Value::Text(text)));
        }
        Ok(fields)
    }
}

pub(super) static COMMENT: FieldKind =
    FieldKind::new("comment of the archive", Cause::Content).refined(revisions);

/// `git archive` writes the commit into the comment.
fn revisions(released: &[Value], rebuilt: &[Value]) -> Option<crate::compare::cause::Reason> {
    use crate::compare::cause::{Confidence, Reason};
    let revision = |values: &[Value]| match values {
        [Value::Text(text)] => {
            let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            (matches!(text.len(), 40 | 64) && text.bytes().all(digits)).then(|| text.clone())
        }
        _ => None,
    };
    let (old, new) = (revision(released)?, revision(rebuilt)?);
    Some(Reason::new(
        Cause::SourceRevision,
        format!("{old} → {new}"),
        Confidence::Proven,
    ))
}
