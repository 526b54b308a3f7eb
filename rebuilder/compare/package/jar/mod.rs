//! Jars: manifests, properties from build tools, and signatures (JAR File Specification).
//!
//! A name alone never decides. A manifest is compared by its attributes if the JVM would accept it, a digest is
//! recomputed from the entry, and a signature must be one of the manifest in the same jar.

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
use super::{GROUP_AND_OTHERS, Located, Meaning, Package, Placed};
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
    recognises: |archive| archive.format == "zip" && archive.has(MANIFEST),
    ignores_owners: true,
    ignored_modes: GROUP_AND_OTHERS,
    text,
    meaning,
    placed,
    settle: Some(settle::settle),
    ..Package::new("jar")
};

const MANIFEST: &str = "META-INF/MANIFEST.MF";

fn text(located: Located) -> Option<Text> {
    (located.top() == Some(MANIFEST)).then(|| Text::of(Lines::Fields))
}

fn meaning(located: Located, field: &str) -> Option<Meaning> {
    const TOOLS: [&str; 6] = [
        "created-by",
        "build-jdk",
        "build-jdk-spec",
        "ant-version",
        "archiver-version",
        "bundle-generator",
    ];
    (located.top() == Some(MANIFEST) && TOOLS.contains(&field)).then_some(Meaning::Tool)
}

/// `JarInputStream` finds a manifest only as the first entry, or after the entry of its folder. Spring Boot's loader
/// opens nested jars of an executable jar in place, if they are stored, and adds them to the class path in the
/// archive's order.
fn placed(format: &str, path: &str) -> Option<Placed> {
    let known = ["META-INF", MANIFEST]
        .iter()
        .any(|known| path.eq_ignore_ascii_case(known));
    let is_library = ["BOOT-INF/lib", "WEB-INF/lib"]
        .iter()
        .any(|folder| path.starts_with(folder))
        && path.ends_with(".jar");
    match format {
        "zip" if known => Some(Placed::at(0)),
        "zip" if is_library => Some(Placed {
            rank: None,
            as_stored: true,
            in_turn: true,
        }),
        _ => None,
    }
}
