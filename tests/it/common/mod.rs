//! What every test by user story needs: the binary, a store that tests share, and services or a reason to skip.

pub mod authority;
pub mod http;
mod needs;
pub mod party;
pub mod postgres;
pub mod releases;
mod schema;

pub use needs::{
    DOCKER, GIT, NETWORK, Need, ORDINARY_USER, ROOT, SANDBOX, USER_MODE_LINUX, backends, browser, needs,
    online, ordinary_user, overlay_module, part_needs, podman, skip, skip_part, third_party_python, vectors,
    verifiers,
};
pub use schema::{checked, read};

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

pub const BIN: &str = env!("CARGO_BIN_EXE_rebuilder");

/// The store that tests share, so that each file is fetched once.
pub fn store() -> PathBuf {
    let path = std::env::var_os("REBUILDER_TEST_STORE").map_or_else(
        || Path::new(env!("CARGO_TARGET_TMPDIR")).join("store"),
        PathBuf::from,
    );
    fs::create_dir_all(&path).unwrap();
    path
}

/// The command with the shared store, and nothing of the environment of whoever runs the tests.
pub fn rebuilder() -> Command {
    rebuilder_in(&store())
}

pub fn rebuilder_in(store: &Path) -> Command {
    let mut command = Command::new(BIN);
    command.arg("--store").arg(store).arg("--quiet");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home());
    for name in ["DOCKER_HOST", "HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    if let Some(folder) = containers() {
        command.arg("--containers").arg(folder);
    }
    command
}

/// A home without keys or configuration.
pub fn home() -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("home");
    fs::create_dir_all(&path).unwrap();
    path
}

/// Fresh locks, where the built-in ones name packages that every reachable mirror has dropped since.
pub fn containers() -> Option<&'static Path> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            if !online() {
                return None;
            }
            let run = |arguments: &[&str]| {
                let mut command = Command::new(BIN);
                command.arg("--store").arg(store()).arg("--quiet").args(arguments);
                command.output().unwrap()
            };
            let names = [
                "bookworm-build",
                "bookworm-python",
                "bookworm-python-native",
                "bullseye-python",
                "bullseye-python2",
                "bookworm-node",
                "bookworm-go",
                "trixie-rust",
            ];
            let gone = |name: &&str| {
                let output = run(&["container", "build", name]);
                String::from_utf8_lossy(&output.stderr).contains("add a mirror that still has the file")
            };
            if !names.iter().any(gone) {
                return None;
            }
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("containers");
            fs::create_dir_all(&folder).unwrap();
            for name in names {
                let output = run(&["container", "lock", name, "--to", folder.to_str().unwrap()]);
                assert!(output.status.success(), "{}", text(&output));
            }
            Some(folder)
        })
        .as_deref()
}

pub fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

/// The document on stdout, which is as its schema says.
pub fn json(output: &Output) -> Value {
    let document = serde_json::from_slice(&output.stdout);
    checked(document.unwrap_or_else(|error| panic!("{error}: {}", text(output))))
}

pub fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", "/nonexistent")
        .env("GIT_AUTHOR_DATE", "1735689600 +0000")
        .env("GIT_COMMITTER_DATE", "1735689600 +0000")
        .args([
            "-c",
            "user.name=A",
            "-c",
            "user.email=a@b.c",
            "-c",
            "init.defaultBranch=main",
            "-C",
        ])
        .arg(folder)
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

/// A copy of the shared store's files, by hard links, without made roots, layers and one file.
pub fn store_without(folder: &Path, digest: &str) {
    let from = store().join("store/sha256");
    for group in fs::read_dir(&from).unwrap().map(|entry| entry.unwrap().path()) {
        let to = folder.join("store/sha256").join(group.file_name().unwrap());
        fs::create_dir_all(&to).unwrap();
        for file in fs::read_dir(&group).unwrap().map(|entry| entry.unwrap().path()) {
            let name = file.file_name().unwrap();
            if name != digest {
                // Another test may be replacing it this moment.
                let _ = fs::hard_link(&file, to.join(name));
            }
        }
    }
}

/// A saved plan for `subject`, made once per subject and test run.
pub fn plan(subject: &str) -> serde_json::Value {
    let output = rebuilder().args(["plan", subject]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    json(&output)
}

/// Runs a plan whose build is `script` alone; gives the exit code and the folder of the run.
pub fn run_script(plan: &serde_json::Value, script: &str, backend: &str, folder: &Path) -> Output {
    let mut plan = plan.clone();
    plan["build"]["steps"] = serde_json::json!([{"name": "test", "run": script}]);
    fs::create_dir_all(folder).unwrap();
    let file = folder.join("changed.json");
    fs::write(&file, plan.to_string()).unwrap();
    let mut command = rebuilder();
    command.env("REBUILDER_TEST_SECRET", "host secret");
    command
        .args(["rebuild", "--backend", backend, "--plan"])
        .arg(&file)
        .arg("--out")
        .arg(folder.join("run"));
    command.output().unwrap()
}

/// Removes a store whose roots belong to the sandbox's ids; as an ordinary user, that takes the sandbox itself.
pub fn remove_store(store: &Path) {
    for lock in ["roots", "layers"] {
        for entry in fs::read_dir(store.join(lock)).into_iter().flatten().flatten() {
            if fs::remove_dir_all(entry.path()).is_err() {
                let scratch = store.join("scratch").join(entry.file_name());
                fs::rename(entry.path(), &scratch).unwrap();
                fs::write(scratch.join("lock"), "").unwrap();
            }
        }
    }
    let swept = rebuilder_in(store).arg("doctor").output().unwrap();
    assert!(swept.status.success(), "{}", text(&swept));
}
