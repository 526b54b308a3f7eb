//! Compiled Python (PEP 552): the header, and the marshalled code object as a list of its values.

use super::Leaf;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::explain::{Context, explain};
use crate::compare::finding::Finding;
use crate::compare::normalise::Normalisation;

const HEADER: usize = 16;

/// None where either side cannot be read as compiled Python.
pub(super) fn compare(released: &[u8], rebuilt: &[u8]) -> Option<Leaf> {
    if released.len() < HEADER || rebuilt.len() < HEADER {
        return None;
    }
    let mut leaf = Leaf::of("compiled Python");
    let word = |bytes: &[u8], at: usize| -> Option<u32> {
        Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    };
    let magic = (word(released, 0)? & 0xffff, word(rebuilt, 0)? & 0xffff);
    if magic.0 != magic.1 {
        let version = |magic: u32| format!("{} (magic {magic})", python(magic));
        let (a, b) = (version(magic.0), version(magic.1));
        let key = format!("{a} → {b}");
        leaf.add(
            Finding::new("magic number", a, b)
                .because(Cause::ToolVersion, Confidence::Proven)
                .keyed(key),
        );
        return Some(leaf);
    }
    let flags = (word(released, 4)?, word(rebuilt, 4)?);
    if flags.0 != flags.1 {
        leaf.add(
            Finding::new("flags", flags.0.to_string(), flags.1.to_string())
                .because(Cause::ToolVersion, Confidence::Likely)
                .keyed("invalidation mode of .pyc files"),
        );
    } else if flags.0 & 1 == 0 {
        let times = (word(released, 8)?, word(rebuilt, 8)?);
        if times.0 != times.1 {
            let text = |seconds: u32| {
                jiff::Timestamp::from_second(i64::from(seconds))
                    .map_or_else(|_| seconds.to_string(), |time| time.to_string())
            };
            leaf.add(
                Finding::new("time of the source", text(times.0), text(times.1))
                    .because(Cause::Timestamp, Confidence::Proven)
                    .keyed("time of the source in .pyc files")
                    .set_aside_by(Normalisation::PycSourceTime),
            );
        }
    } else if released[8..16] != rebuilt[8..16] {
        leaf.add(
            Finding::new(
                "hash of the source",
                hex::encode(&released[8..16]),
                hex::encode(&rebuilt[8..16]),
            )
            .because(Cause::Content, Confidence::Likely),
        );
    }
    let sizes = (word(released, 12)?, word(rebuilt, 12)?);
    if flags.0 & 1 == 0 && sizes.0 != sizes.1 {
        leaf.add(Finding::new(
            "size of the source",
            sizes.0.to_string(),
            sizes.1.to_string(),
        ));
    }
    if released[HEADER..] == rebuilt[HEADER..] {
        return Some(leaf);
    }
    let (old, new) = (
        values(&released[HEADER..], magic.0)?,
        values(&rebuilt[HEADER..], magic.0)?,
    );
    if old.len() != new.len() {
        // Shared values are written once and then referred to, which depends on what else the compiler held.
        let plain = |values: &[Value]| -> Vec<Vec<u8>> {
            let mut plain: Vec<_> = values
                .iter()
                .filter(|value| value.kind != b'r')
                .map(|value| value.bytes.clone())
                .collect();
            plain.sort();
            plain.dedup();
            plain
        };
        let same = plain(&old) == plain(&new);
        let count = |values: &[Value]| format!("{} values", values.len());
        let finding = Finding::new("code", count(&old), count(&new));
        leaf.add(if same {
            finding
                .because(Cause::Randomness, Confidence::Possible)
                .keyed("references between values of .pyc files")
        } else {
            finding
        });
        return Some(leaf);
    }
    for (a, b) in old.iter().zip(&new).filter(|(a, b)| !a.same(b)) {
        let place = format!("code, offset {:#x}", a.offset + HEADER);
        if a.kind == b.kind && a.bytes == b.bytes || a.kind == b'r' && b.kind == b'r' {
            leaf.add(
                Finding::new(place, "", "")
                    .because(Cause::Randomness, Confidence::Likely)
                    .keyed("references between values of .pyc files"),
            );
            continue;
        }
        let text = |value: &Value| {
            let fine = value.text && std::str::from_utf8(&value.bytes).is_ok();
            fine.then(|| String::from_utf8_lossy(&value.bytes).into_owned())
        };
        match (text(a), text(b)) {
            (Some(x), Some(y)) => {
                let context = Context {
                    build_folder: a.kind == b.kind && x.ends_with(".py") && y.ends_with(".py"),
                    ..Context::default()
                };
                let reasons = explain(&x, &y, context);
                if reasons.is_empty() {
                    leaf.add(Finding::new(place, x, y));
                } else {
                    for reason in reasons {
                        leaf.add_reason(&place, &x, &y, &reason);
                    }
                }
            }
            _ => leaf.add(Finding::new(
                place,
                hex::encode(&a.bytes[..a.bytes.len().min(32)]),
                hex::encode(&b.bytes[..b.bytes.len().min(32)]),
            )),
        }
    }
    if leaf.findings.is_empty() {
        leaf.add(Finding::new("code", "", ""));
    }
    Some(leaf)
}

fn python(magic: u32) -> String {
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
    let minor = VERSIONS.iter().rev().find(|(from, _)| magic >= *from);
    minor.map_or_else(|| "Python".to_owned(), |(_, minor)| format!("Python 3.{minor}"))
}

/// One marshalled value; containers are their lengths only, and their elements follow.
#[derive(Debug)]
struct Value {
    /// Where it is written; the same value may stand elsewhere.
    offset: usize,
    kind: u8,
    /// Whether it may be referred to.
    shared: bool,
    text: bool,
    bytes: Vec<u8>,
}

impl Value {
    fn same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.shared == other.shared && self.bytes == other.bytes
    }
}

const MOST_VALUES: usize = 1_000_000;
const DEEPEST: u32 = 200;

/// Every value in the order it is written; none where that is no marshalled code.
fn values(bytes: &[u8], magic: u32) -> Option<Vec<Value>> {
    let mut reader = Reader {
        bytes,
        at: 0,
        magic,
        values: Vec::new(),
    };
    reader.value(DEEPEST)?;
    (reader.at == bytes.len()).then_some(reader.values)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    magic: u32,
    values: Vec<Value>,
}

impl Reader<'_> {
    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn length(&mut self, wide: bool) -> Option<usize> {
        if !wide {
            return Some(usize::from(self.take(1)?[0]));
        }
        let word: [u8; 4] = self.take(4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(word)).ok()
    }

    /// `Python/marshal.c`: one type byte, whose top bit says that the value may be referred to later.
    fn value(&mut self, depth: u32) -> Option<()> {
        if depth == 0 || self.values.len() > MOST_VALUES {
            return None;
        }
        let offset = self.at;
        let byte = self.take(1)?[0];
        let (kind, shared) = (byte & 0x7f, byte & 0x80 != 0);
        let index = self.values.len();
        self.values.push(Value {
            offset,
            kind,
            shared,
            text: false,
            bytes: Vec::new(),
        });
        let (mut text, mut below) = (false, 0);
        let own = match kind {
            b'0' | b'N' | b'F' | b'T' | b'S' | b'.' => Vec::new(),
            b'i' | b'r' => self.take(4)?.to_vec(),
            b'I' | b'g' => self.take(8)?.to_vec(),
            b'y' => self.take(16)?.to_vec(),
            b'l' => {
                let word: [u8; 4] = self.take(4)?.try_into().ok()?;
                let digits = usize::try_from(i32::from_le_bytes(word).unsigned_abs()).ok()?;
                let mut own = word.to_vec();
                own.extend_from_slice(self.take(digits.checked_mul(2)?)?);
                own
            }
            b's' | b't' | b'u' | b'a' | b'A' => {
                text = kind != b's';
                let length = self.length(true)?;
                self.take(length)?.to_vec()
            }
            b'z' | b'Z' => {
                text = true;
                let length = self.length(false)?;
                self.take(length)?.to_vec()
            }
            b'(' | b'[' | b'<' | b'>' => {
                below = self.length(true)?;
                below.to_le_bytes().to_vec()
            }
            b')' => {
                below = self.length(false)?;
                below.to_le_bytes().to_vec()
            }
            b'{' => {
                // Pairs until a null.
                while *self.bytes.get(self.at)? != b'0' {
                    self.value(depth - 1)?;
                    self.value(depth - 1)?;
                }
                self.take(1)?;
                Vec::new()
            }
            b':' => {
                below = 3;
                Vec::new()
            }
            b'c' => return self.code(index, depth),
            _ => return None,
        };
        self.values[index].bytes = own;
        self.values[index].text = text;
        for _ in 0..below {
            self.value(depth - 1)?;
        }
        Some(())
    }

    /// A code object: a few numbers, values, the first line, and tables.
    fn code(&mut self, index: usize, depth: u32) -> Option<()> {
        let (numbers, before, after) = match self.magic {
            3450.. => (5, 8, 2),
            3400.. => (6, 8, 1),
            3360.. => (5, 8, 1),
            _ => return None,
        };
        let mut own = self.take(numbers * 4)?.to_vec();
        for _ in 0..before {
            self.value(depth - 1)?;
        }
        own.extend_from_slice(self.take(4)?);
        self.values[index].bytes = own;
        for _ in 0..after {
            self.value(depth - 1)?;
        }
        Some(())
    }
}
