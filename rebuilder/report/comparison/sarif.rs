//! A comparison as SARIF 2.1.0, for code scanning.

use serde_json::{Value, json};

use super::summary;
use crate::compare::{Cause, Comparison, Outcome, RootCause, Side};
use crate::text::{sarif_message, visible};

/// The comparison as SARIF 2.1.0, with one result for each root cause.
pub fn sarif(comparison: &Comparison) -> Value {
    let rules: Vec<Value> = Cause::ALL
        .iter()
        .map(|cause| {
            json!({
                "id": cause.name(),
                "shortDescription": {"text": cause.title()},
                "help": {"text": cause.fix()}
            })
        })
        .collect();
    // Code scanning has a place for each: results for the causes, artifacts for the two files.
    let results: Vec<Value> = comparison
        .causes
        .iter()
        .map(|cause| result(comparison, cause))
        .collect();
    let artifacts: Vec<Value> = [&comparison.released, &comparison.rebuilt]
        .into_iter()
        .map(artifact)
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "rebuilder",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules
            }},
            "automationDetails": {"id": format!("compare/{}", comparison.outcome.word())},
            "artifacts": artifacts,
            "results": results
        }]
    })
}

fn result(comparison: &Comparison, cause: &RootCause) -> Value {
    let level = match (cause.cause, comparison.outcome) {
        (Cause::Content | Cause::Unread | Cause::AmbiguousArchive, _) => "error",
        (_, Outcome::Different) => "warning",
        _ => "note",
    };
    let example = &cause.example;
    let message = format!(
        "{}{}. First at {} {}: {} → {}. {}",
        cause.cause.title(),
        summary(cause),
        example.path,
        example.place,
        example.released,
        example.rebuilt,
        cause.fix
    );
    json!({
        "ruleId": cause.cause.name(),
        "ruleIndex": Cause::ALL.iter().position(|known| *known == cause.cause),
        "level": level,
        "message": {"text": sarif_message(&message)},
        "occurrenceCount": cause.places.max(1),
        "locations": [{
            "physicalLocation": {"artifactLocation": {"uri": uri(&comparison.released.name)}},
            "logicalLocations": [{"fullyQualifiedName": visible(&example.path), "kind": "member"}]
        }],
        "properties": {"confidence": cause.confidence, "key": cause.key, "follow": cause.follow}
    })
}

fn artifact(side: &Side) -> Value {
    json!({
        "location": {"uri": uri(&side.name)},
        "length": side.size,
        "hashes": side.sha256.map_or_else(|| json!({}), |sha256| json!({"sha-256": sha256}))
    })
}

/// A path as a relative or `file:` URI reference.
pub(in crate::report) fn uri(path: &str) -> String {
    let encoded: String = path
        .bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'.' | b'_' | b'~' | b'+' | b'@')
            {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect();
    if encoded.starts_with('/') {
        format!("file://{encoded}")
    } else {
        encoded
    }
}
