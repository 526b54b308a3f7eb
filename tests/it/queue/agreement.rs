//! Two workers, a server and the signer: real packages, and an attestation that names both workers.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::common::{self, NETWORK, SANDBOX, needs, rebuilder, text};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::service::{Service, end, wait_until};

/// A signer that runs.
pub struct Signer {
    folder: tempfile::TempDir,
    child: Child,
}

impl Drop for Signer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Signer {
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_in(&[], arguments)
    }

    /// Starts it with these variables.
    pub fn start_in(variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        for name in ["runs", "keys"] {
            fs::create_dir(place(name)).unwrap();
            fs::set_permissions(place(name), fs::Permissions::from_mode(0o700)).unwrap();
        }
        let mut made = rebuilder();
        made.env("XDG_CONFIG_HOME", place("keys"))
            .args(["key", "generate", "--to"])
            .arg(place("keys/key.pem"));
        let output = made.output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let mut command = rebuilder();
        command
            .envs(variables.iter().copied())
            .env("XDG_CONFIG_HOME", place("keys"))
            .arg("signer")
            .arg("--socket")
            .arg(place("socket"));
        command
            .arg("--runs")
            .arg(place("runs"))
            .arg("--log")
            .arg(place("log.jsonl"));
        command.arg("--key").arg(place("keys/key.pem")).args(arguments);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.starts_with("listening"), "{line}");
        Self { folder, child }
    }

    /// Ends it as an operator does.
    pub fn end(mut self) {
        super::service::signal(&self.child, Signal::SIGTERM);
        assert!(self.child.wait().unwrap().success());
    }

    pub fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn ask(&self, request: &Value) -> Value {
        let mut stream = UnixStream::connect(self.place("socket")).unwrap();
        stream.write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        serde_json::from_str(&reply).unwrap()
    }
}

pub fn own() -> String {
    nix::unistd::geteuid().to_string()
}

#[apply(test)]
fn a_relay_names_workers_and_nobody_else_does() {
    let request = |worker: Option<&str>| {
        let mut request = json!({"version": 1, "run": "/nowhere"});
        if let Some(worker) = worker {
            request["worker"] = json!(worker);
        }
        request
    };
    let relay = Signer::start(&["--agree", "2", "--relay", &own()]);
    let worker = Signer::start(&["--agree", "1"]);
    for (signer, name, reason) in [
        (&relay, Some("one"), "folder of runs"),
        (&relay, None, "did not name the worker"),
        (&relay, Some("uid 0"), "whose name is not plain"),
        (&relay, Some(""), "whose name is not plain"),
        (&worker, Some("one"), "may not hand in the runs of other workers"),
        (&worker, None, "folder of runs"),
    ] {
        let reply = signer.ask(&request(name));
        let said = reply["reason"].as_str().unwrap();
        assert!(
            reply["status"] == "refused" && said.contains(reason),
            "{name:?}: {reply}"
        );
    }
}

#[apply(test)]
fn two_workers_that_agree_are_signed_by_themselves() {
    needs(&[NETWORK, SANDBOX]);
    let signer = Signer::start(&["--agree", "2", "--relay", &own()]);
    let (socket, runs) = (signer.place("socket"), signer.place("runs"));
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let mut service = Service::start(None, &["--signer", &path(&socket), "--runs", &path(&runs)]);
    let store = common::store();
    let worker = |service: &Service, name: &str| service.worker(name, Some(&store), &[]);
    service.operator(&["queue", "add", "pypi:idna==3.10", "--agree", "2"]);
    let one = worker(&service, "one");
    wait_until("the first run waits", Duration::from_mins(4), || {
        service.operator(&["queue", "status"])["signing"]["waits"] == 1
    });
    // Neither forgets what it was waiting for.
    service.end(Signal::SIGKILL);
    service.up();
    let two = worker(&service, "two");
    wait_until("both runs are signed", Duration::from_mins(4), || {
        service.operator(&["queue", "status"])["signing"]["signed"] == 2
    });
    let status = service.operator(&["queue", "status"]);
    assert_eq!(status["verdicts"], json!({"reproduced": 2}));
    let log = fs::read_to_string(signer.place("log.jsonl")).unwrap();
    for name in ["one", "two"] {
        assert!(log.contains(&format!("uid {} for {name}", own())), "{log}");
    }
    for job in ["job-1-1-", "job-2-1-"] {
        let mut all = fs::read_dir(&runs).unwrap().flatten();
        let run = all.find(|entry| entry.file_name().to_string_lossy().starts_with(job));
        assert!(run.unwrap().path().join("attestation.sigstore.json").is_file());
    }
    end(one, Signal::SIGTERM);
    end(two, Signal::SIGTERM);
}

/// The sandbox of a build is gone when its worker is, or when the operator calls it off.
#[apply(test)]
fn a_build_ends_with_its_worker_and_when_it_is_called_off() {
    needs(&[NETWORK, SANDBOX]);
    let service = Service::start(None, &[]);
    let store = common::store();
    // Long enough to be caught in the middle.
    service.operator(&["queue", "add", "pypi:jedi==0.19.1"]);
    let builds = || {
        let marker = "pkg:pypi/jedi@0.19.1";
        let all = fs::read_dir("/proc").unwrap().flatten();
        let words = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        let words = words.map(|words| String::from_utf8_lossy(&words).into_owned());
        words
            .filter(|words| words.contains(marker) && words.contains("--tied"))
            .count()
    };
    let mut worker = service.worker("one", Some(&store), &[]);
    wait_until("the build runs", Duration::from_mins(1), || builds() > 0);
    worker.kill().unwrap();
    worker.wait().unwrap();
    wait_until("it ended with its worker", Duration::from_secs(10), || {
        builds() == 0
    });

    let worker = service.worker("one", Some(&store), &[]);
    wait_until("the build runs again", Duration::from_mins(1), || builds() > 0);
    let job = service.operator(&["queue", "list"])["jobs"][0]["id"].to_string();
    service.operator(&["queue", "cancel", &job]);
    wait_until("it is called off", Duration::from_secs(20), || {
        service.jobs("cancelled") == 1
    });
    assert_eq!(builds(), 0);
    let listed = service.operator(&["queue", "list"]);
    assert_eq!(
        (&listed["jobs"][0]["lost"], &listed["jobs"][0]["verdict"]),
        (&json!(1), &json!("cancelled"))
    );
    end(worker, Signal::SIGTERM);
}
