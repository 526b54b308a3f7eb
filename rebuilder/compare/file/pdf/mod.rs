//! PDF (ISO 32000): the dates, identifiers and tools in fields of the format, and the offsets and lengths that follow
//! from them. Each file is split into such fields and the bytes between them, which are compared exactly. Streams of
//! objects and cross-reference tables are compared as what they unpack to.

mod document;
mod packed;
mod syntax;
mod xmp;

use document::{Kind, Segment};
use packed::Packed;

use super::bytes;
use super::comparator::{FileComparator, Leaf, Pair};
use super::embedded::{Embedded, is_random};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::explain::Context;
use crate::compare::finding::Finding;

pub(super) struct Pdf;

const MAGIC: &[u8] = b"%PDF-";

impl FileComparator for Pdf {
    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.pdf", b"%PDF-1.7\n")
    }

    fn recognises(&self, pair: &Pair) -> bool {
        pair.begin_with(MAGIC)
    }

    fn compare(&self, pair: &Pair) -> Option<Leaf> {
        let (old, new) = (document::read(pair.released)?, document::read(pair.rebuilt)?);
        let mut leaf = Leaf::of("PDF");
        segments(&mut leaf, (&old, pair.released), (&new, pair.rebuilt));
        Some(leaf)
    }
}

/// Compares the parts of two files, or of two streams.
fn segments(leaf: &mut Leaf, (old, released): (&[Segment], &[u8]), (new, rebuilt): (&[Segment], &[u8])) {
    let shape = |segments: &[Segment]| segments.iter().map(|segment| segment.kind).collect::<Vec<_>>();
    if shape(old) != shape(new) {
        leaf.add(Finding::new(
            "fields",
            format!("{} fields and what is between them", old.len()),
            format!("{} fields and what is between them", new.len()),
        ));
    }
    for (own, other) in old.iter().zip(new) {
        let (released, rebuilt) = (own.of(released), other.of(rebuilt));
        if own.kind != other.kind || released == rebuilt {
            continue;
        }
        if let (Some(old), Some(new)) = (&own.packed, &other.packed) {
            stream(leaf, own, old, new);
        } else {
            segment(leaf, own, released, rebuilt);
        }
    }
}

/// Compares two streams by what they unpack to.
fn stream(leaf: &mut Leaf, segment: &Segment, old: &Packed, new: &Packed) {
    let finding = Finding::new(segment.name.as_str(), "", "");
    if segment.kind == Kind::Objects && old.bytes != new.bytes {
        segments(leaf, (&old.segments, &old.bytes), (&new.segments, &new.bytes));
    } else if segment.kind == Kind::Objects {
        leaf.add(
            finding
                .because(Cause::Compression, Confidence::Proven)
                .keyed("streams of PDF files"),
        );
    } else if old.bytes == new.bytes {
        leaf.add(
            finding
                .because(Cause::MovedAddress, Confidence::Proven)
                .keyed("offsets and lengths in PDF files")
                .following(),
        );
    } else {
        bytes::content(leaf, &segment.name, &old.bytes, &new.bytes);
    }
}

fn segment(leaf: &mut Leaf, segment: &Segment, released: &[u8], rebuilt: &[u8]) {
    let place = segment.name.as_str();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (old, new) = (text(released), text(rebuilt));
    let finding = Finding::new(place, &old, &new);
    leaf.add(match segment.kind {
        Kind::Bytes | Kind::Objects | Kind::Table => {
            bytes::content(leaf, place, released, rebuilt);
            return;
        }
        Kind::Date => finding
            .because(Cause::Timestamp, Confidence::Proven)
            .keyed("dates in PDF files"),
        Kind::Identifier if is_random(&old, &new) => finding
            .because(Cause::Randomness, Confidence::Proven)
            .keyed("identifiers of PDF files"),
        Kind::Identifier => finding,
        Kind::Tool => {
            tool(leaf, place, &old, &new);
            return;
        }
        Kind::Place => finding
            .because(Cause::MovedAddress, Confidence::Proven)
            .keyed("offsets and lengths in PDF files")
            .following(),
    });
}

fn tool(leaf: &mut Leaf, place: &str, released: &str, rebuilt: &str) {
    let context = Context {
        tool: true,
        ..Context::default()
    };
    let data = Embedded::new(released.as_bytes(), rebuilt.as_bytes());
    let reasons = data.reasons(released, rebuilt, context);
    if reasons.is_empty() {
        leaf.add(Finding::new(place, released, rebuilt));
    }
    for reason in &reasons {
        leaf.add_reason(place, released, rebuilt, reason);
    }
}

#[cfg(test)]
mod tests;
