//! Jars: manifests, properties that build tools leave behind, and signatures (JAR file specification).

use super::text::{Field, Lines, Text, is_detached_signature};
use super::{FilePath, Meaning, Package, Placed, Signature};
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
    placed,
    signature: |path| {
        let own = path.ends_with_any(&[".RSA", ".DSA", ".EC", ".SF"]) || is_detached_signature(path);
        (path.whole.contains("META-INF/") && own).then_some(Signature {
            normalisation: Some(Normalisation::JarSignature),
        })
    },
    added_by_signing: |path| path.whole.contains("META-INF/") && path.name.ends_with(".SF"),
    ..Package::new("jar")
};

/// `JarInputStream` finds a manifest only as the first entry, or behind the entry of its folder.
fn placed(format: &str, path: &str) -> Option<Placed> {
    let ranks = ["META-INF", "META-INF/MANIFEST.MF"];
    let rank = ranks.iter().position(|known| path.eq_ignore_ascii_case(known))?;
    (format == "zip").then(|| Placed::at(u8::from(rank > 0)))
}

fn text(path: FilePath) -> Option<Text> {
    let FilePath { whole, name } = path;
    if whole.ends_with("META-INF/MANIFEST.MF") {
        Some(Text {
            known: attribute,
            ..Text::of(Lines::Fields)
        })
    } else if whole.contains("META-INF/maven/") && name == "pom.properties" {
        Some(Text {
            known: comment,
            ..Text::PLAIN
        })
    } else if name.ends_with("git.properties") {
        Some(Text {
            known: comment,
            every: of_git,
            ..Text::PLAIN
        })
    } else if name.to_ascii_lowercase().ends_with(".mf") {
        Some(Text::of(Lines::Fields))
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
