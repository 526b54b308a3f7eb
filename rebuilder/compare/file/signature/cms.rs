//! SignedData of the Cryptographic Message Syntax (RFC 5652) in DER, with nothing in it to be signed and nothing behind.

use super::lines::unarmoured;

const INTEGER: u8 = 0x02;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// Context-specific constructed values 0 and 1.
const FIRST: u8 = 0xa0;
const SECOND: u8 = 0xa1;

/// 1.2.840.113549.1.7.2
const SIGNED_DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";

/// Whether all of a file is a detached signature, in DER or armoured.
pub(super) fn is_signature(bytes: &[u8]) -> bool {
    is_signed_data(bytes)
        || ["PKCS7", "CMS"]
            .iter()
            .any(|name| unarmoured(bytes, name).is_some_and(|bytes| is_signed_data(&bytes)))
}

fn is_signed_data(bytes: &[u8]) -> bool {
    signers(bytes).is_some_and(|signers| !signers.is_empty())
}

/// The signers of a detached signature.
fn signers(bytes: &[u8]) -> Option<&[u8]> {
    let mut whole = Der(bytes);
    let content = whole.next(SEQUENCE)?;
    (whole.0.is_empty() && is_well_formed(content, 0)).then_some(())?;
    let mut info = Der(content);
    (info.next(OBJECT)? == SIGNED_DATA).then_some(())?;
    let mut wrapped = Der(info.next(FIRST)?);
    let mut data = Der(wrapped.next(SEQUENCE)?);
    (info.0.is_empty() && wrapped.0.is_empty()).then_some(())?;
    data.next(INTEGER)?;
    data.next(SET)?;
    // The kind of what is signed, without the bytes themselves: those would be content.
    let mut signed = Der(data.next(SEQUENCE)?);
    signed.next(OBJECT)?;
    signed.0.is_empty().then_some(())?;
    for optional in [FIRST, SECOND] {
        if data.0.first() == Some(&optional) {
            data.next(optional)?;
        }
    }
    let signers = data.next(SET)?;
    data.0.is_empty().then_some(signers)
}

/// Whether everything constructed holds whole values.
fn is_well_formed(bytes: &[u8], depth: u32) -> bool {
    const DEEPEST: u32 = 32;
    const CONSTRUCTED: u8 = 0x20;
    let mut values = Der(bytes);
    while let Some(tag) = values.0.first().copied() {
        let Some(content) = values.next(tag) else {
            return false;
        };
        let constructed = tag & CONSTRUCTED != 0;
        if constructed && (depth >= DEEPEST || !is_well_formed(content, depth.saturating_add(1))) {
            return false;
        }
    }
    true
}

/// Values one behind the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The content of the next value, if it has this tag.
    fn next(&mut self, tag: u8) -> Option<&'a [u8]> {
        const LONG: u8 = 0x80;
        let (own, rest) = self.0.split_first()?;
        let (first, mut rest) = rest.split_first()?;
        let mut length = usize::from(*first);
        if *first & LONG != 0 {
            let digits;
            (digits, rest) = rest.split_at_checked(usize::from(*first & !LONG))?;
            // The shortest form alone.
            let shortest = digits.first().is_some_and(|digit| *digit != 0) && digits.len() <= 4;
            length = digits
                .iter()
                .fold(0, |sum, digit| (sum << 8) | usize::from(*digit));
            (shortest && length >= usize::from(LONG)).then_some(())?;
        }
        let content;
        (content, self.0) = rest.split_at_checked(length)?;
        (*own == tag).then_some(content)
    }
}
