//! Files with several statements: "Consumers MUST ignore unrecognized lines" and "attestations with unrecognized keys,
//! types, subjects, or predicates" (in-toto attestation bundle v1). The number of ignored ones is reported.

use serde::Serialize;

use crate::evidence::assessment::{Artifact, Assessment};
use crate::evidence::document::{Document, Kind};
use crate::evidence::statement::DigestMatch;
use crate::evidence::{Standing, source_track};
use crate::text::plural;

/// What a file contains that is not about the artifacts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Ignored {
    /// Statements about other files.
    pub statements: usize,
    /// Lines that are not attestations.
    pub lines: usize,
}

/// The assessments of documents, in their order, without those about other files if the same file also has some about
/// the artifacts. If no document of a file is about the artifacts, all are kept: the file was given as evidence for
/// them.
pub(super) fn about_these(found: Vec<(&Document, Assessment)>, artifacts: &[Artifact]) -> Vec<Assessment> {
    let mut kept: Vec<Assessment> = Vec::new();
    let mut rest = found.into_iter().peekable();
    while let Some(first) = rest.next() {
        let is_same = |other: &Document| (&other.origin, other.digest) == (&first.0.origin, first.0.digest);
        let mut file = vec![first.clone()];
        while let Some(next) = rest.next_if(|(document, _)| is_same(document)) {
            file.push(next);
        }
        kept.extend(of_file(file, artifacts));
    }
    kept
}

fn of_file(file: Vec<(&Document, Assessment)>, artifacts: &[Artifact]) -> Vec<Assessment> {
    if !file.iter().any(|(_, found)| is_about(found, artifacts)) {
        return file.into_iter().map(|(_, found)| found).collect();
    }
    let mut ignored = Ignored::default();
    let mut kept = Vec::new();
    for (document, found) in file {
        if let Kind::Unreadable(unreadable) = &document.kind
            && unreadable.lines > 0
        {
            ignored.lines = ignored.lines.saturating_add(unreadable.lines);
        } else if is_foreign(&found, artifacts) {
            ignored.statements = ignored.statements.saturating_add(1);
        } else {
            kept.push(found);
        }
    }
    if let Some(first) = kept.first_mut().filter(|_| ignored != Ignored::default()) {
        let of_others = plural(ignored.statements, "statement");
        let lines = plural(ignored.lines, "line");
        let what = match (ignored.statements, ignored.lines) {
            (_, 0) => format!("{of_others} about other files"),
            (0, _) => format!("{lines} without an attestation"),
            _ => format!("{of_others} about other files and {lines} without an attestation"),
        };
        first.claim.meaning = format!("{}; {what} in the same file ignored", first.claim.meaning);
        first.ignored = Some(ignored);
    }
    kept
}

/// Whether a statement has a subject with the digests of an artifact.
fn is_about(found: &Assessment, artifacts: &[Artifact]) -> bool {
    let subjects = found.statement.iter().flat_map(|statement| &statement.subject);
    let mut matches = subjects.flat_map(|subject| artifacts.iter().map(|it| subject.matches(&it.digests)));
    matches.any(|found| found == DigestMatch::Same)
}

/// Whether an assessment is about other files, whatever its signature is worth.
fn is_foreign(found: &Assessment, artifacts: &[Artifact]) -> bool {
    match &found.statement {
        // Provenance ties a statement about an artifact's source to the artifact.
        Some(statement) => !is_about(found, artifacts) && !source_track::is_of_source(statement),
        None => found.claim.standing == Standing::SubjectMismatch && found.subjects.is_empty(),
    }
}
