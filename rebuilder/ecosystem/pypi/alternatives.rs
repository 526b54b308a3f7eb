//! What to try after a wheel was not reproduced: the assumption that the comparison contradicts is changed.
//!
//! The form of the metadata depends on the version of setuptools, of which only bounds are known. Files that only the
//! released wheel has may be in the repository although the source distribution lacks them.

use super::assumptions::{GENERATOR, HOST_SYSTEM, OPTION, REQUIREMENTS, UNIVERSAL};
use super::bounds;
use super::flags;
use super::interpreter;
use super::stamps::{self, Stamp};
use crate::compare::{Cause, Finding, Node, Presence};
use crate::ecosystem::compressor;
use crate::ecosystem::hints::{Alternative, EndedRun, Hints, Settings};
use crate::plan::{Origin, Plan};
use crate::run::failure::{FailureCode, log};
use crate::run::{Record, Verdict};
use crate::text::plural;

/// First versions of setuptools that write different metadata or choose different files than earlier ones; newest
/// first.
const LADDER: [&str; 16] = [
    "69.3", "68.3", "67.3", "65.6", "62.3", "60.9", "60.0", "58.5", "57.0", "56.1", "52.0", "47.0", "42.0",
    "40.8", "38.6", "36.2",
];

/// What writes a file with the version that git names.
const SCM: &str = "setuptools_scm";

/// First versions of it that write that file in another form; newest first.
const SCM_LADDER: [&str; 3] = ["8", "7", "6.2"];

/// Number of versions of setuptools that are tried before another source.
const FIRST_RUNGS: usize = 3;

/// Maximum number of files that an earlier build is taken to have left behind.
const MOST_LEFTOVERS: usize = 20;

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
    /// Names of all files of the package that only the released wheel has.
    names: Vec<String>,
}

/// The marker of typed packages (PEP 561): its name says everything.
const MARKER: &str = "py.typed";

/// The list of packages that setuptools writes.
const TOP_LEVEL: &str = "top_level.txt";

/// Whether a path is that of a marker.
pub(super) fn is_marker(path: &str) -> bool {
    path.rsplit('/').next() == Some(MARKER)
}

/// Whether a name of a released file is a path inside the source that every tool reads in the same way.
pub(super) fn is_inside(name: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    name.split('/').all(plain) && !name.contains('\\') && !name.chars().any(char::is_control)
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
            all.extend(with_leftovers(hints, &seen.names, &because));
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

/// The newest Python at the time of the release, if the plan has another one by convention.
fn python_of_day(plan: &Plan, hints: &Hints, because: &str) -> Option<Alternative> {
    let of_day = plan
        .assumptions
        .iter()
        .find(|it| it.what == interpreter::OF_DAY)?;
    Some(Alternative {
        hints: hints.with_tool("python", &of_day.value, Origin::Tried(because.to_owned())),
        because: format!("Python {}, the newest at the time: {because}", of_day.value),
    })
}

/// Python 2, if the archive shows that it made the wheel, or if the wheel is for both and from a time when either made
/// such wheels.
fn python_2(plan: &Plan, hints: &Hints, because: &str) -> Option<Alternative> {
    let has = |what: &str, value: &str| {
        let mut all = plan.assumptions.iter();
        all.any(|it| it.what == what && it.value.contains(value))
    };
    let of_its_time = has(interpreter::OF_DAY, interpreter::LAST_BESIDE_PYTHON_2) && has(OPTION, UNIVERSAL);
    let possible = has(interpreter::ARCHIVE_WRITER, "") || of_its_time;
    (possible && !hints.tools.contains_key("python")).then(|| Alternative {
        hints: hints.with_tool("python", "2.7", Origin::Tried(because.to_owned())),
        because: format!("Python 2.7, which may have made the wheel: {because}"),
    })
}

/// The version of a build requirement that a released file names.
fn with_version(hints: &Hints, stamp: &Stamp) -> Option<Alternative> {
    let Stamp {
        project,
        version,
        path,
    } = stamp;
    (!hints.tools.contains_key(project)).then(|| {
        let because = format!("{path} of the released wheel names it");
        Alternative {
            hints: hints.with_tool(project, version, Origin::Tried(because.clone())),
            because: format!("{project} {version}: {because}"),
        }
    })
}

/// Earlier versions of setuptools_scm, if the file with the version is all that differs: each wrote it in its own form.
fn setuptools_scm(plan: &Plan, hints: &Hints, changed: &[String]) -> Vec<Alternative> {
    let [path] = changed else {
        return Vec::new();
    };
    let name = path.rsplit('/').next().unwrap_or_default();
    let Some(current) = version_in(plan, SCM).filter(|_| name.contains("version")) else {
        return Vec::new();
    };
    if hints.tools.contains_key(SCM) {
        return Vec::new();
    }
    let older = SCM_LADDER.into_iter().filter(|bound| {
        bound
            .parse()
            .is_ok_and(|bound: pep440_rs::Version| bound <= current)
    });
    let because = format!("{path} differs");
    let with = older.map(|bound| Alternative {
        hints: hints.with_tool(SCM, &format!("<{bound}"), Origin::Tried(because.clone())),
        because: format!("setuptools_scm before {bound}: {because}"),
    });
    with.collect()
}

/// Other compressors than zlib, which some systems have in its place; on Windows, that of Python's own installer first.
fn compressors(plan: &Plan, hints: &Hints, because: &str) -> Vec<Alternative> {
    let hint = hints.tools.get(compressor::TOOL);
    if hint.is_some_and(|hint| !matches!(hint.origin, Origin::Tried(_))) {
        return Vec::new();
    }
    let mut others = [
        compressor::ZLIB_NG,
        compressor::CLOUDFLARE,
        compressor::ZLIB_NG_2_2,
    ];
    if plan.assumptions.iter().any(|it| it.what == HOST_SYSTEM) {
        others.reverse();
    }
    let others = others
        .into_iter()
        .filter(|it| hint.is_none_or(|hint| hint.value != it.name));
    others
        .map(|it| Alternative {
            hints: hints.with_tool(compressor::TOOL, it.name, Origin::Tried(because.to_owned())),
            because: format!("compressed with {}, as some systems do: {because}", it.what),
        })
        .collect()
}

/// Whether the source is from git only because it was tried.
fn tries_git(hints: &Hints) -> bool {
    let source = hints.source.as_ref();
    source.is_some_and(|it| it.git.is_none() && matches!(it.origin, Origin::Tried(_)))
}

/// The source distribution, with what it lacks of the commit: the folder of a publisher has both.
fn completed(hints: &Hints, because: &str) -> Option<Alternative> {
    let open = hints.settings.completed.is_none() && (hints.source.is_none() || tries_git(hints));
    open.then(|| {
        let mut hints = Hints {
            source: None,
            ..hints.clone()
        };
        hints.settings.completed = Some(Origin::Tried(because.to_owned()));
        Alternative {
            hints,
            because: format!("the source distribution, with what it lacks of the commit: {because}"),
        }
    })
}

/// The commit, with files that it lacks and an earlier commit had: an earlier build may have left them behind.
fn with_leftovers(hints: &Hints, names: &[String], because: &str) -> Option<Alternative> {
    let possible = (hints.source.is_none() || tries_git(hints)) && hints.settings.completed.is_none();
    let few = names.len() <= MOST_LEFTOVERS;
    (possible && few && hints.settings.leftovers.is_none()).then(|| {
        let mut hints = hints.with_git(Origin::Tried(because.to_owned()));
        hints.settings.leftovers = Some((names.to_vec(), Origin::Tried(because.to_owned())));
        Alternative {
            hints,
            because: format!(
                "the source from git, with files that an earlier build may have left behind: {because}"
            ),
        }
    })
}

/// The source distribution with the markers that it lacks; the setup decides whether they become part of the wheel.
fn with_markers(hints: &Hints, markers: &[String]) -> Option<Alternative> {
    let lacking = hints.source.is_none() && hints.settings.markers.is_none() && !markers.is_empty();
    let because = format!("the source distribution lacks {}", markers.join(", "));
    lacking.then(|| {
        let mut hints = hints.clone();
        hints.settings.markers = Some(Origin::Tried(because.clone()));
        Alternative {
            hints,
            because: format!("an empty {MARKER}, if the setup names it: {because}"),
        }
    })
}

/// The source distribution, with an empty folder for each package that it only names.
fn with_empty_packages(hints: &Hints, because: &str) -> Option<Alternative> {
    let what = "an empty folder for each package that the source distribution only names";
    with_sdist(hints, |settings| &mut settings.empty, what, because)
}

/// The order of requirements and extras in the source distribution's own list: a setup may have them in another one
/// each time.
fn with_order(hints: &Hints, because: &str) -> Option<Alternative> {
    let what = "requirements in the order of the source distribution";
    with_sdist(hints, |settings| &mut settings.order, what, because)
}

/// The description that the source distribution's own metadata has: its setup may read files that it lacks.
fn with_description(hints: &Hints, because: &str) -> Option<Alternative> {
    let what = "the description in PKG-INFO of the source distribution";
    with_sdist(hints, |settings| &mut settings.description, what, because)
}

/// The source distribution alone, with one more setting, unless that was tried.
fn with_sdist(
    hints: &Hints,
    setting: impl Fn(&mut Settings) -> &mut Option<Origin>,
    what: &str,
    because: &str,
) -> Option<Alternative> {
    let alone = hints.source.is_none() && hints.settings.completed.is_none();
    let mut hints = hints.clone();
    let setting = setting(&mut hints.settings);
    if !alone || setting.is_some() {
        return None;
    }
    *setting = Some(Origin::Tried(because.to_owned()));
    Some(Alternative {
        hints,
        because: format!("{what}: {because}"),
    })
}

/// The words that a setup script may look for on its command line, each alone; a plan says which it is.
fn with_flags(hints: &Hints, because: &str) -> Vec<Alternative> {
    let numbers = (0..flags::MOST).filter(|_| hints.settings.flag.is_none());
    let with = numbers.map(|number| {
        let mut hints = hints.clone();
        hints.settings.flag = Some((number, Origin::Tried(because.to_owned())));
        Alternative {
            hints,
            because: format!("a word on the command line that the setup looks for: {because}"),
        }
    });
    with.collect()
}

/// The requirements of the wheel itself installed for the build: some setups import the package that they build.
fn with_own_requirements(hints: &Hints, reason: &str) -> Option<Alternative> {
    let (_, module) = reason.split_once("No module named ")?;
    let module = module.trim_start_matches('\'').split(['\'', ' ', '.']).next()?;
    let read = log::read(&reason.replace(" / ", "\n"), FailureCode::UnsupportedPackage);
    // A module that later versions of Python dropped is not one of a package.
    let of_python = read.code == FailureCode::UnsupportedPython;
    let because = format!("the build imports {module}");
    (hints.settings.installed.is_none() && !of_python).then(|| {
        let mut hints = hints.clone();
        hints.settings.installed = Some(Origin::Tried(because.clone()));
        Alternative {
            hints,
            because: format!("what the wheel requires is installed for the build: {because}"),
        }
    })
}

/// Build requirements from the weeks after the release, if those of its day use the network.
fn younger(hints: &Hints, reason: &str) -> Option<Alternative> {
    let read = log::read(&reason.replace(" / ", "\n"), FailureCode::UnsupportedPackage);
    let needed = read.code == FailureCode::NeedsNetwork && hints.settings.later.is_none();
    let because = "the build requirements of the day use the network";
    needed.then(|| {
        let mut hints = hints.clone();
        hints.settings.later = Some(Origin::Tried(because.to_owned()));
        Alternative {
            hints,
            because: format!("build requirements of the weeks after the release: {because}"),
        }
    })
}

fn from_git(hints: &Hints, because: &str) -> Option<Alternative> {
    hints.source.is_none().then(|| Alternative {
        hints: hints.with_git(Origin::Tried(because.to_owned())),
        because: format!("the source from git: {because}"),
    })
}

/// Versions of setuptools other than the plan's, the nearest older ones first.
///
/// If setuptools itself signed the released wheel, its version is known, and another one contradicts the release. But
/// some of these versions use the package "wheel" if it is installed, although they have a copy of their own.
fn setuptools(plan: &Plan, hints: &Hints, because: &str) -> Vec<Alternative> {
    let generator = plan.assumptions.iter().find(|it| it.what == GENERATOR);
    if generator.is_some_and(|it| it.value.starts_with("setuptools")) {
        let known = hints.tools.contains_key("wheel") || version_in(plan, "wheel").is_some();
        let with = || Alternative {
            hints: hints.with_tool("wheel", ">0", Origin::Tried(because.to_owned())),
            because: format!("wheel installed beside setuptools: {because}"),
        };
        return (!known).then(with).into_iter().collect();
    }
    if hints.tools.contains_key("setuptools") && !tried(hints) {
        return Vec::new();
    }
    let Some(current) = version_in(plan, "setuptools") else {
        return Vec::new();
    };
    let required = plan.assumptions.iter().find(|it| it.what == REQUIREMENTS);
    let mut required = bounds::listed(required.map_or("", |it| &it.value));
    if let Some(hint) = hints.tools.get("setuptools") {
        required.retain(|text| *text != format!("setuptools{}", hint.value));
    }
    let (older, newer): (Vec<&str>, Vec<&str>) = LADDER.iter().partition(|bound| {
        bound
            .parse::<pep440_rs::Version>()
            .is_ok_and(|bound| bound <= current)
    });
    let with = |specifier: String, what: String| Alternative {
        hints: hints.with_tool("setuptools", &specifier, Origin::Tried(because.to_owned())),
        because: format!("setuptools {what}: {because}"),
    };
    let possible = |bound: &&str| {
        let bound = bound.parse();
        bound.is_ok_and(|bound| bounds::allow_below(&required, "setuptools", &bound))
    };
    let older = older
        .into_iter()
        .filter(possible)
        .map(|bound| with(format!("<{bound}"), format!("before {bound}")));
    // If a bound was only inferred from the form of the metadata, the newest version may be right after all.
    let newer = newer
        .first()
        .map(|_| with(">0".to_owned(), "of the day".to_owned()));
    newer.into_iter().chain(older).collect()
}

/// Whether the version of setuptools was itself chosen by trying.
fn tried(hints: &Hints) -> bool {
    let hint = hints.tools.get("setuptools");
    hint.is_some_and(|hint| matches!(hint.origin, Origin::Tried(_)))
}

/// The version of a project among the plan's dependencies.
fn version_in(plan: &Plan, project: &str) -> Option<pep440_rs::Version> {
    plan.inputs.iter().find_map(|input| {
        let rest = input
            .place
            .strip_prefix("dependencies/")?
            .strip_prefix(project)?
            .strip_prefix('-')?;
        rest.split('-').next()?.parse().ok()
    })
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
            let name = path.trim_start_matches('/');
            seen.names.push(name.to_owned());
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::artifact::Sha256;
    use crate::plan::{assume, sample};

    fn tried() -> Origin {
        Origin::Tried("x".into())
    }

    #[test]
    fn a_marker_is_put_into_a_source_distribution_once_and_into_no_commit() {
        let lacking = ["/a/py.typed".to_owned()];
        let fresh = Hints::default();
        let with = with_markers(&fresh, &lacking).unwrap();
        assert!(with.because.contains("lacks /a/py.typed"), "{}", with.because);
        assert_eq!(with_markers(&with.hints, &lacking), None);
        assert_eq!(with_markers(&fresh.with_git(tried()), &lacking), None);
        assert_eq!(with_markers(&fresh, &[]), None);
    }

    #[test]
    fn what_both_sources_lack_together_is_tried_once_and_only_for_sources_that_nobody_named() {
        let fresh = Hints::default();
        let both = completed(&fresh, "x").unwrap().hints;
        assert!(both.settings.completed.is_some() && both.source.is_none());
        assert_eq!(completed(&both, "x"), None);
        let from_git = completed(&fresh.with_git(tried()), "x").unwrap();
        assert_eq!(from_git.hints.source, None);
        assert_eq!(
            completed(&fresh.with_git(Origin::Declared("the user".into())), "x"),
            None
        );
    }

    #[test]
    fn packages_without_files_are_folders_of_a_source_distribution_alone() {
        let fresh = Hints::default();
        let with = with_empty_packages(&fresh, "x").unwrap().hints;
        assert!(with.settings.empty.is_some());
        assert_eq!(with_empty_packages(&with, "x"), None);
        assert_eq!(with_empty_packages(&fresh.with_git(tried()), "x"), None);
    }

    #[test]
    fn the_description_of_a_source_distribution_is_tried_once() {
        let fresh = Hints::default();
        let with = with_description(&fresh, "x").unwrap().hints;
        assert!(with.settings.description.is_some());
        assert_eq!(with_description(&with, "x"), None);
        assert_eq!(with_description(&fresh.with_git(tried()), "x"), None);
    }

    #[test]
    fn the_order_of_a_source_distribution_is_tried_once() {
        let fresh = Hints::default();
        let with = with_order(&fresh, "x").unwrap().hints;
        assert!(with.settings.order.is_some());
        assert_eq!(with_order(&with, "x"), None);
        assert_eq!(with_order(&fresh.with_git(tried()), "x"), None);
    }

    #[test]
    fn each_word_of_a_setup_is_tried_alone() {
        let numbers = |hints: &Hints| {
            let number = |it: Alternative| it.hints.settings.flag.unwrap().0;
            with_flags(hints, "x").into_iter().map(number).collect::<Vec<_>>()
        };
        let fresh = Hints::default();
        assert_eq!(numbers(&fresh), [0, 1, 2]);
        assert!(numbers(&with_flags(&fresh, "x").pop().unwrap().hints).is_empty());
    }

    #[test]
    fn earlier_versions_of_setuptools_scm_are_tried_if_only_its_file_differs() {
        let plan = |place: &str| {
            let file = json!({"name": "x", "urls": [], "sha256": Sha256::of(""), "size": 0});
            sample::plan(
                &json!({"inputs": [{"role": "dependency", "purl": null, "place": place, "file": file}]}),
            )
        };
        let with = plan("dependencies/setuptools_scm-7.1.0-py3-none-any.whl");
        let without = plan("dependencies/wheel-0.40.0-py3-none-any.whl");
        let fresh = Hints::default();
        let named = fresh.with_tool(SCM, "<7", tried());
        for (plan, hints, changed, expected) in [
            (&with, &fresh, &["a/_version.py"][..], &["<7", "<6.2"][..]),
            (&with, &fresh, &["a/_version.py", "a/b.py"], &[]),
            (&with, &fresh, &["a/b.py"], &[]),
            (&with, &named, &["a/_version.py"], &[]),
            (&without, &fresh, &["a/_version.py"], &[]),
        ] {
            let changed: Vec<_> = changed.iter().map(|path| (*path).to_owned()).collect();
            let found = setuptools_scm(plan, hints, &changed).into_iter();
            let found: Vec<_> = found.map(|it| it.hints.tools[SCM].value.clone()).collect();
            assert_eq!(found, expected, "{changed:?}");
        }
    }

    #[test]
    fn python_2_is_tried_for_wheels_that_it_may_have_made() {
        let universal = (OPTION, "[bdist_wheel] universal = 1");
        let fresh = Hints::default();
        for (assumptions, expected) in [
            (&[][..], false),
            (&[(interpreter::ARCHIVE_WRITER, "as Python 2's")], true),
            (&[universal], false),
            (&[universal, (interpreter::OF_DAY, "3.8")], true),
            (&[universal, (interpreter::OF_DAY, "3.10")], false),
            (&[(interpreter::OF_DAY, "3.8")], false),
        ] {
            let mut plan = sample::plan(&json!({}));
            let assumptions = assumptions.iter();
            plan.assumptions = assumptions
                .map(|(what, value)| assume(what, *value, tried()))
                .collect();
            let found = python_2(&plan, &fresh, "x");
            assert_eq!(found.is_some(), expected, "{:?}", plan.assumptions);
            if let Some(found) = found {
                assert_eq!(python_2(&plan, &found.hints, "x"), None);
            }
        }
    }

    #[test]
    fn requirements_of_the_wheel_are_tried_once_if_the_build_lacks_a_module() {
        let fresh = Hints::default();
        for (reason, expected) in [
            (
                "ModuleNotFoundError: No module named 'dateutil'",
                Some("the build imports dateutil"),
            ),
            (
                "ImportError: No module named dateutil.easter",
                Some("the build imports dateutil"),
            ),
            ("ModuleNotFoundError: No module named 'distutils'", None),
            ("SyntaxError: invalid syntax", None),
        ] {
            let found = with_own_requirements(&fresh, reason);
            let because = found.as_ref().map(|it| it.because.rsplit(": ").next().unwrap());
            assert_eq!(because, expected, "{reason}");
            if let Some(found) = found {
                assert_eq!(with_own_requirements(&found.hints, reason), None);
            }
        }
    }

    #[test]
    fn every_compressor_is_tried_unless_the_user_named_one() {
        let names = |hints: &Hints, system: &[&str]| {
            let mut plan = sample::plan(&json!({}));
            plan.assumptions = system
                .iter()
                .map(|what| assume(what, "Windows", tried()))
                .collect();
            let found = compressors(&plan, hints, "x").into_iter();
            let value = |it: Alternative| it.hints.tools.get(compressor::TOOL).unwrap().value.clone();
            found.map(value).collect::<Vec<_>>()
        };
        let with = |origin| Hints::default().with_tool(compressor::TOOL, "zlib-ng", origin);
        assert_eq!(
            names(&Hints::default(), &[]),
            ["zlib-ng", "cloudflare", "zlib-ng-2.2"]
        );
        assert_eq!(
            names(&Hints::default(), &[HOST_SYSTEM]),
            ["zlib-ng-2.2", "cloudflare", "zlib-ng"]
        );
        assert_eq!(names(&with(tried()), &[]), ["cloudflare", "zlib-ng-2.2"]);
        assert!(names(&with(Origin::Declared("the user".into())), &[]).is_empty());
    }

    #[test]
    fn leftovers_are_looked_for_if_the_commit_lacks_a_few_files() {
        let names = |count: usize| vec!["a.py".to_owned(); count];
        for hints in [Hints::default(), Hints::default().with_git(tried())] {
            let found = with_leftovers(&hints, &names(1), "x").unwrap();
            assert_eq!(found.hints.settings.leftovers.as_ref().unwrap().0, names(1));
            assert!(tries_git(&found.hints));
            assert_eq!(with_leftovers(&found.hints, &names(1), "x"), None);
            assert_eq!(with_leftovers(&hints, &names(MOST_LEFTOVERS + 1), "x"), None);
        }
        let named = Hints::default().with_git(Origin::Declared("the user".into()));
        assert_eq!(with_leftovers(&named, &names(1), "x"), None);
    }

    #[test]
    fn a_name_that_leads_out_of_the_source_is_no_path_in_it() {
        for (name, expected) in [
            ("a/b.py", true),
            ("a.py", true),
            ("/a.py", false),
            ("../a.py", false),
            ("a/../../b", false),
            ("a//b", false),
            ("./a", false),
            ("a\\b", false),
            ("a\nb", false),
            ("", false),
        ] {
            assert_eq!(is_inside(name), expected, "{name:?}");
        }
    }

    #[test]
    fn only_requirements_that_use_the_network_may_be_younger() {
        let hook = "the backend setuptools.build_meta did not name its requirements: build: the command exited with \
                    status 1; see build.log; last output: raise URLError(err) / urllib.error.URLError: <urlopen error \
                    [Errno -3] Temporary failure in name resolution>";
        let other = "the backend x did not name its requirements: x / ModuleNotFoundError: No module named 'hatchling'";
        let fresh = Hints::default();
        let found = younger(&fresh, hook).unwrap();
        assert!(found.hints.settings.later.is_some());
        assert_eq!(younger(&found.hints, hook), None);
        assert_eq!(younger(&fresh, other), None);
    }
}
