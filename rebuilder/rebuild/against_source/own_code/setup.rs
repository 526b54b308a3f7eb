//! Whether a setup script does nothing but tell setuptools about a package.
//!
//! A script can run code and write files in endless ways, so this module lists what is harmless. A script that imports or
//! calls anything else may change files.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use pep508_rs::PackageName;

use super::is_known_requirement;

/// Options of setuptools and its plugins that change files or run code, in lower case and without blanks.
const OPTIONS: [&str; 9] = [
    "2to3",
    "3to2",
    "build_py",
    "cffi_modules",
    "command_packages",
    "distclass",
    "pbr=",
    "rust_extensions",
    "template",
];
/// Names that a harmless script does not even mention, because what they name could be called in another way.
const NAMES: [&str; 24] = [
    "__import__",
    "exec",
    "execfile",
    "extractall",
    "fileinput",
    "import_module",
    "popen",
    "Popen",
    "remove",
    "rename",
    "rmtree",
    "run_command",
    "run_path",
    "shutil",
    "spawn",
    "subprocess",
    "symlink",
    "system",
    "touch",
    "unlink",
    "write",
    "write_bytes",
    "write_text",
    "writelines",
];
/// Harmless calls of functions whose names are not.
const EXCEPTIONS: [&str; 7] = [
    "eval(re.",
    "platform.system(",
    "re.compile(",
    "sys.argv.remove(",
    "sys.path.remove(",
    "sys.stderr.write(",
    "sys.stdout.write(",
];
/// How a file is opened to be written.
const MODES: [&str; 10] = ["w", "wb", "wt", "w+", "a", "ab", "a+", "x", "r+", "r+b"];
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
const LIBRARY: [&str; 53] = [
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
    "platform",
    "pytest",
    "random",
    "re",
    "setuptools",
    "shlex",
    "site",
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
/// Functions and methods that change no file.
const HARMLESS: [&str; 120] = [
    "AssertionError",
    "Exception",
    "Extension",
    "IOError",
    "ImportError",
    "KeyError",
    "LooseVersion",
    "NotImplementedError",
    "OSError",
    "Path",
    "PurePath",
    "RuntimeError",
    "StrictVersion",
    "SystemExit",
    "ValueError",
    "__init__",
    "abspath",
    "all",
    "any",
    "append",
    "basename",
    "bool",
    "chdir",
    "close",
    "cmdline",
    "count",
    "decode",
    "dedent",
    "dict",
    "dirname",
    "encode",
    "endswith",
    "enumerate",
    "exists",
    "exit",
    "extend",
    "filter",
    "finalize_options",
    "find",
    "find_namespace_packages",
    "find_packages",
    "findall",
    "finditer",
    "format",
    "frozenset",
    "fullmatch",
    "get",
    "getcwd",
    "getenv",
    "glob",
    "group",
    "groupdict",
    "groups",
    "hasattr",
    "iglob",
    "index",
    "initialize_options",
    "insert",
    "int",
    "isdir",
    "isfile",
    "isinstance",
    "isspace",
    "issubclass",
    "items",
    "iter",
    "join",
    "joinpath",
    "keys",
    "len",
    "list",
    "listdir",
    "literal_eval",
    "lower",
    "lstrip",
    "main",
    "map",
    "match",
    "max",
    "min",
    "next",
    "normpath",
    "open",
    "parse_version",
    "partition",
    "pop",
    "print",
    "range",
    "read",
    "read_text",
    "readline",
    "readlines",
    "realpath",
    "relpath",
    "replace",
    "resolve",
    "reversed",
    "rfind",
    "rpartition",
    "rsplit",
    "rstrip",
    "run_tests",
    "search",
    "set",
    "setup",
    "sorted",
    "split",
    "splitext",
    "splitlines",
    "startswith",
    "str",
    "strip",
    "sub",
    "super",
    "title",
    "tuple",
    "update",
    "upper",
    "values",
    "zip",
];
/// Words of Python that a parenthesis may follow.
const WORDS: [&str; 21] = [
    "and", "as", "assert", "del", "elif", "else", "except", "for", "from", "if", "import", "in", "is",
    "lambda", "not", "or", "raise", "return", "while", "with", "yield",
];

/// The last words of the names of modules that are only about their package, without underscores.
const ABOUT: [&str; 8] = [
    "about",
    "const",
    "constants",
    "info",
    "meta",
    "metadata",
    "release",
    "version",
];

/// Whether the setup script of a package may change files.
pub(super) fn changes_files(text: &str, package: &str) -> bool {
    let whole: String = text.split_whitespace().collect();
    let lower = whole.to_ascii_lowercase();
    let mut code = code(&text.replace("\\\n", " "));
    for harmless in EXCEPTIONS {
        code = code.replace(harmless, "(");
    }
    let opens = |mode: &&str| {
        ["'", "\""].iter().any(|quote| {
            ["", "mode="]
                .iter()
                .any(|name| whole.contains(&format!(",{name}{quote}{mode}{quote}")))
        })
    };
    OPTIONS.iter().any(|word| lower.contains(word))
        || whole.contains("print>>")
        || prints_to_a_file(&whole)
        || MODES.iter().any(opens)
        || words(&code).any(|word| NAMES.contains(&word))
        || !are_listed(text, "cmdclass", ['{', '}'], |entry| {
            ASIDE.contains(&unquoted(entry.split(':').next().unwrap_or_default()))
        })
        || !are_listed(text, "setup_requires", ['[', ']'], |entry| {
            is_known_requirement(unquoted(entry))
        })
        || code
            .split(['\n', ';'])
            .any(|line| replaces(line) || runs_own_code(line, package))
        || calls_other_things(&code)
}

/// Whether a script without blanks prints to something else than the terminal.
fn prints_to_a_file(script: &str) -> bool {
    let mut targets = script.split("file=").skip(1);
    targets.any(|target| !(target.starts_with("sys.stdout") || target.starts_with("sys.stderr")))
}

fn unquoted(entry: &str) -> &str {
    entry.trim().trim_matches(['\'', '"'])
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c| !is_name(c))
}

/// Whether a line gives something else to a name of another module or class, such as a method of setuptools.
fn replaces(line: &str) -> bool {
    let Some((target, value)) = line.split_once('=') else {
        return false;
    };
    let target = target.trim();
    let is_name = target.chars().all(|c| c.is_alphanumeric() || "._".contains(c));
    !value.starts_with('=') && is_name && target.contains('.') && !target.starts_with("self.")
}

/// A script without its comments and the contents of its strings, but with those of strings that contain code.
fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['#', '\'', '"']) {
        let (before, from) = rest.split_at(at);
        code.push_str(before);
        let Some(first) = from.chars().next() else { break };
        if first == '#' {
            rest = from
                .find('\n')
                .and_then(|end| from.get(end..))
                .unwrap_or_default();
            continue;
        }
        let long = first.to_string().repeat(3);
        let quote = if from.starts_with(&long) {
            &long
        } else {
            &long[..1]
        };
        let inside = from.get(quote.len()..).unwrap_or_default();
        let prefix = before.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let formatted = before
            .get(prefix.len()..)
            .is_some_and(|prefix| prefix.len() <= 2 && prefix.contains(['f', 'F']));
        rest = after_string(inside, quote);
        code.push_str("\"\"");
        if formatted {
            let length = inside.len().saturating_sub(rest.len());
            code.push_str(inside.get(..length).unwrap_or_default());
        }
    }
    code.push_str(rest);
    code
}

/// What follows the string that begins here.
fn after_string<'a>(from: &'a str, quote: &str) -> &'a str {
    let mut rest = from;
    while let Some(at) = rest.find([quote.chars().next().unwrap_or('"'), '\\']) {
        let found = rest.get(at..).unwrap_or_default();
        if let Some(after) = found.strip_prefix(quote) {
            return after;
        }
        // A quote that is escaped, or one of a long string that stands alone.
        let skipped = if found.starts_with('\\') { 2 } else { 1 };
        rest = found
            .char_indices()
            .nth(skipped)
            .and_then(|(next, _)| found.get(next..))
            .unwrap_or_default();
    }
    ""
}

/// Whether a script calls something that is neither its own nor known to be harmless.
fn calls_other_things(code: &str) -> bool {
    let mut own = BTreeSet::new();
    let mut called = Vec::new();
    for (open, _) in code.match_indices('(') {
        let (before, after) = code.split_at(open);
        let before = before.trim_end_matches([' ', '\t']);
        // The result of an expression.
        if before.ends_with([')', ']', '}']) {
            return true;
        }
        let start = before.trim_end_matches(is_name).len();
        let (above, name) = before.split_at(start);
        let word = words(above.trim_end()).last().unwrap_or_default();
        if above.ends_with([' ', '\t']) && matches!(word, "def" | "class") {
            own.insert(name);
        } else if !name.is_empty() {
            called.push((name, above, after));
        }
    }
    !called.into_iter().all(|(name, above, after)| {
        let method = above.ends_with('.');
        let itself = !method || above.ends_with("self.") || above.ends_with("cls.");
        // Of a text: that of a path has one argument, and renames a file.
        let replaces =
            name == "replace" && !(method && after.split(')').next().is_some_and(|it| it.contains(',')));
        !replaces && HARMLESS.contains(&name) || WORDS.contains(&name) || itself && own.contains(name)
    })
}

/// Whether a line of a setup script brings in code that may do anything: a module that is neither Python's nor
/// setuptools', unless nothing but a version or the like is taken from a module of the package that is about it.
fn runs_own_code(line: &str, package: &str) -> bool {
    let line = line.replace("import(", "import (").replace("import*", "import *");
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    // After `try:` and the like.
    let starts = [line.find(": import "), line.find(": from ")];
    let start = starts.into_iter().flatten().min();
    let line = start
        .and_then(|at| line.get(at.saturating_add(2)..))
        .unwrap_or(&line);
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
    let about = match module.rsplit_once('.') {
        Some((_, last)) => ABOUT.contains(&last.trim_matches('_')),
        None => true,
    };
    let itself = about
        && PackageName::from_str(package)
            .is_ok_and(|package| PackageName::from_str(&top(module)).is_ok_and(|module| module == package));
    !(known(module) || itself && names.split(',').all(is_fact))
}

/// Whether the last word of a name is one of those that are often taken from a package for its setup.
pub(super) fn is_fact(name: &str) -> bool {
    let name = name.trim_matches(|c: char| c.is_whitespace() || c == '(' || c == ')');
    let plain = name.split(" as ").next().unwrap_or_default();
    let last = plain.rsplit('.').next().unwrap_or_default().trim_matches('_');
    FACTS.contains(&last.to_ascii_lowercase().as_str())
}

/// Whether an option is not given, or has a list between these brackets and nothing else, of which each entry fits.
fn are_listed(setup: &str, option: &str, [open, close]: [char; 2], fits: impl Fn(&str) -> bool) -> bool {
    setup.split(option).skip(1).all(|after| {
        let value = after.trim_start_matches(|c: char| c.is_whitespace() || "='\":".contains(c));
        let Some(inside) = value.strip_prefix(open) else {
            return false;
        };
        let mut quote = None;
        let end = inside.find(|c: char| {
            match quote {
                Some(begun) if begun == c => quote = None,
                None if matches!(c, '\'' | '"') => quote = Some(c),
                _ => {}
            }
            quote.is_none() && c == close
        });
        let Some((listed, rest)) = end.and_then(|end| inside.split_at_checked(end)) else {
            return false;
        };
        let rest = rest.trim_start_matches(close).trim_start_matches([' ', '\t']);
        let alone = rest.is_empty() || rest.starts_with([',', ')', '\n', '\r', '#']);
        let mut entries = listed.split(',').filter(|entry| !entry.trim().is_empty());
        alone && entries.all(&fits)
    })
}
