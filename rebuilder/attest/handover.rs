//! The reply to a run that was handed over to be signed: one JSON document on stdout of `rebuilder attest --json`.
//!
//! The process that rebuilds never holds the key, so it asks another process. This module reads the reply; the exit
//! code and the messages for people are ignored.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The result for a run that was handed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Handover {
    /// It was signed.
    Signed {
        /// Path of the Sigstore bundle.
        #[serde(rename = "attestation")]
        bundle: PathBuf,
        /// The statement in it.
        statement: Value,
        /// Requested forms that cannot express the result, with the reasons.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left_out: Vec<String>,
    },
    /// The signer keeps it, and waits for other workers with the same outcome.
    Waits {
        /// Workers with this outcome, this one included.
        agree: usize,
        /// How many are needed.
        needed: usize,
        /// Workers with another outcome.
        otherwise: usize,
    },
    /// Nothing was signed.
    Refused {
        /// Why, with all causes.
        reason: String,
        /// Advice on what to do about it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        help: Option<String>,
    },
}

/// Why a signer waits, in one sentence.
pub fn waiting(agree: usize, needed: usize, otherwise: usize) -> String {
    format!(
        "the signer waits for more workers: {agree} of {needed} workers reported this outcome, {otherwise} a different one"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_reply_is_read_again() {
        let signed = Handover::Signed {
            bundle: "run/attestation.sigstore.json".into(),
            statement: json!({"_type": "x"}),
            left_out: Vec::new(),
        };
        let waits = Handover::Waits {
            agree: 1,
            needed: 2,
            otherwise: 0,
        };
        let refused = Handover::Refused {
            reason: "the run changed".into(),
            help: None,
        };
        for (reply, written) in [
            (
                signed,
                json!({"status": "signed", "attestation": "run/attestation.sigstore.json", "statement": {"_type": "x"}}),
            ),
            (
                waits,
                json!({"status": "waits", "agree": 1, "needed": 2, "otherwise": 0}),
            ),
            (refused, json!({"status": "refused", "reason": "the run changed"})),
        ] {
            assert_eq!(serde_json::to_value(&reply).unwrap(), written);
            // Other programs find the error there, as in every reply of this tool.
            let mut with_error = written;
            with_error["error"] = json!({"message": "m"});
            assert_eq!(serde_json::from_value::<Handover>(with_error).unwrap(), reply);
        }
        assert!(serde_json::from_str::<Handover>(r#"{"error": {"message": "m"}}"#).is_err());
    }
}
