//! What a user requires: before a build, whose signatures count and what evidence a subject must have to be worth
//! rebuilding (`gate`); after it, how many parties must agree, and how independent they must be (`quorum`).
//!
//! A policy is a TOML file (`docs/policy.md`). Evidence that speaks against the artifact is refused by every
//! policy, also by the built-in one; only `none` lets it pass, and the plan and the attestation then say so.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod build;
mod file;
mod gate;
mod layout;
mod quorum;
mod sources;

use std::path::{Path, PathBuf};

pub use file::PolicyFile;
#[doc(hidden)]
pub use file::READERS;
pub use quorum::{Aspect, Dissent, Independence, Party, Quorum, Revocation};
use serde::{Deserialize, Serialize};
pub use sources::{SourceKind, StatementSource};

use crate::artifact::Sha256;
use crate::evidence::assess::Artifact;
use crate::evidence::custody::SharedBoundary;
use crate::evidence::trust::{ExpectedIdentity, Trust, TrustError, TrustedKey};

/// Which policy decides.
#[derive(Debug, Clone)]
pub enum Policy {
    /// Nothing is refused.
    None,
    /// Existing evidence must be valid; none is required.
    BuiltIn,
    /// The user's.
    File(Box<PolicyFile>),
}

/// What a policy says about one subject.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// The policy: its file, `built-in` or `none`.
    pub policy: String,
    /// Digest of the policy file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Sha256>,
    /// What was checked.
    #[serde(default)]
    pub checks: Vec<Check>,
}

/// One requirement of a policy, and the finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The rule, as the policy states it.
    pub rule: String,
    /// Whether it is kept.
    pub kept: bool,
    /// What was found.
    pub finding: String,
}

impl Decision {
    /// The first rule that is broken.
    pub fn refusal(&self) -> Option<&Check> {
        self.checks.iter().find(|check| !check.kept)
    }
}

/// A policy file that cannot be used.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum PolicyError {
    #[error("cannot read the policy {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} is not a policy: {reason}")]
    #[diagnostic(help("docs/policy.md describes the file; examples/policy.toml is one"))]
    Invalid { path: PathBuf, reason: String },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Key(#[from] TrustError),
}

/// A subject whose evidence does not satisfy the policy.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{policy} refuses {subject}: {rule}: {finding}")]
#[diagnostic(help(
    "nothing was built; \"rebuilder inspect\" shows all the evidence, and \"--policy none\" rebuilds \
    anyway, which the attestation records"
))]
pub struct Refusal {
    /// Subject.
    pub subject: String,
    /// Policy.
    pub policy: String,
    /// Rule that is broken.
    pub rule: String,
    /// What was found.
    pub finding: String,
}

impl Policy {
    /// The policy that an option names: a file, or `none`.
    pub fn named(option: Option<&str>) -> Result<Self, PolicyError> {
        match option {
            None => Ok(Self::BuiltIn),
            Some("none") => Ok(Self::None),
            Some(path) => Self::read(Path::new(path)),
        }
    }

    /// The user's file, if it is what decides.
    pub fn file(&self) -> Option<&PolicyFile> {
        match self {
            Self::File(file) => Some(file),
            Self::None | Self::BuiltIn => None,
        }
    }

    /// Keys that count for a subject with one of these names.
    pub fn keys(&self, names: &[String]) -> Vec<TrustedKey> {
        let Self::File(file) = self else {
            return Vec::new();
        };
        match file.rule(names) {
            // A rule that names keys takes those alone.
            Some(rule) if !rule.keys.is_empty() => {
                let named = file.keys.iter().filter(|key| rule.keys.contains(&key.name));
                named.cloned().collect()
            }
            _ => file.keys.clone(),
        }
    }

    /// Identities that count for a subject with one of these names.
    fn identities(&self, names: &[String]) -> Vec<ExpectedIdentity> {
        let rule = self.file().and_then(|file| file.rule(names));
        rule.map_or_else(Vec::new, |rule| rule.identities.clone())
    }

    /// The same trust, with every party that is trusted for a subject with one of these names.
    #[must_use]
    pub fn trusting(&self, mut trust: Trust, names: &[String]) -> Trust {
        trust.keys.extend(self.keys(names));
        trust.policy_identities.extend(self.identities(names));
        trust
    }

    /// Keys that are trusted for several projects: anyone who controls one can release them all.
    pub fn shared_keys(&self) -> Vec<SharedBoundary> {
        let Self::File(file) = self else {
            return Vec::new();
        };
        let shared = file.keys.iter().filter_map(|key| {
            let projects: Vec<_> = file
                .rules
                .iter()
                .filter(|rule| rule.keys.contains(&key.name))
                .map(|rule| format!("signs {}", rule.subject))
                .collect();
            (projects.len() > 1).then(|| SharedBoundary {
                party: key.name.clone(),
                roles: projects,
                meaning: "one key for several projects: anyone who steals it can release all of them".into(),
            })
        });
        shared.collect()
    }
}

/// The names under which a policy knows some artifacts: package URLs before file names.
pub fn names(artifacts: &[Artifact]) -> Vec<String> {
    let purls = artifacts.iter().filter_map(|artifact| artifact.purl.clone());
    purls
        .chain(artifacts.iter().map(|artifact| artifact.name.clone()))
        .collect()
}
