//! Reads a layout: its form, and its signatures.

use std::collections::BTreeMap;

use jiff::Timestamp;
use olpc_cjson::CanonicalFormatter;
use serde::{Deserialize, Serialize as _};
use serde_json::Value;

use super::rules::Rule;
use super::{Layout, Step};
use crate::evidence::dsse::{self, Envelope};
use crate::evidence::json::{self, JsonError, member};
use crate::evidence::key_json;
use crate::evidence::link;
use crate::evidence::public_key::PublicKey;

/// Maximum number of steps, and of keys, of one layout.
const MOST: usize = 200;

/// A file that is not a layout.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    #[error(transparent)]
    Json(#[from] JsonError),
    #[error("{0}")]
    Form(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    #[serde(rename = "_type")]
    kind: String,
    expires: Timestamp,
    #[serde(default)]
    #[allow(dead_code, reason = "it is for people")]
    readme: String,
    keys: BTreeMap<String, Value>,
    steps: Vec<SignedStep>,
    inspect: Vec<SignedInspection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedStep {
    #[serde(rename = "_type")]
    kind: String,
    name: String,
    expected_materials: Vec<Value>,
    expected_products: Vec<Value>,
    pubkeys: Vec<String>,
    #[allow(dead_code, reason = "a deviation is no failure, by the specification")]
    #[serde(default)]
    expected_command: Vec<String>,
    threshold: usize,
}

#[derive(Deserialize)]
struct SignedInspection {
    name: String,
}

impl Layout {
    /// Reads a layout in either of in-toto's signed forms.
    pub fn parse(bytes: &[u8]) -> Result<Self, LayoutError> {
        let value = json::parse_evidence(bytes)?;
        if value.get("payload").is_some() {
            let envelope = Envelope::from_value(&value);
            return Self::of_envelope(&envelope.map_err(|error| LayoutError::Form(error.to_string()))?);
        }
        Self::from_value(&value)
    }

    /// Reads the layout in an envelope.
    pub(super) fn of_envelope(envelope: &Envelope) -> Result<Self, LayoutError> {
        if envelope.payload_type != dsse::IN_TOTO {
            return Err(LayoutError::Form("its payload is not in-toto's".into()));
        }
        let message = envelope.pre_authentication();
        let value = json::parse_evidence(&envelope.payload)?;
        Self::of(&value, message, envelope.signatures.clone())
    }

    /// Reads a layout in the old form from a larger document.
    pub(in crate::evidence) fn from_value(value: &Value) -> Result<Self, LayoutError> {
        let form = |reason: &str| LayoutError::Form(reason.to_owned());
        let members = value.as_object().ok_or_else(|| form("it is not a layout"))?;
        if members
            .keys()
            .any(|name| !["signed", "signatures"].contains(&name.as_str()))
        {
            return Err(form("it has members that a layout does not have"));
        }
        let mut message = Vec::new();
        let mut canonical = serde_json::Serializer::with_formatter(&mut message, CanonicalFormatter::new());
        let signed = member(value, ["signed"]);
        signed
            .serialize(&mut canonical)
            .map_err(|error| LayoutError::Form(error.to_string()))?;
        let signatures = member(value, ["signatures"])
            .as_array()
            .ok_or_else(|| form("it has no signatures"))?;
        let signatures: Option<Vec<_>> = signatures
            .iter()
            .filter(|it| !link::is_openpgp(it))
            .map(|it| {
                let bytes = hex::decode(member(it, ["sig"]).as_str()?).ok()?;
                Some((member(it, ["keyid"]).as_str()?.to_owned(), bytes))
            })
            .collect();
        Self::of(
            signed,
            message,
            signatures.ok_or_else(|| form("its signatures have a form that is not supported"))?,
        )
    }

    fn of(value: &Value, message: Vec<u8>, signatures: Vec<(String, Vec<u8>)>) -> Result<Self, LayoutError> {
        let form = LayoutError::Form;
        let signed: Signed =
            serde_json::from_value(value.clone()).map_err(|error| form(error.to_string()))?;
        if signed.kind != "layout" || signed.steps.iter().any(|step| step.kind != "step") {
            return Err(form("it is not a layout".into()));
        }
        if signed.steps.is_empty() || signed.steps.len() > MOST || signed.keys.len() > MOST {
            return Err(form(format!("it has no step, or more than {MOST} steps or keys")));
        }
        let mut keys = BTreeMap::new();
        for (keyid, key) in &signed.keys {
            let key =
                key_json::from_value(keyid, key).map_err(|error| form(crate::error::with_causes(&error)))?;
            keys.insert(keyid.clone(), key);
        }
        let mut steps: Vec<Step> = Vec::new();
        for step in signed.steps {
            let step = step_of(step, &keys)?;
            if steps.iter().any(|other| other.name == step.name) {
                return Err(form(format!("it has two steps that are called {:?}", step.name)));
            }
            steps.push(step);
        }
        Ok(Self {
            expires: signed.expires,
            steps,
            inspections: signed
                .inspect
                .into_iter()
                .map(|inspection| inspection.name)
                .collect(),
            keys,
            message,
            signatures,
        })
    }
}

/// Reads a step; its rules must be valid, and its keys must be known and enough for its threshold.
fn step_of(step: SignedStep, keys: &BTreeMap<String, PublicKey>) -> Result<Step, LayoutError> {
    let wrong = |reason: String| LayoutError::Form(format!("the step {:?}{reason}", step.name));
    let rules = |list: &[Value]| -> Result<Vec<Rule>, LayoutError> {
        let read = list.iter().map(Rule::parse).collect::<Result<_, _>>();
        read.map_err(|reason| wrong(format!(": {reason}")))
    };
    let (materials, products) = (rules(&step.expected_materials)?, rules(&step.expected_products)?);
    if let Some(unknown) = step.pubkeys.iter().find(|name| !keys.contains_key(*name)) {
        return Err(wrong(format!(" names the key {unknown}, which it does not have")));
    }
    if step.threshold == 0 || step.threshold > step.pubkeys.len() {
        return Err(wrong(" has a threshold that its keys cannot meet".into()));
    }
    Ok(Step {
        name: step.name,
        keys: step.pubkeys,
        threshold: step.threshold,
        materials,
        products,
    })
}
