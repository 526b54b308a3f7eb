//! ELF: compares sections by name, finds traces of the compiler, and decides whether what is loaded and run is the
//! same.

mod debug;
mod headers;
mod image;
mod loaded;
mod moves;
mod relocations;
mod units;

use std::collections::HashMap;

use image::{Image, Section};
use moves::Moves;

use super::bytes::{ranges, window};
use super::comparator::{FileComparator, Leaf, Pair as Files};
use super::strings::Strings;
use crate::compare::cause::{Cause, Confidence, Reason};
use crate::compare::finding::Finding;
use crate::compare::normalise::Normalisation;

const BUILD_ID: &str = ".note.gnu.build-id";
const DEBUG_LINK: &str = ".gnu_debuglink";
const COMMENT: &str = ".comment";

pub(super) struct Elf;

const MAGIC: &[u8] = b"\x7fELF";

impl FileComparator for Elf {
    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.so", b"\x7fELF\x02\x01\x01")
    }

    fn normalisations(&self) -> &'static [Normalisation] {
        &[Normalisation::ElfBuildId, Normalisation::ElfDebugLink]
    }

    fn recognises(&self, files: &Files) -> bool {
        files.begin_with(MAGIC)
    }

    fn compare(&self, files: &Files) -> Option<Leaf> {
        compare(files.released, files.rebuilt)
    }
}

fn compare(released: &[u8], rebuilt: &[u8]) -> Option<Leaf> {
    let (old, new) = (Image::read(released)?, Image::read(rebuilt)?);
    if old.sections.is_empty() && new.sections.is_empty() {
        // The headers of the sections were stripped.
        return None;
    }
    let mut leaf = Leaf::of("ELF");
    if old.identity != new.identity {
        let (released, rebuilt) = (old.identity.as_str(), new.identity.as_str());
        leaf.add(Finding::new("header", released, rebuilt));
    }
    let pairs = pair(&mut leaf, &old, &new);
    let differing: Vec<_> = pairs
        .iter()
        .copied()
        .filter(|(old, new)| old.data != new.data || old.size != new.size)
        .collect();
    let has_tool = comment(&mut leaf, &differing);
    if debug::only_names(&mut leaf, released, rebuilt, &differing) {
        return Some(leaf);
    }
    debug::names(&mut leaf, &differing);
    let mut moves = Moves::new(&pairs, old.little_endian);
    let folders = debug::folders((&old, &new), &differing);
    let loaded = loaded::compare(&mut leaf, (&old, &new), &differing, &folders, &mut moves);
    let explained = loaded || has_tool;
    debug::compare(&mut leaf, (&old, &new), &differing, (explained, &folders), &moves);
    let alone = old.sections.len() != pairs.len() || new.sections.len() != pairs.len();
    let resized = alone || differing.iter().any(|(old, new)| old.size != new.size);
    if released.len() == rebuilt.len() && old.layout() == new.layout() {
        outside(&mut leaf, (released, rebuilt), &old);
    } else {
        headers::compare(&mut leaf, (released, rebuilt), &old, &new, &moves);
        layout(&mut leaf, resized);
    }
    Some(leaf)
}

/// Whether a section names the file with debug information on both sides, and contains nothing else.
fn names_debug_file((old, new): &Pair) -> bool {
    old.is_build_id() && new.is_build_id() || old.is_debug_link() && new.is_debug_link()
}

/// Whether a section has only the names of tools for people to read.
fn is_comment((old, new): &Pair) -> bool {
    old.name == COMMENT && !old.loaded && !new.loaded
}

/// Adds the explained strings of a section; `sure` may refine their reasons.
fn add_strings(leaf: &mut Leaf, section: &Section, found: &Strings, sure: impl Fn(Reason) -> Reason) {
    for told in &found.explained {
        let place = format!("{} +{:#x}", section.name, told.offset);
        leaf.add_reason(&place, &told.released, &told.rebuilt, &sure(told.reason.clone()));
    }
}

type Pair<'a> = (&'a Section<'a>, &'a Section<'a>);

/// Pairs the sections by name, and adds those that only one side has.
fn pair<'a>(leaf: &mut Leaf, old: &'a Image<'a>, new: &'a Image<'a>) -> Vec<Pair<'a>> {
    let mut pairs = Vec::new();
    let by_name = |image: &'a Image<'a>| -> HashMap<_, _> {
        image
            .sections
            .iter()
            .map(|section| (section.numbered(), section))
            .collect()
    };
    let (in_old, in_new) = (by_name(old), by_name(new));
    let (own, other) = (old, new);
    let alone = |section: &Section, released: bool| {
        let size = format!("{} bytes", section.size);
        let none = "none".to_owned();
        let (old, new) = if released { (size, none) } else { (none, size) };
        let finding = Finding::new(&section.name, old, new);
        let image = if released { own } else { other };
        if section.is_build_id() {
            finding.because(Cause::BuildId, Confidence::Proven).following()
        } else if debug::is_for_debuggers(section, image) {
            finding
                .because(Cause::DebugInformation, Confidence::Likely)
                .keyed("sections that are not loaded")
        } else {
            finding
        }
    };
    for section in &old.sections {
        match in_new.get(&section.numbered()) {
            Some(other) => pairs.push((section, *other)),
            None => leaf.add(alone(section, true)),
        }
    }
    for section in new
        .sections
        .iter()
        .filter(|section| !in_old.contains_key(&section.numbered()))
    {
        leaf.add(alone(section, false));
    }
    pairs
}

/// Compares compiler versions; returns whether they differ. Another compiler generates other code, but so does another
/// source: differing code stays content.
fn comment(leaf: &mut Leaf, differing: &[Pair]) -> bool {
    let Some((old, new)) = differing.iter().find(|pair| is_comment(pair)) else {
        return false;
    };
    let list = |section: &Section| -> Vec<String> {
        let texts = section.data.split(|byte| *byte == 0);
        texts
            .filter(|text| !text.is_empty())
            .map(|text| String::from_utf8_lossy(text).into_owned())
            .collect()
    };
    let (released, rebuilt) = (list(old), list(new));
    let only = |these: &[String], others: &[String]| {
        let own = these.iter().filter(|text| !others.contains(text));
        let own: Vec<_> = own.cloned().collect();
        if own.is_empty() {
            "none of its own".to_owned()
        } else {
            own.join(", ")
        }
    };
    let (only_released, only_rebuilt) = (only(&released, &rebuilt), only(&rebuilt, &released));
    let key = if only_released == only_rebuilt {
        "order of .comment".to_owned()
    } else {
        format!("{only_released} → {only_rebuilt}")
    };
    let finding = Finding::new(COMMENT, released.join(", "), rebuilt.join(", "));
    let differing = released.iter().filter(|text| !rebuilt.contains(text));
    let mut differing = differing.chain(rebuilt.iter().filter(|text| !released.contains(text)));
    leaf.add(if differing.all(|text| names_a_tool(text)) {
        finding
            .because(Cause::ToolVersion, Confidence::Proven)
            .keyed(&key)
    } else {
        finding
    });
    true
}

/// The finding for sections in other places; if none has another size, nothing explains the moves.
fn layout(leaf: &mut Leaf, resized: bool) {
    let moved = Finding::new("where the sections lie", "", "");
    leaf.add(if resized {
        moved
            .because(Cause::MovedAddress, Confidence::Likely)
            .keyed("addresses in code and tables")
            .following()
    } else {
        moved
    });
}

/// Whether a text is the name of a compiler, an assembler or a linker, with its version.
fn names_a_tool(text: &str) -> bool {
    const LONGEST: usize = 400;
    const TOOLS: [&str; 12] = [
        "GCC: ",
        "clang version ",
        "Linker: ",
        "rustc version ",
        "ldc version ",
        "Intel(R) ",
        "mold ",
        "GHC ",
        "The Netwide Assembler ",
        "GNU AS",
        "GNAT",
        "Go cmd/compile ",
    ];
    let is_line = text.len() <= LONGEST && !text.contains(char::is_control);
    is_line && text.contains(|c: char| c.is_ascii_digit()) && TOOLS.iter().any(|tool| text.contains(tool))
}

/// Bytes in no section: headers, and gaps that could hide something. If the sections are in the same places, the
/// headers have no reason to differ.
fn outside(leaf: &mut Leaf, (released, rebuilt): (&[u8], &[u8]), old: &Image) {
    let is_inside = |at: usize| old.sections.iter().any(|section| section.has(at));
    let all = ranges(released, rebuilt);
    let hidden: Vec<usize> = debug::differing_bytes(released, rebuilt, &all)
        .filter(|at| !is_inside(*at))
        .collect();
    if let Some(first) = hidden.first() {
        leaf.add(Finding::new(
            format!(
                "offset {first:#x}, outside of all sections, {} bytes",
                hidden.len()
            ),
            hex::encode(window(released, *first, 16)),
            hex::encode(window(rebuilt, *first, 16)),
        ));
    }
}

#[cfg(test)]
mod tests;
