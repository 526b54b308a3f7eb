//! Other versions of the tools that build, and other tools in their place.

use super::super::assumptions::{GENERATOR, HOST_SYSTEM, OPTION, REQUIREMENTS, UNIVERSAL};
use super::super::stamps::Stamp;
use super::super::{bounds, interpreter, requirements};
use crate::ecosystem::compressor;
use crate::ecosystem::hints::{Alternative, Hints};
use crate::plan::{Origin, Plan};
use crate::run::failure::{FailureCode, log};

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

/// The newest Python at the time of the release, if the plan has another one by convention.
pub(super) fn python_of_day(plan: &Plan, hints: &Hints, because: &str) -> Option<Alternative> {
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
pub(super) fn python_2(plan: &Plan, hints: &Hints, because: &str) -> Option<Alternative> {
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
pub(super) fn with_version(hints: &Hints, stamp: &Stamp) -> Option<Alternative> {
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
pub(super) fn setuptools_scm(plan: &Plan, hints: &Hints, changed: &[String]) -> Vec<Alternative> {
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
pub(super) fn compressors(plan: &Plan, hints: &Hints, because: &str) -> Vec<Alternative> {
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

/// The requirements of the package itself installed for the build: some setups import the package that they build.
pub(super) fn with_own_requirements(hints: &Hints, reason: &str) -> Option<Alternative> {
    let (_, module) = reason.split_once("No module named ")?;
    let module = module.trim_start_matches('\'').split(['\'', ' ', '.']).next()?;
    // A module that later versions of Python dropped is not one of a package.
    let of_python = code_of(reason) == FailureCode::UnsupportedPython;
    let because = format!("the build imports {module}");
    (hints.settings.installed.is_none() && !of_python).then(|| {
        let mut hints = hints.clone();
        hints.settings.installed = Some(Origin::Tried(because.clone()));
        Alternative {
            hints,
            because: format!("what the package requires is installed for the build: {because}"),
        }
    })
}

/// What a message, which has the lines of a log in one, looks like.
fn code_of(reason: &str) -> FailureCode {
    log::read(&reason.replace(" / ", "\n"), FailureCode::UnsupportedPackage).code
}

/// Build requirements from the weeks after the release, if those of its day use the network, or if one was not there
/// yet: a project that has its own backend may release it after the package.
pub(super) fn younger(hints: &Hints, reason: &str) -> Option<Alternative> {
    let because = match code_of(reason) {
        FailureCode::NeedsNetwork => "the build requirements of the day use the network",
        _ if reason.contains(requirements::WAS_THERE) => "a build requirement was not there on that day",
        _ => return None,
    };
    hints.settings.later.is_none().then(|| {
        let mut hints = hints.clone();
        hints.settings.later = Some(Origin::Tried(because.to_owned()));
        Alternative {
            hints,
            because: format!("build requirements of the weeks after the release: {because}"),
        }
    })
}

/// Versions of setuptools other than the plan's, the nearest older ones first.
///
/// If setuptools itself signed the released wheel, its version is known, and another one contradicts the release. But
/// some of these versions use the package "wheel" if it is installed, although they have a copy of their own.
pub(super) fn setuptools(plan: &Plan, hints: &Hints, because: &str) -> Vec<Alternative> {
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
pub(super) fn tried(hints: &Hints) -> bool {
    let hint = hints.tools.get("setuptools");
    hint.is_some_and(|hint| matches!(hint.origin, Origin::Tried(_)))
}

/// The version of a project among the plan's dependencies.
pub(super) fn version_in(plan: &Plan, project: &str) -> Option<pep440_rs::Version> {
    plan.inputs.iter().find_map(|input| {
        let rest = input
            .place
            .strip_prefix("dependencies/")?
            .strip_prefix(project)?
            .strip_prefix('-')?;
        rest.split('-').next()?.parse().ok()
    })
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
    fn requirements_that_use_the_network_or_were_not_there_may_be_younger() {
        let hook = "the backend setuptools.build_meta did not name its requirements: build: the command exited with \
                    status 1; see build.log; last output: raise URLError(err) / urllib.error.URLError: <urlopen error \
                    [Errno -3] Temporary failure in name resolution>";
        let other = "the backend x did not name its requirements: x / ModuleNotFoundError: No module named 'hatchling'";
        let fresh = Hints::default();
        let found = younger(&fresh, hook).unwrap();
        assert!(found.hints.settings.later.is_some());
        assert_eq!(younger(&found.hints, hook), None);
        assert_eq!(younger(&fresh, other), None);
        let absent = "pip finds no build requirements as of 2026-10-27T21:07:45Z: no wheel of flit-core that was there and \
                      runs on Python 3.11.2 meets flit_core==4.2.0 (the newest is 4.1.0)";
        assert!(younger(&fresh, absent).unwrap().because.contains("not there"));
    }
}
