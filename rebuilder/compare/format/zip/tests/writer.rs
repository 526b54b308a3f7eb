//! A writer of zip files that writes whatever it is told, correct or not.

use std::io::Write as _;

use crate::compare::format::zip::data::crc;

/// One entry; the defaults are those of an ordinary tool.
#[derive(Clone)]
pub(super) struct Entry {
    pub name: Vec<u8>,
    pub data: Vec<u8>,
    /// The stored bytes, if they are not derived from `data`.
    pub packed: Option<Vec<u8>>,
    pub method: u16,
    pub level: u32,
    pub flags: u16,
    pub needs: u16,
    pub made: u16,
    pub internal: u16,
    pub external: u32,
    /// MS-DOS date and time.
    pub time: (u16, u16),
    pub local_extra: Vec<u8>,
    pub central_extra: Vec<u8>,
    pub comment: Vec<u8>,
    pub descriptor: Option<Descriptor>,
    /// Bytes after the entry.
    pub behind: Vec<u8>,
    /// Overwrites bytes of the local or central header.
    pub local_patch: Vec<(usize, Vec<u8>)>,
    pub central_patch: Vec<(usize, Vec<u8>)>,
}

#[derive(Clone, Copy)]
pub(super) struct Descriptor {
    pub is_signed: bool,
    pub is_long: bool,
    pub crc: Option<u32>,
}

pub(super) const DATE: u16 = 44 << 9 | 1 << 5 | 2;
pub(super) const CLOCK: u16 = 3 << 11 | 4 << 5 | 3;

pub(super) fn entry(name: &str, data: &str) -> Entry {
    Entry {
        name: name.into(),
        data: data.into(),
        packed: None,
        method: 0,
        level: 6,
        flags: 0,
        needs: 20,
        made: 0x0314,
        internal: 0,
        external: 0o100_644 << 16,
        time: (DATE, CLOCK),
        local_extra: Vec::new(),
        central_extra: Vec::new(),
        comment: Vec::new(),
        descriptor: None,
        behind: Vec::new(),
        local_patch: Vec::new(),
        central_patch: Vec::new(),
    }
}

impl Entry {
    /// A copy with a change.
    pub fn but(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut other = self.clone();
        change(&mut other);
        other
    }

    /// A copy that is five minutes later.
    pub fn later(&self) -> Self {
        self.but(|entry| entry.time.1 += 5 << 5)
    }

    pub fn deflated(&self) -> Self {
        self.but(|entry| entry.method = 8)
    }

    fn packed(&self) -> Vec<u8> {
        if let Some(packed) = &self.packed {
            return packed.clone();
        }
        if self.method != 8 {
            return self.data.clone();
        }
        let level = flate2::Compression::new(self.level);
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
        encoder.write_all(&self.data).unwrap();
        encoder.finish().unwrap()
    }
}

fn numbers(shorts: &[u16], longs: &[u32], more: &[u16]) -> Vec<u8> {
    let shorts = shorts.iter().flat_map(|number| number.to_le_bytes());
    let longs = longs.iter().flat_map(|number| number.to_le_bytes());
    let more = more.iter().flat_map(|number| number.to_le_bytes());
    shorts.chain(longs).chain(more).collect()
}

fn patched(mut bytes: Vec<u8>, patches: &[(usize, Vec<u8>)]) -> Vec<u8> {
    for (at, patch) in patches {
        bytes.splice(*at..*at + patch.len(), patch.iter().copied());
    }
    bytes
}

/// Everything around the entries.
#[derive(Clone, Default)]
pub(super) struct Around {
    pub prefix: Vec<u8>,
    /// Whether offsets leave the prefix out.
    pub is_shifted: bool,
    pub before_directory: Vec<u8>,
    pub behind_directory: Vec<u8>,
    pub comment: Vec<u8>,
    pub after: Vec<u8>,
    pub is_zip64: bool,
    pub end_patch: Vec<(usize, Vec<u8>)>,
}

pub(super) fn zip(entries: &[Entry]) -> Vec<u8> {
    zip_in(&Around::default(), entries)
}

pub(super) fn zip_in(around: &Around, entries: &[Entry]) -> Vec<u8> {
    let mut out = around.prefix.clone();
    let shift = if around.is_shifted { out.len() } else { 0 };
    let mut directory = Vec::new();
    for entry in entries {
        let offset = (out.len() - shift) as u32;
        out.extend(entry.local());
        directory.extend(entry.central(offset));
    }
    out.extend(&around.before_directory);
    let (start, size, count) = (out.len() - shift, directory.len(), entries.len());
    out.extend(directory);
    out.extend(&around.behind_directory);
    if around.is_zip64 {
        out.extend(zip64_records(out.len(), count, size, start));
    }
    let end = numbers(
        &[0, 0, count as u16, count as u16],
        &[size as u32, start as u32],
        &[around.comment.len() as u16],
    );
    let end = [b"PK\x05\x06".as_slice(), &end, &around.comment].concat();
    out.extend(patched(end, &around.end_patch));
    out.extend(&around.after);
    out
}

/// The ZIP64 end record, which begins at `at`, and its locator.
fn zip64_records(at: usize, count: usize, size: usize, start: usize) -> Vec<u8> {
    let mut out = b"PK\x06\x06".to_vec();
    out.extend(44_u64.to_le_bytes());
    out.extend([45, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for number in [count, count, size, start] {
        out.extend((number as u64).to_le_bytes());
    }
    out.extend(b"PK\x06\x07\0\0\0\0");
    out.extend((at as u64).to_le_bytes());
    out.extend(1_u32.to_le_bytes());
    out
}

impl Entry {
    /// CRC-32, compressed and uncompressed size.
    fn sizes(&self) -> [u32; 3] {
        [
            crc(&self.data),
            self.packed().len() as u32,
            self.data.len() as u32,
        ]
    }

    /// The beginning of both headers.
    fn common(&self) -> [u16; 5] {
        let late = if self.descriptor.is_some() { 8 } else { 0 };
        [
            self.needs,
            self.flags | late,
            self.method,
            self.time.1,
            self.time.0,
        ]
    }

    /// The local header, the data, and the bytes after it.
    fn local(&self) -> Vec<u8> {
        let sizes = self.sizes();
        let early = if self.descriptor.is_some() { [0; 3] } else { sizes };
        let lengths = [self.name.len() as u16, self.local_extra.len() as u16];
        let header = [
            b"PK\x03\x04".as_slice(),
            &numbers(&self.common(), &early, &lengths),
            &self.name,
            &self.local_extra,
        ]
        .concat();
        let mut out = patched(header, &self.local_patch);
        out.extend(self.packed());
        if let Some(descriptor) = self.descriptor {
            if descriptor.is_signed {
                out.extend(b"PK\x07\x08");
            }
            out.extend(descriptor.crc.unwrap_or(sizes[0]).to_le_bytes());
            for size in &sizes[1..] {
                out.extend(size.to_le_bytes());
                if descriptor.is_long {
                    out.extend([0; 4]);
                }
            }
        }
        out.extend(&self.behind);
        out
    }

    /// The header in the directory for an entry that begins at `offset`.
    fn central(&self, offset: u32) -> Vec<u8> {
        let lengths = [
            self.name.len() as u16,
            self.central_extra.len() as u16,
            self.comment.len() as u16,
            0,
            self.internal,
        ];
        let central = [
            b"PK\x01\x02".as_slice(),
            &self.made.to_le_bytes(),
            &numbers(&self.common(), &self.sizes(), &lengths),
            &self.external.to_le_bytes(),
            &offset.to_le_bytes(),
            &self.name,
            &self.central_extra,
            &self.comment,
        ]
        .concat();
        patched(central, &self.central_patch)
    }
}

/// One record of an extra field.
pub(super) fn record(id: u16, data: &[u8]) -> Vec<u8> {
    [&id.to_le_bytes(), &(data.len() as u16).to_le_bytes(), data].concat()
}

/// The record of a time of modification.
pub(super) fn unix_time(seconds: i32) -> Vec<u8> {
    record(0x5455, &[[1].as_slice(), &seconds.to_le_bytes()].concat())
}
