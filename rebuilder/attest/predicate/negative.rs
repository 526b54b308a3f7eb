//! The statement that a rebuild did not reproduce what was released.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Configured, NamedRecipe, OtherWorker, WorkerStated};
use crate::artifact::Sha256;
use crate::attest::log::Anchor;
use crate::plan::Assumption;
use crate::policy::Decision;
use crate::run::{Evidence, OutputResult};

/// The negative of a rebuild, as a test result (v0.1).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct FailedRebuild {
    pub result: TestOutcome,
    pub configuration: Vec<Configured>,
    pub passed_tests: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warned_tests: Vec<String>,
    pub failed_tests: Vec<String>,
}

/// The results that this tool states: a rebuild that reproduced has provenance instead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum TestOutcome {
    /// Other bytes came of declared inputs.
    #[default]
    Failed,
    /// No build was found that produces the released bytes; that speaks neither for nor against them.
    Warned,
}

impl TestOutcome {
    /// The result in a test-result predicate, if it is one of these.
    pub fn of(predicate: &serde_json::Value) -> Option<Self> {
        Self::deserialize(predicate.get("result")?).ok()
    }
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
    /// What was assumed and may be the reason; where no build was found only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assumptions: Option<Vec<Assumption>>,
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
