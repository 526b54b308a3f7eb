//! Sigstore bundles (v0.1 to v0.3): who signed, shown by certificate, transparency log and timestamps, offline.
//!
//! All checks are the sigstore crates'; this module chooses what to ask them and keeps the answers apart. A good
//! signature says who signed *something*: whether that is the artifact at hand is a separate finding.
//!
//! The numbered steps are those of the Sigstore client specification, section 4
//! (github.com/sigstore/architecture-docs, client-spec.md).

mod bundle;
mod form;

use std::path::Path;

pub use bundle::{Content, Unverified};
pub(super) use form::exact;
use jiff::Timestamp;
use sigstore_verify::trust_root::{
    SIGSTORE_PRODUCTION_TRUSTED_ROOT, SIGSTORE_STAGING_TRUSTED_ROOT, TrustedRoot,
};
use sigstore_verify::types::{Artifact, ArtifactDigest, DigestBytes, HashAlgorithm};
use sigstore_verify::{PublicKeyVerificationPolicy, VerificationPolicy, VerificationResult, Verifier};

use super::Verified;
pub use super::identity::Identity;
use super::json::member;
use super::json::{self, JsonError};
use super::public_key::{PublicKey, TrustError};

/// A Sigstore instance whose authorities and logs are trusted.
pub struct Sigstore {
    verifier: Verifier,
}

/// What a good bundle shows.
#[derive(Debug, Clone)]
pub struct SigstoreSignature {
    /// When a log or a timestamp authority first saw the signature.
    pub first_seen: Option<Timestamp>,
    /// What was signed.
    pub content: Content,
}

/// What a good bundle with a certificate shows.
#[derive(Debug, Clone)]
pub struct CertifiedSignature {
    /// Who signed.
    pub identity: Identity,
    /// What was signed, and when.
    pub signature: SigstoreSignature,
}

/// A bundle that is malformed, or does not verify.
#[derive(Debug, thiserror::Error)]
pub enum SigstoreError {
    #[error(transparent)]
    Json(#[from] JsonError),
    #[error("not a Sigstore bundle: {0}")]
    Malformed(String),
    #[error("{0}")]
    Refused(#[from] sigstore_verify::Error),
    #[error("cannot use the signed content: {0}")]
    Content(String),
}

impl Sigstore {
    /// The public-good instance, by the root that this tool carries.
    pub fn public_good() -> Result<Self, TrustError> {
        Self::from_json("the built-in public-good root", SIGSTORE_PRODUCTION_TRUSTED_ROOT)
    }

    /// The public staging instance, for tests of clients.
    pub fn staging() -> Result<Self, TrustError> {
        Self::from_json("the built-in staging root", SIGSTORE_STAGING_TRUSTED_ROOT)
    }

    /// An instance by its `trusted_root.json`.
    pub fn read(path: &Path) -> Result<Self, TrustError> {
        let text = std::fs::read_to_string(path).map_err(|source| TrustError::Root {
            path: path.to_owned(),
            source,
        })?;
        Self::from_json(&path.display().to_string(), &text)
    }

    fn from_json(name: &str, text: &str) -> Result<Self, TrustError> {
        let invalid = |reason: String| TrustError::InvalidRoot {
            name: name.to_owned(),
            reason,
        };
        let root = TrustedRoot::from_json(text).map_err(|error| invalid(error.to_string()))?;
        let verifier = Verifier::new(&root).map_err(|error| invalid(error.to_string()))?;
        Ok(Self { verifier })
    }

    /// Verifies a bundle against a file, its identity or key, everything: the question of the Sigstore clients.
    pub fn verify_artifact<'a>(
        &self,
        bundle: &Unverified,
        artifact: impl Into<Artifact<'a>>,
        policy: &dyn sigstore_verify::Policy,
    ) -> Result<VerificationResult, SigstoreError> {
        Ok(self.verifier.verify(artifact, &bundle.bundle, policy)?)
    }

    /// Verifies certificate, log, timestamps and signature; says over what, and leaves to the caller whether that is the
    /// artifact at hand.
    pub fn verify_certificate(
        &self,
        unverified: &Unverified,
    ) -> Result<Verified<CertifiedSignature>, SigstoreError> {
        let (result, signature) = self.verify(unverified, &VerificationPolicy::any_identity())?;
        Ok(Verified(CertifiedSignature {
            identity: identity(&result).unwrap_or_else(|| Identity::named("(no name in the certificate)")),
            signature,
        }))
    }

    /// The same for a bundle that names a key, with the key that it may mean.
    pub fn verify_key(
        &self,
        unverified: &Unverified,
        key: &PublicKey,
    ) -> Result<Verified<SigstoreSignature>, SigstoreError> {
        let policy = PublicKeyVerificationPolicy::new(key.spki().clone());
        let (_, signature) = self.verify(unverified, &policy)?;
        Ok(Verified(signature))
    }

    fn verify(
        &self,
        unverified: &Unverified,
        policy: &dyn sigstore_verify::Policy,
    ) -> Result<(VerificationResult, SigstoreSignature), SigstoreError> {
        // "4.1. Inputs": the bundle was read into one form, which the certificate, the log and the signature are about.
        // The artifact comes later; until then a digest that the content itself names is used in its place.
        let content = unverified.content()?;
        let digest = own_digest(&content)?;
        // One call of the Sigstore crates does all of the following steps, and "if any step fails", the call fails.
        //
        // "4.2. Establishing a Time for the Signature": "First, establish a time for the signature. This timestamp is
        // required to validate the certificate chain, so this step comes first." (4.2.1 by a timestamping service, 4.2.2
        // by the `integratedTime` of Rekor v1.)
        //
        // "4.3. Certificate": "it must have a timestamp while every certificate in the chain up to the root is valid";
        // then "extract the `SignedCertificateTimestamp` embedded in the leaf certificate, and verify it". A bundle with
        // a key has no certificate, so for it this step is left out ("while other signing and verification workflows are
        // possible ... using hardcoded keys").
        //
        // "The Verifier MUST then check the certificate against the verification policy." Any identity passes here: who
        // counts is decided by `Trust`, so that the signer of a good signature can be shown in any case.
        //
        // "4.4. Transparency Log Entry": the inclusion proof or the promise, and then
        // "1. The signature from the parsed body is the same as the provided signature.",
        // "2. The key or certificate from the parsed body is the same as in the input certificate.",
        // "3. The “subject” of the parsed body matches the artifact."
        //
        // "4.5. Signature Verification": "verify the provided signature for the constructed payload against the key in
        // the leaf of the certificate chain", for envelopes over DSSE's pre-authentication encoding.
        let result = self.verifier.verify(digest, &unverified.bundle, policy)?;
        // Still open of 4.5: "Verifier MUST ensure that the artifact's digest/algorithm tuple is present in the list of
        // subjects in the in-toto statement." `assess` does that with the content that is handed on here.
        let times = result.verified_timestamps().iter();
        let signature = SigstoreSignature {
            first_seen: times
                .filter_map(|time| Timestamp::from_second(time.as_second()).ok())
                .min(),
            content,
        };
        Ok((result, signature))
    }
}

/// A digest that the bundle itself names, so that its signature can be verified before its subject.
fn own_digest(content: &Content) -> Result<ArtifactDigest, SigstoreError> {
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
    let algorithm = match algorithm {
        "sha512" => HashAlgorithm::Sha2512,
        "sha384" => HashAlgorithm::Sha2384,
        _ => HashAlgorithm::Sha2256,
    };
    let bytes = hex::decode(&digits).map_err(|error| SigstoreError::Content(error.to_string()))?;
    ArtifactDigest::new(algorithm, DigestBytes::new(bytes))
        .map_err(|error| SigstoreError::Content(error.to_string()))
}

fn identity(result: &VerificationResult) -> Option<Identity> {
    let certificate = result.certificate()?;
    let ci = &certificate.ci_claims;
    let old = &ci.deprecated_github;
    let github = |name: &Option<String>| name.as_ref().map(|name| format!("https://github.com/{name}"));
    Some(Identity {
        subject: result
            .identity()
            .map(|name| name.as_str().to_owned())
            .unwrap_or_default(),
        issuer: result.issuer().unwrap_or_default().to_owned(),
        repository: ci
            .source_repository_uri
            .clone()
            .or_else(|| github(&old.workflow_repository)),
        commit: ci
            .source_repository_digest
            .clone()
            .or_else(|| old.workflow_sha.clone()),
        reference: ci
            .source_repository_ref
            .clone()
            .or_else(|| old.workflow_ref.clone()),
        workflow: ci.build_config_uri.clone(),
        runner: ci.runner_environment.clone(),
        run: ci.run_invocation_uri.clone(),
    })
}
