//! Kinds of statements, and what each of them is about.

use std::fs;

use crate::common::authority::{Signer, provenance};
use crate::common::{code, json, rebuilder, text, vectors};
use serde_json::{Value, json};

use super::{COMMIT, REPOSITORY, Scene, buildinfo, with_predicate};

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

// Long, as it is one table.
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

/// A summary is about a resource, and not about whatever has the same bytes.
#[apply(test)]
fn a_summary_of_another_resource_is_of_another_name() {
    let scene = Scene::new();
    let signer = Signer::workflow(REPOSITORY, COMMIT);
    let own = Some("pkg:generic/tool@1.0");
    for (purl, resource, expected, standing, words) in [
        (own, json!("pkg:generic/tool@1.0"), 4, "verified", ""),
        (
            own,
            json!("pkg:generic/tool@1.1"),
            3,
            "elsewhere",
            "it is about the resource",
        ),
        (own, json!("https://example.com/dist/tool"), 4, "verified", ""),
        (
            own,
            json!("https://example.com/dist/other"),
            3,
            "elsewhere",
            "it is about the resource",
        ),
        (
            own,
            json!("https://example.com/other-6.6.tar.gz"),
            3,
            "elsewhere",
            "it is about the resource",
        ),
        (
            own,
            json!("gce_image://nodes:one"),
            4,
            "verified",
            "cannot be compared with",
        ),
        (own, Value::Null, 4, "verified", "it names no resource"),
        (None, json!("https://example.com/dist/tool"), 4, "verified", ""),
        (
            None,
            json!("https://example.com/dist/other"),
            3,
            "elsewhere",
            "it is about the resource",
        ),
        (None, json!("tool"), 4, "verified", ""),
    ] {
        let mut predicate = json!({
            "verifier": {"id": "https://example.com/verifier"}, "verificationResult": "PASSED",
            "verifiedLevels": ["SLSA_BUILD_LEVEL_3"],
        });
        if !resource.is_null() {
            predicate["resourceUri"] = resource.clone();
        }
        let statement = with_predicate(&scene, "https://slsa.dev/verification_summary/v1", predicate);
        let bundle = scene.authority.sign(&statement, &signer).to_string();
        let mut arguments = vec!["--identity", &signer.identity, "--issuer", &signer.issuer];
        arguments.extend(purl.iter().flat_map(|purl| ["--purl", purl]));
        let output = scene.inspect(bundle.as_bytes(), &arguments);
        assert_eq!(code(&output), expected, "{purl:?} {resource}: {}", text(&output));
        let found = json(&output);
        let claim = &found["other"]["claims"][0];
        assert_eq!(claim["standing"], standing, "{purl:?} {resource}: {claim}");
        let meaning = claim["meaning"].as_str().unwrap();
        assert!(meaning.contains(words), "{purl:?} {resource}: {meaning}");
        let is_silent = !meaning.contains("resource");
        assert_eq!(is_silent, words.is_empty(), "{purl:?} {resource}: {meaning}");
    }
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
