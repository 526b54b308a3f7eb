//! Packages that stand in for those that a workspace takes from git, and what all stand-ins have in common.
//!
//! cargo resolves all members of a workspace before it packs one, and requires the manifests of all dependencies. A
//! crate on the registry cannot depend on a git repository, so nothing of these packages reaches it. Name, version and
//! dependencies from the lock file, and the features in the commit's manifests, are enough. A wrong one causes an
//! error, or shows in the bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use toml::Value;
use url::Url;

use super::folder::MOST_MANIFESTS;
use super::lockfile::{self, CargoLock};
use crate::plan::{Assumption, InlineFile, Origin, assume, places};
use crate::store::{Checkout, GitError};
use crate::text::plural;

/// The features that the manifests of a commit request, by package name.
#[derive(Default)]
pub(super) struct Features(BTreeMap<String, BTreeSet<String>>);

impl Features {
    fn of(checkout: &Checkout) -> Result<Self, GitError> {
        let mut found = Self::default();
        each_manifest(checkout, |manifest| found.add(manifest))?;
        Ok(found)
    }

    /// The features that are requested of a package.
    pub(super) fn of_package(&self, name: &str) -> impl Iterator<Item = &String> {
        self.0.get(name).into_iter().flatten()
    }

    /// Adds the features in a table of a manifest, and in tables within it.
    pub(super) fn add(&mut self, value: &Value) {
        let Value::Table(table) = value else {
            return;
        };
        for (key, value) in table {
            let Value::Table(inner) = value else {
                continue;
            };
            match key.as_str() {
                key if is_of_dependencies(key) => {
                    for (name, entry) in inner {
                        self.ask(package_of(name, entry), strings(entry.get("features")));
                    }
                }
                "features" => {
                    for feature in inner.values().flat_map(|list| strings(Some(list))) {
                        if let Some((name, feature)) = feature.split_once('/') {
                            self.ask(name.trim_end_matches('?'), std::iter::once(feature));
                        }
                    }
                }
                _ => self.add(value),
            }
        }
    }

    pub(super) fn ask<'a>(&mut self, name: &str, features: impl Iterator<Item = &'a str>) {
        let asked = self.0.entry(name.to_owned()).or_default();
        asked.extend(features.map(str::to_owned));
    }
}

/// Reads every manifest of a commit; those that are not TOML are left out.
pub(super) fn each_manifest(checkout: &Checkout, mut each: impl FnMut(&Value)) -> Result<(), GitError> {
    checkout.each_named("Cargo.toml", MOST_MANIFESTS, |_, bytes| {
        if let Ok(manifest) = toml::from_str::<Value>(&String::from_utf8_lossy(bytes)) {
            each(&manifest);
        }
        None::<()>
    })?;
    Ok(())
}

/// Whether a manifest's table of this name has dependencies.
pub(super) fn is_of_dependencies(key: &str) -> bool {
    matches!(key, "dependencies" | "dev-dependencies" | "build-dependencies")
}

/// The package that a dependency names, which may have been renamed.
pub(super) fn package_of<'a>(name: &'a str, entry: &'a Value) -> &'a str {
    entry.get("package").and_then(Value::as_str).unwrap_or(name)
}

/// Reads a manifest for the features that it requests.
pub(super) fn read(text: &str) {
    if let Ok(manifest) = toml::from_str::<Value>(text) {
        Features::default().add(&manifest);
    }
}

pub(super) fn strings(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// The files for the sandbox, and the assumptions behind them; none if the lock file takes nothing from git.
pub(super) fn of(
    checkout: &Checkout,
    lock: Option<&str>,
) -> Result<(Vec<InlineFile>, Option<Assumption>), GitError> {
    let lock = lock.and_then(|text| lockfile::read(text).ok());
    let Some(lock) = lock.filter(CargoLock::takes_from_git) else {
        return Ok((Vec::new(), None));
    };
    let features = Features::of(checkout)?;
    let (mut files, mut sources) = (Vec::new(), BTreeSet::new());
    let mut names = Vec::new();
    for package in lock.git_packages() {
        let Some(source) =
            source(&package.source).filter(|_| is_plain(&package.name) && is_plain(&package.version))
        else {
            continue;
        };
        sources.insert(source);
        let asked = features.of_package(&package.name);
        let about = (package.name.as_str(), package.version.as_str());
        let manifest = manifest(about, &package.dependencies, asked);
        files.extend(package_files(places::STAND_INS, about, manifest, None));
        names.push(format!("{} {}", package.name, package.version));
    }
    let mut config = format!(
        "[source.stand-ins]\ndirectory = \"/inputs/{}\"\n",
        places::STAND_INS
    );
    config.extend(sources);
    files.push(InlineFile {
        place: places::STAND_INS_CONFIG.into(),
        text: config,
    });
    let value = by_name_alone("package", &names);
    let from = Origin::Convention("a crate of the registry has nothing from git".into());
    Ok((
        files,
        Some(assume("packages that the workspace takes from git", value, from)),
    ))
}

/// What an assumption says of the packages that are stood in for.
pub(super) fn by_name_alone(noun: &str, names: &[String]) -> String {
    format!(
        "{}, by its name alone: {}",
        plural(names.len(), noun),
        names.join(", ")
    )
}

/// The files of a package in a folder of packages (cargo's "directory source"), with the checksum of its archive where
/// it is one of a registry.
pub(super) fn package_files(
    folder: &str,
    (name, version): (&str, &str),
    manifest: String,
    checksum: Option<&str>,
) -> [InlineFile; 3] {
    let checksums = serde_json::json!({"files": {}, "package": checksum});
    let file = |path: &str, text: String| InlineFile {
        place: format!("{folder}/{name}-{version}/{path}"),
        text,
    };
    [
        file("Cargo.toml", manifest),
        file("src/lib.rs", places::STAND_IN_TEXT.to_owned()),
        file(".cargo-checksum.json", checksums.to_string()),
    ]
}

/// The lines that replace a source, which has the form `git+https://HOST/PATH?rev=NAME#COMMIT`.
fn source(text: &str) -> Option<String> {
    let mut url = Url::parse(text.strip_prefix("git+")?).ok()?;
    url.set_fragment(None);
    let mut lines = String::new();
    for (key, value) in url
        .query_pairs()
        .filter(|(key, _)| ["rev", "tag", "branch"].contains(&&**key))
    {
        let _ = writeln!(lines, "{key} = {}", quoted(&value));
    }
    let whole = quoted(&format!("git+{url}"));
    url.set_query(None);
    Some(format!(
        "[source.{whole}]\ngit = {}\n{lines}replace-with = \"stand-ins\"\n",
        quoted(url.as_str())
    ))
}

/// Whether a name or a version can be part of a path.
pub(super) fn is_plain(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_+.".contains(c))
}

/// The manifest of a package with a name and a version, dependencies of the registry, and features. No lock file tells
/// which features of its dependencies it requests. One that the others do not request may need a crate that is not
/// there.
pub(super) fn manifest<'a>(
    (name, version): (&str, &str),
    dependencies: &[(String, String)],
    features: impl Iterator<Item = &'a String>,
) -> String {
    let mut text = format!(
        "[package]\nname = {}\nversion = {}\n[dependencies]\n",
        quoted(name),
        quoted(version)
    );
    for (index, (name, version)) in dependencies.iter().enumerate() {
        let _ = writeln!(
            text,
            "d{index} = {{ package = {}, version = {}, default-features = false }}",
            quoted(name),
            quoted(&format!("={version}"))
        );
    }
    text.push_str("[features]\n");
    for feature in features.filter(|feature| *feature != "default") {
        let _ = writeln!(text, "{} = []", quoted(feature));
    }
    text
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_git_source_is_replaced_by_the_name_that_the_lock_file_has() {
        for (text, expected) in [
            (
                "git+https://h/o/r.git?rev=35ce#35ce7d",
                Some(
                    "[source.\"git+https://h/o/r.git?rev=35ce\"]\ngit = \"https://h/o/r.git\"\nrev = \"35ce\"\nreplace-with = \"stand-ins\"\n",
                ),
            ),
            (
                "git+https://h/o/r#35ce7d",
                Some(
                    "[source.\"git+https://h/o/r\"]\ngit = \"https://h/o/r\"\nreplace-with = \"stand-ins\"\n",
                ),
            ),
            ("registry+https://h/o/r", None),
        ] {
            assert_eq!(source(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_stand_in_requests_no_features_of_its_dependencies() {
        let dependencies = [("b".to_owned(), "2.0.0-pre.1".to_owned())];
        let features = ["x".to_owned()];
        let text = manifest(("a", "1.0.0"), &dependencies, features.iter());
        let manifest: Value = toml::from_str(&text).unwrap();
        let dependency = &manifest["dependencies"]["d0"];
        assert_eq!(dependency["version"].as_str(), Some("=2.0.0-pre.1"));
        assert_eq!(dependency["default-features"].as_bool(), Some(false));
        assert!(manifest["features"].get("x").is_some(), "{text}");
    }

    #[test]
    fn features_are_those_that_any_manifest_asks_for() {
        let mut features = Features::default();
        features.add(&toml::from_str::<Value>(
            "[workspace.dependencies]\na = { git = \"https://h/a\", features = [\"x\"] }\n\
             [target.'cfg(unix)'.dependencies]\nrenamed = { package = \"a\", version = \"1\", features = [\"y\"] }\n\
             [features]\ndefault = [\"a?/z\", \"other\"]\n",
        ).unwrap());
        let asked: Vec<_> = features.0["a"].iter().map(String::as_str).collect();
        assert_eq!(asked, ["x", "y", "z"]);
    }
}
