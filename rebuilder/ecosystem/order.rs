//! The order of two versions, by the rules of their ecosystem.

use std::cmp::Ordering;
use std::str::FromStr;

use crate::artifact::Ecosystem;

/// Compares two versions; `None` if the ecosystem's rules do not tell.
pub fn compare_versions(ecosystem: Ecosystem, one: &str, other: &str) -> Option<Ordering> {
    fn by<T: FromStr + Ord>(one: &str, other: &str) -> Option<Ordering> {
        Some(one.parse::<T>().ok()?.cmp(&other.parse::<T>().ok()?))
    }
    match ecosystem {
        Ecosystem::Pypi => by::<pep440_rs::Version>(one, other),
        Ecosystem::Crates => by::<semver::Version>(one, other),
        Ecosystem::Npm => by::<nodejs_semver::Version>(one, other),
        Ecosystem::Debian => by::<debversion::Version>(one, other),
        Ecosystem::Provenance => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ecosystem_has_its_own_order() {
        use Ecosystem::{Crates, Debian, Npm, Pypi};
        for (ecosystem, one, other, expected) in [
            (Pypi, "1.9", "1.10", Some(Ordering::Less)),
            (Pypi, "1.0rc1", "1.0", Some(Ordering::Less)),
            (Pypi, "1!0.1", "2.0", Some(Ordering::Greater)),
            (Pypi, "1.0", "1.0.0", Some(Ordering::Equal)),
            (Crates, "1.0.0-alpha.2", "1.0.0-alpha.10", Some(Ordering::Less)),
            (Npm, "4.0.0", "4.0.0-beta.1", Some(Ordering::Greater)),
            (Debian, "1.0~rc1-1", "1.0-1", Some(Ordering::Less)),
            (Debian, "2:1.0-1", "9.0-1", Some(Ordering::Greater)),
            (Crates, "not a version", "1.0.0", None),
        ] {
            assert_eq!(compare_versions(ecosystem, one, other), expected, "{one} {other}");
        }
    }
}
