//! Kinds of packages: what each knows about itself, one file each behind [`Package`], and a table of them.
//!
//! Packages are archives of some format that hold text, signatures and lists of checksums with names that their own
//! kind decides. Readers of archives and files ask this room what a path means, and know no kind by name.

mod apk;
mod cargo;
mod deb;
mod document;
mod gem;
mod image;
mod jar;
mod npm;
mod rpm;
mod text;
mod wheel;

use std::collections::HashMap;
use std::io;

use super::finding::Finding;
use super::format::FormatReader;
use super::limits::Meter;
use super::normalise::Normalisation;
use super::source::Source;

pub(super) use text::{Checksums, Field, Lines, Text, is_detached_signature};

/// What one kind of package knows about itself. What a kind says nothing about has the value of [`Package::new`].
pub(super) struct Package {
    /// Name for people.
    pub name: &'static str,
    /// The normalisations that are for this kind alone.
    pub normalisations: &'static [Normalisation],
    /// Whether an archive is such a package.
    pub recognises: fn(&Archive) -> bool,
    /// What holds for everything within it.
    pub within: Within,
    /// Whether a file of that name has members whose times were clamped to SOURCE_DATE_EPOCH.
    pub clamps_times: fn(&str) -> bool,
    /// What it knows of a text file.
    pub text: fn(FilePath) -> Option<Text>,
    /// One reason for all of the difference between two texts.
    pub whole_text: fn(&[u8], &[u8]) -> Option<Finding>,
    /// What a field in a text or in JSON is about; its name has lower case.
    pub meaning: fn(&str) -> Option<Meaning>,
    /// What it knows of a value in JSON.
    pub value: fn(&JsonValue) -> Option<Finding>,
    /// Whether a file is nothing but a signature, and what sets it aside.
    pub signature: fn(FilePath) -> Option<Signature>,
    /// Whether a member that only one side has comes from signing that side.
    pub added_by_signing: fn(FilePath) -> bool,
    /// Whether versions in the name of a file are those of tools.
    pub named_by_tool: fn(&str) -> bool,
    /// Whether readers look for a member, by format and path, at a place of its own.
    pub placed: fn(&str, &str) -> Option<Placed>,
    /// What its manifests call each member, by path: partners for members that are named by digest.
    pub roles: Roles,
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
            within: Within::NOTHING,
            clamps_times: |_| false,
            text: |_| None,
            whole_text: |_, _| None,
            meaning: |_| None,
            value: |_| None,
            signature: |_| None,
            added_by_signing: |_| false,
            named_by_tool: |_| false,
            placed: |_, _| None,
            roles: |_, _, _| Ok(HashMap::new()),
        }
    }
}

/// The kinds of packages. The first that knows a file decides.
pub(super) static PACKAGES: &[&Package] = &[
    &wheel::WHEEL,
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

/// An archive that may be a package.
pub(super) struct Archive<'a> {
    pub path: &'a str,
    pub format: &'static str,
    pub source: &'a Source,
}

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

    pub fn ends_with_any(self, endings: &[&str]) -> bool {
        endings.iter().any(|ending| self.name.ends_with(ending))
    }
}

/// What a pair of files is in; decides what may be set aside.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Within {
    /// A package whose modes and owners are those of the installed files.
    pub installs: bool,
    /// A package whose inner archives are made anew when it is unpacked: one normalisation replaces all of theirs.
    pub repacked: Option<Normalisation>,
}

impl Within {
    const NOTHING: Self = Self {
        installs: false,
        repacked: None,
    };

    /// What holds within an archive that itself is in `self`.
    pub fn and_in(self, archive: &Archive) -> Self {
        PACKAGES
            .iter()
            .filter(|package| (package.recognises)(archive))
            .fold(self, |within, package| Self {
                installs: within.installs || package.within.installs,
                repacked: within.repacked.or(package.within.repacked),
            })
    }

    /// The finding, set aside by what holds here.
    pub fn set_aside(self, mut finding: Finding) -> Finding {
        if finding.normalisation.is_some() {
            finding.normalisation = self.repacked.or(finding.normalisation);
        }
        finding
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
    /// Name of the file.
    pub file: &'a str,
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

/// A file that is nothing but a signature.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signature {
    pub normalisation: Option<Normalisation>,
}

/// The place at which readers look for a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    /// Members of lower rank come before it, and all that have none behind it.
    pub rank: u8,
    /// Whether its bytes are looked for there too: uncompressed, at an offset that extra fields would move.
    pub as_stored: bool,
}

impl Placed {
    const fn at(rank: u8) -> Self {
        Self {
            rank,
            as_stored: false,
        }
    }
}

/// Where readers look for a member, if it has a place of its own in some kind of package.
pub(super) fn placed(format: &str, path: &str) -> Option<Placed> {
    PACKAGES.iter().find_map(|package| (package.placed)(format, path))
}

/// Whether a file of that name has members whose times were clamped to SOURCE_DATE_EPOCH.
pub(super) fn clamps_times(name: &str) -> bool {
    PACKAGES.iter().any(|package| (package.clamps_times)(name))
}

/// What the first kind that knows a text file says of it.
pub(super) fn text(path: FilePath) -> Text {
    let known = PACKAGES.iter().find_map(|package| (package.text)(path));
    known
        .or_else(|| text::list_of_checksums(path))
        .unwrap_or(Text::PLAIN)
}

/// One reason for all of the difference between two texts.
pub(super) fn whole_text(released: &[u8], rebuilt: &[u8]) -> Option<Finding> {
    PACKAGES
        .iter()
        .find_map(|package| (package.whole_text)(released, rebuilt))
}

/// What a field of that name is about, if some kind of package has it.
pub(super) fn meaning(field: &str) -> Option<Meaning> {
    let field = field.to_ascii_lowercase();
    PACKAGES.iter().find_map(|package| (package.meaning)(&field))
}

/// What some kind of package knows of a value in JSON.
pub(super) fn value(value: &JsonValue) -> Option<Finding> {
    PACKAGES.iter().find_map(|package| (package.value)(value))
}

/// Whether a file is nothing but a signature.
pub(super) fn signature(path: FilePath) -> Option<Signature> {
    let known = PACKAGES.iter().find_map(|package| (package.signature)(path));
    known.or_else(|| is_detached_signature(path).then_some(Signature { normalisation: None }))
}

/// Whether a member that only one side has comes from signing that side.
pub(super) fn added_by_signing(path: FilePath) -> bool {
    path.name.ends_with(".sig") || PACKAGES.iter().any(|package| (package.added_by_signing)(path))
}

/// Whether versions in the name of a file are those of tools.
pub(super) fn named_by_tool(path: &str) -> bool {
    PACKAGES.iter().any(|package| (package.named_by_tool)(path))
}

/// What manifests in an archive call its members.
pub(super) fn roles(
    format: &dyn FormatReader,
    source: &Source,
    meter: &Meter,
) -> io::Result<HashMap<String, String>> {
    let mut roles = HashMap::new();
    for package in PACKAGES {
        roles.extend((package.roles)(format, source, meter)?);
    }
    Ok(roles)
}

/// What kinds of packages set aside, by name.
pub(super) fn normalisations() -> impl Iterator<Item = (&'static str, &'static [Normalisation])> {
    PACKAGES
        .iter()
        .map(|package| (package.name, package.normalisations))
}
