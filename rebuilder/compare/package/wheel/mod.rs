//! Wheels and sdists: METADATA, WHEEL and RECORD (the PyPA's core metadata and binary distribution format).

mod signature;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use super::text::{Checksums, Lines, Moved, Text};
use super::{Archive, GROUP_AND_OTHERS, Meaning, Package, READ_AND_WRITE};
use crate::compare::both::Both;
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
            moved: |sides| {
                let single = sides.all(|side| side.are_about_single_files(recorded));
                single.then_some(Normalisation::WheelRecord)
            },
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
    signature: |located| signature::is_signature(located.top()?).then_some(Normalisation::WheelSignature),
    // Names of extension modules contain the version of Python.
    named_by_tool: |path| path.contains(".cpython-"),
    settle: Some(signature::settle),
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
    // pip reads all gzip streams, uv the first one.
    first_stream: |member| member.is_none(),
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
fn moved(sides: Both<Moved>) -> Option<Normalisation> {
    let harmless = sides.all(are_repeated_fields) || sides.map(|side| Headers::read(side.lines)).same();
    harmless.then_some(Normalisation::WheelMetadataOrder)
}

/// The headers by their fields, and what is below them.
#[derive(PartialEq)]
struct Headers<'a> {
    /// Fields in order, each with its continuation lines.
    single: Vec<Vec<&'a str>>,
    /// Fields that may be repeated, sorted.
    repeated: Vec<Vec<&'a str>>,
    body: Vec<&'a str>,
}

impl<'a> Headers<'a> {
    fn read(lines: &'a [Cow<'a, str>]) -> Self {
        let end = lines.iter().position(|line| !is_header(line));
        let (headers, body) = lines
            .split_at_checked(end.unwrap_or(lines.len()))
            .unwrap_or_default();
        let text = |line: &'a Cow<str>| line.trim_end_matches('\n');
        let mut fields: Vec<Vec<&str>> = Vec::new();
        for line in headers.iter().map(text) {
            match fields.last_mut() {
                Some(field) if line.starts_with([' ', '\t']) => field.push(line),
                _ => fields.push(vec![line]),
            }
        }
        let is_repeated = |field: &Vec<&str>| field.first().is_some_and(|line| is_repeated_field(line));
        let (mut repeated, single): (Vec<_>, Vec<_>) = fields.into_iter().partition(is_repeated);
        repeated.sort_unstable();
        Self {
            single,
            repeated,
            body: body.iter().map(text).collect(),
        }
    }
}

fn is_repeated_field(line: &str) -> bool {
    REPEATED_FIELDS.iter().any(|field| line.starts_with(field))
}

/// Whether each of these lines is a whole field in the headers, without a continuation line behind it.
fn are_repeated_fields(side: Moved) -> bool {
    let headers = side.lines.iter().position(|line| !is_header(line));
    let headers = headers.unwrap_or(side.lines.len());
    let line = |at: usize| side.lines.get(at).filter(|_| at < headers);
    side.moved.iter().all(|at| {
        let next = line(at.saturating_add(1));
        let is_whole = !next.is_some_and(|next| next.starts_with([' ', '\t']));
        is_whole && line(*at).is_some_and(|line| is_repeated_field(line))
    })
}

/// Whether Python's email parser takes a line for a field or its continuation; any other line ends the headers. It takes
/// a carriage return for the end of a line.
fn is_header(line: &str) -> bool {
    let text = line.trim_end_matches(['\n', '\r']);
    let is_name = |name: &str| name.bytes().all(|byte| (b'!'..=b'~').contains(&byte));
    let is_field = || text.split_once(':').is_some_and(|(name, _)| is_name(name));
    !text.contains('\r') && !text.trim().is_empty() && (text.starts_with([' ', '\t']) || is_field())
}
