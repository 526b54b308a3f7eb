//! `rebuilder verify`: constellations of parties and what is concluded of them; other rebuilders' formats; cost.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::common::{self, BIN, code, json, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rebuilder::artifact::Sha256;
use rebuilder::attest::{Algorithm, FileKey, Signer as _};
use serde_json::{Value, json};

/// The released file, and its name.
const RELEASED: &[u8] = b"the released bytes\n";
const NAME: &str = "app-1.0.tar.gz";

fn digest(bytes: &[u8]) -> String {
    Sha256::of(bytes).to_hex()
}

fn released() -> String {
    digest(RELEASED)
}

/// Keys of everyone who appears in the table.
fn keys() -> &'static BTreeMap<&'static str, (FileKey, String)> {
    static KEYS: OnceLock<BTreeMap<&'static str, (FileKey, String)>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let names = [
            "alice", "bob", "carol", "dave", "builder", "manager", "watcher", "mallory", "lost", "old",
        ];
        let make = |name: &'static str| {
            let algorithm = if name == "bob" {
                Algorithm::P256
            } else {
                Algorithm::Ed25519
            };
            let key = FileKey::generate(algorithm, &folder.path().join(name), None).unwrap();
            let public = key.public_key().pem();
            (name, (key, public))
        };
        names.into_iter().map(make).collect()
    })
}

fn days_ago(days: i64) -> String {
    let now = jiff::Timestamp::now();
    now.checked_sub(jiff::SignedDuration::from_hours(24 * days))
        .unwrap()
        .to_string()
}

/// A rebuild as this tool states it.
fn rebuild(builder: &str, sha256: &str) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": NAME, "digest": {"sha256": sha256}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:rebuilder:build-type:rebuild:v1",
                "externalParameters": {"subject": "pkg:generic/app@1.0"},
                "internalParameters": {
                    "plan": {"sha256": digest(builder.as_bytes())},
                    "container": {"tree": {"sha256": digest(format!("root of {builder}").as_bytes())}},
                    "assumptions": [{"what": "build path", "value": "/build/app", "origin": {"convention": "x"}}]
                },
                "resolvedDependencies": [
                    {"uri": "git+https://example.org/app@refs/tags/v1.0", "digest": {"gitCommit": "0123456789abcdef0123456789abcdef01234567"}},
                    {"name": format!("gcc-12_12.2.0-{builder}_amd64.deb"), "digest": {"sha256": digest(builder.as_bytes())}},
                    {"name": "libc6_2.36_amd64.deb", "digest": {"sha256": digest(b"libc6")}}
                ]
            },
            "runDetails": {
                "builder": {"id": format!("https://{builder}.example/rebuilder")},
                "metadata": {"invocationId": format!("run of {builder}"), "finishedOn": days_ago(1)}
            }
        }
    })
}

fn same(builder: &str) -> Value {
    rebuild(builder, &released())
}

fn other(builder: &str, bytes: &[u8]) -> Value {
    rebuild(builder, &digest(bytes))
}

/// Changes one place of a statement.
fn with(mut statement: Value, pointer: &str, value: Value) -> Value {
    *statement
        .pointer_mut(pointer)
        .unwrap_or_else(|| panic!("{pointer}")) = value;
    statement
}

fn inside(statement: Value, pointer: &str, value: Value) -> Value {
    with(statement, &format!("/predicate/buildDefinition{pointer}"), value)
}

fn plan(statement: Value, plan: &[u8]) -> Value {
    inside(statement, "/internalParameters/plan/sha256", json!(digest(plan)))
}

fn finished(statement: Value, when: &str) -> Value {
    with(
        statement,
        "/predicate/runDetails/metadata/finishedOn",
        json!(when),
    )
}

/// The builder's own provenance.
fn built() -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": NAME, "digest": {"sha256": released()}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://actions.github.io/buildtypes/workflow/v1",
                "externalParameters": {"workflow": {"ref": "refs/tags/v1.0", "repository": "https://example.org/app", "path": ".github/workflows/release.yml"}},
                "resolvedDependencies": [{"uri": "git+https://example.org/app@refs/tags/v1.0", "digest": {"gitCommit": "0123456789abcdef0123456789abcdef01234567"}}]
            },
            "runDetails": {"builder": {"id": "https://builder.example/ci"}, "metadata": {"finishedOn": days_ago(2)}}
        }
    })
}

/// Equivalence as this tool states it; `rebuilt` is what came out.
fn equivalent(builder: &str, rebuilt: &[u8], normalisations: &Value) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": NAME, "digest": {"sha256": released()}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://docs.oss-rebuild.dev/builds/ArtifactEquivalence@v0.1",
                "externalParameters": {"candidate": format!("rebuild/{NAME}"), "target": "https://example.org/app-1.0.tar.gz", "normalisations": normalisations},
                "internalParameters": {"comparison": {"name": "rebuilder"}},
                "resolvedDependencies": [
                    {"name": format!("rebuild/{NAME}"), "digest": {"sha256": digest(rebuilt)}},
                    {"name": "https://example.org/app-1.0.tar.gz", "digest": {"sha256": released()}}
                ]
            },
            "runDetails": {
                "builder": {"id": format!("https://{builder}.example/rebuilder")},
                "metadata": {"invocationId": format!("run of {builder}"), "finishedOn": days_ago(1)}
            }
        }
    })
}

fn failed(plan: &[u8]) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": NAME, "digest": {"sha256": released()}}],
        "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
        "predicate": {
            "result": "FAILED",
            "configuration": [{"name": "plan.json", "digest": {"sha256": digest(plan)}, "annotations": {
                "finishedOn": days_ago(1),
                "outputs": [{"name": NAME, "released": released(), "rebuilt": digest(b"other")}]
            }}]
        }
    })
}

fn summary(result: &str) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": NAME, "digest": {"sha256": released()}}],
        "predicateType": "https://slsa.dev/verification_summary/v1",
        "predicate": {
            "verifier": {"id": "https://watcher.example"},
            "timeVerified": days_ago(1),
            "resourceUri": "pkg:generic/app@1.0",
            "policy": {"uri": "https://watcher.example/policy"},
            "verificationResult": result,
            "verifiedLevels": ["SLSA_BUILD_LEVEL_3"]
        }
    })
}

fn predicate(kind: &str) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": NAME, "digest": {"sha256": released()}}],
        "predicateType": kind,
        "predicate": {}
    })
}

/// One party's word.
fn by(key: &'static str, statement: Value) -> (&'static str, Value) {
    (key, statement)
}

/// The policy of the table: who is who. Each row adds a quorum.
fn policy() -> String {
    let mut text = String::from("version = 1\n");
    for (name, (_, public)) in keys() {
        if *name == "mallory" {
            continue;
        }
        text.push_str(&format!(
            "[[keys]]\nname = \"{name}\"\ntext = \"\"\"\n{public}\"\"\"\n"
        ));
        match *name {
            "lost" => text.push_str(
                "revoked = \"2026-01-01T00:00:00Z\"\nrevoked-because = \"the laptop was stolen\"\n",
            ),
            "old" => text.push_str("valid-until = \"2026-01-01T00:00:00Z\"\n"),
            _ => {}
        }
    }
    for (name, role, organisation, keys, extra) in [
        (
            "alice",
            "rebuilder",
            "Alpha",
            "\"alice\"",
            "host = \"a1\"\nbuilder-ids = [\"https://alice.example/*\", \"https://shared.example/*\"]\n",
        ),
        ("bob", "rebuilder", "Beta", "\"bob\"", "host = \"b1\"\n"),
        (
            "carol",
            "rebuilder",
            "Gamma",
            "\"carol\"",
            "host = \"b1\"\nweight = 2\n",
        ),
        ("dave", "rebuilder", "Alpha", "\"dave\"", ""),
        ("twin", "rebuilder", "Delta", "\"old\"", ""),
        ("lost", "rebuilder", "Epsilon", "\"lost\"", ""),
        ("builder", "builder", "App", "\"builder\"", ""),
        ("manager", "release-manager", "App", "\"manager\"", ""),
        ("watcher", "verifier", "Watch", "\"watcher\"", ""),
    ] {
        text.push_str(&format!(
            "[[parties]]\nname = \"{name}\"\nrole = \"{role}\"\norganisation = \"{organisation}\"\nkeys = [{keys}]\n{extra}"
        ));
    }
    text
}

/// What is expected of a constellation.
struct Row {
    name: &'static str,
    quorum: &'static str,
    said: Vec<(&'static str, Value)>,
    code: i32,
    verdict: &'static str,
    /// A part of the reason.
    reason: &'static str,
    /// Parties that count.
    counted: &'static [&'static str],
    /// Reasons for which something is set aside.
    aside: &'static [&'static str],
}

fn write(folder: &Path, number: usize, key: &str, statement: &Value) -> PathBuf {
    let bundle = keys()[key]
        .0
        .bundle(&serde_json::to_vec(statement).unwrap())
        .unwrap();
    let path = folder.join(format!("{number:03}-{key}.sigstore.json"));
    fs::write(&path, bundle.to_string()).unwrap();
    path
}

fn verify(arguments: &[&str]) -> Output {
    let mut command = Command::new(BIN);
    command
        .env_clear()
        .env("HOME", common::home())
        .arg("verify")
        .args(arguments);
    command.output().unwrap()
}

const TWO: &str = "threshold = 2\nroles = { rebuilder = 2 }\n";
const TWO_APART: &str = "threshold = 2\nindependent = [\"organisation\", \"container\", \"host\"]\n";
const DATE: &str = "[{\"name\": \"tar-time\"}]";

fn set(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// One row a line, so that it reads as a table.
#[allow(clippy::too_many_lines)]
#[rustfmt::skip]
fn table() -> Vec<Row> {
    let ok = |name, quorum, said, reason, counted, aside| Row { name, quorum, said, code: 0, verdict: "agreed", reason, counted, aside };
    let few = |name, quorum, said, reason, counted, aside| Row { name, quorum, said, code: 4, verdict: "not-enough", reason, counted, aside };
    let no = |name, quorum, said, reason, counted, aside| Row { name, quorum, said, code: 1, verdict: "disagreed", reason, counted, aside };
    let only = |name, quorum, said, reason, counted, aside| Row { name, quorum, said, code: 1, verdict: "equivalent", reason, counted, aside };
    let shared = "https://shared.example/rebuilder";
    let id = "/predicate/runDetails/builder/id";
    let tree = "/internalParameters/container/tree/sha256";
    let commit = "/resolvedDependencies/0/digest/gitCommit";
    vec![
        // Agreement.
        ok("two agree", TWO, vec![by("alice", same("alice")), by("bob", same("bob"))], "weight 2 of", &["alice", "bob"], &[]),
        ok("three agree, two are asked for", TWO, vec![by("alice", same("alice")), by("bob", same("bob")), by("dave", same("dave"))], "weight 3 of", &["alice", "bob", "dave"], &[]),
        ok("builder and rebuilder", "threshold = 2\nroles = { builder = 1, rebuilder = 1 }\n", vec![by("builder", built()), by("alice", same("alice"))], "weight 2 of", &["alice", "builder"], &[]),
        ok("weight instead of number", "threshold = 2\n", vec![by("carol", same("carol"))], "weight 2 of", &["carol"], &[]),
        ok("all roles", "threshold = 3\nroles = { builder = 1, rebuilder = 1, release-manager = 1 }\n", vec![by("builder", built()), by("alice", same("alice")), by("manager", built())], "weight 3 of", &["alice", "builder", "manager"], &[]),
        ok("independent in everything", TWO_APART, vec![by("alice", same("alice")), by("bob", same("bob"))], "weight 2 of", &["alice", "bob"], &[]),
        ok("a verifier's summary", "threshold = 2\nroles = { verifier = 1 }\n", vec![by("alice", same("alice")), by("watcher", summary("PASSED"))], "weight 2 of", &["alice", "watcher"], &[]),
        ok("agree on the source", "threshold = 2\nagree-on = [\"source\"]\n", vec![by("alice", same("alice")), by("bob", same("bob"))], "weight 2 of", &["alice", "bob"], &[]),
        ok("fresh enough", "threshold = 2\nmaximum-age-days = 3\n", vec![by("alice", same("alice")), by("bob", same("bob"))], "weight 2 of", &["alice", "bob"], &[]),
        ok("other toolchains are told apart", "threshold = 2\nindependent = [\"toolchain\"]\n", vec![by("alice", same("alice")), by("bob", same("bob"))], "weight 2 of", &["alice", "bob"], &[]),
        ok("a set that shares nothing is found", "threshold = 2\nindependent = [\"organisation\"]\n", vec![by("alice", same("alice")), by("dave", same("dave")), by("bob", same("bob"))], "weight 2 of", &["bob"], &[]),
        // Too few.
        few("nobody", TWO, vec![], "weight 0 of the required 2", &[], &[]),
        few("one of two", TWO, vec![by("alice", same("alice"))], "weight 1 of", &["alice"], &[]),
        few("weight, but not the roles", "threshold = 2\nroles = { builder = 1 }\n", vec![by("alice", same("alice")), by("bob", same("bob"))], "0 of the required 1 with the role builder", &["alice", "bob"], &[]),
        few("the same key twice", TWO, vec![by("alice", same("alice")), by("alice", with(same("alice"), id, json!("https://alice.example/second")))], "weight 1 of", &["alice"], &[]),
        few("the same image twice", "threshold = 2\nindependent = [\"container\"]\n", vec![by("alice", same("alice")), by("bob", inside(same("bob"), tree, json!(digest(b"root of alice"))))], "weight 1 of", &["alice"], &[]),
        few("the same image, though other trees are left out", "threshold = 2\nindependent = [\"container\"]\n", vec![by("alice", inside(same("alice"), "/internalParameters/container", json!({}))), by("bob", inside(same("bob"), "/internalParameters/container", json!({})))], "weight 1 of", &["alice"], &[]),
        few("one organisation twice", "threshold = 2\nindependent = [\"organisation\"]\n", vec![by("alice", same("alice")), by("dave", same("dave"))], "weight 1 of", &["alice"], &[]),
        few("one host twice", "threshold = 3\nindependent = [\"host\"]\n", vec![by("bob", same("bob")), by("carol", same("carol"))], "weight 2 of", &["carol"], &[]),
        few("one builder id twice", "threshold = 2\nindependent = [\"builder-id\"]\n", vec![by("alice", with(same("alice"), id, json!(shared))), by("bob", with(same("bob"), id, json!(shared)))], "weight 1 of", &["alice"], &[]),
        few("one toolchain twice", "threshold = 2\nindependent = [\"toolchain\"]\n", vec![by("alice", same("alice")), by("bob", inside(same("bob"), "/resolvedDependencies/1/name", json!("gcc-12_12.2.0-alice_amd64.deb")))], "weight 1 of", &["alice"], &[]),
        few("an unknown signer", TWO, vec![by("alice", same("alice")), by("mallory", same("mallory"))], "weight 1 of", &["alice"], &["unknown-signer"]),
        few("a revoked key", TWO, vec![by("alice", same("alice")), by("lost", same("lost"))], "weight 1 of", &["alice"], &["revoked"]),
        few("a key whose time is over", TWO, vec![by("alice", same("alice")), by("old", same("old"))], "weight 1 of", &["alice"], &["out-of-time"]),
        few("stale", "threshold = 2\nmaximum-age-days = 3\n", vec![by("alice", same("alice")), by("bob", finished(same("bob"), &days_ago(10)))], "weight 1 of", &["alice"], &["stale"]),
        few("dated in the future", TWO, vec![by("alice", same("alice")), by("bob", finished(same("bob"), &days_ago(-2)))], "weight 1 of", &["alice"], &["future"]),
        few("no date where one is asked for", "threshold = 2\nmaximum-age-days = 3\n", vec![by("alice", same("alice")), by("bob", with(same("bob"), "/predicate/runDetails/metadata", json!({})))], "weight 1 of", &["alice"], &["stale"]),
        few("another subject", TWO, vec![by("alice", same("alice")), by("bob", with(other("bob", b"x"), "/subject/0/name", json!("tool-2.0.tar.gz")))], "weight 1 of", &["alice"], &["wrong-subject"]),
        few("these bytes under another package's name", TWO, vec![by("alice", same("alice")), by("bob", with(same("bob"), "/subject/0/name", json!("pkg:generic/evil@6.6")))], "weight 1 of", &["alice"], &["wrong-subject"]),
        few("an unknown predicate", TWO, vec![by("alice", same("alice")), by("bob", predicate("https://example.org/dance/v1"))], "weight 1 of", &["alice"], &["unknown-predicate"]),
        few("a publish attestation is no build", TWO, vec![by("alice", same("alice")), by("bob", predicate("https://docs.pypi.org/attestations/publish/v1"))], "weight 1 of", &["alice"], &["no-build"]),
        few("a builder that is not the signer's", TWO, vec![by("alice", with(same("alice"), id, json!("https://elsewhere.example"))), by("bob", same("bob"))], "weight 1 of", &["bob"], &["wrong-builder"]),
        few("a party that is not asked", "threshold = 2\nparties = [\"alice\", \"bob\"]\n", vec![by("alice", same("alice")), by("dave", same("dave"))], "weight 1 of", &["alice"], &["not-asked"]),
        few("the source is not stated", "threshold = 2\nagree-on = [\"source\"]\n", vec![by("alice", same("alice")), by("bob", inside(same("bob"), "/resolvedDependencies", json!([])))], "weight 1 of", &["alice"], &[]),
        few("some test failed", TWO, vec![by("alice", same("alice")), by("bob", json!({"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": NAME, "digest": {"sha256": released()}}], "predicateType": "https://in-toto.io/attestation/test-result/v0.1", "predicate": {"result": "FAILED"}}))], "weight 1 of", &["alice"], &["no-build"]),
        // Disagreement.
        no("one liar", TWO, vec![by("alice", same("alice")), by("bob", same("bob")), by("dave", other("dave", b"evil"))], "dave says otherwise", &["alice", "bob"], &[]),
        no("two liars colluding", TWO, vec![by("alice", same("alice")), by("bob", other("bob", b"evil")), by("dave", other("dave", b"evil"))], "says otherwise", &["alice"], &[]),
        no("two liars vouch, one is honest", TWO, vec![by("bob", same("bob")), by("dave", same("dave")), by("alice", failed(b"alice"))], "alice says otherwise", &["bob", "dave"], &[]),
        no("the builder alone vouches", "threshold = 1\n", vec![by("builder", built()), by("alice", failed(b"alice"))], "alice says otherwise", &["builder"], &[]),
        no("a negative is evidence", TWO, vec![by("alice", failed(b"alice")), by("bob", same("bob"))], "alice says otherwise", &["bob"], &[]),
        no("equivocation", TWO, vec![by("alice", same("alice")), by("alice", plan(other("alice", b"evil"), b"alice")), by("bob", same("bob")), by("dave", same("dave"))], "alice contradicts itself", &["bob", "dave"], &[]),
        no("equivocation between a result and a negative", TWO, vec![by("alice", same("alice")), by("alice", failed(b"alice")), by("bob", same("bob")), by("dave", same("dave"))], "alice contradicts itself", &["bob", "dave"], &[]),
        no("a newer negative of other inputs", TWO, vec![by("alice", finished(plan(same("alice"), b"first"), &days_ago(9))), by("alice", failed(b"second")), by("bob", same("bob"))], "alice says otherwise", &["bob"], &["superseded"]),
        no("a verifier that failed it", TWO, vec![by("alice", same("alice")), by("bob", same("bob")), by("watcher", summary("FAILED"))], "watcher says otherwise", &["alice", "bob"], &[]),
        no("they must agree on the source and do not", "threshold = 2\nagree-on = [\"source\"]\n", vec![by("alice", same("alice")), by("bob", inside(same("bob"), commit, json!("ffffffffffffffffffffffffffffffffffffffff")))], "must agree on the source", &["alice", "bob"], &[]),
        no("outvoting needs more weight", "threshold = 2\ndissent = \"outvote\"\n", vec![by("alice", same("alice")), by("bob", same("bob")), by("carol", other("carol", b"evil"))], "carol says otherwise", &["alice", "bob"], &[]),
        // What does not disagree.
        ok("outvoted", "threshold = 2\ndissent = \"outvote\"\n", vec![by("alice", same("alice")), by("bob", same("bob")), by("dave", other("dave", b"evil"))], "outvoted: dave says otherwise", &["alice", "bob"], &[]),
        ok("a newer success of other inputs", TWO, vec![by("alice", with(plan(finished(other("alice", b"early"), &days_ago(9)), b"first"), "/predicate/runDetails/metadata/invocationId", json!("the first run"))), by("alice", plan(same("alice"), b"second")), by("bob", same("bob"))], "weight 2 of", &["alice", "bob"], &["superseded"]),
        ok("an unknown liar", TWO, vec![by("alice", same("alice")), by("bob", same("bob")), by("mallory", other("mallory", b"evil"))], "weight 2 of", &["alice", "bob"], &["unknown-signer"]),
        ok("a revoked liar", TWO, vec![by("alice", same("alice")), by("bob", same("bob")), by("lost", other("lost", b"evil"))], "weight 2 of", &["alice", "bob"], &["revoked"]),
        ok("said again is said once", TWO, vec![by("alice", same("alice")), by("alice", finished(same("alice"), &days_ago(2))), by("bob", same("bob"))], "weight 2 of", &["alice", "bob"], &[]),
        ok("other inputs, the same bytes", TWO, vec![by("alice", same("alice")), by("bob", inside(same("bob"), commit, json!("ffffffffffffffffffffffffffffffffffffffff")))], "weight 2 of", &["alice", "bob"], &[]),
        // Equivalence.
        only("equivalent only", TWO, vec![by("alice", equivalent("alice", b"near", &set(DATE))), by("bob", equivalent("bob", b"near", &set(DATE)))], "except for ", &["alice", "bob"], &[]),
        only("one of two is only equivalent", TWO, vec![by("alice", equivalent("alice", b"near", &set(DATE))), by("bob", same("bob"))], "except for ", &["alice", "bob"], &[]),
        only("a rebuild and its equivalence are one answer", TWO, vec![by("alice", equivalent("alice", b"near", &set(DATE))), by("alice", other("alice", b"near")), by("bob", same("bob"))], "except for ", &["alice", "bob"], &[]),
        only("by a normalisation that is not accepted", "threshold = 2\nequivalent-by = [\"tar-time\"]\n", vec![by("alice", equivalent("alice", b"near", &set("[{\"name\": \"tar-time\"}, {\"name\": \"code\"}]"))), by("bob", same("bob"))], "except for ", &["alice", "bob"], &[]),
        only("by normalisations that nobody names", "threshold = 2\nequivalent-by = [\"tar-time\"]\n", vec![by("alice", equivalent("alice", b"near", &set("[]"))), by("bob", same("bob"))], "except for ", &["alice", "bob"], &[]),
        ok("equivalent by what the policy accepts", "threshold = 2\nequivalent-by = [\"tar-time\"]\n", vec![by("alice", equivalent("alice", b"near", &set(DATE))), by("bob", same("bob"))], "alice except for tar-time", &["alice", "bob"], &[]),
        ok("equivalent to itself is the same", TWO, vec![by("alice", equivalent("alice", RELEASED, &set("[]"))), by("bob", same("bob"))], "weight 2 of", &["alice", "bob"], &[]),
        no("equivalent to other bytes, which someone says came out whole", TWO, vec![by("alice", equivalent("alice", b"near", &set(DATE))), by("bob", other("bob", b"far"))], "bob says otherwise", &[], &[]),
    ]
}

#[apply(test)]
fn each_constellation_has_its_answer() {
    let rows = table();
    assert!(rows.len() >= 40, "{} rows", rows.len());
    let names: std::collections::BTreeSet<_> = rows.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), rows.len(), "a name stands twice");
    let folder = tempfile::tempdir().unwrap();
    let artifact = folder.path().join(NAME);
    fs::write(&artifact, RELEASED).unwrap();
    let mut wrong = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let place = folder.path().join(format!("row-{number}"));
        fs::create_dir(&place).unwrap();
        for (at, (key, statement)) in row.said.iter().enumerate() {
            write(&place, at, key, statement);
        }
        let file = folder.path().join(format!("{number}.toml"));
        fs::write(
            &file,
            format!("{}\n[[quorums]]\nsubject = \"*\"\n{}", policy(), row.quorum),
        )
        .unwrap();
        let arguments = [
            artifact.to_str().unwrap(),
            "--purl",
            "pkg:generic/app@1.0",
            "--json",
            "--attestation",
            place.to_str().unwrap(),
            "--policy",
            file.to_str().unwrap(),
        ];
        let output = verify(&arguments);
        if ![0, 1, 4].contains(&code(&output)) {
            wrong.push(format!("{}: {}", row.name, text(&output)));
            continue;
        }
        let found = json(&output);
        common::fits_the_schema(&found, include_str!("../../docs/schema/agreement.schema.json"));
        let counted: Vec<_> = found["parties"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|party| party["counted"] == true)
            .map(|party| party["party"].as_str().unwrap().to_owned())
            .collect();
        let aside: Vec<_> = found["setAside"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["reason"].as_str().unwrap().to_owned())
            .collect();
        let reason = found["reason"].as_str().unwrap();
        let mut expected: Vec<_> = row.counted.to_vec();
        // Where several sets are as good, which of them is taken does not matter, only what it has.
        if row.name == "a set that shares nothing is found" {
            expected = counted.iter().map(String::as_str).collect();
            assert_eq!(counted.len(), 2, "{counted:?}");
        }
        let right = code(&output) == row.code
            && found["verdict"] == row.verdict
            && reason.contains(row.reason)
            && counted == expected
            && aside == row.aside;
        if !right {
            wrong.push(format!(
                "{}: {} {} {reason}; counted {counted:?}; set aside {aside:?}\n{}",
                row.name,
                code(&output),
                found["verdict"],
                found["parties"]
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} rows:\n{}",
        wrong.len(),
        rows.len(),
        wrong.join("\n")
    );
}

/// A folder with the released file, attestations and a policy with a quorum.
struct Scene {
    folder: tempfile::TempDir,
    count: usize,
}

impl Scene {
    fn new(quorum: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(NAME), RELEASED).unwrap();
        fs::create_dir(folder.path().join("said")).unwrap();
        let text = format!("{}\n[[quorums]]\nsubject = \"*\"\n{quorum}", policy());
        fs::write(folder.path().join("policy.toml"), text).unwrap();
        Self { folder, count: 0 }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn said(&self) -> PathBuf {
        self.folder.path().join("said")
    }

    fn say(&mut self, key: &str, statement: &Value) -> PathBuf {
        self.count += 1;
        write(&self.said(), self.count, key, statement)
    }

    fn verify(&self, more: &[&str]) -> Output {
        let (artifact, said, policy) = (self.path(NAME), self.path("said"), self.path("policy.toml"));
        let mut arguments = vec![artifact.as_str(), "--attestation", &said, "--policy", &policy];
        arguments.extend(more);
        verify(&arguments)
    }

    fn aside(&self) -> Vec<String> {
        let found = json(&self.verify(&["--json"]));
        let reasons = found["setAside"].as_array().unwrap().iter();
        reasons
            .map(|it| format!("{} {}", it["reason"].as_str().unwrap(), it["count"]))
            .collect()
    }
}

#[apply(test)]
fn what_is_forged_or_broken_does_not_count() {
    let mut scene = Scene::new(TWO);
    let path = scene.say("alice", &same("alice"));
    scene.say("bob", &same("bob"));
    assert_eq!(code(&scene.verify(&[])), 0);

    // The payload changed, the hint is still alice's.
    let mut bundle: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let whole = bundle.clone();
    let changed = serde_json::to_vec(&plan(same("alice"), b"another")).unwrap();
    bundle["dsseEnvelope"]["payload"] = json!(STANDARD.encode(changed));
    fs::write(&path, bundle.to_string()).unwrap();
    assert_eq!(code(&scene.verify(&[])), 4);
    assert_eq!(scene.aside(), ["bad-signature 1"]);
    // Without any signature.
    fs::write(&path, serde_json::to_vec(&same("alice")).unwrap()).unwrap();
    assert_eq!(scene.aside(), ["unsigned 1"]);
    // Not even JSON, and JSON that two readers read differently.
    fs::write(&path, b"{\"payloadType\"").unwrap();
    assert_eq!(scene.aside(), ["unreadable 1"]);
    fs::write(&path, br#"{"_type":"a","_type":"b"}"#).unwrap();
    assert_eq!(scene.aside(), ["unreadable 1"]);

    // A pipe that nobody writes to must not be waited for.
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(scene.aside(), ["unreadable 1"]);
    fs::remove_file(&path).unwrap();

    // One attestation is withdrawn by its digest.
    fs::write(&path, whole.to_string()).unwrap();
    let revoked = digest(whole.to_string().as_bytes());
    let policy = fs::read_to_string(scene.path("policy.toml")).unwrap();
    let withdrawn = format!(
        "{policy}\n[[revoked]]\nattestation = \"{revoked}\"\nbecause = \"made on a broken machine\"\n"
    );
    fs::write(scene.path("policy.toml"), withdrawn).unwrap();
    assert_eq!(scene.aside(), ["revoked 1"]);
    let output = scene.verify(&[]);
    assert!(
        text(&output).contains("made on a broken machine"),
        "{}",
        text(&output)
    );
}

#[apply(test)]
fn says_in_which_input_parties_differ() {
    let mut scene = Scene::new(TWO);
    scene.say("alice", &same("alice"));
    let mut bob = inside(
        same("bob"),
        "/resolvedDependencies/2/digest/sha256",
        json!(digest(b"another libc6")),
    );
    bob = inside(bob, "/internalParameters/assumptions/0/value", json!("/tmp/app"));
    scene.say("bob", &bob);
    let output = scene.verify(&["--json"]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    let found = json(&output);
    let of = |aspect: &str| {
        let all = found["divergences"].as_array().unwrap();
        all.iter()
            .find(|it| it["aspect"] == aspect)
            .cloned()
            .unwrap_or_else(|| panic!("{aspect}: {found}"))
    };
    let named = |aspect: &str, name: &str| {
        let divergence = of(aspect);
        let rows = divergence["differences"].as_array().unwrap().clone();
        rows.into_iter()
            .find(|row| row["name"] == name)
            .unwrap_or_else(|| panic!("{name}: {divergence}"))
    };
    assert_eq!(of("container")["groups"][1]["parties"], json!(["bob"]));
    let row = named("dependencies", "libc6_2.36_amd64.deb");
    assert_eq!(row["values"][1], format!("sha256:{}", digest(b"another libc6")));
    assert_eq!(
        named("parameters", "build path")["values"],
        json!(["/build/app", "/tmp/app"])
    );
    // Files are read side by side, and that must not show.
    let same_each_time = |mut document: Value| {
        for volatile in ["cost", "time"] {
            document.as_object_mut().unwrap().remove(volatile);
        }
        document
    };
    for _ in 0..5 {
        let again = json(&scene.verify(&["--json"]));
        assert_eq!(same_each_time(again), same_each_time(found.clone()));
    }
    let bytes = found["divergences"]
        .as_array()
        .unwrap()
        .iter()
        .any(|it| it["aspect"] == "bytes");
    assert!(!bytes, "{found}");
}

#[apply(test)]
fn the_conclusion_is_signed_as_a_verification_summary() {
    let mut scene = Scene::new(TWO);
    let first = scene.say("alice", &same("alice"));
    let summary = scene.path("summary.sigstore.json");
    let key = scene.path("watcher.pem");
    let made = FileKey::generate(Algorithm::Ed25519, Path::new(&key), None).unwrap();
    let arguments = [
        "--purl",
        "pkg:generic/app@1.0",
        "--summary",
        &summary,
        "--key",
        &key,
        "--builder-id",
        "https://verifier.example",
    ];
    // Too few to say anything: nothing is signed.
    assert_eq!(code(&scene.verify(&arguments)), 4);
    assert!(!Path::new(&summary).exists());

    scene.say("bob", &same("bob"));
    assert_eq!(code(&scene.verify(&arguments)), 0);
    let bundle: Value = serde_json::from_slice(&fs::read(&summary).unwrap()).unwrap();
    let payload = STANDARD
        .decode(bundle["dsseEnvelope"]["payload"].as_str().unwrap())
        .unwrap();
    let statement: Value = serde_json::from_slice(&payload).unwrap();
    let predicate = &statement["predicate"];
    assert_eq!(
        statement["predicateType"],
        "https://slsa.dev/verification_summary/v1"
    );
    assert_eq!(statement["subject"][0]["digest"]["sha256"], released());
    assert_eq!(predicate["verificationResult"], "PASSED");
    assert_eq!(predicate["verifiedLevels"], json!(["REBUILD_QUORUM_2"]));
    assert_eq!(predicate["verifier"]["id"], "https://verifier.example");
    assert_eq!(
        predicate["policy"]["digest"]["sha256"],
        digest(&fs::read(scene.path("policy.toml")).unwrap())
    );
    let inputs: Vec<_> = predicate["inputAttestations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["digest"]["sha256"].clone())
        .collect();
    assert!(
        inputs.contains(&json!(digest(&fs::read(first).unwrap()))),
        "{inputs:?}"
    );

    // It verifies like any other attestation, with our own and with strangers' verifiers.
    let public = scene.path("watcher.pub");
    fs::write(&public, made.public_key().pem()).unwrap();
    for mut verifier in common::verifiers() {
        let again = verifier.arg(&summary).arg(&public).output().unwrap();
        assert!(again.status.success(), "{}", text(&again));
    }
    // A dissenter makes it a negative.
    scene.say("dave", &other("dave", b"evil"));
    assert_eq!(code(&scene.verify(&arguments)), 1);
    let bundle: Value = serde_json::from_slice(&fs::read(&summary).unwrap()).unwrap();
    let payload = STANDARD
        .decode(bundle["dsseEnvelope"]["payload"].as_str().unwrap())
        .unwrap();
    assert!(String::from_utf8(payload).unwrap().contains("\"FAILED\""));
}

/// A policy that trusts one more party.
fn trust(scene: &Scene, name: &str, public: &str, quorum: &str) {
    let text = format!(
        "{}\n[[keys]]\nname = \"{name}\"\ntext = \"\"\"\n{public}\"\"\"\n[[parties]]\nname = \"{name}\"\nkeys = [\"{name}\"]\n[[quorums]]\nsubject = \"*\"\n{quorum}",
        policy()
    );
    fs::write(scene.path("policy.toml"), text).unwrap();
}

/// OSS Rebuild's two statements for one artifact, field by field as its service writes them.
fn oss_rebuild(rebuilt: &[u8]) -> [Value; 2] {
    let internal = json!({
        "prebuildConfig": {"bucket": "google-rebuild-bootstrap-tools", "dir": "v0.0.0-20250428204534-b35098b3c7b7"},
        "prebuildSource": {"ref": "b35098b3c7b7c0ac4c8d1d2c8a3ed2f9fd0ecf17", "repository": "https://github.com/google/oss-rebuild"},
        "serviceSource": {"ref": "b35098b3c7b7c0ac4c8d1d2c8a3ed2f9fd0ecf17", "repository": "https://github.com/google/oss-rebuild"}
    });
    let builder = json!({"id": "https://docs.oss-rebuild.dev/hosts/Google"});
    let target = format!("https://example.org/{NAME}");
    let equivalence = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": "https://slsa.dev/provenance/v1",
        "subject": [{"name": NAME, "digest": {"sha256": released()}}],
        "predicate": {
            "buildDefinition": {
                "buildType": "https://docs.oss-rebuild.dev/builds/ArtifactEquivalence@v0.1",
                "externalParameters": {"candidate": format!("rebuild/{NAME}"), "target": target},
                "internalParameters": internal,
                "resolvedDependencies": [
                    {"name": format!("rebuild/{NAME}"), "digest": {"sha256": digest(rebuilt)}},
                    {"name": target, "digest": {"sha256": released()}}
                ]
            },
            "runDetails": {
                "builder": builder,
                "metadata": {"invocationId": "7d4b9c9e-7f4c-4a4e-b7c5-5a3f1f0f6a11"},
                "byproducts": [{"name": format!("stabilized/{NAME}"), "digest": {"sha256": digest(b"stabilized")}}]
            }
        }
    });
    let rebuild = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": "https://slsa.dev/provenance/v1",
        "subject": [{"name": format!("rebuild/{NAME}"), "digest": {"sha256": digest(rebuilt)}}],
        "predicate": {
            "buildDefinition": {
                "buildType": "https://docs.oss-rebuild.dev/builds/Rebuild@v0.1",
                "externalParameters": {"artifact": NAME, "ecosystem": "pypi", "package": "app", "version": "1.0"},
                "internalParameters": internal,
                "resolvedDependencies": [
                    {"name": "git+https://example.org/app", "digest": {"sha1": "0123456789abcdef0123456789abcdef01234567"}},
                    {"name": "docker.io/library/alpine:3.21", "digest": {"sha256": digest(b"alpine")}},
                    {"name": "gcr.io/cloud-builders/docker", "digest": {"sha256": digest(b"docker")}},
                    {"name": "build.fix.json", "content": "e30="}
                ]
            },
            "runDetails": {
                "builder": builder,
                "metadata": {"invocationId": "7d4b9c9e-7f4c-4a4e-b7c5-5a3f1f0f6a11", "startedOn": days_ago(1), "finishedOn": days_ago(1)},
                "byproducts": [
                    {"name": "build.json", "content": "e30="},
                    {"name": "Dockerfile", "content": "RlJPTSBhbHBpbmUK"},
                    {"name": "steps.json", "content": "W10="}
                ]
            }
        }
    });
    [equivalence, rebuild]
}

#[apply(test)]
fn reads_and_compares_oss_rebuild() {
    let mut scene = Scene::new("");
    let key = &keys()["carol"];
    // Its bundles are bare DSSE envelopes, one a line.
    let lines = |rebuilt: &[u8]| {
        let envelopes = oss_rebuild(rebuilt).map(|statement| {
            let bundle = key.0.bundle(&serde_json::to_vec(&statement).unwrap()).unwrap();
            bundle["dsseEnvelope"].to_string()
        });
        envelopes.join("\n") + "\n"
    };
    let file = scene.said().join("rebuild.intoto.jsonl");
    scene.say("alice", &same("alice"));
    let quorum = |more: &str| {
        let text = format!(
            "{}\n[[quorums]]\nsubject = \"*\"\nthreshold = 3\n{more}",
            policy()
        );
        fs::write(scene.path("policy.toml"), text).unwrap();
    };
    quorum("");
    let google = |found: &Value| {
        let parties = found["parties"].as_array().unwrap();
        parties
            .iter()
            .find(|party| party["party"] == "carol")
            .unwrap()
            .clone()
    };
    // Bit for bit.
    fs::write(&file, lines(RELEASED)).unwrap();
    let output = scene.verify(&["--json"]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    let found = json(&output);
    let party = google(&found);
    assert_eq!(
        (&party["says"]["answer"], &party["kind"]),
        (&json!("same"), &json!("oss-rebuild"))
    );
    assert_eq!(
        party["inputs"]["source"],
        "commit 0123456789abcdef0123456789abcdef01234567"
    );
    assert_eq!(party["builder"], "https://docs.oss-rebuild.dev/hosts/Google");
    // Both name the same commit, and other containers.
    let aspects: Vec<_> = found["divergences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["aspect"].clone())
        .collect();
    assert_eq!(aspects, ["container"]);
    // Equivalent: what it set aside is not in its attestation, and a policy can take its word for it.
    fs::write(&file, lines(b"other times")).unwrap();
    let output = scene.verify(&["--json"]);
    assert_eq!(code(&output), 1, "{}", text(&output));
    let found = json(&output);
    assert_eq!(found["verdict"], "equivalent");
    assert_eq!(
        google(&found)["says"]["normalisations"],
        json!(["oss-rebuild-stabilizers"])
    );
    assert_eq!(code(&scene.verify(&["--allow-equivalent"])), 0);
    quorum("equivalent-by = [\"oss-rebuild-stabilizers\"]\n");
    assert_eq!(code(&scene.verify(&[])), 0);
    // The rebuild alone, without its equivalence, says that other bytes came out.
    let alone = lines(b"other times").lines().nth(1).unwrap().to_owned();
    fs::write(&file, alone).unwrap();
    let output = scene.verify(&[]);
    assert_eq!(code(&output), 1);
    assert!(
        text(&output).contains("carol says otherwise"),
        "{}",
        text(&output)
    );
}

#[apply(test)]
fn reads_and_compares_links_of_rebuilderd() {
    use in_toto::crypto::{KeyType, PrivateKey, SignatureScheme};
    let private = PrivateKey::new(KeyType::Ed25519).unwrap();
    let private = PrivateKey::from_pkcs8(&private, SignatureScheme::Ed25519).unwrap();
    // Its keys are published as SubjectPublicKeyInfo, with a field that RFC 8410 leaves out.
    let public = pem::encode(&pem::Pem::new("PUBLIC KEY", private.public().as_spki().unwrap()));
    let link = |bytes: &[u8]| {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (input, output) = (
            place("app_1.0_amd64.buildinfo", b"Format: 1.0"),
            place(NAME, bytes),
        );
        // As its worker calls it.
        let link = in_toto::runlib::in_toto_run(
            &format!("rebuild {NAME}"),
            None,
            &[&input],
            &[&output],
            &[],
            Some(&private),
            Some(&["sha512", "sha256"]),
            Some(&[&format!("{}/", folder.path().display())]),
        );
        serde_json::to_vec(&link.unwrap()).unwrap()
    };
    let mut scene = Scene::new("");
    scene.say("alice", &same("alice"));
    trust(&scene, "debian-rebuilder", &public, TWO);
    let file = scene.said().join("attestation.json");
    let verdict = || json(&scene.verify(&["--json"]));
    fs::write(&file, link(RELEASED)).unwrap();
    let found = verdict();
    assert_eq!(found["verdict"], "agreed", "{found}");
    let party = &found["parties"][1];
    assert_eq!(
        (&party["party"], &party["kind"]),
        (&json!("debian-rebuilder"), &json!("link"))
    );
    assert_eq!(party["inputs"]["dependencies"]["count"], 1);
    // It is kept compressed.
    fs::write(&file, zstd::encode_all(&link(RELEASED)[..], 3).unwrap()).unwrap();
    assert_eq!(verdict()["verdict"], "agreed");
    // One changed digest.
    let forged = String::from_utf8(link(b"other bytes"))
        .unwrap()
        .replace(&digest(b"other bytes"), &released());
    fs::write(&file, forged).unwrap();
    assert_eq!(verdict()["verdict"], "not-enough");
    // Other bytes, well signed.
    fs::write(&file, link(b"other bytes")).unwrap();
    let found = verdict();
    assert_eq!(found["verdict"], "disagreed", "{found}");
    assert!(
        found["reason"]
            .as_str()
            .unwrap()
            .contains("debian-rebuilder says otherwise"),
        "{found}"
    );
}

#[apply(test)]
fn reads_lists_of_digests_as_guix_builders_and_nix_caches_sign_them() {
    let mut scene = Scene::new("");
    scene.say("alice", &same("alice"));
    // A builder's list, with a detached signature beside it: SSH here, OpenPGP and minisign go the same way.
    let key = scene.path("builder");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f", &key])
        .output();
    if !made.is_ok_and(|output| output.status.success()) {
        common::skip("ssh-keygen");
    }
    let public = fs::read_to_string(format!("{key}.pub")).unwrap();
    trust(&scene, "guix-builder", &public, TWO);
    let list = scene.said().join("all.SHA256SUMS");
    let sign = |bytes: &[u8]| {
        fs::write(
            &list,
            format!("{}  {NAME}\n{}  other.tar.gz\n", digest(bytes), digest(b"other")),
        )
        .unwrap();
        let _ = fs::remove_file(format!("{}.sig", list.display()));
        let output = Command::new("ssh-keygen")
            .args(["-q", "-Y", "sign", "-n", "file", "-f", &key])
            .arg(&list)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
    };
    let verdict = || json(&scene.verify(&["--json"]));
    sign(RELEASED);
    let found = verdict();
    assert_eq!(found["verdict"], "agreed", "{found}");
    assert_eq!(found["parties"][1]["kind"], "hash-list");
    sign(b"other bytes");
    assert_eq!(verdict()["verdict"], "disagreed");
    // Changed after it was signed, and not signed at all.
    sign(b"other bytes");
    fs::write(&list, format!("{}  {NAME}\n", released())).unwrap();
    assert_eq!(scene.aside(), ["bad-signature 1"]);
    fs::remove_file(format!("{}.sig", list.display())).unwrap();
    assert_eq!(scene.aside(), ["unsigned 1"]);
    fs::remove_file(&list).unwrap();

    // A list with an OpenPGP signature around it.
    let home = scene.path("gnupg");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let gpg = |arguments: &[&str]| {
        let mut command = Command::new("gpg");
        command.env("GNUPGHOME", &home).args([
            "--batch",
            "--yes",
            "--passphrase",
            "",
            "--pinentry-mode",
            "loopback",
        ]);
        command.args(arguments).output()
    };
    if !gpg(&["--quick-generate-key", "guix", "ed25519", "sign", "never"])
        .is_ok_and(|output| output.status.success())
    {
        common::skip("gpg");
    }
    let public = String::from_utf8(gpg(&["--armor", "--export"]).unwrap().stdout).unwrap();
    trust(&scene, "guix-builder", &public, TWO);
    let clear = |bytes: &[u8]| {
        let plain = scene.path("SHA256SUMS");
        fs::write(&plain, format!("{}  {NAME}\n", digest(bytes))).unwrap();
        let signed = scene.said().join("SHA256SUMS.asc");
        let output = gpg(&["--clearsign", "--output", signed.to_str().unwrap(), &plain]).unwrap();
        assert!(output.status.success(), "{}", text(&output));
        signed
    };
    clear(RELEASED);
    let found = verdict();
    assert_eq!(found["verdict"], "agreed", "{found}");
    let signed = clear(b"other bytes");
    assert_eq!(verdict()["verdict"], "disagreed");
    let forged = fs::read_to_string(&signed)
        .unwrap()
        .replace(&digest(b"other bytes"), &released());
    fs::write(&signed, forged).unwrap();
    assert_eq!(scene.aside(), ["bad-signature 1"]);
    fs::remove_file(&signed).unwrap();
    let _ = Command::new("gpgconf")
        .env("GNUPGHOME", &home)
        .args(["--kill", "all"])
        .output();

    // A Nix cache: the digest in its own base 32, the signature over path, digest, size and references.
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    let pair = Ed25519KeyPair::generate().unwrap();
    let public = format!("cache.example-1:{}\n", STANDARD.encode(pair.public_key()));
    trust(&scene, "nix-cache", &public, TWO);
    let hash = format!(
        "sha256:{}",
        nix_base32::to_nix_base32(Sha256::of(RELEASED).as_bytes())
    );
    let path = "/nix/store/7gx4kiv5m0i7d7qkixq2cwzbr10lvxwc-app-1.0";
    let signed = format!("1;{path};{hash};{};/nix/store/aaa-libc", RELEASED.len());
    let signature = STANDARD.encode(pair.sign(signed.as_bytes()));
    let narinfo = format!(
        "StorePath: {path}\nURL: nar/x.nar.xz\nCompression: xz\nNarHash: {hash}\nNarSize: {}\nReferences: aaa-libc\nSig: cache.example-1:{signature}\n",
        RELEASED.len()
    );
    fs::write(scene.said().join("app.narinfo"), &narinfo).unwrap();
    let found = verdict();
    assert_eq!(found["verdict"], "agreed", "{found}");
    fs::write(
        scene.said().join("app.narinfo"),
        narinfo.replace("aaa-libc", "bbb-libc"),
    )
    .unwrap();
    assert_eq!(scene.aside(), ["bad-signature 1"]);
}

#[apply(test)]
fn many_artifacts_and_urls_and_wrong_use() {
    let mut scene = Scene::new(TWO);
    scene.say("alice", &same("alice"));
    scene.say("bob", &same("bob"));
    // By digest alone, and together with a file that nobody vouches for.
    let (said, policy) = (scene.path("said"), scene.path("policy.toml"));
    let by_digest = format!("sha256:{}", released());
    let common = ["--attestation", &said, "--policy", &policy];
    assert_eq!(code(&verify(&[&[by_digest.as_str()], &common[..]].concat())), 0);
    let unknown = scene.path("unknown.bin");
    fs::write(&unknown, b"unknown").unwrap();
    let both = verify(&[&[by_digest.as_str(), &unknown, "--json"], &common[..]].concat());
    assert_eq!(code(&both), 4, "{}", text(&both));
    let found = json(&both);
    assert_eq!(
        (&found[0]["verdict"], &found[1]["verdict"]),
        (&json!("agreed"), &json!("not-enough"))
    );

    let artifact = scene.path(NAME);
    for (arguments, expected, what) in [
        (
            vec![artifact.as_str(), "--attestation", "/nowhere"],
            2,
            "cannot read attestations from /nowhere",
        ),
        (vec!["sha256:zz"], 2, "is not a digest"),
        (vec!["/nowhere/file"], 2, "/nowhere/file is not a file"),
        (
            vec![artifact.as_str(), "--policy", "/nowhere.toml"],
            2,
            "cannot read the policy",
        ),
        (
            vec![
                artifact.as_str(),
                "--attestation",
                "https://localhost:1/x.json",
                "--offline",
            ],
            4,
            "offline",
        ),
    ] {
        let output = verify(&arguments);
        assert_eq!(code(&output), expected, "{arguments:?}: {}", text(&output));
        assert!(text(&output).contains(what), "{arguments:?}: {}", text(&output));
    }
    // A policy that is about other subjects refuses.
    let other = fs::read_to_string(&policy)
        .unwrap()
        .replace("subject = \"*\"", "subject = \"pkg:npm/*\"");
    fs::write(&policy, other).unwrap();
    let output = scene.verify(&[]);
    assert_eq!(code(&output), 3, "{}", text(&output));
    assert!(text(&output).contains("no quorum fits"), "{}", text(&output));
    for (quorum, what) in [
        ("threshold = 99\n", "needs a weight of 99"),
        ("threshold = 0\n", "needs a weight of 0"),
        ("roles = { pope = 1 }\n", "needs 1 with the role"),
        ("parties = [\"nobody\"]\n", "names the party"),
        ("agree-on = [\"colour\"]\n", "unknown aspect \"colour\""),
    ] {
        let scene = Scene::new(quorum);
        let output = scene.verify(&[]);
        assert_eq!(code(&output), 2, "{quorum}: {}", text(&output));
        assert!(text(&output).contains(what), "{quorum}: {}", text(&output));
    }
    // The example is a policy that can be used.
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/quorum.toml");
    let output = verify(&[&artifact, "--attestation", &said, "--policy", example]);
    assert_eq!(code(&output), 4, "{}", text(&output));
    // From a URL, here by way of a mirror.
    let mirror = format!("https://rebuilder.example/=file://{said}/");
    let names: Vec<_> = fs::read_dir(&said)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let urls: Vec<_> = names
        .iter()
        .map(|name| format!("https://rebuilder.example/{name}"))
        .collect();
    let store = scene.path("store");
    let mut arguments = vec![
        artifact.as_str(),
        "--store",
        &store,
        "--mirror",
        &mirror,
        "--policy",
        &policy,
    ];
    arguments.extend(urls.iter().flat_map(|url| ["--attestation", url]));
    fs::write(
        &policy,
        format!("{}\n[[quorums]]\nsubject = \"*\"\n{TWO}", self::policy()),
    )
    .unwrap();
    let output = verify(&arguments);
    assert_eq!(code(&output), 0, "{}", text(&output));
    // Without a policy: only keys that the user names count, and one rebuild is asked for.
    let alone = verify(&[&artifact, "--attestation", &said]);
    assert_eq!(code(&alone), 4, "{}", text(&alone));
    let public = scene.path("alice.pub");
    fs::write(&public, &keys()["alice"].1).unwrap();
    let alone = verify(&[&artifact, "--attestation", &said, "--trusted-key", &public]);
    assert_eq!(code(&alone), 0, "{}", text(&alone));
}
