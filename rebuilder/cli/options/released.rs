//! Files on this machine: which package they are, and whether the registry released them.

use std::path::Path;

use crate::artifact::Subject;
use crate::cli::Context;
use crate::cli::failure::Failure;
use crate::ecosystem::{self, PlanError, Release};
use crate::evidence::assess::Artifact;

/// What a registry says about a file on this machine.
pub(crate) struct Listed {
    /// The package and version.
    pub subject: Subject,
    /// The files that the registry released under that name and version.
    pub release: Release,
    /// Whether it is a source, from which builds start, rather than the product of a build.
    pub source: bool,
}

/// Asks the registry about a file whose metadata say what it is; `None` if they do not.
///
/// # Errors
///
/// If the registry cannot be asked, or if it released other bytes under this name and version. Then nothing is built.
pub(crate) async fn listed(
    context: &Context,
    artifact: &Artifact,
    path: &Path,
) -> Result<Option<Listed>, Failure> {
    let Some(subject) = ecosystem::read_off(path) else {
        return Ok(None);
    };
    let ask = |subject: Subject| async move {
        let release = ecosystem::lookup(&context.fetcher, &context.catalog, &subject).await;
        (subject, release)
    };
    let (subject, release) = match ask(subject).await {
        // It may be a copy under another name.
        (subject, Err(PlanError::Unknown { .. })) if !subject.qualifiers.is_empty() => {
            let version = subject.version.as_deref();
            ask(Subject::new(subject.ecosystem, &subject.name, version)).await
        }
        asked => asked,
    };
    let release = release?;
    let found = artifact.digests.sha256;
    let released = |other: &Artifact| other.digests.sha256 == found;
    let source = release.sources.iter().any(|file| file.sha256 == found);
    if !source && !release.artifacts.iter().any(released) {
        let listed: Vec<_> = release
            .artifacts
            .iter()
            .map(|other| format!("{} sha256:{}", other.name, other.digests.sha256))
            .collect();
        return Err(not_released(path, &format!("sha256:{found}"), &subject, &listed));
    }
    Ok(Some(Listed {
        subject,
        release,
        source,
    }))
}

/// The refusal of a file that is not the released one.
pub(crate) fn not_released(path: &Path, digest: &str, subject: &Subject, listed: &[String]) -> Failure {
    Failure::refused(
        format!(
            "{} ({digest}) is not the file that was released as {}",
            path.display(),
            subject.purl()
        ),
        format!(
            "{}, has {}",
            ecosystem::index(subject.ecosystem),
            listed.join(", ")
        ),
    )
}
