//! Joins two files that are one piece of evidence: signatures with certificates, and envelopes with log entries.

use std::path::Path;

use super::{Document, Kind};
use crate::evidence::dsse::Envelope;
use crate::evidence::rekor::LoggedEnvelope;

/// The same documents, but each certificate is joined with its signature: the file whose name differs only in the
/// ending, or the only signature. A certificate without a signature stays a separate document.
pub fn paired(mut documents: Vec<Document>) -> Vec<Document> {
    let is_open =
        |document: &Document| matches!(&document.kind, Kind::Blob(signed) if signed.certificate.is_none());
    let (certificates, rest): (Vec<_>, Vec<_>) = documents
        .drain(..)
        .partition(|document| matches!(document.kind, Kind::Certificate(_)));
    documents.extend(rest);
    let alone = documents.iter().filter(|document| is_open(document)).count() == 1 && certificates.len() == 1;
    for found in certificates {
        let own = Path::new(&found.origin).with_extension("");
        let beside = |document: &Document| {
            let path = Path::new(&document.origin);
            alone || path == own || path.with_extension("") == own
        };
        let signed = documents
            .iter_mut()
            .find(|document| is_open(document) && beside(document));
        match (signed.map(|document| &mut document.kind), found.kind) {
            (Some(Kind::Blob(signed)), Kind::Certificate(certificate)) => {
                signed.certificate = Some(*certificate);
            }
            (_, kind) => documents.push(Document { kind, ..found }),
        }
    }
    with_entries(documents)
}

/// The same documents, but each log entry is joined with its envelope. An entry without an envelope stays a separate
/// document.
pub(super) fn with_entries(documents: Vec<Document>) -> Vec<Document> {
    let is_entry = |document: &Document| matches!(document.kind, Kind::LogEntry(_));
    let (entries, mut documents): (Vec<_>, Vec<_>) = documents.into_iter().partition(is_entry);
    for found in entries {
        let Kind::LogEntry(entry) = found.kind else {
            continue;
        };
        let own = documents.iter_mut().find(|document| match &document.kind {
            Kind::Envelope(envelope) => entry.is_of(envelope),
            Kind::Logged(logged) => entry.is_of(&logged.envelope),
            _ => false,
        });
        match own.map(|document| &mut document.kind) {
            Some(Kind::Logged(logged)) => logged.entries.push(*entry),
            Some(kind) => {
                if let Kind::Envelope(envelope) = kind {
                    let envelope = envelope.clone();
                    *kind = Kind::Logged(Box::new(LoggedEnvelope {
                        envelope,
                        entries: vec![*entry],
                    }));
                }
            }
            None => documents.push(Document {
                kind: Kind::LogEntry(entry),
                ..found
            }),
        }
    }
    documents
}

/// Envelopes with a certificate beside their signature, or none, whose log entry is missing.
pub fn lone_envelopes(documents: &[Document]) -> impl Iterator<Item = &Envelope> {
    documents.iter().filter_map(|document| match &document.kind {
        Kind::Envelope(envelope) if envelope.certificates.len() == 1 => Some(envelope),
        _ => None,
    })
}
