//! Whether two ELF programs are the same but for the record of the build and the folders of source files.
//!
//! The linker sorts constants by their length, and the record is one of them. A longer record moves most of what lies
//! behind it. Here, the record is substituted: what remains of every section must be the same bytes, zeros that align a
//! constant, or addresses that point at the same thing in both files.

use std::ops::Range;

use super::elf::{File, Section};
use super::files::Renamed;
use super::moves::{Map, Sides};
use super::record::Record;
use crate::compare::finding::Finding;

/// What else differs in two programs.
pub(super) struct Relinked {
    /// The names of source files, if they differ.
    pub names: Option<Finding>,
    /// Debug information that differs because these names do.
    pub debug: Vec<String>,
}

/// What follows from the two records and the folders of source files; `None` if that is not all. Both programs must have
/// their build ID in common.
pub(super) fn follows(released: &[u8], rebuilt: &[u8], records: (&Record, &Record)) -> Option<Relinked> {
    let (old, new) = records;
    let comparable = old.version == new.version && !old.modules.is_empty() && !new.modules.is_empty();
    let files = comparable.then_some((File::read(released)?, File::read(rebuilt)?))?;
    let sides = Sides {
        files: (&files.0, &files.1),
        records,
    };
    let map = Map::new(&sides)?;
    holds(files.0.has_only_known_bytes()? && files.1.has_only_known_bytes()?)?;
    holds(files.0.is_loaded_as_named() && files.1.is_loaded_as_named())?;
    headers(&files, &map)?;
    let mut relinked = Relinked {
        names: map.names().map(Renamed::finding),
        debug: Vec::new(),
    };
    let sections = files.0.sections.iter().zip(&files.1.sections);
    for (nth, (own, other)) in sections.enumerate() {
        if !own.is_stored() {
            continue;
        }
        if own.is_loaded() {
            for moved in map.parts(nth)? {
                part(
                    &map,
                    (own, own.data, moved.released()),
                    (other, other.data, moved.rebuilt()),
                )?;
            }
        } else {
            let (data, other_data) = (files.0.uncompressed(nth)?, files.1.uncompressed(nth)?);
            let (data, other_data): (&[u8], &[u8]) = (&data, &other_data);
            let same = part(
                &map,
                (own, data, 0..data.len()),
                (other, other_data, 0..other_data.len()),
            );
            if same.is_none() {
                let names = (files.0.debug_name(nth)?, files.1.debug_name(nth)?);
                holds(relinked.names.is_some() && names.0 == names.1)?;
                relinked.debug.push(names.0);
            }
        }
    }
    Some(relinked)
}

fn holds(is_true: bool) -> Option<()> {
    is_true.then_some(())
}

/// The headers without the places of sections, which the map pairs.
fn headers(files: &(File, File), map: &Map) -> Option<()> {
    let (old, new) = files;
    holds(old.identity()? == new.identity()?)?;
    let same = |own: Option<u64>, other: Option<u64>| -> Option<bool> {
        let (own, other) = (own?, other?);
        Some(own == other || map.same(own, other))
    };
    holds(same(old.entry(), new.entry())?)?;
    holds(old.segments.len() == new.segments.len())?;
    for (own, other) in old.segments.iter().zip(&new.segments) {
        let of_kind = own.kind == other.kind
            && own.align == other.align
            && own.physical.wrapping_sub(own.address) == other.physical.wrapping_sub(other.address);
        let placed = same(Some(own.address), Some(other.address))?
            && same(own.end_of_file(), other.end_of_file())?
            && same(own.end_of_memory(), other.end_of_memory())?;
        holds(of_kind && placed)?;
    }
    Some(())
}

/// A section, its bytes, and the part of them that is compared.
type Part<'a> = (&'a Section<'a>, &'a [u8], Range<usize>);

/// Whether every differing byte of two parts belongs to a field that points at the same thing.
fn part(map: &Map, (own, data, range): Part, (other, other_data, other_range): Part) -> Option<()> {
    let place = (
        own.address.checked_add(range.start as u64)?,
        other.address.checked_add(other_range.start as u64)?,
    );
    let fields = Fields {
        map,
        place,
        bytes: (data.get(range)?, other_data.get(other_range)?),
    };
    holds(fields.bytes.0.len() == fields.bytes.1.len())?;
    let mut done = 0;
    while let Some(at) = difference(fields.bytes, done) {
        done = if own.is_code() {
            fields.operand(at, done)?
        } else if own.is_symbols() {
            fields.symbol(at)?
        } else if own.is_loaded() {
            fields.pointer(at, done)?
        } else {
            fields.unaligned(at, done)?
        };
    }
    Some(())
}

/// The first differing byte at or after an offset.
fn difference((own, other): (&[u8], &[u8]), from: usize) -> Option<usize> {
    let same = super::moves::common(own.get(from..)?, other.get(from..)?);
    let at = from.checked_add(same)?;
    (at < own.len()).then_some(at)
}

/// Two parts of the same length; each method returns the end of the explained field that covers a byte.
struct Fields<'a> {
    map: &'a Map,
    /// Their addresses.
    place: (u64, u64),
    bytes: (&'a [u8], &'a [u8]),
}

impl Fields<'_> {
    /// An operand of an instruction: an address, or the distance to one from the next instruction, which begins after
    /// an immediate of up to four bytes.
    fn operand(&self, at: usize, from: usize) -> Option<usize> {
        let mut starts = at.saturating_sub(3).max(from)..=at;
        let start = starts.find(|start| self.is_operand(*start).unwrap_or_default())?;
        start.checked_add(4)
    }

    fn is_operand(&self, start: usize) -> Option<bool> {
        let word = |bytes: &[u8]| Some(i32::from_le_bytes(*bytes.get(start..)?.first_chunk()?));
        let (own, other) = (word(self.bytes.0)?, word(self.bytes.1)?);
        let relative = [4_u64, 5, 6, 8].into_iter().any(|more| {
            let target = |place: u64, word: i32| {
                let next = place.checked_add(start as u64)?.checked_add(more)?;
                next.checked_add_signed(i64::from(word))
            };
            let targets = target(self.place.0, own).zip(target(self.place.1, other));
            targets.is_some_and(|(own, other)| self.map.same(own, other))
        });
        let absolute = u64::try_from(own).ok().zip(u64::try_from(other).ok());
        Some(relative || absolute.is_some_and(|(own, other)| self.map.same(own, other)))
    }

    /// An aligned pointer, or the length of the record behind the pointer to it.
    fn pointer(&self, at: usize, from: usize) -> Option<usize> {
        let start = at.checked_sub(beyond_alignment(self.place.0, at)?)?;
        holds(start >= from && beyond_alignment(self.place.1, at) == beyond_alignment(self.place.0, at))?;
        let pair = self.longs(start)?;
        let length = || {
            let pointer = self.longs(start.checked_sub(8)?)?;
            Some(pointer == self.map.record() && pair == self.map.record_lengths())
        };
        // A slice has a capacity behind its length.
        let of_names = [8, 16].into_iter().any(|back| {
            let pointer = start.checked_sub(back).and_then(|at| self.longs(at));
            pointer.is_some_and(|pointer| self.map.is_length_of_names(pointer, pair))
        });
        holds(of_names || self.map.same(pair.0, pair.1) || length().unwrap_or_default())?;
        start.checked_add(8)
    }

    /// An address anywhere, as debug information has them.
    fn unaligned(&self, at: usize, from: usize) -> Option<usize> {
        let mut starts = at.saturating_sub(7).max(from)..=at;
        let is_address = |start: usize| {
            self.longs(start)
                .is_some_and(|(own, other)| self.map.same(own, other))
        };
        starts.find(|start| is_address(*start))?.checked_add(8)
    }

    /// A symbol of the same name and kind.
    fn symbol(&self, at: usize) -> Option<usize> {
        const SIZE: usize = 24;
        let start = at.checked_sub(at.checked_rem(SIZE)?)?;
        let entry = |bytes: &'_ [u8]| -> Option<[u8; SIZE]> { bytes.get(start..)?.first_chunk().copied() };
        let (own, other) = (entry(self.bytes.0)?, entry(self.bytes.1)?);
        holds(own.first_chunk::<8>() == other.first_chunk::<8>())?;
        let values = self.longs(start.checked_add(8)?)?;
        let sizes = self.longs(start.checked_add(16)?)?;
        holds(values.0 == values.1 || self.map.same(values.0, values.1))?;
        let resized = self.map.is_resized(values, sizes) || self.map.is_length_of_names(values, sizes);
        holds(sizes.0 == sizes.1 || resized)?;
        start.checked_add(SIZE)
    }

    fn longs(&self, start: usize) -> Option<(u64, u64)> {
        let long = |bytes: &[u8]| Some(u64::from_le_bytes(*bytes.get(start..)?.first_chunk()?));
        Some((long(self.bytes.0)?, long(self.bytes.1)?))
    }
}

/// The number of bytes between the last aligned address and an offset.
pub(super) fn beyond_alignment(place: u64, at: usize) -> Option<usize> {
    usize::try_from(place.checked_add(at as u64)?.checked_rem(8)?).ok()
}
