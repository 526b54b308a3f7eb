//! Compares the names that evidence gives to files with their names here.
//!
//! Bytes and names are two things: a signer who calls these bytes "tool-1.0-vulnerable" has not released them as
//! "tool". If a specification makes the name part of what is signed, another name refuses the evidence; if names are
//! free, as in SLSA provenance, the reader is told.

mod version;

use std::str::FromStr as _;

use packageurl::PackageUrl;

use super::Artifact;
use crate::evidence::statement::Descriptor;

pub(super) use version::of_version;

/// The names of some subjects, each once.
pub(super) fn labels<'a>(subjects: impl Iterator<Item = &'a Descriptor>) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    for subject in subjects {
        let label = subject.label().to_owned();
        if !labels.contains(&label) && labels.len() < 20 {
            labels.push(label);
        }
    }
    labels
}

/// A sentence if no subject has the artifact's name; `None` if one has it, or if none has a name.
pub(super) fn differs(subjects: &[&Descriptor], artifact: &Artifact) -> Option<String> {
    let asked = |name: &String| !name.starts_with("sha256:");
    if artifact.purl.is_none() && !asked(&artifact.name) {
        return None;
    }
    let answers: Vec<(&Descriptor, bool)> = subjects
        .iter()
        .filter_map(|subject| Some((*subject, is_called(subject, artifact)?)))
        .collect();
    if answers.iter().any(|(_, same)| *same) {
        return None;
    }
    let (first, _) = answers.first()?;
    let own = Some(&artifact.name)
        .filter(|name| asked(name))
        .or(artifact.purl.as_ref())?;
    Some(format!("it calls these bytes {:?}, not {own:?}", first.label()))
}

/// A sentence if lines of a list put the artifact into a folder, and none names it alone: a folder's name may carry a
/// meaning too, as in "known-malware/tool".
pub(super) fn in_folder(files: &[&Descriptor], artifact: &Artifact) -> Option<String> {
    let named = |file: &&&Descriptor| file.label() == artifact.name;
    if artifact.name.starts_with("sha256:") || files.iter().any(|file| named(&file)) {
        return None;
    }
    let path = files
        .iter()
        .map(|file| file.label())
        .find(|name| name.contains('/'))?;
    Some(format!("it calls these bytes {path:?}, not {:?}", artifact.name))
}

/// Whether a subject has the artifact's name; `None` if it has no name.
fn is_called(subject: &Descriptor, artifact: &Artifact) -> Option<bool> {
    let names: Vec<&str> = [subject.given_name(), subject.uri.as_deref()]
        .into_iter()
        .flatten()
        .collect();
    if names.is_empty() {
        return None;
    }
    Some(names.iter().any(|name| {
        if let Ok(purl) = PackageUrl::from_str(name) {
            return match asked_for(artifact) {
                Some(wanted) => {
                    same_package(&purl, &wanted) && of_version(&purl, &artifact.name) != Some(false)
                }
                None => of_version(&purl, &artifact.name) == Some(true),
            };
        }
        let file = name.rsplit(['/', '\\']).next().unwrap_or_default();
        // An artifact that was asked for by its package URL alone has no file name to compare.
        file == artifact.name || (artifact.name.starts_with("sha256:") && artifact.purl.is_some())
    }))
}

pub(super) fn asked_for(artifact: &Artifact) -> Option<PackageUrl<'_>> {
    PackageUrl::from_str(artifact.purl.as_deref()?).ok()
}

/// Whether a package is the wanted one; without a version, any version is wanted.
pub(super) fn same_package(own: &PackageUrl<'_>, wanted: &PackageUrl<'_>) -> bool {
    same_name(own, wanted) && (wanted.version().is_none() || own.version() == wanted.version())
}

/// Whether two package URLs name the same package, in whatever version.
fn same_name(one: &PackageUrl<'_>, other: &PackageUrl<'_>) -> bool {
    one.ty() == other.ty() && one.namespace() == other.namespace() && one.name() == other.name()
}

/// Whether a file's name may be that of a file of the package.
pub(super) fn may_be_of(purl: &PackageUrl<'_>, file: &str) -> bool {
    of_version(purl, file).is_some()
}

/// Whether a subject's name is that of another package than the one that was asked for, or of a released file of another: a
/// package URL, or a name of the same form that has a version in it. Names of no such form may be anything.
pub(super) fn is_of_another(label: &str, artifact: &Artifact) -> bool {
    let Some(wanted) = asked_for(artifact) else {
        return false;
    };
    if let Ok(purl) = PackageUrl::from_str(label) {
        // Debian leaves the epoch out of file names, and some out of package URLs.
        let version = |purl: &PackageUrl<'_>| {
            let version = purl.version()?;
            Some(
                version
                    .split_once(':')
                    .map_or(version, |(_, rest)| rest)
                    .to_owned(),
            )
        };
        let versions = version(&purl).zip(version(&wanted));
        return !same_name(&purl, &wanted) || versions.is_some_and(|(own, wanted)| own != wanted);
    }
    let file = label.rsplit(['/', '\\']).next().unwrap_or_default();
    let ending = artifact.name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let same_form = !ending.is_empty() && file.rsplit_once('.').is_some_and(|(_, own)| own == ending);
    let mut parts = file.split(['-', '_']).skip(1);
    let has_version = parts.any(|part| part.starts_with(|c: char| c.is_ascii_digit()));
    // A registry may write the version in another way. A name that begins otherwise is that of another package, also if
    // the file lies here under it.
    match of_version(&wanted, file) {
        Some(true) => false,
        Some(false) => file != artifact.name && same_form && has_version,
        None => same_form && has_version,
    }
}

/// A sentence if the subjects name packages, and none of them is the one that was asked for.
pub(super) fn other_package(subjects: &[&Descriptor], artifact: &Artifact) -> Option<String> {
    let wanted = asked_for(artifact)?;
    let named: Vec<_> = subjects
        .iter()
        .filter_map(|subject| PackageUrl::from_str(subject.name.as_deref()?).ok())
        .collect();
    let other = named
        .first()
        .filter(|_| !named.iter().any(|purl| same_package(purl, &wanted)))?;
    Some(format!("it names these bytes {other}, not {wanted}"))
}

/// A sentence if no subject has the distribution file's name (PEP 740), with the projects' names normalised.
pub(super) fn other_distribution(subjects: &[&Descriptor], artifact: &Artifact) -> Option<String> {
    if artifact.name.starts_with("sha256:") {
        return None;
    }
    let own = distribution(&artifact.name);
    let named = |subject: &&&Descriptor| {
        subject
            .name
            .as_deref()
            .is_some_and(|name| distribution(name) == own)
    };
    if subjects.iter().any(|subject| named(&subject)) {
        return None;
    }
    let other = subjects.first()?.label();
    Some(format!("it names these bytes {other:?}, not {:?}", artifact.name))
}

/// A sentence if a statement lists the artifact's name with other bytes, and the artifact's bytes only under other
/// names.
pub(super) fn swapped(all: &[Descriptor], same: &[&Descriptor], artifact: &Artifact) -> Option<String> {
    let is_own = |subject: &Descriptor| {
        let name = subject.given_name().unwrap_or_default();
        name.rsplit(['/', '\\']).next() == Some(artifact.name.as_str())
    };
    if same.iter().any(|subject| is_own(subject)) {
        return None;
    }
    let other = |subject: &&Descriptor| is_own(subject) && subject.names_other(&artifact.digests);
    all.iter().find(other)?;
    Some(format!(
        "it lists {:?} with other bytes, and these as {:?}",
        artifact.name,
        same.first()?.label()
    ))
}

/// A distribution's file name with its project's name normalised (PEP 503), as the index compares them.
pub(super) fn distribution(file: &str) -> String {
    let split = if file.ends_with(".whl") {
        file.split_once('-')
    } else {
        file.rsplit_once('-')
    };
    let Some((project, rest)) = split else {
        return file.to_owned();
    };
    let mut name = String::new();
    for c in project.to_lowercase().chars() {
        match c {
            '-' | '_' | '.' if name.ends_with('-') => {}
            '-' | '_' | '.' => name.push('-'),
            c => name.push(c),
        }
    }
    format!("{name}-{rest}")
}

#[cfg(test)]
mod tests;
