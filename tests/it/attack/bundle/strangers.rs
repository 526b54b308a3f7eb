//! Signers without a key whom nobody named.

use crate::attack::ground::{Ground, must};
use crate::common::authority::{Authority, Signer};
use crate::common::text;
use rebuilder::artifact::Sha256;
use serde_json::{Value, json};

use super::{Scene, code, inspect, pack, payload, provenance, relist, statement};

/// Those who can sign without a key and whom nobody named: two people, and a project of the attacker's own.
fn strangers() -> [Signer; 3] {
    let person = |identity: &str, issuer: &str| Signer {
        identity: identity.into(),
        issuer: issuer.into(),
        repository: String::new(),
        commit: String::new(),
        reference: String::new(),
        expired: false,
    };
    [
        person("mailto:mallory@evil.example", "https://accounts.google.com"),
        person("mailto:mallory@evil.example", "https://github.com/login/oauth"),
        Signer::workflow("https://github.com/mallory/tool", &"a".repeat(40)),
    ]
}

pub(super) fn stranger_signs_a_bundle(ground: &Ground) -> Result<(), String> {
    let scene = Scene::new(ground, true);
    let genuine = scene.export(true);
    let authority = Authority::new();
    let root = ground.write("root.json", authority.trusted_root().to_string());
    for stranger in strangers() {
        let mut files = genuine.clone();
        let attestation = payload(&files["attestations/rebuild.sigstore.json"]);
        let again = authority.sign(&attestation, &stranger).to_string();
        // What it cost tells its length.
        let length = |bytes: usize| format!("\"attestation_bytes\": {bytes}");
        let cost = String::from_utf8(files["cost.json"].clone()).unwrap();
        let before = length(files["attestations/rebuild.sigstore.json"].len());
        must(cost.contains(&before), format!("{cost} has no {before}"))?;
        files.insert(
            "cost.json".into(),
            cost.replace(&before, &length(again.len())).into(),
        );
        files.insert("attestations/rebuild.sigstore.json".into(), again.into());
        relist(&mut files, |_| {});
        // The list is signed again as well, over what it has become.
        let mut list = payload(&genuine["manifest.sigstore.json"]);
        list["subject"][0]["digest"]["sha256"] = json!(Sha256::of(&files["manifest.json"]));
        let again = authority.sign(&list, &stranger).to_string();
        files.insert("manifest.sigstore.json".into(), again.into());
        let archive = ground.write("stranger.tar.gz", pack(&files, &[]));
        let verify = |more: &[&str]| {
            let mut command = ground.rebuilder();
            command.args(["--offline", "evidence", "verify"]).arg(&archive);
            command
                .arg("--trusted-root")
                .arg(&root)
                .args(more)
                .output()
                .unwrap()
        };
        let key = ground.folder().join("own.pem.pub");
        for more in [&[][..], &["--trusted-key", key.to_str().unwrap()]] {
            let output = verify(more);
            must(
                code(&output) == 4 && !text(&output).contains("+ signed by a key that you trust"),
                format!(
                    "{} {more:?}: exit {}: {}",
                    stranger.identity,
                    code(&output),
                    text(&output)
                ),
            )?;
        }
        // Whoever is named counts.
        let output = verify(&[
            "--identity",
            &stranger.identity.replace("mailto:", "*"),
            "--issuer",
            &stranger.issuer,
        ]);
        must(
            code(&output) == 0,
            format!(
                "a named identity does not count: exit {}: {}",
                code(&output),
                text(&output)
            ),
        )?;
    }
    Ok(())
}

/// What strangers may say of the file `tool`; each in the name of someone else.
fn borrowed_words() -> Vec<Value> {
    let npm = "https://github.com/npm/attestation/tree/main/specs/publish/v0.1";
    let took = |registry: &str| json!({"registry": registry, "name": "tool", "version": "1.0.0"});
    let said = |kind: &str, predicate: Value| statement(kind, "tool", b"released", &predicate);
    let mut provenance = provenance("tool", b"released");
    provenance["predicate"]["runDetails"]["builder"]["id"] = json!("https://ci.mallory.example/");
    vec![
        said(npm, took("https://registry.npmjs.org")),
        said(npm, took("https://Registry.NPMJS.org/")),
        said(npm, took("https://npm.example/")),
        said("https://docs.pypi.org/attestations/publish/v1", Value::Null),
        said(
            "https://in-toto.io/attestation/release/v0.1",
            json!({"purl": "pkg:github/a/tool@1"}),
        ),
        provenance,
    ]
}

pub(super) fn stranger_states(ground: &Ground) -> Result<(), String> {
    ground.write("tool", "released");
    let authority = Authority::new();
    let root = ground.write("root.json", authority.trusted_root().to_string());
    for stranger in strangers() {
        for said in borrowed_words() {
            let file = ground.write("said.json", authority.sign(&said, &stranger).to_string());
            let output = inspect(
                ground,
                "--provenance",
                &file,
                &[],
                &["--trusted-root", root.to_str().unwrap()],
            );
            must(
                [3, 4].contains(&code(&output)),
                format!(
                    "{}: {}: {}",
                    said["predicateType"],
                    stranger.identity,
                    text(&output)
                ),
            )?;
        }
    }
    Ok(())
}

pub(super) fn stranger_at_a_policy(ground: &Ground) -> Result<(), String> {
    ground.write("tool", "released");
    let authority = Authority::new();
    let root = ground.write("root.json", authority.trusted_root().to_string());
    let identity = "{ subject = \"alice@example.org\", issuer = \"https://accounts.google.com\" }";
    for rule in [
        "require = [\"signature\"]".to_owned(),
        "require = [\"provenance\"]".to_owned(),
        format!("identities = [{identity}]"),
    ] {
        let policy = format!("version = 1\n[[rules]]\nsubject = \"*\"\n{rule}\n");
        let policy = ground.write("policy.toml", policy);
        for stranger in strangers().into_iter().step_by(2) {
            for said in borrowed_words() {
                let file = ground.write("said.json", authority.sign(&said, &stranger).to_string());
                let more = [
                    "--trusted-root",
                    root.to_str().unwrap(),
                    "--policy",
                    policy.to_str().unwrap(),
                ];
                let output = inspect(ground, "--provenance", &file, &[], &more);
                must(
                    code(&output) == 3,
                    format!(
                        "{rule}: {}: {}: {}",
                        said["predicateType"],
                        stranger.identity,
                        text(&output)
                    ),
                )?;
            }
        }
    }
    Ok(())
}
