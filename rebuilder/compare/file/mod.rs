//! Files that are not archives: a table of comparators, one for each format behind [`FileComparator`]. All other files
//! are compared as bytes.
//!
//! A comparator gets two different files and must return at least one finding. A difference that it cannot explain is
//! a change of content.

mod bytes;
mod checksums;
mod class;
mod comparator;
mod dex;
mod dotnet;
mod elf;
mod embedded;
mod font;
mod go;
mod json;
#[cfg(test)]
mod letters;
mod macho;
mod matching;
mod mo;
mod pdf;
mod pe;
mod png;
mod pyc;
mod regions;
mod signature;
mod sqlite;
mod strings;
mod text;
mod wasm;
#[cfg(test)]
mod writers;

pub(super) use bytes::{fill, stream};
pub(super) use comparator::Leaf;
pub(super) use signature::{LONGEST_SIGNATURE, is_signature};

use comparator::{FileComparator, Pair};

use super::finding::Finding;
use super::normalise::Normalisation;
use super::package::File;
#[cfg(test)]
use super::package::Within;

/// The first comparator that recognises both files and can read them is used.
static COMPARATORS: &[&dyn FileComparator] = &[
    &go::Go,
    &elf::Elf,
    &pyc::Pyc,
    &macho::MachO,
    &class::Class,
    &png::Png,
    &sqlite::Sqlite,
    &dotnet::DotNet,
    &pe::Pe,
    &wasm::Wasm,
    &mo::Mo,
    &dex::Dex,
    &font::Font,
    &pdf::Pdf,
    &signature::Signature,
    &json::Json,
    &text::Text,
];

/// Maximum size in bytes of a file that is read whole; larger ones are compared as streams.
pub(super) const LARGEST: u64 = 40 << 20;

/// Where and why two different files differ.
pub(super) fn compare(file: File, released: &[u8], rebuilt: &[u8]) -> Leaf {
    let pair = Pair::new(file, released, rebuilt);
    let mut leaf = read(&pair, COMPARATORS.iter().copied());
    if leaf.findings.is_empty() {
        // No comparator may treat different bytes as equal.
        let rest = bytes::compare(released, rebuilt);
        leaf.findings = vec![Finding::new("bytes that the reader leaves out", "", "")];
        leaf.excerpts.extend(rest.excerpts);
    }
    leaf
}

/// The result of all other comparators, for a comparator that reads only a part of the files.
fn read_as_another(but: &dyn FileComparator, pair: &Pair) -> Leaf {
    let others = COMPARATORS.iter().copied();
    read(pair, others.filter(|other| other.example() != but.example()))
}

fn read(pair: &Pair, mut comparators: impl Iterator<Item = &'static dyn FileComparator>) -> Leaf {
    comparators
        .find_map(|comparator| {
            comparator
                .recognises(pair)
                .then(|| comparator.compare(pair))
                .flatten()
        })
        .unwrap_or_else(|| bytes::compare(pair.released, pair.rebuilt))
}

/// A name and the first bytes of a file of each format.
pub(super) fn examples() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    COMPARATORS.iter().map(|comparator| comparator.example())
}

/// The normalisations of the comparators, each with an example of a file name.
pub(super) fn normalisations() -> impl Iterator<Item = (&'static str, &'static [Normalisation])> {
    COMPARATORS
        .iter()
        .map(|comparator| (comparator.example().0, comparator.normalisations()))
}

/// Whether a comparator recognises two such files.
#[cfg(test)]
pub(super) fn recognises(path: &str, released: &[u8], rebuilt: &[u8]) -> bool {
    let pair = Pair::new(File::new(path, Within::default()), released, rebuilt);
    COMPARATORS.iter().any(|comparator| comparator.recognises(&pair))
}
