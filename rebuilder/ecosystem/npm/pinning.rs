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

/// Name and version of a package.
type Named = (String, String);

/// The packages of a `yarn.lock` of Yarn 2 or later, which names versions; the registry adds the rest. Second, those
/// that the registry does not have.
pub(super) async fn exactly(
    draft: &Draft<'_>,
    versions: Vec<Named>,
) -> Result<(Vec<LockedPackage>, Vec<Named>), PlanError> {
    let bar = draft
        .planner
        .workshop
        .progress
        .stage(format!("asking for {}", plural(versions.len(), "package")));
    let fetcher = draft.planner.workshop.fetcher;
    let asked = stream::iter(versions.into_iter().map(|(name, version)| async move {
        match registry::version(fetcher, &name, &version).await {
            Ok(found) => Ok(Ok(LockedPackage {
                integrity: found.dist.integrity.unwrap_or_default(),
                url: found.dist.tarball,
                optional: true,
            })),
            Err(PlanError::Unknown { .. } | PlanError::Fetch(FetchError::NotFound { .. })) => {
                Ok(Err((name, version)))
            }
            Err(error) => Err(error),
        }
    }));
    let found: Result<Vec<_>, _> = asked.buffered(AT_ONCE).try_collect().await;
    bar.finish_and_clear();
    let (mut packages, mut gone) = (Vec::new(), Vec::new());
    for answer in found? {
        match answer {
            Ok(package) => packages.push(package),
            Err(named) => gone.push(named),
        }
    }
    Ok((packages, gone))
}
