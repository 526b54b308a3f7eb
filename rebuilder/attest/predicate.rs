//! The predicates that this tool writes, as types: what is signed and what is read of it again are one definition.
//!
//! `docs/attestations.md` describes them for others. Members that later versions add are passed over. Every member may
//! be missing where it is read, because earlier versions had fewer; [`OwnPredicate::exactly`] is for readers that compare
//! each claim, and refuses a spelling that this tool would not write.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::log::Anchor;
use crate::artifact::Sha256;
use crate::artifact::serialise::{self, SerialiseError};
use crate::compare::Applied;
use crate::evidence::json::member;
use crate::evidence::statement::{Statement, predicate};
use crate::plan::Assumption;
use crate::policy::Decision;
use crate::run::{Evidence, OutputResult};

/// `buildType` of our provenance.
pub const BUILD_TYPE: &str = "urn:rebuilder:build-type:rebuild:v1";

/// `buildType` of statements of equivalence; OSS Rebuild's, so that its readers understand ours.
pub const EQUIVALENCE_TYPE: &str = "https://docs.oss-rebuild.dev/builds/ArtifactEquivalence@v0.1";

/// `name` of the plan in the configuration of a negative.
pub(crate) const PLAN: &str = "plan.json";
/// Names of the other files of a run.
pub(crate) const LOG: &str = "build.log";
pub(crate) const REPORT: &str = "report.html";

/// An in-toto statement (v1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct InTotoStatement<P, S = Resource> {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<S>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: P,
}

impl<P: Serialize, S: Serialize> InTotoStatement<P, S> {
    pub fn new(subject: Vec<S>, predicate_type: &str, predicate: P) -> Self {
        Self {
            kind: "https://in-toto.io/Statement/v1".into(),
            subject,
            predicate_type: predicate_type.into(),
            predicate,
        }
    }

    /// The statement as it is signed.
    pub fn tree(&self) -> Result<Value, SerialiseError> {
        serialise::tree("the statement", self)
    }
}

/// Digests by algorithm, in hexadecimal; `None` where the digest is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct DigestSet(BTreeMap<String, Option<String>>);

impl DigestSet {
    pub fn sha256(digest: impl Into<Option<Sha256>>) -> Self {
        Self([("sha256".to_owned(), digest.into().map(Sha256::to_hex))].into())
    }

    /// A commit, and the SHA-256 of the archive of its files.
    pub fn commit(commit: Option<String>, archive: Option<Sha256>) -> Self {
        let mut digests = Self::sha256(archive);
        digests.0.insert("gitCommit".into(), commit);
        digests
    }

    pub fn get_sha256(&self) -> Option<&str> {
        self.0.get("sha256")?.as_deref()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A resource by name or address, and digest (in-toto `ResourceDescriptor`); `A` is what is noted of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resource<A = Value> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    #[serde(default, skip_serializing_if = "DigestSet::is_empty")]
    pub digest: DigestSet,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<A>,
}

/// A pinned input of a rebuild.
pub(crate) type Dependency = Resource<DependencyNotes>;
/// Something that a negative follows from; the plan has notes.
pub(crate) type Configured = Resource<PlanNotes>;

impl<A> Resource<A> {
    pub fn named(name: impl Into<String>, digest: impl Into<Option<Sha256>>) -> Self {
        Self {
            name: Some(name.into()),
            uri: None,
            digest: DigestSet::sha256(digest),
            annotations: None,
        }
    }

    pub fn at(uri: impl Into<String>) -> Self {
        Self {
            name: None,
            uri: Some(uri.into()),
            digest: DigestSet::default(),
            annotations: None,
        }
    }

    #[must_use]
    pub fn with_digest(self, digest: DigestSet) -> Self {
        Self { digest, ..self }
    }

    #[must_use]
    pub fn with_uri(self, uri: Option<String>) -> Self {
        Self { uri, ..self }
    }

    #[must_use]
    pub fn noted(self, annotations: A) -> Self {
        Self {
            annotations: Some(annotations),
            ..self
        }
    }
}

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
    /// Names of the values that it states otherwise; `None` where they are not known.
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

/// The negative of a rebuild, as a test result (v0.1).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct FailedRebuild {
    pub result: TestOutcome,
    pub configuration: Vec<Configured>,
    pub passed_tests: Vec<String>,
    pub failed_tests: Vec<String>,
}

/// The only result that this tool states: a rebuild that reproduced has provenance instead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TestOutcome {
    #[default]
    #[serde(rename = "FAILED")]
    Failed,
}

/// What a negative says of its plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PlanNotes {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Decision>,
    pub finished_on: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreeing_workers: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_log: Option<Anchor>,
    pub outputs: Vec<OutputDigests>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipe: Option<NamedRecipe>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_on: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreement: Option<Vec<OtherWorker>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_stated: Option<WorkerStated>,
}

/// An output, and both its digests as far as there are any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OutputDigests {
    pub name: String,
    pub released: Option<Sha256>,
    pub rebuilt: Option<Sha256>,
}

impl From<&OutputResult> for OutputDigests {
    fn from(output: &OutputResult) -> Self {
        Self {
            name: output.name.clone(),
            released: output.released,
            rebuilt: output.rebuilt,
        }
    }
}

impl FailedRebuild {
    pub fn of_name(&self, name: &str) -> Option<&Configured> {
        let mut entries = self.configuration.iter();
        entries.find(|entry| entry.name.as_deref() == Some(name))
    }
}

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

/// A predicate about a run, as this tool writes it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum OwnPredicate {
    Rebuild(Box<SlsaProvenance<RebuildDefinition>>),
    Equivalence(Box<SlsaProvenance<EquivalenceDefinition>>),
    Failed(Box<FailedRebuild>),
}

impl OwnPredicate {
    /// Reads a statement's predicate; `None` where it is not of a kind that this tool writes.
    pub fn read(statement: &Statement) -> Result<Option<Self>, serde_json::Error> {
        let value = &statement.predicate;
        Ok(match statement.predicate_type.as_str() {
            predicate::SLSA_V1 => match member(value, ["buildDefinition", "buildType"]).as_str() {
                Some(BUILD_TYPE) => Some(Self::Rebuild(Box::deserialize(value)?)),
                Some(EQUIVALENCE_TYPE) => Some(Self::Equivalence(Box::deserialize(value)?)),
                _ => None,
            },
            // Other test results have neither this result nor a plan.
            predicate::TEST_RESULT if value.get("result").is_some_and(|it| it == "FAILED") => {
                let entries = member(value, ["configuration"]).as_array().into_iter().flatten();
                let mut names = entries.map(|entry| member(entry, ["name"]));
                if names.any(|name| name == PLAN) {
                    Some(Self::Failed(Box::deserialize(value)?))
                } else {
                    None
                }
            }
            _ => None,
        })
    }

    /// Reads a statement's predicate, in which everything that is read is spelt as this tool spells it.
    pub fn exactly(statement: &Statement) -> Result<Option<Self>, String> {
        let malformed = |reason: String| format!("it is not in the form that rebuilder writes: {reason}");
        let Some(read) = Self::read(statement).map_err(|error| malformed(error.to_string()))? else {
            return Ok(None);
        };
        let again = match &read {
            Self::Rebuild(own) => serialise::tree("the predicate", own),
            Self::Equivalence(own) => serialise::tree("the predicate", own),
            Self::Failed(own) => serialise::tree("the predicate", own),
        };
        let again = again.map_err(|error| malformed(error.to_string()))?;
        match misspelt(&again, &statement.predicate) {
            Some(place) => Err(malformed(place)),
            None => Ok(Some(read)),
        }
    }

    /// Place of the signature in the signer's log.
    pub fn signing_log(&self) -> Option<Anchor> {
        match self {
            Self::Rebuild(own) => own.build_definition.internal_parameters.signing_log,
            Self::Equivalence(_) => None,
            Self::Failed(own) => own.of_name(PLAN)?.annotations.as_ref()?.signing_log,
        }
    }

    /// How many workers' runs agree, as far as the signer knows.
    pub fn agreeing_workers(&self) -> Option<usize> {
        match self {
            Self::Rebuild(own) => own.build_definition.internal_parameters.agreeing_workers,
            Self::Equivalence(_) => None,
            Self::Failed(own) => own.of_name(PLAN)?.annotations.as_ref()?.agreeing_workers,
        }
    }

    /// `builder.id` of a provenance.
    pub fn builder(&self) -> Option<&str> {
        match self {
            Self::Rebuild(own) => own.run_details.builder.id.as_deref(),
            Self::Equivalence(own) => own.run_details.builder.id.as_deref(),
            Self::Failed(_) => None,
        }
    }
}

/// The first place of what was read that the document has otherwise; `null` and a missing member are one.
fn misspelt(read: &Value, document: &Value) -> Option<String> {
    match (read, document) {
        (Value::Object(members), Value::Object(others)) => members.iter().find_map(|(name, value)| {
            let inner = misspelt(value, others.get(name).unwrap_or(&Value::Null))?;
            Some(if inner.is_empty() {
                name.clone()
            } else {
                format!("{name}.{inner}")
            })
        }),
        (Value::Array(items), Value::Array(others)) if items.len() == others.len() => items
            .iter()
            .zip(others)
            .enumerate()
            .find_map(|(at, (item, other))| {
                let inner = misspelt(item, other)?;
                Some(if inner.is_empty() {
                    at.to_string()
                } else {
                    format!("{at}.{inner}")
                })
            }),
        _ => (read != document).then(String::new),
    }
}
