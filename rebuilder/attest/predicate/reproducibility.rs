//! That builds of one source produced the same bytes whatever was varied; `docs/attestations.md` describes it.

use serde::{Deserialize, Serialize};

use super::{Builder, DigestSet};
use crate::attest::certificate::{NotTried, Survived};
use crate::attest::log::Anchor;

/// The subjects are the outputs, the same in every build.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reproducibility {
    /// Who built, and with what.
    pub builder: Builder,
    /// Package URL of the project.
    pub subject: String,
    /// Digest of its source, as the archive that each build got.
    pub source: DigestSet,
    /// Digest of the plan of the baseline.
    pub plan: DigestSet,
    /// The environment in which it was built.
    pub container: String,
    /// The sandbox.
    pub backend: String,
    /// How many builds there were.
    pub builds: usize,
    /// What was varied without any effect.
    pub survived: Vec<Survived>,
    /// What was not varied, and why.
    pub not_varied: Vec<NotTried>,
    /// Where in the signer's log the signature is.
    pub log: Anchor,
}
