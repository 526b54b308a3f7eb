//! A killed `rebuilder prove` leaves its reports whole, or not at all.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{below, left, random, wait_for};
use crate::common::{self, NETWORK, SANDBOX, needs, rebuilder_in, text};

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
