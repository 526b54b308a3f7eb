//! Each document of rebuilderd's API in the exact form that its clients read.

use serde_json::{Value, json};

use super::seed::{LOG, server};
use super::{Answer, ask};
use crate::queue::service::Service;

const VERSION: &str = "4.3-2+deb12u1";
const FINISHED: &str = "2026-11-25T12:00:00.5";

/// A record of `packages/binary`; `id` is that of the released file.
fn binary(id: u64, build: u64, name: &str, arch: &str, status: &str, has: (bool, bool)) -> Value {
    let source = name.split('-').next().unwrap();
    json!({"id": id, "name": name, "version": VERSION, "distribution": "debian", "release": "bookworm", "component": "main",
        "architecture": arch,
        "url": format!("https://mirror.example/debian/pool/main/c/{source}/{name}_{VERSION}_{arch}.deb"),
        "status": status, "build_id": build, "artifact_id": id, "diffoscope_log_id": has.0.then_some(id),
        "attestation_log_id": has.1.then_some(id), "last_seen": FINISHED, "seen_in_last_sync": true})
}

fn binaries() -> Vec<Value> {
    vec![
        binary(1, 1, "chrony", "amd64", "GOOD", (false, true)),
        binary(2, 1, "chrony-doc", "all", "GOOD", (false, true)),
        binary(3, 2, "tar", "amd64", "BAD", (true, false)),
        binary(4, 2, "tar-scripts", "amd64", "GOOD", (false, false)),
        // No build was found, which accuses nobody; and what was not built is neither good nor bad.
        binary(5, 3, "sed", "amd64", "UNKWN", (true, false)),
        binary(6, 4, "grep", "amd64", "UNKWN", (false, false)),
    ]
}

fn old(record: &Value) -> Value {
    json!({"name": record["name"], "version": record["version"], "status": record["status"], "distro": "debian", "suite": "main",
        "architecture": record["architecture"], "artifact_url": record["url"], "build_id": record["build_id"],
        "built_at": FINISHED, "has_diffoscope": !record["diffoscope_log_id"].is_null(),
        "has_attestation": !record["attestation_log_id"].is_null()})
}

fn build(id: u64, name: &str, status: &str) -> Value {
    json!({"id": id, "name": name, "version": VERSION, "distribution": "debian", "release": "bookworm", "architecture": "amd64",
        "backend": "debian", "retries": 0, "started_at": "2026-11-25T11:58:00", "built_at": FINISHED, "status": status})
}

fn list(records: &[Value]) -> Value {
    json!({"total": records.len(), "records": records})
}

fn get(service: &Service, path: &str) -> Value {
    let answer = ask(service, path, &[]);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
    answer.json()
}

#[apply(test)]
fn every_document_has_the_form_that_clients_read() {
    let service = server(&["--public"]);
    let all = binaries();
    let picked = |picked: &[usize]| list(&picked.iter().map(|place| all[*place].clone()).collect::<Vec<_>>());
    let artifact = |id: u64, name: &str, diffoscope: bool, attestation: bool, status: &str| json!({"id": id, "name": name, "has_diffoscope": diffoscope, "has_attestation": attestation, "status": status});
    let old_list: Vec<_> = all.iter().map(old).collect();
    let link = |name: &str| json!({"signatures": [], "signed": {"_type": "link", "name": format!("rebuild {name}")}});
    let source = |id: u64, name: &str, status: &str| {
        json!({"id": id, "name": name, "version": VERSION, "distribution": "debian", "release": "bookworm", "status": status,
            "build_id": id, "last_seen": FINISHED, "seen_in_last_sync": true})
    };
    for (path, expected) in [
        ("/api/v1/packages/binary", list(&all)),
        ("/api/v1/packages/binary/3", all[2].clone()),
        (
            "/api/v1/packages/binary?name=chrony&version=4.3-2%2Bdeb12u1&architecture=amd64",
            picked(&[0]),
        ),
        (
            "/api/v1/packages/binary?name=chrony&version=4.3-2&architecture=amd64",
            picked(&[]),
        ),
        ("/api/v1/packages/binary?source_name=tar", picked(&[2, 3])),
        (
            "/api/v1/packages/binary?component=main&distribution=debian&release=bookworm&name=sed",
            picked(&[4]),
        ),
        ("/api/v1/packages/binary?component=", picked(&[])),
        // One server for each architecture, as Debian's clients expect.
        ("/all/api/v1/packages/binary", picked(&[1])),
        ("/amd64/api/v1/packages/binary?architecture=all", picked(&[])),
        ("/amd64/api/v1/packages/binary?name=tar", picked(&[2])),
        (
            "/api/v1/packages/source?name=chrony",
            list(&[source(1, "chrony", "GOOD")]),
        ),
        ("/api/v1/packages/source/4", source(4, "grep", "UNKWN")),
        ("/api/v1/builds?name=tar", list(&[build(2, "tar", "BAD")])),
        ("/api/v1/builds/3", build(3, "sed", "UNKWN")),
        ("/api/v1/builds/4", build(4, "grep", "FAIL")),
        (
            "/api/v1/builds/2/artifacts",
            json!([
                artifact(3, "tar", true, false, "BAD"),
                artifact(4, "tar-scripts", false, false, "GOOD")
            ]),
        ),
        (
            "/api/v1/builds/1/artifacts/2",
            artifact(2, "chrony-doc", false, true, "GOOD"),
        ),
        (
            "/api/v1/builds/1/artifacts/2/attestation",
            link("chrony-doc_4.3-2+deb12u1_all.deb"),
        ),
        (
            "/api/v0/builds/1/attestation",
            link("chrony_4.3-2+deb12u1_amd64.deb"),
        ),
        ("/api/v1/meta/public-keys", json!({"current": []})),
        ("/api/v0/public-keys", json!({"current": []})),
        ("/api/v1/meta/distributions", json!(["debian"])),
        ("/api/v1/meta/distributions/debian/releases", json!(["bookworm"])),
        (
            "/api/v1/meta/distributions/debian/architectures",
            json!(["amd64"]),
        ),
        (
            "/api/v1/meta/distributions/debian/releases/bookworm/architectures",
            json!(["amd64"]),
        ),
        (
            "/api/v1/meta/distributions/debian/releases/-/architectures",
            json!([]),
        ),
        (
            "/api/v1/dashboard",
            json!({"rebuilds": {"good": 1, "bad": 1, "fail": 1, "unknown": 2}, "jobs": {"running": 0, "available": 1, "pending": 0}}),
        ),
        ("/api/v0/pkgs/list", json!(old_list)),
        ("/amd64/api/v0/pkgs/list?status=BAD", json!([old_list[2]])),
        ("/all/api/v0/pkgs/list", json!([old_list[1]])),
        ("/api/v0/pkgs/list?distro=archlinux", json!([])),
        ("/api/v0/pkgs/list?suite=main&name=grep", json!([old_list[5]])),
    ] {
        assert_eq!(get(&service, path), expected, "{path}");
    }
    // What holds the present time.
    let mut queue = get(&service, "/api/v1/queue?limit=1000");
    let queued = queue["records"][0]["queued_at"].take();
    assert!(
        queued.as_str().unwrap().len() >= 19 && !queued.as_str().unwrap().ends_with('Z'),
        "{queued}"
    );
    let waiting = json!({"id": 6, "name": "bash", "version": "5.2-1", "distribution": "debian", "release": "bookworm",
        "architecture": "amd64", "backend": "debian", "url": "pkg:deb/debian/bash@5.2-1?arch=amd64&distro=bookworm",
        "next_retry": null, "priority": 0, "queued_at": null, "started_at": null});
    assert_eq!(queue, list(&[waiting]));
    assert_eq!(
        get(&service, "/api/v1/queue?limit=1000&after=6"),
        json!({"total": 1, "records": []})
    );
    let mut dashboard = get(&service, "/api/v0/dashboard");
    assert!(dashboard["now"].take().is_string());
    assert_eq!(
        dashboard,
        json!({"suites": {"main": {"good": 3, "unknown": 2, "bad": 1}}, "active_builds": [], "queue_length": 1, "now": null})
    );
    old_queue(&service);
    files(&service);
    pages(&service);
    unchanged(&service);
}

/// The queue as version 0 has it, which is asked for with a body.
fn old_queue(service: &Service) {
    let queue = |body: &str| {
        let json = "Content-Type: application/json";
        ask(service, "/api/v0/queue/list", &["--header", json, "--data", body])
    };
    let mut listed = queue(r#"{"limit": 25}"#).json();
    let item = &mut listed["queue"][0];
    for time in [item["queued_at"].take(), listed["now"].take()] {
        let time = time.as_str().unwrap();
        assert!(time.len() >= 19 && !time.ends_with('Z'), "{time}");
    }
    let waiting = json!({"id": 6, "version": "5.2-1", "queued_at": null, "worker_id": null, "started_at": null, "last_ping": null,
        "pkgbase": {"name": "bash", "version": "5.2-1", "distro": "debian", "suite": "", "architecture": "amd64",
            "input_url": "pkg:deb/debian/bash@5.2-1?arch=amd64&distro=bookworm", "artifacts": []}});
    assert_eq!(listed, json!({"now": null, "queue": [waiting]}));
    for (body, count) in [
        ("{}", 1),
        (r#"{"limit": null}"#, 1),
        (r#"{"limit": 0}"#, 0),
        (r#"{"limit": -1}"#, 0),
    ] {
        assert_eq!(
            queue(body).json()["queue"].as_array().unwrap().len(),
            count,
            "{body}"
        );
    }
    assert_eq!(queue("[").status, 400);
    assert_eq!(
        queue(&format!("{{\"limit\": 1}}{}", " ".repeat(5000))).status,
        400
    );
    assert_eq!(ask(service, "/api/v0/queue/list", &[]).status, 404);
}

/// Logs and comparisons are text, and what is not there is 404.
fn files(service: &Service) {
    for path in ["/api/v1/builds/1/log", "/api/v0/builds/1/log"] {
        let plain = ask(service, path, &[]);
        assert_eq!((plain.status, plain.text()), (200, LOG.repeat(20)), "{path}");
        assert_eq!(plain.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(plain.header("content-encoding"), None);
        let coded = ask(service, path, &["--header", "Accept-Encoding: zstd"]);
        assert_eq!(coded.header("content-encoding"), Some("zstd"));
        assert!(coded.body.len() < plain.body.len() / 2);
        assert_eq!(zstd::decode_all(coded.body.as_slice()).unwrap(), plain.body);
        let tag = format!("If-None-Match: {}", plain.header("etag").unwrap());
        assert_eq!(ask(service, path, &["--header", &tag]).status, 304);
    }
    for path in [
        "/api/v1/builds/2/artifacts/3/diffoscope",
        "/api/v0/builds/2/diffoscope",
    ] {
        let text = ask(service, path, &[]).text();
        assert!(
            text.starts_with("different") && text.contains("another line"),
            "{text}"
        );
    }
    for path in [
        "/api/v1/builds/99",
        "/api/v1/builds/5/log",
        "/api/v1/builds/1/artifacts/3",
        "/api/v1/builds/1/artifacts/1/diffoscope",
        "/api/v1/builds/2/artifacts/3/attestation",
        "/api/v0/builds/2/attestation",
        "/api/v1/packages/binary/7",
        "/api/v1/queue/5",
        "/api/v1/nothing",
        "/amd64/api/v2",
    ] {
        let Answer { status, .. } = ask(service, path, &[]);
        assert_eq!(status, 404, "{path}");
    }
    assert_eq!(ask(service, "/api/v0/builds/5/log", &[]).text(), "Not found\n");
    for (method, path) in [
        ("POST", "/api/v1/queue"),
        ("DELETE", "/api/v1/queue?name=tar"),
        ("POST", "/api/v1/packages"),
        ("POST", "/amd64/api/v0/queue/push"),
        ("POST", "/api/v1/builds"),
    ] {
        assert_eq!(
            ask(service, path, &["--request", method, "--data", "{}"]).status,
            501,
            "{method} {path}"
        );
    }
}

/// A client goes on after the last id until a page is empty, whatever it wants sorted, and has each record once.
fn pages(service: &Service) {
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = get(
            service,
            &format!("/api/v1/packages/binary?limit=2&sort=name&direction=Ascending{after}"),
        );
        let records = page["records"].as_array().unwrap();
        assert_eq!(page["total"], 6);
        let Some(last) = records.last() else { break };
        after = format!("&after={}", last["id"]);
        seen.extend(records.iter().map(|record| record["id"].as_u64().unwrap()));
    }
    assert_eq!(seen, [1, 2, 3, 4, 5, 6]);
    let page = get(
        service,
        "/api/v1/builds?limit=2&before=4&sort=id&direction=Descending",
    );
    let ids: Vec<_> = page["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| &record["id"])
        .collect();
    assert_eq!(ids, [3, 2]);
}

fn unchanged(service: &Service) {
    // Dates of HTTP have whole seconds, so there is none for what has only just changed.
    let mut answer = ask(service, "/api/v0/pkgs/list", &[]);
    while answer.header("last-modified").is_none() {
        std::thread::sleep(std::time::Duration::from_millis(300));
        answer = ask(service, "/api/v0/pkgs/list", &[]);
    }
    let since = format!("If-Modified-Since: {}", answer.header("last-modified").unwrap());
    assert_eq!(
        ask(service, "/api/v0/pkgs/list", &["--header", &since]).status,
        304
    );
    let long_ago = "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 +0000";
    assert_eq!(
        ask(service, "/api/v0/pkgs/list", &["--header", long_ago]).status,
        200
    );
}
