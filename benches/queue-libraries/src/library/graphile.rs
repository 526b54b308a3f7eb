//! graphile_worker, with a local queue: without one it takes a job per place and second.

use anyhow::{Context as _, Result};
use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, LocalQueueConfig, TaskHandler, WorkerContext, WorkerOptions,
    WorkerRecoveryConfig, WorkerUtils,
};
use sqlx::PgPool;

use super::{Job, PLACES};
use crate::crew::Work;
use crate::journal::Journal;

pub struct Graphile {
    pool: PgPool,
    utils: WorkerUtils,
}

impl TaskHandler for Job {
    const IDENTIFIER: &'static str = "job";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let journal = context.get_ext::<Journal>().ok_or("no journal")?;
        Job::run(&self, journal).await.map_err(|error| error.to_string())
    }
}

impl Graphile {
    pub async fn open(database: &str) -> Result<Self> {
        let pool = PgPool::connect(database).await?;
        // A worker that is not run makes the tables.
        let worker = WorkerOptions::default().pg_pool(pool.clone()).define_job::<Job>();
        let worker = Box::pin(worker.init())
            .await
            .context("graphile_worker's tables")?;
        Ok(Self {
            utils: worker.create_utils(),
            pool,
        })
    }

    pub async fn enqueue(&self, jobs: &[Job]) -> Result<()> {
        let spec = JobSpec::default();
        let jobs: Vec<_> = jobs.iter().map(|job| (job.clone(), &spec)).collect();
        self.utils.add_jobs(&jobs).await?;
        Ok(())
    }

    /// Jobs that are done are deleted.
    pub async fn unfinished(&self) -> Result<i64> {
        let query = sqlx::query_scalar("SELECT count(*) FROM graphile_worker._private_jobs");
        Ok(query.fetch_one(&self.pool).await?)
    }
}

/// It has no names: each process is a worker of its own.
pub async fn work(work: &Work, journal: Journal) -> Result<()> {
    let recovery = WorkerRecoveryConfig::default()
        .heartbeat_interval(work.settings.heartbeat())
        .sweep_interval(work.settings.heartbeat())
        .sweep_threshold(work.settings.lease())
        .recovery_delay(std::time::Duration::ZERO);
    let worker = WorkerOptions::default()
        .database_url(&work.database)
        .concurrency(PLACES)
        .local_queue(LocalQueueConfig::default().with_size(work.settings.batch))
        .worker_recovery(recovery)
        .add_extension(journal)
        .define_job::<Job>();
    Ok(Box::pin(worker.init()).await?.run().await?)
}
