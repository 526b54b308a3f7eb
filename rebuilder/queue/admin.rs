//! The operator's view of the queue, and changes to it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

use super::claims::milliseconds;
use super::sql::rows;
use super::wire::{Lease, RunFile, Task};
use super::{Queue, QueueError, Traced};

/// A job, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    pub id: i64,
    pub state: String,
    pub subject: String,
    pub audit: String,
    pub priority: i64,
    /// Attempts so far, and how many may be.
    pub attempt: i64,
    pub attempts: i64,
    /// How many of them were lost with their worker.
    pub lost: i64,
    pub worker: Option<String>,
    /// Why there is no conclusive verdict, or why the last attempt failed if there is none yet.
    pub reason: Option<String>,
    pub verdict: Option<String>,
    /// What the signer said: `no`, `due`, `waits`, `signed`, `refused`.
    pub signing: Option<String>,
}

/// How many jobs are in each state, and how many verdicts of each kind there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub jobs: BTreeMap<String, i64>,
    pub verdicts: BTreeMap<String, i64>,
    pub signing: BTreeMap<String, i64>,
}

/// A run that is to be handed in to the signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueRun {
    pub lease: Lease,
    pub worker: String,
    pub files: Vec<RunFile>,
    /// How often it could not be handed in.
    pub tries: u32,
    pub traced: Traced,
}

/// What a lease that is held is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldTask {
    pub task: Task,
    /// How many attempts there may be.
    pub attempts: i64,
    pub traced: Traced,
}

impl Queue {
    /// Jobs with this state, or all; the newest first, those before `before` if it is said.
    pub async fn list(
        &self,
        state: Option<&str>,
        before: Option<i64>,
        count: i64,
    ) -> Result<Vec<Listed>, QueueError> {
        let failed = QueueError::when("list jobs");
        let sql =
            "SELECT id, state, subject, audit, priority, queue_job.attempt, attempts, lost, queue_job.worker,
               CASE WHEN verdict IS NULL THEN queue_job.reason ELSE queue_verdict.reason END, verdict, signing
             FROM queue_job LEFT JOIN queue_verdict ON queue_verdict.job = id
             WHERE ($1 = '' OR state = $1) AND id < $2 ORDER BY id DESC LIMIT $3";
        let query = sqlx::query(sql)
            .bind(state.unwrap_or_default().to_owned())
            .bind(before.unwrap_or(i64::MAX))
            .bind(count);
        let rows = query.fetch_all(self.memory.read()).await.map_err(&failed)?;
        rows.iter().map(listed).collect::<Result<_, _>>().map_err(failed)
    }

    /// Counts everything.
    pub async fn tally(&self) -> Result<Tally, QueueError> {
        let (verdicts, mut signing) = self.verdicts().await?;
        signing.remove("no");
        Ok(Tally {
            jobs: self
                .count("SELECT state, count(*) FROM queue_job GROUP BY state")
                .await?,
            verdicts,
            signing,
        })
    }

    /// Counts what has not ended, and runs that the signer has not answered for. Each of these states has an index of its own,
    /// so what ended takes no time.
    pub async fn open(&self) -> Result<Tally, QueueError> {
        Ok(Tally {
            jobs: self
                .count(
                    "SELECT 'ready', count(*) FROM queue_job WHERE state = 'ready'
                     UNION ALL SELECT 'later', count(*) FROM queue_job WHERE state = 'later'
                     UNION ALL SELECT 'running', count(*) FROM queue_job WHERE state = 'running'",
                )
                .await?,
            verdicts: BTreeMap::new(),
            signing: self
                .count(
                    "SELECT signing, count(*) FROM queue_verdict WHERE signing IN ('due', 'waits') GROUP BY signing",
                )
                .await?,
        })
    }

    /// Counts everything else: what has ended, however long ago.
    pub async fn ended(&self) -> Result<Tally, QueueError> {
        let (verdicts, mut signing) = self.verdicts().await?;
        signing.retain(|state, _| ["signed", "refused"].contains(&state.as_str()));
        Ok(Tally {
            jobs: self
                .count(
                    "SELECT state, count(*) FROM queue_job WHERE state IN ('done', 'dead', 'cancelled') GROUP BY state",
                )
                .await?,
            verdicts,
            signing,
        })
    }

    /// Counts verdicts by word, and by what the signer said. All of them are read, once.
    async fn verdicts(&self) -> Result<(BTreeMap<String, i64>, BTreeMap<String, i64>), QueueError> {
        let failed = QueueError::when("count verdicts");
        let sql = "SELECT verdict, signing, count(*) FROM queue_verdict GROUP BY verdict, signing";
        let rows = sqlx::query(sql).fetch_all(self.memory.read()).await;
        let (mut verdicts, mut signing) = (BTreeMap::new(), BTreeMap::new());
        for row in rows.map_err(&failed)? {
            let count: i64 = row.try_get(2).map_err(&failed)?;
            for (counts, column) in [(&mut verdicts, 0_usize), (&mut signing, 1)] {
                let word: String = row.try_get(column).map_err(&failed)?;
                let sum: &mut i64 = counts.entry(word).or_default();
                *sum = sum.saturating_add(count);
            }
        }
        Ok((verdicts, signing))
    }

    async fn count(&self, sql: &'static str) -> Result<BTreeMap<String, i64>, QueueError> {
        let failed = QueueError::when("count jobs");
        let rows = sqlx::query(sql)
            .fetch_all(self.memory.read())
            .await
            .map_err(&failed)?;
        let pair = |row: &AnyRow| Ok((row.try_get(0)?, row.try_get(1)?));
        rows.iter().map(pair).collect::<Result<_, _>>().map_err(failed)
    }

    /// Cancels a job. A waiting job ends at once; the worker of a running job is told at its next heartbeat.
    pub async fn cancel(&self, job: i64) -> Result<(), QueueError> {
        let failed = QueueError::when("cancel the job");
        let mut change = self.begin().await?;
        let sql = format!(
            "UPDATE queue_job SET cancel = 1, state = CASE WHEN state = 'running' THEN state ELSE 'cancelled' END, changed = {}
             WHERE id = $1 AND state IN ('ready', 'later', 'running') RETURNING state, attempt",
            self.now()
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(job)
            .fetch_optional(&mut *change)
            .await
            .map_err(&failed)?;
        let Some(row) = row else {
            return Err(QueueError::NoJob(job));
        };
        if row.try_get::<String, _>(0).map_err(&failed)? == "cancelled" {
            let attempt = row.try_get(1).map_err(&failed)?;
            self.conclude(
                &mut change,
                "",
                &[(Lease { job, attempt }, &super::Ending::Cancelled)],
            )
            .await?;
        }
        change.commit().await.map_err(failed)
    }

    /// Queues a dead or cancelled job again, as a new job; the old one keeps its verdict. Returns the new number.
    pub async fn retry(&self, job: i64) -> Result<i64, QueueError> {
        let sql = format!(
            "INSERT INTO queue_job (audit, ecosystem, subject, task, key, agreement, priority, turn, run_at, state, attempts,
               architecture, memory, disk, cores, created, changed)
             SELECT audit, ecosystem, subject, task, key, agreement, priority, turn, {now}, 'ready', attempts, architecture,
               memory, disk, cores, {now}, {now} FROM queue_job WHERE id = $1 AND state IN ('dead', 'cancelled')
             ON CONFLICT DO NOTHING RETURNING id",
            now = self.now()
        );
        let failed = QueueError::when("repeat the job");
        let mut change = self.begin().await?;
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(job)
            .fetch_optional(&mut *change)
            .await
            .map_err(&failed)?;
        let new = row.ok_or(QueueError::NoJob(job))?.try_get(0).map_err(&failed)?;
        self.memory.announce_jobs(&mut change).await?;
        change.commit().await.map_err(failed)?;
        Ok(new)
    }

    /// At most so many jobs of an ecosystem run at a time, over all workers; `None` takes the limit away.
    pub async fn limit(&self, ecosystem: &str, most: Option<u32>) -> Result<(), QueueError> {
        let query = match most {
            Some(most) => sqlx::query(
                "INSERT INTO queue_limit (ecosystem, most) VALUES ($1, $2) ON CONFLICT (ecosystem) DO UPDATE SET most = excluded.most",
            )
            .bind(ecosystem.to_owned())
            .bind(i64::from(most)),
            None => sqlx::query("DELETE FROM queue_limit WHERE ecosystem = $1").bind(ecosystem.to_owned()),
        };
        query
            .execute(self.write())
            .await
            .map_err(QueueError::when("set the limit"))?;
        Ok(())
    }

    /// The limits.
    pub async fn limits(&self) -> Result<BTreeMap<String, i64>, QueueError> {
        self.count("SELECT ecosystem, most FROM queue_limit").await
    }

    /// The number of the newest job, 0 if there is none: another one than before means new work.
    pub async fn newest(&self) -> Result<i64, QueueError> {
        let row = sqlx::query("SELECT coalesce(max(id), 0) FROM queue_job")
            .fetch_one(self.memory.read())
            .await;
        row.and_then(|row| row.try_get(0))
            .map_err(QueueError::when("look for jobs"))
    }

    /// Whether this worker now holds this lease.
    pub async fn holds(&self, worker: &str, lease: Lease) -> Result<bool, QueueError> {
        let sql =
            "SELECT id FROM queue_job WHERE id = $1 AND attempt = $2 AND worker = $3 AND state = 'running'";
        let query = sqlx::query(sql)
            .bind(lease.job)
            .bind(lease.attempt)
            .bind(worker.to_owned());
        let found = query.fetch_optional(self.memory.read()).await;
        Ok(found.map_err(QueueError::when("look for the lease"))?.is_some())
    }

    /// What is to be done by the leases among these that this worker holds now.
    pub async fn tasks(
        &self,
        worker: &str,
        leases: &[Lease],
    ) -> Result<BTreeMap<Lease, HeldTask>, QueueError> {
        let failed = QueueError::when("look for the leases");
        if leases.is_empty() {
            return Ok(BTreeMap::new());
        }
        let sql = format!(
            "SELECT id, attempt, task, created, subject, attempts FROM queue_job WHERE state = 'running' AND worker = $1 AND (id, attempt) IN (VALUES {})",
            rows(2, leases.len(), &["$", "$"])
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(worker.to_owned());
        let query = leases
            .iter()
            .fold(query, |query, held| query.bind(held.job).bind(held.attempt));
        let rows = query.fetch_all(self.memory.read()).await.map_err(&failed)?;
        let task = |row: &AnyRow| {
            let task: String = row.try_get(2).map_err(&failed)?;
            let (job, attempt): (i64, i64) =
                (row.try_get(0).map_err(&failed)?, row.try_get(1).map_err(&failed)?);
            let task =
                serde_json::from_str(&task).map_err(|error| QueueError::Unreadable(error.to_string()))?;
            let held = HeldTask {
                task,
                attempts: row.try_get(5).map_err(&failed)?,
                traced: Traced::of(row, job, 3).map_err(&failed)?,
            };
            Ok((Lease { job, attempt }, held))
        };
        rows.iter().map(task).collect()
    }

    /// Runs that the signer has not seen, the oldest first; those that could not be handed in come behind the others, once
    /// their time has come.
    pub async fn due_runs(&self, count: i64) -> Result<Vec<DueRun>, QueueError> {
        let failed = QueueError::when("look for runs to sign");
        let sql = format!(
            "SELECT job, v.attempt, v.worker, run, signing_tries, created, subject FROM queue_verdict AS v
               JOIN queue_job AS j ON j.id = v.job WHERE signing = 'due' AND run IS NOT NULL
               AND signing_after <= {} ORDER BY signing_after, at, job LIMIT $1",
            self.now()
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(count)
            .fetch_all(self.memory.read())
            .await
            .map_err(&failed)?;
        let due = |row: &AnyRow| {
            let run: String = row.try_get(3).map_err(&failed)?;
            let job = row.try_get(0).map_err(&failed)?;
            Ok(DueRun {
                lease: Lease {
                    job,
                    attempt: row.try_get(1).map_err(&failed)?,
                },
                worker: row.try_get(2).map_err(&failed)?,
                files: serde_json::from_str(&run)
                    .map_err(|error| QueueError::Unreadable(error.to_string()))?,
                tries: u32::try_from(row.try_get::<i64, _>(4).map_err(&failed)?).unwrap_or(u32::MAX),
                traced: Traced::of(row, job, 5).map_err(&failed)?,
            })
        };
        rows.iter().map(due).collect()
    }

    /// A run could not be handed in: it is due again after a while.
    pub async fn sign_later(&self, job: i64, after: Duration) -> Result<(), QueueError> {
        self.put_off(job, after, "signing").await
    }

    /// A build could not be published: it is looked at again after a while.
    pub async fn publish_later(&self, job: i64, after: Duration) -> Result<(), QueueError> {
        self.put_off(job, after, "publishing").await
    }

    async fn put_off(&self, job: i64, after: Duration, what: &'static str) -> Result<(), QueueError> {
        let sql = format!(
            "UPDATE queue_verdict SET {what}_tries = {what}_tries + 1, {what}_after = {} + $1 WHERE job = $2",
            self.now()
        );
        let query = sqlx::query(AssertSqlSafe(sql))
            .bind(milliseconds(after))
            .bind(job);
        let put = query.execute(self.write()).await;
        put.map_err(QueueError::when("put off a run"))?;
        Ok(())
    }

    /// Writes down what the signer said of a run: `waits`, `signed` or `refused`. If it signed, the runs of the same agreement
    /// that wait are due again: the signer has now what they waited for.
    pub async fn signer_said(&self, job: i64, said: &str, note: Option<&str>) -> Result<(), QueueError> {
        let failed = QueueError::when("write down what the signer said");
        let mut change = self.begin().await?;
        let sql =
            "UPDATE queue_verdict SET signing = $1, signing_note = $2 WHERE job = $3 AND signing = 'due'";
        let query = sqlx::query(sql)
            .bind(said.to_owned())
            .bind(note.map(str::to_owned))
            .bind(job);
        query.execute(&mut *change).await.map_err(&failed)?;
        if said == "signed" {
            let sql = "UPDATE queue_verdict SET signing = 'due' WHERE signing = 'waits' AND job IN
                (SELECT other.id FROM queue_job AS other JOIN queue_job AS own ON other.agreement = own.agreement WHERE own.id = $1)";
            sqlx::query(sql)
                .bind(job)
                .execute(&mut *change)
                .await
                .map_err(&failed)?;
        }
        change.commit().await.map_err(failed)
    }
}

fn listed(row: &AnyRow) -> Result<Listed, sqlx::Error> {
    Ok(Listed {
        id: row.try_get(0)?,
        state: row.try_get(1)?,
        subject: row.try_get(2)?,
        audit: row.try_get(3)?,
        priority: row.try_get(4)?,
        attempt: row.try_get(5)?,
        attempts: row.try_get(6)?,
        lost: row.try_get(7)?,
        worker: row.try_get(8)?,
        reason: row.try_get(9)?,
        verdict: row.try_get(10)?,
        signing: row.try_get(11)?,
    })
}
