//! The result of a rebuild, whatever it is, in one predicate; `docs/rebuild-predicate.md` proposes it to others.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Builder, Dependency, DigestSet, Resource, RunMetadata};
use crate::attest::log::Anchor;
use crate::plan::{Assumption, Origin};
use crate::run::Verdict;

/// Name of the extension with the place of the signature in the signer's log.
const SIGNING_LOG: &str = "urn:rebuilder:signing-log";

/// The result of a rebuild (v0.1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RebuildResult {
    /// Who rebuilt, and with what.
    pub rebuilder: Builder,
    pub outcome: ResultOutcome,
    /// Every output, declared or not.
    pub outputs: Vec<ResultOutput>,
    /// What was followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Resource>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Dependency>,
    /// Values that shape the outputs and are pinned by no input.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assumptions: Vec<StatedValue>,
    /// Other builds of the same subject, and in what their inputs differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input_divergence: Vec<InputDivergence>,
    /// What ended a rebuild without anything to compare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    #[serde(default)]
    pub metadata: RunMetadata,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub byproducts: Vec<Resource>,
    /// Members that the signer repeats after whoever ran the build.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unverified: Vec<String>,
    /// What the predicate has no member for, by URI.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extensions: BTreeMap<String, Value>,
}

/// How a rebuild ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ResultOutcome {
    /// Every subject was reproduced bit for bit, and nothing else came out.
    Reproduced,
    /// The same, but for what named normalisations set aside.
    Equivalent,
    /// Other bytes, and nothing that was assumed can be the reason.
    Mismatch,
    /// No build was found that produces these bytes; evidence neither for nor against them.
    NotReproduced,
    /// Nothing could be compared.
    Inconclusive,
}

impl ResultOutcome {
    pub fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Reproduced => Self::Reproduced,
            Verdict::Equivalent => Self::Equivalent,
            Verdict::Mismatch => Self::Mismatch,
            Verdict::NotReproduced => Self::NotReproduced,
            Verdict::Inconclusive { .. } => Self::Inconclusive,
        }
    }
}

/// One output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ResultOutput {
    pub name: String,
    pub outcome: OutputOutcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<DigestSet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuilt: Option<DigestSet>,
    /// What was set aside, for an equivalent output.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_aside: Vec<SetAsideBy>,
    /// Why it differs, as far as that was found out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<DifferenceCause>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum OutputOutcome {
    Reproduced,
    Equivalent,
    Different,
    /// It was released, and did not come out.
    Missing,
    /// It came out, and was never released.
    Extra,
}

/// A normalisation, and how many places it sets aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SetAsideBy {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub places: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DifferenceCause {
    pub name: String,
    /// How sure that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<String>,
}

/// A value, where it is from, and what that rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StatedValue {
    pub name: String,
    pub value: String,
    pub origin: StatedOrigin,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum StatedOrigin {
    Declared,
    Inferred,
    Convention,
    Tried,
}

impl From<&Assumption> for StatedValue {
    fn from(assumption: &Assumption) -> Self {
        let (origin, basis) = match &assumption.origin {
            Origin::Declared(by) => (StatedOrigin::Declared, by),
            Origin::Inferred(from) => (StatedOrigin::Inferred, from),
            Origin::Convention(whose) => (StatedOrigin::Convention, whose),
            Origin::Tried(why) => (StatedOrigin::Tried, why),
        };
        Self {
            name: assumption.what.clone(),
            value: assumption.value.clone(),
            origin,
            basis: Some(basis.clone()),
        }
    }
}

/// Why nothing could be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub stage: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Another build, and the names of the inputs and values in which it differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InputDivergence {
    pub with: Resource,
    /// `None` if it is not known in what.
    pub differing: Option<Vec<String>>,
}

impl RebuildResult {
    pub fn signing_log(&self) -> Option<Anchor> {
        Anchor::deserialize(self.extensions.get(SIGNING_LOG)?).ok()
    }

    pub fn log_extension(anchor: Anchor) -> Result<(String, Value), serde_json::Error> {
        Ok((SIGNING_LOG.to_owned(), serde_json::to_value(anchor)?))
    }

    /// The first way in which the result contradicts itself; `None` if it does not.
    pub fn contradiction(&self) -> Option<String> {
        let wrong = |output: &ResultOutput| {
            let (released, rebuilt) = (output.released.as_ref(), output.rebuilt.as_ref());
            let same = matches!((released, rebuilt), (Some(a), Some(b)) if a.agrees(b));
            let right = match output.outcome {
                OutputOutcome::Reproduced => same && output.set_aside.is_empty(),
                OutputOutcome::Equivalent => {
                    released.is_some() && rebuilt.is_some() && !same && !output.set_aside.is_empty()
                }
                OutputOutcome::Different => released.is_some() && rebuilt.is_some() && !same,
                OutputOutcome::Missing => released.is_some() && rebuilt.is_none(),
                OutputOutcome::Extra => released.is_none() && rebuilt.is_some(),
            };
            (!right).then(|| format!("{} is not {:?}, by its digests", output.name, output.outcome))
        };
        if let Some(wrong) = self.outputs.iter().find_map(wrong) {
            return Some(wrong);
        }
        let all = |fits: fn(OutputOutcome) -> bool| self.outputs.iter().all(|output| fits(output.outcome));
        let close = |it| matches!(it, OutputOutcome::Reproduced | OutputOutcome::Equivalent);
        let fits = match self.outcome {
            ResultOutcome::Reproduced => {
                !self.outputs.is_empty() && all(|it| it == OutputOutcome::Reproduced)
            }
            ResultOutcome::Equivalent => all(close) && !all(|it| it == OutputOutcome::Reproduced),
            ResultOutcome::Mismatch | ResultOutcome::NotReproduced => !all(close),
            ResultOutcome::Inconclusive => self.failure.is_some(),
        };
        (!fits).then(|| format!("its outputs are not {:?} together", self.outcome))
    }
}
