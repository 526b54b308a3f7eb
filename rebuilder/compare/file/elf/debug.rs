//! Sections that only debuggers and linkers read, and those that name the file with debug information.

use std::ops::Range;

use super::image::{Image, Section};
use super::{
    BUILD_ID, COMMENT, Pair, add_strings, is_comment, moves::Moves, names_debug_file, relocations, units,
};
use crate::compare::cause::{Cause, Confidence, Reason};
use crate::compare::explain::Context;
use crate::compare::file::bytes::{self, excerpt, ranges};
use crate::compare::file::comparator::Leaf;
use crate::compare::file::strings;
use crate::compare::finding::{Excerpt, Finding};
use crate::compare::normalise::Normalisation;

/// The common case: debug information was stripped, and only the names of its file differ.
pub(super) fn only_names(leaf: &mut Leaf, released: &[u8], rebuilt: &[u8], differing: &[Pair]) -> bool {
    let whole = differing
        .iter()
        .all(|pair| names_debug_file(pair) && pair.0.size == pair.1.size && pair.0.file == pair.1.file);
    if !whole || differing.is_empty() || released.len() != rebuilt.len() || !leaf.findings.is_empty() {
        return false;
    }
    let is_inside = |at: usize| differing.iter().any(|(section, _)| section.has(at));
    let all = ranges(released, rebuilt);
    // Check each byte, as ranges are joined over short gaps.
    if !differing_bytes(released, rebuilt, &all).all(is_inside) {
        return false;
    }
    for (old, new) in differing {
        leaf.findings.push(
            name_finding(old, new)
                .because(Cause::DebugInformation, Confidence::Proven)
                .keyed("only the stripped debug information differed: code and data identical"),
        );
    }
    leaf.excerpts.push(excerpt(0, released, rebuilt, &all));
    true
}

/// The bytes in ranges that actually differ.
pub(super) fn differing_bytes(
    released: &[u8],
    rebuilt: &[u8],
    ranges: &[Range<usize>],
) -> impl Iterator<Item = usize> {
    let places = ranges.iter().cloned().flatten();
    places.filter(|at| released.get(*at) != rebuilt.get(*at))
}

pub(super) fn names(leaf: &mut Leaf, differing: &[Pair]) {
    for (old, new) in differing.iter().filter(|pair| names_debug_file(pair)) {
        leaf.add(
            name_finding(old, new)
                .because(Cause::BuildId, Confidence::Proven)
                .keyed("build-ids and debug links")
                .following(),
        );
    }
}

fn name_finding(old: &Section, new: &Section) -> Finding {
    Finding::new(&old.name, name_in(old), name_in(new)).set_aside_by(if old.name == BUILD_ID {
        Normalisation::ElfBuildId
    } else {
        Normalisation::ElfDebugLink
    })
}

/// The name in one of these two sections, without padding.
fn name_in(section: &Section) -> String {
    const NOTE_HEADER: usize = 16;
    if section.name == BUILD_ID {
        return hex::encode(section.data.get(NOTE_HEADER..).unwrap_or_default());
    }
    let name = section.data.split(|byte| *byte == 0).next().unwrap_or_default();
    let crc: &[u8] = section.data.last_chunk::<4>().map_or(&[], |crc| crc);
    format!("{} crc {}", String::from_utf8_lossy(name), hex::encode(crc))
}

/// Whether a section with this name contains debug information.
fn is_debug(name: &str) -> bool {
    [".debug_", ".zdebug_", ".stab", ".gnu_debugdata"]
        .iter()
        .any(|start| name.starts_with(start))
}

/// Whether only debuggers read a section: it does not run, and a linker does not make a program from it.
pub(super) fn is_for_debuggers(section: &Section, image: &Image) -> bool {
    const NAMES: [&str; 3] = [".gdb_index", ".gnu.build.attributes", COMMENT];
    let name = section.name.as_str();
    let of = [".rela", ".rel"]
        .iter()
        .find_map(|start| name.strip_prefix(start))
        .unwrap_or(name);
    let is_symbols = [".symtab", ".strtab", ".shstrtab"].contains(&name) && !image.is_relocatable();
    !section.loaded && (is_debug(of) || NAMES.contains(&name) || section.is_debug_link() || is_symbols)
}

/// Whether a section consists of texts that can be read on their own.
fn holds_texts(name: &str) -> bool {
    let names = name == ".debug_str" || name == ".debug_line_str" || name.ends_with("strtab");
    names || !is_debug(name) && !name.starts_with(".rel") && name != ".symtab"
}

/// The folders of both builds, if the debug information differs and names them.
pub(super) fn folders((old, new): (&Image, &Image), differing: &[Pair]) -> Vec<(String, String)> {
    if differing.iter().any(|(section, _)| is_debug(&section.name)) {
        units::folders(old, new)
    } else {
        Vec::new()
    }
}

/// Compares these sections. `explained` says whether other differences in the file have a reason that these follow
/// from.
pub(super) fn compare(
    leaf: &mut Leaf,
    (old, new): (&Image, &Image),
    differing: &[Pair],
    (explained, folders): (bool, &[(String, String)]),
    moves: &Moves,
) {
    let rest: Vec<&Pair> = differing
        .iter()
        .filter(|pair| !pair.0.loaded && !names_debug_file(pair) && !is_comment(pair))
        .collect();
    if rest.is_empty() {
        return;
    }
    let before = leaf.findings.len();
    if rest.iter().any(|(section, _)| is_debug(&section.name)) {
        units::compare(leaf, old, new);
    }
    let left: Vec<&Pair> = rest
        .into_iter()
        .filter(|pair| !texts(leaf, pair, folders))
        .collect();
    let (debugging, read): (Vec<&Pair>, Vec<&Pair>) = left
        .into_iter()
        .partition(|(own, other)| is_for_debuggers(own, old) && is_for_debuggers(other, new));
    for (own, other) in read {
        if relocations::explained((old, new), (own, other), moves) {
            leaf.add(
                Finding::new(&own.name, "the same, moved", "the same, moved")
                    .because(Cause::MovedAddress, Confidence::Likely)
                    .keyed("addresses in code and tables")
                    .following(),
            );
            continue;
        }
        bytes::part(leaf, &own.name, &own.data, &other.data);
        if own.data == other.data {
            leaf.add(Finding::new(
                &own.name,
                own.size.to_string(),
                other.size.to_string(),
            ));
        }
    }
    let others: Vec<&str> = debugging
        .into_iter()
        .map(|(section, _)| section.name.as_str())
        .collect();
    if others.is_empty() {
        return;
    }
    let mut finding = Finding::new(others.join(", "), "not loaded", "not loaded")
        .because(Cause::DebugInformation, Confidence::Likely)
        .keyed("debug information and symbol tables")
        .times(others.len() as u64);
    // Loaded sections are compared separately; here only the explanation may be missing.
    finding.follows = explained || leaf.findings.len() > before;
    leaf.add(finding);
}

/// Explains the texts of a section; returns whether nothing else differs.
fn texts(leaf: &mut Leaf, (old, new): &Pair, folders: &[(String, String)]) -> bool {
    if !holds_texts(&old.name) {
        return false;
    }
    let context = Context {
        build_folder: is_debug(&old.name),
        folders,
        ..Context::default()
    };
    let Some(texts) = strings::compare(&old.data, &new.data, context) else {
        return false;
    };
    // This section contains only the folders and files that were compiled.
    let only_paths = old.name == ".debug_line_str";
    add_strings(leaf, old, &texts, |reason| match reason.cause {
        Cause::BuildPath if only_paths => Reason {
            confidence: Confidence::Proven,
            ..reason
        },
        _ => reason,
    });
    if !texts.complete() {
        return false;
    }
    leaf.excerpts.push(Excerpt {
        of: format!("strings of {}", old.name),
        hunks: texts.hunks,
        ..Excerpt::default()
    });
    true
}
