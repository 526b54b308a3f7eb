//! The predicates that this tool writes, as types: what is signed and what is read of it again are one definition.
//!
//! `docs/attestations.md` describes them for others. Members that later versions add are ignored. Every member may be
//! missing where it is read, because earlier versions had fewer; [`OwnPredicate::exactly`] is for readers that compare
//! each claim, and refuses a spelling that this tool would not write.

mod negative;
mod provenance;
mod reproducibility;
mod result;
mod summary;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use negative::{FailedRebuild, OutputDigests, PlanNotes, TestOutcome};
pub(crate) use provenance::{
    Builder, Compared, ComparedBy, ComparedPair, Comparer, DependencyNotes, EquivalenceDefinition, InputRole,
    NamedRecipe, OtherWorker, RebuildContext, RebuildDefinition, RebuildRequest, Root, RunDetails,
    RunMetadata, SlsaProvenance, ToolVersion, TriedPlan, WorkerStated,
};
pub(crate) use reproducibility::Reproducibility;
pub(crate) use result::{
    DifferenceCause, InputDivergence, OutputOutcome, RebuildResult, ResultOutcome, ResultOutput, SetAsideBy,
    StatedValue,
};
pub(crate) use summary::{SignedManifest, Summarised, VerificationResult, VerificationSummary};

use super::log::Anchor;
use crate::artifact::Sha256;
use crate::artifact::serialise::{self, SerialiseError};
use crate::evidence::json::member;
use crate::evidence::statement::{Statement, predicate};

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

    /// Whether every algorithm that both have gives the same, and there is one.
    fn agrees(&self, other: &Self) -> bool {
        let mut common = self
            .0
            .iter()
            .filter_map(|(name, value)| Some((value, other.0.get(name)?)));
        common.clone().next().is_some() && common.all(|(a, b)| a.is_some() && a == b)
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

/// A predicate about a run, as this tool writes it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum OwnPredicate {
    Rebuild(Box<SlsaProvenance<RebuildDefinition>>),
    Equivalence(Box<SlsaProvenance<EquivalenceDefinition>>),
    Failed(Box<FailedRebuild>),
    Result(Box<RebuildResult>),
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
            predicate::TEST_RESULT if TestOutcome::of(value).is_some() => {
                let entries = member(value, ["configuration"]).as_array().into_iter().flatten();
                let mut names = entries.map(|entry| member(entry, ["name"]));
                if names.any(|name| name == PLAN) {
                    Some(Self::Failed(Box::deserialize(value)?))
                } else {
                    None
                }
            }
            predicate::REBUILD => Some(Self::Result(Box::deserialize(value)?)),
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
            Self::Result(own) => serialise::tree("the predicate", own),
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
            Self::Result(own) => own.signing_log(),
        }
    }

    /// How many workers' runs agree, as far as the signer knows.
    pub fn agreeing_workers(&self) -> Option<usize> {
        match self {
            Self::Rebuild(own) => own.build_definition.internal_parameters.agreeing_workers,
            Self::Equivalence(_) | Self::Result(_) => None,
            Self::Failed(own) => own.of_name(PLAN)?.annotations.as_ref()?.agreeing_workers,
        }
    }

    /// `builder.id` of a provenance.
    pub fn builder(&self) -> Option<&str> {
        match self {
            Self::Rebuild(own) => own.run_details.builder.id.as_deref(),
            Self::Equivalence(own) => own.run_details.builder.id.as_deref(),
            Self::Failed(_) => None,
            Self::Result(own) => own.rebuilder.id.as_deref(),
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
