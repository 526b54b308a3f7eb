//! The crates that a `Cargo.lock` names, pinned by its checksums.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;

use super::registry;
use crate::artifact::PinnedFile;
use crate::artifact::Sha256;
use crate::ecosystem::PlanError;
use crate::store::{Blob, Fetcher};

/// Maximum number of crates of one plan; the largest workspaces have some two thousand.
const MOST: usize = 4000;
/// Maximum number of bytes of one file.
const FILE_LIMIT: u64 = 256 << 20;

#[derive(Deserialize)]
pub(super) struct CargoLock {
    #[serde(default)]
    package: Vec<LockedCrate>,
    /// The first version of the format has the checksums in a separate table, under `checksum NAME VERSION (SOURCE)`.
    /// Cargo still writes that version if a package's `rust-version` is below 1.41.
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct LockedCrate {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<Sha256>,
    #[serde(default)]
    dependencies: Vec<String>,
}

/// A package that a lock file takes from a git repository.
pub(super) struct FromGit {
    pub name: String,
    pub version: String,
    pub source: String,
    /// Name and version of each registry package that it depends on.
    pub dependencies: Vec<(String, String)>,
}

impl CargoLock {
    pub fn takes_from_git(&self) -> bool {
        self.package.iter().any(LockedCrate::is_from_git)
    }

    pub fn git_packages(&self) -> impl Iterator<Item = FromGit> + '_ {
        let packages = self.package.iter().filter(|package| package.is_from_git());
        packages.map(|package| FromGit {
            name: package.name.clone(),
            version: package.version.clone(),
            source: package.source.clone().unwrap_or_default(),
            dependencies: package
                .dependencies
                .iter()
                .filter_map(|text| self.of_registry(text))
                .collect(),
        })
    }

    /// The package of an entry of the form `NAME`, `NAME VERSION` or `NAME VERSION (SOURCE)`.
    fn of_registry(&self, text: &str) -> Option<(String, String)> {
        let mut words = text.split(' ');
        let (name, version) = (words.next()?, words.next());
        let fits = |package: &&LockedCrate| {
            package.name == name
                && version.is_none_or(|version| package.version == version)
                && package.source.as_deref() == Some(PUBLIC)
        };
        let package = self.package.iter().find(fits)?;
        Some((package.name.clone(), package.version.clone()))
    }
}

impl LockedCrate {
    fn is_from_git(&self) -> bool {
        self.source
            .as_deref()
            .is_some_and(|source| source.starts_with("git+"))
    }
}

pub(super) fn read(text: &str) -> Result<CargoLock, toml::de::Error> {
    let mut lock: CargoLock = toml::from_str(text)?;
    for package in lock
        .package
        .iter_mut()
        .filter(|package| package.checksum.is_none())
    {
        let source = package.source.as_deref().unwrap_or_default();
        let key = format!("checksum {} {} ({source})", package.name, package.version);
        // Packages without a checksum are listed too, as `<none>`.
        let apart = lock.metadata.get(&key);
        package.checksum = apart.and_then(|checksum| checksum.parse().ok());
    }
    Ok(lock)
}

/// Names and versions of the crates that a lock file takes from the registry.
pub(super) fn named(text: &str) -> Result<Vec<(String, String)>, String> {
    let lock = read(text).map_err(|error| error.to_string())?;
    let of_registry = |package: &LockedCrate| package.source.as_deref() == Some(PUBLIC);
    let packages = lock.package.into_iter().filter(of_registry);
    Ok(packages.map(|package| (package.name, package.version)).collect())
}

/// Fetches and pins the crates that some lock files take from the registry, each once. Packages from elsewhere are
/// left out: cargo may not need them.
pub(super) async fn of_registry(
    fetcher: &Fetcher,
    title: &str,
    locks: impl Iterator<Item = &str>,
) -> Result<Vec<PinnedFile>, PlanError> {
    let mut wanted = BTreeMap::new();
    for text in locks {
        let lock = read(text).map_err(|error| unusable(title, format!("cannot read Cargo.lock: {error}")))?;
        for package in lock.package {
            let Some(checksum) = package
                .checksum
                .filter(|_| package.source.as_deref() == Some(PUBLIC))
            else {
                continue;
            };
            let name = (package.name, package.version);
            if *wanted.entry(name.clone()).or_insert(checksum) != checksum {
                let reason = format!("Cargo.lock names {} {} with two checksums", name.0, name.1);
                return Err(unusable(title, reason));
            }
        }
    }
    let wanted: Vec<_> = wanted
        .into_iter()
        .map(|((name, version), checksum)| (name, version, checksum))
        .collect();
    all(fetcher, title, wanted).await
}

/// The manifests of pinned crates, by name; one that cannot be read is left out.
pub(super) fn manifests(fetcher: &Fetcher, locked: &[PinnedFile]) -> BTreeMap<String, Vec<toml::Value>> {
    let mut found: BTreeMap<String, Vec<toml::Value>> = BTreeMap::new();
    let fits = |member: &str| {
        member
            .split_once('/')
            .is_some_and(|(_, rest)| rest == "Cargo.toml")
    };
    for file in locked {
        let blob = fetcher.store().get(file.sha256).ok().flatten();
        let text = blob.and_then(|blob| crate::compare::read_member(&blob.path, fits).ok().flatten());
        let manifest =
            text.and_then(|text| toml::from_str::<toml::Value>(&String::from_utf8_lossy(&text)).ok());
        let name = manifest
            .as_ref()
            .and_then(|it| it.get("package")?.get("name")?.as_str());
        if let Some(name) = name.map(str::to_owned) {
            found.entry(name).or_default().extend(manifest);
        }
    }
    found
}

/// The source of crates from the public registry.
const PUBLIC: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn unusable(title: &str, reason: String) -> PlanError {
    PlanError::NotRebuildable {
        subject: title.to_owned(),
        reason,
        help: "only crates from crates.io with a checksum can be pinned".into(),
    }
}

/// Fetches crates by name, version and checksum.
async fn all(
    fetcher: &Fetcher,
    title: &str,
    wanted: Vec<(String, String, Sha256)>,
) -> Result<Vec<PinnedFile>, PlanError> {
    if wanted.len() > MOST {
        return Err(PlanError::NotRebuildable {
            subject: title.to_owned(),
            reason: format!("its lock files name {} crates", wanted.len()),
            help: format!("at most {MOST} are fetched"),
        });
    }
    // Both become parts of an address, of a path, and of the recipe's lists.
    let is_plain = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_+.".contains(&byte))
    };
    let other = wanted
        .iter()
        .find(|(name, version, _)| !is_plain(name) || !is_plain(version));
    if let Some((name, version, _)) = other {
        let reason = format!("Cargo.lock names {name:?} {version:?}, which cannot be a crate");
        return Err(unusable(title, reason));
    }
    let fetched = stream::iter(wanted.into_iter().map(|(name, version, checksum)| async move {
        let (file, url) = registry::download(&name, &version);
        pin(fetcher, "its lock file", file, url, checksum).await
    }));
    fetched.buffered(8).try_collect().await
}

/// Fetches and pins every crate of `lock` that is not the workspace's own.
pub(in crate::ecosystem) async fn crates(
    fetcher: &Fetcher,
    title: &str,
    lock: &str,
) -> Result<Vec<PinnedFile>, PlanError> {
    let unusable = |reason: String| unusable(title, reason);
    let lock = read(lock).map_err(|error| unusable(format!("cannot read Cargo.lock: {error}")))?;
    let mut wanted = Vec::new();
    let mut named = BTreeSet::new();
    // Packages without a source belong to the workspace.
    for package in lock
        .package
        .into_iter()
        .filter(|package| package.source.is_some())
    {
        let is_public = package.source.as_deref() == Some(PUBLIC);
        let Some(checksum) = package.checksum.filter(|_| is_public) else {
            return Err(unusable(format!(
                "Cargo.lock takes {} from another source",
                package.name
            )));
        };
        // Cargo refuses such a lock file too, and both files would have the same path.
        if !named.insert((package.name.clone(), package.version.clone())) {
            return Err(unusable(format!(
                "Cargo.lock names {} {} twice",
                package.name, package.version
            )));
        }
        wanted.push((package.name, package.version, checksum));
    }
    all(fetcher, title, wanted).await
}

/// A file whose digest `says` states, and whose length is not known.
pub(in crate::ecosystem) async fn pin(
    fetcher: &Fetcher,
    says: &str,
    name: String,
    url: String,
    sha256: Sha256,
) -> Result<PinnedFile, PlanError> {
    let blob = if let Some(blob) = fetcher.store().get(sha256)? {
        blob
    } else {
        let read = |blob: &Blob| {
            if blob.sha256 == sha256 {
                return Ok(());
            }
            Err(PlanError::Contradiction {
                subject: name.clone(),
                reason: format!(
                    "{says} says sha256:{sha256}, but {url} serves sha256:{}",
                    blob.sha256
                ),
            })
        };
        let urls = std::slice::from_ref(&url);
        fetcher.get_unpinned(&name, urls, FILE_LIMIT, read).await?.1.blob
    };
    Ok(PinnedFile {
        name,
        urls: vec![url],
        sha256,
        size: blob.size,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Progress;
    use crate::store::Store;

    #[tokio::test]
    async fn a_lock_file_names_a_crate_once_and_from_the_registry() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(folder.path().to_owned())).unwrap();
        let fetcher = Fetcher::new(&store, Vec::new(), true, Progress::new(true));
        let entry = |name: &str, version: &str, source: &str| {
            format!(
                "[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = \"{source}\"\nchecksum = \"{}\"\n",
                "0".repeat(64)
            )
        };
        let public = "registry+https://github.com/rust-lang/crates.io-index";
        for (lock, expected) in [
            (
                entry("a", "1.0.0", public).repeat(2),
                "Cargo.lock names a 1.0.0 twice",
            ),
            (
                entry("a", "1.0.0", "registry+file:///srv/index"),
                "from another source",
            ),
            (entry("a", "1.0.0", "git+https://h/r#0"), "from another source"),
            (entry("../a", "1.0.0", public), "cannot be a crate"),
            (entry("a\\nb", "1.0.0", public), "cannot be a crate"),
            (entry("a", "1.0.0 -x", public), "cannot be a crate"),
            // Two versions of one crate; the run is offline.
            (
                entry("a", "1.0.0", public) + &entry("a", "2.0.0", public),
                "offline",
            ),
        ] {
            let error = crates(&fetcher, "it", &lock).await.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        // Crates that no workspace needs are not requested.
        let many = |count: usize| -> String {
            (0..count)
                .map(|at| entry("a", &format!("1.0.{at}"), public))
                .collect()
        };
        for (count, expected) in [(MOST, "offline"), (MOST + 1, "name 4001 crates")] {
            let lock = many(count);
            let error = crates(&fetcher, "it", &lock).await.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            let error = of_registry(&fetcher, "it", std::iter::once(lock.as_str())).await;
            let error = error.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
