//! What is no evidence of a supported kind, where evidence is expected: told, and never taken for absent.

use std::path::Path;

use super::{Document, Kind, read_file};
use crate::artifact::Sha256;
use crate::error::with_causes;
use crate::evidence::Question;

/// A file, or lines of one, that cannot be read as evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// How many lines of a file with other evidence; 0 for a whole file.
    pub lines: usize,
    /// Why, for the first of them.
    pub why: String,
}

impl Unreadable {
    /// The question that a file with this name is usually about.
    pub fn question(&self, origin: &str) -> Question {
        let signature = [".asc", ".sig", ".gpg", ".minisig", ".sshsig"];
        if signature.iter().any(|ending| origin.ends_with(ending)) {
            Question::Signature
        } else {
            Question::Provenance
        }
    }
}

/// Reads a file of evidence that nobody named, because it lies beside a release: one that cannot be read is told.
pub fn read_beside(path: &Path) -> Vec<Document> {
    read_file(path).unwrap_or_else(|error| {
        vec![Document {
            origin: path.display().to_string(),
            digest: Sha256::of(b""),
            kind: Kind::Unreadable(Unreadable {
                lines: 0,
                why: with_causes(&error),
            }),
        }]
    })
}
