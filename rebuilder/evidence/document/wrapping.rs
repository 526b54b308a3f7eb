//! What registries wrap round pieces of evidence: lists, pages and lines.

use serde_json::Value;

use super::piece::{carrier, only, piece, unknown};
use super::{Kind, PieceError, cloud_build};
use crate::evidence::json;
use crate::evidence::sigstore::Content;
use crate::evidence::statement::Statement;

/// Reads JSON: one document, a list of them, or one a line.
pub(super) fn json_pieces(bytes: &[u8], text: &str) -> Result<Vec<Kind>, PieceError> {
    match json::parse_evidence(bytes) {
        Ok(Value::Array(items)) => {
            let kinds: Result<Vec<_>, _> = items.iter().map(unwrap).collect();
            Ok(kinds?.into_iter().flatten().collect())
        }
        Ok(value) => unwrap(&value),
        // One document a line, as the SLSA generators write several.
        Err(error) => {
            let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let first = lines.next().map(|line| json::parse_evidence(line.as_bytes()));
            let (Some(Ok(first)), Some(second)) = (first, lines.next()) else {
                return Err(error.into());
            };
            let mut kinds = unwrap(&first)?;
            for line in std::iter::once(second).chain(lines) {
                kinds.extend(unwrap(&json::parse_evidence(line.as_bytes())?)?);
            }
            Ok(kinds)
        }
    }
}

/// Takes the pieces out of what registries wrap round them.
fn unwrap(value: &Value) -> Result<Vec<Kind>, PieceError> {
    match carrier(value)? {
        Some("attestations") => {
            // npm's `/-/npm/v1/attestations/NAME@VERSION`, and GitHub's answer for a digest.
            only(value, &["attestations"])?;
            list(&value["attestations"], published)
        }
        Some("attestation_bundles") => {
            // PyPI's `/integrity/PROJECT/VERSION/FILE/provenance`.
            only(value, &["version", "attestation_bundles"])?;
            list(&value["attestation_bundles"], |bundle| {
                only(bundle, &["publisher", "attestations"])?;
                list(&bundle["attestations"], |item| {
                    let mut kind = piece(item)?;
                    if let Kind::Bundle(inside) = &mut kind {
                        inside.set_publisher(Some(bundle["publisher"].clone()));
                    }
                    Ok(vec![kind])
                })
            })
        }
        Some("provenance_summary") => cloud_build::described(value),
        _ => Ok(vec![piece(value)?]),
    }
}

fn list(
    items: &Value,
    take: impl Fn(&Value) -> Result<Vec<Kind>, PieceError>,
) -> Result<Vec<Kind>, PieceError> {
    let items = items.as_array().ok_or_else(unknown)?;
    let kinds: Result<Vec<_>, _> = items.iter().map(take).collect();
    Ok(kinds?.into_iter().flatten().collect())
}

/// One entry of a registry's list: a bundle, and what is said of it beside.
fn published(item: &Value) -> Result<Vec<Kind>, PieceError> {
    if item.get("bundle").is_none() {
        return Ok(vec![piece(item)?]);
    }
    only(
        item,
        &[
            "bundle",
            "predicateType",
            "bundle_url",
            "repository_id",
            "initiator",
        ],
    )?;
    if item["bundle"].is_null() {
        return Ok(vec![Kind::Unread {
            what: "an attestation that GitHub lists".to_owned(),
            reason: "the answer holds an address in the place of its bundle; \"gh attestation download\" brings it".to_owned(),
        }]);
    }
    let kind = piece(&item["bundle"])?;
    // Readers choose by the listed type, so it must be the signed one.
    let beside = item["predicateType"].as_str();
    let envelope = match &kind {
        Kind::KeyBundle { envelope, .. } => Some(envelope.clone()),
        Kind::Bundle(bundle) => match bundle.content() {
            Ok(Content::Envelope(envelope)) => Some(envelope),
            _ => None,
        },
        _ => return Err(PieceError::Other("its bundle is not a Sigstore bundle".into())),
    };
    let inside = envelope.and_then(|envelope| Statement::from_envelope(&envelope).ok());
    match (beside, inside) {
        (Some(beside), Some(inside)) if beside != inside.predicate_type => Err(PieceError::Other(format!(
            "it is listed as {beside:?}, but the signed type is {:?}",
            inside.predicate_type
        ))),
        _ => Ok(vec![kind]),
    }
}
