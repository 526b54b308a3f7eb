//! A signer with a key and a private log of its own, a public log, and a stranger who checks it.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rebuilder::artifact::Sha256;
use rebuilder::attest::log::{Event, Line};
use serde_json::Value;

use crate::common::{code, rebuilder_in, text};

pub const ORIGIN: &str = "example.com/verdicts";

pub struct Place {
    folder: tempfile::TempDir,
}

/// The statement with this number.
pub fn statement(number: u64) -> String {
    Sha256::of(format!("statement {number}")).to_hex()
}

fn signed(number: u64) -> Event {
    let digest = |what: &str| Sha256::of(format!("{what} {number}"));
    let verdict = if number % 10 == 7 {
        "mismatch"
    } else {
        "reproduced"
    };
    Event::Signed {
        run: format!("run-{number}"),
        subject: format!("pkg:pypi/package{number}@1.{number}"),
        plan: digest("plan"),
        record: digest("record"),
        verdict: verdict.into(),
        statement: digest("statement"),
        key: "a key".into(),
        workers: vec!["uid 1".into(), "uid 2".into()],
        place: None,
        also: [("rebuild/v0.1".to_owned(), digest("also"))].into(),
        released: vec![digest("released")],
    }
}

impl Place {
    pub fn new() -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        place.good(&["key", "generate"]);
        place
    }

    /// A place with the same key, that knows nothing of what this one published.
    pub fn another_past(&self) -> Self {
        let other = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let folder = other.path("config/rebuilder");
        fs::create_dir_all(&folder).unwrap();
        fs::copy(self.path("config/rebuilder/key.pem"), folder.join("key.pem")).unwrap();
        other
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The folder of the public log.
    pub fn folder(&self) -> String {
        self.text("public")
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = rebuilder_in(&self.path("store"));
        command
            .env("XDG_CONFIG_HOME", self.path("config"))
            .args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub fn good(&self, arguments: &[&str]) -> Output {
        let output = self.run(arguments);
        assert_eq!(code(&output), 0, "{arguments:?}: {}", text(&output));
        output
    }

    pub fn publish(&self) -> Command {
        self.command(&[
            "log",
            "publish",
            "--to",
            &self.folder(),
            "--origin",
            ORIGIN,
            "--json",
        ])
    }

    pub fn good_publish(&self) -> Output {
        let output = self.publish().output().unwrap();
        assert_eq!(code(&output), 0, "{}", text(&output));
        output
    }

    /// The key of the log.
    pub fn key(&self) -> String {
        let output = self.good(&["log", "key", "--origin", ORIGIN]);
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Adds lines to the private log, as if these statements had been signed.
    pub fn sign(&self, numbers: Range<u64>) {
        let event = |number: u64| {
            (
                format!("2026-11-26T10:00:00.{:06}Z", number % 1_000_000),
                signed(number),
            )
        };
        self.note(numbers.map(event));
    }

    /// Adds a line about the statement in a bundle.
    pub fn sign_bundle(&self, bundle: &Value) {
        let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
        let mut event = signed(0);
        if let Event::Signed { statement, .. } = &mut event {
            *statement = Sha256::of(STANDARD.decode(payload).unwrap());
        }
        self.note([("2026-11-26T11:00:00Z".to_owned(), event)].into_iter());
    }

    fn note(&self, events: impl Iterator<Item = (String, Event)>) {
        let path = self.path("config/rebuilder/signatures.jsonl");
        let mut log = fs::read_to_string(&path).unwrap_or_default();
        let last = log.lines().next_back().map(str::to_owned);
        let mut sequence = log.lines().count() as u64;
        let mut previous = Sha256::of(last.unwrap_or_default());
        for (time, event) in events {
            let time = time.parse().unwrap();
            let line = Line {
                sequence,
                previous,
                time,
                event,
            };
            let line = serde_jcs::to_string(&line).unwrap();
            (sequence, previous) = (sequence + 1, Sha256::of(&line));
            log.push_str(&line);
            log.push('\n');
        }
        fs::write(&path, log).unwrap();
    }

    /// A checkpoint that the log's own key signs, whatever it says.
    pub fn checkpoint(&self, origin: &str, size: &str, root: &str) -> String {
        let file = fs::read(self.path("config/rebuilder/key.pem")).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(pem::parse(file).unwrap().contents()).unwrap();
        let text = format!("{origin}\n{size}\n{root}\n");
        let bytes = [
            &id(ORIGIN, 1, pair.public_key().as_ref()),
            pair.sign(text.as_bytes()).as_ref(),
        ]
        .concat();
        format!("{text}\n\u{2014} {ORIGIN} {}\n", STANDARD.encode(bytes))
    }
}

/// What names a key below a note.
pub fn id(name: &str, purpose: u8, key: &[u8]) -> [u8; 4] {
    let digest = Sha256::of([name.as_bytes(), b"\n", &[purpose], key].concat());
    digest.as_bytes()[..4].try_into().unwrap()
}

/// Has the script that shares no code check something: with a library for signatures, if it is there, and with openssl.
pub fn checked_by_stranger(arguments: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/public-log/check.py");
    for options in [&[][..], &["-S"]] {
        let mut python = Command::new("python3");
        let output = python
            .args(options)
            .arg(&script)
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{options:?} {arguments:?}: {}",
            text(&output)
        );
    }
}

/// Copies a folder.
pub fn copy(from: &str, to: &str) {
    let output = Command::new("cp").args(["-a", from, to]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
}
