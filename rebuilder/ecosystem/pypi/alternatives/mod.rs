//! What to try after a wheel was not reproduced: the assumption that the comparison contradicts is changed.
//!
//! The form of the metadata depends on the version of setuptools, of which only bounds are known. Files that only the
//! released wheel has may be in the repository although the source distribution lacks them.

mod sources;
mod tools;

use super::stamps;
use crate::compare::{Cause, Finding, Node, Presence};
use crate::ecosystem::compressor;
use crate::ecosystem::hints::{Alternative, EndedRun, Hints};
use crate::run::{Record, Verdict};
use crate::text::plural;
use sources::{
    completed, from_git, with_description, with_empty_packages, with_flags, with_markers, with_order,
};
use tools::{
    compressors, python_2, python_of_day, setuptools, setuptools_scm, with_own_requirements, with_version,
    younger,
};

/// Number of versions of setuptools that are tried before another source.
const FIRST_RUNGS: usize = 3;

/// What a comparison shows about the plan's weaker assumptions.
#[derive(Debug, Default)]
struct Seen {
    /// Files that only the released wheel has.
    missing: u64,
    /// Files of the package that only the rebuilt wheel has, or that differ.
    other: u64,
    /// Files that the build writes and that differ or are only in one wheel, by name.
    metadata: Vec<String>,
    /// Whether lines of the metadata are in another order.
    other_order: bool,
    /// Whether the released metadata is longer than the rebuilt one.
    lacks_text: bool,
    /// Markers of PEP 561 that only the released wheel has.
    markers: Vec<String>,
    /// Names of files of the package that differ.
    changed: Vec<String>,
}

/// The marker of typed packages (PEP 561): its name says everything.
const MARKER: &str = "py.typed";

/// The list of packages that setuptools writes.
const TOP_LEVEL: &str = "top_level.txt";

/// Whether a path is that of a marker.
pub(super) fn is_marker(path: &str) -> bool {
    path.rsplit('/').next() == Some(MARKER)
}

/// Plans that are worth a try, the most likely first.
pub(super) fn after(run: &EndedRun<'_>, hints: &Hints) -> Vec<Alternative> {
    let (plan, record) = match run {
        EndedRun::Built(plan, record) => (plan, record),
        // A source distribution that cannot be planned may be defective; the repository is another source.
        EndedRun::Unplanned(reason) => {
            let because = format!("no plan from the source distribution: {reason}");
            let younger = younger(hints, reason);
            let installed = with_own_requirements(hints, reason);
            return younger
                .into_iter()
                .chain(installed)
                .chain(from_git(hints, &because))
                .collect();
        }
    };
    if let Verdict::Inconclusive { stage, .. } = &record.verdict {
        let older = setuptools(plan, hints, &format!("the {stage} failed"));
        let line = record
            .failure
            .as_ref()
            .and_then(|failure| failure.line.as_deref());
        return with_own_requirements(hints, line.unwrap_or_default())
            .into_iter()
            .chain(python_of_day(plan, hints, &format!("the {stage} failed")))
            .chain(python_2(plan, hints, &format!("the {stage} failed")))
            .chain(older.into_iter().take(2))
            .chain(from_git(hints, &format!("the {stage} failed")))
            .collect();
    }
    if compressor::alone_differs(record) {
        return compressors(plan, hints, &run.reason());
    }
    let seen = read(record);
    let mut all = Vec::new();
    let absent = record.outputs.iter().find(|output| output.rebuilt.is_none());
    if let Some(output) = absent {
        let other = record.outputs.iter().find(|output| output.released.is_none());
        if let Some(other) = other {
            let because = format!("the build makes {} instead of {}", other.name, output.name);
            all.extend(with_flags(hints, &because));
        }
        // A source distribution may lack its setup.
        all.extend(from_git(
            hints,
            &format!("the build does not produce {}", output.name),
        ));
    }
    if seen.missing > 0 || seen.other > 0 {
        let because = match (seen.missing, seen.other) {
            (missing, 0) => exist_only_in_the_release(missing),
            (0, other) => format!("{} {}", files(other), differ(other)),
            (missing, other) => format!(
                "{}, {other} {}",
                exist_only_in_the_release(missing),
                differ(other)
            ),
        };
        all.extend(stamps::first(plan, record).and_then(|stamp| with_version(hints, &stamp)));
        all.extend(setuptools_scm(plan, hints, &seen.changed));
        all.extend(from_git(hints, &because));
        if seen.missing > 0 {
            all.extend(completed(hints, &because));
        }
    }
    all.extend(with_markers(hints, &seen.markers));
    // Another version of setuptools is the simpler reason.
    let ordered = seen.other_order.then_some("METADATA has lines in another order");
    let mut ordered = ordered.and_then(|because| with_order(hints, because));
    if !seen.metadata.is_empty() {
        let because = match &seen.metadata[..] {
            [one] => format!("{one} differs"),
            several => format!("{} differ", several.join(", ")),
        };
        if seen.lacks_text {
            all.extend(with_description(hints, &because));
        }
        if seen.metadata.iter().any(|name| name == TOP_LEVEL) {
            all.extend(with_empty_packages(hints, &because));
        }
        all.extend(python_2(plan, hints, &because));
        let mut versions = setuptools(plan, hints, &because).into_iter();
        all.extend(versions.by_ref().take(FIRST_RUNGS));
        all.extend(ordered.take());
        all.extend(
            from_git(hints, &because).filter(|_| all.iter().all(|other| other.hints.source.is_none())),
        );
        all.extend(python_of_day(plan, hints, &because));
        all.extend(with_flags(hints, &because).into_iter().take(1));
        all.extend(versions);
    }
    all.extend(ordered);
    all
}

fn exist_only_in_the_release(count: u64) -> String {
    let verb = if count == 1 { "exists" } else { "exist" };
    format!("{} {verb} only in the released wheel", files(count))
}

fn differ(count: u64) -> &'static str {
    if count == 1 { "differs" } else { "differ" }
}

fn files(count: u64) -> String {
    plural(usize::try_from(count).unwrap_or(usize::MAX), "file")
}

fn read(record: &Record) -> Seen {
    let mut seen = Seen::default();
    let trees = record
        .outputs
        .iter()
        .filter_map(|output| output.differs.as_ref()?.tree.as_ref());
    for tree in trees {
        tree.each("", &mut |path, node| note(path, node, &mut seen));
    }
    seen.metadata.sort();
    seen.metadata.dedup();
    seen
}

fn note(path: &str, node: &Node, seen: &mut Seen) {
    let in_order = |finding: &Finding| finding.cause == Cause::Order && !finding.follows;
    if path.ends_with(".dist-info/METADATA") && node.findings.iter().any(in_order) {
        seen.other_order = true;
    }
    // Only findings that are more than a checksum or a stored time, in files rather than in the archive around them.
    let own = node
        .findings
        .iter()
        .any(|finding| !finding.follows && finding.normalisation.is_none());
    if path.is_empty() || !node.children.is_empty() || !own {
        return;
    }
    let written = node.presence != Presence::OnlyReleased
        && (path.contains(".dist-info/") || path.ends_with("-nspkg.pth"));
    match node.presence {
        _ if written => {
            let name = path.rsplit('/').next().unwrap_or(path);
            let (released, rebuilt) = node.sizes;
            seen.lacks_text |= name == "METADATA" && rebuilt < released;
            if name != "RECORD" {
                seen.metadata.push(name.to_owned());
            }
        }
        Presence::OnlyReleased => {
            seen.missing = seen.missing.saturating_add(1);
            if is_marker(path) {
                seen.markers.push(path.to_owned());
            }
        }
        Presence::OnlyRebuilt | Presence::Both => {
            seen.other = seen.other.saturating_add(1);
            seen.changed.push(path.trim_start_matches('/').to_owned());
        }
    }
}
