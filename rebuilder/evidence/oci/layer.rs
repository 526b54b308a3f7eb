//! Reads one layer that is a document: its media type tells the form, and annotations may carry parts of it.

use super::Descriptor;
use crate::evidence::blob_signature::{self, BlobSignature, Certificate};
use crate::evidence::document::{Kind, cosign_envelope, cosign_logged, one_document};
use crate::evidence::json;
use crate::evidence::simple_signing::{ImageSignature, SimpleSigning};

/// The forms of evidence in layers.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// The document that cosign signs for an image; the signature is an annotation.
    SimpleSigning,
    /// An envelope; its certificate and log entry may be annotations.
    Envelope,
    /// A document that carries everything itself.
    Whole,
}

/// Media types of evidence, by their prefixes.
pub(super) const FORMS: [(&str, Form); 4] = [
    (
        "application/vnd.dev.cosign.simplesigning.v1+json",
        Form::SimpleSigning,
    ),
    ("application/vnd.dsse.envelope.v1+json", Form::Envelope),
    ("application/vnd.in-toto+json", Form::Whole),
    ("application/vnd.dev.sigstore.bundle", Form::Whole),
];

const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const BUNDLE: &str = "dev.sigstore.cosign/bundle";

/// Reads a layer; the error is a sentence.
pub(super) fn read(layer: &Descriptor, bytes: &[u8]) -> Result<Kind, String> {
    let form = FORMS
        .iter()
        .find(|(known, _)| layer.media_type.starts_with(known));
    match form {
        None => Err(format!(
            "files of the type {:?} are not supported as evidence",
            layer.media_type
        )),
        Some((_, Form::Whole)) => one_document(bytes),
        Some((_, Form::Envelope)) => {
            let (certificate, entry) = beside(layer)?;
            cosign_envelope(bytes, certificate, entry.as_ref())
        }
        Some((_, Form::SimpleSigning)) => {
            let (certificate, entry) = beside(layer)?;
            let signature = blob_signature::signature(layer.annotation(SIGNATURE));
            let signature = BlobSignature {
                signature: signature.ok_or("it has no signature in its annotations")?,
                certificate,
            };
            let signature = match entry {
                None => ImageSignature::Plain(signature),
                Some(entry) => ImageSignature::Logged(Box::new(cosign_logged(&signature, &entry)?)),
            };
            Ok(Kind::Image(Box::new(SimpleSigning::read(bytes, signature)?)))
        }
    }
}

/// The certificate and the log entry in annotations.
fn beside(layer: &Descriptor) -> Result<(Option<Certificate>, Option<serde_json::Value>), String> {
    let text = |name: &str| Some(layer.annotation(name)).filter(|text| !text.is_empty());
    let certificate = text(CERTIFICATE).map(Certificate::parse).transpose();
    let entry = text(BUNDLE)
        .map(|text| json::parse_evidence(text.as_bytes()))
        .transpose();
    Ok((
        certificate.map_err(|error| error.to_string())?,
        entry.map_err(|error| error.to_string())?,
    ))
}
