//! Audits, what their lists name, and their runs.

use std::collections::BTreeMap;

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{Memory, MemoryError, Tx};

/// An audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Its row.
    pub id: i64,
    /// What a user calls it.
    pub name: String,
    /// Folder of its runs, on the host that made it.
    pub folder: String,
}

/// A package that an audit is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// As the list writes it.
    pub text: String,
    /// Package URL without a version.
    pub package: String,
    /// Its ecosystem's name.
    pub ecosystem: String,
}

/// A pass through an audit. All times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its row.
    pub id: i64,
    /// Counted within the audit, from 1.
    pub number: i64,
    /// When it began.
    pub started: i64,
    /// When it ended; `None` if it was interrupted or is going on.
    pub ended: Option<i64>,
    /// Results from before this time are not good enough for it.
    pub redo_before: Option<i64>,
    /// Results without a verdict from before this time are not, either.
    pub retry_before: Option<i64>,
}

const RUN: &str =
    "SELECT id, number, started, ended, redo_before, retry_before FROM runs WHERE audit = $1 ORDER BY number";

fn run(row: &AnyRow) -> Result<Run, sqlx::Error> {
    Ok(Run {
        id: row.try_get(0)?,
        number: row.try_get(1)?,
        started: row.try_get(2)?,
        ended: row.try_get(3)?,
        redo_before: row.try_get(4)?,
        retry_before: row.try_get(5)?,
    })
}

fn audit(row: &AnyRow) -> Result<Audit, sqlx::Error> {
    Ok(Audit {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        folder: row.try_get(2)?,
    })
}

impl Memory {
    /// The audit with this name; it is made if there is none, and moves to this folder.
    pub async fn audit(&self, name: &str, folder: &str, now: i64) -> Result<Audit, MemoryError> {
        let row = sqlx::query(
            "INSERT INTO audits (name, folder, made) VALUES ($1, $2, $3) \
             ON CONFLICT (name) DO UPDATE SET folder = excluded.folder RETURNING id, name, folder",
        );
        let row = row.bind(name.to_owned()).bind(folder.to_owned()).bind(now);
        let row = row.fetch_one(self.write()).await;
        row.and_then(|row| audit(&row))
            .map_err(MemoryError::query("record the audit"))
    }

    /// All audits, by name.
    pub async fn audits(&self) -> Result<Vec<Audit>, MemoryError> {
        let rows = sqlx::query("SELECT id, name, folder FROM audits ORDER BY name").fetch_all(self.read());
        let rows = rows.await.map_err(MemoryError::query("read the audits"))?;
        let all: Result<_, _> = rows.iter().map(audit).collect();
        all.map_err(MemoryError::query("read the audits"))
    }

    /// Remembers what the audit's list names now.
    pub async fn set_members(&self, audit: &Audit, members: &[Member]) -> Result<(), MemoryError> {
        let failed = || MemoryError::query("record the list");
        let mut tx = self.begin().await?;
        let none = sqlx::query("UPDATE members SET listed = 0 WHERE audit = $1").bind(audit.id);
        none.execute(&mut *tx).await.map_err(failed())?;
        for (position, member) in (0_i64..).zip(members) {
            let subject = subject(&mut tx, &member.package, &member.ecosystem).await?;
            let row = sqlx::query(
                "INSERT INTO members (audit, text, subject, position, listed) VALUES ($1, $2, $3, $4, 1) \
                 ON CONFLICT (audit, text) DO UPDATE SET position = excluded.position, listed = 1",
            );
            let row = row.bind(audit.id).bind(member.text.clone());
            let row = row.bind(subject).bind(position);
            row.execute(&mut *tx).await.map_err(failed())?;
        }
        tx.commit().await.map_err(failed())
    }

    /// The runs of an audit, the oldest first.
    pub async fn runs(&self, audit: &Audit) -> Result<Vec<Run>, MemoryError> {
        let rows = sqlx::query(RUN).bind(audit.id).fetch_all(self.read());
        let rows = rows.await.map_err(MemoryError::query("read the runs"))?;
        let all: Result<_, _> = rows.iter().map(run).collect();
        all.map_err(MemoryError::query("read the runs"))
    }

    /// How many rebuilds each run made, by its number.
    pub async fn rebuilds(&self, audit: &Audit) -> Result<BTreeMap<i64, i64>, MemoryError> {
        let failed = || MemoryError::query("count the rebuilds");
        let rows = sqlx::query(
            "SELECT r.number, count(*) FROM attempts a JOIN runs r ON r.id = a.run WHERE a.audit = $1 GROUP BY r.number",
        );
        let rows = rows
            .bind(audit.id)
            .fetch_all(self.read())
            .await
            .map_err(failed())?;
        let pairs = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
        pairs.collect::<Result<_, sqlx::Error>>().map_err(failed())
    }

    /// What the audit's list names, in its order.
    pub async fn listed(&self, audit: &Audit) -> Result<Vec<String>, MemoryError> {
        let failed = || MemoryError::query("read the list");
        let rows = sqlx::query("SELECT text FROM members WHERE audit = $1 AND listed = 1 ORDER BY position");
        let rows = rows
            .bind(audit.id)
            .fetch_all(self.read())
            .await
            .map_err(failed())?;
        let texts = rows.iter().map(|row| row.try_get(0));
        texts.collect::<Result<_, _>>().map_err(failed())
    }

    /// Begins a run with the next number. `ended` is for what is known afterwards.
    pub async fn begin_run(&self, audit: &Audit, run: &Run) -> Result<Run, MemoryError> {
        let failed = || MemoryError::query("begin a run");
        let mut tx = self.begin().await?;
        let lock = format!(
            "SELECT id FROM audits WHERE id = $1 {}",
            self.dialect().for_update()
        );
        let lock = sqlx::query(sqlx::AssertSqlSafe(lock)).bind(audit.id);
        lock.fetch_one(&mut *tx).await.map_err(failed())?;
        let row = sqlx::query(
            "INSERT INTO runs (audit, number, started, ended, redo_before, retry_before) \
             SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5 FROM runs WHERE audit = $1 \
             RETURNING id, number, started, ended, redo_before, retry_before",
        );
        let row = row.bind(audit.id).bind(run.started).bind(run.ended);
        let row = row.bind(run.redo_before).bind(run.retry_before);
        let row = row.fetch_one(&mut *tx).await.map_err(failed())?;
        tx.commit().await.map_err(failed())?;
        self::run(&row).map_err(failed())
    }

    /// Changes what a run that goes on is not content with.
    pub async fn ask_more(&self, run: &Run) -> Result<(), MemoryError> {
        let row = sqlx::query("UPDATE runs SET redo_before = $2, retry_before = $3 WHERE id = $1");
        let row = row.bind(run.id).bind(run.redo_before).bind(run.retry_before);
        let done = row.execute(self.write()).await;
        done.map(drop).map_err(MemoryError::query("change the run"))
    }

    /// Notes that a run came to its end.
    pub async fn end_run(&self, run: &Run, now: i64) -> Result<(), MemoryError> {
        let row = sqlx::query("UPDATE runs SET ended = $2 WHERE id = $1")
            .bind(run.id)
            .bind(now);
        let done = row.execute(self.write()).await;
        done.map(drop).map_err(MemoryError::query("end the run"))
    }
}

/// The row of a package.
pub(super) async fn subject(tx: &mut Tx, package: &str, ecosystem: &str) -> Result<i64, MemoryError> {
    let row = sqlx::query(
        "INSERT INTO subjects (purl, ecosystem) VALUES ($1, $2) \
         ON CONFLICT (purl) DO UPDATE SET ecosystem = excluded.ecosystem RETURNING id",
    );
    let row = row.bind(package.to_owned()).bind(ecosystem.to_owned());
    let row = row.fetch_one(&mut **tx).await;
    row.and_then(|row| row.try_get(0))
        .map_err(MemoryError::query("record a package"))
}
