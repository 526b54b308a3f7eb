//! What `rebuilder prove` names as the origin of a difference, and the patch that it tries.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::{is_wanted, write};
use crate::common::{NETWORK, SANDBOX, code, json, needs, rebuilder, text};

#[derive(Deserialize)]
struct Fixes {
    project: Vec<Broken>,
}

/// A project that one knob breaks.
#[derive(Deserialize)]
struct Broken {
    name: String,
    vary: String,
    /// File and line that are to be named; none if only the patch is looked at.
    line: Option<String>,
    /// What the patch has to put in.
    patch: String,
    #[serde(default)]
    daily: bool,
    files: BTreeMap<String, String>,
}

impl Broken {
    /// What is wrong with what was found.
    fn mistake(&self, folder: &Path) -> Option<String> {
        let (place, diff) = (folder.join(&self.name), folder.join("fix.diff"));
        write(&self.files, &place);
        let mut command = rebuilder();
        command
            .arg("prove")
            .arg(&place)
            .args(["--json", "--quiet", "--vary", &self.vary, "--fix"]);
        let output = command.arg(&diff).output().unwrap();
        if code(&output) != 1 {
            return Some(format!("{}: {}", self.name, text(&output)));
        }
        let found = json(&output);
        let explained = &found["explained"][0];
        let lines: Vec<_> = explained["attributions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                format!(
                    "{}:{}",
                    one["line"]["file"].as_str().unwrap_or("?"),
                    one["line"]["line"]
                )
            })
            .collect();
        if self.line.as_ref().is_some_and(|line| !lines.contains(line)) {
            return Some(format!("{}: named {}", self.name, explained["attributions"]));
        }
        if explained["fix"]["whole"] != true {
            return Some(format!("{}: tried {}", self.name, explained["tried"]));
        }
        let patch = fs::read_to_string(&diff).unwrap();
        if !patch.contains(&self.patch) {
            return Some(format!("{}: {patch}", self.name));
        }
        // The project is as it was, and the patch is one that fits it.
        for (name, content) in &self.files {
            assert_eq!(&fs::read_to_string(place.join(name)).unwrap(), content);
        }
        let patched = Command::new("patch")
            .args(["-p1", "-s", "-d"])
            .arg(&place)
            .stdin(Stdio::from(fs::File::open(&diff).unwrap()))
            .status()
            .unwrap();
        (!patched.success()).then(|| format!("{}: patch refuses {patch}", self.name))
    }
}

#[apply(test)]
fn the_planted_line_is_named_and_the_patch_makes_the_outputs_the_same() {
    needs(&[SANDBOX, NETWORK]);
    let fixes: Fixes = toml::from_str(include_str!("fixes.toml")).unwrap();
    let all = std::env::var("REBUILDER_PROVE_SUITE").ok();
    let wanted = |project: &&Broken| is_wanted(&project.name, project.daily);
    let mut mistakes = Vec::new();
    for project in fixes.project.iter().filter(wanted) {
        let folder = tempfile::tempdir().unwrap();
        let mistake = project.mistake(folder.path());
        if all.is_some() {
            eprintln!("{}: {mistake:?}", project.name);
        }
        mistakes.extend(mistake);
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}
