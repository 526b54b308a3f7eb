//! Times of the publisher's files, which Yarn 1 writes into the tarball; npm writes the same time for all files.
//!
//! They are read from the released tarball, and they do not determine the content of any file.

use std::fmt::Write as _;
use std::path::Path;

use crate::compare::{self, Member};
use crate::plan::{InlineFile, places};

/// The list of the times in a tarball, and their number.
pub(super) fn of(released: &Path) -> Option<(InlineFile, usize)> {
    let members = compare::list(released).ok()??;
    let text = list(&members);
    let count = text.lines().count();
    let file = InlineFile {
        place: places::TIMES.into(),
        text,
    };
    (count > 0).then_some((file, count))
}

/// A line with seconds and path for each file and folder; the path is below the folder that is packed, which is `.`.
fn list(members: &[Member]) -> String {
    let mut found = String::new();
    for member in members {
        let Some(time) = member.time else { continue };
        let path = member.path.trim_end_matches('/');
        let below = path.split_once('/').map_or(".", |(_, below)| below);
        let inside = below
            .split('/')
            .all(|part| !part.is_empty() && part != ".." && (part != "." || below == "."));
        if inside && !below.chars().any(char::is_control) {
            let _ = writeln!(found, "{time} {below}");
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::Sha256;

    #[test]
    fn each_file_and_folder_has_its_time() {
        let member = |path: &str, time| Member {
            path: path.to_owned(),
            sha256: Sha256::of(path),
            size: 0,
            mode: None,
            time,
            owner: None,
            system: None,
        };
        let members = [
            member("package/", Some(5)),
            member("package/lib", Some(6)),
            member("package/lib/a b.js", Some(7)),
            member("package/../x", Some(8)),
            member("package/./x", Some(8)),
            member("package//x", Some(8)),
            member("package/x\n", Some(8)),
            member("package/y", None),
        ];
        assert_eq!(list(&members), "5 .\n6 lib\n7 lib/a b.js\n");
    }
}
