//! The source of a wheel: the source distribution beside it, or a commit of its repository.

use jiff::Timestamp;

use super::backend;
use super::registry::ReleasedFile;
use super::sdist::{self, BuildSystem};
use crate::artifact::git_source::GitSource;
use crate::ecosystem::hints::SourceHint;
use crate::ecosystem::{PlanError, Planner, repository};
use crate::plan::{Assumption, Origin, PinnedGit, assume};
use crate::run::failure::FailureCode;
use crate::store::{Blob, Checkout};

/// A source, and its build system.
pub(super) struct Source {
    pub place: Place,
    pub system: BuildSystem,
    /// The origin of the choice of backend.
    pub backend: Origin,
    pub assumption: Assumption,
}

/// The place of the files.
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
            backend: backend_origin(declared),
            assumption: assume(
                "source",
                name.clone(),
                Origin::Convention("the source distribution of the same version".into()),
            ),
        })
    }

    /// The same source, built by the backend that signed the released wheel, if the source names one that never signs
    /// so.
    pub(super) fn signed_by(mut self, generator: &str, uploaded: Timestamp) -> Self {
        if let Some(system) = backend::instead_of(&self.system, generator, uploaded) {
            let declared = std::mem::replace(&mut self.system, system).build_backend;
            self.backend = Origin::Inferred(format!(
                "Generator in WHEEL of the released wheel; {declared}, which the source leads to, signs otherwise"
            ));
        }
        self
    }

    /// A commit: the one that a hint or a verified attestation names, otherwise the one of the version's tag.
    pub(super) async fn git(
        planner: &Planner<'_>,
        purl: &str,
        released: &ReleasedFile,
        (package, addresses): (&str, &[String]),
        attested: Option<(GitSource, String)>,
        hint: Option<&SourceHint>,
    ) -> Result<Self, PlanError> {
        let (source, origin) = match (planner.hints.commit(), attested) {
            (Some(named), _) => named,
            (None, Some((git, declared_by))) => (git, Origin::Declared(declared_by)),
            (None, None) => tagged(planner, purl, released, (package, addresses), hint).await?,
        };
        let checkout = planner.workshop.fetcher.git(&source).await?;
        let folder = match planner.hints.folder() {
            Some(folder) => folder.to_owned(),
            None => package_folder(&checkout, package)?.ok_or_else(|| {
                let repository = &source.repository;
                cannot(
                    purl,
                    &format!("{repository} has neither pyproject.toml nor setup.py in a usual folder"),
                )
            })?,
        };
        let path = format!("{folder}/pyproject.toml");
        let (system, declared) = match checkout.file(path.trim_start_matches('/'))? {
            Some(text) => sdist::read(&String::from_utf8_lossy(&text))
                .map_err(|error| super::document(purl, &path, &error))?,
            None => (BuildSystem::default(), false),
        };
        let archive = planner.workshop.fetcher.git_archive(&checkout, false).await?;
        Ok(Self {
            system,
            backend: backend_origin(declared),
            assumption: assume(
                "source",
                format!("{} at {}, folder /{folder}", source.repository, checkout.commit),
                origin,
            ),
            place: Place::Git {
                pinned: PinnedGit::source(checkout.source.clone(), false, Some(archive.sha256)),
                folder,
            },
        })
    }
}

/// The commit of the version's tag, in the repository that a hint or the metadata of the wheel names.
async fn tagged(
    planner: &Planner<'_>,
    purl: &str,
    released: &ReleasedFile,
    (package, addresses): (&str, &[String]),
    hint: Option<&SourceHint>,
) -> Result<(GitSource, Origin), PlanError> {
    let named = hint.and_then(|hint| Some(hint.git.as_ref()?.repository.clone()));
    let repository = named
        .or_else(|| repository::of_addresses(addresses))
        .ok_or_else(|| {
            cannot(
                purl,
                "neither its metadata nor a hint names a repository of its source",
            )
        })?;
    let version = released.version.to_string();
    let fits = |text: &str| {
        text.parse()
            .is_ok_and(|version: pep440_rs::Version| version == released.version)
    };
    let about = (package, version.as_str(), "");
    let cannot = |reason: String| cannot(purl, &reason);
    let (git, tag) = repository::tagged(planner.workshop.fetcher, &repository, about, fits, cannot).await?;
    let from = format!("METADATA of the wheel, and the tag {tag}");
    Ok((git, Origin::Inferred(from)))
}

/// The origin of a source's backend.
fn backend_origin(declared: bool) -> Origin {
    if declared {
        Origin::Declared("pyproject.toml of the source".into())
    } else {
        Origin::Convention("PEP 517 for projects that name none".into())
    }
}

/// The first of the usual folders that contains a build description.
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
    PlanError::Lacking {
        code: FailureCode::SourceUnknown,
        subject: purl.to_owned(),
        reason: reason.to_owned(),
        help: "name the repository and the commit with --source https://HOST/PATH@COMMIT".into(),
    }
}
