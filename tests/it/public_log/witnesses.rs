//! Witnesses that sign checkpoints too, and those that do not.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Output;
use std::sync::{Arc, Mutex};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::place::{Place, id};
use crate::common::{code, json, text};

/// A witness as the specification has it, but that it takes any proof; it knows one log.
struct Witness {
    name: &'static str,
    port: u16,
    pair: Arc<Ed25519KeyPair>,
    /// Size of the checkpoint that it signed last, and what it was sent.
    state: Arc<Mutex<(u64, Vec<String>)>>,
}

impl Witness {
    fn new(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let witness = Self {
            name,
            port: listener.local_addr().unwrap().port(),
            pair: Arc::new(Ed25519KeyPair::generate().unwrap()),
            state: Arc::default(),
        };
        let (pair, state) = (witness.pair.clone(), witness.state.clone());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (mut request, mut byte) = (Vec::new(), [0]);
                while !request.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                    request.push(byte[0]);
                }
                let head = String::from_utf8(request).unwrap().to_lowercase();
                assert!(head.starts_with("post /add-checkpoint "), "{head}");
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "))
                    .unwrap();
                let mut body = vec![0; length.parse().unwrap()];
                stream.read_exact(&mut body).unwrap();
                let (status, answer) = answer(name, &pair, &state, String::from_utf8(body).unwrap());
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} Answer\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
                    answer.len()
                );
            }
        });
        witness
    }

    fn line(&self) -> String {
        let (name, key) = (self.name, self.pair.public_key().as_ref().to_vec());
        let id = hex::encode(id(name, 4, &key));
        let key = STANDARD.encode([&[4][..], &key].concat());
        format!(
            "witness {name} {name}+{id}+{key} http://127.0.0.1:{}\n",
            self.port
        )
    }
}

fn answer(
    name: &str,
    pair: &Ed25519KeyPair,
    state: &Mutex<(u64, Vec<String>)>,
    body: String,
) -> (u16, String) {
    let mut state = state.lock().unwrap();
    state.1.push(body.clone());
    let (asked, note) = body.split_once("\n\n").unwrap();
    let old: u64 = asked
        .lines()
        .next()
        .unwrap()
        .strip_prefix("old ")
        .unwrap()
        .parse()
        .unwrap();
    if old != state.0 {
        return (409, format!("{}\n", state.0));
    }
    let text = note.split("\n\n").next().unwrap().to_owned() + "\n";
    state.0 = text.lines().nth(1).unwrap().parse().unwrap();
    let time = 1_764_000_000_u64;
    let signature = pair.sign(format!("cosignature/v1\ntime {time}\n{text}").as_bytes());
    let key = pair.public_key().as_ref();
    let bytes = [&id(name, 4, key)[..], &time.to_be_bytes(), signature.as_ref()].concat();
    (200, format!("\u{2014} {name} {}\n", STANDARD.encode(bytes)))
}

/// A policy of two witnesses, written to a file.
fn policy(place: &Place, (a, b): (&Witness, &Witness), quorum: &str) -> String {
    let text = format!(
        "{}{}group both all {} {}\nquorum {quorum}\n",
        a.line(),
        b.line(),
        a.name,
        b.name
    );
    let path = place.text("witnesses");
    fs::write(&path, text).unwrap();
    path
}

fn verify(place: &Place, key: &str, policy: &str) -> Output {
    place.run(&[
        "log",
        "verify",
        &place.folder(),
        "--log-key",
        key,
        "--log-policy",
        policy,
    ])
}

#[apply(test)]
fn a_checkpoint_is_shown_when_enough_witnesses_signed_it() {
    let place = Place::new();
    let (a, b) = (
        Witness::new("witness.example/a"),
        Witness::new("witness.example/b"),
    );
    let both = policy(&place, (&a, &b), "both");
    let publish = || place.publish().args(["--witnesses", &both]).output().unwrap();
    let key = place.key();
    place.sign(0..5);
    let output = publish();
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert_eq!(json(&output)["cosigned"], serde_json::json!([a.name, b.name]));

    // A proof of consistency goes with the next one, from what each of them knows.
    place.sign(5..300);
    assert_eq!(code(&publish()), 0);
    let asked = a.state.lock().unwrap().1.clone();
    assert_eq!(asked.len(), 2);
    assert!(asked[0].starts_with("old 0\n\n"), "{}", asked[0]);
    assert!(asked[1].starts_with("old 5\n"), "{}", asked[1]);
    // A state that forgot how far they are learns it from them.
    for file in fs::read_dir(place.path("config/rebuilder/public-logs"))
        .unwrap()
        .flatten()
    {
        let text = fs::read_to_string(file.path()).unwrap_or_default();
        fs::write(
            file.path(),
            text.replace(": 300\n", ": 5\n")
                .replace(": 300,\n    \"w", ": 5,\n    \"w"),
        )
        .unwrap();
    }
    place.sign(300..301);
    assert_eq!(code(&publish()), 0);

    // Readers count them too.
    let output = verify(&place, &key, &both);
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert!(text(&output).contains("signed by the witnesses witness.example/a, witness.example/b"));
}

#[apply(test)]
fn a_witness_that_knows_more_does_not_sign() {
    let place = Place::new();
    let (a, b) = (
        Witness::new("witness.example/a"),
        Witness::new("witness.example/b"),
    );
    let both = policy(&place, (&a, &b), "both");
    let publish = || place.publish().args(["--witnesses", &both]).output().unwrap();
    let key = place.key();
    place.sign(0..301);
    assert_eq!(code(&publish()), 0);
    let verify = |policy: &str| verify(&place, &key, policy);
    // Nothing new is shown then.
    let before = fs::read(place.path("public/checkpoint")).unwrap();
    b.state.lock().unwrap().0 = 1000;
    place.sign(301..310);
    let output = publish();
    assert_eq!(code(&output), 4, "{}", text(&output));
    assert!(
        text(&output).contains("has signed 1000 entries of this log before"),
        "{}",
        text(&output)
    );
    assert_eq!(fs::read(place.path("public/checkpoint")).unwrap(), before);
    b.state.lock().unwrap().0 = 301;
    let output = publish();
    assert_eq!((code(&output), &json(&output)["size"]), (0, &310.into()));

    // Without the quorum a reader does not believe it.
    fs::write(place.path("public/checkpoint"), {
        let note = fs::read_to_string(place.path("public/checkpoint")).unwrap();
        let lines = note.lines().filter(|line| !line.contains("witness.example/b"));
        lines.map(|line| line.to_owned() + "\n").collect::<String>()
    })
    .unwrap();
    let output = verify(&both);
    assert_eq!(code(&output), 4, "{}", text(&output));
    assert!(text(&output).contains("lacks witnesses"), "{}", text(&output));
    assert_eq!(code(&verify(&policy(&place, (&a, &b), "none"))), 0);
}
