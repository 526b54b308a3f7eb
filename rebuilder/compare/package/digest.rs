//! Digests that packages hold of their members.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

pub(super) use crate::compare::claims::Algorithm;
pub(super) use crate::compare::recompute::Digests;

/// The digest of bytes that are in memory.
pub(super) fn of(algorithm: Algorithm, bytes: &[u8]) -> Vec<u8> {
    let digests = Digests::read(bytes, std::iter::once(algorithm)).unwrap_or_default();
    digests.get(algorithm).unwrap_or_default().to_vec()
}

/// Bytes in base 64 with padding (RFC 4648, section 4), and nothing else.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok()
}
