//! The log itself is asked for an entry, where the user or the policy says so.

use std::fs;
use std::process::Output;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{answered, inspect, made, plain, workflow};
use crate::common::http::{Reply, Server};
use crate::common::{code, json, text};
use crate::evidence::Scene;

/// A log that gives one answer to every question.
fn log(reply: Reply) -> Server {
    Server::new(move |path| {
        if path == "/api/v1/log/entries/retrieve" {
            reply.clone()
        } else {
            Reply::status(404)
        }
    })
}

#[rustfmt::skip]
#[apply(test)]
fn the_log_is_asked_where_the_user_says_so() {
    let scene = Scene::new();
    let own = made(&scene, &workflow());
    let other = made(&scene, &workflow());
    let good = json!([answered(&own.entry(&scene.authority))]).to_string();
    let stray = json!([answered(&other.entry(&scene.authority))]).to_string();
    for (what, reply, exit, words) in [
        ("has it", Reply::ok(good.clone()), 0, ""),
        ("has none", Reply::ok("[]"), 4, "it has none"),
        ("has nothing there", Reply::status(404), 4, "it has none"),
        ("answers about another", Reply::ok(stray), 4, "it has none"),
        ("fails", Reply::status(500), 4, "HTTP status 500"),
        ("says no", Reply::status(400), 4, "HTTP status 400"),
        ("rubbish", Reply::ok("<html>"), 4, "gave no log entry"),
        ("a document of another kind", Reply::ok(own.envelope.clone()), 4, "not a list of entries"),
        ("cut off", Reply::Broken, 4, "gave no log entry"),
    ] {
        fs::remove_dir_all(scene.path("store")).ok();
        let server = log(reply);
        let asked = format!("--rekor={}", server.url());
        let output = inspect(&scene, &own.envelope, None, &[&asked]);
        assert_eq!(code(&output), exit, "{what}: {}", text(&output));
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains(words), "{what}: {told}");
        let sent = server.requests();
        assert_eq!(sent.len(), 1, "{what}");
        let (head, body) = sent[0].split_once("\r\n\r\n").unwrap();
        assert!(
            head.to_lowercase().contains("content-type: application/json"),
            "{head}"
        );
        let body: Value = serde_json::from_str(body).unwrap();
        let spec = &body["entries"][0]["spec"];
        assert_eq!(spec["content"]["envelope"], own.envelope.as_str());
        assert_eq!(spec["publicKey"], STANDARD.encode(&own.certificate));
        assert_eq!(
            body["entries"][1]["spec"]["proposedContent"]["envelope"],
            own.envelope.as_str()
        );
    }
    // Nobody is asked who was not named, or offline, or about what has its entry or is signed by a plain key.
    let server = log(Reply::ok(good.clone()));
    let asked = format!("--rekor={}", server.url());
    fs::remove_dir_all(scene.path("store")).ok();
    let pretty =
        serde_json::to_string_pretty(&serde_json::from_str::<Value>(&own.envelope).unwrap()).unwrap();
    for (what, envelope, arguments, exit, words) in [
        ("not named", own.envelope.clone(), vec![], 4, ""),
        ("offline", own.envelope.clone(), vec!["--offline", &asked], 4, "offline"),
        ("a bundle", own.bundle.to_string(), vec![&asked], 0, ""),
        ("with its entry", format!("{}\n{good}", own.envelope), vec![&asked], 0, ""),
        ("over several lines", pretty, vec![&asked], 4, "several lines"),
    ] {
        let output = inspect(&scene, &envelope, None, &arguments);
        assert_eq!(code(&output), exit, "{what}: {}", text(&output));
        assert!(text(&output).contains(words), "{what}: {}", text(&output));
        assert!(server.paths().is_empty(), "{what}");
    }
    // What lies beside the file is asked about too, and an answer is kept.
    fs::write(scene.path("tool.intoto.jsonl"), &own.envelope).unwrap();
    for _ in 0..2 {
        let mut command = plain(&scene);
        command.arg("inspect")
            .arg(scene.path("tool"));
        command
            .arg("--trusted-root")
            .arg(scene.path("root.json"))
            .arg(&asked);
        let output = command.output().unwrap();
        assert_eq!(code(&output), 0, "{}", text(&output));
    }
    assert_eq!(server.paths().len(), 1);
}

#[apply(test)]
fn a_log_that_the_policy_names_is_asked_with_its_other_sources() {
    let scene = Scene::new();
    let signer = workflow();
    let own = made(&scene, &signer);
    fs::create_dir(scene.path("said")).unwrap();
    for place in ["said/tool.intoto.jsonl", "tool.intoto.jsonl"] {
        fs::write(scene.path(place), &own.envelope).unwrap();
    }
    let server = log(Reply::ok(
        json!([answered(&own.entry(&scene.authority))]).to_string(),
    ));
    let policy = |more: &str| {
        let (subject, issuer) = (&signer.identity, &signer.issuer);
        let text = format!(
            "version = 1\n[[parties]]\nname = \"ci\"\nrole = \"builder\"\nidentities = [{{ subject = \"{subject}\", issuer = \"{issuer}\" }}]\n[[quorums]]\nsubject = \"*\"\nthreshold = 1\n[[discover]]\nname = \"log\"\nkind = \"rekor\"\nurl = \"{}\"\n{more}",
            server.url()
        );
        fs::write(scene.path("policy.toml"), text).unwrap();
    };
    let verify = |more: &[&str]| {
        let mut command = plain(&scene);
        command.args(["--quiet", "verify", "--json"]);
        command
            .arg(scene.path("tool"))
            .arg("--policy")
            .arg(scene.path("policy.toml"));
        command
            .arg("--trusted-root")
            .arg(scene.path("root.json"))
            .current_dir(scene.folder.path());
        command.args(more).output().unwrap()
    };
    let nowhere = |output: &Output| {
        let found = json(output);
        let first = found["set_aside"][0]["examples"][0]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert!(first.contains("no entry of the transparency log"), "{found}");
    };
    policy("");
    let output = verify(&[]);
    assert_eq!(code(&output), 4, "{}", text(&output));
    nowhere(&output);
    for (what, arguments, set_aside) in [
        ("beside it", &["--discover"][..], 0),
        ("named", &["--discover", "--attestation", "tool.intoto.jsonl"], 0),
        ("in a folder", &["--discover", "--attestation", "said"], 1),
        ("kept", &["--discover", "--offline"], 0),
    ] {
        let output = verify(arguments);
        assert_eq!(code(&output), 0, "{what}: {}", text(&output));
        let found = json(&output);
        assert_eq!(found["asked"][0]["answer"], "found", "{what}: {found}");
        assert_eq!(found["asked"][0]["kind"], "rekor", "{what}");
        assert_eq!(
            found["set_aside"].as_array().unwrap().len(),
            set_aside,
            "{what}: {found}"
        );
        let origin = found["parties"][0]["origin"].as_str().unwrap();
        assert!(
            origin.contains("/api/v1/log/entries/retrieve for "),
            "{what}: {origin}"
        );
    }
    assert_eq!(
        server.paths().len(),
        1,
        "the answer is kept, whatever the file is called"
    );
    // It is no source for this file.
    policy("subject = \"pkg:npm/*\"\n");
    let output = verify(&["--discover"]);
    assert_eq!(code(&output), 4, "{}", text(&output));
    nowhere(&output);
}
