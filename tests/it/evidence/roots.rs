//! What a trusted root can check, and what is said of that which it cannot.

use std::fs;

use crate::common::authority::{Authority, Signer};
use crate::common::{code, json, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, SigningKey as _,
};
use serde_json::{Value, json};

use super::{COMMIT, REPOSITORY, Scene, base64};

/// A root without some of its parts.
fn without(root: &Value, part: &str) -> Value {
    let mut root = root.clone();
    root[part] = json!([]);
    root
}

/// A root with a part of another one in place of its own.
fn with(root: &Value, part: &str, other: &Value) -> Value {
    let mut root = root.clone();
    root[part] = other[part].clone();
    root
}

#[apply(test)]
fn what_the_root_does_not_have_is_unchecked_and_what_does_not_hold_is_refuted() {
    let scene = Scene::new();
    let signer = Signer::workflow(REPOSITORY, COMMIT);
    let good = scene.authority.sign(&scene.statement(), &signer);
    let own = scene.authority.trusted_root();
    let mut other = Authority::new().trusted_root();
    // Another instance, whose authority has another name.
    let public = rebuilder_public_root();
    let mut tampered = good.clone();
    let changed = scene.statement().to_string().replace("release.yml", "evil.yml");
    tampered["dsseEnvelope"]["payload"] = json!(base64(changed.as_bytes()));
    let lines = |roots: &[&Value]| {
        roots
            .iter()
            .map(|root| root.to_string() + "\n")
            .collect::<String>()
    };
    for (what, root, bundle, expected, words) in [
        (
            "its own root",
            own.to_string(),
            &good,
            0,
            "certificate, log and time are good",
        ),
        (
            "one a line",
            lines(&[&public, &own]),
            &good,
            0,
            "certificate, log and time are good",
        ),
        (
            "one a line, and changed",
            lines(&[&public, &own]),
            &tampered,
            3,
            "invalid signature",
        ),
        (
            "another authority",
            public.to_string(),
            &good,
            4,
            "which the trusted root does not have",
        ),
        (
            "another transparency log",
            with(&own, "tlogs", &other).to_string(),
            &good,
            4,
            "whose key the trusted root does not have",
        ),
        (
            "another certificate log",
            with(&own, "ctlogs", &other).to_string(),
            &good,
            4,
            "whose key the trusted root does not have",
        ),
        (
            "no certificate log",
            without(&own, "ctlogs").to_string(),
            &good,
            0,
            "the trusted root has no certificate log",
        ),
        // Nothing but the log shows the time here.
        (
            "no transparency log",
            without(&own, "tlogs").to_string(),
            &good,
            4,
            "whose key the trusted root does not have",
        ),
        // The name of a trusted authority, and not its signature.
        (
            "an authority of the same name",
            with(&own, "certificateAuthorities", &other).to_string(),
            &good,
            3,
            "certificate",
        ),
        ("changed", own.to_string(), &tampered, 3, "invalid signature"),
    ] {
        fs::write(scene.path("root.json"), root).unwrap();
        let output = scene.inspect(bundle.to_string().as_bytes(), &[]);
        assert_eq!(code(&output), expected, "{what}: {}", text(&output));
        assert!(text(&output).contains(words), "{what}: {}", text(&output));
    }
    other["certificateAuthorities"] = json!("none");
    fs::write(scene.path("root.json"), lines(&[&own, &other])).unwrap();
    assert_eq!(code(&scene.inspect(good.to_string().as_bytes(), &[])), 2);
}

/// The public instance's root, as the crates carry it.
fn rebuilder_public_root() -> Value {
    let file = crate::common::vectors().join("trust/sigstore-prod-trusted_root.json");
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
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
fn keys_on_each_curve_sign_files_with_or_without_naming_them() {
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
            let good = over_file(&scene, key(), algorithm, true, side_by_side);
            let output = scene.inspect(good.to_string().as_bytes(), &named);
            assert_eq!(code(&output), 0, "{name} {side_by_side:?}: {}", text(&output));
            assert_eq!(json(&output)["signature"]["standing"], "verified", "{name}");

            let other = over_file(&scene, key(), algorithm, true, side_by_side);
            let mut swapped = good.clone();
            swapped["messageSignature"]["signature"] = other["messageSignature"]["signature"].clone();
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
    let key = KeyPair::generate().unwrap();
    let unnamed = over_file(&scene, key, "sha256", false, None);
    let output = scene.inspect(unnamed.to_string().as_bytes(), &named);
    assert_eq!(code(&output), 0, "{}", text(&output));
    fs::write(scene.path("tool"), "another").unwrap();
    let output = scene.inspect(unnamed.to_string().as_bytes(), &named);
    assert_eq!(code(&output), 3, "{}", text(&output));
}

#[apply(test)]
fn a_certificate_beside_a_signature_is_checked_and_shows_no_time() {
    let scene = Scene::new();
    let signer = Signer::workflow(REPOSITORY, COMMIT);
    let bundle = scene.authority.sign(&scene.statement(), &signer);
    let certificate = STANDARD
        .decode(
            bundle["verificationMaterial"]["certificate"]["rawBytes"]
                .as_str()
                .unwrap(),
        )
        .unwrap();
    let mut envelope = bundle["dsseEnvelope"].clone();
    envelope["signatures"][0]["keyid"] = json!("");
    envelope["signatures"][0]["cert"] = json!(pem::encode(&pem::Pem::new("CERTIFICATE", certificate)));
    let mut changed = envelope.clone();
    changed["payload"] = json!(base64(
        scene.statement().to_string().replace("push", "pull").as_bytes()
    ));
    let own = scene.authority.trusted_root();
    for (root, document, expected, words) in [
        (
            &own,
            &envelope,
            4,
            "the file has no entry of the transparency log",
        ),
        (&own, &changed, 3, "invalid signature"),
        (
            &rebuilder_public_root(),
            &envelope,
            4,
            "no authority of the trusted root issued",
        ),
    ] {
        fs::write(scene.path("root.json"), root.to_string()).unwrap();
        let output = scene.inspect(document.to_string().as_bytes(), &[]);
        assert_eq!(code(&output), expected, "{}", text(&output));
        assert!(text(&output).contains(words), "{words}: {}", text(&output));
    }
    assert!(
        text(&scene.inspect(envelope.to_string().as_bytes(), &[])).contains("no authority"),
        "the last root stays"
    );
}
