//! Constellations of parties, and what is concluded of them.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::common::{code, json, text};
use serde_json::{Value, json};

use super::statements::{
    about, built, days_ago, declared, digest, equivalent, failed, finished, inside, not_found, other, plan,
    predicate, released, same, summary, summary_of, with,
};
use super::{NAME, RELEASED, TWO, by, policy, verify, write};

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

const TWO_APART: &str = "threshold = 2\nindependent = [\"organisation\", \"container\", \"host\"]\n";

const DATE: &str = "[{\"name\": \"tar-time\"}]";

/// A link of a step, in a statement.
fn stated_link(name: &str) -> Value {
    with(
        predicate("https://in-toto.io/attestation/link/v0.3"),
        "/predicate",
        json!({"name": name, "materials": []}),
    )
}

fn set(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// One row a line, so that it reads as a table.
// Long, as it is one table.
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
    let (levels, resource) = ("/predicate/verifiedLevels", "/predicate/resourceUri");
    let verifier = "threshold = 2\nroles = { verifier = 1 }\n";
    let (alice, carol, mallory) = (same("alice"), same("carol"), same("mallory"));
    let of_alice = summary_of(&[&alice]);
    let scan = "https://in-toto.io/attestation/vulns/v0.1";
    let release = with(predicate("https://in-toto.io/attestation/release/v0.1"), "/predicate", json!({"purl": "pkg:generic/evil@6.6"}));
    vec![
        // Agreement.
        ok("two agree", TWO, vec![by("alice", same("alice")), by("bob", same("bob"))], "weight 2 of", &["alice", "bob"], &[]),
        ok("three agree, two are asked for", TWO, vec![by("alice", same("alice")), by("bob", same("bob")), by("dave", same("dave"))], "weight 3 of", &["alice", "bob", "dave"], &[]),
        ok("builder and rebuilder", "threshold = 2\nroles = { builder = 1, rebuilder = 1 }\n", vec![by("builder", built()), by("alice", same("alice"))], "weight 2 of", &["alice", "builder"], &[]),
        ok("weight instead of number", "threshold = 2\n", vec![by("carol", same("carol"))], "weight 2 of", &["carol"], &[]),
        ok("all roles", "threshold = 3\nroles = { builder = 1, rebuilder = 1, release-manager = 1 }\n", vec![by("builder", built()), by("alice", same("alice")), by("manager", built())], "weight 3 of", &["alice", "builder", "manager"], &[]),
        ok("independent in everything", TWO_APART, vec![by("alice", same("alice")), by("bob", same("bob"))], "weight 2 of", &["alice", "bob"], &[]),
        ok("a verifier's summary, with what it was made from", "threshold = 2\nroles = { verifier = 1 }\n", vec![by("alice", alice.clone()), by("watcher", summary_of(&[&alice]))], "weight 2 of", &["alice", "watcher"], &[]),
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
        ok("no build found is no evidence", "threshold = 1\n", vec![by("alice", not_found(b"alice")), by("bob", same("bob"))], "weight 1 of", &["bob"], &["no-build-found"]),
        ok("failures of one tool count once", "threshold = 2\ndissent = \"outvote\"\n", vec![by("alice", failed(b"alice")), by("dave", failed(b"dave")), by("carol", same("carol"))], "outvoted", &["carol"], &[]),
        no("a negative is evidence", TWO, vec![by("alice", failed(b"alice")), by("bob", same("bob"))], "alice says otherwise", &["bob"], &[]),
        no("equivocation", TWO, vec![by("alice", same("alice")), by("alice", plan(other("alice", b"evil"), b"alice")), by("bob", same("bob")), by("dave", same("dave"))], "alice contradicts itself", &["bob", "dave"], &[]),
        no("equivocation between a result and a negative", TWO, vec![by("alice", same("alice")), by("alice", failed(b"alice")), by("bob", same("bob")), by("dave", same("dave"))], "alice contradicts itself", &["bob", "dave"], &[]),
        no("a newer negative of other inputs", TWO, vec![by("alice", finished(plan(same("alice"), b"first"), &days_ago(9))), by("alice", failed(b"second")), by("bob", same("bob"))], "alice says otherwise", &["bob"], &["superseded"]),
        no("a verifier that failed it", TWO, vec![by("alice", same("alice")), by("bob", same("bob")), by("watcher", summary("FAILED"))], "watcher says otherwise", &["alice", "bob"], &[]),
        no("they must agree on the source and do not", "threshold = 2\nagree-on = [\"source\"]\n", vec![by("alice", same("alice")), by("bob", inside(same("bob"), commit, json!("ffffffffffffffffffffffffffffffffffffffff")))], "do not agree on the source", &["alice", "bob"], &[]),
        no("outvoting needs more weight", "threshold = 2\ndissent = \"outvote\"\n", vec![by("alice", same("alice")), by("bob", same("bob")), by("carol", other("carol", b"evil"))], "carol says otherwise", &["alice", "bob"], &[]),
        // What does not disagree.
        ok("outvoted", "threshold = 2\ndissent = \"outvote\"\n", vec![by("alice", same("alice")), by("bob", same("bob")), by("dave", other("dave", b"evil"))], "outvoted: dave says otherwise", &["alice", "bob"], &[]),
        ok("a newer success of other inputs", TWO, vec![by("alice", with(plan(finished(other("alice", b"early"), &days_ago(9)), b"first"), "/predicate/runDetails/metadata/invocationId", json!("the first run"))), by("alice", plan(same("alice"), b"second")), by("bob", same("bob"))], "weight 2 of", &["alice", "bob"], &["superseded"]),
        ok("an unknown liar", TWO, vec![by("alice", same("alice")), by("bob", same("bob")), by("mallory", other("mallory", b"evil"))], "weight 2 of", &["alice", "bob"], &["unknown-signer"]),
        ok("a revoked liar", TWO, vec![by("alice", same("alice")), by("bob", same("bob")), by("lost", other("lost", b"evil"))], "weight 2 of", &["alice", "bob"], &["revoked"]),
        ok("said again is said once", TWO, vec![by("alice", same("alice")), by("alice", finished(same("alice"), &days_ago(2))), by("bob", same("bob"))], "weight 2 of", &["alice", "bob"], &[]),
        ok("other inputs, the same bytes", TWO, vec![by("alice", same("alice")), by("bob", inside(same("bob"), commit, json!("ffffffffffffffffffffffffffffffffffffffff")))], "weight 2 of", &["alice", "bob"], &[]),
        // What a statement is decides which role it fills, and not what the policy calls its signer.
        few("a summary posing as a rebuild", TWO, vec![by("alice", alice.clone()), by("bob", of_alice.clone())], "weight 1 of", &["alice"], &["other-role"]),
        few("a summary alone, as a rebuild", "threshold = 1\nroles = { rebuilder = 1 }\n", vec![by("builder", built()), by("bob", summary_of(&[&built()]))], "0 of the required 1 with the role rebuilder", &["builder"], &["other-role"]),
        few("a summary without what it was made from", verifier, vec![by("alice", alice.clone()), by("watcher", summary("PASSED"))], "weight 1 of", &["alice"], &[]),
        few("a summary of what is not at hand", verifier, vec![by("alice", alice.clone()), by("watcher", summary_of(&[&same("carol")]))], "weight 1 of", &["alice"], &[]),
        few("a summary of what nobody trusted signed", verifier, vec![by("alice", alice.clone()), by("mallory", mallory.clone()), by("watcher", summary_of(&[&mallory]))], "weight 1 of", &["alice"], &["unknown-signer"]),
        few("a summary where no verifier is asked for", "threshold = 2\n", vec![by("alice", alice.clone()), by("watcher", of_alice.clone())], "weight 1 of", &["alice"], &[]),
        few("a summary weighs no more than what it was made from", "threshold = 3\nroles = { verifier = 1 }\n", vec![by("alice", alice.clone()), by("warden", of_alice.clone())], "weight 2 of the required 3", &["alice", "warden"], &[]),
        ok("a summary of two weighs as much as its party", "threshold = 6\nroles = { verifier = 1 }\n", vec![by("alice", alice.clone()), by("carol", carol.clone()), by("warden", summary_of(&[&alice, &carol]))], "weight 6 of", &["alice", "carol", "warden"], &[]),
        few("a summary of something else than the build", verifier, vec![by("alice", alice.clone()), by("watcher", with(of_alice.clone(), levels, json!(["NO_KNOWN_VULNERABILITIES"])))], "weight 1 of", &["alice"], &["no-build"]),
        ok("a summary that says reproduced", verifier, vec![by("alice", alice.clone()), by("watcher", with(of_alice.clone(), levels, json!(["SLSA_BUILD_REPRODUCED"])))], "weight 2 of", &["alice", "watcher"], &[]),
        few("a summary without a level", verifier, vec![by("alice", alice.clone()), by("watcher", with(of_alice.clone(), levels, json!(["SLSA_BUILD_LEVEL_0"])))], "weight 1 of", &["alice"], &["no-build"]),
        few("a summary of a summary", "threshold = 3\nroles = { verifier = 2 }\n", vec![by("alice", alice.clone()), by("watcher", of_alice.clone()), by("warden", summary_of(&[&of_alice]))], "weight 2 of", &["alice", "watcher"], &[]),
        few("a summary of itself alone", verifier, vec![by("watcher", of_alice.clone()), by("warden", summary_of(&[&of_alice]))], "weight 0 of", &[], &[]),
        few("a test that passed is no rebuild", TWO, vec![by("alice", alice.clone()), by("bob", with(failed(b"bob"), "/predicate/result", json!("PASSED")))], "weight 1 of", &["alice"], &["no-build"]),
        few("a summary with a level that poses", verifier, vec![by("alice", alice.clone()), by("watcher", with(of_alice.clone(), levels, json!(["SLSA_BUILD_LEVEL_+3", "SLSA_BUILD_LEVEL_03", "SLSA_BUILD_LEVEL_", "SLSA_BUILD_REPRODUCED_NOT", "slsa_build_level_3", "REBUILD_QUORUM_2 "])))], "weight 1 of", &["alice"], &["no-build"]),
        few("a summary that says both", verifier, vec![by("alice", alice.clone()), by("watcher", with(of_alice.clone(), levels, json!(["SLSA_BUILD_LEVEL_3", "FAILED"])))], "weight 1 of", &["alice"], &["unreadable"]),
        few("a summary of another resource", verifier, vec![by("alice", alice.clone()), by("watcher", with(of_alice.clone(), resource, json!("pkg:generic/evil@6.6")))], "weight 1 of", &["alice"], &["wrong-resource"]),
        few("a summary of another file of the same host", verifier, vec![by("alice", alice.clone()), by("watcher", with(of_alice.clone(), resource, json!("https://example.org/dist/evil-6.6.tar.gz")))], "weight 1 of", &["alice"], &["wrong-resource"]),
        few("a summary of another version by its address", verifier, vec![by("alice", alice.clone()), by("watcher", with(of_alice.clone(), resource, json!("https://example.org/dist/app-1.1.tar.gz")))], "weight 1 of", &["alice"], &["wrong-resource"]),
        few("a summary of another package's file in a registry", verifier, vec![by("alice", alice.clone()), by("watcher", with(of_alice.clone(), resource, json!("https://registry.npmjs.org/evil/-/evil-6.6.0.tgz")))], "weight 1 of", &["alice"], &["wrong-resource"]),
        few("a summary of another file of the package", verifier, vec![by("alice", alice.clone()), by("watcher", with(of_alice.clone(), resource, json!("pkg:generic/app@1.0?file_name=app-1.0.zip")))], "weight 1 of", &["alice"], &["wrong-resource"]),
        few("a summary of another version by its name", verifier, vec![by("alice", alice.clone()), by("watcher", with(of_alice.clone(), resource, json!("pkg:generic/app@1.1")))], "weight 1 of", &["alice"], &["wrong-resource"]),
        few("a summary of another image", verifier, vec![by("alice", alice.clone()), by("watcher", with(of_alice.clone(), resource, json!("registry.example/app@sha256:0000000000000000000000000000000000000000000000000000000000000000")))], "weight 1 of", &["alice"], &["wrong-resource"]),
        ok("a summary of the file by its address", verifier, vec![by("alice", alice.clone()), by("watcher", with(of_alice.clone(), resource, json!("https://example.org/dist/app-1.0.tar.gz")))], "weight 2 of", &["alice", "watcher"], &[]),
        ok("a summary of the file by its name", verifier, vec![by("alice", alice.clone()), by("watcher", with(of_alice.clone(), resource, json!("app-1.0.tar.gz")))], "weight 2 of", &["alice", "watcher"], &[]),
        ok("a summary of the file in its package", verifier, vec![by("alice", alice.clone()), by("watcher", with(of_alice.clone(), resource, json!("pkg:generic/app@1.0?file_name=app-1.0.tar.gz")))], "weight 2 of", &["alice", "watcher"], &[]),
        ok("a summary of what cannot be compared", verifier, vec![by("alice", alice.clone()), by("watcher", with(of_alice.clone(), resource, json!("gce_image://nodes:one")))], "weight 2 of", &["alice", "watcher"], &[]),
        few("a summary of no resource", verifier, vec![by("alice", alice.clone()), by("watcher", with(of_alice.clone(), resource, json!(null)))], "weight 1 of", &["alice"], &["unreadable"]),
        few("provenance is no rebuild", TWO, vec![by("alice", alice.clone()), by("bob", built())], "weight 1 of", &["alice"], &["other-role"]),
        few("a rebuild is no builder's word", "threshold = 2\nroles = { builder = 1 }\n", vec![by("alice", alice.clone()), by("builder", same("builder"))], "weight 1 of", &["alice"], &["other-role"]),
        few("a rebuild is no verifier's word", verifier, vec![by("alice", alice.clone()), by("watcher", same("watcher"))], "weight 1 of", &["alice"], &["other-role"]),
        no("other bytes count, whoever rebuilt them", TWO, vec![by("alice", alice.clone()), by("bob", same("bob")), by("builder", other("builder", b"evil"))], "builder says otherwise", &["alice", "bob"], &[]),
        ok("a failed summary of a rebuilder is none of other bytes", "threshold = 1\n", vec![by("alice", alice.clone()), by("bob", summary("FAILED"))], "weight 1 of", &["alice"], &["other-role"]),
        few("a scan is no build", TWO, vec![by("alice", alice.clone()), by("bob", predicate(scan))], "weight 1 of", &["alice"], &["no-build"]),
        few("a bill of materials is no build", TWO, vec![by("alice", alice.clone()), by("bob", predicate("https://spdx.dev/Document"))], "weight 1 of", &["alice"], &["no-build"]),
        few("a release is no build, of another package or this", TWO, vec![by("alice", alice.clone()), by("bob", release)], "weight 1 of", &["alice"], &["no-build"]),
        few("how the source came to be is no build", TWO, vec![by("alice", alice.clone()), by("bob", predicate("https://slsa.dev/source_provenance/v1-draft"))], "weight 1 of", &["alice"], &["no-build"]),
        ok("a third party's declaration", TWO, vec![by("alice", alice.clone()), by("bob", declared("VERIFIED_REPRODUCIBLE_BUILD", 1.0, true))], "weight 2 of", &["alice", "bob"], &[]),
        few("a declaration of the publisher itself", TWO, vec![by("alice", alice.clone()), by("bob", declared("VERIFIED_REPRODUCIBLE_BUILD", 1.0, false))], "weight 1 of", &["alice"], &["no-build"]),
        few("a declaration that does not conform", TWO, vec![by("alice", alice.clone()), by("bob", declared("VERIFIED_REPRODUCIBLE_BUILD", 0.9, true))], "weight 1 of", &["alice"], &["no-build"]),
        no("a declaration of other bytes", TWO, vec![by("alice", alice.clone()), by("bob", declared("REBUILD_DIFFERS", 0.0, true))], "bob says otherwise", &["alice"], &[]),
        few("a declaration with another digest beside the right one", TWO, vec![by("alice", alice.clone()), by("bob", with(declared("VERIFIED_REPRODUCIBLE_BUILD", 1.0, true), "/predicate/declarations/targets/components/0/hashes", json!([{"alg": "SHA-256", "content": released()}, {"alg": "SHA-512", "content": "0".repeat(128)}])))], "weight 1 of", &["alice"], &["no-build"]),
        few("a declaration with two digests of one kind", TWO, vec![by("alice", alice.clone()), by("bob", with(declared("VERIFIED_REPRODUCIBLE_BUILD", 1.0, true), "/predicate/declarations/targets/components/0/hashes", json!([{"alg": "SHA-256", "content": released()}, {"alg": "SHA-256", "content": "0".repeat(64)}])))], "weight 1 of", &["alice"], &["no-build"]),
        few("a declaration that is rated twice", TWO, vec![by("alice", alice.clone()), by("bob", with(declared("VERIFIED_REPRODUCIBLE_BUILD", 1.0, true), "/predicate/declarations/attestations/0/map", json!([{"claims": ["claim"], "conformance": {"score": 1}}, {"claims": ["claim"], "conformance": {"score": 0}}])))], "weight 1 of", &["alice"], &["no-build"]),
        few("a declaration that is rated once, and once not", TWO, vec![by("alice", alice.clone()), by("bob", with(declared("VERIFIED_REPRODUCIBLE_BUILD", 1.0, true), "/predicate/declarations/attestations/0/map", json!([{"claims": ["claim"], "conformance": {"score": 1}}, {"claims": ["claim"]}])))], "weight 1 of", &["alice"], &["no-build"]),
        few("two assessors of one name", TWO, vec![by("alice", alice.clone()), by("bob", with(declared("VERIFIED_REPRODUCIBLE_BUILD", 1.0, true), "/predicate/declarations/assessors", json!([{"bom-ref": "assessor", "thirdParty": true}, {"bom-ref": "assessor", "thirdParty": false}])))], "weight 1 of", &["alice"], &["no-build"]),
        few("two targets of one name", TWO, vec![by("alice", alice.clone()), by("bob", with(declared("VERIFIED_REPRODUCIBLE_BUILD", 1.0, true), "/predicate/declarations/targets/components", json!([{"bom-ref": "target", "hashes": [{"alg": "SHA-256", "content": released()}]}, {"bom-ref": "target", "hashes": [{"alg": "SHA-256", "content": digest(b"x")}]}])))], "weight 1 of", &["alice"], &["no-build"]),
        few("an equivalence that does not conform", "threshold = 2\nequivalent-by = [\"not-named-by-its-author\"]\n", vec![by("alice", alice.clone()), by("bob", declared("VERIFIED_EQUIVALENT_BUILD", 0.0, true))], "weight 1 of", &["alice"], &["no-build"]),
        ok("a link in a statement is a builder's word", "threshold = 2\nroles = { builder = 1, rebuilder = 1 }\n", vec![by("alice", alice.clone()), by("builder", stated_link("build"))], "weight 2 of", &["alice", "builder"], &[]),
        few("a link of some step is no rebuild", TWO, vec![by("alice", alice.clone()), by("bob", stated_link("build"))], "weight 1 of", &["alice"], &["other-role"]),
        ok("a link of a rebuild, in a statement", TWO, vec![by("alice", alice.clone()), by("bob", stated_link("rebuild app-1.0.tar.gz"))], "weight 2 of", &["alice", "bob"], &[]),
        few("a link without a name", TWO, vec![by("alice", alice.clone()), by("bob", predicate("https://in-toto.io/attestation/link/v0.3"))], "weight 1 of", &["alice"], &["unreadable"]),
        // Subjects and their names.
        ok("several subjects", TWO, vec![by("alice", alice.clone()), by("bob", about(same("bob"), &[("other.tar.gz", digest(b"x")), (NAME, released())]))], "weight 2 of", &["alice", "bob"], &[]),
        no("these bytes under another subject's name", TWO, vec![by("alice", alice.clone()), by("bob", about(same("bob"), &[("other.tar.gz", released()), (NAME, digest(b"x"))]))], "bob says otherwise", &["alice"], &[]),
        ok("absolute names", TWO, vec![by("alice", alice.clone()), by("bob", about(same("bob"), &[("/build/out/app-1.0.tar.gz", released())]))], "weight 2 of", &["alice", "bob"], &[]),
        ok("a subject without a name", TWO, vec![by("alice", alice.clone()), by("bob", about(same("bob"), &[("_", released())]))], "weight 2 of", &["alice", "bob"], &[]),
        ok("a digest in capitals", TWO, vec![by("alice", alice.clone()), by("bob", about(same("bob"), &[(NAME, released().to_uppercase())]))], "weight 2 of", &["alice", "bob"], &[]),
        few("a subject without a digest", TWO, vec![by("alice", alice.clone()), by("bob", with(same("bob"), "/subject/0/digest", json!({})))], "weight 1 of", &["alice"], &["unreadable"]),
        few("a digest of an unknown kind", TWO, vec![by("alice", alice.clone()), by("bob", with(same("bob"), "/subject/0/digest", json!({"blake3": "00"})))], "weight 1 of", &["alice"], &["unreadable"]),
        few("a digest that is none", TWO, vec![by("alice", alice.clone()), by("bob", with(same("bob"), "/subject/0/digest", json!({"sha256": ""})))], "weight 1 of", &["alice"], &["wrong-subject"]),
        no("a second digest that is another's", TWO, vec![by("alice", alice.clone()), by("bob", with(same("bob"), "/subject/0/digest", json!({"sha256": released(), "sha512": "0".repeat(128)})))], "bob says otherwise: different bytes were produced (sha512:", &["alice"], &[]),
        few("a subject with control characters", TWO, vec![by("alice", alice.clone()), by("bob", with(same("bob"), "/subject/0/name", json!("x\u{1b}[2J")))], "weight 1 of", &["alice"], &["unreadable"]),
        few("digests that are too weak", TWO, vec![by("alice", alice.clone()), by("bob", with(same("bob"), "/subject/0/digest", json!({"md5": "0".repeat(32), "sha1": "0".repeat(40)})))], "weight 1 of", &["alice"], &["unreadable"]),
        few("no subject", TWO, vec![by("alice", alice.clone()), by("bob", with(same("bob"), "/subject", json!([])))], "weight 1 of", &["alice"], &["unreadable"]),
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

/// What `verify` says of a row.
fn answer(row: &Row, number: usize, folder: &Path, artifact: &Path) -> Output {
    let place = folder.join(format!("row-{number}"));
    fs::create_dir(&place).unwrap();
    for (at, (key, statement)) in row.said.iter().enumerate() {
        write(&place, at, key, statement);
    }
    let file = folder.join(format!("{number}.toml"));
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
    verify(&arguments)
}

/// The parties that count.
fn counted(found: &Value) -> Vec<String> {
    let parties = found["parties"].as_array().unwrap();
    let counted = parties.iter().filter(|party| party["counted"] == true);
    counted
        .map(|party| party["party"].as_str().unwrap().to_owned())
        .collect()
}

/// Why attestations were set aside.
fn aside(found: &Value) -> Vec<String> {
    let aside = found["set_aside"].as_array().unwrap();
    aside
        .iter()
        .map(|it| it["reason"].as_str().unwrap().to_owned())
        .collect()
}

#[apply(test)]
fn each_constellation_has_its_answer() {
    let rows = table();
    assert!(rows.len() >= 90, "{} rows", rows.len());
    let names: std::collections::BTreeSet<_> = rows.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), rows.len(), "a name stands twice");
    let folder = tempfile::tempdir().unwrap();
    let artifact = folder.path().join(NAME);
    fs::write(&artifact, RELEASED).unwrap();
    let mut wrong = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let output = answer(row, number, folder.path(), &artifact);
        if ![0, 1, 4].contains(&code(&output)) {
            wrong.push(format!("{}: {}", row.name, text(&output)));
            continue;
        }
        let found = json(&output);
        let (counted, aside) = (counted(&found), aside(&found));
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

/// A summary whose resource is no name of a file or a package counts by its digest, and the report says so.
#[apply(test)]
fn a_resource_that_cannot_be_compared_is_told() {
    let verifier = "threshold = 2\nroles = { verifier = 1 }\n";
    for (resource, told) in [
        ("gce_image://nodes:one", true),
        ("git+https://example.org/app", true),
        ("pkg:generic/app@1.0", false),
        ("https://example.org/dist/app-1.0.tar.gz", false),
    ] {
        let mut scene = super::Scene::new(verifier);
        // It has the time at which it is made, so that two of them have different digests.
        let rebuilt = same("alice");
        scene.say("alice", &rebuilt);
        let summary = summary_of(&[&rebuilt]);
        scene.say(
            "watcher",
            &with(summary, "/predicate/resourceUri", json!(resource)),
        );
        let output = scene.verify(&["--purl", "pkg:generic/app@1.0", "--json"]);
        assert_eq!(code(&output), 0, "{resource}: {}", text(&output));
        let found = json(&output);
        let parties = found["parties"].as_array().unwrap();
        let watcher = parties.iter().find(|party| party["party"] == "watcher").unwrap();
        let why = watcher["why"].as_str().unwrap();
        assert_eq!(why.contains("cannot be compared"), told, "{resource}: {why}");
        assert_eq!(why.contains(resource), told, "{resource}: {why}");
    }
}
