//! Who may read what: every route, with every kind of token.

use super::ask;
use super::seed::{read_token, server};
use crate::queue::service::Service;

/// Everything that can be read, by what it needs.
const READ: &[&str] = &[
    "/api/v1/packages/binary",
    "/api/v1/packages/binary/1",
    "/api/v1/packages/source",
    "/api/v1/packages/source/1",
    "/api/v1/builds",
    "/api/v1/builds/1",
    "/api/v1/builds/1/log",
    "/api/v1/builds/1/artifacts",
    "/api/v1/builds/1/artifacts/1",
    "/api/v1/builds/2/artifacts/3/diffoscope",
    "/api/v1/builds/1/artifacts/1/attestation",
    "/api/v1/meta/public-keys",
    "/api/v1/meta/distributions",
    "/api/v1/meta/distributions/debian/releases",
    "/api/v1/meta/distributions/debian/architectures",
    "/api/v1/meta/distributions/debian/releases/bookworm/architectures",
    "/api/v1/dashboard",
    "/api/v1/queue",
    "/api/v1/queue/6",
    "/api/v0/public-keys",
    "/api/v0/pkgs/list",
    "/api/v0/builds/1/log",
    "/api/v0/builds/2/diffoscope",
    "/api/v0/builds/1/attestation",
    "/api/v0/dashboard",
    "/amd64/api/v1/builds",
    "/all/api/v0/pkgs/list",
];
const OPERATOR: &[&str] = &[
    "/api/v1/workers",
    "/api/v1/workers/1",
    "/amd64/api/v1/workers",
    "/api/v0/workers",
];

fn status(service: &Service, path: &str, header: &str) -> u16 {
    let answer = ask(service, path, &["--header", header]);
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{path}");
    }
    let policy = answer.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
        "{path}: {policy}"
    );
    answer.status
}

#[apply(test)]
fn no_route_is_open_that_should_not_be() {
    for public in [false, true] {
        let service = server(if public { &["--public"] } else { &[] });
        let worker = std::fs::read_to_string(service.token("one")).unwrap();
        let bearer = |token: &str| format!("Authorization: Bearer {token}");
        let reader = read_token(&service);
        let all = READ
            .iter()
            .chain(super::pages::ROUTES)
            .chain(super::results::ROUTES)
            .map(|path| (*path, public));
        for (path, open) in all.chain(OPERATOR.iter().map(|path| (*path, false))) {
            let refused = |status: u16| if open { 200 } else { status };
            for (header, expected) in [
                ("X-Nothing: 1".to_owned(), refused(401)),
                (bearer("rbw_00"), refused(401)),
                (bearer(&worker), refused(403)),
                (bearer(&reader), 200),
                (format!("X-Auth-Cookie: {reader}"), 200),
            ] {
                assert_eq!(
                    status(&service, path, &header),
                    expected,
                    "{path}, {header}, public: {public}"
                );
            }
        }
        // A question that has a body is still one for readers.
        for (header, expected) in [
            ("X-Nothing: 1".to_owned(), if public { 200 } else { 401 }),
            (bearer(&worker), if public { 200 } else { 403 }),
            (bearer(&reader), 200),
        ] {
            let json = "Content-Type: application/json";
            let question = ["--header", json, "--header", header.as_str(), "--data", "{}"];
            let answer = ask(&service, "/api/v0/queue/list", &question);
            assert_eq!(answer.status, expected, "{header}, public: {public}");
        }
        // A token for reading is good for nothing else, and not as a worker's cookie either.
        let claim = ["--request", "POST", "--data", "{}"];
        for (header, expected) in [(bearer(&reader), 403), (format!("X-Auth-Cookie: {worker}"), 401)] {
            let arguments = [&claim[..], &["--header", header.as_str()][..]].concat();
            assert_eq!(ask(&service, "/api/worker/v1/claim", &arguments).status, expected);
        }
        service.operator(&["serve", "token", "revoke", "reader"]);
        std::thread::sleep(std::time::Duration::from_secs(3));
        let expected = if public { 200 } else { 401 };
        assert_eq!(status(&service, "/api/v1/builds", &bearer(&reader)), expected);
    }
}

#[apply(test)]
fn workers_are_shown_to_the_operator() {
    let service = server(&[]);
    service.operator(&["queue", "cancel", "6"]);
    let worker = service.worker("one", None, &[]);
    let header = format!("Authorization: Bearer {}", read_token(&service));
    let workers = || ask(&service, "/api/v1/workers", &["--header", &header]).json();
    crate::queue::service::wait_until("it is there", std::time::Duration::from_secs(20), || {
        workers()["records"][0]["is_online"] == true
    });
    let found = workers();
    assert_eq!(
        (&found["total"], &found["records"][0]["name"]),
        (&1.into(), &"one".into())
    );
    let old = ask(&service, "/api/v0/workers", &["--header", &header]).json();
    assert_eq!(
        (&old[0]["key"], &old[0]["online"], &old[0]["addr"]),
        (&"one".into(), &true.into(), &"".into()),
        "{old}"
    );
    crate::queue::service::end(worker, nix::sys::signal::Signal::SIGKILL);
}
