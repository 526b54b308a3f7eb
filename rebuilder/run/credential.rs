//! A credential that a run came across.

use serde::{Deserialize, Serialize};

/// A credential that was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Credential {
    /// Where: `source`, `output`, `log` or `recipe`, and the path there.
    pub place: String,
    /// Line, from 1; `None` in binary files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Rule that found it.
    pub rule: String,
    /// What the rule looks for.
    pub meaning: String,
    /// Length of the secret in bytes.
    pub length: usize,
    /// How many more the rule found in the same place.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
