//! Debian packages (deb(5)) and the signed documents beside them (deb-control(5), deb-changes(5), deb-buildinfo(5)).

use super::text::{Checksums, Field, Lines, Text, listed};
use super::{Archive, FilePath, Meaning, Package, Placed, Within};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::Finding;
use crate::compare::normalise::Normalisation;

pub(super) static DEB: Package = Package {
    normalisations: &[Normalisation::DebMd5sums],
    recognises,
    within: Within {
        installs: true,
        repacked: None,
    },
    clamps_times: |name| [".deb", ".udeb"].iter().any(|ending| name.ends_with(ending)),
    placed,
    text,
    whole_text: trimmed_changelog,
    meaning,
    ..Package::new("deb")
};

/// An ar archive whose first member is `debian-binary`.
fn recognises(archive: &Archive) -> bool {
    const MAGIC: usize = 8;
    archive.format == "ar"
        && archive.source.head(100).is_ok_and(|head| {
            head.get(MAGIC..)
                .is_some_and(|first| first.starts_with(b"debian-binary"))
        })
}

/// dpkg takes the first three members by their place (deb(5)); others begin with an underscore.
fn placed(format: &str, path: &str) -> Option<Placed> {
    let rank = match path {
        "debian-binary" => 0,
        path if path.starts_with("control.tar") || path.starts_with('_') => 1,
        path if path.starts_with("data.tar") => 2,
        _ => return None,
    };
    (format == "ar").then(|| Placed::at(rank))
}

fn text(path: FilePath) -> Option<Text> {
    let FilePath { whole, name } = path;
    if whole.ends_with("control.tar/md5sums")
        || whole.contains("/control.tar.") && whole.ends_with("/md5sums")
    {
        return Some(Text::of(Lines::Checksums(Checksums {
            file: listed,
            several_kinds: true,
            changed: Some(Normalisation::DebMd5sums),
            moved: None,
        })));
    }
    let lower = name.to_ascii_lowercase();
    let document = [".dsc", ".changes", ".buildinfo"]
        .iter()
        .any(|ending| lower.ends_with(ending));
    (name == "control" || document).then(|| Text {
        known,
        ..Text::of(Lines::Fields)
    })
}

fn known(field: &Field) -> Option<Finding> {
    (field.name == "Installed-Size").then(|| {
        field
            .finding()
            .because(Cause::Checksum, Confidence::Likely)
            .keyed("sizes of other files")
            .following()
    })
}

fn meaning(field: &str) -> Option<Meaning> {
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
    DEPENDENCIES.contains(&field).then_some(Meaning::Dependency)
}

/// A changelog that a newer debhelper cut short: what comes before its note is how the other side begins.
fn trimmed_changelog(released: &[u8], rebuilt: &[u8]) -> Option<Finding> {
    const NOTE: &[u8] = b"# Older entries have been removed from this changelog.";
    let is_start_of = |text: &[u8], other: &[u8]| {
        let at = text.windows(NOTE.len()).position(|window| window == NOTE);
        let parts = at.and_then(|at| text.split_at_checked(at));
        parts.is_some_and(|(kept, note)| {
            !kept.is_empty() && other.starts_with(kept) && note.split(|byte| *byte == b'\n').count() <= 4
        })
    };
    if !is_start_of(released, rebuilt) && !is_start_of(rebuilt, released) {
        return None;
    }
    let size = |text: &[u8]| format!("{} bytes", text.len());
    Some(
        Finding::new("older entries", size(released), size(rebuilt))
            .because(Cause::ToolVersion, Confidence::Proven)
            .keyed("debhelper, which cuts changelogs short"),
    )
}
