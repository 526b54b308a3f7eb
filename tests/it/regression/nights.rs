//! An audit, night after night, of packages from an index of our own.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::http::{Reply, Server};
use crate::common::releases::{Plant, Releases, Tonight, mirrors};
use crate::common::{code, json as document, rebuilder};

/// An audit of packages from an index of our own.
pub(super) struct Nights {
    pub(super) folder: tempfile::TempDir,
    pub(super) releases: Arc<Mutex<Releases>>,
    index: Server,
    pub(super) receiver: Server,
    memory: String,
}

impl Nights {
    pub(super) fn new(all: &[(&str, u8, Plant)], memory: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let file = format!("sqlite:{}", at("memory.sqlite").display());
        let releases = Arc::new(Mutex::new(Releases::new(all, folder.path())));
        let answers = releases.clone();
        let tell = format!("#!/bin/sh\ncat >>{0}; echo >>{0}\n", at("told").display());
        fs::write(at("tell"), tell).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(at("tell"), mode).unwrap();
        fs::write(at("secret"), b"secret\n").unwrap();
        fs::create_dir(at("keys")).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(at("keys"), private).unwrap();
        let mut made = rebuilder();
        made.env("XDG_CONFIG_HOME", at("keys"));
        let made = made
            .args(["key", "generate", "--to"])
            .arg(at("keys/key.pem"))
            .output();
        assert_eq!(code(&made.unwrap()), 0);
        fs::create_dir(at("out")).unwrap();
        Self {
            releases,
            index: Server::new(move |path| answers.lock().unwrap().answer(path)),
            receiver: Server::new(|_| Reply::ok("")),
            memory: memory.unwrap_or(file),
            folder,
        }
    }

    pub(super) fn at(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub(super) fn command(&self, tonight: Tonight, list: &[String], more: &[&str]) -> Command {
        self.releases.lock().unwrap().tonight = tonight;
        fs::write(self.at("list.txt"), list.join("\n")).unwrap();
        let mut command = rebuilder();
        for host in ["https://pypi.org", "https://files.pythonhosted.org"] {
            command
                .arg("--mirror")
                .arg(format!("{host}={}", self.index.url()));
        }
        let mirrors = mirrors(self.folder.path());
        command
            .arg("--git-mirror")
            .arg(format!("https://github.com/={}/", mirrors.display()));
        command.args(["--json", "audit", "run", &self.at("list.txt")]);
        command.args(["--out", &self.at("out"), "--memory", &self.memory]);
        command.args(["--attempts", "1", "--jobs", "2"]);
        command
            .env("XDG_CONFIG_HOME", self.at("keys"))
            .args(["--key", &self.at("keys/key.pem")]);
        command.args(["--alarm-command", &self.at("tell")]);
        command.args(["--alarm-feed", &self.at("feed.xml")]);
        command.args(["--alarm-webhook", &format!("{}/alarms", self.receiver.url())]);
        command
            .args(["--alarm-secret-file", &self.at("secret")])
            .args(more);
        command
    }

    /// Audits these packages; gives the exit code and the summary, and prints what was found.
    pub(super) fn night(
        &self,
        about: &str,
        tonight: Tonight,
        list: &[String],
        more: &[&str],
    ) -> (i32, Value) {
        let begun = Instant::now();
        let output = self.command(tonight, list, more).output().unwrap();
        let (code, summary) = (code(&output), document(&output));
        let number = |what: &str| summary[what].as_array().map_or(0, Vec::len);
        println!(
            "{about:34} {:5} listed {:4} rebuilt {:3} withheld {:3} taken back {:3} alarms {:6.0} s",
            list.len(),
            summary["rebuilt_now"],
            number("withheld"),
            number("taken_back"),
            number("alarms"),
            begun.elapsed().as_secs_f64()
        );
        (code, summary)
    }

    /// The worker is killed as soon as it has finished something.
    pub(super) fn killed(&self, list: &[String], more: &[&str]) {
        let lines = || {
            let text = fs::read_to_string(self.at("out/results.jsonl")).unwrap_or_default();
            text.lines().count()
        };
        let before = lines();
        let mut command = self.command(Tonight::Fine, list, more);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while lines() == before {
            assert!(begun.elapsed() < Duration::from_mins(10), "nothing is finished");
            assert!(child.try_wait().unwrap().is_none(), "it ended before the blow");
            std::thread::sleep(Duration::from_millis(20));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// What the command was told so far.
    pub(super) fn told(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.at("told")).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}
