//! DWARF: the folder and the compiler of each unit.

use std::borrow::Cow;

use gimli::{EndianSlice, Reader as _, Relocate, RelocateReader, RunTimeEndian, SectionId};
use object::{Object as _, ObjectSection as _, RelocationMap};

use super::super::comparator::Leaf;
use crate::compare::cause::{Cause, Confidence, Reason};
use crate::compare::explain::{Context, explain, path};
use crate::compare::file::elf::image::Image;

struct Unit {
    folder: String,
    name: String,
    producer: String,
}

/// Maximum number of units that are read.
const MOST_UNITS: usize = 50_000;

/// A section as a linker would complete it: in an object file, each reference to a string is zero before.
#[derive(Debug)]
struct Linked<'i> {
    data: &'i [u8],
    relocations: RelocationMap,
}

impl<'i> Linked<'i> {
    fn new(image: &'i Image, name: &str) -> Self {
        let section = image.sections.iter().find(|section| section.name == name);
        let relocations = section
            .filter(|_| image.is_relocatable())
            .and_then(|section| {
                image
                    .file
                    .section_by_index(object::SectionIndex(section.index))
                    .ok()
            })
            .and_then(|section| section.relocation_map().ok());
        Self {
            data: section.map_or(&[], |section| section.data.as_ref()),
            relocations: relocations.unwrap_or_default(),
        }
    }
}

impl Relocate<usize> for &Linked<'_> {
    fn relocate_address(&self, offset: usize, value: u64) -> gimli::Result<u64> {
        Ok(self.relocations.relocate(offset as u64, value))
    }

    fn relocate_offset(&self, offset: usize, value: usize) -> gimli::Result<usize> {
        <usize as gimli::ReaderOffset>::from_u64(self.relocations.relocate(offset as u64, value as u64))
    }
}

fn units(image: &Image) -> Option<Vec<Unit>> {
    let endian = if image.little_endian {
        RunTimeEndian::Little
    } else {
        RunTimeEndian::Big
    };
    let load = |id: SectionId| -> Result<Linked, gimli::Error> { Ok(Linked::new(image, id.name())) };
    let sections = gimli::DwarfSections::load(load).ok()?;
    let dwarf =
        sections.borrow(|section| RelocateReader::new(EndianSlice::new(section.data, endian), section));
    let mut units = Vec::new();
    let mut headers = dwarf.units();
    while let Ok(Some(header)) = headers.next() {
        if units.len() == MOST_UNITS {
            break;
        }
        let Ok(unit) = dwarf.unit(header) else { continue };
        let text = |slice: Option<RelocateReader<_, _>>| {
            slice
                .and_then(|slice| slice.to_string_lossy().ok().map(Cow::into_owned))
                .unwrap_or_default()
        };
        let mut entries = unit.entries();
        let producer = match entries.next_dfs() {
            Ok(Some(root)) => root
                .attr_value(gimli::DW_AT_producer)
                .and_then(|value| dwarf.attr_string(&unit, value).ok()),
            _ => None,
        };
        units.push(Unit {
            folder: text(unit.comp_dir),
            name: text(unit.name),
            producer: text(producer),
        });
    }
    Some(units)
}

/// The folders in which both sides were compiled, where they differ: absolute, and each always with the same other one.
pub(super) fn folders(old: &Image, new: &Image) -> Vec<(String, String)> {
    /// One program is built in few folders.
    const MOST: usize = 16;
    let (Some(old), Some(new)) = (units(old), units(new)) else {
        return Vec::new();
    };
    let mut folders: Vec<(String, String)> = Vec::new();
    if old.len() != new.len() {
        return folders;
    }
    for (released, rebuilt) in old.into_iter().zip(new) {
        let pair = (released.folder, rebuilt.folder);
        let is_path = |folder: &str| folder.starts_with('/') && folder.len() > 1;
        if pair.0 == pair.1 || !is_path(&pair.0) || !is_path(&pair.1) || folders.contains(&pair) {
            continue;
        }
        let crosses = |(from, to): &(String, String)| {
            [from, to]
                .into_iter()
                .any(|known| *known == pair.0 || *known == pair.1)
        };
        if folders.len() == MOST || folders.iter().any(crosses) {
            return Vec::new();
        }
        folders.push(pair);
    }
    // The longest first: one folder may be below another one.
    folders.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
    folders
}

pub(super) fn compare(leaf: &mut Leaf, old: &Image, new: &Image) {
    let (Some(old), Some(new)) = (units(old), units(new)) else {
        return;
    };
    if old.len() != new.len() {
        return;
    }
    for (released, rebuilt) in old.iter().zip(&new) {
        if released.folder != rebuilt.folder {
            let reason = path(&released.folder, &rebuilt.folder, true).map_or_else(
                || Reason::new(Cause::BuildPath, "", Confidence::Likely),
                |reason| Reason {
                    confidence: Confidence::Proven,
                    ..reason
                },
            );
            leaf.add_reason("DW_AT_comp_dir", &released.folder, &rebuilt.folder, &reason);
        }
        if released.producer != rebuilt.producer {
            let tool = Context {
                tool: true,
                build_folder: true,
                ..Context::default()
            };
            let mut reasons = explain(&released.producer, &rebuilt.producer, tool);
            if reasons.is_empty() {
                reasons.push(Reason::new(
                    Cause::ToolVersion,
                    "options of the compiler",
                    Confidence::Possible,
                ));
            }
            for reason in &reasons {
                leaf.add_reason("DW_AT_producer", &released.producer, &rebuilt.producer, reason);
            }
        }
        if released.name != rebuilt.name {
            let context = Context {
                build_folder: true,
                ..Context::default()
            };
            for reason in explain(&released.name, &rebuilt.name, context) {
                leaf.add_reason("DW_AT_name", &released.name, &rebuilt.name, &reason);
            }
        }
    }
}
