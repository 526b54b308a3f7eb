//! Java classes (JVMS 4): the version, the constants, and the rest.

use super::Leaf;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::explain::Context;
use crate::compare::finding::Finding;

/// None where either side cannot be read as a class.
pub(super) fn compare(released: &[u8], rebuilt: &[u8]) -> Option<Leaf> {
    let (old, new) = (Class::read(released)?, Class::read(rebuilt)?);
    let mut leaf = Leaf::of("Java class");
    if old.version != new.version {
        let text =
            |(major, minor): (u16, u16)| format!("{major}.{minor} (Java {})", major.saturating_sub(44));
        let (a, b) = (text(old.version), text(new.version));
        let key = format!("class version {a} → {b}");
        leaf.add(
            Finding::new("version", a, b)
                .because(Cause::ToolVersion, Confidence::Proven)
                .keyed(key),
        );
    }
    if old.constants.len() == new.constants.len() {
        for (index, (a, b)) in old
            .constants
            .iter()
            .zip(&new.constants)
            .enumerate()
            .filter(|(_, (a, b))| a != b)
        {
            let place = format!("constant {}", index + 1);
            match (a, b) {
                (Constant::Text(a), Constant::Text(b)) => leaf.add_pair(&place, a, b, Context::default()),
                _ => leaf.add(Finding::new(place, a.to_string(), b.to_string())),
            }
        }
    } else {
        let sorted = |class: &Class| {
            let mut texts: Vec<_> = class
                .constants
                .iter()
                .filter_map(|constant| match constant {
                    Constant::Text(text) => Some(text.clone()),
                    Constant::Other(..) => None,
                })
                .collect();
            texts.sort();
            texts
        };
        let (a, b) = (sorted(&old), sorted(&new));
        let only = |these: &[String], others: &[String]| {
            let mine: Vec<_> = these
                .iter()
                .filter(|text| !others.contains(text))
                .cloned()
                .collect();
            mine.join(", ")
        };
        leaf.add(Finding::new(
            format!("constants, {} and {}", old.constants.len(), new.constants.len()),
            only(&a, &b),
            only(&b, &a),
        ));
    }
    if old.rest != new.rest {
        let ranges = super::bytes::ranges(old.rest, new.rest);
        let at = ranges.first().map_or(0, |range| range.start);
        let cut = |rest: &[u8]| hex::encode(rest.get(at..rest.len().min(at + 16)).unwrap_or_default());
        let finding = Finding::new(
            format!(
                "fields, methods and code, offset {:#x}",
                released.len() - old.rest.len() + at
            ),
            cut(old.rest),
            cut(new.rest),
        );
        leaf.add(
            match leaf
                .findings
                .iter()
                .find(|finding| finding.cause == Cause::ToolVersion)
            {
                Some(tool) => {
                    let key = tool.key.clone();
                    finding.because(Cause::ToolVersion, Confidence::Likely).keyed(key)
                }
                None => finding,
            },
        );
    }
    Some(leaf)
}

struct Class<'a> {
    version: (u16, u16),
    constants: Vec<Constant>,
    rest: &'a [u8],
}

#[derive(PartialEq, Eq)]
enum Constant {
    Text(String),
    Other(u8, Vec<u8>),
}

impl std::fmt::Display for Constant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Other(tag, bytes) => write!(f, "tag {tag}: {}", hex::encode(bytes)),
        }
    }
}

impl<'a> Class<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let number =
            |at: usize| -> Option<u16> { Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?)) };
        let version = (number(6)?, number(4)?);
        let count = number(8)?;
        let mut at = 10;
        let mut constants = Vec::new();
        let mut index = 1;
        while index < count {
            let tag = *bytes.get(at)?;
            let (from, length) = match tag {
                1 => (at + 3, usize::from(number(at + 1)?)),
                3 | 4 | 9..=12 | 17 | 18 => (at + 1, 4),
                5 | 6 => (at + 1, 8),
                7 | 8 | 16 | 19 | 20 => (at + 1, 2),
                15 => (at + 1, 3),
                _ => return None,
            };
            let data = bytes.get(from..from.checked_add(length)?)?;
            constants.push(match (tag, std::str::from_utf8(data)) {
                (1, Ok(text)) => Constant::Text(text.to_owned()),
                _ => Constant::Other(tag, data.to_vec()),
            });
            at = from + length;
            // Eight bytes take two places.
            index += if matches!(tag, 5 | 6) { 2 } else { 1 };
        }
        Some(Self {
            version,
            constants,
            rest: bytes.get(at..)?,
        })
    }
}
