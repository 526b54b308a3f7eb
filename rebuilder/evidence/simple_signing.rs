//! The document that cosign signs for a container image, which has the digest of the image's manifest.
//!
//! Form: github.com/sigstore/cosign, `specs/SIGNATURE_SPEC.md`. The signature is over the document's bytes.

use serde_json::Value;

use super::blob_signature::BlobSignature;
use super::json::{self, member};
use super::sigstore::Unverified;
use super::statement::Descriptor;

/// A signature over such a document, not verified.
pub enum ImageSignature {
    /// By a key, or by the key of a certificate, without a log entry.
    Plain(BlobSignature),
    /// With an entry of a transparency log.
    Logged(Box<Unverified>),
}

/// Such a document with its signature, not verified.
pub struct SimpleSigning {
    /// The bytes that are signed.
    pub payload: Vec<u8>,
    /// The image: the signer's name for it, which may be empty, and the digest of its manifest.
    pub image: Descriptor,
    /// The signature.
    pub signature: ImageSignature,
}

/// The type of cosign's documents; those of other programs have other meanings.
const TYPE: &str = "cosign container image signature";

impl SimpleSigning {
    /// Reads the document; the error is a sentence.
    pub(super) fn read(bytes: &[u8], signature: ImageSignature) -> Result<Self, String> {
        let value = json::parse_evidence(bytes).map_err(|error| error.to_string())?;
        let only = |value: &Value, known: &[&str]| {
            let mut members = value.as_object().into_iter().flatten();
            match members.find(|(name, _)| !known.contains(&name.as_str())) {
                Some((name, _)) => Err(format!("{name:?} is not one of its members")),
                None => Ok(()),
            }
        };
        only(&value, &["critical", "optional"])?;
        let critical = member(&value, ["critical"]);
        only(critical, &["identity", "image", "type"])?;
        only(member(critical, ["image"]), &["docker-manifest-digest"])?;
        only(member(critical, ["identity"]), &["docker-reference"])?;
        let kind = member(critical, ["type"]).as_str().unwrap_or_default();
        if kind != TYPE {
            return Err(format!("its type is {kind:?}, not {TYPE:?}"));
        }
        let digest = member(critical, ["image", "docker-manifest-digest"]).as_str();
        let digits = digest
            .and_then(|digest| digest.strip_prefix("sha256:"))
            .unwrap_or_default();
        if digits.len() != 64
            || !digits
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        {
            return Err("it does not name an image by its SHA-256".into());
        }
        let name = member(critical, ["identity", "docker-reference"]).as_str();
        Ok(Self {
            payload: bytes.to_vec(),
            image: Descriptor {
                name: name.filter(|name| !name.is_empty()).map(str::to_owned),
                uri: None,
                digest: [("sha256".to_owned(), digits.to_owned())].into(),
            },
            signature,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_cosigns_document_and_no_other() {
        let signature = || {
            ImageSignature::Plain(BlobSignature {
                signature: vec![],
                certificate: None,
            })
        };
        let digits = "0".repeat(64);
        let good = format!(
            r#"{{"critical":{{"identity":{{"docker-reference":"r.example/i"}},"image":{{"docker-manifest-digest":"sha256:{digits}"}},"type":"{TYPE}"}},"optional":{{"a":1}}}}"#
        );
        let read = SimpleSigning::read(good.as_bytes(), signature()).unwrap();
        assert_eq!(read.image.label(), "r.example/i");
        for (from, to) in [
            (TYPE, "atomic container signature"),
            ("sha256:", "sha512:"),
            (r#""optional""#, r#""Optional""#),
            (r#""image":{"#, r#""image":{"x":1,"#),
            (r#""type""#, r#""kind""#),
        ] {
            let text = good.replacen(from, to, 1);
            assert_ne!(text, good);
            assert!(
                SimpleSigning::read(text.as_bytes(), signature()).is_err(),
                "{text}"
            );
        }
    }
}
