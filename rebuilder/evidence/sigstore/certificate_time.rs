//! The promise of a certificate log in a certificate (RFC 6962, 3.2 and 3.3), which shows that the log saw the
//! certificate.

use cms::cert::x509::Certificate;
use der::asn1::OctetString;
use der::{Decode as _, Encode as _};
use jiff::Timestamp;
use sigstore_verify::crypto::SigningScheme;
use sigstore_verify::trust_root::TrustedRoot;
use sigstore_verify::types::{DerCertificate, Sha256Hash, SignatureBytes};
use sigstore_verify::{CertificateError, Error};

use super::SigstoreError;
use super::instance::CERTIFICATE_TIMESTAMPS;
use crate::artifact::Sha256;

/// The parts of one promise.
struct Promise<'a> {
    log: [u8; 32],
    milliseconds: [u8; 8],
    extensions: &'a [u8],
    scheme: [u8; 2],
    signature: &'a [u8],
}

/// Verifies the single promise in a certificate; `issuer` is the SubjectPublicKeyInfo of its issuer.
pub(super) fn verify(leaf: &DerCertificate, issuer: &[u8], root: &TrustedRoot) -> Result<(), SigstoreError> {
    let refused = |what: &str| SigstoreError::from(Error::from(CertificateError::Sct(what.to_owned())));
    let mut certificate =
        Certificate::from_der(leaf.as_bytes()).map_err(|error| refused(&error.to_string()))?;
    let own = &mut certificate.tbs_certificate;
    let extensions = own.extensions.take().unwrap_or_default();
    let (promises, others): (Vec<_>, Vec<_>) = extensions
        .into_iter()
        .partition(|extension| extension.extn_id == CERTIFICATE_TIMESTAMPS);
    own.extensions = Some(others);
    let [promise] = promises.as_slice() else {
        return Err(refused("the certificate has no promise of a log"));
    };
    let list = OctetString::from_der(promise.extn_value.as_bytes()).ok();
    let promise = list.as_ref().and_then(|list| read(list.as_bytes()));
    let promise = promise.ok_or_else(|| refused("the certificate must have exactly one, well-formed"))?;
    let unsigned = own.to_der().map_err(|error| refused(&error.to_string()))?;
    let signed = signed_data(&promise, issuer, &unsigned).ok_or_else(|| refused("it is too long"))?;
    // Hash and signature algorithm (RFC 5246, 7.4.1.4.1).
    let scheme = match promise.scheme {
        [4, 3] => SigningScheme::EcdsaP256Sha256,
        [5, 3] => SigningScheme::EcdsaP384Sha384,
        [4, 1] => SigningScheme::RsaPkcs1Sha256,
        [5, 1] => SigningScheme::RsaPkcs1Sha384,
        [6, 1] => SigningScheme::RsaPkcs1Sha512,
        _ => return Err(refused("its signature is of a kind that is not supported")),
    };
    let time = i64::from_be_bytes(promise.milliseconds);
    let time = Timestamp::from_millisecond(time).map_err(|error| refused(&error.to_string()))?;
    // Converted through its text, because the crates have another version of the type.
    let Ok(time) = time.to_string().parse() else {
        return Err(refused("its time cannot be read"));
    };
    let keys = root.ctfe_keys(scheme).map_err(Error::from)?;
    keys.verify_with_key_id_at(
        &Sha256Hash::new(promise.log),
        time,
        &signed,
        &SignatureBytes::from_bytes(promise.signature),
    )
    .map_err(|error| refused(&error.to_string()))
}

/// The single promise of a list: lengths have two bytes each, and no bytes may be left over.
fn read(list: &[u8]) -> Option<Promise<'_>> {
    let part = |bytes: &[u8]| -> Option<usize> {
        let (length, _) = bytes.split_first_chunk::<2>()?;
        Some(usize::from(u16::from_be_bytes(*length)))
    };
    let all = list.get(2..).filter(|all| part(list) == Some(all.len()))?;
    let one = all.get(2..).filter(|one| part(all) == Some(one.len()))?;
    let (version, rest) = one.split_first()?;
    let (log, rest) = rest.split_first_chunk::<32>()?;
    let (milliseconds, rest) = rest.split_first_chunk::<8>()?;
    let (extensions, rest) = rest.get(2..)?.split_at_checked(part(rest)?)?;
    let (scheme, rest) = rest.split_first_chunk::<2>()?;
    let signature = rest.get(2..).filter(|it| part(rest) == Some(it.len()))?;
    (*version == 0).then_some(Promise {
        log: *log,
        milliseconds: *milliseconds,
        extensions,
        scheme: *scheme,
        signature,
    })
}

/// The bytes that the log signed, for the certificate before the promise was added: `digitally-signed struct` of RFC
/// 6962, 3.2, with a `PreCert`.
fn signed_data(promise: &Promise<'_>, issuer: &[u8], unsigned: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(unsigned.len()).ok()?.to_be_bytes();
    let (high, length) = length.split_first()?;
    let extensions = u16::try_from(promise.extensions.len()).ok()?.to_be_bytes();
    let mut data = vec![0, 0];
    data.extend(promise.milliseconds);
    data.extend([0, 1]);
    data.extend(Sha256::of(issuer).as_bytes());
    data.extend(length);
    data.extend(unsigned);
    data.extend(extensions);
    data.extend(promise.extensions);
    (*high == 0).then_some(data)
}
