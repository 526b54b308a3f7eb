//! The conformance set of `docs/rebuild-predicate.md`: examples, what must be refused, and the same said in four dialects.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{self, code, json, text};
use in_toto::crypto::{KeyType, PrivateKey, SignatureScheme};
use rebuilder::attest::Signer as _;
use serde_json::{Value, json};

use super::statements::digest;
use super::{Scene, keys, verify};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs/rebuild-predicate")
        .join(name)
}

fn example(name: &str) -> Value {
    serde_json::from_slice(&fs::read(folder(&format!("{name}.json"))).unwrap()).unwrap()
}

/// What `verify` makes of statements that bob signed, about the release of the examples.
fn found(statements: &[Value]) -> Value {
    let mut scene = Scene::new("threshold = 1\n");
    for statement in statements {
        scene.say("bob", statement);
    }
    ask(&scene)
}

fn ask(scene: &Scene) -> Value {
    let (said, policy) = (scene.path("said"), scene.path("policy.toml"));
    let artifact = format!("sha256:{}", digest(b"released"));
    let about = ["--name", "hello-1.0.tar.gz", "--purl", "pkg:generic/hello@1.0"];
    let more = ["--attestation", &said, "--policy", &policy, "--json"];
    json(&verify(&[&[artifact.as_str()][..], &about, &more].concat()))
}

/// The answer, or the reason for which the statement does not count.
fn answer(found: &Value) -> Value {
    match found["parties"].get(0) {
        Some(party) => party["says"].clone(),
        None => found["set_aside"][0]["reason"].clone(),
    }
}

#[apply(test)]
fn the_examples_fit_the_schema_and_are_read() {
    let rebuilt = format!("sha256:{}", digest(b"rebuilt"));
    let mut seen = Vec::new();
    for (name, verdict, expected) in [
        ("reproduced", "agreed", json!({"answer": "same"})),
        (
            "equivalent",
            "equivalent",
            json!({"answer": "equivalent", "rebuilt": rebuilt, "normalisations": ["tar-time"]}),
        ),
        (
            "mismatch",
            "disagreed",
            json!({"answer": "differs", "rebuilt": rebuilt}),
        ),
        ("not-reproduced", "not-enough", json!("no-build-found")),
        ("inconclusive", "not-enough", json!("no-build")),
    ] {
        let statement = common::checked(example(name));
        let found = found(&[statement]);
        assert_eq!(found["verdict"], verdict, "{name}: {found}");
        assert_eq!(answer(&found), expected, "{name}");
        seen.push(format!("{name}.json"));
    }
    let files = fs::read_dir(folder(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let mut files: Vec<_> = files.map(|name| name.into_string().unwrap()).collect();
    files.retain(|name| name.ends_with(".json"));
    files.sort();
    seen.sort();
    assert_eq!(files, seen, "every example is in the table");
}

#[apply(test)]
fn what_contradicts_itself_does_not_count() {
    let files = fs::read_dir(folder("invalid")).unwrap();
    let mut count = 0;
    for path in files.map(|entry| entry.unwrap().path()) {
        let statement: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(answer(&found(&[statement])), "unreadable", "{}", path.display());
        count += 1;
    }
    assert_eq!(count, 10);
    // Members of later versions are passed over.
    let mut later = example("reproduced");
    later["predicate"]["later"] = json!({"a": 1});
    later["predicate"]["outputs"][0]["later"] = json!(true);
    assert_eq!(answer(&found(&[later])), json!({"answer": "same"}));
    // About another release of this name, it says nothing of these bytes.
    let mut other = example("mismatch");
    other["subject"][0]["digest"]["sha256"] = json!(digest(b"other"));
    assert_eq!(answer(&found(&[other])), "wrong-subject");
}

/// Each dialect says what its translation says, as far as the dialect has a word for it.
#[apply(test)]
fn dialects_say_what_their_translations_say() {
    let all = |name: &str| match example(&format!("dialects/{name}")) {
        Value::Array(statements) => statements,
        statement => vec![statement],
    };
    for (dialect, translation) in [
        ("rebuilder", "reproduced"),
        ("rebuilder-mismatch", "mismatch"),
        ("oss-rebuild", "reproduced"),
        ("oss-rebuild-equivalent", "equivalent"),
    ] {
        let (mut said, translated) = (found(&all(dialect)), found(&[example(translation)]));
        assert_eq!(said["verdict"], translated["verdict"], "{dialect}");
        if dialect == "oss-rebuild-equivalent" {
            // It does not list what it set aside.
            said["parties"][0]["says"]["normalisations"] = json!(["tar-time"]);
        }
        assert_eq!(answer(&said), answer(&translated), "{dialect}");
    }
    // A link has a signature of another form.
    let link = example("dialects/rebuilderd-link");
    let pkcs8 = PrivateKey::new(KeyType::Ed25519).unwrap();
    let key = PrivateKey::from_pkcs8(&pkcs8, SignatureScheme::Ed25519).unwrap();
    let public = pem::encode(&pem::Pem::new("PUBLIC KEY", key.public().as_spki().unwrap()));
    let scene = Scene::new("threshold = 1\n");
    super::others::trust(&scene, "rebuilderd", &public, "threshold = 1\n");
    let raw = serde_json::to_vec(&link).unwrap();
    let block = in_toto::models::MetablockBuilder::from_raw_metadata(&raw).unwrap();
    let block = block.sign(&[&key]).unwrap().build();
    fs::write(
        scene.said().join("link.json"),
        serde_json::to_vec(&block).unwrap(),
    )
    .unwrap();
    assert_eq!(answer(&ask(&scene)), json!({"answer": "same"}));
}

/// What a translation loses is what its dialect cannot say, and the file names and digests are the same in all.
#[apply(test)]
fn dialects_are_about_the_same_file() {
    let released = digest(b"released");
    for entry in fs::read_dir(folder("dialects")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(
            text.contains(&released) && text.contains("hello-1.0.tar.gz"),
            "{text}"
        );
    }
    let key = &keys()["alice"].0;
    let bundle = key
        .bundle(&serde_json::to_vec(&example("reproduced")).unwrap())
        .unwrap();
    // It is a statement like any other, for strangers' verifiers too.
    let folder = tempfile::tempdir().unwrap();
    let (path, public) = (folder.path().join("b.json"), folder.path().join("k.pub"));
    fs::write(&path, bundle.to_string()).unwrap();
    fs::write(&public, &keys()["alice"].1).unwrap();
    for mut verifier in common::verifiers() {
        let output = verifier.arg(&path).arg(&public).output().unwrap();
        assert_eq!(code(&output), 0, "{}", text(&output));
    }
}
