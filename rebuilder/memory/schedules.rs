//! Schedules of audits.

use sqlx::Row as _;

use super::{Audit, Memory, MemoryError};

/// A scheduled audit. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The audit.
    pub audit: Audit,
    /// Where its subjects come from, as `audit` writes it.
    pub list: String,
    /// Cron expression, in UTC.
    pub cron: String,
    /// Results that are older than this are not good enough.
    pub older_than: Option<i64>,
    /// When it runs next.
    pub next_at: i64,
}

impl Memory {
    /// Schedules an audit, or changes its schedule.
    pub async fn schedule(&self, schedule: &Schedule) -> Result<(), MemoryError> {
        let row = sqlx::query(
            "INSERT INTO schedules (audit, list, cron, older_than, next_at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (audit) DO UPDATE SET list = excluded.list, cron = excluded.cron, \
             older_than = excluded.older_than, next_at = excluded.next_at",
        );
        let row = row.bind(schedule.audit.id).bind(schedule.list.clone());
        let row = row.bind(schedule.cron.clone()).bind(schedule.older_than);
        let done = row.bind(schedule.next_at).execute(self.write()).await;
        done.map(drop).map_err(MemoryError::query("record the schedule"))
    }

    /// Removes an audit's schedule. Returns whether it had one.
    pub async fn unschedule(&self, audit: &Audit) -> Result<bool, MemoryError> {
        let row = sqlx::query("DELETE FROM schedules WHERE audit = $1").bind(audit.id);
        let done = row.execute(self.write()).await;
        done.map(|done| done.rows_affected() > 0)
            .map_err(MemoryError::query("remove the schedule"))
    }

    /// All schedules, by the time when they are due.
    pub async fn schedules(&self) -> Result<Vec<Schedule>, MemoryError> {
        let failed = || MemoryError::query("read the schedules");
        let rows = sqlx::query(
            "SELECT a.id, a.name, a.folder, s.list, s.cron, s.older_than, s.next_at FROM schedules s \
             JOIN audits a ON a.id = s.audit ORDER BY s.next_at, a.name",
        );
        let rows = rows.fetch_all(self.read()).await.map_err(failed())?;
        let read = rows.iter().map(|row| {
            Ok(Schedule {
                audit: Audit {
                    id: row.try_get(0)?,
                    name: row.try_get(1)?,
                    folder: row.try_get(2)?,
                },
                list: row.try_get(3)?,
                cron: row.try_get(4)?,
                older_than: row.try_get(5)?,
                next_at: row.try_get(6)?,
            })
        });
        read.collect::<Result<_, sqlx::Error>>().map_err(failed())
    }
}
