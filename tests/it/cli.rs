//! What the command says: help, lists, completions, and silence where it belongs.

use std::collections::BTreeSet;
use std::fs;

use crate::common::{self, code, rebuilder, text};

fn help(arguments: &[&str]) -> String {
    let output = rebuilder()
        .env("COLUMNS", "100")
        .args(arguments)
        .arg("--help")
        .output()
        .unwrap();
    assert_eq!(code(&output), 0);
    String::from_utf8(output.stdout).unwrap()
}

#[apply(test)]
fn help_texts() {
    let mut names = BTreeSet::new();
    // The page of each command names those below it; `man` is for packagers and is not listed.
    let mut waiting = vec![Vec::new(), vec!["man".to_owned()]];
    while let Some(command) = waiting.pop() {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let page = help(&words);
        let listed = page
            .lines()
            .skip_while(|line| *line != "Commands:")
            .skip(1)
            .take_while(|line| !line.is_empty())
            .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
            .filter_map(|line| line.split_whitespace().next())
            .filter(|name| *name != "help");
        waiting.extend(listed.map(|name| [&command[..], &[name.to_owned()]].concat()));
        let name = [&["help"][..], &words[..]].concat().join("-");
        insta::assert_snapshot!(name.as_str(), page);
        names.insert(format!("it__cli__{name}.snap"));
    }
    assert!(names.len() > 20, "{names:?}");

    // No page is left of a command that is gone.
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/snapshots");
    let kept = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let kept = kept.filter_map(|name| name.into_string().ok());
    let left: Vec<_> = kept
        .filter(|name| name.starts_with("it__cli__help") && name.ends_with(".snap") && !names.contains(name))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[apply(test)]
fn completions_and_manual_page() {
    for shell in ["bash", "zsh", "fish"] {
        let output = rebuilder().args(["completions", shell]).output().unwrap();
        assert_eq!(code(&output), 0);
        assert!(text(&output).contains("rebuild"), "{shell}");
    }
    let page = rebuilder().arg("man").output().unwrap();
    assert!(text(&page).starts_with(".ie"), "{}", &text(&page)[..80]);
}

#[apply(test)]
fn results_go_to_stdout_and_nothing_else_does() {
    let list = rebuilder()
        .args(["--json", "container", "list"])
        .output()
        .unwrap();
    let rows = common::json(&list);
    assert_eq!(rows[0]["name"], "bookworm-build");
    assert!(list.stderr.is_empty());

    let failed = rebuilder()
        .args(["--json", "rebuild", "nothing"])
        .output()
        .unwrap();
    assert_eq!(code(&failed), 2);
    assert_eq!(common::json(&failed)["error"]["exit_code"], 2);
}

#[apply(test)]
fn no_colour_in_pipes_or_where_it_is_unwanted() {
    for name in ["NO_COLOR", "SOMETHING_ELSE"] {
        let output = rebuilder()
            .env(name, "1")
            .args(["rebuild", "nothing"])
            .output()
            .unwrap();
        assert!(!text(&output).contains('\x1b'), "{}", text(&output));
    }
}

/// Everything that people see goes through `rebuilder/text/`. So only two modules may write to a terminal, and no
/// template, table or report may make control characters visible, or not, in a way of its own.
#[apply(test)]
fn only_two_modules_write_to_a_terminal() {
    const WRITES: &[&str] = &[
        "println!",
        "eprintln!",
        "print!(",
        "dbg!",
        "::stdout()",
        "::stderr()",
        "prompt_password(",
        "\\x1b[",
        "|safe",
    ];
    // Who may, and what for.
    const ALLOWED: &[(&str, &str)] = &[
        ("rebuilder/cli/output.rs", "::stdout()"),
        ("rebuilder/cli/output.rs", "::stderr()"),
        ("rebuilder/progress.rs", "::stderr()"),
        ("rebuilder/text/screen.rs", "\\x1b["),
        ("rebuilder/text/tests.rs", "\\x1b["),
        // A question of ours, and whether there is a person to ask.
        ("rebuilder/cli/options/signing.rs", "::stderr()"),
        ("rebuilder/cli/options/signing.rs", "prompt_password("),
        // What an installer says itself goes there, if stdout is for one document.
        ("rebuilder/cli/gate/mod.rs", "::stderr()"),
        // The sandbox's helper talks with its parent there, and a build's output is its stdout.
        ("rebuilder/sandbox/embedded/protocol.rs", "::stderr()"),
        ("rebuilder/sandbox/embedded/payload.rs", "::stderr()"),
        ("rebuilder/sandbox/embedded/runtime.rs", "::stdout()"),
        ("rebuilder/sandbox/embedded/runtime.rs", "::stderr()"),
        // One template's page within another's.
        ("rebuilder/report/templates/comparison.html", "|safe"),
        ("rebuilder/report/templates/prove.html", "|safe"),
        ("rebuilder/report/templates/report.html", "|safe"),
    ];
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new("rebuilder").into_iter().flatten() {
        let name = entry.path().display().to_string();
        let ending = entry.path().extension().unwrap_or_default();
        if ending != "rs" && ending != "html" {
            continue;
        }
        let source = std::fs::read_to_string(entry.path()).unwrap();
        // Tests stand at the end, and may print what they like.
        let code = source.split("#[cfg(test)]").next().unwrap();
        for (number, line) in code.lines().enumerate() {
            for word in WRITES {
                let fine = line.trim_start().starts_with("//") || ALLOWED.contains(&(name.as_str(), word));
                if line.contains(word) && !fine {
                    found.push(format!("{name}:{}: {}", number + 1, line.trim()));
                }
            }
        }
    }
    assert!(
        found.is_empty(),
        "use cli::output, progress or text instead:\n{}",
        found.join("\n")
    );
}

/// Names in a folder that others may write can be known before, or be links; temporary files have names of chance.
#[apply(test)]
fn no_temporary_file_has_a_name_that_others_know() {
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new("rebuilder").into_iter().flatten() {
        let tests = entry
            .path()
            .components()
            .any(|part| ["tests", "tests.rs"].iter().any(|name| part.as_os_str() == *name));
        if tests || entry.path().extension().unwrap_or_default() != "rs" {
            continue;
        }
        let source = std::fs::read_to_string(entry.path()).unwrap();
        let code = source.split("#[cfg(test)]").next().unwrap();
        let code = code.replace("temp_dir()\n", "temp_dir()");
        let mut before = "";
        for (number, line) in code.lines().enumerate() {
            // Its first argument may stand on a line of its own.
            let mounts = line.contains("mount(") || before.ends_with("mount(");
            before = line;
            let named = line.contains("temp_dir().join(");
            let shared = ["\"/tmp/", "\"/var/tmp", "\"/dev/shm"]
                .iter()
                .any(|place| line.contains(place));
            let comment = line.trim_start().starts_with("//");
            // A mount inside the sandbox is nobody else's, nor is a folder that a build is shown by `prove`.
            // The comparison reads such names in what others built, and writes no files.
            let reads = entry.path().starts_with("rebuilder/compare");
            let inside = mounts || entry.path().starts_with("rebuilder/prove");
            if (named || shared) && !comment && !reads && !inside {
                found.push(format!(
                    "{}:{}: {}",
                    entry.path().display(),
                    number + 1,
                    line.trim()
                ));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[apply(test)]
fn errors_keep_to_their_lines() {
    let name = "x\u{1b}[31m\u{202e}\u{9b}\nerror: forged\nhelp: run this";
    let output = rebuilder().args(["compare", name, name]).output().unwrap();
    assert_eq!(code(&output), 2);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        said.lines().filter(|line| line.starts_with("error:")).count(),
        1,
        "{said}"
    );
    assert!(said.contains("x<U+001B>[31m<U+202E><U+009B>"), "{said}");
    assert!(
        !said.lines().any(|line| line.starts_with("help: run this")),
        "{said}"
    );

    // The document has the name as it is, in escapes.
    let output = rebuilder()
        .args(["--json", "compare", name, name])
        .output()
        .unwrap();
    let message = common::json(&output)["error"]["message"].to_string();
    assert!(message.contains("\u{202e}"), "{message}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        printed.contains("\\u202e") && printed.contains("\\u009b"),
        "{printed}"
    );
    assert!(!printed.contains(['\u{202e}', '\u{9b}', '\u{1b}']), "{printed}");
}

#[apply(test)]
fn no_command_shows_the_help_and_a_wrong_one_says_so() {
    let nothing = std::process::Command::new(common::BIN).output().unwrap();
    assert_eq!(code(&nothing), 2);
    let said = String::from_utf8(nothing.stderr).unwrap();
    assert!(
        said.contains("Usage: rebuilder") && !said.contains("error:"),
        "{said}"
    );

    let wrong = rebuilder().arg("x\nerror: forged\u{1b}[2J").output().unwrap();
    assert_eq!(code(&wrong), 2);
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(said.starts_with("error: unrecognized subcommand"), "{said}");
    assert!(said.contains("'x<U+000A>error: forged<U+001B>[2J'"), "{said}");
    assert!(said.contains("Usage: rebuilder"), "{said}");
}
