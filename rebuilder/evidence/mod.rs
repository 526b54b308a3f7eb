//! Verifies what others claim about an artifact.
//!
//! Each module checks one kind of claim and states what it proves and what it does not. A finding is data for the
//! plan, the report and the attestation; the signature ("who released it") and the provenance ("where it came from")
//! are always separate findings. `document` reads a file of evidence, `assess` compares it with an artifact, and
//! `inspection` combines all assessments of one artifact.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod assess;
pub mod assessment;
pub mod blob_signature;
pub mod buildinfo;
mod canonical_json;
mod claim;
pub mod custody;
pub mod deb822;
pub mod document;
pub mod dsse;
mod ecdsa;
pub mod git_signature;
mod gitsign;
pub mod hash_list;
pub mod identity;
pub mod inspection;
pub mod json;
mod key_json;
pub mod layout;
pub mod link;
pub mod nature;
pub mod npm;
pub mod object_signature;
pub mod oci;
pub mod openpgp;
mod proof;
pub mod public_key;
mod readers;
pub mod rekor;
pub mod release;
pub mod signed_content;
pub mod sigstore;
pub mod simple_signing;
pub mod slsa;
mod slsa_v01;
mod source_track;
pub mod statement;
pub mod trigger;
pub mod trust;
pub mod trusted_publisher;
pub mod workflow;

pub use claim::{Claim, Question, Standing};
pub use proof::{Proof, Signature, Signer, Unproven, Verified};
#[doc(hidden)]
pub use readers::READERS;
