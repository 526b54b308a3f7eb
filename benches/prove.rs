//! `rebuilder prove` beside Debian's `reprotest --auto-build`: the same projects, the same variations as far as both
//! have them, the wall time of both, and the culprits that both name.
//!
//! The projects are those of the tests' suite. `reprotest` builds on the machine itself, so the machine must be a Debian
//! 12 with `gcc` and `make`, which are in our container too; it also needs `diffoscope` and what its variations call.
//! What is missing is said and left out. Our times include the watched build that names the line; the second time
//! is that of the plain command, which also varies what `reprotest` cannot, and tries patches.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

const BIN: &str = env!("CARGO_BIN_EXE_rebuilder");
/// The time of all sources.
const EPOCH: &str = "1750000000";

/// A project of the suite and what both call its culprit.
struct Subject {
    name: &'static str,
    /// What it makes.
    artifact: &'static str,
    ours: &'static str,
    theirs: &'static str,
    /// Programs that this variation of `reprotest` calls.
    needs: &'static [&'static str],
}

const fn subject(
    name: &'static str,
    artifact: &'static str,
    (ours, theirs): (&'static str, &'static str),
    needs: &'static [&'static str],
) -> Subject {
    Subject {
        name,
        artifact,
        ours,
        theirs,
        needs,
    }
}

const SUBJECTS: [Subject; 10] = [
    subject("path-make", "hello", ("build-path", "build_path"), &[]),
    subject("clock-make", "hello", ("clock", "time"), &["faketime"]),
    subject("timezone-date", "version.txt", ("timezone", "timezone"), &[]),
    subject("locale-sort", "index.txt", ("locale", "locales"), &[]),
    subject(
        "listing-cat",
        "all.txt",
        ("listing-order", "fileordering"),
        &["disorderfs", "fusermount"],
    ),
    subject(
        "hostname-uname",
        "hello",
        ("hostname", "domain_host"),
        &["unshare"],
    ),
    subject("home-prefix", "paths.sh", ("home", "home"), &[]),
    subject("kernel-uname", "hello", ("kernel", "kernel"), &["setarch"]),
    subject(
        "processors-nproc",
        "threads.h",
        ("processors", "num_cpus"),
        &["taskset"],
    ),
    subject(
        "address-layout-table",
        "table.txt",
        ("address-layout", "aslr"),
        &["setarch"],
    ),
];

/// Our names for what `reprotest` varies. It has no others but `exec_path`, and `user_group`, which calls
/// `sudo -h localhost`: current versions of sudo refuse that.
const KNOBS: &str = "build-path,clock,listing-order,umask,timezone,locale,hostname,domain,home,environment,kernel,processors,address-layout";

#[derive(Deserialize)]
struct Suite {
    project: Vec<Project>,
}

#[derive(Deserialize)]
struct Project {
    name: String,
    files: BTreeMap<String, String>,
}

fn main() {
    // `cargo test --benches` runs this too, with an argument; only `cargo bench` should take the time.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    for program in ["reprotest", "diffoscope", "gcc", "make"] {
        if !is_there(program) {
            println!("there is no {program}: nothing is compared");
            return;
        }
    }
    println!(
        "compiler of reprotest's builds: {}",
        first_line("gcc", "--version")
    );
    let suite: Suite = toml::from_str(include_str!("../tests/it/prove/suite.toml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let variations = variations();
    println!("reprotest: {variations}");
    println!("rebuilder: {KNOBS}");
    // Whatever is fetched and made once is there before the first time is taken.
    let first = place(folder.path(), &suite, SUBJECTS[0].name);
    let warm = ours(&first, &["--json"]);
    let said: Value = serde_json::from_slice(&warm.said).unwrap();
    println!("our builds: {}", said["project"]["container"]);
    println!(
        "{:<22} {:>8} {:>9} {:>6} {:>8} {:>6}  {:<16} reprotest's",
        "", "ours", "reprotest", "ratio", "all", "ratio", "our culprits"
    );
    let (mut sums, mut right, mut tried) = ([Duration::ZERO; 3], [0, 0], 0);
    for subject in SUBJECTS {
        let missing: Vec<_> = subject
            .needs
            .iter()
            .filter(|program| !is_there(program))
            .collect();
        if !missing.is_empty() {
            println!("{:<22} left out: there is no {missing:?}", subject.name);
            continue;
        }
        let project = place(folder.path(), &suite, subject.name);
        let found = ours(&project, &["--json", "--patches", "0", "--vary", KNOBS]);
        let whole = ours(&project, &["--json"]);
        let peer = theirs(&project, subject.artifact, &variations);
        let (own, other) = (our_culprits(&found.said), their_culprits(&peer.said));
        println!(
            "{:<22} {:>6.1} s {:>7.1} s {:>6.2} {:>6.1} s {:>6.2}  {own:<16} {other}",
            subject.name,
            found.taken.as_secs_f64(),
            peer.taken.as_secs_f64(),
            ratio(found.taken, peer.taken),
            whole.taken.as_secs_f64(),
            ratio(whole.taken, peer.taken),
        );
        for (sum, taken) in sums.iter_mut().zip([found.taken, peer.taken, whole.taken]) {
            *sum += taken;
        }
        right[0] += usize::from(own == subject.ours);
        right[1] += usize::from(other == subject.theirs);
        tried += 1;
    }
    println!(
        "{:<22} {:>6.1} s {:>7.1} s {:>6.2} {:>6.1} s {:>6.2}  exact {} of {tried} {:>10} {} of {tried}",
        "together",
        sums[0].as_secs_f64(),
        sums[1].as_secs_f64(),
        ratio(sums[0], sums[1]),
        sums[2].as_secs_f64(),
        ratio(sums[2], sums[1]),
        right[0],
        "exact",
        right[1],
    );
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

/// What a command said, and how long it took.
struct Timed {
    said: Vec<u8>,
    taken: Duration,
}

fn timed(command: &mut Command) -> Timed {
    let begun = Instant::now();
    let output = command.stderr(Stdio::null()).output().unwrap();
    Timed {
        said: output.stdout,
        taken: begun.elapsed(),
    }
}

fn ours(project: &Path, options: &[&str]) -> Timed {
    let store = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-store");
    let mut command = Command::new(BIN);
    command.arg("--store").arg(store).arg("--quiet").arg("prove");
    timed(command.arg(project).args(options))
}

fn theirs(project: &Path, artifact: &str, variations: &str) -> Timed {
    let mut command = Command::new("reprotest");
    command.env("SOURCE_DATE_EPOCH", EPOCH);
    command.args(["--auto-build", "--variations", variations, "-s"]);
    let build = if project.join("configure").is_file() {
        "./configure && make"
    } else {
        "make"
    };
    timed(command.arg(project).args([build, artifact, "--", "null"]))
}

/// What `reprotest` varies here. The locale is its own one, or else another that the machine has.
fn variations() -> String {
    let mut all = "+all,-user_group,-exec_path".to_owned();
    if !is_there("disorderfs") {
        all.push_str(",-fileordering");
    }
    if !is_there("faketime") {
        all.push_str(",-time");
    }
    let locales = Command::new("locale").arg("-a").output().unwrap();
    let locales = String::from_utf8_lossy(&locales.stdout).into_owned();
    if !locales.lines().any(|name| name.starts_with("et_EE")) {
        let known = |name: &&str| name.ends_with("utf8") && !name.starts_with("C.");
        match locales.lines().find(known) {
            Some(name) => all.push_str(&format!(",locales.locale+={name}")),
            None => all.push_str(",-locales"),
        }
    }
    all
}

fn our_culprits(said: &[u8]) -> String {
    let Ok(proof) = serde_json::from_slice::<Value>(said) else {
        return "failed".to_owned();
    };
    let Some(culprits) = proof["culprits"].as_array() else {
        return "failed".to_owned();
    };
    let names = |culprit: &Value| {
        let knobs = culprit["knobs"].as_array().cloned().unwrap_or_default();
        let names: Vec<_> = knobs.iter().filter_map(Value::as_str).collect();
        names.join("+")
    };
    let all: BTreeSet<_> = culprits.iter().map(names).collect();
    shown(&all.into_iter().collect::<Vec<_>>())
}

fn their_culprits(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let mut lines = said
        .lines()
        .skip_while(|line| !line.starts_with("Observed unreproducibility"));
    if let Some(names) = lines.nth(1) {
        let mut names: Vec<_> = names.split_whitespace().map(str::to_owned).collect();
        names.sort_unstable();
        return shown(&names);
    }
    let says = |text: &str| said.lines().any(|line| line.starts_with(text));
    if says("Reproducible, even when") {
        return "none".to_owned();
    }
    if says("Not reproducible, even when") {
        return "differs anyway".to_owned();
    }
    "failed".to_owned()
}

fn shown(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(" ")
    }
}

/// Writes a project into a folder of its own.
fn place(folder: &Path, suite: &Suite, name: &str) -> PathBuf {
    let project = suite.project.iter().find(|project| project.name == name).unwrap();
    let place = folder.join(name);
    let _ = fs::remove_dir_all(&place);
    for (file, content) in &project.files {
        let path = place.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        if content.starts_with("#!") {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    place
}

fn is_there(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}

fn first_line(program: &str, option: &str) -> String {
    let output = Command::new(program).arg(option).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines().next().unwrap_or_default().to_owned()
}
