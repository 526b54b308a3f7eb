//! Reads one self-contained JSON document, whose content must be in exactly one member.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Kind, PieceError, Unreadable, cosign};
use crate::evidence::dsse::{self, Envelope};
use crate::evidence::json::{self, member};
use crate::evidence::layout::Layout;
use crate::evidence::link::Link;
use crate::evidence::sigstore::{Unverified, exact};
use crate::evidence::statement::Statement;

/// The members that may carry a document's content; it must have exactly one of them.
const CARRIERS: [&str; 10] = [
    "_type",
    "attestation_bundles",
    "attestations",
    "base64Signature",
    "dsseEnvelope",
    "envelope",
    "messageSignature",
    "payload",
    "provenance_summary",
    "signed",
];

/// The member of an object that carries its content, if there is one.
pub(super) fn carrier(value: &Value) -> Result<Option<&'static str>, PieceError> {
    let members = value.as_object().ok_or_else(unknown)?;
    // Readers differ in how they treat other spellings, so these are refused.
    let spelt = |name: &&&str| members.keys().any(|key| json::folded(key) == json::folded(name));
    let found: Vec<&'static str> = CARRIERS.iter().filter(spelt).copied().collect();
    match found.as_slice() {
        [] => Ok(None),
        [only] if members.contains_key(*only) => Ok(Some(only)),
        [only] => Err(PieceError::Other(format!("it spells {only:?} in another way"))),
        several => Err(PieceError::Other(format!(
            "it has several members that may be its content ({}), so two readers may see different documents",
            several.join(", ")
        ))),
    }
}

pub(super) fn unknown() -> PieceError {
    PieceError::Other("its JSON is not a supported kind of evidence".into())
}

/// Refuses members that a form does not have: another reader may take them for the content.
pub(super) fn only(value: &Value, known: &[&str]) -> Result<(), PieceError> {
    let mut members = value.as_object().into_iter().flatten();
    match members.find(|(name, _)| !known.contains(&name.as_str())) {
        Some((name, _)) => Err(PieceError::Other(format!(
            "{name:?} is not one of its members ({})",
            known.join(", ")
        ))),
        None => Ok(()),
    }
}

/// One document that carries its content itself.
pub(super) fn piece(value: &Value) -> Result<Kind, PieceError> {
    let found = carrier(value)?;
    if matches!(found, Some("dsseEnvelope" | "messageSignature"))
        || value.get("verificationMaterial").is_some()
    {
        return match key_bundle(value) {
            Some(bundle) => bundle,
            None => Ok(Kind::Bundle(Box::new(Unverified::from_value(value)?))),
        };
    }
    match found {
        Some("envelope") => {
            only(value, &["version", "verification_material", "envelope"])?;
            only(&value["envelope"], &["statement", "signature"])?;
            only(
                &value["verification_material"],
                &["certificate", "transparency_entries"],
            )?;
            Ok(Kind::Bundle(Box::new(Unverified::of_pep740(&bundle_of_pep740(
                value,
            )?)?)))
        }
        Some("signed") if Link::is_one(value) => {
            only(value, &["signed", "signatures"])?;
            Ok(Kind::Link(Box::new(Link::from_value(value)?)))
        }
        Some("signed") if member(value, ["signed", "_type"]) == "layout" => {
            Ok(match Layout::from_value(value) {
                Ok(layout) => Kind::Layout(Box::new(layout)),
                Err(error) => Kind::Unreadable(Unreadable::part(
                    "an in-toto layout",
                    format!("it is a policy, not evidence, and cannot be used as one: {error}"),
                )),
            })
        }
        Some("base64Signature") => cosign::local_bundle(value),
        Some("payload") => Ok(Kind::Envelope(Envelope::from_value(value)?)),
        Some("_type") => Ok(Kind::Statement(Statement::parse(value.to_string().as_bytes())?)),
        _ => Err(unknown()),
    }
}

/// Reads a bundle (v0.3) that contains only a key's name and an envelope; `None` if it has another form.
fn key_bundle(value: &Value) -> Option<Result<Kind, PieceError>> {
    let material = value["verificationMaterial"].as_object()?;
    let none = |name: &str| {
        let list = material.get(name);
        list.is_none_or(|list| list.is_null() || list.as_array().is_some_and(Vec::is_empty))
    };
    let fits = value["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
        && member(value, ["dsseEnvelope", "signatures"])
            .as_array()
            .is_some_and(|list| list.len() == 1)
        && none("tlogEntries")
        && none("timestampVerificationData")
        && material
            .keys()
            .all(|key| ["publicKey", "tlogEntries", "timestampVerificationData"].contains(&key.as_str()));
    let hint = material.get("publicKey")?["hint"].as_str().filter(|_| fits)?;
    if let Err(error) = exact(value) {
        return Some(Err(error.into()));
    }
    let envelope = Envelope::from_value(&value["dsseEnvelope"]);
    Some(
        envelope
            .map_err(PieceError::from)
            .map(|envelope| Kind::KeyBundle {
                hint: hint.to_owned(),
                envelope,
            }),
    )
}

/// Converts PyPI's form of a bundle (PEP 740) to Sigstore's.
fn bundle_of_pep740(value: &Value) -> Result<Value, PieceError> {
    if value["version"] != 1 {
        return Err(PieceError::Other(format!(
            "version {} of PEP 740 attestations is not supported",
            value["version"]
        )));
    }
    let material = &value["verification_material"];
    let envelope = &value["envelope"];
    let statement = envelope["statement"].as_str().and_then(dsse::decode);
    let statement = statement.ok_or_else(|| PieceError::Other("its statement is not base64".into()))?;
    Ok(json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {
            "certificate": {"rawBytes": material["certificate"]},
            "tlogEntries": material["transparency_entries"],
        },
        "dsseEnvelope": {
            "payload": STANDARD.encode(statement),
            "payloadType": dsse::IN_TOTO,
            "signatures": [{"sig": envelope["signature"]}],
        }
    }))
}
