//! Pages in a real browser: how wide they are, what axe-core says of them, and what a reader does there.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::json;

use super::results::work;
use super::seed::server_with_lease;
use crate::common;

#[apply(test)]
fn a_reader_finds_everything_in_a_browser() {
    let Some(mut browser) = common::browser() else {
        return;
    };
    let service = server_with_lease("120", &["--public", "--live-logs"]);
    let claim = json!({"slots": 1, "wait": 5000, "architecture": "x86_64", "free": {"memory": 4096, "disk": 10_000, "cores": 4}});
    let lease = &work(&service, "/claim", &claim.to_string())["jobs"][0];
    assert_eq!(
        (&lease["job"], &lease["attempt"]),
        (&json!(6), &json!(1)),
        "{lease}"
    );
    work(&service, "/jobs/6/1/log?offset=0", "<b>the first line\n");
    // They can be looked at afterwards.
    let folder = std::env::var_os("REBUILDER_SCREENSHOTS").map(std::path::PathBuf::from);
    let folder = folder.unwrap_or_else(|| service.folder.path().join("pages"));
    let mut running = browser
        .arg(service.url())
        .arg(&folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    for told in BufReader::new(running.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
    {
        match told.as_str() {
            "following" => {
                work(&service, "/jobs/6/1/log?offset=18", "<b>the second line\n");
            }
            "followed" => {
                service.operator(&["queue", "cancel", "6"]);
                let ended = json!({"results": [{"job": 6, "attempt": 1, "outcome": {"ended": "cancelled"}}]});
                work(&service, "/results", &ended.to_string());
            }
            other => panic!("{other}"),
        }
    }
    let output = running.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", common::text(&output));
    let kept = std::fs::read_to_string(folder.join("attestation.json")).unwrap();
    assert_eq!(kept, "{\"bundle\": true}");
}
