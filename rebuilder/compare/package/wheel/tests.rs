//! Signatures and lists of wheels that are right, and others.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use sha2::Digest as _;

use crate::compare::package::samples::{CMS_BASE64, sample, samples, zip};
use crate::compare::{Cause, Comparison, Options, Outcome, compare_bytes};

/// A wheel with other files in its folder of metadata; empty ones are left out.
fn wheel(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut all = samples(&[("p.py", "1"), ("p-1.dist-info/WHEEL", "Wheel-Version: 1.0\n")]);
    let there = files.iter().filter(|(_, bytes)| !bytes.is_empty());
    all.extend(there.map(|(path, bytes)| sample(path, bytes)));
    zip(&all)
}

fn compared(released: &[u8], rebuilt: &[u8]) -> Comparison {
    compare_bytes("p.whl", released, rebuilt, &Options::default())
}

const RECORD: &str = "p.py,,\np-1.dist-info/WHEEL,,\n";

/// A signature as the wheel project writes it.
fn signed(record: &str, signature: &str) -> String {
    let hash = BASE64_URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(record));
    let payload = BASE64_URL_SAFE_NO_PAD.encode(format!("{{\"hash\":\"sha256={hash}\"}}"));
    format!(
        r#"{{"payload":"{payload}","recipients":[{{"header":"eyJhbGciOiJFZDI1NTE5In0","signature":"{signature}"}}]}}"#
    )
}

#[test]
fn the_signatures_of_a_wheel_are_beside_its_record() {
    let own = "p-1.dist-info/RECORD.jws";
    let with = |path: &str, text: &str| {
        wheel(&[
            ("p-1.dist-info/RECORD", RECORD.as_bytes()),
            (path, text.as_bytes()),
        ])
    };
    let (released, other_key) = (signed(RECORD, "c2ln"), signed(RECORD, "a2V5"));
    let evil = released.replace(r#","signature""#, r#","run":"evil","signature""#);
    for (path, text, wanted) in [
        (own, other_key.as_str(), true),
        (own, "", true),
        (own, evil.as_str(), false),
        (own, signed("another record", "c2ln").as_str(), false),
        ("p/RECORD.jws", other_key.as_str(), false),
        ("p-1.dist-info/x.jws", other_key.as_str(), false),
    ] {
        for swapped in [false, true] {
            let mut sides = [with(path, &released), with(path, text)];
            if swapped {
                sides.reverse();
            }
            let found = compared(&sides[0], &sides[1]);
            let equivalent = found.outcome == Outcome::Equivalent;
            assert_eq!(equivalent, wanted, "{path} {text} {:?}", found.causes);
            let hidden = path == own && !wanted && found.causes[0].cause != Cause::Content;
            assert!(!hidden, "{text}: {:?}", found.causes);
        }
    }
}

#[test]
fn a_signature_is_right_for_one_record_alone() {
    let shuffled: String = RECORD.split_inclusive('\n').rev().collect();
    let pack = |record: &str, signature: &str| {
        wheel(&[
            ("p-1.dist-info/RECORD", record.as_bytes()),
            ("p-1.dist-info/RECORD.jws", signature.as_bytes()),
        ])
    };
    let released = pack(RECORD, &signed(RECORD, "c2ln"));
    for (signature, wanted) in [
        (signed(&shuffled, "a2V5"), true),
        (String::new(), true),
        (signed(RECORD, "c2ln"), false),
        (signed(RECORD, "a2V5"), false),
    ] {
        let found = compared(&released, &pack(&shuffled, &signature));
        let equivalent = found.outcome == Outcome::Equivalent;
        assert_eq!(equivalent, wanted, "{signature} {:?}", found.causes);
        assert!(
            wanted || found.causes[0].cause == Cause::Content,
            "{:?}",
            found.causes
        );
    }
}

#[test]
fn a_cms_signature_is_about_record_too() {
    let signature = BASE64_STANDARD.decode(CMS_BASE64).unwrap();
    let pack = |record: &str, signature: &[u8]| {
        wheel(&[
            ("p-1.dist-info/RECORD", record.as_bytes()),
            ("p-1.dist-info/RECORD.p7s", signature),
        ])
    };
    for (record, wanted) in [("hi\n", true), ("ho\n", false)] {
        let found = compared(&pack(record, &signature), &pack(record, b""));
        let equivalent = found.outcome == Outcome::Equivalent;
        assert_eq!(equivalent, wanted, "{record} {:?}", found.causes);
    }
}

#[test]
fn lines_about_one_file_keep_their_order() {
    let line = |text: &str| {
        let digest = BASE64_URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(text));
        format!("p.py,sha256={digest},{}\n", text.len())
    };
    let metadata = "p-1.dist-info/METADATA,,\n";
    let pack = |lines: &[&str]| wheel(&[("p-1.dist-info/RECORD", lines.concat().as_bytes())]);
    let (one, other) = (line("1"), line("2"));
    let single = compared(&pack(&[&one, metadata]), &pack(&[metadata, &one]));
    assert_eq!(single.outcome, Outcome::Equivalent, "{:?}", single.causes);
    let twice = compared(&pack(&[&one, &other]), &pack(&[&other, &one]));
    assert_eq!(twice.outcome, Outcome::Different, "{:?}", twice.causes);
    assert_eq!(twice.causes[0].cause, Cause::Content);
}

#[test]
fn only_whole_fields_of_the_headers_may_move() {
    let compared = |[released, rebuilt]: [&str; 2]| {
        let pack = |text: &str| {
            let metadata = format!("Metadata-Version: 2.1\nName: p\nVersion: 1\n{text}");
            wheel(&[("p-1.dist-info/METADATA", metadata.as_bytes())])
        };
        compared(&pack(released), &pack(rebuilt))
    };
    for (one, other, wanted) in [
        (
            "Classifier: a\nClassifier: b\n\nbody\n",
            "Classifier: b\nClassifier: a\n\nbody\n",
            true,
        ),
        ("Classifier: a\nSummary: s\n", "Summary: s\nClassifier: a\n", true),
        // Before the continuation of another field.
        (
            "Summary: x\nClassifier: b\n  foo\n",
            "Summary: x\n  foo\nClassifier: b\n",
            false,
        ),
        // From the headers to the description.
        ("Classifier: b\n\nbody\n", "\nClassifier: b\nbody\n", false),
        (
            "Classifier: b\nClassifier: c\n\nbody\n",
            "Classifier: c\n\nbody\nClassifier: b\n",
            false,
        ),
        ("Classifier: b\n\r\nbody\n", "\r\nClassifier: b\nbody\n", false),
        // Python's email parser ends the headers at a line that is not one.
        ("Classifier: b\nfoo\nbar\n", "foo\nbar\nClassifier: b\n", false),
        (
            "Classifier: b\nX: a\r\rb\nY: c\n",
            "X: a\r\rb\nY: c\nClassifier: b\n",
            false,
        ),
    ] {
        for sides in [[one, other], [other, one]] {
            let found = compared(sides);
            let equivalent = found.outcome == Outcome::Equivalent;
            assert_eq!(equivalent, wanted, "{sides:?} {:?}", found.causes);
            assert!(
                wanted || found.causes[0].cause == Cause::Content,
                "{sides:?} {:?}",
                found.causes
            );
        }
    }
}
