//! The gate before a build: whose signatures count, and what evidence a subject must have to be worth rebuilding.
//!
//! A policy is a TOML file (`docs/policy.md`). Evidence that speaks against the artifact is refused by every
//! policy, also by the built-in one; only `none` lets it pass, and the plan and the attestation then say so.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod gate;
mod quorum;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
pub use quorum::{Dissent, Independence, Party, Quorum, Revocation};
use serde::{Deserialize, Serialize};

use crate::artifact::{Sha256, pattern};
use crate::evidence::assess::Artifact;
use crate::evidence::custody::{MutableKind, SharedBoundary};
use crate::evidence::trust::{ExpectedIdentity, Trust, TrustError, TrustedKey};

/// Which policy decides.
#[derive(Debug, Clone)]
pub enum Policy {
    /// Nothing is refused.
    None,
    /// Evidence that is there must hold; none need be there.
    BuiltIn,
    /// The user's.
    File(Box<PolicyFile>),
}

/// A policy file, read.
#[derive(Debug, Clone)]
pub struct PolicyFile {
    name: String,
    digest: Sha256,
    keys: Vec<TrustedKey>,
    rules: Vec<Rule>,
    unmatched: Unmatched,
    parties: Vec<Party>,
    quorums: Vec<Quorum>,
    revoked: Vec<Revocation>,
    text: String,
    /// Key files that it names, as they were read.
    files: Vec<(PathBuf, Vec<u8>)>,
}

/// What becomes of subjects that no rule is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Unmatched {
    /// They are refused.
    #[default]
    Refuse,
    /// They are held to the built-in policy.
    Allow,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Document {
    version: u32,
    #[serde(default)]
    unmatched: Unmatched,
    #[serde(default)]
    keys: Vec<KeyEntry>,
    #[serde(default)]
    rules: Vec<Rule>,
    #[serde(default)]
    parties: Vec<Party>,
    #[serde(default)]
    quorums: Vec<Quorum>,
    #[serde(default)]
    revoked: Vec<Revocation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct KeyEntry {
    name: String,
    file: Option<PathBuf>,
    text: Option<String>,
    valid_from: Option<Timestamp>,
    valid_until: Option<Timestamp>,
    revoked: Option<Timestamp>,
    revoked_because: Option<String>,
}

/// What is asked of subjects whose package URL or name fits.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Rule {
    /// Pattern of package URLs or file names.
    subject: String,
    /// Findings that must be verified.
    #[serde(default)]
    require: Vec<Requirement>,
    /// Keys of which one must have signed the release.
    #[serde(default)]
    keys: Vec<String>,
    /// How many of them.
    #[serde(default = "one")]
    threshold: usize,
    /// Identities of which one must have signed each keyless claim.
    #[serde(default)]
    identities: Vec<ExpectedIdentity>,
    /// Identities of which one must have signed the commit or tag, where that was signed without a key.
    #[serde(default)]
    source_identities: Vec<ExpectedIdentity>,
    /// Patterns of builders.
    #[serde(default)]
    builders: Vec<String>,
    /// Patterns of source repositories.
    #[serde(default)]
    sources: Vec<String>,
    /// Kinds of mutable inputs that are refused.
    #[serde(default)]
    refuse_mutable: Vec<MutableKind>,
    /// Oldest evidence that counts.
    maximum_age_days: Option<u32>,
}

fn one() -> usize {
    1
}

/// Evidence that a rule can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Requirement {
    /// A verified release signature.
    Signature,
    /// Verified provenance.
    Provenance,
    /// A verified signature on the commit or the tag.
    SourceSignature,
    /// Evidence of a review.
    Review,
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

/// One thing that a policy asked, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The rule, as it stands in the policy.
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

/// A policy that cannot be used.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[allow(missing_docs)]
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

/// The evidence for {subject} does not satisfy the policy.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{policy} refuses {subject}: {rule}: {finding}")]
#[diagnostic(help(
    "nothing was built; \"rebuilder inspect\" shows all the evidence, and \"--policy none\" rebuilds in spite of it, which the attestation will say"
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

    /// Reads a policy file; key files are found beside it.
    pub fn read(path: &Path) -> Result<Self, PolicyError> {
        let invalid = |reason: String| PolicyError::Invalid {
            path: path.to_owned(),
            reason,
        };
        let text = crate::bounded::read_text(path, crate::bounded::DOCUMENT).map_err(|source| {
            PolicyError::Read {
                path: path.to_owned(),
                source,
            }
        })?;
        let document: Document = toml::from_str(&text).map_err(|error| invalid(error.to_string()))?;
        if document.version != 1 {
            return Err(invalid(format!(
                "it has version {}, and this tool reads version 1",
                document.version
            )));
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut keys: Vec<TrustedKey> = Vec::new();
        let mut files = Vec::new();
        for entry in document.keys {
            if keys.iter().any(|known| known.name == entry.name) {
                return Err(invalid(format!("two keys are called {:?}", entry.name)));
            }
            let mut key = match (&entry.file, &entry.text) {
                (Some(file), None) => {
                    let place = folder.join(file);
                    let bytes = crate::bounded::read(&place, crate::bounded::DOCUMENT).map_err(|source| {
                        TrustError::Read {
                            path: place.clone(),
                            source,
                        }
                    })?;
                    let key = TrustedKey::parse(&place.display().to_string(), &bytes)?;
                    files.push((file.clone(), bytes));
                    key
                }
                (None, Some(text)) => TrustedKey::parse(&entry.name, text.as_bytes())?,
                _ => {
                    return Err(invalid(format!(
                        "the key {:?} needs either a file or a text",
                        entry.name
                    )));
                }
            };
            key.name = entry.name;
            key.valid_from = entry.valid_from;
            key.valid_until = entry.valid_until;
            key.revoked = entry.revoked.map(|since| {
                let why = entry
                    .revoked_because
                    .unwrap_or_else(|| "no reason is given".into());
                (since, why)
            });
            keys.push(key);
        }
        for rule in &document.rules {
            if let Some(unknown) = rule
                .keys
                .iter()
                .find(|name| !keys.iter().any(|key| key.name == **name))
            {
                return Err(invalid(format!(
                    "the rule for {:?} names the key {unknown:?}, which is not there",
                    rule.subject
                )));
            }
            if rule.threshold == 0 || rule.threshold > rule.keys.len().max(1) {
                return Err(invalid(format!(
                    "the rule for {:?} has a threshold that no signature can meet",
                    rule.subject
                )));
            }
        }
        let names: Vec<_> = keys.iter().map(|key| key.name.clone()).collect();
        quorum::check(&document.parties, &document.quorums, &names).map_err(invalid)?;
        Ok(Self::File(Box::new(PolicyFile {
            name: path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            digest: Sha256::of(&text),
            text,
            files,
            keys,
            rules: document.rules,
            unmatched: document.unmatched,
            parties: document.parties,
            quorums: document.quorums,
            revoked: document.revoked,
        })))
    }

    /// The user's file, where that is what decides.
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

    /// The same trust, with everyone whose word counts for a subject with one of these names.
    #[must_use]
    pub fn trusting(&self, mut trust: Trust, names: &[String]) -> Trust {
        trust.keys.extend(self.keys(names));
        trust.policy_identities.extend(self.identities(names));
        trust
    }

    /// Keys that count for several projects: whoever holds one can release them all.
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
                meaning: "one key for several projects: whoever takes it can release all of them".into(),
            })
        });
        shared.collect()
    }
}

impl PolicyFile {
    /// Its file name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Digest of the file.
    pub fn digest(&self) -> Sha256 {
        self.digest
    }

    /// The file as it was read.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The key files that it names, each as it was read, by its path beside the policy.
    pub fn key_files(&self) -> &[(PathBuf, Vec<u8>)] {
        &self.files
    }

    /// Every key that it names.
    pub fn keys(&self) -> &[TrustedKey] {
        &self.keys
    }

    /// Every identity that a rule or a party names.
    pub fn identities(&self) -> Vec<ExpectedIdentity> {
        let rules = self.rules.iter().flat_map(|rule| &rule.identities);
        let parties = self
            .parties
            .iter()
            .filter(|party| party.revoked_because.is_none());
        let parties = parties.flat_map(|party| &party.identities);
        rules.chain(parties).cloned().collect()
    }

    /// The same trust, with every key and identity that it names.
    #[must_use]
    pub fn everyone(&self, trust: Trust) -> Trust {
        let mut trust = trust.with(&self.keys);
        trust.policy_identities.extend(self.identities());
        trust
    }

    /// How many keys count for several projects.
    pub fn shared(&self) -> usize {
        let several = |key: &&TrustedKey| {
            self.rules
                .iter()
                .filter(|rule| rule.keys.contains(&key.name))
                .count()
                > 1
        };
        self.keys.iter().filter(several).count()
    }

    /// How many keys have an end, or were revoked.
    pub fn ending_keys(&self) -> usize {
        let ends = |key: &&TrustedKey| key.valid_until.is_some() || key.revoked.is_some();
        self.keys.iter().filter(ends).count()
    }

    /// Those whose word counts.
    pub fn parties(&self) -> &[Party] {
        &self.parties
    }

    /// Why an attestation with one of these digests no longer counts.
    pub fn revocation(&self, digests: &[Sha256]) -> Option<&str> {
        let found = self.revoked.iter().find(|it| digests.contains(&it.attestation));
        found.map(|it| it.because.as_str())
    }

    /// The first quorum for a subject with one of these names.
    pub fn quorum(&self, names: &[String]) -> Option<&Quorum> {
        self.quorums
            .iter()
            .find(|quorum| names.iter().any(|name| pattern::fits(&quorum.subject, name)))
    }

    /// The first rule for a subject with one of these names.
    fn rule(&self, names: &[String]) -> Option<&Rule> {
        self.rules
            .iter()
            .find(|rule| names.iter().any(|name| pattern::fits(&rule.subject, name)))
    }
}
/// The names under which a policy knows some artifacts: package URLs before file names.
pub fn names(artifacts: &[Artifact]) -> Vec<String> {
    let purls = artifacts.iter().filter_map(|artifact| artifact.purl.clone());
    purls
        .chain(artifacts.iter().map(|artifact| artifact.name.clone()))
        .collect()
}
