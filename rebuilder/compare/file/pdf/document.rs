//! A whole PDF file: its objects in stored order, its cross-reference tables and trailers.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use memchr::memmem;

use super::packed::{self, Packed};
use super::syntax::{Lexer, Object, Value};
use super::xmp;

/// The meaning of a part of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bytes,
    Date,
    Identifier,
    Tool,
    /// An offset or a length that is correct.
    Place,
    /// A stream of compressed objects.
    Objects,
    /// A compressed cross-reference table.
    Table,
}

#[derive(Debug)]
pub(super) struct Segment {
    pub kind: Kind,
    pub name: String,
    pub range: Range<usize>,
    /// The content of a compressed stream.
    pub packed: Option<Packed>,
}

/// A field in the bytes of a file or of a stream.
pub(super) type Field = (Range<usize>, Kind, String);

impl Segment {
    pub fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.range.clone()).unwrap_or_default()
    }
}

pub(super) struct Indirect {
    pub number: u32,
    pub object: Object,
    pub stream: Option<Range<usize>>,
    end: usize,
}

#[derive(Default)]
struct Document {
    /// The objects, by offset.
    objects: HashMap<usize, Indirect>,
    tables: HashSet<usize>,
    trailers: Vec<Object>,
    fields: Vec<Field>,
    /// Numbers of the information dictionaries.
    information: HashSet<u32>,
    /// Entries of tables: where the offset is stored, the offset, and the number of the object.
    entries: Vec<(Range<usize>, usize, u32)>,
    /// Offsets of tables: where each is stored, and its value.
    starts: Vec<(Range<usize>, usize)>,
}

const DEPTH: u32 = 64;
const MOST_OBJECTS: usize = 1_000_000;

/// The parts of a file, without gaps. `None` if it is encrypted, or if anything is not where the file says.
pub(super) fn read(bytes: &[u8]) -> Option<Vec<Segment>> {
    let mut lexer = Lexer { bytes, at: 0 };
    let mut document = Document::default();
    loop {
        lexer.space();
        let start = lexer.at;
        if lexer.rest().is_empty() {
            break;
        }
        if let Some(number) = lexer.header() {
            let indirect = indirect(&mut lexer, number)?;
            document.objects.insert(start, indirect);
        } else if lexer.word(b"xref").is_some() {
            document.tables.insert(start);
            table(&mut lexer, &mut document)?;
        } else if lexer.word(b"trailer").is_some() {
            document.trailers.push(lexer.object(DEPTH)?);
        } else {
            lexer.word(b"startxref")?;
            lexer.space();
            let at = lexer.at;
            let target = lexer.number()?;
            document.starts.push((at..lexer.at, target));
        }
        (document.objects.len() <= MOST_OBJECTS).then_some(())?;
    }
    document.places(bytes)?;
    document.metadata(bytes)?;
    let packed = document.packed(bytes);
    document.segments(bytes, packed)
}

/// An object with its stream.
fn indirect(lexer: &mut Lexer, number: u32) -> Option<Indirect> {
    let object = lexer.object(DEPTH)?;
    lexer.space();
    let mut stream = None;
    if lexer.word(b"stream").is_some() {
        let line = match lexer.rest() {
            [13, 10, ..] => 2,
            [10, ..] => 1,
            _ => return None,
        };
        let start = lexer.at.checked_add(line)?;
        let length = object.get(lexer.bytes, b"/Length")?.number();
        let end = if let Some(length) = length {
            start.checked_add(length)?
        } else {
            // Another object has the length; it is checked later.
            let found = memmem::find(lexer.bytes.get(start..)?, b"endstream")?;
            start.checked_add(found)?
        };
        lexer.at = end;
        lexer.space();
        lexer.word(b"endstream")?;
        lexer.space();
        stream = Some(start..end);
    }
    lexer.word(b"endobj")?;
    Some(Indirect {
        number,
        object,
        stream,
        end: lexer.at,
    })
}

/// Sections of a cross-reference table, with entries of twenty bytes.
fn table(lexer: &mut Lexer, document: &mut Document) -> Option<()> {
    const ENTRY: usize = 20;
    loop {
        lexer.space();
        let Some(first) = lexer.number() else {
            return Some(());
        };
        lexer.space();
        let count = lexer.number()?;
        lexer.space();
        for nth in 0..count {
            let entry = lexer.rest().get(..ENTRY)?;
            let number = u32::try_from(first.checked_add(nth)?).ok()?;
            if entry.get(17) == Some(&b'n') {
                let at = lexer.at..lexer.at.checked_add(10)?;
                let target = std::str::from_utf8(entry.get(..10)?).ok()?.parse().ok()?;
                document.entries.push((at, target, number));
            }
            lexer.at = lexer.at.checked_add(ENTRY)?;
        }
    }
}

impl Indirect {
    /// The streams of a type, with the bytes that each has.
    fn of_type<'o>(
        objects: &'o HashMap<usize, Self>,
        bytes: &[u8],
        kind: &[u8],
    ) -> Vec<(&'o Range<usize>, &'o Self)> {
        let is = |object: &&Self| {
            let own = object.object.get(bytes, b"/Type");
            own.is_some_and(|own| bytes.get(own.range.clone()) == Some(kind))
        };
        let streams = objects.values().filter(is);
        streams
            .filter_map(|object| Some((object.stream.as_ref()?, object)))
            .collect()
    }
}

impl Document {
    /// Offsets and lengths, all of which must be correct.
    fn places(&mut self, bytes: &[u8]) -> Option<()> {
        let mut fields = Vec::new();
        for (range, target, number) in &self.entries {
            (self.objects.get(target)?.number == *number).then_some(())?;
            fields.push((range.clone(), format!("offset of object {number}")));
        }
        let is_table = |target: &usize| {
            let stream = self
                .objects
                .get(target)
                .and_then(|object| object.object.get(bytes, b"/Type"));
            self.tables.contains(target)
                || stream.is_some_and(|kind| bytes.get(kind.range.clone()) == Some(b"/XRef"))
        };
        for (range, target) in &self.starts {
            is_table(target).then_some(())?;
            fields.push((range.clone(), "startxref".to_owned()));
        }
        for trailer in &self.trailers {
            for key in [&b"/Prev"[..], b"/XRefStm"] {
                if let Some(field) = trailer.get(bytes, key) {
                    is_table(&field.number()?).then_some(())?;
                    fields.push((field.range.clone(), "offset of another table".to_owned()));
                }
            }
        }
        let mut by_number: HashMap<u32, &Object> = HashMap::new();
        for object in self.objects.values() {
            by_number.insert(object.number, &object.object);
        }
        let mut lengths = HashSet::new();
        for object in self.objects.values() {
            let Some(stream) = &object.stream else { continue };
            let mut length = object.object.get(bytes, b"/Length")?;
            if let Some(number) = length.reference() {
                length = by_number.get(&number)?;
            }
            let after = bytes.get(stream.start.checked_add(length.number()?)?..stream.end)?;
            matches!(after, [] | [10 | 13] | [13, 10]).then_some(())?;
            if lengths.insert(length.range.start) {
                fields.push((
                    length.range.clone(),
                    format!("length of the stream of object {}", object.number),
                ));
            }
        }
        self.fields
            .extend(fields.into_iter().map(|(range, name)| (range, Kind::Place, name)));
        Some(())
    }

    /// Fields of trailers, of the information dictionary and of metadata streams.
    fn metadata(&mut self, bytes: &[u8]) -> Option<()> {
        let mut fields = Vec::new();
        let mut information = HashSet::new();
        let streams = self.objects.values().filter(|object| {
            let kind = object.object.get(bytes, b"/Type");
            kind.is_some_and(|kind| bytes.get(kind.range.clone()) == Some(b"/XRef"))
        });
        for trailer in self.trailers.iter().chain(streams.map(|object| &object.object)) {
            if trailer.get(bytes, b"/Encrypt").is_some() {
                // The encryption key is derived from the identifier.
                return None;
            }
            information.extend(trailer.get(bytes, b"/Info").and_then(Object::reference));
            if let Some(Value::Array(identifiers)) = trailer.get(bytes, b"/ID").map(|object| &object.value) {
                let named =
                    |object: &Object| (object.range.clone(), Kind::Identifier, "trailer, /ID".to_owned());
                fields.extend(
                    identifiers
                        .iter()
                        .filter(|object| is_identifier(bytes, object))
                        .map(named),
                );
            }
        }
        for object in self.objects.values() {
            if information.contains(&object.number) {
                fields.extend(of_information(bytes, &object.object));
            }
            if let Some(stream) = &object.stream {
                fields.extend(xmp::fields(bytes, &object.object, stream));
            }
        }
        self.fields.extend(fields);
        self.information = information;
        Some(())
    }

    /// The streams that can be read, by the offset where each starts. The others are compared as they are.
    fn packed(&mut self, bytes: &[u8]) -> HashMap<usize, Packed> {
        let mut room = packed::LARGEST;
        let mut found = HashMap::new();
        let mut members = HashMap::new();
        for (start, object) in Indirect::of_type(&self.objects, bytes, b"/ObjStm") {
            if let Some((packed, numbers)) = packed::objects(bytes, object, &self.information, &mut room) {
                members.insert(object.number, numbers);
                self.fields
                    .push((start.clone(), Kind::Objects, packed.name.clone()));
                found.insert(start.start, packed);
            }
        }
        let is_at = |offset: usize, number: u32| {
            let object = self.objects.get(&offset);
            object.is_some_and(|object| object.number == number)
        };
        let is_in = |stream: u32, nth: usize, number: u32| {
            let numbers = members.get(&stream).and_then(|numbers| numbers.get(nth));
            numbers == Some(&number)
        };
        let mut tables = Vec::new();
        for (range, object) in Indirect::of_type(&self.objects, bytes, b"/XRef") {
            if let Some(packed) = packed::table(bytes, object, &is_at, &is_in, &mut room) {
                tables.push((range.clone(), Kind::Table, packed.name.clone()));
                found.insert(range.start, packed);
            }
        }
        self.fields.extend(tables);
        found
    }

    fn segments(mut self, bytes: &[u8], mut packed: HashMap<usize, Packed>) -> Option<Vec<Segment>> {
        self.fields.sort_by_key(|(range, ..)| range.start);
        let mut objects: Vec<(usize, usize, u32)> = self
            .objects
            .iter()
            .map(|(start, object)| (*start, object.end, object.number))
            .collect();
        objects.sort_unstable();
        let within = |at: usize| {
            let behind = objects.partition_point(|(start, ..)| *start <= at);
            let last = behind.checked_sub(1).and_then(|nth| objects.get(nth));
            match last {
                Some((_, end, number)) if at < *end => format!("object {number}, from {at:#x}"),
                _ => format!("outside of objects, from {at:#x}"),
            }
        };
        let mut cuts: Vec<Field> = Vec::new();
        let mut end = 0;
        let between = |until: usize, cuts: &mut Vec<_>, from: usize| {
            // The bytes of each object are kept apart, so that differences name its number.
            let mut at = from;
            let first = objects.partition_point(|(start, ..)| *start <= from);
            for (start, ..) in objects
                .iter()
                .skip(first)
                .take_while(|(start, ..)| *start < until)
            {
                cuts.push((at..*start, Kind::Bytes, within(at)));
                at = *start;
            }
            cuts.push((at..until, Kind::Bytes, within(at)));
        };
        for (range, kind, name) in self.fields {
            (range.start >= end).then_some(())?;
            between(range.start, &mut cuts, end);
            end = range.end;
            cuts.push((range, kind, name));
        }
        between(bytes.len(), &mut cuts, end);
        let segment = |(range, kind, name): Field| Segment {
            packed: packed
                .remove(&range.start)
                .filter(|_| matches!(kind, Kind::Objects | Kind::Table)),
            kind,
            name,
            range,
        };
        Some(cuts.into_iter().map(segment).collect())
    }
}

/// Whether an object is an identifier: at least 16 bytes in hexadecimal.
fn is_identifier(bytes: &[u8], object: &Object) -> bool {
    let text = bytes.get(object.range.clone()).unwrap_or_default();
    let digits = text.strip_prefix(b"<").and_then(|text| text.strip_suffix(b">"));
    digits.is_some_and(|digits| (32..=64).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit))
}

pub(super) fn of_information(bytes: &[u8], object: &Object) -> Vec<Field> {
    let mut fields = Vec::new();
    for (key, kind) in [
        ("/CreationDate", Kind::Date),
        ("/ModDate", Kind::Date),
        ("/Producer", Kind::Tool),
        ("/Creator", Kind::Tool),
    ] {
        let Some(value) = object.get(bytes, key.as_bytes()) else {
            continue;
        };
        let text = bytes.get(value.range.clone()).unwrap_or_default();
        if kind == Kind::Tool && matches!(value.value, Value::String) || is_date(text) {
            fields.push((value.range.clone(), kind, key.to_owned()));
        }
    }
    fields
}

/// Whether a text is a date such as `(D:20240131123000+01'00')`.
fn is_date(text: &[u8]) -> bool {
    let Some(date) = text.strip_prefix(b"(D:").and_then(|text| text.strip_suffix(b")")) else {
        return false;
    };
    let (day, rest) = date.split_at_checked(14).unwrap_or((date, &[]));
    let zone = rest
        .iter()
        .all(|byte| byte.is_ascii_digit() || b"Z+-'".contains(byte))
        && rest.len() <= 7;
    let text = std::str::from_utf8(day).unwrap_or_default();
    zone && jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", text).is_ok()
}
