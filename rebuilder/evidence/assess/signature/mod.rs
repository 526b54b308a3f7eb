//! Whether a signature is good, and who made it; its subject is not checked here.

mod blob;
mod cloud_build;
mod file;
mod link;
mod message;
mod minisign;
mod plain;

pub(super) use blob::{blob, blob_over};
pub(super) use file::{openpgp_detached, ssh, verify_inline};
use jiff::Timestamp;
use link::{openpgp_names_one_of, verify_link, with_openpgp};
pub(super) use message::over_artifact;
pub(super) use minisign::minisign;
pub(super) use plain::verify_message;
use plain::{over_message, unknown_key, unless_unknown, verify_with};

use crate::evidence::assessment::Artifact;
use crate::evidence::document::{Document, Kind};
use crate::evidence::dsse::Envelope;
use crate::evidence::rekor::LoggedEnvelope;
use crate::evidence::sigstore::{CertifiedSignature, Content, SigstoreError, SigstoreSignature, Unverified};
use crate::evidence::trust::{KeyMaterial, PublicKey, Trust, TrustedKey};
use crate::evidence::{Proof, Signature, Signer, Unproven, Verified, npm};

pub(super) fn unsigned() -> Unproven {
    Unproven::Unsigned("it is not signed".to_owned())
}

pub(super) fn not_what_was_signed() -> Unproven {
    Unproven::Invalid("the signature is over other content than was read".to_owned())
}

/// Verifies the signature of a piece of evidence; its subject is not checked.
pub(super) fn verify_signature(document: &Document, trust: &Trust) -> Proof {
    match &document.kind {
        Kind::Bundle(bundle) => verify_bundle(bundle, trust).0,
        Kind::KeyBundle { hint, envelope } => verify_key_bundle(hint, envelope, trust),
        Kind::Envelope(envelope) => verify_envelope(envelope, trust),
        Kind::CloudBuild(envelope) => cloud_build::cloud_build(envelope, trust),
        Kind::Logged(logged) => verify_logged(logged, trust),
        Kind::Link(link) => verify_link(link, trust),
        Kind::HashList(list) => match &list.own {
            Some((message, signatures)) => verify_message(message, signatures, trust),
            None => Err(unsigned()),
        },
        Kind::OpenPgpInline(text) => verify_inline(text, trust, "the signed text").0,
        Kind::Statement(_) => Err(unsigned()),
        Kind::Image(signed) => super::simple_signing::proof(signed, trust),
        Kind::Unproven { reason, .. } => Err(unverifiable(reason)),
        Kind::Unreadable(found) => Err(Unproven::Unverifiable(found.why.clone())),
        _ => Err(Unproven::Unverifiable(
            "it is a detached signature of a file".into(),
        )),
    }
}

/// Whether a piece of evidence names a trusted key.
pub fn names_trusted_key(document: &Document, trust: &Trust) -> bool {
    let names: Vec<&str> = match &document.kind {
        Kind::Bundle(bundle) => match bundle.key_hint() {
            Some(hint) => vec![hint],
            // A certificate names no key: an error in it counts as one.
            None => return true,
        },
        Kind::KeyBundle { hint, .. } => vec![hint],
        Kind::Envelope(envelope) if openpgp_names_one_of(&envelope.openpgp, trust) => return true,
        Kind::Envelope(envelope) | Kind::CloudBuild(envelope) => envelope
            .signatures
            .iter()
            .map(|(name, _)| name.as_str())
            .collect(),
        Kind::Link(link) if openpgp_names_one_of(&link.openpgp, trust) => return true,
        Kind::Link(link) => link.signatures.iter().map(|(name, _)| name.as_str()).collect(),
        _ => return true,
    };
    let keys = trust.plain_keys();
    keys.iter()
        .any(|(_, key)| names.iter().any(|name| key.is_called(name)))
}

/// Verifies a detached signature over a file.
pub(super) fn over_file(document: &Document, file: &Artifact, trust: &Trust) -> Proof {
    match &document.kind {
        Kind::OpenPgpDetached(bytes) => openpgp_detached(bytes, file, trust),
        Kind::Minisign(signed) => minisign(signed, file, trust),
        Kind::Ssh(signed) => ssh(signed, file, trust),
        Kind::Blob(signed) => blob(signed, file, trust),
        Kind::Unreadable(found) => Err(Unproven::Unverifiable(found.why.clone())),
        _ => Err(Unproven::Unverifiable(
            "the file beside it is not a detached signature".into(),
        )),
    }
}

/// Verifies a bundle; also returns the content of its signature, even if that does not verify.
pub(super) fn verify_bundle(bundle: &Unverified, trust: &Trust) -> (Proof, Option<Content>) {
    let Some(hint) = bundle.key_hint() else {
        return match trust.sigstore.verify_certificate(bundle) {
            Ok(certified) => (keyless(&certified, trust), Some(certified.0.signature.content)),
            Err(error) => (Err(unproven(&error)), bundle.content().ok()),
        };
    };
    let candidates = match candidates(hint, trust) {
        Ok(candidates) => candidates,
        Err(unknown) => return (Err(unknown), bundle.content().ok()),
    };
    let content = match bundle.content() {
        Ok(content) => content,
        Err(error) => return (Err(unproven(&error)), None),
    };
    if !bundle.is_logged() {
        let proof = by_key(bundle, &content, &candidates, "no log proves when it was made");
        return (unless_unknown(proof, hint, &candidates), Some(content));
    }
    let mut last = None;
    for (key, plain) in &candidates {
        match trust.sigstore.verify_key(bundle, plain) {
            Ok(signature) => return (logged(key, plain, &signature), Some(signature.0.content)),
            Err(error) => last = Some(error),
        }
    }
    let proof = match last {
        // The log's checks may not know the form of the signature, or the trusted root may not have the log. The key
        // alone still shows who signed.
        Some(error) if error.is_unchecked() || is_of_form(&error) => {
            let note = format!("its log entry could not be checked: {error}");
            let proof = by_key(bundle, &content, &candidates, &note).map_err(|by_key| match by_key {
                Unproven::Invalid(_) if is_bad_signature(&error) => refuted(&error),
                other => other,
            });
            unless_unknown(proof, hint, &candidates)
        }
        Some(error) => Err(unproven(&error)),
        None => Err(unverifiable("no key is trusted")),
    };
    (proof, Some(content))
}

/// Whether the Sigstore crates may have refused a signature or a key only because of its form.
fn is_of_form(error: &SigstoreError) -> bool {
    is_bad_signature(error) || matches!(error, SigstoreError::Refused(sigstore_verify::Error::Crypto(_)))
}

fn is_bad_signature(error: &SigstoreError) -> bool {
    matches!(
        error,
        SigstoreError::Refused(sigstore_verify::Error::SignatureInvalid(_))
    )
}

/// Verifies the signature in a bundle with keys alone, without a log.
fn by_key(
    bundle: &Unverified,
    content: &Content,
    candidates: &[(&TrustedKey, &PublicKey)],
    note: &str,
) -> Proof {
    match content {
        Content::Envelope(envelope) => verify_with(envelope, candidates, 1).map(|mut signature| {
            signature.0.note = format!("the signature is good; {note}");
            signature
        }),
        Content::Message(algorithm, digits) => {
            message::over_digest(bundle, algorithm, digits, candidates, note)
        }
    }
}

/// Verifies the envelope of a bundle that contains only a key's name.
pub(super) fn verify_key_bundle(hint: &str, envelope: &Envelope, trust: &Trust) -> Proof {
    match candidates(hint, trust) {
        Ok(candidates) => unless_unknown(verify_with(envelope, &candidates, 1), hint, &candidates),
        Err(unknown) => Err(unknown),
    }
}

/// The keys that a bundle's hint may refer to.
fn candidates<'a>(hint: &str, trust: &'a Trust) -> Result<Vec<(&'a TrustedKey, &'a PublicKey)>, Unproven> {
    let known = npm::registry_keys().iter().chain(&trust.keys);
    let plain: Vec<(&TrustedKey, &PublicKey)> = known
        .filter_map(|key| match &key.material {
            KeyMaterial::Plain(plain) => Some((key, plain)),
            _ => None,
        })
        .collect();
    // A hint does not have to name a key, so if it matches none, each key is tried.
    let mut candidates: Vec<_> = plain
        .iter()
        .copied()
        .filter(|(_, key)| key.is_called(hint))
        .collect();
    if candidates.is_empty() {
        candidates = plain
            .into_iter()
            .filter(|(key, _)| key.name != npm::SIGNER)
            .collect();
    }
    if candidates.is_empty() {
        return Err(unknown_key(&[hint]));
    }
    Ok(candidates)
}

/// The proof for a bundle that does not verify: it is invalid only if a check of it failed.
fn unproven(error: &SigstoreError) -> Unproven {
    if error.is_unchecked() {
        Unproven::Unverifiable(error.to_string())
    } else {
        Unproven::Invalid(error.to_string())
    }
}

fn refuted(error: &dyn std::fmt::Display) -> Unproven {
    Unproven::Invalid(error.to_string())
}

fn keyless(certified: &Verified<CertifiedSignature>, trust: &Trust) -> Proof {
    let identity = &certified.identity;
    let name = identity.to_string();
    if !trust.identities.is_empty() && !trust.identities.iter().any(|wanted| wanted.fits(identity)) {
        let wanted: Vec<_> = trust.identities.iter().map(ToString::to_string).collect();
        return Err(Unproven::Invalid(format!(
            "the signature is good, but by {name} instead of {}",
            wanted.join(" or ")
        )));
    }
    let named = trust.names(identity);
    let checked = &certified.signature.note;
    let note = if named {
        format!("{checked}, and the signer is the expected one")
    } else {
        format!("{checked}; no expected signer was configured")
    };
    Ok(Verified(Signature {
        signer: Signer {
            name,
            identity: Some(identity.clone()),
            fingerprints: Vec::new(),
            keys: Vec::new(),
            named,
        },
        when: certified.signature.first_seen,
        note,
    }))
}

/// The proof for a logged signature of `key`, which counts only within the key's validity.
fn logged(key: &TrustedKey, plain: &PublicKey, signature: &Verified<SigstoreSignature>) -> Proof {
    let when = signature.first_seen;
    if let Some(reason) = key.refusal(when.unwrap_or_else(Timestamp::now)) {
        return Err(Unproven::Invalid(match when {
            Some(_) => reason,
            None => format!("{reason}, and nothing proves that the signature is older"),
        }));
    }
    Ok(Verified(Signature {
        signer: Signer {
            name: key.name.clone(),
            identity: None,
            fingerprints: vec![format!("sha256:{}", plain.fingerprint().to_hex())],
            keys: vec![key.name.clone()],
            named: key.name != npm::SIGNER,
        },
        when,
        note: "it is in a transparency log".to_owned(),
    }))
}

/// Verifies an envelope with the certificate beside its signature and the log's entry; a trusted plain key is enough
/// without either.
fn verify_logged(logged: &LoggedEnvelope, trust: &Trust) -> Proof {
    let keys = trust.plain_keys();
    let by_key = (!keys.is_empty()).then(|| verify_with(&logged.envelope, &keys, trust.threshold));
    if let Some(Ok(signature)) = by_key {
        return Ok(signature);
    }
    match trust.sigstore.verify_logged(logged) {
        Ok(certified) => keyless(&certified, trust),
        Err(error) => Err(unproven(&error)),
    }
}

pub(super) fn verify_envelope(envelope: &Envelope, trust: &Trust) -> Proof {
    if envelope.openpgp.is_empty() {
        return verify_plain(envelope, trust);
    }
    // Certificates and plain keys are not counted together, so OpenPGP alone never reaches a threshold.
    if trust.threshold > 1 {
        return match verify_plain(envelope, trust) {
            Ok(signature) => Ok(signature),
            Err(_) => Err(unverifiable(&format!(
                "OpenPGP signed it, and signatures by OpenPGP in an envelope count as one, while {} are required",
                trust.threshold
            ))),
        };
    }
    let message = envelope.pre_authentication();
    with_openpgp(
        (&message, &envelope.openpgp),
        !envelope.signatures.is_empty(),
        trust,
        || verify_plain(envelope, trust),
    )
}

/// Verifies an envelope by plain keys, or the certificate beside its signature.
fn verify_plain(envelope: &Envelope, trust: &Trust) -> Proof {
    let keys = trust.plain_keys();
    if !envelope.certificates.is_empty() {
        let by_key = verify_with(envelope, &keys, trust.threshold);
        return if !keys.is_empty() && by_key.is_ok() {
            by_key
        } else {
            Err(enclosed(envelope, trust))
        };
    }
    if keys.is_empty() && !envelope.signatures.is_empty() {
        let names: Vec<_> = envelope
            .signatures
            .iter()
            .map(|(keyid, _)| format!("{keyid:?}"))
            .collect();
        let note = format!(
            "it is signed with plain keys ({}), but no key was given to verify it with",
            names.join(", ")
        );
        return Err(Unproven::Unverifiable(note));
    }
    verify_with(envelope, &keys, trust.threshold)
}

/// The proof for an envelope with a certificate beside its signature: nothing shows when it was signed.
fn enclosed(envelope: &Envelope, trust: &Trust) -> Unproven {
    match trust.sigstore.verify_enclosed(envelope) {
        Ok(found) => Unproven::Unverifiable(format!(
            "the signature is good and a trusted authority certified its key, for {}; but the file has no entry of the transparency log, so nothing shows that it was signed while the certificate was valid (\"--rekor\" asks the log for it, and so does a source of the kind \"rekor\" in a policy)",
            found.signer
        )),
        Err(error) => unproven(&error),
    }
}

fn unverifiable(note: &str) -> Unproven {
    Unproven::Unverifiable(note.to_owned())
}

/// The proof for a good signature of `key` without a known time.
fn good_key(key: &TrustedKey, note: String) -> Proof {
    if let Some(reason) = key.refusal(Timestamp::now()) {
        return Err(Unproven::Invalid(reason));
    }
    Ok(Verified(Signature {
        signer: Signer {
            name: key.name.clone(),
            identity: None,
            fingerprints: key.fingerprints(),
            keys: vec![key.name.clone()],
            named: key.name != npm::SIGNER,
        },
        when: None,
        note,
    }))
}
