//! A bundle that was read, and is not trusted yet.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sigstore_verify::types::bundle::VerificationMaterialContent;
use sigstore_verify::types::{Bundle, HashAlgorithm, SignatureContent};

use super::SigstoreError;
use super::form::exact;
use crate::evidence::{dsse, json};

/// What the signature of a bundle is over.
#[derive(Debug, Clone)]
pub enum Content {
    /// An envelope, usually with an in-toto statement.
    Envelope(dsse::Envelope),
    /// A file with this digest, as `algorithm` and hexadecimal digits.
    Message(&'static str, String),
}

/// A bundle that was read, but not verified.
pub struct Unverified {
    pub(super) bundle: Bundle,
    pep740: bool,
    publisher: Option<Value>,
}

impl Unverified {
    /// Reads a bundle; a document that two readers could read differently is refused.
    pub fn parse(bytes: &[u8]) -> Result<Self, SigstoreError> {
        let value = json::parse_evidence(bytes)?;
        Self::from_value(&value)
    }

    /// Reads a bundle from a larger document.
    pub fn from_value(value: &Value) -> Result<Self, SigstoreError> {
        exact(value)?;
        let bundle = Bundle::from_json(&value.to_string())
            .map_err(|error| SigstoreError::Malformed(error.to_string()))?;
        Ok(Self {
            bundle,
            pep740: false,
            publisher: None,
        })
    }

    /// Reads a bundle in PyPI's own form: by PEP 740, the subject's name is then that of the file.
    pub(in crate::evidence) fn of_pep740(value: &Value) -> Result<Self, SigstoreError> {
        Ok(Self {
            pep740: true,
            ..Self::from_value(value)?
        })
    }

    /// The publisher that the index names; `None` if the document is not from the index itself.
    pub fn publisher(&self) -> Option<&Value> {
        self.publisher.as_ref()
    }

    pub(in crate::evidence) fn set_publisher(&mut self, publisher: Option<Value>) {
        self.publisher = publisher;
    }

    /// Whether it was read from the form of PEP 740.
    pub fn is_pep740(&self) -> bool {
        self.pep740
    }

    /// The bundle's name for the key, if it has no certificate.
    pub fn key_hint(&self) -> Option<&str> {
        match &self.bundle.verification_material.content {
            VerificationMaterialContent::PublicKey(key) => Some(&key.hint),
            _ => None,
        }
    }

    /// Whether it has an entry of a log.
    pub fn is_logged(&self) -> bool {
        !self.bundle.verification_material.tlog_entries.is_empty()
    }

    /// The media type of the bundle.
    pub fn media_type(&self) -> &'static str {
        self.bundle.media_type().as_str()
    }

    /// Whether it is a signature over a file that neither the bundle nor a log identifies.
    pub fn names_no_file(&self) -> bool {
        matches!(&self.bundle.content, SignatureContent::MessageSignature(_)) && self.content().is_err()
    }

    /// The bytes of its signature.
    pub(in crate::evidence) fn signature(&self) -> Vec<u8> {
        match &self.bundle.content {
            SignatureContent::DsseEnvelope(envelope) => envelope.signature.sig.as_bytes().to_vec(),
            SignatureContent::MessageSignature(message) => message.signature.as_bytes().to_vec(),
            _ => Vec::new(),
        }
    }

    /// What its signature is over; not verified.
    pub fn content(&self) -> Result<Content, SigstoreError> {
        match &self.bundle.content {
            SignatureContent::DsseEnvelope(envelope) => Ok(Content::Envelope(dsse::Envelope {
                payload_type: envelope.payload_type.clone(),
                payload: envelope.payload.as_bytes().to_vec(),
                signatures: vec![(
                    envelope.signature.keyid.as_str().to_owned(),
                    envelope.signature.sig.as_bytes().to_vec(),
                )],
                openpgp: Vec::new(),
                certificates: Vec::new(),
                text: None,
            })),
            SignatureContent::MessageSignature(message) => {
                if let Some(digest) = &message.message_digest {
                    let digits = hex::encode(digest.digest.as_bytes());
                    return Ok(Content::Message(name(digest.algorithm), digits));
                }
                // The bundle may omit the digest, which is only a hint; the log has its own.
                let mut entries = self.bundle.verification_material.tlog_entries.iter();
                let logged = entries.find_map(|entry| logged_digest(entry.canonicalized_body.as_bytes()));
                logged
                    .map(|(algorithm, digits)| Content::Message(algorithm, digits))
                    .ok_or_else(|| SigstoreError::Content(NO_DIGEST.into()))
            }
            _ => Err(SigstoreError::Content("its kind is not supported".into())),
        }
    }
}

/// Why a signature over a file cannot be verified without the file.
const NO_DIGEST: &str = "it does not say which file it is over";

/// The digest of the signed file in the body of a log entry (`hashedrekord` of either version).
fn logged_digest(body: &[u8]) -> Option<(&'static str, String)> {
    let body = json::parse_evidence(body).ok()?;
    let old = json::member(&body, ["spec", "data", "hash"]);
    if let (Some("sha256"), Some(digits)) = (old["algorithm"].as_str(), old["value"].as_str()) {
        return Some(("sha256", digits.to_lowercase()));
    }
    let new = json::member(&body, ["spec", "hashedRekordV002", "data"]);
    let digest = STANDARD.decode(new["digest"].as_str()?).ok()?;
    (new["algorithm"] == "SHA2_256").then(|| ("sha256", hex::encode(digest)))
}

fn name(algorithm: HashAlgorithm) -> &'static str {
    match algorithm {
        HashAlgorithm::Sha2384 => "sha384",
        HashAlgorithm::Sha2512 => "sha512",
        _ => "sha256",
    }
}
