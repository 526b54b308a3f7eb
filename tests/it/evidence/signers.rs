//! Who signed, and who should have.

use crate::common::authority::Signer;
use crate::common::{code, json, rebuilder, text};
use serde_json::{Value, json};

use super::{COMMIT, REPOSITORY, Scene, with_predicate};

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
    assert_eq!(code(&output), 4, "{}", text(&output));
    assert!(
        text(&output).contains("which the trusted root does not have"),
        "{}",
        text(&output)
    );
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
}

#[apply(test)]
fn a_workflow_speaks_for_what_it_built_itself_alone() {
    let scene = Scene::new();
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
}

#[apply(test)]
fn what_a_registry_or_a_forge_states_is_theirs_whoever_is_named() {
    let scene = Scene::new();
    let own = Signer::workflow(REPOSITORY, COMMIT);
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
