//! Reads a layout: its form, and its signatures.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::keys::StepKey;
use super::rules::Rule;
use super::{Layout, Step};
use crate::evidence::canonical_json::canonical;
use crate::evidence::dsse::{self, Envelope};
use crate::evidence::json::{self, JsonError, member};
use crate::evidence::link::{self, Signatures};

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
        Self::of(
            &value,
            message,
            (envelope.signatures.clone(), envelope.openpgp.clone()),
        )
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
        let signed = member(value, ["signed"]);
        let message = canonical(signed).map_err(|error| LayoutError::Form(error.to_string()))?;
        let signatures = link::signatures(value, &message)
            .ok_or_else(|| form("it has no signatures, or some of a form that is not supported"))?;
        Self::of(signed, message, signatures)
    }

    fn of(value: &Value, message: Vec<u8>, (signatures, openpgp): Signatures) -> Result<Self, LayoutError> {
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
            keys.insert(keyid.clone(), StepKey::from_value(keyid, key)?);
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
            message,
            signatures,
            openpgp,
        })
    }
}

/// A step whose rules can be read, and whose keys are there and can meet its threshold. A subkey may be named alone.
fn step_of(step: SignedStep, keys: &BTreeMap<String, StepKey>) -> Result<Step, LayoutError> {
    let wrong = |reason: String| LayoutError::Form(format!("the step {:?}{reason}", step.name));
    let rules = |list: &[Value]| -> Result<Vec<Rule>, LayoutError> {
        let read = list.iter().map(Rule::parse).collect::<Result<_, _>>();
        read.map_err(|reason| wrong(format!(": {reason}")))
    };
    let (materials, products) = (rules(&step.expected_materials)?, rules(&step.expected_products)?);
    let own = step.pubkeys.iter().map(|name| {
        let own = keys.get(name).cloned();
        own.or_else(|| keys.values().find_map(|key| key.subkey(name)))
            .ok_or_else(|| wrong(format!(" names the key {name}, which it does not have")))
    });
    let own = own.collect::<Result<Vec<_>, _>>()?;
    if step.threshold == 0 || step.threshold > step.pubkeys.len() {
        return Err(wrong(" has a threshold that its keys cannot meet".into()));
    }
    Ok(Step {
        name: step.name,
        keys: own,
        threshold: step.threshold,
        materials,
        products,
    })
}
