//! `containers/NAME.lock`: every package of a container, pinned. A plan carries the whole of it.

use serde::{Deserialize, Serialize};

use crate::artifact::{PinnedFile, Sha256};
use crate::evidence::release::pool_url;

/// Increased whenever the same lock would give another root.
const WAY_OF_MAKING: u32 = 1;

/// The content of a lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Form of this file; 1.
    pub version: u32,
    /// Time of generated files, in Unix seconds: when the newest suite was released.
    pub epoch: i64,
    /// Digest of the made root; see `rootfs::TreeContents`.
    pub tree: Sha256,
    /// Suites that were resolved against.
    pub releases: Vec<LockedRelease>,
    /// Where packages are fetched from.
    pub archives: Vec<LockedArchive>,
    /// All packages.
    pub packages: Vec<LockedPackage>,
}

/// One suite as it was when the lock was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedRelease {
    pub suite: String,
    pub date: jiff::Timestamp,
    pub inrelease: Sha256,
    pub signers: Vec<String>,
}

/// Base URLs of one archive; the dated snapshot last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedArchive {
    pub bases: Vec<String>,
}

/// One package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedPackage {
    pub name: String,
    pub version: String,
    pub arch: String,
    pub size: u64,
    pub sha256: Sha256,
    /// Path below one of the archive's base URLs.
    pub path: String,
    /// Position in [`Lock::archives`].
    pub archive: usize,
}

impl Lock {
    /// The packages as pinned files, in the lock's order.
    pub fn materials(&self) -> Vec<PinnedFile> {
        let bases = |index: usize| self.archives.get(index).map_or(&[][..], |archive| &archive.bases);
        self.packages
            .iter()
            .map(|package| PinnedFile {
                name: package
                    .path
                    .rsplit('/')
                    .next()
                    .unwrap_or(&package.path)
                    .to_owned(),
                urls: bases(package.archive)
                    .iter()
                    .map(|base| pool_url(base, &package.path))
                    .collect(),
                sha256: package.sha256,
                size: package.size,
            })
            .collect()
    }

    /// Digest of everything the root is made from: the way of making, the packages in order, and the epoch.
    ///
    /// Mirrors, dates and the promised tree do not enter: they change nothing in the root.
    pub fn digest(&self) -> Sha256 {
        let mut text = format!("root made by way {WAY_OF_MAKING}\n{}\n", self.epoch);
        for package in &self.packages {
            text.push_str(&format!("{} {} {}\n", package.sha256, package.name, package.arch));
        }
        Sha256::of(text)
    }

    /// The file's text.
    pub fn to_toml(&self, name: &str) -> Result<String, toml::ser::Error> {
        let body = toml::to_string(self)?;
        Ok(format!(
            "# Written by \"rebuilder container lock {name}\".\n{body}"
        ))
    }
}
