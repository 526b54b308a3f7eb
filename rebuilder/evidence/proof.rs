//! Proof in types: a function that needs verified evidence takes one of these types, and cannot be called without it.

use jiff::Timestamp;
use serde::Serialize;

use super::claim::Standing;
use super::identity::Identity;

/// A value that has passed verification; only the modules of `evidence` that verify can create one.
///
/// The value can be read and copied, but not moved out, so the proof stays with the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified<T>(pub(super) T);

impl<T> std::ops::Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// The signer of a piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signer {
    /// A readable name: an identity, or the name of a key.
    pub name: String,
    /// The certificate's identity, for keyless signatures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// Fingerprints of the keys, for other signatures.
    pub fingerprints: Vec<String>,
    /// The names that the user or the policy gave these keys; never taken from the evidence.
    #[serde(skip)]
    pub keys: Vec<String>,
    /// Whether the user or the policy named this key or identity beforehand. The signature of any other signer shows
    /// who signed, but not that this is the right signer.
    #[serde(skip)]
    pub named: bool,
}

/// A good signature. What it is over is verified separately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The signer.
    pub signer: Signer,
    /// When a transparency log or a timestamp authority first saw it.
    pub when: Option<Timestamp>,
    /// What was verified, in one sentence.
    pub note: String,
}

/// Why nothing proves that a known signer made a statement, with the reason in one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unproven {
    /// There is no signature.
    Unsigned(String),
    /// There is one, but this program cannot verify it.
    Unverifiable(String),
    /// It is good, but its signer was not named beforehand.
    UnnamedSigner {
        /// The signature.
        signature: Verified<Signature>,
        /// The reason.
        note: String,
    },
    /// It is good, but its content is not understood, so nothing may rely on it.
    NotUnderstood {
        /// The signature.
        signature: Verified<Signature>,
        /// The reason.
        note: String,
    },
    /// It is good, but it is for another file.
    SubjectMismatch(String),
    /// It is bad.
    Invalid(String),
}

/// The result of verifying a signature.
pub type Proof = Result<Verified<Signature>, Unproven>;

impl Unproven {
    /// The standing of a claim that has no better signature; never `Verified`.
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

    /// The signer, if that much was verified.
    pub fn signer(&self) -> Option<&Signer> {
        match self {
            Self::UnnamedSigner { signature, .. } | Self::NotUnderstood { signature, .. } => {
                Some(&signature.signer)
            }
            _ => None,
        }
    }
}
