//! Files with trusted Sigstore instances: one trusted root, several of them, one a line (the output of `gh attestation
//! trusted-root`), or a client's configuration with a trusted root in it (`ClientTrustConfig`).

use serde_json::Value;
use sigstore_verify::trust_root::TrustedRoot;

use super::Sigstore;
use super::instance::Instance;
use crate::evidence::json::{self, member};
use crate::evidence::public_key::TrustError;

impl Sigstore {
    /// Reads such a file; `name` is its name in errors.
    pub(super) fn from_json(name: &str, text: &str) -> Result<Self, TrustError> {
        let invalid = |reason: String| TrustError::InvalidRoot {
            name: name.to_owned(),
            reason,
        };
        let whole = match instance(text) {
            Ok(first) => {
                return Ok(Self {
                    first,
                    others: Vec::new(),
                });
            }
            Err(reason) => reason,
        };
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let (Some(first), Some(second)) = (lines.next(), lines.next()) else {
            return Err(invalid(whole));
        };
        let first = instance(first).map_err(|_| invalid(whole))?;
        let others = std::iter::once(second).chain(lines).map(instance);
        Ok(Self {
            first,
            others: others.collect::<Result<_, _>>().map_err(invalid)?,
        })
    }
}

fn instance(text: &str) -> Result<Instance, String> {
    let value = json::parse(text.as_bytes()).map_err(|error| error.to_string())?;
    let root = match member(&value, ["trustedRoot"]) {
        Value::Null => TrustedRoot::from_json(text),
        configured => TrustedRoot::from_json(&configured.to_string()),
    };
    let root = root.map_err(|error| error.to_string())?;
    // Without either, nothing could be verified, and every bundle would seem to be from another instance.
    if root.certificate_authorities.is_empty() && root.tlogs.is_empty() {
        return Err("it has no certificate authority and no transparency log".into());
    }
    Instance::of(root).map_err(|error| error.to_string())
}
