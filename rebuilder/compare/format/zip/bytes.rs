//! Random access to the bytes of a zip file, with a known position, so that reading on or a little back keeps the
//! buffer.

use std::io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom, Write as _};

use crate::artifact::HashingWriter;
use crate::compare::format::path_text;
use crate::compare::limits::{Meter, Metered};
use crate::compare::source::{ReadSeek, Source};

/// A zip file that is open for reading.
pub(super) struct Bytes {
    inner: BufReader<Box<dyn ReadSeek>>,
    at: u64,
    pub size: u64,
}

impl Bytes {
    pub fn open(source: &Source) -> io::Result<Self> {
        let mut inner = BufReader::with_capacity(1 << 16, source.seekable()?);
        let size = inner.seek(SeekFrom::End(0))?;
        Ok(Self {
            inner,
            at: size,
            size,
        })
    }

    pub fn at(&self) -> u64 {
        self.at
    }

    pub fn go(&mut self, to: u64) -> io::Result<()> {
        if let (Ok(to), Ok(at)) = (i64::try_from(to), i64::try_from(self.at)) {
            self.inner.seek_relative(to.saturating_sub(at))?;
        } else {
            self.inner.seek(SeekFrom::Start(to))?;
        }
        self.at = to;
        Ok(())
    }

    /// Reads `length` bytes at an offset, or as many as there are.
    pub fn read_at(&mut self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        self.go(at)?;
        let left = self.size.saturating_sub(at).min(length as u64);
        let mut bytes = Vec::with_capacity(usize::try_from(left).unwrap_or(0));
        self.by_ref().take(left).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Length, digest and first bytes of a range, which is read completely.
    pub fn described(&mut self, from: u64, to: u64, meter: &Meter) -> io::Result<String> {
        self.go(from)?;
        let mut digest = HashingWriter::new(First::default());
        let length = to.saturating_sub(from);
        io::copy(
            &mut Metered {
                inner: self.by_ref().take(length),
                meter,
            },
            &mut digest,
        )?;
        digest.flush()?;
        let (first, sha256, length) = digest.finish();
        Ok(format!(
            "{length} bytes, sha256 {}…, {}",
            sha256.short(),
            first.text()
        ))
    }

    /// Whether every byte of a range is zero.
    pub fn is_zero(&mut self, from: u64, to: u64) -> io::Result<bool> {
        self.go(from)?;
        let mut left = to.saturating_sub(from);
        while left > 0 {
            let buffer = self.fill_buf()?;
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let own = buffer.get(..most).unwrap_or_default();
            if own.is_empty() || own.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            self.consume(most);
            left = left.saturating_sub(most as u64);
        }
        Ok(true)
    }
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.at = self.at.saturating_add(read as u64);
        Ok(read)
    }
}

impl BufRead for Bytes {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.inner.consume(amount);
        self.at = self.at.saturating_add(amount as u64);
    }
}

/// Keeps only the first bytes that are written to it.
#[derive(Default)]
struct First(Vec<u8>);

impl First {
    const SHOWN: usize = 64;

    /// The bytes as text if they are text, otherwise in hexadecimal.
    fn text(&self) -> String {
        let printable = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
        if self.0.iter().all(printable) {
            path_text(&self.0).escape_debug().to_string()
        } else {
            hex::encode(self.0.get(..24).unwrap_or(&self.0))
        }
    }
}

impl io::Write for First {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = Self::SHOWN.saturating_sub(self.0.len()).min(bytes.len());
        self.0.extend_from_slice(bytes.get(..room).unwrap_or_default());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Little-endian numbers of a record; zero beyond its end, which its readers exclude.
#[derive(Clone, Copy)]
pub(super) struct Numbers<'a>(pub &'a [u8]);

impl Numbers<'_> {
    fn array<const N: usize>(self, at: usize) -> [u8; N] {
        let own = self.0.get(at..).and_then(<[u8]>::first_chunk);
        own.copied().unwrap_or([0; N])
    }

    pub fn u16(self, at: usize) -> u16 {
        u16::from_le_bytes(self.array(at))
    }

    pub fn u32(self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    pub fn u64(self, at: usize) -> u64 {
        u64::from_le_bytes(self.array(at))
    }
}
