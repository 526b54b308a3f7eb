//! Sigstore bundles (v0.1 to v0.3): who signed, shown by certificate, transparency log and timestamps, offline.
//!
//! All checks are the sigstore crates'; this module chooses what to ask them and keeps the answers apart. A good
//! signature says who signed *something*: whether that is the artifact at hand is a finding of its own.
//!
//! The numbered steps are those of the Sigstore client specification, section 4
//! (github.com/sigstore/architecture-docs, client-spec.md).

use std::path::Path;

use jiff::Timestamp;
use serde_json::Value;
use sigstore_verify::trust_root::{
    SIGSTORE_PRODUCTION_TRUSTED_ROOT, SIGSTORE_STAGING_TRUSTED_ROOT, TrustedRoot,
};
use sigstore_verify::types::bundle::VerificationMaterialContent;
use sigstore_verify::types::{
    Artifact, ArtifactDigest, Bundle, DigestBytes, HashAlgorithm, SignatureContent,
};
use sigstore_verify::{PublicKeyVerificationPolicy, VerificationPolicy, VerificationResult, Verifier};

pub use super::identity::Identity;
use super::json::member;
use super::json::{self, JsonError};
use super::public_key::{PublicKey, TrustError};
use super::{Verified, dsse};

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

/// What a bundle is a signature over.
#[derive(Debug, Clone)]
pub enum Content {
    /// An envelope, usually with an in-toto statement.
    Envelope(dsse::Envelope),
    /// A file with this digest, as `algorithm` and hexadecimal digits.
    Message(&'static str, String),
}

/// A bundle that does not hold.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum SigstoreError {
    #[error(transparent)]
    Json(#[from] JsonError),
    #[error("it is no Sigstore bundle: {0}")]
    Malformed(String),
    #[error("{0}")]
    Refused(#[from] sigstore_verify::Error),
    #[error("the signed text inside is not usable: {0}")]
    Content(String),
}

/// A bundle that has been read, and not verified.
pub struct Unverified {
    bundle: Bundle,
    pep740: bool,
    publisher: Option<Value>,
}

impl Unverified {
    /// Reads a bundle; a document that two readers could read differently is refused.
    pub fn parse(bytes: &[u8]) -> Result<Self, SigstoreError> {
        let value = json::parse_evidence(bytes)?;
        Self::from_value(&value)
    }

    /// Takes a bundle out of a larger document.
    pub fn from_value(value: &Value) -> Result<Self, SigstoreError> {
        exact(value)?;
        let bundle = Bundle::from_json(&value.to_string())
            .map_err(|error| SigstoreError::Malformed(error.to_string()))?;
        Ok(Self {
            bundle,
            pep740: false,
            publisher: None,
        })
    }

    /// The same, where the index wrapped it in its own form: the subject's name is then that of the file, by PEP 740.
    pub(super) fn of_pep740(value: &Value) -> Result<Self, SigstoreError> {
        Ok(Self {
            pep740: true,
            ..Self::from_value(value)?
        })
    }

    /// Who may upload by the index's word, where the index handed this out; none where anyone may have written it.
    pub fn publisher(&self) -> Option<&Value> {
        self.publisher.as_ref()
    }

    pub(super) fn set_publisher(&mut self, publisher: Option<Value>) {
        self.publisher = publisher;
    }

    /// Whether it came in the form of PEP 740.
    pub fn is_pep740(&self) -> bool {
        self.pep740
    }

    /// What the bundle calls the key, where it carries no certificate.
    pub fn key_hint(&self) -> Option<&str> {
        match &self.bundle.verification_material.content {
            VerificationMaterialContent::PublicKey(key) => Some(&key.hint),
            _ => None,
        }
    }

    /// Whether some log vouches for it.
    pub fn is_logged(&self) -> bool {
        !self.bundle.verification_material.tlog_entries.is_empty()
    }

    /// The type of the bundle, for people.
    pub fn media_type(&self) -> &'static str {
        self.bundle.media_type().as_str()
    }

    /// What it is a signature over, whoever made it.
    pub fn content(&self) -> Result<Content, SigstoreError> {
        match &self.bundle.content {
            SignatureContent::DsseEnvelope(envelope) => Ok(Content::Envelope(dsse::Envelope {
                payload_type: envelope.payload_type.clone(),
                payload: envelope.payload.as_bytes().to_vec(),
                signatures: vec![(
                    envelope.signature.keyid.as_str().to_owned(),
                    envelope.signature.sig.as_bytes().to_vec(),
                )],
            })),
            SignatureContent::MessageSignature(message) => {
                let digest = message.message_digest.as_ref();
                let digest = digest.ok_or_else(|| SigstoreError::Content("it names no digest".into()))?;
                Ok(Content::Message(
                    name(digest.algorithm),
                    hex::encode(digest.digest.as_bytes()),
                ))
            }
            _ => Err(SigstoreError::Content("it is of an unknown kind".into())),
        }
    }
}

/// What a part of a bundle is, as its protocol buffers have it.
enum Shape {
    /// A number, a text or a truth value.
    Plain,
    /// A message with these members.
    Message(&'static [(&'static str, Shape)]),
    /// Any number of them.
    List(&'static Shape),
}
use Shape::{List, Message, Plain};

const CERTIFICATE: Shape = Message(&[("rawBytes", Plain)]);
const MESSAGE: &Shape = &Message(&[
    (
        "messageDigest",
        Message(&[("algorithm", Plain), ("digest", Plain)]),
    ),
    ("signature", Plain),
]);
const ENTRY: Shape = Message(&[
    ("logIndex", Plain),
    ("logId", Message(&[("keyId", Plain)])),
    ("kindVersion", Message(&[("kind", Plain), ("version", Plain)])),
    ("integratedTime", Plain),
    ("inclusionPromise", Message(&[("signedEntryTimestamp", Plain)])),
    (
        "inclusionProof",
        Message(&[
            ("logIndex", Plain),
            ("rootHash", Plain),
            ("treeSize", Plain),
            ("hashes", List(&Plain)),
            ("checkpoint", Message(&[("envelope", Plain)])),
        ]),
    ),
    ("canonicalizedBody", Plain),
]);
const MATERIAL: &Shape = &Message(&[
    ("certificate", CERTIFICATE),
    ("publicKey", Message(&[("hint", Plain)])),
    (
        "x509CertificateChain",
        Message(&[("certificates", List(&CERTIFICATE))]),
    ),
    ("tlogEntries", List(&ENTRY)),
    (
        "timestampVerificationData",
        Message(&[("rfc3161Timestamps", List(&Message(&[("signedTimestamp", Plain)])))]),
    ),
]);

/// Refuses a part of a bundle with members that it does not have; another reader may know them. What is not set may be
/// null.
fn shaped(value: &Value, shape: &Shape) -> Result<(), SigstoreError> {
    let malformed = |what: String| Err(SigstoreError::Malformed(what));
    match (shape, value) {
        (_, Value::Null) | (Plain, Value::Bool(_) | Value::Number(_) | Value::String(_)) => Ok(()),
        (List(shape), Value::Array(items)) => items.iter().try_for_each(|item| shaped(item, shape)),
        (Message(known), Value::Object(members)) => members.iter().try_for_each(|(name, value)| match known
            .iter()
            .find(|(known, _)| known == name)
        {
            Some((_, shape)) => shaped(value, shape),
            None => malformed(format!("{name:?} has no place in one")),
        }),
        _ => malformed("a part of it is of another kind than its form has there".into()),
    }
}

/// Refuses a bundle that holds more than one thing that could be what was signed, or who signed it.
///
/// The Sigstore crates take the first that they find, and other readers another one.
pub(super) fn exact(bundle: &Value) -> Result<(), SigstoreError> {
    let members = |value: &Value, known: &[&str], one_of: &[&str]| {
        let members = value
            .as_object()
            .ok_or_else(|| SigstoreError::Malformed("a part of it is no object".into()))?;
        if let Some(name) = members.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(SigstoreError::Malformed(format!("{name:?} has no place in one")));
        }
        let found: Vec<_> = one_of
            .iter()
            .filter(|name| members.contains_key(**name))
            .collect();
        match found.as_slice() {
            [_] => Ok(()),
            [] => Err(SigstoreError::Malformed(format!(
                "it has no {}",
                one_of.join(" or ")
            ))),
            several => Err(SigstoreError::Malformed(format!(
                "it has {several:?}, and readers take one or the other"
            ))),
        }
    };
    let content = ["dsseEnvelope", "messageSignature"];
    let signer = ["certificate", "publicKey", "x509CertificateChain"];
    members(
        bundle,
        &["mediaType", "verificationMaterial", content[0], content[1]],
        &content,
    )?;
    let material = [&signer[..], &["tlogEntries", "timestampVerificationData"]].concat();
    members(&bundle["verificationMaterial"], &material, &signer)?;
    shaped(&bundle["verificationMaterial"], MATERIAL)?;
    if bundle.get("messageSignature").is_some() {
        shaped(&bundle["messageSignature"], MESSAGE)?;
        members(
            &bundle["messageSignature"],
            &["messageDigest", "signature"],
            &["signature"],
        )?;
    }
    if bundle.get("dsseEnvelope").is_some() {
        dsse::Envelope::from_value(&bundle["dsseEnvelope"])
            .map_err(|error| SigstoreError::Malformed(error.to_string()))?;
    }
    Ok(())
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
        // The artifact comes later; until then a digest that the content itself names stands in for it.
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

/// A digest that the bundle itself names, so that its signature can be judged before its subject.
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

fn name(algorithm: HashAlgorithm) -> &'static str {
    match algorithm {
        HashAlgorithm::Sha2384 => "sha384",
        HashAlgorithm::Sha2512 => "sha512",
        _ => "sha256",
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_members_that_a_bundle_does_not_have() {
        let bundle = r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"k"},"tlogEntries":[{"logIndex":"1","logId":{"keyId":"a"},"kindVersion":{"kind":"dsse","version":"0.0.1"},"integratedTime":"1","inclusionPromise":{"signedEntryTimestamp":"a"},"inclusionProof":{"logIndex":"1","rootHash":"a","treeSize":"1","hashes":["a"],"checkpoint":{"envelope":"a"}},"canonicalizedBody":"a"}],"timestampVerificationData":{"rfc3161Timestamps":[{"signedTimestamp":"a"}]}},"dsseEnvelope":{"payloadType":"x","payload":"","signatures":[{"sig":""}]}}"#;
        let check = |text: &str| exact(&serde_json::from_str(text).unwrap());
        check(bundle).unwrap();
        // In each object, whatever it is, another member is one too many.
        for (at, _) in bundle.match_indices('{') {
            let (before, after) = bundle.split_at(at + 1);
            for name in ["rawBytes2", "raw_bytes", "payload2", "x"] {
                let text = format!("{before}\"{name}\":\"a\",{after}");
                assert!(check(&text).is_err(), "{text}");
            }
        }
        for (from, to) in [
            (r#"{"hint":"k"}"#, r#"[{"hint":"k"}]"#),
            (r#"["a"]"#, r#"[{"payload":"a"}]"#),
            (
                r#""dsseEnvelope":{"#,
                r#""messageSignature":{"signature":"a","message":"b"},"x":{"#,
            ),
            (
                r#"{"payloadType":"x","payload":"","signatures":[{"sig":""}]}"#,
                "[]",
            ),
        ] {
            assert!(bundle.contains(from), "{from}");
            assert!(check(&bundle.replacen(from, to, 1)).is_err(), "{to}");
        }
    }
}
