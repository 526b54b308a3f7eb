//! Chooses which of a project's files is rebuilt, and which one is its source.

use super::FILE_NAME;
use super::interpreter;
use super::registry::{self, Project, ReleasedFile};
use crate::artifact::{Ecosystem, Sha256, Subject};
use crate::ecosystem::released::artifact;
use crate::ecosystem::{ListedSources, PlanError, RegistryError, Release};
use crate::store::{FetchError, Fetcher};

/// The claims about a wheel, without planning anything.
pub(super) async fn lookup(fetcher: &Fetcher, subject: &Subject) -> Result<Release, PlanError> {
    let project = project(fetcher, subject).await?;
    let released = wheel(&project, subject)?;
    let source = sdist(&project, released);
    let (documents, attestation) = registry::attestations(fetcher, released).await;
    let blob = fetcher.get(&released.file).await?;
    let purl = purl(&project.name, released);
    Ok(Release {
        artifacts: vec![artifact(Some(purl), &released.file, &blob)?],
        besides: Vec::new(),
        claims: registry::claims(&project, released, source, attestation),
        documents,
        sources: source.map(|source| source.file.clone()).into_iter().collect(),
        published: Some(released.uploaded),
    })
}

/// The source distributions of the subject's version, and the claims about the one with this digest.
pub(super) async fn sources(
    fetcher: &Fetcher,
    subject: &Subject,
    digest: Sha256,
) -> Result<ListedSources, PlanError> {
    let project = project(fetcher, subject).await?;
    let wanted: Option<pep440_rs::Version> = subject.version.as_deref().and_then(|text| text.parse().ok());
    let of_version = |file: &&ReleasedFile| !file.wheel && Some(&file.version) == wanted.as_ref();
    let files: Vec<_> = project.files.iter().filter(of_version).collect();
    let mut found = ListedSources {
        files: files.iter().map(|file| file.file.clone()).collect(),
        ..ListedSources::default()
    };
    if let Some(file) = files.iter().find(|file| file.file.sha256 == digest) {
        let (documents, attestation) = registry::attestations(fetcher, file).await;
        found.claims = registry::claims(&project, file, None, attestation);
        found.documents = documents;
    }
    Ok(found)
}

/// The project's page in the index.
pub(super) async fn project(fetcher: &Fetcher, subject: &Subject) -> Result<Project, PlanError> {
    let project = registry::project(fetcher, &subject.name).await;
    project.map_err(|error| match error {
        RegistryError::Fetch(FetchError::NotFound { .. }) => PlanError::Unknown {
            subject: subject.name.clone(),
            place: registry::INDEX.into(),
            help: "check the project's name".into(),
        },
        other => other.into(),
    })
}

/// The wheel that the subject names: that file, or the version's wheel for every platform, or one for our platform.
pub(super) fn wheel<'a>(project: &'a Project, subject: &Subject) -> Result<&'a ReleasedFile, PlanError> {
    let wanted: Option<pep440_rs::Version> = subject.version.as_deref().and_then(|text| text.parse().ok());
    let fits = |file: &&ReleasedFile| match (subject.qualifier(FILE_NAME), &wanted) {
        (Some(name), _) => file.file.name == name,
        (None, Some(version)) => file.version == *version,
        (None, None) => !file.yanked && !file.version.any_prerelease(),
    };
    let mut fitting: Vec<_> = project.files.iter().filter(fits).collect();
    // A project that never had a stable version is released in pre-releases; pip takes those as well.
    if fitting.is_empty() && wanted.is_none() && subject.qualifier(FILE_NAME).is_none() {
        fitting = project.files.iter().filter(|file| !file.yanked).collect();
    }
    let newest = fitting.iter().map(|file| &file.version).max();
    let Some(newest) = newest else {
        return Err(unknown(project, subject));
    };
    if let Some(name) = subject.qualifier(FILE_NAME)
        && fitting.iter().all(|file| !file.wheel)
    {
        return Err(PlanError::NotRebuildable {
            subject: name.to_owned(),
            reason: "it is a source distribution, from which builds start".into(),
            help: "name a wheel that is built from it".into(),
        });
    }
    let wheels = fitting
        .iter()
        .filter(|file| file.wheel && file.version == *newest);
    let best = wheels
        .filter_map(|file| Some((file.fitness(interpreter::usual().interpreter.minor)?, *file)))
        .max_by_key(|(fitness, _)| *fitness);
    best.map(|(_, file)| file)
        .ok_or_else(|| PlanError::NotRebuildable {
            subject: format!("{} {newest}", subject.name),
            reason: "it has neither a pure wheel nor one for CPython 3.11 on 64-bit Linux".into(),
            help: "wheels for other systems cannot be rebuilt on this system".into(),
        })
}

fn unknown(project: &Project, subject: &Subject) -> PlanError {
    let mut versions: Vec<_> = project.files.iter().map(|file| file.version.clone()).collect();
    versions.sort();
    versions.dedup();
    let last: Vec<_> = versions.iter().rev().take(5).map(ToString::to_string).collect();
    let of_version = || match &subject.version {
        Some(version) => format!("{} {version}", subject.name),
        None => subject.name.clone(),
    };
    let what = subject
        .qualifier(FILE_NAME)
        .map_or_else(of_version, str::to_owned);
    PlanError::Unknown {
        subject: what,
        place: registry::INDEX.into(),
        help: format!("its newest versions are {}", last.join(", ")),
    }
}

/// The source distribution of the wheel's version, if one was released.
pub(super) fn sdist<'a>(project: &'a Project, wheel: &ReleasedFile) -> Option<&'a ReleasedFile> {
    let sdists = project
        .files
        .iter()
        .filter(|file| !file.wheel && file.version == wheel.version);
    let readable =
        |file: &&ReleasedFile| file.file.name.ends_with(".tar.gz") || file.file.name.ends_with(".zip");
    sdists
        .filter(readable)
        .min_by_key(|file| file.file.name.ends_with(".zip"))
}

/// Package URL of one file.
pub(super) fn purl(name: &str, file: &ReleasedFile) -> String {
    let version = file.version.to_string();
    Subject {
        qualifiers: [(FILE_NAME, file.file.name.clone())].into(),
        ..Subject::new(Ecosystem::Pypi, name, Some(&version))
    }
    .purl()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Blob;

    /// A project with these files.
    fn project_of(names: &[&str]) -> Project {
        Project {
            name: "a".into(),
            files: names
                .iter()
                .map(|name| ReleasedFile::of_test(name, "", "2026-01-01"))
                .collect(),
            page: Blob {
                sha256: Sha256::of("page"),
                size: 4,
                path: "page".into(),
            },
        }
    }

    #[test]
    fn what_cannot_be_rebuilt_is_called_what_it_is() {
        for (files, named, said) in [
            (
                &["a-1.tar.gz", "a-1-py3-none-any.whl"][..],
                Some("a-1.tar.gz"),
                "cannot rebuild a-1.tar.gz: it is a source distribution, from which builds start",
            ),
            (
                &["a-1.tar.gz"],
                None,
                "cannot rebuild a 1: it has neither a pure wheel nor one for CPython 3.11 on 64-bit Linux",
            ),
            (
                &["a-1-py3-none-any.whl"],
                Some("a-1.zip"),
                "a-1.zip is not in https://pypi.org/simple",
            ),
        ] {
            let subject = Subject {
                qualifiers: named
                    .map(|name| (FILE_NAME, name.to_owned()))
                    .into_iter()
                    .collect(),
                ..Subject::new(Ecosystem::Pypi, "a", Some("1"))
            };
            let error = wheel(&project_of(files), &subject).unwrap_err();
            assert_eq!(error.to_string(), said, "{files:?}");
        }
    }

    #[test]
    fn a_project_of_pre_releases_has_a_newest_version() {
        for (versions, asked, expected) in [
            (&["1.0", "2.0b1"][..], None, Some("1.0")),
            (&["0.65b0", "0.66b2"], None, Some("0.66b2")),
            (&["0.65b0", "0.66b2"], Some("0.65b0"), Some("0.65b0")),
            (&["0.65b0", "0.66b2"], Some("1.0"), None),
            (&[], None, None),
        ] {
            let name = |version: &&str| format!("a-{version}-py3-none-any.whl");
            let files: Vec<_> = versions.iter().map(name).collect();
            let files: Vec<_> = files.iter().map(String::as_str).collect();
            let project = project_of(&files);
            let found = wheel(&project, &Subject::new(Ecosystem::Pypi, "a", asked));
            let found = found.ok().map(|file| file.version.to_string());
            assert_eq!(found.as_deref(), expected, "{versions:?} {asked:?}");
        }
    }
}
