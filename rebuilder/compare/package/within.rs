//! The place of a file: the archives around it, their kinds of packages, and what these say about the file.
//!
//! A kind is asked only about files in its own archives: in the package itself, or in an archive that is a member of
//! it, such as `control.tar.xz`. Files at a greater depth are content, whatever their names are.

use std::collections::HashMap;
use std::io;

use super::{Archive, FilePath, JsonValue, Meaning, PACKAGES, Package, Text, text};
use crate::compare::finding::Finding;
use crate::compare::format::FormatReader;
use crate::compare::limits::Meter;
use crate::compare::normalise::Normalisation;
use crate::compare::source::Source;

/// The archives around a pair of files, the innermost first; none for files in a folder, and for single files.
#[derive(Clone, Copy, Default)]
pub(in crate::compare) struct Within<'a> {
    archive: Option<&'a Enclosing<'a>>,
}

/// One archive around pairs.
pub(in crate::compare) struct Enclosing<'a> {
    /// Its kind of package, if it has one.
    kind: Option<&'static Package>,
    /// Its path in the comparison, without the suffix of a compressor.
    path: &'a str,
    outer: Within<'a>,
}

/// The place of a file in a package.
#[derive(Debug, Clone, Copy)]
pub(in crate::compare) struct Located<'a> {
    /// The path in the package of the archive with the file, such as `control.tar`; empty if the file is in the
    /// package itself.
    pub part: &'a str,
    /// The path in that archive.
    pub path: &'a str,
}

impl<'a> Located<'a> {
    /// The path, if the file is in the package itself.
    pub fn top(self) -> Option<&'a str> {
        self.part.is_empty().then_some(self.path)
    }

    /// The path, if the file is in the package's archive with that name.
    pub fn inside(self, part: &str) -> Option<&'a str> {
        (self.part == part).then_some(self.path)
    }

    /// The part after the last slash.
    pub fn name(self) -> &'a str {
        FilePath::new(self.path).name
    }
}

impl<'a> Enclosing<'a> {
    /// The place of files in an archive that is itself in `outer`.
    pub fn new(path: &'a str, archive: &Archive, outer: Within<'a>) -> Self {
        Self {
            kind: archive.kind(),
            path,
            outer,
        }
    }

    /// Its kind of package, if it has one.
    pub fn kind(&self) -> Option<&'static Package> {
        self.kind
    }

    pub fn within(&'a self) -> Within<'a> {
        Within { archive: Some(self) }
    }

    /// The path, within this archive, of a member.
    fn relative<'p>(&self, path: &'p str) -> Option<&'p str> {
        path.strip_prefix(self.path)?.strip_prefix('/')
    }
}

impl<'a> Within<'a> {
    /// The packages that know about a file at that path, and its place in each.
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

    /// The package that the archive is a part of, if that package's installer unpacks it.
    fn unpacked_by(self) -> Option<&'static Package> {
        let archive = self.archive?;
        let outer = archive.outer.archive?;
        let part = outer.relative(archive.path)?;
        outer.kind.filter(|package| (package.unpacks)(part))
    }

    /// The package whose installer unpacks an archive with members of these names.
    pub fn installer(self, format: &'static str, names: Vec<String>) -> Option<&'static Package> {
        self.unpacked_by().or_else(|| Archive { format, names }.kind())
    }

    /// Whether the program that reads the archive finds its members however their paths are written; `None` if the
    /// archive is no package, so that any program may read it.
    pub fn cleans_paths(self) -> Option<bool> {
        if self.unpacked_by().is_some() {
            return Some(true);
        }
        Some(self.archive?.kind?.cleans_paths)
    }

    /// Whether the installer drops the first component of each path, so that files in two folders may replace each other.
    pub fn strips_top(self) -> bool {
        let kind = self.archive.and_then(|archive| archive.kind);
        kind.is_some_and(|package| package.strips_top)
    }

    /// Whether the installer of a package creates the files exactly as stored, including owners and order; `None`
    /// outside packages.
    pub fn installs(self) -> Option<bool> {
        let own = self.archive;
        let around = own.and_then(|archive| archive.outer.archive);
        let kinds = [own, around].into_iter().flatten();
        let mut kinds = kinds.filter_map(|archive| archive.kind);
        kinds.next().map(|package| !package.ignores_owners)
    }

    /// The finding, with the normalisation that applies here.
    pub fn set_aside(self, mut finding: Finding) -> Finding {
        if finding.normalisation.is_some() {
            let own = self.archive.and_then(|archive| archive.kind);
            let repacked = own.or(self.unpacked_by()).and_then(|package| package.repacked);
            finding.normalisation = repacked.or(finding.normalisation);
        }
        finding
    }

    /// Whether the archive is a package whose members' times were clamped to SOURCE_DATE_EPOCH.
    pub fn clamps_times(self) -> bool {
        self.archive
            .and_then(|archive| archive.kind)
            .is_some_and(|package| package.clamps_times)
    }

    /// Whether the installer of a package reads only the first stream of the compressed member at that path.
    pub fn reads_first_stream(self, path: &str) -> bool {
        self.archive.is_some_and(|archive| {
            let member = archive.relative(path);
            member.is_some() && archive.kind.is_some_and(|kind| (kind.first_stream)(member))
        })
    }

    /// Whether the archive is a package that lists checksums of its members.
    pub fn has_list(self) -> bool {
        self.list().is_some()
    }

    fn list(self) -> Option<fn(&str) -> bool> {
        self.archive?.kind?.list
    }

    /// Whether versions in a file's name are those of tools.
    pub fn named_by_tool(self, path: &str) -> bool {
        let Some(archive) = self.archive else { return false };
        let around = archive.outer.archive.and_then(|outer| outer.kind);
        [archive.kind, around]
            .into_iter()
            .flatten()
            .any(|package| (package.named_by_tool)(path))
    }

    /// The roles of members in the archive's manifests.
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

/// A file and its place.
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

    /// What the package says about a text file, otherwise what its name tells about its form.
    pub fn text(self) -> Text {
        self.packages()
            .find_map(|(package, located)| (package.text)(located))
            .unwrap_or_else(|| text::by_name(self.path.name))
    }

    /// A single reason for the whole difference between two texts.
    pub fn whole_text(self, released: &[u8], rebuilt: &[u8]) -> Option<Finding> {
        self.packages()
            .find_map(|(package, located)| (package.whole_text)(located, released, rebuilt))
    }

    /// The meaning of a field with that name.
    pub fn meaning(self, field: &str) -> Option<Meaning> {
        let field = field.to_ascii_lowercase();
        self.packages()
            .find_map(|(package, located)| (package.meaning)(located, &field))
    }

    /// What the package knows about a value in JSON.
    pub fn value(self, value: &JsonValue) -> Option<Finding> {
        self.packages()
            .find_map(|(package, located)| (package.value)(located, value))
    }

    /// The normalisation for signatures that differ in this place of the package.
    pub fn signature(self) -> Option<Normalisation> {
        self.packages()
            .find_map(|(package, located)| (package.signature)(located))
    }
}
