//! Pages and API of a server with many builds, under load: `cargo bench --bench reading [-- --builds COUNT]`.
//!
//! The builds are rows of a database of SQLite, a million unless it is said otherwise; none was made. Eight readers ask at a
//! time, each for the next page as soon as it has the one before. Times are those of a reader, from the request to the last
//! byte. `wrk` or `oha` can be pointed at the same server (`--wait` keeps it until Ctrl-C).
#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rebuilder::memory::Memory;
use rebuilder::store::Store;
use sqlx::AssertSqlSafe;

const BIN: &str = env!("CARGO_BIN_EXE_rebuilder");
const READERS: usize = 8;
const LASTING: Duration = Duration::from_secs(20);

/// What readers ask for, and why it stands for others.
const PATHS: &[(&str, &str)] = &[
    ("overview", "/"),
    ("rates", "/rates?ecosystem=pypi"),
    ("shared reasons", "/causes"),
    ("search", "/packages?q=name-77"),
    ("package", "/packages/pkg:pypi/name-77"),
    ("build", "/builds/42"),
    ("badge", "/badge.svg?package=pkg:pypi/name-77"),
    (
        "API: builds",
        "/api/results/v1/builds?verdict=mismatch&newest=true&limit=50",
    ),
    ("API: build", "/api/results/v1/builds/42"),
    ("API: rates", "/api/results/v1/rates"),
    ("rebuilderd: package", "/api/v1/packages/binary?name=name-77"),
    ("rebuilderd: dashboard", "/api/v1/dashboard"),
    ("rebuilderd: all files", "/api/v1/packages/binary?limit=50"),
    ("rebuilderd: bad", "/api/v1/packages/source?status=BAD&limit=50"),
    ("rebuilderd: names", "/api/v1/meta/distributions"),
];

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if !words.iter().any(|word| word == "--bench") {
        return;
    }
    let count = words.iter().skip_while(|word| *word != "--builds").nth(1);
    let count: u64 = count.map_or(1_000_000, |count| count.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let begun = Instant::now();
    runtime.block_on(fill(folder.path(), count));
    println!("{count} builds written in {:.1?}", begun.elapsed());
    let (mut server, url) = serve(folder.path());
    runtime.block_on(load(&url));
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    println!(
        "largest resident set of the server: {}",
        peak.trim_start_matches("VmHWM:").trim()
    );
    if words.iter().any(|word| word == "--wait") {
        println!("waiting at {url}");
        server.wait().unwrap();
    }
    server.kill().unwrap();
    server.wait().unwrap();
}

/// Builds of as many packages as a tenth of them, over a year, a tenth of them not reproduced.
async fn fill(folder: &Path, count: u64) {
    let store = Store::open(Some(folder.to_owned())).unwrap();
    let memory = Memory::open(None, &store).await.unwrap();
    let now = jiff::Timestamp::now().as_millisecond();
    let numbers =
        format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})");
    let packages = (count / 10).max(1);
    let verdict = "CASE i % 100 WHEN 1 THEN 'mismatch' WHEN 2 THEN 'equivalent' WHEN 3 THEN 'inconclusive'
        WHEN 4 THEN 'not-reproduced' WHEN 5 THEN 'not-reproduced' ELSE 'reproduced' END";
    let status = "CASE i % 100 WHEN 1 THEN 'BAD' WHEN 2 THEN 'UNKWN' WHEN 3 THEN 'UNKWN' WHEN 4 THEN 'UNKWN'
        WHEN 5 THEN 'UNKWN' ELSE 'GOOD' END";
    let kind = "CASE i % 4 WHEN 0 THEN 'debian' WHEN 1 THEN 'pypi' WHEN 2 THEN 'npm' ELSE 'crates' END";
    let name = format!("'name-' || (i % {packages})");
    let purl = format!(
        "'pkg:' || (CASE (i % {packages}) % 4 WHEN 0 THEN 'deb/debian' WHEN 1 THEN 'pypi' WHEN 2 THEN 'npm' ELSE 'cargo' END) || '/' || {name}"
    );
    let version = format!("'1.' || (i / {packages})");
    for sql in [
        format!(
            "INSERT INTO queue_job (id, audit, ecosystem, subject, task, key, state, priority, turn, run_at, attempts, architecture, memory, disk, cores, created, changed)
             {numbers} SELECT i, 'bench', {kind}, {purl} || '@' || {version}, '{{}}', i, 'done', 0, i, 0, 5, '', 0, 0, 0, {now}, {now} FROM n"
        ),
        format!(
            "INSERT INTO published_build (id, subject, package, ecosystem, distribution, release, architecture, name, version, source, verdict, status,
               causes, retries, started, finished, worker, backend, signing, conclusive, newest, changed)
             {numbers} SELECT i, {purl} || '@' || {version}, {purl}, {kind}, {kind}, '', 'all', {name}, {version}, {name}, {verdict}, {status},
               CASE WHEN i % 100 IN (1, 4, 5) THEN 'tool-version' ELSE '' END, 0, {now} - (({count} - i) * 31536000000 / {count}) - 60000,
               {now} - (({count} - i) * 31536000000 / {count}), 'one', 'embedded', 'signed', 1, 1, {now} - 100000 FROM n"
        ),
        format!(
            "INSERT INTO published_output (build, position, distribution, release, component, architecture, name, version, file, url, sha256, status, finished, conclusive, newest)
             {numbers} SELECT i, 0, {kind}, '', 'main', 'all', {name}, {version}, {name} || '-' || {version} || '.whl', '',
               '{}', CASE i % 100 WHEN 1 THEN 'BAD' ELSE 'GOOD' END, {now}, 1, 1 FROM n",
            "0".repeat(64)
        ),
        "INSERT INTO published_package (package, words) SELECT package, max(name) FROM published_build GROUP BY package".into(),
        "INSERT INTO published_cause (build, cause, shared, released, rebuilt)
           SELECT id, 'tool-version', 'tool-' || (id % 50), '1.' || (id % 3), '2.0' FROM published_build WHERE causes <> ''"
            .into(),
        "ANALYZE".into(),
    ] {
        sqlx::query(AssertSqlSafe(sql)).execute(memory.write()).await.unwrap();
    }
    memory.close().await;
}

fn serve(folder: &Path) -> (Child, String) {
    let mut server = Command::new(BIN)
        .arg("--store")
        .arg(folder)
        .args([
            "--json",
            "serve",
            "--public",
            "--rate",
            "0",
            "--listen",
            "127.0.0.1:0",
        ])
        .env_remove("REBUILDER_MEMORY")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = server.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let told: serde_json::Value = serde_json::from_str(&line).unwrap();
    (server, format!("http://{}", told["listening"].as_str().unwrap()))
}

async fn load(url: &str) {
    let client = reqwest::Client::new();
    for (name, path) in PATHS {
        let begun = Instant::now();
        let answer = client.get(format!("{url}{path}")).send().await.unwrap();
        assert!(answer.status().is_success(), "{name}: {}", answer.status());
        answer.bytes().await.unwrap();
        println!("first {name:<24} {:>8.1?}", begun.elapsed());
    }
    let url = Arc::new(url.to_owned());
    let until = Instant::now().checked_add(LASTING).unwrap();
    let readers: Vec<_> = (0..READERS)
        .map(|reader| {
            let (client, url) = (client.clone(), url.clone());
            tokio::spawn(async move {
                let mut times = Vec::new();
                for place in (reader..).map(|place| place % PATHS.len()) {
                    if Instant::now() > until {
                        return times;
                    }
                    let begun = Instant::now();
                    let answer = client
                        .get(format!("{url}{}", PATHS[place].1))
                        .send()
                        .await
                        .unwrap();
                    answer.bytes().await.unwrap();
                    times.push((place, begun.elapsed()));
                }
                times
            })
        })
        .collect();
    let mut all = Vec::new();
    for reader in readers {
        all.extend(reader.await.unwrap());
    }
    println!(
        "{:.0} requests a second, {READERS} at a time",
        all.len() as f64 / LASTING.as_secs_f64()
    );
    for (place, (name, _)) in PATHS.iter().enumerate() {
        let times = all.iter().filter(|(other, _)| *other == place);
        tell(name, times.map(|(_, time)| *time).collect());
    }
    tell("all", all.into_iter().map(|(_, time)| time).collect());
}

fn tell(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |part: usize| times[(times.len().saturating_sub(1)) * part / 100];
    println!(
        "{name:<24} {:>6} requests  median {:>8.1?}  p99 {:>8.1?}  most {:>8.1?}",
        times.len(),
        at(50),
        at(99),
        at(100)
    );
}
