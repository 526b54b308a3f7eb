//! Compressions of whole files: how they are recognised, named and decoded.

use std::io;

use super::lzma::Lzma;
use super::normalise::Normalisation;
use super::streams::Framing;
use super::{bzip2, gzip, lz4, zstd};

/// A compression that a stream of bytes may be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Gzip,
    Xz,
    Lzma,
    Zstd,
    Bzip2,
    Lz4,
    Lzip,
}

/// First four bytes of a frame that decoders skip, except for the lowest four bits of the first byte.
const SKIPPABLE: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];

impl Codec {
    pub const ALL: [Self; 7] = [
        Self::Gzip,
        Self::Xz,
        Self::Lzma,
        Self::Zstd,
        Self::Bzip2,
        Self::Lz4,
        Self::Lzip,
    ];

    /// The codec of a stream that begins with `head`.
    pub fn detect(head: &[u8]) -> Option<Self> {
        let mut frame = head;
        while let Some((length, rest)) = skippable(frame) {
            frame = rest.get(length as usize..)?;
        }
        Self::ALL.into_iter().find(|codec| match codec {
            Self::Zstd | Self::Lz4 => frame.starts_with(codec.magic()),
            _ => head.starts_with(codec.magic()) && codec.may_begin(head),
        })
    }

    /// Whether the bytes after the magic number fit the format too: some texts begin with it.
    fn may_begin(self, head: &[u8]) -> bool {
        match self {
            // gzip itself refuses reserved flags.
            Self::Gzip => head.get(3).is_none_or(|flags| flags & 0xe0 == 0),
            Self::Lzma => Lzma::is_header(head),
            Self::Bzip2 => bzip2::is_header(head),
            // The version, and the size of the dictionary as an exponent from 12 to 29.
            Self::Lzip => {
                matches!(head, [_, _, _, _, 0 | 1, size, ..] if (12..=29).contains(&(size & 0x1f)))
            }
            Self::Xz | Self::Zstd | Self::Lz4 => true,
        }
    }

    fn magic(self) -> &'static [u8] {
        match self {
            Self::Gzip => &[0x1f, 0x8b, 8],
            Self::Xz => &[0xfd, b'7', b'z', b'X', b'Z', 0],
            Self::Lzma => &[0x5d, 0, 0],
            Self::Zstd => &zstd::MAGIC,
            Self::Bzip2 => b"BZh",
            Self::Lz4 => &lz4::MAGIC,
            Self::Lzip => b"LZIP",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Lzma => "lzma",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Lz4 => "lz4",
            Self::Lzip => "lzip",
        }
    }

    /// The suffix that the format's own tool gives to names.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Gzip => ".gz",
            Self::Xz => ".xz",
            Self::Lzma => ".lzma",
            Self::Zstd => ".zst",
            Self::Bzip2 => ".bz2",
            Self::Lz4 => ".lz4",
            Self::Lzip => ".lz",
        }
    }

    /// The normalisation that sets aside differences in compression.
    pub fn normalisation(self) -> Normalisation {
        match self {
            Self::Gzip => Normalisation::GzipCompression,
            Self::Xz => Normalisation::XzCompression,
            Self::Lzma => Normalisation::LzmaCompression,
            Self::Zstd => Normalisation::ZstdCompression,
            Self::Bzip2 => Normalisation::Bzip2Compression,
            Self::Lz4 => Normalisation::Lz4Compression,
            Self::Lzip => Normalisation::LzipCompression,
        }
    }

    /// The name and the first bytes of a compressed file, for tests and fuzzing.
    pub fn example(self) -> (String, &'static [u8]) {
        let head: &[u8] = match self {
            Self::Lzma => &[0x5d, 0, 0, 0x80, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0],
            Self::Bzip2 => b"BZh91AY&SY",
            Self::Lzip => b"LZIP\x01\x0c",
            other => other.magic(),
        };
        (format!("x{}", self.ending()), head)
    }

    /// A decoder of its streams.
    pub fn framing<'a>(self) -> io::Result<Box<dyn Framing + 'a>> {
        Ok(match self {
            Self::Gzip => Box::new(gzip::Gzip::new()),
            Self::Xz | Self::Lzma | Self::Lzip => Box::new(Lzma::new(self)?),
            Self::Zstd => Box::new(zstd::Zstd::new()?),
            Self::Bzip2 => Box::new(bzip2::Bzip2::new()),
            Self::Lz4 => Box::new(lz4::Lz4::default()),
        })
    }
}

/// The length of a skippable frame's content, and the bytes after its header (Zstandard, RFC 8878 3.1.2, and LZ4).
pub(super) fn skippable(head: &[u8]) -> Option<(u32, &[u8])> {
    let (header, rest) = head.split_first_chunk::<8>()?;
    let [low, a, b, c, length @ ..] = header;
    ([low & 0xf0, *a, *b, *c] == SKIPPABLE).then(|| (u32::from_le_bytes(*length), rest))
}
