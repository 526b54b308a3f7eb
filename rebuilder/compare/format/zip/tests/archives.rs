//! Whole archives that are not equivalent, and every byte of one.

use super::writer::{Around, Descriptor, Entry, entry, record, unix_time, zip, zip_in};
use super::{compare, differs, set_aside, told};
use crate::compare::{Cause, Outcome};

/// If any bit is changed together with a time, something is reported besides the time.
#[test]
fn every_bit_is_in_some_field() {
    let unix = |seconds| [unix_time(seconds), record(0x7875, &[1, 1, 5, 1, 5])].concat();
    let late = Descriptor {
        is_signed: true,
        is_long: false,
        crc: None,
    };
    let entries = [
        entry("a.txt", "hi, hi, hi, hi\n").but(|e| (e.local_extra, e.central_extra) = (unix(9), unix(9))),
        entry("b", "ho, ho, ho, ho, ho\n")
            .deflated()
            .but(|e| (e.descriptor, e.comment) = (Some(late), b"note".into())),
        entry("d/", "").but(|e| (e.external, e.made) = (0x10, 20)),
    ];
    let around = Around {
        prefix: b"#!/x\n".into(),
        comment: b"comment".into(),
        is_zip64: true,
        ..Around::default()
    };
    every_bit(&around, &entries);
    let ntfs = record(10, &[[0, 0, 0, 0, 1, 0, 24, 0].as_slice(), &[1; 24]].concat());
    let sum = crate::compare::format::zip::data::crc(b"n");
    let name = record(0x7075, &[[1].as_slice(), &sum.to_le_bytes(), b"n"].concat());
    let zip64 = record(1, &[3, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
    let entries = [
        entry("n", "x\n")
            .but(|e| (e.local_extra, e.central_extra) = (record(0x5855, &[1; 12]), [ntfs, name].concat())),
        entry("l", "hi\n").but(|e| {
            e.local_extra = [zip64.clone(), record(0xd935, &[4, 0])].concat();
            e.central_extra = zip64;
            e.local_patch = vec![(18, vec![0xff; 8])];
            e.central_patch = vec![(20, vec![0xff; 8])];
        }),
    ];
    every_bit(&Around::default(), &entries);
}

fn every_bit(around: &Around, entries: &[Entry]) {
    let later: Vec<Entry> = entries.iter().map(Entry::later).collect();
    let (released, rebuilt) = (zip_in(around, entries), zip_in(around, &later));
    let alone = compare(&released, &rebuilt).tree;
    for at in 0..rebuilt.len() {
        for bit in 0..8 {
            let mut flipped = rebuilt.clone();
            flipped[at] ^= 1 << bit;
            if flipped == released {
                continue;
            }
            let found = compare(&released, &flipped);
            assert!(found.tree != alone, "byte {at:#x}, bit {bit}: {}", told(&found));
        }
    }
}

#[test]
fn local_headers_that_are_missing() {
    let entries = [entry("a", "hi\n"), entry("b", "ho\n")];
    let missing = entries[1].but(|e| e.local_patch = vec![(0, b"XX".into())]);
    let (old, new) = (zip(&entries), zip(&[entries[0].later(), missing]));
    for found in [compare(&old, &new), compare(&new, &old)] {
        let causes: Vec<Cause> = found.causes.iter().map(|cause| cause.cause).collect();
        assert_eq!(causes[0], Cause::Content, "{}", told(&found));
        assert!(causes.contains(&Cause::Unread), "{}", told(&found));
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
    for (method, data) in [(6, b"\x4b\x04\0".as_slice()), (98, b"abc")] {
        let unread = plain.but(|e| (e.method, e.packed) = (method, Some(data.into())));
        let other = unread.but(|e| e.packed = Some(b"xyz".into()));
        let found = compare(
            &zip(std::slice::from_ref(&plain)),
            &zip(std::slice::from_ref(&unread)),
        );
        let causes: Vec<Cause> = found.causes.iter().map(|cause| cause.cause).collect();
        assert_eq!(causes[0], Cause::Unread, "{}", told(&found));
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

// One long table.
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

/// Readers of streams see the order of the data, which differs from that of the directory here.
#[test]
fn order_of_the_data() {
    let entries = [entry("a", "hi\n"), entry("b", "ho\n")];
    let released = zip(&entries);
    let swapped = zip(&[entries[1].later(), entries[0].later()]);
    let directory = swapped.len() - 22 - 2 * 47;
    let (data, rest) = swapped.split_at(directory);
    let (first, rest) = rest.split_at(47);
    let (second, end) = rest.split_at(47);
    let rebuilt = [data, second, first, end].concat();
    let found = compare(&released, &rebuilt);
    let places: Vec<&str> = found
        .causes
        .iter()
        .map(|cause| cause.example.place.as_str())
        .collect();
    assert!(places.contains(&"order of the entries' data"), "{places:?}");
    assert_eq!(found.outcome, Outcome::Different);
}

/// A long gap is read completely.
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
    let found = compare(&zip(&two), &zip(&[entry("a", "hi\n")]));
    assert_eq!(found.limits.len(), 1, "{}", told(&found));
}

#[test]
fn unzip_gives_a_folder_no_mode_that_comes_after_its_files() {
    let folder = entry("d/", "").but(|e| e.external = 0o040_700 << 16 | 0x10);
    let file = entry("d/a", "1\n");
    let found = compare(
        &zip(&[folder.clone(), file.clone()]),
        &zip(&[file.clone(), folder.clone()]),
    );
    assert_eq!(found.outcome, Outcome::Different, "{}", told(&found));
    let other = entry("b", "2\n");
    set_aside(
        "another file",
        &zip(&[folder.clone(), file.clone(), other.clone()]),
        &zip(&[other, folder, file]),
        &["zip-file-order"],
    );
}
