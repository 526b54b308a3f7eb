//! `rebuilder verify --discover`: each kind of source in its own form, and sources that are slow, broken or lie.

mod answers;
mod pages;
mod sources;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::common::http::{Reply, Server};
use crate::common::party::{self, Party};
use crate::common::{self, BIN};

/// The bytes that everyone talks about.
const RELEASED: &[u8] = b"the released package\n";

/// A released file, the party that rebuilt it, and a policy with sources.
struct Scene {
    folder: tempfile::TempDir,
    file: &'static str,
    alice: Party,
}

impl Scene {
    fn new(file: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(file), RELEASED).unwrap();
        Self {
            folder,
            file,
            alice: Party::new("alice"),
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Alice's bundle about the file.
    fn bundle(&self) -> serde_json::Value {
        self.alice.rebuilt(self.file, RELEASED)
    }

    /// Names sources in the policy: lines of TOML for each.
    fn sources(&self, sources: &[String]) {
        let mut more = String::new();
        for (number, lines) in sources.iter().enumerate() {
            more.push_str(&format!("[[discover]]\nname = \"source {number}\"\n{lines}\n"));
        }
        fs::write(self.path("policy.toml"), party::policy(&[&self.alice], 1, &more)).unwrap();
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(BIN);
        command
            .env_clear()
            .env("HOME", common::home())
            .arg("--store")
            .arg(self.path("store"))
            .arg("--quiet")
            .arg("verify")
            .arg(self.path(self.file))
            .arg("--policy")
            .arg(self.path("policy.toml"))
            .args(["--discover"])
            .args(more);
        command
    }

    fn verify(&self, more: &[&str]) -> Output {
        self.command(more).output().unwrap()
    }
}

/// A server with some paths, each with its answer; everything else does not exist.
fn serving(paths: Vec<(String, Reply)>) -> Server {
    Server::new(move |path| {
        let found = paths.iter().find(|(known, _)| known == path);
        found.map_or_else(|| Reply::status(404), |(_, reply)| reply.clone())
    })
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}
