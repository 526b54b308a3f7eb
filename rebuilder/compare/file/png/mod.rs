//! PNG (W3C, third edition; ISO/IEC 15948): chunks by name. Text and times are distinguished from the picture, and one
//! picture compressed in two ways from two pictures.

mod pixels;

use super::comparator::{FileComparator, Leaf, Pair};
use super::embedded::Embedded;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::explain::Context;
use crate::compare::finding::Finding;
use crate::compare::normalise::Normalisation;
use crate::text::plural;

pub(super) struct Png;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// A chunk: its name and data.
type Chunk<'a> = ([u8; 4], &'a [u8]);

const DATA: &[u8; 4] = b"IDAT";
const END: &[u8; 4] = b"IEND";
const TIME: &[u8; 4] = b"tIME";

impl FileComparator for Png {
    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.png", SIGNATURE)
    }

    fn normalisations(&self) -> &'static [Normalisation] {
        &[Normalisation::PngCompression]
    }

    fn recognises(&self, pair: &Pair) -> bool {
        pair.begin_with(SIGNATURE)
    }

    fn compare(&self, pair: &Pair) -> Option<Leaf> {
        let (old, new) = (Chunks::read(pair.released)?, Chunks::read(pair.rebuilt)?);
        let mut leaf = Leaf::of("PNG");
        if old.behind != new.behind {
            let shown = |bytes: &[u8]| plural(bytes.len(), "byte");
            leaf.add(Finding::new("after IEND", shown(old.behind), shown(new.behind)));
        }
        if old.around != new.around {
            others(&mut leaf, &old.around, &new.around);
        }
        if old.data != new.data {
            leaf.add(picture(&old, &new));
        }
        Some(leaf)
    }
}

struct Chunks<'a> {
    /// All chunks except those with the picture's data.
    around: Vec<Chunk<'a>>,
    /// The picture's data: one stream, split into chunks.
    data: Vec<&'a [u8]>,
    behind: &'a [u8],
}

impl<'a> Chunks<'a> {
    /// `None` if the chunks do not continue to the end, one has a wrong CRC, or the picture is in two places.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(SIGNATURE)?;
        let mut chunks = Self {
            around: Vec::new(),
            data: Vec::new(),
            behind: &[],
        };
        let mut last = *END;
        loop {
            let (length, after) = rest.split_first_chunk()?;
            let (name, after) = after.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
            let (data, after) = after.split_at_checked(length)?;
            let (stored, after) = after.split_first_chunk()?;
            let mut crc = flate2::Crc::new();
            crc.update(name);
            crc.update(data);
            (crc.sum() == u32::from_be_bytes(*stored)).then_some(())?;
            rest = after;
            if name == DATA {
                (last == *DATA || chunks.data.is_empty()).then_some(())?;
                if chunks.data.is_empty() {
                    // The picture's position among the other chunks matters.
                    chunks.around.push((*name, &[]));
                }
                chunks.data.push(data);
            } else {
                chunks.around.push((*name, data));
            }
            last = *name;
            if name == END {
                chunks.behind = rest;
                return Some(chunks);
            }
        }
    }

    fn stream(&self) -> Vec<u8> {
        self.data.concat()
    }

    fn header(&self) -> Option<&'a [u8]> {
        let (name, data) = self.around.first()?;
        (name == b"IHDR").then_some(*data)
    }

    /// The chunks that affect the meaning of the data, such as the palette.
    fn meaning(&self) -> Vec<&Chunk<'a>> {
        self.around.iter().filter(|(name, _)| !is_remark(*name)).collect()
    }
}

/// Whether a chunk has no effect on the pixels.
fn is_remark(name: [u8; 4]) -> bool {
    matches!(&name, b"tEXt" | b"zTXt" | b"iTXt" | b"tIME")
}

/// The finding for data with the same pixels, or with different ones.
fn picture(old: &Chunks, new: &Chunks) -> Finding {
    let (released, rebuilt) = (old.stream(), new.stream());
    let size = |stream: &[u8]| format!("{} bytes compressed", stream.len());
    let finding = Finding::new("IDAT", size(&released), size(&rebuilt));
    let pixels = |chunks: &Chunks, stream: &[u8]| pixels::read(chunks.header()?, stream);
    let same = old.meaning() == new.meaning()
        && pixels(old, &released)
            .zip(pixels(new, &rebuilt))
            .is_some_and(|(released, rebuilt)| released == rebuilt);
    if same {
        return finding
            .because(Cause::Compression, Confidence::Proven)
            .keyed("pictures in PNG files")
            .set_aside_by((old.around == new.around).then_some(Normalisation::PngCompression));
    }
    finding
}

/// Compares the chunks beside the picture: those that both sides have in one order, and the others.
fn others(leaf: &mut Leaf, old: &[Chunk], new: &[Chunk]) {
    let names = |chunks: &[Chunk]| {
        let names: Vec<String> = chunks.iter().map(|(name, _)| named(*name)).collect();
        names.join(" ")
    };
    if names(old) == names(new) {
        for ((name, released), (_, rebuilt)) in old.iter().zip(new) {
            if released != rebuilt {
                chunk(leaf, *name, released, rebuilt);
            }
        }
        return;
    }
    // A time that only one side has is still only a time.
    let without = |chunks: &[Chunk]| -> Vec<([u8; 4], Vec<u8>)> {
        let kept = chunks
            .iter()
            .filter(|(name, data)| name != TIME || time(data).is_none());
        kept.map(|(name, data)| (*name, data.to_vec())).collect()
    };
    let finding = Finding::new("chunks", names(old), names(new));
    leaf.add(if without(old) == without(new) {
        finding
            .because(Cause::Timestamp, Confidence::Proven)
            .keyed("times in PNG files")
    } else {
        finding
    });
}

fn named(name: [u8; 4]) -> String {
    String::from_utf8_lossy(&name).into_owned()
}

fn chunk(leaf: &mut Leaf, name: [u8; 4], released: &[u8], rebuilt: &[u8]) {
    let place = named(name);
    if name == *TIME
        && let (Some(released), Some(rebuilt)) = (time(released), time(rebuilt))
    {
        leaf.add(
            Finding::new(place, released, rebuilt)
                .because(Cause::Timestamp, Confidence::Proven)
                .keyed("times in PNG files"),
        );
        return;
    }
    let reasons = match (text(name, released), text(name, rebuilt)) {
        (Some((key, old)), Some((other, new))) if key == other => remark(leaf, &place, key, (&old, &new)),
        _ => false,
    };
    if !reasons {
        let first = |data: &[u8]| hex::encode(data.get(..16).unwrap_or(data));
        let shown = |data: &[u8]| {
            text(name, data).map_or_else(|| first(data), |(key, text)| format!("{key}: {text}"))
        };
        leaf.add(Finding::new(place, shown(released), shown(rebuilt)));
    }
}

/// The keyword and the text, which a NUL separates. `None` if they have another form.
fn text(name: [u8; 4], data: &[u8]) -> Option<(&str, String)> {
    let at = data.iter().position(|byte| *byte == 0)?;
    let (keyword, text) = data.split_at_checked(at)?;
    let text = text.get(1..)?;
    let text = match &name {
        b"tEXt" => text,
        // Not compressed, and without a language or a translated keyword.
        b"iTXt" => text.strip_prefix(&[0, 0, 0, 0])?,
        _ => return None,
    };
    Some((
        std::str::from_utf8(keyword).ok()?,
        String::from_utf8(text.to_vec()).ok()?,
    ))
}

/// Adds the reasons why a text differs; returns false if there are none.
fn remark(leaf: &mut Leaf, place: &str, keyword: &str, (released, rebuilt): (&str, &str)) -> bool {
    let place = format!("{place}, {keyword}");
    let is_date = matches!(
        keyword,
        "date:create" | "date:modify" | "date:timestamp" | "Creation Time"
    );
    let context = Context {
        tool: keyword == "Software",
        ..Context::default()
    };
    let data = Embedded::new(released.as_bytes(), rebuilt.as_bytes());
    let reasons = data.reasons(released, rebuilt, context);
    let holds = is_date || keyword == "Software" || !reasons.is_empty();
    for reason in &reasons {
        leaf.add_reason(&place, released, rebuilt, reason);
    }
    holds && !reasons.is_empty()
}

/// `None` unless the data is seven bytes that are a valid time.
fn time(data: &[u8]) -> Option<String> {
    let [high, low, month, day, hour, minute, second] = data else {
        return None;
    };
    let year = i16::from_be_bytes([*high, *low]);
    let number = |byte: &u8| i8::try_from(*byte).ok();
    // A leap second is stored as 60.
    let second = number(second)?.min(59);
    jiff::civil::DateTime::new(
        year,
        number(month)?,
        number(day)?,
        number(hour)?,
        number(minute)?,
        second,
        0,
    )
    .ok()
    .map(|time| time.to_string())
}

#[cfg(test)]
mod tests;
