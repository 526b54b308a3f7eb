//! What the members of a workspace turn on in the crates of a lock file that is not theirs.
//!
//! The lock file of a released crate names what that crate needs. If another member requests more features of one of
//! these crates, cargo needs the optional dependencies that they turn on.

use std::collections::{BTreeMap, BTreeSet};

use toml::Value;

use super::members::{Wanted, of_registry};
use super::stand_in::{self, Features, package_of, strings};

/// The manifests of the crates of a lock file, by name.
pub(super) type Manifests = BTreeMap<String, Vec<Value>>;

/// Adds the optional dependencies that requested features turn on, and the features that these lead to.
pub(super) fn add(manifests: &Manifests, wanted: &mut Wanted, features: &mut Features) {
    let mut open: Vec<(String, String)> = Vec::new();
    for name in manifests.keys() {
        let asked = features.of_package(name).cloned();
        // Whether a member turns the default features off is not followed: a stand-in too many is never taken.
        let asked = asked.chain(wanted.names(name).then(|| DEFAULT.to_owned()));
        open.extend(asked.map(|feature| (name.clone(), feature)));
    }
    let mut seen = BTreeSet::new();
    while let Some(next) = open.pop() {
        if !seen.insert(next.clone()) {
            continue;
        }
        let (name, feature) = &next;
        for manifest in manifests.get(name).into_iter().flatten() {
            for (package, feature) in turned_on(manifest, feature, wanted) {
                features.ask(&package, std::iter::once(feature.as_str()));
                open.push((package, feature));
            }
        }
    }
}

const DEFAULT: &str = "default";

/// The features that a feature of a package turns on, in itself and in others; the dependencies go to `wanted`.
fn turned_on(manifest: &Value, feature: &str, wanted: &mut Wanted) -> Vec<(String, String)> {
    let own = manifest.get("package").and_then(|package| package.get("name"));
    let own = own.and_then(Value::as_str).unwrap_or_default();
    let listed = manifest.get("features").and_then(|all| all.get(feature));
    let entries: Vec<&str> = match listed {
        Some(_) => strings(listed).collect(),
        // A feature without an entry is an optional dependency of that name.
        None => return dependency(manifest, feature, wanted),
    };
    let mut found = Vec::new();
    for entry in entries {
        if let Some(name) = entry.strip_prefix("dep:") {
            found.extend(dependency(manifest, name, wanted));
        } else if let Some((name, feature)) = entry.split_once('/') {
            if !name.ends_with('?') {
                found.extend(dependency(manifest, name, wanted));
            }
            let name = name.trim_end_matches('?');
            let packages = entries_of(manifest, name).map(|entry| package_of(name, entry).to_owned());
            found.extend(packages.map(|package| (package, feature.to_owned())));
        } else {
            found.push((own.to_owned(), entry.to_owned()));
        }
    }
    found
}

/// Turns a dependency on, if there is one of this name: the features that it requests.
fn dependency(manifest: &Value, name: &str, wanted: &mut Wanted) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in entries_of(manifest, name) {
        wanted.insert(of_registry(name, entry));
        let default = entry.get("default-features").and_then(Value::as_bool);
        let default = default.unwrap_or(true).then_some(DEFAULT);
        let asked = strings(entry.get("features")).chain(default);
        let package = package_of(name, entry);
        found.extend(asked.map(|feature| (package.to_owned(), feature.to_owned())));
    }
    found
}

/// What a manifest says of a dependency of this name, for any platform.
fn entries_of<'a>(manifest: &'a Value, name: &'a str) -> impl Iterator<Item = &'a Value> {
    let targets = manifest.get("target").and_then(Value::as_table);
    let tables = std::iter::once(manifest).chain(targets.into_iter().flat_map(toml::Table::values));
    tables
        .filter_map(Value::as_table)
        .flatten()
        .filter(|(key, _)| stand_in::is_of_dependencies(key) && *key != "dev-dependencies")
        .filter_map(move |(_, all)| all.get(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_that_another_member_requests_lead_to_optional_dependencies() {
        let manifest = |text: &str| toml::from_str::<Value>(text).unwrap();
        let rand = manifest(
            "[package]\nname = \"rand\"\n[dependencies.chacha]\nversion = \"0.3\"\noptional = true\n\
             default-features = false\n[dependencies.core]\npackage = \"rand_core\"\nversion = \"0.6\"\n\
             [target.'cfg(unix)'.dependencies.libc]\nversion = \"0.2.22\"\noptional = true\n\
             [dependencies.log]\nversion = \"0.4\"\noptional = true\n[dependencies.serde]\nversion = \"1\"\n\
             optional = true\n[dev-dependencies.libc]\nversion = \"0.9\"\n[features]\ndefault = [\"std\"]\n\
             std = [\"core/std\", \"chacha/std\", \"libc\", \"serde?/std\"]\n",
        );
        let core = manifest(
            "[package]\nname = \"rand_core\"\n[dependencies.getrandom]\nversion = \"0.2\"\noptional = true\n\
             [features]\nstd = [\"dep:getrandom\", \"alloc\"]\nalloc = [\"std\"]\n",
        );
        let manifests = Manifests::from([("rand".into(), vec![rand]), ("rand_core".into(), vec![core])]);
        let (mut wanted, mut features) = (Wanted::default(), Features::default());
        let member = manifest("[dependencies]\nrand = { version = \"0.8\", default-features = false }\n");
        wanted.add(&member);
        features.add(&member);
        add(&manifests, &mut wanted, &mut features);
        let locked = ["rand 0.8.5", "rand_core 0.6.4"].map(|text| {
            let (name, version) = text.split_once(' ').unwrap();
            (name.to_owned(), version.to_owned())
        });
        let missing: Vec<_> = wanted.beyond(&locked).into_iter().map(|(name, _)| name).collect();
        assert_eq!(missing, ["chacha", "getrandom", "libc"]);
        assert!(features.of_package("chacha").any(|feature| feature == "std"));
    }
}
