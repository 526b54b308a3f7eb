//! Paths of the folders that were built in.

use std::sync::LazyLock;

use regex::Regex;

use crate::compare::cause::{Cause, Confidence, Reason};

/// Folders that people and services build in.
pub(super) static BUILD_ROOT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"^/(?:builds?|builddir|buildkite|home|root|Users|tmp|var/(?:tmp|lib|cache|folders)|usr/src|usr/local/src|src|works?|workspaces?|github|__w|mnt|data|private|opt/build|app|io|project|repo|code|nix/build|dev/shm|proc/self/cwd|run|srv|media|scratch|ws)(?:/|$)",
    )
    .ok()
});

/// Two paths with the same end below two build folders; none for paths that mean something where the package runs.
pub(in crate::compare) fn path(released: &str, rebuilt: &str, build_folder: bool) -> Option<Reason> {
    let (old, new): (Vec<_>, Vec<_>) = (released.split('/').collect(), rebuilt.split('/').collect());
    let shared = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take_while(|(old, new)| old == new)
        .count();
    // At least the first part is not shared.
    let head = |parts: &[&str]| {
        let length = parts.len().saturating_sub(shared).max(1);
        parts.get(..length).unwrap_or(parts).join("/")
    };
    let (old_head, new_head) = (head(&old), head(&new));
    let is_built_in = |head: &str| BUILD_ROOT.as_ref().is_some_and(|pattern| pattern.is_match(head));
    if !(build_folder || is_built_in(&old_head) && is_built_in(&new_head)) {
        return None;
    }
    let confidence = if build_folder || shared > 0 {
        Confidence::Likely
    } else {
        Confidence::Possible
    };
    Some(Reason::new(
        Cause::BuildPath,
        format!("{old_head} → {new_head}"),
        confidence,
    ))
}
