//! Signature blocks: SignedData of the Cryptographic Message Syntax (RFC 5652), in definite lengths and nothing behind.

/// What a signature block says of what it signs.
pub(super) struct SignedData<'a> {
    /// Bytes that it holds; none if they are beside it.
    pub content: Option<&'a [u8]>,
    /// For each signer: the digest algorithm as the bytes of its object identifier, and the digest that it signs.
    pub digests: Vec<(&'a [u8], Option<&'a [u8]>)>,
}

const SIGNED_DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
const DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
const MESSAGE_DIGEST: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04";

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

/// Reads all of a file as a signature block; none if it is anything else.
pub(super) fn signed_data(bytes: &[u8]) -> Option<SignedData<'_>> {
    let mut whole = Der(bytes);
    let mut info = Der(whole.next(SEQUENCE)?);
    (whole.is_empty() && is_well_formed(info.0, 0)).then_some(())?;
    (info.next(OBJECT)? == SIGNED_DATA).then_some(())?;
    let mut outer = Der(info.next(0xa0)?);
    let mut data = Der(outer.next(SEQUENCE)?);
    (info.is_empty() && outer.is_empty()).then_some(())?;
    data.next(INTEGER)?;
    data.next(SET)?;
    let mut held = Der(data.next(SEQUENCE)?);
    (held.next(OBJECT)? == DATA).then_some(())?;
    let content = match held.peek() {
        Some(0xa0) => Some(Der(held.next(0xa0)?).next(OCTETS)?),
        _ => None,
    };
    held.is_empty().then_some(())?;
    for optional in [0xa0, 0xa1] {
        if data.peek() == Some(optional) {
            data.next(optional)?;
        }
    }
    let mut signers = Der(data.next(SET)?);
    data.is_empty().then_some(())?;
    let mut digests = Vec::new();
    while !signers.is_empty() {
        digests.push(signer(signers.next(SEQUENCE)?)?);
    }
    (!digests.is_empty()).then_some(SignedData { content, digests })
}

fn signer(bytes: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let mut signer = Der(bytes);
    signer.next(INTEGER)?;
    let by = signer.peek()?;
    signer.next(by)?;
    let algorithm = Der(signer.next(SEQUENCE)?).next(OBJECT)?;
    let mut digest = None;
    if signer.peek() == Some(0xa0) {
        let mut attributes = Der(signer.next(0xa0)?);
        while !attributes.is_empty() {
            let mut attribute = Der(attributes.next(SEQUENCE)?);
            let kind = attribute.next(OBJECT)?;
            let mut values = Der(attribute.next(SET)?);
            if kind == MESSAGE_DIGEST {
                digest = Some(values.next(OCTETS)?);
            }
        }
        digest?;
    }
    signer.next(SEQUENCE)?;
    signer.next(OCTETS)?;
    if signer.peek() == Some(0xa1) {
        signer.next(0xa1)?;
    }
    signer.is_empty().then_some((algorithm, digest))
}

/// Whether all of `bytes` is one constructed value of whole values, such as a certificate.
pub(super) fn is_one_value(bytes: &[u8]) -> bool {
    let mut whole = Der(bytes);
    whole
        .next(SEQUENCE)
        .is_some_and(|content| is_well_formed(content, 0))
        && whole.is_empty()
}

/// Whether everything constructed holds whole values.
fn is_well_formed(bytes: &[u8], depth: u32) -> bool {
    const DEEPEST: u32 = 24;
    const CONSTRUCTED: u8 = 0x20;
    let mut values = Der(bytes);
    while let Some(tag) = values.peek() {
        let Some(content) = values.next(tag) else {
            return false;
        };
        let inner = tag & CONSTRUCTED != 0;
        if inner && (depth >= DEEPEST || !is_well_formed(content, depth.saturating_add(1))) {
            return false;
        }
    }
    values.is_empty()
}

/// Values one behind the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The content of the next value, if it has this tag.
    fn next(&mut self, tag: u8) -> Option<&'a [u8]> {
        const LONG: u8 = 0x80;
        let (own, rest) = self.0.split_first()?;
        let (first, mut rest) = rest.split_first()?;
        let mut length = usize::from(*first);
        if *first & LONG != 0 {
            let bytes;
            (bytes, rest) = rest.split_at_checked(usize::from(*first & !LONG))?;
            (1..=4).contains(&bytes.len()).then_some(())?;
            length = bytes.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte));
        }
        let content;
        (content, self.0) = rest.split_at_checked(length)?;
        (*own == tag).then_some(content)
    }
}
