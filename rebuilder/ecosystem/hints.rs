//! Values that no document of a release declares: named by the user, taken from another rebuilder's definition, or
//! chosen because an earlier plan gave other bytes.
//!
//! Hints steer planners and nothing else. Each ends up in the plan as an assumption with its origin, so a reader of
//! the attestation sees what was guessed, and from what.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::artifact::git_source::GitSource;
use crate::plan::{Origin, Plan};
use crate::run::{Record, Verdict};

/// One value, and who says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    /// The value.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

impl Hint {
    fn new(value: &str, origin: Origin) -> Self {
        Self {
            value: value.to_owned(),
            origin,
        }
    }
}

/// Where the source is taken from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceHint {
    /// The repository and commit; none means the one that the release's own metadata leads to.
    pub git: Option<GitSource>,
    /// Folder of the package below the repository's top.
    pub folder: Option<String>,
    /// Who says so.
    pub origin: Origin,
}

/// Everything that steers a planner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hints {
    /// Versions of build tools. npm: `node`, `npm`; crates: `cargo`; wheels: names of projects on PyPI, with a version
    /// or a specifier of PEP 440.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tools: BTreeMap<String, Hint>,
    /// How the build runs. Debian: `user` (`root`, or a name for an ordinary user with a terminal), `tests` (`yes`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, Hint>,
    /// A git repository instead of the archive that was released beside the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceHint>,
}

impl Hints {
    /// The same, with another version of one tool.
    #[must_use]
    pub fn with_tool(&self, name: &str, version: &str, origin: Origin) -> Self {
        let mut changed = self.clone();
        changed.tools.insert(name.to_owned(), Hint::new(version, origin));
        changed
    }

    /// The same, with another value of one setting.
    #[must_use]
    pub fn with_setting(&self, name: &str, value: &str, origin: Origin) -> Self {
        let mut changed = self.clone();
        changed.settings.insert(name.to_owned(), Hint::new(value, origin));
        changed
    }

    /// The commit to build from, and who says so, where one is named.
    pub fn commit(&self) -> Option<(GitSource, Origin)> {
        let hint = self.source.as_ref()?;
        let git = hint.git.clone().filter(|git| git.commit.is_some())?;
        Some((git, hint.origin.clone()))
    }

    /// The folder of the package in its repository, where one is named.
    pub fn folder(&self) -> Option<&str> {
        self.source.as_ref()?.folder.as_deref()
    }

    /// The value of a setting, where there is one.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(|hint| hint.value.as_str())
    }

    /// The same, with the source from the repository that the release's metadata leads to.
    #[must_use]
    pub fn with_git(&self, origin: Origin) -> Self {
        Self {
            source: Some(SourceHint {
                git: None,
                folder: None,
                origin,
            }),
            ..self.clone()
        }
    }
}

/// How an attempt ended that did not reproduce the release.
pub enum Ended<'a> {
    /// It was built and compared, or the build failed.
    Built(&'a Plan, &'a Record),
    /// No plan came of it, for this reason.
    Unplanned(&'a str),
}

impl Ended<'_> {
    /// What speaks against the plan, in a few words.
    pub fn reason(&self) -> String {
        match self {
            Self::Unplanned(reason) => (*reason).to_owned(),
            Self::Built(_, record) => {
                if let Verdict::Inconclusive { stage, .. } = &record.verdict {
                    return format!("the {stage} failed");
                }
                let differing = record.outputs.iter().filter_map(|output| output.differs.as_ref());
                let causes = differing.flat_map(|it| &it.causes);
                let mut words: Vec<_> = causes.map(|cause| cause.cause.name()).collect();
                words.dedup();
                format!("what differs is {}", words.join(", "))
            }
        }
    }
}

/// A further plan that is worth a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// What to plan with.
    pub hints: Hints,
    /// What is tried, and what in the comparison speaks for it.
    pub because: String,
}
