//! Dalvik executables (Android's "Dalvik executable format"): the checksum and the signature, which follow from the
//! rest, and the rest by section.

use sha1::{Digest as _, Sha1};

use super::comparator::{FileComparator, Leaf, Pair};
use super::regions::{self, Numbers, Regions, span};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::Finding;

pub(super) struct Dex;

const MAGIC: &[u8] = b"dex\n";
const CHECKSUM: std::ops::Range<usize> = 8..12;
const SIGNATURE: std::ops::Range<usize> = 12..32;
const HEADER: usize = 0x70;

impl FileComparator for Dex {
    fn example(&self) -> (&'static str, &'static [u8]) {
        ("classes.dex", b"dex\n035\0")
    }

    fn recognises(&self, pair: &Pair) -> bool {
        pair.begin_with(MAGIC)
    }

    fn compare(&self, pair: &Pair) -> Option<Leaf> {
        let (mut old, mut new) = (read(pair.released)?, read(pair.rebuilt)?);
        let mut leaf = Leaf::of("DEX");
        let digests = [
            ("checksum", CHECKSUM, adler as fn(&[u8]) -> Option<Vec<u8>>),
            ("signature", SIGNATURE, sha1),
        ];
        let mut following = Vec::new();
        for (name, field, digest) in digests {
            let own = |bytes: &[u8]| bytes.get(field.clone()).map(<[u8]>::to_vec);
            let (released, rebuilt) = (own(pair.released), own(pair.rebuilt));
            let right = released == digest(pair.released) && rebuilt == digest(pair.rebuilt);
            if right && released != rebuilt {
                let text = |bytes: Option<Vec<u8>>| hex::encode(bytes.unwrap_or_default());
                following.push(
                    Finding::new(name, text(released), text(rebuilt))
                        .because(Cause::Checksum, Confidence::Proven)
                        .keyed("digests in DEX headers")
                        .following(),
                );
                old.blank(field.clone());
                new.blank(field);
            }
        }
        regions::compare(&mut leaf, &old, &new, |_, _| false);
        for finding in following {
            leaf.add(finding);
        }
        Some(leaf)
    }
}

/// The Adler-32 checksum over everything after it.
fn adler(bytes: &[u8]) -> Option<Vec<u8>> {
    const MODULUS: u32 = 65_521;
    // The sums cannot overflow within this number of bytes.
    const PIECE: usize = 5552;
    let (mut low, mut high) = (1_u32, 0_u32);
    for piece in bytes.get(CHECKSUM.end..)?.chunks(PIECE) {
        for byte in piece {
            low = low.wrapping_add(u32::from(*byte));
            high = high.wrapping_add(low);
        }
        low %= MODULUS;
        high %= MODULUS;
    }
    Some((high << 16 | low).to_le_bytes().to_vec())
}

fn sha1(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(Sha1::digest(bytes.get(SIGNATURE.end..)?).to_vec())
}

/// The lists that the header points to, and the data.
fn read(bytes: &[u8]) -> Option<Regions<'_>> {
    const LITTLE: u32 = 0x1234_5678;
    let numbers = Numbers {
        bytes,
        little_endian: true,
    };
    (numbers.u32(40)? == LITTLE && numbers.size(36)? == HEADER).then_some(())?;
    let lists = [
        ("string_ids", 56, 4),
        ("type_ids", 64, 4),
        ("proto_ids", 72, 12),
        ("field_ids", 80, 8),
        ("method_ids", 88, 8),
        ("class_defs", 96, 32),
        ("data", 104, 1),
    ];
    let mut named = vec![(0..HEADER, "header".to_owned())];
    for (name, at, width) in lists {
        let length = numbers.size(at)?.checked_mul(width)?;
        named.push((span(numbers.size(at.checked_add(4)?)?, length)?, name.to_owned()));
    }
    Regions::new(bytes, named)
}

#[cfg(test)]
mod tests {
    use super::super::writers::dex;
    use crate::compare::cause::Cause;
    use crate::compare::{Options, compare_bytes};

    #[test]
    fn digests_follow_only_if_they_are_right() {
        let base = dex(b"hello");
        let causes = |rebuilt: &[u8]| {
            let found = compare_bytes("classes.dex", &base, rebuilt, &Options::default());
            let causes: Vec<_> = found.causes.iter().map(|cause| cause.cause).collect();
            (
                causes,
                found.causes[0].follow,
                found.causes[0].example.place.clone(),
            )
        };
        let changed = causes(&dex(b"hullo"));
        assert_eq!(
            changed,
            (vec![Cause::Content], 2, "data +0x1, 1 byte in all".into())
        );
        let mut lie = base.clone();
        lie[9] ^= 1;
        assert_eq!(causes(&lie).0, [Cause::Content]);
        assert_eq!(causes(&[&base[..], b"x"].concat()).0, [Cause::Content]);
    }
}
