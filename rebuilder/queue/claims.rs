//! Gives, renews, ends and takes back leases: the critical part of the queue.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

use super::sql::rows;
use super::wire::{Beat, Job, Lease, Resources};
use super::{Queue, QueueError, Traced};
use crate::memory::Tx;
use crate::run::VerdictName;

/// Who asks for jobs.
#[derive(Debug, Clone)]
pub struct Claimant {
    /// The name on its token: two processes with one token are one worker.
    pub worker: String,
    pub architecture: String,
    /// What it has left.
    pub free: Resources,
}

impl Claimant {
    /// The same with what each of so many jobs may need, so that all of them fit.
    fn share(&self, jobs: i64) -> Self {
        let of = |free: i64| free.checked_div(jobs.max(1)).unwrap_or(0);
        let free = Resources {
            memory: of(self.free.memory),
            disk: of(self.free.disk),
            cores: of(self.free.cores),
        };
        Self { free, ..self.clone() }
    }
}

/// The verdict of a job whose subject the tool refuses to rebuild.
pub const REFUSED: &str = VerdictName::Refused.word();

/// How an attempt ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// With what is said of the job for good.
    Verdict {
        verdict: String,
        reason: Option<String>,
        /// The files of its run, as JSON.
        run: Option<String>,
        /// Whether the run is to be handed in to the signer.
        sign: bool,
    },
    /// With a failure that may pass; a dead letter if it was the last attempt.
    Again { reason: String, after: Duration },
    /// Cancelled by the operator.
    Cancelled,
}

pub(super) fn lease(row: &AnyRow) -> Result<Lease, sqlx::Error> {
    Ok(Lease {
        job: row.try_get(0)?,
        attempt: row.try_get(1)?,
    })
}

pub(super) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 2)
}

/// The action that ends jobs, for errors.
const ENDING: &str = "end jobs";

impl Queue {
    /// Leases at most `slots` jobs that fit.
    pub async fn claim(&self, who: &Claimant, slots: i64, lease: Duration) -> Result<Vec<Job>, QueueError> {
        let failed = QueueError::when("claim jobs");
        let who = &who.share(slots);
        let mut claiming = self.begin_leases().await?;
        // Who counts holds the limits, so that no two count the same room.
        let limits = format!(
            "SELECT ecosystem, most FROM queue_limit ORDER BY ecosystem {}",
            self.memory.dialect().for_update()
        );
        let limits = sqlx::query(AssertSqlSafe(limits)).fetch_all(&mut *claiming);
        let limits = limits.await.map_err(&failed)?;
        if limits.is_empty() {
            let jobs = self.claim_from(&mut claiming, who, slots, lease, &[]).await?;
            claiming.commit().await.map_err(&failed)?;
            return Ok(jobs);
        }
        let mut jobs = Vec::new();
        for _ in 0..slots.max(0) {
            let mut full = Vec::new();
            for row in &limits {
                let (ecosystem, most): (String, i64) =
                    (row.try_get(0).map_err(&failed)?, row.try_get(1).map_err(&failed)?);
                let count =
                    sqlx::query("SELECT count(*) FROM queue_job WHERE state = 'running' AND ecosystem = $1");
                let running = count.bind(ecosystem.clone()).fetch_one(&mut *claiming).await;
                if running
                    .and_then(|row| row.try_get::<i64, _>(0))
                    .map_err(&failed)?
                    >= most
                {
                    full.push(ecosystem);
                }
            }
            let found = self.claim_from(&mut claiming, who, 1, lease, &full).await?;
            if found.is_empty() {
                break;
            }
            jobs.extend(found);
        }
        claiming.commit().await.map_err(&failed)?;
        Ok(jobs)
    }

    async fn claim_from(
        &self,
        claiming: &mut Tx,
        who: &Claimant,
        slots: i64,
        lease: Duration,
        full: &[String],
    ) -> Result<Vec<Job>, QueueError> {
        let now = self.now();
        let open = match full.len() {
            0 => String::new(),
            many => format!("AND ecosystem NOT IN (VALUES {})", rows(8, many, &["$"])),
        };
        // Of the places of one agreement only the first is handed out at a time, and none to a worker that has another one.
        let sql = format!(
            "WITH picked AS MATERIALIZED (
               SELECT id FROM queue_job AS job WHERE state = 'ready' AND architecture IN ('', $4)
                 AND memory <= $5 AND disk <= $6 AND cores <= $7 {open}
                 AND (agreement IS NULL OR NOT EXISTS (SELECT 1 FROM queue_job AS other
                   WHERE other.agreement = job.agreement AND other.id <> job.id AND (other.worker = $1
                     AND other.state <> 'ready' OR other.state = 'ready' AND other.id < job.id)))
               ORDER BY priority DESC, turn, id LIMIT $3 {})
             UPDATE queue_job SET state = 'running', attempt = attempt + 1, worker = $1, lease_until = {now} + $2,
               changed = {now}
             WHERE id IN (SELECT id FROM picked) RETURNING id, attempt, task, memory, disk, cores, created, subject",
            self.skip_locked()
        );
        let mut query = sqlx::query(AssertSqlSafe(sql))
            .bind(who.worker.clone())
            .bind(milliseconds(lease))
            .bind(slots)
            .bind(who.architecture.clone())
            .bind(who.free.memory)
            .bind(who.free.disk)
            .bind(who.free.cores);
        for ecosystem in full {
            query = query.bind(ecosystem.clone());
        }
        let failed = QueueError::when("claim jobs");
        let rows = query.fetch_all(&mut **claiming).await.map_err(&failed)?;
        rows.iter().map(job).collect()
    }

    /// Renews leases. One that is not among the answers is no longer the worker's.
    pub async fn heartbeat(
        &self,
        worker: &str,
        held: &[Lease],
        lease_for: Duration,
    ) -> Result<Vec<Beat>, QueueError> {
        let failed = QueueError::when("renew leases");
        if held.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "UPDATE queue_job SET lease_until = {} + $1 WHERE state = 'running' AND worker = $2
             AND (id, attempt) IN (VALUES {}) RETURNING id, attempt, cancel",
            self.now(),
            rows(3, held.len(), &["$", "$"])
        );
        let query = sqlx::query(AssertSqlSafe(sql))
            .bind(milliseconds(lease_for))
            .bind(worker.to_owned());
        let query = held
            .iter()
            .fold(query, |query, held| query.bind(held.job).bind(held.attempt));
        let rows = query.fetch_all(self.write()).await.map_err(&failed)?;
        let beat = |row: &AnyRow| {
            Ok(Beat {
                lease: lease(row)?,
                cancel: row.try_get::<i64, _>(2)? != 0,
            })
        };
        rows.iter().map(beat).collect::<Result<_, _>>().map_err(failed)
    }

    /// Ends attempts, each together with its verdict if it has one. Only who holds the lease is heard, and once;
    /// returns the leases whose end is written down, now or before.
    pub async fn finish(
        &self,
        worker: &str,
        ends: &BTreeMap<Lease, Ending>,
    ) -> Result<BTreeSet<Lease>, QueueError> {
        let mut taken = BTreeSet::new();
        let mut ending = self.begin_leases().await?;
        for (state, cancelled) in [("done", false), ("cancelled", true)] {
            let of_state: Vec<Lease> = ends
                .iter()
                .filter(|(_, end)| end.state() == Some(state))
                .map(|(lease, _)| *lease)
                .collect();
            if of_state.is_empty() {
                continue;
            }
            let ended = self
                .end(&mut ending, worker, &of_state, (state, cancelled))
                .await?;
            let verdicts: Vec<_> = ended
                .iter()
                .filter_map(|lease| Some((*lease, ends.get(lease)?)))
                .collect();
            self.conclude(&mut ending, worker, &verdicts).await?;
            taken.extend(ended);
        }
        for (held, end) in ends {
            let Ending::Again { reason, after } = end else {
                continue;
            };
            let Some(state) = self.again(&mut ending, worker, *held, (reason, *after)).await? else {
                continue;
            };
            if state == "dead" {
                self.conclude(&mut ending, worker, &[(*held, end)]).await?;
            }
            taken.insert(*held);
        }
        let late: Vec<Lease> = ends
            .keys()
            .filter(|held| !taken.contains(held))
            .copied()
            .collect();
        taken.extend(self.concluded(&mut ending, worker, &late).await?);
        ending.commit().await.map_err(QueueError::when(ENDING))?;
        Ok(taken)
    }

    /// Ends those of some jobs that the worker holds.
    async fn end(
        &self,
        ending: &mut Tx,
        worker: &str,
        held: &[Lease],
        (state, cancelled): (&'static str, bool),
    ) -> Result<Vec<Lease>, QueueError> {
        let sql = format!(
            "UPDATE queue_job SET state = $1, lease_until = NULL, changed = {} WHERE state = 'running' AND worker = $2
             {} AND (id, attempt) IN (VALUES {}) RETURNING id, attempt",
            self.now(),
            if cancelled { "AND cancel = 1" } else { "" },
            rows(3, held.len(), &["$", "$"])
        );
        let query = sqlx::query(AssertSqlSafe(sql))
            .bind(state)
            .bind(worker.to_owned());
        let query = held
            .iter()
            .fold(query, |query, held| query.bind(held.job).bind(held.attempt));
        let failed = QueueError::when(ENDING);
        let rows = query.fetch_all(&mut **ending).await.map_err(&failed)?;
        rows.iter().map(lease).collect::<Result<_, _>>().map_err(&failed)
    }

    /// Gives a job back, to be tried later; gives its new state, which is `dead` after the last attempt. None if the
    /// worker does not hold it.
    async fn again(
        &self,
        ending: &mut Tx,
        worker: &str,
        held: Lease,
        (reason, after): (&str, Duration),
    ) -> Result<Option<String>, QueueError> {
        let sql = format!(
            "UPDATE queue_job SET state = CASE WHEN attempt < attempts THEN 'later' ELSE 'dead' END, worker = NULL,
             lease_until = NULL, reason = $1, run_at = {now} + $2, changed = {now}
             WHERE state = 'running' AND worker = $3 AND id = $4 AND attempt = $5 RETURNING state",
            now = self.now()
        );
        let query = sqlx::query(AssertSqlSafe(sql))
            .bind(reason.to_owned())
            .bind(milliseconds(after));
        let query = query.bind(worker.to_owned()).bind(held.job).bind(held.attempt);
        let failed = QueueError::when(ENDING);
        let row = query.fetch_optional(&mut **ending).await.map_err(&failed)?;
        row.map(|row| row.try_get(0)).transpose().map_err(&failed)
    }

    /// Those of some jobs that the worker has a verdict on. Whose answer was lost on its way asks again, and is told the
    /// same.
    async fn concluded(
        &self,
        ending: &mut Tx,
        worker: &str,
        late: &[Lease],
    ) -> Result<Vec<Lease>, QueueError> {
        if late.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT job, attempt FROM queue_verdict WHERE worker = $1 AND (job, attempt) IN (VALUES {})",
            rows(2, late.len(), &["$", "$"])
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(worker.to_owned());
        let query = late
            .iter()
            .fold(query, |query, held| query.bind(held.job).bind(held.attempt));
        let failed = QueueError::when(ENDING);
        let rows = query.fetch_all(&mut **ending).await.map_err(&failed)?;
        rows.iter().map(lease).collect::<Result<_, _>>().map_err(&failed)
    }

    /// Writes verdicts, in the transaction that ends the jobs. A second one of a job breaks the primary key, and with it the
    /// transaction.
    pub(super) async fn conclude(
        &self,
        ending: &mut Tx,
        worker: &str,
        ends: &[(Lease, &Ending)],
    ) -> Result<(), QueueError> {
        if ends.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "INSERT INTO queue_verdict (job, attempt, worker, verdict, reason, run, signing, at) VALUES {}",
            rows(1, ends.len(), &["$", "$", "$", "$", "$", "$", "$", self.now()])
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (lease, end) in ends {
            let (verdict, reason, run, sign) = match end {
                Ending::Verdict {
                    verdict,
                    reason,
                    run,
                    sign,
                } => (verdict.as_str(), reason.clone(), run.clone(), *sign),
                // Of what failed each time, and of what lost its worker each time.
                Ending::Again { reason, .. } => ("inconclusive", Some(reason.clone()), None, false),
                Ending::Cancelled => ("cancelled", None, None, false),
            };
            query = query
                .bind(lease.job)
                .bind(lease.attempt)
                .bind(worker.to_owned())
                .bind(verdict.to_owned());
            query = query.bind(reason).bind(run).bind(if sign { "due" } else { "no" });
        }
        query
            .execute(&mut **ending)
            .await
            .map_err(QueueError::when("write verdicts"))?;
        for (_, end) in ends {
            if let Ending::Verdict { run: Some(run), .. } = end {
                self.name_files(ending, run).await?;
            }
        }
        Ok(())
    }
}

impl Ending {
    /// The verdict, or what happens instead, in a word.
    pub fn word(&self) -> &str {
        match self {
            Self::Verdict { verdict, .. } => verdict,
            Self::Again { .. } => "again",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state in which it leaves the job, if that needs no more than this.
    fn state(&self) -> Option<&'static str> {
        match self {
            Self::Verdict { .. } => Some("done"),
            Self::Cancelled => Some("cancelled"),
            Self::Again { .. } => None,
        }
    }
}

fn job(row: &AnyRow) -> Result<Job, QueueError> {
    let failed = QueueError::when("read a job");
    let task: String = row.try_get(2).map_err(&failed)?;
    let lease = lease(row).map_err(&failed)?;
    let traced = Traced::of(row, lease.job, 6).map_err(&failed)?;
    Ok(Job {
        lease,
        task: serde_json::from_str(&task).map_err(|error| QueueError::Unreadable(error.to_string()))?,
        needs: Resources {
            memory: row.try_get(3).map_err(&failed)?,
            disk: row.try_get(4).map_err(&failed)?,
            cores: row.try_get(5).map_err(&failed)?,
        },
        trace: traced.root().map(|root| root.to_string()),
    })
}
