//! Wheels and sdists: METADATA, WHEEL and RECORD (core metadata and binary distribution format of the PyPA).

use std::borrow::Cow;

use super::text::{Checksums, Lines, Text};
use super::{FilePath, Meaning, Package};
use crate::compare::normalise::Normalisation;

pub(super) static WHEEL: Package = Package {
    normalisations: &[Normalisation::WheelMetadataOrder, Normalisation::WheelRecord],
    text,
    meaning: |field| match field {
        "metadata-version" | "root-is-purelib" => Some(Meaning::Tool),
        "requires" | "requires-dist" => Some(Meaning::Dependency),
        _ => None,
    },
    // Names of wheels and of extension modules have the version of Python in them.
    named_by_tool: |path| path.contains("py3") || path.contains("cpython"),
    ..Package::new("wheel")
};

fn text(path: FilePath) -> Option<Text> {
    match path.name {
        "RECORD" => Some(Text::of(Lines::Checksums(Checksums {
            file: recorded,
            several_kinds: false,
            changed: Some(Normalisation::WheelRecord),
            moved: Some(Normalisation::WheelRecord),
        }))),
        "METADATA" if path.whole.ends_with(".dist-info/METADATA") => Some(Text {
            moved,
            ..Text::of(Lines::Fields)
        }),
        "METADATA" | "PKG-INFO" | "WHEEL" => Some(Text::of(Lines::Fields)),
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
