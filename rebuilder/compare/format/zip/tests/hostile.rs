//! What must never be set aside, although a time differs as well.

use super::differs;
use super::writer::{Around, Descriptor, Entry, entry, record, unix_time, zip, zip_in};
use crate::compare::Cause;

const LOCAL: &str = "local header against the directory";

/// One entry against the same one with a change and another time.
#[test]
fn entries() {
    type Change = fn(&mut Entry);
    let cases: &[(&str, Cause, &str, Change)] = &[
        ("name in the local header", Cause::AmbiguousArchive, LOCAL, |e| {
            e.local_patch = vec![(30, b"b".into())]
        }),
        (
            "method in the local header",
            Cause::AmbiguousArchive,
            LOCAL,
            |e| e.local_patch = vec![(8, vec![8, 0])],
        ),
        ("CRC in the local header", Cause::AmbiguousArchive, LOCAL, |e| {
            e.local_patch = vec![(14, vec![1, 2, 3, 4])]
        }),
        ("size in the local header", Cause::AmbiguousArchive, LOCAL, |e| {
            e.local_patch = vec![(22, vec![1])]
        }),
        (
            "encrypted by the local header",
            Cause::AmbiguousArchive,
            LOCAL,
            |e| e.local_patch = vec![(6, vec![1, 0])],
        ),
        ("time in the local header", Cause::AmbiguousArchive, LOCAL, |e| {
            e.local_patch = vec![(10, vec![7, 7])]
        }),
        ("UTC in the local header", Cause::AmbiguousArchive, LOCAL, |e| {
            e.local_extra = unix_time(1_700_000_000);
            e.central_extra = unix_time(1_700_000_009);
        }),
        ("owner in the local header", Cause::AmbiguousArchive, LOCAL, |e| {
            e.local_extra = record(0x7875, &[1, 1, 0, 1, 0]);
            e.central_extra = record(0x7875, &[1, 1, 9, 1, 9]);
        }),
        (
            "version that is needed",
            Cause::Content,
            "version that unpackers refuse",
            |e| e.needs = 99,
        ),
        (
            "wrong CRC everywhere",
            Cause::Content,
            "entry that is not what the directory says",
            |e| {
                e.local_patch = vec![(14, vec![1, 2, 3, 4])];
                e.central_patch = vec![(16, vec![1, 2, 3, 4])];
            },
        ),
        (
            "two sizes of a stored entry",
            Cause::Content,
            "entry that is not what the directory says",
            |e| {
                e.local_patch = vec![(22, vec![9])];
                e.central_patch = vec![(24, vec![9])];
            },
        ),
        (
            "masked headers",
            Cause::Content,
            "flags that unpackers refuse or ignore",
            |e| e.flags = 1 << 13,
        ),
        (
            "patch data",
            Cause::Content,
            "flags that unpackers refuse or ignore",
            |e| e.flags = 1 << 5,
        ),
        ("disk", Cause::AmbiguousArchive, "disk of the entry", |e| {
            e.central_patch = vec![(34, vec![1])]
        }),
        (
            "internal attributes",
            Cause::Content,
            "internal attributes",
            |e| e.internal = 0x10,
        ),
        ("symbolic link", Cause::Content, "type", |e| {
            e.external = 0o120_644 << 16
        }),
        ("device", Cause::Content, "type", |e| e.external = 0o060_644 << 16),
        (
            "folder by attributes",
            Cause::AmbiguousArchive,
            "type by name and by attributes",
            |e| e.external |= 0x10,
        ),
        ("set-id", Cause::Content, "mode", |e| e.external = 0o104_644 << 16),
        ("executable", Cause::Permissions, "mode", |e| {
            e.external = 0o100_755 << 16
        }),
        ("not readable", Cause::Permissions, "mode for the owner", |e| {
            e.external = 0o100_044 << 16
        }),
        (
            "hidden",
            Cause::Permissions,
            "hidden, system and other attributes",
            |e| e.external |= 2,
        ),
        ("comment", Cause::Content, "comment", |e| e.comment = b"x".into()),
        (
            "bytes behind an entry",
            Cause::Content,
            "bytes behind the entry",
            |e| e.behind = b"hidden".into(),
        ),
        (
            "unknown extra field",
            Cause::Content,
            "extra field of unknown kind",
            |e| e.local_extra = record(0x9999, b"x"),
        ),
        (
            "Unix extra field with a mode",
            Cause::Content,
            "extra field of unknown kind",
            |e| {
                e.local_extra = record(0x756e, &[0; 14]);
            },
        ),
        (
            "malformed extra field",
            Cause::Content,
            "extra field of unknown kind",
            |e| e.local_extra = b"\x55\x54\x09".into(),
        ),
        (
            "zeros that align nothing",
            Cause::Content,
            "extra field of unknown kind",
            |e| e.local_extra = vec![0; 6],
        ),
        (
            "alignment that aligns nothing",
            Cause::Content,
            "extra field of unknown kind",
            |e| {
                e.local_extra = record(0xd935, &[0, 16, 0, 0]);
            },
        ),
        (
            "data in the mark of a jar",
            Cause::Content,
            "extra field of unknown kind",
            |e| {
                e.local_extra = record(0xcafe, b"evil");
            },
        ),
        (
            "Unicode path",
            Cause::AmbiguousArchive,
            "Unicode path beside another name",
            |e| {
                let sum = super::super::data::crc(b"a");
                e.central_extra = record(0x7075, &[[1].as_slice(), &sum.to_le_bytes(), b"evil"].concat());
            },
        ),
        (
            "Unicode path of another name",
            Cause::AmbiguousArchive,
            "Unicode path beside another name",
            |e| {
                e.central_extra = record(0x7075, b"\x01\0\0\0\0a");
            },
        ),
        (
            "rest of a ZIP64 field",
            Cause::Content,
            "extra field of unknown kind",
            |e| {
                e.central_extra = record(1, b"evilevil");
            },
        ),
        (
            "descriptor with another CRC",
            Cause::Content,
            "bytes behind the entry",
            |e| {
                e.method = 8;
                e.descriptor = Some(Descriptor {
                    is_signed: true,
                    is_long: false,
                    crc: Some(9),
                });
            },
        ),
        ("stored with a descriptor", Cause::AmbiguousArchive, LOCAL, |e| {
            e.descriptor = Some(Descriptor {
                is_signed: true,
                is_long: false,
                crc: None,
            });
        }),
        (
            "bytes behind the compressed data",
            Cause::Content,
            "bytes behind the compressed data",
            |e| {
                e.method = 8;
                e.packed = Some(b"\x01\x03\0\xfc\xffhi\nevil".into());
            },
        ),
    ];
    let plain = entry("a", "hi\n");
    let last = entry("z", "end\n");
    let released = zip(&[plain.clone(), last.clone()]);
    for (what, cause, place, change) in cases {
        let changed = plain.later().but(change);
        differs(what, &released, &zip(&[changed, last.clone()]), *cause, place);
    }
}

#[test]
fn local_headers_that_are_missing() {
    let entries = [entry("a", "hi\n"), entry("b", "ho\n")];
    let missing = entries[1].but(|e| e.local_patch = vec![(0, b"XX".into())]);
    let (old, new) = (zip(&entries), zip(&[entries[0].later(), missing]));
    for found in [super::compare(&old, &new), super::compare(&new, &old)] {
        let causes: Vec<Cause> = found.causes.iter().map(|cause| cause.cause).collect();
        assert_eq!(causes[0], Cause::Content, "{}", super::told(&found));
        assert!(causes.contains(&Cause::Unread), "{}", super::told(&found));
    }
}

#[test]
fn what_only_some_unpackers_read() {
    let plain = entry("a", "hi\n");
    let encrypted = plain.but(|e| e.flags = 1);
    differs(
        "encrypted",
        &zip(std::slice::from_ref(&plain)),
        &zip(&[encrypted]),
        Cause::Content,
        "encryption",
    );
    for (method, data) in [(9, b"\x4b\x04\0".as_slice()), (98, b"abc")] {
        let unread = plain.but(|e| (e.method, e.packed) = (method, Some(data.into())));
        let other = unread.but(|e| e.packed = Some(b"xyz".into()));
        let found = super::compare(
            &zip(std::slice::from_ref(&plain)),
            &zip(std::slice::from_ref(&unread)),
        );
        let causes: Vec<Cause> = found.causes.iter().map(|cause| cause.cause).collect();
        assert_eq!(causes[0], Cause::Unread, "{}", super::told(&found));
        differs(
            "unread",
            &zip(&[unread]),
            &zip(&[other]),
            Cause::Unread,
            "data that is not read",
        );
    }
}

#[test]
fn names() {
    let plain = entry("caf\u{e9}", "hi\n").but(|e| e.flags = 1 << 11);
    let released = zip(std::slice::from_ref(&plain));
    let flagless = plain.later().but(|e| e.flags = 0);
    differs(
        "encoding",
        &released,
        &zip(&[flagless]),
        Cause::Content,
        "encoding of the name",
    );
    let back = entry("a\\b", "hi\n");
    let by_dos = back.but(|e| (e.made, e.external) = (20, 0));
    differs(
        "backslash",
        &zip(&[back]),
        &zip(&[by_dos]),
        Cause::AmbiguousArchive,
        "backslashes in the name",
    );
    let (file, folder) = (
        entry("a", ""),
        entry("a/", "").but(|e| e.external = 0o040_755 << 16 | 0x10),
    );
    differs(
        "folder",
        &zip(&[file.later()]),
        &zip(&[folder]),
        Cause::Content,
        "type",
    );
    let twice = [entry("a", "1"), entry("a", "2")];
    let swapped = [entry("a", "2").later(), entry("a", "1")];
    differs("repeated", &zip(&twice), &zip(&swapped), Cause::Content, "line 1");
}

#[test]
fn around_entries() {
    let entries = [entry("a", "hi\n"), entry("b", "ho\n")];
    let later = entries.clone().map(|entry| entry.later());
    let cases: &[(&str, Cause, &str, Around)] = &[
        (
            "prefix",
            Cause::Content,
            "bytes before the first entry",
            Around {
                prefix: b"#!/bin/sh\n".into(),
                ..Around::default()
            },
        ),
        (
            "before the directory",
            Cause::Content,
            "bytes between entries and the directory",
            Around {
                before_directory: b"PK\x06\x08\0\0\0\0".into(),
                ..Around::default()
            },
        ),
        (
            "behind the directory",
            Cause::Content,
            "bytes behind the directory",
            Around {
                behind_directory: b"PK\x05\x05\x01\0x".into(),
                ..Around::default()
            },
        ),
        (
            "comment",
            Cause::Content,
            "comment of the archive",
            Around {
                comment: b"hi".into(),
                ..Around::default()
            },
        ),
        (
            "after the end",
            Cause::Content,
            "bytes after the end",
            Around {
                after: b"hi".into(),
                ..Around::default()
            },
        ),
        (
            "disk",
            Cause::AmbiguousArchive,
            "end records against the directory",
            Around {
                end_patch: vec![(4, vec![1])],
                ..Around::default()
            },
        ),
        (
            "fewer entries",
            Cause::AmbiguousArchive,
            "end records against the directory",
            Around {
                end_patch: vec![(8, vec![1, 0, 1, 0])],
                ..Around::default()
            },
        ),
        (
            "second archive in the comment",
            Cause::Content,
            "presence",
            Around {
                comment: zip(&[entry("evil", "x")]),
                ..Around::default()
            },
        ),
        (
            "other numbers of ZIP64",
            Cause::AmbiguousArchive,
            "end records against the directory",
            Around {
                is_zip64: true,
                end_patch: vec![(8, vec![1, 0, 1, 0])],
                ..Around::default()
            },
        ),
    ];
    for (what, cause, place, around) in cases {
        differs(what, &zip(&entries), &zip_in(around, &later), *cause, place);
    }
    let shifted = |is_shifted| Around {
        prefix: b"#!/bin/sh\n".into(),
        is_shifted,
        ..Around::default()
    };
    let (whole, part) = (zip_in(&shifted(false), &entries), zip_in(&shifted(true), &later));
    differs(
        "offsets",
        &whole,
        &part,
        Cause::AmbiguousArchive,
        "end records against the directory",
    );
}

/// All of a long gap is looked at.
#[test]
fn long_gaps() {
    let around = |last: u8| Around {
        before_directory: [vec![1; 3 << 20], vec![last]].concat(),
        ..Around::default()
    };
    let entries = [entry("a", "hi\n")];
    let (old, new) = (
        zip_in(&around(1), &entries),
        zip_in(&around(2), &[entries[0].later()]),
    );
    differs(
        "gap",
        &old,
        &new,
        Cause::Content,
        "bytes between entries and the directory",
    );
}

#[test]
fn a_wrong_crc_is_seen_beside_a_difference_that_is_set_aside() {
    let gz = |time: u8| {
        [
            b"\x1f\x8b\x08\0".as_slice(),
            &[time, 0, 0, 0, 0, 3, 3, 0],
            &[0; 8],
        ]
        .concat()
    };
    let plain = |time: u8| entry("a.gz", "").but(|e| e.data = gz(time));
    let wrong = plain(2).but(|e| {
        e.local_patch = vec![(14, vec![1, 2, 3, 4])];
        e.central_patch = vec![(16, vec![1, 2, 3, 4])];
    });
    let place = "entry that is not what the directory says";
    differs(
        "wrong CRC",
        &zip(&[plain(1)]),
        &zip(&[wrong]),
        Cause::Content,
        place,
    );
}

#[test]
fn entries_that_share_bytes_are_a_limit() {
    let two = [
        entry("a", "hi\n"),
        entry("b", "hi\n").but(|e| e.central_patch = vec![(42, vec![0])]),
    ];
    let found = super::compare(&zip(&two), &zip(&[entry("a", "hi\n")]));
    assert_eq!(found.limits.len(), 1, "{}", super::told(&found));
}

#[test]
fn the_mimetype_of_an_epub_is_first_and_plain() {
    let (kind, text) = (entry("mimetype", "application/epub+zip"), entry("a", "x"));
    let released = zip(&[kind.clone(), text.clone()]);
    let place = "form of the mimetype entry";
    differs(
        "last",
        &released,
        &zip(&[text.clone(), kind.clone()]),
        Cause::Content,
        place,
    );
    differs(
        "deflated",
        &released,
        &zip(&[kind.deflated(), text]),
        Cause::Content,
        place,
    );
}
