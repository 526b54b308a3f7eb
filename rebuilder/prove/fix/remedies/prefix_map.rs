//! Compilers store the folder that they run in; they can be told to store another one.

use super::super::edit::{Kind, Rule};
use super::Remedy;
use crate::compare::Cause;
use crate::prove::Knob;

const HERE: &str = "-ffile-prefix-map=$$(CURDIR)=.";

pub(super) const REMEDY: Remedy = Remedy {
    name: "file-prefix-map",
    title: "make the compiler store paths without the build folder",
    knobs: &[Knob::BuildPath],
    causes: &[Cause::BuildPath, Cause::BuildId, Cause::DebugInformation],
    rules: &[
        Rule::new(
            &[Kind::Make],
            r"^((?:export\s+|override\s+)?(?:AM_)?(?:C|CXX|F)FLAGS\s*(?:[:?+]?=|::=).*)$",
            "${1} -ffile-prefix-map=$$(CURDIR)=.",
        )
        .unless("file-prefix-map"),
        Rule::new(
            &[Kind::Make],
            r"^(\t[@+-]*\s*)(cc|gcc|g\+\+|c\+\+|clang|clang\+\+|\$[({](?:CC|CXX)[)}])(\s)",
            "${1}${2} -ffile-prefix-map=$$(CURDIR)=.${3}",
        )
        .unless(r"file-prefix-map|\$[({](AM_)?(C|CXX)FLAGS"),
        Rule::new(
            &[Kind::Shell, Kind::PackageJson, Kind::Settings],
            r"CMD(cc|gcc|g\+\+|c\+\+|clang|clang\+\+)(\s)",
            "${1}${2} -ffile-prefix-map=\"§PWD\"=.${3}",
        )
        .unless("file-prefix-map"),
        Rule::new(
            &[Kind::CMake],
            r"^(\s*project\s*\(.*\)\s*)$",
            "${1}\nadd_compile_options(\"-ffile-prefix-map=$${CMAKE_SOURCE_DIR}=.\")",
        )
        .unless("file-prefix-map"),
        Rule::new(
            &[Kind::Python],
            r#"(["'])(gcc|cc|g\+\+|clang)["'](\s*,)"#,
            "${1}${2}${1}, f\"-ffile-prefix-map={os.getcwd()}=.\"${3}",
        )
        .unless("file-prefix-map")
        .importing(&["os"]),
    ],
    whole: Some(flags),
};

fn flags(kind: Kind, text: &str) -> Option<String> {
    extensions(kind, text)
        .or_else(|| meson(kind, text))
        .or_else(|| debian(kind, text))
}

/// Meson compiles with debug information unless it is told not to.
fn meson(kind: Kind, text: &str) -> Option<String> {
    if kind != Kind::Meson || text.contains("file-prefix-map") {
        return None;
    }
    let call = regex::Regex::new(r"(?m)^project\s*\([^()]*\)[^\n]*\n")
        .ok()?
        .find(text)?;
    let languages = ["c", "cpp", "fortran"].map(|name| format!("'{name}'"));
    let languages: Vec<_> = languages
        .iter()
        .filter(|name| call.as_str().contains(name.as_str()))
        .map(String::as_str)
        .collect();
    if languages.is_empty() {
        return None;
    }
    let (before, after) = text.split_at(call.end());
    Some(format!(
        "{before}add_project_arguments('-ffile-prefix-map=' + meson.source_root() + '=.', language: [{}])\n{after}",
        languages.join(", ")
    ))
}

/// What builds Python's extensions takes flags of the compiler from the environment.
fn extensions(kind: Kind, text: &str) -> Option<String> {
    let builds = text.contains("Extension(") && text.contains("setup(");
    if kind != Kind::Python || !builds || text.contains("file-prefix-map") {
        return None;
    }
    let is_import = |line: &str| line.starts_with("import ") || line.starts_with("from ");
    let first = text
        .lines()
        .position(|line| is_import(line) && !line.contains("__future__"))?;
    let flags = "import os\nos.environ[\"CFLAGS\"] = os.environ.get(\"CFLAGS\", \"\") + f\" -ffile-prefix-map={os.getcwd()}=.\"\n";
    let mut lines: Vec<_> = text.split_inclusive('\n').collect();
    lines.insert(first, flags);
    Some(lines.concat())
}

/// Debian's build flags have a name for it.
fn debian(kind: Kind, text: &str) -> Option<String> {
    let wanted = kind == Kind::Make && text.starts_with("#!") && text.contains("dh ") && !text.contains(HERE);
    if !wanted || text.contains("fixfilepath") {
        return None;
    }
    let line = "export DEB_BUILD_MAINT_OPTIONS = reproducible=+fixfilepath\n";
    let mut lines: Vec<_> = text.split_inclusive('\n').collect();
    lines.insert(1, line);
    Some(lines.concat())
}
