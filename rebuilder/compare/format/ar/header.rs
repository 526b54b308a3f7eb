//! The 60-byte header of a member, and the table of longer names.

use super::index::{self, Kind};
use crate::compare::cause::Cause;
use crate::compare::format::described;
use crate::compare::normalise::Normalisation;
use crate::compare::stored::{FieldKind, Fields, Value};

static MODE: FieldKind = FieldKind::by("mode", Cause::Permissions, Normalisation::ArMetadata);
static TYPE: FieldKind = FieldKind::by(
    "type within the mode",
    Cause::ArchiveDialect,
    Normalisation::ArMetadata,
);
static TIME: FieldKind = FieldKind::by("time", Cause::Timestamp, Normalisation::ArMetadata);
static OWNER: FieldKind = FieldKind::by("owner", Cause::Ownership, Normalisation::ArMetadata);
static GROUP: FieldKind = FieldKind::by("group", Cause::Ownership, Normalisation::ArMetadata);
static SPELLING: FieldKind = FieldKind::new("name as written", Cause::ArchiveDialect);
static AS_WRITTEN: FieldKind = FieldKind::new("header as written", Cause::Content);
static TABLE: FieldKind = FieldKind::new("layout of the name table", Cause::ArchiveDialect);
static UNUSED: FieldKind = FieldKind::new("bytes of the name table that no member uses", Cause::Content);

pub(super) const HEADER: u64 = 60;

/// The content of the name field.
pub(super) enum Name {
    Short(Vec<u8>),
    /// The offset of a name in the name table.
    Long(usize),
    /// The name has this many bytes, before those of the member (BSD).
    Inline(u64),
    Table,
    Index(Kind),
}

/// A parsed header.
pub(super) struct Header {
    pub name: Name,
    pub size: u64,
    /// Time, owner, group and mode.
    numbers: [Option<u64>; 4],
    form: &'static str,
    /// Fields with bytes other than digits and trailing spaces.
    odd: Option<String>,
}

impl Header {
    /// `None` if it has no valid end or size, so that readers stop there or fail.
    pub fn parse(bytes: &[u8; 60]) -> Option<Self> {
        let (name, rest) = bytes.split_first_chunk::<16>()?;
        let (time, rest) = rest.split_first_chunk::<12>()?;
        let (owner, rest) = rest.split_first_chunk::<6>()?;
        let (group, rest) = rest.split_first_chunk::<6>()?;
        let (mode, rest) = rest.split_first_chunk::<8>()?;
        let (size, end) = rest.split_first_chunk::<10>()?;
        if end != b"`\n" {
            return None;
        }
        let texts: [(&[u8], u32); 5] = [(time, 10), (owner, 10), (group, 10), (mode, 8), (size, 10)];
        let odd = texts.iter().any(|(text, radix)| number(text, *radix).is_err());
        let numbers = texts.map(|(text, radix)| number(text, radix).ok().flatten());
        let [time, owner, group, mode, size] = numbers;
        let (name, form) = parse_name(name)?;
        Some(Self {
            name,
            size: size?,
            numbers: [time, owner, group, mode],
            form,
            odd: odd.then(|| described(bytes)),
        })
    }

    pub fn time(&self) -> Option<i64> {
        let [time, ..] = self.numbers;
        time.map(|time| i64::try_from(time).unwrap_or(i64::MAX))
    }

    /// Fields of an ordinary member.
    pub fn fields(&self) -> Fields {
        let mut fields = Fields::new();
        let [_, owner, group, mode] = self.numbers;
        if let Some(mode) = mode.map(|mode| u32::try_from(mode).unwrap_or(u32::MAX)) {
            fields.push((&MODE, Value::Mode(mode & 0o7777)));
            fields.push((&TYPE, Value::Text(format!("{:o}", mode >> 12))));
        }
        if let Some(time) = self.time() {
            fields.push((&TIME, Value::Time(time)));
        }
        for (kind, id) in [(&OWNER, owner), (&GROUP, group)] {
            fields.extend(id.map(|id| (kind, Value::Number(id)) as _));
        }
        fields.push((&SPELLING, Value::Text(self.form.to_owned())));
        fields.extend(self.odd());
        fields
    }

    /// Fields of a symbol index or a name table, without its time.
    pub fn table_fields(&self) -> Fields {
        let [_, owner, group, mode] = self.numbers;
        let kinds = [&OWNER, &GROUP];
        let ids = kinds.into_iter().zip([owner, group]);
        let mut fields: Fields = ids
            .filter_map(|(kind, id)| Some((kind, Value::Number(id?)) as _))
            .collect();
        fields.extend(mode.map(|mode| (&TYPE, Value::Text(format!("{mode:o}"))) as _));
        fields.extend(self.odd());
        fields
    }

    fn odd(&self) -> Option<(&'static FieldKind, Value)> {
        Some((&AS_WRITTEN, Value::Text(self.odd.clone()?)))
    }
}

/// A number as tools write it, with trailing spaces; `None` if there are only spaces.
fn number(text: &[u8], radix: u32) -> Result<Option<u64>, ()> {
    let digits = without_spaces(text);
    if digits.is_empty() {
        return Ok(None);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| ())?;
    let number = u64::from_str_radix(digits, radix).map_err(|_| ())?;
    let plain = match radix {
        8 => format!("{number:o}"),
        _ => number.to_string(),
    };
    (plain == digits).then_some(Some(number)).ok_or(())
}

fn without_spaces(field: &[u8]) -> &[u8] {
    let kept = field.iter().rposition(|byte| *byte != b' ');
    let kept = kept.map_or(0, |last| last.saturating_add(1));
    field.get(..kept).unwrap_or_default()
}

fn parse_name(field: &[u8; 16]) -> Option<(Name, &'static str)> {
    let name = without_spaces(field);
    let digits = |text: &[u8]| number(text, 10).ok().flatten();
    if let Some(length) = name.strip_prefix(b"#1/").and_then(digits) {
        return Some((Name::Inline(length), "before the bytes"));
    }
    Some(match name {
        b"//" | b"ARFILENAMES/" => (Name::Table, ""),
        b"/" => (Name::Index(Kind::Gnu), ""),
        b"/SYM64/" => (Name::Index(Kind::Gnu64), ""),
        [b'/', offset @ ..] => (
            Name::Long(usize::try_from(digits(offset)?).ok()?),
            "in the name table",
        ),
        [short @ .., b'/'] => (Name::Short(short.to_vec()), "with a slash"),
        short if index::named(short).is_some() => (Name::Short(short.to_vec()), ""),
        short => (Name::Short(short.to_vec()), "with spaces"),
    })
}

/// The names that are too long for a header (GNU), and which parts of the table members use.
#[derive(Default)]
pub(super) struct NameTable {
    bytes: Vec<u8>,
    /// Number of bytes that belong to names so far, as long as members use them in order.
    in_order: usize,
    /// The used parts, if members do not use them in order.
    used: Vec<(usize, usize)>,
}

impl NameTable {
    /// Replaces the table by a later one.
    pub fn replace(&mut self, bytes: Vec<u8>, fields: &mut Fields) {
        std::mem::take(self).end(fields);
        self.bytes = bytes;
    }

    /// The name at an offset, which ends with `/` and a line feed (GNU), or with a zero byte (Windows).
    pub fn take(&mut self, offset: usize) -> Option<Vec<u8>> {
        let rest = self.bytes.get(offset..).filter(|rest| !rest.is_empty())?;
        let end = rest.iter().position(|byte| matches!(byte, b'\n' | 0))?;
        let name = rest.get(..end)?;
        let name = name.strip_suffix(b"/").unwrap_or(name).to_vec();
        let end = offset.saturating_add(end).saturating_add(1);
        if offset == self.in_order && self.used.is_empty() {
            self.in_order = end;
        } else {
            self.used.push((offset, end));
        }
        Some(name)
    }

    /// Adds what does not follow from the names of the members.
    pub fn end(mut self, fields: &mut Fields) {
        if !self.used.is_empty() {
            fields.push((&TABLE, Value::Text(described(&self.bytes))));
        }
        self.used.push((0, self.in_order));
        self.used.sort_unstable();
        let (mut unused, mut at) = (Vec::new(), 0);
        for (from, to) in self.used {
            unused.extend_from_slice(self.bytes.get(at..from).unwrap_or_default());
            at = at.max(to);
        }
        let rest = self.bytes.get(at..).unwrap_or_default();
        unused.extend_from_slice(rest);
        // One byte pads the table to an even size.
        if !unused.is_empty() && unused != b"\n" {
            fields.push((&UNUSED, Value::Text(described(&unused))));
        }
    }
}
