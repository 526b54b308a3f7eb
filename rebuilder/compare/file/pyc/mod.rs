//! Compiled Python (PEP 552): the header, and the marshalled code object as a list of its values.

mod marshal;

use marshal::{Kind, Value};

use crate::compare::cause::{Cause, Confidence};
use crate::compare::explain::{Context, explain};
use crate::compare::file::comparator::{FileComparator, Leaf, Pair};
use crate::compare::finding::Finding;
use crate::compare::normalise::Normalisation;

pub(super) struct Pyc;

impl FileComparator for Pyc {
    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.pyc", b"\xa7\x0d\x0d\x0a")
    }

    fn normalisations(&self) -> &'static [Normalisation] {
        &[Normalisation::PycSourceTime]
    }

    fn recognises(&self, pair: &Pair) -> bool {
        pair.path.name.ends_with(".pyc")
    }

    fn compare(&self, pair: &Pair) -> Option<Leaf> {
        let (old, old_code) = Header::read(pair.released)?;
        let (new, new_code) = Header::read(pair.rebuilt)?;
        let mut leaf = Leaf::of("compiled Python");
        if old.magic != new.magic {
            let key = format!("{} → {}", old.python(), new.python());
            leaf.add(
                Finding::new("magic number", old.python(), new.python())
                    .because(Cause::ToolVersion, Confidence::Proven)
                    .keyed(key),
            );
            return Some(leaf);
        }
        headers(&mut leaf, &old, &new);
        if old_code != new_code {
            let (old, new) = (
                marshal::values(old_code, old.magic)?,
                marshal::values(new_code, new.magic)?,
            );
            if old.len() == new.len() {
                same_shape(&mut leaf, &old, &new);
            } else {
                leaf.add(other_shape(&old, &new));
            }
            if leaf.findings.is_empty() {
                leaf.add(Finding::new("code", "", ""));
            }
        }
        Some(leaf)
    }
}

const HEADER: usize = 16;

/// ```text
///  0      2      4        8                    12                16
///  │ magic│ \r\n │ flags  │ time of the source │ size of source │ code …
///                         │ or its hash, if bit 0 of the flags is set │
/// ```
struct Header {
    magic: u32,
    flags: u32,
    time: u32,
    size: u32,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (header, code) = bytes.split_first_chunk::<HEADER>()?;
        let (words, _) = header.as_chunks::<4>();
        let mut words = words.iter().map(|word| u32::from_le_bytes(*word));
        let header = Self {
            magic: words.next()? & 0xffff,
            flags: words.next()?,
            time: words.next()?,
            size: words.next()?,
        };
        Some((header, code))
    }

    /// Whether the hash of the source is in the place of its time and size.
    fn is_hashed(&self) -> bool {
        self.flags & 1 != 0
    }

    fn hash(&self) -> String {
        hex::encode([self.time.to_le_bytes(), self.size.to_le_bytes()].concat())
    }

    fn python(&self) -> String {
        const VERSIONS: &[(u32, u32)] = &[
            (3390, 7),
            (3400, 8),
            (3420, 9),
            (3430, 10),
            (3450, 11),
            (3500, 12),
            (3550, 13),
            (3600, 14),
            (3650, 15),
        ];
        let magic = self.magic;
        let minor = VERSIONS.iter().rev().find(|(from, _)| magic >= *from);
        match minor {
            Some((_, minor)) => format!("Python 3.{minor} (magic {magic})"),
            None => format!("Python (magic {magic})"),
        }
    }
}

/// Headers of one version of Python.
fn headers(leaf: &mut Leaf, old: &Header, new: &Header) {
    if old.flags != new.flags {
        leaf.add(
            Finding::new("flags", old.flags.to_string(), new.flags.to_string())
                .because(Cause::ToolVersion, Confidence::Likely)
                .keyed("invalidation mode of .pyc files"),
        );
    } else if old.is_hashed() {
        if old.hash() != new.hash() {
            leaf.add(
                Finding::new("hash of the source", old.hash(), new.hash())
                    .because(Cause::Content, Confidence::Likely),
            );
        }
    } else if old.time != new.time {
        let text = |seconds: u32| {
            jiff::Timestamp::from_second(i64::from(seconds))
                .map_or_else(|_| seconds.to_string(), |time| time.to_string())
        };
        leaf.add(
            Finding::new("time of the source", text(old.time), text(new.time))
                .because(Cause::Timestamp, Confidence::Proven)
                .keyed("time of the source in .pyc files")
                .set_aside_by(Normalisation::PycSourceTime),
        );
    }
    if !old.is_hashed() && old.size != new.size {
        leaf.add(Finding::new(
            "size of the source",
            old.size.to_string(),
            new.size.to_string(),
        ));
    }
}

/// Shared values are written once and then referred to, which depends on what else the compiler held.
const REFERENCES: &str = "references between values of .pyc files";

/// Code with other numbers of values.
fn other_shape(old: &[Value], new: &[Value]) -> Finding {
    let plain = |values: &'_ [Value]| -> Vec<Vec<u8>> {
        let mut plain: Vec<_> = values
            .iter()
            .filter(|value| value.kind != Kind::Reference)
            .map(|value| value.bytes.clone())
            .collect();
        plain.sort();
        plain.dedup();
        plain
    };
    let count = |values: &[Value]| format!("{} values", values.len());
    let finding = Finding::new("code", count(old), count(new));
    if plain(old) == plain(new) {
        finding
            .because(Cause::Randomness, Confidence::Possible)
            .keyed(REFERENCES)
    } else {
        finding
    }
}

/// Code with the same number of values.
fn same_shape(leaf: &mut Leaf, old: &[Value], new: &[Value]) {
    for (released, rebuilt) in old.iter().zip(new) {
        if !released.same(rebuilt) {
            values(leaf, released, rebuilt);
        }
    }
}

fn values(leaf: &mut Leaf, released: &Value, rebuilt: &Value) {
    let place = format!("code, offset {:#x}", released.offset.saturating_add(HEADER));
    let same_kind = released.kind == rebuilt.kind;
    if same_kind && (released.bytes == rebuilt.bytes || released.kind == Kind::Reference) {
        leaf.add(
            Finding::new(place, "", "")
                .because(Cause::Randomness, Confidence::Likely)
                .keyed(REFERENCES),
        );
        return;
    }
    let (Some(old), Some(new)) = (released.text(), rebuilt.text()) else {
        let first = |value: &Value| hex::encode(value.bytes.get(..32).unwrap_or(&value.bytes));
        leaf.add(Finding::new(place, first(released), first(rebuilt)));
        return;
    };
    let context = Context {
        build_folder: same_kind && old.ends_with(".py") && new.ends_with(".py"),
        ..Context::default()
    };
    let reasons = explain(old, new, context);
    if reasons.is_empty() {
        leaf.add(Finding::new(&place, old, new));
    }
    for reason in &reasons {
        leaf.add_reason(&place, old, new, reason);
    }
}
