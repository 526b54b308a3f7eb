//! xz, lzip and bare LZMA, decoded by liblzma.

use std::io;

use liblzma::stream::{Action, Error, Status, Stream, TELL_UNSUPPORTED_CHECK};

use super::cause::Cause;
use super::limits::{DECODER_MEMORY, Hit, Limit};
use super::normalise::Normalisation;
use super::source::Codec;
use super::stored::FieldKind;
use super::streams::{Facts, Framing, Input, Step, invalid};

/// Padding after a stream (xz-file-format 2.2).
static PADDING: FieldKind = FieldKind::by(
    "zeros after the last stream",
    Cause::ArchiveDialect,
    Normalisation::XzCompression,
);

pub(super) struct Lzma {
    codec: Codec,
    stream: Stream,
}

fn stream(codec: Codec) -> io::Result<Stream> {
    match codec {
        Codec::Lzip => Stream::new_lzip_decoder(DECODER_MEMORY, 0),
        Codec::Lzma => Stream::new_lzma_decoder(DECODER_MEMORY),
        // If a check were not verified, it could hold any bytes.
        _ => Stream::new_stream_decoder(DECODER_MEMORY, TELL_UNSUPPORTED_CHECK),
    }
    .map_err(io::Error::other)
}

impl Lzma {
    pub fn new(codec: Codec) -> io::Result<Self> {
        let stream = stream(codec)?;
        Ok(Self { codec, stream })
    }

    /// Whether the bytes are a header of bare LZMA: usual properties, a dictionary of 2ⁿ or 2ⁿ + 2ⁿ⁻¹ bytes, a length
    /// that is unknown or below 256 GiB, and the first byte of the range coder, which is always zero.
    pub fn is_header(head: &[u8]) -> bool {
        const LONGEST: u64 = 1 << 38;
        let Some((&[0x5d, a, b, c, d, length @ .., 0], _)) = head.split_first_chunk::<14>() else {
            return false;
        };
        let dictionary = u32::from_le_bytes([a, b, c, d]);
        let length = u64::from_le_bytes(length);
        let round = dictionary.is_power_of_two()
            || dictionary == u32::MAX
            || dictionary.checked_rem(3) == Some(0) && (dictionary / 3).is_power_of_two();
        round && (length == u64::MAX || length < LONGEST)
    }

    /// Whether another stream follows; takes the padding before it.
    fn follows(&self, input: &mut Input) -> io::Result<bool> {
        match self.codec {
            Codec::Xz => {
                let head = input.peek(1 << 12)?;
                let zeros = head.iter().take_while(|byte| **byte == 0).count();
                let rest = head.get(zeros..).unwrap_or_default();
                let follows = zeros.checked_rem(4) == Some(0) && Codec::detect(rest) == Some(Codec::Xz);
                if follows {
                    input.consume(zeros);
                }
                Ok(follows)
            }
            Codec::Lzip => Ok(Codec::detect(input.peek(6)?) == Some(Codec::Lzip)),
            _ => Ok(false),
        }
    }
}

impl Framing for Lzma {
    fn begin(&mut self, input: &mut Input, _facts: &mut Facts) -> io::Result<bool> {
        if self.stream.total_in() == 0 {
            return Ok(true);
        }
        let follows = self.follows(input)?;
        if follows {
            self.stream = stream(self.codec)?;
        }
        Ok(follows)
    }

    fn decode(&mut self, input: &mut Input, output: &mut [u8]) -> io::Result<Step> {
        let before = (self.stream.total_in(), self.stream.total_out());
        let status =
            self.stream
                .process(input.peek(1)?, output, Action::Run)
                .map_err(|error| match error {
                    Error::MemLimit => {
                        let what = format!("a decompressor asks for more than {DECODER_MEMORY} bytes");
                        Hit::error(Limit::DecoderMemory, what)
                    }
                    Error::UnsupportedCheck => invalid("a check of an unknown kind"),
                    error => error.into(),
                })?;
        let since = |now: u64, before: u64| usize::try_from(now.saturating_sub(before)).unwrap_or(0);
        let read = since(self.stream.total_in(), before.0);
        input.consume(read);
        Ok(Step {
            read,
            written: since(self.stream.total_out(), before.1),
            end: status == Status::StreamEnd,
        })
    }

    fn zeros(&self, length: u64) -> Option<&'static FieldKind> {
        (self.codec == Codec::Xz && length.checked_rem(4) == Some(0)).then_some(&PADDING)
    }
}
