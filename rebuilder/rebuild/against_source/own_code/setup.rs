//! Whether a setup script does nothing but tell setuptools about a package.
//!
//! What it does not do is not listed here, because there is no end of ways to run code: what it may do is. A script that
//! calls anything else, or imports a module that is neither Python's nor setuptools', may change files.

use std::collections::BTreeSet;

use super::{is_known_requirement, normalised};

/// Words that show that a script changes files or lets a plugin do so, in lower case and without blanks.
const CHANGES: [&str; 17] = [
    "2to3",
    "3to2",
    "build_py",
    "cffi_modules",
    "command_packages",
    "distclass",
    "os.rename(",
    "os.replace(",
    "os.system(",
    "pbr=",
    "popen(",
    "rust_extensions",
    "run_command(",
    "shutil",
    "spawn(",
    "subprocess",
    "template",
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
const HARMLESS: [&str; 122] = [
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
    "compile",
    "count",
    "decode",
    "dedent",
    "dict",
    "dirname",
    "encode",
    "endswith",
    "enumerate",
    "eval",
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

/// Whether the setup script of a package may change files.
pub(super) fn changes_files(text: &str, package: &str) -> bool {
    let mut rest = text.to_ascii_lowercase().replace([' ', '\t'], "");
    for message in MESSAGES {
        rest = rest.replace(message, "");
    }
    let mut code = code(text);
    for message in MESSAGES {
        code = code.replace(message, "");
    }
    CHANGES.iter().any(|word| rest.contains(word))
        || rest.contains(",file=")
        || has_commands(&text.to_ascii_lowercase())
        || has_plugins(text)
        || text.lines().any(|line| runs_own_code(line, package))
        || calls_other_things(&code)
}

/// A script without its comments and the contents of its strings.
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
        code.push_str("\"\"");
        rest = from
            .get(quote.len()..)
            .map_or("", |from| after_string(from, quote));
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
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut own = BTreeSet::new();
    let mut called = Vec::new();
    let mut at = 0;
    while let Some(found) = code.get(at..).and_then(|rest| rest.find('(')) {
        let open = at.saturating_add(found);
        at = open.saturating_add(1);
        let before = code.get(..open).unwrap_or_default().trim_end_matches([' ', '\t']);
        // The result of an expression.
        if before.ends_with([')', ']', '}']) {
            return true;
        }
        let start = before.trim_end_matches(is_name).len();
        let (above, name) = before.split_at(start);
        let word = above
            .trim_end()
            .rsplit(|c| !is_name(c))
            .next()
            .unwrap_or_default();
        if matches!(word, "def" | "class") {
            own.insert(name);
        } else if !name.is_empty() {
            called.push(name);
        }
    }
    let harmless = |name: &str| HARMLESS.contains(&name) || WORDS.contains(&name) || own.contains(name);
    !called.into_iter().all(harmless)
}

/// Whether a line of a setup script brings in code that may do anything: a module that is neither Python's nor
/// setuptools', unless nothing but a version or the like is taken from the package itself.
fn runs_own_code(line: &str, package: &str) -> bool {
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
    let itself = normalised(package) == normalised(&top(module));
    !(known(module) || itself && names.split(',').all(is_fact))
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

/// Whether a setup script requires something for the build that may be a plugin.
fn has_plugins(setup: &str) -> bool {
    setup.split("setup_requires").skip(1).any(|after| {
        let value = after.trim_start_matches(|c: char| c.is_whitespace() || "='\":".contains(c));
        let Some((listed, _)) = value.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
            return true;
        };
        let entries = listed.split(',').map(|it| it.trim().trim_matches(['\'', '"']));
        !entries
            .filter(|entry| !entry.is_empty())
            .all(is_known_requirement)
    })
}
