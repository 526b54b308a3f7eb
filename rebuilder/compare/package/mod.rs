//! Kinds of packages: a table of what is specific to each, in one file for each behind [`Package`].
//!
//! Packages are archives of some format, with texts, signatures and lists of checksums whose meaning depends on the
//! kind of package. Readers of archives and files ask this module for the meaning of a path, and do not know any kind
//! by name.

mod apk;
mod cargo;
mod cms;
mod deb;
mod digest;
mod document;
mod gem;
mod image;
mod jar;
mod layout;
mod npm;
mod nupkg;
mod rpm;
mod rsa;
#[cfg(test)]
pub(super) mod samples;
#[cfg(test)]
mod seams;
mod settle;
#[cfg(test)]
mod tests;
mod text;
mod wheel;
mod within;

use std::collections::HashMap;
use std::io;

use super::cause::Cause;
use super::finding::{Finding, Node};
use super::format::FormatReader;
use super::limits::Meter;
use super::normalise::Normalisation;
use super::source::Source;

pub(super) use layout::Archive;
pub(super) use settle::{Settling, settle};
pub(super) use text::{Checksums, Field, Lines, Moved, Text};
pub(super) use within::{Enclosing, File, Located, Within};

/// What is specific to one kind of package. The defaults are those of [`Package::new`].
pub(super) struct Package {
    /// Name for reports.
    pub name: &'static str,
    /// The normalisations that only this kind has.
    pub normalisations: &'static [Normalisation],
    /// Whether an archive is such a package, by its content.
    pub recognises: fn(&Archive) -> bool,
    /// Whether a single file with that name is a document of this kind.
    pub document: fn(&str) -> bool,
    /// Whether its installer unpacks the archive at that path in the package.
    pub unpacks: fn(&str) -> bool,
    /// Whether its installer sets the owners of files itself.
    pub ignores_owners: bool,
    /// Permission bits that do not affect the files that its installer creates.
    pub ignored_modes: u32,
    /// The normalisation that replaces all those of archives which its installer unpacks and creates again.
    pub repacked: Option<Normalisation>,
    /// Whether its readers find a member whatever `.` and empty components its path has.
    pub cleans_paths: bool,
    /// Whether its installer drops the first component of each path, whatever it is.
    pub strips_top: bool,
    /// Whether the times of its members were clamped to SOURCE_DATE_EPOCH.
    pub clamps_times: bool,
    /// Whether the member with that path lists the checksums of all others.
    pub list: Option<fn(&str) -> bool>,
    /// What is known about a text file.
    pub text: fn(Located) -> Option<Text>,
    /// A single reason for the whole difference between two texts.
    pub whole_text: fn(Located, &[u8], &[u8]) -> Option<Finding>,
    /// The meaning of a field in a text or in JSON; the name is in lower case.
    pub meaning: fn(Located, &str) -> Option<Meaning>,
    /// What is known about a value in JSON.
    pub value: fn(Located, &JsonValue) -> Option<Finding>,
    /// The normalisation for signatures in this place that differ. The content decides whether a file is a signature.
    pub signature: fn(Located) -> Option<Normalisation>,
    /// Whether versions in a file's name are those of tools.
    pub named_by_tool: fn(&str) -> bool,
    /// What each stream of the compressed package contains, by its first bytes, if the installer tells its parts by the
    /// streams.
    pub streams: Option<Streams>,
    /// Whether its installer reads only the first stream of the compressed package (no path), or of a compressed
    /// member.
    pub first_stream: fn(Option<&str>) -> bool,
    /// Findings about a compressed package with other streams, even if they unpack to the same bytes.
    pub repacked_streams: Option<Repacked>,
    /// The position at which readers look for a member, by format and path.
    pub placed: fn(&str, &str) -> Option<Placed>,
    /// The role of each member in the package's manifests, by path: it pairs members that are named by digest.
    pub roles: Roles,
    /// Adjusts findings that depend on several members, after all were compared.
    pub settle: Option<fn(&Settling, &mut Node)>,
}

/// The parts of a package, by the first bytes of each compressed stream.
type Streams = fn(&[Vec<u8>]) -> Vec<&'static str>;

/// Findings about the streams of two compressed packages.
type Repacked = fn(&Settling) -> io::Result<Vec<Finding>>;

/// Reads the role of each member from an archive's manifests, by path.
type Roles = fn(&dyn FormatReader, &Source, &Meter) -> io::Result<HashMap<String, String>>;

impl Package {
    /// A kind without anything specific.
    const fn new(name: &'static str) -> Self {
        Self {
            name,
            normalisations: &[],
            recognises: |_| false,
            document: |_| false,
            unpacks: |_| false,
            ignores_owners: false,
            ignored_modes: 0,
            repacked: None,
            cleans_paths: false,
            strips_top: false,
            clamps_times: false,
            list: None,
            text: |_| None,
            whole_text: |_, _, _| None,
            meaning: |_, _| None,
            value: |_, _| None,
            signature: |_| None,
            named_by_tool: |_| false,
            streams: None,
            first_stream: |_| false,
            repacked_streams: None,
            placed: |_, _| None,
            roles: |_, _, _| Ok(HashMap::new()),
            settle: None,
        }
    }
}

impl Package {
    /// Whether its installer ignores the owner or mode that differs.
    pub fn ignores(&self, finding: &Finding) -> bool {
        if finding.cause != Cause::Permissions {
            return self.ignores_owners;
        }
        let mode = |text: &str| u32::from_str_radix(text, 8).ok();
        match (mode(&finding.released), mode(&finding.rebuilt)) {
            (Some(released), Some(rebuilt)) => (released ^ rebuilt) & !self.ignored_modes == 0,
            // An archive may be written without modes: then the umask decides, and files are not executable.
            (Some(mode), None) | (None, Some(mode)) => {
                self.ignored_modes == GROUP_AND_OTHERS && mode & 0o7111 == 0
            }
            (None, None) => false,
        }
    }
}

/// Permission bits of group and others: read, write, and execute.
const GROUP_AND_OTHERS: u32 = 0o077;
const READ_AND_WRITE: u32 = 0o066;

/// The kinds of packages. An archive is of at most one kind.
pub(super) static PACKAGES: &[&Package] = &[
    &wheel::WHEEL,
    &wheel::SDIST,
    &gem::GEM,
    &jar::JAR,
    &deb::DEB,
    &rpm::RPM,
    &apk::APK,
    &cargo::CRATE,
    &npm::NPM,
    &nupkg::NUPKG,
    &image::IMAGE,
    &document::DOCUMENT,
];

/// The path of a file in the comparison.
#[derive(Debug, Clone, Copy)]
pub(super) struct FilePath<'a> {
    pub whole: &'a str,
    /// The part after the last slash.
    pub name: &'a str,
}

impl<'a> FilePath<'a> {
    pub fn new(whole: &'a str) -> Self {
        let name = whole.rsplit('/').next().unwrap_or(whole);
        Self { whole, name }
    }
}

/// The meaning of a named field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The tool that wrote the file.
    Tool,
    /// Other packages.
    Dependency,
}

/// One value that differs in a JSON file.
pub(super) struct JsonValue<'a> {
    /// The place in the file, as a JSON pointer (RFC 6901).
    pub pointer: &'a str,
    pub released: &'a str,
    pub rebuilt: &'a str,
}

impl JsonValue<'_> {
    fn finding(&self) -> Finding {
        Finding::new(self.pointer, self.released, self.rebuilt)
    }
}

/// The position at which readers look for a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    /// Members with a lower rank come before it, and all those without a rank after it.
    pub rank: Option<u8>,
    /// Whether readers also expect its bytes there: uncompressed, at an offset that extra fields would change.
    pub as_stored: bool,
    /// Whether readers search such members one after another, and use the first match.
    pub in_turn: bool,
}

impl Placed {
    const fn at(rank: u8) -> Self {
        Self {
            rank: Some(rank),
            as_stored: false,
            in_turn: false,
        }
    }
}

/// The expected position of a member, if some kind of package defines one.
pub(super) fn placed(format: &str, path: &str) -> Option<Placed> {
    PACKAGES.iter().find_map(|package| (package.placed)(format, path))
}

/// The normalisations of the kinds of packages, by name.
pub(super) fn normalisations() -> impl Iterator<Item = (&'static str, &'static [Normalisation])> {
    PACKAGES
        .iter()
        .map(|package| (package.name, package.normalisations))
}
