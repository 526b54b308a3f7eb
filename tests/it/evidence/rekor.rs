//! Envelopes with a certificate and without a log entry, as slsa-github-generator wrote them before 2.1.0, and the log's
//! entry as its interface gives it: brought by hand, in the same file, or asked for.

mod asked;

use std::fs;
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512};
use rebuilder::artifact::Sha256;
use serde_json::{Value, json};

use super::cosign::rekor_bundle;
use super::{COMMIT, REPOSITORY, Scene};
use crate::common::authority::{Authority, Signer};
use crate::common::{self, BIN, code, json, text};

/// An envelope of a generator, in one line; its certificate in PEM; and the bundle that says the same.
struct Made {
    envelope: String,
    certificate: String,
    bundle: Value,
}

fn made(scene: &Scene, signer: &Signer) -> Made {
    made_with(scene, signer, KeyPair::generate().unwrap())
}

fn made_with(scene: &Scene, signer: &Signer, key: KeyPair) -> Made {
    let certified = scene.authority.certify_key(key, signer);
    let payload = scene.statement().to_string();
    let kind = "application/vnd.in-toto+json";
    let bundle = scene
        .authority
        .sign_with(&certified, kind, payload.as_bytes(), |signature| signature);
    let der = bundle["verificationMaterial"]["certificate"]["rawBytes"].as_str();
    let der = STANDARD.decode(der.unwrap()).unwrap();
    let certificate = pem::encode(&pem::Pem::new("CERTIFICATE", der));
    let mut envelope = bundle["dsseEnvelope"].clone();
    envelope["signatures"][0]["keyid"] = json!("");
    envelope["signatures"][0]["cert"] = json!(certificate);
    Made {
        envelope: envelope.to_string(),
        certificate,
        bundle,
    }
}

fn hash(bytes: impl AsRef<[u8]>) -> Value {
    json!({"algorithm": "sha256", "value": Sha256::of(bytes).to_hex()})
}

impl Made {
    /// What the log keeps of an `intoto/0.0.1`: digests alone.
    fn body(&self) -> Value {
        let envelope: Value = serde_json::from_str(&self.envelope).unwrap();
        let payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
        json!({
            "apiVersion": "0.0.1", "kind": "intoto",
            "spec": {
                "content": {"hash": hash(&self.envelope), "payloadHash": hash(payload)},
                "publicKey": STANDARD.encode(&self.certificate)
            }
        })
    }

    /// The entry of an `intoto/0.0.1`, in the form of bundles.
    fn entry(&self, authority: &Authority) -> Value {
        authority.log(&self.body().to_string())
    }
}

/// An entry as the log answers it, by its id.
fn answered(entry: &Value) -> Value {
    let digits = |value: &Value| hex::encode(STANDARD.decode(value.as_str().unwrap()).unwrap());
    let number = |value: &Value| value.as_str().unwrap().parse::<u64>().unwrap();
    let mut verification = json!({
        "signedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
    });
    let proof = &entry["inclusionProof"];
    if proof.is_object() {
        verification["inclusionProof"] = json!({
            "checkpoint": proof["checkpoint"]["envelope"], "hashes": [], "logIndex": number(&proof["logIndex"]),
            "rootHash": digits(&proof["rootHash"]), "treeSize": number(&proof["treeSize"])
        });
    }
    json!({"24296fb24b8ad77a".to_owned() + &"5e".repeat(32): {
        "attestation": {"data": "e30="}, "body": entry["canonicalizedBody"],
        "integratedTime": number(&entry["integratedTime"]), "logID": digits(&entry["logId"]["keyId"]),
        "logIndex": number(&entry["logIndex"]), "verification": verification
    }})
}

/// The program with a store of its own, so that answers that are kept are the test's.
fn plain(scene: &Scene) -> Command {
    let mut command = Command::new(BIN);
    command.env_clear().env("HOME", common::home());
    command.arg("--store").arg(scene.path("store"));
    command
}

/// Inspects the tool with an envelope, and with what else lies in a file.
fn inspect(scene: &Scene, envelope: &str, answer: Option<&str>, more: &[&str]) -> Output {
    fs::write(scene.path("tool.intoto.jsonl"), envelope).unwrap();
    let mut command = plain(scene);
    command
        .arg("--json")
        .arg("inspect")
        .arg(scene.path("tool"))
        .arg("--trusted-root")
        .arg(scene.path("root.json"));
    command.arg("--provenance").arg(scene.path("tool.intoto.jsonl"));
    if let Some(answer) = answer {
        fs::write(scene.path("answer.json"), answer).unwrap();
        command.arg("--provenance").arg(scene.path("answer.json"));
    }
    command.args(more).output().unwrap()
}

fn workflow() -> Signer {
    Signer::workflow(REPOSITORY, COMMIT)
}

/// One row a line, so that it reads as a table.
#[allow(clippy::too_many_lines)]
#[rustfmt::skip]
#[apply(test)]
fn an_envelope_counts_with_the_logs_entry_about_it_and_no_other() {
    let scene = Scene::new();
    let own = made(&scene, &workflow());
    let other = made(&scene, &workflow());
    let late = made(
        &scene,
        &Signer {
            expired: true,
            ..workflow()
        },
    );
    let authority = &scene.authority;
    let entry = own.entry(authority);
    let changed = |place: &str, value: Value| {
        let mut entry = entry.clone();
        *entry.pointer_mut(place).unwrap() = value;
        answered(&entry)
    };
    let of_body = |place: &str, value: Value| {
        let mut body = own.body();
        *body.pointer_mut(place).unwrap() = value;
        answered(&authority.log(&body.to_string()))
    };
    let without = |member: &str| {
        let mut entry = entry.clone();
        entry.as_object_mut().unwrap().remove(member);
        answered(&entry)
    };
    let of_dsse = |made: &Made| answered(&made.bundle["verificationMaterial"]["tlogEntries"][0]);
    let good = answered(&entry);
    let stranger = answered(&own.entry(&Authority::new()));
    let other_proof = other.entry(authority)["inclusionProof"].clone();
    let (unlogged, unfit) = (
        "has no entry of the transparency log",
        "does not match the envelope",
    );
    let both = json!([changed("/integratedTime", json!("1735819201")), good.clone()]);
    for (what, envelope, answer, exit, standing, words) in [
        ("no entry", &own, None, 4, "unchecked", unlogged),
        ("its entry", &own, Some(good.clone()), 0, "verified", "came beside"),
        ("in a list", &own, Some(json!([good.clone()])), 0, "verified", "came beside"),
        ("of the type dsse", &own, Some(of_dsse(&own)), 0, "verified", "came beside"),
        ("beside a bad one", &own, Some(both), 0, "verified", "came beside"),
        ("of another envelope", &own, Some(answered(&other.entry(authority))), 4, "unchecked", unlogged),
        ("of another's signature", &own, Some(of_dsse(&other)), 4, "unchecked", unlogged),
        ("of another text", &own, Some(of_body("/spec/content/hash", hash("x"))), 4, "unchecked", unlogged),
        ("of another payload", &own, Some(of_body("/spec/content/payloadHash", hash("x"))), 4, "unchecked", unlogged),
        ("of another certificate", &own, Some(of_body( "/spec/publicKey", json!(STANDARD.encode(&other.certificate)), )), 3, "refuted", unfit),
        ("of another time", &own, Some(changed("/integratedTime", json!("1735819201"))), 3, "refuted", "inclusion promise"),
        ("with another proof", &own, Some(changed("/inclusionProof", other_proof)), 3, "refuted", "inclusion proof"),
        ("without a proof", &own, Some(without("inclusionProof")), 4, "unchecked", "no inclusion proof"),
        ("of a log that is not trusted", &own, Some(stranger), 4, "unchecked", "whose key the trusted root does not have"),
        ("after the certificate's time", &late, Some(answered(&late.entry(authority))), 3, "refuted", "certificate"),
        ("of another type", &own, Some(of_body("/kind", json!("rekord"))), 4, "unchecked", unlogged),
    ] {
        let answer = answer.map(|it| it.to_string());
        let output = inspect(&scene, &envelope.envelope, answer.as_deref(), &["--offline"]);
        assert_eq!(code(&output), exit, "{what}: {}", text(&output));
        let found = json(&output);
        assert_eq!(found["provenance"]["standing"], standing, "{what}");
        let told = found["provenance"].to_string();
        assert!(told.contains(words), "{what}: {told}");
        // An entry that is of nothing at hand is told, and proves nothing.
        let stray = answer.is_some() && words == unlogged;
        let other = found["other"].to_string();
        assert_eq!(
            other.contains("none of the given envelopes belongs to it"),
            stray,
            "{what}: {other}"
        );
    }
    // In one file, as lines: other readers ignore those that are no attestation.
    let lines = format!("{}\n{}\n", own.envelope, json!([good]));
    let output = inspect(&scene, &lines, None, &["--offline"]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    let changed = own.envelope.replacen("\"payload\":\"", "\"payload\":\"e30K", 1);
    let output = inspect(&scene, &changed, Some(&good.to_string()), &["--offline"]);
    assert_eq!(code(&output), 3, "{}", text(&output));
}

#[rustfmt::skip]
#[apply(test)]
fn keys_on_each_curve_stand_beside_an_envelope() {
    let scene = Scene::new();
    for kind in [&PKCS_ECDSA_P384_SHA384, &PKCS_ECDSA_P521_SHA512] {
        let own = made_with(&scene, &workflow(), KeyPair::generate_for(kind).unwrap());
        let output = inspect(&scene, &own.envelope, None, &["--offline"]);
        assert_eq!(code(&output), 4, "{}", text(&output));
        assert!(text(&output).contains("a trusted authority certified its key"), "{}", text(&output));
        let answer = answered(&own.entry(&scene.authority)).to_string();
        let output = inspect(&scene, &own.envelope, Some(&answer), &["--offline"]);
        assert_eq!(code(&output), 0, "{}", text(&output));
    }
}

/// Cosign kept the same entry with the log's promise alone, as it did for files.
#[rustfmt::skip]
#[apply(test)]
fn an_attestation_of_cosigns_first_versions_counts_with_the_logs_promise() {
    let scene = Scene::new();
    let own = made(&scene, &workflow());
    let other = made(&scene, &workflow());
    let mut envelope: Value = serde_json::from_str(&own.envelope).unwrap();
    envelope["signatures"][0].as_object_mut().unwrap().remove("cert");
    let signed = Made {
        envelope: envelope.to_string(),
        ..own
    };
    let entry = signed.entry(&scene.authority);
    let bundle = |entry: &Value, certificate: &str, envelope: &str| {
        json!({"base64Signature": STANDARD.encode(envelope), "cert": STANDARD.encode(certificate),
               "rekorBundle": rekor_bundle(entry)})
    };
    let mut late = entry.clone();
    late["integratedTime"] = json!("1735819201");
    let spaced = signed.envelope.replacen(':', ": ", 1);
    for (what, bundle, exit, standing) in [
        ("its entry", bundle(&entry, &signed.certificate, &signed.envelope), 0, "verified"),
        ("of another envelope", bundle(&other.entry(&scene.authority), &signed.certificate, &signed.envelope), 4, "unchecked"),
        ("of another text", bundle(&entry, &signed.certificate, &spaced), 4, "unchecked"),
        ("with another certificate", bundle(&entry, &other.certificate, &signed.envelope), 3, "refuted"),
        ("of another time", bundle(&late, &signed.certificate, &signed.envelope), 3, "refuted"),
    ] {
        let output = scene.inspect(bundle.to_string().as_bytes(), &[]);
        assert_eq!(code(&output), exit, "{what}: {}", text(&output));
        assert_eq!(json(&output)["provenance"]["standing"], standing, "{what}");
    }
}
