//! Binary-only rebuilds (binNMU): the changelog entry that is not in the source package.

use std::io::Read as _;

use super::Package;
use super::choose::{Chosen, suffix};
use crate::compare;
use crate::ecosystem::PlanError;
use crate::store::Blob;

/// The changelog entry of a binary-only rebuild, from `changelog.Debian.ARCH.gz` of a released package.
pub(super) fn changelog_entry(
    subject: &Package,
    chosen: &Chosen,
    released: &[Blob],
) -> Result<Option<String>, PlanError> {
    let Some(suffix) = chosen.outputs.iter().find_map(suffix) else {
        return Ok(None);
    };
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
        // Only the first entry is the rebuild's own.
        let first = text.split_once("\n -- ").and_then(|(entry, rest)| {
            let (trailer, _) = rest.split_once('\n')?;
            Some(format!("{entry}\n -- {trailer}\n\n"))
        });
        return Ok(Some(first.unwrap_or_else(|| format!("{text}\n"))));
    }
    Err(PlanError::NotRebuildable {
        subject: subject.purl(),
        reason: format!(
            "it is the binary-only rebuild {suffix}, but no released package has its changelog entry"
        ),
        help: "the entry is in changelog.Debian.ARCH.gz, or in the .buildinfo".into(),
    })
}
