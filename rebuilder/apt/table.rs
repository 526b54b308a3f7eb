//! What is looked up in an index, one package a line: a tenth of the text, and found without parsing the rest.
//!
//! A table is derived from an index that a signed release file names by digest, and kept in the store under that digest.
//! It is never fetched and never shown; what a line lacks is an error where the line is needed.

use std::io::BufReader;

use deb822_fast::{Deb822, Paragraph};

use super::AptError;
use crate::artifact::Sha256;
use crate::evidence::deb822::Deb822Error;
use crate::store::{Blob, Store};

/// Form of the lines; another form has other keys.
const FORM: u32 = 1;

/// Kinds of indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Binary packages.
    Packages,
    /// Source packages.
    Sources,
    /// Binary packages of the installer.
    Installer,
}

/// The lines of one index.
#[derive(Debug)]
pub(super) struct Table(String);

/// A binary package, as its line has it; what the index lacks is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BinaryRow<'a> {
    /// Name.
    pub package: &'a str,
    /// Version.
    pub version: &'a str,
    /// Name of the source package.
    pub source: &'a str,
    /// Version of the source package.
    pub source_version: &'a str,
    /// Architecture.
    pub arch: &'a str,
    /// Path in the pool.
    pub path: &'a str,
    /// Digest of the file, in hex.
    pub sha256: &'a str,
    /// Length of the file.
    pub size: &'a str,
}

/// A source package, as its line has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SourceRow<'a> {
    pub package: &'a str,
    pub version: &'a str,
    /// Names, with spaces between them.
    pub binaries: &'a str,
    pub directory: &'a str,
    /// Lines of `DIGEST SIZE NAME` with commas between them, which no part can have.
    pub files: &'a str,
}

impl Table {
    fn key(kind: Kind, index: Sha256) -> Sha256 {
        Sha256::of(format!("table {FORM} {kind:?} {index}"))
    }

    /// The table that was derived from the index with this digest, if it was kept.
    pub fn kept(store: &Store, kind: Kind, index: Sha256) -> Option<Self> {
        let bytes = store.derived(Self::key(kind, index))?;
        String::from_utf8(bytes).ok().map(Self)
    }

    /// Derives the table of a compressed index, and keeps it.
    pub fn derive(store: &Store, kind: Kind, index: &Blob, document: &str) -> Result<Self, AptError> {
        let plain = BufReader::with_capacity(1 << 17, super::plain(index.open()?));
        let table = Self::read(plain, kind, document)?;
        store.keep_derived(Self::key(kind, index.sha256), table.0.as_bytes())?;
        Ok(table)
    }

    /// Reads an index.
    pub fn read(plain: impl std::io::BufRead, kind: Kind, document: &str) -> Result<Self, AptError> {
        let mut lines = String::new();
        for paragraph in Deb822::iter_paragraphs_from_reader(plain) {
            let paragraph = paragraph.map_err(|error| Deb822Error::of(document, &error))?;
            match kind {
                Kind::Packages | Kind::Installer => push(&mut lines, &binary(&paragraph), document)?,
                Kind::Sources => push(&mut lines, &source(&paragraph), document)?,
            }
        }
        Ok(Self(lines))
    }

    /// The binary packages, in the order of the index.
    pub fn binaries(&self) -> impl Iterator<Item = BinaryRow<'_>> {
        self.0.lines().map(|line| {
            let mut cells = line.split('\t');
            let mut next = || cells.next().unwrap_or_default();
            BinaryRow {
                package: next(),
                version: next(),
                source: next(),
                source_version: next(),
                arch: next(),
                path: next(),
                sha256: next(),
                size: next(),
            }
        })
    }

    /// The source packages, in the order of the index.
    pub fn sources(&self) -> impl Iterator<Item = SourceRow<'_>> {
        self.0.lines().map(|line| {
            let mut cells = line.split('\t');
            let mut next = || cells.next().unwrap_or_default();
            SourceRow {
                package: next(),
                version: next(),
                binaries: next(),
                directory: next(),
                files: next(),
            }
        })
    }
}

/// `Source: NAME (VERSION)` has each part only where it differs from the binary's.
fn binary(paragraph: &Paragraph) -> [String; 8] {
    let field = |name| paragraph.get(name).unwrap_or_default();
    let (package, version) = (field("Package"), field("Version"));
    let named = paragraph
        .get("Source")
        .map(|text| text.split_once(" (").unwrap_or((text, "")));
    let (source, source_version) = match named {
        None => (package, version),
        Some((name, "")) => (name, version),
        Some((name, version)) => (name, version.trim_end_matches(')')),
    };
    let cells = [
        package,
        version,
        source,
        source_version,
        field("Architecture"),
        field("Filename"),
        field("SHA256"),
        field("Size"),
    ];
    cells.map(str::to_owned)
}

fn source(paragraph: &Paragraph) -> [String; 5] {
    let field = |name| paragraph.get(name).unwrap_or_default();
    [
        field("Package").to_owned(),
        field("Version").to_owned(),
        parts(field("Binary"), ',').join(" "),
        field("Directory").to_owned(),
        parts(field("Checksums-Sha256"), '\n').join(","),
    ]
}

fn parts(text: &str, between: char) -> Vec<&str> {
    let parts = text.split(between).map(str::trim);
    parts.filter(|part| !part.is_empty()).collect()
}

fn push(lines: &mut String, cells: &[String], document: &str) -> Result<(), Deb822Error> {
    if cells.iter().any(|cell| cell.contains(['\t', '\n', '\r'])) {
        return Err(Deb822Error::Form {
            document: document.to_owned(),
            reason: "a value goes over several lines, or has a tab".to_owned(),
        });
    }
    lines.push_str(&cells.join("\t"));
    lines.push('\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGES: &str = "\
Package: plain\nVersion: 1-1\nArchitecture: all\nFilename: pool/p.deb\nSHA256: aa\nSize: 3\nDescription: two\n lines\n\n\
Package: other\nSource: src\nVersion: 1:2-1\nArchitecture: amd64\nFilename: pool/o.deb\nSHA256: bb\nSize: 4\n\n\
Package: again\nSource: src (1:2-1)\nVersion: 1:2-1+b1\nArchitecture: amd64\nSHA256: cc\nSize: 5\n";

    #[test]
    fn the_source_of_a_binary_is_read_as_the_index_means_it() {
        let table = Table::read(PACKAGES.as_bytes(), Kind::Packages, "Packages").unwrap();
        let rows: Vec<_> = table
            .binaries()
            .map(|row| {
                [
                    row.package,
                    row.version,
                    row.source,
                    row.source_version,
                    row.path,
                    row.size,
                ]
                .join(" ")
            })
            .collect();
        assert_eq!(
            rows,
            [
                "plain 1-1 plain 1-1 pool/p.deb 3",
                "other 1:2-1 src 1:2-1 pool/o.deb 4",
                "again 1:2-1+b1 src 1:2-1  5",
            ]
        );
    }

    #[test]
    fn the_files_of_a_source_are_on_one_line() {
        let text = "Package: s\nBinary: a, b,\n c\nVersion: 1\nDirectory: pool/s\nChecksums-Sha256:\n aa 1 s.dsc\n bb 2 s.tar.xz\n";
        let table = Table::read(text.as_bytes(), Kind::Sources, "Sources").unwrap();
        let row = table.sources().next().unwrap();
        assert_eq!((row.binaries, row.files), ("a b c", "aa 1 s.dsc,bb 2 s.tar.xz"));
    }

    #[test]
    fn no_value_can_add_a_line_or_a_cell() {
        for value in ["a\tb", "a\n b"] {
            let text = format!("Package: {value}\nVersion: 1\n");
            assert!(
                Table::read(text.as_bytes(), Kind::Packages, "Packages").is_err(),
                "{value:?}"
            );
        }
    }

    #[test]
    fn a_table_is_kept_for_its_index_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(folder.path().to_owned())).unwrap();
        let mut compressed = Vec::new();
        std::io::Read::read_to_end(
            &mut liblzma::read::XzEncoder::new(PACKAGES.as_bytes(), 0),
            &mut compressed,
        )
        .unwrap();
        let blob = store.keep(&compressed[..]).unwrap();
        let table = Table::derive(&store, Kind::Packages, &blob, "Packages").unwrap();
        let kept = |kind, digest| Table::kept(&store, kind, digest).map(|table| table.0);
        assert_eq!(kept(Kind::Packages, blob.sha256), Some(table.0));
        assert_eq!(kept(Kind::Installer, blob.sha256), None);
        assert_eq!(kept(Kind::Packages, Sha256::of("another index")), None);
    }
}
