//! One Sigstore instance, as its trusted root describes it, and what that root cannot check.
//!
//! A bundle can be wrong, or it can come from an authority, a log or a clock whose key is not in the root. The latter
//! says nothing about the bundle, so it is detected before anything is verified, and reported as such.

use cms::cert::x509::Certificate;
use cms::cert::x509::ext::pkix::{AuthorityKeyIdentifier, SubjectKeyIdentifier};
use const_oid::ObjectIdentifier;
use der::asn1::OctetString;
use der::{Decode as _, Encode as _};
use sigstore_verify::trust_root::TrustedRoot;
use sigstore_verify::types::bundle::VerificationMaterialContent;
use sigstore_verify::types::{Bundle, DerCertificate, MediaType};
use sigstore_verify::{Verifier, types};

use super::SigstoreError;
use super::times;
use crate::text::plural;

const AUTHORITY_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const SUBJECT_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
/// The list of certificate timestamps in a certificate (RFC 6962, 3.3).
pub(super) const CERTIFICATE_TIMESTAMPS: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");

/// An instance: one trusted root. Roots are not mixed: the log of one does not vouch for a certificate of another.
pub(super) struct Instance {
    pub verifier: Verifier,
    pub root: TrustedRoot,
    authorities: Vec<Authority>,
}

/// A certificate authority, by the name and key that its certificates use for it.
struct Authority {
    /// Subject, in DER.
    name: Vec<u8>,
    key: Option<Vec<u8>>,
}

/// A bundle without the parts that the root cannot check.
pub(super) struct Checkable {
    pub bundle: Bundle,
    /// Whether the root has transparency logs, and so requires an entry.
    pub logged: bool,
    /// Whether the root has certificate logs, and so requires their promise in the certificate.
    pub certificate_logged: bool,
    /// The parts that were left out, each in a few words.
    pub left_out: Vec<String>,
}

impl Instance {
    /// Reads the parts of a trusted root.
    pub fn of(root: TrustedRoot) -> Result<Self, sigstore_verify::Error> {
        let verifier = Verifier::new(&root)?;
        let chains = root.certificate_authorities.iter();
        let certificates = chains.flat_map(|authority| &authority.cert_chain.certificates);
        let authorities = certificates.filter_map(|entry| {
            let certificate = Certificate::from_der(entry.raw_bytes.as_bytes()).ok()?;
            Some(Authority {
                name: certificate.tbs_certificate.subject.to_der().ok()?,
                key: subject_key(&certificate),
            })
        });
        Ok(Self {
            authorities: authorities.collect(),
            verifier,
            root,
        })
    }

    /// Whether the certificate of a bundle, or one of the chain that it carries, names an authority of this root as
    /// its issuer.
    pub fn may_have_certified(&self, bundle: &Bundle) -> bool {
        certificates(bundle)
            .into_iter()
            .any(|certificate| self.names_issuer_of(certificate))
    }

    /// Whether a certificate names an authority of this root as its issuer.
    pub fn names_issuer_of(&self, certificate: &DerCertificate) -> bool {
        let certificate = Certificate::from_der(certificate.as_bytes());
        certificate.is_ok_and(|certificate| self.may_have_issued(&certificate))
    }

    fn may_have_issued(&self, certificate: &Certificate) -> bool {
        let Ok(issuer) = certificate.tbs_certificate.issuer.to_der() else {
            return false;
        };
        let wanted = authority_key(certificate);
        self.authorities.iter().any(|authority| {
            // Authorities with the same name are distinguished by their keys, if both sides name a key.
            let key = match (&authority.key, &wanted) {
                (Some(own), Some(wanted)) => own == wanted,
                _ => true,
            };
            authority.name == issuer && key
        })
    }

    /// Removes from a bundle what this root cannot check.
    ///
    /// # Errors
    ///
    /// [`SigstoreError::Unchecked`] if nothing of a required kind is left.
    pub fn checkable(&self, bundle: &Bundle) -> Result<Checkable, SigstoreError> {
        let mut bundle = bundle.clone();
        let mut left_out = Vec::new();
        // Bundles of the third version have a place for one certificate, but some writers put a list of one there. The
        // version is not signed; the second version, which has the same requirements, has a place for a list.
        let is_list = matches!(
            &bundle.verification_material.content,
            VerificationMaterialContent::X509CertificateChain { .. }
        );
        if is_list && bundle.media_type == MediaType::Bundle0_3 {
            bundle.media_type = MediaType::Bundle0_2;
        }
        let logged = !self.root.tlogs.is_empty();
        self.known_entries(&mut bundle, &mut left_out)?;
        times::keep_known(&mut bundle, &self.root, &mut left_out)?;
        let certificate_logged = !self.root.ctlogs.is_empty();
        if let Some(leaf) = bundle.signing_certificate() {
            self.known_certificate_log(leaf)?;
        }
        Ok(Checkable {
            bundle,
            logged,
            certificate_logged,
            left_out,
        })
    }

    /// Whether this root has the log of the promise in a certificate.
    fn known_certificate_log(&self, leaf: &DerCertificate) -> Result<(), SigstoreError> {
        let logs = &self.root.ctlogs;
        match certificate_log(leaf) {
            Some(log) if !logs.is_empty() && !logs.iter().any(|it| it.log_id.key_id.as_bytes() == log) => {
                Err(SigstoreError::Unchecked(format!(
                    "its certificate is in the log {}, whose key the trusted root does not have",
                    hex::encode(log)
                )))
            }
            _ => Ok(()),
        }
    }

    /// Whether this root can check a certificate and an entry that are not in a bundle.
    pub fn knows(
        &self,
        leaf: &DerCertificate,
        entry: &types::TransparencyLogEntry,
    ) -> Result<(), SigstoreError> {
        let own = entry.log_id.key_id.as_bytes();
        if !self
            .root
            .tlogs
            .iter()
            .any(|log| log.log_id.key_id.as_bytes() == own)
        {
            return Err(SigstoreError::Unchecked(format!(
                "it is in the transparency log {}, whose key the trusted root does not have",
                entry.log_id.key_id
            )));
        }
        self.known_certificate_log(leaf)
    }

    /// Keeps the entries of logs that this root has.
    fn known_entries(&self, bundle: &mut Bundle, left_out: &mut Vec<String>) -> Result<(), SigstoreError> {
        let is_known = |entry: &types::TransparencyLogEntry| {
            let mut logs = self.root.tlogs.iter();
            logs.any(|log| log.log_id.key_id.as_bytes() == entry.log_id.key_id.as_bytes())
        };
        let certified = bundle.signing_certificate().is_some();
        let material = &mut bundle.verification_material;
        let timed = !material.timestamp_verification_data.rfc3161_timestamps.is_empty();
        let entries = &mut material.tlog_entries;
        let (known, unknown): (Vec<_>, Vec<_>) = entries.drain(..).partition(is_known);
        let needed = known.is_empty() && (!self.root.tlogs.is_empty() || !timed);
        if needed && unknown.is_empty() && certified {
            return Err(SigstoreError::Unchecked(
                "it has no entry of a transparency log, so nothing shows that it was signed while its certificate was valid"
                    .into(),
            ));
        }
        if let Some(first) = unknown.first() {
            let log = first.log_id.key_id.to_string();
            if needed {
                return Err(SigstoreError::Unchecked(format!(
                    "it is in the transparency log {log}, whose key the trusted root does not have"
                )));
            }
            left_out.push(format!(
                "{} of a log that the trusted root does not have",
                plural(unknown.len(), "entry")
            ));
        }
        *entries = known;
        Ok(())
    }
}

/// The certificates that a bundle carries, the signer's first.
pub(super) fn certificates(bundle: &Bundle) -> Vec<&DerCertificate> {
    match &bundle.verification_material.content {
        VerificationMaterialContent::Certificate(one) => vec![&one.raw_bytes],
        VerificationMaterialContent::X509CertificateChain { certificates } => {
            certificates.iter().map(|one| &one.raw_bytes).collect()
        }
        _ => Vec::new(),
    }
}

/// The SubjectPublicKeyInfo in a certificate.
pub(super) fn key_of(certificate: &DerCertificate) -> Option<Vec<u8>> {
    let certificate = Certificate::from_der(certificate.as_bytes()).ok()?;
    certificate.tbs_certificate.subject_public_key_info.to_der().ok()
}

/// The begin of a certificate's validity, in seconds since 1970.
pub(super) fn issued(certificate: &DerCertificate) -> Option<i64> {
    let certificate = Certificate::from_der(certificate.as_bytes()).ok()?;
    let begins = certificate.tbs_certificate.validity.not_before;
    i64::try_from(begins.to_unix_duration().as_secs()).ok()
}

/// The issuer that a certificate names, as text.
pub(super) fn issuer(bundle: &Bundle) -> Option<String> {
    let leaf = Certificate::from_der(bundle.signing_certificate()?.as_bytes()).ok()?;
    Some(leaf.tbs_certificate.issuer.to_string())
}

fn extension(certificate: &Certificate, id: ObjectIdentifier) -> Option<&[u8]> {
    let mut all = certificate.tbs_certificate.extensions.iter().flatten();
    all.find(|it| it.extn_id == id).map(|it| it.extn_value.as_bytes())
}

fn subject_key(certificate: &Certificate) -> Option<Vec<u8>> {
    let key = SubjectKeyIdentifier::from_der(extension(certificate, SUBJECT_KEY)?).ok()?;
    Some(key.0.as_bytes().to_vec())
}

fn authority_key(certificate: &Certificate) -> Option<Vec<u8>> {
    let key = AuthorityKeyIdentifier::from_der(extension(certificate, AUTHORITY_KEY)?).ok()?;
    Some(key.key_identifier?.as_bytes().to_vec())
}

/// The log of the first timestamp in a certificate: a list (with its length in two bytes) of timestamps (likewise),
/// each with its version before the log's 32-byte id.
fn certificate_log(leaf: &DerCertificate) -> Option<[u8; 32]> {
    let leaf = Certificate::from_der(leaf.as_bytes()).ok()?;
    let list = OctetString::from_der(extension(&leaf, CERTIFICATE_TIMESTAMPS)?).ok()?;
    list.as_bytes().get(5..37)?.try_into().ok()
}
