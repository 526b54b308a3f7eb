//! Many attestations in a folder, and five of one file from cold: `cargo bench --bench agreement`.
//!
//! The peer is PyPI's `securesystemslib`, which verifies the same envelopes in one process
//! (`REBUILDER_THIRD_PARTY`, see `.ci/run`); it compares nothing. Memory is the largest resident set of the process.
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::items_after_statements
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rebuilder::artifact::Sha256;
use rebuilder::attest::{Algorithm, FileKey, Signer as _};
use serde_json::{Value, json};

const BIN: &str = env!("CARGO_BIN_EXE_rebuilder");
const PARTIES: usize = 50;

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let artifact = folder.path().join("app-1.0.tar.gz");
    fs::write(&artifact, b"the released bytes\n").unwrap();
    let digest = Sha256::of(b"the released bytes\n").to_hex();
    let keys: Vec<FileKey> = (0..PARTIES)
        .map(|number| {
            let algorithm = if number % 2 == 0 {
                Algorithm::Ed25519
            } else {
                Algorithm::P256
            };
            FileKey::generate(algorithm, &folder.path().join(format!("key-{number}")), None).unwrap()
        })
        .collect();
    let policy = folder.path().join("policy.toml");
    fs::write(&policy, policy_text(&keys)).unwrap();

    let five = folder.path().join("five");
    fill(&five, &keys, 5, 200, &digest);
    let cold = verify(&artifact, &five, &policy).0;
    let again: Vec<_> = (0..20).map(|_| verify(&artifact, &five, &policy).0).collect();
    println!(
        "one artifact, five attestations, whole process: {} ms first, {} ms median",
        cold.as_millis(),
        median(again).as_millis()
    );

    println!(
        "{:<14} {:>12} {:>10} {:>12} {:>12}",
        "attestations", "dependencies", "seconds", "a second", "memory"
    );
    for (count, dependencies) in [(1_000, 20), (10_000, 20), (1_000, 200), (10_000, 200)] {
        let place = folder.path().join(format!("{count}-{dependencies}"));
        fill(&place, &keys, count, dependencies, &digest);
        let (took, memory) = verify(&artifact, &place, &policy);
        let rate = count as f64 / took.as_secs_f64();
        println!(
            "{count:<14} {dependencies:>12} {:>10.2} {rate:>12.0} {:>9} kB",
            took.as_secs_f64(),
            memory
        );
        if count == 1_000 {
            peer(&place, folder.path(), &keys, rate);
        }
        fs::remove_dir_all(&place).unwrap();
    }
}

fn policy_text(keys: &[FileKey]) -> String {
    let mut text = String::from("version = 1\n");
    for (number, key) in keys.iter().enumerate() {
        let public = key.public_key().pem();
        text.push_str(&format!(
            "[[keys]]\nname = \"k{number}\"\ntext = \"\"\"\n{public}\"\"\"\n[[parties]]\nname = \"p{number}\"\nkeys = [\"k{number}\"]\norganisation = \"o{number}\"\n"
        ));
    }
    text + "[[quorums]]\nsubject = \"*\"\nthreshold = 3\nindependent = [\"organisation\", \"builder-id\", \"container\"]\n"
}

/// Writes attestations of a rebuild in the shape of this tool's own, each another one.
fn fill(place: &Path, keys: &[FileKey], count: usize, dependencies: usize, digest: &str) {
    fs::create_dir(place).unwrap();
    for number in 0..count {
        let party = number % keys.len();
        let statement = statement(number, party, dependencies, digest);
        let bundle = keys[party]
            .bundle(&serde_json::to_vec(&statement).unwrap())
            .unwrap();
        fs::write(place.join(format!("{number}.sigstore.json")), bundle.to_string()).unwrap();
    }
}

fn statement(number: usize, party: usize, dependencies: usize, digest: &str) -> Value {
    let hash = |text: String| Sha256::of(text).to_hex();
    let packages = (0..dependencies).map(|at| {
        json!({
            "name": format!("package-{at}_1.2.3-4_amd64.deb"),
            "uri": format!("https://deb.debian.org/debian/pool/main/p/package-{at}/package-{at}_1.2.3-4_amd64.deb"),
            "digest": {"sha256": hash(format!("package {at}"))},
            "annotations": {"role": "container"}
        })
    });
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "app-1.0.tar.gz", "digest": {"sha256": digest}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:rebuilder:build-type:rebuild:v1",
                "externalParameters": {"subject": "pkg:generic/app@1.0"},
                "internalParameters": {"container": {"tree": {"sha256": hash(format!("root {party}"))}}},
                "resolvedDependencies": packages.collect::<Vec<_>>()
            },
            "runDetails": {
                "builder": {"id": format!("https://p{party}.example")},
                "metadata": {"invocationId": number.to_string(), "finishedOn": format!("2026-01-{:02}T00:00:00Z", number % 28 + 1)}
            }
        }
    })
}

/// Wall time, and the largest resident set in kB.
fn verify(artifact: &Path, place: &Path, policy: &Path) -> (Duration, String) {
    let begun = Instant::now();
    let mut child = Command::new(BIN)
        .args(["verify", "--json"])
        .arg(artifact)
        .arg("--attestation")
        .arg(place)
        .arg("--policy")
        .arg(policy)
        .stdout(fs::File::create("/dev/null").unwrap())
        .spawn()
        .unwrap();
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut memory = String::new();
    loop {
        if let Ok(text) = fs::read_to_string(&status)
            && let Some(line) = text.lines().find(|line| line.starts_with("VmHWM"))
        {
            line.split_whitespace().nth(1).unwrap().clone_into(&mut memory);
        }
        if let Some(ended) = child.try_wait().unwrap() {
            assert!(ended.success(), "{ended}");
            return (begun.elapsed(), memory);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Verifies the same envelopes with securesystemslib, keys read beforehand.
fn peer(place: &Path, folder: &Path, keys: &[FileKey], ours: f64) {
    let Some(third_party) = std::env::var_os("REBUILDER_THIRD_PARTY") else {
        println!("{:>40}", "(REBUILDER_THIRD_PARTY is not set)");
        return;
    };
    let publics = folder.join("publics.json");
    let all: Vec<_> = keys
        .iter()
        .map(|key| json!([key.name(), key.public_key().pem()]))
        .collect();
    fs::write(&publics, Value::Array(all).to_string()).unwrap();
    const SCRIPT: &str = "
import json, os, sys, time
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey
keys = {}
for name, pem in json.load(open(sys.argv[2])):
    keys[name] = SSlibKey.from_crypto(load_pem_public_key(pem.encode()), keyid=name)
begun, count = time.time(), 0
for name in os.listdir(sys.argv[1]):
    bundle = json.load(open(os.path.join(sys.argv[1], name)))
    envelope = Envelope.from_dict(bundle['dsseEnvelope'])
    envelope.verify([keys[bundle['verificationMaterial']['publicKey']['hint']]], 1)
    json.loads(envelope.payload)
    count += 1
print(count / (time.time() - begun))
";
    let output = Command::new(Path::new(&third_party).join("venv/bin/python"))
        .args(["-c", SCRIPT])
        .arg(place)
        .arg(&publics)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let theirs: f64 = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap();
    println!(
        "{:>40}: {theirs:.0} a second, one processor; ratio {:.1}",
        "securesystemslib, verifying alone",
        ours / theirs
    );
}
