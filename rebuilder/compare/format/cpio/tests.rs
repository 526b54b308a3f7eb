//! Archives in all dialects, written by hand.

use crate::compare::{Cause, Comparison, Options, Outcome, compare_bytes};

/// One member in the new format.
#[derive(Clone, Copy)]
struct File<'a> {
    magic: &'a str,
    path: &'a str,
    data: &'a [u8],
    mode: u32,
    inode: u32,
    links: u32,
    time: u32,
    sum: u32,
}

const FILE: File = File {
    magic: "070701",
    path: "",
    data: b"",
    mode: 0o100_644,
    inode: 7,
    links: 1,
    time: 1_700_000_000,
    sum: 0,
};
const END: File = File {
    path: "TRAILER!!!",
    mode: 0,
    inode: 0,
    time: 0,
    ..FILE
};

fn pad(bytes: &mut Vec<u8>, block: usize) {
    bytes.resize(bytes.len().next_multiple_of(block), 0);
}

fn archive(files: &[File]) -> Vec<u8> {
    written(&[files, &[END]].concat())
}

fn written(files: &[File]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for file in files {
        bytes.extend(file.magic.bytes());
        let numbers = [file.inode, file.mode, 0, 0, file.links, file.time];
        let home = if file.mode == 0 { [0, 0] } else { [8, 1] };
        let sizes = [file.data.len(), home[0], home[1], 0, 0, file.path.len() + 1];
        for number in numbers.iter().map(|number| *number as usize).chain(sizes) {
            bytes.extend(format!("{number:08X}").bytes());
        }
        bytes.extend(format!("{:08X}{}\0", file.sum, file.path).bytes());
        pad(&mut bytes, 4);
        bytes.extend_from_slice(file.data);
        pad(&mut bytes, 4);
    }
    bytes
}

fn old_ascii(path: &str, data: &[u8], mode: u32) -> Vec<u8> {
    let name = path.len() + 1;
    let size = data.len();
    let time = if mode == 0 { 0 } else { FILE.time };
    let header = format!(
        "070707{:06o}{:06o}{mode:06o}{:06o}{:06o}{:06o}{:06o}{time:011o}{name:06o}{size:011o}{path}\0",
        0, 0, 0, 0, 1, 0
    );
    [header.as_bytes(), data].concat()
}

fn size(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn old_binary(path: &str, data: &[u8], mode: u16, little: bool) -> Vec<u8> {
    let word = |value: u32| u16::try_from(value & 0xffff).unwrap_or(0);
    let time = if mode == 0 { 0 } else { FILE.time };
    let (name, size) = (size(path.as_bytes()) + 1, size(data));
    let words = [
        0o070_707,
        0,
        0,
        mode,
        0,
        0,
        1,
        0,
        word(time >> 16),
        word(time),
        word(name),
        word(size >> 16),
        word(size),
    ];
    let mut bytes: Vec<u8> = words
        .into_iter()
        .flat_map(|word: u16| {
            if little {
                word.to_le_bytes()
            } else {
                word.to_be_bytes()
            }
        })
        .collect();
    bytes.extend(path.bytes().chain([0]));
    pad(&mut bytes, 2);
    bytes.extend_from_slice(data);
    pad(&mut bytes, 2);
    bytes
}

fn compared(released: &[u8], rebuilt: &[u8]) -> Comparison {
    compare_bytes("x.cpio", released, rebuilt, &Options::default())
}

fn causes(comparison: &Comparison) -> Vec<(Cause, &str)> {
    let causes = comparison.causes.iter();
    causes
        .map(|cause| (cause.cause, cause.example.place.as_str()))
        .collect()
}

#[test]
fn every_byte_is_a_field_or_content() {
    let (a, b) = (
        File {
            path: "a",
            data: b"one",
            ..FILE
        },
        File {
            path: "b",
            data: b"two",
            ..FILE
        },
    );
    let good = archive(&[a, b]);
    for at in 0..good.len() {
        let mut other = good.clone();
        other[at] ^= 1;
        let found = compared(&good, &other);
        // Inode, number of links, and device of the file system.
        let benign = [0, 116].iter().any(|start| {
            let at = at.wrapping_sub(*start);
            (6..14).contains(&at) || (38..46).contains(&at) || (62..78).contains(&at)
        });
        assert_eq!(
            found.outcome == Outcome::Equivalent,
            benign,
            "{at} {:?}",
            found.tree
        );
    }
}

#[test]
fn the_dialects_hold_the_same() {
    let new = archive(&[File {
        path: "a",
        data: b"one",
        inode: 0,
        ..FILE
    }]);
    let old = [old_ascii("a", b"one", 0o100_644), old_ascii(END.path, b"", 0)].concat();
    for little in [false, true] {
        let binary = [
            old_binary("a", b"one", 0o100_644, little),
            old_binary(END.path, b"", 0, little),
        ]
        .concat();
        let found = compared(&old, &binary);
        assert_eq!(
            causes(&found),
            [(Cause::ArchiveDialect, "header")],
            "{:?}",
            found.tree
        );
        let other = [
            old_binary("a", b"two", 0o100_644, little),
            old_binary(END.path, b"", 0, little),
        ]
        .concat();
        assert_eq!(causes(&compared(&old, &other))[0].0, Cause::Content);
    }
    let found = compared(&new, &old);
    assert_eq!(found.causes[0].cause, Cause::ArchiveDialect, "{:?}", found.tree);
    assert!(causes(&found).contains(&(Cause::ArchiveDialect, "header")));
    assert!(found.causes.iter().all(|cause| cause.cause != Cause::Content));
}

#[test]
fn sums_are_added_up() {
    let file = |data, sum| {
        archive(&[File {
            magic: "070702",
            path: "a",
            data,
            sum,
            ..FILE
        }])
    };
    let found = compared(&file(b"ab", 195), &file(b"ab", 196));
    assert_eq!(
        causes(&found),
        [(Cause::Content, "sums that do not fit the contents")]
    );
    let found = compared(&file(b"ab", 195), &file(b"ac", 196));
    assert_eq!(found.causes.len(), 1, "{:?}", found.tree);
    let none = |sum| {
        archive(&[File {
            path: "a",
            sum,
            ..FILE
        }])
    };
    assert_eq!(
        causes(&compared(&none(0), &none(1))),
        [(Cause::Content, "sum in a format without sums")]
    );
}

/// A folder, a file and a link, each in the form with sums if the letter for it is in `summed`; `e` is the end mark.
fn in_forms(summed: &str) -> Vec<u8> {
    let file = |letter: char, file: File<'static>| {
        let is_summed = summed.contains(letter);
        let is_file = file.mode & 0o170_000 == 0o100_000;
        let bytes = file.data.iter().map(|byte| u32::from(*byte));
        File {
            magic: if is_summed { "070702" } else { "070701" },
            sum: if is_summed && is_file { bytes.sum() } else { 0 },
            ..file
        }
    };
    let folder = File {
        path: "d",
        mode: 0o040_755,
        ..FILE
    };
    let (text, link) = (
        File {
            path: "d/f",
            data: b"text",
            ..FILE
        },
        File {
            path: "l",
            data: b"d/f",
            mode: 0o120_777,
            ..FILE
        },
    );
    written(&[
        file('d', folder),
        file('f', text),
        file('l', link),
        file('e', END),
    ])
}

#[test]
fn right_sums_are_set_aside() {
    let found = compared(&in_forms(""), &in_forms("dfle"));
    assert_eq!(found.outcome, Outcome::Equivalent, "{:?}", found.tree);
    assert_eq!(causes(&found), [(Cause::ArchiveDialect, "checksum")]);
    let names: Vec<_> = found
        .normalisations
        .iter()
        .map(|applied| applied.name.name())
        .collect();
    assert_eq!(names, ["cpio-checksums"]);
    // The sum of the file, in its last digit.
    let good = in_forms("dfle");
    let at = good.windows(4).position(|bytes| bytes == b"d/f\0").unwrap() - 1;
    let mut wrong = good;
    wrong[at] ^= 1;
    let found = compared(&in_forms(""), &wrong);
    assert_eq!(found.outcome, Outcome::Different);
    assert_eq!(
        causes(&found)[0],
        (Cause::Content, "sums that do not fit the contents")
    );
}

#[test]
fn headers_of_two_forms_in_one_archive_are_ambiguous() {
    for mixed in ["d", "f", "l", "e", "dfl", "dfe", "fle"] {
        for whole in ["", "dfle"] {
            let found = compared(&in_forms(whole), &in_forms(mixed));
            assert_eq!(found.outcome, Outcome::Different, "{whole} {mixed}");
            let expected = (
                Cause::AmbiguousArchive,
                "headers in another format than the first",
            );
            assert!(
                causes(&found).contains(&expected),
                "{whole} {mixed}: {:?}",
                found.tree
            );
        }
    }
}

#[test]
fn order_and_inodes_are_set_aside_but_not_links_and_late_folders() {
    let folder = File {
        path: "d",
        mode: 0o040_755,
        ..FILE
    };
    let (in_it, a) = (
        File {
            path: "d/x",
            data: b"x",
            ..FILE
        },
        File {
            path: "a",
            data: b"a",
            ..FILE
        },
    );
    let found = compared(&archive(&[folder, in_it, a]), &archive(&[a, folder, in_it]));
    assert_eq!(found.outcome, Outcome::Equivalent, "{:?}", found.tree);
    let late = compared(&archive(&[folder, in_it, a]), &archive(&[a, in_it, folder]));
    assert_eq!(causes(&late)[0], (Cause::Content, "order of members"));
    let linked = |inode| File {
        path: "b",
        data: b"a",
        inode,
        links: 2,
        ..FILE
    };
    let a = File { links: 2, ..a };
    let found = compared(&archive(&[a, linked(7)]), &archive(&[a, linked(8)]));
    assert_eq!(causes(&found)[0], (Cause::Content, "hard link"));
    let both = |inode| archive(&[File { inode, ..a }, linked(inode)]);
    assert_eq!(compared(&both(7), &both(8)).outcome, Outcome::Equivalent);
    // GNU cpio waits for the other names of an empty file.
    let empty = |links| {
        let file = File {
            path: "e",
            links,
            ..FILE
        };
        archive(&[file])
    };
    assert_eq!(compared(&empty(2), &empty(3)).outcome, Outcome::Equivalent);
    let found = compared(&empty(1), &empty(3));
    assert_eq!(causes(&found)[0].0, Cause::AmbiguousArchive);
}

#[test]
fn another_archive_behind_the_first_is_read_too() {
    let one = |data| {
        archive(&[File {
            path: "a",
            data,
            ..FILE
        }])
    };
    let mut first = one(b"one");
    pad(&mut first, 512);
    let two = |data| [first.clone(), one(data)].concat();
    let found = compared(&two(b"two"), &two(b"2"));
    let tree = found.tree.as_ref().map(|tree| tree.children.len());
    assert_eq!(
        (causes(&found)[0].0, tree),
        (Cause::Content, Some(1)),
        "{:?}",
        found.tree
    );
    let found = compared(&first, &two(b"two"));
    assert!(causes(&found).contains(&(Cause::AmbiguousArchive, "paths that unpackers read differently")));
    let packed = |data: &[u8]| {
        let mut gzip = flate2::write::GzEncoder::new(first.clone(), flate2::Compression::default());
        std::io::Write::write_all(&mut gzip, data)
            .and_then(|()| gzip.finish())
            .unwrap_or_default()
    };
    let found = compared(&packed(&one(b"two")), &packed(&one(b"2")));
    let inner = found.tree.as_ref().and_then(|tree| tree.children.first());
    assert_eq!(
        inner.map(|node| node.format.as_str()),
        Some("gzip, cpio"),
        "{:?}",
        found.tree
    );
    let found = compared(&first, &[first.as_slice(), b"\0\0\0\0hidden"].concat());
    assert!(
        causes(&found).contains(&(Cause::Content, "bytes after the end")),
        "{:?}",
        found.tree
    );
}

#[test]
fn text_that_begins_like_an_archive_is_text() {
    let [old, new] = [b"070701 log of 2024-01-02\n", b"070701 log of 2024-01-03\n"];
    let found = compare_bytes("log", old, new, &Options::default());
    let format = found.tree.as_ref().map(|tree| tree.format.as_str());
    assert_eq!((causes(&found)[0].0, format), (Cause::Timestamp, Some("text")));
}

#[test]
fn an_archive_that_the_kernel_does_not_find_is_ambiguous() {
    let (one, other) = (
        archive(&[File { path: "a", ..FILE }]),
        archive(&[File { path: "b", ..FILE }]),
    );
    let with = |zeros: usize| [one.as_slice(), &vec![0; zeros], &other].concat();
    assert_eq!(
        causes(&compared(&with(0), &with(3)))[0],
        (Cause::AmbiguousArchive, "offset of a further archive")
    );
    assert_eq!(
        causes(&compared(&with(0), &with(512)))[0].0,
        Cause::ArchiveDialect
    );
}

#[test]
fn bits_beyond_the_mode_are_content() {
    let with = |mode: u32| {
        archive(&[File {
            path: "a",
            mode,
            ..FILE
        }])
    };
    let found = compared(&with(0o100_644), &with(0o10_000_100_644));
    assert_eq!(causes(&found)[0], (Cause::Content, "bits beyond the mode"));
}
