//! Timestamps in a bundle: if one is good, or if the log shows the time, the others count neither for nor against it.

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

/// Maximum number of timestamps of one bundle.
const MOST: usize = 16;

/// The worth of a timestamp with a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worth {
    Good,
    /// Checked, but not of this signature, or not within the validity of its authority.
    Bad,
    /// From an authority that the root does not have.
    Unknown,
}

const NO_TIME: &str = "nothing in it shows when it was signed, and so whether its certificate was valid then";
const UNKNOWN_TIME: &str =
    "nothing shows its time but timestamps of authorities that the trusted root does not have";

/// Removes timestamps that cannot be checked from a bundle, if something else shows the time.
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
    let material = &mut bundle.verification_material;
    let timestamps = &mut material.timestamp_verification_data.rfc3161_timestamps;
    if timestamps.len() > MOST {
        return Err(SigstoreError::Unchecked(format!(
            "it has more than {MOST} timestamps, which are not looked through"
        )));
    }
    let authorities = root.tsa_authorities();
    let (mut good, mut bad, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for timestamp in timestamps.drain(..) {
        match worth(&timestamp, &signature, &authorities) {
            Worth::Good => good.push(timestamp),
            Worth::Bad => bad.push(timestamp),
            Worth::Unknown => unknown.push(timestamp),
        }
    }
    if good.is_empty() && !promised {
        if !bad.is_empty() {
            // The verifier reports what is wrong with them.
            *timestamps = bad;
            return Ok(());
        }
        if !unknown.is_empty() {
            return Err(SigstoreError::Unchecked(UNKNOWN_TIME.into()));
        }
        // Only a certificate, which is valid for minutes, needs a time.
        if certified {
            return Err(SigstoreError::Unchecked(NO_TIME.into()));
        }
    }
    // Others show the time, and anyone who wanted to hide one of these could have left it out.
    for (all, what) in [
        (&unknown, "of an authority that the trusted root does not have"),
        (&bad, "that does not hold for this signature"),
    ] {
        if !all.is_empty() {
            left_out.push(format!("{} {what}", plural(all.len(), "timestamp")));
        }
    }
    *timestamps = good;
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

/// Whether a timestamp names an authority's certificate as its signer's.
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
        // It names the signer by key id; the verifier has checked whose it is.
        _ => false,
    }
}
