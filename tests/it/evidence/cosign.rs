//! What cosign writes: signatures of files, with key and with certificate, and its bundles of before Sigstore had any.

use std::fs;
use std::process::Output;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use serde_json::{Value, json};

use super::{COMMIT, REPOSITORY, Scene};
use crate::common::authority::Signer;
use crate::common::{code, json, rebuilder, text};

/// A key, and its public half in PEM.
pub fn key() -> (KeyPair, String) {
    let key = KeyPair::generate().unwrap();
    let public = pem::encode(&pem::Pem::new("PUBLIC KEY", key.subject_public_key_info()));
    (key, public)
}

/// A `--bundle` of cosign 1 and 2 that says what a Sigstore bundle says.
fn local_bundle(bundle: &Value) -> Value {
    let material = &bundle["verificationMaterial"];
    let der = STANDARD
        .decode(material["certificate"]["rawBytes"].as_str().unwrap())
        .unwrap();
    let certificate = pem::encode(&pem::Pem::new("CERTIFICATE", der));
    json!({
        "base64Signature": bundle["messageSignature"]["signature"],
        "cert": STANDARD.encode(certificate),
        "rekorBundle": rekor_bundle(&material["tlogEntries"][0]),
    })
}

/// A log's entry as cosign keeps it.
pub fn rekor_bundle(entry: &Value) -> Value {
    let id = STANDARD
        .decode(entry["logId"]["keyId"].as_str().unwrap())
        .unwrap();
    let number = |name: &str| entry[name].as_str().unwrap().parse::<u64>().unwrap();
    json!({
        "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
        "Payload": {
            "body": entry["canonicalizedBody"],
            "integratedTime": number("integratedTime"),
            "logIndex": number("logIndex"),
            "logID": hex::encode(id),
        },
    })
}

fn inspect(scene: &Scene, signatures: &[&str], arguments: &[&str]) -> Output {
    let mut command = rebuilder();
    command
        .args(["--json", "--offline", "inspect"])
        .arg(scene.path("tool"));
    for name in signatures {
        command.arg("--signature").arg(scene.path(name));
    }
    command.arg("--trusted-root").arg(scene.path("root.json"));
    command
        .current_dir(scene.folder.path())
        .args(arguments)
        .output()
        .unwrap()
}

// Long, as it is one table.
#[apply(test)]
fn a_signature_of_cosigns_counts_by_its_key_and_not_by_a_certificate_alone() {
    let scene = Scene::new();
    let (own, public) = key();
    let (_, other) = key();
    fs::write(scene.path("own.pub"), public).unwrap();
    fs::write(scene.path("other.pub"), other).unwrap();
    let sign = |bytes: &[u8]| STANDARD.encode(own.sign(bytes).unwrap());
    fs::write(scene.path("tool.sig"), sign(b"released")).unwrap();
    fs::write(scene.path("changed.sig"), format!("{}\n", sign(b"changed"))).unwrap();
    let signer = Signer::workflow(REPOSITORY, COMMIT);
    let bundle = scene.authority.sign_blob(b"released", &signer);
    let signature = bundle["messageSignature"]["signature"].as_str().unwrap();
    fs::write(scene.path("keyless.sig"), signature).unwrap();
    let local = local_bundle(&bundle);
    let encoded = local["cert"].as_str().unwrap().to_owned();
    fs::write(scene.path("keyless.pem"), STANDARD.decode(&encoded).unwrap()).unwrap();
    fs::write(scene.path("keyless.cert"), encoded).unwrap();
    for (signatures, arguments, exit, standing, words) in [
        (
            &["tool.sig"][..],
            &["--trusted-key", "own.pub"][..],
            0,
            "verified",
            "the signature is good",
        ),
        (&["tool.sig"], &[], 4, "unchecked", "no key was given"),
        (
            &["tool.sig"],
            &["--trusted-key", "other.pub"],
            3,
            "refuted",
            "none of the trusted keys",
        ),
        (
            &["changed.sig"],
            &["--trusted-key", "own.pub"],
            3,
            "refuted",
            "none of the trusted keys",
        ),
        (
            &["keyless.sig", "keyless.pem"],
            &[],
            4,
            "unchecked",
            "no log entry",
        ),
        (
            &["keyless.cert", "keyless.sig"],
            &[],
            4,
            "unchecked",
            "no log entry",
        ),
        (
            &["tool.sig", "keyless.pem"],
            &[],
            3,
            "refuted",
            "did not sign these bytes",
        ),
    ] {
        let output = inspect(&scene, signatures, arguments);
        assert_eq!(
            code(&output),
            exit,
            "{signatures:?} {arguments:?}: {}",
            text(&output)
        );
        let finding = &json(&output)["signature"];
        assert_eq!(finding["standing"], standing, "{signatures:?} {arguments:?}");
        assert!(finding.to_string().contains(words), "{signatures:?}: {finding}");
    }
    // A certificate that nothing belongs to is told, and is no signature.
    let output = inspect(&scene, &["keyless.pem"], &[]);
    assert_eq!(code(&output), 4);
    assert!(
        json(&output)["other"]
            .to_string()
            .contains("signs nothing by itself")
    );
}

// Long, as it is one table.
#[apply(test)]
fn a_bundle_of_the_old_form_is_worth_what_its_log_entry_proves() {
    let scene = Scene::new();
    let signer = Signer::workflow(REPOSITORY, COMMIT);
    let good = local_bundle(&scene.authority.sign_blob(b"released", &signer));
    let changed = |place: &str, value: Value| {
        let mut bundle = good.clone();
        *bundle.pointer_mut(place).unwrap() = value;
        bundle
    };
    let other = local_bundle(&scene.authority.sign_blob(b"changed", &signer));
    let (own, public) = key();
    fs::write(scene.path("own.pub"), &public).unwrap();
    let signature = STANDARD.encode(own.sign(b"released").unwrap());
    let entry = scene.authority.log_signature(b"released", &signature, &public);
    let keyed = json!({"base64Signature": signature, "rekorBundle": rekor_bundle(&entry)});
    let unlogged = json!({"base64Signature": good["base64Signature"], "cert": good["cert"]});
    let named = [
        "--identity",
        "https://github.com/example/tool/*",
        "--issuer",
        "https://token.actions.githubusercontent.com",
    ];
    let with_key = ["--trusted-key", "own.pub"];
    for (bundle, arguments, exit, standing) in [
        (good.clone(), &named[..], 0, "verified"),
        (good.clone(), &[], 4, "unchecked"),
        (
            changed("/rekorBundle/Payload/integratedTime", json!(1_735_776_001)),
            &named,
            3,
            "refuted",
        ),
        (
            changed("/base64Signature", other["base64Signature"].clone()),
            &named,
            3,
            "refuted",
        ),
        (changed("/cert", other["cert"].clone()), &named, 3, "refuted"),
        (
            changed("/rekorBundle", other["rekorBundle"].clone()),
            &named,
            3,
            "refuted",
        ),
        (other, &named, 3, "elsewhere"),
        (unlogged, &named, 4, "unchecked"),
        (keyed.clone(), &with_key, 0, "verified"),
        (keyed, &[], 4, "unchecked"),
    ] {
        fs::write(scene.path("tool.bundle"), bundle.to_string()).unwrap();
        let output = inspect(&scene, &["tool.bundle"], arguments);
        assert_eq!(code(&output), exit, "{bundle}: {}", text(&output));
        assert_eq!(json(&output)["signature"]["standing"], standing, "{bundle}");
    }
    // It lies beside the file under a usual name.
    fs::write(scene.path("tool.cosign.bundle"), good.to_string()).unwrap();
    fs::remove_file(scene.path("tool.bundle")).unwrap();
    let output = inspect(&scene, &[], &named);
    assert_eq!(code(&output), 0, "{}", text(&output));
    for (member, value) in [("payload", json!("")), ("Cert", json!("")), ("more", json!(1))] {
        let mut bundle = good.clone();
        bundle[member] = value;
        fs::write(scene.path("tool.bundle"), bundle.to_string()).unwrap();
        let output = inspect(&scene, &["tool.bundle"], &named);
        assert_eq!(code(&output), 2, "{member}: {}", text(&output));
    }
}
