//! `rebuilder prove`: small projects, each broken in one known way, and what it finds in them.

mod fixes;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

use crate::common::{NETWORK, SANDBOX, code, json, needs, rebuilder, text};

#[derive(Deserialize)]
struct Suite {
    project: Vec<Project>,
}

#[derive(Deserialize)]
struct Project {
    name: String,
    culprits: Vec<Vec<String>>,
    /// Whether builds differ by chance.
    #[serde(default)]
    random: bool,
    /// Whether it is tried by every run of the tests.
    #[serde(default)]
    daily: bool,
    files: BTreeMap<String, String>,
}

impl Project {
    fn write(&self, folder: &Path) {
        for (name, content) in &self.files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            if content.starts_with("#!") {
                fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
            }
        }
    }

    /// What is wrong with what was found; nothing if it is exactly what was planted.
    fn mistake(&self, found: &Value) -> Option<String> {
        let sets = |sets: Vec<Vec<String>>| -> BTreeSet<BTreeSet<String>> {
            sets.into_iter().map(|set| set.into_iter().collect()).collect()
        };
        let culprits = found["culprits"].as_array()?.iter();
        let knobs = culprits.map(|culprit| serde_json::from_value(culprit["knobs"].clone()).unwrap());
        let (found_sets, planted) = (sets(knobs.collect()), sets(self.culprits.clone()));
        let (builds, bound) = (found["cost"]["builds"].as_u64(), found["cost"]["bound"].as_u64());
        if found_sets != planted {
            return Some(format!(
                "{}: planted {planted:?}, found {found_sets:?}",
                self.name
            ));
        }
        if found["random"].is_null() == self.random {
            return Some(format!("{}: chance is {:?}", self.name, found["random"]["odds"]));
        }
        if !self.random && builds > bound {
            return Some(format!("{}: {builds:?} builds, at most {bound:?}", self.name));
        }
        let clean = planted.is_empty() && !self.random;
        (found["reproducible"] != clean).then(|| format!("{}: {}", self.name, found["reproducible"]))
    }
}

fn suite() -> Vec<Project> {
    let suite: Suite = toml::from_str(include_str!("suite.toml")).unwrap();
    suite.project
}

fn prove(folder: &Path, options: &[&str]) -> std::process::Output {
    let mut command = rebuilder();
    command.arg("prove").arg(folder).args(options);
    command.output().unwrap()
}

fn named(name: &str) -> Project {
    suite().into_iter().find(|project| project.name == name).unwrap()
}

#[apply(test)]
fn the_planted_culprits_are_found() {
    needs(&[SANDBOX, NETWORK]);
    let all = std::env::var_os("REBUILDER_PROVE_SUITE");
    let wanted = |project: &Project| match all.as_ref().and_then(|all| all.to_str()) {
        None => project.daily,
        Some("1") => true,
        Some(names) => names.split(',').any(|name| name == project.name),
    };
    let mut mistakes = Vec::new();
    for project in suite().iter().filter(|project| wanted(project)) {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join(&project.name);
        project.write(&place);
        let output = prove(&place, &["--json", "--quiet"]);
        let found = json(&output);
        let mistake = if found["culprits"].is_array() {
            project.mistake(&found)
        } else {
            Some(format!("{}: {}", project.name, text(&output)))
        };
        if all.is_some() {
            let cost = &found["cost"];
            eprintln!(
                "{}: {} builds, {} s: {mistake:?}",
                project.name, cost["builds"], cost["seconds"]
            );
        }
        let expected = i32::from(!project.culprits.is_empty() || project.random);
        if mistake.is_none() {
            assert_eq!(code(&output), expected, "{}", project.name);
        }
        mistakes.extend(mistake);
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

#[apply(test)]
fn a_clean_project_gets_a_certificate_that_holds() {
    needs(&[SANDBOX, NETWORK]);
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("clean-make");
    named("clean-make").write(&place);
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
