//! Local and central headers (APPNOTE 4.3.7 and 4.3.12), including the numbers from ZIP64 fields.

use std::io::{self, Read as _};

use super::bytes::{Bytes, Numbers};
use super::extra;

pub(super) const ENCRYPTED: u16 = 1;
/// CRC and sizes follow the data.
pub(super) const LATE_SIZES: u16 = 1 << 3;
pub(super) const STRONG: u16 = 1 << 6;
pub(super) const UTF8: u16 = 1 << 11;
/// The compression level, or details of the method.
pub(super) const LEVEL: u16 = 6;

const MAX: u32 = u32::MAX;

/// The fields that both headers have.
#[derive(Debug, Default, Clone)]
pub(super) struct Header {
    pub needs: u16,
    pub flags: u16,
    pub method: u16,
    /// MS-DOS date and time.
    pub time: (u16, u16),
    pub crc: u32,
    pub packed: u64,
    pub size: u64,
    pub name: Vec<u8>,
    pub extra: Vec<u8>,
    /// The numbers that came from a ZIP64 field, and the rest of that field.
    pub zip64: Zip64,
}

impl Header {
    pub fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// Reads the fields that both headers have in the same order; `at` is the offset of the first one.
    fn fixed(numbers: Numbers, at: usize) -> Self {
        let place = |after: usize| at.saturating_add(after);
        Self {
            needs: numbers.u16(at),
            flags: numbers.u16(place(2)),
            method: numbers.u16(place(4)),
            time: (numbers.u16(place(8)), numbers.u16(place(6))),
            crc: numbers.u32(place(10)),
            packed: u64::from(numbers.u32(place(14))),
            size: u64::from(numbers.u32(place(18))),
            ..Self::default()
        }
    }

    pub fn is_folder(&self) -> bool {
        self.name.ends_with(b"/")
    }
}

/// A local header and its place.
#[derive(Debug, Default)]
pub(super) struct Local {
    pub header: Header,
    pub start: u64,
    /// Offset of the data.
    pub data: u64,
}

impl Local {
    /// `None` if there is no local header.
    pub fn read(bytes: &mut Bytes, start: u64) -> io::Result<Option<Self>> {
        let fixed = bytes.read_at(start, 30)?;
        if fixed.len() < 30 || !fixed.starts_with(b"PK\x03\x04") {
            return Ok(None);
        }
        let numbers = Numbers(&fixed);
        let mut header = Header::fixed(numbers, 4);
        let lengths = [26, 28].map(|at| u64::from(numbers.u16(at)));
        for (field, length) in [&mut header.name, &mut header.extra].into_iter().zip(lengths) {
            bytes.by_ref().take(length).read_to_end(field)?;
        }
        let data = lengths
            .into_iter()
            .fold(start.saturating_add(30), u64::saturating_add);
        if data != bytes.at() {
            return Ok(None);
        }
        let Header {
            extra, size, packed, ..
        } = &mut header;
        header.zip64 = Zip64::resolve(extra, &mut [size, packed], None);
        Ok(Some(Self { header, start, data }))
    }
}

/// A header of the central directory.
#[derive(Debug, Default)]
pub(super) struct Central {
    pub header: Header,
    /// Version and system of the program that wrote the entry.
    pub made: u16,
    pub comment: Vec<u8>,
    pub disk: u32,
    pub internal: u16,
    pub external: u32,
    /// Offset of its local header, as stored.
    pub offset: u64,
}

impl Central {
    /// `None` if there is no central header.
    pub fn read(bytes: &mut Bytes) -> io::Result<Option<Self>> {
        if !bytes_follow(bytes, b"PK\x01\x02")? {
            return Ok(None);
        }
        let mut fixed = [0; 46];
        bytes.read_exact(&mut fixed)?;
        let numbers = Numbers(&fixed);
        let mut central = Self {
            header: Header::fixed(numbers, 6),
            made: numbers.u16(4),
            disk: u32::from(numbers.u16(34)),
            internal: numbers.u16(36),
            external: numbers.u32(38),
            offset: u64::from(numbers.u32(42)),
            ..Self::default()
        };
        let header = &mut central.header;
        let fields = [&mut header.name, &mut header.extra, &mut central.comment];
        for (field, at) in fields.into_iter().zip([28, 30, 32]) {
            field.resize(usize::from(numbers.u16(at)), 0);
            bytes.read_exact(field)?;
        }
        let Header {
            extra, size, packed, ..
        } = header;
        let mut replaced = [size, packed, &mut central.offset];
        header.zip64 = Zip64::resolve(extra, &mut replaced, Some(&mut central.disk));
        Ok(Some(central))
    }

    /// The system on which the entry was written (APPNOTE 4.4.2).
    pub fn system(&self) -> u8 {
        self.made.to_be_bytes()[0]
    }

    /// Whether the upper attributes are those of Unix.
    pub fn is_unix(&self) -> bool {
        matches!(self.system(), 3 | 19)
    }

    pub fn system_name(&self) -> String {
        match self.system() {
            0 => "Dos".into(),
            3 => "Unix".into(),
            10 => "Ntfs".into(),
            14 => "Vfat".into(),
            19 => "OsX".into(),
            other => format!("system {other}"),
        }
    }
}

fn bytes_follow(bytes: &mut Bytes, signature: &[u8]) -> io::Result<bool> {
    let at = bytes.at();
    let found = bytes.read_at(at, signature.len())? == signature;
    bytes.go(at)?;
    Ok(found)
}

/// The content of a ZIP64 field (APPNOTE 4.5.3).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Zip64 {
    /// Number of values that it replaces; `None` if there is no such field.
    pub replaces: Option<u8>,
    /// The rest of the field.
    pub rest: Vec<u8>,
}

impl Zip64 {
    /// Replaces each value that is all ones by the next one in the field.
    fn resolve(extra: &[u8], numbers: &mut [&mut u64], disk: Option<&mut u32>) -> Self {
        let Some(mut rest) = extra::find(extra, extra::ZIP64) else {
            return Self::default();
        };
        let mut replaces = 0_u8;
        for number in numbers.iter_mut() {
            if **number == u64::from(MAX)
                && let Some((own, behind)) = rest.split_first_chunk()
            {
                **number = u64::from_le_bytes(*own);
                (rest, replaces) = (behind, replaces.saturating_add(1));
            }
        }
        if let Some(disk) = disk
            && *disk == u32::from(u16::MAX)
            && let Some((own, behind)) = rest.split_first_chunk()
        {
            *disk = u32::from_le_bytes(*own);
            (rest, replaces) = (behind, replaces.saturating_add(1));
        }
        Self {
            replaces: Some(replaces),
            rest: rest.to_vec(),
        }
    }
}
