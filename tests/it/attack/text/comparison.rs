//! Text of two files that differ.

use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::process::Output;

use crate::attack::ground::{Ground, must};
use crate::common;
use serde_json::Value;

use super::{EVIL, both, evil_name, on_a_terminal, raw, shown, tar};

/// Two archives that differ in names, contents and everything that is shown of them.
fn pair(ground: &Ground) -> (PathBuf, PathBuf) {
    let name = evil_name();
    let make = |word: &str| {
        let lines = format!("same\n{word} {EVIL} \u{1b}[1m\nsame\n");
        let markup =
            format!("`|<img src=x onerror=alert(1)> [x](https://evil.example) @all #1 ``` {name}{word}");
        tar(&[
            (&name, lines.as_bytes()),
            (&markup, b"x"),
            ("SEEN", lines.as_bytes()),
        ])
    };
    let folder = format!("|`SEEN`<b> {}", evil_name());
    (
        ground.write(&format!("a/{folder}/p.tar"), make("released")),
        ground.write(&format!("b/{folder}/p.tar"), make("rebuilt")),
    )
}

fn compared(ground: &Ground, options: &[&str]) -> Output {
    let (a, b) = pair(ground);
    ground
        .rebuilder()
        .arg("compare")
        .args([a, b])
        .args(options)
        .output()
        .unwrap()
}

fn written(ground: &Ground, ending: &str) -> Vec<u8> {
    let path = ground.folder().join(format!("report.{ending}"));
    let output = compared(ground, &["--write", path.to_str().unwrap()]);
    assert_eq!(common::code(&output), 1, "{}", common::text(&output));
    std::fs::read(path).unwrap()
}

pub(super) fn members(ground: &Ground) -> Result<(), String> {
    both("compare", &compared(ground, &[]))?;
    let (a, b) = pair(ground);
    let mut command = ground.rebuilder();
    command.arg("compare").args([a, b]);
    shown("compare on a terminal", on_a_terminal(&command).as_bytes())
}

pub(super) fn excerpts(ground: &Ground) -> Result<(), String> {
    // Lines of a file end where its line breaks are.
    let evil = EVIL.replace('\n', " ");
    let a = ground.write("a.txt", format!("1\n2 {evil}\n3\n"));
    let b = ground.write("b.txt", format!("1\n2 {evil}!\n3\n"));
    let output = ground.rebuilder().arg("compare").args([a, b]).output().unwrap();
    both("compare", &output)
}

pub(super) fn html(ground: &Ground) -> Result<(), String> {
    let page = written(ground, "html");
    shown("the page", &page)?;
    let text = String::from_utf8(page).unwrap();
    must(
        !text.contains("<img") && !text.contains("<b> "),
        "an element of its own",
    )
}

pub(super) fn markdown(ground: &Ground) -> Result<(), String> {
    let report = written(ground, "md");
    shown("the report", &report)?;
    let text = String::from_utf8(report).unwrap();
    // A table keeps its columns, and outside of code nothing of the archives is left.
    for line in text.lines().filter(|line| line.starts_with("| re")) {
        must(
            line.replace("\\|", "").matches('|').count() == 4,
            format!("cells: {line}"),
        )?;
    }
    let without = outside_of_code(&text);
    for part in ["SEEN", "<img", "https:", "@all", "#1", "FORGED"] {
        must(!without.contains(part), format!("{part} outside of code: {text}"))?;
    }
    Ok(())
}

/// A document of markdown without its blocks and spans of code, as CommonMark finds them.
fn outside_of_code(text: &str) -> String {
    let (mut out, mut fence) = (String::new(), None::<String>);
    let runs = regex::Regex::new("`+").unwrap();
    for line in text.lines() {
        let ticks: String = line.chars().take_while(|c| *c == '`').collect();
        match &fence {
            Some(open) if line.trim_end() == ticks && ticks.len() >= open.len() => fence = None,
            Some(_) => {}
            None if ticks.len() >= 3 && !line[ticks.len()..].contains('`') => fence = Some(ticks),
            None => {
                let mut rest = line;
                while let Some(at) = rest.find('`') {
                    out.push_str(&rest[..at]);
                    let ticks = rest[at..].chars().take_while(|c| *c == '`').count();
                    let body = &rest[at + ticks..];
                    let end = runs.find_iter(body).find(|run| run.len() == ticks);
                    rest = end.map_or(body, |run| &body[run.end()..]);
                }
                out.push_str(rest);
                out.push('\n');
            }
        }
    }
    out
}

pub(super) fn sarif(ground: &Ground) -> Result<(), String> {
    let report = written(ground, "sarif");
    shown("the report", &report)?;
    let document: Value = serde_json::from_slice(&report).unwrap();
    for result in document["runs"][0]["results"].as_array().unwrap() {
        let message = result["message"]["text"].as_str().unwrap();
        if let Some(c) = raw(message) {
            return Err(format!("U+{:04X} in a message: {message:?}", u32::from(c)));
        }
        must(
            !message.replace("\\[", "").contains('['),
            format!("a link: {message}"),
        )?;
    }
    Ok(())
}

pub(super) fn json_on_stdout(ground: &Ground) -> Result<(), String> {
    let output = compared(ground, &["--json"]);
    both("compare --json", &output)?;
    // Programs get the data as it is.
    let text = common::json(&output).to_string();
    must(
        text.contains('\u{202e}') && text.contains('\u{9b}'),
        "changed data",
    )?;
    let output = ground
        .rebuilder()
        .args(["--json", "compare", EVIL, EVIL])
        .output()
        .unwrap();
    both("an error in JSON", &output)
}

pub(super) fn arguments(ground: &Ground) -> Result<(), String> {
    for arguments in [
        &["compare", EVIL, EVIL][..],
        &["inspect", EVIL],
        &["verify", EVIL],
        &["rebuild", EVIL],
        &["plan", EVIL],
        &["attest", EVIL, "--key", EVIL],
        &["evidence", "verify", EVIL],
        &["evidence", "export", EVIL],
        &["audit", "run", EVIL],
        &["log", "verify", EVIL],
        &["container", "build", EVIL],
        &["rebuild", "--plan", EVIL],
        &["inspect", "x", "--policy", EVIL],
        &["compare", "a", "b", "--write", EVIL],
        &["key", "public", "--key", EVIL],
        // What clap itself says.
        &[EVIL],
        &["compare", "a", "b", EVIL],
        &["compare", "--normalise", EVIL, "a", "b"],
        &["rebuild", "x", "--backend", EVIL],
    ] {
        let output = ground.rebuilder().args(arguments).output().unwrap();
        both(&arguments[..arguments.len().min(2)].join(" "), &output)?;
    }
    let option = ground
        .rebuilder()
        .arg(format!("--{}", evil_name()))
        .output()
        .unwrap();
    both("an option", &option)?;
    // A name that is no text at all.
    let name = std::ffi::OsStr::from_bytes(b"SEEN\xff\x1b[2J\xc2\x9b");
    both(
        "bytes",
        &ground
            .rebuilder()
            .arg("compare")
            .args([name, name])
            .output()
            .unwrap(),
    )
}
