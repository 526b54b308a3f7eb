//! Package managers: their lock files, and the version that a lock file implies.

use crate::ecosystem::PlanError;
use crate::ecosystem::npm::lockfile::{self, LockedPackage};
use crate::ecosystem::npm::packing::LATER_YARN;
use crate::ecosystem::npm::plan::Draft;
use crate::ecosystem::npm::registry;
use crate::plan::{Origin, PinnedInput, Role};

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

/// The version of Yarn 2 or later that a source has or names, or one that reads its lock file, and why.
pub(super) fn later_yarn(draft: &Draft<'_>) -> Result<(String, Origin), PlanError> {
    let inside = draft
        .paths
        .iter()
        .find_map(|path| yarn_inside(path).map(|version| (path, version)));
    if let Some((path, version)) = inside {
        return Ok((
            version.to_owned(),
            Origin::Declared(format!("{path} of the source")),
        ));
    }
    let top = draft.manifest("")?;
    if let Some(version) = top.as_ref().and_then(|top| top.version_of("yarn")) {
        return Ok((
            version.to_owned(),
            Origin::Declared("packageManager in package.json".into()),
        ));
    }
    let lock = draft.checkout.file("yarn.lock")?.unwrap_or_default();
    let version = yarn_of_form(&String::from_utf8_lossy(&lock));
    Ok((
        version.to_owned(),
        Origin::Inferred("no document names one; this one reads the lock file's form".into()),
    ))
}

/// The version in the path of a Yarn that a source has inside.
fn yarn_inside(path: &str) -> Option<&str> {
    let file = path.strip_prefix(".yarn/releases/yarn-")?;
    let version = file.rsplit_once('.').map(|(version, _)| version)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
    (!version.starts_with("1.") && version.chars().all(plain)).then_some(version)
}

/// A version of Yarn 2 or later that reads a lock file with this format version.
fn yarn_of_form(text: &str) -> &'static str {
    let form = text.lines().find_map(|line| line.trim().strip_prefix("version:"));
    match form.unwrap_or_default().trim() {
        "4" => "2.4.2",
        "5" | "6" => "3.8.7",
        _ => "4.9.1",
    }
}

/// The package that has a package manager, under which name it is called in the recipe.
fn package_of(tool: &str) -> &str {
    if tool == LATER_YARN {
        "@yarnpkg/cli-dist"
    } else {
        tool
    }
}

/// A package manager from the registry, pinned.
pub(super) async fn tool(draft: &Draft<'_>, name: &str, version: &str) -> Result<PinnedInput, PlanError> {
    let package = package_of(name);
    let found = registry::version(draft.planner.workshop.fetcher, package, version).await?;
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
        purl: Some(format!("pkg:npm/{}@{version}", package.replace('@', "%40"))),
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

    #[test]
    fn a_source_has_or_implies_a_version_of_yarn() {
        for (path, version) in [
            (".yarn/releases/yarn-3.2.3.cjs", Some("3.2.3")),
            (".yarn/releases/yarn-4.0.0-rc.35.cjs", Some("4.0.0-rc.35")),
            (".yarn/releases/yarn-1.22.19.js", None),
            (".yarn/releases/yarn-sources.cjs.map/../x.js", None),
            ("a/.yarn/releases/yarn-3.2.3.cjs", None),
        ] {
            assert_eq!(yarn_inside(path), version, "{path}");
        }
        for (form, version) in [("4", "2.4.2"), ("6", "3.8.7"), ("8", "4.9.1")] {
            let text = format!("__metadata:\n  version: {form}\n  cacheKey: 8\n");
            assert_eq!(yarn_of_form(&text), version, "{form}");
        }
    }
}
