//! What a scrape of the metrics says, and how long it takes when very many jobs have ended.
//!
//! `REBUILDER_METRICS_ROWS=1000000 cargo test --test it queue::metrics -- --nocapture` measures; by itself the test has a few
//! thousand.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rebuilder::memory::Memory;
use rebuilder::queue::Queue;
use rebuilder::store::Store;
use sqlx::AssertSqlSafe;

use super::postgres::Postgres;
use super::service::{Service, end, wait_until};

/// Scrapes that are measured.
const SCRAPES: usize = 20;

fn rows() -> i64 {
    let text = std::env::var("REBUILDER_METRICS_ROWS").ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(5000)
}

/// Jobs that ended long ago, a tenth of them with another verdict than the others.
async fn fill(memory: &Memory, count: i64) {
    let numbers =
        format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})");
    let jobs = format!(
        "{numbers} INSERT INTO queue_job (audit, ecosystem, subject, task, key, state, priority, turn, run_at, attempt,
           attempts, architecture, memory, disk, cores, created, changed)
         SELECT 'old', 'pypi', 'pkg:pypi/p' || i || '@1', '{{\"do\":\"probe\"}}', 'old ' || i, 'done', 0, i, 0, 1, 5, '',
           0, 0, 0, 0, 0 FROM n"
    );
    let verdicts = "INSERT INTO queue_verdict (job, attempt, worker, verdict, signing, published, at)
         SELECT id, 1, 'one', CASE WHEN id % 10 = 0 THEN 'mismatch' ELSE 'reproduced' END, 'signed', 'signed', 0
         FROM queue_job WHERE audit = 'old'";
    for sql in [jobs, verdicts.to_owned()] {
        sqlx::query(AssertSqlSafe(sql))
            .execute(memory.write())
            .await
            .unwrap();
    }
}

fn value(page: &str, series: &str) -> Option<i64> {
    let mut lines = page.lines();
    lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// How old the numbers of what has ended are, as the page says it.
fn age(page: &str) -> Duration {
    let mut lines = page.lines();
    let age = lines.find_map(|line| line.strip_prefix("rebuilder_ended_age_seconds "));
    Duration::from_secs_f64(age.unwrap().parse().unwrap())
}

fn measure(name: &str, url: Option<String>) {
    let service = Service::start_with_lease(url, "30", &[]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Store::open(Some(service.store())).unwrap();
    let count = rows();
    let everything = runtime.block_on(async {
        let memory = Memory::open(service.database(), &store).await.unwrap();
        fill(&memory, count).await;
        let begun = Instant::now();
        Queue::new(memory.clone()).tally().await.unwrap();
        let everything = begun.elapsed();
        memory.close().await;
        everything
    });
    let token = service.operator(&["serve", "token", "add", "prometheus", "--scope", "metrics"]);
    let token = token["token"].as_str().unwrap();
    let scrape = || {
        let (status, page) = service.get("/metrics", Some(token));
        assert_eq!(status, 200, "{page}");
        page
    };
    // They were written in several steps, and a count in between sees only some of these.
    wait_until("they are counted", Duration::from_mins(1), || {
        let page = scrape();
        value(&page, "rebuilder_jobs{state=\"done\"}") == Some(count)
            && value(&page, "rebuilder_verdicts{verdict=\"mismatch\"}") == Some(count / 10)
            && value(&page, "rebuilder_signing{state=\"signed\"}") == Some(count)
    });
    let mut times = Vec::new();
    for _ in 0..SCRAPES {
        let begun = Instant::now();
        let page = scrape();
        times.push(begun.elapsed());
        assert_eq!(
            value(&page, "rebuilder_verdicts{verdict=\"mismatch\"}"),
            Some(count / 10)
        );
        assert_eq!(value(&page, "rebuilder_signing{state=\"signed\"}"), Some(count));
        assert_eq!(value(&page, "rebuilder_jobs{state=\"dead\"}"), Some(0));
    }
    times.sort();
    println!(
        "{name}: {count} ended jobs: a count of all takes {everything:?}; a scrape with curl takes {:?}, the slowest of {SCRAPES} {:?}",
        times[times.len() / 2],
        times[times.len() - 1],
    );

    // What is open is never older than the scrape, and what ends is seen soon.
    service.operator(&["queue", "probe", "--count", "7", "--lasting", "1000"]);
    assert_eq!(value(&scrape(), "rebuilder_jobs{state=\"ready\"}"), Some(7));
    let begun = Instant::now();
    let worker = service.worker("one", None, &["--jobs", "7"]);
    wait_until("what ended is counted", Duration::from_mins(1), || {
        let page = scrape();
        let is_counted = value(&page, "rebuilder_jobs{state=\"done\"}") == Some(count + 7)
            && value(&page, "rebuilder_verdicts{verdict=\"probed\"}") == Some(7)
            && value(&page, "rebuilder_jobs{state=\"ready\"}") == Some(0);
        // A count that has seen the new jobs is not older than they are.
        assert!(!is_counted || age(&page) < begun.elapsed(), "{page}");
        is_counted
    });
    end(worker, Signal::SIGTERM);
}

#[apply(test)]
fn a_scrape_does_not_count_what_ended_long_ago_in_sqlite() {
    measure("SQLite", None);
}

#[apply(test)]
fn a_scrape_does_not_count_what_ended_long_ago_in_postgresql() {
    let postgres = Postgres::start();
    measure("PostgreSQL", Some(postgres.url()));
}
