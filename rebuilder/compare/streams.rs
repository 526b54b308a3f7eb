//! Compressed files as a sequence: streams one after another, headers between them, and bytes after the last stream.
//!
//! Reading decodes the streams. At the end, [`Told`] has what the file contains besides the compressed bytes, so every
//! byte of it is part of a stream, a field, or content.

use std::io::{self, Read, Write as _};
use std::sync::{Arc, OnceLock};

use super::cause::Cause;
use super::limits::{Hit, Limit};
use super::stored::{FieldKind, Fields, Value};
use crate::artifact::HashingWriter;
use crate::deadline::Deadline;

/// Bytes that no decompressor accepts as a stream.
static TRAILING: FieldKind = FieldKind::new("bytes after the last stream", Cause::Content);

/// The content of a compressed file besides its compressed bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub fields: Fields,
    /// Length of the first header, if the fields cover it completely.
    pub header: u64,
    /// The first bytes that each of the first streams unpacks to.
    pub starts: Vec<Vec<u8>>,
    /// The end of the last stream.
    pub end: u64,
}

/// Maximum number of streams whose beginning is kept, and its length, which is that of a tar header up to its magic.
const MOST_STARTS: usize = 8;
const LONGEST_START: usize = 265;

/// Set when a file has been decoded to its end.
pub(super) type Told = Arc<OnceLock<Facts>>;

/// The compressed bytes, with a way to look ahead.
pub(super) struct Input<'a> {
    inner: Box<dyn Read + Send + 'a>,
    buffer: Vec<u8>,
    from: usize,
    to: usize,
    /// Number of bytes that were taken.
    pub offset: u64,
}

impl<'a> Input<'a> {
    pub fn new(inner: Box<dyn Read + Send + 'a>) -> Self {
        Self {
            inner,
            buffer: vec![0; 1 << 16],
            from: 0,
            to: 0,
            offset: 0,
        }
    }

    /// The next bytes: at least `least`, unless the file ends before.
    pub fn peek(&mut self, least: usize) -> io::Result<&[u8]> {
        if self.to.saturating_sub(self.from) < least {
            self.buffer.copy_within(self.from..self.to, 0);
            self.to = self.to.saturating_sub(self.from);
            self.from = 0;
            while self.to < least {
                let room = self.buffer.get_mut(self.to..).unwrap_or_default();
                match self.inner.read(room) {
                    Ok(0) => break,
                    Ok(read) => self.to = self.to.saturating_add(read),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(self.buffer.get(self.from..self.to).unwrap_or_default())
    }

    /// Takes this number of the bytes that were looked at.
    pub fn consume(&mut self, bytes: usize) {
        self.from = self.from.saturating_add(bytes).min(self.to);
        self.offset = self.offset.saturating_add(bytes as u64);
    }

    /// Takes exactly this number of bytes.
    pub fn exactly<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Fills the whole buffer.
    pub fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => truncated(),
            _ => error,
        })
    }
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut ready = self.peek(1)?;
        let read = ready.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

/// The result of one step of a decoder.
pub(super) struct Step {
    /// Number of input bytes that it took.
    pub read: usize,
    pub written: usize,
    /// Whether the stream ended.
    pub end: bool,
}

/// How the streams of one codec follow each other.
pub(super) trait Framing: Send {
    /// Takes the bytes before a stream; returns false if what follows is not a stream.
    fn begin(&mut self, input: &mut Input, facts: &mut Facts) -> io::Result<bool>;
    /// Decodes a part of a stream, and takes the input that it has used.
    fn decode(&mut self, input: &mut Input, output: &mut [u8]) -> io::Result<Step>;
    /// Takes the bytes after a stream that belong to it.
    fn end(&mut self, _input: &mut Input, _facts: &mut Facts) -> io::Result<()> {
        Ok(())
    }
    /// The field for this number of zeros at the end of the file, if decompressors silently skip them.
    fn zeros(&self, _length: u64) -> Option<&'static FieldKind> {
        None
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Between,
    Inside,
    /// After the compressed bytes, before the bytes that belong to them.
    Ending,
    Done,
}

/// Decodes all streams of a file.
pub(super) struct Streams<'a> {
    input: Input<'a>,
    framing: Box<dyn Framing + 'a>,
    state: State,
    left: u64,
    deadline: Deadline,
    facts: Facts,
    /// Whether the beginning of the current stream is kept.
    notes: bool,
    told: Told,
}

impl<'a> Streams<'a> {
    /// Decodes up to `most` bytes.
    pub fn new(
        framing: Box<dyn Framing + 'a>,
        inner: Box<dyn Read + Send + 'a>,
        most: u64,
        deadline: Deadline,
        told: Told,
    ) -> Self {
        Self {
            input: Input::new(inner),
            framing,
            state: State::Between,
            left: most,
            deadline,
            facts: Facts::default(),
            notes: false,
            told,
        }
    }

    /// Keeps the beginning of what a stream unpacks to.
    fn note(&mut self, unpacked: &[u8]) {
        if let Some(start) = self.facts.starts.last_mut()
            && self.notes
        {
            let room = LONGEST_START.saturating_sub(start.len());
            start.extend_from_slice(unpacked.get(..room).unwrap_or(unpacked));
        }
    }

    /// Reads the bytes after the last stream.
    fn finish(&mut self) -> io::Result<()> {
        if let Some(rest) = Rest::of(&mut self.input)? {
            let zeros = self.framing.zeros(rest.length).filter(|_| rest.zeros);
            self.facts.fields.push(match zeros {
                Some(kind) => (kind, Value::Number(rest.length)),
                None => (&TRAILING, Value::Text(rest.text)),
            });
        }
        self.state = State::Done;
        // Every reader that reaches the end finds the same facts.
        let _ = self.told.set(std::mem::take(&mut self.facts));
        Ok(())
    }
}

impl Read for Streams<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match self.state {
                State::Done => return Ok(0),
                State::Between if self.framing.begin(&mut self.input, &mut self.facts)? => {
                    self.state = State::Inside;
                    self.notes = self.facts.starts.len() < MOST_STARTS;
                    if self.notes {
                        self.facts.starts.push(Vec::new());
                    }
                }
                State::Between if self.facts.end == 0 => {
                    return Err(invalid("not a compressed stream"));
                }
                State::Between => self.finish()?,
                State::Ending => {
                    // There may be many empty streams, so counting their content is not enough.
                    self.deadline.check().map_err(Hit::over)?;
                    self.framing.end(&mut self.input, &mut self.facts)?;
                    self.facts.end = self.input.offset;
                    self.state = State::Between;
                }
                State::Inside => {
                    let step = self.framing.decode(&mut self.input, buffer)?;
                    if step.end {
                        self.state = State::Ending;
                    }
                    self.left = self.left.checked_sub(step.written as u64).ok_or_else(|| {
                        let what = "one stream unpacks to more than half of what may be unpacked";
                        Hit::error(Limit::UnpackedBytes, what)
                    })?;
                    if step.written > 0 {
                        self.note(buffer.get(..step.written).unwrap_or_default());
                        return Ok(step.written);
                    }
                    if !step.end && step.read == 0 {
                        return Err(if self.input.peek(1)?.is_empty() {
                            truncated()
                        } else {
                            invalid("compressed bytes that cannot be decoded")
                        });
                    }
                }
            }
        }
    }
}

/// The rest of an input, which is not a stream.
pub(super) struct Rest {
    pub length: u64,
    pub zeros: bool,
    /// Length, digest and the first bytes.
    pub text: String,
}

impl Rest {
    /// `None` if there are no bytes.
    pub fn of(from: &mut dyn Read) -> io::Result<Option<Self>> {
        const SHOWN: usize = 24;
        let mut buffer = [0; 1 << 12];
        let (mut first, mut digest) = (Vec::new(), HashingWriter::new(io::sink()));
        let (mut length, mut zeros) = (0_u64, true);
        loop {
            let read = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let bytes = buffer.get(..read).unwrap_or_default();
            first.extend(bytes.iter().take(SHOWN.saturating_sub(first.len())));
            zeros &= bytes.iter().all(|byte| *byte == 0);
            digest.write_all(bytes)?;
            length = length.saturating_add(read as u64);
        }
        if length == 0 {
            return Ok(None);
        }
        let digest = digest.finish().1;
        let text = format!(
            "{length} bytes, sha256 {}, {}",
            digest.to_hex(),
            first.escape_ascii()
        );
        Ok(Some(Self { length, zeros, text }))
    }
}

/// Texts in headers; different bytes give different texts.
pub(super) fn text_of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\\') => text.to_owned(),
        _ => bytes.escape_ascii().to_string(),
    }
}

pub(super) fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

pub(super) fn truncated() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the file ends within a compressed stream",
    )
}
