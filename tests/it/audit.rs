//! `rebuilder audit run`: many real packages at once, what is said of them, and what a kill in the middle leaves.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::common::{self, NETWORK, SANDBOX, code, json, needs, rebuilder, text};
use serde_json::Value;

fn lines(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("results.jsonl")).unwrap_or_default();
    text.lines()
        .map(|line| common::checked(serde_json::from_str(line).unwrap()))
        .collect()
}

#[apply(test)]
fn verdicts_causes_and_time_of_a_list_are_told() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.txt");
    // A wheel as it should be, one whose first plan gives its requirements another order, one that nobody has.
    fs::write(
        &list,
        "# three kinds\npypi:idna==3.4\n\npypi:nltk==3.8.1\npypi:idna==3.4 again\ncrate:this-is-not-a-crate-of-anybody@1.0.0\n",
    )
    .unwrap();
    let out = folder.path().join("out");
    let run = |arguments: &[&str]| {
        let mut command = rebuilder();
        command
            .args(["--json", "audit", "run"])
            .arg(&list)
            .arg("--out")
            .arg(&out);
        command.args(arguments).output().unwrap()
    };
    let output = run(&["--jobs", "2", "--attempts", "1"]);
    assert_eq!(code(&output), 1, "{}", text(&output));
    let summary = json(&output);
    assert_eq!(summary["total"], 3);
    let verdicts: Vec<_> = summary["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| &line["verdict"])
        .collect();
    assert_eq!(verdicts, ["reproduced", "equivalent", "inconclusive"]);
    assert_eq!(
        summary["results"][1]["normalisations"],
        serde_json::json!(["wheel-metadata-order", "wheel-record"])
    );
    assert_eq!(summary["results"][2]["stage"], "plan");
    assert_eq!(summary["causes"]["inconclusive: unknown-package"], 1);
    let page = fs::read_to_string(out.join("index.html")).unwrap();
    assert!(page.contains("wheel-metadata-order"), "the page does not say why");
    let linked = summary["results"][0]["run"].as_str().unwrap();
    assert!(
        page.contains(&format!("{linked}/report.html")) && out.join(linked).join("report.html").is_file()
    );
    let wall = &summary["wall"];
    let parts = ["build", "setup", "resolve", "download", "own"].map(|part| wall[part].as_f64().unwrap());
    let total = wall["total"].as_f64().unwrap();
    assert!((parts.iter().sum::<f64>() - total).abs() < 0.01, "{wall}");

    // Nothing is left to do; where equivalent is enough, only what could not be told is wrong.
    let again = run(&["--allow-equivalent"]);
    assert_eq!(code(&again), 4, "{}", text(&again));
    assert_eq!(json(&again)["rebuilt_now"], 0);
}

#[apply(test)]
fn a_kill_in_the_middle_repeats_and_loses_nothing() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    let (list, out) = (folder.path().join("list.txt"), folder.path().join("out"));
    let subjects = [
        "pypi:idna==3.4",
        "pypi:tomli==2.0.1",
        "pypi:iniconfig==2.0.0",
        "pypi:mdurl==0.1.2",
        "pypi:sniffio==1.3.0",
        "pypi:h11==0.14.0",
        "pypi:annotated-types==0.6.0",
        "pypi:zipp==3.17.0",
    ];
    fs::write(&list, subjects.join("\n")).unwrap();
    let command = || {
        let mut command = rebuilder();
        command
            .args(["audit", "run"])
            .arg(&list)
            .args(["--jobs", "2", "--out"])
            .arg(&out);
        command
    };
    let mut written: BTreeMap<String, std::time::SystemTime> = BTreeMap::new();
    for kill in [1, 3, 5] {
        let mut child = command()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while lines(&out).len() < kill && child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < Duration::from_mins(5), "nothing is finished");
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines(&out) {
            let record = out.join(line["run"].as_str().unwrap()).join("record.json");
            let time = fs::metadata(&record).unwrap().modified().unwrap();
            let before = *written
                .entry(line["subject"].as_str().unwrap().to_owned())
                .or_insert(time);
            assert_eq!(before, time, "{} was rebuilt again", line["subject"]);
        }
    }
    let output = command().output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output));
    let mut found: Vec<_> = lines(&out)
        .iter()
        .map(|line| line["subject"].as_str().unwrap().to_owned())
        .collect();
    found.sort();
    let mut expected: Vec<_> = subjects.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(found, expected);
    for (subject, time) in written {
        let line = lines(&out)
            .into_iter()
            .find(|line| line["subject"] == subject.as_str())
            .unwrap();
        let record = out.join(line["run"].as_str().unwrap()).join("record.json");
        assert_eq!(
            fs::metadata(record).unwrap().modified().unwrap(),
            time,
            "{subject} was rebuilt again"
        );
    }
    let left: Vec<_> = fs::read_dir(out.join("runs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), subjects.len(), "{left:?}");
}

#[apply(test)]
fn a_list_that_cannot_be_used_is_told_by_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.txt");
    for (content, expected) in [
        ("pypi:idna==3.4\npkg:gem/rails@1.0\n", "line 2 of "),
        ("# nothing\n\n", "lists no packages"),
    ] {
        fs::write(&list, content).unwrap();
        let output = rebuilder().args(["audit", "run"]).arg(&list).output().unwrap();
        assert_eq!(code(&output), 2, "{}", text(&output));
        assert!(text(&output).contains(expected), "{}", text(&output));
    }
}
