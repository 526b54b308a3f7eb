//! How many jobs that do nothing four workers drain over HTTP, and how soon one reaches an idle worker.
//!
//! `REBUILDER_QUEUE_JOBS=100000 cargo test --release --test it queue::rates -- --nocapture` measures; by itself the test does
//! a few thousand, and shows that each has one verdict.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rebuilder::memory::Memory;
use rebuilder::queue::wire::{Resources, Task};
use rebuilder::queue::{Claimant, NewJob, Queue};
use rebuilder::store::Store;
use sqlx::Row as _;

use super::postgres::Postgres;
use super::service::{Service, end};

/// Jobs of which the way to an idle worker is measured, and the pause between two.
const SINGLE: u64 = 200;
const PAUSE: Duration = Duration::from_millis(10);

/// How often the verdicts are counted. To count them takes time that the queue would have.
const LOOK: Duration = Duration::from_millis(200);

fn jobs() -> u64 {
    let text = std::env::var("REBUILDER_QUEUE_JOBS").ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(2000)
}

fn probe(number: u64, audit: &str) -> NewJob {
    let task = Task::Probe {
        number,
        milliseconds: 0,
    };
    NewJob::new(task, "probe", audit)
}

async fn count(memory: &Memory, sql: &'static str) -> i64 {
    sqlx::query(sql).fetch_one(memory.read()).await.unwrap().get(0)
}

async fn wait_for(memory: &Memory, verdicts: u64) {
    let begun = Instant::now();
    while count(memory, "SELECT count(*) FROM queue_verdict").await < i64::try_from(verdicts).unwrap() {
        assert!(
            begun.elapsed() < Duration::from_mins(20),
            "the queue does not drain"
        );
        tokio::time::sleep(LOOK).await;
    }
}

async fn measure(name: &str, service: &Service) {
    let store = Store::open(Some(service.store())).unwrap();
    let memory = Memory::open(service.database(), &store).await.unwrap();
    let queue = Queue::new(memory.clone());
    let many: Vec<_> = (1..=jobs()).map(|number| probe(number, "many")).collect();
    let begun = Instant::now();
    queue.enqueue(&many).await.unwrap();
    let enqueued = begun.elapsed();
    let begun = Instant::now();
    let names = ["one", "two", "three", "four"];
    let workers: Vec<_> = names
        .iter()
        .map(|name| service.worker(name, None, &["--jobs", "16"]))
        .collect();
    wait_for(&memory, jobs()).await;
    let drained = begun.elapsed();
    for number in 1..=SINGLE {
        queue.enqueue(&[probe(number, "single")]).await.unwrap();
        tokio::time::sleep(PAUSE).await;
    }
    wait_for(&memory, jobs() + SINGLE).await;
    // By the database's clock, from the INSERT to the verdict: the lease is a part of that.
    let rows = sqlx::query(
        "SELECT queue_verdict.at - created FROM queue_job JOIN queue_verdict ON job = id WHERE audit = 'single' ORDER BY 1",
    );
    let rows = rows.fetch_all(memory.read()).await.unwrap();
    let waits: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    let twice = count(
        &memory,
        "SELECT count(*) FROM queue_job WHERE attempt <> 1 OR state <> 'done'",
    )
    .await;
    let rate = f64::from(u32::try_from(jobs()).unwrap()) / drained.as_secs_f64();
    println!(
        "{name}: {} jobs enqueued in {:.1} s, drained in {:.1} s by 4 workers of 16 places: {rate:.0}/s; to an idle worker and back: p50 {} ms, p99 {} ms; run twice or not done: {twice}",
        jobs(),
        enqueued.as_secs_f64(),
        drained.as_secs_f64(),
        waits[waits.len() / 2],
        waits[waits.len() * 99 / 100],
    );
    assert_eq!((twice, waits.len()), (0, usize::try_from(SINGLE).unwrap()));
    memory.close().await;
    for worker in workers {
        end(worker, Signal::SIGTERM);
    }
}

fn run(name: &str, url: Option<String>) {
    let service = Service::start_with_lease(url, "30", &[]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(measure(name, &service));
}

#[apply(test)]
fn many_jobs_are_drained_through_sqlite() {
    run("SQLite", None);
}

#[apply(test)]
fn many_jobs_are_drained_through_postgresql() {
    let postgres = Postgres::start();
    run("PostgreSQL", Some(postgres.url()));
}

/// How many entries of indexes of jobs were read so far: of the one that has the line in order, and of all others that have
/// jobs which wait. Connections tell that from time to time.
async fn entries_read(memory: &Memory) -> (i64, i64) {
    let read = async |indexes: &str| {
        let sql = format!(
            "SELECT coalesce(sum(idx_tup_read), 0)::bigint FROM pg_stat_user_indexes WHERE indexrelname IN ({indexes})"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(memory.read());
        row.await.unwrap().get(0)
    };
    let others = "'queue_job_open', 'queue_job_turn'";
    (read("'queue_job_ready'").await, read(others).await)
}

/// PostgreSQL knows nothing of the jobs that were added since the table was analysed.
#[apply(test)]
fn a_claim_does_not_read_the_whole_line() {
    const LINE: u64 = 20_000;
    let postgres = Postgres::start();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(Some(folder.path().join("store"))).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let memory = Memory::open(Some(&postgres.url()), &store).await.unwrap();
        let queue = Queue::new(memory.clone());
        let many: Vec<_> = (1..=LINE).map(|number| probe(number, "many")).collect();
        queue.enqueue(&many).await.unwrap();
        let (_, before) = entries_read(&memory).await;
        let who = Claimant {
            worker: "one".into(),
            architecture: "x86_64".into(),
            free: Resources::default(),
        };
        let begun = Instant::now();
        let mut claimed = 0;
        while entries_read(&memory).await.0 < 1000 {
            assert!(
                begun.elapsed() < Duration::from_mins(1),
                "claims do not read the line in order"
            );
            let lease = Duration::from_mins(10);
            claimed += queue.claim(&who, 16, lease).await.unwrap().len();
        }
        let (_, after) = entries_read(&memory).await;
        // To end a job, others are read too; no claim has read all that wait.
        assert!(
            after - before < i64::try_from(LINE).unwrap(),
            "{claimed} jobs were claimed, and {} entries of other indexes read",
            after - before
        );
        memory.close().await;
    });
}

#[apply(test)]
fn a_server_hears_of_jobs_when_they_are_committed() {
    let postgres = Postgres::start();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(Some(folder.path().join("store"))).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let file = Memory::open(None, &store).await.unwrap();
        assert!(file.listen().await.unwrap().is_none());
        file.close().await;
        let memory = Memory::open(Some(&postgres.url()), &store).await.unwrap();
        let queue = Queue::new(memory.clone());
        let mut listener = memory.listen().await.unwrap().unwrap();
        let quiet = tokio::time::timeout(Duration::from_millis(200), listener.heard()).await;
        assert!(quiet.is_err(), "nothing was queued");
        queue.enqueue(&[probe(1, "many")]).await.unwrap();
        let heard = tokio::time::timeout(Duration::from_secs(10), listener.heard()).await;
        heard.unwrap().unwrap();
        drop(listener);
        memory.close().await;
    });
}
