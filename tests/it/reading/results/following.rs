//! The log of a build that runs can be followed, by those who may read it.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::BASE;
use crate::queue::service::Service;
use crate::reading::ask;
use crate::reading::seed::{Seed, block_on, read_token};

/// A worker's request.
pub fn work(service: &Service, path: &str, body: &str) -> Value {
    let token = std::fs::read_to_string(service.token("one")).unwrap();
    let header = format!("Authorization: Bearer {}", token.trim());
    let arguments = [
        "--header",
        &header,
        "--header",
        "Content-Type: application/json",
        "--data-binary",
        body,
    ];
    let answer = ask(service, &format!("/api/worker/v1{path}"), &arguments);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

#[apply(test)]
fn the_log_of_a_build_that_runs_can_be_followed() {
    let service = Service::start_with_lease(None, "60", &["--public", "--live-logs"]);
    block_on(async { Seed::open(&service).await.waits("deb:bash=5.2-1").await });
    let waiting = ask(&service, "/jobs/1", &[]).text();
    assert!(
        waiting.contains(">ready</dd>") && !waiting.contains("<script"),
        "{waiting}"
    );
    let claim = json!({"slots": 1, "wait": 5000, "architecture": "x86_64", "free": {"memory": 4096, "disk": 10_000, "cores": 4}});
    let lease = &work(&service, "/claim", &claim.to_string())["jobs"][0];
    assert_eq!(
        (&lease["job"], &lease["attempt"]),
        (&json!(1), &json!(1)),
        "{lease}"
    );
    // Version 0 of rebuilderd's API says what is being built in its dashboard.
    let dashboard = ask(&service, "/api/v0/dashboard", &[]).json();
    let active = &dashboard["active_builds"][0];
    assert_eq!(
        (&active["id"], &active["pkgbase"]["name"]),
        (&json!(1), &json!("bash")),
        "{dashboard}"
    );
    assert!(
        active["started_at"].is_string() && active["last_ping"].is_string(),
        "{dashboard}"
    );
    work(
        &service,
        "/jobs/1/1/log?offset=0",
        "first line\n<b>second\u{1b}[2J\n",
    );
    let page = ask(&service, "/jobs/1", &[]);
    let text = page.text();
    assert!(
        text.contains("first line\n&#60;b&#62;second") && !text.contains('\u{1b}'),
        "{text}"
    );
    assert!(
        text.contains("data-offset=\"25\"") && text.contains("running on one, attempt 1"),
        "{text}"
    );
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("script-src 'self';") && policy.contains("connect-src 'self'"),
        "{policy}"
    );
    assert_eq!(
        ask(&service, "/live.js", &[]).header("content-type"),
        Some("text/javascript; charset=utf-8")
    );

    let follow = |from: &str| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--no-buffer", "--max-time", "60", "--header", from]);
        curl.arg(format!("{}{BASE}/queue/1/events?offset=11", service.url()));
        curl.stdout(Stdio::piped()).spawn().unwrap()
    };
    let (all, rest) = (follow("X-Nothing: 1"), follow("Last-Event-ID: 25"));
    work(&service, "/jobs/1/1/log?offset=25", "a part of ");
    std::thread::sleep(Duration::from_millis(600));
    work(&service, "/jobs/1/1/log?offset=35", "the third\n");
    std::thread::sleep(Duration::from_millis(600));
    service.operator(&["queue", "cancel", "1"]);
    let ended = json!({"results": [{"job": 1, "attempt": 1, "outcome": {"ended": "cancelled"}}]});
    work(&service, "/results", &ended.to_string());
    let told = |child: std::process::Child| {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = told(all);
    for expected in [
        "event: state",
        "running on one, attempt 1",
        "<b>second",
        "a part of the third\\n",
        "id: 45",
        "event: ended",
    ] {
        assert!(text.contains(expected), "no {expected}: {text}");
    }
    assert!(!text.contains("first line"), "{text}");
    let rest = told(rest);
    assert!(
        !rest.contains("second") && rest.contains("a part of the third"),
        "{rest}"
    );
}

/// What a log has of credentials is known for certain only at its end.
#[apply(test)]
fn a_log_of_a_build_that_runs_is_not_public_unless_it_is_said() {
    let service = Service::start_with_lease(None, "60", &["--public"]);
    block_on(async { Seed::open(&service).await.waits("deb:bash=5.2-1").await });
    let claim = json!({"slots": 1, "wait": 5000, "architecture": "x86_64", "free": {"memory": 4096, "disk": 10_000, "cores": 4}});
    work(&service, "/claim", &claim.to_string());
    work(&service, "/jobs/1/1/log?offset=0", "a line\n");
    let token = format!("Authorization: Bearer {}", read_token(&service));
    let events = format!("{BASE}/queue/1/events");
    let refused = ask(&service, &events, &[]);
    assert_eq!(
        (refused.status, refused.header("content-type")),
        (401, Some("application/problem+json"))
    );
    let page = ask(&service, "/jobs/1", &[]);
    assert!(
        page.status == 200 && !page.text().contains("a line"),
        "{}",
        page.text()
    );
    let page = ask(&service, "/jobs/1", &["--header", &token]);
    assert!(page.text().contains("a line"), "{}", page.text());
    let followed = ask(&service, &events, &["--header", &token, "--max-time", "2"]);
    assert!(
        followed.status == 200 && followed.text().contains("a line"),
        "{}",
        followed.text()
    );
}
