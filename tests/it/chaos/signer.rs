//! A killed signer, or client of one, leaves whole signatures, and the next attempt gets one.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::random;
use crate::common::{self, NETWORK, ROOT, SANDBOX, needs, rebuilder, text};

/// A signer, a worker's run, and the worker's client, any of which may be killed.
struct Attestor {
    folder: tempfile::TempDir,
}

const WORKER: u32 = 41_011;

impl Attestor {
    fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self) -> Child {
        let mut command = rebuilder();
        command.env("XDG_CONFIG_HOME", self.place("keys"));
        let mut child = command
            .arg("signer")
            .arg("--socket")
            .arg(self.place("socket"))
            .arg("--runs")
            .arg(self.place("runs"))
            .arg("--log")
            .arg(self.place("log.jsonl"))
            .arg("--key")
            .arg(self.place("keys/key.pem"))
            .args(["--agree", "1", "--worker", &WORKER.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stderr = child.stderr.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stderr), &mut line).unwrap();
        assert!(line.starts_with("listening"), "{line}");
        child
    }

    fn ask(&self) -> Command {
        let mut command = Command::new(self.place("rebuilder"));
        command.env_clear().env("HOME", self.place("home"));
        command
            .arg("attest")
            .arg(self.place("runs/run"))
            .arg("--signer")
            .arg(self.place("socket"));
        command.uid(WORKER).gid(WORKER);
        command
    }
}

#[apply(test)]
fn whoever_is_killed_a_signer_signs_again() {
    needs(&[NETWORK, SANDBOX, ROOT]);
    let office = Attestor {
        folder: tempfile::tempdir().unwrap(),
    };
    fs::set_permissions(office.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for (name, mode) in [("keys", 0o700), ("runs", 0o755), ("home", 0o755)] {
        fs::create_dir(office.place(name)).unwrap();
        fs::set_permissions(office.place(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::copy(common::BIN, office.place("rebuilder")).unwrap();
    let made = rebuilder()
        .args(["key", "generate", "--to"])
        .arg(office.place("keys/key.pem"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", text(&made));
    let built = rebuilder()
        .args(["rebuild", "pypi:idna==3.10", "--out"])
        .arg(office.place("runs/run"))
        .output()
        .unwrap();
    assert_eq!(common::code(&built), 0, "{}", text(&built));
    for entry in walkdir::WalkDir::new(office.place("runs/run"))
        .into_iter()
        .flatten()
    {
        chown(entry.path(), Some(WORKER), Some(WORKER)).unwrap();
    }

    let (mut random, rounds) = random("signer");
    let mut signer = office.start();
    for round in 0..rounds {
        let bundle = office.place("runs/run/attestation.sigstore.json");
        let _ = fs::remove_file(&bundle);
        let mut client = office
            .ask()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(random.below(400)));
        if round % 2 == 0 {
            signer.kill().unwrap();
            signer.wait().unwrap();
            client.wait().unwrap();
            signer = office.start();
        } else {
            client.kill().unwrap();
            client.wait().unwrap();
        }
        let half =
            fs::read(&bundle).is_ok_and(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).is_err());
        assert!(!half, "round {round}: half an attestation");
        let signed = office.ask().output().unwrap();
        assert_eq!(common::code(&signed), 0, "round {round}: {}", text(&signed));
        let held = rebuilder()
            .args(["log", "verify"])
            .arg(office.place("log.jsonl"))
            .arg("--attestation")
            .arg(&bundle)
            .output()
            .unwrap();
        assert!(held.status.success(), "round {round}: {}", text(&held));
    }
    signer.kill().unwrap();
    signer.wait().unwrap();
    println!("{rounds} rounds of the signer, 0 left over");
}
