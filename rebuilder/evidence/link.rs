//! In-toto links (the format before statements), as rebuilderd's workers and daemons sign them: inputs and outputs by
//! digest.
//!
//! The signature is over the canonical form (OLPC) of the `signed` part, which a library computes.

use std::collections::BTreeMap;

use olpc_cjson::CanonicalFormatter;
use serde::{Deserialize, Serialize as _};
use serde_json::Value;

use super::json::member;
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
    /// The bytes that were signed.
    pub signed: Vec<u8>,
}

/// A document that is not a link.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("the link's {0} is missing or malformed")]
    Field(&'static str),
    #[error("its signature is OpenPGP's in in-toto's own form, which is not supported")]
    OpenPgp,
    #[error("cannot convert the link to canonical form: {0}")]
    Canonical(#[from] serde_json::Error),
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
        let mut signed = Vec::new();
        let mut canonical = serde_json::Serializer::with_formatter(&mut signed, CanonicalFormatter::new());
        value["signed"].serialize(&mut canonical)?;
        let signatures = value["signatures"]
            .as_array()
            .ok_or(LinkError::Field("signatures"))?;
        let all = signatures.len();
        let signatures: Option<Vec<_>> = signatures
            .iter()
            .filter(|signature| !is_openpgp(signature))
            .map(|signature| {
                let bytes = hex::decode(signature["sig"].as_str()?).ok()?;
                Some((signature["keyid"].as_str().unwrap_or_default().to_owned(), bytes))
            })
            .collect();
        let signatures = signatures.ok_or(LinkError::Field("signatures"))?;
        if signatures.is_empty() && all > 0 {
            return Err(LinkError::OpenPgp);
        }
        Self::of_signed(&value["signed"], signatures, signed)
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

/// Whether a signature is an OpenPGP one in in-toto's own form, over the content and `other_headers`.
pub(super) fn is_openpgp(signature: &Value) -> bool {
    signature.get("other_headers").is_some()
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
