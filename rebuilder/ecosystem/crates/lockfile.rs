//! The crates that a `Cargo.lock` names, pinned by the checksums that it gives.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;

use crate::artifact::Sha256;
use crate::ecosystem::PlanError;
use crate::evidence::crates;
use crate::store::{Fetcher, Material};

/// Most bytes of one file.
const FILE_LIMIT: u64 = 256 << 20;

#[derive(Deserialize)]
struct CargoLock {
    #[serde(default)]
    package: Vec<LockedCrate>,
}

#[derive(Deserialize)]
struct LockedCrate {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<Sha256>,
}

/// Fetches and pins every crate of `lock` that is not the workspace's own.
pub(in crate::ecosystem) async fn crates(
    fetcher: &Fetcher,
    title: &str,
    lock: &str,
) -> Result<Vec<Material>, PlanError> {
    let unusable = |reason: String| PlanError::NotRebuildable {
        subject: title.to_owned(),
        reason,
        help: "only crates of crates.io with a checksum can be pinned".into(),
    };
    let lock: CargoLock =
        toml::from_str(lock).map_err(|error| unusable(format!("Cargo.lock cannot be read: {error}")))?;
    let mut wanted = Vec::new();
    // Packages without a source are the workspace's own.
    for package in lock
        .package
        .into_iter()
        .filter(|package| package.source.is_some())
    {
        let is_public =
            package.source.as_deref() == Some("registry+https://github.com/rust-lang/crates.io-index");
        let Some(checksum) = package.checksum.filter(|_| is_public) else {
            return Err(unusable(format!(
                "Cargo.lock takes {} from elsewhere",
                package.name
            )));
        };
        wanted.push((package.name, package.version, checksum));
    }
    let fetched = stream::iter(wanted.into_iter().map(|(name, version, checksum)| async move {
        let (file, url) = crates::download(&name, &version);
        pin(fetcher, "its lock file", file, url, checksum).await
    }));
    fetched.buffered(8).try_collect().await
}

/// A file whose digest is known, from `says`, and whose length is not.
pub(super) async fn pin(
    fetcher: &Fetcher,
    says: &str,
    name: String,
    url: String,
    sha256: Sha256,
) -> Result<Material, PlanError> {
    let blob = match fetcher.store().get(sha256)? {
        Some(blob) => blob,
        None => {
            fetcher
                .get_unpinned(&name, std::slice::from_ref(&url), FILE_LIMIT)
                .await?
                .blob
        }
    };
    if blob.sha256 != sha256 {
        return Err(PlanError::Contradiction {
            subject: name,
            reason: format!(
                "{says} says sha256:{sha256}, and {url} gives sha256:{}",
                blob.sha256
            ),
        });
    }
    Ok(Material {
        name,
        urls: vec![url],
        sha256,
        size: blob.size,
    })
}
