//! Workspaces: several packages of one source, which are installed together.

use crate::artifact::pattern;
use crate::ecosystem::PlanError;
use crate::ecosystem::npm::manifest::Package;
use crate::ecosystem::npm::plan::Draft;

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
