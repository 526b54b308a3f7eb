//! The plan: every input of a rebuild, pinned; saved, diffed, signed and replayed as one JSON document.
//!
//! Written in the canonical form of RFC 8785, so that its digest names it. For each value that the subject's own
//! documents do not declare, it says what the value was inferred from.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod assumption;
mod check;
mod container;
mod jobs;
mod limits;
mod lock;
pub mod places;
mod recipe;
#[cfg(test)]
pub(crate) mod sample;
mod shell;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::artifact::git_source::GitSource;
use crate::artifact::serialise::{self, SerialiseError};
use crate::artifact::{Digests, Ecosystem, PinnedFile, Sha256};
use crate::evidence::Claim;
use crate::evidence::assess::Artifact;
use crate::policy::Decision;

pub(crate) use assumption::assume;
pub use assumption::{Aspect, Assumption, Origin};
pub use container::PinnedContainer;
pub use jobs::{Jobs, SetupJob, Work};
pub use limits::Limits;
pub use lock::{Lock, LockedArchive, LockedPackage, LockedRelease};
#[doc(hidden)]
pub use recipe::READERS;
pub use recipe::{Dependencies, Recipe, RecipeError};
pub use shell::{IMAGE_ENTRYPOINT, INPUTS, OUT, quote, shell_command};

/// Form of the plan document.
pub const VERSION: u32 = 1;
/// Where recipes look for the archive of a source from git, below `/inputs`.
const SOURCE_PLACE: &str = "source.tar";

/// Everything a rebuild needs and assumes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Form of this document; see [`VERSION`].
    pub version: u32,
    /// Package URL of what is rebuilt, version included.
    pub subject: String,
    /// What planned it.
    pub ecosystem: Ecosystem,
    /// What was claimed of the subject and its inputs, and how far it was verified.
    pub claims: Vec<Claim>,
    /// What the policy said of these claims before anything was built.
    #[serde(default)]
    pub policy: Decision,
    /// Released files that the rebuild must give, with the digests that the evidence vouches for.
    pub expected: Vec<Expected>,
    /// Patterns of other file names that the build may leave: released nowhere, or not asked for.
    pub not_compared: Vec<String>,
    /// The root filesystem.
    pub container: PinnedContainer,
    /// Fetched files that the sandbox sees.
    pub inputs: Vec<PinnedInput>,
    /// Sources from git, each as one archive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub git: Vec<PinnedGit>,
    /// Small files that the plan itself carries.
    pub files: Vec<InlineFile>,
    /// Steps whose result may be kept as a layer: they do not see the source.
    pub setup: Phase,
    /// Steps that make the outputs.
    pub build: Phase,
    /// Host name inside.
    pub hostname: String,
    /// File mode creation mask inside.
    pub umask: u32,
    /// Bounds of each phase.
    pub limits: Limits,
    /// Values that shape the outputs, and where each comes from.
    pub assumptions: Vec<Assumption>,
}

/// A released file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Package URL of this file.
    pub purl: String,
    /// The file. Without any URL it is in the store, or only its digest is known.
    pub file: PinnedFile,
}

/// A commit of a git repository, at `/inputs/PLACE` as a tar archive; only the build phase sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedGit {
    /// Path below `/inputs`.
    pub place: String,
    /// Repository and commit; the commit's name is a digest of all that is in it.
    pub source: GitSource,
    /// Whether the archive holds the submodules too.
    pub submodules: bool,
    /// Digest of the archive; `None` if the repository could not be reached when the plan was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<Sha256>,
    /// Paths of files that the archive leaves out, where the repository that was at hand lacks them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
}

impl PinnedGit {
    /// The source of a plan that has one source from git.
    pub(crate) fn source(source: GitSource, submodules: bool, archive: Option<Sha256>) -> Self {
        Self {
            place: SOURCE_PLACE.into(),
            source,
            submodules,
            archive,
            without: Vec::new(),
        }
    }
}

/// What an input is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Source of the subject; only the build phase sees it.
    Source,
    /// A build dependency.
    Dependency,
}

/// A fetched file, at `/inputs/PLACE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedInput {
    /// What it is for.
    pub role: Role,
    /// Package URL, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
    /// Path below `/inputs`.
    pub place: String,
    /// The file.
    pub file: PinnedFile,
}

/// A small text at `/inputs/PLACE`; only the build phase sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InlineFile {
    /// Path below `/inputs`.
    pub place: String,
    /// Its content.
    pub text: String,
}

/// Steps that run one after the other in one sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// The whole environment of each step.
    pub env: BTreeMap<String, String>,
    /// The steps.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What it does, for people.
    pub name: String,
    /// Shell text, run by `sh -eu` as the sandbox's root in `/`.
    pub run: String,
}

/// A plan file that cannot be used.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum PlanFileError {
    #[error("cannot read the plan {path}")]
    Read { path: String, source: std::io::Error },
    #[error("{path} is not a plan: {reason}")]
    #[diagnostic(help("write one with \"rebuilder plan SUBJECT --out plan.json\""))]
    Invalid { path: String, reason: String },
}

/// What a planner has found out about its subject before it says how to build it.
pub(crate) struct Basis<'a> {
    /// What plans it.
    pub ecosystem: Ecosystem,
    /// Package URL, version included.
    pub subject: String,
    /// What was claimed, and how far it was verified.
    pub claims: Vec<Claim>,
    /// What the policy said of these claims.
    pub policy: Decision,
    /// Released files that the rebuild must give.
    pub expected: Vec<Expected>,
    /// The recipe that the plan follows.
    pub recipe: &'a Recipe,
    /// The root filesystem.
    pub container: PinnedContainer,
}

impl Plan {
    /// The plan that follows from a recipe alone: without inputs, and without the subject's values in the build.
    pub(crate) fn of(basis: Basis<'_>) -> Self {
        let recipe = basis.recipe;
        Self {
            version: VERSION,
            subject: basis.subject,
            ecosystem: basis.ecosystem,
            claims: basis.claims,
            policy: basis.policy,
            expected: basis.expected,
            not_compared: recipe.unreleased.clone(),
            container: basis.container,
            inputs: Vec::new(),
            git: Vec::new(),
            files: Vec::new(),
            setup: recipe.setup.with(&[]),
            build: recipe.build.with(&[]),
            hostname: recipe.hostname.clone(),
            umask: 0o022,
            limits: Limits::default(),
            assumptions: Vec::new(),
        }
    }

    /// The subject as people say it: name and version.
    pub fn title(&self) -> String {
        let name = self
            .subject
            .split('?')
            .next()
            .unwrap_or_default()
            .rsplit('/')
            .next()
            .unwrap_or_default();
        name.replace("%2B", "+").replace("%3A", ":").replace('@', " ")
    }

    /// The canonical form (RFC 8785) whose digest names the plan.
    pub fn canonical(&self) -> Result<Vec<u8>, SerialiseError> {
        serialise::canonical("the plan", self)
    }

    /// Digest of the canonical form.
    pub fn digest(&self) -> Result<Sha256, SerialiseError> {
        self.canonical().map(Sha256::of)
    }

    /// Reads a saved plan; nothing in it is trusted before it is checked.
    pub fn read(path: &Path) -> Result<Self, PlanFileError> {
        let name = path.display().to_string();
        let bytes =
            crate::bounded::read(path, crate::bounded::PLAN).map_err(|source| PlanFileError::Read {
                path: name.clone(),
                source,
            })?;
        Self::parse(&bytes).map_err(|reason| PlanFileError::Invalid { path: name, reason })
    }

    /// Reads a plan, and refuses one that no machine can run; the error is the reason.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() as u64 > check::SIZE {
            return Err(format!("it is larger than {} MiB", check::SIZE >> 20));
        }
        let plan: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        check::check(&plan)?;
        Ok(plan)
    }

    /// Checks that the plan has a form that can be run; the error is the reason.
    pub fn check_form(&self) -> Result<(), String> {
        check::check(self)
    }

    /// The released files, as far as the plan knows them: by name and digest.
    pub fn released(&self) -> Vec<Artifact> {
        let expected = self.expected.iter();
        expected
            .map(|expected| Artifact {
                name: expected.file.name.clone(),
                purl: Some(expected.purl.clone()),
                digests: Digests::known(expected.file.sha256),
                path: None,
            })
            .collect()
    }

    /// Every file with a URL that running the plan needs, the container's packages included.
    pub fn materials(&self) -> Vec<PinnedFile> {
        let inputs = self.inputs.iter().map(|input| input.file.clone());
        let released = self.expected.iter().map(|expected| expected.file.clone());
        inputs
            .chain(released.filter(|file| !file.urls.is_empty()))
            .chain(self.container.materials())
            .collect()
    }

    /// Digest of everything that the setup layer depends on.
    pub fn setup_digest(&self) -> Result<Sha256, SerialiseError> {
        let dependencies = self.inputs.iter().filter(|input| input.role == Role::Dependency);
        let inputs: Vec<_> = dependencies
            .map(|input| (&input.place, input.file.sha256))
            .collect();
        let key = (
            self.container.digest(),
            &self.setup,
            inputs,
            self.umask,
            &self.hostname,
        );
        serialise::canonical("the setup of the plan", &key).map(Sha256::of)
    }
}

impl Phase {
    /// All steps as one shell text, with a line in the log before each.
    pub fn script(&self) -> String {
        let mut script = String::new();
        for step in &self.steps {
            let title = quote(&format!("== {} ==", step.name));
            script.push_str(&format!("echo {title}\n(\n{}\n)\n", step.run.trim_end()));
        }
        script
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digest was computed without this code: from the file's text, its keys sorted and its white space removed.
    #[test]
    fn a_saved_plan_keeps_its_digest() {
        let plan = Plan::parse(include_bytes!("saved.json")).unwrap();
        let canonical = serde_jcs::to_vec(&plan).unwrap();
        assert_eq!(
            Sha256::of(canonical).to_string(),
            "f93b41f20d7051aec355df72f22e51219204c8e32104d10f887c2a54ed130a59"
        );
    }
}
