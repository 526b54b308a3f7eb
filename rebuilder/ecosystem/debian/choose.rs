//! The packages that a subject stands for: the named one, and all others from the same build.

use std::collections::BTreeSet;

use debversion::Version;

use super::Package;
use crate::apt::{Binary, BinaryRow, Indexes};
use crate::ecosystem::PlanError;

/// The package that was asked for, and all others from the same build.
pub(super) struct Chosen {
    pub named: Binary,
    pub outputs: Vec<Binary>,
    /// Whether the packages for single architectures are from another build, a binNMU.
    pub only_all: bool,
    /// Other versions of the named package that the indexes list.
    pub others: Vec<Version>,
    /// The outputs that are packages of the installer.
    pub installer: Vec<Binary>,
}

pub(super) fn choose(indexes: &Indexes, subject: &Package) -> Result<Chosen, PlanError> {
    let parse = |text: &String| text.parse::<Version>();
    let wanted = subject.version.as_ref().map(parse).transpose();
    let wanted = wanted.map_err(|_| subject.unreadable("the version", "it is not a Debian version"))?;
    let related = indexes.binaries(|row| concerns(row, &subject.name))?;
    // A binary with the name takes precedence over a source with it.
    let is_binary = related.iter().any(|binary| binary.package == subject.name);
    let version_of = |binary: &Binary| {
        if is_binary {
            binary.version.clone()
        } else {
            binary.source_version.clone()
        }
    };
    let named = related
        .iter()
        .filter(|binary| !is_binary || binary.package == subject.name)
        .filter(|binary| {
            wanted
                .as_ref()
                .is_none_or(|wanted| version_of(binary) == *wanted || binary.source_version == *wanted)
        })
        .max_by_key(|binary| version_of(binary))
        .cloned();
    let Some(named) = named else {
        let versions = related.iter().map(|binary| version_of(binary).to_string());
        return Err(unknown(indexes, subject, versions.collect()));
    };
    let mut seen = BTreeSet::new();
    // If the source has the subject's name, all its binaries are among the related ones already.
    let of_source = if named.source == subject.name {
        related.clone()
    } else {
        indexes.binaries(|row| concerns(row, &named.source))?
    };
    let of_this_source =
        |binary: &Binary| binary.source == named.source && binary.source_version == named.source_version;
    // A binNMU is a separate build: packages from another build of the same source are not its outputs.
    let of_this_build = |binary: &Binary| of_this_source(binary) && suffix(binary) == suffix(&named);
    let siblings: Vec<_> = of_source.into_iter().filter(of_this_source).collect();
    let mut installer = indexes.installer_packages(|row| concerns(row, &named.source))?;
    // A mirror lists some in the index of each suite, or of each architecture.
    installer.retain(|binary| {
        of_this_build(binary) && seen.insert((super::installer_file_name(binary), binary.sha256))
    });
    let only_all = named.arch == "all" && siblings.iter().any(|binary| suffix(binary).is_some());
    let outputs = siblings
        .into_iter()
        .filter(of_this_build)
        .filter(|binary| seen.insert((super::file_name(binary), binary.sha256)))
        .collect();
    let others = other_versions(&related, &named);
    Ok(Chosen {
        named,
        outputs,
        only_all,
        others,
        installer,
    })
}

/// The other versions of the same package, the oldest first.
fn other_versions(related: &[Binary], named: &Binary) -> Vec<Version> {
    let mut others: Vec<_> = related
        .iter()
        .filter(|binary| binary.package == named.package)
        .map(|binary| binary.version.clone())
        .collect();
    others.retain(|version| *version != named.version);
    others.sort();
    others.dedup();
    others
}

/// The error for a package or a version that the archive does not have; it names the versions that the archive has.
fn unknown(indexes: &Indexes, subject: &Package, mut versions: Vec<String>) -> PlanError {
    versions.dedup();
    let help = if versions.is_empty() {
        match indexes.similar(&subject.name) {
            Some(meant) => format!("did you mean {meant}?"),
            None => {
                "check the name; packages are looked up as binary packages first, then as source packages"
                    .to_owned()
            }
        }
    } else {
        format!(
            "the archive has {}; older versions need an archive that still has them",
            versions.join(", ")
        )
    };
    let suites: Vec<_> = indexes
        .releases
        .iter()
        .map(|release| release.suite.as_str())
        .collect();
    PlanError::Unknown {
        subject: match &subject.version {
            Some(version) => format!("{} {version}", subject.name),
            None => subject.name.clone(),
        },
        place: suites.join(", "),
        help,
    }
}

/// Whether a binary package or its source has this name.
fn concerns(row: &BinaryRow<'_>, name: &str) -> bool {
    row.package == name || row.source == name
}

/// The binNMU suffix of a version: `+b1` of `1.0-2+b1`, if the source's version is `1.0-2`.
pub(super) fn suffix(binary: &Binary) -> Option<String> {
    let own = binary.version.to_string();
    own.strip_prefix(&binary.source_version.to_string())
        .filter(|rest| rest.starts_with("+b"))
        .map(str::to_owned)
}

/// The option of dpkg-buildpackage that builds only this build's packages.
pub(super) fn build_kind(chosen: &Chosen) -> &'static str {
    if suffix(&chosen.named).is_some() {
        "--build=any"
    } else if chosen.only_all {
        "--build=all"
    } else {
        "--build=binary"
    }
}
