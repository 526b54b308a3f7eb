//! The symbol index of a static library, which maps symbols to members. Linkers trust it, so each entry is checked
//! against the symbol table of its member.

use std::collections::{HashMap, HashSet};

use object::{Object as _, ObjectSymbol as _};

use crate::artifact::Sha256;
use crate::compare::cause::Cause;
use crate::compare::format::{described, path_text};
use crate::compare::stored::{FieldKind, Fields, Value};

/// A correct index: it differs only if the members or their places do.
pub(super) static INDEX: FieldKind = FieldKind::new("symbol index", Cause::Checksum);
pub(super) static WRONG: FieldKind =
    FieldKind::new("symbol index that does not fit the members", Cause::Content);
/// Members in other formats than ELF, for example for link-time optimisation.
static UNCHECKED: FieldKind = FieldKind::new("symbols of members without a symbol table", Cause::Content);

/// The forms of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Gnu,
    Gnu64,
    Bsd,
    Bsd64,
}

/// The form of index that a member with this name has.
pub(super) fn named(name: &[u8]) -> Option<Kind> {
    match name {
        b"__.SYMDEF" | b"__.SYMDEF SORTED" => Some(Kind::Bsd),
        b"__.SYMDEF_64" | b"__.SYMDEF_64 SORTED" => Some(Kind::Bsd64),
        _ => None,
    }
}

/// An index, while the members after it are read.
pub(super) struct Index {
    bytes: Vec<u8>,
    /// Ranges of symbol names in the index, by the offset of their member's header.
    entries: HashMap<u64, Vec<(usize, usize)>>,
    /// Symbols and members that could not be checked.
    unchecked: Vec<String>,
    wrong: Option<String>,
    faults: u64,
}

impl Index {
    pub fn parse(kind: Kind, bytes: Vec<u8>) -> Self {
        let parsed = parse(kind, &bytes);
        let mut index = Self {
            bytes,
            entries: HashMap::new(),
            unchecked: Vec::new(),
            wrong: None,
            faults: 0,
        };
        match parsed {
            Some(entries) => {
                let mut last: HashMap<&[u8], u64> = HashMap::new();
                for (from, to, member) in entries {
                    let name = index.bytes.get(from..to).unwrap_or_default();
                    // If two members define a symbol, linkers use the one that the index lists first.
                    if last.insert(name, member).is_some_and(|before| before >= member) {
                        index.faults = index.faults.saturating_add(1);
                        let name = path_text(name);
                        index
                            .wrong
                            .get_or_insert_with(|| format!("{name} twice, not in the order of the members"));
                    }
                    index.entries.entry(member).or_default().push((from, to));
                }
            }
            None => index.fault("it is not well-formed".into()),
        }
        index
    }

    /// Whether members still have to be checked.
    pub fn is_open(&self) -> bool {
        self.wrong.is_none()
    }

    fn fault(&mut self, words: String) {
        self.faults = self.faults.saturating_add(1);
        self.wrong.get_or_insert(words);
    }

    /// Checks the member whose header is at `begin`; without bytes, the member itself is not read.
    pub fn member(&mut self, begin: u64, name: &[u8], bytes: &[u8]) {
        let entries = self.entries.remove(&begin).unwrap_or_default();
        let index = std::mem::take(&mut self.bytes);
        let symbols = entries
            .iter()
            .map(|(from, to)| index.get(*from..*to).unwrap_or_default());
        if let Some(defined) = defined(bytes) {
            let listed: HashSet<&[u8]> = symbols.collect();
            let name = path_text(name);
            if let Some(symbol) = listed.iter().find(|symbol| !defined.contains(**symbol)) {
                self.fault(format!("{name} does not define {}", path_text(symbol)));
            }
            if let Some(symbol) = defined.iter().find(|symbol| !listed.contains(**symbol)) {
                self.fault(format!("{} of {name} is missing", path_text(symbol)));
            }
        } else {
            let lines = symbols.map(|symbol| format!("{} {}", path_text(name), path_text(symbol)));
            self.unchecked.extend(lines);
        }
        self.bytes = index;
    }

    pub fn end(mut self, fields: &mut Fields) {
        if self.is_open()
            && let Some(entries) = self.entries.values().next()
        {
            let symbol = entries
                .first()
                .and_then(|(from, to)| self.bytes.get(*from..*to))
                .map(path_text);
            self.fault(format!(
                "{} is where no member begins",
                symbol.unwrap_or_default()
            ));
        }
        if let Some(wrong) = self.wrong {
            let text = format!("{wrong}; {}", described(&self.bytes));
            fields.push((&WRONG, Value::Text(text)));
            return;
        }
        fields.push((&INDEX, Value::Text(described(&self.bytes))));
        if !self.unchecked.is_empty() {
            let digest = Sha256::of(self.unchecked.join("\n").as_bytes());
            let first = self.unchecked.first().map_or("", String::as_str);
            let text = format!(
                "{} symbols, sha256 {}…, {first}",
                self.unchecked.len(),
                digest.short()
            );
            fields.push((&UNCHECKED, Value::Text(text)));
        }
    }
}

/// The symbols that an object defines for others, according to its symbol table; `None` for other files.
fn defined(bytes: &[u8]) -> Option<HashSet<&[u8]>> {
    let file = object::File::parse(bytes).ok()?;
    let mut symbols = HashSet::new();
    for symbol in file.symbols() {
        let name = symbol.name_bytes().ok()?;
        // The symbols for link-time optimisation are in separate sections.
        if name.starts_with(b"__gnu_lto_") {
            return None;
        }
        if symbol.is_global() && !symbol.is_undefined() && !name.is_empty() {
            symbols.insert(name);
        }
    }
    Some(symbols)
}

type Entry = (usize, usize, u64);

/// The place of each name in the index, and the offset of its member.
fn parse(kind: Kind, bytes: &[u8]) -> Option<Vec<Entry>> {
    match kind {
        Kind::Gnu => gnu(bytes, 4),
        Kind::Gnu64 => gnu(bytes, 8),
        Kind::Bsd => bsd(bytes, 4, true).or_else(|| bsd(bytes, 4, false)),
        Kind::Bsd64 => bsd(bytes, 8, true).or_else(|| bsd(bytes, 8, false)),
    }
}

fn number(bytes: &[u8], at: usize, width: usize, little: bool) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(width)?)?;
    let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
    Some(if little {
        bytes.iter().rev().fold(0, add)
    } else {
        bytes.iter().fold(0, add)
    })
}

/// Reads the number of symbols, an offset for each, and their NUL-terminated names.
fn gnu(bytes: &[u8], width: usize) -> Option<Vec<Entry>> {
    let count = usize::try_from(number(bytes, 0, width, false)?).ok()?;
    let names = count.checked_add(1)?.checked_mul(width)?;
    let mut from = names;
    let mut entries = Vec::new();
    bytes.get(..names)?;
    for entry in 1..=count {
        let member = number(bytes, entry.checked_mul(width)?, width, false)?;
        let rest = bytes.get(from..)?;
        let to = from.checked_add(rest.iter().position(|byte| *byte == 0)?)?;
        entries.push((from, to, member));
        from = to.checked_add(1)?;
    }
    is_padding(bytes.get(from..)?).then_some(entries)
}

/// Reads the length of a list, pairs of offsets (of a name and of a member), and the names after their length.
fn bsd(bytes: &[u8], width: usize, little: bool) -> Option<Vec<Entry>> {
    let read = |at: usize| usize::try_from(number(bytes, at, width, little)?).ok();
    let list = read(0)?;
    let pair = width.checked_mul(2)?;
    let names = width.checked_add(list)?.checked_add(width)?;
    let length = read(width.checked_add(list)?)?;
    let end = names.checked_add(length)?;
    if list.checked_rem(pair)? != 0 || end > bytes.len() {
        return None;
    }
    let mut entries = Vec::new();
    let mut used = 0_usize;
    for at in (width..width.checked_add(list)?).step_by(pair) {
        let from = names.checked_add(read(at)?)?;
        let member = number(bytes, at.checked_add(width)?, width, little)?;
        let rest = bytes.get(from..end)?;
        let name = rest.iter().position(|byte| *byte == 0)?;
        let to = from.checked_add(name)?;
        used = used.checked_add(name)?.checked_add(1)?;
        entries.push((from, to, member));
    }
    // Names without an entry would be bytes without a meaning.
    let spare = length.checked_sub(used)?;
    (spare < 16 && is_padding(bytes.get(end..)?) && is_padding(bytes.get(end.checked_sub(spare)?..end)?))
        .then_some(entries)
}

fn is_padding(bytes: &[u8]) -> bool {
    bytes.len() < 16 && bytes.iter().all(|byte| matches!(byte, 0 | b'\n'))
}
