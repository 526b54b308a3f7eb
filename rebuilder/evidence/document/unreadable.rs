//! Unsupported content where evidence is expected: it is reported, and never treated as absent.

use std::path::Path;

use super::{Document, Kind, read_file};
use crate::artifact::Sha256;
use crate::error::with_causes;
use crate::evidence::Question;

/// A file, or lines of one, that cannot be read as evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// What it should be, if its place says so.
    pub what: Option<String>,
    /// The number of lines, in a file with other evidence; 0 for a whole file.
    pub lines: usize,
    /// The reason, for the first of them.
    pub why: String,
}

impl Unreadable {
    /// One unreadable thing in a place that says what it should be.
    pub fn part(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            what: Some(what.into()),
            lines: 0,
            why: why.into(),
        }
    }

    /// The question that a file with this name is usually about.
    pub fn question(&self, origin: &str) -> Question {
        if self.what.is_some() {
            return Question::Other;
        }
        let signature = [".asc", ".sig", ".gpg", ".minisig", ".sshsig"];
        if signature.iter().any(|ending| origin.ends_with(ending)) {
            Question::Signature
        } else {
            Question::Provenance
        }
    }
}

/// Reads a file of evidence that nobody named, because it is beside a release; if it cannot be read, that is reported.
pub fn read_beside(path: &Path) -> Vec<Document> {
    read_file(path).unwrap_or_else(|error| {
        vec![Document {
            origin: path.display().to_string(),
            digest: Sha256::of(b""),
            kind: Kind::Unreadable(Unreadable {
                what: None,
                lines: 0,
                why: with_causes(&error),
            }),
        }]
    })
}
