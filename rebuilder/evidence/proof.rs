//! Proof in types: a function that needs verified evidence asks for one of these, and cannot be called without it.

use jiff::Timestamp;
use serde::Serialize;

use super::claim::Standing;
use super::identity::Identity;

/// A value that has passed verification; only the modules of `evidence` that verify can make one.
///
/// The value can be looked at and copied, but not moved out, so the proof stays with the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified<T>(pub(super) T);

impl<T> std::ops::Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Who signed a piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signer {
    /// What people call it: an identity, or the name of a key.
    pub name: String,
    /// The certificate's claims, for keyless signatures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// The keys, for the others.
    pub fingerprints: Vec<String>,
    /// What the user or the policy calls these keys; never taken from the evidence.
    #[serde(skip)]
    pub keys: Vec<String>,
    /// Whether the user or the policy named that key or identity beforehand. The signature of any other signer shows who
    /// signed, and not that this is the right signer.
    #[serde(skip)]
    pub named: bool,
}

/// A good signature. Its subject is not part of it: what it is over is verified separately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Who made it.
    pub signer: Signer,
    /// When a transparency log or a timestamp authority first saw it.
    pub when: Option<Timestamp>,
    /// What was verified, in one sentence.
    pub note: String,
}

/// Why no signature proves that a known signer says something; each with the reason in one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unproven {
    /// There is no signature.
    Unsigned(String),
    /// There is one, and nothing here can verify it.
    Unverifiable(String),
    /// It is good, but its signer was not named beforehand.
    UnnamedSigner {
        /// The signature.
        signature: Verified<Signature>,
        /// The reason.
        note: String,
    },
    /// It is good, but what is signed cannot be understood here, so that nothing may rely on it.
    NotUnderstood {
        /// The signature.
        signature: Verified<Signature>,
        /// The reason.
        note: String,
    },
    /// It is good, but it is for another file.
    SubjectMismatch(String),
    /// It is not good.
    Invalid(String),
}

/// What the verification of a signature comes to.
pub type Proof = Result<Verified<Signature>, Unproven>;

impl Unproven {
    /// What a claim with no better signature is worth; never `Verified`.
    pub fn standing(&self) -> Standing {
        match self {
            Self::Unsigned(_) => Standing::Unsigned,
            Self::Unverifiable(_) | Self::UnnamedSigner { .. } | Self::NotUnderstood { .. } => {
                Standing::Unverifiable
            }
            Self::SubjectMismatch(_) => Standing::SubjectMismatch,
            Self::Invalid(_) => Standing::Invalid,
        }
    }

    /// The reason in one sentence.
    pub fn note(&self) -> &str {
        match self {
            Self::Unsigned(note)
            | Self::Unverifiable(note)
            | Self::UnnamedSigner { note, .. }
            | Self::NotUnderstood { note, .. }
            | Self::SubjectMismatch(note)
            | Self::Invalid(note) => note,
        }
    }

    /// Who signed, if that much was verified.
    pub fn signer(&self) -> Option<&Signer> {
        match self {
            Self::UnnamedSigner { signature, .. } | Self::NotUnderstood { signature, .. } => {
                Some(&signature.signer)
            }
            _ => None,
        }
    }
}
