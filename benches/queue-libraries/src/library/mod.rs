//! The libraries. Each has its queue as the trial has it (enqueue, and what is not recorded as done) and its workers.
//!
//! The settings are those with which each did best; the number of jobs that are taken at a time, and the lease, depend on
//! the trial.

mod apalis;
mod graphile;
mod postgres;
mod sqlite;

use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::crew::Work;
use crate::journal::Journal;

/// Jobs that a worker does at a time.
pub const PLACES: usize = 16;

/// The queue's name, and how many jobs an INSERT of one statement or transaction has.
const QUEUE: &str = "jobs";
const BATCH: usize = 10_000;

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Job {
    pub number: u64,
    pub milliseconds: u64,
}

impl Job {
    /// Does what a job does: nothing, or waiting.
    async fn run(&self, journal: &Journal) -> std::io::Result<()> {
        journal.started(self.number)?;
        if self.milliseconds > 0 {
            tokio::time::sleep(Duration::from_millis(self.milliseconds)).await;
        }
        journal.ended(self.number)
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Library {
    GraphileWorker,
    ApalisPostgres,
    ApalisSqlite,
}

impl std::fmt::Display for Library {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::GraphileWorker => "graphile_worker",
            Self::ApalisPostgres => "apalis-postgres",
            Self::ApalisSqlite => "apalis-sqlite",
        })
    }
}

pub enum Queue {
    Graphile(graphile::Graphile),
    Postgres(sqlx::PgPool),
    Sqlite(sqlx::SqlitePool),
}

impl Queue {
    /// Opens the database, and makes the library's tables in it.
    pub async fn open(library: Library, database: &str) -> Result<Self> {
        Ok(match library {
            Library::GraphileWorker => Self::Graphile(graphile::Graphile::open(database).await?),
            Library::ApalisPostgres => Self::Postgres(postgres::open(database).await?),
            Library::ApalisSqlite => Self::Sqlite(sqlite::open(database).await?),
        })
    }

    pub async fn enqueue(&self, jobs: &[Job]) -> Result<()> {
        for batch in jobs.chunks(BATCH) {
            match self {
                Self::Graphile(graphile) => graphile.enqueue(batch).await?,
                Self::Postgres(pool) => postgres::enqueue(pool, batch).await?,
                Self::Sqlite(pool) => sqlite::enqueue(pool, batch).await?,
            }
        }
        Ok(())
    }

    /// Number of jobs that the library has not recorded as done.
    pub async fn unfinished(&self) -> Result<i64> {
        match self {
            Self::Graphile(graphile) => graphile.unfinished().await,
            Self::Postgres(pool) => postgres::unfinished(pool).await,
            Self::Sqlite(pool) => sqlite::unfinished(pool).await,
        }
    }
}

/// Is a worker, until it is killed.
pub async fn work(work: &Work) -> Result<()> {
    let journal = Journal::open(&work.journal)?;
    match work.library {
        Library::GraphileWorker => graphile::work(work, journal).await,
        Library::ApalisPostgres => postgres::work(work, journal).await,
        Library::ApalisSqlite => sqlite::work(work, journal).await,
    }
}
