//! Summaries, held against what others ask of them: every check that `slsa-verifier verify-vsa` makes (as of aaf98fd) is a
//! row here, and the checks are held against that tool's own published summary first.
//!
//! The tool itself is a Go program, which cannot be installed everywhere that these tests run.

mod verifier;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::common::{code, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rebuilder::attest::{Algorithm, FileKey, Signer as _};
use rebuilder::evidence::trust::PublicKey;
use serde::Deserialize;
use serde_json::{Value, json};

use super::statements::{digest, rebuild, released, same, with};
use super::{Scene, TWO};
use verifier::Envelope;
pub(crate) use verifier::verify_vsa;

/// What a user of `verify-vsa` gives.
#[derive(Clone)]
pub(crate) struct Expected {
    pub(crate) public: String,
    pub(crate) key_id: String,
    pub(crate) digests: Vec<String>,
    pub(crate) verifier: String,
    pub(crate) resource: String,
    pub(crate) levels: Vec<String>,
}

// Long, as it is one table.
#[apply(test)]
fn the_checks_are_those_of_slsa_verifier() {
    let bytes = include_bytes!("slsa-verifier/gke-gce-pre.bcid-vsa.jsonl");
    let given = Expected {
        public: include_str!("slsa-verifier/vsa_signing_public_key.pem").to_owned(),
        key_id: "keystore://76574:prod:vsa_signing_public_key".into(),
        digests: vec!["gce_image_id:8970095005306000053".into()],
        verifier: "https://bcid.corp.google.com/verifier/bcid_package_enforcer/v0.1".into(),
        resource: "gce_image://gke-node-images:gke-12615-gke1418000-cos-101-17162-463-29-c-cgpv1-pre".into(),
        levels: vec!["BCID_L1".into(), "SLSA_BUILD_LEVEL_2".into()],
    };
    let with = |change: fn(&mut Expected)| {
        let mut changed = given.clone();
        change(&mut changed);
        changed
    };
    // The first three rows are those of its own test of the command, the others of its test of the library.
    for (what, expected, outcome) in [
        ("as published", given.clone(), Ok(())),
        (
            "no key id",
            with(|it| it.key_id.clear()),
            Err("no valid signature"),
        ),
        (
            "another key id",
            with(|it| it.key_id = "my_key_id".into()),
            Err("no valid signature"),
        ),
        (
            "no digest",
            with(|it| it.digests.clear()),
            Err("no subject digests provided"),
        ),
        (
            "another digest",
            with(|it| it.digests = vec!["gce_image_id:1".into()]),
            Err("missing subject digest"),
        ),
        (
            "another verifier",
            with(|it| it.verifier = "x".into()),
            Err("verifier id"),
        ),
        (
            "another resource",
            with(|it| it.resource = "x".into()),
            Err("resource uri"),
        ),
        (
            "a lower level",
            with(|it| it.levels = vec!["SLSA_BUILD_LEVEL_1".into()]),
            Ok(()),
        ),
        (
            "a higher level",
            with(|it| it.levels = vec!["SLSA_BUILD_LEVEL_3".into()]),
            Err("SLSA level"),
        ),
        (
            "another track",
            with(|it| it.levels = vec!["SLSA_SOURCE_LEVEL_1".into()]),
            Err("SLSA level"),
        ),
        (
            "another word",
            with(|it| it.levels = vec!["BCID_L2".into()]),
            Err("verified level"),
        ),
        ("no level", with(|it| it.levels.clear()), Ok(())),
    ] {
        assert_eq!(verify_vsa(bytes, &expected), outcome, "{what}");
    }
}

/// A scene in which two parties agree, and what a reader of its summary expects.
pub(super) fn agreed(form: &[&str]) -> (Vec<u8>, Expected, FileKey) {
    let mut scene = Scene::new(TWO);
    scene.say("alice", &same("alice"));
    scene.say("bob", &same("bob"));
    // They also rebuilt one of the three packages that they name.
    let dependency = |builder: &str| {
        let statement = rebuild(builder, &digest(b"libc6"));
        let statement = with(
            statement,
            "/predicate/buildDefinition/resolvedDependencies",
            json!([]),
        );
        with(statement, "/subject/0/name", json!("libc6_2.36_amd64.deb"))
    };
    scene.say("alice", &dependency("alice"));
    scene.say("bob", &dependency("bob"));
    let (file, key) = (scene.path("summary"), scene.path("watcher.pem"));
    let made = FileKey::generate(Algorithm::P256, Path::new(&key), None).unwrap();
    let arguments = [
        &["--purl", "pkg:generic/app@1.0", "--summary", &file, "--key", &key],
        &["--builder-id", "https://verifier.example"][..],
        form,
    ];
    let output = scene.verify(&arguments.concat());
    assert_eq!(code(&output), 0, "{}", text(&output));
    let expected = Expected {
        public: made.public_key().pem(),
        key_id: made.public_key().fingerprint().to_hex(),
        digests: vec![format!("sha256:{}", released())],
        verifier: "https://verifier.example".into(),
        resource: "pkg:generic/app@1.0".into(),
        levels: vec!["REBUILD_QUORUM_2".into()],
    };
    (fs::read(&file).unwrap(), expected, made)
}

fn statement(envelope: &[u8]) -> Value {
    let envelope: Envelope = serde_json::from_slice(envelope).unwrap();
    serde_json::from_slice(&STANDARD.decode(envelope.payload).unwrap()).unwrap()
}

// Long, as it is one table.
#[apply(test)]
fn slsa_verifier_takes_our_summary_for_exactly_what_it_says() {
    let (bytes, given, key) = agreed(&["--format", "dsse", "--slsa-version", "1.0"]);
    let ours = statement(&bytes);
    let signed = |statement: &Value| {
        let bundle = key.bundle(&serde_json::to_vec(statement).unwrap()).unwrap();
        bundle["dsseEnvelope"].to_string().into_bytes()
    };
    let changed = |pointer: &str, value: Value| signed(&with(ours.clone(), pointer, value));
    let envelope = |member: &str, value: Value| {
        let mut envelope: Value = serde_json::from_slice(&bytes).unwrap();
        envelope[member] = value;
        envelope.to_string().into_bytes()
    };
    let other = FileKey::generate(
        Algorithm::P256,
        &tempfile::tempdir().unwrap().path().join("k"),
        None,
    )
    .unwrap();
    let asked = |change: fn(&mut Expected)| {
        let mut changed = given.clone();
        change(&mut changed);
        changed
    };
    let stranger = Expected {
        public: other.public_key().pem(),
        ..given.clone()
    };
    let as_bundle = agreed(&["--slsa-version", "1.0"]).0;
    let flipped = envelope("payload", json!(STANDARD.encode(format!("{ours} "))));
    let predicate = "/predicate/verificationResult";
    for (what, bytes, expected, outcome) in [
        ("as we write it", bytes.clone(), given.clone(), Ok(())),
        (
            "a Sigstore bundle",
            as_bundle,
            given.clone(),
            Err("invalid envelope"),
        ),
        (
            "another payload type",
            envelope("payloadType", json!("text/plain")),
            given.clone(),
            Err("payload type"),
        ),
        (
            "another payload",
            flipped,
            given.clone(),
            Err("no valid signature"),
        ),
        (
            "a stranger's key",
            bytes.clone(),
            stranger,
            Err("no valid signature"),
        ),
        (
            "no key id",
            bytes.clone(),
            asked(|it| it.key_id.clear()),
            Err("no valid signature"),
        ),
        (
            "another statement type",
            changed("/_type", json!("x")),
            given.clone(),
            Err("statement type"),
        ),
        (
            "another predicate",
            changed("/predicateType", json!("x")),
            given.clone(),
            Err("predicate type"),
        ),
        (
            "a level that is no number",
            changed("/predicate/dependencyLevels", json!({"A": "1"})),
            given.clone(),
            Err("invalid predicate"),
        ),
        (
            "no digest asked for",
            bytes.clone(),
            asked(|it| it.digests.clear()),
            Err("no subject digests provided"),
        ),
        (
            "another digest",
            bytes.clone(),
            asked(|it| it.digests = vec!["sha256:00".into()]),
            Err("missing subject digest"),
        ),
        (
            "another verifier",
            bytes.clone(),
            asked(|it| it.verifier = "x".into()),
            Err("verifier id"),
        ),
        (
            "no verifier",
            changed("/predicate/verifier/id", json!("")),
            asked(|it| it.verifier.clear()),
            Err("verifier id"),
        ),
        (
            "another resource",
            bytes.clone(),
            asked(|it| it.resource = "x".into()),
            Err("resource uri"),
        ),
        (
            "a failure",
            changed(predicate, json!("FAILED")),
            given.clone(),
            Err("result"),
        ),
        (
            "a higher quorum",
            bytes.clone(),
            asked(|it| it.levels = vec!["REBUILD_QUORUM_3".into()]),
            Err("verified level"),
        ),
        (
            "a level of a builder",
            bytes.clone(),
            asked(|it| it.levels = vec!["SLSA_BUILD_LEVEL_1".into()]),
            Err("SLSA level"),
        ),
    ] {
        assert_eq!(verify_vsa(&bytes, &expected), outcome, "{what}");
    }
}

#[apply(test)]
fn slsas_word_for_a_rebuild_is_there_and_the_dependencies_are_counted() {
    let (bytes, given, _) = agreed(&["--format", "dsse"]);
    let predicate = &statement(&bytes)["predicate"];
    assert_eq!(predicate["slsaVersion"], "1.2");
    assert_eq!(
        predicate["verifiedLevels"],
        json!(["SLSA_BUILD_REPRODUCED", "REBUILD_QUORUM_2"])
    );
    assert_eq!(
        predicate["dependencyLevels"],
        json!({"SLSA_BUILD_REPRODUCED": 1, "SLSA_BUILD_LEVEL_UNEVALUATED": 2})
    );
    // That tool does not know verified properties yet, and refuses the whole summary: docs/verify.md says so.
    assert_eq!(verify_vsa(&bytes, &given), Err("invalid SLSA level"));
    let (bytes, given, _) = agreed(&["--format", "dsse", "--slsa-version", "1.0"]);
    let predicate = &statement(&bytes)["predicate"];
    assert_eq!(predicate["verifiedLevels"], json!(["REBUILD_QUORUM_2"]));
    assert_eq!(
        predicate["dependencyLevels"],
        json!({"REBUILD_QUORUM_2": 1, "SLSA_BUILD_LEVEL_UNEVALUATED": 2})
    );
    assert_eq!(verify_vsa(&bytes, &given), Ok(()));
}
