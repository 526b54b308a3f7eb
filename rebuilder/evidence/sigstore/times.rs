//! Timestamps in a bundle: those of authorities that the root does not have say nothing, for or against.

use cms::content_info::ContentInfo;
use cms::signed_data::{SignedData, SignerIdentifier};
use der::asn1::AnyRef;
use der::{Decode as _, Encode as _, Reader as _, SliceReader};
use sigstore_verify::trust_root::{TrustedRoot, TsaAuthority};
use sigstore_verify::tsa::{self, verify_timestamp_for_authority};
use sigstore_verify::types::bundle::Rfc3161Timestamp;
use sigstore_verify::types::{Bundle, KindVersion, SignatureBytes, SignatureContent};

use super::SigstoreError;
use crate::text::plural;

/// Most timestamps of one bundle.
const MOST: usize = 16;

/// What a timestamp is worth with a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worth {
    Good,
    /// Checked, and not of this signature or not in the time of its authority.
    Bad,
    /// Of an authority that the root does not have.
    Unknown,
}

/// Takes timestamps that nothing can be checked with out of a bundle, if something else shows the time.
pub(super) fn keep_known(
    bundle: &mut Bundle,
    root: &TrustedRoot,
    left_out: &mut Vec<String>,
) -> Result<(), SigstoreError> {
    let signature = match &bundle.content {
        SignatureContent::MessageSignature(message) => message.signature.clone(),
        SignatureContent::DsseEnvelope(envelope) => envelope.signature.sig.clone(),
        _ => return Ok(()),
    };
    let certified = bundle.signing_certificate().is_some();
    let promised = bundle.verification_material.tlog_entries.iter().any(|entry| {
        entry.inclusion_promise.is_some()
            && entry.integrated_time.is_some()
            && entry.kind_version != KindVersion::HashedRekordV002
    });
    let timestamps = &mut bundle
        .verification_material
        .timestamp_verification_data
        .rfc3161_timestamps;
    if timestamps.len() > MOST {
        return Err(SigstoreError::Malformed(format!(
            "it has more than {MOST} timestamps"
        )));
    }
    let authorities = root.tsa_authorities();
    let (unknown, known): (Vec<_>, Vec<_>) = timestamps
        .drain(..)
        .partition(|it| worth(it, &signature, &authorities) == Worth::Unknown);
    // Only a certificate, which holds for minutes, needs a time.
    if unknown.is_empty() && known.is_empty() && !promised && certified {
        return Err(SigstoreError::Unchecked(
            "nothing in it shows when it was signed, and so whether its certificate was valid then".into(),
        ));
    }
    if !unknown.is_empty() {
        if known.is_empty() && !promised {
            return Err(SigstoreError::Unchecked(
                "nothing shows its time but timestamps of authorities that the trusted root does not have"
                    .into(),
            ));
        }
        left_out.push(format!(
            "{} of an authority that the trusted root does not have",
            plural(unknown.len(), "timestamp")
        ));
    }
    // One that was checked and is not good stays, so that the verifier refuses the bundle for it.
    *timestamps = known;
    Ok(())
}

fn worth(timestamp: &Rfc3161Timestamp, signature: &SignatureBytes, authorities: &[TsaAuthority]) -> Worth {
    let token = &timestamp.signed_timestamp;
    let mut found = Worth::Unknown;
    for authority in authorities {
        match verify_timestamp_for_authority(token, signature, authority) {
            Ok(_) => return Worth::Good,
            Err(tsa::Error::HashMismatch { .. } | tsa::Error::TimestampOutsideValidity { .. }) => {
                found = Worth::Bad;
            }
            Err(_) if names(token.as_bytes(), authority) => found = Worth::Bad,
            Err(_) => {}
        }
    }
    found
}

/// Whether a timestamp names the certificate of an authority as its signer's.
fn names(response: &[u8], authority: &TsaAuthority) -> bool {
    let signer = || -> der::Result<SignerIdentifier> {
        // `TimeStampResp ::= SEQUENCE { status PKIStatusInfo, timeStampToken ContentInfo OPTIONAL }` (RFC 3161, 2.4.2).
        let mut reader = SliceReader::new(response)?;
        let token = reader.sequence(|response| {
            response.decode::<AnyRef<'_>>()?;
            response.decode::<AnyRef<'_>>()
        })?;
        let info: ContentInfo = token.decode_as()?;
        let signed: SignedData = info.content.decode_as()?;
        let mut signers = signed.signer_infos.0.iter();
        let first = signers.next().map(|it| it.sid.clone());
        first.ok_or_else(|| der::ErrorKind::Failed.into())
    };
    let Ok(certificate) = cms::cert::x509::Certificate::from_der(authority.leaf.as_bytes()) else {
        return false;
    };
    let own = &certificate.tbs_certificate;
    match signer() {
        Ok(SignerIdentifier::IssuerAndSerialNumber(named)) => {
            named.issuer.to_der().ok() == own.issuer.to_der().ok() && named.serial_number == own.serial_number
        }
        // By a key's name: whose it is, the verifier has found out.
        _ => false,
    }
}
