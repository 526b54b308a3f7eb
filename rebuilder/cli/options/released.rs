//! Files on this machine: which package they are, and whether the registry released them.

use std::path::Path;

use crate::artifact::Subject;
use crate::cli::Context;
use crate::cli::failure::Failure;
use crate::compare;
use crate::ecosystem::{self, PlanError};
use crate::evidence::Claim;
use crate::evidence::assess::Artifact;
use crate::evidence::document::Document;

/// Files whose ending says what they are, whatever made them.
const KINDS: [(&str, &str); 3] = [
    (".whl", "a wheel"),
    (".crate", "a crate"),
    (".deb", "a Debian package"),
];

/// What a registry says about a file on this machine.
pub(crate) struct Listed {
    /// The package and version.
    pub subject: Subject,
    /// What the registry claims about the file.
    pub claims: Vec<Claim>,
    /// Evidence that the registry offers about it.
    pub documents: Vec<Document>,
    /// Whether it is a source, from which builds start, rather than the product of a build.
    pub source: bool,
    /// The released file, if it has another name.
    pub name: Option<String>,
}

/// Asks the registry about a file whose metadata say what it is; `None` if they do not.
///
/// # Errors
///
/// If the registry cannot be asked, if it released other bytes under this name and version, or if the file is not what
/// its ending says. Then nothing is built.
pub(crate) async fn listed(
    context: &Context,
    artifact: &Artifact,
    path: &Path,
) -> Result<Option<Listed>, Failure> {
    // What cannot be read may still have the name of a file that was released otherwise.
    let Some(subject) = ecosystem::read_off(path).or_else(|| ecosystem::by_file_name(path)) else {
        return unread(path).map_or(Ok(None), Err);
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
    let found = artifact.digests.sha256;
    let mut known = Vec::new();
    let refused = match release {
        Ok(release) => {
            let built = release.artifacts.iter();
            let built: Vec<_> = built.map(|it| (it.name.clone(), it.digests.sha256)).collect();
            if let Some((name, _)) = built.iter().find(|(_, digest)| *digest == found) {
                return Ok(Some(Listed {
                    name: (*name != artifact.name).then(|| name.clone()),
                    subject,
                    claims: release.claims,
                    documents: release.documents,
                    source: false,
                }));
            }
            known.extend(built);
            known.extend(
                release
                    .sources
                    .iter()
                    .map(|file| (file.name.clone(), file.sha256)),
            );
            None
        }
        // A version of which nothing can be rebuilt here may have a source all the same.
        Err(error @ PlanError::NotRebuildable { .. }) => Some(error),
        Err(error) => return Err(error.into()),
    };
    let sources = ecosystem::sources(&context.fetcher, &subject, found).await?;
    known.extend(sources.files.iter().map(|file| (file.name.clone(), file.sha256)));
    if let Some((name, _)) = known.iter().find(|(_, digest)| *digest == found) {
        return Ok(Some(Listed {
            subject,
            claims: sources.claims,
            documents: sources.documents,
            source: true,
            name: (*name != artifact.name).then(|| name.clone()),
        }));
    }
    if let Some(error) = refused {
        return Err(error.into());
    }
    let mut listed: Vec<_> = known
        .iter()
        .map(|(name, digest)| format!("{name} sha256:{digest}"))
        .collect();
    listed.sort();
    listed.dedup();
    Err(not_released(path, &format!("sha256:{found}"), &subject, &listed))
}

/// The error for a file that is not what its ending says; `None` if the ending says nothing.
fn unread(path: &Path) -> Option<Failure> {
    let help = "fetch the file again; if it is something else, give it another name";
    Some(Failure::usage(not_its_kind(path)?).with_help(help))
}

fn not_its_kind(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let (_, kind) = KINDS.iter().find(|(ending, _)| name.ends_with(ending))?;
    let is_empty = path.metadata().is_ok_and(|metadata| metadata.len() == 0);
    let reason = match compare::read_member(path, |_| false) {
        _ if is_empty => "it is empty".to_owned(),
        Err(error) => error.to_string(),
        Ok(_) => "it does not say which package it is".to_owned(),
    };
    Some(format!("cannot read {} as {kind}: {reason}", path.display()))
}

/// The refusal of a source, since builds start from it.
pub(crate) fn is_source(path: &Path, subject: &Subject) -> Failure {
    let what = format!(
        "cannot rebuild {}: it is the source of {}, from which builds start",
        path.display(),
        subject.purl()
    );
    Failure::usage(what).with_help("name a file that is built from it, such as the wheel")
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_file_is_not_always_what_its_ending_says() {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes, expected) in [
            ("a.whl", "", Some("as a wheel: it is empty")),
            ("a.crate", "", Some("as a crate: it is empty")),
            (
                "b.crate",
                "no crate",
                Some("as a crate: it does not say which package it is"),
            ),
            (
                "a.deb",
                "no package",
                Some("as a Debian package: it does not say which package it is"),
            ),
            ("a.tar.gz", "", None),
            ("a", "", None),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let said = not_its_kind(&path);
            let expected = expected.map(|why| format!("cannot read {} {why}", path.display()));
            assert_eq!(said, expected, "{name}");
        }
    }
}
