//! Verifies bundles with keys or digests that the Sigstore crates do not accept as a whole (P-521, SHA-384 and SHA-512
//! in the log, r and s side by side), by the same steps, each with the crates' own parts.
//!
//! Only the common form is supported: a certificate, and one entry of Rekor v1 (`hashedrekord` or `dsse` 0.0.1) with
//! promise and proof. Envelopes whose certificate and entry came separately are supported as well.

use cms::cert::x509::Certificate;
use cms::cert::x509::spki::SubjectPublicKeyInfoOwned;
use der::{Decode as _, Encode as _};
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use sigstore_verify::crypto::{CertificateInfo, parse_certificate_info};
use sigstore_verify::types::bundle::InclusionProof;
use sigstore_verify::types::{
    Checkpoint, DerCertificate, KindVersion, Sha256Hash, SignatureBytes, SignatureContent,
    TransparencyLogEntry,
};

use super::instance::{Checkable, Instance, certificates, key_of};
use super::signed::{algorithm, signed};
use super::{Content, SigstoreError, certificate_time, chain};
use crate::artifact::Sha256;
use crate::evidence::dsse;
use crate::evidence::json::{self, member};
use crate::evidence::public_key::PublicKey;

/// What such a bundle proves.
pub(super) struct Shown {
    pub claims: CertificateInfo,
    pub time: Timestamp,
}

/// The parts of a bundle in this form.
pub(super) struct Parts<'a> {
    leaf: &'a DerCertificate,
    intermediates: Vec<CertificateDer<'a>>,
    key: PublicKey,
    entry: &'a TransparencyLogEntry,
    signature: &'a [u8],
    content: &'a Content,
    /// Whether the caller has checked that the entry is about this signature, certificate and content.
    is_consistent: bool,
    /// Whether the log's promise is enough without a proof.
    promise_suffices: bool,
}

fn refused(what: &str) -> SigstoreError {
    SigstoreError::Malformed(what.to_owned())
}

/// The error for a missing part; it does not mean that the bundle is wrong.
fn lacking(what: &str) -> SigstoreError {
    SigstoreError::Unchecked(what.to_owned())
}

impl<'a> Parts<'a> {
    /// The parts of what is not in a bundle: an envelope with a certificate beside it, and an entry that the caller
    /// has compared with both.
    pub fn apart(
        (leaf, intermediates): (&'a DerCertificate, Vec<CertificateDer<'a>>),
        key: PublicKey,
        entry: &'a TransparencyLogEntry,
        (signature, content): (&'a [u8], &'a Content),
        promise_suffices: bool,
    ) -> Self {
        Self {
            leaf,
            intermediates,
            key,
            entry,
            signature,
            content,
            is_consistent: true,
            promise_suffices,
        }
    }

    /// Takes a bundle apart if the crates do not accept it; `content` is its content.
    ///
    /// # Errors
    ///
    /// [`SigstoreError::Unchecked`] if its key or its signature is of a kind that the crates do not support, and it
    /// does not have this form.
    pub fn of(checkable: &'a Checkable, content: &'a Content) -> Result<Option<Self>, SigstoreError> {
        let bundle = &checkable.bundle;
        let material = &bundle.verification_material;
        let (signature, kind) = match &bundle.content {
            SignatureContent::MessageSignature(message) => {
                (message.signature.as_bytes(), KindVersion::HashedRekordV001)
            }
            SignatureContent::DsseEnvelope(envelope) => {
                (envelope.signature.sig.as_bytes(), KindVersion::DsseV001)
            }
            _ => return Ok(None),
        };
        let Some(leaf) = bundle.signing_certificate() else {
            return Ok(None);
        };
        let key = key_of(leaf).and_then(|spki| PublicKey::from_spki("the certificate's key", &spki).ok());
        let Some(key) = key else {
            return Ok(None);
        };
        let unknown = !key.signs_usually() || key.is_side_by_side(signature);
        // The crates accept only in-toto's older payload type.
        let other_digest = match content {
            Content::Message(algorithm, _) => *algorithm != "sha256",
            Content::Envelope(envelope) => envelope.payload_type != dsse::IN_TOTO,
        };
        let entry = match material.tlog_entries.as_slice() {
            [entry] if checkable.logged && entry.kind_version == kind => Some(entry),
            _ => None,
        };
        let timestamps = &material.timestamp_verification_data.rfc3161_timestamps;
        match entry.filter(|_| timestamps.is_empty()) {
            Some(entry) if unknown || other_digest => Ok(Some(Self {
                leaf,
                intermediates: certificates(bundle)
                    .into_iter()
                    .skip(1)
                    .map(|der| CertificateDer::from(der.as_bytes()))
                    .collect(),
                key,
                entry,
                signature,
                content,
                is_consistent: false,
                promise_suffices: false,
            })),
            None if unknown => Err(SigstoreError::Unchecked(
                "its key or its signature is of a kind that can be checked with an entry of Rekor v1 only"
                    .into(),
            )),
            _ => Ok(None),
        }
    }

    /// Verifies the parts with the keys of an instance, in the order of the client specification (section 4).
    pub fn verify(&self, instance: &Instance) -> Result<Shown, SigstoreError> {
        // 4.2.2: the time is the log's, if its promise is good.
        let time = self.promised_time(instance)?;
        // 4.3: the certificate, as of that time, and its own log's promise.
        let issuer = chain::verify(instance, self.leaf, &self.intermediates, time.as_second())?;
        if !instance.root.ctlogs.is_empty() {
            certificate_time::verify(self.leaf, &issuer, &instance.root)?;
        }
        // 4.4: the entry is in the log, and is about this signature, key and file.
        let proof = self.entry.inclusion_proof.as_ref();
        let proof = proof.filter(|proof| !proof.checkpoint.envelope().is_empty());
        if let Some(proof) = proof {
            self.included(proof, instance)?;
        }
        if !self.is_consistent {
            self.consistent()?;
        }
        // 4.5: the signature.
        let good = match self.content {
            Content::Envelope(envelope) => signed(&self.key, envelope),
            Content::Message(name, digits) => {
                let digest =
                    hex::decode(digits).map_err(|error| SigstoreError::Content(error.to_string()))?;
                self.key.verify_digest(algorithm(name), &digest, self.signature)
            }
        };
        if !good {
            return Err(SigstoreError::BadSignature);
        }
        if proof.is_none() && !self.promise_suffices {
            return Err(lacking(
                "its log entry has the log's promise and no inclusion proof with a checkpoint, so nothing shows that the log has the entry",
            ));
        }
        Ok(Shown {
            claims: self.claims(instance)?,
            time,
        })
    }

    /// When the log accepted the entry, according to its promise (the signed entry timestamp).
    fn promised_time(&self, instance: &Instance) -> Result<Timestamp, SigstoreError> {
        let promise = self.entry.inclusion_promise.as_ref();
        let (Some(promise), Some(time)) = (promise, self.entry.integrated_time) else {
            return Err(lacking("nothing shows when it was signed"));
        };
        let log = self.entry.log_id.key_id.as_bytes();
        let id = Sha256Hash::try_from(log).map_err(|error| refused(&error.to_string()))?;
        let keys = instance.root.rekor_keys().map_err(sigstore_verify::Error::from)?;
        let key = keys
            .key_at(&id, time)
            .ok_or_else(|| refused("the log's key was not valid then"))?;
        // In the form of RFC 8785: names in order, and no spaces.
        let message = format!(
            r#"{{"body":"{}","integratedTime":{},"logID":"{}","logIndex":{}}}"#,
            self.entry.canonicalized_body.to_base64(),
            time.as_second(),
            hex::encode(log),
            self.entry.log_index.as_i64()
        );
        let signature = SignatureBytes::from_bytes(promise.signed_entry_timestamp.as_bytes());
        if key.verify(message, &signature).is_err() {
            return Err(refused("invalid inclusion promise: it is not signed by the log"));
        }
        let time = Timestamp::from_second(time.as_second()).map_err(|error| refused(&error.to_string()))?;
        if time > Timestamp::now() {
            return Err(refused("invalid integrated time: it is in the future"));
        }
        Ok(time)
    }

    /// Checks that the log's signed head includes the entry (RFC 6962, 2.1.1).
    fn included(&self, proof: &InclusionProof, instance: &Instance) -> Result<(), SigstoreError> {
        let leaf = sigstore_merkle::hash_leaf(self.entry.canonicalized_body.as_bytes());
        sigstore_merkle::verify_inclusion_proof(
            &leaf,
            proof.log_index.get(),
            proof.tree_size,
            &proof.hashes,
            &proof.root_hash,
        )
        .map_err(|error| refused(&format!("invalid inclusion proof: {error}")))?;
        let head = Checkpoint::from_text(proof.checkpoint.envelope())
            .map_err(|error| refused(&format!("invalid checkpoint: {error}")))?;
        if head.root_hash().as_bytes() != proof.root_hash.as_bytes() || head.tree_size() != proof.tree_size {
            return Err(refused("invalid checkpoint: it is of another tree"));
        }
        let keys = instance.root.rekor_keys().map_err(sigstore_verify::Error::from)?;
        let time = self.entry.integrated_time;
        let time = time.ok_or_else(|| lacking("nothing shows when it was signed"))?;
        let signed = head.signatures().iter().any(|signature| {
            let mut named = keys.keys_by_hint(&signature.key_id, time);
            named.any(|key| key.verify(head.signed_data(), &signature.signature).is_ok())
        });
        signed
            .then_some(())
            .ok_or_else(|| refused("invalid checkpoint: the log did not sign it"))
    }

    /// "The signature", "the key or certificate" and "the subject" of the entry's body are those of the bundle.
    fn consistent(&self) -> Result<(), SigstoreError> {
        use base64::Engine as _;
        let decode = |value: &serde_json::Value| {
            let text = value.as_str()?;
            base64::engine::general_purpose::STANDARD.decode(text).ok()
        };
        let body = json::parse_evidence(self.entry.canonicalized_body.as_bytes())?;
        let spec = member(&body, ["spec"]);
        let (kind, hash, algorithm, digits, signature, verifier) = match self.content {
            Content::Message(algorithm, digits) => (
                "hashedrekord",
                member(spec, ["data", "hash"]),
                *algorithm,
                digits.clone(),
                member(spec, ["signature", "content"]),
                member(spec, ["signature", "publicKey", "content"]),
            ),
            Content::Envelope(envelope) => {
                let signatures = member(spec, ["signatures"]).as_array().map(Vec::as_slice);
                let Some([signature]) = signatures else {
                    return Err(refused("log entry does not have exactly one signature"));
                };
                (
                    "dsse",
                    member(spec, ["payloadHash"]),
                    "sha256",
                    Sha256::of(&envelope.payload).to_hex(),
                    member(signature, ["signature"]),
                    member(signature, ["verifier"]),
                )
            }
        };
        let certificate = decode(verifier).and_then(|text| pem::parse(text).ok());
        let same = *member(&body, ["kind"]) == kind
            && *member(&body, ["apiVersion"]) == "0.0.1"
            && *member(hash, ["algorithm"]) == algorithm
            && member(hash, ["value"])
                .as_str()
                .is_some_and(|value| value.eq_ignore_ascii_case(&digits))
            && decode(signature).as_deref() == Some(self.signature)
            && certificate.is_some_and(|pem| pem.contents() == self.leaf.as_bytes());
        same.then_some(())
            .ok_or_else(|| refused("log entry does not match the bundle"))
    }

    /// The claims in the certificate. The crates read them together with the key, which they may not support, so they
    /// get the same claims with one of the log's keys instead; the certificate itself has been verified.
    fn claims(&self, instance: &Instance) -> Result<CertificateInfo, SigstoreError> {
        if let Ok(claims) = parse_certificate_info(self.leaf) {
            return Ok(claims);
        }
        let malformed = |error: der::Error| refused(&error.to_string());
        let mut certificate = Certificate::from_der(self.leaf.as_bytes()).map_err(malformed)?;
        let mut logs = instance.root.tlogs.iter();
        let stand_in = logs
            .find_map(|log| SubjectPublicKeyInfoOwned::from_der(log.public_key.raw_bytes.as_bytes()).ok());
        certificate.tbs_certificate.subject_public_key_info =
            stand_in.ok_or_else(|| lacking("the root has no key"))?;
        let der = DerCertificate::new(certificate.to_der().map_err(malformed)?);
        parse_certificate_info(&der).map_err(|error| refused(&error.to_string()))
    }
}
