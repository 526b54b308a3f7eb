//! The value of an APK signature of scheme 2 or 3: signers with their digests, certificates and signatures, and
//! nothing else. A digest must be that of the file.

use std::io::{self, Read as _};

use sha2::{Digest, Sha256, Sha512};

use super::bytes::{Bytes, Numbers};
use crate::compare::der::{Lengths, SEQUENCE, Values};
use crate::compare::limits::{Meter, Metered};

/// Maximum length of a value in bytes.
const LONGEST: u64 = 1 << 20;
/// Attributes of signed data: the newest scheme of the file, earlier certificates, and the versions for both.
const ATTRIBUTES: [u32; 4] = [0xbeef_f00d, 0x3ba0_6f8c, 0x559f_8b02, 0xc2a6_b3ba];
/// Bytes of a file that are hashed together.
const PIECE: u64 = 1 << 20;

/// What a signature covers: the bytes before the block, the directory, and the end record, in which the directory has
/// the place of the block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Covered {
    pub block: u64,
    pub directory: u64,
    pub end_record: u64,
}

/// Whether a value has only signers, and each has the digest of the file.
pub(super) fn are_right(
    bytes: &mut Bytes,
    (from, to): (u64, u64),
    has_versions: bool,
    covered: Covered,
    meter: &Meter,
) -> io::Result<bool> {
    let length = to.saturating_sub(from);
    if length > LONGEST {
        return Ok(false);
    }
    let value = bytes.read_at(from, usize::try_from(length).unwrap_or(0))?;
    let Some(signers) = signers(&value, has_versions).filter(|signers| !signers.is_empty()) else {
        return Ok(false);
    };
    let (mut short, mut long): (Option<Vec<u8>>, Option<Vec<u8>>) = (None, None);
    for digests in signers {
        let mut is_known = false;
        for (algorithm, digest) in digests {
            let computed = match algorithm {
                0x0101 | 0x0103 | 0x0201 | 0x0301 => {
                    if short.is_none() {
                        short = Some(in_pieces::<Sha256>(bytes, covered, meter)?);
                    }
                    short.as_deref()
                }
                0x0102 | 0x0104 | 0x0202 => {
                    if long.is_none() {
                        long = Some(in_pieces::<Sha512>(bytes, covered, meter)?);
                    }
                    long.as_deref()
                }
                // A root of fs-verity and the length of what it covers, which another digest has to cover too.
                0x0421 | 0x0423 | 0x0425 if digest.len() == 40 => continue,
                _ => return Ok(false),
            };
            if computed != Some(digest) {
                return Ok(false);
            }
            is_known = true;
        }
        if !is_known {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The digest of the digests of all pieces, as the schemes define it.
fn in_pieces<D: Digest>(bytes: &mut Bytes, covered: Covered, meter: &Meter) -> io::Result<Vec<u8>> {
    const OFFSET: usize = 16;
    let mut end = bytes.read_at(covered.end_record, 1 << 17)?;
    let place = u32::try_from(covered.block).unwrap_or(u32::MAX).to_le_bytes();
    if let Some(own) = end.get_mut(OFFSET..).and_then(<[u8]>::first_chunk_mut) {
        *own = place;
    }
    let (mut all, mut count) = (Vec::new(), 0_u32);
    let mut add = |piece: &[u8]| {
        let length = u32::try_from(piece.len()).unwrap_or(u32::MAX).to_le_bytes();
        let own = D::new()
            .chain_update([0xa5_u8])
            .chain_update(length)
            .chain_update(piece);
        all.extend_from_slice(&own.finalize());
        count = count.saturating_add(1);
    };
    for (from, to) in [(0, covered.block), (covered.directory, covered.end_record)] {
        let mut at = from;
        while at < to {
            let length = to.saturating_sub(at).min(PIECE);
            bytes.go(at)?;
            let mut piece = Vec::new();
            Metered {
                inner: bytes.by_ref().take(length),
                meter,
            }
            .read_to_end(&mut piece)?;
            if piece.len() as u64 != length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            add(&piece);
            at = at.saturating_add(length);
        }
    }
    add(&end);
    let top = D::new()
        .chain_update([0x5a_u8])
        .chain_update(count.to_le_bytes())
        .chain_update(all);
    Ok(top.finalize().to_vec())
}

/// Fields with their length in front, one after another.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (own, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(own)
    }

    fn number(&mut self) -> Option<u32> {
        self.take(4).map(|own| Numbers(own).u32(0))
    }

    fn next(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }

    fn inside(&mut self) -> Option<Self> {
        self.next().map(Self)
    }

    /// The only field.
    fn only(mut self) -> Option<&'a [u8]> {
        let own = self.next()?;
        self.0.is_empty().then_some(own)
    }
}

/// An algorithm and the digest.
type Digests<'a> = Vec<(u32, &'a [u8])>;

/// The digests that each signer has signed; `None` if there is anything but signers.
fn signers(value: &[u8], has_versions: bool) -> Option<Vec<Digests<'_>>> {
    let mut list = Fields(Fields(value).only()?);
    let mut all = Vec::new();
    while !list.0.is_empty() {
        let mut signer = list.inside()?;
        let mut signed = signer.inside()?;
        if has_versions {
            signer.take(8)?;
        }
        let mut signatures = signer.inside()?;
        while !signatures.0.is_empty() {
            numbered(&mut signatures)?;
        }
        (is_sequence(signer.next()?) && signer.0.is_empty()).then_some(())?;
        let mut digests = signed.inside()?;
        let mut own = Digests::new();
        while !digests.0.is_empty() {
            own.push(numbered(&mut digests)?);
        }
        let mut certificates = signed.inside()?;
        while !certificates.0.is_empty() {
            is_sequence(certificates.next()?).then_some(())?;
        }
        if has_versions {
            signed.take(8)?;
        }
        let mut attributes = signed.inside()?;
        while !attributes.0.is_empty() {
            let number = attributes.inside()?.number()?;
            ATTRIBUTES.contains(&number).then_some(())?;
        }
        // apksigner ends the data with an empty field.
        matches!(signed.0, [] | [0, 0, 0, 0]).then_some(())?;
        all.push(own);
    }
    Some(all)
}

/// A number and one field.
fn numbered<'a>(list: &mut Fields<'a>) -> Option<(u32, &'a [u8])> {
    let mut own = list.inside()?;
    let number = own.number()?;
    Some((number, own.only()?))
}

/// Whether the bytes are one sequence, as keys and certificates are.
fn is_sequence(bytes: &[u8]) -> bool {
    let mut values = Values::new(bytes, Lengths::Shortest);
    values.next(SEQUENCE).is_some() && values.is_empty()
}
