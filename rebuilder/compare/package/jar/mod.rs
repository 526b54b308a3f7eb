//! Jars: manifests, properties that build tools leave behind, and signatures (JAR File Specification).
//!
//! Nothing here is told by its name alone. A manifest is compared by its attributes once the JVM would take it, a digest
//! is recomputed from the entry beside it, and a signature is one only of the manifest beside it.

mod attribute;
mod attributes;
mod clauses;
mod form;
mod manifest;
mod properties;
mod settle;
mod signature;
#[cfg(test)]
mod tests;
mod writing;

use super::text::{Lines, Text};
use super::{Archive, FilePath, Meaning, Package};
use crate::compare::normalise::Normalisation;

pub(super) static JAR: Package = Package {
    normalisations: &[
        Normalisation::JarAttributeValueOrder,
        Normalisation::JarBuildMetadata,
        Normalisation::JarGitProperties,
        Normalisation::JarManifestForm,
        Normalisation::JarMavenPomProperties,
        Normalisation::JarSignature,
    ],
    recognises,
    text,
    meaning: |field| {
        const TOOLS: [&str; 6] = [
            "created-by",
            "build-jdk",
            "build-jdk-spec",
            "ant-version",
            "archiver-version",
            "bundle-generator",
        ];
        TOOLS.contains(&field).then_some(Meaning::Tool)
    },
    settle: Some(settle::settle),
    ..Package::new("jar")
};

/// A zip archive with the ending of something that a JVM, an application server or Android loads.
fn recognises(archive: &Archive) -> bool {
    const ENDINGS: [&str; 14] = [
        "aar", "apk", "ear", "hpi", "jar", "jmod", "jpi", "kar", "nbm", "par", "rar", "sar", "war", "xpi",
    ];
    let ending = archive
        .path
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_ascii_lowercase());
    archive.format == "zip" && ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

fn text(path: FilePath) -> Option<Text> {
    path.name
        .to_ascii_lowercase()
        .ends_with(".mf")
        .then(|| Text::of(Lines::Fields))
}
