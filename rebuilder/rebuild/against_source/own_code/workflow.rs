//! Whether a workflow that publishes a checkout leaves its files as they are.
//!
//! A workflow is plain if it runs nothing but what is listed here: programs that build, test and publish, and actions that
//! check out, prepare tools and upload. Everything else may write files.

use super::EDITORS;

/// Words of a workflow that builds or publishes something.
const PUBLISHES: [&str; 7] = ["build", "publish", "release", "upload", "deploy", "twine", "pypi"];
/// Actions, or whose actions, that change no file of a checkout.
const ACTIONS: [&str; 15] = [
    "actions/cache@",
    "actions/checkout@",
    "actions/download-artifact@",
    "actions/setup-",
    "actions/upload-artifact@",
    "actions-rs/toolchain@",
    "astral-sh/setup-uv@",
    "dtolnay/rust-toolchain@",
    "hynek/build-and-inspect-python-package@",
    "pypa/cibuildwheel@",
    "pypa/gh-action-pypi-publish@",
    "rust-lang/crates-io-auth-action@",
    "sigstore/gh-action-sigstore-python@",
    "softprops/action-gh-release@",
    "Swatinem/rust-cache@",
];
/// Programs, and with which first words they change no file of a checkout; with any, if none is named.
const PROGRAMS: [(&str, &[&str]); 40] = [
    ("[", &[]),
    ("apt", &[]),
    ("apt-get", &[]),
    ("brew", &[]),
    (
        "cargo",
        &[
            "audit", "build", "check", "clippy", "deny", "doc", "fetch", "fmt", "install", "login",
            "package", "publish", "test",
        ],
    ),
    ("cat", &[]),
    ("cd", &[]),
    ("coverage", &[]),
    ("do", &[]),
    ("done", &[]),
    ("echo", &[]),
    ("else", &[]),
    ("exit", &[]),
    ("export", &[]),
    ("fi", &[]),
    ("flake8", &[]),
    ("flit", &["build", "install", "publish"]),
    ("gh", &[]),
    (
        "git",
        &[
            "config",
            "describe",
            "diff",
            "fetch",
            "log",
            "ls-files",
            "rev-parse",
            "status",
        ],
    ),
    ("hatch", &["build", "publish"]),
    ("if", &[]),
    ("ls", &[]),
    ("mypy", &[]),
    (
        "npm",
        &[
            "ci", "config", "i", "install", "pack", "publish", "test", "whoami",
        ],
    ),
    ("pip", &["download", "install", "list"]),
    ("pip3", &["download", "install", "list"]),
    ("pipx", &["install"]),
    ("pnpm", &["i", "install", "publish", "test"]),
    (
        "poetry",
        &["build", "check", "config", "env", "install", "lock", "publish"],
    ),
    ("printf", &[]),
    ("pwd", &[]),
    ("pytest", &[]),
    ("rustup", &[]),
    ("set", &[]),
    ("sha256sum", &[]),
    ("test", &[]),
    ("then", &[]),
    ("true", &[]),
    ("twine", &[]),
    (
        "uv",
        &["build", "lock", "pip", "publish", "python", "sync", "venv"],
    ),
];
/// Modules that Python runs without changing a file of a checkout.
const MODULES: [&str; 8] = [
    "build",
    "ensurepip",
    "flit",
    "pip",
    "pytest",
    "twine",
    "unittest",
    "venv",
];
/// Where output goes that is no file of a checkout.
const ASIDE: [&str; 5] = ["/dev/null", "&1", "&2", "$GITHUB_", "${GITHUB_"];

/// Whether a workflow builds or publishes something.
pub(super) fn publishes(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    PUBLISHES.iter().any(|word| lower.contains(word))
}

/// Whether a workflow may change what it checks out, and then build or publish it. What edits files counts by itself,
/// because another workflow may call it.
pub(super) fn may_edit(text: &str) -> bool {
    let mut editors = EDITORS.iter().filter(|word| **word != "python");
    editors.any(|word| text.contains(word)) || publishes(text) && !is_plain(text)
}

/// Whether a workflow runs only what leaves the checkout as it is.
fn is_plain(text: &str) -> bool {
    if EDITORS
        .iter()
        .any(|word| *word != "python" && text.contains(word))
    {
        return false;
    }
    // Inside a block of commands: its indentation.
    let mut block = None;
    let mut continued = false;
    for line in text.lines() {
        let indentation = line.len().saturating_sub(line.trim_start().len());
        let item = line.trim().trim_start_matches("- ").trim();
        if item.is_empty() || item.starts_with('#') {
            continue;
        }
        if block.is_some_and(|above| indentation > above) {
            let mut commands = item.split([';', '|', '&']).skip(usize::from(continued));
            if !commands.all(is_plain_command) || writes(item) {
                return false;
            }
            continued = item.ends_with('\\');
            continue;
        }
        (block, continued) = (None, false);
        if let Some(action) = item.strip_prefix("uses:") {
            let action = action.trim().trim_matches(['\'', '"']);
            if !ACTIONS.iter().any(|known| action.starts_with(known)) {
                return false;
            }
        } else if let Some(command) = item.strip_prefix("run:") {
            let command = command.trim();
            if command.is_empty() || command.starts_with(['|', '>']) {
                block = Some(indentation);
            } else if !command.split([';', '|', '&']).all(is_plain_command) || writes(command) {
                return false;
            }
        } else if item.starts_with("shell:") && !item.ends_with("sh") {
            return false;
        }
    }
    true
}

/// Whether a command writes its output to a file.
fn writes(command: &str) -> bool {
    command.split('>').skip(1).any(|after| {
        let target = after.trim_start().trim_start_matches(['"', '\'']);
        // The first of two.
        !after.is_empty() && !ASIDE.iter().any(|aside| target.starts_with(aside))
    })
}

fn is_plain_command(command: &str) -> bool {
    let is_variable = |word: &&str| {
        word.split_once('=')
            .is_some_and(|(name, _)| !name.contains(['/', '-', '$']))
    };
    let mut words = command
        .split_whitespace()
        .skip_while(|word| is_variable(word) || matches!(*word, "sudo" | "!"));
    let Some(program) = words.next() else { return true };
    let first = words.clone().find(|word| !word.starts_with('-'));
    if matches!(program, "python" | "python3" | "py") {
        let module = words.skip_while(|word| *word != "-m").nth(1);
        return module.is_some_and(|module| MODULES.contains(&module));
    }
    // Of a redirection that names no file.
    if matches!(program, "1" | "2") && command.trim().len() == 1 {
        return true;
    }
    let known = PROGRAMS.iter().find(|(name, _)| *name == program);
    known.is_some_and(|(_, words)| words.is_empty() || first.is_some_and(|first| words.contains(&first)))
}
