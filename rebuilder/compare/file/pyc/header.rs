//! The header of compiled Python (PEP 552): which Python wrote it, and for which source.

use super::version::{self, Version};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::file::comparator::Leaf;
use crate::compare::finding::Finding;
use crate::compare::normalise::Normalisation;

/// ```text
///  0      2      4        8                    12                16
///  │ magic│ \r\n │ flags  │ time of the source │ size of source │ code …
///                         │ or its hash, if bit 0 of the flags is set │
/// ```
///
/// Until Python 3.6 there are no flags, and in Python 2 no size.
pub(super) struct Header<'a> {
    pub magic: u16,
    /// `None` if this version of Python is not known here.
    pub version: Option<Version>,
    flags: u32,
    time: u32,
    size: Option<u32>,
    /// The rest of the file: the code.
    pub code: &'a [u8],
}

/// Bits of the flags.
const HASHED: u32 = 1;
const CHECKED: u32 = 2;

impl<'a> Header<'a> {
    /// `None` if the bytes do not begin like compiled Python, or have flags that Python refuses.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<2>()?;
        let magic = u16::from_le_bytes(*magic);
        if !rest.starts_with(b"\r\n") {
            return None;
        }
        let version = version::of(magic);
        let (words, code) = bytes.split_at_checked(version.map_or(4, |version| version.header))?;
        let (words, _) = words.as_chunks::<4>();
        let mut words = words.iter().skip(1).map(|word| u32::from_le_bytes(*word));
        let has_flags = words.len() == 3;
        let header = Self {
            magic,
            version,
            flags: if has_flags { words.next()? } else { 0 },
            time: words.next().unwrap_or(0),
            size: words.next(),
            code,
        };
        (header.flags & !(HASHED | CHECKED) == 0).then_some(header)
    }

    /// Whether the header has the hash of the source instead of its time and size.
    fn is_hashed(&self) -> bool {
        self.flags & HASHED != 0
    }

    fn hash(&self) -> String {
        hex::encode([self.time.to_le_bytes(), self.size.unwrap_or(0).to_le_bytes()].concat())
    }

    fn told_time(&self) -> String {
        jiff::Timestamp::from_second(i64::from(self.time))
            .map_or_else(|_| self.time.to_string(), |time| time.to_string())
    }

    fn told_size(&self) -> String {
        self.size.map(|size| format!("{size} bytes")).unwrap_or_default()
    }

    /// How Python detects that the source has changed.
    fn invalidation(&self) -> &'static str {
        match (self.is_hashed(), self.flags & CHECKED != 0) {
            (false, _) => "by time and size",
            (true, true) => "by hash",
            (true, false) => "never",
        }
    }
}

/// Compares headers of the same version of Python.
pub(super) fn compare(leaf: &mut Leaf, old: &Header, new: &Header) {
    if old.flags != new.flags {
        let told = |header: &Header| {
            let source = if header.is_hashed() {
                header.hash()
            } else {
                format!("{}, {}", header.told_time(), header.told_size())
            };
            format!("flags {}: {} ({source})", header.flags, header.invalidation())
        };
        leaf.add(
            Finding::new("check for another source", told(old), told(new))
                .because(Cause::ToolVersion, Confidence::Likely)
                .keyed("invalidation mode of .pyc files"),
        );
        if old.is_hashed() != new.is_hashed() {
            return;
        }
    }
    if old.is_hashed() {
        if old.hash() != new.hash() {
            leaf.add(
                Finding::new("hash of the source", old.hash(), new.hash()).keyed("source of .pyc files"),
            );
        }
        return;
    }
    if old.time != new.time {
        leaf.add(
            Finding::new("time of the source", old.told_time(), new.told_time())
                .because(Cause::Timestamp, Confidence::Proven)
                .keyed("time of the source in .pyc files")
                .set_aside_by(Normalisation::PycSourceTime),
        );
    }
    if old.size != new.size {
        leaf.add(
            Finding::new("size of the source", old.told_size(), new.told_size())
                .keyed("source of .pyc files"),
        );
    }
}
