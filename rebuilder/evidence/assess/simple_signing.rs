//! Cosign's signatures of container images.

use super::files::about_files;
use super::signature::{blob_over, not_what_was_signed, verify_bundle};
use crate::artifact::Sha256;
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

/// Whether the signature over the document is good; the document names the image.
pub(super) fn proof(signed: &SimpleSigning, trust: &Trust) -> Proof {
    match &signed.signature {
        ImageSignature::Plain(signature) => blob_over(signature, &signed.payload, trust),
        ImageSignature::Logged(bundle) => {
            let (proof, content) = verify_bundle(bundle, trust);
            let own = Sha256::of(&signed.payload).to_hex();
            match content {
                Some(Content::Message("sha256", digest)) if digest == own => proof,
                // The bundle was made of the log entry, which says what was signed.
                _ => Err(not_what_was_signed()),
            }
        }
    }
}
