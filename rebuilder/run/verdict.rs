//! What a rebuild concludes, and the only code that concludes it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::OutputResult;
use crate::plan::{Expected, Plan};

/// What a rebuild concludes; that nothing could be compared is one of the answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// Every declared output was reproduced bit for bit, and nothing else was produced.
    Reproduced,
    /// Every declared output was produced and nothing else, and named normalisations set aside all differences.
    Equivalent,
    /// An output differs, is missing, or is not declared.
    Mismatch,
    /// The build produced no outputs to compare, or there was no time to compare them.
    Inconclusive {
        /// Stage that ended it.
        stage: Stage,
        /// What happened there.
        reason: String,
    },
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reproduced => f.write_str("reproduced"),
            Self::Equivalent => f.write_str("equivalent"),
            Self::Mismatch => f.write_str("mismatch"),
            Self::Inconclusive { stage, reason } => write!(f, "inconclusive ({stage}: {reason})"),
        }
    }
}

/// A stage of a run that can end it without a conclusion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The setup steps of the plan.
    Setup,
    /// Its build steps.
    Build,
    /// The comparison of what was built.
    Comparison,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Setup => "setup",
            Self::Build => "build",
            Self::Comparison => "comparison",
        })
    }
}

/// The verdict on some outputs: the only place where one is concluded.
pub(super) fn conclude(plan: &Plan, outputs: &[OutputResult]) -> Verdict {
    let is_there = |expected: &Expected, fits: fn(&OutputResult) -> bool| {
        outputs.iter().any(|output| {
            output.name == expected.file.name && output.released == Some(expected.file.sha256) && fits(output)
        })
    };
    let all = |fits: fn(&OutputResult) -> bool| {
        !plan.expected.is_empty()
            && plan.expected.iter().all(|expected| is_there(expected, fits))
            && outputs.iter().all(fits)
    };
    if all(OutputResult::reproduced) {
        Verdict::Reproduced
    } else if all(|output| output.reproduced() || output.equivalent()) {
        Verdict::Equivalent
    } else if all(|output| output.reproduced() || output.equivalent() || output.stopped()) {
        // The bytes differ; whether that matters was not found out.
        let stopped = outputs.iter().filter(|output| output.stopped());
        let names: Vec<_> = stopped.map(|output| output.name.as_str()).collect();
        Verdict::Inconclusive {
            stage: Stage::Comparison,
            reason: format!("it was stopped, as its time was over: {}", names.join(", ")),
        }
    } else {
        Verdict::Mismatch
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;
    use crate::artifact::Sha256;
    use crate::compare::{self, Limit, LimitHit, Options};

    fn output(name: &str, same: bool, stopped: bool) -> OutputResult {
        let (old, new) = (
            b"released".to_vec(),
            if same {
                b"released".to_vec()
            } else {
                b"rebuilt".to_vec()
            },
        );
        let mut differs = compare::compare_bytes(name, &old, &new, &Options::default());
        if stopped {
            differs.limits.push(LimitHit {
                limit: Limit::Time,
                what: "the time allowed is over".into(),
            });
        }
        OutputResult {
            name: name.to_owned(),
            released: Some(Sha256::of(&old)),
            rebuilt: Some(Sha256::of(&new)),
            sizes: (None, None),
            differs: (!same).then_some(differs),
        }
    }

    /// A comparison that had no time to end proves nothing but that the bytes differ.
    #[test]
    fn a_comparison_that_was_stopped_is_not_a_verdict() {
        let same = |name| output(name, true, false);
        for (second, expected) in [
            (same("b"), "reproduced"),
            (output("b", true, true), "reproduced"),
            (output("b", false, false), "mismatch"),
            (
                output("b", false, true),
                "inconclusive (comparison: it was stopped, as its time was over: b)",
            ),
        ] {
            let outputs = vec![same("a"), second];
            let expected_files: Vec<_> = outputs
                .iter()
                .map(|output| json!({"purl": "pkg:generic/x@1", "file": {"name": output.name, "urls": [], "sha256": output.released, "size": 8}}))
                .collect();
            let plan: Plan = serde_json::from_value(json!({
                "version": 1, "subject": "pkg:generic/x@1", "ecosystem": "provenance", "claims": [],
                "expected": expected_files, "not_compared": [],
                "container": {"image": {"repository": "docker.io/library/debian", "digest": Sha256::of("")}},
                "inputs": [], "files": [], "setup": {"steps": [], "env": {}}, "build": {"steps": [], "env": {}},
                "hostname": "localhost", "umask": 18,
                "limits": {"seconds": 60, "memory": 1, "disk": 1, "pids": 1, "cpus": 1}, "assumptions": []
            }))
            .unwrap();
            assert_eq!(conclude(&plan, &outputs).to_string(), expected);
        }
    }
}
