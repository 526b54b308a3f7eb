//! Keys that a layout has, and who of them signed.

use super::LayoutError;
use crate::evidence::key_json;
use crate::evidence::link::Link;
use crate::evidence::openpgp::in_toto::{JsonKey, JsonSignature};
use crate::evidence::public_key::PublicKey;

/// A key that may do a step.
#[derive(Debug, Clone)]
pub(super) enum StepKey {
    /// Of securesystemslib's own form.
    Plain(PublicKey),
    /// Of OpenPGP.
    OpenPgp(Box<JsonKey>),
}

/// Something that keys signed.
#[derive(Clone, Copy)]
pub(super) struct SignedBy<'a> {
    pub message: &'a [u8],
    pub plain: &'a [(String, Vec<u8>)],
    pub openpgp: &'a [JsonSignature],
}

impl<'a> SignedBy<'a> {
    pub fn of_link(link: &'a Link) -> Self {
        Self {
            message: &link.signed,
            plain: &link.signatures,
            openpgp: &link.openpgp,
        }
    }
}

impl StepKey {
    /// Takes a key out of a layout.
    pub fn from_value(keyid: &str, value: &serde_json::Value) -> Result<Self, LayoutError> {
        if JsonKey::is_one(value) {
            let key = JsonKey::from_value(keyid, value)
                .map_err(|reason| LayoutError::Form(format!("cannot use its key {keyid}: {reason}")))?;
            return Ok(Self::OpenPgp(Box::new(key)));
        }
        let key = key_json::from_value(keyid, value);
        key.map(Self::Plain)
            .map_err(|error| LayoutError::Form(crate::error::with_causes(&error)))
    }

    /// What tells it from other keys.
    fn identity(&self) -> String {
        match self {
            Self::Plain(key) => key.fingerprint().to_hex(),
            Self::OpenPgp(key) => key.fingerprint(),
        }
    }

    /// One of its subkeys alone, if it has it.
    pub fn subkey(&self, keyid: &str) -> Option<Self> {
        match self {
            Self::Plain(_) => None,
            Self::OpenPgp(key) => Some(Self::OpenPgp(Box::new(key.only(keyid)?))),
        }
    }
}

/// The positions of those of `keys` that signed, and why signatures of others of them do not count. A key that is there under
/// several names, or with several of its subkeys, is always its first position.
pub(super) fn signers(signed: SignedBy<'_>, keys: &[StepKey]) -> (Vec<usize>, Vec<String>) {
    let (mut found, mut reasons) = (Vec::new(), Vec::new());
    for key in keys {
        let made = match key {
            StepKey::Plain(key) => {
                let mut signatures = signed.plain.iter();
                signatures.any(|(_, signature)| key.verify(signed.message, signature))
            }
            StepKey::OpenPgp(key) => signed.openpgp.iter().any(|signature| {
                key.signed(signed.message, signature).unwrap_or_else(|reason| {
                    reasons.push(reason);
                    false
                })
            }),
        };
        let first = keys.iter().position(|other| other.identity() == key.identity());
        found.extend(first.filter(|_| made));
    }
    found.sort_unstable();
    found.dedup();
    reasons.sort();
    reasons.dedup();
    (found, reasons)
}
