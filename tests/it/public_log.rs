//! A public log of verdicts: what is published strangers find whole, and nothing that was public can change or vanish
//! unseen.

mod hostile;
mod kills;
mod place;
mod strangers_witness;
mod witnesses;

use std::fs;

use crate::common::party::{Party, policy};
use crate::common::{code, json, text};
use place::{Place, checked_by_stranger, copy};
use serde_json::Value;

#[apply(test)]
fn ten_thousand_verdicts_are_public_and_strangers_agree() {
    let place = Place::new();
    place.sign(0..10_000);
    let first = json(&place.good_publish());
    assert_eq!(
        (&first["size"], &first["added"]),
        (&10_000.into(), &10_000.into())
    );
    let key = place.key();
    assert_eq!(first["log_key"], *key);
    checked_by_stranger(&["log", &place.folder(), &key]);
    fs::copy(place.path("public/checkpoint"), place.path("earlier")).unwrap();

    // Nothing is published twice, and nothing is signed anew if nothing is new.
    let before = fs::read(place.path("public/checkpoint")).unwrap();
    assert_eq!(json(&place.good_publish())["added"], 0);
    assert_eq!(fs::read(place.path("public/checkpoint")).unwrap(), before);

    // A verdict is withdrawn, and others follow.
    let statement = format!("sha256:{}", place::statement(7));
    let reason = "the container lacked a file";
    place.good(&["log", "withdraw", &statement, "--because", reason]);
    place.good(&["log", "withdraw", &statement, "--because", reason]);
    place.sign(10_000..10_777);
    assert_eq!(json(&place.good_publish())["size"], 10_778);
    let earlier = place.text("earlier");
    checked_by_stranger(&["grew", &place.folder(), &key, &earlier]);
    let whole = json(&place.good(&["log", "verify", &place.folder(), "--log-key", &key, "--json"]));
    assert_eq!(whole["withdrawn"], 1);
    assert_eq!(whole["entries"]["mismatch"], 1077);
    assert_eq!(whole["entries"]["withdrawal"], 1);

    // The verdict itself stays, and so do proofs of it.
    for number in [0, 7, 255, 256, 9_999, 10_776] {
        let (statement, proof) = (
            format!("sha256:{}", place::statement(number)),
            place.text("proof"),
        );
        let prove = [
            "log",
            "prove",
            &statement,
            "--from",
            &place.folder(),
            "--log-key",
            &key,
            "--out",
            &proof,
        ];
        place.good(&prove);
        checked_by_stranger(&["proof", &proof, &key]);
        let proven = json(&place.good(&["log", "verify", &proof, "--log-key", &key, "--json"]));
        let index = number + u64::from(number >= 10_000);
        assert_eq!(proven["index"], index);
        assert_eq!(proven["proven"]["statement"], place::statement(number));
    }
    let unknown = format!("sha256:{}", "0".repeat(64));
    let output = place.run(&[
        "log",
        "prove",
        &unknown,
        "--from",
        &place.folder(),
        "--log-key",
        &key,
        "--out",
        "x",
    ]);
    assert_eq!(code(&output), 4, "{}", text(&output));
}

#[apply(test)]
fn each_visit_shows_what_is_new() {
    let place = Place::new();
    let watch = |place: &Place| {
        json(&place.good(&[
            "log",
            "watch",
            &place.folder(),
            "--log-key",
            &place.key(),
            "--json",
        ]))
    };
    place.sign(0..1);
    place.good_publish();
    let visit = watch(&place);
    assert_eq!(
        (&visit["before"], &visit["new"][0]["index"]),
        (&Value::Null, &0.into())
    );
    assert_eq!(watch(&place)["new"].as_array().unwrap().len(), 0);
    for sizes in [1..255, 255..256, 256..257, 257..900] {
        let before = sizes.start;
        place.sign(sizes.clone());
        place.good_publish();
        let visit = watch(&place);
        assert_eq!(
            (&visit["before"], &visit["size"]),
            (&before.into(), &sizes.end.into())
        );
        let new = visit["new"].as_array().unwrap();
        let statements: Vec<_> = new
            .iter()
            .map(|new| new["says"]["statement"].as_str().unwrap())
            .collect();
        let expected: Vec<_> = sizes.map(place::statement).collect();
        assert_eq!(statements, expected);
    }
    let shown = text(&place.good(&["log", "watch", &place.folder(), "--log-key", &place.key()]));
    assert!(
        shown.contains("still begins with the 900 entries of the last visit; 0 new"),
        "{shown}"
    );
    // Partial tiles go when the full one is there, so that the folder stays small.
    assert!(place.path("public/tile/0/000").is_file());
    assert!(!place.path("public/tile/0/000.p").exists());
    assert!(!place.path("public/tile/entries/000.p").exists());
}

#[apply(test)]
fn a_fork_and_a_shrunk_log_raise_the_alarm() {
    for (before, after) in [(300, 300), (300, 301), (256, 700), (700, 1000)] {
        let place = Place::new();
        place.sign(0..before);
        place.good_publish();
        let (folder, key) = (place.folder(), place.key());
        let watch = || place.run(&["log", "watch", &folder, "--log-key", &key]);
        assert_eq!(code(&watch()), 0);
        let good = place.text("good");
        copy(&folder, &good);

        // The same key signs another past.
        let other = place.another_past();
        other.sign(1..after + 1);
        other.good_publish();
        fs::remove_dir_all(&folder).unwrap();
        copy(&other.folder(), &folder);
        let output = watch();
        assert_eq!(code(&output), 5, "{before} {after}: {}", text(&output));
        assert!(text(&output).contains("ALARM: the log"), "{}", text(&output));
        assert!(
            text(&output).contains(&format!("forked: its first {before} entries")),
            "{}",
            text(&output)
        );

        // The alarm stays until the log shows its past again.
        assert_eq!(code(&watch()), 5);
        let shorter = place.another_past();
        shorter.sign(0..before - 1);
        shorter.good_publish();
        fs::remove_dir_all(&folder).unwrap();
        copy(&shorter.folder(), &folder);
        let output = place.run(&["log", "watch", &folder, "--log-key", &key, "--json"]);
        assert_eq!(code(&output), 5, "{}", text(&output));
        let error = &json(&output)["error"];
        assert_eq!(error["exit_code"], 5);
        assert!(error["message"].as_str().unwrap().contains("shrank"), "{error}");
        // Both checkpoints are kept, and each is one.
        let help = error["help"].as_str().unwrap();
        let evidence = help.rsplit(": ").next().unwrap();
        let both = fs::read_to_string(evidence).unwrap();
        assert_eq!(both.matches("example.com/verdicts\n").count(), 2, "{both}");

        fs::remove_dir_all(&folder).unwrap();
        copy(&good, &folder);
        assert_eq!(code(&watch()), 0);
    }
}

#[apply(test)]
fn feeds_have_the_newest_entries_first() {
    let place = Place::new();
    place.sign(0..300);
    let statement = format!("sha256:{}", place::statement(299));
    place.good(&["log", "withdraw", &statement, "--because", "1 < 2 & \"quoted\""]);
    place.good_publish();
    let (folder, key, feed) = (place.folder(), place.key(), place.text("feed.xml"));
    let more = ["--log-key", &key, "--to", &feed, "--entries", "20", "--json"];
    let output = place.good(&[&["log", "feed", &folder], &more[..]].concat());
    assert_eq!(json(&output)["entries"], 20);
    // A reader of feeds that is not ours.
    let script = "import sys, xml.etree.ElementTree as tree\n\
        atom = '{http://www.w3.org/2005/Atom}'\n\
        feed = tree.parse(sys.argv[1]).getroot()\n\
        entries = feed.findall(atom + 'entry')\n\
        ids = {entry.find(atom + 'id').text for entry in entries}\n\
        print(len(entries), len(ids), entries[0].find(atom + 'title').text, entries[0].find(atom + 'content').text)\n\
        print(feed.find(atom + 'updated').text == entries[0].find(atom + 'updated').text)";
    let output = std::process::Command::new("python3")
        .args(["-c", script, &feed])
        .output()
        .unwrap();
    let shown = text(&output);
    assert!(
        shown.starts_with("20 20 withdrawn: pkg:pypi/package299@1.299 entry 300;"),
        "{shown}"
    );
    assert!(shown.ends_with("because: 1 < 2 & \"quoted\"\nTrue\n"), "{shown}");
}

#[apply(test)]
fn only_what_is_logged_counts() {
    let place = Place::new();
    let (alice, bob) = (Party::new("alice"), Party::new("bob"));
    let released = b"the released bytes\n";
    fs::write(place.path("app-1.0.tar.gz"), released).unwrap();
    fs::write(place.path("policy.toml"), policy(&[&alice, &bob], 2, "")).unwrap();
    fs::create_dir(place.path("said")).unwrap();
    for party in [&alice, &bob] {
        let bundle = party.rebuilt("app-1.0.tar.gz", released);
        fs::write(
            place.path(&format!("said/{}.json", party.name)),
            bundle.to_string(),
        )
        .unwrap();
        // Bob's word is in no log.
        if party.name == "alice" {
            place.sign_bundle(&bundle);
        }
    }
    place.good_publish();
    let (folder, key, said) = (place.folder(), place.key(), place.text("said"));
    let bundle = place.text("said/alice.json");
    place.good(&["log", "prove", &bundle, "--from", &folder, "--log-key", &key]);
    assert!(place.path("said/alice.tlog-proof").is_file());
    let (artifact, quorum) = (place.text("app-1.0.tar.gz"), place.text("policy.toml"));
    let verify = |more: &[&str]| {
        let all = ["verify", &artifact, "--attestation", &said, "--policy", &quorum];
        place.run(&[&all[..], more].concat())
    };
    let proofs = ["--log-proof", &said, "--log-key"];
    let output = verify(&[&proofs[..], &[&key]].concat());
    assert_eq!(code(&output), 4, "{}", text(&output));
    assert!(text(&output).contains("1 file not counted"), "{}", text(&output));
    // With a proof for each, both count.
    place.sign_bundle(&serde_json::from_slice(&fs::read(place.path("said/bob.json")).unwrap()).unwrap());
    place.good_publish();
    let bundle = place.text("said/bob.json");
    place.good(&["log", "prove", &bundle, "--from", &folder, "--log-key", &key]);
    let output = verify(&[&proofs[..], &[&key]].concat());
    assert_eq!(code(&output), 0, "{}", text(&output));
    // A log that is not believed proves nothing.
    let output = verify(&[&proofs[..], &[&Place::new().key()]].concat());
    assert_eq!(code(&output), 3, "{}", text(&output));
}
