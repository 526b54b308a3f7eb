//! The texts that a plan carries.

use std::collections::BTreeMap;

use super::crate_texts;
use super::variables::is_folder;
use crate::artifact::Ecosystem;
use crate::artifact::Sha256;
use crate::plan::{Plan, Role, places};
use crate::signer::SignerError;

/// The program that builds wheels, as the planner puts it into each plan.
const DRIVER: &str = include_str!("../../../recipes/pypi/build_wheel.py");
/// Maximum length of a text that a plan may carry beside the driver.
const TEXT: usize = 64 << 10;
/// Texts that the plan itself carries: only those that its planner writes.
pub(super) fn files(
    plan: &Plan,
    kind: Ecosystem,
    stated: &mut BTreeMap<String, String>,
) -> Result<(), SignerError> {
    for file in &plan.files {
        let wrong = |reason: &str| {
            Err(SignerError::Plan(format!(
                "contains a file {:?} {reason}",
                file.place
            )))
        };
        match (kind, file.place.as_str()) {
            (Ecosystem::Pypi, places::DRIVER) if file.text == DRIVER => continue,
            (Ecosystem::Pypi, places::DRIVER) => return wrong("that is not this signer's own"),
            (Ecosystem::Pypi, places::DRIVER_INPUT) => {
                if let Err(reason) = wheel_facts(plan, &file.text) {
                    return wrong(&reason);
                }
            }
            (Ecosystem::Crates, places::COMMIT) => {
                if let Some(commit) = plan.build.env.get("COMMIT").filter(|commit| commit.len() == 40)
                    && commit_name(&file.text) != *commit
                {
                    return wrong("that is not the text of its commit");
                }
            }
            (Ecosystem::Debian, places::BINNMU_CHANGELOG) => {}
            (Ecosystem::Npm, places::MODES) => {
                if !file.text.lines().all(is_mode) {
                    return wrong("with a line that is not a mode and a path");
                }
            }
            (Ecosystem::Npm, places::LINE_ENDS) => {
                if !file.text.lines().all(crate_texts::is_inside) {
                    return wrong("with a line that is not a path");
                }
            }
            (Ecosystem::Npm, places::TIMES) => {
                if !file.text.lines().all(is_time) {
                    return wrong("with a line that is not a time and a path");
                }
            }
            (Ecosystem::Crates, place) => match crate_texts::check(place, &file.text) {
                Some(Ok(())) => {}
                Some(Err(reason)) => return wrong(reason),
                None => return wrong("that no recipe of this signer knows"),
            },
            _ => return wrong("that no recipe of this signer knows"),
        }
        if file.text.len() > TEXT && kind != Ecosystem::Pypi {
            return wrong("that is too long");
        }
        stated.insert(
            format!("text: {}", file.place),
            format!("sha256:{}", Sha256::of(&file.text)),
        );
    }
    let driver = plan.files.iter().any(|file| file.place == places::DRIVER);
    if kind == Ecosystem::Pypi && !driver {
        return Err(SignerError::Plan(
            "does not contain the program that builds wheels".into(),
        ));
    }
    Ok(())
}

/// `MODE PATH`, for a file below the source.
fn is_mode(line: &str) -> bool {
    let mode = |mode: &str| mode.len() == 3 && mode.chars().all(|c| c.is_digit(8));
    line.split_once(' ')
        .is_some_and(|(first, path)| mode(first) && crate_texts::is_inside(path))
}

/// `SECONDS PATH`, for the folder that is packed or something below it.
fn is_time(line: &str) -> bool {
    line.split_once(' ').is_some_and(|(seconds, path)| {
        seconds.parse::<u32>().is_ok() && (path == "." || crate_texts::is_inside(path))
    })
}

/// What git calls a commit with this text.
fn commit_name(text: &str) -> String {
    use aws_lc_rs::digest;
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(format!("commit {}\0", text.len()).as_bytes());
    context.update(text.as_bytes());
    hex::encode(context.finish())
}

/// The facts that the planner writes.
const FACTS: [&str; 22] = [
    "archive",
    "arguments",
    "backend",
    "backend_path",
    "described",
    "empty",
    "entries",
    "folder",
    "hook",
    "impure",
    "lacking",
    "markers",
    "no_mode",
    "options",
    "ordered",
    "platform",
    "pure",
    "python",
    "sorted",
    "top",
    "uniform",
    "windows",
];

/// What the driver is told: where the source is, what to call, and facts about the released wheel; no code.
fn wheel_facts(plan: &Plan, text: &str) -> Result<(), String> {
    let facts: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(text).map_err(|error| format!("that cannot be read: {error}"))?;
    if let Some(odd) = facts.keys().find(|key| !FACTS.contains(&key.as_str())) {
        return Err(format!("with {odd:?}, which its planner does not write"));
    }
    let text = |key: &str| facts.get(key).and_then(serde_json::Value::as_str);
    if text("hook") != Some("build_wheel") {
        return Err("that does not ask for a wheel".into());
    }
    let sources = plan.inputs.iter().filter(|input| input.role == Role::Source);
    let mut archives = sources
        .map(|input| input.place.as_str())
        .chain(plan.git.iter().map(|git| git.place.as_str()))
        .filter(|place| *place != places::FURTHER);
    if !archives.any(|place| text("archive") == Some(place)) {
        return Err("that uses another archive than its source".into());
    }
    let object = |c: char| c.is_ascii_alphanumeric() || "_.:".contains(c);
    if !text("backend").is_some_and(|backend| backend.chars().all(object)) {
        return Err("with a backend that is not the name of a Python object".into());
    }
    let folders = facts.get("backend_path").and_then(serde_json::Value::as_array);
    let mut folders = folders.into_iter().flatten().map(serde_json::Value::as_str);
    let folder = text("folder").map(|folder| folder.trim_start_matches('/'));
    if !folders.all(|folder| folder.is_some_and(is_inside)) || folder.is_some_and(|it| !is_inside(it)) {
        return Err("with a folder that is not one of the source".into());
    }
    for key in ["top", "python", "platform", "pure"] {
        if text(key).is_some_and(|text| !is_word(text) || text.starts_with(['.', '-'])) {
            return Err(format!("in which {key:?} is not a plain word"));
        }
    }
    for key in ["described", "impure", "no_mode", "ordered", "sorted"] {
        let value = facts.get(key);
        if value.is_some_and(|value| !value.is_boolean() && !value.is_null()) {
            return Err(format!("in which {key:?} is not yes or no"));
        }
    }
    if text("lacking").is_some_and(|folder| !is_inside(folder.trim_start_matches('/'))) {
        return Err("that adds files from outside the folder of a source".into());
    }
    let markers = facts.get("markers").and_then(serde_json::Value::as_array);
    if !markers.into_iter().flatten().all(is_marker) {
        return Err("that adds files other than the markers of typed packages".into());
    }
    let empty = facts.get("empty").and_then(serde_json::Value::as_array);
    let mut empty = empty.into_iter().flatten();
    if !empty.all(|folder| {
        folder
            .as_str()
            .is_some_and(|folder| folder != "." && is_inside(folder))
    }) {
        return Err("that adds folders outside the source".into());
    }
    if !facts.get("arguments").is_none_or(are_words_of_a_setup) {
        return Err("with a command line that is not a word of a setup script".into());
    }
    // They end in a file that setuptools reads.
    let options = facts.get("options").and_then(serde_json::Value::as_object);
    let mut options = options.into_iter().flatten();
    match options.find(|(name, value)| !is_harmless(name, value)) {
        Some((name, _)) => Err(format!("that sets the option {name:?}")),
        None => Ok(()),
    }
}

/// Whether an option of setuptools changes nothing but the tags in the wheel's name.
fn is_harmless(name: &str, value: &serde_json::Value) -> bool {
    match name {
        "universal" => *value == serde_json::json!(1),
        "python_tag" => value
            .as_str()
            .is_some_and(|tag| is_word(tag) && tag.starts_with("py")),
        _ => false,
    }
}

/// Whether a value is nothing, or a switch without a value that a setup script may look for and perhaps the project's name.
fn are_words_of_a_setup(value: &serde_json::Value) -> bool {
    let plain = |word: &str| {
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        word.strip_prefix("--")
            .is_some_and(|rest| !rest.is_empty() && rest.chars().all(letters))
    };
    let words: Option<Vec<&str>> = value
        .as_array()
        .map(Vec::as_slice)
        .and_then(|words| words.iter().map(serde_json::Value::as_str).collect());
    match words.as_deref() {
        Some([]) => true,
        Some([word]) => plain(word),
        Some([word, name]) => plain(word) && is_word(name) && name.starts_with(char::is_alphanumeric),
        _ => false,
    }
}

/// Whether a value is the path of a marker of PEP 561 inside the source.
fn is_marker(value: &serde_json::Value) -> bool {
    let path = value.as_str().filter(|path| is_inside(path));
    path.is_some_and(|path| path.rsplit('/').next() == Some("py.typed"))
}

fn is_word(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || "._-+!".contains(c))
}

/// Whether a path leads to the source or to a folder in it; `.` is the source itself, as in `backend-path` (PEP 517).
fn is_inside(folder: &str) -> bool {
    folder == "." || is_folder(folder.strip_prefix("./").unwrap_or(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_of_files_below_the_source() {
        for (line, expected) in [
            ("777 LICENSE", true),
            ("600 lib/a b.js", true),
            ("4777 LICENSE", false),
            ("u+s LICENSE", false),
            ("789 LICENSE", false),
            ("777 ../x", false),
            ("777 /etc/passwd", false),
            ("777 ", false),
            ("777", false),
        ] {
            assert_eq!(is_mode(line), expected, "{line}");
        }
    }

    #[test]
    fn times_are_of_what_is_packed() {
        for (line, expected) in [
            ("1611671464 .", true),
            ("1611671464 types/vue.d.ts", true),
            ("-1 LICENSE", false),
            ("now LICENSE", false),
            ("5 ../x", false),
            ("5 /etc/passwd", false),
            ("5", false),
        ] {
            assert_eq!(is_time(line), expected, "{line}");
        }
    }

    #[test]
    fn a_setup_script_finds_one_switch_and_one_name() {
        for (value, expected) in [
            (serde_json::json!([]), true),
            (serde_json::json!(["--release"]), true),
            (serde_json::json!(["--project_name", "tf-nightly"]), true),
            (serde_json::json!(["--project_name", "--release"]), false),
            (serde_json::json!(["--command-packages=evil"]), false),
            (serde_json::json!(["install"]), false),
            (serde_json::json!(["--a", "b", "c"]), false),
            (serde_json::json!(["--a", 1]), false),
            (serde_json::json!("--a"), false),
        ] {
            assert_eq!(are_words_of_a_setup(&value), expected, "{value}");
        }
    }

    #[test]
    fn only_a_marker_of_a_typed_package_may_be_added() {
        for (path, expected) in [
            (serde_json::json!("a/py.typed"), true),
            (serde_json::json!("a/__init__.py"), false),
            (serde_json::json!("../py.typed"), false),
            (serde_json::json!("/a/py.typed"), false),
            (serde_json::json!(["a/py.typed"]), false),
        ] {
            assert_eq!(is_marker(&path), expected, "{path}");
        }
    }

    #[test]
    fn a_backend_is_inside_its_source() {
        for (folder, expected) in [
            (".", true),
            ("", true),
            ("src", true),
            ("./src/backend", true),
            ("..", false),
            ("./..", false),
            ("src/../..", false),
            ("/usr/lib", false),
            (".//usr", false),
        ] {
            assert_eq!(is_inside(folder), expected, "{folder:?}");
        }
    }
}
