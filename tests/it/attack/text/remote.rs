//! Text that a registry, a git server or an engine answers.

use crate::attack::ground::{Ground, must};
use crate::common;
use serde_json::json;

use super::{EVIL, answer, both, raw, server, statement};

pub(super) fn registry(ground: &Ground) -> Result<(), String> {
    // The reason of a status cannot hold line breaks.
    let reason = "404 SEEN\u{9b}31m\u{202e}\u{200b}";
    let page = json!({"message": EVIL, "info": {"name": EVIL, "version": EVIL, "yanked": true, "yanked_reason": EVIL},
        "urls": [{"filename": format!("a-1-py3-none-any.whl{EVIL}"), "packagetype": EVIL, "url": EVIL,
            "digests": {"sha256": EVIL}, "size": 1, "upload_time_iso_8601": EVIL}], "errors": [{"detail": EVIL}]});
    for (what, answer) in [
        ("a reason", answer(reason, "text/plain", EVIL.as_bytes())),
        (
            "a page",
            answer("200 OK", "application/json", page.to_string().as_bytes()),
        ),
        (
            "no page",
            answer("200 OK", "application/json", format!("\"{EVIL}").as_bytes()),
        ),
    ] {
        let base = server(answer);
        for subject in ["pypi:a==1", "npm:a@1.0.0", "crate:a@1.0.0"] {
            let mut command = ground.rebuilder();
            for host in [
                "https://pypi.org/",
                "https://registry.npmjs.org/",
                "https://index.crates.io/",
                "https://static.crates.io/",
                "https://crates.io/",
            ] {
                command.args(["--mirror", &format!("{host}=http://{base}/")]);
            }
            let output = command.args(["plan", subject]).output().unwrap();
            let text = common::text(&output);
            must(!output.status.success(), format!("{what}: {text}"))?;
            if let Some(c) = raw(&text) {
                return Err(format!(
                    "{subject}, {what}: U+{:04X} raw in {text:?}",
                    u32::from(c)
                ));
            }
            must(
                !text.lines().any(|line| line.starts_with("FORGED")),
                format!("{subject}, {what}: {text}"),
            )?;
        }
    }
    Ok(())
}

pub(super) fn git(ground: &Ground) -> Result<(), String> {
    // A refusal of the protocol, which git repeats.
    let line = |text: &str| format!("{:04x}{text}", text.len() + 4);
    let refusal = "ERR SEEN\u{1b}[31m\u{1b}]0;x\u{7}\u{202e}\u{9b}\u{200b}";
    let body = line("# service=git-upload-pack\n") + "0000" + &line(refusal);
    let kind = "application/x-git-upload-pack-advertisement";
    let base = server(answer("200 OK", kind, body.as_bytes()));
    let file = ground.write("released", "x");
    let mut claim = statement(b"x");
    let source = "git+https://github.com/example/project";
    claim["predicate"]["buildDefinition"] = json!({
        "buildType": "https://example.com/build/v1", "externalParameters": {},
        "resolvedDependencies": [{"uri": source, "digest": {"gitCommit": "0123456789012345678901234567890123456789"}}]
    });
    claim["predicate"]["runDetails"]["builder"]["id"] = json!("https://example.com/builder");
    let provenance = ground.write("provenance.json", claim.to_string());
    let mut command = ground.rebuilder();
    command.args([
        "--git-mirror",
        &format!("https://github.com/example/=http://{base}/"),
    ]);
    command
        .arg("plan")
        .arg(&file)
        .args([
            "--policy",
            "none",
            "--recipe",
            "c-make",
            "--fetch",
            "--provenance",
        ])
        .arg(provenance);
    both("git", &command.output().unwrap())
}

pub(super) fn engine(ground: &Ground) -> Result<(), String> {
    let body = json!({"message": EVIL}).to_string();
    let base = server(answer(
        "500 SEEN\u{9b}\u{202e}",
        "application/json",
        body.as_bytes(),
    ));
    for options in [&[][..], &["--json"]] {
        let mut command = ground.rebuilder();
        command.env("DOCKER_HOST", format!("tcp://{base}"));
        both("doctor", &command.args(options).arg("doctor").output().unwrap())?;
    }
    Ok(())
}
