//! The basic encodings of modules.

use std::ops::Range;

use super::super::regions::span;

#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

impl<'a> Input<'a> {
    pub fn byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at)?;
        self.at = self.at.checked_add(1)?;
        Some(*byte)
    }

    /// An unsigned number of at most 32 bits, in LEB128.
    pub fn size(&mut self) -> Option<usize> {
        const MOST_BITS: u32 = 35;
        let mut number: u64 = 0;
        for shift in (0..MOST_BITS).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return usize::try_from(u32::try_from(number).ok()?).ok();
            }
        }
        None
    }

    pub fn take(&mut self, length: usize) -> Option<Range<usize>> {
        let taken = span(self.at, length).filter(|taken| taken.end <= self.bytes.len())?;
        self.at = taken.end;
        Some(taken)
    }

    pub fn name(&mut self) -> Option<&'a str> {
        let length = self.size()?;
        let taken = self.take(length)?;
        std::str::from_utf8(self.bytes.get(taken)?).ok()
    }
}
