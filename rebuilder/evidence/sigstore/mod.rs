//! Sigstore bundles (v0.1 to v0.3): who signed, as shown by certificate, transparency log and timestamps; verified
//! offline.
//!
//! The Sigstore crates do the checks; `parts` does the same steps for forms that the crates do not accept as a whole.
//! A good signature shows who signed *something*: whether that is the artifact is a separate finding.
//!
//! The numbered steps are those of the Sigstore client specification, section 4
//! (github.com/sigstore/architecture-docs, client-spec.md).

mod bundle;
mod certificate_time;
mod chain;
mod enclosed;
mod form;
mod instance;
mod parts;
mod roots;
mod signed;
mod times;

use std::path::Path;

pub use bundle::{Content, Unverified};
pub use enclosed::Enclosed;
pub(super) use form::exact;
use instance::{Checkable, Instance};
use jiff::Timestamp;
use parts::Parts;
use signed::{own_digest, own_signature};
use sigstore_verify::crypto::CertificateInfo;
use sigstore_verify::trust_root::{SIGSTORE_PRODUCTION_TRUSTED_ROOT, SIGSTORE_STAGING_TRUSTED_ROOT};
use sigstore_verify::types::Artifact;
use sigstore_verify::{PublicKeyVerificationPolicy, VerificationPolicy, VerificationResult};

use super::Verified;
pub use super::identity::Identity;
use super::json::JsonError;
use super::public_key::{PublicKey, TrustError};

/// Trusted Sigstore instances: usually one, but a file may have several roots, such as the output of `gh attestation
/// trusted-root`.
pub struct Sigstore {
    first: Instance,
    others: Vec<Instance>,
}

/// What a good bundle proves.
#[derive(Debug, Clone)]
pub struct SigstoreSignature {
    /// When a log or a timestamp authority first saw the signature.
    pub first_seen: Option<Timestamp>,
    /// What was signed.
    pub content: Content,
    /// What was verified, and what was not because the root cannot verify it, as a sentence.
    pub note: String,
}

/// What a good bundle with a certificate proves.
#[derive(Debug, Clone)]
pub struct CertifiedSignature {
    /// The signer.
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
    #[error("invalid signature: the key in the certificate did not sign this content")]
    BadSignature,
    /// Nothing was found to be wrong: the means to check it are missing here.
    #[error("{0}")]
    Unchecked(String),
}

impl SigstoreError {
    /// Whether the bundle could not be checked, rather than being wrong.
    pub fn is_unchecked(&self) -> bool {
        use sigstore_verify::Error::{UnsupportedArtifact, UnsupportedBundle};
        matches!(
            self,
            Self::Unchecked(_)
                | Self::Content(_)
                | Self::Refused(UnsupportedArtifact(_) | UnsupportedBundle(_))
        )
    }
}

impl Sigstore {
    /// The public-good instance, with the root that this program contains.
    pub fn public_good() -> Result<Self, TrustError> {
        Self::from_json("the built-in public-good root", SIGSTORE_PRODUCTION_TRUSTED_ROOT)
    }

    /// The public staging instance, for tests of clients.
    pub fn staging() -> Result<Self, TrustError> {
        Self::from_json("the built-in staging root", SIGSTORE_STAGING_TRUSTED_ROOT)
    }

    /// The instances of a `trusted_root.json`.
    pub fn read(path: &Path) -> Result<Self, TrustError> {
        let text = std::fs::read_to_string(path).map_err(|source| TrustError::Root {
            path: path.to_owned(),
            source,
        })?;
        Self::from_json(&path.display().to_string(), &text)
    }

    fn instances(&self) -> impl Iterator<Item = &Instance> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Verifies everything: the bundle, the file, and the identity or key, as Sigstore's own clients do.
    pub fn verify_artifact<'a>(
        &self,
        bundle: &Unverified,
        artifact: impl Into<Artifact<'a>>,
        policy: &dyn sigstore_verify::Policy,
    ) -> Result<VerificationResult, SigstoreError> {
        let artifact = artifact.into();
        let of_bundle = |instance: &&Instance| instance.may_have_certified(&bundle.bundle);
        let instance = self.instances().find(of_bundle).unwrap_or(&self.first);
        Ok(instance.verifier.verify(artifact, &bundle.bundle, policy)?)
    }

    /// Verifies certificate, log, timestamps and signature; returns what the signature is over, and leaves the
    /// comparison with the artifact to the caller.
    pub fn verify_certificate(
        &self,
        unverified: &Unverified,
    ) -> Result<Verified<CertifiedSignature>, SigstoreError> {
        self.certified(unverified, &unverified.content()?)
    }

    /// Does the same for a signature that does not identify its file; the file has this SHA-256.
    pub fn verify_certificate_over(
        &self,
        unverified: &Unverified,
        sha256: &str,
    ) -> Result<Verified<CertifiedSignature>, SigstoreError> {
        self.certified(unverified, &Content::Message("sha256", sha256.to_owned()))
    }

    fn certified(
        &self,
        unverified: &Unverified,
        content: &Content,
    ) -> Result<Verified<CertifiedSignature>, SigstoreError> {
        own_signature(unverified, content)?;
        let bundle = &unverified.bundle;
        let mut instances = self
            .instances()
            .filter(|it| it.may_have_certified(bundle))
            .peekable();
        if instances.peek().is_none() {
            let issuer = instance::issuer(bundle)
                .ok_or_else(|| SigstoreError::Malformed("its certificate cannot be read".into()))?;
            return Err(SigstoreError::Unchecked(format!(
                "its certificate was issued by {issuer:?}, which the trusted root does not have; give the root of that instance (\"--trusted-root\")"
            )));
        }
        let policy = |checkable: &Checkable| {
            let mut policy = VerificationPolicy::any_identity();
            if !checkable.logged {
                policy = policy.skip_tlog_unsafe();
            }
            if !checkable.certificate_logged {
                policy = policy.skip_sct();
            }
            policy
        };
        let (identity, signature) = first_good(instances, |instance| {
            let checkable = match instance.checkable(bundle) {
                // Even if the bundle cannot be checked, its certificate may be from no authority at all.
                Err(error) => return chain::as_issued(instance, bundle).and(Err(error)),
                Ok(checkable) => checkable,
            };
            if let Some(parts) = Parts::of(&checkable, content)? {
                let shown = parts.verify(instance)?;
                let signature = SigstoreSignature {
                    first_seen: Some(shown.time),
                    content: content.clone(),
                    note: note(&checkable),
                };
                return Ok((Some(identity(&shown.claims)), signature));
            }
            let policy = policy(&checkable);
            let (result, signature) = verify(instance, &checkable, content.clone(), &policy)?;
            Ok((result.certificate().map(identity), signature))
        })?;
        Ok(Verified(CertifiedSignature {
            identity: identity.unwrap_or_else(|| Identity::named("(no name in the certificate)")),
            signature,
        }))
    }

    /// Does the same for a bundle that names a key, with the key that this may be.
    pub fn verify_key(
        &self,
        unverified: &Unverified,
        key: &PublicKey,
    ) -> Result<Verified<SigstoreSignature>, SigstoreError> {
        let content = unverified.content()?;
        let policy = PublicKeyVerificationPolicy::new(key.spki().clone());
        let (_, signature) = first_good(self.instances(), |instance| {
            let checkable = instance.checkable(&unverified.bundle)?;
            if !checkable.logged {
                let note = "it is in a transparency log, and the trusted root has none".to_owned();
                return Err(SigstoreError::Unchecked(note));
            }
            verify(instance, &checkable, content.clone(), &policy)
        })?;
        Ok(Verified(signature))
    }
}

/// Of several instances or entries: the first good answer, otherwise the first that speaks against the bundle,
/// otherwise any.
fn first_good<I, T>(
    all: impl Iterator<Item = I>,
    verify: impl Fn(I) -> Result<T, SigstoreError>,
) -> Result<T, SigstoreError> {
    let mut worst: Option<SigstoreError> = None;
    for one in all {
        match verify(one) {
            Ok(good) => return Ok(good),
            Err(error) => {
                let graver = worst.as_ref().is_none_or(SigstoreError::is_unchecked);
                if graver {
                    worst = Some(error);
                }
            }
        }
    }
    Err(worst.unwrap_or_else(|| SigstoreError::Unchecked("no instance is trusted".into())))
}

fn verify(
    instance: &Instance,
    checkable: &Checkable,
    content: Content,
    policy: &dyn sigstore_verify::Policy,
) -> Result<(VerificationResult, SigstoreSignature), SigstoreError> {
    // "4.1. Inputs": the bundle was read into one form, which the certificate, the log and the signature are about.
    // The artifact comes later; until then a digest that the content itself names is used in its place.
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
    let result = instance.verifier.verify(digest, &checkable.bundle, policy)?;
    // Still open of 4.5: "Verifier MUST ensure that the artifact's digest/algorithm tuple is present in the list of
    // subjects in the in-toto statement." `assess` does that with the content that is handed on here.
    let times = result.verified_timestamps().iter();
    let signature = SigstoreSignature {
        first_seen: times
            .filter_map(|time| Timestamp::from_second(time.as_second()).ok())
            .min(),
        content,
        note: note(checkable),
    };
    Ok((result, signature))
}

/// What was verified of a good bundle, in one sentence.
fn note(checkable: &Checkable) -> String {
    let mut note = match (checkable.logged, checkable.certificate_logged) {
        (true, true) => "certificate, log and time are good".to_owned(),
        (true, false) => {
            "certificate, log and time are good; the trusted root has no certificate log".to_owned()
        }
        (false, true) => "certificate and time are good; the trusted root has no transparency log".to_owned(),
        (false, false) => {
            "certificate and time are good; the trusted root has no transparency log and no certificate log"
                .to_owned()
        }
    };
    for left_out in &checkable.left_out {
        note.push_str("; without ");
        note.push_str(left_out);
    }
    note
}

fn identity(certificate: &CertificateInfo) -> Identity {
    let ci = &certificate.ci_claims;
    let old = &ci.deprecated_github;
    let github = |name: &Option<String>| name.as_ref().map(|name| format!("https://github.com/{name}"));
    let name = certificate.identity.as_ref();
    Identity {
        subject: name.map(|name| name.as_str().to_owned()).unwrap_or_default(),
        issuer: certificate.issuer.clone().unwrap_or_default(),
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
    }
}
