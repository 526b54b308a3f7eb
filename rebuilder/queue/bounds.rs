//! What holds workers within bounds: how much each may send in a day, and which artifacts no verdict names.
//!
//! ```text
//!  sent ──▶ unnamed ──▶ named by a verdict: kept
//!               └─────▶ not spoken of for a while: removed
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Row as _};

use super::claims::milliseconds;
use super::sql::rows;
use super::wire::{Lease, RunFile};
use super::{Queue, QueueError};
use crate::artifact::Sha256;
use crate::memory::Tx;

const DAY: i64 = 24 * 60 * 60 * 1000;
/// Digests in one statement.
const SOME: usize = 1000;

/// Artifacts that are being removed. Until this is committed, nobody can name one of them.
pub struct Unnamed {
    change: Tx,
    pub artifacts: Vec<Sha256>,
}

impl Unnamed {
    /// They are gone.
    pub async fn commit(self) -> Result<(), QueueError> {
        let done = self.change.commit().await;
        done.map_err(QueueError::when("write down which artifacts are gone"))
    }
}

impl Queue {
    /// Counts bytes that a worker is about to send, unless it would send more than `most` today; returns whether it
    /// may.
    pub async fn may_send(&self, worker: &str, bytes: u64, most: u64) -> Result<bool, QueueError> {
        let failed = QueueError::when("count what was sent");
        let (Ok(bytes), Ok(most)) = (i64::try_from(bytes), i64::try_from(most)) else {
            return Ok(false);
        };
        if bytes > most {
            return Ok(false);
        }
        let sql = format!(
            "INSERT INTO queue_sent (worker, day, bytes) VALUES ($1, ({}) / {DAY}, $2) ON CONFLICT (worker, day)
             DO UPDATE SET bytes = queue_sent.bytes + excluded.bytes WHERE queue_sent.bytes + excluded.bytes <= $3
             RETURNING bytes",
            self.now()
        );
        let query = sqlx::query(AssertSqlSafe(sql))
            .bind(worker.to_owned())
            .bind(bytes)
            .bind(most);
        let room = query.fetch_optional(self.write()).await.map_err(failed)?;
        Ok(room.is_some())
    }

    /// An artifact is about to be kept that was not there: it has no name so far.
    pub async fn unnamed(&self, sha256: Sha256) -> Result<(), QueueError> {
        let sql = format!(
            "INSERT INTO queue_artifact (sha256, at) VALUES ($1, {now}) ON CONFLICT (sha256) DO UPDATE SET at = {now}",
            now = self.now()
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(sha256.to_hex());
        let written = query.execute(self.write()).await;
        written.map_err(QueueError::when("write down an artifact"))?;
        Ok(())
    }

    /// Artifacts are about to be named: for a while none of them is removed. Whether they are there is asked after this.
    pub async fn spoken_of(&self, artifacts: &BTreeSet<Sha256>) -> Result<(), QueueError> {
        let failed = QueueError::when("look for artifacts");
        let artifacts: Vec<_> = artifacts.iter().collect();
        for some in artifacts.chunks(SOME) {
            let sql = format!(
                "UPDATE queue_artifact SET at = {} WHERE sha256 IN (VALUES {})",
                self.now(),
                rows(1, some.len(), &["$"])
            );
            let query = sqlx::query(AssertSqlSafe(sql));
            let query = some
                .iter()
                .fold(query, |query, sha256| query.bind(sha256.to_hex()));
            query.execute(self.write()).await.map_err(&failed)?;
        }
        Ok(())
    }

    /// An artifact that this server makes itself is kept for good.
    pub async fn named(&self, sha256: Sha256) -> Result<(), QueueError> {
        let query = sqlx::query("DELETE FROM queue_artifact WHERE sha256 = $1").bind(sha256.to_hex());
        let named = query.execute(self.write()).await;
        named.map_err(QueueError::when("name an artifact"))?;
        Ok(())
    }

    /// Names the files of runs, in the transaction that writes their verdicts.
    pub(super) async fn name_files(&self, change: &mut Tx, run: &str) -> Result<(), QueueError> {
        let failed = QueueError::when("name the files of a run");
        let files: Vec<RunFile> =
            serde_json::from_str(run).map_err(|error| QueueError::Unreadable(error.to_string()))?;
        let artifacts: BTreeSet<_> = files.iter().map(|file| file.sha256).collect();
        let artifacts: Vec<_> = artifacts.into_iter().collect();
        for some in artifacts.chunks(SOME) {
            let sql = format!(
                "DELETE FROM queue_artifact WHERE sha256 IN (VALUES {})",
                rows(1, some.len(), &["$"])
            );
            let query = sqlx::query(AssertSqlSafe(sql));
            let query = some
                .iter()
                .fold(query, |query, sha256| query.bind(sha256.to_hex()));
            query.execute(&mut **change).await.map_err(&failed)?;
        }
        Ok(())
    }

    /// At most so many artifacts that no verdict names and nobody spoke of for so long, and forgets them.
    pub async fn forget_unnamed(&self, after: Duration, count: i64) -> Result<Unnamed, QueueError> {
        let failed = QueueError::when("look for artifacts without a name");
        let mut change = self.begin().await?;
        let sql = format!(
            "DELETE FROM queue_artifact WHERE sha256 IN (SELECT sha256 FROM queue_artifact WHERE at < {now} - $1
               ORDER BY at LIMIT $2 {}) AND at < {now} - $1 RETURNING sha256",
            self.skip_locked(),
            now = self.now()
        );
        let query = sqlx::query(AssertSqlSafe(sql))
            .bind(milliseconds(after))
            .bind(count);
        let found = query.fetch_all(&mut *change).await.map_err(&failed)?;
        let mut artifacts = Vec::new();
        for row in &found {
            let hex: String = row.try_get(0).map_err(&failed)?;
            let sha256 = hex
                .parse()
                .map_err(|_| QueueError::Unreadable("an artifact's digest".into()))?;
            artifacts.push(sha256);
        }
        let old = format!("DELETE FROM queue_sent WHERE day < ({}) / {DAY} - 7", self.now());
        let old = sqlx::query(AssertSqlSafe(old)).execute(&mut *change).await;
        old.map_err(&failed)?;
        Ok(Unnamed { change, artifacts })
    }

    /// Those of these leases that somebody holds now.
    pub async fn held_of(&self, leases: &BTreeSet<Lease>) -> Result<BTreeSet<Lease>, QueueError> {
        let failed = QueueError::when("look for the leases");
        let leases: Vec<_> = leases.iter().collect();
        let mut held = BTreeSet::new();
        for some in leases.chunks(SOME) {
            let sql = format!(
                "SELECT id, attempt FROM queue_job WHERE state = 'running' AND (id, attempt) IN (VALUES {})",
                rows(1, some.len(), &["$", "$"])
            );
            let query = sqlx::query(AssertSqlSafe(sql));
            let query = some
                .iter()
                .fold(query, |query, lease| query.bind(lease.job).bind(lease.attempt));
            for row in &query.fetch_all(self.memory.read()).await.map_err(&failed)? {
                held.insert(super::claims::lease(row).map_err(&failed)?);
            }
        }
        Ok(held)
    }
}
