//! Paths of build folders.

use std::sync::LazyLock;

use regex::Regex;

use super::spot::Spot;
use crate::compare::cause::{Cause, Confidence, Reason};

/// Folders that are made for builds: two of them are a pair without further evidence.
static BUILD_FOLDER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^/(?:builds?|builddir|buildroot|buildkite|workspaces?|github/workspace|__w|nix/build|opt/build|var/cache/pbuilder|var/lib/jenkins|usr/src)(?:/|$)").ok()
});

/// Folders in which people and services build, among other things.
pub(super) static BUILD_ROOT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^(?:/(?:builds?|builddir|buildroot|buildkite|home/[^/]+|root|Users/[^/]+|private/(?:var/folders|tmp)|var/folders|usr/src|usr/local/src|src|works?|workspaces?|github|__w|nix/build|opt/build|app|io|project|repo|code|go/src|scratch|ws|mnt/[^/]+|dev/shm|var/cache/pbuilder|var/lib/(?:jenkins|buildkite-agent|buildbot|docker)|(?:var/)?tmp/[^/]*(?:[Tt]mp|build|pip-|work|src|sandbox|job|pkg|[._-][A-Za-z0-9_]{6})[^/]*)|[A-Za-z]:/(?:Users/[^/]+|a|build|projects|Windows/Temp))(?:/|$)").ok()
});

/// A folder with one of these names is not a build folder, wherever it is.
const RUNS: [&str; 6] = [".ssh", "bin", "sbin", "etc", ".config", ".gnupg"];

fn fits(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

/// Two paths in a text. A program uses its paths, unless they can only be those of a build.
pub(super) fn path_at(old: &Spot, new: &Spot) -> Option<Reason> {
    if !begins(old) || !begins(new) || old.is_in_url() || new.is_in_url() {
        return None;
    }
    let reason = path(old.value(), new.value(), old.context.build_folder)?;
    let of_build = is_of_build(old) && is_of_build(new);
    let commented = old.is_in_comment() && new.is_in_comment();
    let used = old.context.code && !old.context.build_folder && !of_build && !commented;
    let confidence = if used {
        Confidence::Possible
    } else {
        reason.confidence
    };
    Some(Reason { confidence, ..reason })
}

/// Whether a path is below a folder made for builds, or its name says that it belongs to a build.
fn is_of_build(spot: &Spot) -> bool {
    const NAMES: [&str; 8] = [
        "srcdir",
        "builddir",
        "sourcedir",
        "build",
        "objdir",
        "destdir",
        "topdir",
        "source",
    ];
    fits(&BUILD_FOLDER, &slashed(spot.value())) || spot.key_has(&NAMES)
}

/// Whether a path begins here, rather than in the middle of another one or after `#!`.
fn begins(spot: &Spot) -> bool {
    let Some(last) = spot.last_before() else {
        return true;
    };
    if spot.before().ends_with("file://") {
        return true;
    }
    if spot.value().contains('\\') {
        return !last.is_alphanumeric();
    }
    let word = spot
        .before()
        .rsplit([' ', '\t', '"', '\'', '='])
        .next()
        .unwrap_or_default();
    let is_option = word.starts_with('-') && word.chars().skip(1).all(char::is_alphanumeric);
    let is_remote = word.contains('@') && word.ends_with(':');
    is_option && word.len() > 1
        || !is_remote
            && (last.is_whitespace()
                || matches!(
                    last,
                    '"' | '\'' | '`' | '=' | ':' | '(' | '[' | '{' | ',' | '<' | '>' | ';' | '|'
                ))
}

/// Two paths with the same end below two build folders; `None` for paths that have a meaning where the package runs.
pub(in crate::compare) fn path(released: &str, rebuilt: &str, build_folder: bool) -> Option<Reason> {
    let (released, rebuilt) = (slashed(released), slashed(rebuilt));
    let (old, new): (Vec<_>, Vec<_>) = (released.split('/').collect(), rebuilt.split('/').collect());
    let shared = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take_while(|(old, new)| old == new)
        .count();
    // At least the first component is not shared.
    let head = |parts: &[&str]| {
        let length = parts.len().saturating_sub(shared).max(1);
        parts.get(..length).unwrap_or(parts).join("/")
    };
    let (old_head, new_head) = (head(&old), head(&new));
    let both = |pattern| fits(pattern, &old_head) && fits(pattern, &new_head);
    let climbs = |parts: &[&str]| parts.contains(&"..");
    let runs = |head: &str| head.split('/').any(|part| RUNS.contains(&part));
    let fine = !climbs(&old) && !climbs(&new) && !runs(&old_head) && !runs(&new_head);
    if !(build_folder || both(&BUILD_ROOT) && fine) {
        return None;
    }
    let named = shared > 0 && old.len().min(new.len()) > shared
        || both(&BUILD_FOLDER) && is_folder(&old) && is_folder(&new);
    let confidence = if build_folder || named {
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

/// Whether a path that is not followed by a file is short enough to be the folder itself.
fn is_folder(parts: &[&str]) -> bool {
    parts.len() <= 4
        && parts
            .last()
            .is_some_and(|last| !last.contains('.') || parts.len() <= 3)
}

/// The path in Unix form.
fn slashed(path: &str) -> String {
    if path.contains('\\') {
        path.replace("\\\\", "/").replace('\\', "/")
    } else {
        path.to_owned()
    }
}
