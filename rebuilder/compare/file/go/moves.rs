//! Where each part of a program lies in another one that has another record of the build.

use std::collections::HashSet;
use std::ops::Range;

use super::elf::{File, Section};
use super::files::{self, Renamed};
use super::record::{self, Record};
use super::relink::beyond_alignment;

/// Both programs and their records.
pub(super) struct Sides<'a> {
    pub files: (&'a File<'a>, &'a File<'a>),
    pub records: (&'a Record, &'a Record),
}

/// A part of a section that is the same on both sides except for addresses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moved {
    from: usize,
    to: usize,
    length: usize,
    /// Zeros that both sides have before and behind it: a constant may begin or end with some of them.
    zeros: (usize, usize),
}

impl Moved {
    pub fn released(&self) -> Range<usize> {
        self.from..self.from.saturating_add(self.length)
    }

    pub fn rebuilt(&self) -> Range<usize> {
        self.to..self.to.saturating_add(self.length)
    }
}

/// A part by its addresses.
struct Piece {
    old: u64,
    new: u64,
    length: u64,
    zeros: (u64, u64),
}

#[derive(Default)]
pub(super) struct Map {
    /// In the order of the released addresses.
    pieces: Vec<Piece>,
    /// For each section.
    parts: Vec<Vec<Moved>>,
    /// Beginnings and ends of sections.
    bounds: HashSet<(u64, u64)>,
    /// Addresses and lengths of what has another size.
    resized: Vec<((u64, u64), (u64, u64))>,
    record: Option<((u64, u64), (u64, u64))>,
    /// Other names of source files, and the addresses of their list.
    names: Option<(Renamed, (u64, u64))>,
}

/// Maximum length of zeros that align a constant.
const PADDING: usize = 64;
/// Maximum number of parts around the record: behind a constant, everything of its alignment or less moves together.
const MOST_PARTS: usize = 16;

impl Map {
    /// `None` if the sections are not the same, or if a section differs in more than addresses and the record.
    pub fn new(sides: &Sides) -> Option<Self> {
        let mut map = Self::default();
        let (old, new) = sides.files;
        (old.sections.len() == new.sections.len()).then_some(())?;
        for (own, other) in old.sections.iter().zip(&new.sections) {
            own.is_of_kind(other).then_some(())?;
            let parts = if own.is_loaded() {
                map.bounds.insert((own.address, other.address));
                map.bounds.insert((own.end()?, other.end()?));
                map.section(sides, (own, other))?
            } else {
                Vec::new()
            };
            for part in &parts {
                map.pieces.push(Piece {
                    old: own.address.checked_add(part.from as u64)?,
                    new: other.address.checked_add(part.to as u64)?,
                    length: part.length as u64,
                    zeros: (part.zeros.0 as u64, part.zeros.1 as u64),
                });
            }
            map.parts.push(parts);
        }
        map.pieces.sort_by_key(|piece| piece.old);
        map.record.is_some().then_some(map)
    }

    fn section(&mut self, sides: &Sides, (own, other): (&Section, &Section)) -> Option<Vec<Moved>> {
        let starts = (own.address, other.address);
        let (old, new) = sides.records;
        if record::is_record(own.data, old) && record::is_record(other.data, new) {
            self.resized.push((starts, (own.size, other.size)));
            // The first bytes are the same.
            return Some(vec![Moved {
                from: 0,
                to: 0,
                length: record::HEADER,
                zeros: (0, 0),
            }]);
        }
        if own.data != other.data
            && self.names.is_none()
            && let Some(renamed) = files::renamed(own.data, other.data, sides.records)
        {
            return self.functions((own, other), renamed);
        }
        let places = (
            record::framed(own.data, &old.modules),
            record::framed(other.data, &new.modules),
        );
        let (at, to) = match (places.0.as_slice(), places.1.as_slice()) {
            ([], []) if own.size == other.size => {
                // Sections that are not stored have addresses too.
                let length = usize::try_from(own.size).ok()?;
                let whole = Moved {
                    from: 0,
                    to: 0,
                    length,
                    zeros: (0, 0),
                };
                return Some(vec![whole]);
            }
            ([at], [to]) if self.record.is_none() => (*at, *to),
            _ => return None,
        };
        let records = (record::around(at, old)?, record::around(to, new)?);
        let address =
            |section: &Section, range: &Range<usize>| section.address.checked_add(range.start as u64);
        let places = (address(own, &records.0)?, address(other, &records.1)?);
        let lengths = (records.0.len() as u64, records.1.len() as u64);
        self.record = Some((places, lengths));
        self.resized.push((places, lengths));
        self.bounds.insert(places);
        Aligner {
            sides,
            sections: (own, other),
            records,
            at: (0, 0),
            from: 0,
            parts: Vec::new(),
        }
        .parts()
    }

    /// Pairs the parts of two tables of functions.
    fn functions(&mut self, (own, other): (&Section, &Section), renamed: Renamed) -> Option<Vec<Moved>> {
        let address = |section: &Section, at: usize| section.address.checked_add(at as u64);
        let mut names = (own.address, other.address);
        for (at, to) in renamed.lists {
            names = (address(own, at)?, address(other, to)?);
            self.bounds.insert(names);
        }
        let parts = renamed.same.iter().map(|(released, rebuilt)| {
            (released.len() == rebuilt.len()).then_some(Moved {
                from: released.start,
                to: rebuilt.start,
                length: released.len(),
                zeros: (0, 0),
            })
        });
        let parts = parts.collect();
        self.names = Some((renamed, names));
        parts
    }

    /// The names of source files, if they differ.
    pub fn names(&self) -> Option<&Renamed> {
        self.names.as_ref().map(|(renamed, _)| renamed)
    }

    /// Whether two lengths at a pointer are those of the names of source files.
    pub fn is_length_of_names(&self, pointers: (u64, u64), lengths: (u64, u64)) -> bool {
        self.names.as_ref().is_some_and(|(renamed, places)| {
            let (own, other) = &renamed.lengths;
            *places == pointers && own.contains(&lengths.0) && other.contains(&lengths.1)
        })
    }

    pub fn parts(&self, nth: usize) -> Option<&[Moved]> {
        self.parts.get(nth).map(Vec::as_slice)
    }

    /// Whether two addresses are those of the same thing.
    pub fn same(&self, old: u64, new: u64) -> bool {
        let next = self.pieces.partition_point(|piece| piece.old <= old);
        let before = next.checked_sub(1).and_then(|nth| self.pieces.get(nth));
        let moved = |piece: &Piece| old.wrapping_sub(piece.old).wrapping_add(piece.new) == new;
        let within = before.is_some_and(|piece| {
            let offset = old.wrapping_sub(piece.old);
            moved(piece) && offset < piece.length.saturating_add(piece.zeros.1)
        });
        let in_front = self
            .pieces
            .get(next)
            .is_some_and(|piece| moved(piece) && piece.old.wrapping_sub(old) <= piece.zeros.0);
        within || in_front || self.bounds.contains(&(old, new))
    }

    /// The addresses of the record among the constants.
    pub fn record(&self) -> (u64, u64) {
        self.record.unwrap_or_default().0
    }

    pub fn record_lengths(&self) -> (u64, u64) {
        self.record.unwrap_or_default().1
    }

    /// Whether two sizes at two addresses differ as much as the records.
    pub fn is_resized(&self, places: (u64, u64), sizes: (u64, u64)) -> bool {
        self.resized.iter().any(|(starts, lengths)| {
            *starts == places && sizes.0.wrapping_sub(lengths.0) == sizes.1.wrapping_sub(lengths.1)
        })
    }
}

/// Pairs what two sections contain around the record.
struct Aligner<'a> {
    sides: &'a Sides<'a>,
    sections: (&'a Section<'a>, &'a Section<'a>),
    records: (Range<usize>, Range<usize>),
    /// How far both sides are read.
    at: (usize, usize),
    /// The beginning of the current part on the released side.
    from: usize,
    parts: Vec<Moved>,
}

impl Aligner<'_> {
    fn parts(mut self) -> Option<Vec<Moved>> {
        let (own, other) = (self.sections.0.data, self.sections.1.data);
        while self.at != (own.len(), other.len()) {
            if self.at.0 == self.records.0.start {
                self.end_part()?;
                self.at.0 = self.records.0.end;
                self.from = self.at.0;
            } else if self.at.1 == self.records.1.start {
                self.end_part()?;
                self.at.1 = self.records.1.end;
                self.from = self.at.0;
            } else {
                let rest = (
                    own.get(self.at.0..self.limits().0)?,
                    other.get(self.at.1..self.limits().1)?,
                );
                let same = common(rest.0, rest.1);
                self.skip((same, same))?;
                let is_at_record = self.at.0 == self.records.0.start || self.at.1 == self.records.1.start;
                if !is_at_record && self.at != (own.len(), other.len()) {
                    self.difference()?;
                }
            }
        }
        self.end_part()?;
        Some(self.parts)
    }

    /// The next offsets at which something else begins: the record, or the end.
    fn limits(&self) -> (usize, usize) {
        let limit = |at: usize, record: &Range<usize>, section: &Section| {
            if at < record.start {
                record.start
            } else {
                section.data.len()
            }
        };
        (
            limit(self.at.0, &self.records.0, self.sections.0),
            limit(self.at.1, &self.records.1, self.sections.1),
        )
    }

    fn skip(&mut self, (own, other): (usize, usize)) -> Option<()> {
        self.at = (self.at.0.checked_add(own)?, self.at.1.checked_add(other)?);
        Some(())
    }

    /// Passes over a pointer, or over zeros that only one side has.
    fn difference(&mut self) -> Option<()> {
        if let Some(end) = self.pointer(self.at, self.from) {
            self.at = end;
            return Some(());
        }
        let zeros = (
            padding(self.sections.0.data.get(self.at.0..self.limits().0)?.iter()),
            padding(self.sections.1.data.get(self.at.1..self.limits().1)?.iter()),
        );
        self.end_part()?;
        if zeros.0 > 0 && self.agrees((self.at.0.checked_add(zeros.0)?, self.at.1)) {
            self.skip((zeros.0, 0))?;
        } else if zeros.1 > 0 && self.agrees((self.at.0, self.at.1.checked_add(zeros.1)?)) {
            self.skip((0, zeros.1))?;
        } else {
            return None;
        }
        self.from = self.at.0;
        Some(())
    }

    /// Whether both sides continue alike.
    fn agrees(&self, at: (usize, usize)) -> bool {
        const ENOUGH: usize = 8;
        let rest = |section: &Section, at: usize| section.data.get(at..).unwrap_or_default().len();
        let lengths = (rest(self.sections.0, at.0), rest(self.sections.1, at.1));
        if lengths.0 == 0 || lengths.1 == 0 {
            return lengths.0 == lengths.1;
        }
        let is_at_record = at.0 == self.records.0.start || at.1 == self.records.1.start;
        let window = |section: &Section, at: usize| -> Vec<u8> {
            section
                .data
                .get(at..)
                .unwrap_or_default()
                .iter()
                .take(ENOUGH)
                .copied()
                .collect()
        };
        let (own, other) = (window(self.sections.0, at.0), window(self.sections.1, at.1));
        let enough = own.len().min(other.len());
        is_at_record || common(&own, &other) >= enough || self.pointer(at, at.0).is_some()
    }

    /// The ends of the aligned values that cover these offsets, if both are addresses in their program and begin in the
    /// current part.
    fn pointer(&self, at: (usize, usize), from: usize) -> Option<(usize, usize)> {
        let beyond = beyond_alignment(self.sections.0.address, at.0)?;
        (beyond_alignment(self.sections.1.address, at.1)? == beyond).then_some(())?;
        let starts = (at.0.checked_sub(beyond)?, at.1.checked_sub(beyond)?);
        let long = |section: &Section, start: usize| {
            Some(u64::from_le_bytes(*section.data.get(start..)?.first_chunk()?))
        };
        let is_address = |file: &File, address: u64| {
            let mut loaded = file.sections.iter().filter(|section| section.is_loaded());
            loaded.any(|section| address >= section.address && Some(address) <= section.end())
        };
        let (own, other) = (long(self.sections.0, starts.0)?, long(self.sections.1, starts.1)?);
        let both = is_address(self.sides.files.0, own) && is_address(self.sides.files.1, other);
        let ends = (starts.0.checked_add(8)?, starts.1.checked_add(8)?);
        let limits = self.limits();
        (both && starts.0 >= from && ends.0 <= limits.0 && ends.1 <= limits.1).then_some(ends)
    }

    fn end_part(&mut self) -> Option<()> {
        let length = self.at.0.checked_sub(self.from)?;
        (self.parts.len() < MOST_PARTS).then_some(())?;
        if length > 0 {
            let to = self.at.1.checked_sub(length)?;
            let data = (self.sections.0.data, self.sections.1.data);
            let before = |data: &[u8], at: usize| Some(padding(data.get(..at)?.iter().rev()));
            let behind = |data: &[u8], at: usize| Some(padding(data.get(at..)?.iter()));
            self.parts.push(Moved {
                from: self.from,
                to,
                length,
                zeros: (
                    before(data.0, self.from)?.min(before(data.1, to)?),
                    behind(data.0, self.at.0)?.min(behind(data.1, self.at.1)?),
                ),
            });
        }
        Some(())
    }
}

/// The number of zeros that bytes begin with, as far as they may align a constant.
fn padding<'a>(bytes: impl Iterator<Item = &'a u8>) -> usize {
    bytes.take(PADDING).take_while(|byte| **byte == 0).count()
}

/// The number of bytes that both begin with.
pub(super) fn common(own: &[u8], other: &[u8]) -> usize {
    const STEP: usize = 4096;
    let steps = own.chunks(STEP).zip(other.chunks(STEP));
    let whole = steps.take_while(|(own, other)| own == other);
    let same: usize = whole.map(|(own, _)| own.len()).sum();
    let rest = (
        own.get(same..).unwrap_or_default(),
        other.get(same..).unwrap_or_default(),
    );
    let alike = rest.0.iter().zip(rest.1).take_while(|(own, other)| own == other);
    same.saturating_add(alike.count())
}
