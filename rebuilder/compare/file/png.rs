//! PNG: chunks by name; text and time are told from the picture.

use super::comparator::{FileComparator, Leaf, Pair};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::explain::Context;
use crate::compare::finding::Finding;

pub(super) struct Png;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// A name and its data.
type Chunk<'a> = (String, &'a [u8]);

impl FileComparator for Png {
    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.png", SIGNATURE)
    }

    fn recognises(&self, pair: &Pair) -> bool {
        pair.begin_with(SIGNATURE)
    }

    fn compare(&self, pair: &Pair) -> Option<Leaf> {
        let (old, new) = (chunks(pair.released)?, chunks(pair.rebuilt)?);
        let mut leaf = Leaf::of("PNG");
        if names(&old) == names(&new) {
            for ((name, released), (_, rebuilt)) in old.iter().zip(&new) {
                if released != rebuilt {
                    chunk(&mut leaf, name, released, rebuilt);
                }
            }
        } else if picture(&old) == picture(&new) {
            leaf.add_pair(
                "text and time chunks",
                &texts(&old),
                &texts(&new),
                Context::default(),
            );
        } else {
            leaf.add(Finding::new("chunks", names(&old), names(&new)));
        }
        Some(leaf)
    }
}

fn names(chunks: &[Chunk]) -> String {
    let names: Vec<&str> = chunks.iter().map(|(name, _)| name.as_str()).collect();
    names.join(" ")
}

fn picture<'a>(chunks: &'a [Chunk]) -> Vec<&'a Chunk<'a>> {
    chunks.iter().filter(|(name, _)| !is_text(name)).collect()
}

fn texts(chunks: &[Chunk]) -> String {
    let texts = chunks.iter().filter(|(name, _)| is_text(name));
    let texts: Vec<String> = texts
        .map(|(name, data)| format!("{name} {}", text(data)))
        .collect();
    texts.join("; ")
}

fn is_text(name: &str) -> bool {
    matches!(name, "tEXt" | "zTXt" | "iTXt" | "tIME" | "eXIf")
}

fn text(data: &[u8]) -> String {
    // A NUL parts the keyword from its text.
    String::from_utf8_lossy(data).replace('\0', ": ")
}

fn chunk(leaf: &mut Leaf, name: &str, released: &[u8], rebuilt: &[u8]) {
    match name {
        "tIME" => leaf.add(
            Finding::new(name, time(released), time(rebuilt))
                .because(Cause::Timestamp, Confidence::Proven)
                .keyed("times in PNG files"),
        ),
        "tEXt" | "iTXt" => {
            let (released, rebuilt) = (text(released), text(rebuilt));
            let is_tool = released.to_ascii_lowercase().starts_with("software");
            let context = Context {
                field: if is_tool { "tool" } else { "" },
                ..Context::default()
            };
            leaf.add_pair(name, &released, &rebuilt, context);
        }
        _ => {
            let first = |data: &[u8]| hex::encode(data.get(..16).unwrap_or(data));
            leaf.add(Finding::new(name, first(released), first(rebuilt)));
        }
    }
}

fn time(data: &[u8]) -> String {
    match data {
        [high, low, month, day, hour, minute, second] => {
            let year = u16::from_be_bytes([*high, *low]);
            format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
        }
        other => hex::encode(other),
    }
}

/// None if chunks do not follow each other to the end.
fn chunks(bytes: &[u8]) -> Option<Vec<Chunk<'_>>> {
    let mut rest = bytes.strip_prefix(SIGNATURE)?;
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk()?;
        let (name, after) = after.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (data, after) = after.split_at_checked(length)?;
        chunks.push((String::from_utf8_lossy(name).into_owned(), data));
        // The CRC follows from the rest.
        (_, rest) = after.split_first_chunk::<4>()?;
    }
    Some(chunks)
}
