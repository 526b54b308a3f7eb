//! What is kept of a run: verdict, outputs, timings, and every plan that was tried.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::failure::{Failure, FailureCode};
use super::verdict::conclude;
use super::{Credential, Stage, Verdict};
use crate::artifact::Sha256;
use crate::artifact::serialise::SerialiseError;
use crate::compare::{Comparison, Limit, Outcome};
use crate::plan::Plan;

/// Whether the claims of a plan were verified by this very run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// Yes: the plan was made in the same run.
    Verified,
    /// No: the plan was read from a file, and its claims and expected digests are those of its author.
    TakenFromPlan,
}

/// One output: what was released, what was rebuilt, where they differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputResult {
    /// File name.
    pub name: String,
    /// Released digest; `None` if the output was never released.
    pub released: Option<Sha256>,
    /// Rebuilt digest; `None` if it was not produced.
    pub rebuilt: Option<Sha256>,
    /// Lengths in bytes, released and rebuilt.
    pub sizes: (Option<u64>, Option<u64>),
    /// Where and why they differ; `None` if they are the same, or if only the released digest is known.
    pub differs: Option<Comparison>,
}

impl OutputResult {
    /// Whether the released file was reproduced bit for bit.
    pub fn reproduced(&self) -> bool {
        self.released.is_some() && self.released == self.rebuilt
    }

    /// Whether it is the same except for what named normalisations set aside.
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
    /// Installing build dependencies; almost nothing if the layer was kept.
    pub setup: f64,
    /// Running the build steps.
    pub build: f64,
    /// Comparing.
    pub compare: f64,
    /// Everything, from the plan on.
    pub total: f64,
    /// By the clock on the wall, from the question to the verdict: planning and every attempt included. Records of earlier
    /// versions lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall: Option<f64>,
}

impl Timings {
    /// Seconds by the clock on the wall; in records of earlier versions, from the plan on.
    pub fn everything(&self) -> f64 {
        self.wall.unwrap_or(self.total)
    }
}

/// One plan that was tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Position, from 1; its plan, record and log are in `attempts/NUMBER` if it is not the run itself.
    pub number: usize,
    /// What was changed and why; `None` for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// Digest of its plan; `None` if planning failed.
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
    /// Form of this document; 2. In form 1, [`Verdict::Mismatch`] stands for [`Verdict::NotReproduced`] too.
    pub version: u32,
    /// Name of this run.
    pub id: String,
    /// Package URL of the subject.
    pub subject: String,
    /// The conclusion.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Why there is no conclusion; records of earlier versions lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
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
    /// Every plan that was tried, this run's included; empty if there was only one.
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
    /// The comparisons of the outputs that differ.
    pub fn comparisons(&self) -> impl Iterator<Item = &Comparison> {
        self.outputs.iter().filter_map(|output| output.differs.as_ref())
    }

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
    pub fn concluded(
        plan: &Plan,
        concluded: Concluded,
        circumstances: Circumstances,
    ) -> Result<Self, SerialiseError> {
        let digest = plan.digest()?;
        let started = circumstances.started;
        let (verdict, compared) = match concluded.compared {
            Ok(compared) => (conclude(plan, &compared.outputs), compared),
            Err((stage, reason)) => (Verdict::Inconclusive { stage, reason }, Compared::default()),
        };
        let failure = match verdict {
            // Only the comparison ends without a failure of its own: its time was over.
            Verdict::Inconclusive { .. } => {
                let timed_out = || Failure::known(FailureCode::TimedOut);
                Some(concluded.failure.unwrap_or_else(timed_out))
            }
            _ => None,
        };
        Ok(Self {
            version: 2,
            id: format!("{}-{}", started.strftime("%Y%m%dT%H%M%S%3fZ"), digest.short()),
            subject: plan.subject.clone(),
            verdict,
            failure,
            plan: digest,
            evidence: circumstances.evidence,
            outputs: compared.outputs,
            not_compared: compared.not_compared,
            backend: circumstances.backend,
            credentials: concluded.credentials,
            not_searched: concluded.not_searched,
            not_enforced: compared.not_enforced,
            attempts: Vec::new(),
            log: concluded.log,
            report: None,
            rebuilder: env!("CARGO_PKG_VERSION").to_owned(),
            started,
            finished: circumstances.finished,
            timings: circumstances.timings,
        })
    }

    /// The verdict that follows from the plan, the digests and the comparisons alone; the signer recomputes it, and
    /// the comparisons too.
    pub fn verdict_of(&self, plan: &Plan) -> Verdict {
        match &self.verdict {
            // Nothing was compared, unless comparing is what ended it.
            Verdict::Inconclusive { stage, .. } if *stage != Stage::Comparison => self.verdict.clone(),
            _ => match conclude(plan, &self.outputs) {
                Verdict::NotReproduced if self.version == 1 => Verdict::Mismatch,
                verdict => verdict,
            },
        }
    }

    /// The same record in the present form.
    #[must_use]
    pub fn in_present_form(mut self, plan: &Plan) -> Self {
        if self.version == 1 {
            self.version = 2;
            self.verdict = self.verdict_of(plan);
        }
        self
    }
}

/// Makes the page for people, `report.html`, from a plan and its record; `None` if it cannot be made.
pub type Page = fn(&Plan, &Record) -> Option<String>;

/// What a run came to, before its verdict.
#[derive(Debug)]
pub struct Concluded {
    /// The outputs, compared, or the stage that ended the run and what happened there.
    pub compared: Result<Compared, (Stage, String)>,
    /// What kind of failure that was.
    pub failure: Option<Failure>,
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
pub struct Circumstances {
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
