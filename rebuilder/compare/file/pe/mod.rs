//! Windows executables: the times that linkers write, the checksum and identifiers that follow, the path of the debug
//! file, and signatures. The rest is compared by section.

mod debug;
mod image;

use std::ops::Range;

use image::{EXPORTS, Image, RESOURCES};

use super::comparator::{FileComparator, Leaf, Pair};
use super::regions::{self, span, time};
use crate::compare::both::Both;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::Finding;

pub(super) struct Pe;

impl FileComparator for Pe {
    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.exe", b"MZ")
    }

    fn recognises(&self, pair: &Pair) -> bool {
        pair.begin_with(b"MZ")
    }

    fn compare(&self, pair: &Pair) -> Option<Leaf> {
        let mut sides = Both::new(Image::read(pair.released)?, Image::read(pair.rebuilt)?);
        let mut leaf = Leaf::of("PE");
        let mut following: Vec<Finding> = checksum(&mut sides).into_iter().collect();
        let reproducible = sides.as_ref().all(debug::is_reproducible);
        let linked = Both::new(sides.released.linked(), sides.rebuilt.linked());
        for (name, field) in times(&sides) {
            // The linker writes the same time everywhere; a different time is not from the linker.
            let written = [
                word(&sides.released, &field.released),
                word(&sides.rebuilt, &field.rebuilt),
            ];
            if written != [linked.released, linked.rebuilt] {
                continue;
            }
            let finding = link_time(&sides, name, &field, reproducible);
            if reproducible {
                following.extend(finding);
            } else if let Some(finding) = finding {
                leaf.add(finding);
            }
            blank(&mut sides, &field);
        }
        linker(&mut leaf, &mut sides);
        following.extend(debug::code_view(&mut leaf, &mut sides));
        signature(&mut leaf, &mut sides);
        regions::compare(
            &mut leaf,
            &sides.released.regions,
            &sides.rebuilt.regions,
            |leaf, change| {
                let is_symbols = change.released.name == "COFF symbols";
                if is_symbols {
                    let size = |data: &[u8]| format!("{} bytes", data.len());
                    leaf.add(
                        Finding::new(
                            "COFF symbols",
                            size(&change.released.data),
                            size(&change.rebuilt.data),
                        )
                        .because(Cause::DebugInformation, Confidence::Likely)
                        .keyed("debug information and symbol tables"),
                    );
                }
                is_symbols
            },
        );
        let alone = leaf.findings.is_empty();
        for finding in following {
            leaf.add(if alone { finding } else { finding.following() });
        }
        Some(leaf)
    }
}

/// A field with one meaning, and its place on each side.
type Field = Both<Range<usize>>;

fn blank(sides: &mut Both<Image>, field: &Field) {
    sides.released.regions.blank(field.released.clone());
    sides.rebuilt.regions.blank(field.rebuilt.clone());
}

fn word(image: &Image, field: &Range<usize>) -> Option<u32> {
    image.numbers().u32(field.start)
}

/// All fields that hold the time of linking.
fn times(sides: &Both<Image>) -> Vec<(&'static str, Field)> {
    const TIME: usize = 4;
    let own = |image: &Image| {
        let directory = |nth| {
            image
                .directory(nth)
                .and_then(|(address, ..)| image.offset(address))
        };
        let mut places = vec![("time of linking", Some(image.coff))];
        places.push(("time of the export directory", directory(EXPORTS)));
        places.extend(
            resources(image)
                .into_iter()
                .map(|at| ("time of a resource directory", Some(at))),
        );
        places.extend(
            debug::entries(image)
                .into_iter()
                .map(|entry| ("time of a debug directory", Some(entry.at))),
        );
        let fields = places
            .into_iter()
            .filter_map(|(name, at)| Some((name, span(at?.checked_add(TIME)?, 4)?)));
        fields.collect::<Vec<_>>()
    };
    let (old, new) = (own(&sides.released), own(&sides.rebuilt));
    let names =
        |fields: &[(&'static str, Range<usize>)]| fields.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    // Then the directories differ, and only the header's field certainly corresponds.
    let same = if names(&old) == names(&new) { usize::MAX } else { 1 };
    let pairs = old.into_iter().zip(new).take(same);
    pairs
        .map(|((name, own), (_, other))| (name, Both::new(own, other)))
        .collect()
}

/// Offsets of the resource directories, which form a tree of three levels.
fn resources(image: &Image) -> Vec<usize> {
    const MOST: usize = 4096;
    const SUBDIRECTORY: u32 = 0x8000_0000;
    let Some(root) = image
        .directory(RESOURCES)
        .and_then(|(address, ..)| image.offset(address))
    else {
        return Vec::new();
    };
    let mut found = vec![root];
    let mut next = 0;
    while let Some(at) = found.get(next).copied() {
        next = next.saturating_add(1);
        let counts = [12, 14].map(|field| image.numbers().u16(at.saturating_add(field)).unwrap_or(0));
        let count = counts.into_iter().map(usize::from).fold(0, usize::saturating_add);
        for nth in 0..count {
            let entry = at.saturating_add(16).saturating_add(nth.saturating_mul(8));
            let Some(target) = image.numbers().u32(entry.saturating_add(4)) else {
                break;
            };
            let below = usize::try_from(target & !SUBDIRECTORY)
                .ok()
                .and_then(|below| root.checked_add(below));
            if let Some(below) = below.filter(|below| target & SUBDIRECTORY != 0 && !found.contains(below)) {
                found.push(below);
            }
            if found.len() > MOST {
                return Vec::new();
            }
        }
    }
    found
}

fn link_time(sides: &Both<Image>, name: &str, field: &Field, reproducible: bool) -> Option<Finding> {
    let (released, rebuilt) = (
        word(&sides.released, &field.released)?,
        word(&sides.rebuilt, &field.rebuilt)?,
    );
    if released == rebuilt {
        return None;
    }
    if reproducible {
        let text = |word: u32| format!("{word:#010x}");
        return Some(
            Finding::new(name, text(released), text(rebuilt))
                .because(Cause::BuildId, Confidence::Proven)
                .keyed("hash of a reproducible PE file"),
        );
    }
    Some(
        Finding::new(name, time(i64::from(released)), time(i64::from(rebuilt)))
            .because(Cause::Timestamp, Confidence::Proven)
            .keyed("time in PE headers"),
    )
}

/// The version of the linker, which no loader reads.
fn linker(leaf: &mut Leaf, sides: &mut Both<Image>) {
    let field = sides
        .as_ref()
        .map(|image| image.optional.checked_add(2).and_then(|at| span(at, 2)));
    let (Some(own), Some(other)) = (field.released, field.rebuilt) else {
        return;
    };
    let version = |image: &Image, field: &Range<usize>| match image.bytes.get(field.clone()) {
        Some([major, minor]) => format!("{major}.{minor}"),
        _ => String::new(),
    };
    let released = version(&sides.released, &own);
    let rebuilt = version(&sides.rebuilt, &other);
    if released == rebuilt {
        return;
    }
    let key = format!("linker {released} → {rebuilt}");
    leaf.add(
        Finding::new("version of the linker", released, rebuilt)
            .because(Cause::ToolVersion, Confidence::Proven)
            .keyed(key),
    );
    blank(sides, &Both::new(own, other));
}

/// The place of the checksum in the optional header.
const CHECKSUM: usize = 64;

/// The finding for the checksum, if it is correct on both sides, or absent.
fn checksum(sides: &mut Both<Image>) -> Option<Finding> {
    let field = sides
        .as_ref()
        .map(|image| span(image.optional.saturating_add(CHECKSUM), 4));
    let field: Field = Both::new(field.released?, field.rebuilt?);
    let own = |image: &Image, field: &Range<usize>| {
        let stored = word(image, field)?;
        (stored == 0 || stored == sum(image.bytes, field.start)).then_some(stored)
    };
    let (released, rebuilt) = (
        own(&sides.released, &field.released)?,
        own(&sides.rebuilt, &field.rebuilt)?,
    );
    if released == rebuilt {
        return None;
    }
    blank(sides, &field);
    Some(
        Finding::new("checksum", format!("{released:#x}"), format!("{rebuilt:#x}"))
            .because(Cause::Checksum, Confidence::Proven)
            .keyed("checksum in PE headers"),
    )
}

/// The algorithm of `CheckSumMappedFile`: the sum of 16-bit words with carries, without the field itself, plus the
/// length.
fn sum(bytes: &[u8], field: usize) -> u32 {
    let mut sum: u64 = 0;
    for (at, pair) in (0_usize..).step_by(2).zip(bytes.chunks(2)) {
        if at < field || at >= field.saturating_add(4) {
            let [low, high] = [pair.first(), pair.get(1)].map(|byte| byte.copied().unwrap_or(0));
            sum = sum.wrapping_add(u64::from(u16::from_le_bytes([low, high])));
        }
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xffff).wrapping_add(sum >> 16);
    }
    u32::try_from(sum.wrapping_add(bytes.len() as u64)).unwrap_or(u32::MAX)
}

/// Certificates at the end of the file, on one side or both.
fn signature(leaf: &mut Leaf, sides: &mut Both<Image>) {
    let tables = sides.as_ref().map(Image::certificates);
    let shown = |table: &Option<(Range<usize>, &[u8])>| {
        table.as_ref().map_or_else(
            || "unsigned".to_owned(),
            |(range, data)| {
                format!(
                    "{} bytes of PKCS #7, {}…",
                    range.len(),
                    hex::encode(data.get(..8).unwrap_or(data))
                )
            },
        )
    };
    let (released, rebuilt) = (shown(&tables.released), shown(&tables.rebuilt));
    let own = |image: &Image, table: &Option<(Range<usize>, &[u8])>| {
        table
            .as_ref()
            .map(|(range, _)| image.bytes.get(range.clone()).unwrap_or_default().to_vec())
    };
    if own(&sides.released, &tables.released) == own(&sides.rebuilt, &tables.rebuilt) {
        let covered = Both::new(
            covered(&sides.released, tables.released.as_ref()),
            covered(&sides.rebuilt, tables.rebuilt.as_ref()),
        );
        if tables.released.is_some() && !covered.same() {
            leaf.add(
                Finding::new("certificate table", released, rebuilt)
                    .keyed("a signature that is the same for two different files"),
            );
        }
        return;
    }
    for image in [&mut sides.released, &mut sides.rebuilt] {
        let claims = image.directory(image::CERTIFICATES);
        // A table with any other content stays, and counts as content.
        if claims.is_some() && image.certificates().is_none() {
            return;
        }
    }
    leaf.add(
        Finding::new("certificate table", released, rebuilt)
            .because(Cause::Signature, Confidence::Proven)
            .keyed("Authenticode signatures"),
    );
    let signed = sides
        .as_ref()
        .map(|image| image.certificates().map(|(range, _)| range));
    unsign(&mut sides.released, signed.released);
    unsign(&mut sides.rebuilt, signed.rebuilt);
}

/// The bytes that a signature covers: all but the checksum, the table, and the entry that points to it.
fn covered(image: &Image, table: Option<&(Range<usize>, &[u8])>) -> Vec<u8> {
    let end = table.map_or(image.bytes.len(), |(range, _)| range.start);
    let mut bytes = image.bytes.get(..end).unwrap_or_default().to_vec();
    let entry = image.directory(image::CERTIFICATES).map(|(.., entry)| entry);
    let checksum = span(image.optional.saturating_add(CHECKSUM), 4);
    for range in [checksum, entry].into_iter().flatten() {
        if let Some(own) = bytes.get_mut(range) {
            own.fill(0);
        }
    }
    bytes
}

/// Removes the table, the zeros that align it, and the directory entry that points to it.
fn unsign(image: &mut Image, table: Option<Range<usize>>) {
    let (Some(table), Some((.., entry))) = (table, image.directory(image::CERTIFICATES)) else {
        return;
    };
    image.regions.blank(entry);
    image.regions.parts.retain(|part| part.at < table.start);
    let is_padding = image.regions.parts.last().is_some_and(|last| {
        last.name.starts_with("after ") && last.data.len() < 8 && last.data.iter().all(|byte| *byte == 0)
    });
    if is_padding {
        image.regions.parts.pop();
    }
}

#[cfg(test)]
mod tests;
