//! Where a file is: the archives around it, what kinds of packages they are, and what those say of it.
//!
//! A kind is asked only of files in its own archives: in the package itself, or in an archive that is a member of it,
//! such as `control.tar.xz`. What lies deeper is content, whatever it is called.

use std::collections::HashMap;
use std::io;

use super::{Archive, FilePath, JsonValue, Meaning, PACKAGES, Package, Text, text};
use crate::compare::finding::Finding;
use crate::compare::format::FormatReader;
use crate::compare::limits::Meter;
use crate::compare::normalise::Normalisation;
use crate::compare::source::Source;

/// The archives that a pair of files is in, the innermost first; none if it is in a folder or by itself.
#[derive(Clone, Copy, Default)]
pub(in crate::compare) struct Within<'a> {
    archive: Option<&'a Enclosing<'a>>,
}

/// One archive that pairs are in.
pub(in crate::compare) struct Enclosing<'a> {
    /// What it is, if it is a package of one kind.
    kind: Option<&'static Package>,
    /// Its path in all that is compared, without the ending of a compressor.
    path: &'a str,
    outer: Within<'a>,
}

/// Where a file is in a package.
#[derive(Debug, Clone, Copy)]
pub(in crate::compare) struct Located<'a> {
    /// The path of the archive inside the package that holds the file, such as `control.tar`; empty if the package
    /// itself does.
    pub part: &'a str,
    /// The path in that archive.
    pub path: &'a str,
}

impl<'a> Located<'a> {
    /// The path, if the package itself holds the file.
    pub fn top(self) -> Option<&'a str> {
        self.part.is_empty().then_some(self.path)
    }

    /// The path, if the archive of that name in the package holds the file.
    pub fn inside(self, part: &str) -> Option<&'a str> {
        (self.part == part).then_some(self.path)
    }

    /// What comes after the last slash.
    pub fn name(self) -> &'a str {
        FilePath::new(self.path).name
    }
}

impl<'a> Enclosing<'a> {
    /// What is known of files in an archive that itself is in `outer`.
    pub fn new(path: &'a str, archive: &Archive, outer: Within<'a>) -> Self {
        Self {
            kind: archive.kind(),
            path,
            outer,
        }
    }

    /// What it is, if it is a package of one kind.
    pub fn kind(&self) -> Option<&'static Package> {
        self.kind
    }

    pub fn within(&'a self) -> Within<'a> {
        Within { archive: Some(self) }
    }

    /// The path in this archive of something that is in it.
    fn relative<'p>(&self, path: &'p str) -> Option<&'p str> {
        path.strip_prefix(self.path)?.strip_prefix('/')
    }
}

impl<'a> Within<'a> {
    /// The packages that know a file at that path, and where it is in each.
    fn packages(self, path: &'a str) -> impl Iterator<Item = (&'static Package, Located<'a>)> {
        let own = self.archive.and_then(|archive| {
            let path = archive.relative(path)?;
            Some((archive.kind?, Located { part: "", path }))
        });
        let around = self.archive.and_then(|archive| {
            let outer = archive.outer.archive?;
            let (part, path) = (outer.relative(archive.path)?, archive.relative(path)?);
            Some((outer.kind?, Located { part, path }))
        });
        let name = FilePath::new(path).name;
        let documents = PACKAGES
            .iter()
            .filter(move |package| self.archive.is_none() && (package.document)(name))
            .map(move |package| (*package, Located { part: "", path: name }));
        own.into_iter().chain(around).chain(documents)
    }

    /// The package that the archive is a part of, if that package's installer is what unpacks it.
    fn unpacked_by(self) -> Option<&'static Package> {
        let archive = self.archive?;
        let outer = archive.outer.archive?;
        let part = outer.relative(archive.path)?;
        outer.kind.filter(|package| (package.unpacks)(part))
    }

    /// The package whose installer unpacks an archive with members of all these names.
    pub fn installer(self, format: &'static str, names: Vec<String>) -> Option<&'static Package> {
        self.unpacked_by().or_else(|| Archive { format, names }.kind())
    }

    /// Whether the installer of a package takes the files over as the archive has them, owners and order included; `None`
    /// outside of packages.
    pub fn installs(self) -> Option<bool> {
        let own = self.archive;
        let around = own.and_then(|archive| archive.outer.archive);
        let kinds = [own, around].into_iter().flatten();
        let mut kinds = kinds.filter_map(|archive| archive.kind);
        kinds.next().map(|package| !package.ignores_owners)
    }

    /// The finding, set aside by what holds here.
    pub fn set_aside(self, mut finding: Finding) -> Finding {
        if finding.normalisation.is_some() {
            let own = self.archive.and_then(|archive| archive.kind);
            let repacked = own.or(self.unpacked_by()).and_then(|package| package.repacked);
            finding.normalisation = repacked.or(finding.normalisation);
        }
        finding
    }

    /// Whether members of the archive, if it is a whole package, have times that were clamped to SOURCE_DATE_EPOCH.
    pub fn clamps_times(self) -> bool {
        self.archive
            .and_then(|archive| archive.kind)
            .is_some_and(|package| package.clamps_times)
    }

    /// Whether the archive is a package that lists checksums of its members.
    pub fn has_list(self) -> bool {
        self.list().is_some()
    }

    fn list(self) -> Option<fn(&str) -> bool> {
        self.archive?.kind?.list
    }

    /// Whether versions in the name of a file are those of tools.
    pub fn named_by_tool(self, path: &str) -> bool {
        let Some(archive) = self.archive else { return false };
        let around = archive.outer.archive.and_then(|outer| outer.kind);
        [archive.kind, around]
            .into_iter()
            .flatten()
            .any(|package| (package.named_by_tool)(path))
    }

    /// What manifests in the archive call its members.
    pub fn roles(
        self,
        format: &dyn FormatReader,
        source: &Source,
        meter: &Meter,
    ) -> io::Result<HashMap<String, String>> {
        match self.archive.and_then(|archive| archive.kind) {
            Some(package) => (package.roles)(format, source, meter),
            None => Ok(HashMap::new()),
        }
    }
}

/// A file, and where it is.
#[derive(Clone, Copy)]
pub(in crate::compare) struct File<'a> {
    pub path: FilePath<'a>,
    pub within: Within<'a>,
}

impl<'a> File<'a> {
    pub fn new(path: &'a str, within: Within<'a>) -> Self {
        let path = FilePath::new(path);
        Self { path, within }
    }

    fn packages(self) -> impl Iterator<Item = (&'static Package, Located<'a>)> {
        self.within.packages(self.path.whole)
    }

    /// What the package says of a text file, or else what its name says of its form.
    pub fn text(self) -> Text {
        self.packages()
            .find_map(|(package, located)| (package.text)(located))
            .unwrap_or_else(|| text::by_name(self.path.name))
    }

    /// One reason for all of the difference between two texts.
    pub fn whole_text(self, released: &[u8], rebuilt: &[u8]) -> Option<Finding> {
        self.packages()
            .find_map(|(package, located)| (package.whole_text)(located, released, rebuilt))
    }

    /// What a field of that name is about.
    pub fn meaning(self, field: &str) -> Option<Meaning> {
        let field = field.to_ascii_lowercase();
        self.packages()
            .find_map(|(package, located)| (package.meaning)(located, &field))
    }

    /// What the package knows of a value in JSON.
    pub fn value(self, value: &JsonValue) -> Option<Finding> {
        self.packages()
            .find_map(|(package, located)| (package.value)(located, value))
    }

    /// What sets aside that signatures differ, in this place of the package.
    pub fn signature(self) -> Option<Normalisation> {
        self.packages()
            .find_map(|(package, located)| (package.signature)(located))
    }
}
