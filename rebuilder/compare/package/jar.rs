//! Jars: manifests, properties that build tools leave behind, and signatures (JAR file specification).

use super::text::{Field, Lines, Text};
use super::{GROUP_AND_OTHERS, Located, Meaning, Package};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::Finding;
use crate::compare::normalise::Normalisation;
use crate::compare::order::shuffled;

pub(super) static JAR: Package = Package {
    normalisations: &[
        Normalisation::JarAttributeValueOrder,
        Normalisation::JarBuildMetadata,
        Normalisation::JarGitProperties,
        Normalisation::JarMavenPomProperties,
        Normalisation::JarSignature,
    ],
    recognises: |archive| archive.format == "zip" && archive.has("META-INF/MANIFEST.MF"),
    ignores_owners: true,
    ignored_modes: GROUP_AND_OTHERS,
    text,
    meaning: |located, field| {
        const TOOLS: [&str; 6] = [
            "created-by",
            "build-jdk",
            "build-jdk-spec",
            "ant-version",
            "archiver-version",
            "bundle-generator",
        ];
        let is_manifest = located.top() == Some("META-INF/MANIFEST.MF");
        (is_manifest && TOOLS.contains(&field)).then_some(Meaning::Tool)
    },
    signature: |located| {
        let file = located.top()?.strip_prefix("META-INF/")?;
        let signs = [".RSA", ".DSA", ".EC", ".SF"]
            .iter()
            .any(|ending| file.ends_with(ending));
        (signs && !file.contains('/')).then_some(Normalisation::JarSignature)
    },
    ..Package::new("jar")
};

fn text(located: Located) -> Option<Text> {
    let path = located.top()?;
    if path == "META-INF/MANIFEST.MF" {
        Some(Text {
            known: attribute,
            ..Text::of(Lines::Fields)
        })
    } else if path.starts_with("META-INF/maven/") && located.name() == "pom.properties" {
        Some(Text {
            known: comment,
            ..Text::PLAIN
        })
    } else if located.name() == "git.properties" {
        Some(Text {
            known: comment,
            every: of_git,
            ..Text::PLAIN
        })
    } else {
        None
    }
}

/// Main attributes, and those of entries.
fn attribute(field: &Field) -> Option<Finding> {
    let (name, finding) = (field.name, field.finding());
    let (cause, key) = match name {
        name if name.ends_with("-Digest") => {
            return Some(
                finding
                    .because(Cause::Checksum, Confidence::Likely)
                    .keyed("digests in MANIFEST.MF")
                    .set_aside_by(Normalisation::JarSignature)
                    .following(),
            );
        }
        "Built-By" | "Built-Host" | "Build-Host" => (Cause::BuildHost, format!("{name} in MANIFEST.MF")),
        "Bnd-LastModified" | "Build-Time" | "Build-Date" | "Build-Timestamp" | "Built-Date" => {
            (Cause::Timestamp, format!("{name} in MANIFEST.MF"))
        }
        "Created-By" | "Build-Jdk" | "Build-Jdk-Spec" | "Ant-Version" | "Archiver-Version" | "Tool"
        | "Build-Tool" | "Bundle-Generator" => (
            Cause::ToolVersion,
            format!("{name}: {} → {}", field.released, field.rebuilt),
        ),
        "Build-Os" | "Built-OS" | "Os-Version" => (Cause::HostSystem, format!("{name} in MANIFEST.MF")),
        _ => {
            let finding = shuffled(field.released, field.rebuilt, field.place)?;
            return Some(finding.set_aside_by(Normalisation::JarAttributeValueOrder));
        }
    };
    Some(
        finding
            .because(cause, Confidence::Proven)
            .keyed(key)
            .set_aside_by(Normalisation::JarBuildMetadata),
    )
}

/// Maven writes the time of the build into a comment.
fn comment(field: &Field) -> Option<Finding> {
    (field.name == "#").then(|| {
        field
            .finding()
            .because(Cause::Timestamp, Confidence::Likely)
            .keyed("comment of pom.properties")
            .set_aside_by(Normalisation::JarMavenPomProperties)
    })
}

/// All of `git.properties` describes the source.
fn of_git(finding: &mut Finding) {
    finding.normalisation = Some(Normalisation::JarGitProperties);
    if finding.cause == Cause::Content {
        finding.cause = Cause::SourceRevision;
        finding.key = "git.properties".into();
    }
}
