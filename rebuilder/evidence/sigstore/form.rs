//! The exact form of a bundle: a member that one reader overlooks, another may take for the content.

use Shape::{List, Message, Plain};
use serde_json::Value;

use super::SigstoreError;
use crate::evidence::dsse;

/// The form of a part of a bundle, according to its protocol buffers.
enum Shape {
    /// A number, a text or a boolean.
    Plain,
    /// A message with these members.
    Message(&'static [(&'static str, Shape)]),
    /// Any number of values of this form.
    List(&'static Shape),
}

const CERTIFICATE: Shape = Message(&[("rawBytes", Plain)]);
const MESSAGE: &Shape = &Message(&[
    (
        "messageDigest",
        Message(&[("algorithm", Plain), ("digest", Plain)]),
    ),
    ("signature", Plain),
]);
const ENTRY: Shape = Message(&[
    ("logIndex", Plain),
    ("logId", Message(&[("keyId", Plain)])),
    ("kindVersion", Message(&[("kind", Plain), ("version", Plain)])),
    ("integratedTime", Plain),
    ("inclusionPromise", Message(&[("signedEntryTimestamp", Plain)])),
    (
        "inclusionProof",
        Message(&[
            ("logIndex", Plain),
            ("rootHash", Plain),
            ("treeSize", Plain),
            ("hashes", List(&Plain)),
            ("checkpoint", Message(&[("envelope", Plain)])),
        ]),
    ),
    ("canonicalizedBody", Plain),
]);
const MATERIAL: &Shape = &Message(&[
    ("certificate", CERTIFICATE),
    ("publicKey", Message(&[("hint", Plain)])),
    (
        "x509CertificateChain",
        Message(&[("certificates", List(&CERTIFICATE))]),
    ),
    ("tlogEntries", List(&ENTRY)),
    (
        "timestampVerificationData",
        Message(&[("rfc3161Timestamps", List(&Message(&[("signedTimestamp", Plain)])))]),
    ),
]);

/// Refuses a part of a bundle with members that its form does not have, as another reader may know them. Members that
/// are not set may be null.
fn shaped(value: &Value, shape: &Shape) -> Result<(), SigstoreError> {
    let malformed = |what: String| Err(SigstoreError::Malformed(what));
    match (shape, value) {
        (_, Value::Null) | (Plain, Value::Bool(_) | Value::Number(_) | Value::String(_)) => Ok(()),
        (List(shape), Value::Array(items)) => items.iter().try_for_each(|item| shaped(item, shape)),
        (Message(known), Value::Object(members)) => members.iter().try_for_each(|(name, value)| match known
            .iter()
            .find(|(known, _)| known == name)
        {
            Some((_, shape)) => shaped(value, shape),
            None => malformed(format!("{name:?} is not one of its members")),
        }),
        _ => malformed("a member has another type than the specification gives it".into()),
    }
}

/// Refuses a bundle with more than one candidate for the signed content or the signer.
///
/// The Sigstore crates take the first one that they find; other readers take another one.
pub(in crate::evidence) fn exact(bundle: &Value) -> Result<(), SigstoreError> {
    let members = |value: &Value, known: &[&str], one_of: &[&str]| {
        let members = value
            .as_object()
            .ok_or_else(|| SigstoreError::Malformed("a member is not an object".into()))?;
        if let Some(name) = members.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(SigstoreError::Malformed(format!(
                "{name:?} is not one of its members"
            )));
        }
        let found: Vec<_> = one_of
            .iter()
            .filter(|name| members.contains_key(**name))
            .collect();
        match found.as_slice() {
            [_] => Ok(()),
            [] => Err(SigstoreError::Malformed(format!(
                "it has no {}",
                one_of.join(" or ")
            ))),
            several => Err(SigstoreError::Malformed(format!(
                "it has {several:?}, of which readers take one or the other"
            ))),
        }
    };
    let content = ["dsseEnvelope", "messageSignature"];
    let signer = ["certificate", "publicKey", "x509CertificateChain"];
    members(
        bundle,
        &["mediaType", "verificationMaterial", content[0], content[1]],
        &content,
    )?;
    let material = [&signer[..], &["tlogEntries", "timestampVerificationData"]].concat();
    members(&bundle["verificationMaterial"], &material, &signer)?;
    shaped(&bundle["verificationMaterial"], MATERIAL)?;
    if bundle.get("messageSignature").is_some() {
        shaped(&bundle["messageSignature"], MESSAGE)?;
        members(
            &bundle["messageSignature"],
            &["messageDigest", "signature"],
            &["signature"],
        )?;
    }
    if bundle.get("dsseEnvelope").is_some() {
        dsse::Envelope::from_value(&bundle["dsseEnvelope"])
            .map_err(|error| SigstoreError::Malformed(error.to_string()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_members_that_a_bundle_does_not_have() {
        let bundle = r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"k"},"tlogEntries":[{"logIndex":"1","logId":{"keyId":"a"},"kindVersion":{"kind":"dsse","version":"0.0.1"},"integratedTime":"1","inclusionPromise":{"signedEntryTimestamp":"a"},"inclusionProof":{"logIndex":"1","rootHash":"a","treeSize":"1","hashes":["a"],"checkpoint":{"envelope":"a"}},"canonicalizedBody":"a"}],"timestampVerificationData":{"rfc3161Timestamps":[{"signedTimestamp":"a"}]}},"dsseEnvelope":{"payloadType":"x","payload":"","signatures":[{"sig":""}]}}"#;
        let check = |text: &str| exact(&serde_json::from_str(text).unwrap());
        check(bundle).unwrap();
        // In each object, whatever it is, one more member is too many.
        for (at, _) in bundle.match_indices('{') {
            let (before, after) = bundle.split_at(at + 1);
            for name in ["rawBytes2", "raw_bytes", "payload2", "x"] {
                let text = format!("{before}\"{name}\":\"a\",{after}");
                assert!(check(&text).is_err(), "{text}");
            }
        }
        for (from, to) in [
            (r#"{"hint":"k"}"#, r#"[{"hint":"k"}]"#),
            (r#"["a"]"#, r#"[{"payload":"a"}]"#),
            (
                r#""dsseEnvelope":{"#,
                r#""messageSignature":{"signature":"a","message":"b"},"x":{"#,
            ),
            (
                r#"{"payloadType":"x","payload":"","signatures":[{"sig":""}]}"#,
                "[]",
            ),
        ] {
            assert!(bundle.contains(from), "{from}");
            assert!(check(&bundle.replacen(from, to, 1)).is_err(), "{to}");
        }
    }
}
