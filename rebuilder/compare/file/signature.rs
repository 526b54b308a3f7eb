//! Files that are nothing but a signature, which different keys make different.

use super::comparator::{FileComparator, Leaf, Pair};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::Finding;

pub(super) struct Signature;

impl FileComparator for Signature {
    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.sig", b"")
    }

    fn recognises(&self, pair: &Pair) -> bool {
        pair.file.signature().is_some()
    }

    fn compare(&self, pair: &Pair) -> Option<Leaf> {
        let form = if pair.are_texts() { "text" } else { "binary" };
        let mut leaf = Leaf::of("signature");
        leaf.add(
            Finding::new("the signature", form, form)
                .because(Cause::Signature, Confidence::Likely)
                .keyed("signature")
                .set_aside_by(pair.file.signature()),
        );
        Some(leaf)
    }
}
