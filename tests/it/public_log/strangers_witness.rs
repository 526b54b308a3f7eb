//! A witness that others wrote (`aics-witness` from PyPI), unmodified: it signs what grows, refuses a fork, and its own
//! tools verify this log.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use super::place::{ORIGIN, Place};
use crate::common::{code, json, text, third_party_python};

struct Witness {
    programs: PathBuf,
    config: PathBuf,
    server: Child,
    key: String,
    url: String,
}

impl Witness {
    /// A new witness that knows the log of this place; `None` without its programs.
    fn start(place: &Place) -> Option<Self> {
        let programs = third_party_python()?.parent().unwrap().to_owned();
        let config = place.path("witness/config.json");
        std::fs::create_dir(config.parent().unwrap()).unwrap();
        let command = |arguments: &[&str]| {
            let mut command = Command::new(programs.join("aics-witness"));
            command.env("AICS_WITNESS_CONFIG", &config).args(arguments);
            command
        };
        let made = command(&["init", "--name", "witness.example/theirs"])
            .output()
            .unwrap();
        assert_eq!(code(&made), 0, "{}", text(&made));
        let added = command(&["add-log", "--origin", ORIGIN, "--vkey", &place.key()]).output();
        let added = added.unwrap();
        assert_eq!(code(&added), 0, "{}", text(&added));
        let mut server = command(&["serve", "--listen", "127.0.0.1:0"]);
        let mut server = server.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once("listening on ")?.1.split(' ').next()?.to_owned()))
            .expect("it says where it listens");
        // It goes on to write about each request.
        std::thread::spawn(move || lines.for_each(drop));
        let key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        Some(Self {
            programs,
            config,
            server,
            key,
            url,
        })
    }

    fn policy(&self, place: &Place) -> String {
        let path = place.text("witnesses");
        let lines = format!("witness theirs {} {}\nquorum theirs\n", self.key, self.url);
        std::fs::write(&path, lines).unwrap();
        path
    }

    /// The requests that it keeps as evidence against the log.
    fn evidence(&self) -> Value {
        let mut command = Command::new(self.programs.join("aics-witness"));
        let output = command
            .env("AICS_WITNESS_CONFIG", &self.config)
            .arg("evidence")
            .output()
            .unwrap();
        assert_eq!(code(&output), 0, "{}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Their verifier, which must find this log's signature and the witness's.
    fn verifies(&self, place: &Place, arguments: &[&str]) -> Value {
        let mut command = Command::new(self.programs.join("aics-tlog"));
        command
            .args(arguments)
            .args(["--origin", ORIGIN, "--log-key", &place.key()]);
        command.args(["--witness-key", &self.key, "--quorum", "1"]);
        let output = command.output().unwrap();
        assert_eq!(code(&output), 0, "{arguments:?}: {}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn publish(place: &Place, witnesses: &str) -> Output {
    place.publish().args(["--witnesses", witnesses]).output().unwrap()
}

#[apply(test)]
fn a_witness_of_others_signs_what_grows_and_refuses_a_fork() {
    let place = Place::new();
    let Some(witness) = Witness::start(&place) else {
        return;
    };
    let policy = witness.policy(&place);
    let earlier = place.text("earlier");
    // From nothing, with a proof, and with one over several tiles.
    for (range, size) in [(0..5, 5), (5..300, 300), (300..777, 777)] {
        place.sign(range);
        let output = publish(&place, &policy);
        assert_eq!(code(&output), 0, "{}", text(&output));
        let output = json(&output);
        assert_eq!(output["size"], size);
        assert_eq!(output["cosigned"], serde_json::json!(["theirs"]));
        if size == 5 {
            std::fs::copy(place.path("public/checkpoint"), &earlier).unwrap();
        }
    }

    // This program counts its signature, and its own tools find what is here.
    let (key, folder) = (place.key(), place.folder());
    let verify = [
        "log",
        "verify",
        &folder,
        "--log-key",
        &key,
        "--log-policy",
        &policy,
    ];
    assert!(text(&place.good(&verify)).contains("signed by the witnesses theirs"));
    let checkpoint = place.text("public/checkpoint");
    let found = witness.verifies(&place, &["verify-checkpoint", "--note", &checkpoint]);
    assert_eq!(found["witnesses"], serde_json::json!(["witness.example/theirs"]));
    let grown = [
        "verify-consistency",
        "--old-checkpoint",
        &earlier,
        "--tiles",
        &folder,
    ];
    let grown = witness.verifies(&place, &grown);
    assert_eq!((&grown["old_size"], &grown["new_size"]), (&5.into(), &777.into()));
    for index in ["0", "255", "256", "776"] {
        witness.verifies(
            &place,
            &["verify-inclusion", "--tiles", &folder, "--index", index],
        );
    }
    assert_eq!(witness.evidence(), serde_json::json!([]));

    // Another past under the same key: shorter, as long, and longer.
    let other = place.another_past();
    for (range, reason) in [
        (1_000..1_005, "theirs has signed 777 entries of this log before"),
        (1_005..1_777, "does not continue the one that it signed last"),
        (1_777..1_900, "does not continue the one that it signed last"),
    ] {
        other.sign(range);
        let output = publish(&other, &policy);
        assert_eq!(code(&output), 4, "{}", text(&output));
        assert!(text(&output).contains(reason), "{}", text(&output));
        assert!(!other.path("public/checkpoint").exists());
    }
    // It keeps what this key signed against itself.
    assert!(!witness.evidence().as_array().unwrap().is_empty());
    // The true past goes on.
    place.sign(777..778);
    let output = publish(&place, &policy);
    assert_eq!((code(&output), &json(&output)["size"]), (0, &778.into()));
}
