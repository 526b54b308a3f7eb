//! The chain from a signer's certificate to an authority of a trusted root, as of some time.

use rustls_pki_types::{CertificateDer, UnixTime};
use sigstore_verify::CertificateError;
use sigstore_verify::crypto::WEBPKI_VERIFICATION_ALGS;
use sigstore_verify::types::{Bundle, DerCertificate};

use super::SigstoreError;
use super::instance::{Instance, certificates, issued};

/// "id-kp-codeSigning" (RFC 5280, 4.2.1.12), in DER without tag and length.
const CODE_SIGNING: [u8; 8] = [0x2b, 6, 1, 5, 5, 7, 3, 3];

/// Verifies a chain as of a time, in seconds since 1970; returns the SubjectPublicKeyInfo of the certificate's issuer.
pub(super) fn verify(
    instance: &Instance,
    leaf: &DerCertificate,
    intermediates: &[CertificateDer<'_>],
    seconds: i64,
) -> Result<Vec<u8>, SigstoreError> {
    let refused = |what: String| {
        SigstoreError::from(sigstore_verify::Error::from(CertificateError::ChainInvalid(what)))
    };
    let leaf = CertificateDer::from(leaf.as_bytes());
    let entity = webpki::EndEntityCert::try_from(&leaf).map_err(|error| refused(error.to_string()))?;
    let since = std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let then = UnixTime::since_unix_epoch(since);
    let trusted = |window: sigstore_verify::types::TimeRange| {
        window.start.as_second() <= seconds && window.end.is_none_or(|end| seconds <= end.as_second())
    };
    let authorities = instance.root.certificate_authorities.iter();
    let roots: Vec<CertificateDer<'_>> = authorities
        .filter(|authority| authority.valid_for.is_none_or(trusted))
        .flat_map(|authority| &authority.cert_chain.certificates)
        .map(|entry| CertificateDer::from(entry.raw_bytes.as_bytes()))
        .collect();
    let anchors: Vec<_> = roots
        .iter()
        .filter_map(|root| webpki::anchor_from_trusted_cert(root).ok())
        .collect();
    let usage = webpki::KeyUsage::required(&CODE_SIGNING);
    let path = entity
        .verify_for_usage(
            WEBPKI_VERIFICATION_ALGS,
            &anchors,
            intermediates,
            then,
            usage,
            None,
            None,
        )
        .map_err(|error| match error {
            webpki::Error::UnsupportedSignatureAlgorithmContext(_)
            | webpki::Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => SigstoreError::Unchecked(
                format!("its certificate is signed with an algorithm that is not supported: {error}"),
            ),
            error => refused(error.to_string()),
        })?;
    let issuer = path.intermediate_certificates().next();
    Ok(match issuer {
        Some(issuer) => issuer.subject_public_key_info().as_ref().to_vec(),
        None => sequence(path.anchor().subject_public_key_info.as_ref()),
    })
}

/// Verifies the chain of a bundle's certificate as of the time when it was issued, if nothing shows a later time.
pub(super) fn as_issued(instance: &Instance, bundle: &Bundle) -> Result<(), SigstoreError> {
    let mut all = certificates(bundle).into_iter();
    let Some(leaf) = all.next() else {
        return Ok(());
    };
    let others: Vec<_> = all.map(|der| CertificateDer::from(der.as_bytes())).collect();
    let issued =
        issued(leaf).ok_or_else(|| SigstoreError::Malformed("its certificate cannot be read".into()))?;
    verify(instance, leaf, &others, issued).map(|_| ())
}

/// Adds the tag and length of a SEQUENCE, which webpki leaves out of an anchor's key.
fn sequence(content: &[u8]) -> Vec<u8> {
    use der::Encode as _;
    let whole = der::asn1::AnyRef::new(der::Tag::Sequence, content).and_then(|any| any.to_der());
    whole.unwrap_or_default()
}
