//! Whether a source has code of its own that may change its files while they are built.
//!
//! Such code may ask for the time, the host, or a tool that this build does not have. Then a file that this build copies
//! is one that the publisher's build changed, and the difference says nothing about the source.

use toml::{Table, Value};

/// Words of a setup script that changes files: converters of Python 2, writing, copying, and other programs.
const CHANGES: [&str; 21] = [
    "dump(",
    "2to3",
    "3to2",
    "build_py",
    ".write(",
    "writelines(",
    "write_text(",
    "write_bytes(",
    ", file=",
    "shutil",
    "copy_file",
    "copyfile",
    "copy_tree",
    "os.rename(",
    "os.replace(",
    "fileinput",
    "subprocess",
    "os.system(",
    "popen(",
    "run_command(",
    "spawn(",
];
/// What a setup script writes without changing a file.
const MESSAGES: [&str; 4] = [
    "sys.stdout.write(",
    "sys.stderr.write(",
    "file=sys.stdout",
    "file=sys.stderr",
];
/// Commands of setup scripts that no build of a wheel runs.
const ASIDE: [&str; 9] = [
    "test",
    "tests",
    "pytest",
    "tox",
    "lint",
    "flake8",
    "upload",
    "publish",
    "build_sphinx",
];
/// Modules that a setup script imports without running code of its project: those of Python and setuptools, and tools that
/// only its tests use.
const LIBRARY: [&str; 58] = [
    "__builtin__",
    "__future__",
    "argparse",
    "ast",
    "builtins",
    "codecs",
    "collections",
    "configparser",
    "ConfigParser",
    "contextlib",
    "copy",
    "coverage",
    "datetime",
    "distutils",
    "errno",
    "fnmatch",
    "functools",
    "getpass",
    "glob",
    "imp",
    "importlib",
    "inspect",
    "io",
    "itertools",
    "json",
    "locale",
    "logging",
    "math",
    "multiprocessing",
    "nose",
    "operator",
    "os",
    "pathlib",
    "pkg_resources",
    "pkgutil",
    "platform",
    "pytest",
    "random",
    "re",
    "runpy",
    "setuptools",
    "shlex",
    "site",
    "socket",
    "string",
    "struct",
    "sys",
    "sysconfig",
    "textwrap",
    "time",
    "tokenize",
    "tox",
    "traceback",
    "types",
    "typing",
    "unittest",
    "urllib",
    "warnings",
];
/// What is often taken from a package for its setup, without underscores and in lower case.
const FACTS: [&str; 12] = [
    "author",
    "author_email",
    "copyright",
    "description",
    "email",
    "license",
    "name",
    "summary",
    "title",
    "uri",
    "url",
    "version",
];
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
const LIFECYCLE: [&str; 12] = [
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
/// Words of a workflow or of `debian/rules` that changes files.
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

/// Whether this file of a source says that building may change files.
pub(super) fn changes_files(path: &str, text: &str) -> bool {
    match kind(path) {
        Some(Kind::Setup) => setup(text),
        Some(Kind::Configuration) => {
            let lower = text.to_ascii_lowercase();
            ["2to3", "3to2", "build_py", "cmdclass"]
                .iter()
                .any(|word| lower.contains(word))
        }
        Some(Kind::Pyproject) => pyproject(text),
        Some(Kind::Hatch) => read(text).is_none_or(|table| table.get("build").is_some_and(has_hooks)),
        Some(Kind::Package) => package(text),
        Some(Kind::Rules) => EDITORS.iter().any(|word| text.contains(word)),
        Some(Kind::Hook) => true,
        // What changes a checkout that is published; a source distribution was made afterwards.
        Some(Kind::Workflow) | None => false,
    }
}

/// Whether this file of a repository is a workflow that may change the files of the checkout.
pub(super) fn edits_checkout(path: &str, text: &str) -> bool {
    let mut words = EDITORS.iter().filter(|word| **word != "python");
    matches!(kind(path), Some(Kind::Workflow)) && words.any(|word| text.contains(word))
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
        _ => None,
    }
}

fn setup(text: &str) -> bool {
    let mut rest = text.to_ascii_lowercase();
    for message in MESSAGES {
        rest = rest.replace(message, "");
    }
    CHANGES.iter().any(|word| rest.contains(word)) || has_commands(&rest) || text.lines().any(runs_own_code)
}

/// Whether a line of a setup script brings in code that may do anything: a module that is neither Python's nor
/// setuptools', unless nothing but a version or the like is taken from it.
fn runs_own_code(line: &str) -> bool {
    let line = line.trim();
    let top = |module: &str| module.trim().split('.').next().unwrap_or_default().to_owned();
    let known = |module: &str| LIBRARY.contains(&top(module).as_str());
    if let Some(modules) = line.strip_prefix("import ") {
        let module = |part: &str| part.split(" as ").next().unwrap_or_default().to_owned();
        return !modules.split(',').all(|part| known(&module(part)));
    }
    let Some((module, names)) = line
        .strip_prefix("from ")
        .and_then(|rest| rest.split_once(" import "))
    else {
        return false;
    };
    let is_fact = |name: &str| {
        let name = name.trim_matches(|c: char| c.is_whitespace() || c == '(' || c == ')');
        let plain = name.split(" as ").next().unwrap_or_default().trim_matches('_');
        FACTS.contains(&plain.to_ascii_lowercase().as_str())
    };
    !known(module) && !names.split(',').all(is_fact)
}

/// Whether a setup script has commands of its own that may be a part of a build.
fn has_commands(setup: &str) -> bool {
    setup.split("cmdclass").skip(1).any(|after| {
        let value = after.trim_start_matches(|c: char| c.is_whitespace() || "='\":".contains(c));
        let Some((listed, _)) = value.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
            return true;
        };
        listed.split(',').any(|entry| {
            let key = entry.split(':').next().unwrap_or_default();
            let key = key.trim().trim_matches(|c| c == '\'' || c == '"');
            !key.is_empty() && !ASIDE.contains(&key)
        })
    })
}

fn read(text: &str) -> Option<Table> {
    toml::from_str(text).ok()
}

fn pyproject(text: &str) -> bool {
    let Some(table) = read(text) else {
        return true;
    };
    let at = |path: &[&str]| {
        let first = path
            .split_first()
            .and_then(|(first, rest)| Some((table.get(*first)?, rest)));
        first.and_then(|(value, rest)| rest.iter().try_fold(value, |value, key| value.get(*key)))
    };
    let backend = at(&["build-system", "build-backend"]);
    let other = backend.is_some_and(|name| name.as_str().is_none_or(|name| !COPYING.contains(&name)));
    other
        || at(&["build-system", "backend-path"]).is_some()
        || at(&["tool", "setuptools", "cmdclass"]).is_some()
        || at(&["tool", "poetry", "build"]).is_some()
        || at(&["tool", "pdm", "build", "custom-hook"]).is_some()
        || at(&["tool", "hatch", "build"]).is_some_and(has_hooks)
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

fn package(text: &str) -> bool {
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
