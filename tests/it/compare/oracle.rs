//! What we call equivalent, held against the unpackers of this machine: they must make the same tree of both archives.
//!
//! Pairs of archives are made at random: one tree, or nearly one, spelled in two ways. Where we say that the two are
//! equivalent, each unpacker unpacks both, and paths, types, links, modes and bytes must be the same, or it must refuse
//! both. Times and owners do not count.
//!
//! `REBUILDER_ORACLE_CASES` is the number of pairs of each format; a few hundred are tried without it.
//! `REBUILDER_ORACLE_FIRST` is the first seed. The archives of a wrong answer are kept.

mod cases;
mod generate;
mod other;
mod tar;
mod unpack;
mod zip;

use std::env;

use cases::{Format, Judged, judge};
use unpack::{Python, Unpacker, missing};

use crate::common::{skip, skip_part};

fn number(variable: &str, otherwise: u64) -> u64 {
    let set = env::var(variable).ok();
    set.map_or(otherwise, |text| text.parse().unwrap())
}

/// Tries pairs of archives; at least `equivalent` in a thousand must have been worth unpacking.
fn hold(name: &str, formats: &[Format], cases: u64, equivalent: u64) {
    let unpackers = formats[0].unpackers;
    let lacking = |unpacker: &Unpacker| !missing(unpacker).is_empty();
    for unpacker in unpackers.iter().filter(|unpacker| lacking(unpacker)) {
        skip_part(&format!("{}, to unpack {name}", missing(unpacker).join(" and ")));
    }
    if unpackers.iter().all(lacking) {
        skip(&format!("any program that unpacks {name}"));
    }
    let cases = number("REBUILDER_ORACLE_CASES", cases);
    let first = number("REBUILDER_ORACLE_FIRST", 0);
    let folder = tempfile::tempdir().unwrap();
    let kept = env::temp_dir().join("rebuilder-oracle");
    let mut python = None;
    if unpackers
        .iter()
        .any(|unpacker| unpacker.programs == ["python3"] && !lacking(unpacker))
    {
        python = Some(Python::new());
    }
    let (mut same, mut wrong) = (0, Vec::new());
    for seed in first..first + cases {
        let there = |unpacker: &Unpacker| !lacking(unpacker);
        match judge(formats, seed, &there, folder.path(), &kept, python.as_mut()) {
            Judged::NotEquivalent => {}
            Judged::Equivalent => same += 1,
            Judged::Wrong(found) => wrong.push(found.to_string()),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {cases} pairs of {name} are wrongly called equivalent:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(
        same >= cases * equivalent / 1000,
        "only {same} of {cases} pairs of {name} were unpacked"
    );
}

#[apply(test)]
fn tar_archives_unpack_as_we_say() {
    hold("tar", cases::TAR, 200, 80);
}

#[apply(test)]
fn zip_archives_unpack_as_we_say() {
    hold("zip", cases::ZIP, 300, 30);
}

#[apply(test)]
fn cpio_archives_unpack_as_we_say() {
    hold("cpio", cases::CPIO, 500, 5);
}

#[apply(test)]
fn ar_archives_unpack_as_we_say() {
    hold("ar", cases::AR, 300, 20);
}

#[apply(test)]
fn deb_packages_unpack_as_we_say() {
    hold("deb", cases::DEB, 200, 40);
}

#[apply(test)]
fn rpm_packages_unpack_as_we_say() {
    hold("rpm", cases::RPM, 500, 5);
}
