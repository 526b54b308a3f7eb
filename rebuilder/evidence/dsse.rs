//! Signed envelopes (secure-systems-lab/dsse v1): a payload, its type, and signatures over both.
//!
//! An envelope may have any number of signatures by plain keys, with a threshold over distinct keys. The cryptography
//! is aws-lc's, through the Sigstore crates.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};

use super::Verified;
use super::json::{self, JsonError};
use super::openpgp::in_toto::{self, JsonSignature};
use super::public_key::PublicKey;

/// Type of a payload that is an in-toto statement.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

/// The members of an envelope.
const MEMBERS: [&str; 3] = ["payload", "payloadType", "signatures"];

/// The members of a signature. The SLSA generators put the certificate beside it (`cert`), and witness adds the
/// certificate's chain and timestamps. securesystemslib writes signatures by OpenPGP with the hashed part of the packet
/// (`other_headers`).
const OF_SIGNATURE: [&str; 7] = [
    "cert",
    "certificate",
    "intermediates",
    "keyid",
    "other_headers",
    "sig",
    "timestamps",
];

/// An envelope whose signatures are not verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The type of the payload; it is signed too.
    pub payload_type: String,
    /// The payload's bytes.
    pub payload: Vec<u8>,
    /// Signatures, each with the name of its key.
    pub signatures: Vec<(String, Vec<u8>)>,
    /// Signatures by OpenPGP.
    pub openpgp: Vec<JsonSignature>,
    /// Certificates beside the signatures, in PEM.
    pub certificates: Vec<String>,
    /// The text that the envelope was read from, without surrounding white space, if it was a separate text: a log may
    /// identify the envelope by the digest of this text.
    pub text: Option<String>,
}

/// A text that is not an envelope, or an envelope without enough good signatures.
#[derive(Debug, thiserror::Error)]
pub enum DsseError {
    #[error(transparent)]
    Json(#[from] JsonError),
    #[error("not a DSSE envelope: {0} is missing or malformed")]
    Malformed(&'static str),
    #[error("not a DSSE envelope: {0:?} is not one of its members")]
    Member(String),
    #[error("{good} of {wanted} required keys signed it{}", if tried.is_empty() { String::new() } else { format!(" (tried: {})", tried.join(", ")) })]
    Threshold {
        good: usize,
        wanted: usize,
        tried: Vec<String>,
    },
}

impl Envelope {
    /// Reads an envelope.
    pub fn parse(bytes: &[u8]) -> Result<Self, DsseError> {
        Self::from_value(&json::parse_evidence(bytes)?)
    }

    /// Reads an envelope and keeps its text.
    pub fn of_text(text: &str) -> Result<Self, DsseError> {
        Ok(Self {
            text: Some(text.trim().to_owned()),
            ..Self::parse(text.as_bytes())?
        })
    }

    /// Reads an envelope from a larger document. Members that the specification does not name are refused: another
    /// reader might take one of them for the payload.
    pub fn from_value(value: &Value) -> Result<Self, DsseError> {
        let members = value.as_object().ok_or(DsseError::Malformed("envelope"))?;
        if let Some(name) = members.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
            return Err(DsseError::Member(name.clone()));
        }
        let text = |key: &'static str| value[key].as_str().ok_or(DsseError::Malformed(key));
        let signatures = value["signatures"].as_array();
        let signatures = signatures.ok_or(DsseError::Malformed("signatures"))?;
        let (payload_type, payload) = (
            text("payloadType")?.to_owned(),
            decode(text("payload")?).ok_or(DsseError::Malformed("payload"))?,
        );
        let message = pre_authentication(&payload_type, &payload);
        let (mut plain, mut openpgp) = (Vec::new(), Vec::new());
        for signature in signatures {
            match read_signature(signature, &message)? {
                OneSignature::Plain(keyid, bytes) => plain.push((keyid, bytes)),
                OneSignature::OpenPgp(signature) => openpgp.push(signature),
            }
        }
        Ok(Self {
            payload_type,
            payload,
            text: None,
            certificates: signatures
                .iter()
                .filter_map(|signature| signature["cert"].as_str())
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
                .collect(),
            signatures: plain,
            openpgp,
        })
    }

    /// The bytes that are signed: type and payload, each with its length.
    pub fn pre_authentication(&self) -> Vec<u8> {
        pre_authentication(&self.payload_type, &self.payload)
    }

    /// The document for this envelope.
    pub fn to_value(&self) -> Value {
        let signatures = self.signatures.iter();
        json!({
            "payload": STANDARD.encode(&self.payload),
            "payloadType": self.payload_type,
            "signatures": signatures
                .map(|(keyid, signature)| json!({"keyid": keyid, "sig": STANDARD.encode(signature)}))
                .collect::<Vec<_>>()
        })
    }
}

/// One signature of an envelope.
enum OneSignature {
    /// With the name of its key.
    Plain(String, Vec<u8>),
    OpenPgp(JsonSignature),
}

/// Reads one signature over `message`.
fn read_signature(signature: &Value, message: &[u8]) -> Result<OneSignature, DsseError> {
    let malformed = DsseError::Malformed("signatures");
    let Some(members) = signature.as_object() else {
        return Err(malformed);
    };
    if let Some(name) = members.keys().find(|name| !OF_SIGNATURE.contains(&name.as_str())) {
        return Err(DsseError::Member(name.clone()));
    }
    let text = |name: &str| members.get(name).is_none_or(|it| it.is_null() || it.is_string());
    let list = |name: &str| members.get(name).is_none_or(|it| it.is_null() || it.is_array());
    let fine = text("keyid") && text("cert") && text("certificate");
    if !fine || !list("intermediates") || !list("timestamps") {
        return Err(malformed);
    }
    let keyid = signature["keyid"].as_str().unwrap_or_default().to_owned();
    let bytes = signature["sig"].as_str().and_then(decode);
    let bytes = bytes.ok_or(DsseError::Malformed("sig"))?;
    if !in_toto::is_one(signature) {
        return Ok(OneSignature::Plain(keyid, bytes));
    }
    // As in a link, but for the encoding of the numbers, which DSSE defines.
    let form = json!({
        "keyid": keyid, "other_headers": signature["other_headers"], "signature": hex::encode(bytes),
    });
    let read = JsonSignature::from_value(&form, message);
    read.map(OneSignature::OpenPgp).ok_or(malformed)
}

/// The positions of the keys in `keys` that signed `message`; at least `threshold` different ones.
///
/// The steps are those of "Multi-signature Verification" in the DSSE protocol 1.0.2.
pub(super) fn signers(
    message: &[u8],
    signatures: &[(String, Vec<u8>)],
    keys: &[&PublicKey],
    threshold: usize,
) -> Result<Verified<Vec<usize>>, DsseError> {
    // 1. "Receive and decode SERIALIZED_BODY, PAYLOAD_TYPE, SIGNATURES from ENVELOPE. Reject if decoding fails." The
    //    caller has done that, and `message` is PAE(UTF8(PAYLOAD_TYPE), SERIALIZED_BODY).
    // 2. "For each (SIGNATURE, KEYID) in SIGNATURES, optionally, filter acceptable public keys by KEYID." It "MUST NOT be
    //    used for security decisions", so it only says which key is tried first.
    let hinted = |key: &PublicKey| signatures.iter().any(|(name, _)| key.is_called(name));
    let signed = |key: &PublicKey| {
        signatures
            .iter()
            .any(|(_, signature)| key.verify(message, signature))
    };
    let mut order: Vec<(usize, &PublicKey)> = keys.iter().copied().enumerate().collect();
    if threshold <= 1 && keys.len() > 1 {
        order.sort_by_key(|(_, key)| !hinted(key));
    }
    let mut found: Vec<(usize, &PublicKey)> = Vec::new();
    // 3. "Verify SIGNATURE against PAE(UTF8(PAYLOAD_TYPE), SERIALIZED_BODY). Skip over if the verification fails. Add the
    //    accepted public key to the set ACCEPTED_KEYS." One key under two names counts once.
    for (at, key) in order {
        let known = found
            .iter()
            .any(|(_, other)| other.fingerprint() == key.fingerprint());
        if !known && signed(key) {
            found.push((at, key));
            // 4. "Break if the number of unique keys in ACCEPTED_KEYS is greater or equal to t." With a higher threshold
            //    all keys are tried, so that every signer can be named.
            if threshold <= 1 && found.len() >= signatures.len() {
                break;
            }
        }
    }
    // 5. "Reject if the unique keys in ACCEPTED_KEYS is less than t."
    if found.len() < threshold.max(1) {
        return Err(DsseError::Threshold {
            good: found.len(),
            wanted: threshold.max(1),
            tried: keys.iter().map(|key| key.name.clone()).collect(),
        });
    }
    // 6. "Reject if PAYLOAD_TYPE is not a supported type. Parse SERIALIZED_BODY according to PAYLOAD_TYPE." That is
    //    `Statement::from_envelope`, which takes the same bytes: nothing is decoded again.
    let mut positions: Vec<_> = found.into_iter().map(|(at, _)| at).collect();
    positions.sort_unstable();
    Ok(Verified(positions))
}

/// DSSE's pre-authentication encoding: `PAE(type, body) = "DSSEv1" + SP + LEN(type) + SP + type + SP + LEN(body) + SP +
/// body`.
pub fn pre_authentication(kind: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// Decodes base64 in either alphabet, as the specification allows.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_as_the_specification_shows() {
        let bytes = pre_authentication("http://example.com/HelloWorld", b"hello world");
        assert_eq!(bytes, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn refuses_what_has_no_place_in_an_envelope() {
        for (signature, expected) in [
            (r#"{"sig":""}"#, true),
            (r#"{"sig":"","keyid":"a"}"#, true),
            (r#"{"sig":"","keyid":null}"#, true),
            (
                r#"{"sig":"","keyid":"","cert":"-----BEGIN CERTIFICATE-----"}"#,
                true,
            ),
            (r#"{"sig":"","keyid":"","other_headers":"0400"}"#, true),
            (r#"{"sig":"","other_headers":"x"}"#, false),
            (r#"{"sig":"","other_headers":{}}"#, false),
            (r#"{"sig":"","other_headers":null}"#, false),
            (r#"{"sig":"","payload":"e30="}"#, false),
            (r#"{"sig":"","payloadType":"x"}"#, false),
            (r#"{"sig":"","keyid":{"payload":"e30="}}"#, false),
            (r#"{"sig":"","cert":[]}"#, false),
            (r#"{"sig":"","extension":{}}"#, false),
            (r#"{"keyid":""}"#, false),
            (r#""""#, false),
        ] {
            let text = format!(r#"{{"payloadType":"x","payload":"","signatures":[{signature}]}}"#);
            assert_eq!(Envelope::parse(text.as_bytes()).is_ok(), expected, "{text}");
        }
    }
}
