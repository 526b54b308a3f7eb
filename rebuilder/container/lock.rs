//! `containers/NAME.lock`: every package of a container, pinned, and the resolution that writes it.

use std::collections::BTreeMap;

use debversion::Version;

use super::apt_resolver::{AptResolver, ResolveError};
use super::build::{self, Root};
use super::{ContainerError, Workshop, closure};
use crate::apt::{Binary, Indexes};
use crate::artifact::Sha256;
use crate::evidence::Verified;
use crate::evidence::release::Release;
use crate::plan::{Lock, LockedArchive, LockedPackage, LockedRelease};

/// Resolves the container called `name` against the archives as they are now.
pub async fn lock(name: &str, workshop: Workshop<'_>) -> Result<Lock, ContainerError> {
    let Workshop {
        fetcher,
        catalog,
        sandbox,
        progress,
    } = workshop;
    let definition = catalog.definition(name)?.debian;
    let keyring = catalog.keyring(&definition)?;
    let indexes = Indexes::load(fetcher, &definition.archives, &keyring, &definition.arch, false).await?;

    let first = closure::bootstrap(&indexes, fetcher).await?;
    let mut lock = pin(name, &indexes, &first)?;
    let base = build::make(&format!("{name} (first packages)"), &lock, workshop).await?;
    let arguments: Vec<_> = definition.packages.iter().map(String::as_str).collect();
    let resolver = AptResolver {
        root: &base,
        indexes: &indexes,
        sandbox,
        fetcher,
        progress,
    };
    let added = resolver.install(&arguments).await.map_err(|error| match error {
        ResolveError::Unsatisfied { reason, .. } => ContainerError::NoPackage {
            container: name.to_owned(),
            package: reason,
        },
        ResolveError::Apt(error) => error.into(),
        ResolveError::Sandbox(error) => error.into(),
    })?;
    let mut all = first;
    all.extend(added.into_iter().map(|binary| (binary.package, binary.version)));
    lock = pin(name, &indexes, &all)?;
    let root = build::make(name, &lock, workshop).await?;
    lock.tree = root.contents.digest;
    Ok(lock)
}

fn pin(name: &str, indexes: &Indexes, chosen: &BTreeMap<String, Version>) -> Result<Lock, ContainerError> {
    let is_chosen = |package: &str, version: &str| {
        chosen
            .get(package)
            .is_some_and(|wanted| version.parse::<Version>().is_ok_and(|version| version == *wanted))
    };
    let mut found: BTreeMap<String, Binary> = BTreeMap::new();
    let matching = indexes.binaries(|row| is_chosen(row.package, row.version))?;
    for binary in matching {
        // Several suites may have the same version; the first one is enough.
        found.entry(binary.package.clone()).or_insert(binary);
    }
    if let Some(missing) = chosen.keys().find(|package| !found.contains_key(*package)) {
        return Err(ContainerError::NoPackage {
            container: name.to_owned(),
            package: missing.clone(),
        });
    }
    let mut archives: Vec<LockedArchive> = Vec::new();
    let mut packages = Vec::new();
    for binary in found.into_values() {
        let archive = LockedArchive {
            bases: indexes.release(binary.release).bases.clone(),
        };
        let position = archives
            .iter()
            .position(|known| *known == archive)
            .unwrap_or(archives.len());
        if position == archives.len() {
            archives.push(archive);
        }
        packages.push(LockedPackage {
            name: binary.package,
            version: binary.version.to_string(),
            arch: binary.arch,
            size: binary.size,
            sha256: binary.sha256,
            path: binary.path,
            archive: position,
        });
    }
    let locked = |release: &Verified<Release>| LockedRelease {
        suite: release.suite.clone(),
        date: release.date,
        inrelease: release.inrelease,
        signers: release.signers.clone(),
    };
    Ok(Lock {
        version: 1,
        epoch: indexes.date().as_second(),
        tree: Sha256::of(""),
        releases: indexes.releases.iter().map(locked).collect(),
        archives,
        packages,
    })
}

/// Checks that a root has the tree that its lock promises.
pub(super) fn check_tree(name: &str, lock: &Lock, root: &Root) -> Result<(), ContainerError> {
    if root.contents.digest == lock.tree {
        return Ok(());
    }
    Err(ContainerError::TreeDiffers {
        name: name.to_owned(),
        expected: lock.tree,
        found: root.contents.digest,
    })
}
