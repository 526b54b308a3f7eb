//! What is said of an installation, and whether a document says it.

use super::{RESOLVED, SERVED};
use crate::plan::{Assumption, Origin, assume};
use crate::text::plural;

/// How the packages of a lock file are installed.
#[derive(Clone, Copy)]
pub(super) enum How<'a> {
    /// By npm, or by a package manager whose version the source names.
    ByIts,
    /// By this package manager, in a version that only the form of the lock file implies.
    ByGuessed(&'a str, &'a str),
    /// By npm, in place of Yarn 2 or later.
    InYarnsStead,
    /// By Yarn, which has to choose versions for this number of requirements.
    WithoutSome(usize),
}

pub(super) fn origin_of(path: &str, how: How<'_>) -> Origin {
    match how {
        How::ByIts => Origin::Declared(format!("{path} of the source")),
        How::ByGuessed(name, version) => Origin::Inferred(format!(
            "{path} of the source, installed by {name} {version}, which reads its form"
        )),
        How::InYarnsStead => Origin::Inferred(format!(
            "versions of {path} of the source, placed by npm in Yarn's stead"
        )),
        How::WithoutSome(count) => Origin::Inferred(format!(
            "{path} of the source; it lacks {} of package.json, for which these are the newest by the day of the release",
            plural(count, "requirement")
        )),
    }
}

/// The assumption for a package manager whose version no document names.
pub(super) fn guessed_version(name: &str, version: &str) -> Assumption {
    assume(
        &format!("version of {name}"),
        version,
        Origin::Inferred("it is called, and package.json names no version of it".into()),
    )
}

/// The recipe's own settings for one way of installing, as assumptions.
pub(super) fn of_install(install: &str) -> Vec<Assumption> {
    let peers = || {
        assume(
            "peer dependencies that contradict each other",
            "npm refuses them, and is called again with --legacy-peer-deps",
            Origin::Inferred("no document says whether its publisher had npm refuse them".into()),
        )
    };
    let by_npm = [RESOLVED, SERVED, "npm"].contains(&install);
    by_npm.then(peers).into_iter().collect()
}

/// The assumption about what stands in for the package that is rebuilt.
pub(super) fn stand_in() -> Assumption {
    assume(
        "stand-in for the package itself",
        "its source, packed before any script ran",
        Origin::Inferred(
            "a package of the build requires this version, and the released one is no input".into(),
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_document_says_of_an_installation_is_declared() {
        for (how, declared, words) in [
            (How::ByIts, true, "of the source"),
            (How::ByGuessed("pnpm", "8.15.9"), false, "by pnpm 8.15.9"),
            (How::ByGuessed("yarn", "1.22.22"), false, "by yarn 1.22.22"),
            (How::InYarnsStead, false, "in Yarn's stead"),
            (How::WithoutSome(2), false, "lacks 2 requirements"),
        ] {
            let origin = origin_of("a/lock", how);
            let said = assume("dependencies", "", origin.clone());
            assert_eq!(said.is_declared(), declared, "{origin:?}");
            assert!(format!("{origin:?}").contains(words), "{origin:?}");
        }
        assert!(!guessed_version("yarn", "1.22.22").is_declared());
        for (install, expected) in [
            (RESOLVED, true),
            (SERVED, true),
            ("npm", true),
            ("yarn", false),
            ("", false),
        ] {
            let said = of_install(install);
            let peers = said.iter().any(|it| it.value.contains("--legacy-peer-deps"));
            assert_eq!(peers, expected, "{install}");
            assert!(said.iter().all(|it| !it.is_declared()), "{install}");
        }
    }
}
