//! Finds the folder of a package in its repository, if the crate does not name it.
//!
//! Until Rust 1.56 `.cargo_vcs_info.json` had no `path_in_vcs`, and a crate without that file names no folder either.

use serde::Deserialize;

use super::package::{self, Package};
use crate::plan::{Assumption, Origin, assume};
use crate::store::{Checkout, GitError};

/// Maximum number of manifests that are read; the largest workspaces have a few hundred.
pub(super) const MOST_MANIFESTS: usize = 2000;

#[derive(Deserialize)]
struct Manifest {
    package: Named,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// The folder that the crate names; otherwise the one nearest to the top whose `Cargo.toml` has the crate's name.
pub(super) fn find(
    checkout: &Checkout,
    name: &str,
    package: &Package,
) -> Result<(String, Option<Assumption>), GitError> {
    if let Some(folder) = &package.folder {
        return Ok((folder.clone(), None));
    }
    let found = checkout.each_named("Cargo.toml", MOST_MANIFESTS, |path, bytes| {
        // `Cargo.toml` files of templates and test data need not be valid manifests.
        let manifest = toml::from_str::<Manifest>(&String::from_utf8_lossy(bytes)).ok()?;
        let folder = path.strip_suffix("Cargo.toml").unwrap_or_default();
        (manifest.package.name == name).then(|| folder.trim_end_matches('/').to_owned())
    })?;
    if let Some(folder) = found {
        let from =
            Origin::Inferred("the commit's only package of this name, or the nearest to its top".into());
        let assumption = assume("folder of the package", format!("/{folder}"), from);
        return Ok((folder, Some(assumption)));
    }
    Ok((String::new(), None))
}

/// Whether a commit has a package of this name and version. A tag that names only a version may be of another package
/// of the repository.
pub(super) fn has_package(checkout: &Checkout, name: &str, version: &str) -> Result<bool, GitError> {
    let found = checkout.each_named("Cargo.toml", MOST_MANIFESTS, |_, bytes| {
        package::may_be_of(bytes, name, version).then_some(())
    })?;
    Ok(found.is_some())
}
