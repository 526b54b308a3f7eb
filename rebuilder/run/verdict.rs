//! What a rebuild concludes, and the only code that concludes it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::OutputResult;
use crate::compare::{Cause, Confidence};
use crate::plan::{Aspect, Assumption, Expected, Plan};

/// What a rebuild concludes; that nothing could be compared is one of the answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// Every declared output was reproduced bit for bit, and nothing else was produced.
    Reproduced,
    /// Every declared output was produced and nothing else, and named normalisations set aside all differences.
    Equivalent,
    /// An output differs, is missing, or is not declared, and nothing that was assumed can explain that: the inputs that
    /// decide it were declared.
    Mismatch,
    /// No build was found that produces these bytes. An undeclared input may be the reason, so this is evidence neither
    /// for nor against the release.
    NotReproduced,
    /// The build produced no outputs to compare, or there was no time to compare them.
    Inconclusive {
        /// Stage that ended it.
        stage: Stage,
        /// What happened there.
        reason: String,
    },
}

/// The name of a verdict, without what belongs to it; or that of a package which was refused before it was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictName {
    /// That of [`Verdict::Reproduced`].
    Reproduced,
    /// That of [`Verdict::Equivalent`].
    Equivalent,
    /// That of [`Verdict::Mismatch`].
    Mismatch,
    /// That of [`Verdict::NotReproduced`].
    NotReproduced,
    /// That of [`Verdict::Inconclusive`].
    Inconclusive,
    /// The evidence or the policy refused the build, so there is no verdict of a run.
    Refused,
}

impl VerdictName {
    /// All names.
    pub const ALL: [Self; 6] = [
        Self::Reproduced,
        Self::Equivalent,
        Self::Mismatch,
        Self::NotReproduced,
        Self::Inconclusive,
        Self::Refused,
    ];

    /// The name in one word, as attestations say it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reproduced => "reproduced",
            Self::Equivalent => "equivalent",
            Self::Mismatch => "mismatch",
            Self::NotReproduced => "not-reproduced",
            Self::Inconclusive => "inconclusive",
            Self::Refused => "refused",
        }
    }

    /// The name that this word is.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.word() == word)
    }

    /// Whether anything is concluded.
    pub fn is_conclusive(self) -> bool {
        self != Self::Inconclusive
    }

    /// Whether the result is good enough.
    pub fn is_good(self, allow_equivalent: bool) -> bool {
        self == Self::Reproduced || (allow_equivalent && self == Self::Equivalent)
    }

    /// Whether different bytes were built, no build was found, or the evidence or the policy refused the build.
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Mismatch | Self::NotReproduced | Self::Refused)
    }
}

impl fmt::Display for VerdictName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl Verdict {
    /// The verdict's name.
    pub fn name(&self) -> VerdictName {
        match self {
            Self::Reproduced => VerdictName::Reproduced,
            Self::Equivalent => VerdictName::Equivalent,
            Self::Mismatch => VerdictName::Mismatch,
            Self::NotReproduced => VerdictName::NotReproduced,
            Self::Inconclusive { .. } => VerdictName::Inconclusive,
        }
    }

    /// The verdict in one word, as attestations say it.
    pub fn word(&self) -> &'static str {
        self.name().word()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self {
            Self::Inconclusive { stage, reason } => write!(f, " ({stage}: {reason})"),
            _ => Ok(()),
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
    } else if differences(plan, outputs).any(|kind| undeclared(plan).all(|it| !explains(it, kind))) {
        Verdict::Mismatch
    } else {
        Verdict::NotReproduced
    }
}

/// The assumptions that no document and no user declared.
pub fn undeclared(plan: &Plan) -> impl Iterator<Item = &Assumption> {
    plan.assumptions.iter().filter(|it| !it.is_declared())
}

/// One kind of difference between what was released and what was rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Difference {
    /// An output is missing, or was never released.
    Presence,
    /// For this reason bytes differ.
    Bytes(Cause, Confidence),
}

/// Whether another value of an assumption could be the whole reason for a difference.
fn explains(assumption: &Assumption, difference: Difference) -> bool {
    // A release that was not made from the source that was published with it stays so, whatever builds it.
    if let Difference::Bytes(Cause::OtherSource, Confidence::Proven) = difference {
        return false;
    }
    let of_modes = matches!(
        difference,
        Difference::Bytes(Cause::Permissions | Cause::Ownership, _)
    );
    match (assumption.aspect(), difference) {
        (Aspect::Inputs, _) => true,
        // A build that reads the clock or its folder may write anything, but does not fail to write.
        (Aspect::Circumstances, Difference::Presence) => false,
        (Aspect::Circumstances, Difference::Bytes(..)) => !of_modes,
        (Aspect::Modes, _) => of_modes,
    }
}

/// The kinds of differences that nothing sets aside.
fn differences<'a>(plan: &'a Plan, outputs: &'a [OutputResult]) -> impl Iterator<Item = Difference> + 'a {
    let missing = plan.expected.iter().any(|expected| {
        let mut outputs = outputs.iter();
        !outputs.any(|output| output.name == expected.file.name && output.rebuilt.is_some())
    });
    let extra = outputs.iter().any(|output| output.released.is_none());
    let presence = (missing || extra).then_some(Difference::Presence);
    let bytes = outputs
        .iter()
        .filter(|output| output.rebuilt.is_some() && output.released.is_some())
        .filter(|output| !output.reproduced() && !output.equivalent() && !output.stopped())
        .flat_map(|output| match &output.differs {
            Some(comparison) => comparison.open_causes(),
            // Only the released digest is known.
            None => vec![(Cause::Content, Confidence::Proven)],
        });
    presence
        .into_iter()
        .chain(bytes.map(|(cause, confidence)| Difference::Bytes(cause, confidence)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;
    use crate::artifact::Sha256;
    use crate::compare::{self, Limit, LimitHit, Options};
    use crate::plan::sample;

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

    fn plan(outputs: &[OutputResult], assumptions: &serde_json::Value) -> Plan {
        let expected_files: Vec<_> = outputs
            .iter()
            .map(|output| json!({"purl": "pkg:generic/x@1", "file": {"name": output.name, "urls": [], "sha256": output.released, "size": 8}}))
            .collect();
        sample::plan(&json!({"expected": expected_files, "assumptions": assumptions}))
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
            let plan = plan(&outputs, &json!([]));
            assert_eq!(conclude(&plan, &outputs).to_string(), expected);
        }
    }

    /// Each kind of undeclared value beside each kind of difference.
    // Long, as it is one table.
    #[test]
    fn nobody_is_accused_of_what_a_guess_explains() {
        let differing = |cause: Cause, confidence: Confidence| {
            let mut output = output("a", false, false);
            for finding in output
                .differs
                .iter_mut()
                .flat_map(|it| &mut it.tree)
                .flat_map(|it| &mut it.findings)
            {
                (finding.cause, finding.confidence) = (cause, confidence);
            }
            output
        };
        let missing = OutputResult {
            rebuilt: None,
            differs: None,
            ..output("a", true, false)
        };
        let proven = |cause| differing(cause, Confidence::Proven);
        let differences = [
            missing,
            proven(Cause::Permissions),
            proven(Cause::Content),
            proven(Cause::ToolVersion),
            proven(Cause::OtherSource),
            differing(Cause::OtherSource, Confidence::Likely),
        ];
        let all = "mismatch mismatch mismatch mismatch mismatch mismatch";
        for (what, origin, expected) in [
            ("version of the backend", "declared", all),
            ("source", "convention", "not not not not mismatch not"),
            (
                "version of the backend",
                "inferred",
                "not not not not mismatch not",
            ),
            ("cargo", "tried", "not not not not mismatch not"),
            ("something new", "convention", "not not not not mismatch not"),
            ("clock", "inferred", "mismatch mismatch not not mismatch not"),
            (
                "SOURCE_DATE_EPOCH",
                "inferred",
                "mismatch mismatch not not mismatch not",
            ),
            (
                "build path",
                "convention",
                "mismatch mismatch not not mismatch not",
            ),
            (
                "umask",
                "inferred",
                "mismatch not mismatch mismatch mismatch mismatch",
            ),
            (
                "file modes",
                "inferred",
                "mismatch not mismatch mismatch mismatch mismatch",
            ),
        ] {
            for (difference, expected) in differences.iter().zip(expected.split(' ')) {
                let outputs = [difference.clone()];
                let assumed = json!([{"what": what, "value": "x", "origin": {origin: "somebody"}}]);
                let verdict = conclude(&plan(&outputs, &assumed), &outputs).to_string();
                let wanted = if expected == "not" {
                    "not-reproduced"
                } else {
                    expected
                };
                assert_eq!(verdict, wanted, "{what}, {origin}: {:?}", difference.differs);
            }
        }
    }

    /// One difference that nothing explains is enough, whatever else differs.
    #[test]
    fn what_one_guess_explains_does_not_excuse_the_rest() {
        let content = output("a", false, false);
        let outputs = [content, output("b", true, false)];
        let assumed = json!([{"what": "umask", "value": "022", "origin": {"inferred": "a mode"}}]);
        assert_eq!(conclude(&plan(&outputs, &assumed), &outputs), Verdict::Mismatch);
    }
}
