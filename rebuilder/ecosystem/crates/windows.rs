//! Crates that were packed on Windows, where cargo writes other times and modes into the archive.
//!
//! Windows has no permission bits, so cargo gives every file the mode 644, and git writes the target of a symbolic link
//! into a file. The crate that writes archives for cargo has a constant in the place of modification times: on Unix it
//! changed with Rust 1.63, on Windows it did not.

use super::alternatives::{FIRST_ZLIB_RS, LAST_OLDER_TIME};
use super::package::Package;
use crate::plan::{Assumption, Origin, assume};

/// Name of the assumption about it.
pub(super) const SYSTEM: &str = "system that it was packed on";

/// The value of the recipe's variable.
pub(super) const WINDOWS: &str = "windows";

/// The assumption that a crate was packed on Windows, if a cargo of this minor number packed it.
///
/// The recipe compresses the archive again, for which its container has no zlib-rs.
pub(super) fn packed_on(package: &Package, minor: Option<i64>) -> Option<Assumption> {
    shows(package.older_time, minor).then(|| {
        let value =
            "Windows: every file has mode 644, a symbolic link is a file, and the fixed time is of 1973";
        let from = "the released crate: since Rust 1.63, cargo has written this time only on Windows";
        assume(SYSTEM, value, Origin::Inferred(from.into()))
    })
}

fn shows(older_time: bool, minor: Option<i64>) -> bool {
    older_time && minor.is_some_and(|minor| minor > LAST_OLDER_TIME && minor < FIRST_ZLIB_RS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_time_shows_windows_only_with_a_cargo_that_writes_another_one_elsewhere() {
        for (older_time, minor, expected) in [
            (true, Some(72), true),
            (true, Some(63), true),
            (true, Some(62), false),
            (true, Some(88), false),
            (true, None, false),
            (false, Some(72), false),
        ] {
            assert_eq!(shows(older_time, minor), expected, "{older_time} {minor:?}");
        }
    }
}
