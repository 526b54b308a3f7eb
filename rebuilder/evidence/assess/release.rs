//! Statements of a registry or a forge about a release for which the specification says that names count: in-toto's
//! release predicate (`release/v0.1` and `v0.2`) and npm's publish attestation.

use std::str::FromStr as _;

use packageurl::PackageUrl;

use super::names;
use crate::evidence::assessment::Artifact;
use crate::evidence::json::member;
use crate::evidence::statement::{Descriptor, Statement, predicate};

/// Package types that are places of sources; a release on one may contain files of packages of any other type.
const FORGES: [&str; 4] = ["bitbucket", "generic", "github", "gitlab"];

/// How a release statement's names fit an artifact with the same digest.
pub(super) enum Named {
    /// It is about the artifact.
    Fits,
    /// It is about another package or file name; a sentence says which.
    Other(String),
    /// It contradicts itself; a sentence says how.
    Contradiction(String),
    /// It lacks something that its specification requires; a sentence says what.
    Incomplete(String),
}

/// Whether a predicate type is that of a release of a registry or forge.
pub(super) fn is_release(kind: &str) -> bool {
    [predicate::RELEASE_V01, predicate::RELEASE_V02].contains(&kind)
}

/// The package URL that a release statement is about: "It MUST include a purl `version`".
pub(super) fn purl(statement: &Statement) -> Option<PackageUrl<'_>> {
    let text = member(&statement.predicate, ["purl"]).as_str()?;
    PackageUrl::from_str(text)
        .ok()
        .filter(|purl| purl.version().is_some_and(|version| !version.is_empty()))
}

/// Compares the names in a statement with an artifact; `subjects` are those with the artifact's digests.
pub(super) fn named(statement: &Statement, subjects: &[&Descriptor], artifact: &Artifact) -> Named {
    match statement.predicate_type.as_str() {
        kind if is_release(kind) => release(statement, subjects, artifact),
        predicate::NPM_PUBLISH => npm(statement, subjects, artifact),
        _ => Named::Fits,
    }
}

fn release(statement: &Statement, subjects: &[&Descriptor], artifact: &Artifact) -> Named {
    let Some(purl) = purl(statement) else {
        return Named::Incomplete("it does not name its release (a purl with a version)".into());
    };
    if let Some(wanted) = names::asked_for(artifact)
        && !names::same_package(&purl, &wanted)
    {
        let elsewhere = |purl: &PackageUrl<'_>| FORGES.contains(&purl.ty());
        // A package of no kind has no owner that could release others, so its own name counts.
        let unowned = [&purl, &wanted].iter().any(|purl| purl.ty() == "generic");
        let same_name = purl.name().eq_ignore_ascii_case(wanted.name());
        if purl.ty() == wanted.ty() || !elsewhere(&purl) && !elsewhere(&wanted) || unowned && !same_name {
            return Named::Other(format!("it is about the release {purl}, not {wanted}"));
        }
    }
    // "`subject.name`: The filename of the artifact as it would appear on disk."
    let mut given = subjects.iter().filter_map(|subject| subject.given_name());
    let is_own = |name: &str| name == artifact.name;
    match given.next() {
        Some(first) if !artifact.name.starts_with("sha256:") && !is_own(first) && !given.any(is_own) => {
            Named::Other(format!(
                "it names these bytes {first:?}, not {:?}, and the name is part of what it states",
                artifact.name
            ))
        }
        _ => Named::Fits,
    }
}

/// "`name`, `version`" of npm's predicate must be those of the subject, which is a package URL.
fn npm(statement: &Statement, subjects: &[&Descriptor], artifact: &Artifact) -> Named {
    let text = |key: &str| statement.predicate.get(key)?.as_str();
    let (Some(name), Some(version)) = (text("name"), text("version")) else {
        return Named::Incomplete("it does not name its package and version".into());
    };
    let is_named = |purl: &PackageUrl<'_>| {
        let whole = purl.namespace().map_or_else(
            || purl.name().to_owned(),
            |scope| format!("{scope}/{}", purl.name()),
        );
        purl.ty() == "npm" && whole == name
    };
    let is_it = |purl: &PackageUrl<'_>| is_named(purl) && purl.version() == Some(version);
    let packages: Vec<_> = subjects
        .iter()
        .filter_map(|subject| PackageUrl::from_str(subject.given_name()?).ok())
        .collect();
    if let Some(first) = packages.first().filter(|_| !packages.iter().any(is_it)) {
        return Named::Contradiction(format!(
            "its subject is {first}, and its predicate is about {name}@{version}"
        ));
    }
    match names::asked_for(artifact) {
        // Without a version, any version is wanted.
        Some(wanted) if !(is_it(&wanted) || is_named(&wanted) && wanted.version().is_none()) => {
            Named::Other(format!("it is about {name}@{version}, not {wanted}"))
        }
        _ => Named::Fits,
    }
}
