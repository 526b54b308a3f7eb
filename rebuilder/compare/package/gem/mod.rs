//! Gems: a tar archive of two compressed archives, their checksums, and signatures.

mod settle;
#[cfg(test)]
mod tests;
mod yaml;

use super::{Meaning, Package, Placed};
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
    recognises: |archive| archive.format == "tar" && archive.has("metadata.gz") && archive.has("data.tar.gz"),
    unpacks: |part| part == "data.tar",
    ignores_owners: true,
    // RubyGems installs modes unchanged, so a file that others may write stays writable.
    ignored_modes: 0o064,
    // RubyGems sets its own times and owners when it unpacks.
    repacked: Some(Normalisation::GemInnerArchives),
    meaning: |located, field| {
        (located.top() == Some("metadata") && field == "rubygems_version").then_some(Meaning::Tool)
    },
    // Zlib::GzipReader stops at the end of a stream.
    first_stream: |member| member.is_some_and(settle::is_compressed),
    placed,
    settle: Some(settle::settle),
    ..Package::new("gem")
};

/// RubyGems reads a gem as a stream: the specification must come before the files.
fn placed(format: &str, path: &str) -> Option<Placed> {
    let rank = match path {
        "metadata.gz" | "metadata.gz.sig" => 0,
        "data.tar.gz" | "data.tar.gz.sig" => 1,
        _ => return None,
    };
    (format == "tar").then(|| Placed::at(rank))
}
