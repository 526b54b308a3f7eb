//! An artifact, and the assessment of a piece of evidence about it.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::assess::Ignored;
use super::claim::{Claim, Question, Standing};
use super::proof::{Proof, Signature, Signer, Unproven, Verified};
use super::slsa::Provenance;
use super::statement::Statement;
use crate::artifact::Digests;

/// Something released, whose bytes are known.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// File name.
    pub name: String,
    /// Package URL, if it is known.
    pub purl: Option<String>,
    /// Digests of its bytes.
    pub digests: Digests,
    /// The file with its bytes; `None` if only the digest is known.
    pub path: Option<PathBuf>,
}

/// One piece of evidence, assessed.
#[derive(Debug, Clone, Serialize)]
pub struct Assessment {
    /// The finding.
    #[serde(flatten)]
    pub claim: Claim,
    /// The good signature that the claim rests on; none for claims without one, and for those that an ecosystem has
    /// checked on its own.
    #[serde(flatten, serialize_with = "signer_and_time")]
    pub signature: Option<Verified<Signature>>,
    /// The statement, if there is one.
    #[serde(skip)]
    pub statement: Option<Statement>,
    /// The statement read as provenance, if it is one.
    #[serde(skip)]
    pub provenance: Option<Provenance>,
    /// Type of the predicate, if there is one.
    #[serde(rename = "predicateType", skip_serializing_if = "Option::is_none")]
    pub predicate_type: Option<String>,
    /// The names that the evidence gives to files with the artifacts' digests.
    pub subjects: Vec<String>,
    /// A sentence if none of these names is the one that was asked for.
    #[serde(rename = "otherName", skip_serializing_if = "Option::is_none")]
    pub other_name: Option<String>,
    /// What else was in the same file, and was ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignored: Option<Ignored>,
    /// The file that it came from.
    pub origin: String,
}

/// The signature as the two members `signer` and `signed_at`, null if there is none.
#[allow(clippy::ref_option, reason = "serde gives the field as it is")]
fn signer_and_time<S: Serializer>(
    signature: &Option<Verified<Signature>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Members<'a> {
        signer: Option<&'a Signer>,
        signed_at: Option<Timestamp>,
    }
    let signature = signature.as_ref();
    let members = Members {
        signer: signature.map(|signature| &signature.signer),
        signed_at: signature.and_then(|signature| signature.when),
    };
    members.serialize(serializer)
}

impl Assessment {
    /// The assessment of a claim that an ecosystem has checked on its own.
    pub(super) fn of_registry(claim: Claim) -> Self {
        Self {
            claim,
            signature: None,
            statement: None,
            provenance: None,
            predicate_type: None,
            subjects: Vec::new(),
            other_name: None,
            ignored: None,
            origin: "the registry".into(),
        }
    }

    /// The assessment of a claim, by the proof of its signature.
    pub(super) fn new(question: Question, claim: String, proof: Proof) -> Self {
        let (standing, meaning, signature) = match proof {
            Ok(signature) => (Standing::Verified, signature.note.clone(), Some(signature)),
            Err(
                Unproven::UnnamedSigner { signature, note } | Unproven::NotUnderstood { signature, note },
            ) => (Standing::Unverifiable, note, Some(signature)),
            Err(unproven) => (unproven.standing(), unproven.note().to_owned(), None),
        };
        let claim = Claim {
            question,
            claim,
            by: signature.as_ref().map(|signature| signature.signer.name.clone()),
            standing,
            meaning,
            document: None,
        };
        Self {
            signature,
            origin: String::new(),
            ..Self::of_registry(claim)
        }
    }

    /// The assessment, if it was verified.
    pub fn verified(&self) -> Option<Verified<&Self>> {
        (self.claim.standing == Standing::Verified).then_some(Verified(self))
    }

    /// The signer, if the signature was verified.
    pub fn signer(&self) -> Option<&Signer> {
        self.signature.as_ref().map(|signature| &signature.signer)
    }

    /// When a log or a timestamp authority first saw the signature.
    pub fn signed_at(&self) -> Option<Timestamp> {
        self.signature.as_ref()?.when
    }
}
