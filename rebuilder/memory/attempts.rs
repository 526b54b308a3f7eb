//! Attempts and their results. An attempt is recorded once, with its verdict, in one transaction.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::audits::{Audit, Run, subject};
use super::{Memory, MemoryError, Tx};
use crate::run::VerdictName;
use crate::run::failure::Fault;

/// A rebuild that ended. All times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// The subject as the list writes it.
    pub text: String,
    /// Package URL without a version.
    pub package: String,
    /// Its ecosystem's name.
    pub ecosystem: String,
    /// The version, if it was found out.
    pub version: Option<String>,
    /// When it began.
    pub started: i64,
    /// When it ended.
    pub finished: i64,
    /// The verdict's name.
    pub verdict: VerdictName,
    /// The code of the failure, if there is no verdict.
    pub failure: Option<String>,
    /// Who is responsible for the failure; `None` if there is a verdict.
    pub fault: Option<Fault>,
    /// Outputs that were reproduced, of how many.
    pub outputs: (i64, i64),
    /// The causes, the first first.
    pub causes: Vec<String>,
    /// Digest of the plan.
    pub plan: Option<String>,
    /// The run's folder, inside the audit's.
    pub folder: Option<String>,
    /// Attestations of the run: name and SHA-256.
    pub attestations: Vec<(String, String)>,
    /// The whole result, as the journal has it.
    pub document: String,
}

/// The newest attempt at a member of an audit, or the newest of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The subject as the list writes it.
    pub text: String,
    /// The version, if it was found out.
    pub version: Option<String>,
    /// The verdict's name.
    pub verdict: VerdictName,
    /// The code of the failure.
    pub failure: Option<String>,
    /// Whose matter it is.
    pub fault: Option<Fault>,
    /// Failures in a row.
    pub tries: i64,
    /// When the next try is due.
    pub again_at: Option<i64>,
    /// When it ended.
    pub finished: i64,
    /// Number of the run that it belongs to.
    pub run: i64,
    /// The run's folder, inside the audit's.
    pub folder: Option<String>,
    /// The whole result.
    pub document: String,
}

const COLUMNS: &str = "a.text, (SELECT version FROM versions WHERE id = a.version), v.verdict, v.failure, v.fault, a.tries, \
     a.again_at, a.finished, r.number, a.folder, a.document";

fn outcome(row: &AnyRow) -> Result<Outcome, MemoryError> {
    let read = || -> Result<_, sqlx::Error> {
        let fault: Option<String> = row.try_get(4)?;
        let word: String = row.try_get(2)?;
        Ok((
            (word, fault),
            Outcome {
                text: row.try_get(0)?,
                version: row.try_get(1)?,
                verdict: VerdictName::Inconclusive,
                failure: row.try_get(3)?,
                fault: None,
                tries: row.try_get(5)?,
                again_at: row.try_get(6)?,
                finished: row.try_get(7)?,
                run: row.try_get(8)?,
                folder: row.try_get(9)?,
                document: row.try_get(10)?,
            },
        ))
    };
    let ((word, fault), mut outcome) = read().map_err(MemoryError::query("read a result"))?;
    outcome.verdict = verdict(word)?;
    if let Some(word) = fault {
        let known = Fault::ALL.into_iter().find(|fault| fault.word() == word);
        outcome.fault = Some(known.ok_or(MemoryError::Value {
            what: "a fault",
            value: word,
        })?);
    }
    Ok(outcome)
}

/// The verdict that a column names.
pub(super) fn verdict(word: String) -> Result<VerdictName, MemoryError> {
    VerdictName::of_word(&word).ok_or(MemoryError::Value {
        what: "a verdict",
        value: word,
    })
}

impl Memory {
    /// Records an attempt; whether it was new.
    pub async fn record(&self, audit: &Audit, run: &Run, attempt: &Attempt) -> Result<bool, MemoryError> {
        let failed = || MemoryError::query("record a result");
        let mut tx = self.begin().await?;
        let subject = subject(&mut tx, &attempt.package, &attempt.ecosystem).await?;
        let version = match &attempt.version {
            Some(version) => Some(self::version(&mut tx, subject, version).await?),
            None => None,
        };
        let (tries, again_at) = next(&mut tx, audit, attempt).await?;
        let row = sqlx::query(
            "INSERT INTO attempts (audit, run, text, subject, version, started, finished, tries, again_at, plan, folder, \
             rebuilder, document) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
             ON CONFLICT DO NOTHING RETURNING id",
        );
        let row = row.bind(audit.id).bind(run.id).bind(attempt.text.clone());
        let row = row.bind(subject).bind(version);
        let row = row.bind(attempt.started).bind(attempt.finished);
        let row = row.bind(tries).bind(again_at);
        let row = row.bind(attempt.plan.clone()).bind(attempt.folder.clone());
        let row = row.bind(env!("CARGO_PKG_VERSION").to_owned());
        let row = row.bind(attempt.document.clone());
        let Some(row) = row.fetch_optional(&mut *tx).await.map_err(failed())? else {
            return Ok(false);
        };
        let id: i64 = row.try_get(0).map_err(failed())?;
        conclude(&mut tx, id, (subject, version), attempt).await?;
        let newest = sqlx::query(
            "INSERT INTO latest (audit, text, attempt) VALUES ($1, $2, $3) \
             ON CONFLICT (audit, text) DO UPDATE SET attempt = excluded.attempt \
             WHERE (SELECT finished FROM attempts WHERE id = latest.attempt) <= $4",
        );
        let newest = newest.bind(audit.id).bind(attempt.text.clone());
        let newest = newest.bind(id).bind(attempt.finished);
        newest.execute(&mut *tx).await.map_err(failed())?;
        tx.commit().await.map_err(failed())?;
        Ok(true)
    }

    /// The newest result of each subject that the audit has ever named.
    pub async fn latest(&self, audit: &Audit) -> Result<Vec<Outcome>, MemoryError> {
        let text = format!(
            "SELECT {COLUMNS} FROM latest l JOIN attempts a ON a.id = l.attempt JOIN verdicts v ON v.attempt = a.id \
             JOIN runs r ON r.id = a.run WHERE l.audit = $1 ORDER BY a.text"
        );
        self.outcomes(text, audit, None).await
    }

    /// The newest result of each subject when the run with this number ended.
    pub async fn as_of(&self, audit: &Audit, run: i64) -> Result<Vec<Outcome>, MemoryError> {
        let text = format!(
            "SELECT * FROM (SELECT {COLUMNS}, row_number() OVER (PARTITION BY a.text ORDER BY a.finished DESC, a.id DESC) AS place \
             FROM attempts a JOIN verdicts v ON v.attempt = a.id JOIN runs r ON r.id = a.run \
             WHERE a.audit = $1 AND r.number <= $2) AS newest WHERE place = 1 ORDER BY 1"
        );
        self.outcomes(text, audit, Some(run)).await
    }

    /// Every result with a verdict of the listed subjects that were ever anything else than reproduced, by subject, the
    /// oldest first.
    pub async fn doubtful(&self, audit: &Audit) -> Result<Vec<Outcome>, MemoryError> {
        let text = format!(
            "SELECT {COLUMNS} FROM attempts a JOIN verdicts v ON v.attempt = a.id JOIN runs r ON r.id = a.run \
             JOIN members m ON m.audit = a.audit AND m.text = a.text AND m.listed = 1 \
             WHERE a.audit = $1 AND v.fault IS NULL AND EXISTS (SELECT 1 FROM attempts b JOIN verdicts w ON w.attempt = b.id \
             WHERE b.audit = a.audit AND b.text = a.text AND w.verdict NOT IN ('reproduced', 'inconclusive')) \
             ORDER BY a.text, a.finished, a.id"
        );
        self.outcomes(text, audit, None).await
    }

    async fn outcomes(
        &self,
        text: String,
        audit: &Audit,
        run: Option<i64>,
    ) -> Result<Vec<Outcome>, MemoryError> {
        let mut query = sqlx::query(sqlx::AssertSqlSafe(text)).bind(audit.id);
        if let Some(run) = run {
            query = query.bind(run);
        }
        let rows = query.fetch_all(self.read()).await;
        let rows = rows.map_err(MemoryError::query("read the results"))?;
        rows.iter().map(outcome).collect()
    }
}

/// How many failures in a row this attempt makes, and when the next one is due.
async fn next(tx: &mut Tx, audit: &Audit, attempt: &Attempt) -> Result<(i64, Option<i64>), MemoryError> {
    let Some(fault) = attempt.fault else {
        return Ok((0, None));
    };
    let failed = || MemoryError::query("read a result");
    let row = sqlx::query(
        "SELECT a.tries FROM latest l JOIN attempts a ON a.id = l.attempt WHERE l.audit = $1 AND l.text = $2",
    );
    let row = row
        .bind(audit.id)
        .bind(attempt.text.clone())
        .fetch_optional(&mut **tx);
    let before: i64 = match row.await.map_err(failed())? {
        Some(row) => row.try_get(0).map_err(failed())?,
        None => 0,
    };
    let tries = before.saturating_add(1);
    let wait = fault.again_after(u32::try_from(tries).unwrap_or(u32::MAX));
    let wait = wait.map(|wait| i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
    Ok((tries, wait.map(|wait| attempt.finished.saturating_add(wait))))
}

/// Writes the result of an attempt.
async fn conclude(
    tx: &mut Tx,
    id: i64,
    (subject, version): (i64, Option<i64>),
    attempt: &Attempt,
) -> Result<(), MemoryError> {
    let failed = || MemoryError::query("record a verdict");
    let row = sqlx::query(
        "INSERT INTO verdicts (attempt, subject, version, verdict, failure, fault, reproduced, outputs, at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    );
    let row = row.bind(id).bind(subject).bind(version);
    let row = row
        .bind(attempt.verdict.word().to_owned())
        .bind(attempt.failure.clone());
    let row = row.bind(attempt.fault.map(|fault| fault.word().to_owned()));
    let row = row
        .bind(attempt.outputs.0)
        .bind(attempt.outputs.1)
        .bind(attempt.finished);
    row.execute(&mut **tx).await.map_err(failed())?;
    for (position, cause) in (0_i64..).zip(&attempt.causes) {
        let row = sqlx::query("INSERT INTO causes (attempt, position, cause) VALUES ($1, $2, $3)");
        let row = row.bind(id).bind(position).bind(cause.clone());
        row.execute(&mut **tx).await.map_err(failed())?;
    }
    for (name, sha256) in &attempt.attestations {
        let row = sqlx::query("INSERT INTO attestations (attempt, name, sha256) VALUES ($1, $2, $3)");
        let row = row.bind(id).bind(name.clone()).bind(sha256.clone());
        row.execute(&mut **tx).await.map_err(failed())?;
    }
    Ok(())
}

async fn version(tx: &mut Tx, subject: i64, version: &str) -> Result<i64, MemoryError> {
    let row = sqlx::query(
        "INSERT INTO versions (subject, version) VALUES ($1, $2) \
         ON CONFLICT (subject, version) DO UPDATE SET version = excluded.version RETURNING id",
    );
    let row = row
        .bind(subject)
        .bind(version.to_owned())
        .fetch_one(&mut **tx)
        .await;
    row.and_then(|row| row.try_get(0))
        .map_err(MemoryError::query("record a version"))
}
