//! Converts between the journal's lines and the memory's rows.

use std::path::Path;

use packageurl::PackageUrl;

use super::{ResultLine, SubjectResult};
use crate::artifact::{Sha256, Subject};
use crate::memory::{Attempt, Member};
use crate::run::RunFolder;
use crate::run::failure::Fault;

/// The version that a package URL names.
pub(super) fn version_of(purl: &str) -> Option<String> {
    let purl: PackageUrl<'_> = purl.parse().ok()?;
    purl.version().map(str::to_owned)
}

/// A subject as a member of an audit.
pub(super) fn member(text: &str, subject: &Subject) -> Member {
    let package = Subject {
        version: None,
        ..subject.clone()
    };
    Member {
        text: text.to_owned(),
        package: package.purl(),
        ecosystem: subject.ecosystem.to_string(),
    }
}

/// A journal line as the memory records it; `folder` is the audit's.
pub(super) fn attempt(line: &ResultLine, subject: &Subject, folder: &Path) -> Attempt {
    let member = member(&line.subject, subject);
    let (failure, fault) = match &line.outcome {
        SubjectResult::Inconclusive { failure, .. } => match failure {
            Some(failure) => (Some(failure.code.to_string()), Some(failure.code.fault())),
            // Earlier versions did not record the kind of failure, so another try is worth it.
            None => (None, Some(Fault::Inputs)),
        },
        _ => (None, None),
    };
    let causes = match &line.outcome {
        SubjectResult::Mismatch { causes } | SubjectResult::NotReproduced { causes } => causes.clone(),
        SubjectResult::Equivalent { normalisations } => normalisations.clone(),
        _ => Vec::new(),
    };
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    Attempt {
        text: member.text,
        package: member.package,
        ecosystem: member.ecosystem,
        version: line.version.clone().or_else(|| subject.version.clone()),
        started: line.started.as_millisecond(),
        finished: line.finished.as_millisecond(),
        verdict: line.outcome.name(),
        failure,
        fault,
        outputs: (count(line.outputs.0), count(line.outputs.1)),
        causes,
        plan: line.plan.map(|digest| digest.to_string()),
        folder: line.run.clone(),
        attestations: line
            .run
            .iter()
            .flat_map(|run| attestations(&folder.join(run)))
            .collect(),
        document: crate::text::json(line),
    }
}

/// The attestations in a run's folder; files that cannot be read are left out.
fn attestations(run: &Path) -> Vec<(String, String)> {
    let named = |path: &Path| {
        let bytes = crate::bounded::read(path, crate::bounded::DOCUMENT).ok()?;
        let name = path.file_name()?.to_string_lossy().into_owned();
        Some((name, Sha256::of(&bytes).to_string()))
    };
    let all = RunFolder::new(run).attestations();
    all.iter().filter_map(|path| named(path)).collect()
}
