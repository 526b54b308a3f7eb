//! What is known of the signature on a git commit or tag.

use serde::{Deserialize, Serialize};

use super::claim::Standing;
use super::identity::Identity;

/// What is known of the signature on a commit or tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectSignature {
    /// Whether it holds.
    pub standing: Standing,
    /// Who signed, or who the signature says did.
    pub by: Option<String>,
    /// Why, in a sentence.
    pub note: String,
    /// Who signed, if a certificate says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// Whether it is the signature that the repository's host puts under commits made on its site.
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
