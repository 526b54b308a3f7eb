//! Audits: many subjects from a list, several at a time, each rebuilt as `rebuild` does.
//!
//! An audit is remembered in the database of `memory`: its list, its runs, and the result of each rebuild. A
//! host keeps a finished rebuild first in the audit's folder, as a run folder and a line of the journal; the
//! memory learns of it from there. So a killed audit resumes where it stopped: a subject is finished if its
//! line or its whole run folder exists, and neither is ever visible half-written.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod alarm;
mod due;
mod journal;
mod list;
mod pass;
mod remembered;
mod result;
mod schedule;
mod source;
mod standing;
mod status;
mod summary;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use futures_util::{StreamExt as _, stream};
use tracing::Instrument as _;
use tracing::field::Empty;

use crate::artifact::Subject;
use crate::compare;
use crate::container::Catalog;
use crate::container::Workshop;
use crate::credentials::Searched;
use crate::ecosystem::Planner;
use crate::ecosystem::hints::Hints;
use crate::execute::Executor;
use crate::inspect::InspectionRequest;
use crate::ledger::Ledger;
use crate::memory::{Memory, MemoryError};
use crate::plan::Plan;
use crate::progress::{Progress, ProgressBar};
use crate::rebuild::search;
use crate::rebuild::search::AttemptError;
use crate::rebuild::{self, RebuildError, Rebuilder};
use crate::run::{Cost, Evidence, Record, RunFolder};
use crate::sandbox::embedded::Embedded;
use crate::store::{Fetcher, PendingRun, StoreError};
use crate::text::redacted;

pub use alarm::{Alarm, Mail, Relay, Route, SignAlarm, Watch};
pub use due::NotDone;
pub use journal::{Journal, JournalError};
#[doc(hidden)]
pub use list::READERS;
pub use list::{ListError, read as read_list};
use pass::Pass;
pub use pass::{Again, Asked};
pub use result::{ResultLine, SubjectResult};
pub use schedule::{ScheduleError, next_after};
pub use source::{Source, SourceError};
pub use standing::{Change, Difference, Regressed, differences};
pub use status::{RunStatus, Status};
pub use summary::Summary;

/// What all jobs of an audit share.
pub struct Auditor {
    /// The fetcher; each job has its own account of the time.
    pub fetcher: Fetcher,
    /// Known containers.
    pub catalog: Catalog,
    /// Runs the builds, as many at the same time as there are `jobs`, and makes the roots.
    pub embedded: Embedded,
    /// Evidence and policy, the same for all.
    pub case: InspectionRequest,
    /// Options of the comparison.
    pub compare: compare::Options,
    /// Hints by subject, as the list writes it.
    pub hints: BTreeMap<String, Hints>,
    /// Maximum number of plans for one subject.
    pub attempts: usize,
    /// Number of builds at the same time, to which `embedded` is limited.
    pub jobs: usize,
    /// Called for each finished run before it is put into its place, for example to sign it.
    pub finish: Finish,
    /// When alarms are raised, and where they are sent.
    pub watch: Watch,
}

/// Called with a run folder that is whole but not yet in its place. An error is reported with the run; the
/// audit continues.
pub type Finish = Box<dyn Fn(&RunFolder, &Plan, &Record) -> Result<(), String> + Send + Sync>;

/// An audit that cannot continue.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum AuditError {
    #[error(transparent)]
    #[diagnostic(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Memory(#[from] MemoryError),
    #[error("the audit was interrupted; run the same command again to resume it")]
    Interrupted,
    #[error("internal error: the job for {subject} panicked: {reason}")]
    Bug { subject: String, reason: String },
}

impl Auditor {
    /// Rebuilds every subject that is due, and returns the newest result of each subject, in the list's
    /// order.
    pub async fn run(
        self: Arc<Self>,
        asked: &Asked<'_>,
        memory: &Memory,
        bar: &ProgressBar,
    ) -> Result<Summary, AuditError> {
        let begun = Instant::now();
        let ledger = Ledger::default();
        let pass = Pass::begin(asked, memory).await?;
        bar.set_length(asked.subjects.len() as u64);
        bar.set_position(asked.subjects.len().saturating_sub(pass.open.len()) as u64);
        let running = stream::iter(pass.open.clone()).map(|(text, subject)| {
            let (auditor, journal, ledger) = (self.clone(), pass.journal.clone(), ledger.job());
            let (name, named) = (text.clone(), subject.clone());
            let span = tracing::info_span!("rebuild", subject = redacted(&text), verdict = Empty);
            let one = async move { auditor.one(&text, &subject, &journal, ledger).await };
            let job = tokio::spawn(one.instrument(span));
            async move { (name, named, job.await) }
        });
        // Only so many build at the same time; meanwhile, others are planned and compared.
        let jobs = self.jobs.max(1);
        let mut running = running.buffer_unordered(jobs.saturating_add(jobs.div_ceil(2)));
        let mut lines = Vec::new();
        while let Some((text, subject, done)) = running.next().await {
            let line = done.map_err(|error| AuditError::Bug {
                subject: text,
                reason: error.to_string(),
            })??;
            pass.record(memory, &line, &subject).await?;
            bar.inc(1);
            bar.set_message(format!("{} {}", line.outcome.word(), line.subject));
            lines.push(line);
        }
        drop(running);
        let wall = ledger.spent(begun.elapsed());
        let watched = alarm::watch(&self, memory, &pass, asked.allow_equivalent).await?;
        let (standing, all) = pass.end(asked, memory).await?;
        let mut summary = Summary::of(standing, all, &lines, wall, self.jobs);
        summary.watched(watched);
        Ok(summary)
    }

    async fn one(
        &self,
        text: &str,
        subject: &Subject,
        journal: &Journal,
        ledger: Ledger,
    ) -> Result<ResultLine, AuditError> {
        let pending = journal.pending()?;
        let mut line = self.attempt(text, subject, pending.path(), ledger, true).await?;
        journal.finish(pending, &mut line)?;
        let verdict = line.outcome.word();
        tracing::Span::current().record("verdict", verdict);
        tracing::info!("rebuilt");
        Ok(line)
    }

    /// Rebuilds a subject once more and keeps the run, unless it has no verdict.
    async fn another(
        &self,
        text: &str,
        subject: &Subject,
        journal: &Journal,
    ) -> Result<ResultLine, AuditError> {
        let pending = journal.pending()?;
        let ledger = Ledger::default().job();
        let mut line = self.attempt(text, subject, pending.path(), ledger, true).await?;
        if line.outcome.has_verdict() {
            journal.finish(pending, &mut line)?;
        }
        Ok(line)
    }

    /// Rebuilds a subject once more, and keeps only the result; `None` if the rebuild could not be tried.
    async fn rebuilt(
        &self,
        text: &str,
        subject: &Subject,
        folder: &Path,
    ) -> Result<Option<ResultLine>, AuditError> {
        let Ok(pending) = PendingRun::below(&runs(folder)) else {
            return Ok(None);
        };
        let ledger = Ledger::default().job();
        match self.attempt(text, subject, pending.path(), ledger, false).await {
            Ok(line) => Ok(Some(line)),
            Err(AuditError::Interrupted) => Err(AuditError::Interrupted),
            Err(_) => Ok(None),
        }
    }

    async fn attempt(
        &self,
        text: &str,
        subject: &Subject,
        folder: &Path,
        ledger: Ledger,
        keep: bool,
    ) -> Result<ResultLine, AuditError> {
        let (begun, started) = (Instant::now(), jiff::Timestamp::now());
        let fetcher = self.fetcher.for_job(Progress::silent(), ledger.clone());
        let progress = Progress::silent();
        let workshop = Workshop {
            fetcher: &fetcher,
            catalog: &self.catalog,
            sandbox: &self.embedded,
            progress: &progress,
        };
        let mut planner = Planner {
            workshop,
            recipe: None,
            only: false,
            case: &self.case,
            released: Vec::new(),
            hints: self.hints.get(text).cloned().unwrap_or_default(),
        };
        let rebuilder = Rebuilder {
            executor: Executor {
                workshop,
                backend: &self.embedded,
            },
            evidence: Evidence::Verified,
            compare: self.compare.clone(),
            searched: Searched::default(),
        };
        let done = search::search(&mut planner, subject, &rebuilder, self.attempts, folder).await;
        let mut line = match done {
            Ok((plan, mut record)) => {
                let run = RunFolder::new(folder);
                rebuild::finish(&run, &mut record, begun).map_err(JournalError::from)?;
                let mut line = ResultLine::of_record(text, &record);
                if keep {
                    line.not_signed = (self.finish)(&run, &plan, &record).err();
                }
                line.cost = Some(Cost::of(&run, &plan, &record));
                line
            }
            Err(AttemptError::Store(error)) => return Err(error.into()),
            // The subject is not finished, and is rebuilt when the audit resumes.
            Err(AttemptError::Rebuild(RebuildError::Interrupted)) => return Err(AuditError::Interrupted),
            Err(error) => ResultLine::of_error(text, &error, started),
        };
        line.spent = ledger.spent(begun.elapsed());
        Ok(line)
    }
}

/// The run folders of an audit.
fn runs(folder: &Path) -> PathBuf {
    folder.join("runs")
}
