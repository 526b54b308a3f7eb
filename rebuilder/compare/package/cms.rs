//! Signature blocks: SignedData of the Cryptographic Message Syntax (RFC 5652) with definite lengths, and nothing
//! after it.

use super::digest::{Algorithm, of as digest};
use crate::compare::der::{
    FIRST, INTEGER, Lengths, OBJECT, OCTETS, SECOND, SEQUENCE, SET, SIGNED_DATA, Values,
};

/// What a signature block says about the signed content.
pub(super) struct SignedData<'a> {
    /// The signed bytes, if the block contains them.
    pub content: Option<&'a [u8]>,
    /// For each signer: the object identifier of the digest algorithm, and the signed digest.
    pub digests: Vec<(&'a [u8], Option<&'a [u8]>)>,
}

const DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
const MESSAGE_DIGEST: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04";

/// Maximum depth of nested values.
const DEEPEST: u32 = 24;

/// Reads a whole file as a signature block; `None` if it is anything else.
pub(super) fn signed_data(bytes: &[u8]) -> Option<SignedData<'_>> {
    let mut whole = Values::new(bytes, Lengths::Any);
    let content = whole.next(SEQUENCE)?;
    let inside = || Values::new(content, Lengths::Any);
    (whole.is_empty() && inside().are_well_formed(DEEPEST)).then_some(())?;
    let mut info = inside();
    (info.next(OBJECT)? == SIGNED_DATA).then_some(())?;
    let mut outer = info.inside(FIRST)?;
    let mut data = outer.inside(SEQUENCE)?;
    (info.is_empty() && outer.is_empty()).then_some(())?;
    data.next(INTEGER)?;
    data.next(SET)?;
    let mut held = data.inside(SEQUENCE)?;
    (held.next(OBJECT)? == DATA).then_some(())?;
    let content = match held.peek() {
        Some(FIRST) => Some(held.inside(FIRST)?.next(OCTETS)?),
        _ => None,
    };
    held.is_empty().then_some(())?;
    for optional in [FIRST, SECOND] {
        if data.peek() == Some(optional) {
            data.next(optional)?;
        }
    }
    let mut signers = data.inside(SET)?;
    data.is_empty().then_some(())?;
    let mut digests = Vec::new();
    while !signers.is_empty() {
        digests.push(signer(signers.next(SEQUENCE)?)?);
    }
    (!digests.is_empty()).then_some(SignedData { content, digests })
}

/// Whether `bytes` are a signature block for this file.
pub(super) fn signs(bytes: &[u8], file: &[u8]) -> bool {
    let Some(block) = signed_data(bytes) else {
        return false;
    };
    let is_of_file = |(object, signed): &(&[u8], Option<&[u8]>)| match signed {
        // Then the signature is over the file itself.
        None => true,
        Some(signed) => algorithm(object).is_some_and(|algorithm| digest(algorithm, file) == *signed),
    };
    block.content.is_none_or(|content| content == file) && block.digests.iter().all(is_of_file)
}

/// Digest algorithms by object identifier (RFC 3370, RFC 5754).
fn algorithm(object: &[u8]) -> Option<Algorithm> {
    Some(match object {
        b"\x2a\x86\x48\x86\xf7\x0d\x02\x05" => Algorithm::Md5,
        b"\x2b\x0e\x03\x02\x1a" => Algorithm::Sha1,
        b"\x60\x86\x48\x01\x65\x03\x04\x02\x04" => Algorithm::Sha224,
        b"\x60\x86\x48\x01\x65\x03\x04\x02\x01" => Algorithm::Sha256,
        b"\x60\x86\x48\x01\x65\x03\x04\x02\x02" => Algorithm::Sha384,
        b"\x60\x86\x48\x01\x65\x03\x04\x02\x03" => Algorithm::Sha512,
        _ => return None,
    })
}

fn signer(bytes: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let mut signer = Values::new(bytes, Lengths::Any);
    signer.next(INTEGER)?;
    let by = signer.peek()?;
    signer.next(by)?;
    let algorithm = signer.inside(SEQUENCE)?.next(OBJECT)?;
    let mut digest = None;
    if signer.peek() == Some(FIRST) {
        let mut attributes = signer.inside(FIRST)?;
        while !attributes.is_empty() {
            let mut attribute = attributes.inside(SEQUENCE)?;
            let kind = attribute.next(OBJECT)?;
            let mut values = attribute.inside(SET)?;
            if kind == MESSAGE_DIGEST {
                digest = Some(values.next(OCTETS)?);
            }
        }
        digest?;
    }
    signer.next(SEQUENCE)?;
    signer.next(OCTETS)?;
    if signer.peek() == Some(SECOND) {
        signer.next(SECOND)?;
    }
    signer.is_empty().then_some((algorithm, digest))
}

/// Whether `bytes` are exactly one constructed value of complete values, such as a certificate.
pub(super) fn is_one_value(bytes: &[u8]) -> bool {
    let mut whole = Values::new(bytes, Lengths::Any);
    whole
        .inside(SEQUENCE)
        .is_some_and(|values| values.are_well_formed(DEEPEST))
        && whole.is_empty()
}
