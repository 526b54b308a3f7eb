//! A binary file as named regions without gaps: each byte is in exactly one region.
//!
//! A reader defines the regions of its format and blanks the fields that it has reported. Remaining differences are
//! reported under the name of their region; they are content unless a string explains them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use super::bytes;
use super::comparator::Leaf;
use crate::compare::finding::Finding;

/// A part of a file.
#[derive(Debug)]
pub(super) struct Region<'a> {
    pub name: String,
    /// Offset in the file.
    pub at: usize,
    pub data: Cow<'a, [u8]>,
}

/// All parts of a file, in its order.
#[derive(Debug)]
pub(super) struct Regions<'a> {
    pub parts: Vec<Region<'a>>,
}

/// Maximum number of regions of one file.
const MOST: usize = 100_000;

impl<'a> Regions<'a> {
    /// Takes regions in any order; gaps become regions too. `None` if two overlap, or one is not within the file.
    pub fn new(bytes: &'a [u8], mut named: Vec<(Range<usize>, String)>) -> Option<Self> {
        if named.len() > MOST {
            return None;
        }
        named.retain(|(range, _)| !range.is_empty());
        named.sort_by_key(|(range, _)| range.start);
        let mut parts = Vec::with_capacity(named.len());
        let mut end = 0;
        let mut before = String::new();
        let gap = |range: Range<usize>, before: &str| -> Option<Region<'a>> {
            let name = if before.is_empty() {
                "beginning".to_owned()
            } else {
                format!("after {before}")
            };
            Some(Region {
                name,
                at: range.start,
                data: Cow::Borrowed(bytes.get(range)?),
            })
        };
        for (range, name) in named {
            if range.start < end {
                return None;
            }
            if range.start > end {
                parts.push(gap(end..range.start, &before)?);
            }
            end = range.end;
            parts.push(Region {
                name: name.clone(),
                at: range.start,
                data: Cow::Borrowed(bytes.get(range)?),
            });
            before = name;
        }
        if end < bytes.len() {
            parts.push(gap(end..bytes.len(), &before)?);
        }
        Some(Self { parts })
    }

    /// Blanks the bytes of a reported field, by their offset in the file.
    pub fn blank(&mut self, field: Range<usize>) {
        let within = |part: &&mut Region| {
            field.start >= part.at && field.start.saturating_sub(part.at) < part.data.len()
        };
        let Some(part) = self.parts.iter_mut().find(within) else {
            return;
        };
        let start = field.start.saturating_sub(part.at);
        let own = start..start.saturating_add(field.len()).min(part.data.len());
        if let Some(bytes) = part.data.to_mut().get_mut(own) {
            bytes.fill(0);
        }
    }

    fn numbered(&self) -> HashMap<(&str, usize), usize> {
        let mut seen: HashMap<&str, usize> = HashMap::new();
        let mut numbered = HashMap::new();
        for (at, part) in self.parts.iter().enumerate() {
            let nth = seen.entry(&part.name).or_default();
            numbered.insert((part.name.as_str(), *nth), at);
            *nth = nth.saturating_add(1);
        }
        numbered
    }
}

/// Two regions with the same name.
pub(super) struct Change<'r, 'a> {
    pub released: &'r Region<'a>,
    pub rebuilt: &'r Region<'a>,
}

/// Reports every region that differs: through `known` if that returns true, otherwise as bytes.
pub(super) fn compare(
    leaf: &mut Leaf,
    old: &Regions,
    new: &Regions,
    mut known: impl FnMut(&mut Leaf, &Change) -> bool,
) {
    let (by_name_old, by_name_new) = (old.numbered(), new.numbered());
    let mut paired: Vec<(usize, usize)> = Vec::new();
    for (name, at) in &by_name_old {
        match by_name_new.get(name) {
            Some(other) => paired.push((*at, *other)),
            None => alone(leaf, old.parts.get(*at), true),
        }
    }
    for (name, at) in &by_name_new {
        if !by_name_old.contains_key(name) {
            alone(leaf, new.parts.get(*at), false);
        }
    }
    paired.sort_unstable();
    if !paired.is_sorted_by_key(|(_, rebuilt)| *rebuilt) {
        let names = |regions: &Regions| {
            let names: Vec<&str> = regions.parts.iter().map(|part| part.name.as_str()).collect();
            names.join(", ")
        };
        leaf.add(Finding::new("order of regions", names(old), names(new)));
    }
    for (released, rebuilt) in paired {
        let (Some(released), Some(rebuilt)) = (old.parts.get(released), new.parts.get(rebuilt)) else {
            continue;
        };
        if released.data == rebuilt.data {
            continue;
        }
        if !known(leaf, &Change { released, rebuilt }) {
            bytes::part(leaf, &released.name, &released.data, &rebuilt.data);
        }
    }
}

/// Reports a region that only one side has.
fn alone(leaf: &mut Leaf, region: Option<&Region>, is_released: bool) {
    let Some(region) = region else { return };
    let size = format!("{} bytes", region.data.len());
    let none = "none".to_owned();
    let (released, rebuilt) = if is_released { (size, none) } else { (none, size) };
    leaf.add(Finding::new(&region.name, released, rebuilt));
}

/// Reads numbers of fixed widths at offsets; `None` beyond the end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers<'a> {
    pub bytes: &'a [u8],
    pub little_endian: bool,
}

impl Numbers<'_> {
    fn number(self, at: usize, width: usize) -> Option<u64> {
        let field = self.bytes.get(at..)?.get(..width)?;
        let fold = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if self.little_endian {
            field.iter().rev().fold(0, fold)
        } else {
            field.iter().fold(0, fold)
        })
    }

    pub fn u16(self, at: usize) -> Option<u16> {
        u16::try_from(self.number(at, 2)?).ok()
    }

    pub fn u32(self, at: usize) -> Option<u32> {
        u32::try_from(self.number(at, 4)?).ok()
    }

    pub fn u64(self, at: usize) -> Option<u64> {
        self.number(at, 8)
    }

    /// Four bytes as an offset or a size.
    pub fn size(self, at: usize) -> Option<usize> {
        usize::try_from(self.u32(at)?).ok()
    }
}

/// The range of `length` bytes at an offset.
pub(super) fn span(at: usize, length: usize) -> Option<Range<usize>> {
    Some(at..at.checked_add(length)?)
}

/// Seconds since 1970 as a readable time.
pub(super) fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}
