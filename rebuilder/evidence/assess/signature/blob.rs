//! Signatures by plain keys over a file's bytes, as cosign writes them.

use super::file::in_memory;
use super::{good_key, unverifiable};
use crate::evidence::assessment::Artifact;
use crate::evidence::blob_signature::BlobSignature;
use crate::evidence::trust::Trust;
use crate::evidence::{Proof, Unproven};

/// Verifies a signature over an artifact's bytes.
pub(in crate::evidence) fn blob(signed: &BlobSignature, artifact: &Artifact, trust: &Trust) -> Proof {
    blob_over(signed, &in_memory(artifact)?, trust)
}

/// Verifies a signature over some bytes with the trusted keys, or, if none of them made it, with the key of its
/// certificate.
///
/// The latter proves only that the certificate belongs to the signature, as nothing shows when the signature was made.
pub(in crate::evidence) fn blob_over(signed: &BlobSignature, bytes: &[u8], trust: &Trust) -> Proof {
    let keys = trust.plain_keys();
    for (key, plain) in &keys {
        if plain.verify(bytes, &signed.signature) {
            let note = "the signature is good; no log or timestamp proves when it was made";
            return good_key(key, note.to_owned());
        }
    }
    let Some(certificate) = &signed.certificate else {
        return Err(if keys.is_empty() {
            unverifiable(
                "it is signed with a plain key, which it does not name, and no key was given to verify it with",
            )
        } else {
            let tried: Vec<_> = keys.iter().map(|(key, _)| key.name.clone()).collect();
            Unproven::Invalid(format!(
                "none of the trusted keys signed these bytes (tried: {})",
                tried.join(", ")
            ))
        });
    };
    let own = certificate
        .key()
        .map_err(|error| unverifiable(&error.to_string()))?;
    if !own.verify(bytes, &signed.signature) {
        return Err(Unproven::Invalid(format!(
            "the certificate's key, for {}, did not sign these bytes",
            certificate.name()
        )));
    }
    Err(Unproven::Unverifiable(format!(
        "the key of a certificate for {} signed it, but no log entry or timestamp shows that the certificate was valid then; give the bundle, which has the entry",
        certificate.name()
    )))
}
