//! Submodules: cargo packs their files if they are in the folder of the package.

use super::package::Package;
use crate::plan::{Assumption, Origin, assume};

/// Whether a crate has files of the submodule at this path.
pub(super) fn has_files_of(package: &Package, submodule: &str) -> bool {
    let files = package.files.iter().map(|(path, ..)| path.as_str());
    are_below(files, package.folder.as_deref(), submodule)
}

/// Whether files of a folder of the source, or of a folder that is not known, may be below another one.
fn are_below<'a>(mut files: impl Iterator<Item = &'a str>, folder: Option<&str>, submodule: &str) -> bool {
    let below = match folder.map(|folder| folder.trim_matches('/')) {
        Some("") => submodule,
        Some(folder) => {
            let path = submodule.strip_prefix(folder);
            path.and_then(|path| path.strip_prefix('/')).unwrap_or_default()
        }
        None => {
            return files.any(|path| {
                let mut above = path.match_indices('/').map(|(at, _)| &path[..at]);
                above.any(|folder| submodule == folder || submodule.ends_with(&format!("/{folder}")))
            });
        }
    };
    let is_below = |path: &str| path.strip_prefix(below).is_some_and(|rest| rest.starts_with('/'));
    !below.is_empty() && files.any(is_below)
}

pub(super) fn assumption(paths: &[String], are_taken: bool) -> Option<Assumption> {
    let (what, from) = if are_taken {
        let from = "the released crate, which has files of theirs";
        (
            "taken, each at the commit that the source names",
            Origin::Inferred(from.into()),
        )
    } else {
        let from = "cargo needs them only if the crate has files of theirs";
        ("left out, an empty folder each", Origin::Convention(from.into()))
    };
    (!paths.is_empty()).then(|| assume("submodules", format!("{what}: {}", paths.join(", ")), from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submodule_is_needed_if_the_crate_has_files_below_it() {
        for (file, folder, submodule, expected) in [
            ("src/proto/a.proto", Some("sdk"), "sdk/src/proto", true),
            ("src/proto/a.proto", Some(""), "src/proto", true),
            ("src/protocol.rs", Some("sdk"), "sdk/src/proto", false),
            ("src/proto/a.proto", Some("other"), "sdk/src/proto", false),
            ("k/src/proto/a.proto", Some("sd"), "sdk/src/proto", false),
            ("lib.rs", Some("sdk"), "sdk", false),
            // A crate without the folder's name.
            ("src/proto/a.proto", None, "sdk/src/proto", true),
            ("src/proto/a.proto", None, "src/proto", true),
            ("src/lib.rs", None, "sdk/src/proto", false),
        ] {
            let found = are_below([file].into_iter(), folder, submodule);
            assert_eq!(found, expected, "{file} of {folder:?}, {submodule}");
        }
    }
}
