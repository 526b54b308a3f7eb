//! Package managers: their lock files, and the version that a lock file implies.

use crate::ecosystem::PlanError;
use crate::ecosystem::npm::lockfile::{self, LockedPackage};
use crate::ecosystem::npm::plan::Draft;
use crate::ecosystem::npm::registry;
use crate::plan::{PinnedInput, Role};

/// A package manager and its lock files.
pub(super) struct Manager {
    /// Its name in the recipe.
    pub name: &'static str,
    pub files: &'static [&'static str],
    pub read: fn(&[u8]) -> Result<Vec<LockedPackage>, String>,
    /// The version that reads such a lock file; `None` for npm, which comes with the toolchain.
    pub version: Option<fn(&str) -> String>,
}

pub(super) const MANAGERS: [Manager; 3] = [
    Manager {
        name: "npm",
        files: &["npm-shrinkwrap.json", "package-lock.json"],
        read: lockfile::npm,
        version: None,
    },
    Manager {
        name: "yarn",
        files: &["yarn.lock"],
        read: lockfile::yarn,
        version: Some(|_| "1.22.22".to_owned()),
    },
    Manager {
        name: "pnpm",
        files: &["pnpm-lock.yaml"],
        read: lockfile::pnpm,
        version: Some(pnpm_version),
    },
];

/// The version of pnpm that wrote a lock file with this format version.
fn pnpm_version(text: &str) -> String {
    let form = text
        .lines()
        .find_map(|line| line.strip_prefix("lockfileVersion:"));
    let form = form.unwrap_or_default().trim().trim_matches(['\'', '"']);
    let version = match form {
        // Without a lock file it only runs scripts, and this version runs on any Node.js.
        "" => "7.33.7",
        form if form.starts_with("5.4") => "7.33.7",
        form if form.starts_with('5') => "6.35.1",
        form if form.starts_with('6') => "8.15.9",
        _ => "9.15.9",
    };
    version.to_owned()
}

/// The version in `packageManager`; later versions of Yarn are not in the registry under that name.
pub(super) fn named_version(draft: &Draft<'_>, manager: &str) -> Result<Option<String>, PlanError> {
    let top = draft.manifest("")?;
    let version = top.as_ref().and_then(|top| top.version_of(manager));
    let version = version.filter(|version| manager != "yarn" || version.starts_with("1."));
    Ok(version.map(str::to_owned))
}

/// A package manager from the registry, pinned.
pub(super) async fn tool(draft: &Draft<'_>, name: &str, version: &str) -> Result<PinnedInput, PlanError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_lock_file_tells_the_version_of_pnpm() {
        for (text, version) in [
            ("lockfileVersion: 5.3\n", "6.35.1"),
            ("lockfileVersion: 5.4\n", "7.33.7"),
            ("lockfileVersion: '6.0'\n", "8.15.9"),
            ("lockfileVersion: '9.0'\n", "9.15.9"),
        ] {
            assert_eq!(pnpm_version(text), version);
        }
    }
}
