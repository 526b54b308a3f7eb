//! What is kept of a run: verdict, outputs, timings, and where the files of a run lie.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::RebuildError;
use crate::artifact::Sha256;
use crate::compare::{Comparison, Outcome};
use crate::credentials::Credential;
use crate::plan::Plan;
use crate::report;
use crate::store::{StoreError, write_atomically};

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
    /// The build gave no outputs to compare.
    Inconclusive {
        /// Stage that ended it.
        stage: String,
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
    /// Limits that this machine could not enforce.
    pub not_enforced: Vec<String>,
    /// Every plan that was tried, this run's included; empty where the first one was the only one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// Digest of `build.log`.
    pub log: Sha256,
    /// Digest of `report.html`.
    pub report: Sha256,
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
    /// Writes the report, and then itself with the report's digest.
    pub fn write(&mut self, plan: &Plan, run: &RunFolder) -> Result<(), RebuildError> {
        let html = report::html(plan, self)?;
        self.report = Sha256::of(&html);
        write_atomically(&run.report(), html.as_bytes())?;
        write_atomically(
            &run.record(),
            &serde_json::to_vec_pretty(self).unwrap_or_default(),
        )?;
        Ok(())
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
                        places += open.map(|finding| finding.places).sum::<u64>();
                    });
                }
                places
            }
        };
        self.outputs.iter().map(of_output).sum()
    }

    /// The verdict that follows from the plan, the digests and the comparisons alone; the signer recomputes it, and
    /// the comparisons too.
    pub fn concluded(&self, plan: &Plan) -> Verdict {
        if let Verdict::Inconclusive { .. } = self.verdict {
            return self.verdict.clone();
        }
        let came_out = |expected: &crate::plan::Expected, fits: fn(&OutputResult) -> bool| {
            self.outputs.iter().any(|output| {
                output.name == expected.file.name
                    && output.released == Some(expected.file.sha256)
                    && fits(output)
            })
        };
        let all = |fits: fn(&OutputResult) -> bool| {
            !plan.expected.is_empty()
                && plan.expected.iter().all(|expected| came_out(expected, fits))
                && self.outputs.iter().all(fits)
        };
        if all(OutputResult::reproduced) {
            Verdict::Reproduced
        } else if all(|output| output.reproduced() || output.equivalent()) {
            Verdict::Equivalent
        } else {
            Verdict::Mismatch
        }
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

/// The folder of a run while it is being filled; it gets its name when it is whole, and is removed when it is dropped.
pub struct PendingRun(tempfile::TempDir);

impl PendingRun {
    /// Begins the names of such folders.
    pub const PREFIX: &'static str = ".rebuilding-";

    /// Makes one below `parent`.
    pub fn below(parent: &Path) -> Result<Self, StoreError> {
        let made = tempfile::Builder::new()
            .prefix(Self::PREFIX)
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .tempdir_in(parent);
        made.map(Self).map_err(StoreError::io("write into", parent))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Moves it to `place`, which must be on the same file system.
    pub fn keep(self, place: &Path) -> Result<RunFolder, StoreError> {
        std::fs::rename(self.0.path(), place).map_err(StoreError::io("move the run to", place))?;
        // Its name is gone, so nothing is left to remove.
        let _ = self.0.keep();
        Ok(RunFolder::new(place))
    }
}
