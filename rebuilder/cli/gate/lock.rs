//! What two clients' lock files have in common: entries of packages, with their digests.

use crate::artifact::Subject;

use super::judge::Candidate;

/// A locked package by the form `ecosystem:NAME@VERSION`.
pub(super) fn package(text: &str) -> Result<Subject, Candidate> {
    text.parse::<Subject>()
        .map_err(|error| Candidate::unknown(text.to_owned(), error.to_string()))
}
