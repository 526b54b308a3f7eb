//! The main job: a plan is run, its outputs are compared with what was released, and a verdict is concluded.
//!
//! [`Rebuilder::rebuild`] is the story of one run; [`search`] repeats it with other assumptions.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod against_source;
pub mod failure;
mod outputs;
pub mod search;

use std::fs;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::Instrument as _;

use crate::artifact::Sha256;
use crate::artifact::serialise::SerialiseError;
use crate::compare::{self, CompareError};
use crate::credentials::{self, Findings, Searched};
use crate::deadline::{Deadline, Over};
use crate::execute::{BuildEnd, CheckedPlan, ExecuteError, Executor, Inputs, PlanRefused};
use crate::plan::{Plan, Role};
use crate::run::{Circumstances, Compared, Concluded, Evidence, OutputResult, Record, RunFolder, Timings};
use crate::sandbox::{KeepMode, Output};
use crate::store::{Blob, StoreError, write_atomically};

use against_source::Sources;
use outputs::compare_outputs;

/// A rebuild that broke before it could conclude anything.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum RebuildError {
    #[error(transparent)]
    #[diagnostic(transparent)]
    Execute(#[from] ExecuteError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Compare(#[from] CompareError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Serialise(#[from] SerialiseError),
    #[error("the rebuild was interrupted; nothing was kept")]
    Interrupted,
    #[error("internal error: the comparison panicked: {reason}")]
    Bug { reason: String },
}

impl From<PlanRefused> for RebuildError {
    fn from(error: PlanRefused) -> Self {
        Self::Execute(error.into())
    }
}

/// What a rebuild works with.
pub struct Rebuilder<'a> {
    /// Runs the plans.
    pub executor: Executor<'a>,
    /// Whether the plans were made, and their claims verified, in this run.
    pub evidence: Evidence,
    /// How what differs is compared.
    pub compare: compare::Options,
    /// Sources that were searched for credentials before.
    pub searched: Searched,
}

impl Rebuilder<'_> {
    /// Runs `plan` and writes everything to `run`, an existing empty folder; only the page for people is missing.
    ///
    /// Returns the plan that was followed, with the digest of every archive from git, and the record.
    pub async fn rebuild(&self, plan: Plan, run: &RunFolder) -> Result<(Plan, Record), RebuildError> {
        let (started, clock) = (Timestamp::now(), Instant::now());
        let executor = &self.executor;
        let plan = self.begin(plan, run).await?;
        let fetched = executor.fetch(&plan);
        let inputs = fetched.instrument(tracing::info_span!("fetch")).await?;
        let root = executor.root(&plan);
        let root = root.instrument(tracing::info_span!("container")).await?;
        let prepare = clock.elapsed().as_secs_f64();
        let execution = executor
            .run(&plan, &root, &inputs, run, KeepMode::Outputs)
            .instrument(tracing::info_span!("build"))
            .await?;

        let before = clock.elapsed();
        let bar = executor.workshop.progress.stage("comparing");
        let aftermath = Aftermath {
            plan,
            inputs,
            run: run.clone(),
            searched: self.searched.clone(),
            compare: self.compare.clone(),
            deadline: Deadline::default(),
        };
        let (evidence, backend) = (self.evidence, executor.backend.name().to_owned());
        // It waits for nothing, so it has its own thread; it ends if its caller no longer waits for it.
        let _guard = aftermath.deadline.guard();
        let worked = tokio::task::spawn_blocking(move || {
            let concluded = aftermath.follow(execution.end)?;
            let circumstances = Circumstances {
                evidence,
                backend,
                started,
                finished: Timestamp::now(),
                timings: Timings {
                    prepare,
                    setup: execution.setup_seconds,
                    build: execution.build_seconds,
                    compare: clock.elapsed().saturating_sub(before).as_secs_f64(),
                    total: clock.elapsed().as_secs_f64(),
                    wall: None,
                },
            };
            let record = Record::concluded(&aftermath.plan, concluded, circumstances)?;
            write(&aftermath.run, &record)?;
            Ok((aftermath.plan.into_inner(), record))
        });
        let ended = worked.instrument(tracing::info_span!("compare")).await;
        let ended = ended.unwrap_or_else(|error| {
            Err(RebuildError::Bug {
                reason: error.to_string(),
            })
        });
        bar.finish_and_clear();
        ended
    }

    /// Checks and completes the plan, and writes it and what else a run begins with.
    async fn begin(&self, plan: Plan, run: &RunFolder) -> Result<CheckedPlan, RebuildError> {
        let rebuilt = run.rebuilt();
        fs::create_dir(&rebuilt).map_err(StoreError::io("make the folder", &rebuilt))?;
        let pinned = self.executor.pinned(CheckedPlan::check(plan)?);
        let plan = pinned.instrument(tracing::info_span!("pin")).await?;
        write_atomically(&run.plan(), &plan.canonical()?)?;
        fs::write(run.log(), "").map_err(StoreError::io("write", &run.log()))?;
        Ok(plan)
    }
}

/// Notes in a finished run's record how long all of it took since `begun`.
pub fn finish(run: &RunFolder, record: &mut Record, begun: Instant) -> Result<(), StoreError> {
    record.timings.wall = Some(begun.elapsed().as_secs_f64());
    write(run, record)
}

/// Writes the record of a run.
fn write(run: &RunFolder, record: &Record) -> Result<(), StoreError> {
    let path = run.record();
    let bytes =
        serde_json::to_vec_pretty(record).map_err(|error| StoreError::io("write", &path)(error.into()))?;
    write_atomically(&path, &bytes)
}

/// What follows a build. Nothing that the build left is trusted, so all of it has one time limit and can be stopped.
struct Aftermath {
    plan: CheckedPlan,
    inputs: Inputs,
    run: RunFolder,
    searched: Searched,
    compare: compare::Options,
    deadline: Deadline,
}

impl Aftermath {
    /// Compares and searches the outputs, and takes credentials out of the log.
    fn follow(&self, end: BuildEnd) -> Result<Concluded, RebuildError> {
        let ended = match &end {
            BuildEnd::Failed { stage, ended, .. } => Some((*stage, *ended)),
            BuildEnd::Built { .. } => None,
        };
        let (compared, mut found) = match end {
            BuildEnd::Built {
                outputs,
                not_enforced,
            } => {
                let (results, not_compared, found) = self.compare(&outputs)?;
                let compared = Compared {
                    outputs: without_credentials(results),
                    not_compared,
                    not_enforced,
                };
                (Ok(compared), found)
            }
            BuildEnd::Failed { stage, reason, .. } => (Err((stage, reason)), Findings::default()),
        };
        let log = self.run.log();
        found.redact_file("log build.log", &log, &self.deadline.at_most(LOG_TIME))?;
        let read = fs::File::open(&log).and_then(Sha256::of_reader);
        let (log, _) = read.map_err(StoreError::io("read", &log))?;
        let (credentials, not_searched) = found.into_lists();
        // An interrupted run has no record; if time ran out, the record says so.
        match self.deadline.check() {
            Err(Over::Interrupted) => Err(RebuildError::Interrupted),
            Err(Over::Time) | Ok(()) => Ok(Concluded {
                compared,
                failure: ended.map(|(stage, ended)| failure::of_end(stage, ended, &self.run.log())),
                credentials,
                not_searched,
                log,
            }),
        }
    }

    /// Each output beside what was released, the names of outputs that were not compared, and credentials in either.
    fn compare(
        &self,
        outputs: &[Output],
    ) -> Result<(Vec<OutputResult>, Vec<String>, Findings), RebuildError> {
        let deadline = self.deadline.at_most(self.time(outputs));
        let options = compare::Options {
            deadline: deadline.clone(),
            ..self.compare.clone()
        };
        let (compared, found) = std::thread::scope(|scope| {
            let search = scope.spawn(|| self.search(outputs, &deadline));
            let compared = compare_outputs(&self.plan, outputs, &self.inputs.released, &self.run, &options);
            (compared, search.join().unwrap_or_default())
        });
        let (mut results, not_compared) = compared?;
        let sources = Sources::of(
            &self.plan,
            self.sources().map(|(_, blob)| blob.path.clone()).collect(),
        );
        for output in &mut results {
            let (released, rebuilt) = (
                self.run.released().join(&output.name),
                self.run.rebuilt().join(&output.name),
            );
            sources.attribute(output, &released, &rebuilt, &deadline);
        }
        Ok((results, not_compared, found))
    }

    /// Every archive that the plan names as a source, with its place.
    fn sources(&self) -> impl Iterator<Item = (&str, &Blob)> {
        let inputs = self.plan.inputs.iter();
        let inputs = inputs
            .filter(|input| input.role == Role::Source)
            .zip(&self.inputs.sources)
            .map(|(input, blob)| (input.place.as_str(), blob));
        let git = self.plan.git.iter().zip(&self.inputs.git);
        inputs.chain(git.map(|(git, blob)| (git.place.as_str(), blob)))
    }

    /// How long comparing and searching may take: in proportion to the files.
    fn time(&self, outputs: &[Output]) -> Duration {
        let released = self.inputs.released.iter().flatten().map(|blob| blob.size);
        let sources = self.sources().map(|(_, blob)| blob.size);
        let outputs = outputs.iter().map(|output| output.size);
        let all = released.chain(sources).chain(outputs);
        compare::Limits::time_for(all.fold(0, u64::saturating_add))
    }

    /// Looks for credentials in the sources and in the outputs.
    fn search(&self, outputs: &[Output], deadline: &Deadline) -> Findings {
        let mut findings = Findings::default();
        for (place, blob) in self.sources() {
            let name = format!("source {place}");
            self.searched.look_through(&mut findings, &name, blob, deadline);
        }
        for output in outputs {
            let name = format!("output {}", output.name);
            findings.look_through(&name, &self.run.rebuilt().join(&output.name), deadline);
        }
        findings
    }
}

/// Most time that taking credentials out of a log may need. The largest log that is kept needs a quarter of it.
const LOG_TIME: Duration = Duration::from_mins(2);

/// Comparisons quote what differs; a credential in such a quotation is taken out.
fn without_credentials(outputs: Vec<OutputResult>) -> Vec<OutputResult> {
    let clean = |output: OutputResult| {
        let Some(differs) = &output.differs else {
            return output;
        };
        let cleaned = serde_json::to_value(differs).and_then(|mut document| {
            credentials::redact_document(&mut document);
            serde_json::from_value(document)
        });
        OutputResult {
            // It was written by this tool a moment ago, so it reads back; and if not, nothing is quoted.
            differs: cleaned.ok(),
            ..output
        }
    };
    outputs.into_iter().map(clean).collect()
}
