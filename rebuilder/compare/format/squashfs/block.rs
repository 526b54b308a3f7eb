//! Compressed blocks: those of files, and those of tables.

use std::io::{self, Read as _};

use crate::compare::format::image::invalid;
use crate::compare::limits::DECODER_MEMORY;

/// The compression of an image's blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compressor {
    Gzip,
    Xz,
    Lz4,
    Zstd,
}

impl Compressor {
    /// The compression by its number in the superblock; LZO and the old LZMA are not supported.
    pub fn of(number: u16) -> io::Result<Self> {
        Ok(match number {
            1 => Self::Gzip,
            4 => Self::Xz,
            5 => Self::Lz4,
            6 => Self::Zstd,
            _ => return Err(invalid("a compressor of SquashFS that is not read")),
        })
    }

    /// Decodes a block to at most `most` bytes. Every byte of the block must belong to its stream.
    pub fn decode(self, packed: &[u8], most: usize) -> io::Result<Vec<u8>> {
        let limit = (most as u64).saturating_add(1);
        let mut bytes = Vec::new();
        let left = match self {
            Self::Gzip => {
                let mut decoder = flate2::bufread::ZlibDecoder::new(packed);
                decoder.by_ref().take(limit).read_to_end(&mut bytes)?;
                decoder.into_inner().len()
            }
            Self::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(DECODER_MEMORY, 0)?;
                let mut decoder = liblzma::bufread::XzDecoder::new_stream(packed, stream);
                decoder.by_ref().take(limit).read_to_end(&mut bytes)?;
                decoder.into_inner().len()
            }
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?.single_frame();
                decoder.by_ref().take(limit).read_to_end(&mut bytes)?;
                decoder.finish().len()
            }
            Self::Lz4 => {
                bytes.resize(most, 0);
                let length = lz4_flex::block::decompress_into(packed, &mut bytes)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                bytes.truncate(length);
                0
            }
        };
        if bytes.len() > most {
            return Err(invalid("a block of SquashFS that unpacks to more than a block"));
        }
        if left > 0 {
            return Err(invalid("bytes behind the end of a compressed block"));
        }
        Ok(bytes)
    }
}
