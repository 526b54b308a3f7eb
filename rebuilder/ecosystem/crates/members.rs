//! Packages that stand in for crates on which only other members of the workspace depend.
//!
//! cargo resolves all members of a workspace before it packs one. If the commit has no lock file, the one in the
//! released crate names only what that crate needs; the other members may need more. None of that reaches the crate:
//! cargo removes it from the lock file that it packs. A name, a version that the manifests allow, and the features that
//! they request are enough. A wrong one causes an error, or shows in the bytes.

use std::collections::BTreeSet;

use semver::{BuildMetadata, Op, Version, VersionReq};
use toml::Value;

use super::lockfile;
use super::stand_in::{self, Features};
use super::turned_on::{self, Manifests};
use crate::plan::{Assumption, InlineFile, Origin, assume, places};
use crate::store::{Checkout, GitError};

/// Names and requirements of the crates of the registry that manifests name.
#[derive(Default)]
pub(super) struct Wanted(BTreeSet<(String, String)>);

impl Wanted {
    /// Adds what a table of a manifest names, and tables within it.
    pub(super) fn add(&mut self, value: &Value) {
        let Value::Table(table) = value else {
            return;
        };
        for (key, value) in table {
            match value {
                Value::Table(all) if stand_in::is_of_dependencies(key) => {
                    self.0
                        .extend(all.iter().filter_map(|(name, entry)| of_registry(name, entry)));
                }
                _ => self.add(value),
            }
        }
    }

    /// Adds a name and a requirement.
    pub(super) fn insert(&mut self, named: Option<(String, String)>) {
        self.0.extend(named);
    }

    /// Whether one of them has this name.
    pub(super) fn names(&self, name: &str) -> bool {
        self.0.iter().any(|(wanted, _)| wanted == name)
    }

    /// Name and version of a stand-in for each requirement that no crate of the lock file meets.
    pub(super) fn beyond(&self, locked: &[(String, String)]) -> BTreeSet<(String, String)> {
        let meets = |name: &str, wanted: &VersionReq| {
            let versions = locked.iter().filter(|(locked, _)| locked == name);
            let mut versions = versions.filter_map(|(_, version)| Version::parse(version).ok());
            versions.any(|version| wanted.matches(&version))
        };
        let missing = self.0.iter().filter_map(|(name, text)| {
            let wanted = VersionReq::parse(text).ok()?;
            let version = (!meets(name, &wanted)).then(|| lowest(&wanted))??;
            Some((name.clone(), version.to_string()))
        });
        missing.collect()
    }
}

/// The name and the requirement of a dependency from the registry.
pub(super) fn of_registry(name: &str, entry: &Value) -> Option<(String, String)> {
    let elsewhere = ["path", "git", "workspace", "registry"];
    if elsewhere.iter().any(|key| entry.get(key).is_some()) {
        return None;
    }
    let name = stand_in::package_of(name, entry);
    let wanted = entry
        .as_str()
        .or_else(|| entry.get("version").and_then(Value::as_str))?;
    stand_in::is_plain(name).then(|| (name.to_owned(), wanted.to_owned()))
}

/// The lowest version that the first bound allows, if the others do as well.
fn lowest(wanted: &VersionReq) -> Option<Version> {
    let version = match wanted.comparators.first() {
        None => Version::new(0, 0, 0),
        Some(bound) => {
            let (minor, patch) = (bound.minor.unwrap_or(0), bound.patch.unwrap_or(0));
            match (bound.op, bound.minor, bound.patch) {
                (Op::Less | Op::LessEq, ..) => Version::new(0, 0, 0),
                (Op::Greater, None, _) => Version::new(bound.major.checked_add(1)?, 0, 0),
                (Op::Greater, Some(_), None) => Version::new(bound.major, minor.checked_add(1)?, 0),
                (Op::Greater, Some(_), Some(_)) => Version::new(bound.major, minor, patch.checked_add(1)?),
                _ => Version {
                    major: bound.major,
                    minor,
                    patch,
                    pre: bound.pre.clone(),
                    build: BuildMetadata::EMPTY,
                },
            }
        }
    };
    wanted.matches(&version).then_some(version)
}

/// The files for the sandbox, and the assumption behind them; `lock` is that of the released crate, and `manifests` are
/// those of the crates that it names.
pub(super) fn of(
    checkout: &Checkout,
    lock: &str,
    manifests: &Manifests,
) -> Result<(Vec<InlineFile>, Option<Assumption>), GitError> {
    let Ok(locked) = lockfile::named(lock) else {
        return Ok((Vec::new(), None));
    };
    let (mut wanted, mut features) = (Wanted::default(), Features::default());
    stand_in::each_manifest(checkout, |manifest| {
        wanted.add(manifest);
        features.add(manifest);
    })?;
    turned_on::add(manifests, &mut wanted, &mut features);
    let missing = wanted.beyond(&locked);
    if missing.is_empty() {
        return Ok((Vec::new(), None));
    }
    // The lock file has no such crate, so nothing is compared with its checksum.
    let checksum = "0".repeat(64);
    let (mut files, mut names) = (Vec::new(), Vec::new());
    for (name, version) in &missing {
        let about = (name.as_str(), version.as_str());
        let manifest = stand_in::manifest(about, &[], features.of_package(name));
        files.extend(stand_in::package_files(
            places::STAND_IN_CRATES,
            about,
            manifest,
            Some(&checksum),
        ));
        names.push(format!("{name} {version}"));
    }
    let value = stand_in::by_name_alone("crate", &names);
    let from = Origin::Convention("cargo packs nothing of what other members need".into());
    Ok((
        files,
        Some(assume("crates for other members of the workspace", value, from)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_stands_in_if_only_another_member_needs_it() {
        let mut wanted = Wanted::default();
        wanted.add(
            &toml::from_str::<Value>(
                "[dependencies]\nlocked = \"1.2\"\nown = { path = \"../own\", version = \"1\" }\n\
                 renamed = { package = \"other\", version = \"=2.1.3\" }\nfrom-git = { git = \"https://h/o/r\" }\n\
                 \"../out\" = \"1\"\nshared = { workspace = true }\n\
                 [target.'cfg(unix)'.build-dependencies]\nlocked = \"0.9\"\n\
                 [workspace.dependencies]\nshared = \"1.0.0-rc.1\"\n\
                 [package.metadata]\nnone = \"1\"\n",
            )
            .unwrap(),
        );
        let locked = [("locked".to_owned(), "1.4.0".to_owned())];
        let missing: Vec<_> = wanted.beyond(&locked).into_iter().collect();
        let expected = [("locked", "0.9.0"), ("other", "2.1.3"), ("shared", "1.0.0-rc.1")];
        assert_eq!(
            missing,
            expected.map(|(name, version)| (name.to_owned(), version.to_owned()))
        );
    }

    #[test]
    fn a_stand_in_has_a_version_that_the_requirement_allows() {
        for (wanted, expected) in [
            ("*", Some("0.0.0")),
            ("1", Some("1.0.0")),
            ("~0.3", Some("0.3.0")),
            (">=1.2, <2", Some("1.2.0")),
            (">1.2.3", Some("1.2.4")),
            (">1", Some("2.0.0")),
            ("<2", Some("0.0.0")),
            ("<2, >=1", None),
        ] {
            let found = lowest(&VersionReq::parse(wanted).unwrap());
            let found = found.map(|version| version.to_string());
            assert_eq!(found.as_deref(), expected, "{wanted}");
        }
    }
}
