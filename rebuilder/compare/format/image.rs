//! The bytes of a file system image, and which of them a reader has used.

use std::collections::HashMap;
use std::io::{self, Read, SeekFrom, Write as _};

use crate::artifact::{HashingWriter, Sha256};
use crate::compare::limits::Meter;
use crate::compare::source::{ReadSeek, Source};

/// Maximum size of a directory, path table or continuation that is read.
const LARGEST: u64 = 16 << 20;

pub(super) struct Image<'a> {
    reader: Box<dyn ReadSeek>,
    size: u64,
    meter: &'a Meter,
    /// Ranges that were read.
    claimed: Vec<(u64, u64)>,
    /// Bytes that have no meaning in their place and are not zero.
    hidden: Option<HashingWriter<io::Sink>>,
    /// Path of the file or folder that begins at each offset.
    pub paths: HashMap<u64, String>,
    /// Length of the file that begins at each offset.
    pub sizes: HashMap<u64, u64>,
}

impl<'a> Image<'a> {
    pub fn open(source: &Source, meter: &'a Meter) -> io::Result<Self> {
        let mut reader = source.seekable()?;
        let size = reader.seek(SeekFrom::End(0))?;
        Ok(Self {
            reader,
            size,
            meter,
            claimed: Vec::new(),
            hidden: None,
            paths: HashMap::new(),
            sizes: HashMap::new(),
        })
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// Notes that a reader uses a range.
    pub fn claim(&mut self, at: u64, length: u64) -> io::Result<()> {
        let end = at.checked_add(length).filter(|end| *end <= self.size);
        let end = end.ok_or_else(|| invalid("a part of the image beyond its end"))?;
        if length > 0 {
            self.claimed.push((at, end));
        }
        Ok(())
    }

    /// Reads a range, and notes it as used.
    pub fn read(&mut self, at: u64, length: u64) -> io::Result<Vec<u8>> {
        if length > LARGEST {
            return Err(invalid("a very large structure in an image"));
        }
        self.claim(at, length)?;
        self.meter.unpacked(length)?;
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.reader.seek(SeekFrom::Start(at))?;
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Counts a record of another tree.
    pub fn member(&self) -> io::Result<()> {
        self.meter.member(0)
    }

    /// The number of used ranges; a caller can later drop those after this number.
    pub fn claimed_parts(&self) -> usize {
        self.claimed.len()
    }

    pub fn disclaim(&mut self, known: usize) {
        self.claimed.truncate(known);
    }

    /// Whether the image has this range.
    pub fn holds(&self, at: u64, length: u64) -> bool {
        at.checked_add(length).is_some_and(|end| end <= self.size)
    }

    /// Notes bytes without a meaning in their place.
    pub fn unused(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        let hidden = self.hidden.get_or_insert_with(|| HashingWriter::new(io::sink()));
        hidden.write_all(bytes)
    }

    pub fn digest(&mut self, at: u64, length: u64) -> io::Result<Sha256> {
        self.claim(at, length)?;
        self.reader.seek(SeekFrom::Start(at))?;
        let (digest, read) = Sha256::of_reader((&mut self.reader).take(length))?;
        self.meter.unpacked(read)?;
        Ok(digest)
    }

    /// One digest of the places of everything, in the order in which it was read.
    pub fn layout(&self) -> io::Result<String> {
        let mut digest = HashingWriter::new(io::sink());
        for (start, end) in &self.claimed {
            writeln!(digest, "{start} {end}")?;
        }
        Ok(format!(
            "{} bytes, parts at {}",
            self.size,
            digest.finish().1.to_hex()
        ))
    }

    /// The length and digest of the bytes that nothing uses, unless they are all zero.
    pub fn unclaimed(&mut self) -> io::Result<Option<String>> {
        self.claimed.sort_unstable();
        let mut claimed = std::mem::take(&mut self.claimed);
        claimed.push((self.size, self.size));
        let (mut at, mut length) = (0_u64, 0_u64);
        let mut buffer = vec![0; 1 << 16];
        for (start, end) in claimed {
            let mut left = start.saturating_sub(at);
            if left > 0 {
                self.reader.seek(SeekFrom::Start(at))?;
            }
            while left > 0 {
                let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
                let piece = buffer.get_mut(..most).unwrap_or_default();
                self.reader.read_exact(piece)?;
                self.meter.unpacked(most as u64)?;
                // Without surrounding zeros, so that the same bytes in another place are equal.
                let first = piece.iter().position(|byte| *byte != 0);
                if let (Some(first), Some(last)) = (first, piece.iter().rposition(|byte| *byte != 0)) {
                    let bytes = piece.get(first..=last).unwrap_or_default();
                    length = length.saturating_add(bytes.len() as u64);
                    let hidden = self.hidden.get_or_insert_with(|| HashingWriter::new(io::sink()));
                    hidden.write_all(bytes)?;
                }
                left = left.saturating_sub(most as u64);
            }
            at = at.max(end);
        }
        let hidden = self.hidden.take();
        Ok(hidden.map(|hidden| format!("{length} bytes, sha256 {}", hidden.finish().1.to_hex())))
    }
}

/// Several parts of an image as one file.
pub(super) struct Sections {
    pub reader: Box<dyn ReadSeek>,
    /// Offset and length of each part.
    pub parts: Vec<(u64, u64)>,
    pub next: usize,
    pub done: u64,
}

impl Read for Sections {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some((at, length)) = self.parts.get(self.next) {
            let left = length.saturating_sub(self.done);
            if left == 0 {
                self.next = self.next.saturating_add(1);
                self.done = 0;
                continue;
            }
            self.reader.seek(SeekFrom::Start(at.saturating_add(self.done)))?;
            let read = (&mut self.reader).take(left).read(buffer)?;
            self.done = self.done.saturating_add(read as u64);
            return Ok(read);
        }
        Ok(0)
    }
}

pub(super) fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// A number stored in both byte orders (ECMA-119 7.3.3). Readers differ in which one they use, so both must agree.
pub(super) fn both_orders(bytes: &[u8], at: usize) -> io::Result<u32> {
    let field = bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk::<8>())
        .ok_or_else(|| invalid("a short structure in a disc image"))?;
    let [a, b, c, d, big @ ..] = *field;
    let little = u32::from_le_bytes([a, b, c, d]);
    if little != u32::from_be_bytes(big) {
        return Err(invalid("a number that is another in the other byte order"));
    }
    Ok(little)
}
