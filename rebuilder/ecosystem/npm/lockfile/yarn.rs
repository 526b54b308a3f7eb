//! Lock files of Yarn: version 1, and the names and versions in those of Yarn 2 and later.

use std::collections::BTreeSet;

use super::{LockedPackage, fetchable, registry_path, unique};

/// The tarballs that a `yarn.lock` of version 1 names.
pub(in crate::ecosystem::npm) fn yarn(text: &[u8]) -> Result<Vec<LockedPackage>, String> {
    let text = String::from_utf8_lossy(text);
    if text.contains("__metadata:") {
        return Err("it belongs to Yarn 2 or later, whose archives differ from the registry's".to_owned());
    }
    let lock = yarn_lock_parser::parse_str(&text).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for entry in lock.entries {
        let url = entry.resolved.split('#').next().unwrap_or_default();
        found.push(fetchable(entry.name, url, entry.integrity, false)?);
    }
    unique(found)
}

/// The requirements that a `yarn.lock` of version 1 has an answer for: names and ranges.
pub(in crate::ecosystem::npm) fn yarn_requirements(text: &[u8]) -> BTreeSet<(String, String)> {
    let text = String::from_utf8_lossy(text);
    let entries = yarn_lock_parser::parse_str(&text).map_or_else(|_| Vec::new(), |lock| lock.entries);
    let named = entries.iter().flat_map(|entry| &entry.descriptors);
    named
        .map(|(name, range)| ((*name).to_owned(), (*range).to_owned()))
        .collect()
}

/// Names and versions in a `yarn.lock` of Yarn 2 or later; `None` if it is of version 1.
pub(in crate::ecosystem::npm) fn yarn_versions(text: &[u8]) -> Option<Vec<(String, String)>> {
    let text = String::from_utf8_lossy(text);
    if !text.contains("__metadata:") {
        return None;
    }
    let resolution = |line: &str| {
        let value = line.trim().strip_prefix("resolution:")?.trim().trim_matches('"');
        let (name, version) = value.rsplit_once("@npm:")?;
        let version = version.split(':').next_back()?.split('#').next()?;
        Some((name.to_owned(), version.to_owned()))
    };
    let mut found: Vec<_> = text.lines().filter_map(resolution).collect();
    found.sort();
    found.dedup();
    Some(found)
}

/// The file name of a tarball in Yarn's offline mirror, which begins with the scope.
pub(in crate::ecosystem::npm) fn yarn_file(url: &str) -> String {
    let path = registry_path(url);
    let file = path.rsplit('/').next().unwrap_or_default();
    match path.split_once('/') {
        Some((scope, _)) if scope.starts_with('@') => format!("{scope}-{file}"),
        _ => file.to_owned(),
    }
}
