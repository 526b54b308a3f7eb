//! Detached RSA signatures: a single number (PKCS #1).

use std::collections::BTreeSet;

/// Whether the bytes may be an RSA signature: they have the size of a key, are not text, and look random.
pub(super) fn is_signature(bytes: &[u8]) -> bool {
    const SIZES: [usize; 5] = [128, 256, 384, 512, 1024];
    const FEWEST_KINDS: usize = 64;
    let high = bytes.iter().filter(|byte| **byte >= 0x80).count();
    let kinds = bytes.iter().collect::<BTreeSet<_>>().len();
    let third = bytes.len().checked_div(3).unwrap_or(0);
    SIZES.contains(&bytes.len()) && (third..=third.saturating_mul(2)).contains(&high) && kinds >= FEWEST_KINDS
}
