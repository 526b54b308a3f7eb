//! apalis on PostgreSQL, told of new jobs by the database.

use anyhow::Result;
use apalis::prelude::*;
use apalis_postgres::{Config, PostgresStorage};
use sqlx::PgPool;

use super::{APALIS_POLL, Job, PLACES, QUEUE};
use crate::crew::{HEARTBEATS, Work};
use crate::journal::Journal;

/// Makes the tables, and the extension hstore, which needs PostgreSQL's contributed modules.
pub async fn open(database: &str) -> Result<PgPool> {
    let pool = PgPool::connect(database).await?;
    PostgresStorage::setup(&pool).await?;
    Ok(pool)
}

pub async fn enqueue(pool: &PgPool, jobs: &[Job]) -> Result<()> {
    let tasks: Result<Vec<_>> = jobs
        .iter()
        .map(|job| Ok(TaskBuilder::new(serde_json::to_vec(job)?).build()))
        .collect();
    let mut connection = pool.acquire().await?;
    apalis_postgres::queries::push_tasks(&mut *connection, QUEUE, tasks?).await?;
    Ok(())
}

pub async fn unfinished(pool: &PgPool) -> Result<i64> {
    let query = sqlx::query_scalar("SELECT count(*) FROM apalis.jobs WHERE status <> 'Done'");
    Ok(query.fetch_one(pool).await?)
}

async fn run(job: Job, journal: Data<Journal>) -> Result<(), BoxDynError> {
    Ok(job.run(&journal).await?)
}

pub async fn work(work: &Work, journal: Journal) -> Result<()> {
    let pool = PgPool::connect(&work.database).await?;
    let config = Config::default()
        .queue(QUEUE)
        .batch_size(work.settings.batch)
        .heartbeat_interval(work.settings.heartbeat())
        .missed_heartbeats(HEARTBEATS as usize);
    let name = work.name.clone();
    let known = journal.clone();
    let monitor = Monitor::new().register(move |_| {
        let storage = PostgresStorage::<Job>::new(&pool)
            .with_config(config.clone())
            .with_pubsub()
            .poll_with_interval(APALIS_POLL);
        WorkerBuilder::new(name.as_str())
            .backend(storage)
            .concurrency(PLACES)
            .data(known.clone())
            .build(run)
    });
    // Otherwise a worker ends at its first error.
    let monitor = monitor.should_restart(move |_, error| {
        let _ = journal.error(&error.to_string());
        true
    });
    Ok(monitor.run().await?)
}
