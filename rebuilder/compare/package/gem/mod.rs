//! Gems: a tar archive of two compressed archives, their checksums, and signatures.

mod settle;
#[cfg(test)]
mod tests;
mod yaml;

use super::{Meaning, Package, Within};
use crate::compare::normalise::Normalisation;

pub(super) static GEM: Package = Package {
    normalisations: &[
        Normalisation::GemExcludeChecksums,
        Normalisation::GemExcludeSignatures,
        Normalisation::GemInnerArchives,
        Normalisation::GemMetadataCertChain,
        Normalisation::GemMetadataDate,
        Normalisation::GemMetadataRubygemsVersion,
        Normalisation::GemMetadataYamlNormalize,
    ],
    recognises: |archive| archive.path.ends_with(".gem") && archive.format == "tar",
    within: Within {
        installs: false,
        // RubyGems sets its own times and owners when it unpacks.
        repacked: Some(Normalisation::GemInnerArchives),
    },
    meaning: |field| (field == "rubygems_version").then_some(Meaning::Tool),
    settle: Some(settle::settle),
    ..Package::new("gem")
};
