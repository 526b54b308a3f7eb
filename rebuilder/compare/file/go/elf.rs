//! A linked 64-bit little-endian ELF file as its tables: what is where in the file and in memory.

use std::borrow::Cow;
use std::ops::Range;

use object::{Object as _, ObjectSection as _, SectionIndex};

use crate::compare::file::regions::{Numbers, span};

pub(super) struct File<'a> {
    bytes: &'a [u8],
    object: object::File<'a>,
    pub sections: Vec<Section<'a>>,
    pub segments: Vec<Segment>,
    tables: [Range<usize>; 2],
}

pub(super) struct Section<'a> {
    /// Name, kind, flags, and what else does not depend on the place of the section.
    fixed: [&'a [u8]; 2],
    kind: u32,
    flags: u64,
    pub address: u64,
    offset: u64,
    pub size: u64,
    /// Its bytes in the file.
    pub data: &'a [u8],
}

/// A part of the file that is loaded, or that describes one.
pub(super) struct Segment {
    /// Kind and flags.
    pub kind: (u32, u32),
    pub align: u64,
    offset: u64,
    pub address: u64,
    pub physical: u64,
    in_file: u64,
    in_memory: u64,
}

/// A file header, an entry of the table of segments, and one of the table of sections.
const SIZES: [usize; 3] = [64, 56, 64];
/// A compressed section may claim any size.
const LARGEST_SECTION: u64 = 512 << 20;

fn numbers(bytes: &[u8]) -> Numbers<'_> {
    Numbers {
        bytes,
        little_endian: true,
    }
}

impl<'a> File<'a> {
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        if !bytes.starts_with(b"\x7fELF\x02\x01") {
            return None;
        }
        let [_, segment, section] = SIZES;
        let tables = [table(bytes, 32, 54, segment)?, table(bytes, 40, 58, section)?];
        let [segments, sections] = &tables;
        let segments = bytes.get(segments.clone())?.chunks_exact(segment);
        let sections = bytes.get(sections.clone())?.chunks_exact(section);
        Some(Self {
            object: object::File::parse(bytes).ok()?,
            sections: sections
                .map(|head| Section::read(head, bytes))
                .collect::<Option<_>>()?,
            segments: segments.map(Segment::read).collect::<Option<_>>()?,
            bytes,
            tables,
        })
    }

    /// All fields of the header except the entry point and the place of the table of sections.
    pub fn identity(&self) -> Option<[&'a [u8]; 3]> {
        let part = |range: Range<usize>| self.bytes.get(range);
        Some([part(0..24)?, part(32..40)?, part(48..64)?])
    }

    pub fn entry(&self) -> Option<u64> {
        numbers(self.bytes).u64(24)
    }

    /// The bytes of a section, decompressed if they are stored compressed.
    pub fn uncompressed(&self, nth: usize) -> Option<Cow<'a, [u8]>> {
        let own = self.sections.get(nth)?;
        if !own.is_compressed() {
            return Some(Cow::Borrowed(own.data));
        }
        let section = self.object.section_by_index(SectionIndex(nth)).ok()?;
        let range = section.compressed_file_range().ok()?;
        (range.uncompressed_size <= LARGEST_SECTION).then_some(())?;
        section.uncompressed_data().ok()
    }

    /// The name of a section that only debuggers read.
    pub fn debug_name(&self, nth: usize) -> Option<String> {
        let section = self.object.section_by_index(SectionIndex(nth)).ok()?;
        let name = section.name().ok()?;
        let is_debug = name.starts_with(".debug_") || name.starts_with(".zdebug_");
        let is_loaded = self.sections.get(nth)?.is_loaded();
        (is_debug && !is_loaded).then(|| name.to_owned())
    }

    /// Whether all bytes between the header, the tables and the sections are zeros.
    pub fn has_only_known_bytes(&self) -> Option<bool> {
        let [header, _, _] = SIZES;
        let mut known = self.tables.to_vec();
        known.push(0..header);
        for section in self.sections.iter().filter(|section| !section.data.is_empty()) {
            known.push(span(usize::try_from(section.offset).ok()?, section.data.len())?);
        }
        known.sort_unstable_by_key(|range| range.start);
        let mut end = 0;
        known.push(self.bytes.len()..self.bytes.len());
        for range in known {
            if range.start > end {
                let gap = self.bytes.get(end..range.start)?;
                if gap.iter().any(|byte| *byte != 0) {
                    return Some(false);
                }
            }
            end = end.max(range.end);
        }
        Some(true)
    }

    /// Whether the segments load every section at the address that its header names, and describe only what is loaded.
    pub fn is_loaded_as_named(&self) -> bool {
        let loaded = |offset: u64, address: u64, size: u64| {
            self.segments
                .iter()
                .any(|segment| segment.loads(offset, address, size))
        };
        let sections = self.sections.iter().filter(|section| section.is_loaded());
        let mut stored = sections.filter(|section| !section.data.is_empty());
        let mut described = self.segments.iter().filter(|segment| segment.in_file > 0);
        stored.all(|own| loaded(own.offset, own.address, own.size))
            && described.all(|own| loaded(own.offset, own.address, own.in_file))
    }
}

/// The place of a table whose entries have the given size.
fn table(bytes: &[u8], offset: usize, size: usize, wanted: usize) -> Option<Range<usize>> {
    let numbers = numbers(bytes);
    let count = numbers.u16(size.checked_add(2)?)?;
    (usize::from(numbers.u16(size)?) == wanted).then_some(())?;
    let at = usize::try_from(numbers.u64(offset)?).ok()?;
    span(at, wanted.checked_mul(usize::from(count))?)
}

/// Whether sections of a kind have bytes in the file: unused headers and zeroed memory have none.
fn is_stored(kind: u32) -> bool {
    const UNUSED: u32 = 0;
    const ZEROED: u32 = 8;
    kind != UNUSED && kind != ZEROED
}

impl<'a> Section<'a> {
    fn read(head: &'a [u8], bytes: &'a [u8]) -> Option<Self> {
        let numbers = numbers(head);
        let (kind, offset, size) = (numbers.u32(4)?, numbers.u64(24)?, numbers.u64(32)?);
        let data = if is_stored(kind) {
            bytes.get(span(usize::try_from(offset).ok()?, usize::try_from(size).ok()?)?)?
        } else {
            &[]
        };
        Some(Self {
            fixed: [head.get(..16)?, head.get(40..)?],
            kind,
            flags: numbers.u64(8)?,
            address: numbers.u64(16)?,
            offset,
            size,
            data,
        })
    }

    /// Whether it has bytes in the file.
    pub fn is_stored(&self) -> bool {
        is_stored(self.kind)
    }

    pub fn is_loaded(&self) -> bool {
        self.flags & 2 != 0
    }

    pub fn is_code(&self) -> bool {
        self.flags & 4 != 0
    }

    pub fn is_symbols(&self) -> bool {
        self.kind == 2
    }

    fn is_compressed(&self) -> bool {
        self.flags & 0x800 != 0
    }

    /// Whether only the places of two sections may differ.
    pub fn is_of_kind(&self, other: &Self) -> bool {
        let placed = self.is_loaded() || self.address == other.address;
        self.fixed == other.fixed && placed
    }

    pub fn end(&self) -> Option<u64> {
        self.address.checked_add(self.size)
    }
}

impl Segment {
    fn read(head: &[u8]) -> Option<Self> {
        let numbers = numbers(head);
        Some(Self {
            kind: (numbers.u32(0)?, numbers.u32(4)?),
            offset: numbers.u64(8)?,
            address: numbers.u64(16)?,
            physical: numbers.u64(24)?,
            in_file: numbers.u64(32)?,
            in_memory: numbers.u64(40)?,
            align: numbers.u64(48)?,
        })
    }

    pub fn end_of_file(&self) -> Option<u64> {
        self.address.checked_add(self.in_file)
    }

    pub fn end_of_memory(&self) -> Option<u64> {
        self.address.checked_add(self.in_memory)
    }

    /// Whether bytes of the file are loaded at an address.
    fn loads(&self, offset: u64, address: u64, size: u64) -> bool {
        const LOADED: u32 = 1;
        let end = offset.checked_add(size);
        let last = self.offset.checked_add(self.in_file);
        self.kind.0 == LOADED
            && offset >= self.offset
            && end.zip(last).is_some_and(|(end, last)| end <= last)
            && offset.wrapping_sub(self.offset) == address.wrapping_sub(self.address)
    }
}
