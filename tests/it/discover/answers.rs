//! Sources that are slow, broken, huge or lie; and answers that are kept.

use std::fs;
use std::time::{Duration, Instant};

use rebuilder::artifact::Sha256;
use serde_json::{Value, json};

use super::{RELEASED, Scene, serving};
use crate::common::http::{Reply, Server};
use crate::common::party::Party;
use crate::common::{code, json, text};

fn bundles(server: &Server) -> String {
    format!(
        "kind = \"bundles\"\nurl = \"{}\"\ntimeout-seconds = 2",
        server.url()
    )
}

fn file() -> String {
    format!("/{}.intoto.jsonl", Sha256::of(RELEASED))
}

// Long, as it is one table.
#[apply(test)]
fn a_source_that_does_not_answer_is_not_one_that_has_nothing() {
    let huge = || Reply::Give(200, Vec::new(), vec![b'a'; 9 << 20]);
    let elsewhere = || {
        Reply::Give(
            302,
            vec![("location", "http://169.254.169.254/x".to_owned())],
            Vec::new(),
        )
    };
    let table: [(&str, Reply, &str, &str); 10] = [
        ("nothing there", Reply::status(404), "none", ""),
        ("an error", Reply::status(500), "no-answer", "HTTP status 500"),
        (
            "too many requests",
            Reply::status(403),
            "no-answer",
            "HTTP status 403",
        ),
        ("silent", Reply::Silence, "no-answer", "within 2 s"),
        ("cut off", Reply::Broken, "no-answer", ""),
        (
            "rubbish",
            Reply::ok("<html>sign in</html>"),
            "no-answer",
            "cannot read",
        ),
        ("empty", Reply::ok(""), "none", ""),
        ("huge", huge(), "no-answer", "larger than"),
        ("without end", Reply::Endless, "no-answer", ""),
        ("sent elsewhere", elsewhere(), "no-answer", "refused to follow"),
    ];
    let scene = Scene::new("app.tar.gz");
    let servers: Vec<Server> = table
        .iter()
        .map(|(_, reply, _, _)| serving(vec![(file(), reply.clone())]))
        .collect();
    scene.sources(&servers.iter().map(bundles).collect::<Vec<_>>());
    let begun = Instant::now();
    let output = scene.verify(&["--json"]);
    // They are asked at the same time.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(code(&output), 4, "{}", text(&output));
    let found = json(&output);
    for ((what, _, answer, reason), asked) in table.iter().zip(found["asked"].as_array().unwrap()) {
        assert_eq!(asked["answer"], *answer, "{what}: {asked}");
        let told = asked["reason"].as_str().unwrap_or_default();
        assert!(told.contains(reason), "{what}: {told}");
        assert_eq!(told.is_empty(), *answer == "none", "{what}: {told}");
    }
    // One of them that has something is enough, whatever the others do.
    let good = serving(vec![(file(), Reply::ok(scene.bundle().to_string()))]);
    let mut all: Vec<_> = servers.iter().map(bundles).collect();
    all.push(bundles(&good));
    scene.sources(&all);
    let output = scene.verify(&[]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    for line in [
        "found 1 statement",
        "no answer: it did not answer within 2 s",
        "none",
    ] {
        assert!(text(&output).contains(line), "{line}: {}", text(&output));
    }
}

// Long, as it is one table.
#[apply(test)]
fn what_a_server_says_without_a_signature_counts_for_nothing() {
    let scene = Scene::new("jq_1.6-2_amd64.deb");
    let purl = "pkg:deb/debian/jq@1.6-2?arch=amd64";
    let mallory = Party::new("mallory");
    let record = |name: &str, status: &str| {
        json!({
            "name": name, "version": "1.6-2", "architecture": "amd64", "status": status, "build_id": 3, "artifact_id": 5
        })
    };
    let listed = |records: &[Value]| json!({"total": 9, "records": records}).to_string();
    let list = "/api/v1/packages/binary?name=jq&version=1.6-2&architecture=amd64";
    let link = "/api/v1/builds/3/artifacts/5/attestation";
    let table = [
        (
            "no attestation",
            vec![record("jq", "GOOD")],
            Reply::status(404),
            "none",
            4,
            "GOOD",
        ),
        (
            "signed by a stranger",
            vec![record("jq", "GOOD")],
            Reply::ok(mallory.rebuilt(scene.file, RELEASED).to_string()),
            "found",
            4,
            "GOOD",
        ),
        (
            "signed for other bytes",
            vec![record("jq", "GOOD")],
            Reply::ok(scene.alice.rebuilt(scene.file, b"other").to_string()),
            "found",
            1,
            "GOOD",
        ),
        (
            "bad, but signed as good",
            vec![record("jq", "BAD")],
            Reply::ok(scene.bundle().to_string()),
            "found",
            0,
            "BAD",
        ),
        (
            "another package",
            vec![record("tar", "GOOD")],
            Reply::ok(scene.bundle().to_string()),
            "none",
            4,
            "",
        ),
        (
            "an attestation that is gone",
            vec![record("jq", "GOOD")],
            Reply::status(500),
            "no-answer",
            4,
            "GOOD",
        ),
    ];
    for (what, records, reply, answer, exit, says) in table {
        let server = serving(vec![
            (list.to_owned(), Reply::ok(listed(&records))),
            (link.to_owned(), reply),
        ]);
        scene.sources(&[format!("kind = \"rebuilderd\"\nurl = \"{}\"", server.url())]);
        let output = scene.verify(&["--purl", purl, "--json"]);
        assert_eq!(code(&output), exit, "{what}: {}", text(&output));
        let found = json(&output);
        let asked = &found["asked"][0];
        assert_eq!(asked["answer"], answer, "{what}: {asked}");
        let said = asked["says"].to_string();
        assert!(said.contains(says), "{what}: {said}");
        assert_eq!(said.contains("not signed"), !says.is_empty(), "{what}: {said}");
    }
}

#[apply(test)]
fn an_answer_is_kept_for_a_while() {
    let scene = Scene::new("app.tar.gz");
    let (good, empty) = (
        serving(vec![(file(), Reply::ok(scene.bundle().to_string()))]),
        serving(Vec::new()),
    );
    scene.sources(&[bundles(&good), bundles(&empty)]);
    let asked = |more: &[&str]| {
        let output = scene.verify(&[more, &["--json"]].concat());
        let all = json(&output)["asked"].as_array().unwrap().clone();
        let each = all.iter().map(|one| {
            let word = one["answer"].as_str().unwrap().to_owned();
            (word, one["cached"] == true)
        });
        (code(&output), each.collect::<Vec<_>>())
    };
    let answers = |cached: bool| vec![("found".to_owned(), cached), ("none".to_owned(), cached)];
    assert_eq!(asked(&[]), (0, answers(false)));
    assert_eq!(asked(&[]), (0, answers(true)));
    assert_eq!(asked(&["--offline"]), (0, answers(true)));
    assert_eq!((good.paths().len(), empty.paths().len()), (1, 1));
    // Another address is another question, and a limit of no hours is no keeping.
    scene.sources(&[format!("{}\nmaximum-age-hours = 0", bundles(&good))]);
    assert_eq!(asked(&[]).1, [("found".to_owned(), false)]);
    assert_eq!(good.paths().len(), 2);
    assert_eq!(asked(&["--offline"]), (4, vec![("no-answer".to_owned(), false)]));
    // A kept answer that was changed, or whose statement is gone, is asked for again.
    scene.sources(&[bundles(&good)]);
    fs::remove_dir_all(scene.path("store/store")).unwrap();
    assert_eq!(asked(&[]), (0, vec![("found".to_owned(), false)]));
    for entry in walkdir::WalkDir::new(scene.path("store/answers"))
        .into_iter()
        .flatten()
    {
        if entry.file_type().is_file() {
            fs::write(entry.path(), "{}").unwrap();
        }
    }
    assert_eq!(asked(&[]), (0, vec![("found".to_owned(), false)]));
}

#[apply(test)]
fn a_policy_without_sources_is_told_so() {
    let scene = Scene::new("app.tar.gz");
    scene.sources(&[]);
    let output = scene.verify(&[]);
    assert_eq!(code(&output), 2);
    assert!(text(&output).contains("[[discover]]"), "{}", text(&output));
}
