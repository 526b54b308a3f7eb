//! Documents of this tool, read strictly.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::bundle::BundleError;
use crate::evidence::json;
use crate::plan::{Plan, PlanFileError};
use crate::store::StoreError;

/// Reads a document of this tool: no key twice, and nothing in it that this tool would not write again.
pub(super) fn exactly<T: DeserializeOwned + Serialize>(name: &str, bytes: &[u8]) -> Result<T, String> {
    let value = json::parse_own(bytes).map_err(|error| format!("{name}: {error}"))?;
    let read = T::deserialize(&value).map_err(|error| format!("{name}: {error}"))?;
    let again = serde_json::to_value(&read).map_err(|error| format!("{name}: {error}"))?;
    match unread(&value, &again) {
        Some(place) => Err(format!(
            "{name}: {place} is unknown, or other readers interpret it differently"
        )),
        None => Ok(read),
    }
}

/// Whether a plan may be run, by the rules of the one reader of plans.
pub(super) fn as_read_from_disk(plan: &[u8]) -> Result<Result<Plan, PlanFileError>, BundleError> {
    let folder = std::env::temp_dir();
    let file = tempfile::NamedTempFile::new_in(&folder)
        .and_then(|file| std::fs::write(file.path(), plan).map(|()| file))
        .map_err(StoreError::io("write into", &folder))?;
    Ok(Plan::read(file.path()))
}

/// The first place of a document that is not in another; what only the other one has are values by default.
fn unread(value: &Value, again: &Value) -> Option<String> {
    let below = |place: String, inner: String| {
        if inner.is_empty() {
            Some(place)
        } else {
            Some(format!("{place}.{inner}"))
        }
    };
    match (value, again) {
        (Value::Object(members), Value::Object(others)) => {
            members.iter().find_map(|(name, value)| match others.get(name) {
                None => Some(name.clone()),
                Some(other) => unread(value, other).and_then(|inner| below(name.clone(), inner)),
            })
        }
        (Value::Array(items), Value::Array(others)) if items.len() == others.len() => items
            .iter()
            .zip(others)
            .enumerate()
            .find_map(|(at, (item, other))| {
                unread(item, other).and_then(|inner| below(at.to_string(), inner))
            }),
        _ => (value != again).then(String::new),
    }
}
