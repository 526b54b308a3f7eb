//! Processes are killed at random moments; afterwards nothing may be left of them.
//!
//! `REBUILDER_CHAOS_ROUNDS=200 cargo test --test it chaos:: -- --nocapture` is the whole loop; by itself the test does a
//! few rounds. `REBUILDER_CHAOS_SEED` repeats a run that failed.

mod prove;
mod signer;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rebuilder::artifact::Sha256;

use crate::common::{self, NETWORK, SANDBOX, needs, rebuilder_in, text};

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

/// A plan whose inputs are in the store, for steps of a test.
fn fetched_plan(store: &Path) -> serde_json::Value {
    let planned = rebuilder_in(store)
        .args(["plan", "pypi:idna==3.10", "--fetch"])
        .output()
        .unwrap();
    assert!(planned.status.success(), "{}", text(&planned));
    common::json(&planned)
}

#[apply(test)]
fn a_signal_after_the_result_does_not_change_it() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    common::store_without(&store, "");
    let mut plan = fetched_plan(&store);
    // It takes a while to remove them.
    let script = "mkdir /tmp/a; cd /tmp/a; seq 200000 | xargs touch; false";
    plan["build"]["steps"] = serde_json::json!([{"name": "test", "run": script}]);
    let file = folder.path().join("plan.json");
    fs::write(&file, plan.to_string()).unwrap();
    // The result is kept a moment before the work is done, and on a busy machine this moment is long.
    let unchanged = (0..3).any(|round| {
        let out = folder.path().join(format!("run-{round}"));
        let mut command = rebuilder_in(&store);
        command
            .args(["rebuild", "--offline", "--plan"])
            .arg(&file)
            .arg("--out")
            .arg(&out);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while !out.join("record.json").exists() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(300));
        let removing = child.try_wait().unwrap().is_none();
        let _ = kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM);
        let status = child.wait().unwrap();
        removing && status.code() == Some(4)
    });
    assert!(unchanged, "no run ended with the code of its result");
    common::remove_store(&store);
}

#[apply(test)]
fn whoever_is_killed_a_run_leaves_nothing() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    let (store, out) = (folder.path().join("store"), folder.path().join("out"));
    fs::create_dir(&out).unwrap();
    common::store_without(&store, "");
    let mut plan = fetched_plan(&store);

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
