//! Bytes that can be read again: a part of a file, a piece of memory, or the decoded form of another source.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) use super::codec::Codec;
use super::streams::{Facts, Streams, Told};
use crate::deadline::Deadline;

/// Bytes that can be opened any number of times.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// Part of a file.
    Part { file: Arc<File>, start: u64, size: u64 },
    /// Bytes in memory.
    Memory(Arc<Vec<u8>>),
    /// A folder on disk.
    Folder(PathBuf),
    /// The decoded form of another source.
    Decoded {
        codec: Codec,
        inner: Box<Source>,
        most: u64,
        deadline: Deadline,
        told: Told,
    },
}

impl Source {
    pub fn file(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        if !metadata.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "neither a file nor a folder",
            ));
        }
        let size = metadata.len();
        Ok(Self::Part {
            file: Arc::new(file),
            start: 0,
            size,
        })
    }

    pub fn memory(bytes: Vec<u8>) -> Self {
        Self::Memory(Arc::new(bytes))
    }

    pub fn decoded(&self, codec: Codec) -> Self {
        self.decoded_up_to(codec, u64::MAX, Deadline::default())
    }

    /// Its decoded form; reading fails beyond `most` bytes or after the deadline.
    pub fn decoded_up_to(&self, codec: Codec, most: u64, deadline: Deadline) -> Self {
        Self::Decoded {
            codec,
            inner: Box::new(self.clone()),
            most,
            deadline,
            told: Told::default(),
        }
    }

    /// The fields beside the compressed bytes, if they were decoded to the end.
    pub fn facts(&self) -> Option<&Facts> {
        match self {
            Self::Decoded { told, .. } => told.get(),
            _ => None,
        }
    }

    /// Length in bytes, if it is known without decoding.
    pub fn size(&self) -> Option<u64> {
        match self {
            Self::Part { size, .. } => Some(*size),
            Self::Memory(bytes) => Some(bytes.len() as u64),
            Self::Decoded { .. } | Self::Folder(_) => None,
        }
    }

    /// A part of it; `None` if it cannot be read in any order.
    pub fn part(&self, from: u64, length: u64) -> Option<Self> {
        match self {
            Self::Part { file, start, size } if from.checked_add(length)? <= *size => Some(Self::Part {
                file: file.clone(),
                start: start.checked_add(from)?,
                size: length,
            }),
            _ => None,
        }
    }

    /// Opens it at its beginning.
    pub fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Folder(_) => return Err(io::ErrorKind::IsADirectory.into()),
            Self::Decoded {
                codec,
                inner,
                most,
                deadline,
                told,
            } => Box::new(Streams::new(
                codec.framing()?,
                inner.open()?,
                *most,
                deadline.clone(),
                told.clone(),
            )),
            Self::Part { file, start, size } => Box::new(Part::new(file.clone(), *start, *size)),
            Self::Memory(bytes) => Box::new(Cursor::new(Shared(bytes.clone()))),
        })
    }

    /// Opens it for random access; an error if it must be decoded from its beginning.
    pub fn seekable(&self) -> io::Result<Box<dyn ReadSeek>> {
        Ok(match self {
            Self::Part { file, start, size } => Box::new(Part::new(file.clone(), *start, *size)),
            Self::Memory(bytes) => Box::new(Cursor::new(Shared(bytes.clone()))),
            Self::Decoded { .. } | Self::Folder(_) => return Err(io::ErrorKind::NotSeekable.into()),
        })
    }

    /// Its first bytes, at most `most`; fewer if the rest cannot be read.
    pub fn head(&self, most: usize) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        match self.open()?.take(most as u64).read_to_end(&mut head) {
            Err(error) if head.is_empty() => Err(error),
            _ => Ok(head),
        }
    }
}

/// A reader that can seek.
pub(super) trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

struct Shared(Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Reads a part of a file by position, so that many can share one descriptor.
struct Part {
    file: Arc<File>,
    start: u64,
    size: u64,
    at: u64,
}

impl Part {
    fn new(file: Arc<File>, start: u64, size: u64) -> Self {
        Self {
            file,
            start,
            size,
            at: 0,
        }
    }
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.size.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        let buffer = buffer.get_mut(..most).unwrap_or_default();
        let read = self.file.read_at(buffer, self.start.saturating_add(self.at))?;
        self.at = self.at.saturating_add(read as u64);
        Ok(read)
    }
}

impl Seek for Part {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(back) => self.size.checked_add_signed(back),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
