//! The requirements of packages: which package of the registry, in which versions, and whether it is optional.

use std::collections::BTreeSet;

use serde_json::Value;

use super::manifest::Package;
use super::resolve::Release;
use crate::evidence::json::member;

/// A requirement: package, range, and whether the build continues without it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wanted {
    pub name: String,
    pub range: String,
    pub optional: bool,
    /// Whether the package itself requires it.
    pub direct: bool,
}

/// The requirements of a package of the source, except other packages of the source. What it requires of itself is
/// another version.
pub(super) fn wanted_by_root(package: &Package, own: &BTreeSet<String>, open: &mut BTreeSet<Wanted>) {
    let lists = [
        (&package.dependencies, false),
        (&package.dev_dependencies, false),
        (&package.optional_dependencies, true),
    ];
    let beside = |name: &String| own.contains(name) && package.name.as_ref() != Some(name);
    for (list, optional) in lists {
        for (name, range) in list {
            let also_optional = optional || package.optional_dependencies.contains_key(name);
            if let Some(range) = range.as_str().filter(|_| !beside(name)) {
                open.extend(wanted(name, range, also_optional, true));
            }
        }
    }
    for (name, version) in package.resolutions() {
        open.extend(wanted(name, version, true, false));
    }
    for (name, range) in &package.peer_dependencies {
        let known = package.dev_dependencies.contains_key(name) || own.contains(name);
        if let Some(range) = range.as_str().filter(|_| !known) {
            open.extend(wanted(name, range, true, true));
        }
    }
}

/// The requirements of a released package.
pub(super) fn wanted_by(release: &Release, optional: bool, open: &mut BTreeSet<Wanted>) {
    let is_optional = |name: &str| release.optional_dependencies.get(name).is_some();
    let lists = [
        (&release.dependencies, false),
        (&release.optional_dependencies, true),
    ];
    for (list, of_list) in lists {
        for (name, range) in list.as_object().into_iter().flatten() {
            if let Some(range) = range.as_str() {
                open.extend(wanted(
                    name,
                    range,
                    optional || of_list || is_optional(name),
                    false,
                ));
            }
        }
    }
    // npm 7 and later install peer dependencies, and only warn if these are missing.
    for (name, range) in release.peer_dependencies.as_object().into_iter().flatten() {
        let left_out =
            member(&release.peer_dependencies_meta, [name.as_str(), "optional"]) == &Value::Bool(true);
        if let Some(range) = range.as_str().filter(|_| !left_out) {
            open.extend(wanted(name, range, true, false));
        }
    }
}

/// A requirement for the registry; `None` for folders, archives and repositories.
pub(super) fn wanted(name: &str, range: &str, optional: bool, direct: bool) -> Option<Wanted> {
    let range = range.trim();
    let (name, range) = match range.strip_prefix("npm:") {
        Some(alias) => match alias.rsplit_once('@').filter(|(name, _)| !name.is_empty()) {
            Some((name, range)) => (name, range),
            None => (alias, "*"),
        },
        None => (name, range),
    };
    let elsewhere = range.contains(':') || range.contains('/');
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~@/".contains(c);
    (!elsewhere && name.chars().all(plain) && !name.contains("..")).then(|| Wanted {
        name: name.to_owned(),
        range: if range.is_empty() {
            "*".to_owned()
        } else {
            range.to_owned()
        },
        optional,
        direct,
    })
}

/// Names of a package's requirements that come from a repository or an address instead of a registry, in the form that
/// npm allows for names.
pub(super) fn foreign(package: &Package) -> Vec<String> {
    let lists = [
        &package.dependencies,
        &package.dev_dependencies,
        &package.optional_dependencies,
    ];
    let plain = |name: &&String| {
        name.chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._~@/".contains(c))
    };
    let all = lists.into_iter().flatten();
    let foreign = all.filter(|(_, range)| range.as_str().is_some_and(is_foreign));
    let names: BTreeSet<String> = foreign.map(|(name, _)| name).filter(plain).cloned().collect();
    names.into_iter().collect()
}

/// Whether a requirement names a repository or an address: not a range, a tag, or a folder of the source.
fn is_foreign(range: &str) -> bool {
    let hosted = |range: &str| {
        let (owner, name) = range.split_once('/')?;
        let owned = !owner.is_empty() && !owner.starts_with(['.', '~', '@']);
        Some(owned && !name.is_empty())
    };
    match range.trim().split_once(':') {
        Some((kind, _)) => {
            let hosts = ["git", "http", "https", "github", "gitlab", "bitbucket", "gist"];
            hosts.contains(&kind) || kind.starts_with("git+") || kind.starts_with("git@")
        }
        None => hosted(range.trim()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_registry_has_is_foreign() {
        let text = r#"{
            "dependencies": {"a": "^1", "b": "o/r#v1", "c": "npm:d@1", "d": "file:../d"},
            "devDependencies": {"e": "git+https://h/o/r.git#0123", "f": "https://h/f.tgz", "g": "workspace:*", "h": "latest"},
            "optionalDependencies": {"i": "git@github.com:o/r.git", "j": "../j", "k": "~/k", "l": "github:o/r", "x y": "o/r"}
        }"#;
        let package: Package = serde_json::from_str(text).unwrap_or_default();
        assert_eq!(foreign(&package), ["b", "e", "f", "i", "l"]);
    }

    #[test]
    fn another_version_of_the_package_itself_is_wanted() {
        let text = r#"{"name": "a", "devDependencies": {"a": "^1", "b": "^1", "c": "^1"}, "resolutions": {"c/d": "1.0.0"}}"#;
        let package: Package = serde_json::from_str(text).unwrap_or_default();
        let own = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        let mut open = BTreeSet::new();
        wanted_by_root(&package, &own, &mut open);
        let names: Vec<_> = open.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["a", "c", "d"]);
    }

    #[test]
    fn only_what_the_registry_has_is_wanted() {
        for (name, range, expected) in [
            ("a", "^1", Some(("a", "^1"))),
            ("a", "npm:@b/c@2.0.0", Some(("@b/c", "2.0.0"))),
            ("a", "npm:b", Some(("b", "*"))),
            ("a", "", Some(("a", "*"))),
            ("a", "workspace:*", None),
            ("a", "github:o/r", None),
            ("a", "o/r#v1", None),
            ("../a", "^1", None),
        ] {
            let found = wanted(name, range, false, true);
            let found = found.as_ref().map(|it| (it.name.as_str(), it.range.as_str()));
            assert_eq!(found, expected, "{name} {range}");
        }
    }
}
