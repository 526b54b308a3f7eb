//! Binary-only rebuilds (binNMU): the changelog entry that is not in the source package.

use std::io::Read as _;

use super::Package;
use super::choose::{Chosen, suffix};
use crate::compare;
use crate::ecosystem::PlanError;
use crate::store::Blob;

/// Maximum number of lines of an entry, and of bytes of a line.
const MOST_LINES: usize = 20;
const LONGEST_LINE: usize = 500;

/// The changelog entry of a binary-only rebuild, from `changelog.Debian.ARCH.gz` of a released package.
pub(super) fn changelog_entry(
    subject: &Package,
    chosen: &Chosen,
    released: &[Blob],
) -> Result<Option<String>, PlanError> {
    let rebuilt = chosen.outputs.iter().find_map(|it| Some((it, suffix(it)?)));
    let Some((binary, suffix)) = rebuilt else {
        return Ok(None);
    };
    let start = format!("{} ({}) ", binary.source, binary.version);
    for blob in released {
        let entry = compare::read_member(&blob.path, |path| {
            path.starts_with("data.tar/usr/share/doc/")
                && path.contains("/changelog.Debian.")
                && path.ends_with(&format!("{}.gz", subject.arch))
        });
        let Ok(Some(bytes)) = entry else { continue };
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(&bytes[..])
            .take(1 << 20)
            .read_to_string(&mut text)
            .map_err(|error| subject.unreadable("the changelog of the binary rebuild", &error.to_string()))?;
        if let Some(entry) = own_entry(&text, &start) {
            return Ok(Some(entry));
        }
    }
    Err(PlanError::NotRebuildable {
        subject: subject.purl(),
        reason: format!(
            "it is the binary-only rebuild {suffix}, but no released package has its changelog entry"
        ),
        help: "the entry is the first of changelog.Debian.ARCH.gz, short, and marked binary-only=yes".into(),
    })
}

/// The first entry of a changelog, if it begins with `SOURCE (VERSION) ` and is that of a rebuild: it becomes a part of the
/// source, so it must not be anything else.
fn own_entry(changelog: &str, start: &str) -> Option<String> {
    let (entry, rest) = changelog.split_once("\n -- ")?;
    let (trailer, _) = rest.split_once('\n')?;
    let (head, _) = entry.split_once('\n')?;
    let options = head.strip_prefix(start)?;
    let lines = || entry.lines().chain([trailer]);
    let is_short = lines().count() <= MOST_LINES && lines().all(|line| line.len() <= LONGEST_LINE);
    (options.contains("binary-only=yes") && is_short).then(|| format!("{entry}\n -- {trailer}\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_short_entry_of_a_rebuild_is_taken() {
        let entry = |head: &str, lines: usize| {
            let body = "  * Rebuild against libc\n".repeat(lines);
            format!("{head}\n\n{body}\n -- A <a@b.example>  Mon, 01 Jan 2024 00:00:00 +0000\n")
        };
        let head = "p (1.0-2+b1) sid; urgency=low, binary-only=yes";
        let older = entry("p (1.0-2) sid; urgency=low", 1);
        for (changelog, expected) in [
            (entry(head, 1) + "\n" + &older, Some(entry(head, 1) + "\n")),
            (entry(head, 100), None),
            (entry("p (1.0-2+b1) sid; urgency=low", 1), None),
            (entry("p (1.0-2+b2) sid; urgency=low, binary-only=yes", 1), None),
            (entry("q (1.0-2+b1) sid; urgency=low, binary-only=yes", 1), None),
            (format!("{head}\n\n  * No end\n"), None),
        ] {
            assert_eq!(own_entry(&changelog, "p (1.0-2+b1) "), expected, "{changelog}");
        }
    }
}
