//! Java classes (JVMS 4): the version, the constants, and the rest.

use std::fmt;

use super::bytes;
use super::comparator::{FileComparator, Leaf, Pair};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::explain::Context;
use crate::compare::finding::Finding;

pub(super) struct Class;

const MAGIC: &[u8] = b"\xca\xfe\xba\xbe";

impl FileComparator for Class {
    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.class", MAGIC)
    }

    fn recognises(&self, pair: &Pair) -> bool {
        pair.begin_with(MAGIC)
    }

    fn compare(&self, pair: &Pair) -> Option<Leaf> {
        let (old, new) = (Parsed::read(pair.released)?, Parsed::read(pair.rebuilt)?);
        let mut leaf = Leaf::of("Java class");
        if old.version != new.version {
            let text =
                |(major, minor): (u16, u16)| format!("{major}.{minor} (Java {})", major.saturating_sub(44));
            let (released, rebuilt) = (text(old.version), text(new.version));
            let key = format!("class version {released} → {rebuilt}");
            leaf.add(
                Finding::new("version", released, rebuilt)
                    .because(Cause::ToolVersion, Confidence::Proven)
                    .keyed(key),
            );
        }
        constants(&mut leaf, &old, &new);
        if old.rest != new.rest {
            rest(&mut leaf, pair, &old, &new);
        }
        Some(leaf)
    }
}

fn constants(leaf: &mut Leaf, old: &Parsed, new: &Parsed) {
    if old.constants.len() != new.constants.len() {
        let (released, rebuilt) = (old.texts(), new.texts());
        let only = |these: &[&str], others: &[&str]| {
            let own: Vec<_> = these
                .iter()
                .filter(|text| !others.contains(text))
                .copied()
                .collect();
            own.join(", ")
        };
        leaf.add(Finding::new(
            format!("constants, {} and {}", old.constants.len(), new.constants.len()),
            only(&released, &rebuilt),
            only(&rebuilt, &released),
        ));
        return;
    }
    for (number, (released, rebuilt)) in (1_u32..).zip(old.constants.iter().zip(&new.constants)) {
        if released == rebuilt {
            continue;
        }
        let place = format!("constant {number}");
        match (released, rebuilt) {
            (Constant::Text(released), Constant::Text(rebuilt)) => {
                leaf.add_pair(&place, released, rebuilt, Context::default());
            }
            _ => leaf.add(Finding::new(place, released.to_string(), rebuilt.to_string())),
        }
    }
}

/// What comes behind the constants.
fn rest(leaf: &mut Leaf, pair: &Pair, old: &Parsed, new: &Parsed) {
    let ranges = bytes::ranges(old.rest, new.rest);
    let at = ranges.first().map_or(0, |range| range.start);
    let shown = |rest: &[u8]| hex::encode(bytes::window(rest, at, 16));
    let before = pair.released.len().saturating_sub(old.rest.len());
    let finding = Finding::new(
        format!(
            "fields, methods and code, offset {:#x}",
            before.saturating_add(at)
        ),
        shown(old.rest),
        shown(new.rest),
    );
    let tool = leaf
        .findings
        .iter()
        .find(|finding| finding.cause == Cause::ToolVersion);
    let finding = match tool {
        Some(tool) => finding
            .because(Cause::ToolVersion, Confidence::Likely)
            .keyed(&tool.key),
        None => finding,
    };
    leaf.add(finding);
}

struct Parsed<'a> {
    version: (u16, u16),
    constants: Vec<Constant>,
    rest: &'a [u8],
}

#[derive(PartialEq, Eq)]
enum Constant {
    Text(String),
    Other(u8, Vec<u8>),
}

impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Other(tag, bytes) => write!(f, "tag {tag}: {}", hex::encode(bytes)),
        }
    }
}

impl<'a> Parsed<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(MAGIC)?;
        let (minor, major) = (number(&mut rest)?, number(&mut rest)?);
        let count = number(&mut rest)?;
        let mut constants = Vec::new();
        let mut index: u16 = 1;
        while index < count {
            let (tag, after) = rest.split_first()?;
            rest = after;
            let length = match tag {
                1 => usize::from(number(&mut rest)?),
                3 | 4 | 9..=12 | 17 | 18 => 4,
                5 | 6 => 8,
                7 | 8 | 16 | 19 | 20 => 2,
                15 => 3,
                _ => return None,
            };
            let data;
            (data, rest) = rest.split_at_checked(length)?;
            constants.push(match (tag, std::str::from_utf8(data)) {
                (1, Ok(text)) => Constant::Text(text.to_owned()),
                _ => Constant::Other(*tag, data.to_vec()),
            });
            // Eight bytes take two places.
            index = index.saturating_add(if matches!(tag, 5 | 6) { 2 } else { 1 });
        }
        Some(Self {
            version: (major, minor),
            constants,
            rest,
        })
    }

    /// The constants that are texts, sorted.
    fn texts(&self) -> Vec<&str> {
        let mut texts: Vec<_> = self
            .constants
            .iter()
            .filter_map(|constant| match constant {
                Constant::Text(text) => Some(text.as_str()),
                Constant::Other(..) => None,
            })
            .collect();
        texts.sort_unstable();
        texts
    }
}

/// Takes the next two bytes.
fn number(rest: &mut &[u8]) -> Option<u16> {
    let (number, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u16::from_be_bytes(*number))
}
