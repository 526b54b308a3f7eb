//! The state of the publisher's checkout, as far as the crate tells.

use super::package::Package;
use crate::plan::{Assumption, Origin, assume};

/// The state of the checkout that a crate was packed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CheckoutState {
    /// Nothing was changed, and cargo recorded the commit.
    Clean,
    /// Something was changed.
    Changed,
    /// There was no repository.
    None,
}

/// The first release that records that a checkout was changed; earlier ones leave the commit out.
const SAYS_DIRTY: i64 = 81;

impl CheckoutState {
    pub fn of(package: &Package) -> Self {
        match &package.commit {
            Some(_) if package.dirty => Self::Changed,
            Some(_) => Self::Clean,
            None if package.age.last < SAYS_DIRTY => Self::Changed,
            None => Self::None,
        }
    }

    /// Whether cargo finds a repository.
    pub fn has_repository(self) -> bool {
        self != Self::None
    }

    /// The option that cargo needs.
    pub fn option(self) -> &'static str {
        match self {
            Self::Changed => "--allow-dirty",
            Self::Clean | Self::None => "",
        }
    }

    /// The assumption about the state, if the crate itself does not tell it.
    pub fn assumption(self, package: &Package) -> Option<Assumption> {
        let (value, from) = match self {
            Self::Clean => return None,
            Self::Changed if package.commit.is_some() => (
                "changed, in a way that did not reach the crate",
                Origin::Convention("the crate says that it was changed, and not how".into()),
            ),
            Self::Changed => (
                "changed, in a way that did not reach the crate",
                Origin::Inferred(
                    "the crate names no commit, and a cargo of its age leaves it out of changed ones".into(),
                ),
            ),
            Self::None => (
                "none",
                Origin::Inferred(
                    "the crate names no commit, and a cargo of its age names that of changed ones too".into(),
                ),
            ),
        };
        Some(assume("state of the checkout", value, from))
    }
}
