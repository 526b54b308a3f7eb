//! Logs that were changed, and servers that mean harm: each is refused with one clear error, within bounds.

use std::fs;
use std::time::{Duration, Instant};

use super::place::{ORIGIN, Place, copy};
use crate::common::http::{Reply, Server};
use crate::common::{code, text};

const ROOT: &str = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";

/// Changes one byte of a file.
fn flip(path: &std::path::Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    let length = bytes.len();
    bytes[at % length] ^= 1;
    fs::write(path, bytes).unwrap();
}

// Long, as it is one table.
#[apply(test)]
fn a_changed_log_is_refused_with_one_clear_error() {
    let place = Place::new();
    place.sign(0..600);
    place.good_publish();
    let key = place.key();
    let whole = place.text("whole");
    copy(&place.folder(), &whole);
    let write = |name: &'static str, bytes: Vec<u8>| {
        Box::new(move |folder: &std::path::Path| fs::write(folder.join(name), &bytes).unwrap())
            as Box<dyn Fn(&std::path::Path)>
    };
    let change = |name: &'static str, at: usize| {
        Box::new(move |folder: &std::path::Path| flip(&folder.join(name), at))
            as Box<dyn Fn(&std::path::Path)>
    };
    let remove = |name: &'static str| {
        Box::new(move |folder: &std::path::Path| fs::remove_file(folder.join(name)).unwrap())
            as Box<dyn Fn(&std::path::Path)>
    };
    let own = |origin: &str, size: &str, root: &str| place.checkpoint(origin, size, root).into_bytes();
    let good = fs::read_to_string(place.path("public/checkpoint")).unwrap();
    let root = good.lines().nth(2).unwrap();
    let table = [
        (
            "an entry",
            change("tile/entries/001", 300),
            3,
            "does not match its checkpoint",
        ),
        ("a hash", change("tile/0/001", 40), 3, "tile/0/001 of the log"),
        (
            "a hash above",
            change("tile/1/000.p/2", 40),
            3,
            "tile/1/000.p/2 of the log",
        ),
        (
            "a cut tile",
            write("tile/0/001", vec![0; 8000]),
            3,
            "it has another length",
        ),
        (
            "a cut bundle",
            write("tile/entries/001", vec![0; 3]),
            3,
            "another number of entries",
        ),
        (
            "a missing bundle",
            remove("tile/entries/001"),
            4,
            "tile/entries/001 is missing",
        ),
        ("a missing tile", remove("tile/0/001"), 4, "tile/0/001 is missing"),
        ("no checkpoint", remove("checkpoint"), 4, "checkpoint is missing"),
        (
            "another root",
            write("checkpoint", own(ORIGIN, "600", ROOT)),
            3,
            "of the log",
        ),
        (
            "an earlier size",
            write("checkpoint", own(ORIGIN, "599", root)),
            4,
            "is missing",
        ),
        (
            "another origin",
            write("checkpoint", own("example.com/other", "600", root)),
            3,
            "belongs to another log",
        ),
        (
            "a changed size",
            write("checkpoint", good.replace("\n600\n", "\n601\n").into()),
            3,
            "is not by its key",
        ),
        (
            "rubbish",
            write("checkpoint", b"\xff\xfe".to_vec()),
            3,
            "is not valid",
        ),
        ("nothing", write("checkpoint", Vec::new()), 3, "is not valid"),
        (
            "too large",
            write("checkpoint", own(ORIGIN, "9223372036854775807", root)),
            3,
            "but the maximum is",
        ),
    ];
    for (what, damage, expected, message) in table {
        let folder = place.text("damaged");
        let _ = fs::remove_dir_all(&folder);
        copy(&whole, &folder);
        damage(folder.as_ref());
        let output = place.run(&["log", "verify", &folder, "--log-key", &key]);
        assert_eq!(code(&output), expected, "{what}: {}", text(&output));
        assert!(text(&output).contains(message), "{what}: {}", text(&output));
        assert_eq!(
            text(&output).matches("error:").count(),
            1,
            "{what}: {}",
            text(&output)
        );
        // Whoever only wants to know what is new is told too; tiles that it does not need it does not read.
        let output = place.run(&["log", "watch", &folder, "--log-key", &key]);
        let unread = ["a hash", "a hash above", "a cut tile", "a missing tile"].contains(&what);
        if !unread {
            assert_eq!(code(&output), expected, "{what}: {}", text(&output));
        }
        let _ = fs::remove_dir_all(place.path("store/watched"));
    }
}

#[apply(test)]
fn keys_decide_who_is_believed() {
    let place = Place::new();
    place.sign(0..3);
    place.good_publish();
    let stranger = Place::new();
    let with = |key: &str| place.run(&["log", "verify", &place.folder(), "--log-key", key]);
    let output = with(&stranger.key());
    assert_eq!(code(&output), 3, "{}", text(&output));
    assert!(
        text(&output).contains("is not signed with the key"),
        "{}",
        text(&output)
    );
    for odd in ["", "example.com/verdicts", &place.key().replace('+', "-")] {
        assert_eq!(code(&with(odd)), 2, "{odd}");
    }
    let output = place.run(&["log", "verify", &place.folder()]);
    assert_eq!(code(&output), 2, "{}", text(&output));
    // Names that could be taken for something else, and keys that cannot sign a log.
    for origin in [
        "",
        "verdicts",
        "https://example.com",
        "DSSEv1 28 x",
        "{\"a\":1}",
        "a.b/+c",
        "/a.b",
        "cosignature/v1",
    ] {
        let output = place.run(&["log", "publish", "--to", &place.text("new"), "--origin", origin]);
        assert_eq!(code(&output), 2, "{origin}: {}", text(&output));
        assert!(!place.path("new").exists(), "{origin}");
    }
    let other = place.text("p256.pem");
    place.good(&["key", "generate", "--algorithm", "p256", "--to", &other]);
    let output = place.run(&[
        "log",
        "publish",
        "--to",
        &place.text("new"),
        "--origin",
        ORIGIN,
        "--key",
        &other,
    ]);
    assert_eq!(code(&output), 2, "{}", text(&output));
    // A key that did not begin the log does not go on with it.
    let second = place.text("second.pem");
    place.good(&["key", "generate", "--to", &second]);
    let output = place.publish().args(["--key", &second]).output().unwrap();
    assert_eq!(code(&output), 3, "{}", text(&output));
}

#[apply(test)]
fn a_hostile_server_is_bounded() {
    let place = Place::new();
    place.sign(0..300);
    place.good_publish();
    let (folder, key) = (place.path("public"), place.key());
    let serve = move |path: &str| match fs::read(folder.join(path.trim_start_matches('/'))) {
        Ok(bytes) => Reply::ok(bytes),
        Err(_) => Reply::status(404),
    };
    let with = |odd: &'static str, reply: Reply| {
        let serve = serve.clone();
        Server::new(move |path| {
            if path.ends_with(odd) {
                reply.clone()
            } else {
                serve(path)
            }
        })
    };
    let large = Reply::ok(vec![b'a'; 20 << 20]);
    let away = |to: &str| Reply::Give(302, vec![("location", to.to_owned())], Vec::new());
    let table = [
        ("nothing", "none", Reply::status(404), 0),
        ("a large checkpoint", "/checkpoint", large.clone(), 4),
        ("a checkpoint without end", "/checkpoint", Reply::Endless, 4),
        ("a large tile", "/tile/0/000", large.clone(), 4),
        ("a tile without end", "/tile/0/000", Reply::Endless, 4),
        ("a large bundle", "/tile/entries/000", large, 4),
        ("a bundle without end", "/tile/entries/000", Reply::Endless, 4),
        ("half an answer", "/tile/entries/000", Reply::Broken, 4),
        ("an error", "/tile/entries/000", Reply::status(500), 4),
        (
            "a way inside",
            "/checkpoint",
            away("http://169.254.169.254/latest"),
            3,
        ),
        ("a way to a file", "/checkpoint", away("file:///etc/passwd"), 3),
        ("a way around", "/checkpoint", away("/checkpoint"), 3),
    ];
    for (what, path, reply, expected) in table {
        let begun = Instant::now();
        let server = with(path, reply);
        for command in ["verify", "watch"] {
            let output = place.run(&["log", command, &server.url(), "--log-key", &key]);
            // A tile that only `verify` reads.
            let expected = if command == "watch" && path == "/tile/0/000" {
                0
            } else {
                expected
            };
            assert_eq!(code(&output), expected, "{what}, {command}: {}", text(&output));
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{what}");
        let _ = fs::remove_dir_all(place.path("store/watched"));
    }
}

#[apply(test)]
fn text_in_entries_does_not_steer_a_terminal() {
    let place = Place::new();
    place.sign(0..1);
    let log = place.path("config/rebuilder/signatures.jsonl");
    let lines = fs::read_to_string(&log).unwrap();
    fs::write(&log, lines.replace("pkg:pypi/", "\\u001b[31m\u{202e}pkg:pypi/")).unwrap();
    place.good_publish();
    let shown = text(&place.good(&["log", "watch", &place.folder(), "--log-key", &place.key()]));
    assert!(shown.contains("<U+001B>[31m<U+202E>pkg:pypi/"), "{shown}");
    assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown}");
}

#[apply(test)]
fn entries_without_end_are_not_read_to_their_end() {
    let place = Place::new();
    let checkpoint = place.checkpoint(ORIGIN, "4294967296", ROOT);
    // Every bundle is whole, and so is every tile; none of them is proven.
    let server = Server::new(move |path| match path {
        "/checkpoint" => Reply::ok(checkpoint.clone()),
        path if path.contains("/entries/") => Reply::ok([0, 1, b'x'].repeat(256)),
        path if path.ends_with(".p/1") => Reply::ok(vec![0; 32]),
        _ => Reply::ok(vec![0; 8192]),
    });
    let output = place.run(&["log", "watch", &server.url(), "--log-key", &place.key()]);
    assert_eq!(code(&output), 3, "{}", text(&output));
    assert!(
        text(&output).contains("its tiles do not give the root"),
        "{}",
        text(&output)
    );
    assert!(
        !text(&output).contains("new"),
        "nothing unproven is shown: {}",
        text(&output)
    );
    assert!(server.paths().len() < 1000, "{} requests", server.paths().len());
}
