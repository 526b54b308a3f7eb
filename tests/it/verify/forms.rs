//! Forms in which statements come: kinds of keys and of signatures, types of payloads, links and layouts in envelopes,
//! several statements in one file. Each row is signed with keys made here.

use std::fs;

use crate::common::{code, json, text};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING,
    ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rebuilder::evidence::dsse::pre_authentication;
use serde_json::{Value, json};

use super::statements::{about, digest, other, same};
use super::{NAME, RELEASED, Scene, TWO, policy};

const IN_TOTO: &str = "application/vnd.in-toto+json";

/// A key on a curve, which signs in one of two forms.
struct Curve(EcdsaKeyPair);

impl Curve {
    fn new(algorithm: &'static EcdsaSigningAlgorithm) -> Self {
        Self(EcdsaKeyPair::generate(algorithm).unwrap())
    }

    fn public(&self) -> String {
        let der = self.0.public_key().as_der().unwrap();
        pem::encode(&pem::Pem::new("PUBLIC KEY", der.as_ref()))
    }

    fn envelope(&self, kind: &str, payload: &[u8]) -> Value {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let message = pre_authentication(kind, payload);
        let signature = self.0.sign(&random, &message).unwrap();
        json!({
            "payloadType": kind, "payload": STANDARD.encode(payload),
            "signatures": [{"keyid": "", "sig": STANDARD.encode(signature.as_ref())}]
        })
    }

    fn says(&self, statement: &Value) -> Value {
        self.envelope(IN_TOTO, statement.to_string().as_bytes())
    }
}

/// What is expected of a file of a party that is asked beside alice.
struct Row {
    name: &'static str,
    file: String,
    verdict: &'static str,
    aside: &'static [&'static str],
}

fn link(step: &str, bytes: &[u8]) -> Vec<u8> {
    json!({
        "_type": "link", "name": step, "command": [], "byproducts": {}, "environment": {},
        "materials": {"app_1.0.dsc": {"sha256": digest(b"source")}},
        "products": {NAME: {"sha256": digest(bytes)}}
    })
    .to_string()
    .into_bytes()
}

fn tampered(mut envelope: Value, payload: &Value) -> Value {
    envelope["payload"] = json!(STANDARD.encode(payload.to_string()));
    envelope
}

fn witness(mut envelope: Value) -> Value {
    envelope["signatures"][0]["certificate"] = json!("Y2VydGlmaWNhdGU=");
    envelope["signatures"][0]["intermediates"] = json!([]);
    envelope["signatures"][0]["timestamps"] = json!([]);
    envelope
}

#[rustfmt::skip]
fn rows(key: &Curve, stranger: &Curve) -> Vec<Row> {
    let row = |name, file: String, verdict, aside| Row { name, file, verdict, aside };
    let (own, evil) = (same("bob"), other("bob", b"evil"));
    let good = key.says(&own);
    let foreign = key.says(&about(same("bob"), &[("other.tar.gz", digest(b"x"))]));
    vec![
        row("an envelope", good.to_string(), "agreed", &[]),
        row("the payload changed", tampered(good.clone(), &same("carol")).to_string(), "not-enough", &["unknown-signer"]),
        row("another key", stranger.says(&own).to_string(), "not-enough", &["unknown-signer"]),
        row("a type that names the predicate", key.envelope("application/vnd.in-toto.provenance+json", own.to_string().as_bytes()).to_string(), "agreed", &[]),
        row("a type that names it wrongly", key.envelope("application/vnd.in-toto.vsa+json", own.to_string().as_bytes()).to_string(), "agreed", &[]),
        row("a type of another program", key.envelope("application/vnd.novulz+cbor", own.to_string().as_bytes()).to_string(), "not-enough", &["no-build"]),
        row("a type without a hint", key.envelope("application/vnd.in-toto.+json", own.to_string().as_bytes()).to_string(), "not-enough", &["no-build"]),
        row("the type changed", { let mut it = good.clone(); it["payloadType"] = json!("application/vnd.in-toto.provenance+json"); it.to_string() }, "not-enough", &["unknown-signer"]),
        row("rebuilderd's link in an envelope", key.envelope(IN_TOTO, &link(&format!("rebuild {NAME}"), RELEASED)).to_string(), "agreed", &[]),
        row("its link of other bytes", key.envelope(IN_TOTO, &link(&format!("rebuild {NAME}"), b"evil")).to_string(), "disagreed", &[]),
        row("the link of another step", key.envelope(IN_TOTO, &link("package", RELEASED)).to_string(), "not-enough", &["other-role"]),
        row("a layout", key.envelope(IN_TOTO, br#"{"_type":"layout","steps":[],"inspect":[]}"#).to_string(), "not-enough", &["no-build"]),
        row("witness's policy", witness(key.envelope("https://witness.testifysec.com/policy/v0.1", b"{}")).to_string(), "not-enough", &["no-build"]),
        row("witness's envelope around a rebuild", witness(good.clone()).to_string(), "agreed", &[]),
        row("a statement about another file before", format!("{foreign}\n{good}\n"), "agreed", &["wrong-subject"]),
        row("lines that are no attestation", format!("{good}\n# a comment\n{{\"a\":1}}\n\n{{\"payloadType\":\n"), "agreed", &["unreadable"]),
        row("a first line that is none", format!("not JSON\n{good}\n"), "agreed", &["unreadable"]),
        row("another's statement, ours and a denial", format!("{}\n{good}\n{}\n", stranger.says(&own), key.says(&evil)), "disagreed", &["unknown-signer"]),
        row("a statement about another file alone", foreign.to_string(), "not-enough", &["wrong-subject"]),
        row("no attestation in any line", "{\"a\":1}\n{\"b\":2}\n".to_owned(), "not-enough", &["unreadable"]),
    ]
}

#[apply(test)]
fn each_form_is_read_as_its_specification_says() {
    let (key, stranger) = (
        Curve::new(&ECDSA_P256_SHA256_ASN1_SIGNING),
        Curve::new(&ECDSA_P256_SHA256_ASN1_SIGNING),
    );
    let mut scene = Scene::new("");
    scene.say("alice", &same("alice"));
    trust(&scene, &key);
    let mut wrong = Vec::new();
    for row in rows(&key, &stranger) {
        fs::write(scene.said().join("other.intoto.jsonl"), &row.file).unwrap();
        let output = scene.verify(&["--json"]);
        let found = json(&output);
        let aside: Vec<_> = found["set_aside"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["reason"].as_str().unwrap().to_owned())
            .collect();
        if found["verdict"] != row.verdict || aside != row.aside {
            wrong.push(format!("{}: {aside:?} {}", row.name, text(&output)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A policy that trusts a key as that of another rebuilder.
fn trust(scene: &Scene, key: &Curve) {
    let text = format!(
        "{}\n[[keys]]\nname = \"curve\"\ntext = \"\"\"\n{}\"\"\"\n[[parties]]\nname = \"curve\"\nkeys = [\"curve\"]\n[[quorums]]\nsubject = \"*\"\n{TWO}",
        policy(),
        key.public()
    );
    fs::write(scene.path("policy.toml"), text).unwrap();
}

#[apply(test)]
fn keys_on_each_curve_count_in_both_forms_of_their_signatures() {
    let mut scene = Scene::new("");
    scene.say("alice", &same("alice"));
    let file = scene.said().join("curve.json");
    for (name, algorithm) in [
        ("P-256", &ECDSA_P256_SHA256_ASN1_SIGNING),
        ("P-256, r and s", &ECDSA_P256_SHA256_FIXED_SIGNING),
        ("P-384", &ECDSA_P384_SHA384_ASN1_SIGNING),
        ("P-384, r and s", &ECDSA_P384_SHA384_FIXED_SIGNING),
        ("P-521", &ECDSA_P521_SHA512_ASN1_SIGNING),
        ("P-521, r and s", &ECDSA_P521_SHA512_FIXED_SIGNING),
    ] {
        let key = Curve::new(algorithm);
        trust(&scene, &key);
        let envelope = key.says(&same("bob"));
        let bundle = json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"publicKey": {"hint": ""}, "tlogEntries": []},
            "dsseEnvelope": envelope
        });
        for document in [&envelope, &bundle] {
            fs::write(&file, document.to_string()).unwrap();
            let output = scene.verify(&["--json"]);
            assert_eq!(code(&output), 0, "{name}: {}", text(&output));
        }
        let changed = tampered(envelope.clone(), &same("carol"));
        let other = Curve::new(algorithm).says(&same("bob"));
        let mut short = envelope;
        let signature = STANDARD
            .decode(short["signatures"][0]["sig"].as_str().unwrap())
            .unwrap();
        short["signatures"][0]["sig"] = json!(STANDARD.encode(&signature[..signature.len() - 1]));
        for (what, document) in [("changed", changed), ("another key", other), ("cut short", short)] {
            fs::write(&file, document.to_string()).unwrap();
            let output = scene.verify(&["--json"]);
            assert_eq!(code(&output), 4, "{name} {what}: {}", text(&output));
        }
    }
}
