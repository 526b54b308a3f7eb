//! Fonts: TrueType and OpenType (`sfnt`, ISO/IEC 14496-22) and WOFF 1.0 and 2.0, by table. The times in the head table,
//! the checksums and the names are distinguished from outlines and programs.

mod names;
mod woff2;

use std::borrow::Cow;
use std::io::Read as _;

use super::comparator::{FileComparator, Leaf, Pair};
use super::regions::{self, Change, Numbers, Region, Regions, span, time};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::Finding;

pub(super) struct Font;

const MAGICS: [&[u8]; 6] = [
    b"\0\x01\0\0\0",
    b"OTTO\0",
    b"true\0",
    b"typ1\0",
    WOFF,
    woff2::MAGIC,
];
const WOFF: &[u8] = b"wOFF";

impl FileComparator for Font {
    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.woff", WOFF)
    }

    fn recognises(&self, pair: &Pair) -> bool {
        MAGICS.iter().any(|magic| pair.begin_with(magic))
    }

    fn compare(&self, pair: &Pair) -> Option<Leaf> {
        let (mut old, mut new) = (Sfnt::read(pair.released)?, Sfnt::read(pair.rebuilt)?);
        let mut leaf = Leaf::of("font");
        if old.header != new.header {
            leaf.add(Finding::new(
                "header",
                hex::encode(&old.header),
                hex::encode(&new.header),
            ));
        }
        if old.order != new.order {
            order(&mut leaf, &old, &new);
        }
        let adjusted = adjustment(&mut old, &mut new);
        head(&mut leaf, &mut old, &mut new);
        regions::compare(&mut leaf, &old.tables, &new.tables, table);
        if old.compressed != new.compressed && leaf.findings.is_empty() {
            leaf.add(
                Finding::new("compressed tables", "", "")
                    .because(Cause::Compression, Confidence::Proven)
                    .keyed("tables of WOFF fonts"),
            );
        }
        leaf.findings.extend(adjusted);
        Some(leaf)
    }
}

/// The tables of a font, in order of name.
struct Sfnt<'a> {
    /// The flavour, and the fields that do not follow from the tables.
    header: Vec<u8>,
    /// Names of the tables in the order of the file.
    order: Vec<String>,
    tables: Regions<'a>,
    /// The whole file, for the checksum over it; `None` for WOFF.
    file: Option<&'a [u8]>,
    /// The sum of the checksums of all tables that are not transformed.
    sum: u32,
    /// The stored form of the tables, if they are compressed.
    compressed: Vec<&'a [u8]>,
}

/// An entry of the directory: where a table is.
struct Entry {
    tag: String,
    checksum: u32,
    at: usize,
    stored: usize,
    length: usize,
}

/// Maximum number of bytes of all tables; larger fonts are not unpacked.
const LARGEST: usize = 64 << 20;
const HEADER: usize = 12;
const ENTRY: usize = 16;
const WOFF_HEADER: usize = 44;
const WOFF_ENTRY: usize = 20;

impl Entry {
    /// The entry of the directory at `place`.
    fn read(numbers: &Numbers, place: usize, is_woff: bool) -> Option<Self> {
        let field = |nth: usize| numbers.u32(place.checked_add(nth.checked_mul(4)?)?);
        let size = |nth: usize| usize::try_from(field(nth)?).ok();
        let tag = numbers.bytes.get(place..)?.get(..4)?;
        let length = size(3)?;
        let (checksum, at, stored) = if is_woff {
            (field(4)?, size(1)?, size(2)?)
        } else {
            (field(1)?, size(2)?, length)
        };
        Some(Self {
            tag: String::from_utf8_lossy(tag).into_owned(),
            checksum,
            at,
            stored,
            length,
        })
    }
}

impl<'a> Sfnt<'a> {
    /// `None` unless the purpose of every byte is known and every checksum is correct.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        if bytes.starts_with(woff2::MAGIC) {
            return woff2::read(bytes);
        }
        let numbers = Numbers {
            bytes,
            little_endian: false,
        };
        let is_woff = bytes.starts_with(WOFF);
        let (at, width) = if is_woff {
            (WOFF_HEADER, WOFF_ENTRY)
        } else {
            (HEADER, ENTRY)
        };
        let count = usize::from(numbers.u16(if is_woff { 12 } else { 4 })?);
        let end = count.checked_mul(width)?.checked_add(at)?;
        let entries = (at..end)
            .step_by(width)
            .map(|at| Entry::read(&numbers, at, is_woff))
            .collect::<Option<Vec<_>>>()?;
        // Readers find tables by binary search.
        entries
            .is_sorted_by(|one, next| one.tag < next.tag)
            .then_some(())?;
        let mut named: Vec<_> = vec![(0..end, "directory".to_owned())];
        let mut parts = Vec::new();
        let mut compressed = Vec::new();
        let mut unpacked_bytes: usize = 0;
        let mut all: u32 = 0;
        for entry in &entries {
            let own = span(entry.at, entry.stored)?;
            let stored = bytes.get(own.clone())?;
            unpacked_bytes = unpacked_bytes.checked_add(entry.length)?;
            (unpacked_bytes <= LARGEST).then_some(())?;
            let data = unpacked(stored, entry.length)?;
            compressed.push(stored);
            let sum = checksum(&data, entry.tag == "head")?;
            (sum == entry.checksum).then_some(())?;
            all = all.wrapping_add(sum);
            named.push((own, entry.tag.clone()));
            parts.push(Region {
                name: format!("{} table", entry.tag),
                at: entry.at,
                data,
            });
        }
        let order = order_of(&Regions::new(bytes, named)?)?;
        let (first, second) = if is_woff {
            (4..8, 20..24)
        } else {
            (0..HEADER, 0..0)
        };
        // Metadata and private data are not supported.
        let whole = || {
            let tables = entries.iter().map(|entry| entry.length.next_multiple_of(4));
            let unpacked = count.checked_mul(ENTRY)?.checked_add(HEADER)?;
            let unpacked = tables.fold(unpacked, usize::saturating_add);
            let numbers = numbers.size(8)? == bytes.len() && numbers.size(16)? == unpacked;
            let reserved = [bytes.get(14..16)?, bytes.get(24..WOFF_HEADER)?];
            Some(numbers && reserved.concat().iter().all(|byte| *byte == 0))
        };
        (!is_woff || whole()?).then_some(())?;
        Some(Self {
            header: [bytes.get(first)?, bytes.get(second)?].concat(),
            order,
            sum: all,
            file: (!is_woff).then_some(bytes),
            tables: Regions { parts },
            compressed,
        })
    }

    fn head(&mut self) -> Option<&mut Region<'a>> {
        let mut parts = self.tables.parts.iter_mut();
        parts.find(|part| part.name == "head table" && part.data.len() == 54)
    }
}

/// The names of the parts of a file in their order; `None` if there is more than padding between them.
fn order_of(file: &Regions) -> Option<Vec<String>> {
    let is_gap = |part: &&Region| part.name.starts_with("after ");
    let zero = |part: &Region| part.data.len() < 4 && part.data.iter().all(|byte| *byte == 0);
    file.parts.iter().filter(is_gap).all(zero).then_some(())?;
    let order = file.parts.iter().filter(|part| !is_gap(part));
    Some(order.map(|part| part.name.clone()).collect())
}

/// A table of a WOFF font is compressed with zlib if that makes it smaller.
fn unpacked(stored: &[u8], length: usize) -> Option<Cow<'_, [u8]>> {
    if stored.len() == length {
        return Some(Cow::Borrowed(stored));
    }
    let mut data = Vec::new();
    let mut stream = flate2::bufread::ZlibDecoder::new(stored);
    let one_more = length.min(LARGEST).checked_add(1)?;
    stream
        .by_ref()
        .take(one_more as u64)
        .read_to_end(&mut data)
        .ok()?;
    (data.len() == length && stream.total_in() == stored.len() as u64).then_some(Cow::Owned(data))
}

/// The sum of all words of a table. For the head table, the adjustment is left out.
fn checksum(table: &[u8], is_head: bool) -> Option<u32> {
    let words = table.chunks(4).map(|chunk| {
        let mut word = [0; 4];
        word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
        u32::from_be_bytes(word)
    });
    let sum = words.fold(0, u32::wrapping_add);
    if is_head {
        return Some(sum.wrapping_sub(word(table, ADJUSTMENT)?));
    }
    Some(sum)
}

fn word(table: &[u8], at: usize) -> Option<u32> {
    Numbers {
        bytes: table,
        little_endian: false,
    }
    .u32(at)
}

/// Offsets in the head table.
const ADJUSTMENT: usize = 8;
const CREATED: usize = 20;
const MODIFIED: usize = 28;

/// The checksum over the whole font, if it is correct on both sides; it is then blanked.
fn adjustment<'a>(old: &mut Sfnt<'a>, new: &mut Sfnt<'a>) -> Option<Finding> {
    const WHOLE: u32 = 0xb1b0_afba;
    let own = |tables: &mut Sfnt| word(&tables.head()?.data, ADJUSTMENT);
    let (released, rebuilt) = (own(old)?, own(new)?);
    let is_right = match (old.file, new.file) {
        (Some(file), Some(other)) => {
            [(file, released), (other, rebuilt)]
                .into_iter()
                .all(|(file, stored)| {
                    let sum = checksum(file, false).map(|sum| sum.wrapping_sub(stored));
                    sum.map(|sum| WHOLE.wrapping_sub(sum)) == Some(stored)
                })
        }
        // It is the checksum of the font before compression. The sum of each table is in it twice, as the directory
        // has it too; everything else is the same if the layout is.
        (None, None) if same_layout(old, new) => {
            released.wrapping_sub(rebuilt) == new.sum.wrapping_sub(old.sum).wrapping_mul(2)
        }
        _ => false,
    };
    is_right.then_some(())?;
    for tables in [old, new] {
        let head = tables.head()?;
        head.data
            .to_mut()
            .get_mut(ADJUSTMENT..CREATED)?
            .get_mut(..4)?
            .fill(0);
    }
    (released != rebuilt).then(move || {
        Finding::new(
            "checkSumAdjustment",
            format!("{released:#x}"),
            format!("{rebuilt:#x}"),
        )
        .because(Cause::Checksum, Confidence::Proven)
        .keyed("checksum in fonts")
        .following()
    })
}

/// Whether two fonts have tables of the same names and lengths, and the same transformed ones.
fn same_layout(old: &Sfnt, new: &Sfnt) -> bool {
    let same = |(one, other): (&Region, &Region)| {
        let is_transformed = one.name.contains(", transformed");
        one.name == other.name
            && one.data.len() == other.data.len()
            && (!is_transformed || one.data == other.data)
    };
    let (own, other) = (&old.tables.parts, &new.tables.parts);
    old.order == new.order && own.len() == other.len() && own.iter().zip(other).all(same)
}

/// The times when the font was created and modified, in seconds since 1904.
fn head<'a>(leaf: &mut Leaf, old: &mut Sfnt<'a>, new: &mut Sfnt<'a>) {
    for (name, at) in [("created", CREATED), ("modified", MODIFIED)] {
        let own = |tables: &mut Sfnt| {
            let numbers = Numbers {
                bytes: &tables.head()?.data,
                little_endian: false,
            };
            numbers.u64(at)
        };
        let (Some(released), Some(rebuilt)) = (own(old), own(new)) else {
            return;
        };
        if released == rebuilt {
            continue;
        }
        leaf.add(
            Finding::new(
                format!("head table, {name}"),
                since_1904(released),
                since_1904(rebuilt),
            )
            .because(Cause::Timestamp, Confidence::Proven)
            .keyed("times in fonts"),
        );
        for tables in [&mut *old, &mut *new] {
            let Some(head) = tables.head() else { return };
            if let Some(field) = head.data.to_mut().get_mut(at..at.saturating_add(8)) {
                field.fill(0);
            }
        }
    }
}

fn since_1904(seconds: u64) -> String {
    const UNTIL_1970: i64 = 2_082_844_800;
    i64::try_from(seconds).map_or_else(
        |_| seconds.to_string(),
        |seconds| time(seconds.saturating_sub(UNTIL_1970)),
    )
}

/// Tables in another order; readers find each by its name.
fn order(leaf: &mut Leaf, old: &Sfnt, new: &Sfnt) {
    let sorted = |tables: &Sfnt| {
        let mut names = tables.order.clone();
        names.sort();
        names
    };
    if sorted(old) == sorted(new) {
        leaf.add(
            Finding::new("order of tables", old.order.join(" "), new.order.join(" "))
                .because(Cause::Order, Confidence::Proven)
                .keyed("tables of fonts"),
        );
    }
}

/// Compares a table whose fields are known; returns false if it must be compared as bytes.
fn table(leaf: &mut Leaf, change: &Change) -> bool {
    match change.released.name.as_str() {
        "FFTM table" => fontforge(leaf, change).is_some(),
        "name table" => names::compare(leaf, change).is_some(),
        _ => false,
    }
}

/// FontForge's times: of the program, and of the font.
fn fontforge(leaf: &mut Leaf, change: &Change) -> Option<()> {
    const TABLE: usize = 28;
    let (released, rebuilt) = (&change.released.data, &change.rebuilt.data);
    let fits = |table: &[u8]| table.len() == TABLE && table.starts_with(&[0, 0, 0, 1]);
    (fits(released) && fits(rebuilt)).then_some(())?;
    for (at, what, cause) in [
        (4, "FontForge's own time", Cause::ToolVersion),
        (12, "created", Cause::Timestamp),
        (20, "modified", Cause::Timestamp),
    ] {
        let own = |bytes| {
            Numbers {
                bytes,
                little_endian: false,
            }
            .u64(at)
        };
        let (old, new) = (own(released)?, own(rebuilt)?);
        if old != new {
            leaf.add(
                Finding::new(format!("FFTM table, {what}"), since_1904(old), since_1904(new))
                    .because(cause, Confidence::Proven)
                    .keyed(if cause == Cause::Timestamp {
                        "times in fonts"
                    } else {
                        "version of FontForge"
                    }),
            );
        }
    }
    Some(())
}

#[cfg(test)]
mod tests;
