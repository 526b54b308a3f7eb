//! PNG: chunks by name; text and time are told from the picture.

use super::Leaf;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::explain::Context;
use crate::compare::finding::Finding;

const SIGNATURE: usize = 8;

type Chunk<'a> = (String, &'a [u8]);

/// None where either side has no chunks that follow each other to the end.
pub(super) fn compare(released: &[u8], rebuilt: &[u8]) -> Option<Leaf> {
    let (old, new) = (chunks(released)?, chunks(rebuilt)?);
    let mut leaf = Leaf::of("PNG");
    let names = |chunks: &[Chunk]| {
        chunks
            .iter()
            .map(|(name, _)| name.clone())
            .collect::<Vec<_>>()
            .join(" ")
    };
    if names(&old) == names(&new) {
        for ((name, a), (_, b)) in old.iter().zip(&new).filter(|(a, b)| a.1 != b.1) {
            chunk(&mut leaf, name, a, b);
        }
        return Some(leaf);
    }
    let picture = |chunks: &[Chunk]| -> Vec<(String, Vec<u8>)> {
        chunks
            .iter()
            .filter(|(name, _)| !is_text(name))
            .map(|(name, data)| (name.clone(), data.to_vec()))
            .collect()
    };
    let texts = |chunks: &[Chunk]| -> String {
        let texts = chunks.iter().filter(|(name, _)| is_text(name));
        texts
            .map(|(name, data)| format!("{name} {}", text(data)))
            .collect::<Vec<_>>()
            .join("; ")
    };
    if picture(&old) == picture(&new) {
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

fn is_text(name: &str) -> bool {
    matches!(name, "tEXt" | "zTXt" | "iTXt" | "tIME" | "eXIf")
}

fn text(data: &[u8]) -> String {
    // A NUL parts the keyword from its text.
    String::from_utf8_lossy(data).replace('\0', ": ")
}

fn chunk(leaf: &mut Leaf, name: &str, a: &[u8], b: &[u8]) {
    match name {
        "tIME" => {
            let text = |data: &[u8]| match data {
                [high, low, month, day, hour, minute, second] => {
                    let year = u16::from_be_bytes([*high, *low]);
                    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
                }
                other => hex::encode(other),
            };
            leaf.add(
                Finding::new(name, text(a), text(b))
                    .because(Cause::Timestamp, Confidence::Proven)
                    .keyed("times in PNG files"),
            );
        }
        "tEXt" | "iTXt" => {
            let (a, b) = (text(a), text(b));
            let field = if a.to_ascii_lowercase().starts_with("software") {
                "tool"
            } else {
                ""
            };
            let context = Context {
                field,
                ..Context::default()
            };
            leaf.add_pair(name, &a, &b, context);
        }
        _ => leaf.add(Finding::new(
            name,
            hex::encode(&a[..a.len().min(16)]),
            hex::encode(&b[..b.len().min(16)]),
        )),
    }
}

fn chunks(bytes: &[u8]) -> Option<Vec<Chunk<'_>>> {
    let mut rest = bytes.get(SIGNATURE..)?;
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?);
        let end = usize::try_from(length).ok()?.checked_add(8)?;
        let name = String::from_utf8_lossy(rest.get(4..8)?).into_owned();
        chunks.push((name, rest.get(8..end)?));
        // Four more for the CRC, which follows from the rest.
        rest = rest.get(end + 4..)?;
    }
    Some(chunks)
}
