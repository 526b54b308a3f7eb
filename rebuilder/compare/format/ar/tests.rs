//! Archives written by hand and by binutils.

use std::process::Command;

use crate::compare::{Cause, Comparison, Options, Outcome, compare_bytes};

/// A header as `ar` writes it.
fn header(name: &str, time: u64, mode: &str, size: usize) -> String {
    format!("{name:<16}{time:<12}{:<6}{:<6}{mode:<8}{size:<10}`\n", 0, 0)
}

fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, data) in members {
        let header = match *name {
            "//" => format!("{name:<48}{:<10}`\n", data.len()),
            name => header(name, 0, "100644", data.len()),
        };
        bytes.extend(header.bytes());
        bytes.extend_from_slice(data);
        if data.len() % 2 == 1 {
            bytes.push(b'\n');
        }
    }
    bytes
}

fn compared(released: &[u8], rebuilt: &[u8]) -> Comparison {
    compare_bytes("x.a", released, rebuilt, &Options::default())
}

fn first(comparison: &Comparison) -> (Cause, String) {
    let first = comparison.causes.first();
    first.map_or((Cause::BuildId, String::new()), |first| {
        (first.cause, first.example.place.clone())
    })
}

#[test]
fn every_byte_is_a_field_or_content() {
    let good = archive(&[("a", b"one"), ("b", b"two")]);
    // Another magic makes it a different format; all other bytes belong to the archive.
    for at in 8..good.len() {
        let mut other = good.clone();
        other[at] ^= 1;
        // A time that also differs must not hide the change.
        let mut late = other.clone();
        if !(24..36).contains(&at) {
            late[24] ^= 1;
        }
        let found = compared(&good, &late);
        let in_header = |start: usize, range: std::ops::Range<usize>| {
            at.checked_sub(start).is_some_and(|at| range.contains(&at))
        };
        // Digits of the time, the owner and the group, of the file type within the mode, and of the mode for group and
        // others.
        let digits = [8, 8 + 60 + 4].iter().any(|start| {
            [16..17, 28..29, 34..35, 41..42, 44..46]
                .iter()
                .any(|range| in_header(*start, range.clone()))
        });
        assert_eq!(
            found.outcome == Outcome::Equivalent,
            digits,
            "{at} {:?}",
            found.tree
        );
    }
}

#[test]
fn names_are_read_in_every_form() {
    let long = "a_name_of_more_than_15_bytes.o";
    let gnu = archive(&[("//", format!("{long}/\n").as_bytes()), ("/0", b"data")]);
    let bsd = archive(&[("#1/30", format!("{long}data").as_bytes())]);
    let found = compared(&gnu, &bsd);
    assert_eq!(first(&found), (Cause::ArchiveDialect, "name as written".into()));
    assert_eq!(found.causes.len(), 1, "{:?}", found.tree);
    let hidden = archive(&[("//", format!("{long}/\nhidden/\n").as_bytes()), ("/0", b"data")]);
    let place = "bytes of the name table that no member uses";
    assert_eq!(first(&compared(&gnu, &hidden)), (Cause::Content, place.into()));
}

#[test]
fn what_is_behind_the_members_is_content() {
    let good = archive(&[("a", b"one")]);
    for more in [
        b"\0".as_slice(),
        b"\n",
        b"hidden",
        b"hidden and longer than a header of sixty bytes, with its end",
    ] {
        let found = compared(&good, &[&good, more].concat());
        assert_eq!(first(&found).0, Cause::Content, "{more:?}");
    }
    let mut short = archive(&[("a", b"one"), ("b", b"three")]);
    short.truncate(short.len() - 4);
    let found = compared(&good, &short);
    let unread = found.causes.iter().find(|cause| cause.cause == Cause::Unread);
    let example = unread.map(|cause| cause.example.clone());
    let example = example.unwrap_or_else(|| panic!("{:?}", found.tree));
    assert_eq!(
        (example.place.as_str(), example.released.as_str()),
        ("rebuilt", "")
    );
    assert!(
        example.rebuilt.ends_with("b: only 2 of its 5 bytes are there"),
        "{}",
        example.rebuilt
    );
}

#[test]
fn type_bits_and_owners_bits_of_modes() {
    let with = |mode| [b"!<arch>\n".to_vec(), header("a", 0, mode, 0).into_bytes()].concat();
    let found = compared(&with("644"), &with("100644"));
    assert_eq!(
        (found.outcome, first(&found).1),
        (Outcome::Equivalent, "type within the mode".into())
    );
    let found = compared(&with("100644"), &with("100664"));
    assert_eq!(found.causes[0].key, "ar: umask 022 → 002");
    assert_eq!(found.outcome, Outcome::Equivalent);
    assert_eq!(
        compared(&with("100644"), &with("100444")).outcome,
        Outcome::Different
    );
    let found = compared(&with("100644"), &with("104644"));
    assert_eq!(
        (found.outcome, first(&found).0),
        (Outcome::Different, Cause::Content)
    );
}

/// A library of two objects, made by gcc and ar; `None` if these are not installed.
fn library(options: &str, one: &str) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().ok()?;
    for (name, text) in [("a.c", one), ("b.c", "int f(void) { return 2; } int g;")] {
        std::fs::write(folder.path().join(name), text).ok()?;
    }
    let script = format!("cc -c a.c b.c && ar {options} x.a a.o b.o");
    let made = Command::new("sh")
        .args(["-c", &script])
        .current_dir(&folder)
        .status();
    made.ok().filter(std::process::ExitStatus::success)?;
    std::fs::read(folder.path().join("x.a")).ok()
}

#[test]
fn a_symbol_index_follows_only_if_it_is_right() {
    let source = "int f(void) { return 1; } int e(void) { return 3; }";
    let Some(good) = library("rcD", source) else {
        return;
    };
    // `f` is in both objects: the index decides which one a program gets. The count is followed by three offsets.
    let at = 8 + 60 + 4;
    let (a, b) = (&good[at..at + 4], &good[at + 8..at + 12]);
    assert_ne!(a, b);
    let mut elsewhere = good.clone();
    elsewhere[at..at + 4].copy_from_slice(b);
    elsewhere[at + 8..at + 12].copy_from_slice(a);
    let found = compared(&good, &elsewhere);
    assert_eq!(
        first(&found),
        (
            Cause::Content,
            "symbol index that does not fit the members".into()
        )
    );
    let mut renamed = good.clone();
    let name = good
        .windows(3)
        .position(|bytes| bytes == b"\0g\0")
        .unwrap_or_default();
    renamed[name + 1] = b'h';
    assert_eq!(first(&compared(&good, &renamed)).0, Cause::Content);
    let Some(without) = library("rcDS", source) else {
        return;
    };
    assert_eq!(
        first(&compared(&good, &without)),
        (Cause::Content, "symbol index".into())
    );
    // A longer object moves what follows; the index changes accordingly.
    let longer = "int f(void) { return 1; } int e(void) { return 3; } int more(void) { return 4; }";
    let Some(longer) = library("rcD", longer) else {
        return;
    };
    let found = compared(&good, &longer);
    let root = found.tree.as_ref().map(|tree| &tree.findings);
    let index = root.and_then(|findings| {
        findings
            .iter()
            .find(|finding| finding.place.to_string() == "symbol index")
    });
    assert!(index.is_some_and(|index| index.follows), "{:?}", found.tree);
    assert!(found.causes.iter().all(|cause| cause.cause != Cause::Checksum));
}

#[test]
fn times_of_a_real_library_are_set_aside() {
    let source = "int f(void) { return 1; }";
    let (Some(fixed), Some(now)) = (library("rcD", source), library("rcU", source)) else {
        return;
    };
    let found = compared(&fixed, &now);
    assert_eq!(found.outcome, Outcome::Equivalent, "{:?}", found.tree);
}

#[test]
fn a_debian_package_has_its_members_in_their_places() {
    let (version, control, data) = (
        ("debian-binary", b"2.0\n" as &[u8]),
        ("control.tar", b"c" as &[u8]),
        ("data.tar", b"d" as &[u8]),
    );
    let good = archive(&[version, control, data]);
    let found = compared(&good, &archive(&[version, data, control]));
    assert_eq!(first(&found), (Cause::Content, "place of control.tar".into()));
    let noted = archive(&[version, ("_note", b""), control, data]);
    let found = compared(&good, &noted);
    assert_eq!(
        first(&found),
        (Cause::Content, "presence".into()),
        "{:?}",
        found.tree
    );
    assert_eq!(found.causes.len(), 1);
}
