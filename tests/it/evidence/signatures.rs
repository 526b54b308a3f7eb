//! Signatures by keys alone, as other tools make them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{code, json, rebuilder, text};
use serde_json::json;

use super::{Scene, base64, buildinfo, tool};

#[apply(test)]
fn plain_keys_sign_envelopes_alone_or_together() {
    let scene = Scene::new();
    let keys: Vec<_> = (1..=3).map(|index| dsse_key(&scene, index)).collect();
    let statement = scene.statement().to_string();
    let envelope = |signers: &[usize]| {
        let message = rebuilder::evidence::dsse::pre_authentication(
            "application/vnd.in-toto+json",
            statement.as_bytes(),
        );
        let signatures: Vec<_> = signers
            .iter()
            .map(|index| json!({"keyid": "", "sig": base64(&keys[*index].1.sign(&message))}))
            .collect();
        json!({"payloadType": "application/vnd.in-toto+json", "payload": base64(statement.as_bytes()), "signatures": signatures})
            .to_string()
    };
    let trust = |indexes: &[usize], threshold: &str| {
        let mut arguments = vec!["--threshold".to_owned(), threshold.to_owned()];
        for index in indexes {
            arguments.extend(["--trusted-key".to_owned(), keys[*index].0.display().to_string()]);
        }
        arguments
    };
    for (signers, trusted, threshold, expected) in [
        (&[0][..], &[0][..], "1", 0),
        (&[0], &[1], "1", 3),
        (&[0], &[], "1", 4),
        (&[0, 1], &[0, 1, 2], "2", 0),
        (&[0, 0], &[0, 1], "2", 3),
        // One key named twice is still one.
        (&[0], &[0, 0], "2", 3),
        (&[0, 1], &[0, 1, 2], "3", 3),
    ] {
        let arguments = trust(trusted, threshold);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let output = scene.inspect(envelope(signers).as_bytes(), &arguments);
        assert_eq!(
            code(&output),
            expected,
            "{signers:?} {trusted:?} {threshold}: {}",
            text(&output)
        );
    }
}

enum DsseKey {
    Ed25519(aws_lc_rs::signature::Ed25519KeyPair),
    Ecdsa(aws_lc_rs::signature::EcdsaKeyPair),
    Rsa(aws_lc_rs::rsa::KeyPair),
}

impl DsseKey {
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = aws_lc_rs::rand::SystemRandom::new();
        match self {
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            Self::Ecdsa(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(
                    &aws_lc_rs::signature::RSA_PSS_SHA256,
                    &random,
                    message,
                    &mut signature,
                )
                .unwrap();
                signature
            }
        }
    }
}

/// A key of another kind for each index, its public half in a file.
fn dsse_key(scene: &Scene, index: usize) -> (PathBuf, DsseKey) {
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::signature::{ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
    let (der, key) = match index {
        1 => {
            let key = Ed25519KeyPair::generate().unwrap();
            (
                key.public_key().as_der().unwrap().as_ref().to_vec(),
                DsseKey::Ed25519(key),
            )
        }
        2 => {
            let key = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).unwrap();
            (
                key.public_key().as_der().unwrap().as_ref().to_vec(),
                DsseKey::Ecdsa(key),
            )
        }
        _ => {
            let key = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
            (
                key.public_key().as_der().unwrap().as_ref().to_vec(),
                DsseKey::Rsa(key),
            )
        }
    };
    let path = scene.path(&format!("key-{index}.pub"));
    fs::write(&path, pem::encode(&pem::Pem::new("PUBLIC KEY", der))).unwrap();
    (path, key)
}

/// What is said of the file by a signature, with a key or without any.
fn check(scene: &Scene, signature: &Path, key: Option<&Path>, expected: i32, standing: &str) {
    let mut command = rebuilder();
    command
        .args(["--json", "--offline", "inspect"])
        .arg(scene.path("tool"));
    command.arg("--signature").arg(signature);
    if let Some(key) = key {
        command.arg("--trusted-key").arg(key);
    }
    let output = command.output().unwrap();
    assert_eq!(
        code(&output),
        expected,
        "{}: {}",
        signature.display(),
        text(&output)
    );
    assert_eq!(
        json(&output)["signature"]["standing"],
        standing,
        "{}",
        signature.display()
    );
}

/// The same with the right key, none, another one, and over other bytes.
fn all(scene: &Scene, signature: &Path, key: &Path, other: &Path) {
    check(scene, signature, Some(key), 0, "verified");
    check(scene, signature, None, 4, "unchecked");
    // It names its key, so that another one did not make it is no fault of it.
    check(scene, signature, Some(other), 4, "unchecked");
    fs::write(scene.path("tool"), "changed").unwrap();
    check(scene, signature, Some(key), 3, "refuted");
    fs::write(scene.path("tool"), "released").unwrap();
}

#[apply(test)]
fn signatures_of_ssh_are_for_files_and_for_no_other_purpose() {
    let scene = Scene::new();
    for name in ["ssh", "ssh-other"] {
        let mut command = Command::new("ssh-keygen");
        command
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(scene.path(name));
        if tool(&mut command).is_none() {
            return;
        }
    }
    for (namespace, file) in [("file", "tool.sig"), ("git", "tool.git.sig")] {
        let _ = fs::remove_file(scene.path("tool.sig"));
        let mut command = Command::new("ssh-keygen");
        command
            .args(["-q", "-Y", "sign", "-n", namespace, "-f"])
            .arg(scene.path("ssh"))
            .arg(scene.path("tool"));
        tool(&mut command).unwrap();
        fs::rename(scene.path("tool.sig"), scene.path(&format!("kept.{file}"))).unwrap();
    }
    all(
        &scene,
        &scene.path("kept.tool.sig"),
        &scene.path("ssh.pub"),
        &scene.path("ssh-other.pub"),
    );
    check(
        &scene,
        &scene.path("kept.tool.git.sig"),
        Some(&scene.path("ssh.pub")),
        3,
        "refuted",
    );
}

#[apply(test)]
fn signatures_of_minisign_are_checked_over_the_file() {
    let scene = Scene::new();
    for name in ["mini", "mini-other"] {
        let mut command = Command::new("minisign");
        command
            .args(["-G", "-W", "-f", "-p"])
            .arg(scene.path(&format!("{name}.pub")));
        command.arg("-s").arg(scene.path(&format!("{name}.key")));
        if tool(&mut command).is_none() {
            return;
        }
    }
    let mut command = Command::new("minisign");
    command
        .args(["-S", "-m"])
        .arg(scene.path("tool"))
        .arg("-s")
        .arg(scene.path("mini.key"));
    command.arg("-x").arg(scene.path("tool.minisig"));
    tool(&mut command).unwrap();
    all(
        &scene,
        &scene.path("tool.minisig"),
        &scene.path("mini.pub"),
        &scene.path("mini-other.pub"),
    );
}

fn gpg(scene: &Scene, arguments: &[&str]) -> Option<()> {
    let home = scene.path("gnupg");
    fs::create_dir_all(&home).unwrap();
    let mut command = Command::new("gpg");
    command.args([
        "--batch",
        "--quiet",
        "--yes",
        "--pinentry-mode",
        "loopback",
        "--passphrase",
        "",
    ]);
    command.env("GNUPGHOME", home).args(arguments);
    tool(&mut command)
}

/// Makes the keys of a release and of someone else; false if there is no gpg.
fn gpg_keys(scene: &Scene) -> bool {
    for name in ["release", "someone"] {
        if gpg(scene, &["--quick-generate-key", name, "ed25519", "sign", "never"]).is_none() {
            return false;
        }
        let file = scene.path(&format!("{name}.asc")).display().to_string();
        gpg(scene, &["--armor", "--output", &file, "--export", name]).unwrap();
    }
    true
}

#[apply(test)]
fn detached_signatures_of_openpgp_are_checked_over_the_file() {
    let scene = Scene::new();
    if !gpg_keys(&scene) {
        return;
    }
    let path = |name: &str| scene.path(name).display().to_string();
    gpg(
        &scene,
        &[
            "-u",
            "release",
            "--armor",
            "--output",
            &path("tool.asc"),
            "--detach-sign",
            &path("tool"),
        ],
    )
    .unwrap();
    all(
        &scene,
        &scene.path("tool.asc"),
        &scene.path("release.asc"),
        &scene.path("someone.asc"),
    );
}

#[apply(test)]
fn signed_lists_and_records_of_openpgp_count_for_the_files_in_them() {
    let scene = Scene::new();
    if !gpg_keys(&scene) {
        return;
    }
    let path = |name: &str| scene.path(name).display().to_string();
    fs::write(scene.path("SHA256SUMS"), format!("{}  tool\n", scene.sha256)).unwrap();
    gpg(
        &scene,
        &[
            "-u",
            "release",
            "--output",
            &path("SUMS.asc"),
            "--clear-sign",
            &path("SHA256SUMS"),
        ],
    )
    .unwrap();
    check(
        &scene,
        &scene.path("SUMS.asc"),
        Some(&scene.path("release.asc")),
        0,
        "verified",
    );
    // Debian's record of a build, signed by its builder: provenance, where the others are signatures.
    fs::write(scene.path("tool.buildinfo"), buildinfo(&scene.sha256)).unwrap();
    gpg(
        &scene,
        &[
            "-u",
            "release",
            "--output",
            &path("signed.buildinfo"),
            "--clear-sign",
            &path("tool.buildinfo"),
        ],
    )
    .unwrap();
    let mut command = rebuilder();
    command
        .args(["--json", "--offline", "inspect"])
        .arg(scene.path("tool"));
    command.arg("--provenance").arg(scene.path("signed.buildinfo"));
    command.arg("--trusted-key").arg(scene.path("release.asc"));
    let output = command.output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert_eq!(json(&output)["provenance"]["standing"], "verified");

    fs::write(scene.path("tool"), "changed").unwrap();
    check(
        &scene,
        &scene.path("SUMS.asc"),
        Some(&scene.path("release.asc")),
        3,
        "elsewhere",
    );
}
