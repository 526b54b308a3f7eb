//! The result of one subject of an audit, as a line of the journal records it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::remembered;
use crate::artifact::Sha256;
use crate::ledger::Spent;
use crate::rebuild::failure;
use crate::rebuild::search::AttemptError;
use crate::run::failure::Failure;
use crate::run::{Cost, Record, Verdict, VerdictName};

/// How one subject ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum SubjectResult {
    /// Reproduced bit for bit.
    Reproduced,
    /// Reproduced except for what these normalisations set aside.
    Equivalent {
        /// Their names.
        normalisations: Vec<String>,
    },
    /// Different bytes were built.
    Mismatch {
        /// The causes, the most important one first.
        causes: Vec<String>,
    },
    /// No build was found that gives the released bytes; something undeclared may be the reason.
    NotReproduced {
        /// The causes, the most important one first.
        causes: Vec<String>,
    },
    /// There was nothing to compare.
    Inconclusive {
        /// The stage that failed.
        stage: String,
        /// What happened there.
        reason: String,
        /// The kind of failure; lines of earlier versions lack it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// The evidence or the policy refused the build.
    Refused {
        /// Why.
        reason: String,
    },
}

impl SubjectResult {
    /// Whether the result says anything about the release.
    pub fn has_verdict(&self) -> bool {
        self.name().is_conclusive()
    }

    /// The verdict's name.
    pub fn name(&self) -> VerdictName {
        match self {
            Self::Reproduced => VerdictName::Reproduced,
            Self::Equivalent { .. } => VerdictName::Equivalent,
            Self::Mismatch { .. } => VerdictName::Mismatch,
            Self::NotReproduced { .. } => VerdictName::NotReproduced,
            Self::Inconclusive { .. } => VerdictName::Inconclusive,
            Self::Refused { .. } => VerdictName::Refused,
        }
    }

    /// The verdict's name in one word.
    pub fn word(&self) -> &'static str {
        self.name().word()
    }

    /// Why the subject is not reproduced, in one word or two; `None` if it is.
    pub fn cause(&self) -> Option<String> {
        match self {
            Self::Reproduced => None,
            Self::Equivalent { normalisations } => Some(normalisations.join(", ")),
            Self::Mismatch { causes } | Self::NotReproduced { causes } => causes.first().cloned(),
            Self::Inconclusive {
                failure: Some(failure),
                ..
            } => Some(failure.title()),
            Self::Inconclusive { stage, .. } => Some(format!("stage {stage}")),
            Self::Refused { .. } => Some("refused".to_owned()),
        }
    }
}

/// One finished subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultLine {
    /// The subject as the list writes it.
    pub subject: String,
    /// Its result.
    #[serde(flatten)]
    pub outcome: SubjectResult,
    /// How many outputs were reproduced bit for bit, and how many there are.
    pub outputs: (usize, usize),
    /// How many plans were tried.
    pub attempts: usize,
    /// The version that was rebuilt; lines of earlier versions lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Digest of the plan; lines of earlier versions lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Sha256>,
    /// Its run folder, relative to the audit's folder; `None` if planning failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Why the run is not signed, if it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_signed: Option<String>,
    /// When the rebuild began.
    pub started: Timestamp,
    /// When the rebuild ended.
    pub finished: Timestamp,
    /// How the time was spent.
    pub spent: Spent,
    /// What it costs to have the result verified; none if there is no run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// What the build produced; known only of rebuilds that this process made.
    #[serde(skip)]
    pub(super) built: Option<Built>,
}

/// What a build produced: the digests of its plan and of each output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Built {
    plan: Sha256,
    outputs: Vec<(String, Option<Sha256>)>,
}

impl Built {
    pub(super) fn of(record: &Record) -> Self {
        let outputs = record.outputs.iter();
        Self {
            plan: record.plan,
            outputs: outputs
                .map(|output| (output.name.clone(), output.rebuilt))
                .collect(),
        }
    }

    /// Whether the same plan gave different bytes.
    pub(super) fn contradicts(&self, other: &Self) -> bool {
        self.plan == other.plan && self.outputs != other.outputs
    }
}

impl ResultLine {
    /// The result in a record.
    pub(super) fn of_record(subject: &str, record: &Record) -> Self {
        let outcome = match &record.verdict {
            Verdict::Reproduced => SubjectResult::Reproduced,
            Verdict::Equivalent => {
                let names = record.comparisons().flat_map(|differs| &differs.normalisations);
                let mut normalisations: Vec<_> = names.map(|applied| applied.name).collect();
                normalisations.sort();
                normalisations.dedup();
                SubjectResult::Equivalent {
                    normalisations: normalisations.iter().map(ToString::to_string).collect(),
                }
            }
            Verdict::Mismatch => SubjectResult::Mismatch {
                causes: causes(record),
            },
            Verdict::NotReproduced => SubjectResult::NotReproduced {
                causes: causes(record),
            },
            Verdict::Inconclusive { stage, reason } => SubjectResult::Inconclusive {
                stage: stage.to_string(),
                reason: reason.clone(),
                failure: record.failure.clone(),
            },
        };
        let reproduced = record.outputs.iter().filter(|output| output.reproduced()).count();
        Self {
            subject: subject.to_owned(),
            outcome,
            outputs: (reproduced, record.outputs.len()),
            attempts: record.attempts.len().max(1),
            version: remembered::version_of(&record.subject),
            plan: Some(record.plan),
            run: None,
            not_signed: None,
            started: record.started,
            finished: record.finished,
            spent: Spent {
                build: record.timings.build,
                setup: record.timings.setup,
                total: record.timings.total,
                ..Spent::default()
            },
            cost: None,
            built: Some(Built::of(record)),
        }
    }

    /// The result of an error that left no run.
    pub(super) fn of_error(subject: &str, error: &AttemptError, started: Timestamp) -> Self {
        let reason = error.to_string();
        let outcome = if error.is_refusal() {
            SubjectResult::Refused { reason }
        } else {
            let stage = match error {
                AttemptError::Plan(_) => "plan",
                _ => "prepare",
            };
            SubjectResult::Inconclusive {
                stage: stage.to_owned(),
                reason,
                failure: Some(failure::of_attempt(error)),
            }
        };
        Self {
            subject: subject.to_owned(),
            outcome,
            outputs: (0, 0),
            attempts: 1,
            version: None,
            plan: None,
            run: None,
            not_signed: None,
            started,
            finished: Timestamp::now(),
            spent: Spent::default(),
            cost: None,
            built: None,
        }
    }
}

/// Why the outputs are not the released ones, in one word each.
fn causes(record: &Record) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    let missing = record.outputs.iter().any(|output| output.rebuilt.is_none());
    let extra = record.outputs.iter().any(|output| output.released.is_none());
    causes.extend(missing.then(|| "output missing".to_owned()));
    causes.extend(extra.then(|| "output not released".to_owned()));
    for cause in record.comparisons().flat_map(|differs| &differs.causes) {
        let cause = cause.cause.name().to_owned();
        if !causes.contains(&cause) {
            causes.push(cause);
        }
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_earlier_versions_are_still_read() {
        let text = r#"{"verdict": "inconclusive", "stage": "build", "reason": "x"}"#;
        let earlier: SubjectResult = serde_json::from_str(text).unwrap();
        assert_eq!(earlier.cause().as_deref(), Some("stage build"));
    }

    #[test]
    fn what_speaks_against_an_archive_is_a_refusal() {
        use crate::apt::AptError;
        use crate::ecosystem::PlanError;
        use crate::evidence::release::ReleaseError;
        let wrong = ReleaseError::WrongSuite {
            suite: "bookworm".into(),
            found: "sid".into(),
        };
        let line = ResultLine::of_error(
            "a",
            &PlanError::Apt(AptError::from(wrong)).into(),
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(line.outcome.word(), "refused");
        let away = PlanError::NotRebuildable {
            subject: "a".into(),
            reason: "b".into(),
            help: "c".into(),
        };
        let line = ResultLine::of_error("a", &away.into(), Timestamp::UNIX_EPOCH);
        assert_eq!(line.outcome.cause().as_deref(), Some("unsupported-package"));
    }
}
