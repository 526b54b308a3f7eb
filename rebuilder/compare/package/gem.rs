//! Gems: a tar archive of two compressed archives, their checksums, and signatures.

use super::text::{Checksums, Field, Lines, Text, is_detached_signature, listed};
use super::{FilePath, Meaning, Package, Placed, Signature, Within};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::Finding;
use crate::compare::normalise::Normalisation;

pub(super) static GEM: Package = Package {
    normalisations: &[
        Normalisation::GemExcludeChecksums,
        Normalisation::GemExcludeSignatures,
        Normalisation::GemInnerArchives,
        Normalisation::GemMetadataDate,
        Normalisation::GemMetadataRubygemsVersion,
    ],
    recognises: |archive| archive.path.ends_with(".gem") && archive.format == "tar",
    within: Within {
        installs: false,
        // RubyGems sets its own times and owners when it unpacks.
        repacked: Some(Normalisation::GemInnerArchives),
    },
    placed,
    text,
    meaning: |field| (field == "rubygems_version").then_some(Meaning::Tool),
    signature: |path| {
        (path.whole.contains(".gem/") && is_detached_signature(path)).then_some(Signature {
            normalisation: Some(Normalisation::GemExcludeSignatures),
        })
    },
    ..Package::new("gem")
};

/// RubyGems reads a gem as a stream: the specification before the files that it describes.
fn placed(format: &str, path: &str) -> Option<Placed> {
    let rank = match path {
        "metadata.gz" | "metadata.gz.sig" => 0,
        "data.tar.gz" | "data.tar.gz.sig" => 1,
        _ => return None,
    };
    (format == "tar").then(|| Placed::at(rank))
}

fn text(path: FilePath) -> Option<Text> {
    if path.name.eq_ignore_ascii_case("checksums.yaml") {
        return Some(Text::of(Lines::Checksums(Checksums {
            file: listed,
            several_kinds: true,
            changed: path
                .whole
                .ends_with("checksums.yaml")
                .then_some(Normalisation::GemExcludeChecksums),
            moved: None,
        })));
    }
    (path.whole.contains(".gem/") && path.name == "metadata").then_some(Text { known, ..Text::PLAIN })
}

/// Fields of the specification of a gem.
fn known(field: &Field) -> Option<Finding> {
    let finding = field.finding();
    match field.name {
        "date" => Some(
            finding
                .because(Cause::Timestamp, Confidence::Proven)
                .keyed("date of the gem")
                .set_aside_by(Normalisation::GemMetadataDate),
        ),
        "rubygems_version" => Some(
            finding
                .because(Cause::ToolVersion, Confidence::Proven)
                .keyed(format!("rubygems {} → {}", field.released, field.rebuilt))
                .set_aside_by(Normalisation::GemMetadataRubygemsVersion),
        ),
        _ => None,
    }
}
