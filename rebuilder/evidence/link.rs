//! In-toto links (the format before statements), as rebuilderd's workers and daemons sign them: inputs and outputs by
//! digest.
//!
//! What is signed is the canonical form of the `signed` part.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::canonical_json::{CanonicalError, canonical};
use super::json::member;
use super::openpgp::in_toto::{self, JsonSignature};
use super::statement::{Descriptor, is_name};

/// Files by name, each with hexadecimal digests by algorithm.
pub type Files = BTreeMap<String, BTreeMap<String, String>>;

/// A link that was read; its signatures are not verified yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// Name of the step; rebuilderd writes `rebuild FILE`.
    pub name: String,
    /// Inputs.
    pub materials: Files,
    /// Outputs.
    pub products: Files,
    /// Signatures, each with the name of its key.
    pub signatures: Vec<(String, Vec<u8>)>,
    /// OpenPGP's signatures.
    pub openpgp: Vec<JsonSignature>,
    /// The bytes that were signed.
    pub signed: Vec<u8>,
}

/// A document that is not a link.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("the link's {0} is missing or malformed")]
    Field(&'static str),
    #[error("cannot convert the link to canonical form: {0}")]
    Canonical(#[from] CanonicalError),
}

#[derive(Deserialize)]
struct Signed {
    name: String,
    #[serde(default)]
    materials: Files,
    #[serde(default)]
    products: Files,
}

impl Link {
    /// Whether a document has the shape of a link.
    pub fn is_one(value: &Value) -> bool {
        member(value, ["signed", "_type"]) == "link"
    }

    /// Reads a link from a larger document.
    pub fn from_value(value: &Value) -> Result<Self, LinkError> {
        let signed = canonical(&value["signed"])?;
        let (signatures, openpgp) = signatures(value, &signed).ok_or(LinkError::Field("signatures"))?;
        Ok(Self {
            openpgp,
            ..Self::of_signed(&value["signed"], signatures, signed)?
        })
    }

    /// Reads the link itself, without its signatures.
    pub(super) fn of_signed(
        value: &Value,
        signatures: Vec<(String, Vec<u8>)>,
        signed: Vec<u8>,
    ) -> Result<Self, LinkError> {
        let Signed {
            name,
            materials,
            products,
        } = serde_json::from_value(value.clone()).map_err(|_| LinkError::Field("signed"))?;
        // Some steps, such as tests, have no products.
        if products.keys().any(|name| !is_name(name)) {
            return Err(LinkError::Field("products"));
        }
        Ok(Self {
            name,
            materials,
            products,
            signatures,
            openpgp: Vec::new(),
            signed,
        })
    }

    /// A sentence that describes the link of a step.
    pub fn sentence(step: &str) -> String {
        format!("an in-toto link of the step {step:?}")
    }

    /// The outputs, as an attestation would name them.
    pub fn subjects(&self) -> Vec<Descriptor> {
        descriptors(&self.products)
    }

    /// Inputs.
    pub fn inputs(&self) -> Vec<Descriptor> {
        descriptors(&self.materials)
    }
}

/// Signatures by plain keys, each with the name that it gives its key, and those of OpenPGP.
pub(super) type Signatures = (Vec<(String, Vec<u8>)>, Vec<JsonSignature>);

/// The signatures of a document in in-toto's own form, over `message`.
pub(super) fn signatures(value: &Value, message: &[u8]) -> Option<Signatures> {
    let (mut plain, mut openpgp) = (Vec::new(), Vec::new());
    for signature in member(value, ["signatures"]).as_array()? {
        if in_toto::is_one(signature) {
            openpgp.push(JsonSignature::from_value(signature, message)?);
        } else {
            let bytes = hex::decode(member(signature, ["sig"]).as_str()?).ok()?;
            let keyid = member(signature, ["keyid"]).as_str().unwrap_or_default();
            plain.push((keyid.to_owned(), bytes));
        }
    }
    Some((plain, openpgp))
}

fn descriptors(files: &Files) -> Vec<Descriptor> {
    let files = files.iter();
    files
        .map(|(name, digest)| Descriptor {
            name: Some(name.clone()),
            uri: None,
            digest: digest.clone(),
        })
        .collect()
}
