//! Answers that go on at another address, which is asked with the same token.

use std::fs;

use serde_json::json;

use super::{Scene, serving};
use crate::common::http::{Reply, Server};
use crate::common::{code, json, text};

/// A list with nothing in it, and more behind it.
fn listed(next: &str) -> Reply {
    let link = format!("<{next}>; rel=\"next\"");
    let body = json!({"attestations": []}).to_string();
    Reply::Give(200, vec![("link", link)], body.into_bytes())
}

#[apply(test)]
fn a_next_page_at_another_host_gets_no_token() {
    for (what, is_own) in [("own", true), ("other", false)] {
        let scene = Scene::new("app.tar.gz");
        let sha256 = rebuilder::artifact::Sha256::of(super::RELEASED);
        let first = format!("/repos/o/n/attestations/sha256:{sha256}?per_page=100");
        let last = json!({"attestations": [{"bundle": scene.bundle()}]}).to_string();
        let second = || ("/second?after=1".to_owned(), Reply::ok(last.clone()));
        // The policy names both hosts, so that either may be asked; each has a token of its own.
        let other = serving(vec![second()]);
        let next = if is_own {
            "/second?after=1".to_owned()
        } else {
            format!("{}/second?after=1", other.url())
        };
        let own = serving(vec![(first, listed(&next)), second()]);
        let source = |server: &Server, variable: &str| {
            format!(
                "kind = \"github\"\nurl = \"{}\"\nrepository = \"o/n\"\ntoken-env = \"{variable}\"",
                server.url()
            )
        };
        scene.sources(&[source(&own, "OWN_TOKEN"), source(&other, "OTHER_TOKEN")]);
        let output = scene
            .command(&["--json"])
            .env("OWN_TOKEN", "own-secret")
            .env("OTHER_TOKEN", "other-secret")
            .output()
            .unwrap();
        assert_eq!(
            code(&output),
            if is_own { 0 } else { 4 },
            "{what}: {}",
            text(&output)
        );
        let asked = &json(&output)["asked"][0];
        let reason = asked["reason"].as_str().unwrap_or_default();
        assert_eq!(
            asked["answer"],
            if is_own { "found" } else { "no-answer" },
            "{asked}"
        );
        assert_eq!(reason.contains("is at another host"), !is_own, "{asked}");
        let with_token = own.requests();
        assert!(
            with_token
                .iter()
                .all(|request| request.contains("Bearer own-secret")),
            "{with_token:?}"
        );
        assert_eq!(with_token.len(), if is_own { 2 } else { 1 });
        let given = other.requests().concat();
        assert!(!given.contains("own-secret"), "{given}");
        let kept = fs::read_dir(scene.path("store")).is_ok();
        assert!(kept);
    }
}

#[apply(test)]
fn a_redirect_to_another_host_gets_no_token() {
    let scene = Scene::new("app.tar.gz");
    let list = || Reply::ok(json!({"attestations": [{"bundle": scene.bundle()}]}).to_string());
    let sha256 = rebuilder::artifact::Sha256::of(super::RELEASED);
    let first = format!("/repos/o/n/attestations/sha256:{sha256}?per_page=100");
    let other = serving(vec![("/moved".to_owned(), list())]);
    let location = format!("{}/moved", other.url());
    let own = serving(vec![(
        first,
        Reply::Give(302, vec![("location", location)], Vec::new()),
    )]);
    let source = |server: &Server, more: &str| {
        format!(
            "kind = \"github\"\nurl = \"{}\"\nrepository = \"o/n\"\n{more}",
            server.url()
        )
    };
    scene.sources(&[source(&own, "token-env = \"OWN_TOKEN\""), source(&other, "")]);
    let output = scene
        .command(&["--json"])
        .env("OWN_TOKEN", "own-secret")
        .output()
        .unwrap();
    assert!(
        own.requests().concat().contains("Bearer own-secret"),
        "{}",
        text(&output)
    );
    assert!(
        !other.requests().concat().contains("own-secret"),
        "{}",
        text(&output)
    );
}
