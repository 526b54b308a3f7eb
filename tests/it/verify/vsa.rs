//! Summaries, held against what others ask of them: every check that `slsa-verifier verify-vsa` makes (as of aaf98fd) is a
//! row here, and the checks are held against that tool's own published summary first.
//!
//! The tool itself is a Go program, which cannot be installed everywhere that these tests run.

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

/// What a user of `verify-vsa` gives.
#[derive(Clone)]
pub(super) struct Expected {
    public: String,
    key_id: String,
    digests: Vec<String>,
    verifier: String,
    resource: String,
    levels: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    #[serde(default)]
    keyid: String,
    sig: String,
}

/// The types of `verifiers/internal/vsa/v1.0/vsa.go`: what does not fit them is refused.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    verifier: Verifier,
    #[serde(default, rename = "timeVerified")]
    _time_verified: Option<jiff::Timestamp>,
    resource_uri: String,
    #[serde(default, rename = "policy")]
    _policy: Material,
    #[serde(default, rename = "inputAttestations")]
    _input_attestations: Vec<Material>,
    verification_result: String,
    #[serde(default)]
    verified_levels: Vec<String>,
    #[serde(default, rename = "dependencyLevels")]
    _dependency_levels: Option<BTreeMap<String, i64>>,
    #[serde(default, rename = "slsaVersion")]
    _slsa_version: String,
}

#[derive(Deserialize)]
struct Verifier {
    #[serde(default)]
    id: String,
    #[serde(default, rename = "version")]
    _version: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
struct Material {
    #[serde(default, rename = "uri")]
    _uri: String,
    #[serde(default, rename = "digest")]
    _digest: BTreeMap<String, String>,
}

/// The levels of each SLSA track; a word with SLSA's prefix must be of one.
fn tracks(levels: &[String]) -> Result<BTreeMap<String, i64>, &'static str> {
    let mut tracks = BTreeMap::new();
    for level in levels.iter().filter(|level| level.starts_with("SLSA_")) {
        let parts: Vec<_> = level.splitn(4, '_').collect();
        let [_, track, "LEVEL", number] = parts[..] else {
            return Err("invalid SLSA level");
        };
        let number: i64 = number.parse().map_err(|_| "invalid SLSA level")?;
        let best = tracks.entry(track.to_owned()).or_insert(number);
        *best = number.max(*best);
    }
    Ok(tracks)
}

/// An ECDSA signature of r and s one after the other, as that tool reads it besides the form in ASN.1, which is given.
fn in_asn1(raw: &[u8]) -> Vec<u8> {
    let number = |bytes: &[u8]| {
        let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
        let mut number = bytes[start..].to_vec();
        if number.first().is_none_or(|first| *first >= 0x80) {
            number.insert(0, 0);
        }
        [&[2, u8::try_from(number.len()).unwrap()], &number[..]].concat()
    };
    let (r, s) = raw.split_at(raw.len() / 2);
    let both = [number(r), number(s)].concat();
    [&[0x30, u8::try_from(both.len()).unwrap()], &both[..]].concat()
}

/// `VerifyVSA`, check by check and in its order.
fn verify_vsa(bytes: &[u8], expected: &Expected) -> Result<(), &'static str> {
    let envelope: Envelope = serde_json::from_slice(bytes).map_err(|_| "invalid envelope")?;
    if envelope.payload_type != "application/vnd.in-toto+json" {
        return Err("payload type");
    }
    let payload = STANDARD
        .decode(&envelope.payload)
        .map_err(|_| "payload encoding")?;
    let der = pem::parse(&expected.public).map_err(|_| "public key")?;
    let key = PublicKey::from_spki("the key", der.contents()).map_err(|_| "public key")?;
    let message = [
        format!(
            "DSSEv1 {} {} {} ",
            envelope.payload_type.len(),
            envelope.payload_type,
            payload.len()
        )
        .as_bytes(),
        &payload,
    ]
    .concat();
    // A signature that names a key is only tried with that key; without a name given, the verifier makes one of its own.
    let is_its = |signature: &&Signature| signature.keyid.is_empty() || signature.keyid == expected.key_id;
    let signed = envelope.signatures.iter().filter(is_its).any(|signature| {
        let bytes = STANDARD.decode(&signature.sig).unwrap_or_default();
        key.verify(&message, &bytes) || key.verify(&message, &in_asn1(&bytes))
    });
    if !signed {
        return Err("no valid signature");
    }
    if payload.is_empty() {
        return Err("empty payload");
    }
    let statement: Value = serde_json::from_slice(&payload).map_err(|_| "invalid statement")?;
    let kinds = [
        "https://in-toto.io/Statement/v0.1",
        "https://in-toto.io/Statement/v1",
    ];
    if !kinds.iter().any(|kind| statement["_type"] == *kind) {
        return Err("statement type");
    }
    if statement["predicateType"] != "https://slsa.dev/verification_summary/v1" {
        return Err("predicate type");
    }
    let summary: Summary =
        serde_json::from_value(statement["predicate"].clone()).map_err(|_| "invalid predicate")?;
    if expected.digests.is_empty() {
        return Err("no subject digests provided");
    }
    for wanted in &expected.digests {
        let (algorithm, value) = wanted.split_once(':').ok_or("digest format")?;
        let subjects = statement["subject"].as_array().ok_or("no subject")?;
        if !subjects
            .iter()
            .any(|subject| subject["digest"][algorithm] == value)
        {
            return Err("missing subject digest");
        }
    }
    if summary.verifier.id.is_empty() || summary.verifier.id != expected.verifier {
        return Err("verifier id");
    }
    if summary.resource_uri.is_empty() || summary.resource_uri != expected.resource {
        return Err("resource uri");
    }
    if summary.verification_result != "PASSED" {
        return Err("result");
    }
    let (wanted, got) = (tracks(&expected.levels)?, tracks(&summary.verified_levels)?);
    for (track, least) in wanted {
        if got.get(&track).is_none_or(|level| *level < least) {
            return Err("SLSA level");
        }
    }
    let mut own = expected.levels.iter().filter(|level| !level.starts_with("SLSA_"));
    if own.any(|level| !summary.verified_levels.contains(level)) {
        return Err("verified level");
    }
    Ok(())
}

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
