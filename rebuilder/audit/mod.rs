//! Many subjects from a list, several side by side, each as `rebuild` does one.
//!
//! Everything is kept in one folder: a run folder for each subject, and a journal with a line for each that is
//! finished. A batch that was killed goes on where it stopped, because a subject is finished when its line, or its
//! whole run folder, is there, and neither is ever seen half-written.

mod journal;
mod list;
mod result;
mod summary;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use futures_util::{StreamExt as _, stream};

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
use crate::plan::Plan;
use crate::progress::{Progress, ProgressBar};
use crate::rebuild::search;
use crate::rebuild::search::AttemptError;
use crate::rebuild::{self, RebuildError, Rebuilder};
use crate::run::{Cost, Evidence, Record, RunFolder};
use crate::sandbox::embedded::Embedded;
use crate::store::{Fetcher, StoreError};

pub use journal::{Journal, JournalError};
#[doc(hidden)]
pub use list::READERS;
pub use list::{ListError, read as read_list};
pub use result::{ResultLine, SubjectResult};
pub use summary::Summary;

/// What all jobs of a batch share.
pub struct Auditor {
    /// The way to the network; each job has an account of its own.
    pub fetcher: Fetcher,
    /// Known containers.
    pub catalog: Catalog,
    /// Runs the builds, and makes roots.
    pub embedded: Embedded,
    /// Evidence and policy, the same for all.
    pub case: InspectionRequest,
    /// How what differs is compared.
    pub compare: compare::Options,
    /// Hints by subject, as the list writes it.
    pub hints: BTreeMap<String, Hints>,
    /// Most plans for one subject.
    pub attempts: usize,
    /// Jobs at the same time.
    pub jobs: usize,
    /// What to do with a finished run before it counts, such as signing it.
    pub finish: Finish,
}

/// Called with a run folder that is whole and not yet in its place; an error is reported with the run and ends nothing.
pub type Finish = Box<dyn Fn(&RunFolder, &Plan, &Record) -> Result<(), String> + Send + Sync>;

/// A batch that cannot go on.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum AuditError {
    #[error(transparent)]
    #[diagnostic(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
    #[error("the batch was interrupted; run it again to resume it")]
    Interrupted,
    #[error("internal error: the job for {subject} panicked: {reason}")]
    Bug { subject: String, reason: String },
}

impl Auditor {
    /// Rebuilds every subject that `folder` has no result for yet, and gives all results, in the list's order.
    pub async fn run(
        self: Arc<Self>,
        subjects: &[(String, Subject)],
        folder: &Path,
        bar: &ProgressBar,
    ) -> Result<Summary, AuditError> {
        let begun = Instant::now();
        let ledger = Ledger::default();
        let journal = Arc::new(Journal::open(folder)?);
        let open: Vec<_> = subjects
            .iter()
            .filter(|(text, _)| !journal.has(text))
            .cloned()
            .collect();
        bar.set_length(subjects.len() as u64);
        bar.set_position((subjects.len() - open.len()) as u64);
        let running = stream::iter(open).map(|(text, subject)| {
            let (auditor, journal, ledger) = (self.clone(), journal.clone(), ledger.job());
            let name = text.clone();
            let job = tokio::spawn(async move { auditor.one(&text, &subject, &journal, ledger).await });
            async move { (name, job.await) }
        });
        let mut running = running.buffer_unordered(self.jobs.max(1));
        let mut lines = Vec::new();
        while let Some((subject, done)) = running.next().await {
            let line = done.map_err(|error| AuditError::Bug {
                subject,
                reason: error.to_string(),
            })??;
            bar.inc(1);
            bar.set_message(format!("{} {}", line.outcome.word(), line.subject));
            lines.push(line);
        }
        let wall = ledger.spent(begun.elapsed());
        let all = journal.lines(subjects.iter().map(|(text, _)| text.as_str()));
        Ok(Summary::of(all, &lines, wall, self.jobs))
    }

    async fn one(
        &self,
        text: &str,
        subject: &Subject,
        journal: &Journal,
        ledger: Ledger,
    ) -> Result<ResultLine, AuditError> {
        let (begun, started) = (Instant::now(), jiff::Timestamp::now());
        let fetcher = self.fetcher.for_job(Progress::silent(), ledger.clone());
        let progress = Progress::silent();
        let pending = journal.pending()?;
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
        let done = search::search(&mut planner, subject, &rebuilder, self.attempts, pending.path()).await;
        let mut line = match done {
            Ok((plan, mut record)) => {
                let run = RunFolder::new(pending.path());
                rebuild::finish(&run, &mut record, begun).map_err(JournalError::from)?;
                let signed = (self.finish)(&run, &plan, &record);
                let mut line = ResultLine::of_record(text, &record);
                line.not_signed = signed.err();
                line.cost = Some(Cost::of(&run, &plan, &record));
                line
            }
            Err(AttemptError::Store(error)) => return Err(error.into()),
            // It is not finished, and is done again when the batch goes on.
            Err(AttemptError::Rebuild(RebuildError::Interrupted)) => return Err(AuditError::Interrupted),
            Err(error) => ResultLine::of_error(text, &error, started),
        };
        line.spent = ledger.spent(begun.elapsed());
        journal.finish(pending, &mut line)?;
        Ok(line)
    }
}

/// The runs of a batch, below its folder.
fn runs(folder: &Path) -> PathBuf {
    folder.join("runs")
}
