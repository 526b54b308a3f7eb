//! Whether a source has code of its own that may change its files while they are built.
//!
//! Such code may ask for the time, the host, or a tool that this build does not have. Then a file that this build copies
//! is one that the publisher's build changed, and the difference says nothing about the source.

mod setup;
mod workflow;

use std::str::FromStr as _;

use pep508_rs::PackageName;
use toml::{Table, Value};

/// Backends that copy modules as they are, unless a table of `pyproject.toml` says otherwise.
const COPYING: [&str; 11] = [
    "setuptools.build_meta",
    "setuptools.build_meta:__legacy__",
    "flit_core.buildapi",
    "flit.buildapi",
    "hatchling.build",
    "hatchling.ouroboros",
    "poetry.core.masonry.api",
    "poetry.masonry.api",
    "pdm.backend",
    "pdm.pep517.api",
    "uv_build",
];
/// Scripts of `package.json` that run before a package is published.
const LIFECYCLE: [&str; 17] = [
    "preinstall",
    "install",
    "postinstall",
    "postprepare",
    "postpack",
    "prepublish",
    "prepublishOnly",
    "prepack",
    "prepare",
    "preprepare",
    "prebuild",
    "build",
    "postbuild",
    "preversion",
    "version",
    "postversion",
    "release",
];
/// Beginnings of the names of files that configure tools which write files and then publish.
const RELEASERS: [&str; 5] = [
    ".releaserc",
    "release.config.",
    ".release-it.",
    ".versionrc",
    ".autorc",
];
/// What a build may require without changing a file of its source, as PyPI spells the names.
const REQUIRED: [&str; 25] = [
    "cffi",
    "cython",
    "editables",
    "flit",
    "flit-core",
    "hatch",
    "hatch-fancy-pypi-readme",
    "hatch-vcs",
    "hatchling",
    "importlib-metadata",
    "numpy",
    "packaging",
    "pdm-backend",
    "pdm-pep517",
    "pip",
    "poetry",
    "poetry-core",
    "pybind11",
    "pytest-runner",
    "setuptools",
    "setuptools-scm",
    "tomli",
    "trove-classifiers",
    "uv-build",
    "wheel",
];
/// Words of `setup.cfg` that bring in code of the project's own or of a plugin.
const CONFIGURED: [&str; 8] = [
    "2to3",
    "3to2",
    "build_py",
    "cmdclass",
    "command-packages",
    "command_packages",
    "distclass",
    "setup_requires",
];
/// Files in which other hosts than GitHub describe what builds and publishes.
const PIPELINES: [&str; 13] = [
    ".cirrus.yml",
    "cloudbuild.yaml",
    "cloudbuild.yml",
    ".gitlab-ci.yml",
    ".travis.yml",
    "azure-pipelines.yml",
    "azure-pipelines.yaml",
    "appveyor.yml",
    ".appveyor.yml",
    ".drone.yml",
    ".woodpecker.yml",
    "bitbucket-pipelines.yml",
    "Jenkinsfile",
];
/// Words of a `debian/rules` that edits files.
const EDITORS: [&str; 8] = [
    "sed ", "perl ", "awk ", "envsubst", "ed -s", "2to3", "patch ", "python",
];
/// Files that say that a program builds a source; they change files as they install them, and only `debian/rules` runs
/// them for a package that is compared here.
const PROGRAMS: [&str; 16] = [
    "configure",
    "configure.ac",
    "Makefile",
    "Makefile.am",
    "Makefile.in",
    "Makefile.PL",
    "GNUmakefile",
    "CMakeLists.txt",
    "meson.build",
    "Build.PL",
    "SConstruct",
    "wscript",
    "Rakefile",
    "build.xml",
    "pom.xml",
    "autogen.sh",
];
/// Number of folders that a build script may be in: those of an archive, of a workspace, and of its packages.
const DEPTH: usize = 4;

/// Whether a file may say that building changes files.
pub(super) fn is_script(path: &str) -> bool {
    kind(path).is_some()
}

/// Whether this file of the source of a package says that building may change files.
pub(super) fn changes_files(path: &str, text: &str, package: &str) -> bool {
    match kind(path) {
        Some(Kind::Setup) => setup::changes_files(text, package),
        Some(Kind::Configuration) => {
            let lower = text.to_ascii_lowercase();
            let attributes = || {
                lower
                    .split("attr:")
                    .skip(1)
                    .filter_map(|after| after.split_whitespace().next())
            };
            CONFIGURED.iter().any(|word| lower.contains(word)) || !attributes().all(setup::is_fact)
        }
        Some(Kind::Pyproject) => pyproject(text),
        Some(Kind::Hatch) => read(text).is_none_or(|table| hatch(&Value::Table(table))),
        Some(Kind::Package) => manifest(text),
        Some(Kind::Rules) => EDITORS.iter().any(|word| text.contains(word)),
        Some(Kind::Hook) => true,
        // What changes a checkout that is published; a source distribution was made afterwards.
        Some(Kind::Workflow | Kind::Pipeline) | None => false,
    }
}

/// Whether this file of a repository may change what is checked out: a workflow that does more than build and publish, or
/// a pipeline of another kind, which is not read.
pub(super) fn edits_checkout(path: &str, text: &str) -> bool {
    match kind(path) {
        Some(Kind::Workflow) => !workflow::is_plain(text),
        Some(Kind::Pipeline) => true,
        _ => false,
    }
}

/// Whether a file shows that a program builds the source that it is in.
pub(super) fn is_program(path: &str) -> bool {
    let mut parts = path.trim_start_matches("./").rsplit('/');
    parts.next().is_some_and(|name| PROGRAMS.contains(&name)) && parts.count() <= 1
}

/// Whether a file has the rules by which a Debian package is built.
pub(super) fn is_rules(path: &str) -> bool {
    matches!(kind(path), Some(Kind::Rules))
}

enum Kind {
    /// `setup.py`.
    Setup,
    /// `setup.cfg`.
    Configuration,
    /// `pyproject.toml`.
    Pyproject,
    /// `hatch.toml`, the table of hatch in a file of its own.
    Hatch,
    /// `package.json`.
    Package,
    /// `debian/rules`.
    Rules,
    /// A script that a backend runs if it exists, or the configuration of a tool that writes files before it publishes
    /// an npm package.
    Hook,
    /// A workflow of GitHub.
    Workflow,
    /// What other hosts have in its place.
    Pipeline,
}

fn kind(path: &str) -> Option<Kind> {
    let mut parts = path.trim_start_matches("./").rsplit('/');
    let name = parts.next()?;
    let above = parts.next();
    if parts.count() >= DEPTH {
        return None;
    }
    match name {
        "setup.py" => Some(Kind::Setup),
        "setup.cfg" => Some(Kind::Configuration),
        "pyproject.toml" => Some(Kind::Pyproject),
        "hatch.toml" => Some(Kind::Hatch),
        "package.json" => Some(Kind::Package),
        "rules" if above == Some("debian") => Some(Kind::Rules),
        "config.json" if above == Some(".changeset") => Some(Kind::Hook),
        "Gruntfile.js" | "gulpfile.js" | "lerna.json" => Some(Kind::Hook),
        name if RELEASERS.iter().any(|start| name.starts_with(start)) => Some(Kind::Hook),
        name if above == Some("workflows") && (name.ends_with(".yml") || name.ends_with(".yaml")) => {
            Some(Kind::Workflow)
        }
        "pdm_build.py" => Some(Kind::Hook),
        "config.yml" if above == Some(".circleci") => Some(Kind::Pipeline),
        "pipeline.yml" if above == Some(".buildkite") => Some(Kind::Pipeline),
        name if PIPELINES.contains(&name) => Some(Kind::Pipeline),
        _ => None,
    }
}

fn read(text: &str) -> Option<Table> {
    toml::from_str(text).ok()
}

fn value_at<'a>(table: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(table, |value, key| value.get(*key))
}

fn pyproject(text: &str) -> bool {
    let Some(table) = read(text) else {
        return true;
    };
    let table = Value::Table(table);
    let at = |path: &[&str]| value_at(&table, path);
    let backend = at(&["build-system", "build-backend"]);
    let other = backend.is_some_and(|name| name.as_str().is_none_or(|name| !COPYING.contains(&name)));
    let required = at(&["build-system", "requires"]).map(|list| list.as_array());
    let plugins = required.is_some_and(|list| {
        list.is_none_or(|list| {
            !list
                .iter()
                .all(|it| it.as_str().is_some_and(is_known_requirement))
        })
    });
    other
        || plugins
        // Templates say what a plugin writes.
        || text.contains("template")
        || at(&["tool", "pdm", "version", "source"])
            .is_some_and(|source| source.as_str().is_none_or(|source| source == "call"))
        || at(&["tool", "pdm", "build"]).is_some_and(|build| !build.is_table() || build.get("setup-script").is_some())
        || at(&["tool", "setuptools", "dynamic", "version", "attr"])
            .is_some_and(|attribute| !attribute.as_str().is_some_and(setup::is_fact))
        || at(&["tool", "poetry", "requires-plugins"]).is_some()
        || at(&["tool", "poetry-dynamic-versioning"]).is_some()
        || at(&["tool", "cibuildwheel"]).is_some_and(|wheels| wheels.to_string().contains("before-"))
        || at(&["build-system", "backend-path"]).is_some()
        || at(&["tool", "setuptools", "cmdclass"]).is_some()
        || at(&["tool", "poetry", "build"]).is_some()
        || at(&["tool", "pdm", "build", "custom-hook"]).is_some()
        || at(&["tool", "hatch"]).is_some_and(hatch)
}

/// Whether hatch runs code of the project, or writes a file as the project has it.
fn hatch(table: &Value) -> bool {
    let at = |path: &[&str]| value_at(table, path);
    at(&["build"]).is_some_and(has_hooks)
        || at(&["version", "source"]).is_some_and(|source| source.as_str() == Some("code"))
        || at(&["metadata", "hooks", "custom"]).is_some()
        || table.to_string().contains("template")
}

/// Whether a requirement of a build names one that changes no file of the source.
fn is_known_requirement(requirement: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let requirement = requirement.trim();
    // It may come from anywhere.
    if requirement.contains('@') {
        return false;
    }
    let end = requirement.find(|c| !is_name(c)).unwrap_or(requirement.len());
    let name = PackageName::from_str(requirement.get(..end).unwrap_or_default());
    name.is_ok_and(|name| REQUIRED.contains(&name.to_string().as_str()))
}

/// Whether a table of hatch has build hooks, other than the one that writes only the version.
fn has_hooks(build: &Value) -> bool {
    let targets = build.get("targets").and_then(Value::as_table);
    let of_targets = targets.into_iter().flatten().map(|(_, target)| target);
    std::iter::once(build).chain(of_targets).any(|at| {
        let hooks = at.get("hooks").and_then(Value::as_table);
        hooks.is_some_and(|hooks| hooks.keys().any(|name| name != "vcs"))
    })
}

fn manifest(text: &str) -> bool {
    let Ok(package) = serde_json::from_str::<serde_json::Value>(text) else {
        return true;
    };
    let scripts = package.get("scripts").and_then(serde_json::Value::as_object);
    // The configuration of a tool that publishes.
    let releases = ["release", "release-it", "standard-version", "auto"]
        .iter()
        .any(|key| package.get(key).is_some());
    let publishes = |(name, script): (&String, &serde_json::Value)| {
        let script = script.as_str().unwrap_or_default();
        LIFECYCLE.contains(&name.as_str())
            || ["release", "publish", "version"]
                .iter()
                .any(|word| script.contains(word))
    };
    releases || scripts.is_some_and(|scripts| scripts.iter().any(publishes))
}

#[cfg(test)]
mod tests;
