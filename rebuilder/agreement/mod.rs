//! Whether independent parties agree about an artifact, and whether they are independent.
//!
//! ```text
//!  files, folders ──▶ gather ──▶ Testimony ──▶ Tally ──▶ conclude ──▶ Agreement ──▶ summary (VSA)
//!                     verified   claim         bounded   policy's quorum
//! ```
//!
//! [`gather`] reads attestations of every known kind and verifies them; each about the artifact becomes a [`Testimony`]:
//! who signed it, what was rebuilt, from what. [`Tally`] keeps what differs and counts what repeats, so that memory does
//! not grow with their number. [`conclude`] checks the testimonies against the policy's quorum. Nothing here builds or
//! fetches, and what cannot be verified never counts for the artifact.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod conclude;
mod declared;
mod dependencies;
mod divergence;
mod gather;
mod independence;
mod inputs;
mod judge;
mod reading;
mod rebuild;
mod stance;
mod subject;
mod summarised;
mod summary;
mod tally;
mod testimony;
mod weight;

use serde::Serialize;

pub use conclude::conclude;
pub use dependencies::{DependencyLevels, dependency_levels};
pub use gather::{Cost, GatherError, LOG_PROOF, gather};
pub use inputs::Inputs;
pub use summary::{SlsaVersion, summary};
pub use tally::Tally;
pub use testimony::{Kind, RebuildClaim, Testimony};

use crate::artifact::Sha256;

/// The conclusion about one artifact.
#[derive(Debug, Clone, Serialize)]
pub struct Agreement {
    /// Form of this document; 2. In form 1, `set_aside` was called `setAside`.
    pub version: u32,
    /// What it is about.
    pub artifact: About,
    /// Names of these bytes in attestations that differ from the name that was asked for.
    pub names: Vec<String>,
    /// The time of the conclusion, by which ages and keys are judged.
    pub time: jiff::Timestamp,
    /// The conclusion.
    pub verdict: Conclusion,
    /// Why, in one sentence.
    pub reason: String,
    /// The required quorum.
    pub quorum: Asked,
    /// Weight of the independent parties that reproduced these bytes.
    pub weight: u32,
    /// Each party that said something.
    pub parties: Vec<PartyReport>,
    /// The differences between their statements, about inputs and outputs.
    pub divergences: Vec<Divergence>,
    /// Attestations that do not count, by reason.
    pub set_aside: Vec<SetAside>,
    /// What verifying cost.
    pub cost: Cost,
}

/// An artifact, by name and digest.
#[derive(Debug, Clone, Serialize)]
pub struct About {
    /// File name.
    pub name: String,
    /// Package URL, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
    /// SHA-256.
    pub sha256: Sha256,
}

/// Whether the parties agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conclusion {
    /// Enough independent parties reproduced these bytes, and nothing in the policy speaks against it.
    Agreed,
    /// Enough did, if parties count that reproduced them except for named normalisations.
    Equivalent,
    /// A trusted party says otherwise.
    Disagreed,
    /// No trusted party says otherwise, but too few say so.
    NotEnough,
}

impl Conclusion {
    /// One word for people, as in the JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Agreed => "agreed",
            Self::Equivalent => "equivalent",
            Self::Disagreed => "disagreed",
            Self::NotEnough => "not-enough",
        }
    }
}

/// The quorum that the policy asks for.
#[derive(Debug, Clone, Serialize)]
pub struct Asked {
    /// The policy: its file, or `built-in`.
    pub policy: String,
    /// Digest of the policy file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Sha256>,
    /// The weight that is needed.
    pub threshold: u32,
    /// How many of each role are needed.
    pub roles: Vec<(String, u32)>,
    /// The properties in which the parties must differ.
    pub independent: Vec<&'static str>,
}

/// One party, and what it states.
#[derive(Debug, Clone, Serialize)]
pub struct PartyReport {
    /// The party, as the policy calls it; without a policy, its key or identity.
    pub party: String,
    /// The role that the policy gives it; without a policy, the one that its statements can fill.
    pub role: String,
    /// Organisation, where the policy names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organisation: Option<String>,
    /// What it says about these bytes.
    pub says: RebuildClaim,
    /// Its weight; of a summary at most that of the attestations at hand that it was made from.
    pub weight: u32,
    /// Whether it counts for the artifact.
    pub counted: bool,
    /// Why it does not, or what it adds.
    pub why: String,
    /// Key or identity that signed.
    pub signer: String,
    /// `builder.id` that the attestation names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub builder: Option<String>,
    /// Kind of attestation.
    pub kind: Kind,
    /// The time: that of a log, or else the author's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<jiff::Timestamp>,
    /// The name that it gives to these bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Whether that is another name than the one that was asked for.
    #[serde(skip)]
    pub renamed: bool,
    /// Digest of the attestation, and where it came from.
    pub attestation: Sha256,
    /// File.
    pub origin: String,
    /// How often the same statement was made.
    pub times: u64,
    /// Levels that it verified, if it is a verifier's summary.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<String>,
    /// The inputs that it names.
    pub inputs: Inputs,
}

/// Something in which the parties' statements differ.
#[derive(Debug, Clone, Serialize)]
pub struct Divergence {
    /// `bytes`, `source`, `dependencies`, `container`, `toolchain` or `parameters`.
    pub aspect: &'static str,
    /// Who says what.
    pub groups: Vec<Group>,
    /// A few of the single values that differ, if these are lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
}

/// Parties that say the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// What.
    pub value: String,
    /// Who.
    pub parties: Vec<String>,
}

/// One value that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Name of the dependency or parameter.
    pub name: String,
    /// Its value for each group, in their order; none where it has none.
    pub values: Vec<Option<String>>,
}

/// Attestations that do not count, for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetAside {
    /// A word for programs.
    pub reason: Reason,
    /// The same for people.
    pub meaning: &'static str,
    /// How many.
    pub count: u64,
    /// A few of them, with the exact problem.
    pub examples: Vec<String>,
}

/// Why an attestation does not count for or against an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It cannot be read.
    Unreadable,
    /// Its signature is not valid.
    BadSignature,
    /// It has no signature.
    Unsigned,
    /// The policy does not trust this signer.
    UnknownSigner,
    /// It is about other bytes under another name.
    WrongSubject,
    /// It is a verifier's summary of another resource.
    WrongResource,
    /// It is not about a build or a rebuild.
    NoBuild,
    /// It says that no build was found that produces these bytes.
    NoBuildFound,
    /// Its predicate type is not supported.
    UnknownPredicate,
    /// The policy withdrew it, its key or its signer.
    Revoked,
    /// Its key was not valid at that time.
    OutOfTime,
    /// It is older than the policy accepts.
    Stale,
    /// It is dated in the future.
    Future,
    /// It names a builder that is not its signer's.
    WrongBuilder,
    /// Superseded by a newer attestation of the same party about other inputs.
    Superseded,
    /// The quorum does not ask this party.
    NotAsked,
    /// It is not of the kind that the party's role requires.
    OtherRole,
}

impl Reason {
    /// In a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Unreadable => "cannot be read",
            Self::BadSignature => "the signature is not valid",
            Self::Unsigned => "it is not signed",
            Self::UnknownSigner => "the policy does not trust this signer",
            Self::WrongSubject => "about another artifact",
            Self::WrongResource => "a verifier's summary of another resource",
            Self::NoBuild => "not about a build",
            Self::NoBuildFound => "no build was found, which speaks neither for nor against",
            Self::UnknownPredicate => "unsupported predicate type",
            Self::Revoked => "revoked",
            Self::OutOfTime => "the key was not valid at that time",
            Self::Stale => "too old for the policy",
            Self::Future => "dated in the future",
            Self::WrongBuilder => "names a builder that is not its signer's",
            Self::Superseded => "superseded by a newer attestation of the same party",
            Self::NotAsked => "the policy does not ask this party",
            Self::OtherRole => "not a statement of the kind that the party's role requires",
        }
    }
}
