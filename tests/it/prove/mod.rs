//! `rebuilder prove`: small projects, each broken in one known way, and what it finds in them.

mod fixes;
mod forms;
mod suite;
mod tutorial;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::common::{NETWORK, SANDBOX, code, json, needs, rebuilder, text};

/// The time of a project's files. It is long ago, so that the day of a build does not begin near the end of another in
/// some time zone.
const MADE: Duration = Duration::from_secs(1_750_000_000);

/// Writes the files of a project; those that name an interpreter can be run.
fn write(files: &BTreeMap<String, String>, folder: &Path) {
    for (name, content) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::File::open(&path)
            .unwrap()
            .set_modified(std::time::UNIX_EPOCH + MADE)
            .unwrap();
        if content.starts_with("#!") {
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
    }
}

/// Whether a project is tried by this run of the tests: all of them, some by their names, or those of every day.
fn is_wanted(name: &str, daily: bool) -> bool {
    match std::env::var("REBUILDER_PROVE_SUITE").ok().as_deref() {
        None => daily,
        Some("1") => true,
        Some(names) => names.split(',').any(|one| one == name),
    }
}

fn prove(folder: &Path, options: &[&str]) -> std::process::Output {
    let mut command = rebuilder();
    command.arg("prove").arg(folder).args(options);
    command.output().unwrap()
}

#[apply(test)]
fn a_clean_project_gets_a_certificate_that_holds() {
    needs(&[SANDBOX, NETWORK]);
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("clean-make");
    write(&suite::files("clean-make"), &place);
    let key = folder.path().join("key.pem");
    let generated = rebuilder()
        .args(["key", "generate", "--to"])
        .arg(&key)
        .output()
        .unwrap();
    assert_eq!(code(&generated), 0, "{}", text(&generated));
    let out = folder.path().join("proof");
    let log = folder.path().join("log.jsonl");
    let output = prove(&place, &["--quiet", "--out", out.to_str().unwrap()]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    let attest = |folder: &Path| {
        let mut command: Command = rebuilder();
        command
            .arg("attest")
            .arg(folder)
            .arg("--key")
            .arg(&key)
            .arg("--log")
            .arg(&log);
        command.arg("--json").output().unwrap()
    };
    let signed = attest(&out);
    assert_eq!(code(&signed), 0, "{}", text(&signed));
    let statement = &json(&signed)["statement"];
    assert_eq!(
        statement["predicateType"],
        "urn:rebuilder:predicate:reproducibility:v0.1"
    );
    assert_eq!(statement["subject"][0]["name"], "installed.tar");
    assert!(statement["predicate"]["survived"].as_array().unwrap().len() > 15);

    // The plan is one that others can follow, and the outputs of a build that was changed are not certified.
    let replayed = rebuilder()
        .args(["rebuild", "--quiet", "--plan"])
        .arg(out.join("plan.json"))
        .output()
        .unwrap();
    assert_eq!(code(&replayed), 0, "{}", text(&replayed));
    fs::write(out.join("build-2/rebuilt/installed.tar"), "other").unwrap();
    let refused = attest(&out);
    assert_ne!(code(&refused), 0, "{}", text(&refused));
}

#[apply(test)]
fn a_project_that_nobody_knows_how_to_build_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let output = prove(folder.path(), &[]);
    assert_eq!(code(&output), 2, "{}", text(&output));
    assert!(text(&output).contains("--init"), "{}", text(&output));
    let init = prove(folder.path(), &["--init"]);
    assert_eq!(code(&init), 0, "{}", text(&init));
    let written = fs::read_to_string(folder.path().join("rebuilder.toml")).unwrap();
    assert!(written.contains("kind = \"make\""), "{written}");
    let again = prove(folder.path(), &["--init"]);
    assert_eq!(code(&again), 2, "{}", text(&again));
    let list = prove(folder.path(), &["--list-variations", "--json"]);
    let list = json(&list);
    assert!(list.as_array().unwrap().len() > 20);
    let unknown = prove(folder.path(), &["--vary", "weather"]);
    assert!(text(&unknown).contains("build-path"), "{}", text(&unknown));
}

#[apply(test)]
fn variables_of_a_project_reach_its_build_and_no_other_step() {
    needs(&[SANDBOX, NETWORK]);
    let folder = tempfile::tempdir().unwrap();
    let settings = r#"
build = """
date +%s > out.txt
echo "$GREETING" > said.txt
"""
outputs = ["out.txt", "said.txt"]
[env]
GREETING = "it's $HOME"
PATH = "bin:/usr/bin:/bin"
LD_PRELOAD = "/nowhere/lib.so"
"#;
    let same = "#!/bin/sh\nfor to; do :; done\necho same > \"$to\"\n";
    let project = folder.path().join("steered");
    let files = [("rebuilder.toml", settings), ("bin/cp", same), ("bin/tar", same)];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned()));
    write(&files.into(), &project);
    let out = folder.path().join("proof");
    let output = prove(
        &project,
        &[
            "--vary",
            "clock",
            "--patches",
            "0",
            "--out",
            out.to_str().unwrap(),
        ],
    );
    assert_eq!(code(&output), 1, "{}", text(&output));
    let said = fs::read_to_string(out.join("build-1/rebuilt/said.txt")).unwrap();
    assert_eq!(said, "it's $HOME\n");
    let plan = fs::read_to_string(out.join("plan.json")).unwrap();
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let given = plan["build"]["env"].as_object().unwrap();
    assert!(!given.contains_key("LD_PRELOAD") && given["PATH"] != "bin:/usr/bin:/bin");

    fs::write(
        project.join("rebuilder.toml"),
        settings.replace("GREETING =", "TZ ="),
    )
    .unwrap();
    let output = prove(&project, &[]);
    assert!(text(&output).contains("[env] has TZ"), "{}", text(&output));
}
