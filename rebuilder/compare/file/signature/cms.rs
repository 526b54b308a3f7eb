//! SignedData of the Cryptographic Message Syntax (RFC 5652) in DER, without signed content, and with nothing after
//! it.

use super::lines::unarmoured;
use crate::compare::der::{FIRST, INTEGER, Lengths, OBJECT, SECOND, SEQUENCE, SET, SIGNED_DATA, Values};

/// Maximum depth of nested values.
const DEEPEST: u32 = 32;

/// Whether a whole file is a detached signature, in DER or armoured.
pub(super) fn is_signature(bytes: &[u8]) -> bool {
    is_signed_data(bytes)
        || ["PKCS7", "CMS"]
            .iter()
            .any(|name| unarmoured(bytes, name).is_some_and(|bytes| is_signed_data(&bytes)))
}

fn is_signed_data(bytes: &[u8]) -> bool {
    signers(bytes).is_some_and(|signers| !signers.is_empty())
}

/// The signers in a detached signature.
fn signers(bytes: &[u8]) -> Option<&[u8]> {
    let mut whole = Values::new(bytes, Lengths::Shortest);
    let content = whole.next(SEQUENCE)?;
    let inside = || Values::new(content, Lengths::Shortest);
    (whole.is_empty() && inside().are_well_formed(DEEPEST)).then_some(())?;
    let mut info = inside();
    (info.next(OBJECT)? == SIGNED_DATA).then_some(())?;
    let mut wrapped = info.inside(FIRST)?;
    let mut data = wrapped.inside(SEQUENCE)?;
    (info.is_empty() && wrapped.is_empty()).then_some(())?;
    data.next(INTEGER)?;
    data.next(SET)?;
    // The type of the signed content, without the bytes themselves: those would be content.
    let mut signed = data.inside(SEQUENCE)?;
    signed.next(OBJECT)?;
    signed.is_empty().then_some(())?;
    for optional in [FIRST, SECOND] {
        if data.peek() == Some(optional) {
            data.next(optional)?;
        }
    }
    let signers = data.next(SET)?;
    data.is_empty().then_some(signers)
}
