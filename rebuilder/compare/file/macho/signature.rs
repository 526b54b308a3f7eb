//! Code signatures (`LC_CODE_SIGNATURE`): a code directory with the hash of each page, and optionally a signature by a
//! key.

use std::ops::Range;

use super::Image;
use crate::artifact::Sha256;
use crate::compare::both::Both;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::file::comparator::Leaf;
use crate::compare::file::regions::{Numbers, span};
use crate::compare::finding::Finding;

const SUPER_BLOB: u32 = 0xfade_0cc0;
const CODE_DIRECTORY: u32 = 0xfade_0c02;
/// A signature by a key (CMS).
const WRAPPER: u32 = 0xfade_0b01;

/// The content of a signature besides the hashes of pages, which are correct.
#[derive(PartialEq)]
struct Signature<'a> {
    /// Everything else that is signed: flags, identifier, requirements, entitlements.
    said: Vec<Vec<u8>>,
    by_key: &'a [u8],
}

/// Adds a finding for another signer, and returns one that only follows. Both are blanked if every hash is correct.
pub(super) fn compare(leaf: &mut Leaf, sides: &mut Both<Image>, within: &str) -> Option<Finding> {
    let (old, new) = (
        sides.released.signature.clone()?,
        sides.rebuilt.signature.clone()?,
    );
    let own = |image: &Image, at: &Range<usize>| image.bytes.get(at.clone()).map(<[u8]>::to_vec);
    let (released, rebuilt) = (own(&sides.released, &old)?, own(&sides.rebuilt, &new)?);
    if released == rebuilt {
        let covered = |image: &Image, at: &Range<usize>| image.bytes.get(..at.start).map(<[u8]>::to_vec);
        if covered(&sides.released, &old) != covered(&sides.rebuilt, &new) {
            let shown = format!("{} bytes", released.len());
            leaf.add(
                Finding::new(format!("{within}code signature"), shown.as_str(), shown.as_str())
                    .keyed("a signature that is the same for two different files"),
            );
        }
        return None;
    }
    let (before, after) = (
        read(sides.released.bytes, &old)?,
        read(sides.rebuilt.bytes, &new)?,
    );
    (before.said == after.said).then_some(())?;
    let keys = before.by_key != after.by_key;
    let shown = |by_key: &[u8]| match by_key.len() {
        0 => "by no key".to_owned(),
        length => format!("{length} bytes by a key"),
    };
    let finding = Finding::new(
        format!("{within}code signature"),
        shown(before.by_key),
        shown(after.by_key),
    );
    sides.released.regions.blank(old);
    sides.rebuilt.regions.blank(new);
    if keys {
        leaf.add(
            finding
                .because(Cause::Signature, Confidence::Proven)
                .keyed("code signatures"),
        );
        return None;
    }
    Some(
        finding
            .because(Cause::Checksum, Confidence::Proven)
            .keyed("hashes of pages"),
    )
}

/// `None` if a hash is wrong, or a byte is in no blob.
fn read<'a>(file: &'a [u8], at: &Range<usize>) -> Option<Signature<'a>> {
    const MOST: usize = 64;
    const ALIGNMENT: usize = 8;
    let bytes = file.get(at.clone())?;
    let numbers = Numbers {
        bytes,
        little_endian: false,
    };
    (numbers.u32(0)? == SUPER_BLOB).then_some(())?;
    let (length, count) = (numbers.size(4)?, numbers.size(8)?);
    (count <= MOST).then_some(())?;
    bytes.get(length..)?.iter().all(|byte| *byte == 0).then_some(())?;
    let mut end = count.checked_mul(8)?.checked_add(12)?;
    let mut signature = Signature {
        said: Vec::new(),
        by_key: &[],
    };
    for nth in 0..count {
        let entry = nth.checked_mul(8)?.checked_add(12)?;
        let start = numbers.size(entry.checked_add(4)?)?;
        let own = span(start, numbers.size(start.checked_add(4)?)?)?;
        // Linkers align the blobs.
        (start.checked_sub(end)? < ALIGNMENT).then_some(())?;
        bytes
            .get(end..start)?
            .iter()
            .all(|byte| *byte == 0)
            .then_some(())?;
        end = own.end;
        let blob = bytes.get(own)?;
        match numbers.u32(start)? {
            CODE_DIRECTORY => signature.said.push(directory(file, at.start, blob)?),
            WRAPPER => signature.by_key = blob.get(8..)?,
            _ => signature.said.push(blob.to_vec()),
        }
    }
    (end == length).then_some(signature)
}

/// A code directory without the hashes of pages, if all of them are correct.
fn directory(file: &[u8], limit: usize, blob: &[u8]) -> Option<Vec<u8>> {
    const SHA_256: u8 = 2;
    const LARGEST_PAGE: u8 = 16;
    let numbers = Numbers {
        bytes: blob,
        little_endian: false,
    };
    let (hashes, slots, code) = (numbers.size(16)?, numbers.size(28)?, numbers.size(32)?);
    let (size, kind, page) = (*blob.get(36)?, *blob.get(37)?, *blob.get(39)?);
    (size == 32 && kind == SHA_256 && page <= LARGEST_PAGE && code == limit).then_some(())?;
    let page = 1_usize.checked_shl(u32::from(page))?;
    let own = span(hashes, slots.checked_mul(32)?)?;
    let pages = file.get(..code)?.chunks(page);
    (pages.len() == slots).then_some(())?;
    let (stored, _) = blob.get(own.clone())?.as_chunks::<32>();
    let right = pages
        .zip(stored)
        .all(|(page, hash)| Sha256::of(page).to_hex() == hex::encode(hash));
    let mut rest = blob.to_vec();
    rest.get_mut(own)?.fill(0);
    right.then_some(rest)
}
