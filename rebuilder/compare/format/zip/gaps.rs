//! Bytes after the data of an entry: its data descriptor (APPNOTE 4.3.9), and bytes that belong to nothing.

use std::io;

use super::bytes::{Bytes, Numbers};
use super::header::{Header, LATE_SIZES};

/// The form of a data descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Descriptor {
    pub is_signed: bool,
    /// Whether its sizes have 64 bits.
    pub is_long: bool,
}

impl Descriptor {
    fn length(self) -> u64 {
        match (self.is_signed, self.is_long) {
            (false, false) => 12,
            (true, false) => 16,
            (false, true) => 20,
            (true, true) => 24,
        }
    }

    pub fn text(self) -> String {
        let signed = if self.is_signed { "signed" } else { "unsigned" };
        let bits = if self.is_long { 64 } else { 32 };
        format!("{signed}, {bits} bits")
    }
}

/// The descriptor of an entry whose data ends at `from`, if it exists and is correct, and its end.
pub(super) fn descriptor(
    bytes: &mut Bytes,
    header: &Header,
    from: u64,
    next: u64,
) -> io::Result<(Option<Descriptor>, u64)> {
    if !header.has(LATE_SIZES) {
        return Ok((None, from));
    }
    let room = usize::try_from(next.saturating_sub(from)).unwrap_or(usize::MAX);
    let found = bytes.read_at(from, room.min(24))?;
    for is_signed in [true, false] {
        let rest = if is_signed {
            found.strip_prefix(b"PK\x07\x08".as_slice())
        } else {
            Some(found.as_slice())
        };
        let Some(rest) = rest.filter(|rest| rest.len() >= 12 && Numbers(rest).u32(0) == header.crc) else {
            continue;
        };
        let numbers = Numbers(rest);
        let wanted = (header.packed, header.size);
        let short = (u64::from(numbers.u32(4)), u64::from(numbers.u32(8)));
        let is_long = rest.len() >= 20 && (numbers.u64(4), numbers.u64(12)) == wanted;
        if is_long || short == wanted {
            let descriptor = Descriptor { is_signed, is_long };
            return Ok((Some(descriptor), from.saturating_add(descriptor.length())));
        }
    }
    Ok((None, from))
}
