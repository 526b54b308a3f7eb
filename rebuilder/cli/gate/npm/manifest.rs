//! What manifests ask for that does not come from a registry. If the manifests and the lock file do not agree, npm
//! follows the manifests: it then packs a folder or a file that was not checked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::super::judge::Candidate;
use super::lock::{self, Entry};
use crate::bounded;
use crate::cli::failure::Failure;

/// The dependencies of one package, by name.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Wants {
    dependencies: Value,
    dev_dependencies: Value,
    optional_dependencies: Value,
    peer_dependencies: Value,
}

/// `package.json`, as far as it says what is installed.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Manifest {
    #[serde(flatten)]
    wants: Wants,
    overrides: Value,
    workspaces: Value,
}

/// Everything that the manifests of a project and its lock file ask for and that does not come from a registry.
pub(super) fn unchecked(
    project: &Path,
    packages: &BTreeMap<String, Entry>,
) -> Result<Vec<Candidate>, Failure> {
    let links: Vec<_> = packages
        .iter()
        .filter(|(_, entry)| entry.link)
        .map(|(key, entry)| (key.as_str(), entry.resolved.as_deref().unwrap_or_default()))
        .collect();
    let linked = |name: &str, folder: &str| {
        let mut links = links.iter();
        links.any(|(key, target)| is_installed_as(key, name) && *target == folder)
    };
    let mut found = BTreeSet::new();
    // The project has a manifest even if the lock file has no entry for it.
    let project_itself = (String::new(), Entry::default());
    let listed = packages.iter().filter(|(key, _)| !key.is_empty());
    let root = packages
        .get_key_value("")
        .unwrap_or((&project_itself.0, &project_itself.1));
    for (key, entry) in std::iter::once(root).chain(listed) {
        let own = !key.contains("node_modules/");
        let is_checked = |name: &str, spec: &str| {
            comes_from_registry(spec) || own && folder(key, spec).is_some_and(|folder| linked(name, &folder))
        };
        let mut look = |file: &str, wants: &Wants| {
            for (name, spec) in wants.all(file)? {
                if !is_checked(name, spec) {
                    found.insert((format!("npm:{name}"), format!("{file} takes it from {spec:?}")));
                }
            }
            Ok::<_, Failure>(())
        };
        look("package-lock.json", &entry.wants)?;
        if !own {
            continue;
        }
        let place = Path::new(key).join("package.json");
        let file = place.display().to_string();
        let Some(manifest) = read(&project.join(&place), &file)? else {
            continue;
        };
        look(&file, &manifest.wants)?;
        for spec in strings(&manifest.overrides) {
            if !spec.starts_with('$') && !comes_from_registry(spec) {
                found.insert((format!("npm:{spec}"), format!("an override in {file} names it")));
            }
        }
        for folder in strings(&manifest.workspaces) {
            if !may_leave(folder) {
                continue;
            }
            let why = format!("{file} names it as a workspace, and it may be outside the project");
            found.insert((format!("npm:{folder}"), why));
        }
    }
    let unknown = |(label, why)| Candidate::unknown(label, why);
    Ok(found.into_iter().map(unknown).collect())
}

/// Whether the entry is of a package that is installed by that name.
fn is_installed_as(key: &str, name: &str) -> bool {
    key.strip_suffix(name)
        .is_some_and(|key| key.ends_with("node_modules/"))
}

/// Whether a pattern of workspaces may name a folder outside the project.
fn may_leave(folder: &str) -> bool {
    let leaves = folder.contains("..") || folder.contains('\\') || folder.starts_with(['/', '~']);
    leaves || (folder.contains(['{', '(']) && folder.contains('.'))
}

/// A manifest; `None` if there is no such file, as npm then uses the lock file's copy.
fn read(path: &Path, file: &str) -> Result<Option<Manifest>, Failure> {
    let unusable = |reason: String| Failure::usage(format!("cannot use {file}: {reason}"));
    if !path.exists() {
        return Ok(None);
    }
    let text = bounded::read_text(path, bounded::DOCUMENT).map_err(|error| unusable(error.to_string()))?;
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|error| unusable(error.to_string()))
}

impl Wants {
    fn all(&self, file: &str) -> Result<Vec<(&str, &str)>, Failure> {
        let unusable = || {
            Failure::usage(format!(
                "cannot use {file}: its dependencies are not an object of strings"
            ))
            .with_help("write them as {\"NAME\": \"VERSION\"}")
        };
        let kinds = [
            &self.dependencies,
            &self.dev_dependencies,
            &self.optional_dependencies,
            &self.peer_dependencies,
        ];
        let mut all = Vec::new();
        for kind in kinds {
            match kind {
                Value::Null => {}
                Value::Object(wanted) => {
                    for (name, spec) in wanted {
                        all.push((name.as_str(), spec.as_str().ok_or_else(unusable)?));
                    }
                }
                _ => return Err(unusable()),
            }
        }
        Ok(all)
    }
}

/// Whether it can only be a tarball with a digest: from a registry, or from an address without a fragment.
fn comes_from_registry(spec: &str) -> bool {
    let is_address = |scheme| spec.starts_with(scheme) && !spec.contains('#') && !spec.ends_with(".git");
    lock::is_registry(spec) || ["https://", "http://"].into_iter().any(is_address)
}

/// The folder of the project that `file:PATH` names, from the folder of a manifest.
fn folder(base: &str, spec: &str) -> Option<String> {
    let path = spec.strip_prefix("file:").unwrap_or(spec);
    if path.starts_with(['/', '~']) || path.contains(['\\', ':', '%', '#', '?']) {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// All texts in a value.
fn strings(value: &Value) -> Vec<&str> {
    let (mut open, mut found) = (vec![value], Vec::new());
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) => found.push(text.as_str()),
            Value::Array(list) => open.extend(list),
            Value::Object(map) => open.extend(map.values()),
            _ => {}
        }
    }
    found
}
