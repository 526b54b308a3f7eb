//! A claim about an artifact: which question it answers, and how far it could be checked.

use serde::{Deserialize, Serialize};

use crate::artifact::Sha256;

/// Which of the two questions a claim answers.
///
/// This is not an expectation: a claim answers the question whether or not a policy asks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Who released these bytes?
    Signature,
    /// From which source, by which build?
    Provenance,
    /// Neither: another statement about these bytes, such as a verifier's verdict.
    Other,
}

/// The result of checking a claim, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Verified.
    Verified,
    /// Verified, but only for some of the artifacts.
    Partial,
    /// Signed, but this program cannot verify the signature, or does not understand the content.
    #[serde(rename = "unchecked")]
    Unverifiable,
    /// Made without a signature: only as trustworthy as the connection, or the registry that made it.
    Unsigned,
    /// There is no such claim.
    #[serde(rename = "absent")]
    Missing,
    /// A good signature, but on other bytes or another name.
    #[serde(rename = "elsewhere")]
    SubjectMismatch,
    /// Checked, and found to be wrong.
    #[serde(rename = "refuted")]
    Invalid,
}

impl Standing {
    /// Whether it speaks against the artifact.
    pub fn is_against(self) -> bool {
        matches!(self, Self::SubjectMismatch | Self::Invalid)
    }

    /// One word, the same as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Partial => "partial",
            Self::Unverifiable => "unchecked",
            Self::Unsigned => "unsigned",
            Self::Missing => "absent",
            Self::SubjectMismatch => "elsewhere",
            Self::Invalid => "refuted",
        }
    }
}

/// One claim about the artifact or its inputs, and the result of checking it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The question it answers.
    pub question: Question,
    /// What is claimed, in one sentence.
    pub claim: String,
    /// The claimant: a key's fingerprint, an identity or a registry, if one is known.
    pub by: Option<String>,
    /// The result of checking it.
    pub standing: Standing,
    /// What follows from it, and what does not.
    pub meaning: String,
    /// Digest of the document that carries the claim.
    pub document: Option<Sha256>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standing_has_one_word_for_people_and_for_json() {
        for standing in [
            Standing::Verified,
            Standing::Partial,
            Standing::Unverifiable,
            Standing::Unsigned,
            Standing::Missing,
            Standing::SubjectMismatch,
            Standing::Invalid,
        ] {
            assert_eq!(serde_json::to_value(standing).unwrap(), standing.word());
        }
    }
}
