//! Compressed streams of PDF files: objects in a stream (ISO 32000-1, 7.5.7), and cross-reference tables (7.5.8).

use std::collections::HashSet;
use std::io::Read as _;

use super::document::{Field, Indirect, Kind, Segment, of_information};
use super::syntax::{Lexer, Object, Value};

/// What a compressed stream holds.
#[derive(Debug)]
pub(super) struct Packed {
    pub name: String,
    /// The decoded bytes. A table is written as text, in which an offset that is correct is the number of its object.
    pub bytes: Vec<u8>,
    /// The parts of the decoded bytes, without gaps.
    pub segments: Vec<Segment>,
}

/// Maximum number of decoded bytes of all streams of a file.
pub(super) const LARGEST: u64 = 64 << 20;
const DEPTH: u32 = 64;

/// The objects of a stream, and their numbers. `None` unless they follow each other without a gap, at the offsets that
/// the stream has for them.
pub(super) fn objects(
    bytes: &[u8],
    stream: &Indirect,
    information: &HashSet<u32>,
    room: &mut u64,
) -> Option<(Packed, Vec<u32>)> {
    let count = stream.object.get(bytes, b"/N")?.number()?;
    let first = stream.object.get(bytes, b"/First")?.number()?;
    let decoded = decoded(bytes, stream, room)?;
    (count <= decoded.len()).then_some(())?;
    let mut lexer = Lexer {
        bytes: &decoded,
        at: 0,
    };
    let mut fields: Vec<Field> = Vec::new();
    let mut named = Vec::new();
    for _ in 0..count {
        lexer.space();
        let number = u32::try_from(lexer.number()?).ok()?;
        lexer.space();
        let at = lexer.at;
        let offset = lexer.number()?;
        let name = format!("offset of object {number}");
        fields.push((at..lexer.at, Kind::Place, name));
        named.push((number, first.checked_add(offset)?));
    }
    lexer.space();
    for (number, at) in &named {
        (lexer.at == *at).then_some(())?;
        let object = lexer.object(DEPTH)?;
        if information.contains(number) {
            fields.extend(of_information(&decoded, &object));
        }
        lexer.space();
    }
    lexer.rest().is_empty().then_some(())?;
    let name = format!("objects in the stream of object {}", stream.number);
    let within = |at: usize| {
        let behind = named.partition_point(|(_, start)| *start <= at);
        match behind.checked_sub(1).and_then(|nth| named.get(nth)) {
            Some((number, _)) => format!("object {number}, in the stream of object {}", stream.number),
            None => name.clone(),
        }
    };
    fields.sort_by_key(|(range, ..)| range.start);
    let mut segments = Vec::new();
    let mut end = 0;
    let segment = |(range, kind, name): Field| Segment {
        kind,
        name,
        range,
        packed: None,
    };
    // The bytes of each object are kept apart, so that differences name its number.
    let between = |from: usize, until: usize, segments: &mut Vec<Segment>| {
        let mut at = from;
        let first = named.partition_point(|(_, start)| *start <= from);
        let starts = named.iter().skip(first).map(|(_, start)| *start);
        for start in starts.take_while(|start| *start < until).chain([until]) {
            segments.push(segment((at..start, Kind::Bytes, within(at))));
            at = start;
        }
    };
    for (range, kind, name) in fields {
        (range.start >= end).then_some(())?;
        between(end, range.start, &mut segments);
        end = range.end;
        segments.push(segment((range, kind, name)));
    }
    between(end, decoded.len(), &mut segments);
    let packed = Packed {
        name: name.clone(),
        bytes: decoded,
        segments,
    };
    Some((packed, named.into_iter().map(|(number, _)| number).collect()))
}

/// A cross-reference table. `None` unless every entry is correct.
pub(super) fn table(
    bytes: &[u8],
    stream: &Indirect,
    is_at: &dyn Fn(usize, u32) -> bool,
    is_in: &dyn Fn(u32, usize, u32) -> bool,
    room: &mut u64,
) -> Option<Packed> {
    const MOST_WIDE: usize = 8;
    let numbers = |key: &[u8]| -> Option<Vec<usize>> {
        match &stream.object.get(bytes, key)?.value {
            Value::Array(items) => items.iter().map(Object::number).collect(),
            _ => None,
        }
    };
    let widths = numbers(b"/W")?;
    let [kind, second, third] = widths.as_slice() else {
        return None;
    };
    widths.iter().all(|width| *width <= MOST_WIDE).then_some(())?;
    let sections = match stream.object.get(bytes, b"/Index") {
        Some(_) => numbers(b"/Index")?,
        None => vec![0, stream.object.get(bytes, b"/Size")?.number()?],
    };
    let width = widths.iter().sum::<usize>();
    let decoded = decoded(bytes, stream, room)?;
    let mut rows = decoded.chunks_exact(width.max(1));
    rows.remainder().is_empty().then_some(())?;
    let mut text = String::new();
    for section in sections.chunks(2) {
        let [start, count] = section else { return None };
        for nth in 0..*count {
            let number = u32::try_from(start.checked_add(nth)?).ok()?;
            let row = rows.next()?;
            let (own, rest) = row.split_at_checked(*kind)?;
            let (second, third) = rest
                .split_at_checked(*second)
                .filter(|(_, rest)| rest.len() == *third)?;
            let (second, third) = (value(second)?, value(third)?);
            // Without a type, an entry is that of an object in the file.
            let kind = if own.is_empty() { 1 } else { value(own)? };
            let place = match kind {
                1 if is_at(second, number) => "here".to_owned(),
                2 if is_in(u32::try_from(second).ok()?, third, number) => second.to_string(),
                1 | 2 => return None,
                _ => second.to_string(),
            };
            text.push_str(&format!("{number}: {kind} {place} {third}\n"));
        }
    }
    rows.next().is_none().then_some(())?;
    Some(Packed {
        name: format!("cross-reference table, object {}", stream.number),
        bytes: text.into_bytes(),
        segments: Vec::new(),
    })
}

fn value(bytes: &[u8]) -> Option<usize> {
    bytes.iter().try_fold(0_usize, |sum, byte| {
        sum.checked_mul(256)?.checked_add(usize::from(*byte))
    })
}

/// The bytes of a deflated stream. `None` for another filter, and for bytes after the compressed ones.
fn decoded(bytes: &[u8], stream: &Indirect, room: &mut u64) -> Option<Vec<u8>> {
    let dictionary = &stream.object;
    let is_deflated = |object: &Object| bytes.get(object.range.clone()) == Some(b"/FlateDecode");
    match &dictionary.get(bytes, b"/Filter")?.value {
        Value::Array(filters) => matches!(filters.as_slice(), [one] if is_deflated(one)).then_some(())?,
        _ => is_deflated(dictionary.get(bytes, b"/Filter")?).then_some(())?,
    }
    let raw = bytes.get(stream.stream.clone()?)?;
    let mut decoder = flate2::bufread::ZlibDecoder::new(raw);
    let mut decoded = Vec::new();
    let end = decoder.by_ref().take(*room).read_to_end(&mut decoded);
    *room = room.saturating_sub(decoded.len() as u64);
    end.ok()?;
    (*room > 0).then_some(())?;
    let rest = raw.get(usize::try_from(decoder.total_in()).ok()?..)?;
    // The end of the line before `endstream` is not part of the stream.
    matches!(rest, [] | [10 | 13] | [13, 10]).then_some(())?;
    let mut parameters = dictionary.get(bytes, b"/DecodeParms");
    if let Some(Value::Array(items)) = parameters.map(|object| &object.value) {
        parameters = Some(items.first()?);
    }
    let Some(parameters) = parameters else {
        return Some(decoded);
    };
    let number = |key: &[u8], usual: usize| match parameters.get(bytes, key) {
        Some(object) => object.number(),
        None => Some(usual),
    };
    let is_of_bytes = number(b"/Colors", 1)? == 1 && number(b"/BitsPerComponent", 8)? == 8;
    match number(b"/Predictor", 1)? {
        1 => Some(decoded),
        10..=15 if is_of_bytes => unpredicted(&decoded, number(b"/Columns", 1)?),
        _ => None,
    }
}

/// Rows without their predictors: those of PNG that writers of PDF use, which are none and the row above.
fn unpredicted(rows: &[u8], columns: usize) -> Option<Vec<u8>> {
    let mut above = vec![0; columns.min(rows.len())];
    let mut all = Vec::with_capacity(rows.len());
    let rows = rows.chunks_exact(columns.checked_add(1)?);
    rows.remainder().is_empty().then_some(())?;
    for row in rows {
        let (predictor, row) = row.split_first()?;
        let add = |(byte, above): (&u8, &u8)| match predictor {
            0 => Some(*byte),
            2 => Some(byte.wrapping_add(*above)),
            _ => None,
        };
        above = row.iter().zip(&above).map(add).collect::<Option<_>>()?;
        all.extend_from_slice(&above);
    }
    Some(all)
}
