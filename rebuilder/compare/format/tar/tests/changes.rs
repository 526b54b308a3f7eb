//! Changes of single bytes, each together with another time, which must not hide them.

use super::super::samples::{Head, file, global, long, padded, pax, records};
use super::{LONG, compared, first_place, short};
use crate::compare::{Cause, Outcome};

/// Name, released and rebuilt members (with another time), and the place of the first finding.
type Case = (&'static str, Vec<Vec<u8>>, Vec<Vec<u8>>, &'static str);

/// Each case changes a byte that a difference in time must not hide.
// One long table.
fn changes() -> Vec<Case> {
    let head = || Head::new(b"f", 2);
    let one = |head: Head| vec![head.with(b"1\n")];
    let longer =
        |after: &[u8], short: &[u8]| vec![long(b'L', LONG, after), Head::new(short, 2).gnu().with(b"1\n")];
    let with = |records: &[(&str, &str)]| vec![pax(records), head().with(b"1\n")];
    let mut garbage = head().with(b"1\n");
    garbage[700] = b'!';
    let extension = |change: fn(Head) -> Head| {
        let body = records(&[("mtime", "1700000000.5")]);
        let head = change(Head::new(b"PaxHeaders/f", body.len()).letter(b'x'));
        vec![head.with(&body), Head::new(b"f", 2).with(b"1\n")]
    };
    let unused = "bytes that no field uses";
    let meaning = "pax records that change what is unpacked";
    let doubtful = "records that readers take for different ones";
    vec![
        ("after a name", one(head()), one(head().at(5, b"x")), unused),
        ("after a link", one(head()), one(head().at(170, b"x")), unused),
        ("after a user", one(head()), one(head().at(280, b"x")), unused),
        (
            "the last bytes of a header",
            one(head()),
            one(head().at(505, b"x")),
            unused,
        ),
        (
            "the end of a GNU header",
            one(head().gnu()),
            one(head().gnu().at(505, b"x")),
            unused,
        ),
        (
            "GNU's list of names",
            one(head().gnu()),
            one(head().gnu().at(381, b"x")),
            unused,
        ),
        (
            "where the seventh edition has nothing",
            one(head().at(257, &[0; 8])),
            one(head().at(257, &[0; 8]).at(300, b"x")),
            unused,
        ),
        (
            "another magic",
            one(head()),
            one(head().at(257, b"ustar\x0099")),
            unused,
        ),
        (
            "GNU's times",
            one(head().gnu()),
            one(head().gnu().at(345, b"14524770400\0")),
            "times where others have the prefix",
        ),
        ("padding", one(head()), vec![garbage], "bytes between members"),
        (
            "letters in a mode",
            one(head()),
            one(head().at(100, b"0000644x")),
            "numbers that readers take for different ones",
        ),
        (
            "spaces in an owner",
            one(head()),
            one(head().at(108, b"1 10000\0")),
            "numbers that readers take for different ones",
        ),
        (
            "type bits of another type",
            one(head()),
            one(head().at(100, b"0120644\0")),
            "numbers that readers take for different ones",
        ),
        ("the type", one(head()), one(head().letter(b'Q')), "type"),
        (
            "a checksum of signed bytes",
            one(Head::new("é".as_bytes(), 2)),
            vec![Head::new("é".as_bytes(), 2).summed_signed(b"1\n")],
            "checksum that only some readers accept",
        ),
        (
            "a checksum of signed bytes of an extended header",
            extension(|head| head.at(265, "é".as_bytes())),
            {
                let body = records(&[("mtime", "1700000000.5")]);
                let head = Head::new(b"PaxHeaders/f", body.len()).letter(b'x');
                let head = head.at(265, "é".as_bytes());
                vec![head.summed_signed(&body), Head::new(b"f", 2).with(b"1\n")]
            },
            "checksum that only some readers accept",
        ),
        (
            "after a long name",
            longer(b"", short()),
            longer(b"payload", short()),
            unused,
        ),
        (
            "the short name",
            longer(b"", short()),
            longer(b"", b"evil"),
            "name for readers without extended headers",
        ),
        (
            "a short name that is not cut",
            longer(b"", short()),
            longer(b"", b"d"),
            "name for readers without extended headers",
        ),
        (
            "the short name behind pax",
            vec![pax(&[("path", "f")]), head().with(b"1\n")],
            vec![pax(&[("path", "f")]), Head::new(b"evil", 2).with(b"1\n")],
            "name for readers without extended headers",
        ),
        (
            "the short link",
            vec![
                pax(&[("linkpath", "a")]),
                Head::new(b"l", 0).letter(b'2').at(157, b"a").with(b""),
            ],
            vec![
                pax(&[("linkpath", "a")]),
                Head::new(b"l", 0).letter(b'2').at(157, b"evil").with(b""),
            ],
            "link for readers without extended headers",
        ),
        (
            "the short size",
            with(&[("size", "2")]),
            vec![
                pax(&[("size", "2")]),
                Head::new(b"f", 0).with(b""),
                padded(b"1\n"),
            ],
            "size for readers without extended headers",
        ),
        (
            "data of a folder",
            vec![Head::new(b"d/", 0).letter(b'5').with(b"")],
            vec![Head::new(b"d/", 512).letter(b'5').with(&file("evil", b""))],
            "from offset 0x0",
        ),
        (
            "name of an extended header",
            extension(|head| head),
            extension(|head| head.at(0, b"evil.py\0\0\0\0\0\0")),
            unused,
        ),
        (
            "link of an extended header",
            extension(|head| head),
            extension(|head| head.at(157, b"evil")),
            unused,
        ),
        (
            "user of an extended header",
            extension(|head| head),
            extension(|head| head.at(265, b"payload")),
            unused,
        ),
        (
            "device of an extended header",
            extension(|head| head),
            extension(|head| head.at(329, b"0000001\0")),
            unused,
        ),
        (
            "a record of another name",
            with(&[("mtime", "1")]),
            with(&[("mtime", "1"), ("x", "y")]),
            meaning,
        ),
        (
            "flags of a file",
            with(&[("SCHILY.fflags", "")]),
            with(&[("SCHILY.fflags", "immutable")]),
            meaning,
        ),
        (
            "a user's name that is none",
            with(&[("mtime", "1")]),
            with(&[("mtime", "1"), ("uname", "\n#!/bin/sh")]),
            meaning,
        ),
        (
            "a user's attribute",
            with(&[("mtime", "1")]),
            with(&[("mtime", "1"), ("SCHILY.xattr.user.overlay.opaque", "y")]),
            meaning,
        ),
        (
            "capabilities",
            with(&[("mtime", "1")]),
            with(&[("mtime", "1"), ("SCHILY.xattr.security.capability", "x")]),
            "security attributes",
        ),
        (
            "a time that is no number",
            with(&[("atime", "1")]),
            with(&[("atime", "1 payload")]),
            meaning,
        ),
        (
            "an inode that is no number",
            with(&[("SCHILY.ino", "1")]),
            with(&[("SCHILY.ino", "payload")]),
            meaning,
        ),
        (
            "a comment",
            with(&[("comment", "a")]),
            with(&[("comment", "b")]),
            "comment",
        ),
        (
            "a repeated record",
            with(&[("uname", "a")]),
            with(&[("uname", "b"), ("uname", "a")]),
            doubtful,
        ),
        (
            "a record that is taken back",
            with(&[("mtime", "1")]),
            with(&[("mtime", "1"), ("path", "")]),
            doubtful,
        ),
        (
            "a path behind a NUL",
            with(&[("linkpath", "a\0b")]),
            with(&[("linkpath", "a\0c")]),
            "link",
        ),
        (
            "a global path",
            vec![global(&[("comment", "a")]), file("f", b"1\n")],
            vec![global(&[("comment", "a"), ("path", "g")]), file("f", b"1\n")],
            doubtful,
        ),
        (
            "a global comment",
            vec![global(&[("comment", "a")]), file("f", b"1\n")],
            vec![global(&[("comment", "b")]), file("f", b"1\n")],
            "comment",
        ),
        (
            "a header without a member",
            vec![file("f", b"1\n")],
            vec![file("f", b"1\n"), pax(&[("path", "g")])],
            unused,
        ),
        (
            "two pax headers",
            with(&[("mtime", "1")]),
            [vec![pax(&[("mtime", "1")])], with(&[("mtime", "1")])].concat(),
            doubtful,
        ),
        (
            "a long name and a pax path",
            longer(b"", short()),
            vec![
                pax(&[("path", LONG)]),
                long(b'L', "evil", b""),
                Head::new(short(), 2).gnu().with(b"1\n"),
            ],
            "name for readers without extended headers",
        ),
        (
            "after the end",
            vec![file("f", b"1\n")],
            vec![file("f", b"1\n"), vec![0; 512], file("evil", b"")],
            "bytes after the end",
        ),
    ]
}

#[test]
fn no_byte_is_hidden_by_another_time() {
    for (what, released, rebuilt, place) in changes() {
        let later = Head::new(b"z", 1).later().with(b"z");
        let released = [released, vec![file("z", b"z")]].concat();
        let rebuilt = if place == "bytes after the end" || what == "a header without a member" {
            [vec![later], rebuilt].concat()
        } else {
            [rebuilt, vec![later]].concat()
        };
        let found = compared(&released, &rebuilt);
        assert_eq!(found.outcome, Outcome::Different, "{what}");
        let first = found.causes.first().map(|cause| cause.cause);
        assert!(
            matches!(first, Some(Cause::Content | Cause::AmbiguousArchive)),
            "{what}: {first:?}"
        );
        assert_eq!(first_place(&found), place, "{what}");
        assert!(
            found.causes.iter().any(|cause| cause.cause == Cause::Timestamp),
            "{what}: the time is told too"
        );
    }
}
