//! What a verifier concludes, and what a signature over an evidence bundle says.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Builder, DigestSet, Resource};

/// A SLSA verification summary (v1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VerificationSummary {
    pub verifier: Builder,
    pub time_verified: Timestamp,
    pub resource_uri: String,
    pub policy: Resource,
    pub input_attestations: Vec<Resource>,
    pub verification_result: VerificationResult,
    pub verified_levels: Vec<String>,
    /// How many dependencies are at each level; missing where nothing is claimed about them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependency_levels: Option<BTreeMap<String, u64>>,
    pub slsa_version: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum VerificationResult {
    Passed,
    Failed,
}

/// What a summary is about; its address is `null` where the file has no package URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summarised {
    pub name: String,
    pub uri: Option<String>,
    pub digest: DigestSet,
}

/// What a signature over the manifest of an evidence bundle says that the bundle is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignedManifest {
    /// Package URL.
    pub subject: String,
    pub run: String,
    pub verdict: String,
}
