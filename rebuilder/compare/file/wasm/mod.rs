//! WebAssembly modules (WebAssembly Core Specification, binary format) and components: sections by name.

mod input;

use std::collections::HashMap;
use std::ops::Range;

use input::Input;

use super::bytes;
use super::comparator::{FileComparator, Leaf, Pair};
use super::regions::{self, Change, Regions};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::Finding;

pub(super) struct Wasm;

const MAGIC: &[u8] = b"\0asm";
/// The magic number, and the version with the layer.
const PREAMBLE: usize = 8;

impl FileComparator for Wasm {
    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.wasm", b"\0asm\x01\0\0\0")
    }

    fn recognises(&self, pair: &Pair) -> bool {
        pair.begin_with(MAGIC)
    }

    fn compare(&self, pair: &Pair) -> Option<Leaf> {
        let (old, new) = (Module::read(pair.released)?, Module::read(pair.rebuilt)?);
        let mut leaf = Leaf::of("WebAssembly");
        if old.headers != new.headers {
            leaf.add(Finding::new(
                "sections",
                listed(&old.headers),
                listed(&new.headers),
            ));
        }
        let mut build_id = None;
        regions::compare(&mut leaf, &old.regions, &new.regions, |leaf, change| {
            let is_single = [&old, &new].iter().all(|side| side.number_of(BUILD_ID) == 1);
            if change.released.name == BUILD_ID
                && is_single
                && is_build_id(&change.released.data)
                && is_build_id(&change.rebuilt.data)
            {
                build_id = Some((
                    hex::encode(&change.released.data),
                    hex::encode(&change.rebuilt.data),
                ));
                return true;
            }
            section(leaf, (&old, &new), change)
        });
        if let Some((released, rebuilt)) = build_id {
            let finding = Finding::new("build_id", released, rebuilt)
                .because(Cause::BuildId, Confidence::Proven)
                .keyed("build_id sections");
            let follows = !leaf.findings.is_empty();
            leaf.add(if follows { finding.following() } else { finding });
        }
        Some(leaf)
    }
}

const CODE: &str = "code section";
const BUILD_ID: &str = "custom section build_id";

struct Module<'a> {
    regions: Regions<'a>,
    /// Name of each section, and the number of bytes that encode its size.
    headers: Vec<(String, usize)>,
    /// Number of imported functions, which are numbered before those of the code section.
    imported: u32,
    names: HashMap<u32, &'a str>,
}

impl<'a> Module<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let is_module = bytes.get(4..PREAMBLE)? == [1, 0, 0, 0];
        let mut input = Input { bytes, at: PREAMBLE };
        let mut module = Self {
            regions: Regions { parts: Vec::new() },
            headers: Vec::new(),
            imported: 0,
            names: HashMap::new(),
        };
        let mut named = vec![(0..PREAMBLE, "preamble".to_owned())];
        while input.at < bytes.len() {
            let id = input.byte()?;
            let before = input.at;
            let size = input.size()?;
            let width = input.at.saturating_sub(before);
            let payload = input.take(size)?;
            let header = before.checked_sub(1)?..payload.start;
            let mut inner = Input {
                bytes: bytes.get(..payload.end)?,
                at: payload.start,
            };
            // The size follows from the content; its encoding is compared separately.
            let (name, from) = if id == 0 {
                let name = inner.name()?;
                (format!("custom section {name}"), inner.at)
            } else if is_module {
                (section_name(id), payload.start)
            } else {
                (format!("component section {id}"), payload.start)
            };
            if is_module && id == 2 {
                module.imported = imports(inner).unwrap_or(0);
            }
            if name == "custom section name" {
                module.names = function_names(inner).unwrap_or_default();
            }
            module.headers.push((name.clone(), width));
            named.push((header.start..from, format!("header of {name}")));
            named.push((from..payload.end, name));
        }
        module.regions = Regions::new(bytes, named)?;
        module
            .regions
            .parts
            .retain(|part| !part.name.starts_with("header of "));
        Some(module)
    }

    fn number_of(&self, section: &str) -> usize {
        self.headers.iter().filter(|(name, _)| name == section).count()
    }

    fn function(&self, nth: usize) -> String {
        let index = u32::try_from(nth)
            .ok()
            .and_then(|nth| nth.checked_add(self.imported));
        let name = index.and_then(|index| self.names.get(&index));
        match (index, name) {
            (Some(index), Some(name)) => format!("function {index} ({name})"),
            (Some(index), None) => format!("function {index}"),
            _ => "function".to_owned(),
        }
    }
}

fn listed(headers: &[(String, usize)]) -> String {
    let names: Vec<String> = headers
        .iter()
        .map(|(name, width)| format!("{name} (size in {width})"))
        .collect();
    names.join(", ")
}

fn section_name(id: u8) -> String {
    const NAMES: [&str; 14] = [
        "custom",
        "type",
        "import",
        "function",
        "table",
        "memory",
        "global",
        "export",
        "start",
        "element",
        "code",
        "data",
        "data count",
        "tag",
    ];
    let known = NAMES.get(usize::from(id));
    known.map_or_else(|| format!("section {id}"), |name| format!("{name} section"))
}

/// Compares a section whose meaning is known; returns false if it must be compared as bytes.
fn section(leaf: &mut Leaf, (old, new): (&Module, &Module), change: &Change) -> bool {
    let (released, rebuilt) = (&change.released.data, &change.rebuilt.data);
    let name = change.released.name.as_str();
    let custom = name.strip_prefix("custom section ");
    match custom {
        Some("name" | "external_debug_info") => debug(leaf, name, released.len(), rebuilt.len()),
        Some(custom) if custom.trim_start_matches("reloc.").starts_with(".debug_") => {
            debug(leaf, name, released.len(), rebuilt.len());
        }
        Some("producers") => return producers(leaf, released, rebuilt).is_some(),
        None if name == CODE => return code(leaf, (old, new), released, rebuilt).is_some(),
        _ => return false,
    }
    true
}

fn debug(leaf: &mut Leaf, name: &str, released: usize, rebuilt: usize) {
    leaf.add(
        Finding::new(name, format!("{released} bytes"), format!("{rebuilt} bytes"))
            .because(Cause::DebugInformation, Confidence::Proven)
            .keyed("sections for debuggers"),
    );
}

/// The functions that differ.
fn code(leaf: &mut Leaf, (old, new): (&Module, &Module), released: &[u8], rebuilt: &[u8]) -> Option<()> {
    let (before, after) = (functions(released)?, functions(rebuilt)?);
    if before.len() != after.len() {
        let count = |functions: &[Range<usize>]| format!("{} functions", functions.len());
        leaf.add(Finding::new(CODE, count(&before), count(&after)));
    }
    let mut any = false;
    for (nth, (own, other)) in before.into_iter().zip(after).enumerate() {
        let (own, other) = (released.get(own)?, rebuilt.get(other)?);
        if own != other {
            any = true;
            let (name, other_name) = (old.function(nth), new.function(nth));
            let place = if name == other_name {
                name
            } else {
                format!("{name}, {other_name}")
            };
            bytes::part(leaf, &format!("{CODE}, {place}"), own, other);
        }
    }
    // The encodings of the sizes may be longer than necessary.
    if !any
        && leaf
            .findings
            .iter()
            .all(|finding| finding.place.to_string() != CODE)
    {
        return None;
    }
    Some(())
}

fn functions(section: &[u8]) -> Option<Vec<Range<usize>>> {
    let mut input = Input {
        bytes: section,
        at: 0,
    };
    let count = input.size()?;
    let mut functions = Vec::new();
    for _ in 0..count {
        let size = input.size()?;
        functions.push(input.take(size)?);
    }
    (input.at == section.len()).then_some(functions)
}

/// Whether a `build_id` section has an identifier of a usual length, and nothing else.
fn is_build_id(section: &[u8]) -> bool {
    const LONGEST: usize = 64;
    let mut input = Input {
        bytes: section,
        at: 0,
    };
    let length = input.size();
    length.is_some_and(|length| length <= LONGEST && input.at.checked_add(length) == Some(section.len()))
}

/// Languages and tools, by the convention for the `producers` section.
fn producers(leaf: &mut Leaf, released: &[u8], rebuilt: &[u8]) -> Option<()> {
    let (old, new) = (fields(released)?, fields(rebuilt)?);
    if old == new {
        return None;
    }
    let shown = |fields: &[(String, String)]| {
        let list: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        list.join(", ")
    };
    let own = |these: &[(String, String)], others: &[(String, String)]| {
        let own: Vec<_> = these
            .iter()
            .filter(|field| !others.contains(field))
            .cloned()
            .collect();
        shown(&own)
    };
    leaf.add(
        Finding::new("producers", shown(&old), shown(&new))
            .because(Cause::ToolVersion, Confidence::Proven)
            .keyed(format!("{} → {}", own(&old, &new), own(&new, &old))),
    );
    Some(())
}

fn fields(section: &[u8]) -> Option<Vec<(String, String)>> {
    let mut input = Input {
        bytes: section,
        at: 0,
    };
    let mut fields = Vec::new();
    for _ in 0..input.size()? {
        let kind = input.name()?;
        if !["language", "processed-by", "sdk"].contains(&kind) {
            return None;
        }
        for _ in 0..input.size()? {
            let (name, version) = (input.name()?, input.name()?);
            names_a_producer(name, version).then_some(())?;
            fields.push((name.to_owned(), version.to_owned()));
        }
    }
    (input.at == section.len()).then_some(fields)
}

/// Whether these are the name of a language or a tool, and a version; languages may have none.
fn names_a_producer(name: &str, version: &str) -> bool {
    const LONGEST: usize = 128;
    let consists_of = |text: &str, marks: &str| {
        let mut chars = text.chars();
        text.len() <= LONGEST && chars.all(|c| c.is_ascii_alphanumeric() || marks.contains(c))
    };
    let is_version = version.is_empty() || version.contains(|c: char| c.is_ascii_digit());
    !name.is_empty() && consists_of(name, " +-._/#@") && is_version && consists_of(version, " +-._/:~()")
}

/// How many functions are imported.
fn imports(mut input: Input) -> Option<u32> {
    let mut functions: u32 = 0;
    for _ in 0..input.size()? {
        input.name()?;
        input.name()?;
        match input.byte()? {
            0 => {
                functions = functions.checked_add(1)?;
                input.size()?;
            }
            1 => {
                input.byte()?;
                limits(&mut input)?;
            }
            2 => limits(&mut input)?,
            3 => {
                input.byte()?;
                input.byte()?;
            }
            4 => {
                input.byte()?;
                input.size()?;
            }
            _ => return None,
        }
    }
    Some(functions)
}

fn limits(input: &mut Input) -> Option<()> {
    let flags = input.byte()?;
    input.size()?;
    if flags & 1 == 1 {
        input.size()?;
    }
    Some(())
}

/// Names of functions: subsection 1 of the name section.
fn function_names<'a>(mut input: Input<'a>) -> Option<HashMap<u32, &'a str>> {
    const FUNCTIONS: u8 = 1;
    let mut names = HashMap::new();
    while input.at < input.bytes.len() {
        let id = input.byte()?;
        let size = input.size()?;
        let own = input.take(size)?;
        if id == FUNCTIONS {
            let mut inner: Input<'a> = Input {
                bytes: input.bytes.get(..own.end)?,
                at: own.start,
            };
            for _ in 0..inner.size()? {
                let index = u32::try_from(inner.size()?).ok()?;
                names.insert(index, inner.name()?);
            }
        }
    }
    Some(names)
}

#[cfg(test)]
mod tests;
