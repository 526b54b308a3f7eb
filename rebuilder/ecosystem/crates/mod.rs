//! crates.io: a crate, packed again by cargo from the commit that it names.
//!
//! cargo writes the commit into every crate that it packs from a clean checkout, as a claim that nobody vouches for;
//! the rebuild finds out whether it holds. Which cargo it was is not recorded: the stable one of the day is the first
//! guess, and what differs leads to others.

pub(super) mod lockfile;
pub(super) mod next;
mod package;
pub mod registry;
mod toolchain;

use super::provenance::{SOURCE_PLACE, assume};
use super::{Found, PlanError, Planner, repository};
use crate::artifact::PinnedFile;
use crate::artifact::git_source::GitSource;
use crate::artifact::{CrateSubject, Ecosystem, Subject};
use crate::evidence::{Claim, Question, Standing};
use crate::plan::Limits;
use crate::plan::{
    Assumption, Expected, InlineFile, Origin, PinnedContainer, PinnedGit, PinnedInput, Plan, Recipe, Role,
    VERSION,
};
use crate::store::{Blob, FetchError, Fetcher};
use package::Package;
use registry::{CratesError, Page, Version};

/// Where the crate's commit lies in the sandbox, below `/inputs`.
const COMMIT_PLACE: &str = "commit";

/// The page in the index, and the version that the subject names.
async fn find(fetcher: &Fetcher, subject: &CrateSubject) -> Result<(Page, Version), PlanError> {
    let unknown = |what: String, help: String| PlanError::Unknown {
        subject: what,
        place: registry::INDEX.into(),
        help,
    };
    let page = registry::page(fetcher, &subject.name)
        .await
        .map_err(|error| match error {
            CratesError::Fetch(FetchError::NotFound { .. }) => {
                unknown(subject.name.clone(), "check the crate's name".into())
            }
            other => other.into(),
        })?;
    let parse = |version: &Version| semver::Version::parse(&version.version).ok();
    let fits = |version: &&Version| match &subject.version {
        Some(wanted) => version.version == *wanted,
        None => !version.yanked && parse(version).is_some_and(|version| version.pre.is_empty()),
    };
    let newest = page
        .versions
        .iter()
        .filter(fits)
        .max_by_key(|version| parse(version))
        .cloned();
    let newest = newest.ok_or_else(|| {
        let last: Vec<_> = page
            .versions
            .iter()
            .rev()
            .take(5)
            .map(|it| it.version.clone())
            .collect();
        let version = subject.version.as_deref().unwrap_or_default();
        unknown(
            format!("{} {version}", subject.name).trim_end().to_owned(),
            format!("its newest versions are {}", last.join(", ")),
        )
    })?;
    Ok((page, newest))
}

/// The released crate, and the two claims about it: the registry's, and its own.
async fn released(
    fetcher: &Fetcher,
    page: &Page,
    version: &Version,
) -> Result<(PinnedFile, Blob, Package, Vec<Claim>), PlanError> {
    let (name, url) = registry::download(&version.name, &version.version);
    let file = lockfile::pin(fetcher, "the index", name, url, version.checksum).await?;
    let blob = fetcher.get(&file).await?;
    let package = package::read(&blob.path).map_err(|error| PlanError::Document {
        subject: file.name.clone(),
        document: "Cargo.toml".into(),
        reason: error,
    })?;
    let mut claims = vec![registry::claim(page, version)];
    let (claim, standing, meaning) = match &package.commit {
        Some(commit) => (
            format!(
                "{} was packed from commit {commit}{}",
                file.name,
                if package.dirty { ", with changes" } else { "" }
            ),
            Standing::Unsigned,
            "its own .cargo_vcs_info.json says so; whether the crate comes from that commit is what the rebuild finds out",
        ),
        None => (
            format!("{} names no commit", file.name),
            Standing::Absent,
            "it was packed outside of a checkout, or by a cargo that did not say",
        ),
    };
    claims.push(Claim {
        question: Question::Provenance,
        claim,
        by: None,
        standing,
        meaning: meaning.into(),
        document: Some(file.sha256),
    });
    Ok((file, blob, package, claims))
}

/// What is claimed of a crate, without planning anything.
pub(super) async fn look_up(fetcher: &Fetcher, subject: &CrateSubject) -> Result<Found, PlanError> {
    let (page, version) = find(fetcher, subject).await?;
    let (file, blob, _, claims) = released(fetcher, &page, &version).await?;
    Ok(Found {
        artifacts: vec![super::artifact(Some(purl(&version)), &file, &blob)?],
        claims,
        documents: Vec::new(),
        sources: Vec::new(),
        published: version.published,
    })
}

fn purl(version: &Version) -> String {
    Subject::Crate(CrateSubject {
        name: version.name.clone(),
        version: Some(version.version.clone()),
    })
    .purl()
}

/// Plans the rebuild of one crate.
pub(super) async fn plan(planner: &Planner<'_>, subject: &CrateSubject) -> Result<Plan, PlanError> {
    let fetcher = planner.workshop.fetcher;
    let (page, version) = find(fetcher, subject).await?;
    let purl = purl(&version);
    let (file, blob, package, claims) = released(fetcher, &page, &version).await?;
    let artifact = super::artifact(Some(purl.clone()), &file, &blob)?;
    let (claims, policy) = planner.judge(&purl, &[artifact], claims, &[]).await?;

    let (source, source_origin) = choose_source(planner, &purl, &version, &package).await?;
    let checkout = fetcher.git(&source).await?;
    let archive = fetcher.git_archive(&checkout, false).await?;
    let recipe = planner.recipe.clone().map_or_else(Recipe::crates, Ok)?;
    let cargo = toolchain::choose(planner, &purl, version.published).await?;
    let locked = match &package.lock {
        Some(lock) => lockfile::crates(fetcher, &purl, lock).await?,
        None => Vec::new(),
    };
    let folder = planner.hints.folder().unwrap_or(&package.folder);
    let path = format!("/build/{}", checkout.source.name());
    let values = [
        ("SOURCE", path.as_str()),
        ("FOLDER", folder),
        (
            "COMMIT",
            if package.commit.is_some() {
                checkout.commit.as_str()
            } else {
                ""
            },
        ),
        ("CRATE", file.name.as_str()),
        ("DIRTY", if package.dirty { "--allow-dirty" } else { "" }),
    ];
    let commit = String::from_utf8_lossy(&checkout.commit_object()?).into_owned();
    let mut assumptions = vec![assume(
        "source",
        format!(
            "{} at {}, folder /{folder}",
            checkout.source.repository, checkout.commit
        ),
        source_origin,
    )];
    assumptions.extend(cargo.assumptions);
    assumptions.extend(crates_assumption(&locked));
    let dependency = |file: &PinnedFile| PinnedInput {
        role: Role::Dependency,
        purl: None,
        place: format!("dependencies/{}", file.name),
        file: file.clone(),
    };
    let toolchain = PinnedInput {
        place: toolchain::PLACE.into(),
        ..dependency(&cargo.file)
    };
    Ok(Plan {
        version: VERSION,
        subject: purl.clone(),
        ecosystem: Ecosystem::Crates,
        claims,
        policy,
        expected: vec![Expected {
            purl,
            file: file.clone(),
        }],
        not_compared: recipe.unreleased.clone(),
        container: PinnedContainer::Packages {
            name: recipe.container.clone(),
            lock: planner.workshop.catalog.lock(&recipe.container)?,
        },
        inputs: std::iter::once(toolchain)
            .chain(locked.iter().map(dependency))
            .collect(),
        git: vec![PinnedGit {
            place: SOURCE_PLACE.into(),
            source: checkout.source.clone(),
            submodules: false,
            archive: Some(archive.sha256),
        }],
        files: vec![InlineFile {
            place: COMMIT_PLACE.into(),
            text: commit,
        }],
        setup: recipe.setup.with(&[]),
        build: recipe.build.with(&values),
        hostname: recipe.hostname,
        umask: 0o022,
        limits: Limits::default(),
        assumptions,
    })
}

/// The commit: from a hint, from the crate itself, or from the tag of its version.
async fn choose_source(
    planner: &Planner<'_>,
    purl: &str,
    version: &Version,
    package: &Package,
) -> Result<(GitSource, Origin), PlanError> {
    let cannot = |reason: String| PlanError::NotRebuildable {
        subject: purl.to_owned(),
        reason,
        help: "name repository and commit with --source https://HOST/PATH@COMMIT".into(),
    };
    if let Some(named) = planner.hints.commit() {
        return Ok(named);
    }
    let repository = repository::of_addresses(&package.addresses)
        .ok_or_else(|| cannot("its Cargo.toml names no repository".into()))?;
    if let Some(commit) = &package.commit {
        let origin = Origin::Declared(
            "repository in Cargo.toml, commit in .cargo_vcs_info.json, both of the crate".into(),
        );
        let source = GitSource::new(&repository, None, Some(commit));
        return Ok((source.map_err(|error| cannot(error.to_string()))?, origin));
    }
    let about = (version.name.as_str(), version.version.as_str());
    let fits = |text: &str| text == version.version;
    let cannot = |reason: String| cannot(format!("it names no commit, and {reason}"));
    let (source, tag) =
        repository::tagged(planner.workshop.fetcher, &repository, about, fits, cannot).await?;
    let from = format!("repository in Cargo.toml of the crate, and the tag {tag}");
    Ok((source, Origin::Inferred(from)))
}

fn crates_assumption(locked: &[PinnedFile]) -> Option<Assumption> {
    (!locked.is_empty()).then(|| {
        assume(
            "crates that cargo may choose from for its lock file",
            format!("{} crates", locked.len()),
            Origin::Inferred("Cargo.lock in the released crate".into()),
        )
    })
}
