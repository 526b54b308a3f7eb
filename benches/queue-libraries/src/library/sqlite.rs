//! apalis on SQLite: every worker has the file.

use std::time::Duration;

use ::apalis::prelude::*;
use anyhow::Result;
use apalis_sqlite::{Config, SqliteConnectOptions, SqliteStorage};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};

use super::apalis::{POLL, go_on, run};
use super::{Job, PLACES, QUEUE};
use crate::crew::{HEARTBEATS, Work};
use crate::journal::Journal;

/// How long a statement waits for another process.
const BUSY: Duration = Duration::from_secs(30);

async fn connect(database: &str) -> Result<SqlitePool> {
    let options = SqliteConnectOptions::new()
        .filename(database)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY);
    Ok(SqlitePool::connect_with(options).await?)
}

/// Makes the tables, by the migrations alone: `setup` would turn off synchronisation for the first connection.
pub async fn open(database: &str) -> Result<SqlitePool> {
    let pool = connect(database).await?;
    SqliteStorage::migrations().run(&pool).await?;
    Ok(pool)
}

pub async fn enqueue(pool: &SqlitePool, jobs: &[Job]) -> Result<()> {
    let tasks: Result<Vec<_>> = jobs
        .iter()
        .map(|job| Ok(TaskBuilder::new(serde_json::to_vec(job)?).build()))
        .collect();
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    apalis_sqlite::queries::push_tasks(&mut *transaction, QUEUE, &tasks?).await?;
    transaction.commit().await?;
    Ok(())
}

pub async fn unfinished(pool: &SqlitePool) -> Result<i64> {
    let query = sqlx::query_scalar("SELECT count(*) FROM Jobs WHERE status <> 'Done'");
    Ok(query.fetch_one(pool).await?)
}

pub async fn work(work: &Work, journal: Journal) -> Result<()> {
    let pool = connect(&work.database).await?;
    let config = Config::default()
        .queue(QUEUE)
        .batch_size(work.settings.batch)
        .heartbeat_interval(work.settings.heartbeat())
        .missed_heartbeats(HEARTBEATS as usize);
    let name = work.name.clone();
    let known = journal.clone();
    let monitor = Monitor::new().register(move |_| {
        let storage = SqliteStorage::<Job>::new(&pool)
            .with_config(config.clone())
            .poll_with_interval(POLL);
        WorkerBuilder::new(name.as_str())
            .backend(storage)
            .concurrency(PLACES)
            .data(known.clone())
            .build(run)
    });
    go_on(monitor, journal).await
}
