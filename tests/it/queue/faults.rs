//! Whatever is killed, stopped or restarted: each job ends in one verdict.
//!
//! `REBUILDER_FAULT_ROUNDS=200 cargo test --test it queue::faults -- --nocapture` is the whole loop, and prints the table;
//! by itself the test does a few rounds.

use std::collections::BTreeMap;
use std::process::Child;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::postgres::Postgres;
use super::service::{Service, signal};

/// Jobs of one round, and how long each takes.
const JOBS: u64 = 12;
const LASTING: &str = "250";

/// What happens to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    WorkerKilled,
    WorkerStoppedBeyondItsLease,
    WorkerDrained,
    ServerKilled,
    ServerRestarted,
    DatabaseRestarted,
    DatabaseKilled,
    EverybodyKilled,
}

const FAULTS: [Fault; 8] = [
    Fault::WorkerKilled,
    Fault::WorkerStoppedBeyondItsLease,
    Fault::WorkerDrained,
    Fault::ServerKilled,
    Fault::ServerRestarted,
    Fault::DatabaseRestarted,
    Fault::DatabaseKilled,
    Fault::EverybodyKilled,
];

/// What rounds of one kind came to.
#[derive(Default)]
struct Row {
    rounds: u64,
    jobs: i64,
    verdicts: i64,
    lost: i64,
    slowest: Duration,
}

struct Stage {
    service: Service,
    postgres: Option<Postgres>,
    workers: Vec<(String, Child)>,
}

impl Stage {
    fn start_worker(&mut self, name: &str) {
        let child = self.service.worker(name, None, &["--jobs", "2"]);
        self.workers.push((name.to_owned(), child));
    }

    fn kill_worker(&mut self, at: usize) -> String {
        let (name, mut child) = self.workers.remove(at);
        child.kill().unwrap();
        child.wait().unwrap();
        name
    }

    fn strike(&mut self, fault: Fault, round: u64) {
        let pause = |milliseconds| std::thread::sleep(Duration::from_millis(milliseconds));
        let victim = usize::try_from(round).unwrap() % self.workers.len();
        match fault {
            Fault::WorkerKilled => {
                let name = self.kill_worker(victim);
                self.start_worker(&name);
            }
            Fault::WorkerStoppedBeyondItsLease => {
                signal(&self.workers[victim].1, Signal::SIGSTOP);
                pause(3000);
                signal(&self.workers[victim].1, Signal::SIGCONT);
            }
            Fault::WorkerDrained => {
                let (name, mut child) = self.workers.remove(victim);
                signal(&child, Signal::SIGTERM);
                assert!(child.wait().unwrap().success());
                self.start_worker(&name);
            }
            Fault::ServerKilled | Fault::ServerRestarted => {
                let how = if fault == Fault::ServerKilled {
                    Signal::SIGKILL
                } else {
                    Signal::SIGTERM
                };
                self.service.end(how);
                pause(300);
                self.service.up();
            }
            Fault::DatabaseRestarted | Fault::DatabaseKilled => {
                let Some(postgres) = &mut self.postgres else {
                    return;
                };
                postgres.down(fault == Fault::DatabaseKilled);
                pause(300);
                postgres.up();
            }
            Fault::EverybodyKilled => {
                let names: Vec<_> = (0..self.workers.len()).map(|_| self.kill_worker(0)).collect();
                self.service.end(Signal::SIGKILL);
                if let Some(postgres) = &mut self.postgres {
                    postgres.down(true);
                    postgres.up();
                }
                self.service.up();
                for name in names {
                    self.start_worker(&name);
                }
            }
        }
    }
}

fn rounds() -> u64 {
    let text = std::env::var("REBUILDER_FAULT_ROUNDS").ok();
    text.and_then(|text| text.parse().ok())
        .unwrap_or(FAULTS.len() as u64)
}

fn repeat(name: &str, postgres: Option<Postgres>) {
    let url = postgres.as_ref().map(Postgres::url);
    let mut stage = Stage {
        service: Service::start(url, &[]),
        postgres,
        workers: Vec::new(),
    };
    for name in ["one", "two"] {
        stage.start_worker(name);
    }
    let mut rows: BTreeMap<Fault, Row> = BTreeMap::new();
    let mut before = (0, 0);
    for round in 0..rounds() {
        let fault = FAULTS[usize::try_from(round).unwrap() % FAULTS.len()];
        if stage.postgres.is_none() && matches!(fault, Fault::DatabaseRestarted | Fault::DatabaseKilled) {
            continue;
        }
        let begun = Instant::now();
        stage.service.operator(&[
            "queue",
            "probe",
            "--count",
            &JOBS.to_string(),
            "--lasting",
            LASTING,
        ]);
        // Not at the same moment each time.
        std::thread::sleep(Duration::from_millis(300 + round * 37 % 500));
        stage.strike(fault, round);
        let drained = stage.service.drained(Duration::from_mins(2));
        let status = stage.service.operator(&["queue", "status"]);
        assert!(drained, "{fault:?} in round {round}: {status}");
        let jobs: i64 = status["jobs"]
            .as_object()
            .unwrap()
            .values()
            .filter_map(serde_json::Value::as_i64)
            .sum();
        let verdicts = status["verdicts"]["probed"].as_i64().unwrap();
        let listed = stage
            .service
            .operator(&["queue", "list", "--count", &JOBS.to_string()]);
        let lost = listed["jobs"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|job| job["lost"].as_i64())
            .sum::<i64>();
        let row = rows.entry(fault).or_default();
        row.rounds += 1;
        row.jobs += jobs - before.0;
        row.verdicts += verdicts - before.1;
        row.lost += lost;
        row.slowest = row.slowest.max(begun.elapsed());
        before = (jobs, verdicts);
    }
    println!(
        "{name}: {JOBS} jobs of {LASTING} ms in each round, two workers with two places each, lease 1.5 s"
    );
    println!(
        "{:30} {:>6} {:>6} {:>8} {:>5} {:>8}",
        "fault", "rounds", "jobs", "verdicts", "lost", "slowest"
    );
    for (fault, row) in &rows {
        let slowest = row.slowest.as_secs_f64();
        let fault = format!("{fault:?}");
        println!(
            "{fault:30} {:6} {:6} {:8} {:5} {slowest:7.1}s",
            row.rounds, row.jobs, row.verdicts, row.lost
        );
    }
    for (fault, row) in &rows {
        assert_eq!(row.jobs, row.verdicts, "{fault:?}");
        assert_eq!(row.jobs, i64::try_from(row.rounds * JOBS).unwrap(), "{fault:?}");
    }
    for (_, worker) in stage.workers.drain(..) {
        super::service::end(worker, Signal::SIGTERM);
    }
}

#[apply(test)]
fn each_job_has_one_verdict_on_sqlite() {
    repeat("SQLite", None);
}

#[apply(test)]
fn each_job_has_one_verdict_on_postgresql() {
    repeat("PostgreSQL", Some(Postgres::start()));
}
