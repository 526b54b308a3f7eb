//! What a worker under an attacker's control tries, and what it is told.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::common::{NETWORK, ROOT, SANDBOX, code, needs, text};
use serde_json::json;

use super::{Office, WHEEL, WORKERS, copy, digest, forge, output, own, runs};

const STRANGER: u32 = 41_003;

type Attack = (&'static str, fn(&Path), &'static str);

/// What a worker under an attacker's control tries, and a part of what it is told.
const ATTACKS: &[Attack] = &[
    (
        "hands in other bytes than it recorded",
        |run| fs::write(output(run), "evil").unwrap(),
        "does not match the record",
    ),
    (
        "records other bytes, and calls them reproduced",
        |run| {
            fs::write(output(run), "evil").unwrap();
            let evil = digest(&output(run));
            forge(run, |record, _| {
                record["outputs"][0]["rebuilt"] = json!(evil);
                record["outputs"][0]["released"] = json!(evil);
            });
        },
        "expected not-reproduced, found reproduced",
    ),
    (
        "lets the plan expect its own bytes",
        |run| {
            fs::write(output(run), "evil").unwrap();
            let evil = digest(&output(run));
            forge(run, |record, plan| {
                record["outputs"][0]["rebuilt"] = json!(evil);
                record["outputs"][0]["released"] = json!(evil);
                plan["expected"][0]["file"]["sha256"] = json!(evil);
            });
        },
        "which is not the file that was released",
    ),
    (
        "speaks of another package",
        |run| {
            forge(run, |record, plan| {
                record["subject"] = json!("pkg:pypi/attrs@24.2.0");
                plan["subject"] = json!("pkg:pypi/attrs@24.2.0");
            });
        },
        "which is not the file that was released",
    ),
    (
        "takes the released file for an input",
        |run| {
            forge(run, |_, plan| {
                let mut input = plan["inputs"][0].clone();
                input["file"] = plan["expected"][0]["file"].clone();
                input["place"] = json!("source/released.whl");
                plan["inputs"].as_array_mut().unwrap().push(input);
            });
        },
        "has the released file itself among its inputs",
    ),
    (
        "copies instead of building",
        |run| {
            forge(run, |_, plan| {
                plan["build"]["steps"] =
                    json!([{"name": "build", "run": "base64 -d /inputs/x > /out/idna.whl"}]);
            });
        },
        "is in no recipe of this signer",
    ),
    (
        "lets the shell run something before each step",
        |run| {
            forge(run, |_, plan| {
                plan["build"]["env"]["BASH_ENV"] = json!("/inputs/x");
                plan["build"]["env"]["ENV"] = json!("/inputs/x");
            });
        },
        "such a variable may run code that no step names",
    ),
    (
        "calls other bytes equivalent",
        |run| {
            fs::write(output(run), "evil").unwrap();
            fs::create_dir_all(run.join("released")).unwrap();
            fs::write(run.join("released").join(WHEEL), "released").unwrap();
            let (evil, size) = (digest(&output(run)), 4);
            forge(run, |record, plan| {
                let released = plan["expected"][0]["file"]["sha256"].clone();
                record["verdict"] = json!("equivalent");
                record["outputs"][0]["rebuilt"] = json!(evil);
                record["outputs"][0]["differs"] = json!({
                    "version": 1, "outcome": "equivalent", "limits": [], "causes": [], "tree": null,
                    "released": {"name": WHEEL, "size": size, "sha256": released},
                    "rebuilt": {"name": WHEEL, "size": size, "sha256": evil},
                    "normalisations": [{"name": "zip-time", "version": 1, "places": 1}]
                });
            });
        },
        "expected",
    ),
    (
        "hands in a link to a file that only the signer can read",
        |run| {
            fs::remove_file(output(run)).unwrap();
            symlink("/etc/shadow", output(run)).unwrap();
        },
        "cannot accept rebuilt/",
    ),
    (
        "lets the signer wait for a pipe",
        |run| {
            fs::remove_file(run.join("build.log")).unwrap();
            nix::unistd::mkfifo(&run.join("build.log"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        },
        "it is not a regular file",
    ),
    (
        "names an output that leads elsewhere",
        |run| {
            forge(run, |record, _| {
                record["outputs"][0]["name"] = json!("../../keys/key.pem")
            })
        },
        "it is not a plain file name",
    ),
    (
        "replays a plan of its own making",
        |run| forge(run, |record, _| record["evidence"] = json!("taken-from-plan")),
        "replays a saved plan",
    ),
    (
        "builds outside a sandbox",
        |run| forge(run, |record, _| record["backend"] = json!("chroot")),
        "this signer does not accept",
    ),
    (
        "leaves the network on",
        |run| forge(run, |record, _| record["not_enforced"] = json!(["network"])),
        "was not isolated",
    ),
    (
        "dates a run in the future",
        |run| {
            forge(run, |record, _| {
                record["finished"] = json!("2099-01-01T00:00:00Z")
            })
        },
        "says that it ended on 2099",
    ),
    (
        "dresses up an inconclusive run",
        |run| {
            forge(run, |record, _| {
                record["verdict"] = json!("inconclusive");
                record["stage"] = json!("build");
                record["reason"] = json!("it failed");
            });
        },
        "is inconclusive",
    ),
    (
        "changes the log of the build",
        |run| fs::write(run.join("build.log"), "all is well\n").unwrap(),
        "does not match the record",
    ),
];

#[apply(test)]
fn a_worker_under_an_attackers_control_gets_no_wrong_verdict_signed() {
    needs(&[NETWORK, SANDBOX, ROOT]);
    // The word of one is taken here, so that nothing but the signer's own checks stands in the way.
    // Whoever runs this test may ask too, so that noise gets as far as it can.
    let office = Office::open(&["--agree", "1", "--worker", "0"]);
    let honest = office.run("honest", &runs()[0], WORKERS[0]);
    let mut wrong = Vec::new();
    for (number, (what, attack, reason)) in ATTACKS.iter().enumerate() {
        let run = office.run(&format!("attack-{number}"), &runs()[0], WORKERS[0]);
        attack(&run);
        own(&run, WORKERS[0]);
        let refused = office.ask(&run, WORKERS[0]);
        let bundle = run.join("attestation.sigstore.json").exists();
        if code(&refused) != 3 || !text(&refused).contains(reason) || bundle {
            wrong.push(format!("{what}: {} {}", code(&refused), text(&refused)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    asks_for_others(&office, &honest);
    noise(&office);
    signed_once(&office, &honest);
}

/// Who asks, and for what.
fn asks_for_others(office: &Office, honest: &Path) {
    let stranger = office.ask(honest, STRANGER);
    assert!(
        text(&stranger).contains("is not an authorised worker of this signer"),
        "{}",
        text(&stranger)
    );
    let others = office.ask(honest, WORKERS[1]);
    assert!(
        text(&others).contains("belongs to user 41001, but user 41002 asked"),
        "{}",
        text(&others)
    );
    let outside = office.folder.path().join("elsewhere");
    copy(&runs()[0], &outside);
    own(&outside, WORKERS[0]);
    for path in [
        outside.clone(),
        office.folder.path().join("runs/honest/../../elsewhere"),
    ] {
        let refused = office.ask(&path, WORKERS[0]);
        assert!(
            text(&refused).contains("is not in a folder of runs"),
            "{}",
            text(&refused)
        );
    }
    symlink(&outside, office.folder.path().join("runs/link")).unwrap();
    let refused = office.ask(&office.folder.path().join("runs/link"), WORKERS[0]);
    assert!(
        text(&refused).contains("is not in a folder of runs"),
        "{}",
        text(&refused)
    );
}

/// Noise instead of a question.
fn noise(office: &Office) {
    for noise in [
        &b"\n"[..],
        b"{}\n",
        b"{\"version\":2,\"run\":\"/\"}\n",
        &vec![b'x'; 100_000],
    ] {
        let mut stream = UnixStream::connect(office.socket()).unwrap();
        let _ = stream.write_all(noise);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut reply = String::new();
        let _ = stream.read_to_string(&mut reply);
        assert!(reply.is_empty() || reply.contains("refused"), "{reply}");
    }
}

/// The honest run is signed after all that, once; the same run with another record is not.
fn signed_once(office: &Office, honest: &Path) {
    let signed = office.ask(honest, WORKERS[0]);
    assert_eq!(code(&signed), 0, "{}", text(&signed));
    let replay = office.run("replay", &runs()[0], WORKERS[0]);
    forge(&replay, |record, _| record["timings"]["total"] = json!(0.5));
    own(&replay, WORKERS[0]);
    let refused = office.ask(&replay, WORKERS[0]);
    assert!(
        text(&refused).contains("was already handed in with another record"),
        "{}",
        text(&refused)
    );
    // Each refusal is in the log, with the user who asked.
    let log = fs::read_to_string(office.log()).unwrap();
    assert!(
        log.matches("\"event\":\"refused\"").count() >= ATTACKS.len() + 6,
        "{log}"
    );
    assert_eq!(log.matches("\"event\":\"signed\"").count(), 1);
    assert_eq!(
        code(&office.verify_log(&[&honest.join("attestation.sigstore.json")])),
        0
    );
}
