//! Builds are published: one transaction for each, which can be made again.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

use super::super::sql::rows;
use super::super::wire::RunFile;
use super::super::{Queue, QueueError};
use super::{Build, EndedJob, Output, Reason};
use crate::artifact::Sha256;
use crate::memory::Tx;

const BUILD: &[&str] = &[
    "id",
    "subject",
    "package",
    "ecosystem",
    "distribution",
    "release",
    "architecture",
    "name",
    "version",
    "source",
    "verdict",
    "status",
    "reason",
    "causes",
    "retries",
    "started",
    "finished",
    "worker",
    "backend",
    "signing",
    "record",
    "plan",
    "report",
    "log",
    "attestation",
    "conclusive",
];
const OUTPUT: &[&str] = &[
    "build",
    "position",
    "distribution",
    "release",
    "component",
    "architecture",
    "name",
    "version",
    "file",
    "url",
    "sha256",
    "status",
    "comparison",
    "attestation",
    "link",
    "finished",
    "conclusive",
];
/// What a released file is, whoever built it.
const SAME: &str =
    "name = $1 AND version = $2 AND architecture = $3 AND distribution = $4 AND release = $5 AND file = $6";

/// Writes a row, or writes it again: `more` are columns with the expressions for them.
fn upsert(table: &str, columns: &[&str], more: &[(&str, &str)], key: &str) -> String {
    let cells: Vec<_> = columns
        .iter()
        .map(|_| "$")
        .chain(more.iter().map(|(_, value)| *value))
        .collect();
    let names: Vec<_> = columns
        .iter()
        .copied()
        .chain(more.iter().map(|(name, _)| *name))
        .collect();
    // Whether it is the newest is decided for all rows of a subject together.
    let again = names
        .iter()
        .filter(|name| **name != "newest")
        .map(|name| format!("{name} = excluded.{name}"));
    format!(
        "INSERT INTO {table} ({}) VALUES {} ON CONFLICT ({key}) DO UPDATE SET {}",
        names.join(", "),
        rows(1, 1, &cells),
        again.collect::<Vec<_>>().join(", ")
    )
}

fn hex(digest: Option<Sha256>) -> Option<String> {
    digest.map(Sha256::to_hex)
}

impl Queue {
    /// Jobs about packages that ended, or whose signing changed, since they were published; the oldest first.
    pub async fn unpublished(&self, count: i64) -> Result<Vec<EndedJob>, QueueError> {
        let failed = QueueError::when("look for builds to publish");
        let sql = format!(
            "SELECT job, queue_verdict.attempt, queue_verdict.worker, verdict, queue_verdict.reason, run, signing, signed,
               at, subject, ecosystem, architecture, publishing_tries
             FROM queue_verdict JOIN queue_job ON queue_job.id = job
             WHERE verdict <> 'probed' AND verdict <> 'cancelled' AND (published IS NULL OR published <> signing)
               AND publishing_after <= {} ORDER BY publishing_after, job
              LIMIT $1",
            self.now()
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(count);
        let rows = query.fetch_all(self.memory.read()).await.map_err(&failed)?;
        let read = |row: &AnyRow| {
            let files = |index| {
                let text: Option<String> = row.try_get(index).map_err(&failed)?;
                let text = text.unwrap_or_else(|| "[]".into());
                serde_json::from_str(&text).map_err(|error| QueueError::Unreadable(error.to_string()))
            };
            let (run, signed): (Vec<RunFile>, Vec<RunFile>) = (files(5)?, files(7)?);
            let rest = || -> Result<EndedJob, sqlx::Error> {
                Ok(EndedJob {
                    job: row.try_get(0)?,
                    attempt: row.try_get(1)?,
                    worker: row.try_get(2)?,
                    verdict: row.try_get(3)?,
                    reason: row.try_get(4)?,
                    run,
                    signing: row.try_get(6)?,
                    signed,
                    at: row.try_get(8)?,
                    subject: row.try_get(9)?,
                    ecosystem: row.try_get(10)?,
                    architecture: row.try_get(11)?,
                    tries: u32::try_from(row.try_get::<i64, _>(12)?).unwrap_or(u32::MAX),
                })
            };
            rest().map_err(&failed)
        };
        rows.iter().map(read).collect()
    }

    /// Publishes a build with its outputs, or again if its signing changed.
    pub async fn publish(
        &self,
        ended: &EndedJob,
        build: &Build,
        reasons: &[Reason],
        outputs: &[Output],
    ) -> Result<(), QueueError> {
        let failed = QueueError::when("publish a build");
        let mut change = self.begin().await?;
        self.write_build(&mut change, build).await?;
        write_package(&mut change, build).await?;
        write_reasons(&mut change, build.id, reasons).await?;
        for (position, output) in (0_i64..).zip(outputs) {
            write_output(&mut change, build.id, position, output).await?;
        }
        // If the signer said something meanwhile, this is not what it said, and the job is found again.
        let sql = "UPDATE queue_verdict SET published = $1 WHERE job = $2";
        let query = sqlx::query(sql).bind(ended.signing.clone()).bind(ended.job);
        query.execute(&mut *change).await.map_err(&failed)?;
        change.commit().await.map_err(failed)
    }

    async fn write_build(&self, change: &mut Tx, build: &Build) -> Result<(), QueueError> {
        let failed = QueueError::when("publish a build");
        let more = [("newest", "0"), ("changed", self.now())];
        let sql = upsert("published_build", BUILD, &more, "id");
        let query = sqlx::query(AssertSqlSafe(sql))
            .bind(build.id)
            .bind(build.subject.clone())
            .bind(build.package.clone())
            .bind(build.ecosystem.clone())
            .bind(build.distribution.clone())
            .bind(build.release.clone())
            .bind(build.architecture.clone())
            .bind(build.name.clone())
            .bind(build.version.clone())
            .bind(build.source.clone())
            .bind(build.verdict.clone())
            .bind(build.status.word())
            .bind(build.reason.clone())
            .bind(build.causes.join(" "))
            .bind(build.retries)
            .bind(build.started)
            .bind(build.finished)
            .bind(build.worker.clone())
            .bind(build.backend.clone())
            .bind(build.signing.clone())
            .bind(hex(build.record))
            .bind(hex(build.plan))
            .bind(hex(build.report))
            .bind(hex(build.log))
            .bind(hex(build.attestation))
            .bind(i64::from(build.conclusive));
        query.execute(&mut **change).await.map_err(&failed)?;
        for sql in newest("published_build", "subject = $1") {
            let query = sqlx::query(AssertSqlSafe(sql)).bind(build.subject.clone());
            query.execute(&mut **change).await.map_err(&failed)?;
        }
        Ok(())
    }

    /// Keeps the list of files that the signer gave, before it is written down that it signed.
    pub async fn keep_signed(&self, job: i64, files: &[RunFile]) -> Result<(), QueueError> {
        let query = sqlx::query("UPDATE queue_verdict SET signed = $1 WHERE job = $2")
            .bind(crate::text::json(files))
            .bind(job);
        let kept = query.execute(self.write()).await;
        kept.map_err(QueueError::when("write down what the signer gave"))?;
        Ok(())
    }
}

/// What a search finds the package of a build by.
async fn write_package(change: &mut Tx, build: &Build) -> Result<(), QueueError> {
    let words = format!("{} {}", build.name, build.source).to_lowercase();
    let sql = "INSERT INTO published_package (package, words) VALUES ($1, $2)
        ON CONFLICT (package) DO UPDATE SET words = excluded.words WHERE published_package.words <> excluded.words";
    let query = sqlx::query(sql).bind(build.package.clone()).bind(words);
    let written = query.execute(&mut **change).await;
    written.map_err(QueueError::when("publish a package"))?;
    Ok(())
}

/// Writes why a build differs, in place of what was written before.
async fn write_reasons(change: &mut Tx, build: i64, reasons: &[Reason]) -> Result<(), QueueError> {
    let failed = QueueError::when("publish the causes of a build");
    let query = sqlx::query("DELETE FROM published_cause WHERE build = $1").bind(build);
    query.execute(&mut **change).await.map_err(&failed)?;
    for reason in reasons {
        let sql = "INSERT INTO published_cause (build, cause, shared, released, rebuilt) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT DO NOTHING";
        let query = sqlx::query(sql)
            .bind(build)
            .bind(reason.cause.clone())
            .bind(reason.shared.clone())
            .bind(reason.released.clone())
            .bind(reason.rebuilt.clone());
        query.execute(&mut **change).await.map_err(&failed)?;
    }
    Ok(())
}

async fn write_output(change: &mut Tx, build: i64, position: i64, output: &Output) -> Result<(), QueueError> {
    let failed = QueueError::when("publish a released file");
    let sql = upsert("published_output", OUTPUT, &[("newest", "0")], "build, file");
    let query = sqlx::query(AssertSqlSafe(sql))
        .bind(build)
        .bind(position)
        .bind(output.distribution.clone())
        .bind(output.release.clone())
        .bind(output.component.clone())
        .bind(output.architecture.clone())
        .bind(output.name.clone())
        .bind(output.version.clone())
        .bind(output.file.clone())
        .bind(output.url.clone())
        .bind(output.sha256.to_hex())
        .bind(output.status.word())
        .bind(hex(output.comparison))
        .bind(hex(output.attestation))
        .bind(hex(output.link))
        .bind(output.finished)
        .bind(i64::from(output.conclusive));
    query.execute(&mut **change).await.map_err(&failed)?;
    for sql in newest("published_output", SAME) {
        let query = sqlx::query(AssertSqlSafe(sql))
            .bind(output.name.clone())
            .bind(output.version.clone())
            .bind(output.architecture.clone())
            .bind(output.distribution.clone())
            .bind(output.release.clone())
            .bind(output.file.clone());
        query.execute(&mut **change).await.map_err(&failed)?;
    }
    Ok(())
}

/// Marks the row to show among those of one subject: the newest that concluded something, or else the newest. An index lets
/// no two be marked, so of two servers that do it at a time one fails and comes again.
fn newest(table: &str, same: &str) -> [String; 2] {
    let best = format!(
        "(SELECT id FROM {table} WHERE {same} ORDER BY conclusive DESC, finished DESC, id DESC LIMIT 1)"
    );
    [
        format!("UPDATE {table} SET newest = 0 WHERE {same} AND newest = 1 AND id <> {best}"),
        format!("UPDATE {table} SET newest = 1 WHERE newest = 0 AND id = {best}"),
    ]
}
