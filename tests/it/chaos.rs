//! Processes are killed at random moments; afterwards nothing may be left of them.
//!
//! `REBUILDER_CHAOS_ROUNDS=200 cargo test --test it chaos:: -- --nocapture` is the whole loop; by itself the test does a
//! few rounds. `REBUILDER_CHAOS_SEED` repeats a run that failed.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{self, NETWORK, ROOT, SANDBOX, needs, rebuilder, rebuilder_in, text};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rebuilder::artifact::Sha256;

/// Random numbers that can be had again (Steele, Lea and Flood's SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

fn random(what: &str) -> (Random, u64) {
    let now = jiff::Timestamp::now().as_nanosecond();
    let seed = number("REBUILDER_CHAOS_SEED", u64::try_from(now % 1_000_000).unwrap());
    println!("{what}: REBUILDER_CHAOS_SEED={seed}");
    (Random(seed), number("REBUILDER_CHAOS_ROUNDS", 10))
}

/// A process, by what `/proc` says of it.
pub struct Process {
    pub pid: i32,
    parent: i32,
    pub words: String,
}

pub fn processes() -> Vec<Process> {
    let numbers = fs::read_dir("/proc").unwrap().flatten();
    let pids = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let after = stat.rsplit_once(')')?.1;
        let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        Some(Process {
            pid,
            parent: after.split_whitespace().nth(1)?.parse().ok()?,
            words: String::from_utf8_lossy(&words).replace('\0', " "),
        })
    })
    .collect()
}

/// The descendants of a process, nearest first.
pub fn below(pid: i32) -> Vec<Process> {
    let mut known = BTreeSet::from([pid]);
    let mut found = Vec::new();
    let mut rest = processes();
    loop {
        let (children, others): (Vec<_>, Vec<_>) = rest
            .into_iter()
            .partition(|process| known.contains(&process.parent));
        if children.is_empty() {
            return found;
        }
        known.extend(children.iter().map(|process| process.pid));
        found.extend(children);
        rest = others;
    }
}

fn wait_for(child: &mut Child, limit: Duration) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < limit {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

/// Everything that a run could leave, as texts.
pub fn left(store: &Path, out: &Path, marker: &str) -> Vec<String> {
    let mut left = Vec::new();
    let place = store.to_str().unwrap();
    for process in processes() {
        // A helper holds mounts of the store; a build has the marker in its words.
        let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", process.pid)).unwrap_or_default();
        // The store itself may be a mount, which everybody sees.
        let own = |line: &str| line.contains(place) && line.split(' ').nth(4) != Some(place);
        if process.words.contains(marker) || mounts.lines().any(own) {
            left.push(format!("process {} {}", process.pid, process.words));
        }
    }
    let groups = format!("rebuilder-{}-", Sha256::of(place).short());
    for entry in walkdir::WalkDir::new("/sys/fs/cgroup")
        .max_depth(3)
        .into_iter()
        .flatten()
    {
        if entry.file_name().to_string_lossy().starts_with(&groups) {
            left.push(format!("cgroup {}", entry.path().display()));
        }
    }
    let listed = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    for (folder, allowed) in [("scratch", ""), ("tmp", "")] {
        let found = listed(&store.join(folder)).filter(|entry| entry.file_name() != allowed);
        left.extend(found.map(|entry| format!("{}", entry.path().display())));
    }
    for folder in ["roots", "layers"] {
        let found = listed(&store.join(folder)).filter(|entry| !entry.path().join("receipt.json").exists());
        left.extend(found.map(|entry| format!("half of {}", entry.path().display())));
    }
    for entry in listed(out) {
        let whole = entry.path().join("record.json").exists();
        if !whole {
            left.push(format!("half of {}", entry.path().display()));
        }
    }
    left
}

#[apply(test)]
fn whoever_is_killed_a_run_leaves_nothing() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    let (store, out) = (folder.path().join("store"), folder.path().join("out"));
    fs::create_dir(&out).unwrap();
    common::store_without(&store, "");
    let planned = rebuilder_in(&store)
        .args(["plan", "pypi:idna==3.10", "--fetch"])
        .output()
        .unwrap();
    assert!(planned.status.success(), "{}", text(&planned));
    let mut plan = common::json(&planned);

    let (mut random, rounds) = random("runs");
    let mut struck = 0;
    for round in 0..rounds {
        let marker = format!("{}", 8_000_000 + u64::from(std::process::id()) * 1000 + round);
        let script = format!(
            "trap '' TERM INT HUP; setsid sh -c 'sleep 3.{marker}' &\n\
             i=0; while [ $i -lt 30 ]; do mkdir -p /tmp/$i/a/b; echo x > /out/$i; i=$((i+1)); sleep 0.0{}; done",
            random.below(9)
        );
        plan["build"]["steps"] = serde_json::json!([{"name": "test", "run": script}]);
        let file = folder.path().join("plan.json");
        fs::write(&file, plan.to_string()).unwrap();
        let mut command = rebuilder_in(&store);
        command
            .args(["rebuild", "--offline", "--plan"])
            .arg(&file)
            .arg("--out")
            .arg(out.join(format!("run-{round}")));
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let worker = i32::try_from(child.id()).unwrap();
        std::thread::sleep(Duration::from_millis(random.below(1500)));
        let others = below(worker);
        let signal = if random.below(4) == 0 {
            Signal::SIGTERM
        } else {
            Signal::SIGKILL
        };
        // Every third blow is for the worker; the others for whoever works for it.
        let (victim, words) =
            match others.get(usize::try_from(random.below(1 + others.len() as u64)).unwrap()) {
                Some(process) if round % 3 != 0 => (process.pid, process.words.clone()),
                _ => (worker, "the worker".to_owned()),
            };
        struck += usize::from(kill(Pid::from_raw(victim), signal).is_ok());
        if !wait_for(&mut child, Duration::from_secs(20)) {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("round {round}: the worker hangs after {signal} to {words}");
        }
        // Processes end by themselves at once; files of a killed worker with the next command.
        let begun = Instant::now();
        let running = || {
            let left = left(&store, Path::new("/nonexistent"), &marker);
            left.into_iter()
                .filter(|text| text.starts_with("process"))
                .collect::<Vec<_>>()
        };
        while !running().is_empty() {
            assert!(
                begun.elapsed() < Duration::from_secs(3),
                "round {round}, {signal} to {words}: {:?}",
                running()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        let next = rebuilder_in(&store).arg("doctor").output().unwrap();
        assert!(next.status.success(), "round {round}: {}", text(&next));
        // The next run into the same place takes away what was left there.
        let left = left(&store, Path::new("/nonexistent"), &marker);
        assert!(left.is_empty(), "round {round}, {signal} to {words}: {left:?}");
    }
    let again = rebuilder_in(&store)
        .args(["--json", "rebuild", "--offline", "--plan"])
        .arg(folder.path().join("plan.json"))
        .arg("--out")
        .arg(out.join("last"))
        .output()
        .unwrap();
    assert!([1, 4].contains(&common::code(&again)), "{}", text(&again));
    let left = left(&store, &out, "no marker");
    assert!(left.is_empty(), "{left:?}");
    let sound = rebuilder_in(&store)
        .args(["--json", "store", "verify"])
        .output()
        .unwrap();
    assert!(sound.status.success(), "{}", text(&sound));
    println!("{rounds} rounds, {struck} blows, 0 left over");
    common::remove_store(&store);
}

/// The reports that a killed run of `prove` may leave whole, or not at all.
const REPORTS: [&str; 6] = [
    "page.html",
    "proof.json",
    "scan.sarif",
    "tests.xml",
    "badge.svg",
    "badge.json",
];

/// A run of `prove` that keeps and writes everything it can.
fn proving(store: &Path, project: &Path, reports: &Path, out: &Path) -> Command {
    let mut command = rebuilder_in(store);
    command
        .arg("prove")
        .arg(project)
        .args(["--patches", "2", "--vary", "clock,locale,umask"]);
    command
        .arg("--out")
        .arg(out)
        .arg("--fix")
        .arg(reports.join("fix.diff"));
    for name in REPORTS {
        let option = if name == "badge.json" {
            "--badge-endpoint"
        } else {
            "--write"
        };
        command.arg(option).arg(reports.join(name));
    }
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// What is left of reports, unless it is whole.
fn half_reports(reports: &Path) -> Vec<String> {
    let is_whole = |name: &str, text: &str| match name.rsplit_once('.') {
        Some((_, "html")) => text.trim_end().ends_with("</html>"),
        Some((_, "json" | "sarif")) => serde_json::from_str::<serde_json::Value>(text).is_ok(),
        Some((_, "xml")) => text.trim_end().ends_with("</testsuite>"),
        Some((_, "svg")) => text.trim_end().ends_with("</svg>"),
        Some((_, "diff")) => text.is_empty() || text.starts_with("--- a/Makefile\n+++ b/Makefile\n@@"),
        _ => false,
    };
    let known = |name: &str| name == "fix.diff" || REPORTS.contains(&name);
    let names = fs::read_dir(reports)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let is_half = |name: &String| {
        let text = fs::read_to_string(reports.join(name)).unwrap_or_default();
        !known(name) || !is_whole(name, &text)
    };
    names.filter(is_half).collect()
}

/// Lets the temporary files of killed processes be as old as they have to be to be removed.
fn age_temporaries(store: &Path) {
    let old = std::time::SystemTime::now() - Duration::from_hours(48);
    let listed = |folder: &str| fs::read_dir(store.join(folder)).into_iter().flatten().flatten();
    let pending = listed("layers").filter(|entry| !entry.path().join("receipt.json").exists());
    for entry in listed("tmp").chain(pending) {
        fs::File::open(entry.path()).unwrap().set_modified(old).unwrap();
    }
}

#[apply(test)]
fn whoever_is_killed_a_proof_leaves_nothing() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    let [store, project, reports, proofs] =
        ["store", "project", "reports", "proofs"].map(|name| folder.path().join(name));
    for place in [&project, &reports, &proofs] {
        fs::create_dir(place).unwrap();
    }
    common::store_without(&store, "");
    // Two culprits, one of which has a patch; and a process that wants to outlive its build.
    let marker = format!("{}", 9_000_000 + u64::from(std::process::id()));
    let makefile = format!(
        "all: built.txt index.txt\nbuilt.txt:\n\ttrap '' TERM INT HUP; setsid sh -c 'sleep 3.{marker}' >/dev/null 2>&1 & \
         date -u > $@\nindex.txt: words.txt\n\tsort words.txt > $@\n"
    );
    fs::write(project.join("Makefile"), &makefile).unwrap();
    fs::write(project.join("words.txt"), "apple\nBanana\ncherry\n").unwrap();

    let begun = Instant::now();
    let mut whole = proving(&store, &project, &reports, &proofs.join("first"));
    assert_eq!(whole.status().unwrap().code(), Some(1));
    let takes = u64::try_from(begun.elapsed().as_millis()).unwrap();
    assert_eq!(half_reports(&reports), [""; 0]);
    assert!(REPORTS.iter().all(|name| reports.join(name).exists()));

    let (mut random, rounds) = random("proofs");
    let mut killed = 0;
    for round in 0..rounds {
        let _ = fs::remove_dir_all(&reports);
        fs::create_dir(&reports).unwrap();
        let mut child = proving(&store, &project, &reports, &proofs.join(format!("proof-{round}")))
            .spawn()
            .unwrap();
        let moment = random.below(takes + takes / 10);
        std::thread::sleep(Duration::from_millis(moment));
        // Every fourth blow is for whoever works for it.
        let own = i32::try_from(child.id()).unwrap();
        let others = if round % 4 == 3 { below(own) } else { Vec::new() };
        let (victim, words) =
            match others.get(usize::try_from(random.below(1 + others.len() as u64)).unwrap()) {
                Some(process) => (process.pid, process.words.clone()),
                None => (own, "prove".to_owned()),
            };
        let told = format!("round {round}, {moment} ms, SIGKILL to {words}");
        let running = child.try_wait().unwrap().is_none();
        killed += usize::from(running && kill(Pid::from_raw(victim), Signal::SIGKILL).is_ok());
        if !wait_for(&mut child, Duration::from_millis(20_000 + 3 * takes)) {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{told}: it hangs");
        }
        let begun = Instant::now();
        let running = || {
            let left = left(&store, Path::new("/nonexistent"), &marker);
            let processes = left.into_iter().filter(|text| text.starts_with("process"));
            processes.collect::<Vec<_>>()
        };
        while !running().is_empty() {
            assert!(
                begun.elapsed() < Duration::from_secs(3),
                "{told}: {:?}",
                running()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(half_reports(&reports), [""; 0], "{told}");
        // Files go with the next command, and temporary ones a day later.
        age_temporaries(&store);
        let next = rebuilder_in(&store).arg("doctor").output().unwrap();
        assert!(next.status.success(), "{told}: {}", text(&next));
        let left = left(&store, Path::new("/nonexistent"), &marker);
        assert!(left.is_empty(), "{told}: {left:?}");
    }
    // The next run takes away the folder of a proof that was not finished.
    let mut last = proving(&store, &project, &reports, &proofs.join("last"));
    assert_eq!(last.status().unwrap().code(), Some(1));
    for entry in fs::read_dir(&proofs).unwrap().flatten() {
        assert!(
            entry.path().join("proof.json").exists(),
            "half of {}",
            entry.path().display()
        );
    }
    let runs: Vec<_> = fs::read_dir(store.join("runs"))
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    assert!(runs.is_empty(), "{runs:?}");
    assert_eq!(fs::read_to_string(project.join("Makefile")).unwrap(), makefile);
    assert_eq!(fs::read_dir(&project).unwrap().count(), 2);
    println!("{rounds} rounds, {killed} blows within {takes} ms, 0 left over");
    common::remove_store(&store);
}

/// A signer, a worker's run, and the worker's client, any of which may be killed.
struct Attestor {
    folder: tempfile::TempDir,
}

const WORKER: u32 = 41_011;

impl Attestor {
    fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self) -> Child {
        let mut command = rebuilder();
        command.env("XDG_CONFIG_HOME", self.place("keys"));
        let mut child = command
            .arg("signer")
            .arg("--socket")
            .arg(self.place("socket"))
            .arg("--runs")
            .arg(self.place("runs"))
            .arg("--log")
            .arg(self.place("log.jsonl"))
            .arg("--key")
            .arg(self.place("keys/key.pem"))
            .args(["--agree", "1", "--worker", &WORKER.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stderr = child.stderr.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stderr), &mut line).unwrap();
        assert!(line.starts_with("listening"), "{line}");
        child
    }

    fn ask(&self) -> Command {
        let mut command = Command::new(self.place("rebuilder"));
        command.env_clear().env("HOME", self.place("home"));
        command
            .arg("attest")
            .arg(self.place("runs/run"))
            .arg("--signer")
            .arg(self.place("socket"));
        command.uid(WORKER).gid(WORKER);
        command
    }
}

#[apply(test)]
fn whoever_is_killed_a_signer_signs_again() {
    needs(&[NETWORK, SANDBOX, ROOT]);
    let office = Attestor {
        folder: tempfile::tempdir().unwrap(),
    };
    fs::set_permissions(office.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for (name, mode) in [("keys", 0o700), ("runs", 0o755), ("home", 0o755)] {
        fs::create_dir(office.place(name)).unwrap();
        fs::set_permissions(office.place(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::copy(common::BIN, office.place("rebuilder")).unwrap();
    let made = rebuilder()
        .args(["key", "generate", "--to"])
        .arg(office.place("keys/key.pem"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", text(&made));
    let built = rebuilder()
        .args(["rebuild", "pypi:idna==3.10", "--out"])
        .arg(office.place("runs/run"))
        .output()
        .unwrap();
    assert_eq!(common::code(&built), 0, "{}", text(&built));
    for entry in walkdir::WalkDir::new(office.place("runs/run"))
        .into_iter()
        .flatten()
    {
        chown(entry.path(), Some(WORKER), Some(WORKER)).unwrap();
    }

    let (mut random, rounds) = random("signer");
    let mut signer = office.start();
    for round in 0..rounds {
        let bundle = office.place("runs/run/attestation.sigstore.json");
        let _ = fs::remove_file(&bundle);
        let mut client = office
            .ask()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(random.below(400)));
        if round % 2 == 0 {
            signer.kill().unwrap();
            signer.wait().unwrap();
            client.wait().unwrap();
            signer = office.start();
        } else {
            client.kill().unwrap();
            client.wait().unwrap();
        }
        let half =
            fs::read(&bundle).is_ok_and(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).is_err());
        assert!(!half, "round {round}: half an attestation");
        let signed = office.ask().output().unwrap();
        assert_eq!(common::code(&signed), 0, "round {round}: {}", text(&signed));
        let held = rebuilder()
            .args(["log", "verify"])
            .arg(office.place("log.jsonl"))
            .arg("--attestation")
            .arg(&bundle)
            .output()
            .unwrap();
        assert!(held.status.success(), "round {round}: {}", text(&held));
    }
    signer.kill().unwrap();
    signer.wait().unwrap();
    println!("{rounds} rounds of the signer, 0 left over");
}
