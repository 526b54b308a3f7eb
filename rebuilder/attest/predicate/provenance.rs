//! SLSA provenance: what was rebuilt from what, and which files are equivalent.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Dependency, DigestSet, Resource};
use crate::artifact::Sha256;
use crate::attest::log::Anchor;
use crate::compare::Applied;
use crate::plan::Assumption;
use crate::policy::Decision;
use crate::run::Evidence;

/// SLSA provenance (v1) with our definition of a build.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct SlsaProvenance<D> {
    pub build_definition: D,
    pub run_details: RunDetails,
}

/// What was rebuilt, from what.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct RebuildDefinition {
    pub build_type: String,
    pub external_parameters: RebuildRequest,
    pub internal_parameters: RebuildContext,
    pub resolved_dependencies: Vec<Dependency>,
}

/// What was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RebuildRequest {
    /// Package URL.
    pub subject: String,
    /// Names of the released files.
    pub outputs: Vec<String>,
}

/// What followed from the request. Where another user ran the build, `workerStated` has what only that user states.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct RebuildContext {
    pub plan: DigestSet,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Decision>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipe: Option<NamedRecipe>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Root>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assumptions: Option<Vec<Assumption>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<Vec<TriedPlan>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_enforced: Option<Vec<String>>,
    /// The machine; `null` where the signer does not tell it.
    pub host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_on: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreeing_workers: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreement: Option<Vec<OtherWorker>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_log: Option<Anchor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_stated: Option<WorkerStated>,
}

/// A recipe of the signer's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NamedRecipe {
    pub name: String,
    pub sha256: Sha256,
}

/// The root that the build ran in: a tree of packages, or an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Root {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<DigestSet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub named_by: Option<String>,
}

/// One of the plans that were tried, this one included.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct TriedPlan {
    pub plan: Option<Sha256>,
    pub because: Option<String>,
    pub ended: String,
    pub chosen: bool,
}

/// Another worker with this outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OtherWorker {
    pub plan: Sha256,
    /// Names of the values that it states otherwise; `None` if they are not known.
    pub differing: Option<Vec<String>>,
}

/// What only the worker states.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WorkerStated {
    pub backend: String,
    pub not_enforced: Vec<String>,
    pub rebuilder: String,
    pub started_on: Timestamp,
    pub finished_on: Timestamp,
    pub assumptions: Vec<Assumption>,
    pub attempts: Vec<TriedPlan>,
    pub values: BTreeMap<String, String>,
    /// Places of the inputs that only the worker names.
    pub inputs: Vec<String>,
}

/// What a pinned input is for, and who names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DependencyNotes {
    pub role: InputRole,
    /// Something that the signer verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stated_by: Option<String>,
    /// Of what the SHA-256 of a commit is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submodules: Option<bool>,
}

impl From<InputRole> for DependencyNotes {
    fn from(role: InputRole) -> Self {
        Self {
            role,
            named_by: None,
            stated_by: None,
            sha256: None,
            submodules: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum InputRole {
    Source,
    Dependency,
    Container,
    /// A text that the plan itself has.
    Text,
}

/// Who built, when, and what the build left besides its outputs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RunDetails {
    pub builder: Builder,
    pub metadata: RunMetadata,
    pub byproducts: Vec<Resource>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Builder {
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<ToolVersion>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ToolVersion {
    pub rebuilder: Option<String>,
}

impl ToolVersion {
    pub fn of(version: &str) -> Self {
        Self {
            rebuilder: Some(version.to_owned()),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct RunMetadata {
    pub invocation_id: Option<String>,
    pub started_on: Option<Timestamp>,
    pub finished_on: Option<Timestamp>,
}

/// Which rebuilt file was compared with which released one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct EquivalenceDefinition {
    pub build_type: String,
    pub external_parameters: Compared,
    pub internal_parameters: ComparedBy,
    pub resolved_dependencies: Vec<Resource>,
}

/// What was compared: one pair in OSS Rebuild's form, or several in ours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Compared {
    Several { outputs: Vec<ComparedPair> },
    One(ComparedPair),
}

impl Compared {
    pub fn of(mut pairs: Vec<ComparedPair>) -> Self {
        match pairs.pop() {
            Some(only) if pairs.is_empty() => Self::One(only),
            last => {
                pairs.extend(last);
                Self::Several { outputs: pairs }
            }
        }
    }

    pub fn pairs(&self) -> &[ComparedPair] {
        match self {
            Self::Several { outputs } => outputs,
            Self::One(pair) => std::slice::from_ref(pair),
        }
    }
}

impl Default for Compared {
    fn default() -> Self {
        Self::of(Vec::new())
    }
}

/// A rebuilt file and a released one, by the names that the resolved dependencies have for them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ComparedPair {
    pub candidate: String,
    pub target: String,
    /// What was set aside.
    pub normalisations: Option<Vec<Applied>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ComparedBy {
    pub comparison: Comparer,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Comparer {
    pub name: String,
    pub version: String,
}
