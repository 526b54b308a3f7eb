//! How much a root may unpack to, over all of its layers or packages.

use std::io;
use std::sync::{Mutex, PoisonError};

/// Maximum number of bytes, and of entries; more than that is an archive bomb.
pub(super) const BYTES: u64 = 64 << 30;
const ENTRIES: u64 = 4 << 20;

/// The bytes and the entries that may still be unpacked.
#[derive(Debug)]
pub(super) struct Room(Mutex<(u64, u64)>);

impl Default for Room {
    fn default() -> Self {
        Self::of(BYTES, ENTRIES)
    }
}

impl Room {
    /// Room for this many bytes and entries.
    pub(super) fn of(bytes: u64, entries: u64) -> Self {
        Self(Mutex::new((bytes, entries)))
    }

    /// Takes the room of one entry. A sparse file counts with its full size, not with the bytes that are stored.
    pub(super) fn take(&self, size: u64) -> io::Result<()> {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (bytes, entries) = *left;
        let rest = bytes.checked_sub(size).zip(entries.checked_sub(1));
        *left = rest.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("it holds more than {BYTES} bytes or {ENTRIES} entries"),
            )
        })?;
        Ok(())
    }
}
