//! Documents of less usual forms: Google Cloud Build's, older provenance, summaries of sources, releases, links.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::SigningKey as _;
use rebuilder::evidence::dsse::pre_authentication;
use serde_json::{Value, json};

use super::cosign::key;
use super::{COMMIT, REPOSITORY, Scene, with_predicate};
use crate::common::{code, json, text};

const IN_TOTO: &str = "application/vnd.in-toto+json";

/// An envelope with a signature by a key, over what DSSE says or over the payload alone.
fn envelope(statement: &Value, key: &rcgen::KeyPair, keyid: &str, of_payload: bool) -> Value {
    let payload = statement.to_string();
    let message = if of_payload {
        payload.clone().into_bytes()
    } else {
        pre_authentication(IN_TOTO, payload.as_bytes())
    };
    let signature = STANDARD.encode(key.sign(&message).unwrap());
    json!({"payloadType": IN_TOTO, "payload": STANDARD.encode(payload), "signatures": [{"keyid": keyid, "sig": signature}]})
}

/// A statement of Google Cloud Build, with provenance v0.1.
fn cloud_build_statement(sha256: &str) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v0.1",
        "subject": [{"name": "https://registry.example/tool", "digest": {"sha256": sha256}}],
        "predicateType": "https://slsa.dev/provenance/v0.1",
        "predicate": {
            "builder": {"id": "https://cloudbuild.googleapis.com/GoogleHostedWorker@v0.3"},
            "recipe": {
                "type": "https://cloudbuild.googleapis.com/CloudBuildYaml@v0.1", "entryPoint": "cloudbuild.yaml",
                "arguments": {"substitutions": {"BRANCH_NAME": "main"}},
            },
            "materials": [{"uri": format!("git+{REPOSITORY}"), "digest": {"sha1": COMMIT}}],
            "metadata": {"buildInvocationId": "1"},
        },
    })
}

fn described(sha256: &str, statement: &Value, envelope: &Value) -> Value {
    json!({
        "image_summary": {
            "digest": format!("sha256:{sha256}"), "fully_qualified_digest": format!("registry.example/tool@sha256:{sha256}"),
            "registry": "registry.example", "repository": "tool",
        },
        "provenance_summary": {"provenance": [{
            "kind": "BUILD", "noteName": "projects/verified-builder/notes/1", "name": "o", "createTime": "t", "updateTime": "t",
            "resourceUri": format!("https://registry.example/tool@sha256:{sha256}"),
            "build": {"intotoStatement": {
                "_type": statement["_type"], "subject": statement["subject"],
                "predicateType": statement["predicateType"], "slsaProvenance": statement["predicate"],
            }},
            "envelope": envelope,
        }]},
    })
}

#[apply(test)]
fn cloud_builds_provenance_counts_by_either_of_its_signatures() {
    let scene = Scene::new();
    let (own, public) = key();
    let (_, other) = key();
    let of = |key: &str| format!("projects/verified-builder/locations/{key}/cryptoKeyVersions/1");
    let global = of("global/keyRings/attestor/cryptoKeys/provenanceSigner");
    let regional = of("us-west2/keyRings/attestor/cryptoKeys/builtByGCB");
    let of_europe = of("europe-west1/keyRings/attestor/cryptoKeys/builtByGCB");
    let of_nobody = regional.replace("verified-builder", "somebody");
    let called = |name: &str, public: &str| {
        json!({"keyid": name, "keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": {"public": public}}).to_string()
    };
    let write = |name: &str, text: String| {
        fs::write(scene.path(name), text).unwrap();
        scene.path(name).display().to_string()
    };
    let named_key = write("named.json", called(&regional, &public));
    let nobodys_key = write("nobodys.json", called(&of_nobody, &public));
    let others_key = write("others.json", called(&regional, &other));
    let own_key = write("own.pub", public);
    let other_key = write("other.pub", other);
    let statement = cloud_build_statement(&scene.sha256);
    for (keyid, of_payload, key, exit, standing) in [
        (&global, false, Some(&own_key), 0, "verified"),
        (&regional, true, Some(&named_key), 0, "verified"),
        // A signature over the payload alone is Cloud Build's own, and no one else's: any key that signs files makes one.
        (&global, true, Some(&own_key), 4, "unchecked"),
        (&global, true, Some(&named_key), 4, "unchecked"),
        (&regional, true, Some(&own_key), 4, "unchecked"),
        (&of_europe, true, Some(&named_key), 4, "unchecked"),
        (&of_nobody, true, Some(&nobodys_key), 3, "refuted"),
        (&regional, false, Some(&named_key), 3, "refuted"),
        (&regional, true, Some(&others_key), 3, "refuted"),
        (&regional, false, Some(&own_key), 4, "unchecked"),
        (&global, false, Some(&other_key), 4, "unchecked"),
        (&regional, true, None, 4, "unchecked"),
    ] {
        let signed = envelope(&statement, &own, keyid, of_payload);
        let document = described(&scene.sha256, &statement, &signed);
        let arguments: Vec<&str> = key.iter().flat_map(|key| ["--trusted-key", key]).collect();
        let output = scene.inspect(document.to_string().as_bytes(), &arguments);
        assert_eq!(code(&output), exit, "{keyid} {of_payload}: {}", text(&output));
        let found = json(&output);
        assert_eq!(found["provenance"]["standing"], standing, "{keyid} {of_payload}");
        assert_eq!(
            found["custody"]["commit"],
            if exit == 3 { Value::Null } else { json!(COMMIT) }
        );
    }
    // The name may be the policy's, wherever the key is.
    let document = described(
        &scene.sha256,
        &statement,
        &envelope(&statement, &own, &regional, true),
    );
    let text_of_key = fs::read_to_string(&own_key).unwrap();
    for (name, exit) in [(&regional, 0), (&of_europe, 4)] {
        for place in [
            "file = \"own.pub\"".to_owned(),
            format!("text = \"\"\"\n{text_of_key}\"\"\""),
        ] {
            let policy = format!(
                "version = 1\nunmatched = \"allow\"\n[[keys]]\nname = \"{name}\"\n{place}\n[[rules]]\nsubject = \"tool\"\nkeys = [\"{name}\"]\n"
            );
            let policy = write("policy.toml", policy);
            let output = scene.inspect(document.to_string().as_bytes(), &["--policy", &policy]);
            let standing = &json(&output)["provenance"]["standing"];
            assert_eq!(
                *standing == "verified",
                exit == 0,
                "{name} {place}: {}",
                text(&output)
            );
        }
    }
    // The copy for people says something else than what is signed.
    let signed = envelope(&statement, &own, &global, false);
    let mut copy = statement.clone();
    copy["predicate"]["builder"]["id"] = json!("https://cloudbuild.googleapis.com/GoogleHostedWorker@v0.4");
    let document = described(&scene.sha256, &copy, &signed);
    let output = scene.inspect(document.to_string().as_bytes(), &["--trusted-key", &own_key]);
    assert_eq!(code(&output), 4, "{}", text(&output));
    assert!(
        json(&output)["other"]
            .to_string()
            .contains("something else than what is signed")
    );
}

// Long, as it is one table.
#[apply(test)]
fn a_summary_of_the_source_counts_with_provenance_that_names_that_revision() {
    let scene = Scene::new();
    let (own, public) = key();
    fs::write(scene.path("own.pub"), public).unwrap();
    let own_key = scene.path("own.pub").display().to_string();
    let summary = |commit: &str, repository: &str, result: &str| {
        json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"uri": repository, "digest": {"gitCommit": commit}, "annotations": {"source_refs": ["refs/heads/main"]}}],
            "predicateType": "https://slsa.dev/verification_summary/v1",
            "predicate": {
                "verifier": {"id": "https://verifier.example"}, "resourceUri": format!("git+{repository}"),
                "verificationResult": result, "verifiedLevels": ["SLSA_SOURCE_LEVEL_3"],
            },
        })
    };
    let provenance = envelope(&scene.statement(), &own, "", false);
    let other_commit = "1".repeat(40);
    for (with_provenance, commit, repository, result, standing, words) in [
        (
            true,
            COMMIT,
            REPOSITORY,
            "PASSED",
            "verified",
            "SLSA_SOURCE_LEVEL_3",
        ),
        (true, COMMIT, REPOSITORY, "FAILED", "unchecked", "FAILED"),
        (
            true,
            other_commit.as_str(),
            REPOSITORY,
            "PASSED",
            "unchecked",
            "no verified provenance",
        ),
        (
            true,
            COMMIT,
            "https://github.com/example/fork",
            "PASSED",
            "unchecked",
            "no verified provenance",
        ),
        (
            false,
            COMMIT,
            REPOSITORY,
            "PASSED",
            "unchecked",
            "no verified provenance",
        ),
    ] {
        let signed = envelope(&summary(commit, repository, result), &own, "", false);
        let lines = if with_provenance {
            format!("{provenance}\n{signed}\n")
        } else {
            format!("{signed}\n")
        };
        let output = scene.inspect(lines.as_bytes(), &["--trusted-key", &own_key]);
        let other = &json(&output)["other"];
        assert_eq!(
            other["standing"],
            standing,
            "{commit} {result}: {}",
            text(&output)
        );
        assert!(other.to_string().contains(words), "{other}");
    }
    // Without a key that anyone named it is nothing.
    let signed = envelope(&summary(COMMIT, REPOSITORY, "PASSED"), &own, "", false);
    let output = scene.inspect(format!("{provenance}\n{signed}\n").as_bytes(), &[]);
    assert_eq!(
        json(&output)["other"]["standing"],
        "unchecked",
        "{}",
        text(&output)
    );
}

// Long, as it is one table.
#[apply(test)]
fn statements_of_registries_verifiers_and_steps_are_read() {
    let scene = Scene::new();
    let (own, public) = key();
    let raw = pem::parse(&public).unwrap();
    fs::write(scene.path("own.pub"), &public).unwrap();
    // The same key as securesystemslib writes it.
    let as_json = json!({"keyid": "k1", "keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": {"public": public}});
    assert_eq!(raw.tag(), "PUBLIC KEY");
    fs::write(scene.path("own.json"), as_json.to_string()).unwrap();
    let (pem_key, json_key) = (
        scene.path("own.pub").display().to_string(),
        scene.path("own.json").display().to_string(),
    );
    let release = json!({"purl": "pkg:generic/tool@1.0", "packageId": "7"});
    let svr = json!({"verifier": {"id": "https://verifier.example", "policies": []}, "timeCreated": "2026-01-01T00:00:00Z", "properties": ["AMPEL_OK"]});
    let link = json!({"name": "package", "materials": [], "command": []});
    for (kind, predicate, purl, finding, standing, words) in [
        (
            "release/v0.2",
            release.clone(),
            "pkg:generic/tool@1.0",
            "signature",
            "verified",
            "part of the release pkg:generic/tool@1.0",
        ),
        (
            "release/v0.2",
            release.clone(),
            "pkg:generic/tool@2.0",
            "signature",
            "elsewhere",
            "not pkg:generic/tool@2.0",
        ),
        (
            "release/v0.2",
            release.clone(),
            "pkg:npm/tool@1.0",
            "signature",
            "verified",
            "part of the release pkg:generic/tool@1.0",
        ),
        (
            "release/v0.2",
            release,
            "pkg:npm/other@1.0",
            "signature",
            "elsewhere",
            "not pkg:npm/other@1.0",
        ),
        (
            "release/v0.2",
            json!({"purl": "pkg:generic/tool"}),
            "",
            "signature",
            "unchecked",
            "with a version",
        ),
        (
            "svr/v0.2",
            svr,
            "",
            "other",
            "verified",
            "https://verifier.example verified it: AMPEL_OK",
        ),
        ("svr/v0.2", json!({}), "", "other", "unchecked", "verifier.id"),
        (
            "link/v0.3",
            link,
            "",
            "other",
            "verified",
            "the step \\\"package\\\"",
        ),
        ("link/v0.3", json!({}), "", "other", "unchecked", "has no name"),
    ] {
        let statement = with_predicate(
            &scene,
            &format!("https://in-toto.io/attestation/{kind}"),
            predicate,
        );
        let signed = envelope(&statement, &own, "k1", false);
        for key in [&pem_key, &json_key] {
            let mut arguments = vec!["--trusted-key", key];
            if !purl.is_empty() {
                arguments.extend(["--purl", purl]);
            }
            let output = scene.inspect(signed.to_string().as_bytes(), &arguments);
            let found = json(&output);
            assert_eq!(
                found[finding]["standing"],
                standing,
                "{kind} {purl}: {}",
                text(&output)
            );
            assert!(
                found[finding].to_string().contains(words),
                "{kind}: {}",
                found[finding]
            );
        }
    }
}
