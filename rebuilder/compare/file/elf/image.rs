//! One side of a pair: its sections, with what they hold.

use std::borrow::Cow;
use std::collections::HashMap;

use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SectionFlags, elf};

/// A section with its bytes, decompressed if they are stored compressed.
#[derive(Debug)]
pub(in super::super) struct Section<'a> {
    pub name: String,
    /// Which of the sections with that name.
    pub nth: usize,
    pub address: u64,
    pub size: u64,
    /// Offset and length in the file.
    pub file: (u64, u64),
    pub data: Cow<'a, [u8]>,
    /// Whether it is in memory when the program runs.
    pub loaded: bool,
    pub executable: bool,
}

impl Section<'_> {
    /// Whether the byte at an offset of the file is in it.
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
    /// What must be the same for two files to be comparable at all.
    pub identity: String,
    pub little_endian: bool,
    /// End of everything that a header points at.
    pub end: u64,
    file: object::File<'a>,
}

/// A compressed section may claim any size; more is not unpacked.
const LARGEST_SECTION: u64 = 512 << 20;

impl<'a> Image<'a> {
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let file = object::File::parse(bytes).ok()?;
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut sections = Vec::new();
        let mut end = 0;
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
            end = end.max(range.0.saturating_add(range.1));
            sections.push(Section {
                nth: *nth,
                name,
                address: section.address(),
                size: section.size(),
                file: range,
                data,
                loaded: sh_flags.contains(elf::SHF_ALLOC),
                executable: sh_flags.contains(elf::SHF_EXECINSTR),
            });
            *nth = nth.saturating_add(1);
        }
        let table = section_headers(&file, bytes).unwrap_or_default();
        Some(Self {
            sections,
            identity: format!("{:?} {:?} {:?}", file.architecture(), file.kind(), file.flags()),
            little_endian: file.is_little_endian(),
            end: end.max(table),
            file,
        })
    }

    /// The function that an address is in.
    pub fn symbol_at(&self, address: u64) -> Option<String> {
        let mut symbols = self.file.symbols().chain(self.file.dynamic_symbols());
        let symbol = symbols.find(|symbol| {
            let from = symbol.address();
            let within = address.checked_sub(from);
            symbol.kind() == object::SymbolKind::Text && within.is_some_and(|within| within < symbol.size())
        })?;
        symbol.name().ok().map(str::to_owned)
    }

    /// Where the sections are in the file.
    pub fn layout(&self) -> Vec<(u64, u64)> {
        self.sections.iter().map(|section| section.file).collect()
    }
}

/// Where the table of section headers ends: its offset, and the size of a header times their number.
fn section_headers(file: &object::File, bytes: &[u8]) -> Option<u64> {
    let number = |at: usize, width: usize| -> Option<u64> {
        let field = bytes.get(at..)?.get(..width)?;
        let fold = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if file.is_little_endian() {
            field.iter().rev().fold(0, fold)
        } else {
            field.iter().fold(0, fold)
        })
    };
    let (at, size, count) = if file.is_64() {
        (number(40, 8)?, number(58, 2)?, number(60, 2)?)
    } else {
        (number(32, 4)?, number(46, 2)?, number(48, 2)?)
    };
    Some(at.saturating_add(size.saturating_mul(count)))
}
