//! Gems: a tar archive of two compressed archives, their checksums, and signatures.

use std::borrow::Cow;

use super::text::{Checksums, Field, Lines, Text, is_rsa_signature};
use super::{Located, Meaning, Package};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::claims::{Algorithm, Claim, Files};
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
    recognises: |archive| archive.format == "tar" && archive.has("metadata.gz") && archive.has("data.tar.gz"),
    unpacks: |part| part == "data.tar",
    ignores_owners: true,
    // RubyGems installs modes as they are, so a file that others may write is one.
    ignored_modes: 0o064,
    // RubyGems sets its own times and owners when it unpacks.
    repacked: Some(Normalisation::GemInnerArchives),
    text,
    meaning: |located, field| {
        (located.top() == Some("metadata") && field == "rubygems_version").then_some(Meaning::Tool)
    },
    signature: |located| is_signed(located).then_some(Normalisation::GemExcludeSignatures),
    raw_signature: |located, bytes| is_signed(located) && is_rsa_signature(bytes),
    ..Package::new("gem")
};

fn is_signed(located: Located) -> bool {
    matches!(
        located.top(),
        Some("checksums.yaml.gz.sig" | "data.tar.gz.sig" | "metadata.gz.sig")
    )
}

fn text(located: Located) -> Option<Text> {
    match located.top()? {
        "checksums.yaml" => Some(Text::of(Lines::Checksums(Checksums {
            claims: checksums,
            files: Files::Archive,
            changed: Some(Normalisation::GemExcludeChecksums),
            moved: None,
        }))),
        "metadata" => Some(Text { known, ..Text::PLAIN }),
        _ => None,
    }
}

/// Names of algorithms, each with the digests of members in indented lines.
fn checksums(lines: &[Cow<str>]) -> Vec<Option<Claim>> {
    let mut algorithm = None;
    lines
        .iter()
        .map(|line| {
            let (name, digest) = line.trim_end().split_once(':')?;
            if !line.starts_with(' ') {
                algorithm = Algorithm::named(name);
                return None;
            }
            let digest = digest.trim().trim_matches(['"', '\'']);
            Claim::hex(name.trim(), digest).filter(|claim| Some(claim.algorithm) == algorithm)
        })
        .collect()
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
