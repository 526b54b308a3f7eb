//! Wheels and sdists: METADATA, WHEEL and RECORD (core metadata and binary distribution format of the PyPA).

use std::borrow::Cow;

use super::text::{Checksums, Lines, Text};
use super::{Located, Meaning, Package};
use crate::compare::normalise::Normalisation;

pub(super) static WHEEL: Package = Package {
    normalisations: &[Normalisation::WheelMetadataOrder, Normalisation::WheelRecord],
    recognises: |archive| {
        archive.format == "zip" && archive.names.iter().any(|name| metadata(name) == Some("WHEEL"))
    },
    ignores_owners: true,
    text: |located| match metadata(located.top()?)? {
        "RECORD" => Some(Text::of(Lines::Checksums(Checksums {
            file: recorded,
            several_kinds: false,
            changed: Some(Normalisation::WheelRecord),
            moved: Some(Normalisation::WheelRecord),
        }))),
        "METADATA" => Some(Text {
            moved,
            ..Text::of(Lines::Fields)
        }),
        "WHEEL" => Some(Text::of(Lines::Fields)),
        _ => None,
    },
    meaning: |located, field| meaning(metadata(located.top()?)?, field),
    // Names of extension modules have the version of Python in them.
    named_by_tool: |path| path.contains(".cpython-"),
    ..Package::new("wheel")
};

pub(super) static SDIST: Package = Package {
    recognises: |archive| matches!(archive.format, "tar" | "zip") && archive.has_below_top("PKG-INFO"),
    ignores_owners: true,
    meaning: |located, field| meaning(located.name(), field),
    ..Package::new("sdist")
};

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

/// The file of a line of RECORD: `FILE,sha256=DIGEST,SIZE`.
fn recorded(line: &str) -> Option<String> {
    let (rest, size) = line.trim_end().rsplit_once(',')?;
    let (file, digest) = rest.rsplit_once(',')?;
    let plain = digest.is_empty() || digest.starts_with("sha");
    (plain && size.bytes().all(|byte| byte.is_ascii_digit())).then(|| file.trim_matches('"').to_owned())
}

/// Fields that may be repeated, and whose order has no meaning (core metadata specification).
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
