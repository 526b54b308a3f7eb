//! The debug directory: the path and the identifier of the debug file, and whether the linker was told to be
//! reproducible.

use std::ops::Range;

use super::image::{DEBUG, Image};
use super::{Leaf, blank};
use crate::compare::both::Both;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::file::regions::span;
use crate::compare::finding::Finding;

/// An entry, and the data that it points to.
pub(super) struct Entry {
    pub at: usize,
    kind: u32,
    data: Range<usize>,
}

const CODE_VIEW: u32 = 2;
const REPRODUCIBLE: u32 = 16;
const ENTRY: usize = 28;

pub(super) fn entries(image: &Image) -> Vec<Entry> {
    const MOST: usize = 256;
    let Some((address, size, _)) = image.directory(DEBUG) else {
        return Vec::new();
    };
    let Some(start) = image.offset(address) else {
        return Vec::new();
    };
    let read = |nth: usize| {
        let at = start.checked_add(nth.checked_mul(ENTRY)?)?;
        let field = |within: usize| image.numbers().size(at.checked_add(within)?);
        Some(Entry {
            at,
            kind: image.numbers().u32(at.checked_add(12)?)?,
            data: span(field(24)?, field(16)?)?,
        })
    };
    (0..(size / ENTRY).min(MOST)).map_while(read).collect()
}

/// `/Brepro`: fields for times contain hashes of the contents.
pub(super) fn is_reproducible(image: &Image) -> bool {
    entries(image).iter().any(|entry| entry.kind == REPRODUCIBLE)
}

/// CodeView's record of the debug file.
struct CodeView<'a> {
    identifier: Range<usize>,
    path: Range<usize>,
    name: &'a str,
    /// Where the directory stores the length of the record.
    size: Range<usize>,
}

/// Reads `RSDS`, a GUID, an age, and a NUL-terminated path.
fn read<'a>(image: &Image<'a>, entry: &Entry) -> Option<CodeView<'a>> {
    let data = image.bytes.get(entry.data.clone())?;
    let path = data.strip_prefix(b"RSDS")?.get(20..)?;
    let end = path.iter().position(|byte| *byte == 0)?;
    path.get(end..)?.iter().all(|byte| *byte == 0).then_some(())?;
    let start = entry.data.start;
    let from = start.checked_add(24)?;
    Some(CodeView {
        identifier: start.checked_add(4)?..from,
        path: from..entry.data.end,
        name: std::str::from_utf8(path.get(..end)?).ok()?,
        size: span(entry.at.checked_add(16)?, 4)?,
    })
}

/// Adds a finding for the folder of the debug file, and returns the findings that only follow; both are blanked.
pub(super) fn code_view(leaf: &mut Leaf, sides: &mut Both<Image>) -> Vec<Finding> {
    let own = |image: &Image| {
        entries(image)
            .into_iter()
            .filter(|entry| entry.kind == CODE_VIEW)
            .collect::<Vec<_>>()
    };
    let both = sides.as_ref().map(own);
    let mut following = Vec::new();
    for (old, new) in both.released.iter().zip(&both.rebuilt) {
        let records = (read(&sides.released, old), read(&sides.rebuilt, new));
        let (Some(old), Some(new)) = records else { continue };
        let value = |image: &Image, record: &CodeView| {
            hex::encode(image.bytes.get(record.identifier.clone()).unwrap_or_default())
        };
        let (released, rebuilt) = (value(&sides.released, &old), value(&sides.rebuilt, &new));
        if released != rebuilt {
            following.push(
                Finding::new("identifier and age of the PDB file", released, rebuilt)
                    .because(Cause::BuildId, Confidence::Proven)
                    .keyed("identifiers of PDB files"),
            );
        }
        let same_name = old.name == new.name || folder(leaf, old.name, new.name);
        blank(sides, &Both::new(old.identifier, new.identifier));
        if same_name {
            blank(sides, &Both::new(old.path, new.path));
            blank(sides, &Both::new(old.size, new.size));
        }
    }
    following
}

/// Whether two paths are one file in two folders; adds that as a finding.
fn folder(leaf: &mut Leaf, released: &str, rebuilt: &str) -> bool {
    let split = |path: &'_ str| -> (String, String) {
        let at = path.rfind(['\\', '/']).map_or(0, |at| at.saturating_add(1));
        let (folder, name) = path.split_at_checked(at).unwrap_or(("", path));
        (folder.to_owned(), name.to_owned())
    };
    let ((old, name), (new, other)) = (split(released), split(rebuilt));
    if name != other {
        return false;
    }
    leaf.add(
        Finding::new("path of the PDB file", released, rebuilt)
            .because(Cause::BuildPath, Confidence::Proven)
            .keyed(format!("{old} → {new}")),
    );
    true
}
