//! Reads blocks in order: headers, the extended headers before them, and padding.

use std::io::{self, Read};

use super::header::{BLOCK, Block, Checksum, Header, SIZE, is_zero};
use crate::compare::limits::{Hit, Limit};

/// Maximum number of bytes of the extended headers and maps of one member.
pub(super) const MOST_EXTENDED: usize = 8 << 20;

pub(super) fn too_much() -> io::Error {
    Hit::error(Limit::NameLength, "extended headers of more than 8 MiB")
}

/// A stream that knows its position.
pub(super) struct Blocks<R> {
    inner: R,
    pub position: u64,
}

impl<R: Read> Read for Blocks<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.position = self.position.saturating_add(read as u64);
        Ok(read)
    }
}

impl<R: Read> Blocks<R> {
    pub fn new(inner: R) -> Self {
        Self { inner, position: 0 }
    }

    pub fn into_inner(self) -> R {
        self.inner
    }

    /// The next block; `None` at the end of the stream.
    pub fn block(&mut self) -> io::Result<Option<Block>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            let read = self.read(block.get_mut(filled..).unwrap_or_default())?;
            if read == 0 {
                break;
            }
            filled = filled.saturating_add(read);
        }
        match filled {
            0 => Ok(None),
            BLOCK => Ok(Some(block)),
            _ => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("the archive ends within a block at {}", self.position),
            )),
        }
    }

    fn bytes(&mut self, size: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.by_ref().take(size as u64).read_to_end(&mut bytes)?;
        if bytes.len() < size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }

    /// The padding after `size` bytes.
    pub fn padding(&mut self, size: u64) -> io::Result<Vec<u8>> {
        let over = size.checked_rem(BLOCK as u64).filter(|over| *over > 0);
        let length = over.and_then(|over| BLOCK.checked_sub(usize::try_from(over).ok()?));
        self.bytes(length.unwrap_or(0))
    }
}

/// A header with more data about the next member, or about all that follow.
pub(super) struct Extended {
    pub block: Block,
    pub body: Vec<u8>,
    pub padding: Vec<u8>,
}

/// The next member or the end.
pub(super) struct Next {
    pub extended: Vec<Extended>,
    /// The member's own header; `None` at the end.
    pub header: Option<Block>,
    /// Whether a block of zeros marks the end.
    pub marked: bool,
}

/// Reads up to the header of the next member, or to the end marker.
pub(super) fn next<R: Read>(blocks: &mut Blocks<R>) -> io::Result<Next> {
    let (mut extended, mut length) = (Vec::new(), 0_usize);
    loop {
        let at = blocks.position;
        let Some(block) = blocks.block()? else {
            return Ok(Next {
                extended,
                header: None,
                marked: false,
            });
        };
        if is_zero(&block) {
            return Ok(Next {
                extended,
                header: None,
                marked: true,
            });
        }
        let header = Header::new(&block);
        if header.checksum() == Checksum::Wrong {
            let text = format!("the checksum of the header at {at} is wrong");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        if !matches!(header.letter, b'x' | b'X' | b'g' | b'L' | b'K') {
            return Ok(Next {
                extended,
                header: Some(block),
                marked: false,
            });
        }
        let size = header.unsigned(SIZE).and_then(|size| usize::try_from(size).ok());
        let size = size.ok_or_else(|| {
            let text = format!("the size of the extended header at {at} is not a number");
            io::Error::new(io::ErrorKind::InvalidData, text)
        })?;
        length = length.saturating_add(size).saturating_add(BLOCK);
        if length > MOST_EXTENDED {
            return Err(too_much());
        }
        let body = blocks.bytes(size)?;
        let padding = blocks.padding(size as u64)?;
        extended.push(Extended { block, body, padding });
    }
}
