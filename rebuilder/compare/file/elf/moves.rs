//! Whether bytes that differ in code and tables are only addresses of things that moved.
//!
//! When a string gets longer, everything behind it moves, and so does every operand that points there. Each
//! differing field is read as an address on both sides; it is explained only if what it points at in one file is
//! the very thing that it points at in the other.

use std::ops::Range;

use crate::compare::file::elf::image::Section;
use crate::compare::file::strings::Strings;

/// How addresses of one file map to those of the other.
pub(super) struct Moves {
    sections: Vec<Moved>,
}

struct Moved {
    name: String,
    nth: usize,
    old: (u64, u64),
    new: (u64, u64),
    strings: Option<Strings>,
}

impl Moves {
    pub fn new(pairs: &[(&Section, &Section)]) -> Self {
        let loaded = pairs.iter().filter(|(a, _)| a.loaded && a.address != 0);
        let sections = loaded.map(|(a, b)| Moved {
            name: a.name.clone(),
            nth: a.nth,
            old: (a.address, a.size),
            new: (b.address, b.size),
            strings: None,
        });
        Self {
            sections: sections.collect(),
        }
    }

    /// How pieces of a section moved within it.
    pub fn set_strings(&mut self, name: &str, nth: usize, strings: Strings) {
        let mut sections = self.sections.iter_mut();
        if let Some(section) = sections.find(|section| section.name == name && section.nth == nth) {
            section.strings = Some(strings);
        }
    }

    fn map(&self, address: u64) -> Option<u64> {
        let section = self
            .sections
            .iter()
            .find(|section| (section.old.0..section.old.0 + section.old.1).contains(&address))
            .or_else(|| {
                // One past the end is an address too.
                let mut sections = self.sections.iter();
                sections.find(|section| section.old.0 + section.old.1 == address)
            })?;
        let offset = address - section.old.0;
        match &section.strings {
            Some(strings) => {
                let moved = strings.moved(usize::try_from(offset).ok()?)?;
                Some(section.new.0 + moved as u64)
            }
            None if section.old.1 == section.new.1 => Some(section.new.0 + offset),
            None if offset == 0 => Some(section.new.0),
            None if offset == section.old.1 => Some(section.new.0 + section.new.1),
            None => None,
        }
    }

    /// Whether every differing byte of two equally long sections is part of an address that moved.
    pub fn explain(&self, old: &Section, new: &Section, differing: &[Range<usize>]) -> bool {
        let mut done = 0;
        for at in differing.iter().cloned().flatten() {
            if at < done || old.data[at] == new.data[at] {
                continue;
            }
            let Some(end) = self.field_at(old, new, at, done) else {
                return false;
            };
            done = end;
        }
        true
    }

    /// The end of an explained field that covers the byte, and begins at or after `from`.
    fn field_at(&self, old: &Section, new: &Section, at: usize, from: usize) -> Option<usize> {
        let starts = |width: usize| (at.saturating_sub(width - 1)).max(from)..=at;
        let same =
            |a: Option<u64>, b: Option<u64>| matches!((a, b), (Some(a), Some(b)) if self.map(a) == Some(b));
        for start in starts(4) {
            let (Some(a), Some(b)) = (word(&old.data, start), word(&new.data, start)) else {
                continue;
            };
            let relative = |value: i32, base: u64| base.checked_add_signed(i64::from(value));
            // Relative to the next instruction, which may begin after an immediate of up to four bytes; to the
            // field itself (.eh_frame); or to the section (.eh_frame_hdr).
            let next = [4_u64, 5, 6, 8, 0].iter().any(|more| {
                let here = start as u64 + more;
                same(relative(a, old.address + here), relative(b, new.address + here))
            });
            let section = same(relative(a, old.address), relative(b, new.address));
            let absolute = same(u64::try_from(a).ok(), u64::try_from(b).ok());
            if next || section || absolute {
                return Some(start + 4);
            }
        }
        for start in starts(8) {
            let (a, b) = (long(&old.data, start), long(&new.data, start));
            if same(a, b) {
                return Some(start + 8);
            }
        }
        None
    }
}

fn word(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
