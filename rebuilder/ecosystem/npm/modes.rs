//! Permissions of the publisher's files that git does not keep, and that npm copies.
//!
//! Git knows whether the owner may run a file, and nothing else. A folder that is shared with Windows, or a careless
//! `chmod`, leaves other permissions. They are read from the released tarball, and they do not determine the content of
//! any file.

use std::fmt::Write as _;
use std::path::Path;

use super::packing;
use crate::compare::{self, Member};
use crate::plan::{InlineFile, places};

/// The permissions that follow from git's own and a usual umask.
const USUAL: [u32; 4] = [0o644, 0o755, 0o664, 0o775];

/// The list of unusual permissions in a tarball, for files of the source, and their number.
pub(super) fn of(released: &Path, directory: &str, paths: &[String]) -> Option<(InlineFile, usize)> {
    let members = compare::list(released).ok()??;
    let text = list(&members, directory, paths);
    let count = text.lines().count();
    let file = InlineFile {
        place: places::MODES.into(),
        text,
    };
    (count > 0).then_some((file, count))
}

/// A line with mode and path for each file; the path is below the source.
fn list(members: &[Member], directory: &str, paths: &[String]) -> String {
    let mut found = String::new();
    for (path, member) in packing::of_source(members, directory, paths) {
        // The other bits are the type of the file.
        let mode = member.mode.map(|mode| mode & 0o777);
        if let Some(mode) = mode.filter(|mode| !USUAL.contains(mode)) {
            let _ = writeln!(found, "{mode:03o} {path}");
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::Sha256;

    #[test]
    fn only_unusual_permissions_of_files_of_the_source_are_listed() {
        let member = |path: &str, mode| Member {
            path: format!("package/{path}"),
            sha256: Sha256::of(path),
            size: 0,
            mode: Some(mode),
            time: None,
            owner: None,
            system: None,
        };
        let members = [
            member("LICENSE", 0o100_777),
            member("README.md", 0o100_664),
            member("dist/made.js", 0o777),
            member("../../etc/passwd", 0o777),
            member("lib/a b.js", 0o600),
        ];
        let paths = ["LICENSE", "README.md", "lib/a b.js", "p/LICENSE"].map(str::to_owned);
        for (directory, expected) in [
            ("", "777 LICENSE\n600 lib/a b.js\n"),
            ("p", "777 p/LICENSE\n"),
            ("q", ""),
        ] {
            assert_eq!(list(&members, directory, &paths), expected, "{directory}");
        }
    }
}
