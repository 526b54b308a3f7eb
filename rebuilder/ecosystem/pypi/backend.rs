//! The backend that signed a wheel, and the requirements that install that version of it.
//!
//! The `Generator` line is the strongest evidence of a build: a source can be built in several ways (a setup.py beside
//! pyproject.toml, a pyproject.toml without `[build-system]`), and only one of them writes that line.

use jiff::Timestamp;
use pep440_rs::Version;

use super::sdist::BuildSystem;

/// Since then poetry leaves building to poetry-core, which called itself "poetry" and started again at 1.0.
const POETRY_CORE_SINCE: &str = "2020-10-01T00:00:00Z";
/// poetry 1.0.0 was released the day before: a later pre-release of 1.0.0 is one of poetry-core.
const POETRY_STABLE_SINCE: &str = "2019-12-13T00:00:00Z";

/// Tools that sign with their own name: the name, the packages of the tool, and its backend.
const FAMILIES: [(&str, &[&str], &str); 8] = [
    ("hatchling", &["hatchling"], "hatchling.build"),
    ("poetry-core", &["poetry"], "poetry.core.masonry.api"),
    ("poetry", &["poetry"], "poetry.masonry.api"),
    ("flit_core", &["flit_core", "flit"], "flit_core.buildapi"),
    ("flit", &["flit"], "flit.buildapi"),
    ("pdm-backend", &["pdm"], "pdm.backend"),
    ("uv", &["uv_build"], "uv_build"),
    ("whey", &["whey"], "whey"),
];
const SETUPTOOLS: &str = "setuptools";

/// The tool and the version in a `Generator` line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Signature {
    /// A project on PyPI, or a tool in the table above.
    tool: &'static str,
    version: String,
}

/// Whether setuptools wrote a wheel, on its own or with the package "wheel".
pub(super) fn by_setuptools(generator: &str) -> bool {
    ["bdist_wheel", SETUPTOOLS]
        .iter()
        .any(|name| generator.starts_with(name))
}

/// Reads the line as of the time of the release; `None` for other tools, and for versions that were never released.
fn read(generator: &str, uploaded: Timestamp) -> Option<Signature> {
    let (name, version) = generator.split_once(' ')?;
    let version = version.split_whitespace().next()?.trim_matches(['(', ')']);
    let parsed: Version = version.parse().ok()?;
    // The backend built itself.
    if version.contains('+') {
        return None;
    }
    let major = parsed.release().first().copied().unwrap_or_default();
    let core = || {
        let since = if parsed.any_prerelease() {
            POETRY_STABLE_SINCE
        } else {
            POETRY_CORE_SINCE
        };
        since.parse().is_ok_and(|since: Timestamp| uploaded >= since)
    };
    let tool = match name {
        "bdist_wheel" => "wheel",
        "poetry" if major >= 1 && core() => "poetry-core",
        // flit_core was split off in flit 2.
        "flit" if major < 2 => "flit",
        "flit" => "flit_core",
        _ => ["pdm-pep517", "enscons", SETUPTOOLS]
            .into_iter()
            .chain(FAMILIES.into_iter().map(|(tool, ..)| tool))
            .find(|tool| *tool == name)?,
    };
    Some(Signature {
        tool,
        version: version.to_owned(),
    })
}

/// The requirements that install the backend in the version that signed.
pub(super) fn requirements(generator: &str, uploaded: Timestamp) -> Option<Vec<String>> {
    let Signature { tool, version } = read(generator, uploaded)?;
    Some(match tool {
        // Since 70.1 setuptools has its own bdist_wheel, which signs with its own name.
        "wheel" => vec![format!("wheel=={version}"), "setuptools<70.1".into()],
        "uv" => vec![format!("uv_build=={version}")],
        tool => vec![format!("{tool}=={version}")],
    })
}

/// The build system that writes this line, if the source names one that is known to write another.
pub(super) fn instead_of(system: &BuildSystem, generator: &str, uploaded: Timestamp) -> Option<BuildSystem> {
    let declared = system.build_backend.split(['.', ':']).next().unwrap_or_default();
    let known = declared == SETUPTOOLS
        || FAMILIES
            .iter()
            .any(|(_, packages, _)| packages.contains(&declared));
    if !known || !system.backend_path.is_empty() {
        return None;
    }
    if by_setuptools(generator) {
        return (declared != SETUPTOOLS).then(BuildSystem::default);
    }
    let tool = read(generator, uploaded)?.tool;
    let (_, packages, backend) = FAMILIES.iter().find(|(name, ..)| *name == tool)?;
    let old_poetry = |backend: &str| backend.starts_with("poetry.masonry");
    let other_poetry = declared == "poetry" && old_poetry(backend) != old_poetry(&system.build_backend);
    (!packages.contains(&declared) || other_poetry).then(|| BuildSystem {
        requires: Vec::new(),
        build_backend: (*backend).to_owned(),
        backend_path: Vec::new(),
    })
}

/// Whether the tool that a `Generator` line names has an option for the Python tag. Before 0.23, the package "wheel" has
/// none: it gives the tag of the Python that runs it.
pub(super) fn has_tag_option(generator: &str) -> bool {
    !is_wheel_before(generator, [0, 23])
}

/// Whether a `Generator` line names a version of the package "wheel" that still runs on Python 2.
pub(super) fn runs_on_python_2(generator: &str) -> bool {
    is_wheel_before(generator, [0, 38])
}

fn is_wheel_before(generator: &str, bound: [u64; 2]) -> bool {
    let version = generator.strip_prefix("bdist_wheel (");
    let version = version.and_then(|rest| rest.trim_end_matches(')').parse::<Version>().ok());
    version.is_some_and(|version| version < Version::new(bound))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Timestamp {
        format!("{text}T00:00:00Z").parse().unwrap()
    }

    #[test]
    fn knows_the_backends_by_their_generator() {
        for (generator, uploaded, expected) in [
            ("poetry 1.0.7", "2022-02-01", Some("poetry-core==1.0.7")),
            ("poetry 1.0.7", "2020-05-01", Some("poetry==1.0.7")),
            ("poetry 1.0.0a8", "2020-07-13", Some("poetry-core==1.0.0a8")),
            ("poetry 1.0.0a5", "2019-11-01", Some("poetry==1.0.0a5")),
            ("poetry 0.12.17", "2021-05-01", Some("poetry==0.12.17")),
            (
                "bdist_wheel (0.41.2)",
                "2023-09-01",
                Some("wheel==0.41.2 setuptools<70.1"),
            ),
            ("setuptools (75.1.0)", "2024-10-01", Some("setuptools==75.1.0")),
            ("flit 3.9.0", "2023-06-01", Some("flit_core==3.9.0")),
            ("flit 1.3", "2019-06-01", Some("flit==1.3")),
            ("hatchling 1.18.0", "2023-09-01", Some("hatchling==1.18.0")),
            ("poetry-core 1.7.0", "2023-09-01", Some("poetry-core==1.7.0")),
            ("uv 0.9.2", "2025-10-10", Some("uv_build==0.9.2")),
            ("pdm-backend (0.0.0+local)", "2023-09-01", None),
            ("maturin (1.2.3)", "2023-09-01", None),
            ("hand made", "2023-09-01", None),
            ("", "2023-09-01", None),
        ] {
            let found = requirements(generator, day(uploaded));
            assert_eq!(found.map(|all| all.join(" ")).as_deref(), expected, "{generator}");
        }
    }

    #[test]
    fn old_versions_of_wheel_have_no_option_for_the_tag_and_run_on_python_2() {
        for (generator, has_option, on_python_2) in [
            ("bdist_wheel (0.22.0)", false, true),
            ("bdist_wheel (0.23.0)", true, true),
            ("bdist_wheel (0.37.1)", true, true),
            ("bdist_wheel (0.38.0)", true, false),
            ("setuptools (75.1.0)", true, false),
            ("bdist_wheel", true, false),
        ] {
            assert_eq!(has_tag_option(generator), has_option, "{generator}");
            assert_eq!(runs_on_python_2(generator), on_python_2, "{generator}");
        }
    }

    #[test]
    fn what_signed_the_wheel_builds_it() {
        let legacy = "setuptools.build_meta:__legacy__";
        for (declared, generator, uploaded, expected) in [
            (
                "flit_core.buildapi",
                "bdist_wheel (0.37.1)",
                "2022-01-01",
                Some(legacy),
            ),
            (
                "poetry.core.masonry.api",
                "setuptools (75.1.0)",
                "2024-10-01",
                Some(legacy),
            ),
            (
                "setuptools.build_meta",
                "bdist_wheel (0.37.1)",
                "2022-01-01",
                None,
            ),
            (legacy, "poetry 0.12.17", "2019-10-01", Some("poetry.masonry.api")),
            (legacy, "flit 1.3", "2019-10-01", Some("flit.buildapi")),
            (legacy, "hatchling 1.18.0", "2023-10-01", Some("hatchling.build")),
            (
                "poetry.masonry.api",
                "poetry 1.0.7",
                "2022-02-01",
                Some("poetry.core.masonry.api"),
            ),
            ("poetry.masonry.api", "poetry 1.0.7", "2020-02-01", None),
            ("poetry.core.masonry.api", "poetry-core 1.9.0", "2024-02-01", None),
            ("flit.buildapi", "flit 3.2.0", "2021-06-01", None),
            (
                "poetry_dynamic_versioning.backend",
                "poetry-core 1.9.0",
                "2024-02-01",
                None,
            ),
            ("hatchling.build", "maturin (1.2.3)", "2024-02-01", None),
        ] {
            let system = BuildSystem {
                build_backend: declared.to_owned(),
                ..BuildSystem::default()
            };
            let found = instead_of(&system, generator, day(uploaded));
            let found = found.map(|system| system.build_backend);
            assert_eq!(found.as_deref(), expected, "{declared} {generator}");
        }
    }
}
