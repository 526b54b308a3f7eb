//! Zstandard (RFC 8878): frames one after another, including skippable frames.

use std::io::{self, Read as _};

use zstd::stream::raw::{DParameter, Decoder, Operation as _};

use super::cause::Cause;
use super::codec::skippable;
use super::limits::{Hit, Limit};
use super::stored::{FieldKind, Value};
use super::streams::{Facts, Framing, Input, Rest, Step, invalid, truncated};

pub(super) const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Decoders skip them, but tools store their own data in them.
static SKIPPED: FieldKind = FieldKind::new("skippable frame", Cause::Content);

/// Largest window: `zstd --long=27`.
const WINDOW: u32 = 27;

pub(super) struct Zstd {
    decoder: Decoder<'static>,
    /// The length of the next frame, as pzstd stores it in a skippable frame.
    announced: Option<u32>,
    began: u64,
}

impl Zstd {
    pub fn new() -> io::Result<Self> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW))?;
        Ok(Self {
            decoder,
            announced: None,
            began: 0,
        })
    }

    /// Reports the last skippable frame as content, since it does not announce the length of the next frame.
    fn wrong(&mut self, facts: &mut Facts) {
        if let Some(length) = self.announced.take() {
            let text = format!("0, 4 bytes, {}", hex::encode(length.to_le_bytes()));
            facts.fields.push((&SKIPPED, Value::Text(text)));
        }
    }
}

/// Whether the header of a frame names a dictionary (RFC 8878 3.1.1.1).
fn needs_dictionary(head: &[u8]) -> bool {
    const SINGLE_SEGMENT: u8 = 0x20;
    let [_, _, _, _, flags, rest @ ..] = head else {
        return false;
    };
    let window = usize::from(flags & SINGLE_SEGMENT == 0);
    let length = match flags & 3 {
        3 => 4,
        length => usize::from(length),
    };
    let number = rest.iter().skip(window).take(length);
    number.copied().any(|byte| byte != 0)
}

/// Takes a skippable frame, and reports its content.
pub(super) fn skip(input: &mut Input, length: u32, facts: &mut Facts) -> io::Result<()> {
    const MOST: usize = 64;
    let number = input.peek(1)?.first().map_or(0, |low| low & 0x0f);
    let _header: [u8; 8] = input.exactly()?;
    let rest = Rest::of(&mut input.by_ref().take(u64::from(length)))?;
    if rest.as_ref().map_or(0, |rest| rest.length) != u64::from(length) {
        return Err(truncated());
    }
    let text = format!("{number}, {}", rest.map(|rest| rest.text).unwrap_or_default());
    let own = facts.fields.iter().filter(|(kind, _)| *kind == &SKIPPED).count();
    if own >= MOST {
        // Beyond the limit only one field is kept, whose digest covers all earlier ones.
        if let Some((_, Value::Text(last))) = facts.fields.last_mut() {
            let both = crate::artifact::Sha256::of(format!("{last}\n{text}").as_bytes());
            *last = format!("further frames, sha256 {}", both.to_hex());
        }
    } else {
        facts.fields.push((&SKIPPED, Value::Text(text)));
    }
    Ok(())
}

impl Framing for Zstd {
    fn begin(&mut self, input: &mut Input, facts: &mut Facts) -> io::Result<bool> {
        loop {
            let head = input.peek(12)?;
            if head.starts_with(&MAGIC) {
                if needs_dictionary(head) {
                    return Err(invalid("a frame that needs a dictionary"));
                }
                self.began = input.offset;
                self.decoder.reinit()?;
                return Ok(true);
            }
            let pieces = match head {
                [0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, a, b, c, d, ..] => {
                    Some(u32::from_le_bytes([*a, *b, *c, *d]))
                }
                _ => None,
            };
            let length = skippable(head).map(|(length, _)| length);
            self.wrong(facts);
            let Some(length) = length else {
                return Ok(false);
            };
            if pieces.is_some() {
                let _: [u8; 12] = input.exactly()?;
                self.announced = pieces;
            } else {
                skip(input, length, facts)?;
            }
            facts.end = input.offset;
        }
    }

    fn decode(&mut self, input: &mut Input, output: &mut [u8]) -> io::Result<Step> {
        let status = self
            .decoder
            .run_on_buffers(input.peek(1)?, output)
            .map_err(|error| {
                if error.to_string().contains("too much memory") {
                    let what = format!("a decompressor asks for a window of more than 2^{WINDOW} bytes");
                    return Hit::error(Limit::DecoderMemory, what);
                }
                error
            })?;
        input.consume(status.bytes_read);
        Ok(Step {
            read: status.bytes_read,
            written: status.bytes_written,
            end: status.remaining == 0,
        })
    }

    fn end(&mut self, input: &mut Input, facts: &mut Facts) -> io::Result<()> {
        let length = input.offset.saturating_sub(self.began);
        if self.announced.map(u64::from) == Some(length) {
            self.announced = None;
        }
        self.wrong(facts);
        Ok(())
    }
}
