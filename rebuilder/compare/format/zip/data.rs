//! The data of entries: the supported methods, and whether the data matches the directory.

use std::io::{self, BufRead, Cursor, Read};

use flate2::Crc;

use super::header::{Header, LEVEL};
use crate::compare::limits::{DECODER_MEMORY, Hit, Limit, Meter};
use crate::deadline::Over;

pub(super) const STORED: u16 = 0;
pub(super) const DEFLATED: u16 = 8;
const DEFLATE64: u16 = 9;
const BZIP2: u16 = 12;
const LZMA: u16 = 14;
const ZSTD: u16 = 93;
const XZ: u16 = 95;
const AES: u16 = 99;

/// The name of a method (APPNOTE 4.4.5).
pub(super) fn method(method: u16) -> String {
    let name = match method {
        STORED => "stored",
        1 => "shrunk",
        2..=5 => "reduced",
        6 => "imploded",
        DEFLATED => "deflated",
        DEFLATE64 => "deflate64",
        BZIP2 => "bzip2",
        LZMA => "lzma",
        ZSTD => "zstd",
        94 => "mp3",
        XZ => "xz",
        97 => "wavpack",
        98 => "ppmd",
        AES => "AES",
        other => return format!("method {other}"),
    };
    name.into()
}

/// The version that a method needs (APPNOTE 4.4.3.2), if it is a later one than most need.
pub(super) fn needs(method: u16) -> u16 {
    match method {
        LZMA | ZSTD | XZ | 98 => 63,
        AES => 51,
        DEFLATE64 => 21,
        _ => 0,
    }
}

/// Whether [`open`] supports the method.
pub(super) fn reads(method: u16) -> bool {
    matches!(method, STORED | DEFLATED | DEFLATE64 | BZIP2 | LZMA | ZSTD | XZ)
}

/// The decoder for an entry's data; it takes only one stream from `input`.
fn open<'a>(header: &Header, input: &'a mut dyn BufRead) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match header.method {
        STORED => Box::new(input),
        DEFLATED => Box::new(flate2::bufread::DeflateDecoder::new(input)),
        DEFLATE64 => Box::new(deflate64::Deflate64Decoder::with_buffer(Sparing {
            inner: input,
            left: header.packed,
        })),
        BZIP2 => Box::new(bzip2::bufread::BzDecoder::new(input)),
        ZSTD => {
            let mut decoder = zstd::Decoder::with_buffer(input)?.single_frame();
            decoder.window_log_max(27)?;
            Box::new(decoder)
        }
        XZ => {
            let stream = liblzma::stream::Stream::new_stream_decoder(DECODER_MEMORY, 0)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(input, stream))
        }
        LZMA => {
            let stream = liblzma::stream::Stream::new_lzma_decoder(DECODER_MEMORY)?;
            let input = Cursor::new(lzma_header(header, input)?).chain(input);
            Box::new(liblzma::bufread::XzDecoder::new_stream(input, stream))
        }
        other => {
            let what = format!("{} is not read", method(other));
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
    })
}

/// Gives the last bytes one by one. The decoder of deflate64 takes up to two bytes more than it needs if it gets them,
/// and bytes after the end of its stream must not pass as a part of it.
struct Sparing<'a> {
    inner: &'a mut dyn BufRead,
    /// Length of what was not given yet.
    left: u64,
}

impl Read for Sparing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut given = self.fill_buf()?;
        let read = given.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Sparing<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        const LAST: u64 = 16;
        let most = usize::try_from(self.left.saturating_sub(LAST)).unwrap_or(usize::MAX);
        let given = self.inner.fill_buf()?;
        Ok(given.get(..most.max(1)).unwrap_or(given))
    }

    fn consume(&mut self, amount: usize) {
        self.left = self.left.saturating_sub(amount as u64);
        self.inner.consume(amount);
    }
}

/// The header of an equivalent .lzma file (APPNOTE 5.8.8): properties and size, unless the stream marks its end.
fn lzma_header(header: &Header, input: &mut dyn BufRead) -> io::Result<Vec<u8>> {
    let mut start = [0; 9];
    input.read_exact(&mut start)?;
    let [_, _, 5, 0, properties @ ..] = start else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "lzma properties of another length",
        ));
    };
    let marks_its_end = header.flags & LEVEL & 2 != 0;
    let size = if marks_its_end { u64::MAX } else { header.size };
    Ok([properties.as_slice(), &size.to_le_bytes()].concat())
}

/// Faults in an entry's data.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Whether the data was read to its end.
    pub is_judged: bool,
    /// Why it could not be read to its end.
    pub unread: Option<String>,
    /// The values in the directory, compared with the data.
    pub wrong: Option<String>,
}

/// Reads the data of an entry and checks it. Damage ends the data and is reported by [`Checked::faults`]; limits are
/// errors.
pub(super) struct Checked<'a> {
    inner: Option<Box<dyn Read + 'a>>,
    meter: &'a Meter,
    crc: Crc,
    size: u64,
    ended: bool,
    unread: Option<String>,
    is_read: bool,
}

impl<'a> Checked<'a> {
    /// Data that is not read is empty and has no faults.
    pub fn new(header: &Header, input: &'a mut dyn BufRead, is_read: bool, meter: &'a Meter) -> Self {
        let mut unread = None;
        let inner = is_read.then(|| open(header, input).map_err(|error| unread = Some(error.to_string())));
        Self {
            inner: inner.and_then(Result::ok),
            meter,
            crc: Crc::new(),
            size: 0,
            ended: !is_read,
            unread,
            is_read,
        }
    }

    /// The faults; reads to the end first if only a part was read. Data that nothing has read is not judged.
    pub fn faults(mut self, header: &Header) -> io::Result<Faults> {
        if !self.is_read || self.unread.is_none() && self.size == 0 && !self.ended {
            return Ok(Faults::default());
        }
        io::copy(&mut self, &mut io::sink())?;
        let (crc, size) = (self.crc.sum(), self.size);
        let is_whole = self.unread.is_none();
        let wrong = (is_whole && (crc, size) != (header.crc, header.size)).then(|| {
            let (said, length) = (header.crc, header.size);
            format!("{length} bytes with CRC-32 {said:08x}; there are {size} with {crc:08x}")
        });
        Ok(Faults {
            is_judged: is_whole,
            unread: self.unread,
            wrong,
        })
    }
}

impl Read for Checked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(inner) = &mut self.inner else {
            return Ok(0);
        };
        match inner.read(buffer) {
            Ok(read) => {
                self.meter.unpacked(read as u64)?;
                self.crc.update(buffer.get(..read).unwrap_or_default());
                self.size = self.size.saturating_add(read as u64);
                self.ended |= read == 0 && !buffer.is_empty();
                Ok(read)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) if Hit::of(&error).is_some() || Over::of(&error).is_some() => Err(error),
            Err(error) if asks_for_memory(&error) => {
                let what = format!("a decompressor asks for more than {DECODER_MEMORY} bytes");
                Err(Hit::error(Limit::DecoderMemory, what))
            }
            Err(error) => {
                self.unread = Some(error.to_string());
                self.inner = None;
                Ok(0)
            }
        }
    }
}

fn asks_for_memory(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    inner == Some(&liblzma::stream::Error::MemLimit)
}

/// CRC-32, as zip uses it.
pub(super) fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// CRC-32 of everything that a reader gives.
pub(super) fn crc_of(mut reader: impl BufRead, meter: &Meter) -> io::Result<u32> {
    let mut crc = Crc::new();
    loop {
        let buffer = reader.fill_buf()?;
        let length = buffer.len();
        if length == 0 {
            return Ok(crc.sum());
        }
        crc.update(buffer);
        reader.consume(length);
        meter.unpacked(0)?;
    }
}
