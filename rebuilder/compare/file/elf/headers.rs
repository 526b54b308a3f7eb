//! The meaning of two files' headers if their sections are in different places: everything except the places.

use object::{Object as _, ObjectSegment as _};

use super::image::{Image, Section};
use super::moves::Moves;
use crate::compare::file::comparator::Leaf;
use crate::compare::file::regions::Numbers;
use crate::compare::finding::Finding;

/// Adds the differences in the headers, except offsets and addresses of sections that moved.
pub(super) fn compare(
    leaf: &mut Leaf,
    (released, rebuilt): (&[u8], &[u8]),
    old: &Image,
    new: &Image,
    moves: &Moves,
) {
    let same = |of: fn(&Image, &[u8]) -> Option<Vec<String>>| (of(old, released), of(new, rebuilt));
    let numbered = |of: &Section, with: &Section| of.numbered() == with.numbered();
    let same_sections = old.sections.len() == new.sections.len()
        && old
            .sections
            .iter()
            .zip(&new.sections)
            .all(|(own, other)| numbered(own, other));
    sections(leaf, (released, rebuilt), (old, new), same_sections);
    for (place, of) in [
        ("ELF header", header as fn(&Image, &[u8]) -> _),
        ("program headers", segments),
        ("between sections", between),
    ] {
        let (own, other) = same(of);
        if own != other || own.is_none() {
            let (own, other) = (own.unwrap_or_default(), other.unwrap_or_default());
            let differing = |these: &[String], those: &[String]| {
                let first = these
                    .iter()
                    .enumerate()
                    .find(|(nth, line)| those.get(*nth) != Some(line));
                first.map_or("none".to_owned(), |(_, line)| line.clone())
            };
            leaf.add(Finding::new(
                place,
                differing(&own, &other),
                differing(&other, &own),
            ));
        }
    }
    let (from, to) = (old.file.entry(), new.file.entry());
    if from != to && !moves.same(Some(from), Some(to)) {
        leaf.add(Finding::new(
            "entry point",
            format!("{from:#x}"),
            format!("{to:#x}"),
        ));
    }
}

fn numbers<'a>(image: &Image, bytes: &'a [u8]) -> Numbers<'a> {
    Numbers {
        bytes,
        little_endian: image.little_endian,
    }
}

/// All fields of the header except the entry point, the offsets of the two tables, and the number of sections.
fn header(image: &Image, bytes: &[u8]) -> Option<Vec<String>> {
    let (first, last) = if image.is_64() { (24, 48..60) } else { (24, 36..48) };
    Some(vec![
        hex::encode(bytes.get(..first)?),
        hex::encode(bytes.get(last)?),
    ])
}

/// Kind, flags and alignment of each segment, with the sections that it covers.
fn segments(image: &Image, bytes: &[u8]) -> Option<Vec<String>> {
    let numbers = numbers(image, bytes);
    let (table, size, count, width) = if image.is_64() {
        (numbers.u64(32)?, 54, 56, 8)
    } else {
        (u64::from(numbers.u32(28)?), 42, 44, 4)
    };
    let (size, count) = (usize::from(numbers.u16(size)?), usize::from(numbers.u16(count)?));
    let table = usize::try_from(table).ok()?;
    let mut lines = Vec::new();
    for nth in 0..count {
        let at = table.checked_add(nth.checked_mul(size)?)?;
        let field = |within: usize| {
            let at = at.checked_add(within)?;
            if width == 8 {
                numbers.u64(at)
            } else {
                numbers.u32(at).map(u64::from)
            }
        };
        let kind = numbers.u32(at)?;
        // kind, flags, offset, address, …, or kind, offset, address, …, flags
        let (offset, flags, length, align) = if width == 8 {
            (
                field(8)?,
                numbers.u32(at.checked_add(4)?)?,
                field(32)?,
                field(48)?,
            )
        } else {
            (
                field(4)?,
                numbers.u32(at.checked_add(24)?)?,
                field(16)?,
                field(28)?,
            )
        };
        let covers = |section: &&Section| {
            let (from, length_of) = section.file;
            from >= offset && from.saturating_add(length_of) <= offset.saturating_add(length) && length_of > 0
        };
        let names: Vec<&str> = image
            .sections
            .iter()
            .filter(covers)
            .map(|section| section.name.as_str())
            .collect();
        lines.push(format!(
            "type {kind:#x}, flags {flags}, align {align:#x}: {}",
            names.join(" ")
        ));
    }
    Some(lines)
}

/// Compares kinds, flags, alignments and the like of sections that both sides have. The numbers of other sections are
/// compared only if both sides have the same sections.
fn sections(
    leaf: &mut Leaf,
    (released, rebuilt): (&[u8], &[u8]),
    (old, new): (&Image, &Image),
    same_sections: bool,
) {
    for own in &old.sections {
        let Some(other) = new
            .sections
            .iter()
            .find(|other| other.numbered() == own.numbered())
        else {
            continue;
        };
        let (before, after) = (
            section(old, released, own.index, same_sections),
            section(new, rebuilt, other.index, same_sections),
        );
        if before != after || before.is_none() {
            let place = format!("section header of {}", own.name);
            leaf.add(Finding::new(
                place,
                before.unwrap_or_default(),
                after.unwrap_or_default(),
            ));
        }
    }
}

/// A section's header without the offset of its name, its address, its offset and its size.
fn section(image: &Image, bytes: &[u8], index: usize, with_numbers: bool) -> Option<String> {
    let numbers = numbers(image, bytes);
    let (table, size) = if image.is_64() {
        (numbers.u64(40)?, 58)
    } else {
        (u64::from(numbers.u32(32)?), 46)
    };
    let size = usize::from(numbers.u16(size)?);
    let at = usize::try_from(table)
        .ok()?
        .checked_add(index.checked_mul(size)?)?;
    let entry = bytes.get(at..)?.get(..size)?;
    let (kind, links, align, rest) = if image.is_64() {
        (4..16, 40..48, 48..56, 56..64)
    } else {
        (4..12, 24..32, 32..36, 36..40)
    };
    let mut parts = vec![entry.get(kind)?, entry.get(rest)?];
    if !is_kept(image, index, numbers, at.checked_add(align.start)?) {
        parts.push(entry.get(align)?);
    }
    if with_numbers {
        parts.push(entry.get(links)?);
    }
    Some(hex::encode(parts.concat()))
}

/// Whether a linked section's alignment, which compilers raise for longer texts, only describes its place: no loader
/// reads it.
fn is_kept(image: &Image, index: usize, numbers: Numbers, at: usize) -> bool {
    let align = if image.is_64() {
        numbers.u64(at)
    } else {
        numbers.u32(at).map(u64::from)
    };
    let own = image.sections.iter().find(|section| section.index == index);
    let linked = image.file.kind() != object::ObjectKind::Relocatable;
    let fits = |align: u64| {
        align.is_power_of_two()
            && own.is_some_and(|own| own.address.checked_rem(align).is_some_and(|rest| rest == 0))
    };
    linked && align.is_some_and(fits)
}

/// Bytes in no section and no table of headers, without zeros.
fn between(image: &Image, bytes: &[u8]) -> Option<Vec<String>> {
    let numbers = numbers(image, bytes);
    let table = |at: u64, size: usize, count: usize| -> Option<(u64, u64)> {
        let length = u64::from(numbers.u16(size)?).checked_mul(u64::from(numbers.u16(count)?))?;
        Some((at, length))
    };
    let mut used: Vec<(u64, u64)> = image.sections.iter().map(|section| section.file).collect();
    if image.is_64() {
        used.extend([
            (0, 64),
            table(numbers.u64(32)?, 54, 56)?,
            table(numbers.u64(40)?, 58, 60)?,
        ]);
    } else {
        used.extend([
            (0, 52),
            table(u64::from(numbers.u32(28)?), 42, 44)?,
            table(u64::from(numbers.u32(32)?), 46, 48)?,
        ]);
    }
    used.sort_unstable();
    let mut end = 0;
    let mut gaps = Vec::new();
    for (from, length) in used {
        let (start, last) = (usize::try_from(from).ok()?, from.checked_add(length)?);
        if start > end {
            let gap = bytes.get(end..start)?;
            if gap.iter().any(|byte| *byte != 0) {
                gaps.push(hex::encode(gap));
            }
        }
        end = end.max(usize::try_from(last).ok()?);
    }
    gaps.push(hex::encode(bytes.get(end..)?));
    Some(gaps)
}

/// The parts of the file that are loaded when the program runs.
pub(super) fn loaded(file: &object::File) -> Vec<(u64, u64)> {
    file.segments().map(|segment| segment.file_range()).collect()
}
