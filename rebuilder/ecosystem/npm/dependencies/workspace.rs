//! Workspaces: several packages of one source, which are installed together.

use std::collections::{BTreeMap, BTreeSet};

use crate::artifact::pattern;
use crate::ecosystem::PlanError;
use crate::ecosystem::npm::manifest::Package;
use crate::ecosystem::npm::plan::Draft;

/// Maximum number of folders that are required as they are.
const MOST: usize = 200;

/// The folder in which the workspace is installed, and the manifests of all its packages.
pub(super) fn workspace(draft: &Draft<'_>, directory: &str) -> Result<(String, Vec<Package>), PlanError> {
    let top = draft
        .manifest("")?
        .filter(|top| !top.workspace_patterns().is_empty());
    let Some(top) = top.filter(|_| !directory.is_empty()) else {
        let own = draft.manifest(directory)?;
        return Ok((directory.to_owned(), own.into_iter().collect()));
    };
    let patterns: Vec<String> = top
        .workspace_patterns()
        .into_iter()
        .map(|pattern| pattern.trim_start_matches("./").trim_end_matches('/').to_owned())
        .collect();
    let folders = draft
        .paths
        .iter()
        .filter_map(|path| path.strip_suffix("/package.json"));
    let mut manifests = vec![top];
    for folder in folders.filter(|folder| patterns.iter().any(|pattern| is_workspace(pattern, folder))) {
        manifests.extend(draft.manifest(folder)?);
    }
    Ok((String::new(), manifests))
}

/// The manifests of the folders that the package in a folder requires as they are, and of those that these require.
pub(super) fn linked(draft: &Draft<'_>, directory: &str) -> Result<Vec<Package>, PlanError> {
    let (mut found, mut open) = (Vec::new(), vec![directory.to_owned()]);
    let mut seen = BTreeSet::from([directory.to_owned()]);
    while let Some(folder) = open.pop().filter(|_| seen.len() <= MOST) {
        let Some(package) = draft.manifest(&folder)? else {
            continue;
        };
        let fresh = folders(&folder, &package)
            .into_iter()
            .filter(|it| seen.insert(it.clone()));
        open.extend(fresh.collect::<Vec<_>>());
        if folder != directory {
            found.push(package);
        }
    }
    Ok(found)
}

/// The folders of the source that a package in `directory` requires.
fn folders(directory: &str, package: &Package) -> Vec<String> {
    let lists = [&package.dependencies, &package.dev_dependencies];
    let ranges = lists.into_iter().flat_map(BTreeMap::values);
    let paths = ranges.filter_map(|range| {
        let range = range.as_str()?;
        range
            .strip_prefix("file:")
            .or_else(|| range.strip_prefix("link:"))
    });
    paths.filter_map(|path| joined(directory, path)).collect()
}

/// A path that begins in a folder of the source; `None` if it leads out of the source.
fn joined(directory: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    if path.starts_with(['/', '~']) {
        return None;
    }
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Whether a pattern in `workspaces` matches a folder; `**` stands for any number of folders, `*` for a part of one
/// name.
fn is_workspace(pattern: &str, folder: &str) -> bool {
    match (pattern.split_once('/'), folder.split_once('/')) {
        (Some(("**", rest)), _) if is_workspace(rest, folder) => true,
        (Some(("**", _)), Some((_, below))) => is_workspace(pattern, below),
        (Some((first, rest)), Some((name, below))) => pattern::fits(first, name) && is_workspace(rest, below),
        (None, None) => pattern::fits(pattern, folder),
        (None, Some(_)) => pattern == "**",
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_required_by_their_paths() {
        for (directory, range, expected) in [
            ("", "file:./utils", Some("utils")),
            ("", "file:tests/a/", Some("tests/a")),
            ("packages/a", "link:../b", Some("packages/b")),
            ("a", "file:..", Some("")),
            ("a", "file:../..", None),
            ("", "file:/etc", None),
            ("", "file:~/x", None),
            ("", "^1.0.0", None),
        ] {
            let text = format!(r#"{{"devDependencies": {{"x": "{range}"}}}}"#);
            let package: Package = serde_json::from_str(&text).unwrap_or_default();
            let found = folders(directory, &package);
            assert_eq!(found.first().map(String::as_str), expected, "{directory} {range}");
        }
    }

    #[test]
    fn workspaces_are_named_by_patterns() {
        for (pattern, folder, is) in [
            ("packages/*", "packages/a", true),
            ("packages/*", "packages/a/b", false),
            ("packages/**", "packages/a/b", true),
            ("**/a", "x/y/a", true),
            ("tool", "tool", true),
            ("tool-*", "tool-a", true),
            ("packages/*", "other/a", false),
        ] {
            assert_eq!(is_workspace(pattern, folder), is, "{pattern} {folder}");
        }
    }
}
