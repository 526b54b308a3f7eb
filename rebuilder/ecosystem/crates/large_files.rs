//! Files of Git LFS: the commit has a pointer with the digest of each, and its bytes are elsewhere.
//!
//! The pointer pins the bytes. A released file of this digest is the very file that the publisher's checkout had, so
//! the plan takes it as an input. The recipe compares its digest with the pointer again.

use std::collections::BTreeSet;
use std::path::Path;

use url::Url;

use super::package::Package;
use crate::artifact::{PinnedFile, Sha256};
use crate::compare;
use crate::ecosystem::PlanError;
use crate::plan::{Assumption, Origin, PinnedInput, Role, assume, places};
use crate::store::{Checkout, Fetcher, GitError};
use crate::text::plural;

/// Maximum number of `.gitattributes` files that are read.
const MOST_ATTRIBUTES: usize = 200;
/// Maximum length of a pointer, by the specification of Git LFS.
const POINTER: usize = 1024;
/// Maximum number of files of one crate.
const MOST: usize = 64;

/// What a pointer says: the digest of the file, and its length.
fn read(pointer: &[u8]) -> Option<(Sha256, u64)> {
    let text = std::str::from_utf8(pointer.get(..POINTER.min(pointer.len()))?).ok()?;
    let rest = text.strip_prefix("version https://git-lfs.github.com/spec/v1\n")?;
    let field = |name: &str| rest.lines().find_map(|line| line.strip_prefix(name));
    let digest = field("oid sha256:")?.parse().ok()?;
    let size = field("size ")?.parse().ok()?;
    (pointer.len() <= POINTER).then_some((digest, size))
}

/// Where the bytes behind a pointer can be fetched: GitHub serves them by commit and path. Of other hosts, only the
/// released crate has them.
fn address(checkout: &Checkout, path: &str) -> Option<String> {
    let repository = Url::parse(&checkout.source.repository).ok()?;
    let mut url = Url::parse("https://media.githubusercontent.com/media").ok()?;
    if repository.host_str() != Some("github.com") {
        return None;
    }
    let name = repository.path().trim_matches('/').trim_end_matches(".git");
    let parts = name.split('/').chain([checkout.commit.as_str()]);
    url.path_segments_mut().ok()?.extend(parts.chain(path.split('/')));
    Some(url.into())
}

/// The files of a crate whose pointers are in the commit, and what the plan says of them.
pub(super) fn of(
    fetcher: &Fetcher,
    checkout: &Checkout,
    folder: &str,
    package: &Package,
    released: &Path,
) -> Result<(Vec<PinnedInput>, Option<Assumption>), PlanError> {
    let (mut inputs, mut paths) = (Vec::new(), Vec::new());
    // A mirror may lack files; those are not read.
    if !has_any(checkout).unwrap_or(false) {
        return Ok((inputs, None));
    }
    let mut taken = BTreeSet::new();
    for (below, sha256, size) in &package.files {
        let path = format!("{folder}/{below}");
        let path = path.trim_start_matches('/');
        let file = checkout.file(path).ok().flatten();
        let pointer = file.as_deref().and_then(read);
        if pointer != Some((*sha256, *size)) {
            continue;
        }
        if taken.len() == MOST || !taken.insert(*sha256) {
            continue;
        }
        let fits = |member: &str| member.split_once('/').is_some_and(|(_, rest)| rest == below);
        // A file that is too large to be read is fetched from its address.
        if let Ok(Some(bytes)) = compare::read_member(released, fits) {
            fetcher.store().keep(bytes.as_slice())?;
        }
        inputs.push(PinnedInput {
            role: Role::Source,
            purl: None,
            place: format!("{}/{sha256}", places::LARGE_FILES),
            file: PinnedFile {
                name: path.rsplit('/').next().unwrap_or(path).to_owned(),
                urls: address(checkout, path).into_iter().collect(),
                sha256: *sha256,
                size: *size,
            },
        });
        paths.push(path.to_owned());
    }
    let value = format!("{}: {}", plural(paths.len(), "file"), paths.join(", "));
    let from = Origin::Declared("the pointers in the commit, which have the digests of the files".into());
    let assumption = (!paths.is_empty()).then(|| assume("files of Git LFS", value, from));
    Ok((inputs, assumption))
}

/// Whether the commit uses Git LFS at all.
fn has_any(checkout: &Checkout) -> Result<bool, GitError> {
    let found = checkout.each_named(".gitattributes", MOST_ATTRIBUTES, |_, bytes| {
        let text = String::from_utf8_lossy(bytes);
        text.contains("filter=lfs").then_some(())
    })?;
    Ok(found.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_names_the_digest_and_the_length_of_one_file() {
        let digest = "6b".repeat(32);
        let version = "version https://git-lfs.github.com/spec/v1\n";
        let found: Option<(Sha256, u64)> = Some((digest.parse().unwrap(), 10_428));
        for (text, expected) in [
            (format!("{version}oid sha256:{digest}\nsize 10428\n"), found),
            (
                format!("{version}ext-0-x sha256:{digest}\noid sha256:{digest}\nsize 10428\n"),
                found,
            ),
            (format!("oid sha256:{digest}\nsize 10428\n"), None),
            (
                format!("{version}oid sha256:{}\nsize 10428\n", &digest[2..]),
                None,
            ),
            (format!("{version}oid sha256:{digest}\n"), None),
            (
                format!(
                    "{version}oid sha256:{digest}\nsize 10428\n{}",
                    "#".repeat(POINTER)
                ),
                None,
            ),
            (String::new(), None),
        ] {
            assert_eq!(read(text.as_bytes()), expected, "{text}");
        }
    }
}
