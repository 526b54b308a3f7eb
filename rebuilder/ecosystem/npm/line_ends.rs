//! Line ends of single files of the publisher's source.
//!
//! Git on Windows writes all text files with CR LF, but editors and tools of the publisher may write single ones the
//! other way. The released tarball shows which files these are.

use std::collections::BTreeMap;
use std::path::Path;

use super::packing;
use crate::artifact::Sha256;
use crate::compare;
use crate::ecosystem::PlanError;
use crate::plan::{InlineFile, places};
use crate::store::Checkout;

/// The list of the files of the source that a tarball has with CR LF, and their number; `None` if it has none, or if it
/// has no other text of the source.
pub(super) fn of(
    released: &Path,
    directory: &str,
    paths: &[String],
    checkout: &Checkout,
) -> Result<Option<(InlineFile, usize)>, PlanError> {
    let members = compare::list(released).ok().flatten().unwrap_or_default();
    let packed: BTreeMap<_, _> = packing::of_source(&members, directory, paths)
        .map(|(path, member)| (path, member.sha256))
        .collect();
    let (mut changed, mut same) = (Vec::new(), false);
    for (path, digest) in packed {
        let text = checkout.file(&path)?.unwrap_or_default();
        match ends(&text, digest) {
            Some(Ends::Windows) => changed.push(path),
            Some(Ends::Same) => same = true,
            None => {}
        }
    }
    let count = changed.len();
    let file = InlineFile {
        place: places::LINE_ENDS.into(),
        text: changed.join("\n") + "\n",
    };
    Ok((same && count > 0).then_some((file, count)))
}

/// How a released file ends its lines.
#[derive(Debug, PartialEq, Eq)]
enum Ends {
    /// As the source does.
    Same,
    /// With CR LF.
    Windows,
}

/// How the file with this digest ends its lines, if it is this text apart from them; `None` for text of one line.
fn ends(text: &[u8], released: Sha256) -> Option<Ends> {
    if !text.contains(&b'\n') || text.contains(&b'\r') || text.contains(&0) {
        return None;
    }
    if Sha256::of(text) == released {
        return Some(Ends::Same);
    }
    let lines: Vec<_> = text.split(|byte| *byte == b'\n').collect();
    (Sha256::of(lines.join(&b"\r\n"[..])) == released).then_some(Ends::Windows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_tells_how_lines_end() {
        for (text, released, expected) in [
            ("a\nb\n", "a\nb\n", Some(Ends::Same)),
            ("a\nb\n", "a\r\nb\r\n", Some(Ends::Windows)),
            ("a\nb", "a\r\nb", Some(Ends::Windows)),
            ("a\nb\n", "a\r\nb\n", None),
            ("a\nb\n", "a\r\nc\r\n", None),
            ("a\r\nb\r\n", "a\r\nb\r\n", None),
            ("a", "a", None),
            ("a\0\n", "a\0\r\n", None),
        ] {
            let found = ends(text.as_bytes(), Sha256::of(released));
            assert_eq!(found, expected, "{text:?} {released:?}");
        }
    }
}
