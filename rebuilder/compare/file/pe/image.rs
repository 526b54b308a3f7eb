//! One side of a pair: the headers, sections and directories of an executable (Microsoft's "PE Format").

use std::ops::Range;

use super::super::regions::{Numbers, Regions, span};

/// Indices of the data directories that are read.
pub(super) const EXPORTS: usize = 0;
pub(super) const RESOURCES: usize = 2;
pub(super) const CERTIFICATES: usize = 4;
pub(super) const DEBUG: usize = 6;

pub(super) struct Image<'a> {
    pub bytes: &'a [u8],
    pub regions: Regions<'a>,
    /// Offset of the COFF header, after the signature.
    pub coff: usize,
    /// Offset of the optional header.
    pub optional: usize,
    directories: usize,
    count: usize,
    sections: Vec<Section>,
}

struct Section {
    address: usize,
    file: Range<usize>,
}

impl<'a> Image<'a> {
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        const PE_OFFSET: usize = 0x3c;
        const MOST_SECTIONS: usize = 4096;
        const SECTION: usize = 40;
        let numbers = Numbers {
            bytes,
            little_endian: true,
        };
        let start = numbers.size(PE_OFFSET)?;
        bytes.get(start..)?.starts_with(b"PE\0\0").then_some(())?;
        let coff = start.checked_add(4)?;
        let optional = coff.checked_add(20)?;
        let size = usize::from(numbers.u16(coff.checked_add(16)?)?);
        let table = optional.checked_add(size)?;
        let before = match numbers.u16(optional)? {
            0x10b => 92,
            0x20b => 108,
            _ => return None,
        };
        let directories = optional.checked_add(before)?;
        let sections = usize::from(numbers.u16(coff.checked_add(2)?)?);
        (sections <= MOST_SECTIONS).then_some(())?;
        let mut image = Self {
            bytes,
            regions: Regions { parts: Vec::new() },
            coff,
            optional,
            directories: directories.checked_add(4)?,
            count: numbers.size(directories)?.min(16),
            sections: Vec::new(),
        };
        let end = table.checked_add(sections.checked_mul(SECTION)?)?;
        let mut named = vec![
            (0..start, "DOS header and stub".to_owned()),
            (start..table, "PE header".to_owned()),
            (table..end, "section table".to_owned()),
        ];
        for at in (table..end).step_by(SECTION) {
            let name = bytes.get(at..)?.get(..8)?;
            let name = String::from_utf8_lossy(name).trim_end_matches('\0').to_owned();
            let file = span(
                numbers.size(at.checked_add(20)?)?,
                numbers.size(at.checked_add(16)?)?,
            )?;
            named.push((file.clone(), name));
            image.sections.push(Section {
                address: numbers.size(at.checked_add(12)?)?,
                file,
            });
        }
        // Go's linker puts them into a section, which is compared as one.
        let in_section = |symbols: &Range<usize>| {
            let mut sections = image.sections.iter().map(|section| &section.file);
            sections.any(|file| file.start <= symbols.start && symbols.end <= file.end)
        };
        if let Some(symbols) = image.symbols().filter(|symbols| !in_section(symbols)) {
            named.push((symbols, "COFF symbols".to_owned()));
        }
        if let Some((table, _)) = image.certificates() {
            named.push((table, "certificate table".to_owned()));
        }
        image.regions = Regions::new(bytes, named)?;
        Some(image)
    }

    pub fn numbers(&self) -> Numbers<'a> {
        Numbers {
            bytes: self.bytes,
            little_endian: true,
        }
    }

    /// The time of linking in seconds since 1970, or a hash.
    pub fn linked(&self) -> Option<u32> {
        self.numbers().u32(self.coff.checked_add(4)?)
    }

    /// Address and size in a data directory, and where the file stores these.
    pub fn directory(&self, nth: usize) -> Option<(usize, usize, Range<usize>)> {
        let at = self.directories.checked_add(nth.checked_mul(8)?)?;
        let (address, size) = (self.numbers().size(at)?, self.numbers().size(at.checked_add(4)?)?);
        (nth < self.count && address != 0 && size != 0).then_some((address, size, span(at, 8)?))
    }

    /// The file offset of an address.
    pub fn offset(&self, address: usize) -> Option<usize> {
        self.sections.iter().find_map(|section| {
            let within = address.checked_sub(section.address)?;
            (within < section.file.len()).then_some(section.file.start.checked_add(within)?)
        })
    }

    /// The symbol table that GNU linkers append, with its strings.
    fn symbols(&self) -> Option<Range<usize>> {
        const SYMBOL: usize = 18;
        let at = self.numbers().size(self.coff.checked_add(8)?)?;
        let count = self.numbers().size(self.coff.checked_add(12)?)?;
        let strings = at.checked_add(count.checked_mul(SYMBOL)?)?;
        let end = strings.checked_add(self.numbers().size(strings)?)?;
        (at != 0 && count != 0 && end <= self.bytes.len()).then_some(at..end)
    }

    /// The signatures at the end of the file, and the first of them. `None` if the table contains anything else.
    pub fn certificates(&self) -> Option<(Range<usize>, &'a [u8])> {
        const HEADER: usize = 8;
        const REVISION_2: u16 = 0x200;
        const PKCS_SIGNED_DATA: u16 = 2;
        let (start, size, _) = self.directory(CERTIFICATES)?;
        let table = span(start, size)?;
        (table.end == self.bytes.len()).then_some(())?;
        let mut at = start;
        let mut first = None;
        while at < table.end {
            let length = self.numbers().size(at)?;
            let known = self.numbers().u16(at.checked_add(4)?)? == REVISION_2
                && self.numbers().u16(at.checked_add(6)?)? == PKCS_SIGNED_DATA;
            let entry = span(at, length)?;
            let data = self.bytes.get(entry.clone())?.get(HEADER..)?;
            (known && is_signed_data(data)).then_some(())?;
            first = first.or(Some(data));
            at = entry.end.checked_next_multiple_of(8)?;
            let padding = self.bytes.get(entry.end..at.min(table.end))?;
            padding.iter().all(|byte| *byte == 0).then_some(())?;
        }
        Some((table, first?))
    }
}

/// Whether the data is a `ContentInfo` with signed data (RFC 5652), followed by less than eight zeros.
fn is_signed_data(data: &[u8]) -> bool {
    const OID: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
    let Some((header, length)) = sequence(data) else {
        return false;
    };
    let end = header.saturating_add(length);
    let padding = data.get(end..);
    data.get(header..).is_some_and(|content| content.starts_with(OID))
        && padding.is_some_and(|rest| rest.len() < 8 && rest.iter().all(|byte| *byte == 0))
}

/// Lengths of the header and the content of a DER sequence.
fn sequence(data: &[u8]) -> Option<(usize, usize)> {
    let [0x30, first, rest @ ..] = data else {
        return None;
    };
    if *first < 0x80 {
        return Some((2, usize::from(*first)));
    }
    let bytes = usize::from(first & 0x7f);
    (1..=4).contains(&bytes).then_some(())?;
    let length = rest
        .get(..bytes)?
        .iter()
        .fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
    Some((bytes.checked_add(2)?, length))
}
