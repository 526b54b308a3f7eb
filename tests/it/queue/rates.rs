//! How many jobs that do nothing four workers drain over HTTP, and how soon one reaches an idle worker.
//!
//! `REBUILDER_QUEUE_JOBS=100000 cargo test --release --test it queue::rates -- --nocapture` measures; by itself the test does
//! a few thousand, and shows that each has one verdict.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rebuilder::memory::Memory;
use rebuilder::queue::wire::Task;
use rebuilder::queue::{NewJob, Queue};
use rebuilder::store::Store;
use sqlx::Row as _;

use super::postgres::Postgres;
use super::service::{Service, end};

/// Jobs of which the way to an idle worker is measured, and the pause between two.
const SINGLE: u64 = 200;
const PAUSE: Duration = Duration::from_millis(10);

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
        tokio::time::sleep(Duration::from_millis(20)).await;
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
