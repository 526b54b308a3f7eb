//! Values in ASN.1's encoding (X.690) with definite lengths, one after another.

pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const OBJECT: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
/// Context-specific constructed values 0 and 1.
pub(super) const FIRST: u8 = 0xa0;
pub(super) const SECOND: u8 = 0xa1;

/// 1.2.840.113549.1.7.2, SignedData of the Cryptographic Message Syntax (RFC 5652).
pub(super) const SIGNED_DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";

/// The forms of lengths that are accepted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lengths {
    /// Only the shortest form, as DER requires.
    Shortest,
    /// Any form, as BER allows.
    Any,
}

/// A sequence of values.
pub(super) struct Values<'a> {
    rest: &'a [u8],
    lengths: Lengths,
}

impl<'a> Values<'a> {
    pub fn new(bytes: &'a [u8], lengths: Lengths) -> Self {
        Self { rest: bytes, lengths }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The tag of the next value.
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The content of the next value, if it has this tag.
    pub fn next(&mut self, tag: u8) -> Option<&'a [u8]> {
        const LONG: u8 = 0x80;
        let (own, rest) = self.rest.split_first()?;
        let (first, mut rest) = rest.split_first()?;
        let mut length = usize::from(*first);
        if *first & LONG != 0 {
            let digits;
            (digits, rest) = rest.split_at_checked(usize::from(*first & !LONG))?;
            (1..=4).contains(&digits.len()).then_some(())?;
            length = digits
                .iter()
                .fold(0, |sum, digit| (sum << 8) | usize::from(*digit));
            let is_shortest = digits.first() != Some(&0) && length >= usize::from(LONG);
            (is_shortest || self.lengths == Lengths::Any).then_some(())?;
        }
        let content;
        (content, self.rest) = rest.split_at_checked(length)?;
        (*own == tag).then_some(content)
    }

    /// The values inside the next value, if it has this tag.
    pub fn inside(&mut self, tag: u8) -> Option<Self> {
        let lengths = self.lengths;
        Some(Self::new(self.next(tag)?, lengths))
    }

    /// Whether all constructed values contain complete values, up to a depth of `deepest`.
    pub fn are_well_formed(mut self, deepest: u32) -> bool {
        const CONSTRUCTED: u8 = 0x20;
        while let Some(tag) = self.peek() {
            let lengths = self.lengths;
            let Some(content) = self.next(tag) else {
                return false;
            };
            if tag & CONSTRUCTED != 0 {
                let Some(deepest) = deepest.checked_sub(1) else {
                    return false;
                };
                if !Values::new(content, lengths).are_well_formed(deepest) {
                    return false;
                }
            }
        }
        true
    }
}
