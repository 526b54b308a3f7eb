//! The tutorial of `docs/prove.md`: its commands are run in their order, and each line that it shows must be in what the
//! command prints.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{NETWORK, SANDBOX, code, needs, rebuilder, text};

const PAGE: &str = include_str!("../../../docs/prove.md");
const TITLE: &str = "## From a broken project to a green badge";

/// A command, and lines of what it prints; `…` stands for anything.
struct Shown {
    command: String,
    prints: Vec<String>,
}

fn commands() -> Vec<Shown> {
    let section = PAGE.split(TITLE).nth(1).unwrap().split("\n## ").next().unwrap();
    let mut all: Vec<Shown> = Vec::new();
    let (mut inside, mut document) = (false, false);
    for line in section.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
            continue;
        }
        if !inside {
            continue;
        }
        if document {
            let command = &mut all.last_mut().unwrap().command;
            command.push_str(line);
            command.push('\n');
            document = line != "END";
        } else if let Some(command) = line.strip_prefix("$ ") {
            document = command.ends_with("<<'END'");
            all.push(Shown {
                command: format!("{command}\n"),
                prints: Vec::new(),
            });
        } else {
            all.last_mut().unwrap().prints.push(line.to_owned());
        }
    }
    all
}

/// A program of this name that is called with the store of the tests.
fn wrapper(folder: &Path) {
    let real = rebuilder();
    let quote = |word: &std::ffi::OsStr| format!("'{}'", word.to_str().unwrap());
    let words: Vec<_> = [real.get_program()]
        .into_iter()
        .chain(real.get_args())
        .map(quote)
        .collect();
    let path = folder.join("rebuilder");
    fs::write(&path, format!("#!/bin/sh\nexec {} \"$@\"\n", words.join(" "))).unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}

/// Whether a line shows this, in which `…` stands for anything.
fn shows(line: &str, shown: &str) -> bool {
    let mut rest = line;
    shown.split('…').all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

#[apply(test)]
fn every_command_of_the_tutorial_does_what_the_page_shows() {
    needs(&[SANDBOX, NETWORK]);
    let folder = tempfile::tempdir().unwrap();
    let programs = folder.path().join("bin");
    fs::create_dir(&programs).unwrap();
    wrapper(&programs);
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut place = folder.path().to_owned();
    let shown = commands();
    assert!(shown.len() > 8, "{}", shown.len());
    for Shown { command, prints } in shown {
        let output = Command::new("sh")
            .args(["-euc", &command])
            .current_dir(&place)
            .env("PATH", &path)
            .env("HOME", folder.path())
            .output()
            .unwrap();
        let said = text(&output);
        let expected = i32::from(prints.iter().any(|line| line.contains(" is not reproducible")));
        assert_eq!(code(&output), expected, "{command}{said}");
        for line in &prints {
            assert!(
                said.lines().any(|one| shows(one, line)),
                "{command}{said}\nno line like {line}"
            );
        }
        if let Some(name) = command
            .trim_end()
            .strip_suffix("words")
            .filter(|it| it.contains("&& cd "))
        {
            assert!(name.starts_with("mkdir "));
            place.push("words");
        }
    }
    let badge = fs::read_to_string(folder.path().join("reproducible.svg")).unwrap();
    assert!(badge.contains("reproducible: yes"), "{badge}");
}
