//! The wrappings that registries put around pieces of evidence: lists, pages and lines.

use serde_json::Value;

use super::piece::{carrier, only, piece, unknown};
use super::{Kind, PieceError, Unreadable, cloud_build};
use crate::evidence::json;
use crate::evidence::rekor::Entry;
use crate::evidence::sigstore::Content;
use crate::evidence::statement::Statement;

/// Reads JSON: one document, a list of documents, or one document a line.
pub(super) fn json_pieces(bytes: &[u8], text: &str) -> Result<Vec<Kind>, PieceError> {
    match json::parse_evidence(bytes) {
        Ok(Value::Array(items)) => {
            let kinds: Result<Vec<_>, _> = items.iter().map(unwrap).collect();
            Ok(kinds?.into_iter().flatten().collect())
        }
        Ok(value) => Ok(with_text(unwrap(&value)?, text)),
        Err(error) => {
            // If the first line is not a document by itself, the text is a single, broken document.
            let mut lines = text.lines().filter(|line| !line.trim().is_empty());
            let first = lines.next().map(|line| json::parse_evidence(line.as_bytes()));
            let unfinished = matches!(&first, Some(Err(json::JsonError::Malformed(error))) if error.is_eof());
            if unfinished || lines.next().is_none() {
                return Err(error.into());
            }
            json_lines(text)
        }
    }
}

/// Reads one document a line (in-toto's attestation bundles): "Consumers MUST ignore unrecognized lines."
pub(super) fn json_lines(text: &str) -> Result<Vec<Kind>, PieceError> {
    let mut kinds = Vec::new();
    let (mut unread, mut first) = (0_usize, None);
    for (number, line) in (1_usize..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let read = json::parse_evidence(line.as_bytes()).map_err(PieceError::from);
        match read.and_then(|value| unwrap(&value)) {
            Ok(found) => kinds.extend(with_text(found, line)),
            Err(error) => {
                unread = unread.saturating_add(1);
                first.get_or_insert((number, error));
            }
        }
    }
    match first {
        Some((_, error)) if kinds.is_empty() => Err(error),
        Some((number, error)) => {
            kinds.push(Kind::Unreadable(Unreadable {
                what: None,
                lines: unread,
                why: format!("line {number}: {error}"),
            }));
            Ok(kinds)
        }
        None => Ok(kinds),
    }
}

/// The same kinds, but a single envelope keeps the text that it was read from, as a log may identify it by that.
fn with_text(mut kinds: Vec<Kind>, text: &str) -> Vec<Kind> {
    if let [Kind::Envelope(envelope)] = kinds.as_mut_slice() {
        envelope.text = Some(text.trim().to_owned());
    }
    kinds
}

/// Takes the pieces out of a registry's wrapping.
fn unwrap(value: &Value) -> Result<Vec<Kind>, PieceError> {
    let listed = value.as_array().filter(|list| list.iter().all(Entry::are));
    if let Some(answers) = listed.filter(|list| !list.is_empty()) {
        return log_entries(answers);
    }
    if Entry::are(value) {
        return log_entries(std::slice::from_ref(value));
    }
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

/// Rekor's answer: entries by their ids.
fn log_entries(answers: &[Value]) -> Result<Vec<Kind>, PieceError> {
    let mut kinds = Vec::new();
    for answer in answers {
        let entries = Entry::read_all(answer).map_err(PieceError::Other)?;
        kinds.extend(entries.into_iter().map(|entry| Kind::LogEntry(Box::new(entry))));
    }
    Ok(kinds)
}

fn list(
    items: &Value,
    take: impl Fn(&Value) -> Result<Vec<Kind>, PieceError>,
) -> Result<Vec<Kind>, PieceError> {
    let items = items.as_array().ok_or_else(unknown)?;
    let kinds: Result<Vec<_>, _> = items.iter().map(take).collect();
    Ok(kinds?.into_iter().flatten().collect())
}

/// One entry of a registry's list: a bundle, and members beside it.
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
        return Ok(vec![Kind::Unreadable(Unreadable::part(
            "an attestation that GitHub lists",
            "the answer holds an address in the place of its bundle; \"gh attestation download\" brings it",
        ))]);
    }
    let kind = piece(&item["bundle"])?;
    // Readers choose by the type in the list, so it must be the signed one.
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
