//! What cosign wrote before Sigstore had bundles: `--bundle` files and the annotations of images. They are converted
//! to Sigstore's own forms if there is one for them.
//!
//! Form: `LocalSignedPayload` and `RekorBundle` of github.com/sigstore/cosign, `pkg/cosign`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::piece::only;
use super::{Kind, PieceError};
use crate::evidence::blob_signature::{self, BlobSignature, Certificate};
use crate::evidence::dsse::Envelope;
use crate::evidence::json::{self, member};
use crate::evidence::rekor::{Entry, LoggedEnvelope};
use crate::evidence::sigstore::Unverified;

/// The media type of Sigstore's first bundles: a chain of certificates, and a promise of the log instead of a proof.
const V01: &str = "application/vnd.dev.sigstore.bundle+json;version=0.1";

fn other(reason: impl Into<String>) -> PieceError {
    PieceError::Other(reason.into())
}

/// Reads a `--bundle` file of cosign 1 and 2: `base64Signature`, `cert`, `rekorBundle`.
pub(super) fn local_bundle(value: &Value) -> Result<Kind, PieceError> {
    only(value, &["base64Signature", "cert", "rekorBundle"])?;
    let text = value["base64Signature"].as_str();
    let signed = text.ok_or_else(|| other("its base64Signature is not a text"))?;
    let certificate = match &value["cert"] {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(Certificate::parse(text).map_err(|error| other(error.to_string()))?),
        _ => return Err(other("its cert is not a text")),
    };
    let entry = match &value["rekorBundle"] {
        Value::Null => None,
        entry => Some(LogEntry::read(entry)?),
    };
    // `attest-blob` puts a whole envelope in place of the signature.
    let inside = STANDARD.decode(signed).ok();
    if let Some(text) = inside.filter(|bytes| bytes.starts_with(b"{")) {
        return envelope(&text, certificate, entry.as_ref());
    }
    let signature = blob_signature::signature(signed)
        .ok_or_else(|| other("its base64Signature is neither a signature nor an envelope"))?;
    let signature = BlobSignature {
        signature,
        certificate,
    };
    match entry {
        None => Ok(Kind::Blob(Box::new(signature))),
        Some(entry) => Ok(Kind::Bundle(Box::new(logged(&signature, &entry)?))),
    }
}

/// Reads the same from the annotations of an image; the error is a sentence.
pub(in crate::evidence) fn cosign_logged(
    signature: &BlobSignature,
    entry: &Value,
) -> Result<Unverified, String> {
    let entry = LogEntry::read(entry).map_err(|error| error.to_string())?;
    logged(signature, &entry).map_err(|error| error.to_string())
}

/// Reads an envelope with the certificate and the log entry from the annotations of an image; the error is a sentence.
pub(in crate::evidence) fn cosign_envelope(
    text: &[u8],
    certificate: Option<Certificate>,
    entry: Option<&Value>,
) -> Result<Kind, String> {
    let entry = entry
        .map(LogEntry::read)
        .transpose()
        .map_err(|error| error.to_string())?;
    envelope(text, certificate, entry.as_ref()).map_err(|error| error.to_string())
}

/// A signature over bytes and its log entry as a bundle; the entry says which bytes.
fn logged(signature: &BlobSignature, entry: &LogEntry) -> Result<Unverified, PieceError> {
    let body = entry.body()?;
    if (entry.kind.as_str(), entry.version.as_str()) != ("hashedrekord", "0.0.1") {
        return Err(other(format!(
            "its log entry is of the type {}/{}, which is not one of a signature over bytes",
            entry.kind, entry.version
        )));
    }
    let hash = member(&body, ["spec", "data", "hash"]);
    let algorithm = match hash["algorithm"].as_str() {
        Some("sha256") => "SHA2_256",
        Some("sha384") => "SHA2_384",
        Some("sha512") => "SHA2_512",
        _ => return Err(other("its log entry names a digest of an unknown kind")),
    };
    let digest = hash["value"].as_str().and_then(|digits| hex::decode(digits).ok());
    let digest = digest.ok_or_else(|| other("its log entry has no digest"))?;
    let bundle = json!({
        "mediaType": V01,
        "verificationMaterial": entry.material(signature.certificate.as_ref()),
        "messageSignature": {
            "messageDigest": {"algorithm": algorithm, "digest": STANDARD.encode(digest)},
            "signature": STANDARD.encode(&signature.signature),
        },
    });
    Ok(Unverified::from_value(&bundle)?)
}

/// An envelope whose certificate and log entry came separately.
fn envelope(
    text: &[u8],
    certificate: Option<Certificate>,
    entry: Option<&LogEntry>,
) -> Result<Kind, PieceError> {
    let value = json::parse_evidence(text)?;
    let read = Envelope::from_value(&value)?;
    match (entry, certificate) {
        (Some(entry), certificate) if entry.is_bundled() => {
            let bundle = json!({
                "mediaType": V01,
                "verificationMaterial": entry.material(certificate.as_ref()),
                "dsseEnvelope": read.to_value(),
            });
            Ok(Kind::Bundle(Box::new(Unverified::from_value(&bundle)?)))
        }
        // A plain key signed it: the log adds only a time.
        (_, None) => Ok(Kind::Envelope(read)),
        (None, Some(certificate)) => Ok(Kind::Unproven {
            envelope: read,
            reason: format!(
                "it is signed with the key of a certificate for {}, but no log entry shows that the certificate was valid then",
                certificate.name()
            ),
        }),
        (Some(entry), Some(certificate)) => by_text(text, read, &certificate, entry),
    }
}

/// An envelope with a log entry that no bundle can have: `intoto/0.0.1` contains the digest of the envelope's text.
fn by_text(
    text: &[u8],
    read: Envelope,
    certificate: &Certificate,
    entry: &LogEntry,
) -> Result<Kind, PieceError> {
    let envelope = Envelope {
        certificates: vec![certificate.pem()],
        text: std::str::from_utf8(text).ok().map(str::to_owned),
        ..read
    };
    let logged = Entry::promised(entry.entry.clone()).map_err(PieceError::Other)?;
    if logged.is_of(&envelope) {
        return Ok(Kind::Logged(Box::new(LoggedEnvelope {
            envelope,
            entries: vec![logged],
        })));
    }
    Ok(Kind::Unproven {
        envelope,
        reason: format!(
            "it is signed with the key of a certificate for {}, and its log entry, of the type {}, is not of this text, so nothing here shows when it was signed",
            certificate.name(),
            logged.kind
        ),
    })
}

/// An entry of the transparency log Rekor with the log's promise, in cosign's form.
struct LogEntry {
    kind: String,
    version: String,
    body: String,
    entry: Value,
}

impl LogEntry {
    /// Reads a `RekorBundle`: `SignedEntryTimestamp`, and `Payload` with body, time, index and log.
    fn read(value: &Value) -> Result<Self, PieceError> {
        only(value, &["SignedEntryTimestamp", "Payload"])?;
        let payload = &value["Payload"];
        only(payload, &["body", "integratedTime", "logIndex", "logID"])?;
        let text = |name: &str| {
            payload[name]
                .as_str()
                .ok_or_else(|| other(format!("the {name} of its log entry is not a text")))
        };
        let number = |name: &str| {
            payload[name]
                .as_u64()
                .ok_or_else(|| other(format!("the {name} of its log entry is not a number")))
        };
        let promise = value["SignedEntryTimestamp"].as_str();
        let promise = promise.ok_or_else(|| other("its log entry has no promise of the log"))?;
        let log = hex::decode(text("logID")?)
            .map_err(|_| other("the logID of its log entry is not hexadecimal"))?;
        let mut read = Self {
            kind: String::new(),
            version: String::new(),
            body: text("body")?.to_owned(),
            entry: Value::Null,
        };
        let body = read.body()?;
        let of_body = |name: &str| {
            body.get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        (read.kind, read.version) = (of_body("kind"), of_body("apiVersion"));
        read.entry = json!({
            "logIndex": number("logIndex")?.to_string(),
            "logId": {"keyId": STANDARD.encode(log)},
            "kindVersion": {"kind": read.kind, "version": read.version},
            "integratedTime": number("integratedTime")?.to_string(),
            "inclusionPromise": {"signedEntryTimestamp": promise},
            "canonicalizedBody": read.body,
        });
        Ok(read)
    }

    fn body(&self) -> Result<Value, PieceError> {
        let bytes = STANDARD.decode(&self.body);
        let bytes = bytes.map_err(|_| other("the body of its log entry is not base64"))?;
        Ok(json::parse_evidence(&bytes)?)
    }

    /// Whether bundles can have an entry of this type for an envelope: the entry must contain the signature.
    fn is_bundled(&self) -> bool {
        [("dsse", "0.0.1"), ("intoto", "0.0.2")].contains(&(self.kind.as_str(), self.version.as_str()))
    }

    fn material(&self, certificate: Option<&Certificate>) -> Value {
        match certificate {
            Some(certificate) => json!({
                "x509CertificateChain": certificate.chain(),
                "tlogEntries": [self.entry],
            }),
            // The key has no name in cosign's form.
            None => json!({"publicKey": {"hint": ""}, "tlogEntries": [self.entry]}),
        }
    }
}
