//! What a set of requirements allows, found without asking pip: pip takes seconds to answer, and its reasons list
//! every version that was ever released.

use std::collections::BTreeSet;

use pep440_rs::{Operator, Version, VersionSpecifiers};
use pep508_rs::VersionOrUrl;

use super::requirement;

/// The project and the bounds of a requirement without extras or an address.
pub(super) fn plain(text: &str) -> Option<(String, VersionSpecifiers)> {
    let requirement = requirement::read(text)?;
    if !requirement.extras.is_empty() || requirement.marker.contents().is_some() {
        return None;
    }
    let specifiers = match requirement.version_or_url {
        Some(VersionOrUrl::VersionSpecifier(specifiers)) => specifiers,
        Some(VersionOrUrl::Url(_)) => return None,
        None => VersionSpecifiers::empty(),
    };
    Some((requirement.name.to_string(), specifiers))
}

/// Whether two requirements are the same, however the project is spelt.
pub(super) fn same(one: &str, other: &str) -> bool {
    plain(one).is_some_and(|one| plain(other).is_some_and(|other| one == other))
}

/// The single version that the bounds allow, if they name one.
fn exact(specifiers: &VersionSpecifiers) -> Option<&Version> {
    let exact = specifiers.iter().find(|it| *it.operator() == Operator::Equal);
    exact.map(pep440_rs::VersionSpecifier::version)
}

/// Removes duplicates, and requirements that follow from an exact version of the same project, so that no solver has
/// to find that out.
pub(super) fn merged(requirements: &[String]) -> Vec<String> {
    let pins: Vec<_> = requirements
        .iter()
        .filter_map(|text| plain(text))
        .filter_map(|(name, bounds)| Some((name, exact(&bounds)?.clone())))
        .collect();
    let follows = |text: &String| {
        let Some((name, bounds)) = plain(text) else {
            return false;
        };
        exact(&bounds).is_none()
            && pins
                .iter()
                .any(|(pinned, version)| *pinned == name && bounds.contains(version))
    };
    let mut seen = BTreeSet::new();
    requirements
        .iter()
        .filter(|text| !follows(text) && seen.insert(text.as_str()))
        .cloned()
        .collect()
}

/// The requirements in a comma-separated list; a bound after a comma belongs to the requirement before it.
pub(super) fn listed(text: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for part in text.split(", ") {
        let bound = part.trim_start().starts_with(['<', '>', '=', '!', '~']);
        match all.last_mut() {
            Some(last) if bound => {
                last.push(',');
                last.push_str(part);
            }
            _ => all.push(part.to_owned()),
        }
    }
    all
}

/// Whether a version of the project below `first` can meet the requirements.
pub(super) fn allow_below(requirements: &[String], project: &str, first: &Version) -> bool {
    let of_project = requirements.iter().filter_map(|text| plain(text));
    of_project.filter(|(name, _)| name == project).all(|(_, bounds)| {
        bounds.iter().all(|bound| match bound.operator() {
            Operator::GreaterThan
            | Operator::GreaterThanEqual
            | Operator::TildeEqual
            | Operator::Equal
            | Operator::EqualStar
            | Operator::ExactEqual => bound.version() < first,
            _ => true,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn an_exact_version_says_what_looser_requirements_say() {
        for (all, expected) in [
            (&["wheel", "wheel==0.33.3"][..], &["wheel==0.33.3"][..]),
            (&["wheel==0.33.3", "Wheel>=0.30"], &["wheel==0.33.3"]),
            (
                &["wheel>=0.40", "wheel==0.33.3"],
                &["wheel>=0.40", "wheel==0.33.3"],
            ),
            (&["setuptools", "setuptools"], &["setuptools"]),
            (
                &["coverage[toml]", "coverage==7.0"],
                &["coverage[toml]", "coverage==7.0"],
            ),
        ] {
            assert_eq!(merged(&owned(all)), expected, "{all:?}");
        }
    }

    #[test]
    fn a_requirement_is_the_same_however_it_is_spelt() {
        for (one, other, expected) in [
            ("flit_core==3.9.0", "flit-core==3.9", true),
            ("flit_core==3.9.0", "flit-core==3.8", false),
            ("flit==3.9.0", "flit-core==3.9.0", false),
            ("flit[x]==3.9.0", "flit[x]==3.9.0", false),
        ] {
            assert_eq!(same(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn a_list_of_requirements_is_read_as_it_was_written() {
        let written = ["setuptools>=61", "flit_core >=2, <4", "wheel"];
        assert_eq!(
            listed(&written.join(", ")),
            ["setuptools>=61", "flit_core >=2,<4", "wheel"]
        );
    }

    #[test]
    fn a_lower_bound_forbids_what_is_older() {
        for (required, first, expected) in [
            ("setuptools>=61", "60", false),
            ("setuptools>=61", "62.3", true),
            ("setuptools>=61", "61", false),
            ("setuptools~=58.0", "57", false),
            ("setuptools<70.1", "36.2", true),
            ("setuptools!=60", "60", true),
            ("wheel>=61", "60", true),
        ] {
            let first = first.parse().unwrap();
            assert_eq!(
                allow_below(&owned(&[required]), "setuptools", &first),
                expected,
                "{required}"
            );
        }
    }
}
