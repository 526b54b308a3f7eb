//! Evidence by keys that nobody trusts, alone and beside that of a trusted one: it proves nothing, and refuses nothing.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use rebuilder::evidence::dsse::pre_authentication;
use serde::Serialize as _;
use serde_json::{Value, json};

use super::Scene;
use super::cosign::key;
use crate::common::{code, json, text};

const IN_TOTO: &str = "application/vnd.in-toto+json";

fn fingerprint(key: &KeyPair) -> String {
    rebuilder::artifact::Sha256::of(key.subject_public_key_info()).to_hex()
}

fn envelope(statement: &Value, key: &KeyPair, name: &str) -> Value {
    let payload = statement.to_string();
    let signature = key
        .sign(&pre_authentication(IN_TOTO, payload.as_bytes()))
        .unwrap();
    json!({"payloadType": IN_TOTO, "payload": STANDARD.encode(payload),
           "signatures": [{"keyid": name, "sig": STANDARD.encode(signature)}]})
}

fn bundle(envelope: &Value, hint: &str) -> Value {
    json!({"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
           "verificationMaterial": {"publicKey": {"hint": hint}}, "dsseEnvelope": envelope})
}

fn link(scene: &Scene, key: &KeyPair, name: &str) -> Value {
    let signed = json!({"_type": "link", "name": "build", "materials": {}, "command": [], "byproducts": {}, "environment": {},
                        "products": {"tool": {"sha256": scene.sha256}}});
    let mut message = Vec::new();
    let formatter = olpc_cjson::CanonicalFormatter::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut message, formatter);
    signed.serialize(&mut serializer).unwrap();
    json!({"signed": signed, "signatures": [{"keyid": name, "sig": hex::encode(key.sign(&message).unwrap())}]})
}

/// One row a line, so that it reads as a table.
#[rustfmt::skip]
#[apply(test)]
fn what_a_stranger_signed_is_unchecked_and_stands_in_nobodys_way() {
    let scene = Scene::new();
    let ((own, public), (other, _)) = (key(), key());
    fs::write(scene.path("own.pub"), public).unwrap();
    let trusted = scene.path("own.pub").display().to_string();
    let statement = scene.statement();
    let (own_name, other_name) = (fingerprint(&own), fingerprint(&other));
    let good = envelope(&statement, &own, &own_name);
    let foreign = envelope(&statement, &other, &other_name);
    let mut broken = statement.clone();
    broken["predicate"]["runDetails"] = json!({});
    let mut unreadable = statement.clone();
    unreadable["subject"] = json!("tool");
    let publish = json!({
        "_type": "https://in-toto.io/Statement/v1", "predicateType": "https://github.com/npm/attestation/tree/main/specs/publish/v0.1",
        "subject": [{"name": "pkg:npm/other@1.0", "digest": {"sha256": scene.sha256}}],
        "predicate": {"name": "tool", "version": "1.0", "registry": "https://registry.npmjs.org"},
    });
    let by_nobody = |mut signed: Value| {
        signed["signatures"] = json!([]);
        signed
    };
    let (unsigned, unsigned_link) = (by_nobody(good.clone()), by_nobody(link(&scene, &own, &own_name)));
    for (what, documents, exit, question, standing) in [
        ("an envelope that nobody signed", vec![unsigned.clone()], 4, "provenance", "unsigned"),
        ("an envelope that nobody signed, beside a good one", vec![good.clone(), unsigned.clone()], 0, "provenance", "verified"),
        ("a link that nobody signed", vec![unsigned_link.clone()], 4, "other", "unsigned"),
        ("a link that nobody signed, beside a good envelope", vec![good.clone(), unsigned_link], 0, "provenance", "verified"),
        ("malformed provenance that nobody signed", vec![by_nobody(envelope(&broken, &own, &own_name))], 4, "provenance", "unsigned"),
        ("an envelope", vec![foreign.clone()], 4, "provenance", "unchecked"),
        ("an envelope that poses as one of the key", vec![envelope(&statement, &other, &own_name)], 3, "provenance", "refuted"),
        ("an envelope that names no key", vec![envelope(&statement, &other, "")], 3, "provenance", "refuted"),
        ("a good one that names no key", vec![envelope(&statement, &own, "")], 0, "provenance", "verified"),
        ("a good one under another name", vec![envelope(&statement, &own, "mine")], 0, "provenance", "verified"),
        ("beside a good one", vec![foreign.clone(), good.clone()], 0, "provenance", "verified"),
        ("behind a good one", vec![good.clone(), foreign.clone()], 0, "provenance", "verified"),
        ("one that poses beside a good one", vec![good.clone(), envelope(&statement, &other, &own_name)], 3, "provenance", "refuted"),
        ("a bundle", vec![bundle(&foreign, &other_name)], 4, "provenance", "unchecked"),
        ("a bundle that poses", vec![bundle(&envelope(&statement, &other, &own_name), &own_name)], 3, "provenance", "refuted"),
        ("a bundle without a name", vec![bundle(&envelope(&statement, &other, ""), "")], 3, "provenance", "refuted"),
        ("a good bundle under another name", vec![bundle(&good, "mine")], 0, "provenance", "verified"),
        ("provenance that is malformed", vec![envelope(&broken, &other, &other_name)], 4, "provenance", "unchecked"),
        ("its own provenance that is malformed", vec![envelope(&broken, &own, &own_name)], 3, "provenance", "refuted"),
        ("provenance that is malformed, unsigned", vec![broken.clone()], 4, "provenance", "unsigned"),
        ("a statement that is malformed", vec![envelope(&unreadable, &other, &other_name)], 4, "provenance", "unchecked"),
        ("its own statement that is malformed", vec![envelope(&unreadable, &own, &own_name)], 3, "provenance", "refuted"),
        ("a publication that contradicts itself", vec![envelope(&publish, &other, &other_name)], 4, "signature", "unchecked"),
        ("its own publication that contradicts itself", vec![envelope(&publish, &own, &own_name)], 3, "signature", "refuted"),
        ("a link", vec![link(&scene, &other, &other_name)], 4, "other", "unchecked"),
        ("a link that poses", vec![link(&scene, &other, &own_name)], 3, "other", "refuted"),
        ("a link beside a good envelope", vec![good.clone(), link(&scene, &other, &other_name)], 0, "provenance", "verified"),
    ] {
        let lines: Vec<String> = documents.iter().map(Value::to_string).collect();
        let output = scene.inspect(lines.join("\n").as_bytes(), &["--trusted-key", &trusted]);
        assert_eq!(code(&output), exit, "{what}: {}", text(&output));
        assert_eq!(json(&output)[question]["standing"], standing, "{what}: {}", text(&output));
    }
}

/// What would not be looked at is not taken for trusted, and what would be ignored is refused.
#[apply(test)]
fn a_key_file_has_one_key_and_a_threshold_is_at_least_one() {
    let scene = Scene::new();
    let ((own, public), (_, other)) = (key(), key());
    fs::write(scene.path("own.pub"), &public).unwrap();
    fs::write(scene.path("both.pub"), format!("{other}{public}")).unwrap();
    let good = envelope(&scene.statement(), &own, "").to_string();
    for (file, threshold, exit, words) in [
        ("own.pub", "1", 0, "verified"),
        ("both.pub", "1", 2, "it has 2 keys, and only one is allowed"),
        ("own.pub", "0", 2, "it must be at least 1"),
    ] {
        let file = scene.path(file).display().to_string();
        let arguments = ["--trusted-key", &file, "--threshold", threshold];
        let output = scene.inspect(good.as_bytes(), &arguments);
        assert_eq!(code(&output), exit, "{file} {threshold}: {}", text(&output));
        assert!(
            text(&output).contains(words),
            "{file} {threshold}: {}",
            text(&output)
        );
    }
}
