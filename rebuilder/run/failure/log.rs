//! What the last lines of a build's log look like. A log is a stranger's text: a pattern in it is a hint for people, and
//! nothing follows from it for the verdict.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};

use super::{Certainty, Failure, FailureCode};

/// Lines that a failure keeps.
const KEPT: usize = 12;
/// Lines from the end that are searched.
const SEARCHED: usize = 400;
/// Maximum length of a line that is kept or searched, in characters.
const WIDTH: usize = 300;

/// What tools write, by what it probably means. Of several that occur, the first of this table counts: what the machine
/// lacks makes tests fail and dependencies seem gone, and not the other way round.
const PATTERNS: &[(FailureCode, &str)] = {
    use FailureCode as Code;
    &[
        (Code::DiskFull, r"No space left on device|\bENOSPC\b"),
        (
            Code::OutOfMemory,
            r"JavaScript heap out of memory|^MemoryError\b|Cannot allocate memory|virtual memory exhausted|^fatal error: Killed signal|\bsignal: 9, SIGKILL|memory allocation of \d+ bytes failed|\bENOMEM\b",
        ),
        (
            Code::MissingTool,
            r"^(?:/bin/)?(?:ba|da)?sh: (?:line )?(?:\d+: )?[\w.+/-]+: (?:command )?not found|^/inputs/\S+: (?:line )?\d+: [\w.+/-]+: (?:command )?not found|^make(?:\[\d+\])?: [\w.+-]+: No such file or directory|fatal error: [\w./+-]+\.h(?:pp)?: No such file or directory|ld: cannot find -l\S+|Package '?[\w.+-]+'?,? (?:required by .*)?was not found in the pkg-config|^\S*env: .?[\w.+-]+.?: No such file or directory|spawn [\w./+-]+ ENOENT|error: linker `\w+` not found|^ValueError: patchelf \S+ found\. auditwheel repair requires|Do you have cargo in your PATH|Could not find .?[\w.+-]+.? (?:binary|executable)\b|\[Errno 2\] No such file or directory: '(?:git|hg|svn|bazel|cmake|ninja|make|gcc|g\+\+|cc|node|npm|yarn|protoc|cargo|rustc|go|java|swig|pandoc)'",
        ),
        // A path without a folder may be the name of a program.
        (
            Code::SourceIncomplete,
            r"\[Errno 2\] No such file or directory: u?'(?:/build/source/[^']+|[\w.+-]+/[^']+|[\w+-]+\.[a-z]\w*|[A-Z]+)'",
        ),
        (
            Code::UnsupportedPython,
            r"requires a different Python|requires Python '?[<>=!~]|use_2to3 is invalid|Missing parentheses in call to 'print'|No module named '(?:distutils|imp|asyncore|asynchat|lib2to3|pipes|ConfigParser|urllib2|StringIO)'|module 'collections' has no attribute|module 'configparser' has no attribute 'SafeConfigParser'|module 'inspect' has no attribute 'getargspec'",
        ),
        (
            Code::UnsupportedNode,
            r#"The engine "node" is incompatible|Your Node version is incompatible|npm (?:ERR!|error) (?:code EBADENGINE|notsup )|ERR_UNKNOWN_BUILTIN_MODULE|ERR_OSSL_EVP_UNSUPPORTED|digital envelope routines::unsupported|SyntaxError: Unexpected token '(?:\?\?=|\|\|=|\?\.|\?\?|\.|with|\?|=)'|^node: .*version `GLIBC|ERR_UNSUPPORTED_NODE|requires (?:at least )?Node(?:\.js)? (?:version )?v?[>=\d]|primordials is not defined"#,
        ),
        (
            Code::UnsupportedRust,
            r"requires rustc \d|error: rustc \d\S* is not supported by|is older than the `\d+` edition|feature `edition\d+` is required|lock file version `?\d+`? (?:was found|requires)|this version of Cargo is older|error\[E0658\]",
        ),
        (
            Code::NeedsNetwork,
            r"Could not resolve host|Temporary failure in name resolution|Name or service not known|getaddrinfo (?:ENOTFOUND|EAI_AGAIN)|Network is unreachable|ENETUNREACH|\bcode ENOTCACHED|Failed to establish a new connection|dial tcp: lookup|Could not resolve hostname|connect ECONNREFUSED|npm (?:ERR!|error) An unknown git error",
        ),
        (
            Code::UnknownBackend,
            r"BackendUnavailable|Cannot import '[\w.:]+'|No module named '(?:setuptools|wheel|hatchling|poetry|poetry_core|flit|flit_core|flit_scm|pdm|mesonpy|maturin|scikit_build_core|skbuild|setuptools_scm|jupyter_packaging)[\w.]*'",
        ),
        (
            Code::DependencyConflict,
            r"no wheel of \S+ that was there and runs on Python \S+ meets .+ and |these package versions have conflicting dependencies|ResolutionImpossible|npm (?:ERR!|error) (?:code )?ERESOLVE",
        ),
        (
            Code::DependencyGone,
            r"no wheel of \S+ that was there and runs on Python|No matching distribution found for|Could not find a version that satisfies the requirement|npm (?:ERR!|error) (?:code E404|code ETARGET|notarget No matching version)|ERR_PNPM_(?:FETCH_404|NO_MATCHING_VERSION)|Couldn't find (?:any versions for|package) |failed to select a version for|no matching package named|Unable to locate package|has no installation candidate|unmet build dependencies|Unmet build dependencies",
        ),
        (
            Code::TestsFailed,
            r"^test result: FAILED|^FAILED \((?:failures|errors)=|^=+ .*\d+ failed.* in [\d.]+|^=+ FAILURES =+|npm (?:ERR!|error) Test failed|dh_auto_test: error|^# FAIL: +[1-9]|^not ok \d|^\s+\d+ failing$|^Tests: +\d+ failed|tests failed out of|error: test failed, to rerun",
        ),
    ]
};

#[expect(clippy::unwrap_used, reason = "constants, which the tests compile")]
static SET: LazyLock<RegexSet> =
    LazyLock::new(|| RegexSet::new(PATTERNS.iter().map(|(_, pattern)| pattern)).unwrap());

/// Colours and other sequences that steer a terminal.
#[expect(clippy::unwrap_used, reason = "a constant, which the tests compile")]
static ESCAPES: LazyLock<Regex> = LazyLock::new(|| Regex::new("\x1b\\[[0-9;?]*[A-Za-z]").unwrap());

/// What the end of a log says; `otherwise` if it says nothing that is known.
pub fn read(tail: &str, otherwise: FailureCode) -> Failure {
    let lines: Vec<String> = tail
        .lines()
        .map(plain)
        .filter(|line| !line.trim().is_empty())
        .collect();
    let searched = lines.iter().rev().take(SEARCHED);
    let told = searched.filter_map(|line| Some((SET.matches(line.trim_start()).iter().next()?, line)));
    // The last line of the likeliest kind.
    let told = told.min_by_key(|(kind, _)| *kind);
    let code = told
        .and_then(|(kind, _)| PATTERNS.get(kind))
        .map(|(code, _)| *code);
    Failure {
        code: code.unwrap_or(otherwise),
        // That a build failed is known; why it did is not.
        certainty: if code.is_some() {
            Certainty::Probable
        } else {
            Certainty::Known
        },
        line: told.map(|(_, line)| line.trim().to_owned()),
        last_lines: last(&lines),
    }
}

/// The last lines of a log, for a failure that is known.
pub fn last_lines(tail: &str) -> Vec<String> {
    let lines: Vec<_> = tail
        .lines()
        .map(plain)
        .filter(|line| !line.trim().is_empty())
        .collect();
    last(&lines)
}

fn last(lines: &[String]) -> Vec<String> {
    lines
        .iter()
        .skip(lines.len().saturating_sub(KEPT))
        .cloned()
        .collect()
}

/// A line without colours, cut to a width that a page can show.
fn plain(line: &str) -> String {
    let line = ESCAPES.replace_all(line.trim_end(), "");
    shortened(&line).chars().take(WIDTH).collect()
}

/// The same with pip's lists of versions cut to their ends: some have hundreds, of which the next line does not depend.
pub fn shortened(line: &str) -> String {
    let Some((before, list)) = ["versions: ", "python version: "].iter().find_map(|start| {
        line.split_once(start)
            .map(|(before, list)| (format!("{before}{start}"), list))
    }) else {
        return line.to_owned();
    };
    let (list, after) = list.split_at(list.find(')').unwrap_or(list.len()));
    let mark = if list.contains("; ") { "; " } else { ", " };
    let versions: Vec<&str> = list.split(mark).collect();
    let (Some(first), Some(last), true) = (
        versions.get(..ENDS),
        versions.get(versions.len().saturating_sub(ENDS)..),
        versions.len() > 2 * ENDS + 1,
    ) else {
        return line.to_owned();
    };
    let left_out = versions.len().saturating_sub(2 * ENDS);
    let (first, last) = (first.join(mark), last.join(mark));
    format!("{before}{first}{mark}... {left_out} more ...{mark}{last}{after}")
}

/// How many versions are kept at either end of a list.
const ENDS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use FailureCode as Code;

    /// The end of a real log of each kind, by the tool that wrote it.
    const LOGS: &[(Code, &str)] = &[
        // dash under npm 11
        (
            Code::MissingTool,
            "> x@1.0.0 b\n> rollup -c\n\nsh: 1: rollup: not found\n",
        ),
        // bash, GNU make 4.3, gcc 12, ld 2.40
        (Code::MissingTool, "bash: cmake: command not found\n"),
        (
            Code::MissingTool,
            "make: cmake: No such file or directory\nmake: *** [Makefile:1: all] Error 127\n",
        ),
        (
            Code::MissingTool,
            "a.c:1:10: fatal error: zlib.h: No such file or directory\n    1 | #include <zlib.h>\n      |          ^~~~~~~~\ncompilation terminated.\n",
        ),
        (
            Code::MissingTool,
            "/usr/bin/ld: cannot find -lz: No such file or directory\ncollect2: error: ld returned 1 exit status\n",
        ),
        // Python 3.11
        (
            Code::MissingTool,
            "    self.finalize_options()\n  File \"<string>\", line 67, in finalize_options\nRuntimeError: Could not find \"bazel\" binary. Please visit https://docs.bazel.build/ for installation instruction.\n",
        ),
        (
            Code::MissingTool,
            "    raise child_exception_type(errno_num, err_msg, err_filename)\nFileNotFoundError: [Errno 2] No such file or directory: 'git'\n",
        ),
        // auditwheel 6, maturin 1
        (
            Code::MissingTool,
            "    raise ValueError(msg)\nValueError: patchelf 0.14.3 found. auditwheel repair requires patchelf >= 0.14.5.\n",
        ),
        (
            Code::MissingTool,
            "maturin failed\n  Caused by: Cargo metadata failed. Do you have cargo in your PATH?\n  Caused by: No such file or directory (os error 2)\n",
        ),
        (
            Code::MissingTool,
            "| Unable to generate parsers: [Errno 2] No such file or directory: 'java' |\n",
        ),
        // Python 3.11 and 2.7
        (
            Code::SourceIncomplete,
            "  File \"setup.py\", line 21, in <module>\nFileNotFoundError: [Errno 2] No such file or directory: 'requirements.txt'\n",
        ),
        (
            Code::SourceIncomplete,
            "IOError: [Errno 2] No such file or directory: '/build/source/pyquaternion-0.9.9/VERSION.txt'\n",
        ),
        // pip 26 with setuptools 80 on Python 3.11
        (
            Code::UnsupportedPython,
            "ERROR: Package 'a' requires a different Python: 3.11.7 not in '>=3.99'\n",
        ),
        (
            Code::UnsupportedPython,
            "      error in a setup command: use_2to3 is invalid.\n  note: This error originates from a subprocess, and is likely not a problem with pip.\nerror: metadata-generation-failed\n",
        ),
        (
            Code::UnsupportedPython,
            "          print \"x\"\n          ^^^^^^^^^\n      SyntaxError: Missing parentheses in call to 'print'. Did you mean print(...)?\n",
        ),
        (
            Code::NeedsNetwork,
            "      urllib.error.URLError: <urlopen error [Errno -2] Name or service not known>\n",
        ),
        (
            Code::UnknownBackend,
            "  File \"<frozen importlib._bootstrap>\", line 1140, in _find_and_load_unlocked\nModuleNotFoundError: No module named 'hatchling'\n",
        ),
        (
            Code::DependencyGone,
            "ERROR: Could not find a version that satisfies the requirement nosuchpkg==99 (from versions: none)\nERROR: No matching distribution found for nosuchpkg==99\n",
        ),
        (
            Code::DependencyConflict,
            "ERROR: Cannot install a==1 and b==2 because these package versions have conflicting dependencies.\nERROR: ResolutionImpossible: for help visit https://pip.pypa.io/en/latest/topics/dependency-resolution/\n",
        ),
        // pytest 9, unittest
        (
            Code::TestsFailed,
            "=========================== short test summary info ============================\nFAILED p6/test_a.py::test_a - assert 1 == 2\n============================== 1 failed in 0.15s ===============================\n",
        ),
        (
            Code::TestsFailed,
            "----------------------------------------------------------------------\nRan 1 test in 0.000s\n\nFAILED (failures=1)\n",
        ),
        (
            Code::OutOfMemory,
            "  File \"<string>\", line 1, in <module>\nMemoryError\n",
        ),
        // node 20, npm 11, yarn 1.22, pnpm 9
        (
            Code::NeedsNetwork,
            "TypeError: fetch failed\n    at node:internal/deps/undici/undici:14976:13\n  [cause]: Error: getaddrinfo ENOTFOUND example.invalid\n",
        ),
        (
            Code::NeedsNetwork,
            "npm error code ENOTCACHED\nnpm error request to https://registry.npmjs.org/left-pad failed: cache mode is 'only-if-cached' but no cached response is available.\n",
        ),
        (
            Code::NeedsNetwork,
            "npm ERR! code 128\nnpm ERR! An unknown git error occurred\nnpm ERR! command git --no-replace-objects ls-remote ssh://git@github.com/o/r.git\nnpm ERR! ssh -oStrictHostKeyChecking=accept-new: 1: ssh: not found\n",
        ),
        (
            Code::DependencyGone,
            "npm error code ETARGET\nnpm error notarget No matching version found for left-pad@99.0.0.\n",
        ),
        (
            Code::OutOfMemory,
            "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n----- Native stack trace -----\n\nAborted\n",
        ),
        (
            Code::UnsupportedNode,
            "error y@1.0.0: The engine \"node\" is incompatible with this module. Expected version \">=99\". Got \"20.20.2\"\nerror Found incompatible module.\n",
        ),
        (
            Code::UnsupportedNode,
            "npm error code EBADENGINE\nnpm error engine Unsupported engine\nnpm error notsup Required: {\"node\":\">=99\"}\n",
        ),
        (
            Code::UnsupportedNode,
            "Your Node version is incompatible with \"/tmp/t2\".\n\nExpected version: >=99\nGot: v20.20.2\n",
        ),
        (
            Code::UnsupportedNode,
            "Error: error:0308010C:digital envelope routines::unsupported\n  opensslErrorStack: [\n",
        ),
        (
            Code::UnsupportedNode,
            "      throw new ERR_UNKNOWN_BUILTIN_MODULE(request);\n      ^\n\nError [ERR_UNKNOWN_BUILTIN_MODULE]: No such built-in module: node:nosuch\n",
        ),
        // cargo 1.95
        (
            Code::UnsupportedRust,
            "error: rustc 1.95.0 is not supported by the following package:\n  a@1.0.0 requires rustc 1.999\n",
        ),
        (
            Code::UnsupportedRust,
            "  this version of Cargo is older than the `2039` edition, and only supports `2015`, `2018`, `2021`, and `2024` editions.\n",
        ),
        (
            Code::DependencyGone,
            "error: failed to select a version for the requirement `libc = \"=99.9.9\"`\ncandidate versions found which didn't match: 0.2.191\n",
        ),
        (
            Code::TestsFailed,
            "test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.34s\n\nerror: test failed, to rerun pass `--lib`\n",
        ),
        // git 2.39, dd
        (
            Code::NeedsNetwork,
            "fatal: unable to access 'https://github.com/o/r/': Could not resolve host: github.com\n",
        ),
        (
            Code::DiskFull,
            "dd: error writing '/dev/full': No space left on device\n1+0 records in\n",
        ),
    ];

    #[test]
    fn the_end_of_a_real_log_tells_the_kind() {
        for (code, text) in LOGS {
            let failure = read(text, Code::BuildFailed);
            assert_eq!(
                (failure.code, failure.certainty),
                (*code, Certainty::Probable),
                "{text}"
            );
            assert!(failure.title().starts_with("probably "), "{text}");
            let line = failure.line.unwrap_or_default();
            assert!(text.contains(&line) && !line.is_empty(), "{line:?} of {text}");
        }
        let told: std::collections::HashSet<_> = LOGS.iter().map(|(code, _)| code).collect();
        for (code, _) in PATTERNS {
            assert!(told.contains(code), "{code} has no log");
        }
    }

    #[test]
    fn what_says_nothing_is_not_guessed_from() {
        for text in [
            "",
            "> x@1.0.0 test\n> node -e 'process.exit(1)'\n",
            "checking for cmake... not found\nconfigure: error: cannot go on\n",
            "FileNotFoundError: [Errno 2] No such file or directory: '/usr/share/x.txt'\n",
            "0 failed, 12 passed\nerror: something else\n",
            "ok 1 - tests: a name such as ENOTFOUNDER\nsegmentation fault\n",
        ] {
            let failure = read(text, Code::SetupFailed);
            assert_eq!(
                (failure.code, failure.certainty),
                (Code::SetupFailed, Certainty::Known),
                "{text}"
            );
            assert_eq!(failure.line, None, "{text}");
        }
    }

    #[test]
    fn lists_of_versions_are_cut_to_their_ends() {
        let list = |count: usize, mark: &str| {
            let versions: Vec<_> = (1..=count).map(|minor| format!("1.{minor}")).collect();
            versions.join(mark)
        };
        for (line, expected) in [
            (
                format!("ERROR: no a==9 (from versions: {}) x", list(150, ", ")),
                "ERROR: no a==9 (from versions: 1.1, 1.2, 1.3, ... 144 more ..., 1.148, 1.149, 1.150) x".to_owned(),
            ),
            (
                format!("ERROR: Ignored the following versions that require a different python version: {}", list(9, "; ")),
                "ERROR: Ignored the following versions that require a different python version: 1.1; 1.2; 1.3; ... 3 more ...; 1.7; 1.8; 1.9".to_owned(),
            ),
            ("x (from versions: none)".to_owned(), "x (from versions: none)".to_owned()),
            (format!("x (from versions: {})", list(7, ", ")), format!("x (from versions: {})", list(7, ", "))),
            ("no list".to_owned(), "no list".to_owned()),
        ] {
            assert_eq!(shortened(&line), expected);
        }
    }

    /// Tests that fail as the network is away are not the package's fault.
    #[test]
    fn what_is_behind_it_comes_first() {
        let text = "E  socket.gaierror: [Errno -3] Temporary failure in name resolution\n===== 1 failed in 0.15s =====\n";
        assert_eq!(read(text, Code::BuildFailed).code, Code::NeedsNetwork);
    }

    #[test]
    fn a_log_of_any_size_leaves_a_few_short_lines() {
        let text = format!("\x1b[31m{}\x1b[0m\n", "x".repeat(5000)).repeat(1000);
        let failure = read(&text, Code::BuildFailed);
        assert_eq!(failure.last_lines.len(), KEPT);
        assert!(
            failure
                .last_lines
                .iter()
                .all(|line| line.len() == WIDTH && !line.contains('\x1b'))
        );
    }
}
