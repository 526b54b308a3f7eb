//! The effect of an attempt's end on its job: a verdict, another attempt, or a dead letter.

use std::collections::{BTreeMap, BTreeSet};

use tracing::Instrument as _;
use tracing::field::Empty;

use super::Running;
use super::api::ApiError;
use super::artifacts::ArtifactsError;
use crate::artifact::Subject;
use crate::bounded;
use crate::queue::wire::{Ended, Lease, Outcome, RunFile, Taken, Task};
use crate::queue::{Ending, HeldTask, QueueError, REFUSED, files};
use crate::run::failure::{FailureCode, Fault};
use crate::run::{Record, Verdict};
use crate::telemetry;

/// Maximum length of a worker's message that is kept, in characters.
const MESSAGE: usize = 2000;

impl Running {
    /// Ends attempts as their worker says that they ended, if their leases are held.
    pub(super) async fn take_results(&self, worker: &str, results: Vec<Ended>) -> Result<Taken, ApiError> {
        let leases: Vec<Lease> = results.iter().map(|result| result.lease).collect();
        let tasks = self.queue.tasks(worker, &leases).await?;
        let (mut ends, mut refused) = (BTreeMap::new(), Vec::new());
        for Ended {
            lease,
            outcome,
            trace,
        } in results
        {
            let held = tasks.get(&lease);
            let span = judging(worker, lease, held, trace.as_deref());
            let task = held.map(|held| &held.task);
            match self.judge(lease, task, outcome).instrument(span.clone()).await {
                Ok(end) => {
                    span.record("verdict", end.word());
                    ends.insert(lease, end);
                }
                Err(Unfit::Said(reason)) => refused.push((lease, reason)),
                Err(Unfit::Artifacts(error)) => return Err(error.into()),
                Err(Unfit::Queue(error)) => return Err(error.into()),
            }
        }
        let taken = self.queue.finish(worker, &ends).await?;
        for lease in &taken {
            if let (Some(held), Some(end)) = (tasks.get(lease), ends.get(lease)) {
                ended(worker, *lease, held, end);
            }
        }
        // A result that was refused may be sent in another form, and a lease of another worker is none of this one's.
        self.leases_ended(&taken);
        if !taken.is_empty() {
            // A limit may have room again.
            self.news.notify_waiters();
        }
        let signs = |end: &Ending| matches!(end, Ending::Verdict { sign: true, .. });
        if ends.values().any(signs) {
            self.due.notify_one();
        }
        Ok(Taken {
            taken: taken.into_iter().collect(),
            refused,
        })
    }

    /// `task` is `None` if the lease is not held: then only whether it was ended before counts.
    async fn judge(&self, lease: Lease, task: Option<&Task>, outcome: Outcome) -> Result<Ending, Unfit> {
        let verdict = |verdict: &str, reason| Ending::Verdict {
            verdict: verdict.to_owned(),
            reason,
            run: None,
            sign: false,
        };
        match (task, outcome) {
            (None, _) => Ok(verdict("none", None)),
            (Some(_), Outcome::Cancelled) => Ok(Ending::Cancelled),
            (Some(Task::Probe { .. }), Outcome::Probed) => Ok(verdict("probed", None)),
            (Some(Task::Rebuild { subject, .. }), Outcome::Run { files }) => {
                self.run(lease, subject, files).await
            }
            (Some(Task::Rebuild { .. }), Outcome::Failed { failure, message }) => {
                Ok(after(lease, failure, &message))
            }
            (Some(Task::Rebuild { .. }), Outcome::Refused { message }) => {
                Ok(verdict(REFUSED, Some(short(&message))))
            }
            _ => Err(Unfit::Said("the result does not fit this kind of job".into())),
        }
    }

    /// Reads the verdict of a run whose files are all here.
    async fn run(&self, lease: Lease, subject: &str, files: Vec<RunFile>) -> Result<Ending, Unfit> {
        let said = |reason: &str| Unfit::Said(reason.to_owned());
        if let Some(reason) = files::unfit(&files) {
            return Err(Unfit::Said(reason));
        }
        let artifacts: BTreeSet<_> = files.iter().map(|file| file.sha256).collect();
        self.queue.spoken_of(&artifacts).await?;
        for file in &files {
            if self.artifacts.size(file.sha256).await? != Some(file.size) {
                return Err(Unfit::Said(format!(
                    "{} was not sent, or has another size",
                    file.path
                )));
            }
        }
        let named = |name: &str| files.iter().find(|file| file.path == name);
        let (Some(record), Some(_)) = (named("record.json"), named("plan.json")) else {
            return Err(said("the run has no record or no plan"));
        };
        let record = self.artifacts.read(record, bounded::PLAN).await?;
        let record: Record = serde_json::from_slice(&record)
            .map_err(|error| Unfit::Said(format!("invalid record: {error}")))?;
        if !is_about(&record.subject, subject) {
            return Err(Unfit::Said(format!("the run is about {}", record.subject)));
        }
        if let Verdict::Inconclusive { reason, .. } = &record.verdict {
            let code = record.failure.as_ref().map(|failure| failure.code);
            let ending = after(lease, code, reason);
            let files = crate::text::json(&files);
            // The last attempt is kept; its log says why.
            return Ok(match ending {
                Ending::Verdict {
                    verdict,
                    reason,
                    sign,
                    ..
                } => Ending::Verdict {
                    verdict,
                    reason,
                    sign,
                    run: Some(files),
                },
                other => other,
            });
        }
        let negatives = self.handing.as_ref().is_some_and(|handing| handing.negatives);
        let sign = self.handing.is_some() && (record.verdict != Verdict::NotReproduced || negatives);
        Ok(Ending::Verdict {
            verdict: record.verdict.to_string(),
            reason: None,
            run: Some(crate::text::json(&files)),
            sign,
        })
    }
}

/// The span in which a result is judged; none for a probe, or for a lease that is not held.
fn judging(worker: &str, lease: Lease, held: Option<&HeldTask>, trace: Option<&str>) -> tracing::Span {
    let Some(held) = held.filter(|held| matches!(held.task, Task::Rebuild { .. })) else {
        return tracing::Span::none();
    };
    let Lease { job, attempt } = lease;
    let span = tracing::info_span!(parent: None, "verdict", job, attempt, worker, verdict = Empty);
    telemetry::adopt(&span, held.traced.or_root(trace));
    span
}

/// Says how an attempt ended, and with it perhaps its job.
fn ended(worker: &str, lease: Lease, held: &HeldTask, end: &Ending) {
    let Lease { job, attempt } = lease;
    let verdict = end.word();
    match (&held.task, end) {
        (Task::Probe { .. }, _) => tracing::debug!(job, attempt, worker, verdict, "job ended"),
        (_, Ending::Again { reason, .. }) if attempt >= held.attempts => {
            tracing::warn!(
                job,
                attempt,
                worker,
                reason,
                "job is dead: its last attempt failed"
            );
            held.traced.close(attempt, "dead");
        }
        (_, Ending::Again { reason, after }) => {
            let seconds = after.as_secs();
            tracing::warn!(
                job,
                attempt,
                worker,
                reason,
                seconds,
                "attempt failed, and is tried again"
            );
        }
        _ => {
            tracing::info!(job, attempt, worker, verdict, "job ended");
            held.traced.close(attempt, verdict);
        }
    }
}

/// A result that cannot be accepted.
enum Unfit {
    /// Because of what it says.
    Said(String),
    /// Because the artifacts cannot be looked at now.
    Artifacts(ArtifactsError),
    /// Because the database does not answer.
    Queue(QueueError),
}

impl From<ArtifactsError> for Unfit {
    fn from(error: ArtifactsError) -> Self {
        match error {
            ArtifactsError::Other { .. } => Self::Said(error.to_string()),
            other => Self::Artifacts(other),
        }
    }
}

impl From<QueueError> for Unfit {
    fn from(error: QueueError) -> Self {
        Self::Queue(error)
    }
}

/// The consequence of a failure: another attempt after a while, or the end. The queue knows which attempt is the last.
fn after(lease: Lease, code: Option<FailureCode>, message: &str) -> Ending {
    let fault = code.map_or(Fault::Build, FailureCode::fault);
    let name = code.map_or("other", |code| code.about().name);
    let reason = format!("{} ({name}): {}", fault.word(), short(message));
    match fault.again_after(u32::try_from(lease.attempt).unwrap_or(u32::MAX)) {
        Some(after) => Ending::Again { reason, after },
        None => Ending::Verdict {
            verdict: "inconclusive".into(),
            reason: Some(reason),
            run: None,
            sign: false,
        },
    }
}

fn short(message: &str) -> String {
    // PostgreSQL keeps no text with a NUL.
    let kept = message.chars().filter(|letter| *letter != '\0');
    kept.take(MESSAGE).collect()
}

/// Whether a record is about the requested subject. If the request named no version, any version fits.
fn is_about(record: &str, asked: &str) -> bool {
    let (Ok(record), Ok(asked)) = (record.parse::<Subject>(), asked.parse::<Subject>()) else {
        return false;
    };
    record.ecosystem == asked.ecosystem
        && record.name == asked.name
        && (asked.version.is_none() || record.version == asked.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_about_what_was_asked() {
        for (record, asked, about) in [
            ("pkg:pypi/idna@3.4", "pypi:idna==3.4", true),
            ("pkg:pypi/idna@3.4", "pypi:idna", true),
            ("pkg:pypi/idna@3.4", "pypi:idna==3.5", false),
            ("pkg:pypi/jedi@3.4", "pypi:idna==3.4", false),
            ("pkg:npm/idna@3.4", "pypi:idna==3.4", false),
        ] {
            assert_eq!(is_about(record, asked), about, "{record} {asked}");
        }
    }

    #[test]
    fn a_failure_is_tried_again_by_its_kind_and_then_ends() {
        let lease = |attempt| Lease { job: 1, attempt };
        let end = |attempt, code| after(lease(attempt), code, "x");
        let wait = |attempt, code| match end(attempt, Some(code)) {
            Ending::Again { after, .. } => after,
            other => panic!("{other:?}"),
        };
        assert!(matches!(
            end(1, Some(FailureCode::TestsFailed)),
            Ending::Verdict { .. }
        ));
        assert!(matches!(end(1, None), Ending::Verdict { .. }));
        assert!(wait(1, FailureCode::DiskFull) < wait(2, FailureCode::DiskFull));
        assert!(wait(1, FailureCode::DiskFull) < wait(1, FailureCode::SourceGone));
    }
}
