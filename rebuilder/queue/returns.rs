//! Jobs come back: given back by their worker, taken back from one that is lost, or because their time has come.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use super::claims::{Ending, lease, milliseconds};
use super::sql::rows;
use super::wire::Lease;
use super::{Queue, QueueError};

impl Queue {
    /// Gives jobs back whose work was broken off; that attempt does not count.
    pub async fn release(&self, worker: &str, held: &[Lease]) -> Result<u64, QueueError> {
        if held.is_empty() {
            return Ok(0);
        }
        let sql = format!(
            "UPDATE queue_job SET state = 'ready', worker = NULL, lease_until = NULL, attempts = attempts + 1, changed = {}
             WHERE state = 'running' AND cancel = 0 AND worker = $1 AND (id, attempt) IN (VALUES {})",
            self.now(),
            rows(2, held.len(), &["$", "$"])
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(worker.to_owned());
        let query = held
            .iter()
            .fold(query, |query, held| query.bind(held.job).bind(held.attempt));
        let released = query.execute(self.write()).await;
        Ok(released
            .map_err(QueueError::when("give jobs back"))?
            .rows_affected())
    }

    /// Takes back what has no live holder, and makes ready whose time has come; gives how many jobs became ready or ended.
    pub async fn reap(&self) -> Result<u64, QueueError> {
        let (failed, now) = (QueueError::when("take lost jobs back"), self.now());
        let mut reaping = self.begin().await?;
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
