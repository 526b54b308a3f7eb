//! Keys on each curve, in both forms of their signatures, certified and in the log.

use std::fs;

use crate::common::authority::Signer;
use crate::common::{code, json, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, SigningKey as _,
};
use serde_json::{Value, json};

use super::{COMMIT, REPOSITORY, Scene};

/// A bundle over a statement about the file.
fn over_statement(scene: &Scene, key: KeyPair, side_by_side: Option<usize>) -> Value {
    let signer = Signer::workflow(REPOSITORY, COMMIT);
    let certified = scene.authority.certify_key(key, &signer);
    let payload = scene.statement().to_string();
    let kind = "application/vnd.in-toto+json";
    scene.authority.sign_with(
        &certified,
        kind,
        payload.as_bytes(),
        |signature| match side_by_side {
            Some(size) => plain(&signature, size),
            None => signature,
        },
    )
}

/// A bundle over a file: its digest named or not, a key on any curve, the signature in one of two forms.
fn over_file(
    scene: &Scene,
    key: KeyPair,
    algorithm: &str,
    named: bool,
    side_by_side: Option<usize>,
) -> Value {
    use aws_lc_rs::digest;
    let signer = Signer::workflow(REPOSITORY, COMMIT);
    let (key, certificate) = scene.authority.certify_key(key, &signer);
    let hash = match algorithm {
        "sha384" => &digest::SHA384,
        "sha512" => &digest::SHA512,
        _ => &digest::SHA256,
    };
    let digest = digest::digest(hash, b"released");
    let mut signature = key.sign(b"released").unwrap();
    if let Some(size) = side_by_side {
        signature = plain(&signature, size);
    }
    let verifier = pem::encode(&pem::Pem::new("CERTIFICATE", certificate.clone()));
    let body = json!({
        "apiVersion": "0.0.1", "kind": "hashedrekord",
        "spec": {
            "data": {"hash": {"algorithm": algorithm, "value": hex::encode(digest.as_ref())}},
            "signature": {"content": STANDARD.encode(&signature), "publicKey": {"content": STANDARD.encode(verifier)}}
        }
    });
    let mut message = json!({"signature": STANDARD.encode(&signature)});
    if named {
        let name = algorithm.replace("sha", "SHA2_");
        message["messageDigest"] = json!({"algorithm": name, "digest": STANDARD.encode(digest.as_ref())});
    }
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {
            "certificate": {"rawBytes": STANDARD.encode(certificate)},
            "tlogEntries": [scene.authority.log(&body.to_string())]
        },
        "messageSignature": message
    })
}

/// r and s of a signature in DER, side by side.
fn plain(der: &[u8], size: usize) -> Vec<u8> {
    let at = if der[1] & 0x80 == 0 { 2 } else { 3 };
    let first = usize::from(der[at + 1]);
    let (r, rest) = der[at + 2..].split_at(first);
    let number = |bytes: &[u8]| {
        let digits: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        [vec![0; size - digits.len()], digits].concat()
    };
    [number(r), number(&rest[2..])].concat()
}

#[apply(test)]
fn keys_on_each_curve_sign_files_and_statements() {
    let scene = Scene::new();
    let signer = Signer::workflow(REPOSITORY, COMMIT);
    let named = ["--identity", &signer.identity, "--issuer", &signer.issuer];
    for (name, kind, algorithm, size) in [
        ("P-256", &PKCS_ECDSA_P256_SHA256, "sha256", 32),
        ("P-384", &PKCS_ECDSA_P384_SHA384, "sha384", 48),
        ("P-521", &PKCS_ECDSA_P521_SHA512, "sha512", 66),
    ] {
        for side_by_side in [None, Some(size)] {
            let key = || KeyPair::generate_for(kind).unwrap();
            let file = || over_file(&scene, key(), algorithm, true, side_by_side);
            let statement = || over_statement(&scene, key(), side_by_side);
            let of_file = (file(), file(), "signature", "/messageSignature/signature");
            let of_statement = (
                statement(),
                statement(),
                "provenance",
                "/dsseEnvelope/signatures/0/sig",
            );
            for (good, other, question, signature) in [of_file, of_statement] {
                let output = scene.inspect(good.to_string().as_bytes(), &named);
                assert_eq!(
                    code(&output),
                    0,
                    "{name} {side_by_side:?} {question}: {}",
                    text(&output)
                );
                assert_eq!(json(&output)[question]["standing"], "verified", "{name}");

                let mut swapped = good.clone();
                *swapped.pointer_mut(signature).unwrap() = other.pointer(signature).unwrap().clone();
                let mut entry = good.clone();
                entry["verificationMaterial"]["tlogEntries"] =
                    other["verificationMaterial"]["tlogEntries"].clone();
                let mut certificate = good.clone();
                certificate["verificationMaterial"]["certificate"] =
                    other["verificationMaterial"]["certificate"].clone();
                let mut time = good.clone();
                time["verificationMaterial"]["tlogEntries"][0]["integratedTime"] = json!("1735819201");
                let mut head = good.clone();
                let promise = &mut head["verificationMaterial"]["tlogEntries"][0]["inclusionProof"];
                promise["checkpoint"] =
                    other["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]["checkpoint"].clone();
                for (what, bundle) in [
                    ("the signature", swapped),
                    ("the entry", entry),
                    ("the certificate", certificate),
                    ("the time", time),
                    ("the checkpoint", head),
                ] {
                    let output = scene.inspect(bundle.to_string().as_bytes(), &named);
                    assert_eq!(
                        code(&output),
                        3,
                        "{name} {side_by_side:?}, {what} of another: {}",
                        text(&output)
                    );
                }
            }
        }
    }
}

/// The same without some members of its log entry, in the first form of bundles, which does not ask for a proof.
fn without(bundle: &Value, members: &[&str]) -> Value {
    let mut bundle = bundle.clone();
    bundle["mediaType"] = json!("application/vnd.dev.sigstore.bundle+json;version=0.1");
    let material = bundle["verificationMaterial"].as_object_mut().unwrap();
    let certificate = material.remove("certificate").unwrap();
    material.insert(
        "x509CertificateChain".into(),
        json!({"certificates": [certificate]}),
    );
    let entry = material["tlogEntries"][0].as_object_mut().unwrap();
    entry.retain(|name, _| !members.contains(&name.as_str()));
    bundle
}

#[apply(test)]
fn what_an_old_bundle_lacks_speaks_against_nothing() {
    let scene = Scene::new();
    let signer = Signer::workflow(REPOSITORY, COMMIT);
    let named = ["--identity", &signer.identity, "--issuer", &signer.issuer];
    for (kind, algorithm, promised) in [
        (&PKCS_ECDSA_P256_SHA256, "sha256", 0),
        (&PKCS_ECDSA_P384_SHA384, "sha384", 4),
        (&PKCS_ECDSA_P521_SHA512, "sha512", 4),
    ] {
        let good = || {
            over_file(
                &scene,
                KeyPair::generate_for(kind).unwrap(),
                algorithm,
                true,
                None,
            )
        };
        let (good, other) = (good(), good());
        let swapped = |place: &str| {
            let mut bundle = good.clone();
            *bundle.pointer_mut(place).unwrap() = other.pointer(place).unwrap().clone();
            without(&bundle, &["inclusionProof"])
        };
        for (what, bundle, expected) in [
            ("all of it", without(&good, &[]), 0),
            ("without a proof", without(&good, &["inclusionProof"]), promised),
            ("without a promise", without(&good, &["inclusionPromise"]), 4),
            (
                "the signature of another",
                swapped("/messageSignature/signature"),
                3,
            ),
            (
                "the entry of another",
                swapped("/verificationMaterial/tlogEntries"),
                3,
            ),
        ] {
            let output = scene.inspect(bundle.to_string().as_bytes(), &named);
            assert_eq!(code(&output), expected, "{algorithm}, {what}: {}", text(&output));
            let standing = &json(&output)["signature"]["standing"];
            let word = match expected {
                0 => "verified",
                3 => "refuted",
                _ => "unchecked",
            };
            assert_eq!(standing, word, "{algorithm}, {what}");
        }
    }
}

#[apply(test)]
fn a_signature_that_does_not_name_its_file_is_verified_with_the_file() {
    let scene = Scene::new();
    let signer = Signer::workflow(REPOSITORY, COMMIT);
    let named = ["--identity", &signer.identity, "--issuer", &signer.issuer];
    let key = KeyPair::generate().unwrap();
    let unnamed = over_file(&scene, key, "sha256", false, None);
    let output = scene.inspect(unnamed.to_string().as_bytes(), &named);
    assert_eq!(code(&output), 0, "{}", text(&output));
    fs::write(scene.path("tool"), "another").unwrap();
    let output = scene.inspect(unnamed.to_string().as_bytes(), &named);
    assert_eq!(code(&output), 3, "{}", text(&output));
}
