//! What every row of the table says.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::error::PlanError;
use super::hints::{Alternative, EndedRun, Hints};
use super::planner::Planner;
use crate::artifact::{Ecosystem, PinnedFile, Subject, SubjectError};
use crate::compare;
use crate::container::Catalog;
use crate::evidence::Claim;
use crate::evidence::assess::Artifact;
use crate::evidence::document::Document;
use crate::plan::Plan;
use crate::reader::Reader;
use crate::store::Fetcher;

/// What planning knows of the packages of one ecosystem.
pub(crate) trait Packaging: Sync {
    /// The ecosystem; it gives the name in plans and the type of package URLs.
    fn ecosystem(&self) -> Ecosystem;

    /// How people write its names.
    fn forms(&self) -> Forms;

    /// Checks and normalises a name.
    fn subject(&self, named: &Named<'_>) -> Result<Subject, SubjectError>;

    /// What lists its released files, for people, and whether that is signed: `PyPI's index, which is not signed`.
    fn index(&self) -> &'static str;

    /// What a released file says that it is, if it is a file of this ecosystem: its name, and what its metadata has.
    fn read_off(&self, file: &ReleasedName<'_>) -> Option<Named<'static>>;

    /// The folder of its packages among OSS Rebuild's build definitions, if these have one.
    fn oss_rebuild(&self) -> Option<&'static str> {
        None
    }

    /// What was released and what is claimed of it; plans nothing.
    fn lookup<'a>(
        &'a self,
        fetcher: &'a Fetcher,
        catalog: &'a Catalog,
        subject: &'a Subject,
    ) -> BoxFuture<'a, Result<Release, PlanError>>;

    /// The newest version that the subject names, without fetching it; `None` if its list already says which.
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

    /// Verifies what is claimed of the subject, and pins everything that its rebuild needs.
    fn plan<'a>(
        &'a self,
        planner: &'a Planner<'a>,
        subject: &'a Subject,
    ) -> BoxFuture<'a, Result<Plan, PlanError>>;

    /// What reads what its registry says and what was released there, for fuzzing.
    fn readers(&self) -> &'static [Reader] {
        &[]
    }

    /// Further plans that are worth a try after a run that did not reproduce the release, the likeliest first.
    fn alternatives(&self, run: &EndedRun<'_>, hints: &Hints) -> Vec<Alternative>;
}

/// A released file on this machine.
pub(crate) struct ReleasedName<'a> {
    pub path: &'a Path,
    /// The file's own name.
    pub name: &'a str,
}

impl ReleasedName<'_> {
    /// The text of the first member whose path fits.
    pub(super) fn text(&self, fits: impl Fn(&str) -> bool) -> Option<String> {
        let bytes = compare::read_member(self.path, fits).ok().flatten()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// A name and a version, as a file's own metadata has them.
pub(super) fn named(name: &str, version: &str) -> Named<'static> {
    Named {
        text: "",
        namespace: None,
        name: name.trim().to_owned(),
        version: Some(version.trim().to_owned()),
        qualifiers: BTreeMap::new(),
    }
}

/// The value of a field in a text of lines `NAME: VALUE`.
pub(super) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines().take_while(|line| !line.trim().is_empty());
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

/// What is known of a subject before anything is planned.
pub struct Release {
    /// Its released files.
    pub artifacts: Vec<Artifact>,
    /// Claims that were checked already.
    pub claims: Vec<Claim>,
    /// Evidence that still has to be judged.
    pub documents: Vec<Document>,
    /// Source files that the registry lists beside them.
    pub sources: Vec<PinnedFile>,
    /// When it was released, if the registry says so.
    pub published: Option<jiff::Timestamp>,
}

/// How people write the names of one ecosystem.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Forms {
    /// What a short name begins with, before a colon.
    pub short: &'static str,
    /// What comes between name and version of a short name.
    pub separator: &'static str,
    /// Qualifiers of a package URL, for people; with the question mark.
    pub qualifiers: &'static str,
}

/// A name that was taken apart, but not checked.
pub(crate) struct Named<'a> {
    /// The whole text, for messages.
    pub text: &'a str,
    /// The namespace of a package URL, unless it is the only one that its ecosystem has.
    pub namespace: Option<String>,
    pub name: String,
    pub version: Option<String>,
    pub qualifiers: BTreeMap<String, String>,
}

impl Named<'_> {
    pub(crate) fn qualifier(&self, key: &str) -> Option<&str> {
        self.qualifiers.get(key).map(String::as_str)
    }

    /// The error that a part of it is not valid.
    pub(crate) fn invalid(&self, what: &'static str, value: &str) -> SubjectError {
        SubjectError::Invalid {
            what,
            value: value.to_owned(),
            text: self.text.to_owned(),
        }
    }

    /// A part of it, if it is valid.
    pub(crate) fn valid(&self, what: &'static str, value: &str, ok: bool) -> Result<String, SubjectError> {
        if ok {
            Ok(value.to_owned())
        } else {
            Err(self.invalid(what, value))
        }
    }

    /// The version, if there is none or it is valid.
    pub(crate) fn version(&self, ok: impl Fn(&str) -> bool) -> Result<Option<String>, SubjectError> {
        let version = self.version.as_deref();
        version
            .map(|version| self.valid("version", version, ok(version)))
            .transpose()
    }
}
