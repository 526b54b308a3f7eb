//! Wheels and sdists: METADATA, WHEEL and RECORD (the PyPA's core metadata and binary distribution format).

use std::borrow::Cow;

use super::text::{Checksums, Lines, Text};
use super::{Archive, GROUP_AND_OTHERS, Meaning, Package, READ_AND_WRITE};
use crate::compare::claims::{Algorithm, Claim, Files};
use crate::compare::normalise::Normalisation;

pub(super) static WHEEL: Package = Package {
    normalisations: &[
        Normalisation::WheelMetadataOrder,
        Normalisation::WheelRecord,
        Normalisation::WheelSignature,
    ],
    recognises: is_wheel,
    ignores_owners: true,
    // pip makes a file executable for all if anyone may execute it; the umask decides everything else.
    ignored_modes: GROUP_AND_OTHERS,
    list: Some(|path| metadata(path) == Some("RECORD")),
    text: |located| match metadata(located.top()?)? {
        "RECORD" => Some(Text {
            moved: |_, _| Some(Normalisation::WheelRecord),
            ..Text::of(Lines::Checksums(Checksums {
                claims: recorded,
                files: Files::Archive,
                changed: Some(Normalisation::WheelRecord),
                moved: Some(Normalisation::WheelRecord),
            }))
        }),
        "METADATA" => Some(Text {
            moved,
            ..Text::of(Lines::Fields)
        }),
        "WHEEL" => Some(Text::of(Lines::Fields)),
        _ => None,
    },
    meaning: |located, field| meaning(metadata(located.top()?)?, field),
    signature: |located| {
        let file = metadata(located.top()?)?;
        matches!(file, "RECORD.jws" | "RECORD.p7s").then_some(Normalisation::WheelSignature)
    },
    // Names of extension modules contain the version of Python.
    named_by_tool: |path| path.contains(".cpython-"),
    ..Package::new("wheel")
};

/// Whether an archive has one `.dist-info` folder with WHEEL; pip refuses several.
fn is_wheel(archive: &Archive) -> bool {
    let mut folders = archive
        .names
        .iter()
        .filter_map(|name| name.split_once('/'))
        .filter(|(folder, _)| folder.ends_with(".dist-info"))
        .map(|(folder, _)| folder);
    let first = folders.next();
    archive.format == "zip"
        && folders.all(|folder| Some(folder) == first)
        && archive.names.iter().any(|name| metadata(name) == Some("WHEEL"))
}

pub(super) static SDIST: Package = Package {
    recognises: |archive| {
        matches!(archive.format, "tar" | "zip")
            && archive.has_below_top("PKG-INFO")
            && archive.names.iter().any(|name| is_named_by_version(name))
    },
    ignores_owners: true,
    // tarfile's data filter removes write permission from group and others.
    ignored_modes: READ_AND_WRITE,
    meaning: |located, field| meaning(located.name(), field),
    ..Package::new("sdist")
};

/// Whether a path begins with `NAME-VERSION/`, like the folder of an sdist.
fn is_named_by_version(path: &str) -> bool {
    let folder = path.split_once('/').map(|(folder, _)| folder);
    let version = folder
        .and_then(|folder| folder.rsplit_once('-'))
        .map(|(_, version)| version);
    version.is_some_and(|version| version.contains(|character: char| character.is_ascii_digit()))
}

/// The name of a file in `NAME-VERSION.dist-info/`, at the top of a wheel.
fn metadata(path: &str) -> Option<&str> {
    let (folder, file) = path.split_once('/')?;
    (folder.ends_with(".dist-info") && !file.contains('/')).then_some(file)
}

fn meaning(file: &str, field: &str) -> Option<Meaning> {
    match (file, field) {
        ("METADATA" | "PKG-INFO", "metadata-version") | ("WHEEL", "root-is-purelib") => Some(Meaning::Tool),
        ("METADATA" | "PKG-INFO", "requires" | "requires-dist") => Some(Meaning::Dependency),
        _ => None,
    }
}

/// Lines of RECORD: `FILE,ALGORITHM=DIGEST,SIZE`; the name may be quoted and the size may be missing.
fn recorded(lines: &[Cow<str>]) -> Vec<Option<Claim>> {
    lines.iter().map(|line| recorded_line(line)).collect()
}

fn recorded_line(line: &str) -> Option<Claim> {
    let (rest, size) = line.trim_end_matches(['\n', '\r']).rsplit_once(',')?;
    let (file, digest) = rest.rsplit_once(',')?;
    let (algorithm, digest) = digest.split_once('=')?;
    let quoted = file.strip_prefix('"').and_then(|file| file.strip_suffix('"'));
    let file = match quoted {
        Some(file) => file.replace("\"\"", "\""),
        None if file.contains(['"', ',']) => return None,
        None => file.to_owned(),
    };
    // Installers accept SHA-256 and stronger algorithms.
    let strong = |own: &Algorithm| matches!(own, Algorithm::Sha256 | Algorithm::Sha384 | Algorithm::Sha512);
    let algorithm = Algorithm::named(algorithm).filter(strong)?;
    let claim = Claim::of(&file, algorithm, digest)?;
    if size.is_empty() {
        return Some(claim);
    }
    claim.sized(size)
}

/// Fields that may be repeated, in any order (core metadata specification).
const REPEATED_FIELDS: [&str; 8] = [
    "Classifier:",
    "Dynamic:",
    "License-File:",
    "Obsoletes-Dist:",
    "Platform:",
    "Project-URL:",
    "Provides-Extra:",
    "Requires-Dist:",
];

/// Only such fields, in the headers, may move.
fn moved(lines: &[Cow<str>], moved: &[usize]) -> Option<Normalisation> {
    let headers = lines
        .iter()
        .position(|line| line.trim().is_empty())
        .unwrap_or(lines.len());
    let is_repeated = |at: &usize| {
        *at < headers
            && lines
                .get(*at)
                .is_some_and(|line| REPEATED_FIELDS.iter().any(|field| line.starts_with(field)))
    };
    moved
        .iter()
        .all(is_repeated)
        .then_some(Normalisation::WheelMetadataOrder)
}
