//! Who changed what: every command that writes is written down before it is done, so that nothing is done unseen.

use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

use super::{Queue, QueueError};

/// Something that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    pub id: i64,
    /// In milliseconds since 1970, as the database's clock says.
    pub at: i64,
    /// A user of the machine that the command ran on, as NAME@HOST.
    pub who: String,
    /// Such as `add-token`.
    pub action: String,
    /// What it was about; no secrets.
    pub what: String,
}

/// Longest text that is kept, in characters.
const TEXT: usize = 1000;

impl Queue {
    /// Writes down that somebody asks for something.
    pub async fn write_down(&self, who: &str, action: &str, what: &str) -> Result<(), QueueError> {
        let sql = format!(
            "INSERT INTO trail (at, who, action, what) VALUES ({}, $1, $2, $3)",
            self.now()
        );
        let short = |text: &str| text.chars().take(TEXT).collect::<String>();
        let query = sqlx::query(AssertSqlSafe(sql))
            .bind(short(who))
            .bind(action.to_owned())
            .bind(short(what));
        let written = query.execute(self.write()).await;
        written.map_err(QueueError::when("write down who changes what"))?;
        Ok(())
    }

    /// What was asked for, the newest first; those before `before` if it is said.
    pub async fn trail(&self, before: Option<i64>, count: i64) -> Result<Vec<Step>, QueueError> {
        let failed = QueueError::when("read who changed what");
        let query = sqlx::query(
            "SELECT id, at, who, action, what FROM trail WHERE id < $1 ORDER BY id DESC LIMIT $2",
        )
        .bind(before.unwrap_or(i64::MAX))
        .bind(count);
        let rows = query.fetch_all(self.memory.read()).await.map_err(&failed)?;
        let read = |row: &AnyRow| {
            Ok(Step {
                id: row.try_get(0)?,
                at: row.try_get(1)?,
                who: row.try_get(2)?,
                action: row.try_get(3)?,
                what: row.try_get(4)?,
            })
        };
        rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)
    }
}
