//! One side of a pair: its sections and their content.

use std::borrow::Cow;
use std::collections::HashMap;

use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SectionFlags, elf};

/// A section with its bytes, decompressed if they are stored compressed.
#[derive(Debug)]
pub(in super::super) struct Section<'a> {
    pub name: String,
    /// Index of its header in the table.
    pub index: usize,
    /// Its position among the sections with the same name.
    pub nth: usize,
    pub address: u64,
    pub size: u64,
    /// Offset and length in the file.
    pub file: (u64, u64),
    pub data: Cow<'a, [u8]>,
    /// Whether it is loaded when the program runs.
    pub loaded: bool,
    pub executable: bool,
}

impl Section<'_> {
    /// Its name, and its position among the sections with the same name.
    pub fn numbered(&self) -> (&str, usize) {
        (&self.name, self.nth)
    }

    /// Whether it contains a build-id note and nothing else.
    pub fn is_build_id(&self) -> bool {
        const LONGEST: u32 = 64;
        let words = |read: fn([u8; 4]) -> u32| {
            let (words, _) = self.data.as_chunks::<4>();
            let mut words = words.iter().map(|word| read(*word));
            let (name, length, kind) = (words.next()?, words.next()?, words.next()?);
            let whole = usize::try_from(length.checked_next_multiple_of(4)?)
                .ok()?
                .checked_add(16)?;
            Some(name == 4 && kind == 3 && length <= LONGEST && whole == self.data.len())
        };
        let is_note = words(u32::from_le_bytes) == Some(true) || words(u32::from_be_bytes) == Some(true);
        let vendor = self.data.get(12..16) == Some(b"GNU\0".as_slice());
        self.name == super::BUILD_ID && !self.executable && is_note && vendor
    }

    /// Whether it contains the name of a file with debug information and nothing else.
    pub fn is_debug_link(&self) -> bool {
        const CRC: usize = 4;
        let end = self.data.iter().position(|byte| *byte == 0);
        let padding = end.and_then(|end| self.data.get(end..self.data.len().checked_sub(CRC)?));
        self.name == super::DEBUG_LINK
            && !self.loaded
            && padding.is_some_and(|zeros| zeros.len() <= CRC && zeros.iter().all(|byte| *byte == 0))
    }

    /// Whether the byte at a file offset belongs to it.
    pub fn has(&self, at: usize) -> bool {
        let (start, length) = self.file;
        (at as u64)
            .checked_sub(start)
            .is_some_and(|within| within < length)
    }
}

/// An ELF file.
pub(in super::super) struct Image<'a> {
    pub sections: Vec<Section<'a>>,
    /// The properties that must be equal for two files to be compared at all.
    pub identity: String,
    pub little_endian: bool,
    pub(super) file: object::File<'a>,
}

/// A compressed section may claim any size; larger ones are not decompressed.
const LARGEST_SECTION: u64 = 512 << 20;

impl<'a> Image<'a> {
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let file = object::File::parse(bytes).ok()?;
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut sections = Vec::new();
        let segments = super::headers::loaded(&file);
        for section in file.sections() {
            let name = String::from_utf8_lossy(section.name_bytes().ok()?).into_owned();
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else {
                return None;
            };
            let nth = seen.entry(name.clone()).or_default();
            let compressed = section.compressed_file_range().ok()?;
            let data = if compressed.uncompressed_size > LARGEST_SECTION {
                Cow::Borrowed(section.data().ok()?)
            } else {
                section
                    .uncompressed_data()
                    .or_else(|_| section.data().map(Cow::Borrowed))
                    .ok()?
            };
            let range = section.file_range().unwrap_or((0, 0));
            sections.push(Section {
                index: section.index().0,
                nth: *nth,
                name,
                address: section.address(),
                size: section.size(),
                file: range,
                data,
                // Whatever a section's flags say, the segments are loaded.
                loaded: sh_flags.contains(elf::SHF_ALLOC) || overlaps(&segments, range),
                executable: sh_flags.contains(elf::SHF_EXECINSTR),
            });
            *nth = nth.saturating_add(1);
        }
        Some(Self {
            sections,
            identity: format!("{:?} {:?} {:?}", file.architecture(), file.kind(), file.flags()),
            little_endian: file.is_little_endian(),
            file,
        })
    }

    pub fn is_64(&self) -> bool {
        self.file.is_64()
    }

    /// Whether a linker still has to process it.
    pub fn is_relocatable(&self) -> bool {
        self.file.kind() == object::ObjectKind::Relocatable
    }

    /// The function at an address.
    pub fn symbol_at(&self, address: u64) -> Option<String> {
        let mut symbols = self.file.symbols().chain(self.file.dynamic_symbols());
        let symbol = symbols.find(|symbol| {
            let from = symbol.address();
            let within = address.checked_sub(from);
            symbol.kind() == object::SymbolKind::Text && within.is_some_and(|within| within < symbol.size())
        })?;
        symbol.name().ok().map(str::to_owned)
    }

    /// The offsets and lengths of the sections in the file.
    pub fn layout(&self) -> Vec<(u64, u64)> {
        self.sections.iter().map(|section| section.file).collect()
    }
}

fn overlaps(segments: &[(u64, u64)], (from, length): (u64, u64)) -> bool {
    segments
        .iter()
        .any(|(start, size)| from < start.saturating_add(*size) && *start < from.saturating_add(length))
}
