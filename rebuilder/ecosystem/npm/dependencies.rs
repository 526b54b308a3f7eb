//! The packages that a lock file of npm, yarn or pnpm names, pinned and laid out where the package manager looks.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::lockfile::{self, LockedPackage};
use super::plan::Draft;
use super::registry;
use crate::ecosystem::PlanError;
use crate::plan::{PinnedInput, Role};
use crate::store::FetchError;
use crate::text::plural;

/// A package manager, by its lock file.
struct Manager {
    /// What the recipe calls it.
    name: &'static str,
    files: &'static [&'static str],
    read: fn(&[u8]) -> Result<Vec<LockedPackage>, String>,
    /// The version that reads lock files of this form; npm comes with the toolchain.
    version: Option<&'static str>,
}

const MANAGERS: [Manager; 3] = [
    Manager {
        name: "npm",
        files: &["npm-shrinkwrap.json", "package-lock.json"],
        read: lockfile::read,
        version: None,
    },
    Manager {
        name: "yarn",
        files: &["yarn.lock"],
        read: lockfile::yarn,
        version: Some("1.22.22"),
    },
    Manager {
        name: "pnpm",
        files: &["pnpm-lock.yaml"],
        read: lockfile::pnpm,
        version: Some("9.15.9"),
    },
];

/// Pins what the folder's lock file names, and says which manager installs it.
pub(super) async fn pin(
    draft: &Draft<'_>,
    directory: &str,
) -> Result<(Vec<PinnedInput>, &'static str), PlanError> {
    for manager in &MANAGERS {
        for name in manager.files {
            let path = if directory.is_empty() {
                (*name).to_owned()
            } else {
                format!("{directory}/{name}")
            };
            let Some(text) = draft.checkout.file(&path)? else {
                continue;
            };
            let packages = (manager.read)(&text)
                .map_err(|reason| draft.cannot(format!("{path}: {reason}"), "nothing was built"))?;
            let mut inputs = packages_of(draft, manager, packages).await?;
            if let Some(version) = manager.version {
                inputs.push(tool(draft, manager.name, version).await?);
            }
            return Ok((inputs, manager.name));
        }
    }
    Err(draft.cannot(
        "scripts run before it is packed, but no package-lock.json, yarn.lock or pnpm-lock.yaml pins what they need"
            .into(),
        "only a lock file records which packages were installed",
    ))
}

async fn tool(draft: &Draft<'_>, name: &str, version: &str) -> Result<PinnedInput, PlanError> {
    let found = registry::version(draft.planner.workshop.fetcher, name, version).await?;
    let integrity = found.dist.integrity.clone().unwrap_or_default();
    let file = format!("{name}-{version}.tgz");
    let fetched = registry::by_integrity(
        draft.planner.workshop.fetcher,
        file,
        found.dist.tarball,
        "the registry",
        &integrity,
    );
    Ok(PinnedInput {
        role: Role::Dependency,
        purl: Some(format!("pkg:npm/{name}@{version}")),
        place: format!("dependencies/toolchain/{name}.tgz"),
        file: fetched.await?.0,
    })
}

async fn packages_of(
    draft: &Draft<'_>,
    manager: &Manager,
    packages: Vec<LockedPackage>,
) -> Result<Vec<PinnedInput>, PlanError> {
    let fetcher = draft.planner.workshop.fetcher;
    let bar = draft
        .planner
        .workshop
        .progress
        .stage(format!("fetching {}", plural(packages.len(), "package")));
    let pinned = stream::iter(packages.into_iter().map(|package| async move {
        let name = package.url.rsplit('/').next().unwrap_or_default().to_owned();
        let place = match manager.name {
            "yarn" => Some(format!("yarn-mirror/{}", lockfile::yarn_file(&package.url))),
            "pnpm" => Some(format!("registry/{}", lockfile::registry_path(&package.url))),
            _ => None,
        };
        let (url, integrity) = (package.url, package.integrity);
        let fetched = registry::by_integrity(fetcher, name, url, "the lock file", &integrity).await;
        let (file, digests) = match fetched {
            // What may be missing on other machines may be missing here.
            Err(PlanError::Fetch(FetchError::NotFound { .. })) if package.optional => return Ok(None),
            other => other?,
        };
        let cached = || {
            Some(format!(
                "content-v2/{}",
                lockfile::cache_place(&digests, &integrity)?
            ))
        };
        let place = place.or_else(cached);
        Ok::<_, PlanError>(place.map(|place| PinnedInput {
            role: Role::Dependency,
            purl: None,
            place: format!("dependencies/{place}"),
            file,
        }))
    }));
    let found: Vec<Option<PinnedInput>> = pinned.buffered(8).try_collect().await?;
    bar.finish_and_clear();
    let mut inputs: Vec<PinnedInput> = found.into_iter().flatten().collect();
    inputs.sort_by(|a, b| a.place.cmp(&b.place));
    // Equal files are one file; two different ones at one place are refused.
    inputs.dedup_by(|a, b| a.place == b.place && a.file.sha256 == b.file.sha256);
    let mut pairs = inputs.iter().zip(inputs.iter().skip(1));
    if let Some((twice, _)) = pairs.find(|(one, other)| one.place == other.place) {
        return Err(draft.cannot(
            format!(
                "its lock file names {} twice, as different files",
                twice.file.name
            ),
            "nothing was built",
        ));
    }
    Ok(inputs)
}
