//! Detached OpenPGP signatures (RFC 9580, section 10.4): only signature packets, binary or armoured.

use super::lines::unarmoured;

/// Whether a whole file consists of signatures of a document.
pub(super) fn is_signature(bytes: &[u8]) -> bool {
    are_signatures(bytes) || unarmoured(bytes, "PGP SIGNATURE").is_some_and(|bytes| are_signatures(&bytes))
}

fn are_signatures(bytes: &[u8]) -> bool {
    const SIGNATURE: u8 = 2;
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some((tag, body, behind)) = packet(rest) else {
            return false;
        };
        if tag != SIGNATURE || !is_of_document(body) {
            return false;
        }
        rest = behind;
    }
    !bytes.is_empty()
}

/// The type and the body of the first packet, and the rest (section 4.2). Signatures have definite lengths.
fn packet(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    const IS_PACKET: u8 = 0x80;
    const NEW_FORM: u8 = 0x40;
    let (first, rest) = bytes.split_first()?;
    (first & IS_PACKET != 0).then_some(())?;
    let (tag, length, rest) = if first & NEW_FORM != 0 {
        let (length, rest) = new_length(rest)?;
        (first & 0x3f, length, rest)
    } else {
        let digits = 1_usize
            .checked_shl(u32::from(first & 3))
            .filter(|digits| *digits < 8)?;
        let (length, rest) = rest.split_at_checked(digits)?;
        ((first >> 2) & 0xf, number(length), rest)
    };
    let (body, behind) = rest.split_at_checked(length)?;
    Some((tag, body, behind))
}

fn new_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    match first {
        0..192 => Some((usize::from(*first), rest)),
        192..224 => {
            let (second, rest) = rest.split_first()?;
            let high = usize::from(*first).checked_sub(192)? << 8;
            Some((high.checked_add(usize::from(*second))?.checked_add(192)?, rest))
        }
        255 => {
            let (length, rest) = rest.split_at_checked(4)?;
            Some((number(length), rest))
        }
        _ => None,
    }
}

fn number(digits: &[u8]) -> usize {
    digits
        .iter()
        .fold(0, |sum, digit| (sum << 8) | usize::from(*digit))
}

/// Whether the body of a signature packet, up to its last byte, is a signature of a binary or text document.
fn is_of_document(body: &[u8]) -> bool {
    let Some((version, rest)) = body.split_first() else {
        return false;
    };
    let mut fields = Fields(rest);
    match version {
        3 => fields.version_3().is_some(),
        4 | 6 => fields.version_4_or_6(*version).is_some(),
        _ => false,
    }
}

/// Reads fields, one after another.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, digits: usize) -> Option<usize> {
        self.take(digits).map(number)
    }

    fn version_3(&mut self) -> Option<()> {
        const HASHED: usize = 5;
        const KEY: usize = 8;
        (self.number(1)? == HASHED).then_some(())?;
        is_document(self.number(1)?).then_some(())?;
        self.take(4)?;
        self.take(KEY)?;
        let algorithm = self.number(1)?;
        self.take(3)?;
        self.values(algorithm)
    }

    fn version_4_or_6(&mut self, version: u8) -> Option<()> {
        let digits = if version == 6 { 4 } else { 2 };
        is_document(self.number(1)?).then_some(())?;
        let algorithm = self.number(1)?;
        self.take(1)?;
        for _ in ["hashed", "not hashed"] {
            let length = self.number(digits)?;
            Self(self.take(length)?).subpackets()?;
        }
        self.take(2)?;
        if version == 6 {
            let salt = self.number(1)?;
            self.take(salt)?;
        }
        self.values(algorithm)
    }

    fn subpackets(mut self) -> Option<()> {
        while !self.0.is_empty() {
            let (length, rest) = new_length(self.0)?;
            self.0 = rest;
            (length > 0).then_some(())?;
            self.take(length)?;
        }
        Some(())
    }

    /// The numbers of an algorithm (section 5.2.3), up to the end.
    fn values(&mut self, algorithm: usize) -> Option<()> {
        let numbers = match algorithm {
            1 | 3 => 1,
            16 | 17 | 19 | 20 | 22 => 2,
            27 => {
                self.take(64)?;
                0
            }
            28 => {
                self.take(114)?;
                0
            }
            _ => return None,
        };
        for _ in 0..numbers {
            let bits = self.number(2)?;
            let value = self.take(bits.div_ceil(8))?;
            // The number must have exactly as many bits as it claims.
            let unused = value.len().saturating_mul(8).saturating_sub(bits);
            let leading = value.first().map_or(0, |byte| byte.leading_zeros());
            (bits == 0 || usize::try_from(leading).ok()? == unused).then_some(())?;
        }
        self.0.is_empty().then_some(())
    }
}

fn is_document(kind: usize) -> bool {
    kind < 2
}
