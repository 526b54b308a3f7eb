//! The content of files: their own blocks, and an end in a block that several files share.

use std::cell::RefCell;
use std::io::{self, Read, SeekFrom};
use std::rc::Rc;

use super::block::Compressor;
use super::inode::File;
use crate::compare::format::image::invalid;
use crate::compare::source::ReadSeek;

/// Bit in a stored size which means that the block is not compressed.
const PLAIN: u32 = 1 << 24;

/// The length of a stored block.
pub(super) fn stored(size: u32) -> u64 {
    u64::from(size & !PLAIN)
}

/// Reads blocks of an image.
pub(super) struct Blocks {
    pub reader: Box<dyn ReadSeek>,
    pub compressor: Compressor,
    pub block_size: u32,
    pub fragments: Vec<(u64, u32)>,
    /// The fragment block that was read last, with its index.
    pub last: Option<(u32, Rc<Vec<u8>>)>,
}

impl Blocks {
    fn at(&mut self, place: u64, size: u32) -> io::Result<Vec<u8>> {
        let length = usize::try_from(stored(size)).unwrap_or(usize::MAX);
        let most = usize::try_from(self.block_size).unwrap_or(usize::MAX);
        // A block that compression would enlarge is stored uncompressed.
        if length > most {
            return Err(invalid("a block of SquashFS that is longer than a block"));
        }
        let mut bytes = vec![0; length];
        self.reader.seek(SeekFrom::Start(place))?;
        self.reader.read_exact(&mut bytes)?;
        if size & PLAIN == 0 {
            bytes = self.compressor.decode(&bytes, most)?;
        }
        Ok(bytes)
    }

    /// Reads a fragment block.
    pub fn fragment(&mut self, index: u32) -> io::Result<Rc<Vec<u8>>> {
        if let Some((last, bytes)) = &self.last
            && *last == index
        {
            return Ok(bytes.clone());
        }
        let (place, size) = usize::try_from(index)
            .ok()
            .and_then(|index| self.fragments.get(index).copied())
            .ok_or_else(|| invalid("a fragment of SquashFS that is not in its table"))?;
        let bytes = Rc::new(self.at(place, size)?);
        self.last = Some((index, bytes.clone()));
        Ok(bytes)
    }
}

/// Reads the bytes of one file.
pub(super) struct Content<'a> {
    blocks: &'a RefCell<Blocks>,
    file: File,
    next: usize,
    place: u64,
    left: u64,
    piece: io::Cursor<Vec<u8>>,
}

impl<'a> Content<'a> {
    pub fn new(blocks: &'a RefCell<Blocks>, file: &File) -> Self {
        Self {
            blocks,
            file: file.clone(),
            next: 0,
            place: file.start,
            left: file.size,
            piece: io::Cursor::default(),
        }
    }

    /// The next block, which must have exactly the length that follows from the file's size.
    fn piece(&mut self) -> io::Result<Vec<u8>> {
        let mut blocks = self.blocks.borrow_mut();
        let length = self.left.min(blocks.block_size.into());
        let wanted = usize::try_from(length).unwrap_or(usize::MAX);
        let bytes = if let Some(size) = self.file.blocks.get(self.next).copied() {
            self.next = self.next.saturating_add(1);
            if size == 0 {
                vec![0; wanted]
            } else {
                let place = self.place;
                self.place = place.saturating_add(stored(size));
                blocks.at(place, size)?
            }
        } else {
            let (index, offset) = self
                .file
                .fragment
                .ok_or_else(|| invalid("a file without its end"))?;
            let from = usize::try_from(offset).unwrap_or(usize::MAX);
            let whole = blocks.fragment(index)?;
            let part = whole.get(from..from.saturating_add(wanted));
            part.ok_or_else(|| invalid("a file whose end is beyond its fragment"))?
                .to_vec()
        };
        if bytes.len() != wanted {
            return Err(invalid(
                "a block of SquashFS of another length than its file needs",
            ));
        }
        self.left = self.left.saturating_sub(length);
        Ok(bytes)
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.piece.read(buffer)?;
        if read > 0 || self.left == 0 || buffer.is_empty() {
            return Ok(read);
        }
        self.piece = io::Cursor::new(self.piece()?);
        self.piece.read(buffer)
    }
}
