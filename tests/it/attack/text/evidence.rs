//! Text of provenance, attestations and policies.

use std::process::Output;

use crate::attack::ground::Ground;
use serde_json::json;

use super::{EVIL, both, evil_name, on_a_terminal, shown, statement, toml_string};

fn inspected(ground: &Ground, options: &[&str]) -> Output {
    let file = ground.write("released", "x");
    let provenance = ground.write("provenance.json", statement(b"x").to_string());
    let mut command = ground.rebuilder();
    command
        .args(options)
        .arg("inspect")
        .arg(file)
        .arg("--provenance")
        .arg(provenance);
    command.output().unwrap()
}

pub(super) fn provenance(ground: &Ground) -> Result<(), String> {
    both("inspect", &inspected(ground, &[]))?;
    both("inspect --json", &inspected(ground, &["--json"]))?;
    let file = ground.write("released", "x");
    let provenance = ground.write("provenance.json", statement(b"x").to_string());
    let mut command = ground.rebuilder();
    command
        .arg("inspect")
        .arg(file)
        .arg("--provenance")
        .arg(&provenance);
    shown("inspect on a terminal", on_a_terminal(&command).as_bytes())
}

pub(super) fn inspection_page(ground: &Ground) -> Result<(), String> {
    let file = ground.write(&format!("SEEN {}", evil_name()), "x");
    let provenance = ground.write("provenance.json", statement(b"x").to_string());
    let page = ground.folder().join("page.html");
    let mut command = ground.rebuilder();
    command
        .arg("inspect")
        .arg(file)
        .arg("--html")
        .arg(&page)
        .arg("--provenance")
        .arg(provenance);
    let output = command.output().unwrap();
    both("inspect", &output)?;
    shown("the page", &std::fs::read(page).unwrap())
}

pub(super) fn attestations(ground: &Ground) -> Result<(), String> {
    let file = ground.write("released", "x");
    let mut other = statement(b"x");
    other["predicateType"] = json!(EVIL);
    for (number, content) in [statement(b"x").to_string(), other.to_string(), EVIL.to_owned()]
        .iter()
        .enumerate()
    {
        ground.write(
            &format!("attestations/{number}SEEN {}.json", evil_name()),
            content,
        );
    }
    let folder = ground.folder().join("attestations");
    for options in [&[][..], &["--json"]] {
        let mut command = ground.rebuilder();
        command
            .args(options)
            .arg("verify")
            .arg(&file)
            .arg("--attestation")
            .arg(&folder);
        both("verify", &command.output().unwrap())?;
    }
    Ok(())
}

pub(super) fn policy(ground: &Ground) -> Result<(), String> {
    let file = ground.write("released", "x");
    for text in [
        format!("{EVIL} = 1"),
        format!("name = {}\n{EVIL}", toml_string(EVIL)),
        format!("{} = 1", toml_string(EVIL)),
    ] {
        let policy = ground.write("policy.toml", text);
        let mut command = ground.rebuilder();
        both(
            "a policy",
            &command
                .arg("inspect")
                .arg(&file)
                .arg("--policy")
                .arg(policy)
                .output()
                .unwrap(),
        )?;
    }
    Ok(())
}
