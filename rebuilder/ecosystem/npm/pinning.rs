//! The registry's data for packages of lock files: the integrity that a lock file lacks, or everything but names and
//! versions.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::lockfile::LockedPackage;
use super::plan::Draft;
use super::registry;
use super::resolve::{AT_ONCE, as_dependency};
use crate::ecosystem::PlanError;
use crate::store::FetchError;
use crate::text::plural;

/// Adds the registry's integrity to packages that a lock file pins by SHA-1 or not at all; returns their number too.
pub(super) async fn pin_all(
    draft: &Draft<'_>,
    packages: Vec<LockedPackage>,
) -> Result<(Vec<LockedPackage>, usize), PlanError> {
    let fetcher = draft.planner.workshop.fetcher;
    let open = packages.iter().filter(|package| !package.is_pinned()).count();
    let asked = stream::iter(packages.into_iter().map(|package| async move {
        let Some((name, version)) = package.name_and_version().filter(|_| !package.is_pinned()) else {
            return Ok(Some(package));
        };
        match registry::version(fetcher, &name, &version).await {
            Ok(found) => Ok(Some(LockedPackage {
                integrity: found.dist.integrity.unwrap_or_default(),
                ..package
            })),
            Err(PlanError::Unknown { .. } | PlanError::Fetch(FetchError::NotFound { .. }))
                if package.optional =>
            {
                Ok(None)
            }
            Err(error) => Err(as_dependency(draft, error)),
        }
    }));
    let pinned: Vec<Option<LockedPackage>> = asked.buffered(AT_ONCE).try_collect().await?;
    Ok((pinned.into_iter().flatten().collect(), open))
}

/// The packages of a `yarn.lock` of Yarn 2 or later, which names versions; the registry adds the rest.
pub(super) async fn exactly(
    draft: &Draft<'_>,
    versions: Vec<(String, String)>,
) -> Result<Vec<LockedPackage>, PlanError> {
    let bar = draft
        .planner
        .workshop
        .progress
        .stage(format!("asking for {}", plural(versions.len(), "package")));
    let fetcher = draft.planner.workshop.fetcher;
    let asked = stream::iter(versions.into_iter().map(|(name, version)| async move {
        let found = registry::version(fetcher, &name, &version).await;
        let found = found.map_err(|error| as_dependency(draft, error))?;
        let integrity = found.dist.integrity.clone().unwrap_or_default();
        Ok::<_, PlanError>(LockedPackage {
            url: found.dist.tarball,
            integrity,
            optional: true,
        })
    }));
    let found = asked.buffered(AT_ONCE).try_collect().await;
    bar.finish_and_clear();
    found
}
