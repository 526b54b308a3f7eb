//! What the subjects of a statement say about an artifact: that these bytes were produced, or other bytes under its
//! name.

use std::str::FromStr as _;

use packageurl::PackageUrl;

use super::testimony::RebuildClaim;
use crate::evidence::assess::Artifact;
use crate::evidence::statement::{Descriptor, DigestMatch};

/// What subjects say about an artifact: these bytes, or others under the same name.
///
/// Subjects are matched by digest. If several are listed, their names distinguish them: if one with the file's name has
/// other bytes, and none with this name has these bytes, other bytes were produced under the name.
pub(super) fn came_out(subjects: &[Descriptor], artifact: &Artifact) -> Option<RebuildClaim> {
    let matches = |subject: &Descriptor| subject.matches(&artifact.digests);
    let bound: Vec<&Descriptor> = subjects
        .iter()
        .filter(|subject| same_package(subject, artifact) != Some(false))
        .collect();
    let mut same = bound
        .iter()
        .filter(|subject| matches(subject) == DigestMatch::Same)
        .peekable();
    let differs = |subject: &Descriptor| {
        // Of several digests, one that is not the artifact's.
        let is_other = |(algorithm, value): &(&String, &String)| {
            let own = artifact.digests.get(algorithm);
            own.is_none_or(|own| !own.eq_ignore_ascii_case(value))
        };
        let sha256 = subject.digest.get_key_value("sha256").filter(is_other);
        let digest = sha256.or_else(|| subject.digest.iter().find(is_other));
        RebuildClaim::Differs {
            rebuilt: digest.map(|(algorithm, value)| format!("{algorithm}:{value}")),
        }
    };
    if same.peek().is_some() {
        let own_name = same.any(|subject| is_file(subject, artifact));
        let other = bound
            .iter()
            .find(|subject| is_file(subject, artifact) && subject.names_other(&artifact.digests));
        return match other.filter(|_| !own_name) {
            Some(other) => Some(differs(other)),
            None => Some(RebuildClaim::Same),
        };
    }
    let named =
        |subject: &&&Descriptor| is_file(subject, artifact) || same_package(subject, artifact) == Some(true);
    let other = bound
        .iter()
        .filter(named)
        .find(|subject| subject.names_other(&artifact.digests))?;
    Some(differs(other))
}

/// A subject with the artifact's name whose digests are by algorithms that are not known here, or are missing.
pub(super) fn incomparable<'s>(subjects: &'s [Descriptor], artifact: &Artifact) -> Option<&'s Descriptor> {
    subjects.iter().find(|subject| {
        is_file(subject, artifact) && subject.matches(&artifact.digests) == DigestMatch::Unknown
    })
}

/// Whether a subject has the artifact's file name.
fn is_file(subject: &Descriptor, artifact: &Artifact) -> bool {
    let name = subject.name.as_deref().unwrap_or_default();
    let name = name.strip_prefix("rebuild/").unwrap_or(name);
    name.rsplit(['/', '\\']).next() == Some(artifact.name.as_str())
}

/// Whether a subject is of the same package and version; `None` if one of the two does not say.
fn same_package(subject: &Descriptor, artifact: &Artifact) -> Option<bool> {
    let wanted = PackageUrl::from_str(artifact.purl.as_deref()?).ok()?;
    let named = [&subject.uri, &subject.name].into_iter().flatten();
    let mut named = named.filter_map(|text| PackageUrl::from_str(text).ok());
    let named = named.next()?;
    let parts = |purl: &PackageUrl<'_>| {
        let architecture = purl.qualifiers().get("arch").map(ToString::to_string);
        (
            purl.ty().to_owned(),
            purl.namespace().map(str::to_owned),
            purl.name().to_owned(),
            purl.version().map(str::to_owned),
            architecture,
        )
    };
    let (a, b) = (parts(&wanted), parts(&named));
    let same_architecture = a.4.is_none() || b.4.is_none() || a.4 == b.4;
    // Without a version, any version is wanted.
    let same_version = a.3.is_none() || a.3 == b.3;
    Some((a.0, a.1, a.2) == (b.0, b.1, b.2) && same_version && same_architecture)
}
