//! The signer as a service: honest workers, and a worker under an attacker's control, against the real process.

mod attacks;
mod shown;
mod words;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use crate::common::{self, BIN, NETWORK, ROOT, SANDBOX, backends, code, needs, rebuilder, text};
use rebuilder::artifact::Sha256;
use rebuilder::plan::Plan;
use rebuilder::run::Record;
use serde_json::{Value, json};

/// Two users that run builds, and one that has no business here.
const WORKERS: [u32; 2] = [41_001, 41_002];

const WHEEL: &str = "idna-3.10-py3-none-any.whl";

/// Two rebuilds of one wheel, by the real thing.
fn runs() -> &'static [PathBuf; 2] {
    static RUNS: OnceLock<(tempfile::TempDir, [PathBuf; 2])> = OnceLock::new();
    let (_, runs) = RUNS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let runs = ["first", "second"].map(|name| {
            let place = folder.path().join(name);
            let output = rebuilder()
                .args(["rebuild", "pypi:idna==3.10", "--out"])
                .arg(&place)
                .output()
                .unwrap();
            assert_eq!(code(&output), 0, "{}", text(&output));
            place
        });
        (folder, runs)
    });
    runs
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

fn own(path: &Path, uid: u32) {
    for entry in walkdir::WalkDir::new(path)
        .into_iter()
        .map(|entry| entry.unwrap())
    {
        if !entry.path_is_symlink() {
            chown(entry.path(), Some(uid), Some(uid)).unwrap();
        }
    }
}

/// A signer that runs, and the folders that it knows.
struct Office {
    folder: tempfile::TempDir,
    child: Child,
}

impl Drop for Office {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Office {
    fn open(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["runs", "keys", "home"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::set_permissions(folder.path().join("keys"), fs::Permissions::from_mode(0o700)).unwrap();
        // Workers run the command too, and may not look into whoever's home this is built in.
        fs::copy(BIN, folder.path().join("rebuilder")).unwrap();
        let key = folder.path().join("keys/key.pem");
        let passphrase = folder.path().join("keys/passphrase");
        fs::write(&passphrase, "correct horse battery staple\n").unwrap();
        let mut made = rebuilder();
        made.env("XDG_CONFIG_HOME", folder.path().join("keys"));
        let output = made
            .args(["key", "generate", "--encrypt", "--to"])
            .arg(&key)
            .arg("--passphrase-file")
            .arg(&passphrase)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let mut office = Self {
            child: Command::new("true").spawn().unwrap(),
            folder,
        };
        office.start(more);
        office
    }

    fn start(&mut self, more: &[&str]) {
        let place = |name: &str| self.folder.path().join(name);
        let mut command = rebuilder();
        command.env("XDG_CONFIG_HOME", place("keys"));
        command.env("REBUILDER_TEST_TOKEN", "the-token-of-the-signer");
        command
            .arg("signer")
            .arg("--socket")
            .arg(place("socket"))
            .arg("--runs")
            .arg(place("runs"));
        command
            .arg("--log")
            .arg(place("log.jsonl"))
            .arg("--key")
            .arg(place("keys/key.pem"));
        command.arg("--passphrase-file").arg(place("keys/passphrase"));
        for worker in WORKERS {
            command.arg("--worker").arg(worker.to_string());
        }
        let mut child = command.args(more).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.starts_with("listening"), "{line}");
        self.child = child;
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log.jsonl")
    }

    /// A copy of a genuine run that belongs to `uid`.
    fn run(&self, name: &str, from: &Path, uid: u32) -> PathBuf {
        let place = self.folder.path().join("runs").join(name);
        copy(from, &place);
        own(&place, uid);
        place
    }

    /// Asks as `uid`, with the real client.
    fn ask(&self, run: &Path, uid: u32) -> Output {
        let mut command = Command::new(self.folder.path().join("rebuilder"));
        command.env_clear().env("HOME", self.folder.path().join("home"));
        command.arg("attest").arg(run).arg("--signer").arg(self.socket());
        command.uid(uid).gid(uid);
        command.output().unwrap()
    }

    fn verify_log(&self, attestations: &[&Path]) -> Output {
        let mut command = rebuilder();
        command.args(["log", "verify"]).arg(self.log());
        for path in attestations {
            command.arg("--attestation").arg(path);
        }
        command.output().unwrap()
    }
}

#[apply(test)]
fn two_workers_that_agree_get_a_signature() {
    needs(&[NETWORK, SANDBOX, ROOT]);
    let mut office = Office::open(&[]);
    let first = office.run("first", &runs()[0], WORKERS[0]);
    let second = office.run("second", &runs()[1], WORKERS[1]);
    let waiting = office.ask(&first, WORKERS[0]);
    assert_eq!(code(&waiting), 4, "{}", text(&waiting));
    assert!(
        text(&waiting).contains("1 of 2 workers reported this outcome"),
        "{}",
        text(&waiting)
    );
    // Asking again makes nobody a second worker, and neither does a restart.
    assert_eq!(code(&office.ask(&first, WORKERS[0])), 4);
    office.child.kill().unwrap();
    office.child.wait().unwrap();
    office.start(&[]);
    let signed = office.ask(&second, WORKERS[1]);
    assert_eq!(code(&signed), 0, "{}", text(&signed));
    let signed = office.ask(&first, WORKERS[0]);
    assert_eq!(code(&signed), 0, "{}", text(&signed));

    let bundle = first.join("attestation.sigstore.json");
    let public = office.folder.path().join("keys/key.pem.pub");
    for mut verifier in common::verifiers() {
        let again = verifier.arg(&bundle).arg(&public).output().unwrap();
        assert!(again.status.success(), "{}", text(&again));
        let statement: Value = serde_json::from_slice(&again.stdout).unwrap();
        let internal = &statement["predicate"]["buildDefinition"]["internalParameters"];
        assert_eq!(internal["agreeingWorkers"], 2);
        assert!(internal["signingLog"]["previous"].is_string());
    }
    let other = second.join("attestation.sigstore.json");
    let held = office.verify_log(&[&bundle, &other]);
    assert_eq!(code(&held), 0, "{}", text(&held));
    assert!(
        text(&held).contains("matched with the log: 2 attestations"),
        "{}",
        text(&held)
    );

    // A log that was begun anew, or cut, no longer has what was published.
    let whole = fs::read_to_string(office.log()).unwrap();
    let cut: Vec<_> = whole.lines().take(3).collect();
    fs::write(office.log(), cut.join("\n") + "\n").unwrap();
    let refused = office.verify_log(&[&bundle]);
    assert_eq!(code(&refused), 3, "{}", text(&refused));
    fs::write(
        office.log(),
        whole
            .replacen("first", "other", 1)
            .replacen("submitted", "Submitted", 1),
    )
    .unwrap();
    assert_eq!(code(&office.verify_log(&[])), 3);
    fs::write(office.log(), whole).unwrap();

    // A revoked key signs nothing, from the next request on.
    let config = office.folder.path().join("keys");
    let keys = common::read(&config.join("rebuilder/keys.json"));
    let fingerprint = keys["keys"][0]["fingerprint"].as_str().unwrap();
    let output = rebuilder()
        .env("XDG_CONFIG_HOME", &config)
        .args(["key", "revoke", fingerprint, "--because", "a test"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let refused = office.ask(&first, WORKERS[0]);
    assert_eq!(code(&refused), 3, "{}", text(&refused));
    assert!(text(&refused).contains("was revoked"), "{}", text(&refused));
}

/// Changes record and plan of a run, so that they and the page fit each other again.
fn forge(run: &Path, change: impl FnOnce(&mut Value, &mut Value)) {
    let read = |name: &str| serde_json::from_slice::<Value>(&fs::read(run.join(name)).unwrap()).unwrap();
    let (mut record, mut plan) = (read("record.json"), read("plan.json"));
    change(&mut record, &mut plan);
    if let Ok(parsed) = serde_json::from_value::<Plan>(plan.clone()) {
        record["plan"] = json!(parsed.digest().unwrap());
        if let Ok(record) = serde_json::from_value::<Record>(record.clone()) {
            let page = rebuilder::report::html(&parsed, &record).unwrap();
            fs::write(run.join("report.html"), page).unwrap();
        }
    }
    fs::write(run.join("record.json"), record.to_string()).unwrap();
    fs::write(run.join("plan.json"), plan.to_string()).unwrap();
}

fn output(run: &Path) -> PathBuf {
    run.join("rebuilt").join(WHEEL)
}

fn digest(path: &Path) -> String {
    Sha256::of(fs::read(path).unwrap()).to_hex()
}

/// Copying the released file and calling it built leaves no trace in a run. What it does not get is a second worker.
#[apply(test)]
fn a_perfect_lie_needs_a_second_liar() {
    needs(&[NETWORK, SANDBOX, ROOT]);
    let office = Office::open(&[]);
    let lie = office.run("lie", &runs()[0], WORKERS[0]);
    // The truth, as the second worker has it: other bytes came out.
    let truth = office.run("truth", &runs()[1], WORKERS[1]);
    fs::create_dir_all(truth.join("released")).unwrap();
    fs::copy(output(&truth), truth.join("released").join(WHEEL)).unwrap();
    fs::write(output(&truth), "what really comes out").unwrap();
    let real = digest(&output(&truth));
    forge(&truth, |record, _| {
        record["verdict"] = json!("not-reproduced");
        record["outputs"][0]["rebuilt"] = json!(real);
    });
    own(&truth, WORKERS[1]);
    for (run, worker, expected) in [
        (
            &lie,
            WORKERS[0],
            "1 of 2 workers reported this outcome, 0 a different one",
        ),
        (
            &truth,
            WORKERS[1],
            "1 of 2 workers reported this outcome, 1 a different one",
        ),
    ] {
        let answer = office.ask(run, worker);
        assert_eq!(code(&answer), 4, "{}", text(&answer));
        assert!(text(&answer).contains(expected), "{}", text(&answer));
    }
    assert!(!lie.join("attestation.sigstore.json").exists());
}

/// Looks for the key, the words and the tokens everywhere that a build can look.
fn looks_around(line: &str, place: &str, pid: u32) -> String {
    let marks =
        format!("{line}|correct horse battery staple|the-token-of-the-signer|the-token-of-the-worker");
    format!(
        r#"
say() {{ echo "$1: $(eval "$2" 2>/dev/null | tr '\n' ' ')"; }}
say environment "env | grep -cE '{marks}'"
say environments "cat /proc/[0-9]*/environ | tr '\0' '\n' | grep -cE '{marks}'"
say commands "cat /proc/[0-9]*/cmdline | tr '\0' '\n' | grep -ce '[-]-passphrase-file'"
say files "ls -A {place} /root/.config/rebuilder /run/rebuilder-signer | wc -l"
say roots "for p in /proc/[0-9]*; do ls \$p/root{place} \$p/cwd{place}; done | wc -l"
say memory "cat /proc/{pid}/mem | head -c 1 | wc -c"
say maps "cat /proc/{pid}/maps | wc -l"
say descriptors "ls -l /proc/[0-9]*/fd | grep -c '{place}'"
say sockets "grep -c '{place}' /proc/net/unix"
say abstract "awk 'NR > 1 && \$8 ~ /^@/' /proc/net/unix | wc -l"
say connect "python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.connect(\"{place}/socket\"); print(\"in\")'"
say mounts "grep -c -e '{place}/keys' -e credentials /proc/self/mountinfo"
say keyring "grep -c . /proc/keys"
say disk "cat /dev/sda /dev/vda /dev/nvme0n1 | head -c 1 | wc -c"
say core "cat /proc/kcore /dev/mem /dev/kmem | head -c 1 | wc -c"
"#
    )
}

/// Everything that a build could look into for a key or a token, on both backends, while a signer runs.
#[apply(test)]
fn no_key_or_token_is_readable_from_a_build() {
    needs(&[NETWORK, SANDBOX, ROOT]);
    let office = Office::open(&["--agree", "1"]);
    let key = fs::read_to_string(office.folder.path().join("keys/key.pem")).unwrap();
    let line = key.lines().nth(1).unwrap();
    let place = office.folder.path().display().to_string();
    let pid = office.child.id();
    let script = looks_around(line, &place, pid);
    let plan = common::plan("pypi:idna==3.10");
    for backend in backends() {
        let folder = tempfile::tempdir().unwrap();
        let mut changed = plan.clone();
        changed["build"]["steps"] = json!([{"name": "look", "run": script}]);
        let file = folder.path().join("plan.json");
        fs::write(&file, changed.to_string()).unwrap();
        let mut command = rebuilder();
        command
            .env("SIGSTORE_ID_TOKEN", "the-token-of-the-worker")
            .env("REBUILDER_KEY", office.folder.path().join("keys/key.pem"));
        command.env(
            "REBUILDER_PASSPHRASE_FILE",
            office.folder.path().join("keys/passphrase"),
        );
        let run = folder.path().join("run");
        command
            .args(["rebuild", "--backend", backend, "--plan"])
            .arg(&file)
            .arg("--out")
            .arg(&run);
        let output = command.output().unwrap();
        let log = fs::read_to_string(run.join("build.log")).unwrap_or_else(|_| panic!("{}", text(&output)));
        for what in [
            "environment",
            "environments",
            "commands",
            "files",
            "roots",
            "memory",
            "maps",
            "descriptors",
            "sockets",
            "abstract",
            "connect",
            "mounts",
            "disk",
            "core",
        ] {
            let line = log
                .lines()
                .find(|line| line.starts_with(&format!("{what}:")))
                .unwrap_or_else(|| panic!("{what}: {log}"));
            let found = line.split(':').nth(1).unwrap().trim();
            assert!(["0", ""].contains(&found), "{backend}: {line}");
        }
    }
}
