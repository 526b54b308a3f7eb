//! Debian packages (deb(5)) and the signed documents beside them (deb-control(5), deb-changes(5), deb-buildinfo(5)).

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::{self, Read as _};

use super::settle::{Members, Settling, refuse_types};
use super::text::{Checksums, Field, Lines, Moved, Text};
use super::{Located, Meaning, Package, Placed};
use crate::compare::both::Both;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::claims::{Claim, Claims, Files};
use crate::compare::conclude::SIZES;
use crate::compare::finding::{Finding, Node};
use crate::compare::limits::Meter;
use crate::compare::normalise::Normalisation;
use crate::compare::recompute::opened;
use crate::compare::source::Source;
use crate::compare::stale;
use crate::compare::tree::clean;

/// Maximum size in bytes of a list of checksums that is read.
const LONGEST: u64 = 24 << 20;

pub(super) static DEB: Package = Package {
    normalisations: &[Normalisation::DebMd5sums],
    recognises: |archive| {
        archive.format == "ar"
            && archive
                .names
                .first()
                .is_some_and(|first| first == "debian-binary")
    },
    document,
    // dpkg uses owners, modes and order from both archives, whatever other package their members resemble.
    unpacks: |path| path.starts_with("control.tar") || path.starts_with("data.tar"),
    clamps_times: true,
    named_by_tool: |path| path.contains(".cpython-"),
    placed,
    text: known_text,
    whole_text: trimmed_changelog,
    meaning,
    settle: Some(settle),
    ..Package::new("deb")
};

/// The documents of a source package, an upload, and a build.
fn document(name: &str) -> bool {
    [".dsc", ".changes", ".buildinfo"]
        .iter()
        .any(|ending| name.ends_with(ending))
}

/// dpkg reads the first three members by position (deb(5)); the names of others begin with an underscore.
fn placed(format: &str, path: &str) -> Option<Placed> {
    let rank = match path {
        "debian-binary" => 0,
        path if path.starts_with("control.tar") || path.starts_with('_') => 1,
        path if path.starts_with("data.tar") => 2,
        _ => return None,
    };
    (format == "ar").then(|| Placed::at(rank))
}

fn known_text(located: Located) -> Option<Text> {
    match located.inside("control.tar") {
        // dpkg looks up the file of each line, so the order has no meaning unless a file is named twice.
        Some("md5sums") => Some(Text {
            moved: |sides| {
                let is_list = |side: Moved| md5sums(side.lines).iter().all(Option::is_some);
                let single = sides.all(|side| is_list(side) && side.are_about_single_files(md5sums));
                single.then_some(Normalisation::DebMd5sums)
            },
            ..Text::of(Lines::Checksums(Checksums {
                claims: md5sums,
                files: Files::Part("data.tar"),
                changed: Some(Normalisation::DebMd5sums),
                moved: Some(Normalisation::DebMd5sums),
            }))
        }),
        Some("control") => Some(Text {
            known,
            ..Text::of(Lines::Fields)
        }),
        _ => (located.top().is_some() && document(located.name())).then(|| Text {
            known: beside,
            ..Text::of(Lines::Fields)
        }),
    }
}

fn known(field: &Field) -> Option<Finding> {
    (field.name == "Installed-Size").then(|| {
        field
            .finding()
            .because(Cause::Checksum, Confidence::Likely)
            .keyed(SIZES)
            .following()
    })
}

/// Lines in the form that dpkg reads: 32 lower-case digits, two blanks, and a path from the root.
fn md5sums(lines: &[Cow<str>]) -> Vec<Option<Claim>> {
    let claim = |line: &Cow<str>| {
        let (digest, file) = line.strip_suffix('\n')?.split_once("  ")?;
        let is_digest = digest.len() == 32 && digest.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
        if is_digest { Claim::hex(file, digest) } else { None }
    };
    lines.iter().map(claim).collect()
}

fn settle(settling: &Settling, node: &mut Node) {
    // dpkg refuses to install members of other types, those of pax headers included.
    const READ: [&str; 10] = ["nul", "0", "1", "2", "3", "4", "5", "6", "K", "L"];
    stale_sums(settling, node);
    stale_signatures(settling, node);
    refuse_types(node, "data.tar", &READ, "tar headers that dpkg refuses");
}

/// Signatures by debsigs that are the same on both sides although they cover all parts before them.
fn stale_signatures(settling: &Settling, node: &mut Node) {
    let is_signature = |path: &str| path.starts_with("_gpg");
    let differing = stale::differing(node.children.iter());
    if differing.iter().all(|path| path.starts_with('_')) {
        return;
    }
    let Ok(members) = settling.members(&is_signature) else {
        return;
    };
    let same = members
        .released
        .iter()
        .filter(|(path, bytes)| members.rebuilt.get(*path) == Some(bytes));
    let wrong: Vec<Finding> = same.map(|(path, _)| stale::signature(path)).collect();
    node.findings.extend(wrong);
}

/// Lines of md5sums that are the same on both sides although their files differ.
fn stale_sums(settling: &Settling, node: &mut Node) {
    let data = node
        .children
        .iter()
        .find(|child| child.name.starts_with("data.tar"));
    let differing = data.map_or_else(HashSet::new, |data| stale::differing(data.children.iter()));
    if differing.is_empty() {
        return;
    }
    // An unreadable member could not be compared either, which is reported.
    let Ok(control) = settling.members(&|path| path.starts_with("control.tar")) else {
        return;
    };
    let lists = control.try_map(|members| sums(members, settling.meter));
    if let Ok(Both {
        released: Some(released),
        rebuilt: Some(rebuilt),
    }) = lists
    {
        let sides = Both::new(&released, &rebuilt);
        let differs = |file: &str| differing.contains(file);
        node.findings
            .extend(stale::unchanged("md5sums", sides, md5sums, &differs));
    }
}

/// The bytes of md5sums in the archive with the control files.
fn sums(control: Members, meter: &Meter) -> io::Result<Option<Vec<u8>>> {
    let mut found = None;
    for archive in control.into_values() {
        let Some((format, source)) = opened(&Source::memory(archive), meter)? else {
            continue;
        };
        format.walk(&source, &meter.apart(), &mut |member| {
            if clean(&member.path) == "md5sums" {
                let mut bytes = Vec::new();
                member.content.take(LONGEST).read_to_end(&mut bytes)?;
                found = Some(bytes);
            }
            Ok(true)
        })?;
    }
    Ok(found)
}

/// A line of `Files`, `Checksums-Sha1`, or `Checksums-Sha256`: digest, size, and at the end the name of the file.
fn beside(field: &Field) -> Option<Finding> {
    let claim = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ([digest, size, file] | [digest, size, _, _, file]) = words.as_slice() else {
            return None;
        };
        Claim::hex(file, digest)?.sized(size)
    };
    let is_list = field.name == "Files" || field.name.starts_with("Checksums-");
    let (released, rebuilt) = (claim(field.released)?, claim(field.rebuilt)?);
    let same = released.file == rebuilt.file && released.algorithm == rebuilt.algorithm;
    (is_list && same).then(|| {
        field
            .finding()
            .claiming(Claims::new(Some(released), Some(rebuilt), Files::Beside))
    })
}

fn meaning(located: Located, field: &str) -> Option<Meaning> {
    const DEPENDENCIES: [&str; 13] = [
        "depends",
        "pre-depends",
        "recommends",
        "suggests",
        "breaks",
        "conflicts",
        "replaces",
        "enhances",
        "provides",
        "built-using",
        "static-built-using",
        "build-depends",
        "installed-build-depends",
    ];
    let is_control = located.inside("control.tar") == Some("control");
    let is_document = located.top().is_some() && document(located.name());
    ((is_control || is_document) && DEPENDENCIES.contains(&field)).then_some(Meaning::Dependency)
}

/// A changelog that a newer debhelper shortened: the other side begins with the text before its note.
fn trimmed_changelog(located: Located, released: &[u8], rebuilt: &[u8]) -> Option<Finding> {
    const NOTE: &[u8] = b"# Older entries have been removed from this changelog.";
    let is_start_of = |text: &[u8], other: &[u8]| {
        let at = text.windows(NOTE.len()).position(|window| window == NOTE);
        let parts = at.and_then(|at| text.split_at_checked(at));
        parts.is_some_and(|(kept, note)| {
            !kept.is_empty() && other.starts_with(kept) && note.split(|byte| *byte == b'\n').count() <= 4
        })
    };
    let path = located.inside("data.tar")?;
    let is_changelog = path.starts_with("usr/share/doc/") && located.name().contains("changelog");
    if !is_changelog || !is_start_of(released, rebuilt) && !is_start_of(rebuilt, released) {
        return None;
    }
    let size = |text: &[u8]| format!("{} bytes", text.len());
    Some(
        Finding::new("older entries", size(released), size(rebuilt))
            .because(Cause::ToolVersion, Confidence::Proven)
            .keyed("debhelper, which cuts changelogs short"),
    )
}
