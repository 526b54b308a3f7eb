//! Bytes that can be read again: a part of a file, a piece of memory, or what a compressed one decodes to.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::limits::{DECODER_MEMORY, Hit, Limit};
use super::normalise::Normalisation;

/// Bytes that can be opened any number of times.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// Part of a file.
    Part { file: Arc<File>, start: u64, size: u64 },
    /// Bytes in memory.
    Memory(Arc<Vec<u8>>),
    /// A folder on disk.
    Folder(PathBuf),
    /// What another source decodes to.
    Decoded { codec: Codec, inner: Box<Source> },
}

/// A compression that a stream of bytes may be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Gzip,
    Xz,
    Lzma,
    Zstd,
    Bzip2,
}

impl Codec {
    pub const ALL: [Self; 5] = [Self::Gzip, Self::Xz, Self::Lzma, Self::Zstd, Self::Bzip2];

    /// The codec of a stream that begins with `head`.
    pub fn detect(head: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|codec| head.starts_with(codec.magic()))
    }

    fn magic(self) -> &'static [u8] {
        match self {
            Self::Gzip => &[0x1f, 0x8b, 8],
            Self::Xz => &[0xfd, b'7', b'z', b'X', b'Z', 0],
            Self::Lzma => &[0x5d, 0, 0],
            Self::Zstd => &[0x28, 0xb5, 0x2f, 0xfd],
            Self::Bzip2 => b"BZh",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Lzma => "lzma",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
        }
    }

    /// The ending that its tool gives to names.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Gzip => ".gz",
            Self::Xz => ".xz",
            Self::Lzma => ".lzma",
            Self::Zstd => ".zst",
            Self::Bzip2 => ".bz2",
        }
    }

    /// What sets aside how the same bytes are compressed.
    pub fn normalisation(self) -> Normalisation {
        match self {
            Self::Gzip => Normalisation::GzipCompression,
            Self::Xz => Normalisation::XzCompression,
            Self::Lzma => Normalisation::LzmaCompression,
            Self::Zstd => Normalisation::ZstdCompression,
            Self::Bzip2 => Normalisation::Bzip2Compression,
        }
    }

    /// The name and the first bytes of a compressed file, for tests and fuzzing.
    pub fn example(self) -> (String, &'static [u8]) {
        (format!("x{}", self.ending()), self.magic())
    }

    fn decode<'a>(self, inner: impl Read + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
        const ALL_STREAMS: u32 = 0x08;
        let inner = io::BufReader::with_capacity(1 << 17, inner);
        Ok(match self {
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(inner)),
            Self::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(DECODER_MEMORY, ALL_STREAMS);
                Box::new(Guarded(liblzma::bufread::XzDecoder::new_stream(
                    inner,
                    stream.map_err(io::Error::other)?,
                )))
            }
            Self::Lzma => {
                let stream = liblzma::stream::Stream::new_lzma_decoder(DECODER_MEMORY);
                Box::new(Guarded(liblzma::bufread::XzDecoder::new_stream(
                    inner,
                    stream.map_err(io::Error::other)?,
                )))
            }
            Self::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(inner)?;
                decoder.window_log_max(27)?;
                Box::new(decoder)
            }
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(inner)),
        })
    }
}

/// Names liblzma's refusal to take more memory.
struct Guarded<R>(R);

impl<R: Read> Read for Guarded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| {
            let refused = error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<liblzma::stream::Error>())
                .is_some_and(|inner| *inner == liblzma::stream::Error::MemLimit);
            if refused {
                let what = format!("a decompressor asks for more than {DECODER_MEMORY} bytes");
                return Hit::error(Limit::DecoderMemory, what);
            }
            error
        })
    }
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
        Self::Decoded {
            codec,
            inner: Box::new(self.clone()),
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

    /// A part of it; none if it cannot be read in any order.
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

    /// From its beginning.
    pub fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Folder(_) => return Err(io::ErrorKind::IsADirectory.into()),
            Self::Decoded { codec, inner } => codec.decode(inner.open()?)?,
            Self::Part { file, start, size } => Box::new(Part::new(file.clone(), *start, *size)),
            Self::Memory(bytes) => Box::new(Cursor::new(Shared(bytes.clone()))),
        })
    }

    /// For reading in any order; an error if it must be decoded from its beginning.
    pub fn seekable(&self) -> io::Result<Box<dyn ReadSeek>> {
        Ok(match self {
            Self::Part { file, start, size } => Box::new(Part::new(file.clone(), *start, *size)),
            Self::Memory(bytes) => Box::new(Cursor::new(Shared(bytes.clone()))),
            Self::Decoded { .. } | Self::Folder(_) => return Err(io::ErrorKind::NotSeekable.into()),
        })
    }

    /// Its first bytes, at most `most`.
    pub fn head(&self, most: usize) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        self.open()?.take(most as u64).read_to_end(&mut head)?;
        Ok(head)
    }
}

/// Both at once.
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
