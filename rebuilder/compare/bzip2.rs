//! bzip2: streams one after another, each with the size of its blocks.

use std::io;

use bzip2::{Decompress, Status};

use super::streams::{Facts, Framing, Input, Step};

pub(super) struct Bzip2(Decompress);

/// The end of a stream without a block, whose checksum is zero.
const EMPTY: [u8; 10] = [0x17, 0x72, 0x45, 0x38, 0x50, 0x90, 0, 0, 0, 0];

/// Whether the bytes are the header of a stream, followed by that of its first block or by its end.
pub(super) fn is_header(head: &[u8]) -> bool {
    const BLOCK: [u8; 6] = [0x31, 0x41, 0x59, 0x26, 0x53, 0x59];
    const END: [u8; 6] = [0x17, 0x72, 0x45, 0x38, 0x50, 0x90];
    match head {
        [b'B', b'Z', b'h', b'1'..=b'9', rest @ ..] => rest.starts_with(&BLOCK) || rest.starts_with(&END),
        _ => false,
    }
}

impl Bzip2 {
    pub fn new() -> Self {
        Self(Decompress::new(false))
    }
}

impl Framing for Bzip2 {
    fn begin(&mut self, input: &mut Input, facts: &mut Facts) -> io::Result<bool> {
        // A decoder uses much memory, and there may be many streams without a block.
        while let [b'B', b'Z', b'h', b'1'..=b'9', rest @ ..] = input.peek(14)?
            && rest.starts_with(&EMPTY)
        {
            input.consume(14);
            facts.end = input.offset;
        }
        let begins = is_header(input.peek(10)?);
        if begins && self.0.total_in() > 0 {
            *self = Self::new();
        }
        Ok(begins)
    }

    fn decode(&mut self, input: &mut Input, output: &mut [u8]) -> io::Result<Step> {
        let before = (self.0.total_in(), self.0.total_out());
        let status = self.0.decompress(input.peek(1)?, output)?;
        let since = |now: u64, before: u64| usize::try_from(now.saturating_sub(before)).unwrap_or(0);
        let read = since(self.0.total_in(), before.0);
        input.consume(read);
        Ok(Step {
            read,
            written: since(self.0.total_out(), before.1),
            end: status == Status::StreamEnd,
        })
    }
}
