//! LZ4 frames (`lz4_Frame_format.md`, version 1.6): blocks with their checksums, and skippable frames.

use std::hash::Hasher as _;
use std::io::{self, Read as _};

use lz4_flex::block::decompress_into_with_dict;
use twox_hash::XxHash32;

use super::codec::skippable;
use super::streams::{Facts, Framing, Input, Step, invalid};
use super::zstd::skip;

pub(super) const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];

/// How far back a block may refer to earlier blocks.
const WINDOW: usize = 1 << 16;

#[derive(Default)]
pub(super) struct Lz4 {
    flags: u8,
    largest_block: usize,
    /// Length of the contents, if the header has it.
    announced: Option<u64>,
    length: u64,
    hash: Option<XxHash32>,
    /// The stored bytes of the current block.
    stored: Vec<u8>,
    /// Buffer for a decoded block, its length, and how much of it has been returned.
    room: Vec<u8>,
    filled: usize,
    given: usize,
    /// The last bytes of the earlier blocks.
    before: Vec<u8>,
}

const LINKED_IF_CLEAR: u8 = 0x20;
const BLOCK_SUMS: u8 = 0x10;
const CONTENT_SIZE: u8 = 0x08;
const CONTENT_SUM: u8 = 0x04;
const DICTIONARY: u8 = 0x01;

fn number(input: &mut Input) -> io::Result<u32> {
    Ok(u32::from_le_bytes(input.exactly()?))
}

impl Lz4 {
    fn header(&mut self, input: &mut Input) -> io::Result<()> {
        let _magic: [u8; 4] = input.exactly()?;
        let [flags, sizes] = input.exactly()?;
        let mut descriptor = vec![flags, sizes];
        self.largest_block = match (flags & 0xc2, sizes & 0x8f, sizes >> 4) {
            (0x40, 0, 4) => 64 << 10,
            (0x40, 0, 5) => 256 << 10,
            (0x40, 0, 6) => 1 << 20,
            (0x40, 0, 7) => 4 << 20,
            _ => return Err(invalid("an LZ4 frame of an unknown version")),
        };
        self.announced = None;
        if flags & CONTENT_SIZE != 0 {
            let size: [u8; 8] = input.exactly()?;
            descriptor.extend(size);
            self.announced = Some(u64::from_le_bytes(size));
        }
        if flags & DICTIONARY != 0 {
            return Err(invalid("an LZ4 frame that needs a dictionary"));
        }
        let [sum] = input.exactly()?;
        let [_, wanted, ..] = XxHash32::oneshot(0, &descriptor).to_le_bytes();
        if sum != wanted {
            return Err(invalid("the checksum of the LZ4 header is wrong"));
        }
        self.flags = flags;
        self.length = 0;
        self.hash = (flags & CONTENT_SUM != 0).then(|| XxHash32::with_seed(0));
        (self.given, self.filled) = (0, 0);
        if self.room.len() < self.largest_block {
            self.room.resize(self.largest_block, 0);
        }
        self.before.clear();
        Ok(())
    }

    /// Reads the next block; false after the last.
    fn next(&mut self, input: &mut Input) -> io::Result<bool> {
        const PLAIN: u32 = 1 << 31;
        self.remember();
        let head = number(input)?;
        if head == 0 {
            return Ok(false);
        }
        let size = (head & !PLAIN) as usize;
        if size > self.largest_block {
            return Err(invalid("an LZ4 block beyond its largest size"));
        }
        self.stored.resize(size, 0);
        input.fill(&mut self.stored)?;
        if self.flags & BLOCK_SUMS != 0 && number(input)? != XxHash32::oneshot(0, &self.stored) {
            return Err(invalid("the checksum of an LZ4 block is wrong"));
        }
        self.given = 0;
        let room = self.room.get_mut(..self.largest_block).unwrap_or_default();
        self.filled = if head & PLAIN != 0 {
            self.stored.as_slice().read(room)?
        } else {
            decompress_into_with_dict(&self.stored, room, &self.before)
                .map_err(|_| invalid("corrupt LZ4 block"))?
        };
        self.length = self.length.saturating_add(self.filled as u64);
        let block = self.room.get(..self.filled).unwrap_or_default();
        if let Some(hash) = &mut self.hash {
            hash.write(block);
        }
        Ok(true)
    }

    /// Keeps the end of the block for later blocks that refer to it.
    fn remember(&mut self) {
        if self.flags & LINKED_IF_CLEAR != 0 {
            return;
        }
        let block = self.room.get(..self.filled).unwrap_or_default();
        let kept = block.len().saturating_sub(WINDOW);
        self.before
            .extend_from_slice(block.get(kept..).unwrap_or_default());
        let beyond = self.before.len().saturating_sub(WINDOW);
        self.before.drain(..beyond);
    }
}

impl Framing for Lz4 {
    fn begin(&mut self, input: &mut Input, facts: &mut Facts) -> io::Result<bool> {
        loop {
            let head = input.peek(8)?;
            if head.starts_with(&MAGIC) {
                self.header(input)?;
                return Ok(true);
            }
            let Some((length, _)) = skippable(head) else {
                return Ok(false);
            };
            skip(input, length, facts)?;
            facts.end = input.offset;
        }
    }

    fn decode(&mut self, input: &mut Input, output: &mut [u8]) -> io::Result<Step> {
        if self.given >= self.filled && !self.next(input)? {
            return Ok(Step {
                read: 4,
                written: 0,
                end: true,
            });
        }
        let mut rest = self.room.get(self.given..self.filled).unwrap_or_default();
        let written = rest.read(output)?;
        self.given = self.given.saturating_add(written);
        Ok(Step {
            read: 4,
            written,
            end: false,
        })
    }

    fn end(&mut self, input: &mut Input, _facts: &mut Facts) -> io::Result<()> {
        if let Some(hash) = self.hash.take()
            && number(input)? != hash.finish_32()
        {
            return Err(invalid("the contents do not have the checksum that LZ4 stores"));
        }
        if self.announced.is_some_and(|length| length != self.length) {
            return Err(invalid("the contents do not have the length that LZ4 stores"));
        }
        Ok(())
    }
}
