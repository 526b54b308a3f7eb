//! The folder of a package below the top of its repository, where the crate does not name it.
//!
//! Until Rust 1.56 `.cargo_vcs_info.json` had no `path_in_vcs`, and a crate without that file names no folder either.

use serde::Deserialize;

use super::package::Package;
use crate::plan::{Assumption, Origin, assume};
use crate::store::{Checkout, GitError};

/// Most manifests that are read; the largest workspaces have a few hundred.
const MOST: usize = 2000;

#[derive(Deserialize)]
struct Manifest {
    package: Named,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// The folder that the crate names, or the one whose `Cargo.toml` has its name: the one nearest to the top.
pub(super) fn find(
    checkout: &Checkout,
    name: &str,
    package: &Package,
) -> Result<(String, Option<Assumption>), GitError> {
    if let Some(folder) = &package.folder {
        return Ok((folder.clone(), None));
    }
    let mut manifests = checkout.paths_named("Cargo.toml")?;
    manifests.sort_by_key(|path| (path.matches('/').count(), path.clone()));
    for path in manifests.iter().take(MOST) {
        let Some(bytes) = checkout.file(path)? else {
            continue;
        };
        // Templates and test data need not be manifests.
        let manifest = toml::from_str::<Manifest>(&String::from_utf8_lossy(&bytes));
        if manifest.is_ok_and(|manifest| manifest.package.name == name) {
            let folder = path.strip_suffix("Cargo.toml").unwrap_or_default();
            let folder = folder.trim_end_matches('/').to_owned();
            let from =
                Origin::Inferred("the commit's only package of this name, or the nearest to its top".into());
            let assumption = assume("folder of the package", format!("/{folder}"), from);
            return Ok((folder, Some(assumption)));
        }
    }
    Ok((String::new(), None))
}
