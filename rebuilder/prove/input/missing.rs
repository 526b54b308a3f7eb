//! Finds what a build needs and its container lacks, in the build's log, and the packages that contain it.
//!
//! A first run asks for nothing: a makefile that calls `zip` or `python3` says by that what it needs. A log is a
//! stranger's text, so what is taken from it is only ever a name of a package, which apt resolves and the plan pins.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

use crate::bounded;

#[derive(Deserialize)]
struct Table {
    programs: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    libraries: BTreeMap<String, String>,
}

#[expect(clippy::unwrap_used, reason = "a constant, which the tests read")]
static TABLE: LazyLock<Table> = LazyLock::new(|| toml::from_str(include_str!("programs.toml")).unwrap());

/// How shells, make, interpreters and compilers report that something is missing; the first group is its name.
const PATTERNS: [(&str, What); 10] = [
    (
        r"(?m)^\S+: (?:line )?\d+: ([^\s:]+): (?:command )?not found\s*$",
        What::Program,
    ),
    (
        r"(?m)^(?:g?make)(?:\[\d+\])?: (?:line \d+: )?([^\s:]+): No such file or directory\s*$",
        What::Program,
    ),
    (
        r"(?m)^\S*(?:env|xargs|setarch|nice|timeout): [‘'`]?([^\s:’']+)[’']?: No such file or directory\s*$",
        What::Program,
    ),
    (
        r"(?m)FileNotFoundError: \[Errno 2\] No such file or directory: '([^\s':/]+)'\s*$",
        What::Program,
    ),
    (r#"(?m)Can't exec "([^\s":/]+)": No such file"#, What::Program),
    (r"(?m)\bspawn(?:Sync)? ([^\s:/]+) ENOENT", What::Program),
    (
        r#"(?m)exec: "([^\s":/]+)": executable file not found in \$PATH"#,
        What::Program,
    ),
    (r"(?m): (/\S+): bad interpreter", What::Program),
    (
        r"(?m)fatal error: ([\w./+-]+\.h(?:pp)?): No such file or directory",
        What::Header,
    ),
    (r"(?m)ld: cannot find -l([\w.+-]+)", What::Library),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Program,
    Header,
    Library,
}

#[expect(clippy::unwrap_used, reason = "constants, which the tests compile")]
static FOUND: LazyLock<Vec<(Regex, What)>> = LazyLock::new(|| {
    PATTERNS
        .iter()
        .map(|(pattern, what)| (Regex::new(pattern).unwrap(), *what))
        .collect()
});

/// Packages that contain what is missing according to the end of a log; `tree` is the source, whose scripts name
/// interpreters.
pub(in crate::prove) fn packages(log: &str, tree: &Path) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (pattern, what) in FOUND.iter() {
        for found in pattern.captures_iter(log) {
            let Some(name) = found.get(1) else { continue };
            let package = match what {
                What::Program => program(name.as_str(), tree),
                What::Header => TABLE.headers.get(name.as_str()).cloned(),
                What::Library => TABLE.libraries.get(name.as_str()).cloned(),
            };
            let names = package.unwrap_or_default();
            all.extend(
                names
                    .split(' ')
                    .filter(|name| is_package(name))
                    .map(str::to_owned),
            );
        }
    }
    all
}

fn program(name: &str, tree: &Path) -> Option<String> {
    let base = name.rsplit('/').next()?;
    let is_path = name.contains('/');
    if is_path && !name.starts_with("/usr/bin/") && !name.starts_with("/bin/") {
        // A script is not found if its interpreter is not.
        let interpreter = interpreter(&tree.join(name.trim_start_matches("./")))?;
        return Some(packages_of(&interpreter));
    }
    Some(packages_of(base))
}

/// The packages of a program.
fn packages_of(program: &str) -> String {
    let known = TABLE.programs.get(program);
    known.map_or_else(|| program.to_owned(), Clone::clone)
}

/// The program that the first line of a script names.
fn interpreter(script: &Path) -> Option<String> {
    let text = bounded::read_text(script, 1 << 20).ok()?;
    let words: Vec<_> = text
        .lines()
        .next()?
        .strip_prefix("#!")?
        .split_whitespace()
        .collect();
    let mut programs = words.iter().map(|word| word.rsplit('/').next().unwrap_or(word));
    let first = programs.next()?;
    let chosen = if first == "env" {
        programs.find(|word| !word.starts_with('-') && !word.contains('='))?
    } else {
        first
    };
    Some(chosen.to_owned())
}

/// Whether this can be the name of a Debian package (Debian policy, 5.6.7).
fn is_package(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    name.len() > 1 && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tools_say_is_missing_is_a_package() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::write(
            tree.path().join("generate.py"),
            "#!/usr/bin/env -S python3 -B\nprint()\n",
        )
        .unwrap();
        for (log, packages_of) in [
            (
                "/bin/sh: 1: zip: not found\nmake: *** [Makefile:2: x] Error 127\n",
                "zip",
            ),
            ("/inputs/prove/build.sh: 2: cmake: not found\n", "cmake"),
            ("./build.sh: line 7: msgfmt: command not found\n", "gettext"),
            ("bash: line 1: python: command not found\n", "python-is-python3"),
            (
                "make: python3: No such file or directory\nmake: *** [Makefile:3: v] Error 127\n",
                "python3",
            ),
            ("make[1]: ./generate.py: No such file or directory\n", "python3"),
            ("./build.sh: 4: ./generate.py: not found\n", "python3"),
            ("/usr/bin/env: ‘python3’: No such file or directory\n", "python3"),
            ("env: 'node': No such file or directory\n", "nodejs"),
            ("xargs: zip: No such file or directory\n", "zip"),
            (
                "FileNotFoundError: [Errno 2] No such file or directory: 'git'\n",
                "git",
            ),
            ("/bin/sh: 1: ./x: /usr/bin/perl6: bad interpreter\n", "perl6"),
            ("/bin/sh: 1: autoreconf: not found\n", "autoconf automake libtool"),
            (
                "a.c:1:10: fatal error: zlib.h: No such file or directory\n",
                "zlib1g-dev",
            ),
            (
                "/usr/bin/ld: cannot find -lz: No such file or directory\n",
                "zlib1g-dev",
            ),
            // What is nobody's package.
            ("make: ./gone.sh: No such file or directory\n", ""),
            (
                "FileNotFoundError: [Errno 2] No such file or directory: 'data/x.txt'\n",
                "",
            ),
            ("sh: 1: -rf;: not found\n", ""),
            ("cat: words.txt: No such file or directory\n", ""),
            ("checking for cmake... not found\n", ""),
        ] {
            let found: Vec<_> = packages(log, tree.path()).into_iter().collect();
            assert_eq!(found.join(" "), packages_of, "{log}");
        }
    }

    #[test]
    fn every_package_of_the_table_has_a_name_that_a_package_can_have() {
        let table = &*TABLE;
        let all = table.programs.values().chain(table.headers.values());
        for names in all.chain(table.libraries.values()) {
            assert!(names.split(' ').all(is_package), "{names}");
        }
    }
}
