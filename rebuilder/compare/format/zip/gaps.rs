//! Bytes that belong to no entry: where something could be hidden.

use std::io::{self, Read as _, Seek as _, SeekFrom};

use super::header::number;
use crate::compare::cause::Cause;
use crate::compare::format::described;
use crate::compare::source::ReadSeek;
use crate::compare::stored::{FieldKind, Fields, Value};

static HIDDEN: FieldKind = FieldKind::new("bytes between entries", Cause::Content);
static BEFORE: FieldKind = FieldKind::new("bytes before the first entry", Cause::Content);
static AFTER: FieldKind = FieldKind::new("bytes after the end", Cause::Content);

/// Where an entry is, from its local header to the end of its data.
pub(super) struct Span {
    pub start: u64,
    pub end: u64,
    /// CRC, packed size and size, if they are stored after the data.
    pub descriptor: Option<(u32, u64, u64)>,
}

/// Most bytes read of one gap.
const MOST_GAP: u64 = 1 << 20;

/// Bytes before, between and after the entries that belong to none of them.
pub(super) fn between(
    reader: &mut io::BufReader<Box<dyn ReadSeek>>,
    mut spans: Vec<Span>,
    directory: u64,
    fields: &mut Fields,
) -> io::Result<()> {
    spans.sort_by_key(|span| span.start);
    let mut read = |from: u64, to: u64| -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        reader.seek(SeekFrom::Start(from))?;
        reader
            .by_ref()
            .take(to.saturating_sub(from).min(MOST_GAP))
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let first = spans.first().map_or(directory, |span| span.start);
    if first > 0 {
        fields.push((
            &BEFORE,
            Value::Text(format!("{first} bytes: {}", described(&read(0, first)?))),
        ));
    }
    let nexts = spans.iter().skip(1).map(|span| span.start).chain([directory]);
    for (span, next) in spans.iter().zip(nexts) {
        let length = next.saturating_sub(span.end);
        if length == 0 {
            continue;
        }
        let gap = read(span.end, next)?;
        let rest = span
            .descriptor
            .map_or(gap.as_slice(), |descriptor| without_descriptor(&gap, descriptor));
        if !rest.is_empty() {
            let text = format!("{length} bytes: {}", described(rest));
            fields.push((&HIDDEN, Value::Text(text)));
        }
    }
    Ok(())
}

/// What follows a data descriptor (APPNOTE 4.3.9), in any of its four forms.
fn without_descriptor(gap: &[u8], (crc, packed, size): (u32, u64, u64)) -> &[u8] {
    for signature in [b"PK\x07\x08".as_slice(), b""] {
        let Some(rest) = gap.strip_prefix(signature) else {
            continue;
        };
        let Some(rest) = rest.strip_prefix(&crc.to_le_bytes()) else {
            continue;
        };
        let long = [packed.to_le_bytes(), size.to_le_bytes()].concat();
        let short = |number: u64| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
        let short = [short(packed), short(size)].concat();
        if let Some(rest) = rest
            .strip_prefix(long.as_slice())
            .or_else(|| rest.strip_prefix(short.as_slice()))
        {
            return rest;
        }
    }
    gap
}

/// From the end of the central directory to the end of the file: end records, and what does not belong there.
pub(super) fn after(
    reader: &mut io::BufReader<Box<dyn ReadSeek>>,
    from: u64,
    fields: &mut Fields,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    let size = reader.seek(SeekFrom::End(0))?;
    reader.seek(SeekFrom::Start(from))?;
    reader.by_ref().take(MOST_GAP).read_to_end(&mut bytes)?;
    let mut rest = bytes.as_slice();
    if let Some((record, behind)) = rest
        .strip_prefix(b"PK\x06\x06")
        .and_then(<[u8]>::split_first_chunk)
    {
        let record = usize::try_from(u64::from_le_bytes(*record)).unwrap_or(usize::MAX);
        rest = behind.get(record..).unwrap_or_default();
    }
    if rest.starts_with(b"PK\x06\x07") {
        rest = rest.get(20..).unwrap_or_default();
    }
    if rest.starts_with(b"PK\x05\x06") && rest.len() >= 22 {
        let end = usize::from(number(rest, 20)).saturating_add(22);
        rest = rest.get(end..).unwrap_or_default();
    }
    let length = size.saturating_sub(from);
    if !rest.is_empty() || length > MOST_GAP {
        let text = format!("{length} bytes: {}", described(rest));
        fields.push((&AFTER, Value::Text(text)));
    }
    Ok(())
}
