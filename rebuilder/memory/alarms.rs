//! The results behind alarms, the alarms, and where they were sent.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

use super::attempts::verdict;
use super::{Audit, Memory, MemoryError};
use crate::run::VerdictName;

/// A result with a verdict, of a version that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The version.
    pub version: String,
    /// The verdict's name.
    pub verdict: VerdictName,
    /// When it was found, in milliseconds since 1970.
    pub at: i64,
    /// Folder of the audit.
    pub audit: String,
    /// The subject as the audit's list writes it.
    pub text: String,
    /// The run's folder, inside the audit's.
    pub folder: Option<String>,
}

/// The newest result of a listed subject, if its verdict is bad and no alarm was raised for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// Row of the attempt.
    pub attempt: i64,
    /// Package URL without a version.
    pub package: String,
    /// Number of the run.
    pub run: i64,
    /// The result.
    pub seen: Seen,
}

/// An alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAlarm {
    /// Its row.
    pub id: i64,
    /// When it was raised, in milliseconds since 1970.
    pub made: i64,
    /// What it says.
    pub document: String,
}

fn seen(row: &AnyRow, first: usize) -> Result<Seen, MemoryError> {
    let failed = || MemoryError::query("read a result");
    let column = |number: usize| first.saturating_add(number);
    Ok(Seen {
        version: row.try_get(column(0)).map_err(failed())?,
        verdict: verdict(row.try_get(column(1)).map_err(failed())?)?,
        at: row.try_get(column(2)).map_err(failed())?,
        audit: row.try_get(column(3)).map_err(failed())?,
        text: row.try_get(column(4)).map_err(failed())?,
        folder: row.try_get(column(5)).map_err(failed())?,
    })
}

impl Memory {
    /// All results of a package with a verdict, in any audit, the oldest first.
    pub async fn history(&self, package: &str) -> Result<Vec<Seen>, MemoryError> {
        let failed = || MemoryError::query("read the history of a package");
        let rows = sqlx::query(
            "SELECT w.version, v.verdict, v.at, u.folder, a.text, a.folder FROM subjects s \
             JOIN verdicts v ON v.subject = s.id JOIN versions w ON w.id = v.version \
             JOIN attempts a ON a.id = v.attempt JOIN audits u ON u.id = a.audit \
             WHERE s.purl = $1 AND v.fault IS NULL ORDER BY v.at, v.attempt",
        );
        let rows = rows.bind(package.to_owned()).fetch_all(self.read());
        let rows = rows.await.map_err(failed())?;
        rows.iter().map(|row| seen(row, 0)).collect()
    }

    /// The results of an audit that may deserve an alarm.
    pub async fn suspects(&self, audit: &Audit) -> Result<Vec<Suspect>, MemoryError> {
        let failed = || MemoryError::query("read the results");
        let bad = VerdictName::ALL.into_iter().filter(|name| name.is_bad());
        let bad: Vec<_> = bad.map(|name| format!("'{name}'")).collect();
        let sql = format!(
            "SELECT a.id, s.purl, r.number, w.version, v.verdict, v.at, u.folder, a.text, a.folder FROM latest l \
             JOIN members m ON m.audit = l.audit AND m.text = l.text AND m.listed = 1 \
             JOIN attempts a ON a.id = l.attempt JOIN verdicts v ON v.attempt = a.id JOIN runs r ON r.id = a.run \
             JOIN subjects s ON s.id = v.subject JOIN versions w ON w.id = v.version JOIN audits u ON u.id = a.audit \
             WHERE l.audit = $1 AND v.verdict IN ({}) \
             AND NOT EXISTS (SELECT 1 FROM alarms n WHERE n.attempt = a.id AND n.standing <> 'withheld') ORDER BY a.text",
            bad.join(", ")
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(audit.id)
            .fetch_all(self.read())
            .await
            .map_err(failed())?;
        let read = |row: &AnyRow| {
            Ok(Suspect {
                attempt: row.try_get(0).map_err(failed())?,
                package: row.try_get(1).map_err(failed())?,
                run: row.try_get(2).map_err(failed())?,
                seen: seen(row, 3)?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Stores an alarm, and replaces one that was withheld. Returns its row.
    pub async fn keep_alarm(
        &self,
        audit: &Audit,
        attempt: i64,
        standing: &str,
        made: i64,
        document: &str,
    ) -> Result<i64, MemoryError> {
        let row = sqlx::query(
            "INSERT INTO alarms (attempt, audit, standing, made, document) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (attempt) DO UPDATE SET standing = excluded.standing, made = excluded.made, \
             document = excluded.document RETURNING id",
        );
        let row = row.bind(attempt).bind(audit.id).bind(standing.to_owned());
        let row = row.bind(made).bind(document.to_owned());
        let row = row.fetch_one(self.write()).await;
        row.and_then(|row| row.try_get(0))
            .map_err(MemoryError::query("keep an alarm"))
    }

    /// The alarms of an audit that were raised, the newest first.
    pub async fn alarms(&self, audit: &Audit) -> Result<Vec<StoredAlarm>, MemoryError> {
        let failed = || MemoryError::query("read the alarms");
        let rows = sqlx::query(
            "SELECT id, made, document FROM alarms WHERE audit = $1 AND standing <> 'withheld' ORDER BY id DESC",
        );
        let rows = rows
            .bind(audit.id)
            .fetch_all(self.read())
            .await
            .map_err(failed())?;
        let all: Result<_, _> = rows.iter().map(alarm).collect();
        all.map_err(failed())
    }

    /// The alarms of an audit that a route has to be told now, the oldest first, with how often that failed.
    pub async fn untold(
        &self,
        audit: &Audit,
        route: &str,
        now: i64,
    ) -> Result<Vec<(StoredAlarm, i64)>, MemoryError> {
        let failed = || MemoryError::query("read the alarms");
        let rows = sqlx::query(
            "SELECT n.id, n.made, n.document, coalesce(d.tries, 0) FROM alarms n \
             LEFT JOIN deliveries d ON d.alarm = n.id AND d.route = $2 \
             WHERE n.audit = $1 AND n.standing <> 'withheld' AND d.delivered IS NULL \
             AND (d.again_at IS NULL OR d.again_at <= $3) ORDER BY n.id",
        );
        let rows = rows.bind(audit.id).bind(route.to_owned()).bind(now);
        let rows = rows.fetch_all(self.read()).await.map_err(failed())?;
        let all: Result<_, _> = rows
            .iter()
            .map(|row| Ok((alarm(row)?, row.try_get(3)?)))
            .collect();
        all.map_err(|error: sqlx::Error| failed()(error))
    }

    /// Notes that a route was told an alarm, or why not and when to try again.
    pub async fn told(
        &self,
        alarm: i64,
        route: &str,
        tries: i64,
        outcome: Result<i64, (String, i64)>,
    ) -> Result<(), MemoryError> {
        let (delivered, error, again_at) = match outcome {
            Ok(at) => (Some(at), None, None),
            Err((error, again_at)) => (None, Some(error), Some(again_at)),
        };
        let row = sqlx::query(
            "INSERT INTO deliveries (alarm, route, tries, again_at, delivered, error) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (alarm, route) DO UPDATE SET tries = excluded.tries, again_at = excluded.again_at, \
             delivered = excluded.delivered, error = excluded.error",
        );
        let row = row.bind(alarm).bind(route.to_owned()).bind(tries);
        let row = row.bind(again_at).bind(delivered).bind(error);
        let done = row.execute(self.write()).await;
        done.map(drop).map_err(MemoryError::query("note a delivery"))
    }
}

fn alarm(row: &AnyRow) -> Result<StoredAlarm, sqlx::Error> {
    Ok(StoredAlarm {
        id: row.try_get(0)?,
        made: row.try_get(1)?,
        document: row.try_get(2)?,
    })
}
