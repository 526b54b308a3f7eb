//! Signatures and certificates that are two files and one piece of evidence.

use std::path::Path;

use super::{Document, Kind};

/// The same documents, with each certificate put to the signature that it belongs to: the file whose name differs in the
/// ending alone, or the only signature there is. A certificate without a signature stays a document of its own.
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
    documents
}
