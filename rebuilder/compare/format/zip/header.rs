//! Local and central headers, for what the zip reader does not give.

use std::io::{self, Read, Seek, SeekFrom};

pub(super) const UTF8: u16 = 1 << 11;
pub(super) const LATE_SIZES: u16 = 1 << 3;

/// A number in a record; zero if the record is cut off, which its callers rule out.
pub(super) fn number(bytes: &[u8], at: usize) -> u16 {
    let bytes = bytes.get(at..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u16::from_le_bytes(*bytes))
}

/// What a local header says (APPNOTE 4.3.7); the zip reader itself goes by the central directory.
pub(super) struct LocalHeader {
    pub start: u64,
    pub needs: u16,
    pub flags: u16,
    pub time: (u16, u16),
    pub name: Vec<u8>,
    pub extra: Vec<u8>,
    pub end: u64,
}

impl LocalHeader {
    pub fn read(reader: &mut (impl Read + Seek), start: u64) -> io::Result<Self> {
        let mut fixed = [0; 30];
        reader.seek(SeekFrom::Start(start))?;
        reader.read_exact(&mut fixed)?;
        let mut name = vec![0; usize::from(number(&fixed, 26))];
        let mut extra = vec![0; usize::from(number(&fixed, 28))];
        reader.read_exact(&mut name)?;
        reader.read_exact(&mut extra)?;
        Ok(Self {
            start,
            needs: number(&fixed, 4),
            flags: number(&fixed, 6),
            time: (number(&fixed, 12), number(&fixed, 10)),
            end: [30, name.len(), extra.len()]
                .into_iter()
                .fold(start, |end, length| end.saturating_add(length as u64)),
            name,
            extra,
        })
    }
}

/// What the zip reader does not give of a central header (APPNOTE 4.3.12).
pub(super) struct CentralHeader {
    pub flags: u16,
    pub time: (u16, u16),
    pub internal: u16,
    pub extra: Vec<u8>,
    pub end: u64,
}

impl CentralHeader {
    /// Whether CRC and sizes are stored after the data.
    pub fn has_late_sizes(&self) -> bool {
        self.flags & LATE_SIZES != 0
    }

    pub fn read(reader: &mut (impl Read + Seek), start: u64) -> io::Result<Self> {
        let mut fixed = [0; 46];
        reader.seek(SeekFrom::Start(start))?;
        reader.read_exact(&mut fixed)?;
        let name = i64::from(number(&fixed, 28));
        let mut extra = vec![0; usize::from(number(&fixed, 30))];
        reader.seek(SeekFrom::Current(name))?;
        reader.read_exact(&mut extra)?;
        let lengths = [28, 30, 32].map(|at| u64::from(number(&fixed, at)));
        Ok(Self {
            flags: number(&fixed, 8),
            time: (number(&fixed, 14), number(&fixed, 12)),
            internal: number(&fixed, 36),
            end: lengths
                .into_iter()
                .fold(start.saturating_add(46), u64::saturating_add),
            extra,
        })
    }
}
