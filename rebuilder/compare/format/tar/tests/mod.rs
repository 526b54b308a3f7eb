//! Pairs of tar archives, and the expected findings.

mod changes;
mod each_byte;
mod unpackers;

use super::samples::{Head, archive, deb, file, global, long, padded, pax};
use crate::compare::{Cause, Chosen, Comparison, Normalisation, Options, Outcome, compare_bytes};

fn compared(one: &[Vec<u8>], other: &[Vec<u8>]) -> Comparison {
    compare_bytes("x.tar", &archive(one), &archive(other), &Options::default())
}

fn first_place(found: &Comparison) -> String {
    found
        .causes
        .first()
        .map(|cause| cause.example.place.clone())
        .unwrap_or_default()
}

const LONG: &str = "dddddddddddddddddddddddddddddd/dddddddddddddddddddddddddddddd/dddddddddddddddddddddddddddddd/dddddddddddddddd/a.txt";

fn short() -> &'static [u8] {
    &LONG.as_bytes()[..100]
}

#[test]
fn a_malformed_record_is_a_finding_and_the_rest_is_compared() {
    let broken = |text: &[u8]| {
        let body = [b"9 path=f\n", text].concat();
        let head = Head::new(b"PaxHeaders/f", body.len()).letter(b'x').with(&body);
        vec![head, file("f", b"1\n")]
    };
    let found = compared(&broken(b""), &broken(b"99 path=evil\n"));
    assert_eq!(found.causes[0].cause, Cause::AmbiguousArchive);
    assert!(found.causes.iter().all(|cause| cause.cause != Cause::Unread));
}

#[test]
fn one_value_in_two_spellings_is_set_aside() {
    let head = || Head::new(b"f", 2);
    let cases = [
        ("type NUL", head(), head().letter(0)),
        ("GNU", head(), head().gnu()),
        ("v7", head(), head().at(257, &[0; 8])),
        (
            "spaces",
            head(),
            head().at(100, b"   644 \0").at(124, b"          2 "),
        ),
        (
            "no end",
            head(),
            head().at(100, b"00000644").at(136, b"014524770400"),
        ),
        ("base 256", head(), head().at(108, b"\x80\0\0\0\0\0\0\0")),
        ("device numbers", head(), head().at(329, b"0000000\x000000000\0")),
        ("no digits", head(), head().at(108, &[0; 16])),
        ("mode with the type", head(), head().at(100, b"0100644\0")),
        (
            "times as npm writes them",
            head(),
            head().at(476, b"14524770400 14524770400 "),
        ),
        (
            "times as star writes them",
            head(),
            head().at(476, b"14524770400 14524770400 ").at(508, b"tar\0"),
        ),
        (
            "prefix",
            Head::new(b"d/e/f", 2),
            Head::new(b"f", 2).at(345, b"d/e"),
        ),
    ];
    for (what, one, other) in cases {
        let found = compared(&[one.with(b"1\n")], &[other.with(b"1\n")]);
        assert_eq!(found.outcome, Outcome::Equivalent, "{what}: {:?}", found.causes);
        assert!(
            found
                .causes
                .iter()
                .all(|cause| cause.cause == Cause::ArchiveDialect),
            "{what}"
        );
    }
}

#[test]
fn a_contiguous_file_is_not_a_file_to_all_readers() {
    let head = || Head::new(b"f", 2);
    let found = compared(&[head().with(b"1\n")], &[head().letter(b'7').with(b"1\n")]);
    assert_eq!(
        (found.outcome, found.causes[0].cause),
        (Outcome::Different, Cause::AmbiguousArchive)
    );
}

#[test]
fn a_deb_that_dpkg_refuses_is_not_another_spelling() {
    let plain = || file("f", b"1\n");
    let refused = [
        vec![pax(&[("mtime", "1700000000")]), plain()],
        vec![Head::new(b"f", 2).letter(b'7').with(b"1\n")],
    ];
    for members in refused {
        let (old, new) = (deb(&archive(&[plain()])), deb(&archive(&members)));
        let found = compare_bytes("x.deb", &old, &new, &Options::default());
        assert_eq!(
            (found.outcome, found.causes[0].cause),
            (Outcome::Different, Cause::AmbiguousArchive),
            "{:?}",
            found.causes
        );
    }
}

#[test]
fn extended_headers_say_the_same_in_each_dialect() {
    let data = || b"1\n".as_slice();
    let plain = Head::new(&LONG.as_bytes()[110..], 2)
        .at(345, &LONG.as_bytes()[..109])
        .with(data());
    let gnu = [long(b'L', LONG, b""), Head::new(short(), 2).gnu().with(data())].concat();
    let posix = [
        pax(&[("path", LONG), ("mtime", "1700000000.5"), ("atime", "1")]),
        Head::new(short(), 2).with(data()),
    ]
    .concat();
    let npm = [
        pax(&[("path", LONG), ("uid", "0"), ("size", "2"), ("SCHILY.ino", "7")]),
        Head::new(short(), 2).with(data()),
    ]
    .concat();
    let all = [plain, gnu, posix, npm];
    for one in &all {
        for other in &all {
            let found = compared(std::slice::from_ref(one), std::slice::from_ref(other));
            assert_ne!(found.outcome, Outcome::Different, "{:?}", found.causes);
            assert!(
                found
                    .causes
                    .iter()
                    .all(|cause| cause.cause == Cause::ArchiveDialect),
                "{:?}",
                found.causes
            );
        }
    }
}

fn sparse(name: &str, map: &str, blocks: &str, stored: &[u8], pid: &str) -> Vec<Vec<u8>> {
    let records = [
        ("GNU.sparse.major", "0"),
        ("GNU.sparse.minor", "1"),
        ("GNU.sparse.name", name),
        ("GNU.sparse.numblocks", blocks),
        ("GNU.sparse.size", "4096"),
        ("GNU.sparse.map", map),
    ];
    let head = Head::new(format!("GNUSparseFile.{pid}/f").as_bytes(), stored.len());
    vec![pax(&records), head.with(stored)]
}

#[test]
fn a_sparse_file_is_what_it_unpacks_to() {
    let stored = [[b'A'; 512], [b'B'; 512]].concat();
    let usual = || sparse("f", "512,512,2048,512", "2", &stored, "1");
    let first = |other: &[Vec<u8>]| compared(&usual(), other).causes[0].cause;
    assert_eq!(
        first(&sparse("g", "512,512,2048,512", "2", &stored, "1")),
        Cause::Content
    );
    assert_eq!(
        first(&sparse("f", "0,512,2048,512", "2", &stored, "1")),
        Cause::Content
    );
    for broken in [
        "2048,512,512,512",
        "512,512,2048",
        "512,512,2048,512,1,1",
        "512,512,3900,512",
        "512,512,2048,0512",
    ] {
        assert_eq!(
            first(&sparse("f", broken, "2", &stored, "1")),
            Cause::Content,
            "{broken}"
        );
    }
    assert_eq!(
        first(&sparse("f", "512,512,2048,512", "3", &stored, "1")),
        Cause::Content
    );
    let process = compared(&usual(), &sparse("f", "512,512,2048,512", "2", &stored, "77"));
    assert_eq!(
        (process.outcome, process.causes[0].cause),
        (Outcome::Equivalent, Cause::Randomness)
    );
}

/// A sparse file in GNU's format 1.0, with its map before the data.
fn version_1(stored: &[u8]) -> Vec<Vec<u8>> {
    let map = padded(b"2\n512\n512\n2048\n512\n");
    let records = [
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.name", "f"),
        ("GNU.sparse.realsize", "4096"),
    ];
    let bytes = [&map[..], stored].concat();
    vec![
        pax(&records),
        Head::new(b"./GNUSparseFile.1/f", bytes.len()).with(&bytes),
    ]
}

#[test]
fn forms_of_a_sparse_file_unpack_to_the_same() {
    let stored = [[b'A'; 512], [b'B'; 512]].concat();
    let usual = || sparse("f", "512,512,2048,512", "2", &stored, "1");
    let first = |other: &[Vec<u8>]| compared(&usual(), other).causes[0].cause;
    let mut whole = vec![0; 4096];
    whole[512..1024].fill(b'A');
    whole[2048..2560].fill(b'B');
    let all_zero = |mut whole: Vec<u8>, at: usize| {
        whole[at] = 1;
        whole
    };
    let plain = |bytes: &[u8]| vec![file("f", bytes)];
    assert_eq!(
        first(&plain(&whole)),
        Cause::ArchiveDialect,
        "{:?}",
        compared(&usual(), &plain(&whole)).causes
    );
    assert_eq!(compared(&usual(), &plain(&whole)).outcome, Outcome::Different);
    assert_eq!(first(&plain(&all_zero(whole.clone(), 3000))), Cause::Content);

    let version_1 = version_1(&stored);
    let old = {
        let head = Head::new(b"f", 1024).gnu().letter(b'S').at(483, b"00000010000\0");
        let head = head
            .at(386, b"00000001000\x0000000001000\0")
            .at(410, b"00000004000\x0000000001000\0");
        vec![head.with(&stored)]
    };
    let options = Options {
        normalise: Chosen::parse("default,tar-sparse").unwrap(),
        ..Options::default()
    };
    for (one, other) in [
        (usual(), version_1.clone()),
        (usual(), old),
        (version_1, plain(&whole)),
    ] {
        let found = compare_bytes("x.tar", &archive(&one), &archive(&other), &options);
        assert_eq!(found.outcome, Outcome::Equivalent, "{:?}", found.causes);
        assert!(
            found
                .normalisations
                .iter()
                .any(|used| used.name == Normalisation::TarSparse)
        );
    }
}

#[test]
fn the_commit_that_git_writes_is_the_revision_of_the_source() {
    let commit = |digit: &str| vec![global(&[("comment", &digit.repeat(40))]), file("f", b"1\n")];
    let found = compared(&commit("a"), &commit("b"));
    assert_eq!(
        (found.outcome, found.causes[0].cause),
        (Outcome::Different, Cause::SourceRevision)
    );
    let found = compared(&commit("a"), &[file("f", b"1\n")]);
    assert_eq!(
        (found.outcome, found.causes[0].cause),
        (Outcome::Different, Cause::ArchiveDialect)
    );
}

#[test]
fn what_was_before_packing_is_set_aside_where_nothing_installs_it() {
    let with = |records: &[(&str, &str)]| vec![pax(records), file("f", b"1\n")];
    let inode = compared(&with(&[("SCHILY.ino", "1")]), &with(&[("SCHILY.ino", "2")]));
    assert_eq!(
        (inode.outcome, inode.causes[0].cause),
        (Outcome::Equivalent, Cause::Randomness)
    );
    let origin = |url| with(&[("SCHILY.xattr.user.xdg.origin.url", url)]);
    // A member of an unknown kind may be unpacked as anything.
    assert_eq!(
        compared(&origin("https://a"), &origin("https://b")).outcome,
        Outcome::Different
    );
    let installed = |url| deb(&archive(&origin(url)));
    let found = compare_bytes(
        "x.deb",
        &installed("https://a"),
        &installed("https://b"),
        &Options::default(),
    );
    assert_eq!(found.outcome, Outcome::Different);
    assert_eq!(first_place(&found), "pax records of the origin");
}

#[test]
fn an_attribute_that_bsdtar_writes_twice_is_one() {
    let xattr = |value: &str| ("SCHILY.xattr.user.a", value.to_owned());
    let again = |value: &str| ("LIBARCHIVE.xattr.user.a", value.to_owned());
    let with = |records: &[(&str, String)]| {
        let records: Vec<_> = records.iter().map(|(key, value)| (*key, &**value)).collect();
        vec![pax(&records), file("f", b"1\n")]
    };
    let gnu = with(&[xattr("bar")]);
    assert_eq!(
        compared(&gnu, &with(&[again("YmFy"), xattr("bar")])).outcome,
        Outcome::Equivalent
    );
    for other in [
        with(&[again("YmFz"), xattr("bar")]),
        with(&[again("YmFy"), xattr("baz")]),
        with(&[again("YmFy")]),
    ] {
        assert_eq!(compared(&gnu, &other).causes[0].cause, Cause::Content);
    }
}

#[test]
fn hard_links_name_the_same_member_with_and_without_a_dot() {
    // In a Debian package: dpkg cleans both.
    let compared = |one: &[Vec<u8>], other: &[Vec<u8>]| {
        let (one, other) = (deb(&archive(one)), deb(&archive(other)));
        compare_bytes("x.deb", &one, &other, &Options::default())
    };
    let tree = |dot: &str| {
        let link = Head::new(format!("{dot}g").as_bytes(), 0).letter(b'1');
        let link = link.at(157, format!("{dot}f").as_bytes()).with(b"");
        vec![file(&format!("{dot}f"), b"1\n"), link]
    };
    assert_eq!(compared(&tree(""), &tree("./")).outcome, Outcome::Equivalent);
    assert_eq!(compared(&tree(""), &tree("/")).outcome, Outcome::Different);
}
