//! A test: each command that a message or a document names exists.

use std::collections::BTreeSet;
use std::path::Path;

use clap::CommandFactory as _;
use regex::Regex;

use super::Cli;

/// Every text file of these, with its path.
fn each_text(place: &Path, found: &mut Vec<(String, String)>) {
    if place.is_dir() {
        let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
        for entry in entries {
            each_text(&entry.path(), found);
        }
        return;
    }
    let known = place
        .extension()
        .is_some_and(|kind| ["rs", "md", "html"].iter().any(|known| kind == *known));
    if let (true, Ok(text)) = (known, std::fs::read_to_string(place)) {
        found.push((place.display().to_string(), text));
    }
}

#[test]
fn every_command_that_a_text_names_exists() -> Result<(), regex::Error> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = Vec::new();
    for place in ["rebuilder", "docs", "README.md", "CONTRIBUTING.md"] {
        each_text(&root.join(place), &mut texts);
    }
    assert!(texts.len() > 100);
    // In quotes or backquotes, or a line of a code block.
    let named = Regex::new(r#"(?m)(?:"|`|^(?:\$ )?)rebuilder ([a-z][a-z-]*)(?: ([a-z][a-z-]*)\b)?"#)?;
    let program = Cli::command();
    let mut wrong = BTreeSet::new();
    for (path, text) in &texts {
        for found in named.captures_iter(text) {
            let first = found.get(1).map_or("", |word| word.as_str());
            let second = found.get(2).map_or("", |word| word.as_str());
            if first == "itself" {
                continue;
            }
            let Some(command) = program.find_subcommand(first) else {
                wrong.insert(format!("{path}: rebuilder {first}"));
                continue;
            };
            let only = command.has_subcommands() && command.is_subcommand_required_set();
            if only && !second.is_empty() && command.find_subcommand(second).is_none() {
                wrong.insert(format!("{path}: rebuilder {first} {second}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}
