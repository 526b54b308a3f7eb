//! The content that a bundle is signed over, and the check that its signature is by its certificate's key, before the
//! log and the certificate are checked.

use sigstore_verify::types::{ArtifactDigest, DigestBytes, HashAlgorithm};

use super::instance;
use super::{Content, SigstoreError, Unverified};
use crate::evidence::dsse::Envelope;
use crate::evidence::json::{self, member};
use crate::evidence::public_key::PublicKey;

/// Refuses a bundle whose signature was not made by its certificate's key, before anything else is found to be
/// uncheckable.
pub(super) fn own_signature(unverified: &Unverified, content: &Content) -> Result<(), SigstoreError> {
    let Some(leaf) = unverified.bundle.signing_certificate() else {
        return Ok(());
    };
    let key = instance::key_of(leaf)
        .ok_or_else(|| SigstoreError::Malformed("its certificate cannot be read".into()))?;
    // An unknown kind of key is not a fault of the certificate.
    let key = PublicKey::from_spki("the key in its certificate", &key)
        .map_err(|error| SigstoreError::Unchecked(error.to_string()))?;
    match content {
        Content::Envelope(envelope) if !signed(&key, envelope) => Err(SigstoreError::BadSignature),
        // A signature over a file is verified after the log, with the digest.
        _ => Ok(()),
    }
}

/// Whether the key signed an envelope.
pub(super) fn signed(key: &PublicKey, envelope: &Envelope) -> bool {
    let message = envelope.pre_authentication();
    let mut signatures = envelope.signatures.iter();
    signatures.any(|(_, signature)| key.verify(&message, signature))
}

/// A digest that the bundle itself names, so that its signature can be verified before its subject.
pub(super) fn own_digest(content: &Content) -> Result<ArtifactDigest, SigstoreError> {
    let (algorithm, digits) = match content {
        Content::Message(algorithm, digits) => (*algorithm, digits.clone()),
        Content::Envelope(envelope) => {
            let statement = json::parse_evidence(&envelope.payload)?;
            let known = ["sha256", "sha512"];
            let digests = member(&statement, ["subject"]).as_array().into_iter().flatten();
            let found = digests
                .flat_map(|subject| known.map(|name| (name, member(subject, ["digest", name]).as_str())))
                .find_map(|(name, digits)| Some((name, digits?.to_owned())));
            found
                .ok_or_else(|| SigstoreError::Content("no subject has a SHA-256 or SHA-512 digest".into()))?
        }
    };
    let algorithm = self::algorithm(algorithm);
    let bytes = hex::decode(&digits).map_err(|error| SigstoreError::Content(error.to_string()))?;
    ArtifactDigest::new(algorithm, DigestBytes::new(bytes))
        .map_err(|error| SigstoreError::Content(error.to_string()))
}

/// The crates' name for a digest algorithm.
pub(super) fn algorithm(name: &str) -> HashAlgorithm {
    match name {
        "sha512" => HashAlgorithm::Sha2512,
        "sha384" => HashAlgorithm::Sha2384,
        _ => HashAlgorithm::Sha2256,
    }
}
