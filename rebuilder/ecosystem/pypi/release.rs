//! Which of a project's files is rebuilt, and which is its source.

use super::registry;
use crate::artifact::{PypiSubject, Subject};
use crate::ecosystem::PlanError;
use crate::ecosystem::pypi::registry::{Project, PypiError, ReleasedFile};
use crate::store::{FetchError, Fetcher};

/// The project's page in the index.
pub(super) async fn project(fetcher: &Fetcher, subject: &PypiSubject) -> Result<Project, PlanError> {
    let project = registry::project(fetcher, &subject.name).await;
    project.map_err(|error| match error {
        PypiError::Fetch(FetchError::NotFound { .. }) => PlanError::Unknown {
            subject: subject.name.clone(),
            place: registry::INDEX.into(),
            help: "check the project's name".into(),
        },
        other => other.into(),
    })
}

/// The wheel that the subject names: that file, or the version's wheel for every platform, or one for ours.
pub(super) fn wheel<'a>(project: &'a Project, subject: &PypiSubject) -> Result<&'a ReleasedFile, PlanError> {
    let wanted: Option<pep440_rs::Version> = subject.version.as_deref().and_then(|text| text.parse().ok());
    let fits = |file: &&ReleasedFile| match (&subject.file_name, &wanted) {
        (Some(name), _) => file.file.name == *name,
        (None, Some(version)) => file.version == *version,
        (None, None) => !file.yanked && !file.version.any_prerelease(),
    };
    let fitting: Vec<_> = project.files.iter().filter(fits).collect();
    let newest = fitting.iter().map(|file| &file.version).max();
    let Some(newest) = newest else {
        return Err(unknown(project, subject));
    };
    let wheels = fitting
        .iter()
        .filter(|file| file.wheel && file.version == *newest);
    let best = wheels
        .filter_map(|file| Some((file.fitness()?, *file)))
        .max_by_key(|(fitness, _)| *fitness);
    best.map(|(_, file)| file)
        .ok_or_else(|| PlanError::NotRebuildable {
            subject: format!("{} {newest}", subject.name),
            reason: "it has no wheel for any platform, nor one for CPython 3.11 on 64-bit Linux".into(),
            help: "wheels for other systems cannot be rebuilt on this one".into(),
        })
}

fn unknown(project: &Project, subject: &PypiSubject) -> PlanError {
    let mut versions: Vec<_> = project.files.iter().map(|file| file.version.clone()).collect();
    versions.sort();
    versions.dedup();
    let last: Vec<_> = versions.iter().rev().take(5).map(ToString::to_string).collect();
    let what = subject.file_name.clone().unwrap_or_else(|| {
        subject.version.as_ref().map_or_else(
            || subject.name.clone(),
            |version| format!("{} {version}", subject.name),
        )
    });
    PlanError::Unknown {
        subject: what,
        place: registry::INDEX.into(),
        help: format!("its newest versions are {}", last.join(", ")),
    }
}

/// The source distribution of the wheel's version, where one was released.
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
    Subject::Pypi(PypiSubject {
        name: name.to_owned(),
        version: Some(file.version.to_string()),
        file_name: Some(file.file.name.clone()),
    })
    .purl()
}
