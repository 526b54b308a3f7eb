//! `rebuilder inspect`: what is taken for evidence, what is refused, and what is said about it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::authority::{Authority, Signer, provenance};
use crate::common::{self, code, json, rebuilder, text, vectors};
use serde_json::{Value, json};

const REPOSITORY: &str = "https://github.com/example/tool";
const COMMIT: &str = "5995008213440709027a5666064bfdaba715df00";

/// A released file, an authority that signs about it, and a way to ask about both.
struct Scene {
    folder: tempfile::TempDir,
    authority: Authority,
    sha256: String,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        fs::write(folder.path().join("tool"), "released").unwrap();
        fs::write(
            folder.path().join("root.json"),
            authority.trusted_root().to_string(),
        )
        .unwrap();
        let sha256 = rebuilder::artifact::Sha256::of("released").to_hex();
        Self {
            folder,
            authority,
            sha256,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn statement(&self) -> Value {
        provenance("tool", &self.sha256, REPOSITORY, COMMIT)
    }

    fn inspect(&self, evidence: &[u8], arguments: &[&str]) -> Output {
        let file = self.path("evidence.json");
        fs::write(&file, evidence).unwrap();
        let mut command = rebuilder();
        command
            .args(["--json", "--offline", "inspect"])
            .arg(self.path("tool"));
        command.arg("--provenance").arg(file);
        command.arg("--trusted-root").arg(self.path("root.json"));
        command.args(arguments).output().unwrap()
    }
}

/// The printed fields are those of the documented schema, no more and no fewer.
fn fits_the_schema(document: &Value) {
    let schema: Value =
        serde_json::from_str(include_str!("../../docs/schema/inspection.schema.json")).unwrap();
    let check = |value: &Value, schema: &Value| {
        let fields: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
        for field in &fields {
            assert!(
                schema["properties"][field].is_object(),
                "{field} is not in the schema"
            );
        }
        for field in schema["required"].as_array().into_iter().flatten() {
            assert!(fields.contains(&field.as_str().unwrap()), "{field} is missing");
        }
    };
    check(document, &schema);
    check(&document["custody"], &schema["$defs"]["custody"]);
    check(&document["policy"], &schema["$defs"]["decision"]);
    for finding in ["signature", "provenance", "other"] {
        check(&document[finding], &schema["$defs"]["finding"]);
        for claim in document[finding]["claims"].as_array().unwrap() {
            check(claim, &schema["$defs"]["assessment"]);
        }
    }
}

#[apply(test)]
fn a_good_statement_is_taken_and_every_attack_on_it_is_refused() {
    let scene = Scene::new();
    let signer = Signer::workflow(REPOSITORY, COMMIT);
    let good = scene.authority.sign(&scene.statement(), &signer);
    let output = scene.inspect(good.to_string().as_bytes(), &[]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    let found = json(&output);
    assert_eq!(found["provenance"]["standing"], "verified");
    assert_eq!(found["signature"]["standing"], "absent");
    assert_eq!(found["custody"]["commit"], COMMIT);
    fits_the_schema(&found);

    let changed = |change: &dyn Fn(&mut Value)| {
        let mut statement = scene.statement();
        change(&mut statement);
        scene.authority.sign(&statement, &signer).to_string().into_bytes()
    };
    let bundle = |change: &dyn Fn(&mut Value)| {
        let mut bundle = good.clone();
        change(&mut bundle);
        bundle.to_string().into_bytes()
    };
    let other_commit = "0".repeat(40);
    let as_signer = |signer: Signer| {
        scene
            .authority
            .sign(&scene.statement(), &signer)
            .to_string()
            .into_bytes()
    };
    let twice = scene
        .statement()
        .to_string()
        .replacen("{\"_type\"", "{\"_type\":\"x\",\"_type\"", 1);
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let mut large = good.to_string().into_bytes();
    large.resize(17 << 20, b' ');
    let swapped = {
        // The signature is kept; the payload names another subject.
        let statement = scene
            .statement()
            .to_string()
            .replace(&scene.sha256, &"0".repeat(64));
        bundle(&|bundle| bundle["dsseEnvelope"]["payload"] = json!(base64(statement.as_bytes())))
    };
    // (what, evidence, exit code, words of the answer)
    let attacks: Vec<(&str, Vec<u8>, i32, &str)> = vec![
        (
            "about another artifact",
            changed(&|s| s["subject"][0]["digest"]["sha256"] = json!("0".repeat(64))),
            3,
            "about other bytes",
        ),
        (
            "a second digest that is wrong",
            changed(&|s| s["subject"][0]["digest"]["sha512"] = json!("0".repeat(128))),
            3,
            "about other bytes",
        ),
        ("swapped subject", swapped, 3, "invalid signature"),
        (
            "swapped payload type",
            bundle(&|b| b["dsseEnvelope"]["payloadType"] = json!("text/plain")),
            3,
            "payload type is \\\"text/plain",
        ),
        (
            "no signature",
            bundle(&|b| b["dsseEnvelope"]["signatures"] = json!([])),
            2,
            "exactly one signature",
        ),
        (
            "no log entry",
            bundle(&|b| b["verificationMaterial"]["tlogEntries"] = json!([])),
            3,
            "inclusion proof",
        ),
        (
            "broken promise of the log",
            bundle(&|b| b["verificationMaterial"]["tlogEntries"][0]["integratedTime"] = json!("1735819201")),
            3,
            "promise",
        ),
        (
            "expired certificate",
            as_signer(Signer {
                expired: true,
                ..signer.clone()
            }),
            3,
            "certificate",
        ),
        (
            "signed by another repository",
            as_signer(Signer::workflow("https://github.com/evil/tool", COMMIT)),
            3,
            "but a workflow of https://github.com/evil/tool signed it",
        ),
        (
            "signed at another commit",
            as_signer(Signer {
                commit: other_commit,
                ..signer.clone()
            }),
            3,
            "the workflow that signed it ran at",
        ),
        (
            "another builder's name",
            changed(&|s| {
                s["predicate"]["runDetails"]["builder"]["id"] =
                    json!("https://github.com/big/builder/.github/workflows/b.yml@refs/tags/v1");
            }),
            3,
            "names the builder",
        ),
        (
            "a person in a builder's name",
            as_signer(Signer {
                identity: "mailto:someone@example.com".into(),
                repository: String::new(),
                commit: String::new(),
                ..signer.clone()
            }),
            3,
            "which signs as a workflow",
        ),
        (
            "duplicate key in the statement",
            scene
                .authority
                .sign_bytes(twice.as_bytes(), &signer)
                .to_string()
                .into_bytes(),
            3,
            "occurs twice",
        ),
        (
            "duplicate key in the bundle",
            good.to_string()
                .replacen("{\"dsseEnvelope\"", "{\"mediaType\":\"x\",\"dsseEnvelope\"", 1)
                .into_bytes(),
            2,
            "occurs twice",
        ),
        (
            "deep nesting",
            format!("{{\"payloadType\":{deep}}}").into_bytes(),
            2,
            "recursion limit",
        ),
        ("oversized", large, 2, "MiB"),
        (
            "not UTF-8",
            b"{\"payloadType\":\"\xff\"}".to_vec(),
            2,
            "not UTF-8",
        ),
        (
            "truncated",
            good.to_string().into_bytes()[..300].to_vec(),
            2,
            "EOF",
        ),
        (
            "path tricks in a subject",
            changed(&|s| s["subject"][0]["name"] = json!("../../etc/passwd")),
            3,
            "points outside its folder",
        ),
        (
            "a ref like an option",
            changed(&|s| {
                s["predicate"]["buildDefinition"]["externalParameters"]["workflow"]["ref"] =
                    json!("--upload-pack=evil");
            }),
            3,
            "is not a git ref",
        ),
        (
            "credentials in the address",
            changed(&|s| {
                s["predicate"]["buildDefinition"]["externalParameters"]["workflow"]["repository"] =
                    json!("https://me:secret@github.com/example/tool");
            }),
            3,
            "credentials",
        ),
        (
            "a commit like an option",
            changed(&|s| {
                s["predicate"]["buildDefinition"]["resolvedDependencies"][0]["digest"]["gitCommit"] =
                    json!("--output=x");
            }),
            3,
            "is not a commit",
        ),
    ];
    for (what, evidence, expected, words) in attacks {
        let output = scene.inspect(&evidence, &[]);
        assert_eq!(code(&output), expected, "{what}: {}", text(&output));
        assert!(text(&output).contains(words), "{what}: {}", text(&output));
        assert!(
            !text(&output).contains("secret"),
            "{what} shows a secret: {}",
            text(&output)
        );
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[apply(test)]
fn who_should_have_signed_can_be_said_beforehand() {
    let scene = Scene::new();
    let signer = Signer::workflow(REPOSITORY, COMMIT);
    let good = scene.authority.sign(&scene.statement(), &signer).to_string();
    let github = "https://token.actions.githubusercontent.com";
    for (identity, issuer, expected) in [
        (signer.identity.as_str(), github, 0),
        ("https://github.com/example/tool/.github/workflows/*", github, 0),
        ("https://github.com/example/other/*", github, 3),
        (signer.identity.as_str(), "https://accounts.google.com", 3),
    ] {
        let output = scene.inspect(good.as_bytes(), &["--identity", identity, "--issuer", issuer]);
        assert_eq!(code(&output), expected, "{identity} {issuer}: {}", text(&output));
    }
    // The public instance knows nothing of this one.
    let output = rebuilder()
        .args(["--offline", "inspect"])
        .arg(scene.path("tool"))
        .arg("--provenance")
        .arg(scene.path("evidence.json"))
        .output()
        .unwrap();
    assert_eq!(code(&output), 3, "{}", text(&output));
}

#[apply(test)]
fn what_nobody_signed_or_nobody_understands_is_no_evidence() {
    let scene = Scene::new();
    let signer = Signer::workflow(REPOSITORY, COMMIT);
    let mut unknown = scene.statement();
    unknown["predicateType"] = json!("https://example.com/blessing/v1");
    let unknown = scene.authority.sign(&unknown, &signer).to_string();
    for (evidence, finding, standing) in [
        (scene.statement().to_string(), "provenance", "unsigned"),
        (unknown, "other", "unchecked"),
    ] {
        let output = scene.inspect(evidence.as_bytes(), &[]);
        assert_eq!(code(&output), 4, "{}", text(&output));
        assert_eq!(json(&output)[finding]["standing"], standing);
    }
}

#[apply(test)]
fn a_statement_about_some_of_the_files_says_so() {
    let scene = Scene::new();
    fs::write(scene.path("other"), "another released file").unwrap();
    let evidence = scene.path("evidence.json");
    let bundle = scene
        .authority
        .sign(&scene.statement(), &Signer::workflow(REPOSITORY, COMMIT));
    fs::write(&evidence, bundle.to_string()).unwrap();
    let mut command = rebuilder();
    command.args(["--json", "--offline", "inspect"]);
    command.arg(scene.path("tool")).arg(scene.path("other"));
    command
        .arg("--provenance")
        .arg(&evidence)
        .arg("--trusted-root")
        .arg(scene.path("root.json"));
    let output = command.output().unwrap();
    assert_eq!(code(&output), 4, "{}", text(&output));
    let finding = &json(&output)["provenance"];
    assert_eq!(finding["standing"], "partial");
    assert!(
        finding["claims"][0]["meaning"]
            .as_str()
            .unwrap()
            .contains("covers 1 of 2"),
        "{finding}"
    );
}

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

/// Runs a stranger's signing tool; says so where it is not installed.
fn tool(command: &mut Command) -> Option<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    if let Ok(output) = command.output() {
        assert!(output.status.success(), "{}", text(&output));
        Some(())
    } else {
        common::skip_part(&program);
        None
    }
}

#[apply(test)]
fn signatures_of_other_tools_are_checked_over_the_file() {
    let scene = Scene::new();
    let artifact = scene.path("tool");
    let check = |signature: &Path, key: Option<&Path>, expected: i32, standing: &str| {
        let mut command = rebuilder();
        command.args(["--json", "--offline", "inspect"]).arg(&artifact);
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
    };
    let all = |signature: &Path, key: &Path, other: &Path| {
        check(signature, Some(key), 0, "verified");
        check(signature, None, 4, "unchecked");
        check(signature, Some(other), 3, "refuted");
        fs::write(&artifact, "changed").unwrap();
        check(signature, Some(key), 3, "refuted");
        fs::write(&artifact, "released").unwrap();
    };
    // OpenSSH: for files, and not for another purpose.
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
            .arg(&artifact);
        tool(&mut command).unwrap();
        fs::rename(scene.path("tool.sig"), scene.path(&format!("kept.{file}"))).unwrap();
    }
    all(
        &scene.path("kept.tool.sig"),
        &scene.path("ssh.pub"),
        &scene.path("ssh-other.pub"),
    );
    check(
        &scene.path("kept.tool.git.sig"),
        Some(&scene.path("ssh.pub")),
        3,
        "refuted",
    );

    // minisign, over the file's hash.
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
        .arg(&artifact)
        .arg("-s")
        .arg(scene.path("mini.key"));
    command.arg("-x").arg(scene.path("tool.minisig"));
    tool(&mut command).unwrap();
    all(
        &scene.path("tool.minisig"),
        &scene.path("mini.pub"),
        &scene.path("mini-other.pub"),
    );

    // OpenPGP, detached, and as a signed list of digests.
    let gpg = |arguments: &[&str]| {
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
    };
    let path = |name: &str| scene.path(name).display().to_string();
    for name in ["release", "someone"] {
        if gpg(&["--quick-generate-key", name, "ed25519", "sign", "never"]).is_none() {
            return;
        }
        gpg(&[
            "--armor",
            "--output",
            &path(&format!("{name}.asc")),
            "--export",
            name,
        ])
        .unwrap();
    }
    gpg(&[
        "-u",
        "release",
        "--armor",
        "--output",
        &path("tool.asc"),
        "--detach-sign",
        &path("tool"),
    ])
    .unwrap();
    all(
        &scene.path("tool.asc"),
        &scene.path("release.asc"),
        &scene.path("someone.asc"),
    );
    fs::write(scene.path("SHA256SUMS"), format!("{}  tool\n", scene.sha256)).unwrap();
    gpg(&[
        "-u",
        "release",
        "--output",
        &path("SUMS.asc"),
        "--clear-sign",
        &path("SHA256SUMS"),
    ])
    .unwrap();
    check(
        &scene.path("SUMS.asc"),
        Some(&scene.path("release.asc")),
        0,
        "verified",
    );
    // Debian's record of a build, signed by its builder: provenance, where the others are signatures.
    fs::write(scene.path("tool.buildinfo"), buildinfo(&scene.sha256)).unwrap();
    gpg(&[
        "-u",
        "release",
        "--output",
        &path("signed.buildinfo"),
        "--clear-sign",
        &path("tool.buildinfo"),
    ])
    .unwrap();
    let mut command = rebuilder();
    command.args(["--json", "--offline", "inspect"]).arg(&artifact);
    command.arg("--provenance").arg(scene.path("signed.buildinfo"));
    command.arg("--trusted-key").arg(scene.path("release.asc"));
    let output = command.output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert_eq!(json(&output)["provenance"]["standing"], "verified");

    fs::write(&artifact, "changed").unwrap();
    check(
        &scene.path("SUMS.asc"),
        Some(&scene.path("release.asc")),
        3,
        "elsewhere",
    );
}

#[apply(test)]
fn every_conformance_case_is_judged_right() {
    let folder = vectors();
    let folder = folder.join("sigstore-conformance");
    let mut cases = 0;
    for case in fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
    {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let read = |file: &str| {
            fs::read_to_string(case.join(file))
                .ok()
                .map(|text| text.trim().to_owned())
        };
        let artifact = Some(case.join("artifact"))
            .filter(|path| path.exists())
            .unwrap_or(folder.join("a.txt"));
        let mut command = example("verify-bundle");
        command
            .arg("verify-bundle")
            .arg("--bundle")
            .arg(case.join("bundle.sigstore.json"));
        if case.join("key.pub").exists() {
            command.arg("--key").arg(case.join("key.pub"));
        } else {
            command.arg("--certificate-identity").arg(read("identity").unwrap_or_else(|| {
                "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main".into()
            }));
            command
                .arg("--certificate-oidc-issuer")
                .arg(read("issuer").unwrap_or_else(|| "https://token.actions.githubusercontent.com".into()));
        }
        if case.join("trusted_root.json").exists() {
            command.arg("--trusted-root").arg(case.join("trusted_root.json"));
        }
        let output = command.arg(artifact).output().unwrap();
        assert_eq!(
            output.status.success(),
            !name.ends_with("_fail"),
            "{name}: {}",
            text(&output)
        );
        cases += 1;
    }
    assert!(cases > 30, "only {cases} cases were found");
}

/// The example beside the tests. `cargo test` builds it first; a run of this file alone may have to.
fn example(name: &str) -> Command {
    let path = Path::new(common::BIN)
        .parent()
        .unwrap()
        .join("examples")
        .join(name);
    if !path.exists() {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--example", name])
            .status();
        assert!(built.unwrap().success());
    }
    Command::new(path)
}

#[apply(test)]
fn real_npm_packages_are_verified_and_tampered_ones_refused() {
    let folder = vectors();
    let npm = folder.join("npm");
    for (name, signature, provenance) in [
        ("gundam-visor-cli-v1-tag", "verified", "verified"),
        ("gundam-visor-cli-v1-tag-invalidsigprov", "verified", "refuted"),
        ("gundam-visor-cli-v1-tag-invalidsigpub", "refuted", "verified"),
        ("provenance-npm-test-cli-v02-prega", "verified", "verified"),
        (
            "provenance-npm-test-cli-v02-prega-invalidsigprov",
            "verified",
            "refuted",
        ),
        (
            "provenance-npm-test-cli-v02-prega-invalidsigpub",
            "refuted",
            "verified",
        ),
        ("provenance-npm-test-ossf", "verified", "verified"),
        ("provenance-npm-test-ossf-invalidsigprov", "verified", "refuted"),
        ("provenance-npm-test-ossf-invalidsigpub", "refuted", "verified"),
    ] {
        let tarball = npm.join(format!("{name}.tgz"));
        let inspect = |tarball: &Path| {
            let mut command = rebuilder();
            command
                .args(["--json", "--offline", "inspect"])
                .arg(tarball)
                .arg("--provenance");
            command
                .arg(npm.join(format!("{name}.tgz.json")))
                .output()
                .unwrap()
        };
        let output = inspect(&tarball);
        let found = json(&output);
        let is_good = signature == "verified" && provenance == "verified";
        assert_eq!(
            code(&output),
            if is_good { 0 } else { 3 },
            "{name}: {}",
            text(&output)
        );
        assert_eq!(found["signature"]["standing"], signature, "{name}");
        assert_eq!(found["provenance"]["standing"], provenance, "{name}");
        if !is_good {
            let against = [&found["signature"], &found["provenance"]];
            let against = against
                .iter()
                .find(|finding| finding["standing"] == "refuted")
                .unwrap();
            let meaning = against["claims"][0]["meaning"].as_str().unwrap();
            assert!(meaning.contains("signature"), "{name}: {meaning}");
        }
        // The same claims about another package's bytes are refused, however well signed.
        let other = if name.starts_with("gundam") {
            "provenance-npm-test-ossf"
        } else {
            "gundam-visor-cli-v1-tag"
        };
        let output = inspect(&npm.join(format!("{other}.tgz")));
        assert_eq!(code(&output), 3, "{name}: {}", text(&output));
    }
}

#[apply(test)]
fn container_based_provenance_gives_a_plan() {
    let folder = vectors();
    for (file, command) in [
        (
            "gha_container-based_v1.7.0_binary-linux-amd64-workflow_dispatch.intoto.sigstore",
            "touch gha_container-based-binary-linux-amd64-workflow_dispatch",
        ),
        (
            "gha_container-based_v2.1.0_binary-linux-amd64-push-v14.intoto.build.slsa",
            "touch gha_container-based-binary-linux-amd64-v14",
        ),
    ] {
        let output = rebuilder()
            .args(["--offline", "plan", "--provenance"])
            .arg(folder.join("slsa").join(file))
            .output()
            .unwrap();
        assert_eq!(code(&output), 0, "{}", text(&output));
        let plan = json(&output);
        assert_eq!(
            plan["container"]["image"]["digest"],
            "9e2ba52487d945504d250de186cb4fe2e3ba023ed2921dd6ac8b97ed43e76af9"
        );
        let assumed = plan["assumptions"].as_array().unwrap();
        assert!(
            assumed
                .iter()
                .any(|it| it["what"] == "command" && it["value"] == command),
            "{assumed:?}"
        );
        assert!(
            plan["build"]["steps"][1]["run"]
                .as_str()
                .unwrap()
                .contains(command)
        );
    }
}

/// A good statement of the scene with another predicate.
fn with_predicate(scene: &Scene, kind: &str, predicate: Value) -> Value {
    let mut statement = scene.statement();
    statement["predicateType"] = json!(kind);
    statement["predicate"] = predicate;
    statement
}

#[apply(test)]
fn every_known_kind_of_statement_is_explained() {
    let scene = Scene::new();
    let signer = Signer::workflow(REPOSITORY, COMMIT);
    let source = format!("git+{REPOSITORY}@refs/heads/main");
    let config =
        json!({"uri": source, "digest": {"sha1": COMMIT}, "entryPoint": ".github/workflows/release.yml"});
    let table = [
        (
            "https://slsa.dev/provenance/v0.2",
            json!({"builder": {"id": "https://github.com/example/builder"}, "invocation": {"configSource": config},
                   "buildType": "https://github.com/slsa-framework/slsa-github-generator/generic@v1", "materials": []}),
            (
                "provenance",
                "verified",
                "branch main of https://github.com/example/tool",
            ),
        ),
        (
            "https://slsa.dev/provenance/v0.2",
            json!({"builder": {"id": ""}, "buildType": "x"}),
            ("provenance", "refuted", "it has no builder.id"),
        ),
        (
            "https://slsa.dev/provenance/v0.2",
            json!({"builder": {"id": "https://github.com/docker/buildx"}, "buildType": "https://mobyproject.org/buildkit@v1",
                   "materials": [
                       {"uri": "pkg:docker/alpine@latest?platform=linux%2Famd64", "digest": {"sha256": "00"}},
                       {"uri": "https://example.com/file"}]}),
            ("provenance", "verified", "https://example.com/file"),
        ),
        (
            "https://slsa.dev/provenance/v1",
            json!({"buildDefinition": {"buildType": "https://example.com/unknown@v1", "externalParameters": {}},
                   "runDetails": {"builder": {"id": "https://example.com/builder"}}}),
            (
                "provenance",
                "verified",
                "built by https://example.com/builder from an unnamed source",
            ),
        ),
        (
            "https://slsa.dev/verification_summary/v1",
            json!({"verifier": {"id": "https://example.com/verifier"}, "verificationResult": "PASSED", "verifiedLevels": ["SLSA_BUILD_LEVEL_3"]}),
            (
                "other",
                "verified",
                "https://example.com/verifier verified it: PASSED (SLSA_BUILD_LEVEL_3)",
            ),
        ),
        (
            "https://in-toto.io/attestation/test-result/v0.1",
            json!({"result": "FAILED"}),
            ("other", "verified", "a test of it FAILED"),
        ),
        (
            "https://slsa.dev/source_provenance/v1-draft",
            json!({"reviews": [{"reviewer": "alice", "state": "APPROVED"}]}),
            ("other", "verified", "how a revision of the source came to be"),
        ),
        (
            "https://docs.pypi.org/attestations/publish/v1",
            Value::Null,
            (
                "signature",
                "verified",
                "a trusted publisher of the project uploaded it",
            ),
        ),
    ];
    for (kind, predicate, (question, standing, words)) in table {
        let statement = with_predicate(&scene, kind, predicate);
        let output = scene.inspect(
            scene.authority.sign(&statement, &signer).to_string().as_bytes(),
            &["--identity", &signer.identity, "--issuer", &signer.issuer],
        );
        let found = json(&output);
        assert_eq!(found[question]["standing"], standing, "{kind}: {found}");
        assert!(found.to_string().contains(words), "{kind}: {found}");
    }
}

/// Who signs as a person, with an e-mail address that nobody named.
fn stranger() -> Signer {
    Signer {
        identity: "mailto:mallory@evil.example".into(),
        issuer: "https://accounts.google.com".into(),
        repository: String::new(),
        commit: String::new(),
        reference: String::new(),
        expired: false,
    }
}

#[apply(test)]
fn a_signature_of_someone_whom_nobody_named_is_shown_and_does_not_count() {
    let scene = Scene::new();
    let other = Signer::workflow("https://github.com/evil/tool", COMMIT);
    let mut by_itself = scene.statement();
    by_itself["predicate"]["runDetails"]["builder"]["id"] = json!("https://ci.evil.example/");
    let npm = json!({"registry": "https://registry.npmjs.org", "name": "tool", "version": "1.0.0"});
    let statements = [
        ("provenance", by_itself),
        (
            "signature",
            with_predicate(
                &scene,
                "https://github.com/npm/attestation/tree/main/specs/publish/v0.1",
                npm,
            ),
        ),
        (
            "signature",
            with_predicate(
                &scene,
                "https://docs.pypi.org/attestations/publish/v1",
                Value::Null,
            ),
        ),
        (
            "signature",
            with_predicate(&scene, "https://in-toto.io/attestation/release/v0.1", json!({})),
        ),
        (
            "other",
            with_predicate(
                &scene,
                "https://slsa.dev/verification_summary/v1",
                json!({"verificationResult": "PASSED"}),
            ),
        ),
        (
            "other",
            with_predicate(
                &scene,
                "https://in-toto.io/attestation/test-result/v0.1",
                json!({"result": "PASSED"}),
            ),
        ),
    ];
    for (question, statement) in statements {
        for signer in [stranger(), other.clone()] {
            if question == "provenance" && !signer.repository.is_empty() {
                continue;
            }
            let kind = statement["predicateType"].as_str().unwrap();
            let bundle = scene.authority.sign(&statement, &signer).to_string();
            let output = scene.inspect(bundle.as_bytes(), &[]);
            assert_eq!(code(&output), 4, "{kind} {}: {}", signer.identity, text(&output));
            let finding = &json(&output)[question];
            assert_eq!(finding["standing"], "unchecked", "{kind}: {finding}");
            let meaning = finding["claims"][0]["meaning"].as_str().unwrap();
            assert!(
                meaning.contains(signer.identity.trim_start_matches("mailto:")),
                "{meaning}"
            );
        }
    }
    // A workflow speaks for what it built itself, and for no other builder or source.
    let own = Signer::workflow(REPOSITORY, COMMIT);
    for (builder, expected) in [
        ("https://github.com/actions/runner/github-hosted", 0),
        ("https://github.com/actions/runner", 0),
        (own.identity.as_str(), 0),
        ("https://ci.evil.example/", 4),
        ("https://github.com/actions/runner-of-mine", 4),
        ("https://gitlab.com/example/tool/-/runners/1", 4),
    ] {
        let mut statement = scene.statement();
        statement["predicate"]["runDetails"]["builder"]["id"] = json!(builder);
        let bundle = scene.authority.sign(&statement, &own).to_string();
        let output = scene.inspect(bundle.as_bytes(), &[]);
        assert_eq!(code(&output), expected, "{builder}: {}", text(&output));
    }
    // What a registry or a forge states is theirs, whoever is named.
    let npm = json!({"registry": "HTTPS://Registry.npmjs.org/", "name": "tool", "version": "1.0.0"});
    let npm = with_predicate(
        &scene,
        "https://github.com/npm/attestation/tree/main/specs/publish/v0.1",
        npm,
    );
    let release = with_predicate(&scene, "https://in-toto.io/attestation/release/v0.1", json!({}));
    for statement in [npm, release] {
        let bundle = scene.authority.sign(&statement, &own).to_string();
        let output = scene.inspect(
            bundle.as_bytes(),
            &["--identity", &own.identity, "--issuer", &own.issuer],
        );
        assert_eq!(code(&output), 4, "{}", text(&output));
    }
}

#[apply(test)]
fn a_bundle_in_pypis_own_spelling_is_the_same_bundle() {
    let scene = Scene::new();
    let statement = with_predicate(
        &scene,
        "https://docs.pypi.org/attestations/publish/v1",
        Value::Null,
    );
    let bundle = scene
        .authority
        .sign(&statement, &Signer::workflow(REPOSITORY, COMMIT));
    let attestation = json!({
        "version": 1,
        "verification_material": {
            "certificate": bundle["verificationMaterial"]["certificate"]["rawBytes"],
            "transparency_entries": bundle["verificationMaterial"]["tlogEntries"]
        },
        "envelope": {
            "statement": bundle["dsseEnvelope"]["payload"],
            "signature": bundle["dsseEnvelope"]["signatures"][0]["sig"]
        }
    });
    let provenance =
        json!({"version": 1, "attestation_bundles": [{"publisher": {}, "attestations": [attestation]}]});
    let signer = Signer::workflow(REPOSITORY, COMMIT);
    let named = ["--identity", &signer.identity, "--issuer", &signer.issuer];
    // Who the publisher is stands unsigned in the file, so that only the index itself or the user can say it.
    for (arguments, expected, standing) in [(&named[..], 0, "verified"), (&[], 4, "unchecked")] {
        for document in [&attestation, &provenance] {
            let output = scene.inspect(document.to_string().as_bytes(), arguments);
            assert_eq!(code(&output), expected, "{}", text(&output));
            assert_eq!(json(&output)["signature"]["standing"], standing);
        }
    }
}

#[apply(test)]
fn a_name_that_was_not_signed_is_not_taken_from_the_digest() {
    let scene = Scene::new();
    let signer = Signer::workflow(REPOSITORY, COMMIT);
    let statement = provenance("pkg:npm/%40example/tool@1.0.0", &scene.sha256, REPOSITORY, COMMIT);
    let bundle = scene.authority.sign(&statement, &signer).to_string();
    for (purl, expected, standing) in [
        ("pkg:npm/%40example/tool@1.0.0", 0, "verified"),
        ("pkg:npm/%40example/tool@2.0.0", 3, "elsewhere"),
        ("pkg:npm/%40evil/tool@1.0.0", 3, "elsewhere"),
    ] {
        let output = scene.inspect(bundle.as_bytes(), &["--purl", purl]);
        assert_eq!(code(&output), expected, "{purl}: {}", text(&output));
        assert_eq!(json(&output)["provenance"]["standing"], standing, "{purl}");
    }
}

fn buildinfo(sha256: &str) -> String {
    format!(
        "Format: 1.0\nSource: tool\nBinary: tool\nArchitecture: amd64\nVersion: 1.0-1\n\
         Checksums-Sha256:\n {sha256} 8 tool\nInstalled-Build-Depends:\n gcc (= 12.2)\n"
    )
}

#[apply(test)]
fn debians_record_of_a_build_is_read_and_tied_to_its_files() {
    let scene = Scene::new();
    for (sha256, expected, standing) in [
        (scene.sha256.clone(), 4, "unsigned"),
        ("0".repeat(64), 3, "elsewhere"),
    ] {
        let output = scene.inspect(buildinfo(&sha256).as_bytes(), &[]);
        assert_eq!(code(&output), expected, "{}", text(&output));
        let finding = &json(&output)["provenance"];
        assert_eq!(finding["standing"], standing);
        assert_eq!(
            finding["claims"][0]["claim"],
            "built from the Debian source tool 1.0-1 with 1 package installed"
        );
    }
}

#[apply(test)]
fn the_findings_are_shown_on_a_terminal_and_as_a_page() {
    let scene = Scene::new();
    let bundle = scene
        .authority
        .sign(&scene.statement(), &Signer::workflow(REPOSITORY, COMMIT));
    fs::write(scene.path("evidence.json"), bundle.to_string()).unwrap();
    let page = scene.path("page.html");
    let mut command = rebuilder();
    command.args(["--offline", "inspect"]).arg(scene.path("tool"));
    command.arg("--provenance").arg(scene.path("evidence.json"));
    command
        .arg("--trusted-root")
        .arg(scene.path("root.json"))
        .arg("--html")
        .arg(&page);
    let output = command.output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output));
    insta::assert_snapshot!("inspect", String::from_utf8(output.stdout).unwrap());
    let page = fs::read_to_string(page).unwrap();
    for words in [
        "Who released it",
        "Where it came from",
        "Chain of custody",
        COMMIT,
    ] {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("<script"), "the page must work without scripts");
}

#[apply(test)]
fn commits_and_tags_signed_without_a_key_are_verified_with_the_entry_that_they_carry() {
    use rebuilder::evidence::Standing;
    use rebuilder::evidence::git_signature::{of_commit, of_tag};
    use rebuilder::evidence::sigstore::Sigstore;
    use rebuilder::evidence::trust::Trust;
    let scene = Scene::new();
    let public = Trust::public_good().unwrap();
    let mut trust = public.clone();
    trust.sigstore = std::sync::Arc::new(Sigstore::read(&scene.path("root.json")).unwrap());
    let signer = Signer {
        identity: "mailto:maintainer@example.com".into(),
        issuer: "https://accounts.google.com".into(),
        ..Signer::workflow(REPOSITORY, COMMIT)
    };
    let commit = "tree 29a6bb89945c528d2e2a2702899db3e46ba2e6ee\nauthor A <a@b.c> 1 +0000\ncommitter A <a@b.c> 1 +0000\n\nmessage\n";
    let signed = |signature: &str| {
        let folded = signature.trim_end().replace('\n', "\n ");
        commit.replacen("\n\n", &format!("\ngpgsig {folded}\n\n"), 1)
    };
    let signature = scene.authority.gitsign(commit.as_bytes(), &signer);
    let good = of_commit(signed(&signature).as_bytes(), &trust);
    assert_eq!(good.standing, Standing::Verified, "{good:?}");
    assert!(good.by.unwrap().contains("maintainer@example.com"));
    assert_eq!(good.identity.unwrap().issuer, "https://accounts.google.com");
    let tag = format!("{commit}{signature}");
    assert_eq!(of_tag(tag.as_bytes(), &trust).standing, Standing::Verified);

    let changed = signed(&signature).replace("message", "another");
    let other = scene.authority.gitsign(b"another object", &signer);
    let expired = Signer {
        expired: true,
        ..signer.clone()
    };
    let expired = scene.authority.gitsign(commit.as_bytes(), &expired);
    for (object, trust, what) in [
        (changed, &trust, "a changed commit"),
        (signed(&other), &trust, "a signature over another object"),
        (signed(&expired), &trust, "an expired certificate"),
        (signed(&signature), &public, "an authority that is not trusted"),
    ] {
        let judged = of_commit(object.as_bytes(), trust);
        assert_eq!(judged.standing, Standing::Invalid, "{what}: {judged:?}");
    }
}
