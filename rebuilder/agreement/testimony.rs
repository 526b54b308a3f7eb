//! What one attestation of any format states about an artifact: whether its author reproduced these bytes.

use jiff::Timestamp;
use serde::Serialize;

use super::Inputs;
use crate::artifact::Sha256;
use crate::evidence::assess::Signer;
use crate::evidence::nature::Nature;

/// Kinds of attestations that say something of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A builder's provenance.
    Provenance,
    /// A rebuild by this tool.
    Rebuild,
    /// A rebuild by OSS Rebuild.
    OssRebuild,
    /// A statement of equivalence, ours or OSS Rebuild's.
    Equivalence,
    /// A negative result of a rebuild.
    FailedRebuild,
    /// rebuilderd's in-toto link.
    Link,
    /// The in-toto link of another step.
    Step,
    /// A third party's declaration in CycloneDX (CDXA).
    Declaration,
    /// A list of digests.
    HashList,
    /// A verifier's summary.
    Summary,
}

impl Kind {
    /// What a statement of this kind is.
    pub fn nature(self) -> Nature {
        match self {
            Self::Provenance | Self::Step => Nature::Provenance,
            Self::Rebuild
            | Self::OssRebuild
            | Self::Equivalence
            | Self::FailedRebuild
            | Self::Link
            | Self::Declaration => Nature::Rebuild,
            Self::HashList => Nature::HashList,
            Self::Summary => Nature::Summary,
        }
    }
}

/// What is said about the bytes at hand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum RebuildClaim {
    /// Reproduced bit for bit.
    Same,
    /// Reproduced except for what these normalisations set aside.
    Equivalent {
        /// Digest of the rebuilt file, if it is stated.
        rebuilt: Option<String>,
        /// What was set aside.
        normalisations: Vec<String>,
    },
    /// Not reproduced.
    Differs {
        /// Digest of the rebuilt file, if it is stated.
        rebuilt: Option<String>,
    },
}

impl RebuildClaim {
    /// For people.
    pub fn sentence(&self) -> String {
        match self {
            Self::Same => "reproduced bit for bit".into(),
            Self::Equivalent { normalisations, .. } => {
                format!("reproduced except for {}", normalisations.join(", "))
            }
            Self::Differs {
                rebuilt: Some(digest),
            } => format!("different bytes were produced ({digest})"),
            Self::Differs { rebuilt: None } => "not reproduced".into(),
        }
    }
}

/// One attestation's claim, verified.
#[derive(Debug, Clone)]
pub struct Testimony {
    /// What it says.
    pub reading: Reading,
    /// Who signed it.
    pub signer: Signer,
    /// When a log or timestamp authority saw it.
    pub seen: Option<Timestamp>,
    /// Digest of the file.
    pub document: Sha256,
    /// File.
    pub origin: String,
    /// How often the same was said.
    pub times: u64,
}

impl Testimony {
    /// When it was made, as well as that is known.
    pub fn time(&self) -> Option<Timestamp> {
        self.seen.or(self.reading.stated)
    }
}

/// What an attestation says about an artifact, before its signature is verified.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Kind of attestation.
    pub kind: Kind,
    /// What it says.
    pub says: RebuildClaim,
    /// What it says went in.
    pub inputs: Inputs,
    /// `builder.id`, or a verifier's.
    pub builder: Option<String>,
    /// Run of the builder, which ties statements of one run together.
    pub invocation: Option<String>,
    /// When, as its author says.
    pub stated: Option<Timestamp>,
    /// Digest of the statement, where it is one.
    pub statement: Option<Sha256>,
    /// SHA-256 of the attestations that a summary was made from.
    pub made_from: Vec<String>,
    /// Levels that a summary says were verified.
    pub levels: Vec<String>,
    /// What it calls these bytes.
    pub subject: Option<String>,
    /// In one sentence, if that is not the name that was asked for.
    pub other_name: Option<String>,
    /// In one sentence, what could not be compared with what was asked for.
    pub note: Option<String>,
}

impl Reading {
    pub(super) fn new(kind: Kind, says: RebuildClaim, inputs: Inputs) -> Self {
        Self {
            kind,
            says,
            inputs,
            builder: None,
            invocation: None,
            stated: None,
            statement: None,
            made_from: Vec::new(),
            levels: Vec::new(),
            subject: None,
            other_name: None,
            note: None,
        }
    }
}
