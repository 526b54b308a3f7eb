//! The commit that a tarball was packed from: that of its provenance, otherwise the one that the registry's metadata
//! leads to.

use std::path::Path;

use super::manifest::Package;
use super::{address, fitting, registry};
use crate::artifact::git_source;
use crate::artifact::git_source::GitSource;
use crate::ecosystem::{PlanError, Planner, repository};
use crate::evidence::json::member;
use crate::evidence::npm::Version;
use crate::evidence::slsa::{Build, Provenance};
use crate::inspect::GateReport;
use crate::plan::{Assumption, Origin, assume};
use crate::run::failure::FailureCode;
use crate::store::Checkout;

/// A commit, and what else is known about the build.
pub(super) struct Source {
    pub provenance: Provenance,
    pub checkout: Checkout,
    /// Whether signed provenance names it.
    pub attested: bool,
    pub assumption: Assumption,
}

/// Takes the commit of the judged provenance, or looks one up.
pub(super) async fn choose(
    planner: &Planner<'_>,
    purl: &str,
    version: Option<&Version>,
    released: Option<&Path>,
    judgement: &mut GateReport,
) -> Result<Source, PlanError> {
    let at = |checkout: &Checkout| format!("{} at {}", checkout.source.repository, checkout.commit);
    if let Some(provenance) = judgement.provenance.take() {
        let Some(checkout) = judgement.source.take() else {
            return Err(judgement.no_source.take().map_or_else(
                || cannot(purl, "its provenance names no commit", "nothing was built"),
                PlanError::from,
            ));
        };
        let origin = Origin::Declared(judgement.declared_by.clone());
        return Ok(Source {
            assumption: assume("source", at(&checkout), origin),
            provenance,
            checkout,
            attested: true,
        });
    }
    let (mut git, mut origin) = unattested(planner, purl, version, released).await?;
    // A document that names the commit is right about it.
    let guessed = matches!(origin, Origin::Inferred(_)) && planner.hints.settings.fitting.is_some();
    if let (true, Some(version), Some(released)) = (guessed, version, released) {
        let folder = directory(version);
        let found = fitting::commit(planner.workshop.fetcher, &git, version, folder, released).await?;
        if let Some(found) = found {
            (git, origin) = found;
        }
    }
    let checkout = planner.workshop.fetcher.git_or_parts(&git).await?;
    let time = registry::published(planner.workshop.fetcher, version).await;
    Ok(Source {
        assumption: assume("source", at(&checkout), origin),
        provenance: Provenance {
            version: "none",
            builder: String::new(),
            build_type: String::new(),
            build: Build::Other,
            source: Some(git),
            workflow: None,
            trigger: None,
            invocation: None,
            materials: Vec::new(),
            time,
        },
        checkout,
        attested: false,
    })
}

/// The commit of a hint, the one that npm found checked out, or the one of the version's tag.
async fn unattested(
    planner: &Planner<'_>,
    purl: &str,
    version: Option<&Version>,
    released: Option<&Path>,
) -> Result<(GitSource, Origin), PlanError> {
    let help = "name the registry's attestations with --provenance, or the commit with --source \
    https://HOST/PATH@COMMIT";
    if let Some(named) = planner.hints.commit() {
        return Ok(named);
    }
    let named = version.and_then(|version| Some((version, address::of(&version.repository)?)));
    let Some((version, repository)) = named else {
        return Err(cannot(
            purl,
            "neither provenance nor the registry names the repository from which it was packed",
            help,
        ));
    };
    let mut why = "the registry names no commit".to_owned();
    if let Some(commit) = &version.git_head {
        let source = GitSource::new(&repository, None, Some(commit));
        let source = source.map_err(|error| cannot(purl, &error.to_string(), help))?;
        let fetcher = planner.workshop.fetcher;
        let reachable = fetcher.git_is_reachable(&repository, commit).await?;
        if reachable && !fitting::is_of_an_earlier_version(fetcher, &source, version).await? {
            let from = "repository and gitHead in the registry's metadata, which is not signed";
            return Ok((source, Origin::Declared(from.into())));
        }
        why = if reachable {
            format!(
                "the registry names {commit}, which an earlier version was made from, or from a commit after it"
            )
        } else {
            repository::foreign(&repository, commit, "the registry")
        };
    }
    let first = in_history(planner, purl, version, (&repository, &why), released).await;
    let error = match first {
        Ok(found) => return Ok(found),
        Err(error) => error,
    };
    // Newer versions of the package name the repository's new address if it has moved.
    let fetcher = planner.workshop.fetcher;
    let newest = registry::version(fetcher, &version.name, "latest").await.ok();
    let moved = newest
        .as_ref()
        .and_then(|newest| address::of(&newest.repository))
        .filter(|moved| *moved != repository);
    let Some(moved) = moved else {
        return Err(error);
    };
    let Ok((source, origin)) = in_history(planner, purl, version, (&moved, &why), released).await else {
        return Err(error);
    };
    let (Origin::Declared(found)
    | Origin::Inferred(found)
    | Origin::Convention(found)
    | Origin::Tried(found)) = origin;
    let from = format!("{repository} does not have it, and the newest version names another one: {found}");
    Ok((source, Origin::Inferred(from)))
}

/// The commit of a version in a repository: that of its tag, otherwise the one that set the version, otherwise the one
/// that the released files fit. `why` says why the registry does not tell.
async fn in_history(
    planner: &Planner<'_>,
    purl: &str,
    version: &Version,
    (repository, why): (&str, &str),
    released: Option<&Path>,
) -> Result<(GitSource, Origin), PlanError> {
    let help = "name the registry's attestations with --provenance, or the commit with --source \
    https://HOST/PATH@COMMIT";
    let fetcher = planner.workshop.fetcher;
    let name = version.name.rsplit('/').next().unwrap_or_default();
    let about = (name, version.version.as_str(), NPM_MARK);
    let fits = |text: &str| text == version.version;
    let cannot = |reason: String| {
        let reason = format!("{why}, and {reason}");
        cannot(purl, &reason, help)
    };
    let untagged = match repository::tagged(fetcher, repository, about, fits, cannot).await {
        Ok((source, tag)) => {
            let from = format!("repository in the registry's metadata, and the tag {tag}");
            return Ok((source, Origin::Inferred(from)));
        }
        Err(error @ PlanError::Lacking { .. }) => error,
        Err(other) => return Err(other),
    };
    let is_it = |file: &[u8]| {
        let manifest: Result<Package, _> = serde_json::from_slice(file);
        manifest.is_ok_and(|it| {
            it.name.as_deref() == Some(version.name.as_str())
                && it.version.as_deref() == Some(version.version.as_str())
        })
    };
    let text = format!("\"{}\"", version.version);
    let Some(found) = fetcher
        .git_origin(repository, "package.json", &text, is_it)
        .await?
    else {
        let fitting = match released {
            Some(released) => {
                fitting::untagged(fetcher, repository, version, directory(version), released).await?
            }
            None => None,
        };
        return fitting.ok_or(untagged);
    };
    let source = GitSource::new(repository, None, Some(&found.commit));
    let source = source.map_err(|error| cannot(error.to_string()))?;
    let from = format!(
        "repository in the registry's metadata, which has no tag for it; the first commit whose {} is of this version",
        found.path
    );
    Ok((source, Origin::Inferred(from)))
}

/// What the tag of what is released to npm alone ends in.
pub(super) const NPM_MARK: &str = "-npm";

/// The folder of the package in its repository, as `package.json` names it.
pub(super) fn directory(version: &Version) -> &str {
    let named = member(&version.repository, ["directory"]).as_str();
    git_source::folder(named.unwrap_or_default()).unwrap_or_default()
}

fn cannot(purl: &str, reason: &str, help: &str) -> PlanError {
    PlanError::Lacking {
        code: FailureCode::SourceUnknown,
        subject: purl.to_owned(),
        reason: reason.to_owned(),
        help: help.to_owned(),
    }
}
