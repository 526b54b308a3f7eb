//! Real builds through PostgreSQL, a server, two workers and the signer, while one of them breaks in each round.
//!
//! `REBUILDER_ENDURANCE_ROUNDS=200 cargo test --test it queue::endurance -- --nocapture` is the whole loop, and prints a
//! table; by itself the test does a few rounds. `REBUILDER_ENDURANCE_FROM=5` begins with another fault.

mod breaking;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::agreement::{Signer, own};
use super::postgres::Postgres;
use super::service::{Service, signal};
use crate::chaos::{left, processes};
use crate::common::http::Server;
use crate::common::releases::{Plant, Releases};
use crate::common::{NETWORK, Need, ROOT, SANDBOX, needs, rebuilder_in, text};
use breaking::{Fault, Mount, Way};

/// Each round has one package that both workers rebuild, and so many short probes beside it.
const PROBES: i64 = 6;
const LASTING: &str = "250";
/// How long a round may take: a full disk is tried again after a minute.
const LIMIT: Duration = Duration::from_mins(4);

const PYTHON: Need = Need {
    what: "python3",
    there: || Command::new("python3").arg("--version").output().is_ok(),
};
const FAKETIME: Need = Need {
    what: "faketime (its library)",
    there: || faketime().is_some(),
};

/// The library that gives a program another time of the day.
fn faketime() -> Option<PathBuf> {
    let machines = fs::read_dir("/usr/lib").ok()?.flatten();
    let mut libraries = machines.map(|machine| machine.path().join("faketime/libfaketimeMT.so.1"));
    libraries.find(|library| library.exists())
}

fn number(name: &str, otherwise: usize) -> usize {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// What rounds with one fault came to.
#[derive(Default)]
struct Row {
    rounds: u64,
    /// Rounds in which the fault met what it was meant for.
    met: u64,
    jobs: usize,
    one_verdict: usize,
    lost: i64,
    signed: i64,
    left: usize,
    slowest: Duration,
}

/// Digests that the signer's log names, by what they are about.
type Digests = BTreeMap<String, BTreeSet<String>>;

/// A worker, and the way on which it reaches the server.
struct Hand {
    name: &'static str,
    way: Way,
    child: Child,
}

impl Drop for Hand {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Everything that may break; it ends in this order.
struct World {
    hands: Vec<Hand>,
    service: Service,
    signer: Signer,
    postgres: Postgres,
    index: Server,
    /// Where the workers' store and the server's artifacts are, each on a file system of its own.
    store: Mount,
    artifacts: Mount,
    folder: tempfile::TempDir,
}

fn mirrors(index: &Server) -> Vec<String> {
    let hosts = ["https://pypi.org", "https://files.pythonhosted.org"];
    let each = hosts.map(|host| ["--mirror".to_owned(), format!("{host}={}", index.url())]);
    each.into_iter().flatten().collect()
}

impl World {
    fn new(packages: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let all: Vec<_> = packages
            .iter()
            .map(|name| (name.as_str(), 0, Plant::Nothing))
            .collect();
        let releases = Releases::new(&all, folder.path());
        let index = Server::new(move |path| releases.answer(path));
        let store = Mount::new(&folder.path().join("store"), "4g");
        // A round keeps some 200 KB. What it is filled with must be the fault, not the rounds before.
        let size = format!("{}m", 16 + packages.len() / 2);
        let artifacts = Mount::new(&folder.path().join("artifacts"), &size);
        let postgres = Postgres::start();
        let mirrors = mirrors(&index);
        let own = own();
        let mut words = vec!["--agree", "2", "--relay", &own];
        words.extend(mirrors.iter().map(String::as_str));
        let signer = Signer::start(&words);
        let path = |path: PathBuf| path.to_str().unwrap().to_owned();
        let (socket, runs, kept) = (
            path(signer.place("socket")),
            path(signer.place("runs")),
            path(artifacts.path.clone()),
        );
        let words = ["--signer", &socket, "--runs", &runs, "--artifacts", &kept];
        let service = Service::start_with_lease(Some(postgres.url()), "2", &words);
        Self {
            folder,
            service,
            postgres,
            signer,
            hands: Vec::new(),
            index,
            store,
            artifacts,
        }
    }

    /// Makes the roots once, so that no round has to.
    fn warm(&self, package: &str) {
        let mut command = rebuilder_in(&self.store.path);
        command.args(mirrors(&self.index));
        let out = self.folder.path().join("warm");
        command
            .args(["rebuild", package, "--unsigned", "--out"])
            .arg(&out);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
    }

    /// Starts a worker; `clock` is how far its clock is off.
    fn start(&mut self, name: &'static str, clock: Option<&str>) {
        let way = Way::to(self.service.port);
        let token = self.service.token(name);
        let mut command = rebuilder_in(&self.store.path);
        if let Some((clock, library)) = clock.zip(faketime()) {
            command.env("LD_PRELOAD", library).env("FAKETIME", clock);
            // Only the time of the day: what waits, waits as long as before.
            command
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
                .env("NO_FAKE_STAT", "1");
        }
        let log = fs::File::options()
            .append(true)
            .create(true)
            .open(self.folder.path().join(format!("worker-{name}.log")));
        command
            .args(mirrors(&self.index))
            .args(["worker", "--server", &way.url(), "--token-file"])
            .arg(token)
            .args(["--jobs", "2"])
            .stderr(log.unwrap())
            .stdout(Stdio::null());
        let child = command.spawn().unwrap();
        self.hands.push(Hand { name, way, child });
    }

    fn stop(&mut self, at: usize, with: Signal) -> &'static str {
        let mut hand = self.hands.remove(at);
        signal(&hand.child, with);
        hand.child.wait().unwrap();
        hand.name
    }

    /// The newest jobs, which are those of this round.
    fn listed(&self, count: usize) -> Vec<Value> {
        let listed = self
            .service
            .operator(&["queue", "list", "--count", &count.to_string()]);
        listed["jobs"].as_array().unwrap().clone()
    }

    fn tally(&self, of: &str, what: &str) -> i64 {
        let status = self.service.operator(&["queue", "status"]);
        status[of][what].as_i64().unwrap_or(0)
    }

    /// What is left of builds once nothing is running, after the next command has taken away what it may.
    fn left_over(&self) -> Vec<String> {
        let swept = rebuilder_in(&self.store.path).arg("doctor").output().unwrap();
        assert!(swept.status.success(), "{}", text(&swept));
        let mut all = left(&self.store.path, Path::new("/nonexistent"), "no marker");
        // A sandbox shows what is on the store's file system at places of its own.
        for process in processes() {
            let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", process.pid)).unwrap_or_default();
            if mounts.lines().any(|line| self.store.is_shown_elsewhere(line)) {
                all.push(format!("process {} {}", process.pid, process.words));
            }
        }
        let kept: BTreeSet<_> = self.hands.iter().map(|hand| hand.child.id()).collect();
        // The workers themselves live; a folder of theirs is empty.
        all.retain(|text| {
            let pid = text
                .strip_prefix("process ")
                .and_then(|text| text.split(' ').next());
            pid.and_then(|pid| pid.parse().ok())
                .is_none_or(|pid| !kept.contains(&pid))
        });
        let waiting = fs::read_dir(self.store.path.join("runs"))
            .into_iter()
            .flatten()
            .flatten();
        let jobs = waiting.flat_map(|entry| fs::read_dir(entry.path()).into_iter().flatten().flatten());
        let is_job = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with("job-");
        all.extend(
            jobs.filter(is_job)
                .map(|entry| entry.path().display().to_string()),
        );
        if self.tally("jobs", "running") > 0 {
            all.push("a lease".to_owned());
        }
        all
    }

    /// The digests of what was signed about each run, and of the released files of each subject.
    fn signed(&self) -> (Digests, Digests) {
        let text = fs::read_to_string(self.signer.place("log.jsonl")).unwrap();
        let (mut of_run, mut of_subject) = (BTreeMap::new(), BTreeMap::new());
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            if line["event"] == "signed" {
                let of = |what: &str| line[what].to_string();
                let statements: &mut BTreeSet<_> = of_run.entry(of("run")).or_default();
                statements.insert(of("statement"));
                let released: &mut BTreeSet<_> = of_subject.entry(of("subject")).or_default();
                released.insert(of("released"));
            }
        }
        (of_run, of_subject)
    }

    /// Both runs are signed; if a worker's clock is ahead, its run is refused, and the other one waits for another.
    fn wait_for_the_signer(&self, fault: Fault, round: usize, before: i64) {
        let begun = Instant::now();
        let done = || {
            let jobs = self.listed(usize::try_from(PROBES).unwrap() + 2);
            let count = |what: &str| jobs.iter().filter(|job| job["signing"] == what).count();
            if fault == Fault::ClockAhead {
                count("refused") == 1 && count("waits") == 1
            } else {
                self.tally("signing", "signed") == before + 2
            }
        };
        while !done() {
            if begun.elapsed() > LIMIT {
                let log = fs::read_to_string(self.signer.place("log.jsonl")).unwrap();
                let refused: Vec<_> = log.lines().filter(|line| line.contains("\"refused\"")).collect();
                let jobs = self.listed(usize::try_from(PROBES).unwrap() + 2);
                let server = self.service.server_log();
                panic!("{fault:?} in round {round}: not signed as expected: {jobs:#?} {refused:#?} {server}");
            }
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// One round: a package, some probes, and a fault.
    fn round(&mut self, number: usize, package: &str, fault: Fault, row: &mut Row) {
        let begun = Instant::now();
        let before = self.tally("signing", "signed");
        let is_clock = matches!(fault, Fault::ClockAhead | Fault::ClockBehind);
        if is_clock {
            // What it has begun, a worker ends; so it is another one before there is work.
            row.met += u64::from(self.strike(fault, number));
        }
        let service = &self.service;
        service.operator(&["queue", "add", package, "--agree", "2"]);
        let probes = PROBES.to_string();
        service.operator(&["queue", "probe", "--count", &probes, "--lasting", LASTING]);
        if !is_clock {
            row.met += u64::from(self.strike(fault, number));
        }
        let drained = self.service.drained(LIMIT);
        let jobs = self.listed(usize::try_from(PROBES).unwrap() + 2);
        assert!(drained, "{fault:?} in round {number}: {jobs:?}");
        self.wait_for_the_signer(fault, number, before);
        let ended = |job: &&Value| {
            let expected = if job["subject"].as_str().unwrap_or_default().contains("rbendure") {
                "reproduced"
            } else {
                "probed"
            };
            job["state"] == "done" && job["verdict"] == expected
        };
        row.rounds += 1;
        row.jobs += jobs.len();
        row.one_verdict += jobs.iter().filter(ended).count();
        row.lost += jobs.iter().filter_map(|job| job["lost"].as_i64()).sum::<i64>();
        row.signed += self.tally("signing", "signed") - before;
        let left = self.left_over();
        if !left.is_empty() {
            println!("{fault:?} in round {number} left {left:?}");
        }
        row.left += left.len();
        row.slowest = row.slowest.max(begun.elapsed());
        if is_clock {
            let name = self.stop(self.hands.len() - 1, Signal::SIGTERM);
            self.start(name, None);
        }
    }
}

#[apply(test)]
fn whatever_breaks_each_job_has_one_verdict_and_one_attestation() {
    needs(&[NETWORK, SANDBOX, ROOT, PYTHON, FAKETIME]);
    let rounds = number("REBUILDER_ENDURANCE_ROUNDS", 4);
    let from = number("REBUILDER_ENDURANCE_FROM", 0);
    let packages: Vec<String> = (0..=rounds)
        .map(|number| format!("rbendure{number:04}"))
        .collect();
    let subject = |number: usize| format!("pypi:{}==1.0", packages[number]);
    let mut world = World::new(&packages);
    world.warm(&subject(rounds));
    for name in ["one", "two"] {
        world.start(name, None);
    }
    let mut rows: BTreeMap<Fault, Row> = BTreeMap::new();
    for number in 0..rounds {
        let fault = Fault::ALL[(from + number) % Fault::ALL.len()];
        let row = rows.entry(fault).or_default();
        world.round(number, &subject(number), fault, row);
    }
    // Both numbers are of the database itself: each job of all rounds, and each verdict.
    let status = world.service.operator(&["queue", "status"]);
    let sum = |of: &str| -> i64 {
        let counts = status[of].as_object().unwrap().values();
        counts.filter_map(Value::as_i64).sum()
    };
    let (of_run, of_subject) = world.signed();
    print(&rows);
    println!(
        "{} jobs, {} verdicts; {} runs signed, {} of them twice with different content; {} packages, {} with different files",
        sum("jobs"),
        sum("verdicts"),
        of_run.len(),
        of_run.values().filter(|statements| statements.len() > 1).count(),
        of_subject.len(),
        of_subject.values().filter(|released| released.len() > 1).count(),
    );
    let per_round = PROBES + 2;
    assert_eq!(sum("jobs"), i64::try_from(rounds).unwrap() * per_round);
    assert_eq!(sum("verdicts"), sum("jobs"));
    let refused = rows.get(&Fault::ClockAhead).map_or(0, |row| row.rounds);
    assert_eq!(of_run.len(), (rounds - usize::try_from(refused).unwrap()) * 2);
    assert!(
        of_run
            .values()
            .chain(of_subject.values())
            .all(|all| all.len() == 1)
    );
    for (fault, row) in &rows {
        assert_eq!((row.one_verdict, row.left), (row.jobs, 0), "{fault:?}");
    }
    while !world.hands.is_empty() {
        world.stop(0, Signal::SIGTERM);
    }
    let left = world.left_over();
    assert!(left.is_empty(), "{left:?}");
}

fn print(rows: &BTreeMap<Fault, Row>) {
    println!(
        "{:28} {:>6} {:>4} {:>5} {:>11} {:>5} {:>6} {:>10} {:>8}",
        "fault", "rounds", "met", "jobs", "one verdict", "lost", "signed", "left over", "slowest"
    );
    for (fault, row) in rows {
        println!(
            "{:28} {:6} {:4} {:5} {:11} {:5} {:6} {:10} {:7.1}s",
            format!("{fault:?}"),
            row.rounds,
            row.met,
            row.jobs,
            row.one_verdict,
            row.lost,
            row.signed,
            row.left,
            row.slowest.as_secs_f64()
        );
    }
}
