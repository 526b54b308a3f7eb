//! Compiled Python: compares the header, and the marshalled code objects as the values that Python loads.

#[cfg(test)]
mod built;
mod code;
mod header;
mod marshal;
mod paths;
mod sharing;
#[cfg(test)]
mod tests;
mod told;
mod value;
mod version;
#[cfg(test)]
mod written;

use header::Header;
use paths::Paths;
use value::Values;
use version::Layout;

use crate::compare::cause::{Cause, Confidence};
use crate::compare::file::bytes;
use crate::compare::file::comparator::{FileComparator, Leaf, Pair};
use crate::compare::finding::Finding;
use crate::compare::normalise::Normalisation;

pub(super) struct Pyc;

const FORMAT: &str = "compiled Python";

impl FileComparator for Pyc {
    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.pyc", b"\xa7\x0d\x0d\x0a")
    }

    fn normalisations(&self) -> &'static [Normalisation] {
        &[
            Normalisation::PycReferences,
            Normalisation::PycSharedConstants,
            Normalisation::PycSourceTime,
        ]
    }

    fn recognises(&self, pair: &Pair) -> bool {
        let known = |bytes: &[u8]| Header::read(bytes).is_some_and(|header| header.version.is_some());
        [".pyc", ".pyo"]
            .iter()
            .any(|ending| pair.path.name.ends_with(ending))
            || known(pair.released) && known(pair.rebuilt)
    }

    fn compare(&self, pair: &Pair) -> Option<Leaf> {
        let (old, new) = (Header::read(pair.released)?, Header::read(pair.rebuilt)?);
        let mut leaf = Leaf::of(FORMAT);
        if old.magic != new.magic {
            other_python(&mut leaf, &old, &new);
            return Some(leaf);
        }
        let Some(version) = old.version else {
            let mut leaf = bytes::compare(pair.released, pair.rebuilt);
            leaf.format = "compiled Python of an unknown version";
            return Some(leaf);
        };
        header::compare(&mut leaf, &old, &new);
        if old.code != new.code {
            compare_code(&mut leaf, version.layout, old.code, new.code);
        }
        Some(leaf)
    }
}

/// Compares code of one version of Python.
fn compare_code(leaf: &mut Leaf, layout: &'static Layout, old: &[u8], new: &[u8]) {
    let mut values = Values::default();
    let trees = (
        marshal::read(old, layout, &mut values),
        marshal::read(new, layout, &mut values),
    );
    let (Some(released), Some(rebuilt)) = trees else {
        // Python does not load damaged objects, or objects that are nested too deeply.
        let (released, rebuilt) = told::bytes(old, new);
        leaf.add(Finding::new("code that cannot be read", released, rebuilt).keyed("damaged code"));
        return;
    };
    let before = leaf.findings.len();
    if released.id(released.root) != rebuilt.id(rebuilt.root) {
        let paths = Paths::of(layout, &released, &rebuilt);
        let sides = code::Comparison {
            layout,
            old: &released,
            new: &rebuilt,
            paths,
        };
        code::compare(leaf, &sides);
        // Explained values must not hide what only the parallel walk finds.
        if leaf
            .findings
            .iter()
            .all(|finding| finding.cause != Cause::Content)
        {
            leaf.findings.extend(sharing::beside(&released, &rebuilt));
        }
    } else if without(old, released.rest) != without(new, rebuilt.rest) {
        leaf.findings.extend(sharing::compare(&released, &rebuilt));
    }
    if released.rest != rebuilt.rest {
        let (released, rebuilt) = told::bytes(released.rest, rebuilt.rest);
        let finding = Finding::new("bytes after the code", released, rebuilt);
        leaf.add(finding.keyed("bytes that Python does not read"));
    }
    if leaf.findings.len() == before {
        let (released, rebuilt) = told::bytes(old, new);
        leaf.add(Finding::new("code", released, rebuilt));
    }
}

/// The part of `whole` before `rest`.
fn without<'a>(whole: &'a [u8], rest: &[u8]) -> &'a [u8] {
    let length = whole.len().saturating_sub(rest.len());
    whole.get(..length).unwrap_or(whole)
}

/// Instructions of different versions of Python cannot be compared, so they stay a change of content.
fn other_python(leaf: &mut Leaf, old: &Header, new: &Header) {
    let (released, rebuilt) = (version::told(old.magic), version::told(new.magic));
    let key = format!("{released} → {rebuilt}");
    leaf.add(
        Finding::new("magic number", released, rebuilt)
            .because(Cause::ToolVersion, Confidence::Proven)
            .keyed(key),
    );
    let (released, rebuilt) = told::bytes(old.code, new.code);
    leaf.add(Finding::new("code for another Python", released, rebuilt).keyed("code for another Python"));
}
