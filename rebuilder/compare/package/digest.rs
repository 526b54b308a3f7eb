//! Digests of members that packages store.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

pub(super) use crate::compare::claims::Algorithm;
pub(super) use crate::compare::recompute::Digests;

/// The digest of bytes in memory.
pub(super) fn of(algorithm: Algorithm, bytes: &[u8]) -> Vec<u8> {
    let digests = Digests::read(bytes, std::iter::once(algorithm)).unwrap_or_default();
    digests.get(algorithm).unwrap_or_default().to_vec()
}

/// Decodes base64 with padding (RFC 4648, section 4); `None` for anything else.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok()
}
