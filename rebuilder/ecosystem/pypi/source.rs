//! The source of a wheel: the source distribution beside it, or a commit of its repository.

use jiff::Timestamp;

use super::backend;
use super::further::Further;
use super::registry::ReleasedFile;
use super::requirement;
use super::sdist::{self, BuildSystem};
use crate::artifact::git_source::GitSource;
use crate::ecosystem::hints::SourceHint;
use crate::ecosystem::{PlanError, Planner, repository};
use crate::plan::{Assumption, Origin, PinnedGit, assume};
use crate::run::failure::FailureCode;
use crate::store::{Blob, Checkout, Fetcher};
use crate::text::plural;

/// Files in which projects keep their version, those of the build first.
const VERSIONED: [&str; 8] = [
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "version.py",
    "_version.py",
    "__version__.py",
    "__about__.py",
    "__init__.py",
];

/// A source, and its build system.
pub(super) struct Source {
    pub place: Place,
    pub system: BuildSystem,
    /// The origin of the choice of backend.
    pub backend: Origin,
    /// Which source it is, and what of it is left out.
    pub assumptions: Vec<Assumption>,
    /// Files of another commit beside its own.
    pub further: Option<Further>,
    /// The text of `setup.py`, once it was read.
    pub setup: Option<String>,
    /// Empty folders beside its files.
    pub empty: Vec<String>,
    /// What the setup finds on its command line.
    pub arguments: Vec<String>,
    /// What the package requires when it is used, if that is installed for the build.
    pub required: Vec<String>,
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
            assumptions: vec![assume(
                "source",
                name.clone(),
                Origin::Convention("the source distribution of the same version".into()),
            )],
            further: None,
            setup: None,
            empty: Vec::new(),
            arguments: Vec::new(),
            required: Vec::new(),
        })
    }

    /// The same source distribution, with an empty folder for each package of which its own list has only the name.
    pub(super) fn with_empty_packages(
        mut self,
        purl: &str,
        blob: &Blob,
        origin: &Origin,
    ) -> Result<Self, PlanError> {
        if let Place::Sdist(file) = &self.place {
            let name = &file.file.name;
            self.empty = sdist::empty_packages(name, &blob.path)
                .map_err(|error| super::document(purl, name, &error))?;
        }
        if !self.empty.is_empty() {
            let value = format!(
                "{}, which top_level.txt of the source distribution names",
                self.empty.join(", ")
            );
            self.assumptions
                .push(assume("empty folders", value, origin.clone()));
        }
        Ok(self)
    }

    /// The same source distribution, with what its package requires when it is used.
    pub(super) fn with_requirements(mut self, purl: &str, blob: &Blob) -> Result<Self, PlanError> {
        if let Place::Sdist(file) = &self.place {
            let name = &file.file.name;
            self.required =
                sdist::requirements(name, &blob.path).map_err(|error| super::document(purl, name, &error))?;
        }
        Ok(self)
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
        let checkout = planner.workshop.fetcher.git_or_parts(&source).await?;
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
        let setup = checkout.file(format!("{folder}/setup.py").trim_start_matches('/'))?;
        let mut required = Vec::new();
        if planner.hints.settings.installed.is_some() {
            let listed = checkout.file(format!("{folder}/requirements.txt").trim_start_matches('/'))?;
            let listed = listed.unwrap_or_default();
            required = requirement::of_source("", "", &String::from_utf8_lossy(&listed));
        }
        let (pinned, lacking) = pin(planner.workshop.fetcher, &checkout).await?;
        let value = format!("{} at {}, folder /{folder}", source.repository, checkout.commit);
        Ok(Self {
            system,
            backend: backend_origin(declared),
            assumptions: std::iter::once(assume("source", value, origin))
                .chain(lacking)
                .collect(),
            place: Place::Git { pinned, folder },
            further: None,
            setup: setup.map(|text| String::from_utf8_lossy(&text).into_owned()),
            empty: Vec::new(),
            arguments: Vec::new(),
            required,
        })
    }
}

/// The files of a commit, and what is assumed about those that a mirror on this machine lacks.
pub(super) async fn pin(
    fetcher: &Fetcher,
    checkout: &Checkout,
) -> Result<(PinnedGit, Option<Assumption>), PlanError> {
    let without: Vec<_> = checkout.lacking()?.into_iter().map(|file| file.path).collect();
    let archive = if without.is_empty() {
        fetcher.git_archive(checkout, false).await?
    } else {
        fetcher.git_archive_without(checkout, &without).await?
    };
    let lacking = without.first().map(|first| {
        let what = plural(without.len(), "file");
        let value = format!("{what} that the mirror lacks, {first} the first");
        let from = "the mirror has only parts of the commit; the wheel is built without these".to_owned();
        assume("left out", value, Origin::Inferred(from))
    });
    let pinned = PinnedGit {
        without,
        ..PinnedGit::source(checkout.source.clone(), false, Some(archive.sha256))
    };
    Ok((pinned, lacking))
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
    let fetcher = planner.workshop.fetcher;
    let untagged = match repository::tagged(fetcher, &repository, about, fits, cannot).await {
        Ok((git, tag)) => {
            let from = format!("METADATA of the wheel, and the tag {tag}");
            return Ok((git, Origin::Inferred(from)));
        }
        Err(error @ PlanError::Lacking { .. }) => error,
        Err(other) => return Err(other),
    };
    let is_it = |file: &[u8]| sets_version(&String::from_utf8_lossy(file), &version);
    for name in VERSIONED {
        if let Some(found) = fetcher.git_origin(&repository, name, &version, is_it).await? {
            let source = GitSource::new(&repository, None, Some(&found.commit));
            let source = source.map_err(|error| cannot(error.to_string()))?;
            let from = format!(
                "METADATA of the wheel leads to a repository without a tag for it; the first commit whose {} has this version",
                found.path
            );
            return Ok((source, Origin::Inferred(from)));
        }
    }
    Err(untagged)
}

/// Whether a line of a file gives a version to a name such as `version` or `__version__`.
fn sets_version(file: &str, version: &str) -> bool {
    let sets = |line: &str| {
        let (name, value) = line.split_once('=')?;
        let name = name.trim().trim_end_matches('_').to_ascii_lowercase();
        let value = value.split('#').next()?;
        let value = value.trim_matches(|c: char| c.is_whitespace() || "'\",".contains(c));
        Some(name.ends_with("version") && value == version)
    };
    file.lines().any(|line| sets(line) == Some(true))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_however_a_project_writes_it() {
        for (line, expected) in [
            ("    version=\"0.1.6\",", true),
            ("__version__ = '0.1.6'  # keep", true),
            ("version = 0.1.6", true),
            ("msrest_version = \"0.1.6\"", true),
            ("VERSION='0.1.6'", true),
            ("version = \"0.1.60\"", false),
            ("version = \"10.1.6\"", false),
            ("requires = [\"a==0.1.6\"]", false),
            ("since = \"0.1.6\"", false),
            ("0.1.6", false),
        ] {
            assert_eq!(sets_version(line, "0.1.6"), expected, "{line}");
        }
    }
}
