//! Jobs come back: given back by their worker, taken back from one that is lost, or because their time has come.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use super::claims::{Ending, lease, milliseconds};
use super::sql::rows;
use super::wire::Lease;
use super::{Queue, QueueError};

/// How often a job may be given back without a cost. After that, it waits one minute, two, three.
const FREE: i64 = 10;
const MINUTE: i64 = 60 * 1000;
const OFTEN: &str = "it was given back too often";

impl Queue {
    /// Gives interrupted jobs back, and returns the leases that ended. If a job is given back often, each time counts
    /// as an attempt, and it waits longer and longer.
    pub async fn release(&self, worker: &str, held: &[Lease]) -> Result<Vec<Lease>, QueueError> {
        if held.is_empty() {
            return Ok(Vec::new());
        }
        let failed = QueueError::when("give jobs back");
        let mut change = self.begin_leases().await?;
        let sql = format!(
            "UPDATE queue_job SET state = CASE WHEN released < {FREE} THEN 'ready' WHEN attempt < attempts THEN 'later'
               ELSE 'dead' END, worker = NULL, lease_until = NULL, released = released + 1, changed = {now},
               attempts = attempts + CASE WHEN released < {FREE} THEN 1 ELSE 0 END,
               run_at = CASE WHEN released < {FREE} THEN run_at ELSE {now} + {MINUTE} * (released - {FREE} + 1) END,
               reason = CASE WHEN released < {FREE} THEN reason ELSE '{OFTEN}' END
             WHERE state = 'running' AND cancel = 0 AND worker = $1 AND (id, attempt) IN (VALUES {})
             RETURNING id, attempt, state",
            rows(2, held.len(), &["$", "$"]),
            now = self.now(),
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(worker.to_owned());
        let query = held
            .iter()
            .fold(query, |query, held| query.bind(held.job).bind(held.attempt));
        let rows = query.fetch_all(&mut *change).await.map_err(&failed)?;
        let dead = Ending::Again {
            reason: OFTEN.into(),
            after: Duration::ZERO,
        };
        let (mut released, mut ended) = (Vec::new(), Vec::new());
        for row in &rows {
            let lease = lease(row).map_err(&failed)?;
            released.push(lease);
            if row.try_get::<String, _>(2).map_err(&failed)? == "dead" {
                ended.push((lease, &dead));
            }
        }
        self.conclude(&mut change, worker, &ended).await?;
        change.commit().await.map_err(failed)?;
        Ok(released)
    }

    /// Takes back jobs without a live holder, and makes due jobs ready. Returns how many jobs became ready or ended.
    pub async fn reap(&self) -> Result<u64, QueueError> {
        let (failed, now) = (QueueError::when("take lost jobs back"), self.now());
        let mut reaping = self.begin_leases().await?;
        // The turn stays as it was, so that a lost job goes first. Locked rows are being renewed or ended.
        let sql = format!(
            "UPDATE queue_job SET state = CASE WHEN cancel = 1 THEN 'cancelled' WHEN attempt < attempts THEN 'ready' ELSE 'dead' END,
               lost = lost + 1, lease_until = NULL, changed = {now}, worker = NULL, reason = 'its worker was lost'
             WHERE id IN (SELECT id FROM queue_job WHERE state = 'running' AND lease_until < {now} {})
             RETURNING id, attempt, state",
            self.skip_locked()
        );
        let lost = reaping.fetch_all(AssertSqlSafe(sql)).await.map_err(&failed)?;
        let dead = Ending::Again {
            reason: "its worker was lost at the last attempt".into(),
            after: Duration::ZERO,
        };
        let mut ended = Vec::new();
        for row in &lost {
            match row.try_get::<String, _>(2).map_err(&failed)?.as_str() {
                "dead" => ended.push((lease(row).map_err(&failed)?, &dead)),
                "cancelled" => ended.push((lease(row).map_err(&failed)?, &Ending::Cancelled)),
                _ => {}
            }
        }
        self.conclude(&mut reaping, "", &ended).await?;
        let sql = format!("UPDATE queue_job SET state = 'ready' WHERE state = 'later' AND run_at <= {now}");
        let due = reaping
            .execute(AssertSqlSafe(sql))
            .await
            .map_err(&failed)?
            .rows_affected();
        reaping.commit().await.map_err(&failed)?;
        Ok(due.saturating_add(lost.len() as u64))
    }

    /// Renews every lease: while no server was there, nobody could.
    pub async fn renew_all(&self, lease: Duration) -> Result<u64, QueueError> {
        let now = self.now();
        let sql = format!(
            "UPDATE queue_job SET lease_until = {now} + $1 WHERE state = 'running' AND lease_until < {now} + $1"
        );
        let renewed = sqlx::query(AssertSqlSafe(sql))
            .bind(milliseconds(lease))
            .execute(self.write())
            .await;
        Ok(renewed.map_err(QueueError::when("renew leases"))?.rows_affected())
    }
}
