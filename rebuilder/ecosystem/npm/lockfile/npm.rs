//! Lock files of npm, versions 1 to 3.

use serde_json::Value;

use super::{LockedPackage, fetchable, fits, unique};
use crate::evidence::json;
use crate::evidence::json::member;
use crate::evidence::npm::REGISTRY;

/// The tarballs that a `package-lock.json` or `npm-shrinkwrap.json` names, for Linux on x86-64.
pub(in crate::ecosystem::npm) fn npm(text: &[u8]) -> Result<Vec<LockedPackage>, String> {
    read(text, true)
}

/// The tarballs that npm 6 and older read in such a file. They know only its older list, which does not say which
/// systems a package is for, and they fetch all of them.
pub(in crate::ecosystem::npm) fn npm_6(text: &[u8]) -> Result<Vec<LockedPackage>, String> {
    read(text, false)
}

fn read(text: &[u8], newer: bool) -> Result<Vec<LockedPackage>, String> {
    let lock = json::parse(text).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    let older = member(&lock, ["dependencies"]).as_object();
    let packages = member(&lock, ["packages"]).as_object();
    if let Some(packages) = packages.filter(|_| newer || older.is_none()) {
        for (path, entry) in packages.iter().filter(|(path, _)| !path.is_empty()) {
            take(path, entry, false, &mut found)?;
        }
    } else if let Some(dependencies) = older {
        nested(dependencies, &mut found, 64)?;
    }
    unique(found)
}

/// Version 1 nests dependencies in dependencies.
fn nested(
    dependencies: &serde_json::Map<String, Value>,
    found: &mut Vec<LockedPackage>,
    depth: usize,
) -> Result<(), String> {
    for (name, entry) in dependencies {
        take(name, entry, true, found)?;
        if let Some(inner) = entry["dependencies"].as_object().filter(|_| depth > 0) {
            nested(inner, found, depth.saturating_sub(1))?;
        }
    }
    Ok(())
}

fn take(name: &str, entry: &Value, nested: bool, found: &mut Vec<LockedPackage>) -> Result<(), String> {
    let is = |key: &str| entry[key] == true;
    let is_folder = entry["version"]
        .as_str()
        .is_some_and(|version| version.starts_with("file:"));
    // Links are folders of the source; bundled packages are inside other packages.
    if is("link")
        || is_folder
        || is("inBundle")
        || is("bundled")
        || !fits(entry, "os", "linux")
        || !fits(entry, "cpu", "x64")
    {
        return Ok(());
    }
    let (version, integrity) = (entry["version"].as_str(), entry["integrity"].as_str());
    let url = match (entry["resolved"].as_str(), version) {
        (Some(url), _) => url.to_owned(),
        (None, Some(version)) if nested || name.contains("node_modules") => {
            let own = name.rsplit("node_modules/").next().unwrap_or_default();
            of_version(entry["name"].as_str().unwrap_or(own), version)
                .ok_or_else(|| format!("{name} has no address"))?
        }
        // Workspaces are folders of the source too, and have no address.
        _ => return Ok(()),
    };
    let integrity = integrity.unwrap_or_default();
    found.push(fetchable(name, &url, integrity, is("optional"))?);
    Ok(())
}

/// The address of a version in the registry; `None` if it is from somewhere else.
fn of_version(name: &str, version: &str) -> Option<String> {
    let (name, version) = match version.strip_prefix("npm:") {
        Some(alias) => alias.rsplit_once('@')?,
        None => (name, version),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-+.".contains(c);
    let file = name.rsplit('/').next()?;
    let is_version = version.starts_with(|c: char| c.is_ascii_digit()) && version.chars().all(plain);
    is_version.then(|| format!("{REGISTRY}/{name}/-/{file}-{version}.tgz"))
}
