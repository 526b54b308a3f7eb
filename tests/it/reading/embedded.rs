//! One command for one machine: what is put into the line is rebuilt, signed and shown, and everything ends together.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::common::{self, NETWORK, SANDBOX, code, json, needs, rebuilder_in, text};
use crate::queue::service::{signal, wait_until};

/// The program in a home of its own, with a database of its own.
fn command(folder: &Path) -> Command {
    let mut command = rebuilder_in(&common::store());
    std::fs::create_dir_all(folder.join("tmp")).unwrap();
    command
        .env("HOME", folder)
        .env("TMPDIR", folder.join("tmp"))
        .env(
            "REBUILDER_MEMORY",
            format!("sqlite:{}/memory.db", folder.display()),
        )
        .arg("--json");
    command
}

/// A server that ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(folder: &Path) -> (Server, String) {
    let mut command = command(folder);
    command.args([
        "serve",
        "--embedded",
        "--public",
        "--listen",
        "127.0.0.1:0",
        "--artifacts",
    ]);
    let mut server = command
        .arg(folder.join("artifacts"))
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(folder.join("server.log")).unwrap())
        .spawn()
        .map(Server)
        .unwrap();
    let mut line = String::new();
    let stdout = server.0.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let told: Value = serde_json::from_str(&line).unwrap_or_else(|error| {
        panic!(
            "{error}: {}",
            std::fs::read_to_string(folder.join("server.log")).unwrap()
        )
    });
    (server, format!("http://{}", told["listening"].as_str().unwrap()))
}

fn fetch(url: &str) -> Vec<u8> {
    let output = Command::new("curl")
        .args(["--silent", "--fail", "--max-time", "20", url])
        .output()
        .unwrap();
    output.stdout
}

/// The processes that run with this folder among their variables: their numbers, states and words.
fn processes(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let ours = all.filter(|entry| {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(folder)
    });
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default();
    ours.map(|entry| {
        let state = read(entry.path().join("stat"));
        let words = read(entry.path().join("cmdline")).replace('\0', " ");
        format!("{state} {words}")
    })
    .collect()
}

/// Waits until none of these processes is left, and says which are if that takes too long.
fn all_end(folder: &Path, limit: Duration) {
    let begun = Instant::now();
    loop {
        let left = processes(folder);
        if left.is_empty() {
            return;
        }
        assert!(begun.elapsed() < limit, "still there:\n{}", left.join("\n"));
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[apply(test)]
fn one_command_rebuilds_signs_and_shows() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    let (mut server, url) = serve(folder.path());
    let added = command(folder.path())
        .args(["queue", "add", "pypi:idna==3.10"])
        .output()
        .unwrap();
    assert_eq!(code(&added), 0, "{}", text(&added));
    let mut lives = || server.0.try_wait().unwrap().is_none();
    let build = || -> Value {
        serde_json::from_slice(&fetch(&format!("{url}/api/results/v1/builds/1"))).unwrap_or_default()
    };
    wait_until("it is rebuilt and signed", Duration::from_mins(5), || {
        assert!(
            lives(),
            "{}",
            std::fs::read_to_string(folder.path().join("server.log")).unwrap()
        );
        build()["signing"] == "signed"
    });
    let found = build();
    assert_eq!(
        (&found["verdict"], &found["status"]),
        (&"reproduced".into(), &"GOOD".into()),
        "{found:#}"
    );
    // Anyone can check it with the key that was made.
    let key = command(folder.path()).args(["key", "public"]).output().unwrap();
    let (bundle, public) = (folder.path().join("bundle.json"), folder.path().join("key.pub"));
    std::fs::write(&public, json(&key)["public"].as_str().unwrap()).unwrap();
    std::fs::write(
        &bundle,
        fetch(&format!("{url}/builds/1/attestation.sigstore.json")),
    )
    .unwrap();
    for mut verifier in common::verifiers() {
        let said = verifier.arg(&bundle).arg(&public).output().unwrap();
        assert!(said.status.success(), "{}", text(&said));
    }
    let trail = command(folder.path()).args(["serve", "trail"]).output().unwrap();
    let trail = json(&trail);
    let actions: Vec<_> = trail["trail"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| &step["action"])
        .collect();
    assert_eq!(actions, ["add-jobs", "add-token"], "{trail:#}");

    signal(&server.0, Signal::SIGTERM);
    let begun = Instant::now();
    assert!(server.0.wait().unwrap().success());
    assert!(begun.elapsed() < Duration::from_mins(1));
    all_end(folder.path(), Duration::from_secs(5));
}

#[apply(test)]
fn nothing_is_left_of_one_that_is_killed() {
    needs(&[SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    let (mut server, url) = serve(folder.path());
    wait_until("all three run", Duration::from_secs(30), || {
        processes(folder.path()).len() >= 3 && !fetch(&format!("{url}/health/ready")).is_empty()
    });
    server.0.kill().unwrap();
    server.0.wait().unwrap();
    all_end(folder.path(), Duration::from_secs(20));
    // The next one begins again, with the same key, and removes what the killed one left.
    let left = || std::fs::read_dir(folder.path().join("tmp")).unwrap().count();
    assert_eq!(left(), 1);
    let (mut again, _) = serve(folder.path());
    wait_until("what was left is gone", Duration::from_secs(10), || left() == 1);
    signal(&again.0, Signal::SIGTERM);
    assert!(again.0.wait().unwrap().success());
    assert_eq!(left(), 0);
}
