//! `rebuilder verify`: constellations of parties and what is concluded of them; other rebuilders' formats; cost.

mod ampel;
mod cosigned;
mod forms;
mod others;
mod predicate;
mod statements;
mod table;
pub(crate) mod vsa;
mod wrong_use;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::common::{self, BIN, code, json, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rebuilder::attest::{Algorithm, FileKey, Signer as _};
use serde_json::{Value, json};

use statements::{digest, inside, other, plan, released, same};

/// The released file, and its name.
const RELEASED: &[u8] = b"the released bytes\n";

const NAME: &str = "app-1.0.tar.gz";

/// Keys of everyone who appears in the table.
fn keys() -> &'static BTreeMap<&'static str, (FileKey, String)> {
    static KEYS: OnceLock<BTreeMap<&'static str, (FileKey, String)>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let names = [
            "alice", "bob", "carol", "dave", "builder", "manager", "watcher", "warden", "mallory", "lost",
            "old",
        ];
        let make = |name: &'static str| {
            let algorithm = if name == "bob" {
                Algorithm::P256
            } else {
                Algorithm::Ed25519
            };
            let key = FileKey::generate(algorithm, &folder.path().join(name), None).unwrap();
            let public = key.public_key().pem();
            (name, (key, public))
        };
        names.into_iter().map(make).collect()
    })
}

/// One party's word.
fn by(key: &'static str, statement: Value) -> (&'static str, Value) {
    (key, statement)
}

/// The policy of the table: who is who. Each row adds a quorum.
fn policy() -> String {
    let mut text = String::from("version = 1\n");
    for (name, (_, public)) in keys() {
        if *name == "mallory" {
            continue;
        }
        text.push_str(&format!(
            "[[keys]]\nname = \"{name}\"\ntext = \"\"\"\n{public}\"\"\"\n"
        ));
        match *name {
            "lost" => text.push_str(
                "revoked = \"2026-01-01T00:00:00Z\"\nrevoked-because = \"the laptop was stolen\"\n",
            ),
            "old" => text.push_str("valid-until = \"2026-01-01T00:00:00Z\"\n"),
            _ => {}
        }
    }
    for (name, role, organisation, keys, extra) in [
        (
            "alice",
            "rebuilder",
            "Alpha",
            "\"alice\"",
            "host = \"a1\"\nbuilder-ids = [\"https://alice.example/*\", \"https://shared.example/*\"]\n",
        ),
        ("bob", "rebuilder", "Beta", "\"bob\"", "host = \"b1\"\n"),
        (
            "carol",
            "rebuilder",
            "Gamma",
            "\"carol\"",
            "host = \"b1\"\nweight = 2\n",
        ),
        ("dave", "rebuilder", "Alpha", "\"dave\"", ""),
        ("twin", "rebuilder", "Delta", "\"old\"", ""),
        ("lost", "rebuilder", "Epsilon", "\"lost\"", ""),
        ("builder", "builder", "App", "\"builder\"", ""),
        ("manager", "release-manager", "App", "\"manager\"", ""),
        ("watcher", "verifier", "Watch", "\"watcher\"", ""),
        ("warden", "verifier", "Ward", "\"warden\"", "weight = 3\n"),
    ] {
        text.push_str(&format!(
            "[[parties]]\nname = \"{name}\"\nrole = \"{role}\"\norganisation = \"{organisation}\"\nkeys = [{keys}]\n{extra}"
        ));
    }
    text
}

fn write(folder: &Path, number: usize, key: &str, statement: &Value) -> PathBuf {
    let bundle = keys()[key]
        .0
        .bundle(&serde_json::to_vec(statement).unwrap())
        .unwrap();
    let path = folder.join(format!("{number:03}-{key}.sigstore.json"));
    fs::write(&path, bundle.to_string()).unwrap();
    path
}

fn verify(arguments: &[&str]) -> Output {
    let mut command = Command::new(BIN);
    command
        .env_clear()
        .env("HOME", common::home())
        .arg("verify")
        .args(arguments);
    command.output().unwrap()
}

const TWO: &str = "threshold = 2\nroles = { rebuilder = 2 }\n";

/// A folder with the released file, attestations and a policy with a quorum.
struct Scene {
    folder: tempfile::TempDir,
    count: usize,
}

impl Scene {
    fn new(quorum: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(NAME), RELEASED).unwrap();
        fs::create_dir(folder.path().join("said")).unwrap();
        let text = format!("{}\n[[quorums]]\nsubject = \"*\"\n{quorum}", policy());
        fs::write(folder.path().join("policy.toml"), text).unwrap();
        Self { folder, count: 0 }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn said(&self) -> PathBuf {
        self.folder.path().join("said")
    }

    fn say(&mut self, key: &str, statement: &Value) -> PathBuf {
        self.count += 1;
        write(&self.said(), self.count, key, statement)
    }

    fn verify(&self, more: &[&str]) -> Output {
        let (artifact, said, policy) = (self.path(NAME), self.path("said"), self.path("policy.toml"));
        let mut arguments = vec![artifact.as_str(), "--attestation", &said, "--policy", &policy];
        arguments.extend(more);
        verify(&arguments)
    }

    fn aside(&self) -> Vec<String> {
        let found = json(&self.verify(&["--json"]));
        let reasons = found["set_aside"].as_array().unwrap().iter();
        reasons
            .map(|it| format!("{} {}", it["reason"].as_str().unwrap(), it["count"]))
            .collect()
    }
}

#[apply(test)]
fn what_is_forged_or_broken_does_not_count() {
    let mut scene = Scene::new(TWO);
    let path = scene.say("alice", &same("alice"));
    scene.say("bob", &same("bob"));
    assert_eq!(code(&scene.verify(&[])), 0);

    // The payload changed, the hint is still alice's.
    let mut bundle: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let whole = bundle.clone();
    let changed = serde_json::to_vec(&plan(same("alice"), b"another")).unwrap();
    bundle["dsseEnvelope"]["payload"] = json!(STANDARD.encode(changed));
    fs::write(&path, bundle.to_string()).unwrap();
    assert_eq!(code(&scene.verify(&[])), 4);
    assert_eq!(scene.aside(), ["bad-signature 1"]);
    // Without any signature.
    fs::write(&path, serde_json::to_vec(&same("alice")).unwrap()).unwrap();
    assert_eq!(scene.aside(), ["unsigned 1"]);
    // Not even JSON, and JSON that two readers read differently.
    fs::write(&path, b"{\"payloadType\"").unwrap();
    assert_eq!(scene.aside(), ["unreadable 1"]);
    fs::write(&path, br#"{"_type":"a","_type":"b"}"#).unwrap();
    assert_eq!(scene.aside(), ["unreadable 1"]);

    // A pipe that nobody writes to must not be waited for.
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(scene.aside(), ["unreadable 1"]);
    fs::remove_file(&path).unwrap();

    // One attestation is withdrawn by its digest.
    fs::write(&path, whole.to_string()).unwrap();
    let revoked = digest(whole.to_string().as_bytes());
    let policy = fs::read_to_string(scene.path("policy.toml")).unwrap();
    let withdrawn = format!(
        "{policy}\n[[revoked]]\nattestation = \"{revoked}\"\nbecause = \"made on a broken machine\"\n"
    );
    fs::write(scene.path("policy.toml"), withdrawn).unwrap();
    assert_eq!(scene.aside(), ["revoked 1"]);
    let output = scene.verify(&[]);
    assert!(
        text(&output).contains("made on a broken machine"),
        "{}",
        text(&output)
    );
}

#[apply(test)]
fn says_in_which_input_parties_differ() {
    let mut scene = Scene::new(TWO);
    scene.say("alice", &same("alice"));
    let mut bob = inside(
        same("bob"),
        "/resolvedDependencies/2/digest/sha256",
        json!(digest(b"another libc6")),
    );
    bob = inside(bob, "/internalParameters/assumptions/0/value", json!("/tmp/app"));
    scene.say("bob", &bob);
    let output = scene.verify(&["--json"]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    let found = json(&output);
    let of = |aspect: &str| {
        let all = found["divergences"].as_array().unwrap();
        all.iter()
            .find(|it| it["aspect"] == aspect)
            .cloned()
            .unwrap_or_else(|| panic!("{aspect}: {found}"))
    };
    let named = |aspect: &str, name: &str| {
        let divergence = of(aspect);
        let rows = divergence["differences"].as_array().unwrap().clone();
        rows.into_iter()
            .find(|row| row["name"] == name)
            .unwrap_or_else(|| panic!("{name}: {divergence}"))
    };
    assert_eq!(of("container")["groups"][1]["parties"], json!(["bob"]));
    let row = named("dependencies", "libc6_2.36_amd64.deb");
    assert_eq!(row["values"][1], format!("sha256:{}", digest(b"another libc6")));
    assert_eq!(
        named("parameters", "build path")["values"],
        json!(["/build/app", "/tmp/app"])
    );
    // Files are read side by side, and that must not show.
    let same_each_time = |mut document: Value| {
        for volatile in ["cost", "time"] {
            document.as_object_mut().unwrap().remove(volatile);
        }
        document
    };
    for _ in 0..5 {
        let again = json(&scene.verify(&["--json"]));
        assert_eq!(same_each_time(again), same_each_time(found.clone()));
    }
    let bytes = found["divergences"]
        .as_array()
        .unwrap()
        .iter()
        .any(|it| it["aspect"] == "bytes");
    assert!(!bytes, "{found}");
}

#[apply(test)]
fn the_conclusion_is_signed_as_a_verification_summary() {
    let mut scene = Scene::new(TWO);
    let first = scene.say("alice", &same("alice"));
    let summary = scene.path("summary.sigstore.json");
    let key = scene.path("watcher.pem");
    let made = FileKey::generate(Algorithm::Ed25519, Path::new(&key), None).unwrap();
    let arguments = [
        "--purl",
        "pkg:generic/app@1.0",
        "--summary",
        &summary,
        "--key",
        &key,
        "--builder-id",
        "https://verifier.example",
    ];
    // Too few to say anything: nothing is signed.
    assert_eq!(code(&scene.verify(&arguments)), 4);
    assert!(!Path::new(&summary).exists());

    scene.say("bob", &same("bob"));
    assert_eq!(code(&scene.verify(&arguments)), 0);
    let bundle: Value = serde_json::from_slice(&fs::read(&summary).unwrap()).unwrap();
    let payload = STANDARD
        .decode(bundle["dsseEnvelope"]["payload"].as_str().unwrap())
        .unwrap();
    let statement: Value = serde_json::from_slice(&payload).unwrap();
    let predicate = &statement["predicate"];
    assert_eq!(
        statement["predicateType"],
        "https://slsa.dev/verification_summary/v1"
    );
    assert_eq!(statement["subject"][0]["digest"]["sha256"], released());
    assert_eq!(predicate["verificationResult"], "PASSED");
    assert_eq!(
        predicate["verifiedLevels"],
        json!(["SLSA_BUILD_REPRODUCED", "REBUILD_QUORUM_2"])
    );
    assert_eq!(predicate["verifier"]["id"], "https://verifier.example");
    assert_eq!(
        predicate["policy"]["digest"]["sha256"],
        digest(&fs::read(scene.path("policy.toml")).unwrap())
    );
    let inputs: Vec<_> = predicate["inputAttestations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["digest"]["sha256"].clone())
        .collect();
    assert!(
        inputs.contains(&json!(digest(&fs::read(first).unwrap()))),
        "{inputs:?}"
    );

    // It verifies like any other attestation, with our own and with strangers' verifiers.
    let public = scene.path("watcher.pub");
    fs::write(&public, made.public_key().pem()).unwrap();
    for mut verifier in common::verifiers() {
        let again = verifier.arg(&summary).arg(&public).output().unwrap();
        assert!(again.status.success(), "{}", text(&again));
    }
    // A dissenter makes it a negative.
    scene.say("dave", &other("dave", b"evil"));
    assert_eq!(code(&scene.verify(&arguments)), 1);
    let bundle: Value = serde_json::from_slice(&fs::read(&summary).unwrap()).unwrap();
    let payload = STANDARD
        .decode(bundle["dsseEnvelope"]["payload"].as_str().unwrap())
        .unwrap();
    assert!(String::from_utf8(payload).unwrap().contains("\"FAILED\""));
}

#[apply(test)]
fn the_answer_is_shown_to_people() {
    let mut shown = String::new();
    let mut scene = Scene::new(TWO);
    scene.say("alice", &same("alice"));
    shown.push_str(&text(&scene.verify(&[])));
    scene.say("bob", &other("bob", b"something else"));
    shown.push_str(&text(&scene.verify(&[])));
    let folder = scene.folder.path().to_str().unwrap();
    insta::with_settings!({filters => vec![
        (folder, "[folder]"),
        (r"[0-9a-f]{64}", "[sha256]"),
        (r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?Z)?", "[time]"),
        (r"\d+ bytes, \d+\.\d+ s", "[cost]"),
    ]}, {
        insta::assert_snapshot!("answer", shown);
    });
}
