//! The interface of an ecosystem.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::error::PlanError;
use super::hints::{Alternative, EndedRun, Hints};
use super::planner::Planner;
use crate::artifact::{Ecosystem, PinnedFile, Sha256, Subject, SubjectError};
use crate::compare;
use crate::container::Catalog;
use crate::evidence::Claim;
use crate::evidence::assess::Artifact;
use crate::evidence::document::Document;
use crate::plan::Plan;
use crate::reader::Reader;
use crate::store::Fetcher;

/// One ecosystem, as planning needs it.
pub(crate) trait Packaging: Sync {
    /// The ecosystem; it gives the name in plans and the type of package URLs.
    fn ecosystem(&self) -> Ecosystem;

    /// How its package names are written.
    fn forms(&self) -> Forms;

    /// Checks and normalises a name.
    fn subject(&self, named: &Named<'_>) -> Result<Subject, SubjectError>;

    /// The index of its released files, and whether it is signed, in words: `PyPI's index, which is not signed`.
    fn index(&self) -> &'static str;

    /// The package that a released file of this ecosystem belongs to, according to its name and metadata.
    fn read_off(&self, file: &ReleasedName<'_>) -> Option<Named<'static>>;

    /// The package that the name of a released file of this ecosystem says, if the file itself cannot be read.
    fn by_file_name(&self, _name: &str) -> Option<Named<'static>> {
        None
    }

    /// The folder of its packages among OSS Rebuild's build definitions, if there is one.
    fn oss_rebuild(&self) -> Option<&'static str> {
        None
    }

    /// The released files and the claims about them; plans nothing.
    fn lookup<'a>(
        &'a self,
        fetcher: &'a Fetcher,
        catalog: &'a Catalog,
        subject: &'a Subject,
    ) -> BoxFuture<'a, Result<Release, PlanError>>;

    /// All sources that were released under the subject's version, and what is known about the one with a digest.
    fn sources<'a>(
        &'a self,
        _: &'a Fetcher,
        _: &'a Subject,
        _digest: Sha256,
    ) -> BoxFuture<'a, Result<ListedSources, PlanError>> {
        std::future::ready(Ok(ListedSources::default())).boxed()
    }

    /// The newest version of the subject, without fetching it; `None` if the subject's list already names one.
    fn newest<'a>(
        &'a self,
        _: &'a Fetcher,
        _: &'a Subject,
    ) -> BoxFuture<'a, Result<Option<String>, PlanError>> {
        std::future::ready(Ok(None)).boxed()
    }

    /// Names and versions that a lock file of this name takes from the registry; `None` if it is another kind of file.
    fn locked(&self, _file: &str, _text: &[u8]) -> Option<Result<Vec<(String, String)>, String>> {
        None
    }

    /// Verifies the claims about the subject, and pins everything that its rebuild needs.
    fn plan<'a>(
        &'a self,
        planner: &'a Planner<'a>,
        subject: &'a Subject,
    ) -> BoxFuture<'a, Result<Plan, PlanError>>;

    /// For fuzzing: readers of the registry's answers and of released files.
    fn readers(&self) -> &'static [Reader] {
        &[]
    }

    /// Further plans that are worth a try after a run that did not reproduce the release, the most likely first.
    fn alternatives(&self, run: &EndedRun<'_>, hints: &Hints) -> Vec<Alternative>;
}

/// A released file on this machine.
pub(crate) struct ReleasedName<'a> {
    pub path: &'a Path,
    /// The file's own name.
    pub name: &'a str,
}

impl ReleasedName<'_> {
    /// The text of the first member whose path matches.
    pub(super) fn text(&self, fits: impl Fn(&str) -> bool) -> Option<String> {
        let bytes = compare::read_member(self.path, fits).ok().flatten()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// A name and a version from a file's own metadata.
pub(super) fn named(name: &str, version: &str) -> Named<'static> {
    Named {
        text: "",
        namespace: None,
        name: name.trim().to_owned(),
        version: Some(version.trim().to_owned()),
        qualifiers: BTreeMap::new(),
    }
}

/// The value of a field in a text with lines of the form `NAME: VALUE`.
pub(super) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines().take_while(|line| !line.trim().is_empty());
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

/// Everything that is known about a subject before planning.
pub struct Release {
    /// Its released files.
    pub artifacts: Vec<Artifact>,
    /// Files that were released with them, and that a plan may expect too: Debian's packages of the installer, which not
    /// every mirror has.
    pub besides: Vec<Artifact>,
    /// Claims that have already been checked.
    pub claims: Vec<Claim>,
    /// Evidence that still has to be judged.
    pub documents: Vec<Document>,
    /// Source files that the registry lists beside the released files.
    pub sources: Vec<PinnedFile>,
    /// When it was released, if the registry tells.
    pub published: Option<jiff::Timestamp>,
}

/// The sources that a registry lists under one version.
#[derive(Default)]
pub struct ListedSources {
    /// The files.
    pub files: Vec<PinnedFile>,
    /// Claims about the one that was asked for.
    pub claims: Vec<Claim>,
    /// Evidence about it that still has to be judged.
    pub documents: Vec<Document>,
}

/// The forms of package names of one ecosystem.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Forms {
    /// The prefix of a short name, before the colon.
    pub short: &'static str,
    /// The separator between name and version in a short name.
    pub separator: &'static str,
    /// Qualifiers of a package URL, for messages; with the question mark.
    pub qualifiers: &'static str,
}

/// A name that was split into parts, but not checked.
pub(crate) struct Named<'a> {
    /// The whole text, for messages.
    pub text: &'a str,
    /// The namespace of a package URL, unless the ecosystem has only one.
    pub namespace: Option<String>,
    pub name: String,
    pub version: Option<String>,
    pub qualifiers: BTreeMap<String, String>,
}

impl Named<'_> {
    pub(crate) fn qualifier(&self, key: &str) -> Option<&str> {
        self.qualifiers.get(key).map(String::as_str)
    }

    /// How the ecosystem that the text begins with writes its names.
    fn form(&self) -> String {
        let begins = |short: &str| {
            let rest = self.text.strip_prefix(short);
            rest.is_some_and(|rest| rest.starts_with(':'))
        };
        let mut forms = super::ALL.iter().map(|packaging| packaging.forms());
        match forms.find(|forms| begins(forms.short)) {
            Some(Forms { short, separator, .. }) => format!("{short}:NAME[{separator}VERSION]"),
            None => "pkg:TYPE/NAME@VERSION".to_owned(),
        }
    }

    /// The error for an invalid part.
    pub(crate) fn invalid(&self, what: &'static str, value: &str) -> SubjectError {
        SubjectError::Invalid {
            what,
            value: value.to_owned(),
            text: self.text.to_owned(),
            form: self.form(),
        }
    }

    /// The part, if it is valid.
    pub(crate) fn valid(&self, what: &'static str, value: &str, ok: bool) -> Result<String, SubjectError> {
        if ok {
            Ok(value.to_owned())
        } else {
            Err(self.invalid(what, value))
        }
    }

    /// The version, if it is valid or absent.
    pub(crate) fn version(&self, ok: impl Fn(&str) -> bool) -> Result<Option<String>, SubjectError> {
        let version = self.version.as_deref();
        version
            .map(|version| self.valid("version", version, ok(version)))
            .transpose()
    }
}
