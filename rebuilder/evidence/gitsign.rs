//! gitsign: commits and tags signed without a key (CMS, RFC 5652, with a short-lived certificate).
//!
//! The signature is over attributes that contain the object's digest. Current gitsign keeps the transparency log's
//! entry beside the signature, without the parts that can be computed. Together they make a Sigstore bundle over the
//! attributes, which is verified like any other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cms::cert::CertificateChoices;
use cms::content_info::ContentInfo;
use cms::signed_data::{SignedData, SignerInfo};
use const_oid::ObjectIdentifier;
use der::asn1::OctetString;
use der::{Decode as _, Encode as _};
use prost::Message as _;
use serde_json::{Value, json};
use sigstore_verify::crypto::{CertificateInfo, VerificationKey, parse_certificate_info};
use sigstore_verify::types::{DerCertificate, SignatureBytes};

use super::Standing;
use super::json::put;
use super::object_signature::ObjectSignature;
use super::sigstore::{Sigstore, SigstoreError, Unverified};
use crate::artifact::Sha256;

/// The attribute with the log's entry (sigstore/rekor#1390).
const LOG_ENTRY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.3.1");

/// The parts of a signature.
struct Signed {
    certificate: DerCertificate,
    info: CertificateInfo,
    /// The bytes that were signed.
    attributes: Vec<u8>,
    /// The object's digest according to the attributes.
    digest: Option<Vec<u8>>,
    signature: Vec<u8>,
    entry: Option<LogEntry>,
}

/// Verifies a signature over a commit or tag; `payload` is the object without the signature.
pub(super) fn verify(payload: &[u8], armored: &str, sigstore: &Sigstore) -> ObjectSignature {
    // 1. "The recipient MAY obtain the correct public key for the signer by any means, but the preferred method is from a
    //    certificate obtained from the SignedData certificates field." (RFC 5652, 5.6)
    let signed = match read(armored) {
        Ok(signed) => signed,
        Err(reason) => {
            let note = format!("cannot read the X.509 signature: {reason}");
            return ObjectSignature::new(Standing::Unverifiable, None, note);
        }
    };
    let subject = signed.info.identity.as_ref().map_or("?", |name| name.as_str());
    let by = format!("{subject} ({})", signed.info.issuer.as_deref().unwrap_or("?"));
    let result = |standing, note: String| ObjectSignature::new(standing, Some(by.clone()), note);
    // 2. "The recipient MUST NOT rely on any message digest values computed by the originator. [...] For the signature to
    //    be valid, the message digest value calculated by the recipient MUST be the same as the value of the
    //    messageDigest attribute" (5.6). The type of the content is not compared: a detached signature has no content
    //    whose type could be mistaken.
    if signed.digest.as_deref() != Some(&Sha256::of(payload).as_bytes()[..]) {
        return result(
            Standing::Invalid,
            "gitsign: the signature is over another object".into(),
        );
    }
    // 3. What is signed is "the complete DER encoding of the SignedAttrs value" (5.4), tagged as a SET OF.
    let signature = SignatureBytes::from_bytes(&signed.signature);
    let fits = VerificationKey::from_spki(&signed.info.public_key)
        .and_then(|key| key.verify(&signed.attributes, &signature));
    if fits.is_err() {
        return result(
            Standing::Invalid,
            "gitsign: the signature does not verify with the certificate that it carries".into(),
        );
    }
    // 4. "The selection and validation of the signer's public key [...] is beyond the scope of this document" (5.6): here
    //    it is Sigstore's, over the attributes as the artifact. "In some cases, the Transparency Service `body` may be
    //    simple to compute from the artifact. In this case, the `LogEntry` may omit the body" (client specification, 4.6).
    let Some(entry) = &signed.entry else {
        return result(
            Standing::Unverifiable,
            "gitsign: the signature verifies with its certificate, but it carries no transparency log entry, so nothing proves that the certificate was valid at the time".into(),
        );
    };
    let verified = bundle(&signed, entry)
        .map_err(|error| SigstoreError::Malformed(error.to_string()))
        .and_then(|bundle| sigstore.verify_certificate(&Unverified::from_value(&bundle)?));
    match verified {
        Ok(verified) => ObjectSignature {
            identity: Some(verified.identity.clone()),
            ..result(
                Standing::Verified,
                "gitsign: signature, certificate and log are good; no expected signer was configured".into(),
            )
        },
        Err(error) if error.is_unchecked() => result(Standing::Unverifiable, format!("gitsign: {error}")),
        Err(error) => result(Standing::Invalid, format!("gitsign: {error}")),
    }
}

fn read(armored: &str) -> Result<Signed, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let pem = pem::parse(armored.trim_end()).map_err(|error| text(&error))?;
    let info = ContentInfo::from_der(pem.contents()).map_err(|error| text(&error))?;
    let signed: SignedData = info.content.decode_as().map_err(|error| text(&error))?;
    let certificates = signed.certificates.iter().flat_map(|set| set.0.iter());
    let (certificate, info) = certificates
        .filter_map(|choice| match choice {
            CertificateChoices::Certificate(certificate) => {
                Some(DerCertificate::new(certificate.to_der().ok()?))
            }
            CertificateChoices::Other(_) => None,
        })
        .filter_map(|der| Some((der.clone(), parse_certificate_info(&der).ok()?)))
        .find(|(_, info)| info.identity.is_some())
        .ok_or("it carries no certificate with an identity")?;
    let signer = signed.signer_infos.0.iter().next().ok_or("it is not signed")?;
    let attributes = signer.signed_attrs.as_ref().ok_or("it signs no attributes")?;
    let digest = attributes
        .iter()
        .find(|attribute| attribute.oid == const_oid::db::rfc5911::ID_MESSAGE_DIGEST)
        .and_then(|attribute| attribute.values.iter().next())
        .and_then(|value| value.decode_as::<OctetString>().ok())
        .map(|digest| digest.as_bytes().to_vec());
    Ok(Signed {
        certificate,
        info,
        attributes: attributes.to_der().map_err(|error| text(&error))?,
        digest,
        signature: signer.signature.as_bytes().to_vec(),
        entry: log_entry(signer),
    })
}

fn log_entry(signer: &SignerInfo) -> Option<LogEntry> {
    let mut attributes = signer.unsigned_attrs.as_ref()?.iter();
    let entry = attributes.find(|attribute| attribute.oid == LOG_ENTRY)?;
    let bytes = entry.values.iter().next()?.decode_as::<OctetString>().ok()?;
    LogEntry::decode(bytes.as_bytes()).ok()
}

/// The signature over the attributes as a Sigstore bundle; the entry's body, which gitsign leaves out, is computed.
fn bundle(signed: &Signed, entry: &LogEntry) -> Result<Value, serde_json::Error> {
    let digest = Sha256::of(&signed.attributes);
    let body = json!({
        "apiVersion": "0.0.1",
        "kind": "hashedrekord",
        "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": digest}},
            "signature": {
                "content": STANDARD.encode(&signed.signature),
                "publicKey": {"content": STANDARD.encode(certificate_pem(&signed.certificate))}
            }
        }
    });
    let body = serde_jcs::to_vec(&body)?;
    let mut logged = json!({
        "logIndex": entry.log_index.to_string(),
        "logId": {"keyId": STANDARD.encode(&entry.log_id.clone().unwrap_or_default().key_id)},
        "kindVersion": {"kind": "hashedrekord", "version": "0.0.1"},
        "integratedTime": entry.integrated_time.to_string(),
        "canonicalizedBody": STANDARD.encode(body)
    });
    if let Some(promise) = &entry.inclusion_promise {
        let promise = json!({"signedEntryTimestamp": STANDARD.encode(&promise.signed_entry_timestamp)});
        put(&mut logged, "inclusionPromise", promise);
    }
    // Only bundles of the first version may omit the proof.
    let version = if entry.inclusion_proof.is_some() {
        "0.2"
    } else {
        "0.1"
    };
    if let Some(proof) = &entry.inclusion_proof {
        let proof = json!({
            "logIndex": proof.log_index.to_string(),
            "rootHash": STANDARD.encode(&proof.root_hash),
            "treeSize": proof.tree_size.to_string(),
            "hashes": proof.hashes.iter().map(|hash| STANDARD.encode(hash)).collect::<Vec<_>>(),
            "checkpoint": {"envelope": proof.checkpoint.clone().unwrap_or_default().envelope}
        });
        put(&mut logged, "inclusionProof", proof);
    }
    Ok(json!({
        "mediaType": format!("application/vnd.dev.sigstore.bundle+json;version={version}"),
        "verificationMaterial": {
            "x509CertificateChain": {"certificates": [{"rawBytes": STANDARD.encode(signed.certificate.as_bytes())}]},
            "tlogEntries": [logged]
        },
        "messageSignature": {
            "messageDigest": {"algorithm": "SHA2_256", "digest": STANDARD.encode(digest.as_bytes())},
            "signature": STANDARD.encode(&signed.signature)
        }
    }))
}

/// The certificate in exactly the form that the log keeps: lines of 64 characters, ended by line feeds.
fn certificate_pem(certificate: &DerCertificate) -> String {
    let pem = pem::Pem::new("CERTIFICATE", certificate.as_bytes());
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem, config)
}

/// `dev.sigstore.rekor.v1.TransparencyLogEntry` of sigstore/protobuf-specs, without its body.
#[derive(Clone, PartialEq, prost::Message)]
struct LogEntry {
    #[prost(int64, tag = "1")]
    log_index: i64,
    #[prost(message, optional, tag = "2")]
    log_id: Option<LogId>,
    #[prost(int64, tag = "4")]
    integrated_time: i64,
    #[prost(message, optional, tag = "5")]
    inclusion_promise: Option<InclusionPromise>,
    #[prost(message, optional, tag = "6")]
    inclusion_proof: Option<InclusionProof>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct LogId {
    #[prost(bytes = "vec", tag = "1")]
    key_id: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct InclusionPromise {
    #[prost(bytes = "vec", tag = "1")]
    signed_entry_timestamp: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct InclusionProof {
    #[prost(int64, tag = "1")]
    log_index: i64,
    #[prost(bytes = "vec", tag = "2")]
    root_hash: Vec<u8>,
    #[prost(int64, tag = "3")]
    tree_size: i64,
    #[prost(bytes = "vec", repeated, tag = "4")]
    hashes: Vec<Vec<u8>>,
    #[prost(message, optional, tag = "5")]
    checkpoint: Option<Checkpoint>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Checkpoint {
    #[prost(string, tag = "1")]
    envelope: String,
}
