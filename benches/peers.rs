//! Speed beside peers, measured in the same run and given as ratios: `cargo bench`.
//!
//! Needs what the comparison is with: a Docker engine (`DOCKER_HOST`) for the start of a sandbox, `mmdebstrap`
//! and root for the making of a root, PyPI's `sigstore` on the path (or named by `REBUILDER_SIGSTORE`) and
//! `REBUILDER_VECTORS` for verification. What is missing is said and left out.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const BIN: &str = env!("CARGO_BIN_EXE_rebuilder");
const SUBJECT: &str = "deb:base-files";

fn main() {
    // `cargo test --benches` runs this too, with an argument; only `cargo bench` should take the time.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let store = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-store");
    let rebuilder = |arguments: &[&str]| {
        let mut command = Command::new(BIN);
        command.arg("--store").arg(&store).arg("--quiet").args(arguments);
        command
    };
    let made = run(&mut rebuilder(&["container", "build", "bookworm-build"]));
    println!("{:<58} {:>9} {:>9} {:>7}", "", "ours", "peer's", "ratio");

    verification(&rebuilder);
    start(&rebuilder);
    make_root(&rebuilder, &made);
    second_use(&rebuilder);
    replay(&rebuilder, &store);
}

/// The same bundles, the same artifact and identity, whole processes: `inspect` | PyPI's `sigstore verify`.
fn verification(rebuilder: Make) {
    const IDENTITY: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
    const ISSUER: &str = "https://token.actions.githubusercontent.com";
    let Some(vectors) = std::env::var_os("REBUILDER_VECTORS") else {
        println!(
            "{:<58}   (REBUILDER_VECTORS is not set)",
            "verifying a Sigstore bundle"
        );
        return;
    };
    let folder = Path::new(&vectors).join("sigstore-conformance");
    let artifact = folder.join("a.txt");
    let peer = std::env::var("REBUILDER_SIGSTORE").unwrap_or_else(|_| "sigstore".into());
    for case in ["happy-path-v0.1", "happy-path-v0.3"] {
        let bundle = folder.join(case).join("bundle.sigstore.json");
        let ours = median(41, || {
            let mut command =
                rebuilder(&["--offline", "inspect", "--identity", IDENTITY, "--issuer", ISSUER]);
            command.arg(&artifact).arg("--provenance").arg(&bundle);
            command
        });
        let theirs = || {
            let mut command = Command::new(&peer);
            command.args([
                "verify",
                "identity",
                "--offline",
                "--cert-identity",
                IDENTITY,
                "--cert-oidc-issuer",
                ISSUER,
            ]);
            command.arg("--bundle").arg(&bundle).arg(&artifact);
            command
        };
        if !theirs().output().is_ok_and(|output| output.status.success()) {
            println!(
                "{case:<58} {:>6} ms   (no sigstore to compare with)",
                ours.as_millis()
            );
            continue;
        }
        row(
            &format!("inspect {case} | sigstore verify"),
            ours,
            median(9, theirs),
        );
    }
}

type Make<'a> = &'a dyn Fn(&[&str]) -> Command;

/// From the command line to the end of `true`, in a made root, full contract on.
fn start(rebuilder: Make) {
    let ours = median(21, || {
        rebuilder(&["container", "run", "bookworm-build", "--", "true"])
    });
    let prepare = run(&mut rebuilder(&[
        "container",
        "run",
        "bookworm-build",
        "--backend",
        "docker",
        "--",
        "true",
    ]));
    if !prepare.status.success() {
        println!(
            "{:<58} {:>6} ms   (no Docker engine to compare with)",
            "start of a sandbox",
            ours.as_millis()
        );
        return;
    }
    let images = Command::new("docker")
        .args(["images", "--quiet", "rebuilder/root"])
        .output()
        .unwrap();
    let image = String::from_utf8_lossy(&images.stdout)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned();
    let theirs = median(21, || {
        let mut command = Command::new("docker");
        command.args(["run", "--rm", "--network", "none", &image, "true"]);
        command
    });
    row(
        "start of a sandbox (true) | docker run --network none",
        ours,
        theirs,
    );
}

/// From fetched packages to a root: unpack, configure, read back | the same packages through mmdebstrap.
fn make_root(rebuilder: Make, made: &Output) {
    assert!(made.status.success());
    let ours = median(3, || {
        rebuilder(&["container", "build", "--again", "bookworm-build"])
    });
    let folder = tempfile::tempdir().unwrap();
    let (packages, root) = (folder.path().join("packages"), folder.path().join("root"));
    std::fs::create_dir(&packages).unwrap();
    let keep = format!(
        "--customize-hook=find \"$1\"/var/cache/apt -name '*.deb' -exec cp {{}} {} \\;",
        packages.display()
    );
    let warm = format!(
        "--setup-hook=mkdir -p \"$1\"/var/cache/apt/archives; cp {}/*.deb \"$1\"/var/cache/apt/archives/",
        packages.display()
    );
    let mmdebstrap = |arguments: &[&str]| {
        let mut command = Command::new("mmdebstrap");
        command
            .args(["--variant=buildd", "--format=directory"])
            .args(arguments);
        command.args([
            "bookworm",
            root.to_str().unwrap(),
            "https://deb.debian.org/debian",
        ]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let first = mmdebstrap(&["--skip=essential/unlink", "--skip=cleanup", &keep]).status();
    if !first.is_ok_and(|status| status.success()) {
        println!(
            "{:<58} {:>6} ms   (no mmdebstrap to compare with)",
            "making bookworm-build",
            ours.as_millis()
        );
        return;
    }
    let theirs = median(3, || {
        std::fs::remove_dir_all(&root).unwrap();
        mmdebstrap(&[&warm])
    });
    row(
        "making bookworm-build, packages there | mmdebstrap buildd",
        ours,
        theirs,
    );
}

/// Taking a made root again | making it.
fn second_use(rebuilder: Make) {
    let again = median(11, || rebuilder(&["container", "build", "bookworm-build"]));
    let making = median(1, || {
        rebuilder(&["container", "build", "--again", "bookworm-build"])
    });
    row("a second use of a made root | making it", again, making);
}

/// What a replay spends outside the build command.
fn replay(rebuilder: Make, store: &Path) {
    let plan = store.join("bench-plan.json");
    let saved = run(&mut rebuilder(&[
        "plan",
        SUBJECT,
        "--fetch",
        "--out",
        plan.to_str().unwrap(),
    ]));
    assert!(
        saved.status.success(),
        "{}",
        String::from_utf8_lossy(&saved.stderr)
    );
    let replay = || {
        let output = run(&mut rebuilder(&[
            "--json",
            "--offline",
            "rebuild",
            "--plan",
            plan.to_str().unwrap(),
        ]));
        let record: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(record["verdict"], "reproduced");
        let seconds = |name: &str| Duration::from_secs_f64(record["timings"][name].as_f64().unwrap());
        (
            seconds("total").saturating_sub(seconds("build")),
            seconds("build"),
        )
    };
    replay();
    let mut runs: Vec<_> = (0..5).map(|_| replay()).collect();
    runs.sort();
    let (outside, build) = runs[2];
    row(
        "replay of base-files: outside the build | the build itself",
        outside,
        build,
    );
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap()
}

fn median(times: usize, mut command: impl FnMut() -> Command) -> Duration {
    let mut taken: Vec<_> = (0..times)
        .map(|_| {
            let mut command = command();
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let begun = Instant::now();
            assert!(command.status().unwrap().success());
            begun.elapsed()
        })
        .collect();
    taken.sort();
    taken[times / 2]
}

fn row(what: &str, ours: Duration, theirs: Duration) {
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    println!(
        "{what:<58} {:>6} ms {:>6} ms {ratio:>7.3}",
        ours.as_millis(),
        theirs.as_millis()
    );
}
