//! Whether a workflow of GitHub leaves the files that it checks out as they are.
//!
//! A workflow is plain if it runs only the programs that are listed here and uses only these actions: they check out,
//! prepare tools, build, test and publish. Everything else may write files.

use serde_json::{Map, Value};

/// Actions that write to no file of the checkout, unless their inputs name a folder.
const ACTIONS: [&str; 14] = [
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
/// Inputs of actions that bring in files.
const INPUTS: [&str; 3] = ["path", "ref", "repository"];
/// Programs that write to no file of the checkout, if one of these words follows them; any may follow if none is listed.
const PROGRAMS: [(&str, &[&str]); 34] = [
    ("[", &[]),
    ("apt", &[]),
    ("apt-get", &[]),
    ("brew", &[]),
    (
        "cargo",
        &[
            "audit", "build", "check", "clippy", "deny", "doc", "fetch", "install", "login", "package",
            "publish", "test",
        ],
    ),
    ("cat", &[]),
    ("cd", &[]),
    ("done", &[]),
    ("echo", &[]),
    ("exit", &[]),
    ("export", &[]),
    ("fi", &[]),
    ("flake8", &[]),
    ("flit", &["build", "publish"]),
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
    ("ls", &[]),
    ("mypy", &[]),
    (
        "npm",
        &["ci", "config", "i", "install", "pack", "publish", "whoami"],
    ),
    ("pip", &["download", "install", "list"]),
    ("pip3", &["download", "install", "list"]),
    ("pipx", &["install"]),
    ("pnpm", &["i", "install", "publish"]),
    (
        "poetry",
        &["build", "check", "config", "env", "install", "publish"],
    ),
    ("printf", &[]),
    ("pwd", &[]),
    ("pytest", &[]),
    (
        "rustup",
        &["component", "default", "show", "target", "toolchain", "update"],
    ),
    ("set", &[]),
    ("sha256sum", &[]),
    ("test", &[]),
    ("true", &[]),
    ("twine", &[]),
    ("uv", &["build", "pip", "publish", "python", "sync", "venv"]),
];
/// Modules that Python runs without writing to a file of the checkout.
const MODULES: [&str; 7] = ["build", "ensurepip", "flit", "pip", "pytest", "twine", "venv"];
/// Options that let these programs write to files of the checkout, or publish files that were changed.
const OPTIONS: [&str; 6] = ["--allow-dirty", "--fix", "--prefix", "--target", "-C", "-t"];
/// Words of a shell before a command.
const BEFORE: [&str; 8] = ["!", "do", "elif", "else", "if", "sudo", "then", "while"];
/// Where output goes that is written to no file of the checkout.
const SINKS: [&str; 12] = [
    "/dev/null",
    "&1",
    "&2",
    "$GITHUB_ENV",
    "$GITHUB_OUTPUT",
    "$GITHUB_PATH",
    "$GITHUB_STATE",
    "$GITHUB_STEP_SUMMARY",
    "${GITHUB_ENV}",
    "${GITHUB_OUTPUT}",
    "${GITHUB_PATH}",
    "${GITHUB_STEP_SUMMARY}",
];

/// Whether a workflow runs only what leaves the checkout as it is.
pub(super) fn is_plain(text: &str) -> bool {
    serde_saphyr::from_str::<Value>(text).is_ok_and(|workflow| is_plain_part(&workflow))
}

fn is_plain_part(part: &Value) -> bool {
    match part {
        Value::Array(parts) => parts.iter().all(is_plain_part),
        Value::Object(entries) => entries.iter().all(|(key, value)| {
            let fits = match (key.as_str(), value) {
                ("run", Value::String(script)) => is_plain_script(script),
                ("uses", Value::String(action)) => is_plain_action(action, entries),
                ("shell", Value::String(shell)) => shell.starts_with("bash") || shell.starts_with("sh"),
                ("uses" | "shell", _) => false,
                // Of cibuildwheel.
                (key, _) => !key.starts_with("CIBW_BEFORE"),
            };
            fits && is_plain_part(value)
        }),
        _ => true,
    }
}

fn is_plain_action(action: &str, step: &Map<String, Value>) -> bool {
    let uploads = action.starts_with("actions/upload-artifact@");
    let inputs = step.get("with").and_then(Value::as_object);
    let brings = inputs.is_some_and(|inputs| INPUTS.iter().any(|name| inputs.contains_key(*name)));
    ACTIONS.iter().any(|known| action.starts_with(known)) && (uploads || !brings)
}

fn is_plain_script(script: &str) -> bool {
    let script = script.replace("\\\n", " ");
    // What is run inside a command is not read.
    let nested = ["$(", "`", "<(", "<<"].iter().any(|mark| script.contains(mark));
    let mut lines = script
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'));
    !nested
        && lines.all(|line| {
            let aside = line.replace("2>&1", "").replace(">&2", "");
            !writes(&aside) && aside.split([';', '|', '&']).all(is_plain_command)
        })
}

/// Whether a command writes its output to a file.
fn writes(command: &str) -> bool {
    command.split('>').skip(1).any(|after| {
        let target = after.trim_start().trim_start_matches(['"', '\'']);
        // Nothing stands between the two of `>>`.
        !after.is_empty() && !SINKS.iter().any(|sink| target.starts_with(sink))
    })
}

fn is_plain_command(command: &str) -> bool {
    let is_variable = |word: &str| {
        let name = word.split_once('=').map(|(name, _)| name);
        name.is_some_and(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
    };
    let mut words = command
        .split_whitespace()
        .skip_while(|word| is_variable(word) || BEFORE.contains(word));
    let Some(program) = words.next() else { return true };
    let mut rest = words.clone();
    if words.any(|word| {
        OPTIONS
            .iter()
            .any(|option| word.split('=').next() == Some(option))
    }) {
        return false;
    }
    if matches!(program, "python" | "python3") {
        return rest.next() == Some("-m") && rest.next().is_some_and(|module| MODULES.contains(&module));
    }
    let known = PROGRAMS.iter().find(|(name, _)| *name == program);
    known
        .is_some_and(|(_, words)| words.is_empty() || rest.next().is_some_and(|first| words.contains(&first)))
}
