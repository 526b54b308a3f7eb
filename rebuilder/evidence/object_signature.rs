//! The result of verifying the signature on a git commit or tag.

use serde::{Deserialize, Serialize};

use super::claim::Standing;
use super::identity::Identity;

/// The result of verifying the signature on a commit or tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectSignature {
    /// Whether the signature is good.
    pub standing: Standing,
    /// The signer, or the one that the signature names.
    pub by: Option<String>,
    /// The reason, in a sentence.
    pub note: String,
    /// The signer's identity, if a certificate states it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// Whether the repository's host made it, as hosts do for commits that are made on their site.
    pub by_host: bool,
}

impl ObjectSignature {
    pub(super) fn new(standing: Standing, by: Option<String>, note: impl Into<String>) -> Self {
        Self {
            standing,
            by,
            note: note.into(),
            identity: None,
            by_host: false,
        }
    }
}
