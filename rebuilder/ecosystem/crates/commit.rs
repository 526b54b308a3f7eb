//! The commit of a crate: from a hint, from the crate itself, from the run that published it, from the tag of its
//! version, or from the history.

use super::package::{self, Package};
use super::registry::Version;
use super::{family, folder, trusted_publishing};
use crate::artifact::git_source::GitSource;
use crate::ecosystem::{PlanError, Planner, repository};
use crate::plan::Origin;
use crate::run::failure::FailureCode;

type Found = (GitSource, Origin);

/// Chooses the commit to pack.
pub(super) async fn choose(
    planner: &Planner<'_>,
    purl: &str,
    version: &Version,
    package: &Package,
) -> Result<Found, PlanError> {
    let cannot = |reason: String| cannot(purl, reason);
    if let Some(named) = planner.hints.commit() {
        return Ok(named);
    }
    let fetcher = planner.workshop.fetcher;
    let is_clean = package.commit.is_some() && !package.dirty;
    if !is_clean && let Some(release) = trusted_publishing::find(fetcher, version).await {
        let from = format!(
            "trusted publishing: crates.io says that run {} of {} published it at this commit",
            release.run, release.source.repository
        );
        return Ok((release.source, Origin::Declared(from)));
    }
    let Some(repository) = repository::of_addresses(&package.addresses) else {
        let of_family = family::source(fetcher, version, package).await;
        return of_family.ok_or_else(|| cannot("its Cargo.toml names no repository".into()));
    };
    if let Some(commit) = &package.commit {
        let origin = Origin::Declared(
            "repository in Cargo.toml, commit in .cargo_vcs_info.json, both of the crate".into(),
        );
        let source = GitSource::new(&repository, None, Some(commit));
        let source = source.map_err(|error| cannot(error.to_string()))?;
        if fetcher.git_is_reachable(&repository, commit).await? {
            return Ok((source, origin));
        }
    }
    let why = package.commit.as_ref().map_or_else(
        || "it names no commit".to_owned(),
        |commit| repository::foreign(&repository, commit, "it"),
    );
    let found = by_version(planner, purl, version, (&repository, &why)).await?;
    match last(planner, version, &found.0).await? {
        Some(last) => Ok(last),
        None => Ok(found),
    }
}

/// The commit that has this version by its tag, or by its manifest; `why` says why the crate's own is not taken.
async fn by_version(
    planner: &Planner<'_>,
    purl: &str,
    version: &Version,
    (repository, why): (&str, &str),
) -> Result<Found, PlanError> {
    let fetcher = planner.workshop.fetcher;
    let about = (version.name.as_str(), version.version.as_str(), "");
    let fits = |text: &str| text == version.version;
    let cannot = |reason: String| cannot(purl, format!("{why}, and {reason}"));
    let tagged = match repository::tagged(fetcher, repository, about, fits, cannot).await {
        Ok((source, tag)) => {
            let from = format!("repository in Cargo.toml of the crate, and the tag {tag}");
            let checkout = fetcher.git_or_parts(&source).await?;
            let tagged = (source, Origin::Inferred(from));
            if folder::has_package(&checkout, &version.name, &version.version)? {
                return Ok(tagged);
            }
            Ok(tagged)
        }
        Err(error @ PlanError::Lacking { .. }) => Err(error),
        Err(other) => return Err(other),
    };
    let text = format!("\"{}\"", version.version);
    let is_it = |file: &[u8]| package::is_of(file, &version.name, &version.version);
    let found = fetcher.git_origin(repository, "Cargo.toml", &text, is_it).await;
    // A tag whose commit has another version is better than nothing: a tool may have set the version.
    let found = match (found, tagged) {
        (Ok(Some(found)), _) => found,
        (_, Ok(tagged)) => return Ok(tagged),
        (Ok(None), Err(untagged)) => return Err(untagged),
        (Err(error), Err(_)) => return Err(error.into()),
    };
    let source = GitSource::new(repository, None, Some(&found.commit));
    let from = format!(
        "repository in Cargo.toml of the crate, which has no tag for it; the first commit whose {} is of this version",
        found.path
    );
    Ok((
        source.map_err(|error| cannot(error.to_string()))?,
        Origin::Inferred(from),
    ))
}

/// The last commit before the publication that follows the one that was found, if a hint asks for it: what a publisher
/// had changed is often committed after the tag.
async fn last(
    planner: &Planner<'_>,
    version: &Version,
    found: &GitSource,
) -> Result<Option<Found>, PlanError> {
    let hint = planner.hints.settings.last_commit.clone();
    let (Some(origin), Some(published), Some(commit)) = (hint, version.published, &found.commit) else {
        return Ok(None);
    };
    let fetcher = planner.workshop.fetcher;
    let last = fetcher
        .git_last_before(&found.repository, commit, published)
        .await?;
    let last = last.and_then(|last| GitSource::new(&found.repository, None, Some(&last)).ok());
    Ok(last.map(|last| (last, origin)))
}

fn cannot(purl: &str, reason: String) -> PlanError {
    PlanError::Lacking {
        code: FailureCode::SourceUnknown,
        subject: purl.to_owned(),
        reason,
        help: "name the repository and the commit with --source https://HOST/PATH@COMMIT".into(),
    }
}
