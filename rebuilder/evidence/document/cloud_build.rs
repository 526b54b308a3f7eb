//! The output of `gcloud artifacts docker images describe IMAGE --show-provenance --format json`: the image, and for
//! each provenance an envelope with a readable copy of its content.
//!
//! The copy is not signed, but people and programs read it, so it must be the same as the signed content.

use serde_json::Value;

use super::piece::only;
use super::{Kind, PieceError, Unreadable};
use crate::evidence::dsse::Envelope;
use crate::evidence::json::{self, member};

/// Reads the whole answer.
pub(super) fn described(value: &Value) -> Result<Vec<Kind>, PieceError> {
    only(value, &["image_summary", "provenance_summary"])?;
    let image = &value["image_summary"];
    only(
        image,
        &[
            "digest",
            "fully_qualified_digest",
            "registry",
            "repository",
            "slsa_build_level",
        ],
    )?;
    let digest = image["digest"].as_str().unwrap_or_default();
    if digest.is_empty() || !text(image, "fully_qualified_digest").ends_with(&format!("@{digest}")) {
        return Err(PieceError::Other("its image_summary names two images".into()));
    }
    only(&value["provenance_summary"], &["provenance"])?;
    let entries = member(value, ["provenance_summary", "provenance"]).as_array();
    let entries = entries.ok_or_else(|| PieceError::Other("it has no provenance".into()))?;
    entries
        .iter()
        .map(|entry| {
            only(
                entry,
                &[
                    "build",
                    "createTime",
                    "envelope",
                    "kind",
                    "name",
                    "noteName",
                    "resourceUri",
                    "updateTime",
                ],
            )?;
            Ok(provenance(entry, digest).unwrap_or_else(|reason| {
                let what = format!("a provenance of Google Cloud Build ({})", text(entry, "noteName"));
                Kind::Unreadable(Unreadable::part(what, reason))
            }))
        })
        .collect()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Reads one provenance; the error is a sentence that says why nothing may rely on it.
fn provenance(entry: &Value, digest: &str) -> Result<Kind, String> {
    if text(entry, "kind") != "BUILD" {
        return Err(format!(
            "it is of the kind {:?}, not of a build",
            text(entry, "kind")
        ));
    }
    if !text(entry, "resourceUri").ends_with(&format!("@{digest}")) {
        return Err("it is listed as one of another image".into());
    }
    let envelope = Envelope::from_value(&entry["envelope"]).map_err(|error| error.to_string())?;
    let signed = json::parse_evidence(&envelope.payload).map_err(|error| error.to_string())?;
    // The older form gives the predicate another name.
    let copies = [
        ("inTotoSlsaProvenanceV1", "predicate"),
        ("intotoStatement", "slsaProvenance"),
    ];
    let build = entry["build"]
        .as_object()
        .ok_or("it has no copy of what is signed")?;
    let found: Vec<_> = build.iter().collect();
    let [(name, copy)] = found.as_slice() else {
        return Err("it has several copies of what is signed, or none".into());
    };
    let predicate = copies.iter().find(|(known, _)| *known == name.as_str());
    let (_, predicate) =
        predicate.ok_or_else(|| format!("it has {name:?} in the place of a copy of what is signed"))?;
    let same = [
        ("_type", "_type"),
        ("predicateType", "predicateType"),
        ("subject", "subject"),
        (*predicate, "predicate"),
    ];
    if same
        .iter()
        .any(|(own, other)| copy[*own] != *member(&signed, [*other]) || copy[*own].is_null())
    {
        return Err("the copy beside it says something else than what is signed".into());
    }
    Ok(Kind::CloudBuild(envelope))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE;
    use serde_json::json;

    use super::*;

    fn answer() -> Value {
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "https://registry.example/i", "digest": {"sha256": "00"}}],
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": {"a": 1},
        });
        json!({
            "image_summary": {"digest": "sha256:00", "fully_qualified_digest": "registry.example/i@sha256:00"},
            "provenance_summary": {"provenance": [{
                "kind": "BUILD", "resourceUri": "https://registry.example/i@sha256:00",
                "build": {"inTotoSlsaProvenanceV1": statement},
                "envelope": {
                    "payloadType": "application/vnd.in-toto+json",
                    "payload": URL_SAFE.encode(statement.to_string()),
                    "signatures": [{"keyid": "k", "sig": "AAAA"}],
                },
            }]},
        })
    }

    #[test]
    fn nothing_relies_on_a_provenance_whose_copy_differs() {
        assert!(matches!(
            described(&answer()).unwrap().as_slice(),
            [Kind::CloudBuild(_)]
        ));
        for (place, value, words) in [
            (
                "/build/inTotoSlsaProvenanceV1/predicate/a",
                json!(2),
                "something else",
            ),
            (
                "/build/inTotoSlsaProvenanceV1/subject/0/digest/sha256",
                json!("01"),
                "something else",
            ),
            ("/build", json!({}), "several copies"),
            ("/build", json!({"statement": {}}), "in the place of"),
            ("/kind", json!("ATTESTATION"), "kind"),
            (
                "/resourceUri",
                json!("https://registry.example/i@sha256:01"),
                "another image",
            ),
            ("/envelope", json!({}), "DSSE"),
        ] {
            let mut changed = answer();
            *changed["provenance_summary"]["provenance"][0]
                .pointer_mut(place)
                .unwrap() = value;
            match described(&changed).unwrap().as_slice() {
                [Kind::Unreadable(found)] => assert!(found.why.contains(words), "{place}: {}", found.why),
                _ => panic!("{place}"),
            }
        }
        let mut other = answer();
        other["image_summary"]["digest"] = json!("sha256:01");
        assert!(described(&other).is_err());
    }
}
