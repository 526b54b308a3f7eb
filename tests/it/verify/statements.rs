//! What builders and rebuilders state, as the tests make it.

use rebuilder::artifact::Sha256;
use serde_json::{Value, json};

use super::{NAME, RELEASED};

pub(super) fn digest(bytes: &[u8]) -> String {
    Sha256::of(bytes).to_hex()
}

pub(super) fn released() -> String {
    digest(RELEASED)
}

pub(super) fn days_ago(days: i64) -> String {
    let now = jiff::Timestamp::now();
    now.checked_sub(jiff::SignedDuration::from_hours(24 * days))
        .unwrap()
        .to_string()
}

/// A rebuild as this tool states it.
pub(super) fn rebuild(builder: &str, sha256: &str) -> Value {
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

pub(super) fn same(builder: &str) -> Value {
    rebuild(builder, &released())
}

pub(super) fn other(builder: &str, bytes: &[u8]) -> Value {
    rebuild(builder, &digest(bytes))
}

/// Changes one place of a statement.
pub(super) fn with(mut statement: Value, pointer: &str, value: Value) -> Value {
    *statement
        .pointer_mut(pointer)
        .unwrap_or_else(|| panic!("{pointer}")) = value;
    statement
}

pub(super) fn inside(statement: Value, pointer: &str, value: Value) -> Value {
    with(statement, &format!("/predicate/buildDefinition{pointer}"), value)
}

pub(super) fn plan(statement: Value, plan: &[u8]) -> Value {
    inside(statement, "/internalParameters/plan/sha256", json!(digest(plan)))
}

pub(super) fn finished(statement: Value, when: &str) -> Value {
    with(
        statement,
        "/predicate/runDetails/metadata/finishedOn",
        json!(when),
    )
}

/// The builder's own provenance.
pub(super) fn built() -> Value {
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
pub(super) fn equivalent(builder: &str, rebuilt: &[u8], normalisations: &Value) -> Value {
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

pub(super) fn failed(plan: &[u8]) -> Value {
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

/// The same, where something that nobody declared may be the reason.
pub(super) fn not_found(plan: &[u8]) -> Value {
    let mut statement = failed(plan);
    statement["predicate"]["result"] = json!("WARNED");
    statement
}

pub(super) fn summary(result: &str) -> Value {
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

/// A summary that was made from these statements.
pub(super) fn summary_of(statements: &[&Value]) -> Value {
    let inputs: Vec<Value> = statements
        .iter()
        .map(|statement| {
            let digest = digest(&serde_json::to_vec(statement).unwrap());
            json!({"uri": "https://watcher.example/input", "digest": {"sha256": digest}})
        })
        .collect();
    let mut summary = summary("PASSED");
    summary["predicate"]["inputAttestations"] = json!(inputs);
    summary
}

/// A third party's declaration of a rebuild, in CycloneDX (CDXA).
pub(super) fn declared(claim: &str, score: f64, third_party: bool) -> Value {
    let mut statement = predicate("https://cyclonedx.org/bom");
    statement["predicate"] = json!({
        "bomFormat": "CycloneDX", "specVersion": "1.6",
        "metadata": {"timestamp": days_ago(1)},
        "declarations": {
            "assessors": [{"bom-ref": "assessor", "thirdParty": third_party, "organization": {"name": "Beta"}}],
            "attestations": [{"summary": "rebuild", "assessor": "assessor", "map": [
                {"requirement": "r", "claims": ["claim"], "conformance": {"score": score, "rationale": "compared"}}
            ]}],
            "claims": [{"bom-ref": "claim", "target": "target", "predicate": claim, "evidence": []}],
            "targets": {"components": [
                {"bom-ref": "target", "type": "file", "name": NAME, "hashes": [{"alg": "SHA-256", "content": released()}]}
            ]}
        }
    });
    statement
}

/// A statement with these subjects, each a name and a digest.
pub(super) fn about(mut statement: Value, subjects: &[(&str, String)]) -> Value {
    let subjects: Vec<Value> = subjects
        .iter()
        .map(|(name, sha256)| json!({"name": name, "digest": {"sha256": sha256}}))
        .collect();
    statement["subject"] = json!(subjects);
    statement
}

pub(super) fn predicate(kind: &str) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": NAME, "digest": {"sha256": released()}}],
        "predicateType": kind,
        "predicate": {}
    })
}
