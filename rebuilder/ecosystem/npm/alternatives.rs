//! What to try after a tarball was not reproduced: other scripts, other versions of dependencies, or another release
//! line of Node.js and npm, since these determine the archive's order, times and compression.

use super::packer;
use crate::compare::Cause;
use crate::ecosystem::hints::{Alternative, EndedRun, Hints, NpmScripts, Settings};
use crate::plan::{Assumption, Origin, Plan};
use crate::run::{Record, Verdict};

/// Release lines of Node.js and npm that belong together, the most used first.
const LINES: [(&str, &str); 8] = [
    ("20", "10"),
    ("16", "8"),
    ("14", "6"),
    ("18", "9"),
    ("22", "11"),
    ("12", "6"),
    // The last line with the zlib of its authors, with the order of files of npm 6.10 and later.
    ("10", "6"),
    ("15", "7"),
];

/// The last lines that write the publisher's owner and times into the tarball, and take files such as `.npmignore`.
const NAMING_OWNERS: [(&str, &str); 2] = [("8", "4"), ("8", "5.3")];

/// What is tried if no lock file names the versions.
const OLDEST: &str = "the oldest dependencies that package.json allows";

/// Plans that are worth a try, the most likely first.
pub(super) fn after(run: &EndedRun<'_>, hints: &Hints) -> Vec<Alternative> {
    let because = run.reason();
    let tried = || Origin::Tried(because.clone());
    let with = |settings: Settings, what: &str| Alternative {
        hints: Hints {
            settings,
            ..hints.clone()
        },
        because: format!("{what}: {because}"),
    };
    let scripts = |kind: NpmScripts, what: &str| {
        let settings = Settings {
            scripts: Some((kind, tried())),
            ..hints.settings.clone()
        };
        with(settings, what)
    };
    let build = || scripts(NpmScripts::Build, "only the script that builds");
    let none = || scripts(NpmScripts::None, "without scripts");
    let now = hints.settings.scripts.as_ref().map(|(kind, _)| *kind);
    let with_oldest = || Settings {
        oldest: Some(tried()),
        ..hints.settings.clone()
    };
    let oldest = |plan: &Plan| variable(plan, "INSTALL") == "resolved" && hints.settings.oldest.is_none();
    let mut all = Vec::new();
    match run {
        // Without scripts nothing needs to be installed, which may remove the obstacle.
        EndedRun::Unplanned(_) if now.is_none() => all.push(none()),
        EndedRun::Unplanned(_) => {}
        EndedRun::Built(plan, record) if matches!(record.verdict, Verdict::Inconclusive { .. }) => {
            let ran = variable(plan, "SCRIPTS");
            if now.is_none() && !ran.is_empty() {
                all.extend((ran != "build").then(build));
                let settings = Settings {
                    going_on: Some(tried()),
                    ..hints.settings.clone()
                };
                let first = hints.settings.going_on.is_none();
                all.extend(first.then(|| with(settings, "in spite of scripts that fail")));
                // What was written for an older line often fails on a newer one.
                let node = plan.assumptions.iter().find(|it| it.what == "node");
                all.extend(node.and_then(|node| older_line(&node.value, hints, &because)));
                all.extend(oldest(plan).then(|| with(with_oldest(), OLDEST)));
            }
            if now != Some(NpmScripts::None) {
                all.push(none());
            }
            // Scripts may need a line that the release was not packed with.
            all.extend(lines(&[], hints, &because));
        }
        EndedRun::Built(plan, record) => {
            let ran = variable(plan, "SCRIPTS");
            let content = differs_in_content(record);
            let causes = record.comparisons().flat_map(|comparison| &comparison.causes);
            let causes: Vec<_> = causes.map(|it| (it.cause, it.key.as_str())).collect();
            let told = by_evidence(&causes, !ran.is_empty(), &hints.settings);
            all.extend(told.into_iter().map(|(settings, what)| with(settings, what)));
            if has_umask_of_group(record) && hints.settings.group_writes.is_none() {
                let settings = Settings {
                    group_writes: Some(tried()),
                    ..hints.settings.clone()
                };
                all.push(with(settings, "an umask of 002"));
            }
            let open = || {
                record
                    .comparisons()
                    .flat_map(crate::compare::Comparison::open_causes)
            };
            let lacks = |(cause, _): (Cause, _)| cause == Cause::MissingFromSource;
            if content && now.is_none() && (ran.is_empty() || open().any(lacks)) {
                all.push(build());
            }
            // The source may have what they make, as it was released. It costs little, as nothing is installed.
            if content && now.is_none() && !ran.is_empty() {
                all.push(none());
            }
            if names_owner(&plan.assumptions, &causes) {
                all.extend(NAMING_OWNERS.iter().map(|line| of_line(line, hints, &because)));
            }
            if content && oldest(plan) {
                all.push(with(with_oldest(), OLDEST));
            }
            // If nothing runs, no version of a tool makes what the source lacks.
            if !(ran.is_empty() && open().all(lacks)) {
                all.extend(lines(&plan.assumptions, hints, &because));
            }
        }
    }
    all
}

/// What the differences themselves tell: about the commit, the line ends of the publisher's source, and the time. Each
/// cause comes with what its places have in common.
fn by_evidence(causes: &[(Cause, &str)], runs: bool, now: &Settings) -> Vec<(Settings, &'static str)> {
    let has = |wanted: &dyn Fn(Cause, &str) -> bool| causes.iter().any(|(cause, key)| wanted(*cause, key));
    let origin = |what: &str| Some(Origin::Tried(what.to_owned()));
    let mut all = Vec::new();
    let copied = has(&|cause, _| match cause {
        Cause::OtherSource => true,
        // Otherwise a script may make it.
        Cause::MissingFromSource => !runs,
        _ => false,
    });
    if copied && now.fitting.is_none() {
        let fitting = origin("files that builds copy are others in the release");
        let now = now.clone();
        all.push((
            Settings { fitting, ..now },
            "a commit with more of the released files",
        ));
    }
    if has(&|cause, key| cause == Cause::HostSystem && key == "line ends") && now.line_ends.is_none() {
        let line_ends = origin("text files of the release have other line ends");
        let now = now.clone();
        all.push((Settings { line_ends, ..now }, "the line ends of Windows"));
    }
    if has(&|cause, key| cause == Cause::Content && key == "what the owner may do") && now.modes.is_none() {
        let modes = origin("the owner may do other things with files of the release");
        let now = now.clone();
        all.push((Settings { modes, ..now }, "the permissions of the released files"));
    }
    // The times of members are npm's own, and those in texts are written by scripts.
    let in_text = |cause: Cause, key: &str| cause == Cause::Timestamp && !key.starts_with("tar: ");
    if has(&in_text) && now.clock.is_none() && runs {
        let clock = origin("files of the release have other dates");
        let now = now.clone();
        all.push((Settings { clock, ..now }, "the time of the release"));
    }
    all
}

/// The line with long-term support before that of a version of Node.js, if the user named none.
fn older_line(node: &str, hints: &Hints, because: &str) -> Option<Alternative> {
    let major: u32 = node.split('.').next()?.parse().ok()?;
    let mut older: Vec<_> = lines(&[], hints, because)
        .into_iter()
        .filter_map(|it| Some((it.hints.tools.get("node")?.value.parse::<u32>().ok()?, it)))
        .filter(|(line, _)| *line < major && line.is_multiple_of(2))
        .collect();
    older.sort_by_key(|(line, _)| *line);
    older.pop().map(|(_, it)| it)
}

/// Whether an old npm may have packed a release, since it names an owner, and no such version was tried yet.
fn names_owner(assumed: &[Assumption], causes: &[(Cause, &str)]) -> bool {
    let age = assumed.iter().find(|it| it.what == packer::AGE);
    let tool = assumed.iter().find(|it| it.what == "npm");
    age.is_some_and(|age| packer::allows(&age.value, "4"))
        && tool.is_some_and(|tool| !packer::allows("<5.4.0", &tool.value) && !tool.is_declared())
        && causes.iter().any(|(cause, _)| *cause == Cause::Ownership)
}

/// A line of Node.js and npm, as the next one to try.
fn of_line((node, npm): &(&str, &str), hints: &Hints, because: &str) -> Alternative {
    let origin = || Origin::Tried(because.to_owned());
    Alternative {
        hints: hints
            .with_tool("node", node, origin())
            .with_tool("npm", npm, origin()),
        because: format!("node {node} with npm {npm}: {because}"),
    }
}

/// Other lines of Node.js and npm that can have packed the release, if the user named none.
fn lines(assumed: &[Assumption], hints: &Hints, because: &str) -> Vec<Alternative> {
    if !hints.tools.is_empty() {
        return Vec::new();
    }
    let age = assumed.iter().find(|it| it.what == packer::AGE);
    let can = |npm: &str| age.is_none_or(|age| packer::allows(&age.value, npm));
    let lines = LINES.iter().filter(|line| can(line.1));
    lines.map(|line| of_line(line, hints, because)).collect()
}

/// The value of a variable in the build.
fn variable<'a>(plan: &'a Plan, name: &str) -> &'a str {
    plan.build.env.get(name).map(String::as_str).unwrap_or_default()
}

/// Whether the released files have the modes of an umask of 002, which many systems give to ordinary users.
fn has_umask_of_group(record: &Record) -> bool {
    record
        .comparisons()
        .flat_map(|comparison| &comparison.causes)
        .any(|it| it.cause == Cause::Permissions && it.key.starts_with("tar: umask 002 "))
}

/// Whether files are missing or differ in content, rather than only in how they were packed.
fn differs_in_content(record: &Record) -> bool {
    record
        .comparisons()
        .flat_map(crate::compare::Comparison::open_causes)
        .any(|(cause, _)| {
            matches!(
                cause,
                Cause::Content
                    | Cause::MissingFromSource
                    | Cause::NotFromSource
                    | Cause::OtherSource
                    | Cause::ToolVersion
                    | Cause::DependencyVersion
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::assume;

    #[test]
    fn the_line_before_is_tried_first_after_a_failed_build() {
        let fresh = Hints::default();
        for (node, expected) in [
            ("18.18.0", Some("16")),
            ("16.13.0", Some("14")),
            ("24.1.0", Some("22")),
            ("14.1.0", Some("12")),
            ("12.1.0", Some("10")),
            ("10.1.0", None),
        ] {
            let found = older_line(node, &fresh, "x").map(|it| it.hints.tools["node"].value.clone());
            assert_eq!(found.as_deref(), expected, "{node}");
        }
        let named = fresh.with_tool("node", "18", Origin::Tried("x".into()));
        assert_eq!(older_line("18.18.0", &named, "x"), None);
    }

    #[test]
    fn the_differences_tell_what_is_worth_a_try() {
        let copied = "a commit with more of the released files";
        for (cause, key, runs, expected) in [
            (Cause::OtherSource, "", true, Some(copied)),
            (Cause::MissingFromSource, "", false, Some(copied)),
            (Cause::MissingFromSource, "", true, None),
            (
                Cause::HostSystem,
                "line ends",
                false,
                Some("the line ends of Windows"),
            ),
            (Cause::HostSystem, "byte order mark", false, None),
            (
                Cause::Content,
                "what the owner may do",
                false,
                Some("the permissions of the released files"),
            ),
            (
                Cause::Timestamp,
                "year of the copyright",
                true,
                Some("the time of the release"),
            ),
            (Cause::Timestamp, "year of the copyright", false, None),
            (Cause::Timestamp, "tar: time", true, None),
            (Cause::Content, "", true, None),
        ] {
            let found = by_evidence(&[(cause, key)], runs, &Settings::default());
            let what = found.first().map(|(_, what)| *what);
            assert_eq!(
                (what, found.len()),
                (expected, usize::from(expected.is_some())),
                "{cause:?} {key} {runs}"
            );
            // Nothing is tried twice.
            for (settings, _) in found {
                let again = by_evidence(&[(cause, key)], runs, &settings);
                assert!(again.is_empty(), "{cause:?} {key}");
            }
        }
    }

    #[test]
    fn a_tarball_that_names_an_owner_was_packed_by_an_old_npm() {
        let inferred = || Origin::Inferred("x".into());
        let declared = || Origin::Declared("x".into());
        for (age, npm, origin, cause, expected) in [
            ("<7.0.0", "6.14.8", inferred(), Cause::Ownership, true),
            ("<7.0.0", "6.14.8", inferred(), Cause::Timestamp, false),
            ("<7.0.0", "6.14.8", declared(), Cause::Ownership, false),
            (">=7.7.0", "8.1.0", inferred(), Cause::Ownership, false),
            // Such a version was tried.
            ("<7.0.0", "4.6.1", inferred(), Cause::Ownership, false),
            ("<7.0.0", "5.3.0", inferred(), Cause::Ownership, false),
        ] {
            let assumed = [assume(packer::AGE, age, inferred()), assume("npm", npm, origin)];
            let found = names_owner(&assumed, &[(cause, "")]);
            assert_eq!(found, expected, "{age} {npm} {cause:?}");
        }
    }

    #[test]
    fn no_line_is_tried_that_the_released_tarball_rules_out() {
        for (age, expected) in [
            ("<7.0.0", "6 6 6"),
            (">=7.0.0 <7.6.0", "7"),
            (">=7.7.0", "10 8 9 11 7"),
        ] {
            let age = [assume(packer::AGE, age, Origin::Inferred("x".into()))];
            let found = lines(&age, &Hints::default(), "x");
            let npm: Vec<_> = found
                .iter()
                .map(|it| it.hints.tools["npm"].value.as_str())
                .collect();
            assert_eq!(npm.join(" "), expected, "{age:?}");
        }
    }
}
