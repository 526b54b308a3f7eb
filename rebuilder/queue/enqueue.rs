//! Queues jobs.
//!
//! Each gets a turn, by which those of one priority are ordered: one after the last of its own audit, and not before the
//! turn that is now the first. So the audits take turns, however long each line is, and a claim reads one index in order.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Row as _};

use super::sql::rows;
use super::tokens::random;
use super::wire::{Resources, Task};
use super::{Queue, QueueError};
use crate::artifact::Sha256;
use crate::memory::Tx;
use crate::run::VerdictName;

/// A job to be done.
#[derive(Debug, Clone)]
pub struct NewJob {
    pub task: Task,
    /// Name of the ecosystem, by which jobs at a time may be limited.
    pub ecosystem: String,
    /// The audit to which it belongs; audits take turns.
    pub audit: String,
    /// Jobs of a higher one go first.
    pub priority: i64,
    /// Time to wait before it can start.
    pub delay: Duration,
    /// Maximum number of attempts, including those whose worker was lost.
    pub attempts: i64,
    /// Number of workers that do it independently.
    pub agree: u8,
    /// The processor that its worker must have; empty for any.
    pub architecture: String,
    pub needs: Resources,
}

impl NewJob {
    /// Maximum number of attempts, if nobody says otherwise.
    pub const ATTEMPTS: i64 = 5;

    /// A job for one worker, without any demands.
    pub fn new(task: Task, ecosystem: &str, audit: &str) -> Self {
        Self {
            task,
            ecosystem: ecosystem.to_owned(),
            audit: audit.to_owned(),
            priority: 0,
            delay: Duration::ZERO,
            attempts: Self::ATTEMPTS,
            agree: 1,
            architecture: String::new(),
            needs: Resources::default(),
        }
    }

    /// What makes it the same job as another one: what is done, and on which processor.
    fn key(&self) -> String {
        let task = crate::text::json(&self.task);
        Sha256::of(format!("{task}\n{}", self.architecture)).to_hex()
    }

    fn subject(&self) -> &str {
        match &self.task {
            Task::Rebuild { subject, .. } => subject,
            Task::Probe { .. } => "probe",
        }
    }
}

/// The result of queueing jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Enqueued {
    /// Jobs that wait now; one for each worker that is to agree.
    pub added: u64,
    /// Jobs that were waiting or running already.
    pub known: u64,
    /// Subjects that were left out because the audit has a verdict about them.
    pub settled: u64,
}

/// Jobs that one statement adds.
const ROWS: usize = 500;

/// A job for one worker, with the key that no other one may have and the agreement that it is a part of.
type Place<'a> = (&'a NewJob, String, Option<String>);

impl Queue {
    /// Queues jobs; those that already wait or run are not changed.
    pub async fn enqueue(&self, jobs: &[NewJob]) -> Result<Enqueued, QueueError> {
        let failed = QueueError::when("enqueue jobs");
        let mut enqueued = Enqueued::default();
        for jobs in jobs.chunk_by(|one, other| one.audit == other.audit) {
            let mut line = self.begin().await?;
            let audit = jobs.first().map_or("", |job| &job.audit).to_owned();
            let sql = "SELECT coalesce(max(turn), 0) FROM
                (SELECT max(turn) AS turn FROM queue_job WHERE state IN ('ready', 'later') AND audit = $1
                 UNION ALL SELECT min(turn) - 1 FROM queue_job WHERE state = 'ready') AS turns";
            let row = sqlx::query(sql).bind(audit).fetch_one(&mut *line).await;
            let mut turn: i64 = row.and_then(|row| row.try_get(0)).map_err(&failed)?;
            for jobs in jobs.chunks(ROWS) {
                let wanted = jobs.iter().map(|job| u64::from(job.agree.max(1))).sum::<u64>();
                // One statement for jobs that one worker does; the places of an agreement come and stay together.
                let (single, several): (Vec<_>, Vec<_>) = jobs.iter().partition(|job| job.agree <= 1);
                let single: Vec<Place<'_>> = single.into_iter().map(|job| (job, job.key(), None)).collect();
                let mut added = self.insert(&mut line, &single, &mut turn).await?;
                for job in several {
                    let places = self.places(&mut line, job).await?;
                    added = added.saturating_add(self.insert(&mut line, &places, &mut turn).await?);
                }
                enqueued.added = enqueued.added.saturating_add(added);
                enqueued.known = enqueued.known.saturating_add(wanted.saturating_sub(added));
            }
            self.memory.announce_jobs(&mut line).await?;
            line.commit().await.map_err(&failed)?;
        }
        Ok(enqueued)
    }

    /// The subjects about which an audit came to a conclusion: each job of the newest agreement did, or the newest job if
    /// it is not part of one. A job that was queued again counts in place of the one that it repeats. It does not make its
    /// agreement a newer one: that is as old as its first job, since what the others found is from then.
    pub async fn settled(&self, audit: &str) -> Result<HashSet<String>, QueueError> {
        let failed = QueueError::when("read the verdicts of an audit");
        let sql = "WITH begun AS (SELECT subject, min(id) AS first_job FROM queue_job WHERE audit = $1
               GROUP BY subject, coalesce(agreement, CAST(id AS TEXT))),
             newest AS (SELECT id, subject, agreement FROM queue_job WHERE id IN
               (SELECT max(first_job) FROM begun GROUP BY subject)),
             places AS (SELECT subject, id FROM newest WHERE agreement IS NULL
               UNION ALL SELECT n.subject, max(j.id) FROM newest n JOIN queue_job j ON j.agreement = n.agreement
               GROUP BY n.subject, j.key)
             SELECT p.subject, v.verdict FROM places p LEFT JOIN queue_verdict v ON v.job = p.id";
        let query = sqlx::query(sql).bind(audit.to_owned());
        let rows = query.fetch_all(self.memory.read()).await.map_err(&failed)?;
        let (mut settled, mut open) = (HashSet::new(), HashSet::new());
        for row in rows {
            let subject: String = row.try_get(0).map_err(&failed)?;
            let verdict: Option<String> = row.try_get(1).map_err(&failed)?;
            // Probes and cancelled jobs have words of their own.
            let verdict = verdict.as_deref().and_then(VerdictName::of_word);
            if verdict.is_some_and(VerdictName::is_conclusive) {
                settled.insert(subject);
            } else {
                open.insert(subject);
            }
        }
        settled.retain(|subject| !open.contains(subject));
        Ok(settled)
    }

    /// The places of an agreement; none if one of them waits or runs already.
    async fn places<'a>(&self, line: &mut Tx, job: &'a NewJob) -> Result<Vec<Place<'a>>, QueueError> {
        let failed = QueueError::when("enqueue jobs");
        let key = job.key();
        let keys: Vec<_> = (1..=job.agree).map(|place| format!("{key}/{place}")).collect();
        let sql = format!(
            "SELECT count(*) FROM queue_job WHERE state IN ('later', 'ready', 'running') AND key IN (VALUES {})",
            rows(1, keys.len(), &["$"])
        );
        let query = sqlx::query(AssertSqlSafe(sql));
        let query = keys.iter().fold(query, |query, key| query.bind(key.clone()));
        let row = query.fetch_one(&mut **line).await;
        if row.and_then(|row| row.try_get::<i64, _>(0)).map_err(failed)? > 0 {
            return Ok(Vec::new());
        }
        let agreement = random();
        Ok(keys
            .into_iter()
            .map(|key| (job, key, Some(agreement.clone())))
            .collect())
    }

    /// Writes jobs, each with the next turn, and returns how many are new.
    async fn insert(&self, line: &mut Tx, places: &[Place<'_>], turn: &mut i64) -> Result<u64, QueueError> {
        if places.is_empty() {
            return Ok(0);
        }
        let now = self.now();
        let run_at = format!("{now} + $");
        let row = [
            "$", "$", "$", "$", "$", "$", "$", "$", &run_at, "$", "$", "$", "$", "$", "$", now, now,
        ];
        let sql = format!(
            "INSERT INTO queue_job (audit, ecosystem, subject, task, key, agreement, priority, turn, run_at, state,
               attempts, architecture, memory, disk, cores, created, changed)
             VALUES {} ON CONFLICT DO NOTHING",
            rows(1, places.len(), &row)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (job, key, agreement) in places {
            *turn = turn.saturating_add(1);
            let delay = i64::try_from(job.delay.as_millis()).unwrap_or(i64::MAX / 2);
            query = query
                .bind(job.audit.clone())
                .bind(job.ecosystem.clone())
                .bind(job.subject().to_owned())
                .bind(crate::text::json(&job.task))
                .bind(key.clone())
                .bind(agreement.clone())
                .bind(job.priority)
                .bind(*turn)
                .bind(delay)
                .bind(if delay > 0 { "later" } else { "ready" })
                .bind(job.attempts.max(1))
                .bind(job.architecture.clone())
                .bind(job.needs.memory)
                .bind(job.needs.disk)
                .bind(job.needs.cores);
        }
        let written = query
            .execute(&mut **line)
            .await
            .map_err(QueueError::when("enqueue jobs"))?;
        Ok(written.rows_affected())
    }
}
