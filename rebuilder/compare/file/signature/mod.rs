//! Files that consist of a signature, which differ because the keys differ. The bytes decide what is a signature: each
//! reader accepts a whole file in its form, or nothing. A file with such a name but other content is compared by its
//! content.

mod cms;
mod json;
mod lines;
mod openpgp;
#[cfg(test)]
mod tests;

use super::comparator::{FileComparator, Leaf, Pair};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::Finding;

pub(in crate::compare::file) struct Signature;

/// Maximum size in bytes of a file that may be a signature.
pub(in crate::compare) const LONGEST_SIGNATURE: usize = 1 << 16;

/// The form of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Cms,
    Jws,
    OpenPgp,
    Minisign,
    Signify,
    Ssh,
    Sigstore,
}

impl Form {
    fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > LONGEST_SIGNATURE {
            return None;
        }
        let is = |form, known: bool| known.then_some(form);
        is(Self::Cms, cms::is_signature(bytes))
            .or_else(|| is(Self::OpenPgp, openpgp::is_signature(bytes)))
            .or_else(|| json::form(bytes))
            .or_else(|| lines::form(bytes))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Cms => "CMS",
            Self::Jws => "JWS",
            Self::OpenPgp => "OpenPGP",
            Self::Minisign => "minisign",
            Self::Signify => "signify",
            Self::Ssh => "SSH",
            Self::Sigstore => "Sigstore",
        }
    }
}

/// Whether a file consists of a signature.
pub(in crate::compare) fn is_signature(bytes: &[u8]) -> bool {
    Form::of(bytes).is_some()
}

impl FileComparator for Signature {
    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.sig", b"")
    }

    fn recognises(&self, pair: &Pair) -> bool {
        let form = Form::of(pair.released);
        form.is_some() && form == Form::of(pair.rebuilt)
    }

    fn compare(&self, pair: &Pair) -> Option<Leaf> {
        let form = Form::of(pair.released)?;
        let shown = |bytes: &[u8]| format!("{}, {} bytes", form.name(), bytes.len());
        let mut leaf = Leaf::of("signature");
        leaf.add(
            Finding::new("the signature", shown(pair.released), shown(pair.rebuilt))
                .because(Cause::Signature, Confidence::Likely)
                .keyed("signature")
                .set_aside_by(pair.file.signature()),
        );
        Some(leaf)
    }
}
