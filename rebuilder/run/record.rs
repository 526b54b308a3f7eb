//! What is kept of a run: verdict, outputs, timings, and where the files of a run lie.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Credential;
use crate::artifact::Sha256;
use crate::compare::{Comparison, Limit, Outcome};
use crate::plan::Plan;

/// What a rebuild concludes; an absence of evidence is an answer of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// Every declared output came out bit for bit, and nothing else did.
    Reproduced,
    /// Every declared output came out, nothing else did, and what differs is set aside by named normalisations.
    Equivalent,
    /// Some output differs, is missing, or is not declared.
    Mismatch,
    /// The build gave no outputs to compare, or there was no time to compare them.
    Inconclusive {
        /// Stage that ended it.
        stage: Stage,
        /// What happened there.
        reason: String,
    },
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Setup => "setup",
            Self::Build => "build",
            Self::Comparison => "comparison",
        })
    }
}

/// Whether the claims of a plan were verified by this very run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// Yes: the plan was made in the same run.
    Verified,
    /// No: the plan was read from a file, and its claims and expected digests are those of whoever wrote it.
    TakenFromPlan,
}

/// One output: what was released, what came out, where they differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputResult {
    /// File name.
    pub name: String,
    /// Released digest; none where the output was never released.
    pub released: Option<Sha256>,
    /// Rebuilt digest; none where it did not come out.
    pub rebuilt: Option<Sha256>,
    /// Lengths in bytes, released and rebuilt.
    pub sizes: (Option<u64>, Option<u64>),
    /// Where and why they differ; none where they are the same, or where only the released digest is known.
    pub differs: Option<Comparison>,
}

impl OutputResult {
    /// Whether what was released came out bit for bit.
    pub fn reproduced(&self) -> bool {
        self.released.is_some() && self.released == self.rebuilt
    }

    /// Whether it is the same but for what named normalisations set aside.
    pub fn equivalent(&self) -> bool {
        let compared = self.differs.as_ref();
        compared.is_some_and(|differs| {
            differs.outcome == Outcome::Equivalent
                && differs.released.sha256 == self.released
                && differs.rebuilt.sha256 == self.rebuilt
        })
    }
}

impl OutputResult {
    /// Whether its bytes differ, and there was no time to find out where.
    pub fn stopped(&self) -> bool {
        let compared = self.differs.as_ref();
        !self.reproduced()
            && compared.is_some_and(|differs| differs.limits.iter().any(|hit| hit.limit == Limit::Time))
    }
}

/// Seconds spent, by stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// Reading or fetching inputs and making the root.
    pub prepare: f64,
    /// Installing build dependencies; almost nothing where the layer was there.
    pub setup: f64,
    /// The build command itself.
    pub build: f64,
    /// Comparing.
    pub compare: f64,
    /// Everything, from the plan on.
    pub total: f64,
}

/// One plan that was tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Position, from 1; its plan, record and log are in `attempts/NUMBER` where it is not the run itself.
    pub number: usize,
    /// What was changed and why; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// Digest of its plan; none where planning failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Sha256>,
    /// How it ended.
    pub ended: String,
    /// Places that differ and are neither consequences nor set aside.
    pub places: u64,
    /// Seconds that it took.
    pub seconds: f64,
    /// Whether it is the run that is reported.
    pub chosen: bool,
}

/// What is kept of a run, as `record.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Form of this document; 1.
    pub version: u32,
    /// Name of this run.
    pub id: String,
    /// Package URL of the subject.
    pub subject: String,
    /// The conclusion.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Digest of the plan's canonical form.
    pub plan: Sha256,
    /// Whether the plan's claims were verified in this run.
    pub evidence: Evidence,
    /// Every output, declared or not.
    pub outputs: Vec<OutputResult>,
    /// Names of outputs that were not compared: released nowhere, or not asked for.
    pub not_compared: Vec<String>,
    /// Backend that ran the build.
    pub backend: String,
    /// Long-lived credentials in sources, outputs and log; nothing of them is kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<Credential>,
    /// What was not searched for credentials to its end, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_searched: Vec<String>,
    /// Limits that this machine could not enforce.
    pub not_enforced: Vec<String>,
    /// Every plan that was tried, this run's included; empty where the first one was the only one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// Digest of `build.log`.
    pub log: Sha256,
    /// Digest of `report.html`, in records of earlier versions; the page follows from plan and record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Sha256>,
    /// Version of this tool.
    pub rebuilder: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// Seconds by stage.
    pub timings: Timings,
}

impl Record {
    /// How many places differ that are neither consequences of others nor set aside; whole outputs that are missing or
    /// extra count as one.
    pub fn places(&self) -> u64 {
        let of_output = |output: &OutputResult| match &output.differs {
            None => u64::from(!output.reproduced()),
            Some(differs) => {
                let mut places = 0;
                if let Some(tree) = &differs.tree {
                    tree.each("", &mut |_, node| {
                        let open = node
                            .findings
                            .iter()
                            .filter(|it| !it.follows && it.normalisation.is_none());
                        // The counts may be those of a record that others wrote.
                        places = open
                            .map(|finding| finding.places)
                            .fold(places, u64::saturating_add);
                    });
                }
                places
            }
        };
        self.outputs.iter().map(of_output).fold(0, u64::saturating_add)
    }

    /// The record of a run that ended.
    pub fn concluded(plan: &Plan, concluded: Concluded, ended: Ended) -> Self {
        let digest = plan.digest();
        let started = ended.started;
        let (verdict, compared) = match concluded.compared {
            Ok(compared) => (conclude(plan, &compared.outputs), compared),
            Err((stage, reason)) => (Verdict::Inconclusive { stage, reason }, Compared::default()),
        };
        Self {
            version: 1,
            id: format!("{}-{}", started.strftime("%Y%m%dT%H%M%S%3fZ"), digest.short()),
            subject: plan.subject.clone(),
            verdict,
            plan: digest,
            evidence: ended.evidence,
            outputs: compared.outputs,
            not_compared: compared.not_compared,
            backend: ended.backend,
            credentials: concluded.credentials,
            not_searched: concluded.not_searched,
            not_enforced: compared.not_enforced,
            attempts: Vec::new(),
            log: concluded.log,
            report: None,
            rebuilder: env!("CARGO_PKG_VERSION").to_owned(),
            started,
            finished: ended.finished,
            timings: ended.timings,
        }
    }

    /// The verdict that follows from the plan, the digests and the comparisons alone; the signer recomputes it, and
    /// the comparisons too.
    pub fn verdict_of(&self, plan: &Plan) -> Verdict {
        match &self.verdict {
            // Nothing was compared, unless comparing is what ended it.
            Verdict::Inconclusive { stage, .. } if *stage != Stage::Comparison => self.verdict.clone(),
            _ => conclude(plan, &self.outputs),
        }
    }
}

/// Makes the page for people, `report.html`, from a plan and its record; `None` if it cannot be made.
pub type Page = fn(&Plan, &Record) -> Option<String>;

/// What a run came to, before its verdict.
#[derive(Debug)]
pub struct Concluded {
    /// The outputs, compared, or the stage that ended the run and what happened there.
    pub compared: Result<Compared, (Stage, String)>,
    /// Long-lived credentials that were found.
    pub credentials: Vec<Credential>,
    /// What was not searched for them to its end, and why.
    pub not_searched: Vec<String>,
    /// Digest of `build.log`.
    pub log: Sha256,
}

/// What a build left, compared with what was released.
#[derive(Debug, Default)]
pub struct Compared {
    /// Every output, declared or not.
    pub outputs: Vec<OutputResult>,
    /// Names of outputs that were not compared.
    pub not_compared: Vec<String>,
    /// Limits that this machine could not enforce.
    pub not_enforced: Vec<String>,
}

/// Where and when a run took place.
#[derive(Debug)]
pub struct Ended {
    /// Whether the plan's claims were verified in this run.
    pub evidence: Evidence,
    /// Backend that ran the build.
    pub backend: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// Seconds by stage.
    pub timings: Timings,
}

/// The verdict on some outputs: the only place where one is concluded.
fn conclude(plan: &Plan, outputs: &[OutputResult]) -> Verdict {
    let is_there = |expected: &crate::plan::Expected, fits: fn(&OutputResult) -> bool| {
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
        // The bytes differ; whether that matters, nobody knows.
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

/// Where the files of a run lie in its folder.
#[derive(Debug, Clone)]
pub struct RunFolder(PathBuf);

#[allow(missing_docs)]
impl RunFolder {
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }
    pub fn path(&self) -> &Path {
        &self.0
    }
    pub fn plan(&self) -> PathBuf {
        self.0.join("plan.json")
    }
    pub fn record(&self) -> PathBuf {
        self.0.join("record.json")
    }
    pub fn log(&self) -> PathBuf {
        self.0.join("build.log")
    }
    pub fn report(&self) -> PathBuf {
        self.0.join("report.html")
    }
    pub fn bundle(&self) -> PathBuf {
        self.0.join("attestation.sigstore.json")
    }
    /// Folder of the released files that did not come out bit for bit.
    pub fn released(&self) -> PathBuf {
        self.0.join("released")
    }
    pub fn equivalence(&self) -> PathBuf {
        self.0.join("equivalence.sigstore.json")
    }
    /// Folder of the evidence that the user named, each file by its SHA-256; whoever checks the run verifies it again.
    pub fn documents(&self) -> PathBuf {
        self.0.join("documents")
    }
    /// Folder of the outputs that came out.
    pub fn rebuilt(&self) -> PathBuf {
        self.0.join("rebuilt")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;
    use crate::compare::{self, LimitHit, Options};

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
    fn a_comparison_that_was_stopped_is_no_verdict() {
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
