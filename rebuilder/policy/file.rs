//! A policy file: reading, consistency checks, and queries.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;

use super::build::VersionPrefix;
use super::layout::LayoutRule;
use super::quorum::{self, Party, Quorum, Revocation};
use super::sources::{self, StatementSource};
use super::{Policy, PolicyError};
use crate::artifact::{Sha256, pattern};
use crate::evidence::custody::MutableKind;
use crate::evidence::trust::{ExpectedIdentity, Trust, TrustError, TrustedKey};
use crate::reader::{Reader, as_file};

/// A policy file, read.
#[derive(Debug, Clone)]
pub struct PolicyFile {
    pub(super) name: String,
    pub(super) digest: Sha256,
    pub(super) keys: Vec<TrustedKey>,
    pub(super) rules: Vec<Rule>,
    pub(super) unmatched: Unmatched,
    pub(super) parties: Vec<Party>,
    pub(super) quorums: Vec<Quorum>,
    pub(super) revoked: Vec<Revocation>,
    pub(super) discover: Vec<StatementSource>,
    pub(super) text: String,
    /// Key files that it names, as they were read.
    pub(super) files: Vec<(PathBuf, Vec<u8>)>,
}

/// The decision about subjects without a rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Unmatched {
    /// They are refused.
    #[default]
    Refuse,
    /// The built-in policy decides about them.
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
    #[serde(default)]
    discover: Vec<StatementSource>,
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

/// The requirements on subjects whose package URL or name matches.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Rule {
    /// Pattern of package URLs or file names.
    pub(super) subject: String,
    /// Findings that must be verified.
    #[serde(default)]
    pub(super) require: Vec<Requirement>,
    /// Keys of which one must have signed the release.
    #[serde(default)]
    pub(super) keys: Vec<String>,
    /// How many of them.
    #[serde(default = "one")]
    pub(super) threshold: usize,
    /// Identities of which one must have signed each keyless claim.
    #[serde(default)]
    pub(super) identities: Vec<ExpectedIdentity>,
    /// Identities of which one must have signed the commit or tag, if that was signed without a key.
    #[serde(default)]
    pub(super) source_identities: Vec<ExpectedIdentity>,
    /// Patterns of builders.
    #[serde(default)]
    pub(super) builders: Vec<String>,
    /// Patterns of source repositories.
    #[serde(default)]
    pub(super) sources: Vec<String>,
    /// Builders, with their version or without.
    #[serde(default)]
    pub(super) builder_ids: Vec<String>,
    /// Patterns of branches that it was built from.
    #[serde(default)]
    pub(super) source_branches: Vec<String>,
    /// Patterns of tags that it was built from.
    #[serde(default)]
    pub(super) source_tags: Vec<String>,
    /// Versions of such tags.
    #[serde(default)]
    pub(super) source_versioned_tags: Vec<VersionPrefix>,
    /// Inputs that its workflow was run with.
    #[serde(default)]
    pub(super) workflow_inputs: BTreeMap<String, String>,
    /// The in-toto layout that its links must follow.
    pub(super) layout: Option<LayoutRule>,
    /// Kinds of mutable inputs that are refused.
    #[serde(default)]
    pub(super) refuse_mutable: Vec<MutableKind>,
    /// Maximum age of evidence.
    pub(super) maximum_age_days: Option<u32>,
}

fn read_key(path: &Path) -> Result<(TrustedKey, Vec<u8>), TrustError> {
    let bytes = crate::bounded::read(path, crate::bounded::DOCUMENT).map_err(|source| TrustError::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok((TrustedKey::parse(&path.display().to_string(), &bytes)?, bytes))
}

/// A file of keys, as the policy names it, and its bytes.
type KeyFile = (PathBuf, Vec<u8>);

impl KeyEntry {
    /// The key, and the file that it is from, if it is from one.
    fn read(
        &self,
        folder: &Path,
        invalid: impl Fn(String) -> PolicyError,
    ) -> Result<(TrustedKey, Option<KeyFile>), PolicyError> {
        match (&self.file, &self.text) {
            (Some(file), None) => {
                let (key, bytes) = read_key(&folder.join(file))?;
                Ok((key, Some((file.clone(), bytes))))
            }
            (None, Some(text)) => Ok((TrustedKey::parse(&self.name, text.as_bytes())?, None)),
            _ => Err(invalid(format!(
                "the key {:?} needs either a file or a text",
                self.name
            ))),
        }
    }

    /// The key that it names, under its name and for its time.
    fn of(self, key: TrustedKey) -> TrustedKey {
        let because = self.revoked_because;
        TrustedKey {
            valid_from: self.valid_from,
            valid_until: self.valid_until,
            revoked: self
                .revoked
                .map(|since| (since, because.unwrap_or_else(|| "no reason is given".into()))),
            ..key.named(self.name)
        }
    }
}

impl Rule {
    /// Why it is invalid, if it is.
    fn check(&self, keys: &[TrustedKey]) -> Result<(), String> {
        let known = |name: &&String| keys.iter().any(|key| key.name == **name);
        if let Some(unknown) = self.keys.iter().find(|name| !known(name)) {
            return Err(format!(
                "the rule for {:?} names the key {unknown:?}, which is not in the file",
                self.subject
            ));
        }
        if self.threshold == 0 || self.threshold > self.keys.len().max(1) {
            return Err(format!(
                "the rule for {:?} has a threshold that its keys cannot meet",
                self.subject
            ));
        }
        Ok(())
    }
}

fn one() -> usize {
    1
}

/// Evidence that a rule can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Requirement {
    /// A verified release signature.
    Signature,
    /// Verified provenance.
    Provenance,
    /// A verified signature on the commit or the tag.
    SourceSignature,
    /// Evidence of a review.
    Review,
}

impl Policy {
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
        let mut document: Document = toml::from_str(&text).map_err(|error| invalid(error.to_string()))?;
        if document.version != 1 {
            return Err(invalid(format!(
                "version {} is not supported, only version 1",
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
            let (key, file) = entry.read(folder, invalid)?;
            files.extend(file);
            keys.push(entry.of(key));
        }
        for rule in &mut document.rules {
            rule.check(&keys).map_err(invalid)?;
            if let Some(layout) = &mut rule.layout {
                files.push(layout.read(folder, &keys).map_err(invalid)?);
            }
        }
        sources::check(&mut document.discover, folder).map_err(invalid)?;
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
            discover: document.discover,
        })))
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

    /// The trusted parties.
    pub fn parties(&self) -> &[Party] {
        &self.parties
    }

    /// The sources of statements about released files.
    pub fn sources(&self) -> &[StatementSource] {
        &self.discover
    }

    /// Why an attestation with one of these digests was withdrawn.
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
    pub(super) fn rule(&self, names: &[String]) -> Option<&Rule> {
        self.rules
            .iter()
            .find(|rule| names.iter().any(|name| pattern::fits(&rule.subject, name)))
    }
}

/// For fuzzing.
pub const READERS: &[Reader] = &[("policy", |bytes| as_file(bytes, |path| drop(Policy::read(path))))];
