//! A certificate beside the signature of an envelope, as slsa-github-generator wrote it before 2.1.0.
//!
//! Such a file does not have the log's entry, and the certificate is valid for ten minutes: only the log can show that
//! the signature was made in that time. Everything else is checked here, and that as well if the entry was fetched
//! from the log.

use rustls_pki_types::CertificateDer;
use sigstore_verify::crypto::parse_certificate_info;
use sigstore_verify::types::{DerCertificate, TransparencyLogEntry};

use super::instance::{Instance, issued, key_of};
use super::parts::Parts;
use super::{CertifiedSignature, Content, Sigstore, SigstoreError, SigstoreSignature, chain, identity};
use crate::evidence::Verified;
use crate::evidence::dsse::Envelope;
use crate::evidence::public_key::PublicKey;
use crate::evidence::rekor::{Entry, LoggedEnvelope};

/// The certified signer of a good signature; nothing shows when it was made.
#[derive(Debug)]
pub struct Enclosed {
    /// Name and issuer of the certificate.
    pub signer: String,
}

/// The certificate beside a signature, with its chain, and the signature by its key.
struct Beside<'e> {
    leaf: DerCertificate,
    others: Vec<pem::Pem>,
    key: PublicKey,
    signature: &'e [u8],
}

fn malformed(error: &dyn std::fmt::Display) -> SigstoreError {
    SigstoreError::Malformed(format!(
        "cannot read the certificate beside its signature: {error}"
    ))
}

impl<'e> Beside<'e> {
    /// Takes an envelope apart, and checks its signature with the key in the certificate.
    fn of(envelope: &'e Envelope) -> Result<Self, SigstoreError> {
        let [text] = envelope.certificates.as_slice() else {
            return Err(SigstoreError::Unchecked(
                "it has several signatures with certificates, but only one is supported".into(),
            ));
        };
        let mut others = pem::parse_many(text).map_err(|error| malformed(&error))?;
        if others.is_empty() {
            return Err(malformed(&"it is not in PEM"));
        }
        let leaf = DerCertificate::new(others.remove(0).into_contents());
        let key = key_of(&leaf).ok_or_else(|| malformed(&"it is not X.509"))?;
        // An unknown kind of key is not a fault of the certificate.
        let key = PublicKey::from_spki("the certificate's key", &key)
            .map_err(|error| SigstoreError::Unchecked(error.to_string()))?;
        let message = envelope.pre_authentication();
        let mut signatures = envelope.signatures.iter();
        let (_, signature) = signatures
            .find(|(_, signature)| key.verify(&message, signature))
            .ok_or(SigstoreError::BadSignature)?;
        Ok(Self {
            leaf,
            others,
            key,
            signature,
        })
    }

    fn intermediates(&self) -> Vec<CertificateDer<'_>> {
        let others = self.others.iter();
        others.map(|one| CertificateDer::from(one.contents())).collect()
    }
}

impl Sigstore {
    /// Checks the signature of an envelope with the certificate beside it, and the certificate with the trusted
    /// authorities, as of the time when it was issued.
    ///
    /// # Errors
    ///
    /// [`SigstoreError::Unchecked`] if no authority of the root issued it.
    pub fn verify_enclosed(&self, envelope: &Envelope) -> Result<Enclosed, SigstoreError> {
        let beside = Beside::of(envelope)?;
        let instance = self.issuer_of(&beside)?;
        let issued = issued(&beside.leaf).ok_or_else(|| malformed(&"it has no time"))?;
        chain::verify(instance, &beside.leaf, &beside.intermediates(), issued)?;
        let info = parse_certificate_info(&beside.leaf).ok();
        let name = info.as_ref().and_then(|info| info.identity.as_ref());
        let name = name.map_or("?", |name| name.as_str());
        let issuer = info
            .as_ref()
            .and_then(|info| info.issuer.as_deref())
            .unwrap_or("?");
        Ok(Enclosed {
            signer: format!("{name} ({issuer})"),
        })
    }

    /// Verifies such an envelope together with the log's entries, by the same steps as bundles.
    ///
    /// # Errors
    ///
    /// [`SigstoreError::Unchecked`] if the root does not have the necessary keys, or an entry has no proof of
    /// inclusion in the log.
    pub fn verify_logged(
        &self,
        logged: &LoggedEnvelope,
    ) -> Result<Verified<CertifiedSignature>, SigstoreError> {
        let envelope = &logged.envelope;
        let beside = Beside::of(envelope)?;
        let instance = self.issuer_of(&beside)?;
        let content = Content::Envelope(envelope.clone());
        super::first_good(logged.entries.iter(), |entry| {
            let bundled: TransparencyLogEntry = serde_json::from_value(entry.bundled.clone())
                .map_err(|error| SigstoreError::Malformed(format!("cannot read its log entry: {error}")))?;
            instance.knows(&beside.leaf, &bundled)?;
            if !is_about(entry, envelope, &beside.leaf) {
                return Err(SigstoreError::Malformed(
                    "log entry does not match the envelope and its certificate".into(),
                ));
            }
            let parts = Parts::apart(
                (&beside.leaf, beside.intermediates()),
                beside.key.clone(),
                &bundled,
                (beside.signature, &content),
                entry.promise_suffices,
            );
            let shown = parts.verify(instance)?;
            Ok(Verified(CertifiedSignature {
                identity: identity(&shown.claims),
                signature: SigstoreSignature {
                    first_seen: Some(shown.time),
                    content: content.clone(),
                    note: "certificate, log and time are good; the log's entry came beside the envelope"
                        .into(),
                },
            }))
        })
    }

    fn issuer_of(&self, beside: &Beside<'_>) -> Result<&Instance, SigstoreError> {
        let known = |instance: &&Instance| instance.names_issuer_of(&beside.leaf);
        self.instances().find(known).ok_or_else(|| {
            SigstoreError::Unchecked(
                "no authority of the trusted root issued the certificate beside its signature".into(),
            )
        })
    }
}

/// Whether a log entry is for this envelope with this certificate.
fn is_about(entry: &Entry, envelope: &Envelope, leaf: &DerCertificate) -> bool {
    let certificate = entry.verifier().and_then(|text| pem::parse(text).ok());
    entry.is_of(envelope) && certificate.is_some_and(|pem| pem.contents() == leaf.as_bytes())
}
