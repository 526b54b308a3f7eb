//! Cosign's signatures of container images.

use super::files::about_files;
use super::signature::{blob_over, not_what_was_signed, verify_bundle};
use crate::artifact::Digests;
use crate::evidence::assessment::{Artifact, Assessment};
use crate::evidence::sigstore::Content;
use crate::evidence::simple_signing::{ImageSignature, SimpleSigning};
use crate::evidence::trust::Trust;
use crate::evidence::{Proof, Question};

pub(super) fn assess_image(signed: &SimpleSigning, artifacts: &[Artifact], trust: &Trust) -> Assessment {
    let claim = "cosign's signature of the image".to_owned();
    let image = std::slice::from_ref(&signed.image);
    about_files(
        Question::Signature,
        claim,
        image,
        proof(signed, trust),
        artifacts,
        false,
    )
}

/// Verifies the signature over the document; the document names the image.
pub(super) fn proof(signed: &SimpleSigning, trust: &Trust) -> Proof {
    match &signed.signature {
        ImageSignature::Plain(signature) => blob_over(signature, &signed.payload, trust),
        ImageSignature::Logged(bundle) => {
            let (proof, content) = verify_bundle(bundle, trust);
            let own = Digests::of(&signed.payload);
            let is_own = |algorithm: &str, digest: &str| {
                own.get(algorithm)
                    .is_some_and(|own| own.eq_ignore_ascii_case(digest))
            };
            match content {
                Some(Content::Message(algorithm, digest)) if is_own(algorithm, &digest) => proof,
                // The bundle was made from the log entry, which says what was signed.
                _ => Err(not_what_was_signed()),
            }
        }
    }
}
