//! A signature over the bytes of a file by a plain key, as `cosign sign-blob` writes it: base64 and nothing else. If
//! there is a certificate for the key, it is in another file.
//!
//! Such a signature names neither its key nor the time when it was made. A certificate of a Sigstore instance is valid
//! for ten minutes, so without a log entry that shows the time, nothing follows from it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sigstore_verify::crypto::parse_certificate_info;
use sigstore_verify::types::DerCertificate;

use super::public_key::PublicKey;

/// Maximum number of certificates in one file; a chain of a Sigstore instance has three.
const MOST_CERTIFICATES: usize = 16;
/// Lengths in bytes of Ed25519 signatures, and of signatures with RSA keys of 2048, 3072 and 4096 bits.
const FIXED_LENGTHS: [usize; 4] = [64, 256, 384, 512];

/// A signature over the bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobSignature {
    /// The signature: DER for ECDSA, otherwise as the algorithm defines it.
    pub signature: Vec<u8>,
    /// The certificate that was given with the signature.
    pub certificate: Option<Certificate>,
}

impl BlobSignature {
    /// Reads a file that is the base64 of one signature, and nothing else; `None` if it has another form.
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self {
            signature: signature(text.trim_end_matches(['\r', '\n']))?,
            certificate: None,
        })
    }
}

/// The signature that a text encodes in base64, if it has the length of one.
pub(super) fn signature(text: &str) -> Option<Vec<u8>> {
    let bytes = STANDARD.decode(text).ok()?;
    (FIXED_LENGTHS.contains(&bytes.len()) || is_ecdsa(&bytes)).then_some(bytes)
}

/// Whether these bytes are one DER sequence of two integers, as `ECDSA-Sig-Value` (RFC 3279, 2.2.3) is, to its end.
fn is_ecdsa(bytes: &[u8]) -> bool {
    fn field(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
        let (head, rest) = bytes.split_first_chunk::<2>()?;
        let (length, rest) = match head[1] {
            short @ 0..=0x7f => (short, rest),
            0x81 => rest.split_first().map(|(length, rest)| (*length, rest))?,
            _ => return None,
        };
        (head[0] == tag).then(|| rest.split_at_checked(usize::from(length)))?
    }
    let integers = || {
        let (inside, after) = field(bytes, 0x30)?;
        let (first, rest) = field(inside, 0x02)?;
        let (second, end) = field(rest, 0x02)?;
        Some(!first.is_empty() && !second.is_empty() && end.is_empty() && after.is_empty())
    };
    integers().unwrap_or(false)
}

/// A certificate, and the certificates of its issuers that came with it; none of them is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    leaf: Vec<u8>,
}

/// A text that is not a certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("it is not a certificate in PEM form: {0}")]
    Pem(String),
    #[error("it contains {0} certificates instead of one")]
    Count(usize),
    #[error("the certificate cannot be read: {0}")]
    Der(String),
}

const LABEL: &str = "-----BEGIN CERTIFICATE-----";

impl Certificate {
    /// Whether a text begins like certificates in PEM form, or like the base64 of these.
    pub fn is_one(text: &str) -> bool {
        pem_of(text).is_some()
    }

    /// Reads certificates in PEM form, the signer's first; or the base64 of them, as cosign writes it.
    pub fn parse(text: &str) -> Result<Self, CertificateError> {
        let pem = pem_of(text).ok_or_else(|| CertificateError::Pem(format!("it has no {LABEL:?}")))?;
        let blocks = pem::parse_many(&pem).map_err(|error| CertificateError::Pem(error.to_string()))?;
        if blocks.is_empty() || blocks.len() > MOST_CERTIFICATES {
            return Err(CertificateError::Count(blocks.len()));
        }
        if let Some(other) = blocks.iter().find(|block| block.tag() != "CERTIFICATE") {
            return Err(CertificateError::Pem(format!("it has a {:?}", other.tag())));
        }
        let leaf = blocks.first().map(|block| block.contents().to_vec());
        let read = Self {
            leaf: leaf.unwrap_or_default(),
        };
        read.info()?;
        Ok(read)
    }

    fn info(&self) -> Result<sigstore_verify::crypto::CertificateInfo, CertificateError> {
        parse_certificate_info(&DerCertificate::new(self.leaf.clone()))
            .map_err(|error| CertificateError::Der(error.to_string()))
    }

    /// Its subject, unverified.
    pub fn name(&self) -> String {
        let info = self.info().ok();
        let subject = info.as_ref().and_then(|info| info.identity.as_ref());
        let issuer = info.as_ref().and_then(|info| info.issuer.as_deref());
        match (subject, issuer) {
            (Some(subject), Some(issuer)) => format!("{subject} ({issuer})"),
            (Some(subject), None) => subject.to_string(),
            (None, _) => "an unnamed subject".to_owned(),
        }
    }

    /// The certificate in PEM form.
    pub(super) fn pem(&self) -> String {
        pem::encode(&pem::Pem::new("CERTIFICATE", self.leaf.clone()))
    }

    /// The key that it certifies.
    pub(super) fn key(&self) -> Result<PublicKey, CertificateError> {
        let info = self.info()?;
        PublicKey::from_spki("the certificate's key", info.public_key.as_bytes())
            .map_err(|error| CertificateError::Der(error.to_string()))
    }

    /// The certificate as the signer of a Sigstore bundle of version 0.1; its issuers come from the trusted root.
    pub(super) fn chain(&self) -> Value {
        json!({"certificates": [{"rawBytes": STANDARD.encode(&self.leaf)}]})
    }
}

/// A text in PEM form, possibly encoded in base64.
fn pem_of(text: &str) -> Option<String> {
    let text = text.trim();
    if text.starts_with(LABEL) {
        return Some(text.to_owned());
    }
    // The base64 of the first line of PEM.
    let decoded = text.starts_with("LS0tLS1CRUdJTi").then(|| STANDARD.decode(text));
    let inside = String::from_utf8(decoded?.ok()?).ok()?;
    inside.starts_with(LABEL).then_some(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_whole_file() {
        let ecdsa = "MEUCIQDyfQ1LbHW4hTgH0dCfVzJqHTnqyaSi1BGcnnxc8C4m7gIgO9bCqQpyk9A+kGPGN+xHz1FYqjC8xu1nHxJhZFq2aQ4=";
        let ed25519 = STANDARD.encode([7; 64]);
        for (text, expected) in [
            (ecdsa.to_owned(), true),
            (format!("{ecdsa}\n"), true),
            (ed25519.clone(), true),
            (STANDARD.encode([7; 63]), false),
            (format!("{ed25519}\n{ed25519}"), false),
            (format!("{ecdsa}{ecdsa}"), false),
            (format!("# {ecdsa}"), false),
            (STANDARD.encode([0x30, 6, 2, 1, 1, 2, 1, 1]), true),
            (STANDARD.encode([0x30, 6, 2, 1, 1, 2, 1, 1, 0]), false),
            (STANDARD.encode([0x30, 6, 2, 1, 1, 4, 1, 1]), false),
            (String::new(), false),
        ] {
            assert_eq!(BlobSignature::parse(&text).is_some(), expected, "{text}");
        }
    }

    #[test]
    fn a_certificate_is_read_in_both_forms_or_not_at_all() {
        for text in [
            "",
            "hello",
            "-----BEGIN PUBLIC KEY-----",
            "LS0tLS1CRUdJTiBQVUJMSUM=",
        ] {
            assert!(!Certificate::is_one(text), "{text}");
            assert!(Certificate::parse(text).is_err(), "{text}");
        }
        let empty = format!("{LABEL}\nAAAA\n-----END CERTIFICATE-----\n");
        assert!(Certificate::is_one(&empty) && Certificate::is_one(&STANDARD.encode(&empty)));
        assert!(
            Certificate::parse(&empty).is_err(),
            "four bytes are no certificate"
        );
    }
}
