//! ELF: sections by name, what the compiler left in them, and whether what is loaded and run is the same.

mod image;
mod moves;
mod units;

use image::{Image, Section};
use moves::Moves;

use super::comparator::{FileComparator, Leaf, Pair as Files};
use super::strings;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::conclude::YEAR;
use crate::compare::explain::Context;
use crate::compare::file::bytes::{excerpt, ranges};
use crate::compare::finding::{Excerpt, Finding};
use crate::compare::normalise::Normalisation;

const BUILD_ID: &str = ".note.gnu.build-id";
const DEBUG_LINK: &str = ".gnu_debuglink";

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
    let mut leaf = Leaf::of("ELF");
    if old.identity != new.identity {
        leaf.add(Finding::new(
            "header",
            old.identity.as_str(),
            new.identity.as_str(),
        ));
    }
    let pairs = pair(&mut leaf, &old, &new);
    let differing: Vec<_> = pairs
        .iter()
        .copied()
        .filter(|(a, b)| a.data != b.data || a.size != b.size)
        .collect();

    let tool = comment(&mut leaf, &differing);
    if only_names_of_debug_files(&mut leaf, released, rebuilt, &differing) {
        return Some(leaf);
    }
    names_of_debug_files(&mut leaf, &differing);
    let moves = Moves::new(&pairs);
    let loaded = loaded(&mut leaf, &old, &new, &differing, moves, tool.as_deref());
    debug_information(&mut leaf, &old, &new, &differing, loaded, tool.as_deref());
    let alone = old.sections.len() != pairs.len() || new.sections.len() != pairs.len();
    let resized = alone || differing.iter().any(|(a, b)| a.size != b.size);
    outside(&mut leaf, (released, rebuilt), &old, &new, resized);
    Some(leaf)
}

type Pair<'a> = (&'a Section<'a>, &'a Section<'a>);

/// Sections of one name, and those that stand on one side only.
fn pair<'a>(leaf: &mut Leaf, old: &'a Image<'a>, new: &'a Image<'a>) -> Vec<Pair<'a>> {
    let mut pairs = Vec::new();
    let find = |image: &'a Image<'a>, wanted: &Section| {
        let mut sections = image.sections.iter();
        sections.find(|section| section.name == wanted.name && section.nth == wanted.nth)
    };
    let alone = |section: &Section, released: bool| {
        let size = format!("{} bytes", section.size);
        let (a, b) = if released {
            (size, "none".to_owned())
        } else {
            ("none".to_owned(), size)
        };
        let finding = Finding::new(&section.name, a, b);
        if section.loaded {
            finding
        } else if section.name == BUILD_ID {
            finding.because(Cause::BuildId, Confidence::Proven).following()
        } else {
            finding
                .because(Cause::DebugInformation, Confidence::Likely)
                .keyed("sections that are not loaded")
        }
    };
    for section in &old.sections {
        match find(new, section) {
            Some(other) => pairs.push((section, other)),
            None => leaf.add(alone(section, true)),
        }
    }
    for section in new.sections.iter().filter(|section| find(old, section).is_none()) {
        leaf.add(alone(section, false));
    }
    pairs
}

/// Compiler versions; the key of the cause, where they differ.
fn comment(leaf: &mut Leaf, differing: &[Pair]) -> Option<String> {
    let (old, new) = differing.iter().find(|(old, _)| old.name == ".comment")?;
    let list = |section: &Section| {
        let texts: Vec<_> = section
            .data
            .split(|byte| *byte == 0)
            .filter(|text| !text.is_empty())
            .map(|text| String::from_utf8_lossy(text).into_owned())
            .collect();
        texts
    };
    let (a, b) = (list(old), list(new));
    let only = |these: &[String], others: &[String]| {
        let mine: Vec<_> = these
            .iter()
            .filter(|text| !others.contains(text))
            .cloned()
            .collect();
        if mine.is_empty() {
            "none of its own".to_owned()
        } else {
            mine.join(", ")
        }
    };
    let key = if only(&a, &b) == only(&b, &a) {
        "order of .comment".to_owned()
    } else {
        format!("{} → {}", only(&a, &b), only(&b, &a))
    };
    leaf.add(
        Finding::new(".comment", a.join(", "), b.join(", "))
            .because(Cause::ToolVersion, Confidence::Proven)
            .keyed(&key),
    );
    Some(key)
}

/// The common case: debug information was stripped away, and only the names of its file stayed different.
fn only_names_of_debug_files(leaf: &mut Leaf, released: &[u8], rebuilt: &[u8], differing: &[Pair]) -> bool {
    let named = |section: &Section| section.name == BUILD_ID || section.name == DEBUG_LINK;
    let whole = differing
        .iter()
        .all(|(a, b)| named(a) && a.size == b.size && a.file == b.file);
    if !whole || differing.is_empty() || released.len() != rebuilt.len() || !leaf.findings.is_empty() {
        return false;
    }
    let inside = |range: &std::ops::Range<usize>| {
        differing
            .iter()
            .any(|(a, _)| a.file.0 <= range.start as u64 && range.end as u64 <= a.file.0 + a.file.1)
    };
    // Each byte by itself, as ranges are joined over short gaps.
    let all = ranges(released, rebuilt);
    let proven = all.iter().all(|range| {
        range
            .clone()
            .all(|at| released[at] == rebuilt[at] || inside(&(at..at + 1)))
    });
    if !proven {
        return false;
    }
    for (a, b) in differing {
        let normalisation = if a.name == BUILD_ID {
            Normalisation::ElfBuildId
        } else {
            Normalisation::ElfDebugLink
        };
        leaf.findings.push(
            Finding::new(&a.name, name_in(a), name_in(b))
                .because(Cause::DebugInformation, Confidence::Proven)
                .keyed("only the stripped debug information differed: code and data identical")
                .set_aside_by(normalisation),
        );
    }
    leaf.excerpts.push(excerpt(0, released, rebuilt, &all));
    true
}

/// What these two sections say, without their padding.
fn name_in(section: &Section) -> String {
    if section.name == BUILD_ID {
        return hex::encode(section.data.get(16..).unwrap_or_default());
    }
    let name: Vec<u8> = section
        .data
        .iter()
        .copied()
        .take_while(|byte| *byte != 0)
        .collect();
    let crc = section.data.len().checked_sub(4).map(|at| &section.data[at..]);
    format!(
        "{} crc {}",
        String::from_utf8_lossy(&name),
        hex::encode(crc.unwrap_or_default())
    )
}

fn names_of_debug_files(leaf: &mut Leaf, differing: &[Pair]) {
    for (a, b) in differing {
        let normalisation = match a.name.as_str() {
            BUILD_ID => Normalisation::ElfBuildId,
            DEBUG_LINK => Normalisation::ElfDebugLink,
            _ => continue,
        };
        leaf.add(
            Finding::new(&a.name, name_in(a), name_in(b))
                .because(Cause::BuildId, Confidence::Proven)
                .keyed("build-ids and debug links")
                .set_aside_by(normalisation)
                .following(),
        );
    }
}

/// Sections that are loaded when the program runs. Answers whether any of them differs.
fn loaded(
    leaf: &mut Leaf,
    old: &Image,
    new: &Image,
    differing: &[Pair],
    mut moves: Moves,
    tool: Option<&str>,
) -> bool {
    let named = |section: &Section| section.name == BUILD_ID || section.name == DEBUG_LINK;
    let (mut texts, mut left) = (Vec::new(), Vec::new());
    for (a, b) in differing.iter().filter(|(a, _)| a.loaded && !named(a)) {
        let found = if a.executable {
            None
        } else {
            strings::compare(&a.data, &b.data, Context::default())
        };
        match found.filter(|found| !found.explained.is_empty()) {
            Some(found) => {
                for told in &found.explained {
                    let place = format!("{} +{:#x}", a.name, told.offset);
                    leaf.add_reason(&place, &told.released, &told.rebuilt, &told.reason);
                }
                if !found.complete() {
                    left.push((*a, *b));
                }
                texts.push((a.name.clone(), a.nth, found));
            }
            None => left.push((*a, *b)),
        }
    }
    let any = !texts.is_empty() || !left.is_empty();
    let complete = texts.iter().all(|(.., found)| found.complete());
    for (name, nth, found) in texts {
        moves.set_strings(&name, nth, found);
    }
    for (a, b) in left {
        let place = a.name.as_str();
        let differing = ranges(&a.data, &b.data);
        let bytes: usize = differing.iter().map(std::ops::Range::len).sum();
        let first = differing.first().map_or(0, |range| range.start);
        let shown = |image: &Image, section: &Section| {
            let end = section.data.len().min(first + 16);
            let bytes = hex::encode(section.data.get(first..end).unwrap_or_default());
            match image.symbol_at(section.address + first as u64) {
                Some(name) => format!("{bytes} in {name}"),
                None => bytes,
            }
        };
        let finding = |note: String| {
            Finding::new(
                format!("{place} +{first:#x}, {note}"),
                shown(old, a),
                shown(new, b),
            )
        };
        if a.size == b.size && complete && moves.explain(a, b, &differing) {
            leaf.add(
                finding(format!("{bytes} bytes of addresses"))
                    .because(Cause::MovedAddress, Confidence::Likely)
                    .keyed("addresses in code and tables")
                    .following(),
            );
        } else if let Some(years) = years(a, b, &differing) {
            for (at, x, y) in years {
                leaf.add(
                    Finding::new(format!("{place} +{at:#x}"), x.to_string(), y.to_string())
                        .because(Cause::Timestamp, Confidence::Possible)
                        .keyed(YEAR),
                );
            }
        } else if let Some(tool) = tool {
            leaf.add(
                finding(format!("{bytes} bytes, {} and {} in all", a.size, b.size))
                    .because(Cause::ToolVersion, Confidence::Likely)
                    .keyed(tool),
            );
        } else {
            leaf.add(finding(format!(
                "{bytes} bytes, {} and {} in all",
                a.size, b.size
            )));
        }
        let mut shown = excerpt(0, &a.data, &b.data, &differing);
        shown.of = format!("bytes of {place}");
        leaf.excerpts.push(shown);
    }
    any
}

/// Few numbers that all read as years on both sides: their places, and both years.
fn years(
    old: &Section,
    new: &Section,
    differing: &[std::ops::Range<usize>],
) -> Option<Vec<(usize, u32, u32)>> {
    const MOST: usize = 8;
    if old.size != new.size || differing.is_empty() || differing.len() > MOST {
        return None;
    }
    let number = |data: &[u8], at: usize| Some(u32::from_le_bytes(data.get(at..at + 4)?.try_into().ok()?));
    let is_year = |number: u32| (1990..2100).contains(&number);
    differing
        .iter()
        .map(|range| {
            let starts = range.start.saturating_sub(3)..=range.start;
            starts.rev().find_map(|at| {
                let (a, b) = (number(&old.data, at)?, number(&new.data, at)?);
                (range.end <= at + 4 && is_year(a) && is_year(b)).then_some((at, a, b))
            })
        })
        .collect()
}

/// Sections that only debuggers and linkers read.
fn debug_information(
    leaf: &mut Leaf,
    old: &Image,
    new: &Image,
    differing: &[Pair],
    loaded: bool,
    tool: Option<&str>,
) {
    let rest: Vec<_> = differing
        .iter()
        .filter(|(a, _)| !a.loaded && ![BUILD_ID, DEBUG_LINK, ".comment"].contains(&a.name.as_str()))
        .collect();
    if rest.is_empty() {
        return;
    }
    let before = leaf.findings.len();
    let is_debug = |name: &str| {
        [".debug_", ".zdebug_", ".stab", ".gnu_debugdata"]
            .iter()
            .any(|start| name.starts_with(start))
    };
    if rest.iter().any(|(a, _)| is_debug(&a.name)) {
        units::compare(leaf, old, new);
    }
    let mut others = Vec::new();
    for (a, b) in rest {
        let names = a.name == ".debug_str" || a.name == ".debug_line_str" || a.name.ends_with("strtab");
        let texts = if names || !is_debug(&a.name) && !a.name.starts_with(".rel") && a.name != ".symtab" {
            strings::compare(
                &a.data,
                &b.data,
                Context {
                    build_folder: true,
                    ..Context::default()
                },
            )
        } else {
            None
        };
        let Some(texts) = texts else {
            others.push(*a);
            continue;
        };
        for told in &texts.explained {
            let mut reason = told.reason.clone();
            // This section holds nothing but the folders and files that were compiled.
            if a.name == ".debug_line_str" && reason.cause == Cause::BuildPath {
                reason.confidence = Confidence::Proven;
            }
            let place = format!("{} +{:#x}", a.name, told.offset);
            leaf.add_reason(&place, &told.released, &told.rebuilt, &reason);
        }
        if texts.complete() {
            leaf.excerpts.push(Excerpt {
                of: format!("strings of {}", a.name),
                hunks: texts.hunks,
                ..Excerpt::default()
            });
        } else {
            others.push(*a);
        }
    }
    if others.is_empty() {
        return;
    }
    let explained = leaf.findings.len() > before || loaded || tool.is_some();
    let names: Vec<_> = others.iter().map(|section| section.name.as_str()).collect();
    let mut finding = Finding::new(names.join(", "), "not loaded", "not loaded")
        .because(Cause::DebugInformation, Confidence::Likely)
        .keyed("debug information and symbol tables")
        .times(names.len() as u64);
    // Whatever is loaded was compared by itself; here only the explanation could be missing.
    finding.follows = explained;
    leaf.add(finding);
}

/// Bytes that belong to no section: headers, and gaps that could hide something. Where the sections lie as they did,
/// nothing in the headers has a reason to differ.
fn outside(leaf: &mut Leaf, (released, rebuilt): (&[u8], &[u8]), old: &Image, new: &Image, resized: bool) {
    if released.len() != rebuilt.len() || old.layout() != new.layout() {
        let end = |image: &Image, file: &[u8]| (file.len() as u64).saturating_sub(image.end);
        if end(old, released) != end(new, rebuilt) {
            leaf.add(Finding::new(
                "after the last section",
                format!("{} bytes", end(old, released)),
                format!("{} bytes", end(new, rebuilt)),
            ));
        }
        // Headers and gaps of two layouts cannot be compared byte by byte, so this is never set aside.
        let moved = Finding::new("where the sections lie", "", "");
        leaf.add(if resized {
            moved
                .because(Cause::MovedAddress, Confidence::Likely)
                .keyed("addresses in code and tables")
                .following()
        } else {
            moved
        });
        return;
    }
    let inside = |at: usize| {
        let at = at as u64;
        old.sections
            .iter()
            .any(|section| section.file.0 <= at && at < section.file.0 + section.file.1)
    };
    let hidden: Vec<usize> = ranges(released, rebuilt)
        .into_iter()
        .flatten()
        .filter(|at| released[*at] != rebuilt[*at] && !inside(*at))
        .collect();
    if let Some(first) = hidden.first() {
        let end = released.len().min(first + 16);
        leaf.add(Finding::new(
            format!(
                "offset {first:#x}, outside of all sections, {} bytes",
                hidden.len()
            ),
            hex::encode(&released[*first..end]),
            hex::encode(&rebuilt[*first..end]),
        ));
    }
}
