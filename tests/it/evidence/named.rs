//! What names count for, what a file of several statements is worth, and evidence that cannot be read.

use std::fs;

use crate::common::authority::Signer;
use crate::common::{code, json, rebuilder, text};
use serde_json::{Value, json};

use super::{COMMIT, REPOSITORY, Scene, with_predicate};

const PUBLISH: &str = "https://github.com/npm/attestation/tree/main/specs/publish/v0.1";

/// A statement with these subjects, each a name and a digest.
fn about(mut statement: Value, subjects: &[(&str, &str)]) -> Value {
    let subjects = subjects.iter();
    let subjects = subjects.map(|(name, sha256)| json!({"name": name, "digest": {"sha256": sha256}}));
    statement["subject"] = subjects.collect();
    statement
}

// Long, as it is one table.
#[apply(test)]
fn a_name_counts_where_the_specification_says_so() {
    let scene = Scene::new();
    let signer = Signer::workflow(REPOSITORY, COMMIT);
    let (own, other) = (scene.sha256.clone(), "0".repeat(64));
    let release = |version: &str, purl: &str, name: &str| {
        let kind = format!("https://in-toto.io/attestation/release/{version}");
        let predicate = json!({"purl": purl, "releaseId": "1", "packageId": "2"});
        about(with_predicate(&scene, &kind, predicate), &[(name, &own)])
    };
    let publish = |subject: &str, name: &str| {
        let predicate = json!({"registry": "https://registry.example", "name": name, "version": "1.0.0"});
        about(with_predicate(&scene, PUBLISH, predicate), &[(subject, &own)])
    };
    let pypi = |subjects: &[(&str, &str)]| {
        let kind = "https://docs.pypi.org/attestations/publish/v1";
        about(with_predicate(&scene, kind, Value::Null), subjects)
    };
    let built = |subjects: &[(&str, &str)]| about(scene.statement(), subjects);
    let npm = Some("pkg:npm/tool@1.0.0");
    for (what, statement, purl, question, standing) in [
        (
            "a release",
            release("v0.1", "pkg:npm/tool@1.0.0", "tool"),
            npm,
            "signature",
            "verified",
        ),
        (
            "a release, newer",
            release("v0.2", "pkg:npm/tool@1.0.0", "tool"),
            npm,
            "signature",
            "verified",
        ),
        (
            "a release that nobody asked for by name",
            release("v0.2", "pkg:npm/tool@1.0.0", "tool"),
            None,
            "signature",
            "verified",
        ),
        (
            "a release of another package",
            release("v0.1", "pkg:npm/evil@1.0.0", "tool"),
            npm,
            "signature",
            "elsewhere",
        ),
        (
            "a release of another version",
            release("v0.2", "pkg:npm/tool@2.0.0", "tool"),
            npm,
            "signature",
            "elsewhere",
        ),
        (
            "a release of another registry",
            release("v0.2", "pkg:pypi/tool@1.0.0", "tool"),
            npm,
            "signature",
            "elsewhere",
        ),
        (
            "a release of another file name",
            release("v0.1", "pkg:npm/tool@1.0.0", "other"),
            npm,
            "signature",
            "elsewhere",
        ),
        (
            "a release without a version",
            release("v0.1", "pkg:npm/tool", "tool"),
            npm,
            "signature",
            "unchecked",
        ),
        (
            "a release on GitHub that GitHub did not sign",
            release("v0.1", "pkg:github/example/tool@v1.0.0", "tool"),
            npm,
            "signature",
            "unchecked",
        ),
        (
            "npm",
            publish("pkg:npm/tool@1.0.0", "tool"),
            npm,
            "signature",
            "verified",
        ),
        (
            "npm, of another package",
            publish("pkg:npm/evil@1.0.0", "evil"),
            npm,
            "signature",
            "elsewhere",
        ),
        (
            "npm, of another package by its predicate alone",
            publish("tool", "evil"),
            npm,
            "signature",
            "elsewhere",
        ),
        (
            "npm, against itself",
            publish("pkg:npm/tool@1.0.0", "evil"),
            npm,
            "signature",
            "refuted",
        ),
        ("PEP 740", pypi(&[("tool", &own)]), None, "signature", "verified"),
        (
            "PEP 740, another file",
            pypi(&[("other-9.9.tar.gz", &own)]),
            None,
            "signature",
            "elsewhere",
        ),
        (
            "PEP 740, another project",
            pypi(&[("evil", &own)]),
            None,
            "signature",
            "elsewhere",
        ),
        (
            "PEP 740, two files",
            pypi(&[("tool", &own), ("other", &other)]),
            None,
            "signature",
            "refuted",
        ),
        (
            "several subjects",
            built(&[("other", &other), ("tool", &own)]),
            None,
            "provenance",
            "verified",
        ),
        (
            "this name with other bytes",
            built(&[("other", &own), ("tool", &other)]),
            None,
            "provenance",
            "elsewhere",
        ),
        (
            "two folders",
            built(&[("linux/tool", &own), ("mac/tool", &other)]),
            None,
            "provenance",
            "verified",
        ),
        (
            "a whole path",
            built(&[("/build/out/tool", &own)]),
            None,
            "provenance",
            "verified",
        ),
        (
            "a whole path elsewhere",
            built(&[(r"D:\a\out\tool", &own)]),
            None,
            "provenance",
            "verified",
        ),
        ("no name", built(&[("_", &own)]), None, "provenance", "verified"),
    ] {
        let bundle = scene.authority.sign(&statement, &signer).to_string();
        let mut arguments = vec!["--identity", &signer.identity, "--issuer", &signer.issuer];
        arguments.extend(purl.into_iter().flat_map(|purl| ["--purl", purl]));
        let found = json(&scene.inspect(bundle.as_bytes(), &arguments));
        assert_eq!(found[question]["standing"], standing, "{what}: {found}");
    }
}

// Long, as it is one table.
#[apply(test)]
fn a_file_of_several_statements_is_read_for_the_one_about_the_file() {
    let scene = Scene::new();
    let signer = Signer::workflow(REPOSITORY, COMMIT);
    let sign = |statement: &Value| scene.authority.sign(statement, &signer).to_string();
    let own = sign(&scene.statement());
    let foreign = sign(&about(scene.statement(), &[("other", &"0".repeat(64))]));
    let broken = foreign.replacen("\"sig\":\"M", "\"sig\":\"N", 1);
    let own_broken = {
        let mut bundle: Value = serde_json::from_str(&own).unwrap();
        let payload = scene.statement().to_string().replace("push", "pull");
        bundle["dsseEnvelope"]["payload"] = json!(super::base64(payload.as_bytes()));
        bundle.to_string()
    };
    for (what, text_of_file, expected, standing, ignored) in [
        ("ours", own.clone(), 0, "verified", json!(null)),
        (
            "with another's",
            format!("{foreign}\n{own}\n"),
            0,
            "verified",
            json!({"statements": 1, "lines": 0}),
        ),
        (
            "with another's, badly signed",
            format!("{own}\n{broken}\n"),
            0,
            "verified",
            json!({"statements": 1, "lines": 0}),
        ),
        (
            "with lines that are none",
            format!("{own}\n# built\n{{\"a\":1}}\n{{\n"),
            0,
            "verified",
            json!({"statements": 0, "lines": 3}),
        ),
        (
            "with all of it",
            format!("{foreign}\nx\n{own}\n{foreign}\n"),
            0,
            "verified",
            json!({"statements": 2, "lines": 1}),
        ),
        (
            "others' alone",
            format!("{foreign}\n{foreign}\n"),
            3,
            "elsewhere",
            json!(null),
        ),
        (
            "ours, badly signed",
            format!("{own}\n{own_broken}\n"),
            3,
            "refuted",
            json!(null),
        ),
    ] {
        let output = scene.inspect(text_of_file.as_bytes(), &[]);
        assert_eq!(code(&output), expected, "{what}: {}", text(&output));
        let finding = &json(&output)["provenance"];
        assert_eq!(finding["standing"], standing, "{what}: {finding}");
        assert_eq!(finding["claims"][0]["ignored"], ignored, "{what}: {finding}");
        if !ignored.is_null() {
            assert!(text(&output).contains("in the same file ignored"), "{what}");
        }
    }
}

#[apply(test)]
fn what_another_program_signed_is_shown_and_refuses_nothing() {
    let scene = Scene::new();
    let signer = Signer::workflow(REPOSITORY, COMMIT);
    let statement = scene.statement().to_string();
    let link = json!({"_type": "link", "name": "build", "products": {"tool": {"sha256": scene.sha256}}});
    let link = link.to_string();
    for (kind, payload) in [
        ("application/vnd.novulz+cbor", statement.as_str()),
        ("application/vnd.in-toto.provenance+json", &statement),
        ("https://witness.testifysec.com/policy/v0.1", "{}"),
        ("application/vnd.in-toto+json", &link),
        ("application/vnd.in-toto+json", r#"{"_type":"layout"}"#),
        (
            "application/vnd.in-toto+json",
            r#"{"_type":"https://in-toto.io/Statement/v9"}"#,
        ),
    ] {
        let bundle = scene.authority.sign_typed(kind, payload.as_bytes(), &signer);
        let output = scene.inspect(bundle.to_string().as_bytes(), &[]);
        let is_statement = kind == "application/vnd.in-toto.provenance+json";
        let expected = if is_statement { 0 } else { 4 };
        assert_eq!(code(&output), expected, "{kind} {payload}: {}", text(&output));
        let mut changed = bundle;
        changed["dsseEnvelope"]["payload"] = json!(super::base64(format!("{payload} ").as_bytes()));
        let output = scene.inspect(changed.to_string().as_bytes(), &[]);
        assert_eq!(code(&output), 3, "{kind} {payload}: {}", text(&output));
    }
}

#[apply(test)]
fn evidence_beside_a_file_that_cannot_be_read_is_told() {
    let scene = Scene::new();
    let inspect = || {
        let mut command = rebuilder();
        command
            .args(["--json", "--offline", "inspect"])
            .arg(scene.path("tool"));
        command.output().unwrap()
    };
    assert_eq!(json(&inspect())["provenance"]["standing"], "absent");
    for (ending, question) in [
        ("intoto.jsonl", "provenance"),
        ("sigstore.json", "provenance"),
        ("asc", "signature"),
    ] {
        let file = scene.path(&format!("tool.{ending}"));
        fs::write(&file, "{\"payloadType\":").unwrap();
        let output = inspect();
        assert_eq!(code(&output), 4, "{ending}: {}", text(&output));
        let finding = &json(&output)[question];
        assert_eq!(finding["standing"], "unchecked", "{ending}: {finding}");
        let claim = &finding["claims"][0];
        assert_eq!(claim["claim"], "evidence that cannot be read", "{finding}");
        assert!(claim["meaning"].as_str().unwrap().contains("EOF"), "{finding}");
        fs::remove_file(&file).unwrap();
    }
    // What stands under such a name and is no file.
    let place = scene.path("tool.sigstore.json");
    fs::create_dir(&place).unwrap();
    let of_folder = json(&inspect());
    fs::remove_dir(&place).unwrap();
    std::os::unix::fs::symlink("nowhere", &place).unwrap();
    let of_link = json(&inspect());
    for (what, found) in [("a folder", of_folder), ("a link to nothing", of_link)] {
        let finding = &found["provenance"];
        assert_eq!(finding["standing"], "unchecked", "{what}: {finding}");
        assert_eq!(
            finding["claims"][0]["claim"], "evidence that cannot be read",
            "{what}: {finding}"
        );
    }
}
