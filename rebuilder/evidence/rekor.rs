//! Entries of the transparency log Rekor (version 1) in the form of its API, for envelopes that came without them.
//!
//! An entry alone proves nothing: it shows when an envelope was signed that is in another file, or on another line.
//! Forms: `LogEntry` of github.com/sigstore/rekor, `openapi.yaml`; the entry types `intoto/0.0.1` and `dsse/0.0.1`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::dsse::Envelope;
use super::json::{self, member};
use crate::artifact::Sha256;

/// Maximum number of entries of one answer.
const MOST: usize = 64;

/// One entry that was read; nothing in it is verified.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The type of the entry, such as `intoto/0.0.1`.
    pub kind: String,
    body: Value,
    /// The entry in the form of Sigstore's bundles.
    pub(super) bundled: Value,
    /// Whether the log's promise is enough in the form that the entry came in, as in the first version of bundles.
    pub(super) promise_suffices: bool,
}

/// An envelope, and the log's entries about it.
pub struct LoggedEnvelope {
    /// The envelope.
    pub envelope: Envelope,
    /// The log's entries about it; at least one.
    pub entries: Vec<Entry>,
}

impl Entry {
    /// Whether a document is an answer of the log: entries by their ids.
    pub fn are(value: &Value) -> bool {
        let is_one = |(id, entry): (&String, &Value)| {
            let digits = id.bytes().all(|byte| byte.is_ascii_hexdigit());
            digits && [64, 80].contains(&id.len()) && entry.get("body").is_some()
        };
        value
            .as_object()
            .is_some_and(|members| !members.is_empty() && members.iter().all(is_one))
    }

    /// Reads an answer of the log; the error is a sentence.
    pub fn read_all(value: &Value) -> Result<Vec<Self>, String> {
        let members = value.as_object().ok_or("it is not an answer of Rekor")?;
        if members.len() > MOST {
            return Err(format!("it has more than {MOST} entries of the log"));
        }
        members.values().map(Self::read).collect()
    }

    fn read(value: &Value) -> Result<Self, String> {
        let known = [
            "attestation",
            "body",
            "integratedTime",
            "logID",
            "logIndex",
            "verification",
        ];
        only(value, &known)?;
        let proof = &value["verification"];
        only(proof, &["inclusionProof", "signedEntryTimestamp"])?;
        let (body, kind) = body_of(&value["body"])?;
        let mut bundled = json!({
            "logIndex": number(value, "logIndex")?,
            "logId": {"keyId": based(&value["logID"])?},
            // The body tells the actual type; bundles have no name for some types.
            "kindVersion": {"kind": "dsse", "version": "0.0.1"},
            "integratedTime": number(value, "integratedTime")?,
            "canonicalizedBody": value["body"],
        });
        if let Some(promise) = proof["signedEntryTimestamp"].as_str() {
            set(
                &mut bundled,
                "inclusionPromise",
                json!({"signedEntryTimestamp": promise}),
            );
        }
        if let Some(inclusion) = proof.get("inclusionProof").filter(|it| !it.is_null()) {
            set(&mut bundled, "inclusionProof", inclusion_proof(inclusion)?);
        }
        Ok(Self {
            kind,
            body,
            bundled,
            promise_suffices: false,
        })
    }

    /// The same for an entry in the form of bundles that was made from cosign's, with the log's promise.
    pub(super) fn promised(mut bundled: Value) -> Result<Self, String> {
        let (body, kind) = body_of(bundled.get("canonicalizedBody").unwrap_or(&Value::Null))?;
        set(
            &mut bundled,
            "kindVersion",
            json!({"kind": "dsse", "version": "0.0.1"}),
        );
        Ok(Self {
            kind,
            body,
            bundled,
            promise_suffices: true,
        })
    }

    /// Whether the entry is for this very envelope: its text, or its payload and signature.
    pub fn is_of(&self, envelope: &Envelope) -> bool {
        let spec = member(&self.body, ["spec"]);
        let is = |hash: &Value, digest: Sha256| {
            hash["algorithm"] == "sha256" && hash["value"].as_str() == Some(&digest.to_hex())
        };
        match self.kind.as_str() {
            "intoto/0.0.1" => {
                let content = member(spec, ["content"]);
                let whole = member(content, ["hash"]);
                let payload = content.get("payloadHash").filter(|it| !it.is_null());
                envelope
                    .text
                    .as_ref()
                    .is_some_and(|text| is(whole, Sha256::of(text)))
                    && payload.is_none_or(|hash| is(hash, Sha256::of(&envelope.payload)))
            }
            "dsse/0.0.1" => {
                let signatures = member(spec, ["signatures"]).as_array();
                let signed = match (signatures.map(Vec::as_slice), envelope.signatures.as_slice()) {
                    (Some([logged]), [(_, own)]) => {
                        let bytes = logged["signature"]
                            .as_str()
                            .and_then(|it| STANDARD.decode(it).ok());
                        bytes.as_ref() == Some(own)
                    }
                    _ => false,
                };
                signed && is(member(spec, ["payloadHash"]), Sha256::of(&envelope.payload))
            }
            _ => false,
        }
    }

    /// The certificate or key in the entry, in PEM.
    pub(super) fn verifier(&self) -> Option<String> {
        let spec = member(&self.body, ["spec"]);
        let text = match self.kind.as_str() {
            "intoto/0.0.1" => member(spec, ["publicKey"]).as_str()?,
            _ => spec.get("signatures")?.get(0)?.get("verifier")?.as_str()?,
        };
        String::from_utf8(STANDARD.decode(text).ok()?).ok()
    }
}

/// The request to the log for the entries of an envelope (`POST /api/v1/log/entries/retrieve`): its uploader may have
/// proposed these entries. `None` if there is no certificate beside the signature, or the envelope was not read from a
/// separate text.
pub fn question(envelope: &Envelope) -> Option<Value> {
    let ([certificate], Some(text)) = (envelope.certificates.as_slice(), &envelope.text) else {
        return None;
    };
    let verifier = STANDARD.encode(certificate);
    Some(json!({"entries": [
        {"kind": "intoto", "apiVersion": "0.0.1", "spec": {"content": {"envelope": text}, "publicKey": verifier}},
        {"kind": "dsse", "apiVersion": "0.0.1", "spec": {"proposedContent": {"envelope": text, "verifiers": [verifier]}}},
    ]}))
}

/// The body of an entry, and its type.
fn body_of(text: &Value) -> Result<(Value, String), String> {
    let text = text.as_str().ok_or("the body of its log entry is not a text")?;
    let bytes = STANDARD.decode(text);
    let bytes = bytes.map_err(|_| "the body of its log entry is not base64")?;
    let body = json::parse_evidence(&bytes).map_err(|error| error.to_string())?;
    let of_body = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let kind = format!("{}/{}", of_body("kind"), of_body("apiVersion"));
    Ok((body, kind))
}

fn only(value: &Value, known: &[&str]) -> Result<(), String> {
    let empty = Map::new();
    let mut members = value.as_object().unwrap_or(&empty).keys();
    match members.find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(format!("{name:?} is not a member of a log entry")),
        None => Ok(()),
    }
}

/// A number in the form of bundles.
fn number(value: &Value, name: &str) -> Result<String, String> {
    let number = value[name].as_u64();
    let number = number.ok_or_else(|| format!("the {name} of its log entry is not a number"))?;
    Ok(number.to_string())
}

/// Converts hexadecimal digits to base64.
fn based(value: &Value) -> Result<String, String> {
    let bytes = value.as_str().and_then(|digits| hex::decode(digits).ok());
    let bytes = bytes.ok_or("a digest of its log entry is not hexadecimal")?;
    Ok(STANDARD.encode(bytes))
}

/// Sets a member, if the value is an object.
fn set(value: &mut Value, name: &str, member: Value) {
    if let Some(members) = value.as_object_mut() {
        members.insert(name.to_owned(), member);
    }
}

fn inclusion_proof(value: &Value) -> Result<Value, String> {
    only(
        value,
        &["checkpoint", "hashes", "logIndex", "rootHash", "treeSize"],
    )?;
    let hashes = value["hashes"].as_array().map_or(&[][..], Vec::as_slice);
    let hashes: Result<Vec<_>, _> = hashes.iter().map(based).collect();
    let mut proof = json!({
        "logIndex": number(value, "logIndex")?,
        "rootHash": based(&value["rootHash"])?,
        "treeSize": number(value, "treeSize")?,
        "hashes": hashes?,
    });
    if let Some(checkpoint) = value["checkpoint"].as_str() {
        set(&mut proof, "checkpoint", json!({"envelope": checkpoint}));
    }
    Ok(proof)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(text: &str) -> Envelope {
        Envelope::of_text(text).unwrap()
    }

    fn answer(body: &Value) -> Value {
        json!({"a".repeat(80): {
            "body": STANDARD.encode(body.to_string()), "integratedTime": 1, "logID": "00", "logIndex": 2,
            "verification": {"signedEntryTimestamp": "AA=="},
        }})
    }

    #[test]
    fn an_entry_is_of_the_envelope_whose_text_or_signature_it_has() {
        let text =
            r#"{"payloadType":"t","payload":"e30=","signatures":[{"sig":"AAAA","keyid":"","cert":"C"}]}"#;
        let own = envelope(text);
        let spaced = envelope(&text.replacen(':', ": ", 1));
        let hash = |bytes: &[u8]| json!({"algorithm": "sha256", "value": Sha256::of(bytes).to_hex()});
        let content = |envelope: &Value, payload: &Value| {
            json!({"kind": "intoto", "apiVersion": "0.0.1",
                   "spec": {"content": {"hash": envelope, "payloadHash": payload}, "publicKey": ""}})
        };
        let dsse = |signature: &str| {
            json!({"kind": "dsse", "apiVersion": "0.0.1",
                   "spec": {"payloadHash": hash(b"{}"), "signatures": [{"signature": signature, "verifier": ""}]}})
        };
        for (body, of_own, of_spaced) in [
            (content(&hash(text.as_bytes()), &hash(b"{}")), true, false),
            (content(&hash(text.as_bytes()), &Value::Null), true, false),
            (content(&hash(text.as_bytes()), &hash(b"x")), false, false),
            (content(&hash(b"x"), &hash(b"{}")), false, false),
            (dsse("AAAA"), true, true),
            (dsse("AAAB"), false, false),
            (
                json!({"kind": "rekord", "apiVersion": "0.0.1", "spec": {}}),
                false,
                false,
            ),
        ] {
            let value = answer(&body);
            assert!(Entry::are(&value));
            let entries = Entry::read_all(&value).unwrap();
            assert_eq!(entries[0].is_of(&own), of_own, "{body}");
            assert_eq!(entries[0].is_of(&spaced), of_spaced, "{body}");
        }
    }

    #[test]
    fn refuses_what_is_no_entry() {
        let good = answer(&json!({"kind": "dsse", "apiVersion": "0.0.1", "spec": {}}));
        assert!(Entry::read_all(&good).is_ok());
        let id = "a".repeat(80);
        for (place, value) in [
            ("body", json!("%")),
            ("body", json!(1)),
            ("logIndex", json!(-1)),
            ("integratedTime", json!("1")),
            ("logID", json!("x")),
            ("more", json!(1)),
            ("verification", json!({"inclusionProof": {"hashes": [1]}})),
            ("verification", json!({"payload": ""})),
        ] {
            let mut bad = good.clone();
            bad[&id][place] = value.clone();
            assert!(Entry::read_all(&bad).is_err(), "{place} {value}");
        }
        for text in [
            "{}",
            r#"{"ab": {"body": ""}}"#,
            "[]",
            r#"{"payload": {"body": ""}}"#,
        ] {
            assert!(!Entry::are(&serde_json::from_str(text).unwrap()), "{text}");
        }
    }
}
