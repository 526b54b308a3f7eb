//! Every planted project: the culprits that are found, the builds that it takes, the line that is named, and the patch.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::{is_wanted, prove, write};
use crate::common::{NETWORK, SANDBOX, code, json, needs, text};

#[derive(Deserialize)]
struct Suite {
    project: Vec<Project>,
}

#[derive(Deserialize)]
struct Project {
    name: String,
    culprits: Vec<Vec<String>>,
    /// Where the project says what is wrong, as FILE:LINE.
    line: Option<String>,
    /// Whether builds differ by chance.
    #[serde(default)]
    random: bool,
    /// Whether it is tried by every run of the tests.
    #[serde(default)]
    daily: bool,
    files: BTreeMap<String, String>,
}

/// What came of one project.
struct Outcome {
    name: String,
    /// What is wrong with the culprits or the number of builds.
    mistake: Option<String>,
    /// Whether the first attribution names the planted line; `None` for projects without one.
    named: Option<bool>,
    /// Whether a patch made it reproducible.
    patched: Option<bool>,
    row: String,
}

impl Project {
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

    fn tried(&self) -> Outcome {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join(&self.name);
        write(&self.files, &place);
        let output = prove(&place, &["--json", "--quiet"]);
        let found = json(&output);
        let mut mistake = if found["culprits"].is_array() {
            self.mistake(&found)
        } else {
            Some(format!("{}: {}", self.name, text(&output)))
        };
        let expected = i32::from(!self.culprits.is_empty() || self.random);
        if mistake.is_none() && code(&output) != expected {
            mistake = Some(format!("{}: exit code {}", self.name, code(&output)));
        }
        let explained = &found["explained"][0];
        // Who wrote it; or else, who asked for it.
        let wrote = &explained["attributions"][0]["line"];
        let first = if wrote.is_object() {
            wrote
        } else {
            &explained["askers"][0]["line"]
        };
        let line = format!("{}:{}", first["file"].as_str().unwrap_or("?"), first["line"]);
        let named = self.line.as_ref().map(|planted| *planted == line);
        let single = self.line.is_some();
        let patched = single.then(|| found["fixed"]["reproducible"] == true);
        let cost = &found["cost"];
        let row = format!(
            "{:<24} {:>3} of {:>3} builds {:>5.1} s | {:<20} | {:>5.1} s | {:<12} | {}",
            self.name,
            cost["builds"].to_string(),
            cost["bound"].to_string(),
            cost["seconds"].as_f64().unwrap_or_default(),
            line,
            cost["explained"]["seconds"].as_f64().unwrap_or_default(),
            explained["tried"].as_array().map_or(0, Vec::len),
            found["fixed"]["result"].as_str().unwrap_or("-"),
        );
        if std::env::var_os("REBUILDER_PROVE_SUITE").is_some() {
            eprintln!("{row}");
            if named == Some(false) {
                eprintln!("  named: {}", explained["attributions"]);
            }
            if patched == Some(false) {
                eprintln!("  tried: {}", explained["tried"]);
            }
        }
        Outcome {
            name: self.name.clone(),
            mistake,
            named,
            patched,
            row,
        }
    }
}

fn suite() -> Vec<Project> {
    let suite: Suite = toml::from_str(include_str!("suite.toml")).unwrap();
    suite.project
}

/// The files of a project.
pub(super) fn files(name: &str) -> BTreeMap<String, String> {
    suite()
        .into_iter()
        .find(|project| project.name == name)
        .unwrap()
        .files
}

#[apply(test)]
fn the_planted_culprits_are_found_named_and_patched() {
    needs(&[SANDBOX, NETWORK]);
    let projects = suite();
    let wanted = projects
        .iter()
        .filter(|project| is_wanted(&project.name, project.daily));
    let outcomes: Vec<_> = wanted.map(Project::tried).collect();
    let table: Vec<_> = outcomes.iter().map(|outcome| outcome.row.as_str()).collect();
    let mistakes: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| outcome.mistake.as_deref())
        .collect();
    assert!(
        mistakes.is_empty(),
        "{}\n{}",
        mistakes.join("\n"),
        table.join("\n")
    );
    // Of those with one cause, five of six are to be named by their line, and three of four made reproducible.
    let share = |what: fn(&Outcome) -> Option<bool>| {
        let all: Vec<_> = outcomes
            .iter()
            .filter_map(|one| Some((what(one)?, &one.name)))
            .collect();
        let good = all.iter().filter(|(good, _)| *good).count();
        let bad: Vec<_> = all
            .iter()
            .filter(|(good, _)| !good)
            .map(|(_, name)| name.as_str())
            .collect();
        (good, all.len(), bad.join(", "))
    };
    let (named, of, not_named) = share(|one| one.named);
    let (patched, _, not_patched) = share(|one| one.patched);
    let summary = format!(
        "line named: {named} of {of} (not {not_named}); patched: {patched} of {of} (not {not_patched})\n{}",
        table.join("\n")
    );
    if std::env::var_os("REBUILDER_PROVE_SUITE").is_some() {
        eprintln!("{summary}");
    }
    assert!(named * 6 >= of * 5, "{summary}");
    assert!(patched * 4 >= of * 3, "{summary}");
}
