//! Pages: what they say, what they may load, and that nothing from outside is markup there.

use super::ask;
use super::seed::{Seed, Told, block_on, server};
use crate::queue::service::{Service, wait_until};
use rebuilder::queue::Ending;
use std::time::Duration;

/// Everything that a reader's token opens.
pub const ROUTES: &[&str] = &[
    "/",
    "/style.css",
    "/live.js",
    "/rates",
    "/causes",
    "/causes/shared?cause=content",
    "/jobs/6",
    "/packages",
    "/packages?q=tar",
    "/packages/pkg:deb/debian/tar",
    "/builds/1",
    "/builds/2/report.html",
    "/builds/2/plan.json",
    "/builds/2/record.json",
    "/builds/2/build.log",
    "/builds/1/attestation.sigstore.json",
    "/feed.xml",
    "/feed.xml?package=pkg:deb/debian/tar",
    "/badge.svg?package=pkg:deb/debian/tar",
    "/badge.json?package=pkg:deb/debian/tar",
];

fn text(service: &Service, path: &str) -> String {
    let answer = ask(service, path, &[]);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.text()
}

#[apply(test)]
fn pages_say_what_came_of_each_package() {
    let service = server(&["--public"]);
    for (path, expected) in [
        (
            "/",
            &[
                "5 package versions, by the newest conclusion",
                "aria-label=\"1 reproduced, 1 not-reproduced, 1 mismatch, 2 inconclusive\"",
                "<td>deb:bash=5.2-1</td>",
                "href=\"/packages/pkg%3Adeb/debian/tar\"",
            ][..],
        ),
        ("/packages", &["Enter a name"]),
        (
            "/packages?q=CHRO",
            &[
                "1 package with <b>CHRO</b>",
                ">pkg:deb/debian/chrony</a>",
                "1 build<",
            ],
        ),
        ("/packages?q=%25", &["No build of a package with <b>%</b>"]),
        ("/packages?q=%3Cscript%3E", &["<b>&#60;script&#62;</b>"]),
        (
            "/packages/pkg%3Adeb/debian/tar",
            &[
                "class=\"cell mismatch\" href=\"/builds/2\"",
                ">M</span>",
                "not signed: a worker reported it",
            ],
        ),
        (
            "/packages/pkg:deb/debian/chrony",
            &["/builds/1/attestation.sigstore.json", ", signed</span>"],
        ),
        (
            "/builds/2",
            &[
                "The build produced other bytes, although all inputs were declared.",
                "/api/v1/builds/2/artifacts/3/diffoscope",
                ">BAD</span>",
                ">GOOD</span>",
                "<h2>Causes</h2>",
                "https://github.com/dtolnay/itoa at 9999999999999999999999999999999999999999",
            ],
        ),
        (
            "/builds/1",
            &[
                "/api/v1/builds/1/artifacts/1/attestation",
                "the output of the build",
            ],
        ),
        ("/builds/3", &["is evidence neither for nor against the release"]),
        // The reason came with a failure, from a host that anyone may run.
        (
            "/builds/5",
            &["&#60;b&#62;no answer&#60;/b&#62;", "This build has no files."],
        ),
        ("/builds/2/report.html", &["<h2>Assumptions of the rebuild</h2>"]),
        (
            "/feed.xml",
            &[
                "<title>mismatch: tar 4.3-2+deb12u1</title>",
                "<updated>2026-11-25T12:00:00Z</updated>",
            ],
        ),
        ("/badge.svg?package=pkg:deb/debian/chrony", &["reproduced: yes"]),
        ("/badge.svg?package=pkg:deb/debian/tar", &["reproduced: no"]),
        ("/badge.svg?package=pkg:deb/debian/sed", &["reproduced: unknown"]),
        (
            "/badge.svg?package=pkg:deb/debian/none",
            &["reproduced: never built"],
        ),
        (
            "/badge.json?package=pkg:deb/debian/tar",
            &["\"schemaVersion\":1", "\"message\":\"no\""],
        ),
    ] {
        let page = text(&service, path);
        for expected in expected {
            assert!(page.contains(expected), "{path} lacks {expected}:\n{page}");
        }
        assert!(!page.contains("<script"), "{path}");
    }
    for (path, status) in [
        ("/packages/pkg:deb/debian/none", 404),
        ("/builds/99", 404),
        ("/builds/5/report.html", 404),
        ("/builds/1/../../etc/passwd", 404),
        ("/builds/1/rebuilt", 404),
        ("/builds/x", 400),
        ("/badge.svg", 400),
    ] {
        assert_eq!(ask(&service, path, &["--path-as-is"]).status, status, "{path}");
    }
    policies(&service);
}

/// No page may load anything but its style, and a report nothing but the one that is in it.
fn policies(service: &Service) {
    let policy = |path: &str| {
        let answer = ask(service, path, &[]);
        answer.header("content-security-policy").unwrap().to_owned()
    };
    for path in [
        "/",
        "/packages?q=tar",
        "/builds/2",
        "/packages/pkg:deb/debian/tar",
        "/builds/99",
    ] {
        assert!(
            policy(path).starts_with("default-src 'none'; style-src 'self'; img-src 'self';"),
            "{path}"
        );
        let page = ask(service, path, &[]).text();
        assert!(!page.contains("style=") && !page.contains("<style"), "{path}");
    }
    let report = policy("/builds/2/report.html");
    assert!(
        report.starts_with("default-src 'none'; style-src 'sha256-"),
        "{report}"
    );
    assert!(policy("/builds/2/build.log").starts_with("default-src 'none'; base-uri"));
    let badge = ask(service, "/badge.svg?package=pkg:deb/debian/tar", &[]);
    assert_eq!(badge.header("cross-origin-resource-policy"), Some("cross-origin"));
    let page = ask(service, "/", &[]);
    let tag = format!("If-None-Match: {}", page.header("etag").unwrap());
    let same = ask(service, "/", &["--header", &tag]);
    // It would replace the policy of the page that the browser has.
    assert_eq!((same.status, same.header("content-security-policy")), (304, None));
}

/// Names with every kind of sign find their page again, by the links of other pages.
#[apply(test)]
fn a_link_leads_to_the_page_that_it_names() {
    let service = Service::start(None, &["--public"]);
    let subjects = [
        "npm:@babel/core@7.0.0",
        "pypi:idna==3.10",
        "deb:libstdc++6=12.2.0-14",
    ];
    block_on(async {
        let seed = Seed::open(&service).await;
        for subject in subjects {
            let end = Ending::Verdict {
                verdict: "refused".into(),
                reason: None,
                run: None,
                sign: false,
            };
            seed.ended(subject, end).await;
        }
        let told = Told {
            name: "chrony",
            version: "4.3-1",
            files: &[("chrony", "amd64", true)],
            declared: true,
            failed: None,
        };
        seed.run(&told, false).await;
    });
    wait_until("all is published", Duration::from_secs(20), || {
        ask(&service, "/api/v1/builds", &[]).json()["total"] == 4
    });
    let overview = text(&service, "/");
    let links: Vec<_> = overview
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let mut packages = 0;
    for link in links.iter().filter(|link| link.starts_with("/packages/")) {
        let page = text(&service, link);
        assert!(page.contains("<h2>History</h2>"), "{link}");
        let badge = page.split("src=\"").nth(1).unwrap().split('"').next().unwrap();
        assert!(!text(&service, badge).contains("never built"), "{link} {badge}");
        packages += 1;
    }
    assert_eq!(packages, 4);
}
