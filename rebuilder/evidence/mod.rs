//! Verification of what others claim about an artifact.
//!
//! Each module checks one kind of claim and says what it proves and what it does not. A finding is data for
//! the plan, the report and the attestation; the signature ("who released it") and the provenance ("where it
//! came from") are always two findings.

pub mod apt;
pub mod archive;
pub mod openpgp;
pub mod pypi;

use serde::{Deserialize, Serialize};

use crate::artifact::Sha256;

/// Which of the two questions a claim answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Who released these bytes?
    Signature,
    /// From which source, by which build?
    Provenance,
}

/// How far a claim could be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Checked and found to hold.
    Verified,
    /// Made, but only as trustworthy as the connection or the registry that said so.
    Unsigned,
    /// Made and signed, but nothing here can check the signature.
    Unchecked,
    /// Nobody claims anything.
    Absent,
}

/// One claim about the artifact or its inputs, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The question it answers.
    pub question: Question,
    /// What is claimed, in one sentence.
    pub claim: String,
    /// Who claims it: key fingerprint, registry, or nobody.
    pub by: Option<String>,
    /// Whether it holds.
    pub standing: Standing,
    /// What follows from it, and what does not.
    pub meaning: String,
    /// Digest of the document that carries the claim.
    pub document: Option<Sha256>,
}

/// A value that has passed verification; only the verifying modules can make one.
#[derive(Debug, Clone)]
pub struct Verified<T>(T);

impl<T> std::ops::Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
