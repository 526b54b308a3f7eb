//! What to try after a tarball was not reproduced: other scripts, other versions of dependencies, or another release
//! line of Node.js and npm, since these determine the archive's order, times and compression.

use super::packer;
use crate::compare::Cause;
use crate::ecosystem::hints::{Alternative, EndedRun, Hints, NpmScripts, Settings};
use crate::plan::{Assumption, Origin, Plan};
use crate::run::{Record, Verdict};

/// Release lines of Node.js and npm that belong together, the most used first.
const LINES: [(&str, &str); 7] = [
    ("20", "10"),
    ("16", "8"),
    ("14", "6"),
    ("18", "9"),
    ("22", "11"),
    ("12", "6"),
    ("15", "7"),
];

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
    let mut all = Vec::new();
    match run {
        // Without scripts nothing needs to be installed, which may remove the obstacle.
        EndedRun::Unplanned(_) if now.is_none() => all.push(none()),
        EndedRun::Unplanned(_) => {}
        EndedRun::Built(plan, record) if matches!(record.verdict, Verdict::Inconclusive { .. }) => {
            let ran = variable(plan, "SCRIPTS");
            if now.is_none() && !ran.is_empty() {
                all.extend((ran != "build").then(build));
                // What was written for an older line often fails on a newer one.
                let node = plan.assumptions.iter().find(|it| it.what == "node");
                all.extend(node.and_then(|node| older_line(&node.value, hints, &because)));
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
            if has_umask_of_group(record) && hints.settings.group_writes.is_none() {
                let settings = Settings {
                    group_writes: Some(tried()),
                    ..hints.settings.clone()
                };
                all.push(with(settings, "an umask of 002"));
            }
            if content && now.is_none() && ran.is_empty() {
                all.push(build());
            }
            if content && variable(plan, "INSTALL") == "resolved" && hints.settings.oldest.is_none() {
                let settings = Settings {
                    oldest: Some(tried()),
                    ..hints.settings.clone()
                };
                all.push(with(settings, "the oldest dependencies that package.json allows"));
            }
            all.extend(lines(&plan.assumptions, hints, &because));
        }
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

/// Other lines of Node.js and npm that can have packed the release, if the user named none.
fn lines(assumed: &[Assumption], hints: &Hints, because: &str) -> Vec<Alternative> {
    if !hints.tools.is_empty() {
        return Vec::new();
    }
    let alternative = |(node, npm): &(&str, &str)| {
        let origin = || Origin::Tried(because.to_owned());
        Alternative {
            hints: hints
                .with_tool("node", node, origin())
                .with_tool("npm", npm, origin()),
            because: format!("node {node} with npm {npm}: {because}"),
        }
    };
    let age = assumed.iter().find(|it| it.what == packer::AGE);
    let can = |npm: &str| age.is_none_or(|age| packer::allows(&age.value, npm));
    let lines = LINES.iter().filter(|line| can(line.1));
    lines.map(alternative).collect()
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
            ("12.1.0", None),
        ] {
            let found = older_line(node, &fresh, "x").map(|it| it.hints.tools["node"].value.clone());
            assert_eq!(found.as_deref(), expected, "{node}");
        }
        let named = fresh.with_tool("node", "18", Origin::Tried("x".into()));
        assert_eq!(older_line("18.18.0", &named, "x"), None);
    }

    #[test]
    fn no_line_is_tried_that_the_released_tarball_rules_out() {
        for (age, expected) in [
            ("<7.0.0", "6 6"),
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
