//! What earlier versions left is read as they meant it: evidence, runs, plans and attestations of version 0.1.0.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rebuilder::artifact::Sha256;
use rebuilder::plan::Plan;

use crate::common::{code, json, rebuilder, text};

/// A rebuild of itoa 1.0.11, signed and exported by version 0.1.0.
const EVIDENCE: &str = "0.1.0.tar.gz";
const KEY: &str = "0.1.0.pub";
const PLAN: &str = "a4d79573d78f009ed32c2ab268c6191d1414505f165bd388ff0556746d03d322";
const CRATE: &str = "49f1f14873335454500d59611f1cf4a4b0f786f9ac11f4312a78e4cf2566695b";

fn left(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/earlier")
        .join(name)
}

/// The folder `evidence` of the archive, and beside it the run as the earlier version kept it.
fn unpacked() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let mut tar = Command::new("tar");
    let status = tar
        .arg("xzf")
        .arg(left(EVIDENCE))
        .arg("-C")
        .arg(place)
        .status()
        .unwrap();
    assert!(status.success());
    fs::create_dir_all(place.join("run/rebuilt")).unwrap();
    for (from, to) in [
        ("plan.json", "plan.json"),
        ("record.json", "record.json"),
        ("build.log", "build.log"),
        ("report.html", "report.html"),
        ("attestations/rebuild.sigstore.json", "attestation.sigstore.json"),
        (&format!("documents/sha256-{CRATE}"), "rebuilt/itoa-1.0.11.crate"),
    ] {
        fs::copy(place.join("evidence").join(from), place.join("run").join(to)).unwrap();
    }
    folder
}

#[apply(test)]
fn evidence_of_an_earlier_version_verifies() {
    let mut command = rebuilder();
    command
        .args(["--offline", "--json", "evidence", "verify"])
        .arg(left(EVIDENCE));
    let output = command.arg("--trusted-key").arg(left(KEY)).output().unwrap();
    // What another version derived from the run, this one cannot judge: that is open.
    assert_eq!(code(&output), 4, "{}", text(&output));
    let found = json(&output);
    assert_eq!(found["attested"]["verdict"], "reproduced", "{found}");
    let checks = found["checks"].as_array().unwrap();
    assert!(checks.iter().all(|check| check["outcome"] != "fails"), "{found}");
    let holds = |check: &str, finding: &str| {
        checks.iter().any(|row| {
            let said = |key: &str, what: &str| row[key].as_str().is_some_and(|said| said.contains(what));
            row["outcome"] == "holds" && said("check", check) && said("finding", finding)
        })
    };
    assert!(holds("the record is about this plan", PLAN), "{found}");
    assert!(
        holds("signed by a key that you trust", "attestation of the rebuild"),
        "{found}"
    );
}

#[apply(test)]
fn a_plan_of_an_earlier_version_keeps_its_digest() {
    let folder = unpacked();
    let plan = fs::read(folder.path().join("run/plan.json")).unwrap();
    let plan = Plan::parse(&plan).unwrap();
    assert_eq!(Sha256::of(plan.canonical().unwrap()).to_hex(), PLAN);
}

#[apply(test)]
fn a_run_of_an_earlier_version_is_signed_again() {
    let folder = unpacked();
    let key = folder.path().join("new.pem");
    let output = rebuilder()
        .args(["key", "generate", "--to"])
        .arg(&key)
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output));
    let mut command = rebuilder();
    command
        .args(["--offline", "attest"])
        .arg(folder.path().join("run"));
    let output = command.arg("--key").arg(&key).output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output));
}

#[apply(test)]
fn an_attestation_of_an_earlier_version_counts() {
    let folder = unpacked();
    let place = folder.path();
    fs::copy(left(KEY), place.join("key.pub")).unwrap();
    let policy = "version = 1\n[[keys]]\nname = \"own\"\nfile = \"key.pub\"\nvalid-until = \"2099-01-01T00:00:00Z\"\n\
                  [[parties]]\nname = \"own\"\norganisation = \"Us\"\nkeys = [\"own\"]\n\
                  [[quorums]]\nsubject = \"*\"\nthreshold = 1\nindependent = [\"organisation\"]\n";
    fs::write(place.join("policy.toml"), policy).unwrap();
    let verify = |artifact: &str| {
        let mut command = rebuilder();
        command.args(["--offline", "verify", "--purl", "pkg:cargo/itoa@1.0.11"]);
        command
            .arg("--attestation")
            .arg(place.join("run/attestation.sigstore.json"));
        command.arg("--policy").arg(place.join("policy.toml"));
        command.arg(place.join(artifact)).output().unwrap()
    };
    let output = verify("run/rebuilt/itoa-1.0.11.crate");
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert_ne!(code(&verify("run/build.log")), 0, "it counts for any file");
}
