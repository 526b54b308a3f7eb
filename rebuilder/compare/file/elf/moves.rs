//! Whether differing bytes in code and tables are only addresses of things that moved.
//!
//! If a string gets longer, everything after it moves, and so do all operands that point there. Each differing field
//! is read as an address on both sides; it is explained only if both addresses point to the same thing.

use std::ops::Range;

use crate::compare::file::elf::image::Section;
use crate::compare::file::strings::Strings;

/// Maps addresses of one file to those of the other.
pub(super) struct Moves {
    sections: Vec<Moved>,
    little_endian: bool,
}

struct Moved {
    name: String,
    nth: usize,
    old: Memory,
    new: Memory,
    strings: Option<Strings>,
}

/// The place of a section in memory.
#[derive(Clone, Copy)]
struct Memory {
    address: u64,
    size: u64,
}

impl Memory {
    fn of(section: &Section) -> Self {
        Self {
            address: section.address,
            size: section.size,
        }
    }

    /// The offset of an address in the section; its end is an address too.
    fn offset(self, address: u64) -> Option<u64> {
        let offset = address.checked_sub(self.address)?;
        (offset <= self.size).then_some(offset)
    }

    fn at(self, offset: u64) -> Option<u64> {
        self.address.checked_add(offset)
    }
}

impl Moves {
    pub fn new(pairs: &[(&Section, &Section)], little_endian: bool) -> Self {
        let loaded = pairs.iter().filter(|(old, _)| old.loaded);
        let sections = loaded.map(|(old, new)| Moved {
            name: old.name.clone(),
            nth: old.nth,
            old: Memory::of(old),
            new: Memory::of(new),
            strings: None,
        });
        Self {
            sections: sections.collect(),
            little_endian,
        }
    }

    /// Sets how the pieces of a section moved within it.
    pub fn set_strings(&mut self, name: &str, nth: usize, strings: Strings) {
        let mut sections = self.sections.iter_mut();
        if let Some(section) = sections.find(|section| section.name == name && section.nth == nth) {
            section.strings = Some(strings);
        }
    }

    /// The new offset of the string at an offset of a section.
    pub fn within(&self, (name, nth): (&str, usize), offset: u64) -> Option<u64> {
        let mut sections = self.sections.iter();
        let section = sections.find(|section| section.name == name && section.nth == nth)?;
        let moved = section.strings.as_ref()?.moved(usize::try_from(offset).ok()?)?;
        Some(moved as u64)
    }

    fn map(&self, address: u64) -> Option<u64> {
        let within = |is: fn(u64, u64) -> bool| {
            // In object files, sections do not have addresses yet.
            let mut sections = self.sections.iter().filter(|section| section.old.address != 0);
            sections.find_map(|section| {
                let offset = section.old.offset(address)?;
                is(offset, section.old.size).then_some((section, offset))
            })
        };
        // The address after the end is an address of the section too, if no other section begins there.
        let (section, offset) =
            within(|offset, size| offset < size).or_else(|| within(|offset, size| offset == size))?;
        match &section.strings {
            Some(strings) => {
                let moved = strings.moved(usize::try_from(offset).ok()?)?;
                section.new.at(moved as u64)
            }
            None if section.old.size == section.new.size || offset == 0 => section.new.at(offset),
            None if offset == section.old.size => section.new.at(section.new.size),
            None => None,
        }
    }

    /// Whether every differing byte of two sections of equal length is part of an address that moved.
    pub fn explain(&self, old: &Section, new: &Section, differing: &[Range<usize>]) -> bool {
        let mut done = 0;
        for at in differing.iter().cloned().flatten() {
            if at < done || old.data.get(at) == new.data.get(at) {
                continue;
            }
            let Some(end) = self.field_at(old, new, at, done) else {
                return false;
            };
            done = end;
        }
        true
    }

    /// The end of an explained field that covers the byte and begins at or after `from`.
    fn field_at(&self, old: &Section, new: &Section, at: usize, from: usize) -> Option<usize> {
        let starts = |width: usize| (at.saturating_sub(width).saturating_add(1)).max(from)..=at;
        let four = starts(4).find(|start| self.is_word(old, new, *start));
        if let Some(start) = four {
            return start.checked_add(4);
        }
        let mut eight = starts(8);
        let start =
            eight.find(|start| self.same(self.long(&old.data, *start), self.long(&new.data, *start)))?;
        start.checked_add(8)
    }

    /// Whether the four bytes at `start` are the address of the same thing on both sides.
    fn is_word(&self, old: &Section, new: &Section, start: usize) -> bool {
        let (Some(released), Some(rebuilt)) = (self.word(&old.data, start), self.word(&new.data, start))
        else {
            return false;
        };
        let same_from = |old_base: Option<u64>, new_base: Option<u64>| {
            let relative = |value: i32, base: Option<u64>| base?.checked_add_signed(i64::from(value));
            self.same(relative(released, old_base), relative(rebuilt, new_base))
        };
        // Relative to the next instruction, which may begin after an immediate of up to four bytes; to the field
        // itself (.eh_frame); or to the section (.eh_frame_hdr).
        let next = [4_u64, 5, 6, 8, 0].iter().any(|more| {
            let here = |section: &Section| {
                let start = section.address.checked_add(start as u64)?;
                start.checked_add(*more)
            };
            same_from(here(old), here(new))
        });
        next || same_from(Some(old.address), Some(new.address))
            || self.same(u64::try_from(released).ok(), u64::try_from(rebuilt).ok())
    }

    pub fn same(&self, released: Option<u64>, rebuilt: Option<u64>) -> bool {
        released
            .zip(rebuilt)
            .is_some_and(|(released, rebuilt)| self.map(released) == Some(rebuilt))
    }

    fn word(&self, bytes: &[u8], at: usize) -> Option<i32> {
        let word = *bytes.get(at..)?.first_chunk()?;
        Some(if self.little_endian {
            i32::from_le_bytes(word)
        } else {
            i32::from_be_bytes(word)
        })
    }

    fn long(&self, bytes: &[u8], at: usize) -> Option<u64> {
        let long = *bytes.get(at..)?.first_chunk()?;
        Some(if self.little_endian {
            u64::from_le_bytes(long)
        } else {
            u64::from_be_bytes(long)
        })
    }
}
