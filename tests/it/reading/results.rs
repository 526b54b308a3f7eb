//! Our own API: every answer is what its OpenAPI document says, and lists have pages.

mod following;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::ask;
use super::seed::{Seed, Told, block_on, server};
use crate::queue::service::{Service, wait_until};
pub use following::work;

const BASE: &str = "/api/results/v1";

/// A question of 101 letters.
const LONG: &str = concat!(
    "/packages?q=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
);

/// Everything that a reader's token opens, but the log that is followed.
pub const ROUTES: &[&str] = &[
    "/api/results/v1/openapi.json",
    "/api/results/v1/packages?q=tar",
    "/api/results/v1/builds",
    "/api/results/v1/builds/1",
    "/api/results/v1/rates",
    "/api/results/v1/causes",
    "/api/results/v1/regressions",
    "/api/results/v1/queue",
];

/// The schema of an answer, as the document of the server has it.
fn schema(document: &Value, path: &str, status: &str) -> Value {
    let kind = if status == "200" {
        "application/json"
    } else {
        "application/problem+json"
    };
    let schema = &document["paths"][path]["get"]["responses"][status]["content"][kind]["schema"];
    assert!(schema.is_object(), "{path} {status}");
    let mut schema = schema.clone();
    schema["components"] = document["components"].clone();
    schema
}

fn assert_valid(document: &Value, path: &str, status: &str, value: &Value) {
    let validator = jsonschema::draft202012::new(&schema(document, path, status)).unwrap();
    let errors: Vec<_> = validator
        .iter_errors(value)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{path}: {errors:?}\n{value:#}");
}

#[apply(test)]
fn answers_are_what_the_document_says() {
    let service = server(&["--public", "--live-logs"]);
    let document = ask(&service, &format!("{BASE}/openapi.json"), &[]).json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut tried = BTreeSet::new();
    for (path, asked, check) in [
        (
            "/packages",
            "/packages?q=TA",
            json!([["/packages/0/package", "pkg:deb/debian/tar"], ["/more", false]]),
        ),
        (
            "/builds",
            "/builds",
            json!([
                ["/builds/0/id", 5],
                ["/builds/4/verdict", "reproduced"],
                ["/next", null]
            ]),
        ),
        (
            "/builds",
            "/builds?verdict=mismatch&newest=true",
            json!([["/builds/0/name", "tar"], ["/builds/1", null]]),
        ),
        (
            "/builds",
            "/builds?cause=content",
            json!([["/builds/0/name", "sed"], ["/builds/2", null]]),
        ),
        (
            "/builds",
            "/builds?package=pkg%3Adeb/debian/none",
            json!([["/builds/0", null]]),
        ),
        (
            "/builds/{id}",
            "/builds/2",
            json!([
                ["/released_files/0/status", "BAD"],
                ["/files/0/name", "report.html"],
                ["/reasons/0/cause", "content"],
                ["/verdict", "mismatch"]
            ]),
        ),
        ("/rates", "/rates", json!([["/present/0/count", 2]])),
        ("/causes", "/causes", json!([["/causes/0", null]])),
        ("/regressions", "/regressions", json!([["/regressions/0", null]])),
        (
            "/queue",
            "/queue",
            json!([
                ["/total", 1],
                ["/jobs/0/subject", "deb:bash=5.2-1"],
                ["/jobs/0/state", "ready"]
            ]),
        ),
    ] {
        tried.insert(format!("{BASE}{path}"));
        let answer = ask(&service, &format!("{BASE}{asked}"), &[]);
        assert_eq!(answer.status, 200, "{asked}: {}", answer.text());
        let value = answer.json();
        assert_valid(&document, &format!("{BASE}{path}"), "200", &value);
        for pair in check.as_array().unwrap() {
            let place = pair[0].as_str().unwrap();
            let found = value.pointer(place).unwrap_or(&Value::Null);
            assert_eq!(found, &pair[1], "{asked} {place}:\n{value:#}");
        }
        let tag = format!("If-None-Match: {}", answer.header("etag").unwrap());
        assert_eq!(
            ask(&service, &format!("{BASE}{asked}"), &["--header", &tag]).status,
            304
        );
    }
    let mut known: BTreeSet<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
    assert!(known.remove(&format!("{BASE}/queue/{{id}}/events")));
    assert_eq!(tried, known);
    for (path, asked, status) in [
        ("/builds/{id}", "/builds/99", 404),
        ("/builds/{id}", "/builds/x", 404),
        ("/builds", "/builds?limit=0", 400),
        ("/builds", "/builds?before=soon", 400),
        ("/packages", "/packages", 400),
        ("/packages", LONG, 400),
        ("/queue", "/queue?limit=5000", 400),
        ("/queue/{id}/events", "/queue/99/events", 404),
        ("/queue/{id}/events", "/queue/1/events?offset=-1", 400),
        ("/builds", "/nothing/of/the/kind", 404),
    ] {
        let answer = ask(&service, &format!("{BASE}{asked}"), &[]);
        assert_eq!(answer.status, status, "{asked}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json"),
            "{asked}"
        );
        assert_valid(&document, &format!("{BASE}{path}"), "default", &answer.json());
        assert_eq!(answer.json()["status"], status);
    }
    let written = ask(&service, &format!("{BASE}/builds"), &["--request", "POST"]);
    assert_eq!(
        (written.status, written.json()["status"].as_i64()),
        (405, Some(405))
    );
}

#[apply(test)]
fn pages_of_a_list_have_each_build_once() {
    let service = server(&["--public"]);
    let mut next = Some(format!("{BASE}/builds?limit=2&ecosystem=debian"));
    let mut seen = Vec::new();
    while let Some(page) = next {
        let value = ask(&service, &page, &[]).json();
        seen.extend(
            value["builds"]
                .as_array()
                .unwrap()
                .iter()
                .map(|build| build["id"].as_i64().unwrap()),
        );
        next = value["next"].as_str().map(str::to_owned);
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
}

#[apply(test)]
fn packages_that_share_a_reason_are_shown_together() {
    let service = Service::start(None, &["--public"]);
    block_on(async {
        let seed = Seed::open(&service).await;
        // Content that differs is no reason that two packages share.
        for name in ["gz-one", "gz-two", "tar", "sed"] {
            let files = [(name, "amd64", false)];
            let told = Told {
                name,
                version: "1",
                files: &files,
                declared: true,
                failed: None,
            };
            seed.run_now(&told).await;
        }
    });
    let causes = || ask(&service, &format!("{BASE}/causes"), &[]).json();
    wait_until("all are published", Duration::from_secs(20), || {
        ask(&service, &format!("{BASE}/builds"), &[]).json()["builds"]
            .as_array()
            .unwrap()
            .len()
            == 4
    });
    let found = causes();
    let expected = json!([{"cause": "timestamp", "shared": "gzip: time in the header", "released": null, "rebuilt": null,
        "packages": 2, "builds": 2}]);
    assert_eq!(found["causes"], expected);
    let page = ask(&service, "/causes", &[]).text();
    assert!(page.contains(">2 packages</a>"), "{page}");
    let link = page.split("href=\"/causes/shared").nth(1).unwrap();
    let link = link
        .split('"')
        .next()
        .unwrap()
        .replace("&#38;", "&")
        .replace("&amp;", "&");
    let text = ask(&service, &format!("/causes/shared{link}"), &[]).text();
    assert!(
        text.contains(">gz-one</a>") && text.contains(">gz-two</a>") && !text.contains(">tar</a>"),
        "{text}"
    );
}

#[apply(test)]
fn a_reader_who_asks_too_often_is_held_back_and_others_are_not() {
    let service = server(&["--public", "--rate", "1"]);
    let ask = |from: &str, more: &[&str]| {
        let header = format!("X-Forwarded-For: 203.0.113.1, {from}");
        super::ask(&service, "/", &[&["--header", header.as_str()], more].concat())
    };
    let statuses: Vec<_> = (0..14).map(|_| ask("198.51.100.7", &[]).status).collect();
    assert_eq!(
        statuses
            .iter()
            .filter(|status| **status == 200)
            .count()
            .clamp(10, 13),
        statuses.iter().filter(|status| **status == 200).count(),
        "{statuses:?}"
    );
    let refused = ask("198.51.100.7", &[]);
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    assert_eq!(ask("198.51.100.8", &[]).status, 200);
    let token = format!("Authorization: Bearer {}", super::seed::read_token(&service));
    assert_eq!(ask("198.51.100.7", &["--header", &token]).status, 200);
}

#[apply(test)]
fn rates_are_shown_by_week() {
    let service = Service::start(None, &["--public"]);
    block_on(async {
        let seed = Seed::open(&service).await;
        for (name, good) in [("chrony", true), ("tar", false)] {
            let files = [(name, "amd64", good)];
            let told = Told {
                name,
                version: "1",
                files: &files,
                declared: true,
                failed: None,
            };
            seed.run_now(&told).await;
        }
    });
    let rates = || ask(&service, &format!("{BASE}/rates"), &[]).json();
    // The server counts builds and weeks apart, and a slow count of either may be older than the other.
    wait_until("both are counted everywhere", Duration::from_secs(20), || {
        let found = rates();
        let both = |list: &str| found[list].as_array().unwrap().len() == 2;
        both("verdicts") && both("present")
    });
    let found = rates();
    let week = found["verdicts"][0]["week"].as_str().unwrap().to_owned();
    let monday: jiff::civil::Date = week.parse().unwrap();
    assert_eq!(monday.weekday(), jiff::civil::Weekday::Monday);
    for (place, expected) in [
        ("/verdicts/0/word", json!("mismatch")),
        ("/verdicts/1/word", json!("reproduced")),
        ("/verdicts/1/count", json!(1)),
        ("/causes/0/word", json!("content")),
        ("/causes/0/week", json!(week)),
    ] {
        assert_eq!(found.pointer(place), Some(&expected), "{place}: {found:#}");
    }
    let page = |path: &str| ask(&service, path, &[]).text();
    let shown = format!("<b>{week}</b>");
    let debian = page("/rates?ecosystem=debian");
    assert!(
        debian.contains(&shown) && debian.contains("<h3 id=\"content\">"),
        "{debian}"
    );
    assert!(!page("/rates?ecosystem=npm").contains(&shown));
    assert!(
        page("/").contains("1 reproduced, 1 mismatch</title>"),
        "{}",
        page("/")
    );
}

#[apply(test)]
fn what_is_published_later_is_counted_at_once() {
    let service = server(&["--public"]);
    let count = || {
        ask(&service, &format!("{BASE}/rates"), &[]).json()["present"]
            .as_array()
            .unwrap()
            .len()
    };
    let before = count();
    block_on(async {
        let seed = Seed::open(&service).await;
        let told = Told {
            name: "pip",
            version: "1",
            files: &[("pip", "amd64", true)],
            declared: true,
            failed: None,
        };
        seed.run(&told, false).await;
    });
    wait_until("it is counted", Duration::from_secs(20), || {
        let all = ask(&service, &format!("{BASE}/rates"), &[]).json();
        all["present"]
            .as_array()
            .unwrap()
            .iter()
            .any(|count| count["verdict"] == "reproduced" && count["count"] == 2)
    });
    assert_eq!(count(), before);
}
