//! Where a wheel's source is: the source distribution beside it, or a commit of its repository.

use super::sdist::{self, BuildSystem};
use crate::ecosystem::hints::SourceHint;
use crate::ecosystem::provenance::{SOURCE_PLACE, assume};
use crate::ecosystem::{PlanError, Planner, repository};
use crate::evidence::git_source::GitSource;
use crate::evidence::pypi::ReleasedFile;
use crate::plan::{Assumption, Origin, PinnedGit};
use crate::store::{Blob, Checkout};

/// A source, and what it says of its build.
pub(super) struct Source {
    pub place: Place,
    pub system: BuildSystem,
    /// Whether it declares its build system, rather than leaving it to PEP 517.
    pub declared: bool,
    pub assumption: Assumption,
}

/// Where the files are.
pub(super) enum Place {
    Sdist(ReleasedFile),
    Git { pinned: PinnedGit, folder: String },
}

impl Source {
    /// The source distribution.
    pub(super) fn sdist(purl: &str, file: &ReleasedFile, blob: &Blob) -> Result<Self, PlanError> {
        let name = &file.file.name;
        let (system, declared) =
            sdist::build_system(name, &blob.path).map_err(|error| super::document(purl, name, &error))?;
        Ok(Self {
            place: Place::Sdist(file.clone()),
            system,
            declared,
            assumption: assume(
                "source",
                name.clone(),
                Origin::Convention("the source distribution of the same version".into()),
            ),
        })
    }

    /// A commit: the one that a hint or a verified attestation names, else the one that the version's tag leads to.
    pub(super) async fn git(
        planner: &Planner<'_>,
        purl: &str,
        released: &ReleasedFile,
        (package, addresses): (&str, &[String]),
        attested: Option<(GitSource, String)>,
        hint: Option<&SourceHint>,
    ) -> Result<Self, PlanError> {
        let because = hint.map(|hint| hint.origin.clone());
        let (source, found_by) = match (hint.and_then(|hint| hint.git.clone()), attested) {
            (Some(git), _) if git.commit.is_some() => (git, None),
            (_, Some((git, declared_by))) => (git, Some(Origin::Declared(declared_by))),
            (named, None) => {
                let repository = named
                    .map(|git| git.repository)
                    .or_else(|| repository::of_addresses(addresses));
                let Some(repository) = repository else {
                    return Err(cannot(
                        purl,
                        "neither its metadata nor a hint names a repository of its source",
                    ));
                };
                let tags = planner.fetcher.git_tags(&repository).await?;
                let fits = |text: &str| {
                    text.parse()
                        .is_ok_and(|version: pep440_rs::Version| version == released.version)
                };
                let Some(tag) = repository::tag_of_version(&tags, package, fits) else {
                    return Err(cannot(
                        purl,
                        &format!("{repository} has no tag for {}", released.version),
                    ));
                };
                let reference = format!("refs/tags/{}", tag.name);
                let git = GitSource::new(&repository, Some(&reference), Some(&tag.commit))
                    .map_err(|error| cannot(purl, &error.to_string()))?;
                (
                    git,
                    Some(Origin::Inferred(format!(
                        "METADATA of the wheel, and the tag {}",
                        tag.name
                    ))),
                )
            }
        };
        let checkout = planner.fetcher.git(&source).await?;
        let folder = match hint.and_then(|hint| hint.folder.clone()) {
            Some(folder) => folder,
            None => package_folder(&checkout, package)?.ok_or_else(|| {
                let repository = &source.repository;
                cannot(
                    purl,
                    &format!("{repository} has neither pyproject.toml nor setup.py where it could be"),
                )
            })?,
        };
        let path = format!("{folder}/pyproject.toml");
        let (system, declared) = match checkout.file(path.trim_start_matches('/'))? {
            Some(text) => sdist::read(&String::from_utf8_lossy(&text))
                .map_err(|error| super::document(purl, &path, &error))?,
            None => (BuildSystem::default(), false),
        };
        let archive = planner.fetcher.git_archive(&checkout, false).await?;
        let origin = found_by
            .or(because)
            .unwrap_or(Origin::Convention("a hint".into()));
        Ok(Self {
            system,
            declared,
            assumption: assume(
                "source",
                format!("{} at {}, folder /{folder}", source.repository, checkout.commit),
                origin,
            ),
            place: Place::Git {
                pinned: PinnedGit {
                    place: SOURCE_PLACE.into(),
                    source: checkout.source.clone(),
                    submodules: false,
                    archive: Some(archive.sha256),
                },
                folder,
            },
        })
    }
}

/// The first of the usual folders that holds a build description.
fn package_folder(checkout: &Checkout, package: &str) -> Result<Option<String>, PlanError> {
    let top = ["", "python", package, "src"].map(str::to_owned);
    let nested = ["packages", "python", "libs", "sdk"].map(|above| format!("{above}/{package}"));
    for folder in top.into_iter().chain(nested) {
        let has = |name: &str| checkout.file(format!("{folder}/{name}").trim_start_matches('/'));
        if has("pyproject.toml")?.is_some() || has("setup.py")?.is_some() {
            return Ok(Some(folder));
        }
    }
    Ok(None)
}

fn cannot(purl: &str, reason: &str) -> PlanError {
    PlanError::NotRebuildable {
        subject: purl.to_owned(),
        reason: reason.to_owned(),
        help: "name repository and commit with --source https://HOST/PATH@COMMIT".into(),
    }
}
