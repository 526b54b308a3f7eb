//! The lines of Go's build information (`runtime/debug.BuildInfo`): which of them differ, and the meaning of each.

use std::collections::BTreeMap;

use super::record::Record;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::file::comparator::Leaf;
use crate::compare::finding::Finding;

/// Maps what a line is about (`path`, `mod PATH`, `dep PATH`, `build KEY`) to its value, including a replacement.
pub(super) type Lines = BTreeMap<String, String>;

/// The line that says whether the folders of source files were left out.
pub(super) const TRIMPATH: &str = "build -trimpath";
/// The key of all that follows from it.
pub(super) const TRIMMED: &str = "built with -trimpath on one side only";
/// Go leaves these out with `-trimpath`, because they may name folders.
const LEFT_OUT: [&str; 4] = ["CGO_CFLAGS", "CGO_CPPFLAGS", "CGO_CXXFLAGS", "CGO_LDFLAGS"];

/// Shown for a line that one side does not have.
const NONE: &str = "none";

/// Adds a finding for each line that differs.
pub(super) fn compare(leaf: &mut Leaf, (old, new): (&Record, &Record), confidence: Confidence) {
    if old.version != new.version {
        let key = format!("{} → {}", old.version, new.version);
        leaf.add(
            Finding::new("version of Go", &old.version, &new.version)
                .because(Cause::ToolVersion, confidence)
                .keyed(key),
        );
    }
    if old.modules == new.modules {
        return;
    }
    let (Some(released), Some(rebuilt)) = (lines(&old.modules), lines(&new.modules)) else {
        let told = |record: &Record| String::from_utf8_lossy(&record.modules).into_owned();
        leaf.add(Finding::new("Go build information", told(old), told(new)));
        return;
    };
    let before = leaf.findings.len();
    let is_trimmed_once = released.contains_key(TRIMPATH) != rebuilt.contains_key(TRIMPATH);
    let mut names: Vec<&String> = released.keys().chain(rebuilt.keys()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let (old, new) = (released.get(name), rebuilt.get(name));
        if old != new {
            let told = |value: Option<&String>| value.cloned().unwrap_or_else(|| NONE.to_owned());
            let finding = line(name, &told(old), &told(new), confidence);
            let is_empty = old.or(new).is_some_and(String::is_empty);
            let flag = name.strip_prefix("build ").unwrap_or_default();
            let is_left_out = LEFT_OUT.contains(&flag) && is_empty;
            leaf.add(if is_trimmed_once && (name == TRIMPATH || is_left_out) {
                finding.keyed(TRIMMED)
            } else {
                finding
            });
        }
    }
    if leaf.findings.len() == before {
        // The same lines in another order.
        leaf.add(Finding::new("order of the Go build information", "", ""));
    }
}

/// One line that differs.
fn line(name: &str, old: &str, new: &str, confidence: Confidence) -> Finding {
    let finding = Finding::new(format!("Go build information, {name}"), old, new);
    let (kind, what) = name.split_once(' ').unwrap_or((name, ""));
    let version = |value: &str| {
        value
            .rsplit_once(' ')
            .map_or_else(|| value.to_owned(), |(version, _)| version.to_owned())
    };
    let both = |what: &str| format!("{what} {old} → {new}");
    match (kind, what) {
        ("build", what) if what.starts_with("vcs") && (old == NONE || new == NONE) => finding
            .because(Cause::GoBuildInformation, confidence)
            .keyed("the commit is recorded on one side only (-buildvcs)"),
        ("build", "vcs.revision") => finding
            .because(Cause::SourceRevision, confidence)
            .keyed(both("commit")),
        ("build", "vcs.time") => finding
            .because(Cause::Timestamp, confidence)
            .keyed("time of the commit in Go programs"),
        ("build", "vcs.modified") => finding
            .because(Cause::SourceRevision, confidence)
            .keyed("built from a source with changes that are not committed"),
        // The same version with another sum is a different module.
        ("dep", _) if version(old) == version(new) => finding.keyed("sum of a Go module"),
        ("dep", _) => finding
            .because(Cause::DependencyVersion, confidence)
            .keyed(format!("{what} {} → {}", version(old), version(new))),
        _ => finding.because(Cause::GoBuildInformation, confidence).keyed(name),
    }
}

/// `None` for lines that Go does not write, and for repeated names.
pub(super) fn lines(modules: &[u8]) -> Option<Lines> {
    let text = std::str::from_utf8(modules).ok()?;
    let mut lines = Lines::new();
    let mut last = String::new();
    for line in text.lines() {
        let (kind, rest) = line.split_once('\t')?;
        let (name, value) = match kind {
            "path" => ("path".to_owned(), rest.to_owned()),
            "mod" | "dep" => {
                let (path, version) = rest.split_once('\t')?;
                (format!("{kind} {path}"), version.trim_end().replace('\t', " "))
            }
            "build" => {
                let (key, value) = rest.split_once('=')?;
                (format!("build {key}"), value.to_owned())
            }
            "=>" => {
                let replaced = lines.get_mut(&last)?;
                replaced.push_str(" => ");
                replaced.push_str(&rest.trim_end().replace('\t', " "));
                continue;
            }
            _ => return None,
        };
        if lines.insert(name.clone(), value).is_some() {
            return None;
        }
        last = name;
    }
    Some(lines)
}
