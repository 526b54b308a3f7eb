//! Archives that look alike, but that GNU tar, bsdtar or Python unpack to different trees.

use super::{Head, archive, compared, deb, file, long, pax};
use crate::compare::{Cause, Options, Outcome, compare_bytes};

fn member(name: &str, letter: u8, mode: &[u8]) -> Head {
    Head::new(name.as_bytes(), 0).letter(letter).at(100, mode)
}

fn hard(name: &str, mode: &[u8]) -> Vec<u8> {
    member(name, b'1', mode).at(157, b"f").with(b"")
}

#[test]
fn a_file_that_is_written_as_a_folder_is_refused_by_unpackers() {
    for name in ["f/.", "./f/."] {
        let found = compared(&[file("f", b"1\n")], &[file(name, b"1\n")]);
        assert_eq!(found.causes[0].cause, Cause::AmbiguousArchive, "{name}");
    }
    let to = |target: &[u8]| {
        vec![
            file("f", b"1\n"),
            member("g", b'1', b"0000644\0").at(157, target).with(b""),
        ]
    };
    assert_eq!(compared(&to(b"f"), &to(b"f/.")).outcome, Outcome::Different);
    let folder = |name| [member(name, b'5', b"0000755\0").with(b"")];
    assert_eq!(compared(&folder("d/"), &folder("d")).outcome, Outcome::Equivalent);
}

/// A reader, an archive with a beginning of each path, the cause, and whether it is equivalent.
type Case<'a> = (&'a str, &'a dyn Fn(&str) -> Vec<u8>, Cause, bool);

#[test]
fn other_components_of_a_path_count_unless_its_reader_is_known_to_drop_them() {
    use Cause::{ArchiveDialect, Content};
    let layer = |dot: &str| {
        let name = "0".repeat(64);
        let inner = archive(&[file(&format!("{dot}etc/a"), b"1\n")]);
        archive(&[file(&format!("blobs/sha256/{name}"), &inner)])
    };
    let plain = |names: &[&str], dot: &str| {
        let members: Vec<_> = names
            .iter()
            .map(|name| file(&format!("{dot}{name}"), b"1\n"))
            .collect();
        archive(&members)
    };
    let link = |dot: &str| {
        let link = member("g", b'1', b"0000644\0").at(157, format!("{dot}f").as_bytes());
        archive(&[file("f", b"1\n"), link.with(b"")])
    };
    let cases: [Case; 9] = [
        (
            "a tar archive",
            &|dot| plain(&["x/a"], dot),
            ArchiveDialect,
            false,
        ),
        ("a hard link", &link, ArchiveDialect, false),
        (
            "npm",
            &|dot| plain(&["package/package.json"], dot),
            Content,
            false,
        ),
        (
            "cargo",
            &|dot| plain(&["x-1/Cargo.toml", "x-1/Cargo.toml.orig"], dot),
            Content,
            false,
        ),
        ("pip", &|dot| plain(&["x-1.0/PKG-INFO"], dot), Content, false),
        (
            "gem",
            &|dot| plain(&["metadata.gz", "data.tar.gz"], dot),
            Content,
            false,
        ),
        ("apk", &|dot| plain(&[".PKGINFO", "usr/a"], dot), Content, false),
        ("dpkg", &|dot| deb(&plain(&["usr/a"], dot)), ArchiveDialect, true),
        ("containerd", &layer, ArchiveDialect, true),
    ];
    for (reader, archive, cause, equivalent) in cases {
        let found = compare_bytes("x", &archive(""), &archive("./"), &Options::default());
        assert_eq!(found.causes[0].cause, cause, "{reader}: {:?}", found.causes);
        assert_eq!(
            found.outcome == Outcome::Equivalent,
            equivalent,
            "{reader}: {:?}",
            found.causes
        );
    }
}

#[test]
fn a_whiteout_removes_what_is_before_it_in_the_same_layer() {
    for after in ["etc/a", "etc/a/b"] {
        let members = [file(after, b"1\n"), file("etc/.wh.a", b"")];
        let (late, early) = (members.clone(), [members[1].clone(), members[0].clone()]);
        let found = compared(&early, &late);
        assert_eq!(found.causes[0].cause, Cause::Content, "{:?}", found.causes);
        assert!(
            found.causes[0].example.rebuilt.contains("etc/.wh.a"),
            "{:?}",
            found.causes
        );
    }
    let other = [file("etc/b", b"1\n"), file("etc/.wh.a", b"")];
    let swapped = [other[1].clone(), other[0].clone()];
    assert_eq!(compared(&other, &swapped).outcome, Outcome::Equivalent);
}

#[test]
fn a_folder_without_the_letter_of_one_is_read_differently() {
    let folder = |letter| member("d/", letter, b"0000755\0").with(b"");
    let found = compared(&[folder(b'5')], &[folder(0)]);
    assert_eq!(found.causes[0].cause, Cause::AmbiguousArchive);
    // Python uses the name in the header.
    let short = |name| vec![long(b'L', "d/", b"\0"), member(name, 0, b"0000755\0").with(b"")];
    let found = compared(&short("d/"), &short("d"));
    assert_eq!(found.outcome, Outcome::Different);
}

#[test]
fn the_last_hard_link_gives_a_file_its_mode() {
    let (plain, set) = (hard("g", b"0000600\0"), hard("h", b"0004755\0"));
    let first = file("f", b"1\n");
    let one = [first.clone(), plain.clone(), set.clone()];
    let found = compared(&one, &[first.clone(), set.clone(), plain]);
    assert_eq!(found.outcome, Outcome::Different, "{:?}", found.causes);
    let same = hard("g", b"0000644\0");
    let found = compared(&[first.clone(), same.clone(), set.clone()], &[first, set, same]);
    assert_eq!(found.outcome, Outcome::Different, "{:?}", found.causes);
    let links = [hard("g", b"0000644\0"), hard("h", b"0000644\0")];
    let one = [file("f", b"1\n"), links[0].clone(), links[1].clone()];
    let found = compared(&one, &[one[0].clone(), one[2].clone(), one[1].clone()]);
    assert_eq!(found.outcome, Outcome::Equivalent, "{:?}", found.causes);
}

#[test]
fn python_writes_through_a_link_that_is_replaced() {
    let link = member("f", b'2', b"0000777\0").at(157, b"d/e").with(b"");
    let rest = [file("f", b"1\n"), file("d/x", b"2\n")];
    let found = compared(
        &[link.clone(), rest[0].clone(), rest[1].clone()],
        &[link, rest[1].clone(), rest[0].clone()],
    );
    assert_eq!(found.outcome, Outcome::Different, "{:?}", found.causes);
}

#[test]
fn how_a_folder_is_written_that_comes_with_two_modes_matters() {
    let folder = |name, mode| member(name, b'5', mode).with(b"");
    let twice = |name| [folder("l/", b"0001777\0"), folder(name, b"0002755\0")];
    let found = compared(&twice("l/"), &twice("l//"));
    assert_eq!(found.outcome, Outcome::Different, "{:?}", found.causes);
}

#[test]
fn bsdtar_composes_names_of_pax_records_and_refuses_what_is_not_text() {
    let path = "e\u{301}";
    let composed = "\u{e9}";
    for (path, wanted) in [(path, Outcome::Different), (composed, Outcome::Equivalent)] {
        let one = [file(path, b"1\n")];
        let found = compared(&one, &[pax(&[("path", path)]), file(path, b"1\n")]);
        assert_eq!(found.outcome, wanted, "{path}: {:?}", found.causes);
    }
    let plain = Head::new(b"\xe9", 2).with(b"1\n");
    let record = Head::new(b"PaxHeaders/x", 9).letter(b'x').with(b"9 path=\xe9\n");
    let sides = [vec![plain.clone()], vec![record, plain]].map(|parts| archive(&parts));
    let found = compare_bytes("x.tar", &sides[0], &sides[1], &Options::default());
    assert_eq!(found.outcome, Outcome::Different, "{:?}", found.causes);
}
