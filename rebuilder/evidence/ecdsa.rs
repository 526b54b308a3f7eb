//! Rarer forms of ECDSA: over P-521, which the Sigstore crates do not support, and with r and s side by side (IEEE
//! P1363), as Web Crypto, .NET and hardware produce it.

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::signature::{
    ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, UnparsedPublicKey,
};
use const_oid::ObjectIdentifier;
use der::asn1::{AnyRef, BitStringRef, UintRef};
use der::{Encode as _, Reader as _, SliceReader};
use sigstore_verify::types::HashAlgorithm;

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP_521_R_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// The point of a P-521 key, if a SubjectPublicKeyInfo contains one.
pub(super) fn p521_point(spki: &[u8]) -> Option<Vec<u8>> {
    let read = || -> der::Result<Option<Vec<u8>>> {
        let mut reader = SliceReader::new(spki)?;
        let point = reader.sequence(|key| {
            let (kind, curve) = key.sequence(|algorithm| {
                Ok((
                    algorithm.decode::<ObjectIdentifier>()?,
                    algorithm.decode::<AnyRef<'_>>()?,
                ))
            })?;
            let point: BitStringRef<'_> = key.decode()?;
            let curve = curve.decode_as::<ObjectIdentifier>().ok();
            let fits = kind == EC_PUBLIC_KEY && curve == Some(SECP_521_R_1);
            // Uncompressed, in the form of SEC 1: two coordinates of 66 bytes.
            let bytes = point.as_bytes().filter(|bytes| fits && bytes.len() == 133);
            Ok(bytes
                .filter(|bytes| bytes.first() == Some(&4))
                .map(<[u8]>::to_vec))
        })?;
        reader.finish(point)
    };
    read().ok().flatten()
}

/// Whether a P-521 key made `signature` over `message`, with any of the hashes in use for it.
pub(super) fn p521_signed(point: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let schemes = [
        &ECDSA_P521_SHA512_ASN1,
        &ECDSA_P521_SHA384_ASN1,
        &ECDSA_P521_SHA256_ASN1,
    ];
    schemes.into_iter().any(|scheme| {
        UnparsedPublicKey::new(scheme, point)
            .verify(message, signature)
            .is_ok()
    })
}

/// Does the same with a digest of the message.
pub(super) fn p521_signed_digest(
    point: &[u8],
    algorithm: HashAlgorithm,
    digest: &[u8],
    signature: &[u8],
) -> bool {
    let (scheme, hash) = match algorithm {
        HashAlgorithm::Sha2256 => (&ECDSA_P521_SHA256_ASN1, &digest::SHA256),
        HashAlgorithm::Sha2384 => (&ECDSA_P521_SHA384_ASN1, &digest::SHA384),
        HashAlgorithm::Sha2512 => (&ECDSA_P521_SHA512_ASN1, &digest::SHA512),
        _ => return false,
    };
    let digest = Digest::import_less_safe(digest, hash);
    digest.is_ok_and(|digest| {
        UnparsedPublicKey::new(scheme, point)
            .verify_digest(&digest, signature)
            .is_ok()
    })
}

/// Converts a signature with r and s side by side to DER; `size` is the length of each in bytes.
pub(super) fn as_der(signature: &[u8], size: usize) -> Option<Vec<u8>> {
    let (r, s) = signature.split_at_checked(size)?;
    if s.len() != size {
        return None;
    }
    let plain = |number: &[u8]| -> Vec<u8> {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        number.get(zeros..).unwrap_or_default().to_vec()
    };
    let (r, s) = (plain(r), plain(s));
    let numbers = [UintRef::new(&r).ok()?, UintRef::new(&s).ok()?];
    numbers.to_der().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_signature_are_one() {
        let mut plain = vec![0; 64];
        plain[31] = 0x80;
        plain[63] = 1;
        let der = as_der(&plain, 32).unwrap();
        assert_eq!(der, [0x30, 7, 2, 2, 0, 0x80, 2, 1, 1]);
        for (length, size) in [(63, 32), (65, 32), (0, 32), (64, 48)] {
            assert_eq!(as_der(&vec![1; length], size), None, "{length} {size}");
        }
    }

    #[test]
    fn only_a_whole_key_of_the_curve_is_one() {
        use aws_lc_rs::encoding::AsDer as _;
        use aws_lc_rs::signature::{ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING};
        use aws_lc_rs::signature::{EcdsaKeyPair, KeyPair as _};
        let spki = |algorithm| {
            let pair = EcdsaKeyPair::generate(algorithm).unwrap();
            pair.public_key().as_der().unwrap().as_ref().to_vec()
        };
        let key = spki(&ECDSA_P521_SHA512_ASN1_SIGNING);
        assert_eq!(p521_point(&key).map(|point| point.len()), Some(133));
        assert_eq!(p521_point(&spki(&ECDSA_P384_SHA384_ASN1_SIGNING)), None);
        assert_eq!(p521_point(&key[..key.len() - 1]), None);
        assert_eq!(p521_point(&[key, vec![0]].concat()), None);
    }
}
