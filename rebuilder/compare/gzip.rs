//! gzip: members one after another, and the fields of their headers.

use std::io::{self, Write as _};

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::cause::Cause;
use super::normalise::Normalisation;
use super::stored::{FieldKind, Fields, Value};
use super::streams::{Facts, Framing, Input, Step, invalid, text_of};
use crate::artifact::HashingWriter;

/// The normalisations for gzip headers.
pub(super) const NORMALISATIONS: &[Normalisation] = &[
    Normalisation::GzipMisc,
    Normalisation::GzipName,
    Normalisation::GzipTime,
];

static TIME: FieldKind = FieldKind::by("time in the header", Cause::Timestamp, Normalisation::GzipTime);
static NAME: FieldKind = FieldKind::by(
    "name in the header",
    Cause::ArchiveDialect,
    Normalisation::GzipName,
);
static LEVEL: FieldKind = FieldKind::by(
    "level in the header",
    Cause::Compression,
    Normalisation::GzipCompression,
);
static SYSTEM: FieldKind = FieldKind::by(
    "operating system in the header",
    Cause::Compression,
    Normalisation::GzipMisc,
);
static OTHER: FieldKind = FieldKind::by(
    "flags, comment and extra fields",
    Cause::ArchiveDialect,
    Normalisation::GzipMisc,
);

/// gunzip skips these silently.
static ZEROS: FieldKind = FieldKind::by(
    "zeros after the last stream",
    Cause::ArchiveDialect,
    Normalisation::GzipMisc,
);
static FURTHER: FieldKind = FieldKind::by(
    "headers of further streams",
    Cause::ArchiveDialect,
    Normalisation::GzipMisc,
);

/// Maximum length of a name or comment.
const LONGEST: usize = 1 << 16;
/// Maximum number of header values that are reported individually; only bgzip writes many streams.
const MOST: usize = 64;

/// Reads members (RFC 1952).
pub(super) struct Gzip {
    inflate: Decompress,
    crc: Crc,
    began: u64,
    /// Fields of the current member's header.
    header: Fields,
    /// The length of the whole member minus one, as bgzip stores it in an extra field.
    announced: Option<u16>,
    further: Option<HashingWriter<io::Sink>>,
}

impl Gzip {
    pub fn new() -> Self {
        Self {
            inflate: Decompress::new(false),
            crc: Crc::new(),
            began: 0,
            header: Fields::new(),
            announced: None,
            further: None,
        }
    }

    fn header(&mut self, input: &mut Input) -> io::Result<()> {
        let mut taken = Taken {
            input,
            crc: Crc::new(),
        };
        let [_, _, _, flags, a, b, c, d, level, system] = taken.exactly()?;
        if flags & 0xe0 != 0 {
            return Err(invalid("reserved flags in the gzip header"));
        }
        let mut other = Vec::new();
        if flags & 4 != 0 {
            let length = u16::from_le_bytes(taken.exactly()?);
            let mut extra = vec![0; usize::from(length)];
            taken.fill(&mut extra)?;
            if let [b'B', b'C', 2, 0, low, high] = *extra {
                self.announced = Some(u16::from_le_bytes([low, high]));
            } else {
                other.push(format!("extra {}", hex::encode(extra)));
            }
        }
        let name = (flags & 8 != 0).then(|| taken.text()).transpose()?;
        if flags & 16 != 0 {
            other.push(format!("comment {}", taken.text()?));
        }
        if flags & 2 != 0 {
            let sum = taken.crc.sum() & 0xffff;
            if u32::from(u16::from_le_bytes(taken.exactly()?)) != sum {
                return Err(invalid("the checksum of the gzip header is wrong"));
            }
            other.push("checksum of the header".into());
        }
        if flags & 1 != 0 {
            other.push("flag for text".into());
        }
        let time = i64::from(u32::from_le_bytes([a, b, c, d]));
        self.header = vec![
            (&TIME, Value::Time(time)),
            (&SYSTEM, Value::Number(u64::from(system))),
            (&LEVEL, Value::Number(u64::from(level))),
        ];
        self.header.extend(name.map(|name| (&NAME, Value::Text(name))));
        self.header
            .extend(other.into_iter().map(|text| (&OTHER, Value::Text(text))));
        Ok(())
    }

    /// Adds the header's fields, unless the member before has the same.
    fn tell(&mut self, facts: &mut Facts) -> io::Result<()> {
        for (kind, value) in std::mem::take(&mut self.header) {
            let same = facts.fields.iter().rev().find(|(other, _)| *other == kind);
            if same.is_some_and(|(_, other)| *other == value) {
                continue;
            }
            if facts.fields.len() < MOST {
                facts.fields.push((kind, value));
            } else {
                let further = self.further.get_or_insert_with(|| HashingWriter::new(io::sink()));
                writeln!(further, "{} {value}", kind.name)?;
            }
        }
        Ok(())
    }
}

impl Framing for Gzip {
    fn begin(&mut self, input: &mut Input, facts: &mut Facts) -> io::Result<bool> {
        if !input.peek(3)?.starts_with(&[0x1f, 0x8b, 8]) {
            if let Some(further) = self.further.take() {
                let digest = further.finish().1.to_hex();
                facts
                    .fields
                    .push((&FURTHER, Value::Text(format!("sha256 {digest}"))));
            }
            return Ok(false);
        }
        self.began = input.offset;
        self.header(input)?;
        if self.began == 0 {
            facts.header = input.offset;
        }
        self.inflate.reset(false);
        self.crc.reset();
        Ok(true)
    }

    fn decode(&mut self, input: &mut Input, output: &mut [u8]) -> io::Result<Step> {
        let before = (self.inflate.total_in(), self.inflate.total_out());
        let status = self
            .inflate
            .decompress(input.peek(1)?, output, FlushDecompress::None)
            .map_err(|_| invalid("corrupt deflate stream"))?;
        let since = |now: u64, before: u64| usize::try_from(now.saturating_sub(before)).unwrap_or(0);
        let read = since(self.inflate.total_in(), before.0);
        let written = since(self.inflate.total_out(), before.1);
        input.consume(read);
        self.crc.update(output.get(..written).unwrap_or_default());
        Ok(Step {
            read,
            written,
            end: status == Status::StreamEnd,
        })
    }

    fn end(&mut self, input: &mut Input, facts: &mut Facts) -> io::Result<()> {
        if u32::from_le_bytes(input.exactly()?) != self.crc.sum() {
            return Err(invalid("the contents do not have the CRC that gzip stores"));
        }
        if u32::from_le_bytes(input.exactly()?) != self.crc.amount() {
            return Err(invalid("the contents do not have the length that gzip stores"));
        }
        if let Some(announced) = self.announced.take() {
            let length = input.offset.saturating_sub(self.began);
            let text = if u64::from(announced).saturating_add(1) == length {
                "lengths of streams (bgzip)".into()
            } else {
                format!("extra 42430200{}", hex::encode(announced.to_le_bytes()))
            };
            self.header.push((&OTHER, Value::Text(text)));
        }
        self.tell(facts)
    }

    fn zeros(&self, _length: u64) -> Option<&'static FieldKind> {
        Some(&ZEROS)
    }
}

/// A header being read, with the checksum of the bytes so far.
struct Taken<'a, 'b> {
    input: &'a mut Input<'b>,
    crc: Crc,
}

impl Taken<'_, '_> {
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.input.fill(bytes)?;
        self.crc.update(bytes);
        Ok(())
    }

    fn exactly<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads a NUL-terminated text.
    fn text(&mut self) -> io::Result<String> {
        let mut text = Vec::new();
        loop {
            match self.exactly()? {
                [0] => return Ok(text_of(&text)),
                [_] if text.len() >= LONGEST => return Err(invalid("a very long text in the gzip header")),
                [byte] => text.push(byte),
            }
        }
    }
}
