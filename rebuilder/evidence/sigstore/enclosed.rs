//! A certificate beside the signature of an envelope, as slsa-github-generator wrote it before 2.1.0.
//!
//! The log's entry is not in such a file, and the certificate holds for ten minutes: that the signature was made in them
//! can be learnt from the log alone. All else is checked here.

use rustls_pki_types::CertificateDer;
use sigstore_verify::crypto::parse_certificate_info;
use sigstore_verify::types::DerCertificate;

use super::instance::Instance;
use super::{Sigstore, SigstoreError, chain};
use crate::evidence::dsse::Envelope;
use crate::evidence::public_key::PublicKey;

/// Who is certified beside a good signature; nothing shows when it was made.
#[derive(Debug)]
pub struct Enclosed {
    /// Name and issuer of the certificate.
    pub signer: String,
}

impl Sigstore {
    /// Checks the signature of an envelope with the certificate beside it, and the certificate with the authorities that
    /// are trusted, as of the time when it was issued.
    ///
    /// # Errors
    ///
    /// [`SigstoreError::Unchecked`] if no authority of the root issued it.
    pub fn verify_enclosed(&self, envelope: &Envelope) -> Result<Enclosed, SigstoreError> {
        let [text] = envelope.certificates.as_slice() else {
            return Err(SigstoreError::Unchecked(
                "it has several signatures with certificates, but only one is supported".into(),
            ));
        };
        let malformed = |error: &dyn std::fmt::Display| {
            SigstoreError::Malformed(format!(
                "cannot read the certificate beside its signature: {error}"
            ))
        };
        let chain = pem::parse_many(text).map_err(|error| malformed(&error))?;
        let (leaf, others) = chain
            .split_first()
            .ok_or_else(|| malformed(&"it is not in PEM"))?;
        let der = DerCertificate::new(leaf.contents().to_vec());
        let info = parse_certificate_info(&der).map_err(|error| malformed(&error))?;
        let key = PublicKey::from_spki("the certificate's key", info.public_key.as_bytes())
            .map_err(|error| SigstoreError::Unchecked(error.to_string()))?;
        let message = envelope.pre_authentication();
        let mut signatures = envelope.signatures.iter();
        if !signatures.any(|(_, signature)| key.verify(&message, signature)) {
            return Err(SigstoreError::BadSignature);
        }
        let intermediates: Vec<_> = others
            .iter()
            .map(|one| CertificateDer::from(one.contents()))
            .collect();
        let known = |instance: &&Instance| instance.names_issuer_of(&der);
        let instance = self.instances().find(known).ok_or_else(|| {
            SigstoreError::Unchecked(
                "no authority of the trusted root issued the certificate beside its signature".into(),
            )
        })?;
        chain::verify(instance, &der, &intermediates, info.not_before.as_second())?;
        let name = info.identity.as_ref().map_or("?", |name| name.as_str());
        Ok(Enclosed {
            signer: format!("{name} ({})", info.issuer.as_deref().unwrap_or("?")),
        })
    }
}
