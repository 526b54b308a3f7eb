//! Signatures and attestations of container images: in OCI layouts, as folder and as archive, and in a registry.

mod layout;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{PublicKeyData as _, SigningKey as _};
use rebuilder::artifact::Sha256;
use serde_json::{Value, json};

use super::cosign::{key, rekor_bundle};
use super::{COMMIT, REPOSITORY, Scene};
use crate::common::authority::{Signer, provenance};
use crate::common::{code, json, rebuilder, text};
use layout::{Layout, digest};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
const IN_TOTO: &str = "application/vnd.in-toto+json";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// What cosign signs for an image.
fn simple_signing(image: &Value) -> Vec<u8> {
    json!({
        "critical": {
            "identity": {"docker-reference": "registry.example/tool"},
            "image": {"docker-manifest-digest": image["digest"]},
            "type": "cosign container image signature",
        },
        "optional": null,
    })
    .to_string()
    .into_bytes()
}

fn inspect(scene: &Scene, subject: &str, arguments: &[&str]) -> Output {
    let mut command = rebuilder();
    command.args(["--json", "inspect", subject]);
    command.arg("--trusted-root").arg(scene.path("root.json"));
    command
        .current_dir(scene.folder.path())
        .args(arguments)
        .output()
        .unwrap()
}

/// An image with cosign's signatures (one by a key, one logged), an attestation with a certificate, and a referrer.
fn attached(scene: &Scene, layout: &mut Layout, signing: &rcgen::KeyPair) -> Value {
    let image = layout.image("files");
    let name = digest(&image);
    let payload = simple_signing(&image);
    let mut by_key = layout.blob(SIMPLE_SIGNING, &payload);
    by_key["annotations"] = json!({
        "dev.cosignproject.cosign/signature": STANDARD.encode(signing.sign(&payload).unwrap()),
    });
    let signer = Signer::workflow(REPOSITORY, COMMIT);
    let logged = scene.authority.sign_blob(&payload, &signer);
    let material = &logged["verificationMaterial"];
    let der = STANDARD
        .decode(material["certificate"]["rawBytes"].as_str().unwrap())
        .unwrap();
    let mut keyless = by_key.clone();
    keyless["annotations"] = json!({
        "dev.cosignproject.cosign/signature": logged["messageSignature"]["signature"],
        "dev.sigstore.cosign/certificate": pem::encode(&pem::Pem::new("CERTIFICATE", der)),
        "dev.sigstore.cosign/bundle": rekor_bundle(&material["tlogEntries"][0]).to_string(),
    });
    let signatures = layout.manifest(CONFIG, &[by_key, keyless], None);
    layout.root(&image, json!({"org.opencontainers.image.ref.name": "v1"}));
    layout.root(
        &signatures,
        json!({"org.opencontainers.image.ref.name": format!("sha256-{name}.sig")}),
    );

    let statement = provenance("registry.example/tool", &name, REPOSITORY, COMMIT);
    let bundle = scene.authority.sign(&statement, &signer);
    let material = &bundle["verificationMaterial"];
    let der = STANDARD
        .decode(material["certificate"]["rawBytes"].as_str().unwrap())
        .unwrap();
    let mut envelope = layout.json(ENVELOPE, &bundle["dsseEnvelope"]);
    envelope["annotations"] = json!({
        "predicateType": "https://slsa.dev/provenance/v1",
        "dev.sigstore.cosign/certificate": pem::encode(&pem::Pem::new("CERTIFICATE", der)),
        "dev.sigstore.cosign/bundle": rekor_bundle(&material["tlogEntries"][0]).to_string(),
    });
    let attestations = layout.manifest(CONFIG, &[envelope], None);
    layout.root(
        &attestations,
        json!({"org.opencontainers.image.ref.name": format!("sha256-{name}.att")}),
    );

    let layer = layout.json(BUNDLE, &bundle);
    let referrer = layout.manifest("application/vnd.oci.empty.v1+json", &[layer], Some(&image));
    layout.root(&referrer, json!({}));
    image
}

#[apply(test)]
fn an_image_is_judged_by_what_its_layout_holds_beside_it() {
    let scene = Scene::new();
    let (signing, public) = key();
    let (_, other) = key();
    fs::write(scene.path("own.pub"), public).unwrap();
    fs::write(scene.path("other.pub"), other).unwrap();
    let mut layout = Layout::default();
    let image = attached(&scene, &mut layout, &signing);
    layout.write(&scene.path("layout"));
    layout.archive(&scene.path("layout.tar"));
    let named = [
        "--trusted-key",
        "own.pub",
        "--identity",
        "https://github.com/example/tool/*",
        "--issuer",
        "https://token.actions.githubusercontent.com",
    ];
    for subject in [
        "layout".to_owned(),
        "oci:layout".into(),
        "oci:layout.tar".into(),
        format!("oci:layout@{}", image["digest"].as_str().unwrap()),
    ] {
        let output = inspect(&scene, &subject, &named);
        assert_eq!(code(&output), 0, "{subject}: {}", text(&output));
        let found = json(&output);
        assert_eq!(
            found["artifacts"][0]["sha256"],
            digest(&image).as_str(),
            "{subject}"
        );
        let standings = |finding: &str| -> Vec<String> {
            let claims = found[finding]["claims"].as_array().unwrap();
            claims
                .iter()
                .map(|claim| claim["standing"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(
            standings("signature"),
            ["verified", "verified"],
            "{subject}: {found}"
        );
        assert_eq!(
            standings("provenance"),
            ["verified", "verified"],
            "{subject}: {found}"
        );
        assert_eq!(found["custody"]["commit"], COMMIT);
    }
    // Without the key, that signature is open; with another one, it is wrong.
    let output = inspect(&scene, "layout", &[]);
    assert!(
        json(&output)["signature"].to_string().contains("unchecked"),
        "{}",
        text(&output)
    );
    let output = inspect(&scene, "layout", &["--trusted-key", "other.pub"]);
    assert_eq!(code(&output), 3, "{}", text(&output));
    for subject in [
        "oci:nothing",
        "oci:tool",
        "oci:layout@sha256:00",
        "docker://registry.example/tool:v1",
    ] {
        let output = inspect(&scene, subject, &[]);
        assert_eq!(code(&output), 2, "{subject}: {}", text(&output));
    }
}

#[apply(test)]
fn what_a_layout_holds_and_cannot_be_judged_is_told() {
    let scene = Scene::new();
    let mut layout = Layout::default();
    let image = layout.image("files");
    let other = layout.image("others");
    let payload = simple_signing(&image);
    let unsigned = layout.blob(SIMPLE_SIGNING, &payload);
    let list = layout.blob("application/vnd.cyclonedx+json", b"{}");
    let mut gone = layout.blob(ENVELOPE, b"{\"a\":1}");
    gone["digest"] = json!(format!("sha256:{}", "0".repeat(64)));
    let attachments = layout.manifest(CONFIG, &[unsigned, list, gone], Some(&image));
    let elsewhere = layout.json(BUNDLE, &json!({}));
    let elsewhere = layout.manifest(CONFIG, &[elsewhere], Some(&other));
    layout.root(&image, json!({}));
    layout.root(&attachments, json!({}));
    layout.root(&elsewhere, json!({}));
    layout.write(&scene.path("layout"));
    let output = inspect(&scene, "layout", &[]);
    assert_eq!(code(&output), 4, "{}", text(&output));
    let claims = json(&output)["other"]["claims"].clone();
    for words in [
        "no signature in its annotations",
        "not supported as evidence",
        "it is not there",
        "another image",
    ] {
        assert!(claims.to_string().contains(words), "{words}: {claims}");
    }
    assert!(
        claims
            .as_array()
            .unwrap()
            .iter()
            .all(|claim| claim["standing"] == "unchecked"),
        "{claims}"
    );

    // Two images, and none was named.
    layout.root(&other, json!({}));
    layout.write(&scene.path("two"));
    let output = inspect(&scene, "two", &[]);
    assert_eq!(code(&output), 2, "{}", text(&output));
    assert!(text(&output).contains("several images"), "{}", text(&output));
    // A file that is not what its name says.
    let changed = scene.path("layout/blobs/sha256").join(digest(&attachments));
    fs::write(changed, "{}").unwrap();
    let output = inspect(&scene, "layout", &[]);
    assert!(
        json(&output)["other"].to_string().contains("another digest"),
        "{}",
        text(&output)
    );
}

#[apply(test)]
fn buildkits_attestations_are_about_the_image_in_their_index() {
    let scene = Scene::new();
    let mut layout = Layout::default();
    let image = layout.image("files");
    let statement = provenance(
        "pkg:docker/tool@v1?platform=linux%2Famd64",
        &digest(&image),
        REPOSITORY,
        COMMIT,
    );
    let layer = layout.json(IN_TOTO, &statement);
    let mut attestation = layout.manifest(CONFIG, &[layer], None);
    attestation["platform"] = json!({"architecture": "unknown", "os": "unknown"});
    attestation["annotations"] = json!({
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": image["digest"],
    });
    let mut listed = image.clone();
    listed["platform"] = json!({"architecture": "amd64", "os": "linux"});
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [listed, attestation]});
    let index = layout.json(INDEX, &index);
    layout.root(&index, json!({}));
    layout.write(&scene.path("layout"));
    let output = inspect(&scene, "layout", &[]);
    assert_eq!(code(&output), 4, "{}", text(&output));
    let found = json(&output);
    assert_eq!(found["artifacts"][0]["sha256"], digest(&image).as_str());
    assert_eq!(found["provenance"]["standing"], "unsigned");
    assert_eq!(found["custody"]["commit"], COMMIT);
    // About the index itself it says nothing.
    let output = inspect(
        &scene,
        &format!("oci:layout@{}", index["digest"].as_str().unwrap()),
        &[],
    );
    let found = json(&output);
    assert_eq!(found["provenance"]["standing"], "absent", "{found}");
    assert!(found["other"].to_string().contains("another image"), "{found}");
}

#[apply(test)]
fn a_registry_is_asked_in_every_way_that_is_in_use() {
    let scene = Scene::new();
    let registry = crate::provenance::images::registry();
    let (signing, public) = key();
    fs::write(scene.path("own.pub"), public).unwrap();
    let mut layout = Layout::default();
    let image = attached(&scene, &mut layout, &signing);
    let name = digest(&image);
    // What a client writes where the registry has no referrers API, as this one.
    let referrer = layout.roots.last().cloned().unwrap();
    let fallback = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [referrer]});
    let fallback = layout.json(INDEX, &fallback);
    layout.root(
        &fallback,
        json!({"org.opencontainers.image.ref.name": format!("sha256-{name}")}),
    );
    let tags = [
        "v1".to_owned(),
        format!("sha256-{name}.sig"),
        format!("sha256-{name}.att"),
        format!("sha256-{name}"),
    ];
    let repository = format!("{}/some/tool", registry.address);
    layout.write(&scene.path("layout"));
    for tag in &tags {
        let copied = Command::new("skopeo")
            .args([
                "copy",
                "--quiet",
                "--all",
                "--dest-tls-verify=false",
                "--insecure-policy",
                "--preserve-digests",
            ])
            .arg(format!("oci:{}:{tag}", scene.path("layout").display()))
            .arg(format!("docker://{repository}:{tag}"))
            .output();
        let Ok(copied) = copied else {
            crate::common::skip("docker-registry, or skopeo beside it");
        };
        assert!(copied.status.success(), "{tag}: {}", text(&copied));
    }
    let subject = format!("docker://registry.invalid/some/tool@sha256:{name}");
    let mirror = format!("docker://registry.invalid/=docker://{}/", registry.address);
    let mut command = rebuilder();
    command.args(["--json", "inspect", &subject, "--trusted-key", "own.pub"]);
    command.args(["--mirror", &mirror]);
    command.arg("--trusted-root").arg(scene.path("root.json"));
    let output = command.current_dir(scene.folder.path()).output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output));
    let found = json(&output);
    assert_eq!(found["artifacts"][0]["sha256"], name.as_str());
    assert_eq!(
        found["signature"]["claims"].as_array().unwrap().len(),
        2,
        "{found}"
    );
    assert_eq!(
        found["provenance"]["claims"].as_array().unwrap().len(),
        2,
        "{found}"
    );
    assert_eq!(found["provenance"]["standing"], "verified", "{found}");
}

#[apply(test)]
fn a_logged_signature_of_an_image_is_held_against_the_digest_that_its_entry_has() {
    use aws_lc_rs::digest::{SHA256, SHA384, digest as hash};
    let scene = Scene::new();
    for (at, (algorithm, entry_is_of, expected)) in [
        ("sha256", "own", "verified"),
        ("sha384", "own", "verified"),
        ("sha256", "another", "refuted"),
        ("sha384", "another", "refuted"),
    ]
    .into_iter()
    .enumerate()
    {
        let own = if algorithm == "sha384" {
            rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap()
        } else {
            key().0
        };
        let public = own.subject_public_key_info();
        let public = pem::encode(&pem::Pem::new("PUBLIC KEY", public));
        fs::write(scene.path("own.pub"), &public).unwrap();
        let mut layout = Layout::default();
        let image = layout.image("files");
        let payload = simple_signing(&image);
        let logged = if entry_is_of == "own" {
            &payload[..]
        } else {
            b"another"
        };
        let hashed = hash(if algorithm == "sha384" { &SHA384 } else { &SHA256 }, logged);
        let signature = STANDARD.encode(own.sign(logged).unwrap());
        let body = json!({
            "apiVersion": "0.0.1", "kind": "hashedrekord",
            "spec": {
                "data": {"hash": {"algorithm": algorithm, "value": hex::encode(hashed.as_ref())}},
                "signature": {"content": signature, "publicKey": {"content": STANDARD.encode(&public)}}
            }
        });
        let entry = scene.authority.log(&body.to_string());
        let mut layer = layout.blob(SIMPLE_SIGNING, &payload);
        layer["annotations"] = json!({
            "dev.cosignproject.cosign/signature": signature,
            "dev.sigstore.cosign/bundle": rekor_bundle(&entry).to_string(),
        });
        let signatures = layout.manifest(CONFIG, &[layer], None);
        layout.root(&image, json!({"org.opencontainers.image.ref.name": "v1"}));
        layout.root(
            &signatures,
            json!({"org.opencontainers.image.ref.name": format!("sha256-{}.sig", digest(&image))}),
        );
        let name = format!("hashed-{at}");
        layout.write(&scene.path(&name));
        let output = inspect(&scene, &name, &["--trusted-key", "own.pub"]);
        let found = &json(&output)["signature"];
        assert_eq!(found["standing"], expected, "{algorithm} {entry_is_of}: {found}");
    }
}
