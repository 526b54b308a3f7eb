//! Publishes finished jobs: a pass over the verdicts of the queue, which can be interrupted anywhere and repeated.
//!
//! ```text
//!  verdict ──▶ plan and record, by digest ──▶ concluded once more ──▶ artifacts: report, comparisons ──▶ rows
//! ```
//!
//! Only the two documents of a worker's run are used: the server makes the pages, and the verdict follows from the
//! documents. If there is a signer, only signed results count.

mod reading;

use std::sync::Arc;
use std::time::Duration;

use super::Running;
use super::artifacts::ArtifactsError;
use crate::artifact::Sha256;
use crate::bounded;
use crate::error::with_causes;
use crate::progress::Progress;
use crate::queue::QueueError;
use crate::queue::published::EndedJob;
use crate::queue::wire::RunFile;
use crate::report;
use reading::Documents;

/// How often new verdicts are looked for, how long to wait after a failure, and how many are taken at a time.
const LOOK: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_secs(10);
const JOBS: i64 = 50;

#[derive(Debug, thiserror::Error)]
enum PublishError {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Artifacts(#[from] ArtifactsError),
}

/// How long what failed so often waits: from ten seconds to an hour.
pub(super) fn later(tries: u32) -> Duration {
    PAUSE
        .saturating_mul(2_u32.saturating_pow(tries))
        .min(Duration::from_hours(1))
}

/// What is made for people of a run's documents.
#[derive(Debug, Default)]
struct Pages {
    report: Option<Sha256>,
    /// The comparison of each output of the record, in its order.
    comparisons: Vec<Option<Sha256>>,
}

impl Running {
    /// Publishes finished jobs, forever.
    pub(super) async fn publish(self: Arc<Self>) {
        loop {
            let failed = match self.publish_some().await {
                Ok(true) => continue,
                Ok(false) => false,
                Err(error) => {
                    Progress::new(false).trouble(&format!(
                        "cannot publish all results yet: {}",
                        with_causes(&error)
                    ));
                    true
                }
            };
            tokio::time::sleep(if failed { PAUSE } else { LOOK }).await;
        }
    }

    /// Whether there may be more.
    async fn publish_some(&self) -> Result<bool, PublishError> {
        let found = self.queue.unpublished(JOBS).await?;
        for ended in &found {
            if let Err(error) = self.publish_one(ended).await {
                // The others do not wait for it. If the database is away, this fails too.
                self.queue.publish_later(ended.job, later(ended.tries)).await?;
                let note = format!("cannot publish job {} yet: {}", ended.job, with_causes(&error));
                Progress::new(false).trouble(&note);
            }
        }
        Ok(!found.is_empty())
    }

    async fn publish_one(&self, ended: &EndedJob) -> Result<(), PublishError> {
        let documents = self.documents(ended).await?;
        let (documents, pages) = match documents {
            Ok(Some(documents)) => {
                let (documents, pages) = self.pages(documents).await?;
                (Ok(Some(documents)), pages)
            }
            other => (other, Pages::default()),
        };
        let (build, reasons, outputs) = reading::read(ended, documents, &pages);
        Ok(self.queue.publish(ended, &build, &reasons, &outputs).await?)
    }

    /// The plan and the record of a run, or why they cannot be used.
    async fn documents(&self, ended: &EndedJob) -> Result<Result<Option<Documents>, String>, PublishError> {
        let named = |name: &str| ended.run.iter().find(|file| file.path == name);
        let (Some(record), Some(plan)) = (named("record.json"), named("plan.json")) else {
            return Ok(Ok(None));
        };
        let mut bytes = Vec::new();
        for file in [record, plan] {
            match self.artifacts.read(file, bounded::PLAN).await {
                Ok(read) => bytes.push(read),
                // What is gone or damaged stays so; anything else passes.
                Err(error) if error.is_lasting() => return Ok(Err(with_causes(&error))),
                Err(error) => return Err(error.into()),
            }
        }
        let [record, plan] = bytes.as_slice() else {
            return Ok(Ok(None));
        };
        Ok(Documents::read(record, plan).map(Some))
    }

    /// Makes the pages of a run, and keeps them.
    async fn pages(&self, documents: Documents) -> Result<(Documents, Pages), PublishError> {
        let made = tokio::task::spawn_blocking(move || {
            let Documents { plan, record } = &documents;
            let comparisons = record.outputs.iter().map(|output| {
                let differs = output.differs.as_ref()?;
                Some(report::comparison::terminal(differs, false).as_str().to_owned())
            });
            let comparisons: Vec<_> = comparisons.collect();
            let report = report::page(plan, record);
            (documents, report, comparisons)
        });
        let Ok((documents, report, comparisons)) = made.await else {
            return Err(QueueError::Unreadable("a record that cannot be rendered".into()).into());
        };
        let mut pages = Pages::default();
        if let Some(report) = report {
            pages.report = Some(self.keep_page(report.into_bytes()).await?);
        }
        for comparison in comparisons {
            pages.comparisons.push(match comparison {
                Some(text) => Some(self.keep_page(text.into_bytes()).await?),
                None => None,
            });
        }
        Ok((documents, pages))
    }

    async fn keep_page(&self, bytes: Vec<u8>) -> Result<Sha256, PublishError> {
        Ok(self.keep_own::<PublishError>(String::new(), bytes).await?.sha256)
    }

    /// Keeps what this server makes, for good.
    pub(super) async fn keep_own<E>(&self, path: String, bytes: Vec<u8>) -> Result<RunFile, E>
    where
        E: From<QueueError> + From<ArtifactsError>,
    {
        // A worker may have sent the same bytes, which would be removed as what no verdict names.
        self.queue.named(Sha256::of(&bytes)).await?;
        let kept = self.artifacts.keep_bytes(path, bytes).await?;
        self.queue.named(kept.sha256).await?;
        Ok(kept)
    }
}
