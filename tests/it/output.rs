//! What people read: the output of each command that needs no service, word by word.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{self, BIN, code};

/// Commands and what they printed, one after another.
struct Transcript<'a> {
    folder: &'a Path,
    text: String,
}

impl<'a> Transcript<'a> {
    fn new(folder: &'a Path) -> Self {
        fs::create_dir_all(folder.join("config")).unwrap();
        Self {
            folder,
            text: String::new(),
        }
    }

    /// Runs a command in the folder, with a store of its own.
    fn run(&mut self, arguments: &[&str]) -> String {
        let output = Command::new(BIN)
            .args(["--store", "store", "--quiet", "--offline"])
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.folder)
            .env("XDG_CONFIG_HOME", self.folder.join("config"))
            .current_dir(self.folder)
            .output()
            .unwrap();
        let printed = common::text(&output);
        self.text.push_str(&format!(
            "$ rebuilder {}\n{printed}[exit {}]\n\n",
            arguments.join(" "),
            code(&output)
        ));
        printed
    }

    /// Compares what was printed with the snapshot, without what differs from run to run.
    fn matches(self, name: &str) {
        let folder = self.folder.to_str().unwrap();
        let text = self.text.replace(folder, "[folder]");
        insta::with_settings!({filters => vec![
            (r"[0-9a-f]{64}", "[sha256]"),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[time]"),
            (r"\d{4}-\d\d-\d\d", "[date]"),
            (r"MCow[A-Za-z0-9+/]+=*", "[public key]"),
            (r"\d+\.\d+ s\b", "[seconds] s"),
            (r"\d+ packages", "[count] packages"),
            (r"\d+ bytes", "[count] bytes"),
            (r"\d+ files", "[count] files"),
        ]}, {
            insta::assert_snapshot!(name, text);
        });
    }
}

#[apply(test)]
fn keys() {
    let folder = tempfile::tempdir().unwrap();
    let mut shown = Transcript::new(folder.path());
    shown.run(&["key", "list"]);
    shown.run(&["key", "generate", "--to", "first.pem", "--algorithm", "ed25519"]);
    shown.run(&["key", "generate", "--to", "first.pem"]);
    shown.run(&["key", "list"]);
    shown.run(&["key", "public", "--key", "first.pem"]);
    shown.run(&["key", "add", "--key", "first.pem"]);
    shown.run(&["key", "rotate", "--key", "first.pem", "--to", "second.pem"]);
    let listed = shown.run(&["--json", "key", "public", "--key", "second.pem"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let fingerprint = listed["fingerprint"].as_str().unwrap();
    shown.run(&["key", "revoke", fingerprint, "--because", "it was lost"]);
    shown.run(&["key", "revoke", "0123", "--because", "it was lost"]);
    shown.run(&["key", "list"]);
    shown.matches("keys");
}

#[apply(test)]
fn store_and_containers() {
    let folder = tempfile::tempdir().unwrap();
    let mut shown = Transcript::new(folder.path());
    shown.run(&["store", "path"]);
    shown.run(&["store", "verify"]);
    let (right, wrong) = ("ab".repeat(32), folder.path().join("store/store/sha256/ab"));
    fs::create_dir_all(&wrong).unwrap();
    fs::write(wrong.join(right), "other bytes").unwrap();
    shown.run(&["store", "verify"]);
    shown.run(&["container", "list"]);
    shown.run(&["container", "build", "no-such-container"]);
    shown.matches("store-and-containers");
}

#[apply(test)]
fn comparison() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("a", "one\n"), ("b", "one\n"), ("c", "two\n")] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let mut shown = Transcript::new(folder.path());
    shown.run(&["compare", "a", "b"]);
    shown.run(&["compare", "a", "c"]);
    shown.run(&["compare", "a", "absent"]);
    shown.run(&["compare", "--list-normalisations"]);
    shown.matches("comparison");
}

#[apply(test)]
fn what_cannot_be_done() {
    let folder = tempfile::tempdir().unwrap();
    let mut shown = Transcript::new(folder.path());
    fs::write(folder.path().join("list.txt"), "nonsense\n").unwrap();
    fs::write(folder.path().join("tool"), "a tool\n").unwrap();
    for arguments in [
        &["rebuild"][..],
        &["rebuild", "nonsense"],
        &["rebuild", "--plan", "absent.json"],
        &["rebuild", "--plan", "tool"],
        &["plan", "deb:base-files"],
        &["inspect", "tool"],
        &["inspect", "absent"],
        &["verify", "tool"],
        &["verify", "tool", "--attestation", "absent"],
        &["audit", "run", "absent.txt"],
        &["audit", "run", "list.txt", "--out", "out"],
        &[
            "signer",
            "--runs",
            "absent",
            "--socket",
            "socket",
            "--key",
            "absent.pem",
        ],
        &["attest", "absent"],
        &["no-such-command"],
    ] {
        shown.run(arguments);
    }
    shown.matches("what-cannot-be-done");
}
