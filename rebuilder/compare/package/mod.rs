//! Kinds of packages: what each knows about itself, one file each behind [`Package`], and a table of them.
//!
//! Packages are archives of some format that hold text, signatures and lists of checksums with names that their own
//! kind decides. Readers of archives and files ask this room what a path means, and know no kind by name.

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
pub(super) use text::{Checksums, Field, Lines, Text};
pub(super) use within::{Enclosing, File, Located, Within};

/// What one kind of package knows about itself. What a kind says nothing about has the value of [`Package::new`].
pub(super) struct Package {
    /// Name for people.
    pub name: &'static str,
    /// The normalisations that are for this kind alone.
    pub normalisations: &'static [Normalisation],
    /// Whether an archive is such a package, by what it holds.
    pub recognises: fn(&Archive) -> bool,
    /// Whether a file of that name, by itself, is a document of this kind.
    pub document: fn(&str) -> bool,
    /// Whether its installer is what unpacks the archive at that path in the package.
    pub unpacks: fn(&str) -> bool,
    /// Whether its installer gives the files owners of its own.
    pub ignores_owners: bool,
    /// Permission bits that have no effect on what its installer makes of a file.
    pub ignored_modes: u32,
    /// What replaces all normalisations of archives that its installer unpacks and makes anew.
    pub repacked: Option<Normalisation>,
    /// Whether its members have times that were clamped to SOURCE_DATE_EPOCH.
    pub clamps_times: bool,
    /// Whether the member of that path is the list of checksums of all others.
    pub list: Option<fn(&str) -> bool>,
    /// What it knows of a text file.
    pub text: fn(Located) -> Option<Text>,
    /// One reason for all of the difference between two texts.
    pub whole_text: fn(Located, &[u8], &[u8]) -> Option<Finding>,
    /// What a field in a text or in JSON is about; its name has lower case.
    pub meaning: fn(Located, &str) -> Option<Meaning>,
    /// What it knows of a value in JSON.
    pub value: fn(Located, &JsonValue) -> Option<Finding>,
    /// What sets aside that signatures in this place differ. Whether a file is a signature, its content says.
    pub signature: fn(Located) -> Option<Normalisation>,
    /// Whether versions in the name of a file are those of tools.
    pub named_by_tool: fn(&str) -> bool,
    /// Whether readers look for a member, by format and path, at a place of its own.
    pub placed: fn(&str, &str) -> Option<Placed>,
    /// What its manifests call each member, by path: partners for members that are named by digest.
    pub roles: Roles,
    /// Judges again what only all members together tell, once they were compared.
    pub settle: Option<fn(&Settling, &mut Node)>,
}

/// Reads off an archive's manifests what they call each member, by path.
type Roles = fn(&dyn FormatReader, &Source, &Meter) -> io::Result<HashMap<String, String>>;

impl Package {
    /// A kind that knows nothing about itself yet.
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
            clamps_times: false,
            list: None,
            text: |_| None,
            whole_text: |_, _, _| None,
            meaning: |_, _| None,
            value: |_, _| None,
            signature: |_| None,
            named_by_tool: |_| false,
            placed: |_, _| None,
            roles: |_, _, _| Ok(HashMap::new()),
            settle: None,
        }
    }
}

impl Package {
    /// Whether its installer does not look at the owner or the mode that differs.
    pub fn ignores(&self, finding: &Finding) -> bool {
        if finding.cause != Cause::Permissions {
            return self.ignores_owners;
        }
        let mode = |text: &str| u32::from_str_radix(text, 8).ok();
        match (mode(&finding.released), mode(&finding.rebuilt)) {
            (Some(released), Some(rebuilt)) => (released ^ rebuilt) & !self.ignored_modes == 0,
            // An archive may have been written without modes: the umask decides, and nobody may execute the file.
            (Some(mode), None) | (None, Some(mode)) => {
                self.ignored_modes == GROUP_AND_OTHERS && mode & 0o7111 == 0
            }
            (None, None) => false,
        }
    }
}

/// Permission bits of group and others: to read, to write, and to execute.
const GROUP_AND_OTHERS: u32 = 0o077;
const READ_AND_WRITE: u32 = 0o066;

/// The kinds of packages. An archive is of at most one.
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
    &image::IMAGE,
    &document::DOCUMENT,
];

/// The path of a file within what is compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct FilePath<'a> {
    pub whole: &'a str,
    /// What comes after the last slash.
    pub name: &'a str,
}

impl<'a> FilePath<'a> {
    pub fn new(whole: &'a str) -> Self {
        let name = whole.rsplit('/').next().unwrap_or(whole);
        Self { whole, name }
    }
}

/// What a named field is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The tool that wrote the file.
    Tool,
    /// Other packages.
    Dependency,
}

/// One value in a JSON file that differs.
pub(super) struct JsonValue<'a> {
    /// Where in the file (RFC 6901).
    pub pointer: &'a str,
    pub released: &'a str,
    pub rebuilt: &'a str,
}

impl JsonValue<'_> {
    fn finding(&self) -> Finding {
        Finding::new(self.pointer, self.released, self.rebuilt)
    }
}

/// The place at which readers look for a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    /// Members of lower rank come before it, and all that have none behind it.
    pub rank: Option<u8>,
    /// Whether its bytes are looked for there too: uncompressed, at an offset that extra fields would move.
    pub as_stored: bool,
    /// Whether readers search such members one after another, and take what they find first.
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

/// Where readers look for a member, if it has a place of its own in some kind of package.
pub(super) fn placed(format: &str, path: &str) -> Option<Placed> {
    PACKAGES.iter().find_map(|package| (package.placed)(format, path))
}

/// What kinds of packages set aside, by name.
pub(super) fn normalisations() -> impl Iterator<Item = (&'static str, &'static [Normalisation])> {
    PACKAGES
        .iter()
        .map(|package| (package.name, package.normalisations))
}
