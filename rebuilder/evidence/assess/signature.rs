//! Whether a signature is good, and whose it is; what it is about is not asked here.

use std::fs::File;
use std::io::Read;

use jiff::Timestamp;

use super::{Artifact, Signer};
use crate::evidence::dsse::{self, Envelope};
use crate::evidence::sigstore::{Content, Identity, SigstoreSignature, Unverified};
use crate::evidence::trust::{KeyMaterial, PublicKey, Trust, TrustedKey};
use crate::evidence::{Standing, npm, openpgp};

/// Most bytes of an artifact that are read into memory, for signatures that cannot be checked in a stream.
const MEMORY_LIMIT: u64 = 512 << 20;

/// A signature that was found good, or the reason why there is none.
pub struct Signed {
    /// Whether it is good.
    pub standing: Standing,
    /// Who made it, where it is.
    pub signer: Option<Signer>,
    /// When a log or a timestamp authority first saw it.
    pub when: Option<Timestamp>,
    /// Why it does not hold, or how far it goes.
    pub note: String,
}

impl Signed {
    pub(super) fn not(standing: Standing, note: impl Into<String>) -> Self {
        Self {
            standing,
            signer: None,
            when: None,
            note: note.into(),
        }
    }

    fn by(signer: Signer, when: Option<Timestamp>, note: impl Into<String>) -> Self {
        Self {
            standing: Standing::Verified,
            signer: Some(signer),
            when,
            note: note.into(),
        }
    }
}

pub(super) fn verify_bundle(bundle: &Unverified, trust: &Trust) -> (Signed, Option<Content>) {
    let Some(hint) = bundle.key_hint() else {
        return match trust.sigstore.verify(bundle, None) {
            Ok(signature) => {
                let SigstoreSignature {
                    identity,
                    times,
                    content,
                    ..
                } = signature.into_inner();
                let identity = identity.unwrap_or_else(|| Identity::named("(no name in the certificate)"));
                (keyless(identity, times.first().copied(), trust), Some(content))
            }
            Err(error) => (refuted(&error), bundle.content().ok()),
        };
    };
    let candidates = match candidates(hint, trust) {
        Ok(candidates) => candidates,
        Err(unknown) => return (unknown, bundle.content().ok()),
    };
    if !bundle.is_logged() {
        return match bundle.content() {
            Ok(Content::Envelope(envelope)) => {
                let signed = verify_with(&envelope, &candidates, 1);
                (signed, Some(Content::Envelope(envelope)))
            }
            Ok(content) => (
                Signed::not(Standing::Refuted, "no transparency log vouches for it"),
                Some(content),
            ),
            Err(error) => (refuted(&error), None),
        };
    }
    let mut last = None;
    for (key, plain) in candidates {
        match trust.sigstore.verify(bundle, Some(plain)) {
            Ok(signature) => {
                let signature = signature.into_inner();
                let when = signature.times.first().copied();
                let signed = within_window(
                    key,
                    &plain.fingerprint().to_hex(),
                    when,
                    "a transparency log has seen it",
                );
                return (signed, Some(signature.content));
            }
            Err(error) => last = Some(error),
        }
    }
    let note = last.map_or_else(String::new, |error| error.to_string());
    (Signed::not(Standing::Refuted, note), bundle.content().ok())
}

/// Verifies the envelope of a bundle that names its key and nothing else.
pub(super) fn verify_key_bundle(hint: &str, envelope: &Envelope, trust: &Trust) -> Signed {
    match candidates(hint, trust) {
        Ok(candidates) => verify_with(envelope, &candidates, 1),
        Err(unknown) => unknown,
    }
}

/// The keys that a bundle's hint may mean.
fn candidates<'a>(hint: &str, trust: &'a Trust) -> Result<Vec<(&'a TrustedKey, &'a PublicKey)>, Signed> {
    let known = npm::registry_keys().iter().chain(&trust.keys);
    let plain: Vec<(&TrustedKey, &PublicKey)> = known
        .filter_map(|key| match &key.material {
            KeyMaterial::Plain(plain) => Some((key, plain)),
            _ => None,
        })
        .collect();
    // A hint names no key for sure, so where it fits none, each is tried.
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
        let note = format!("it was signed with the key {hint:?}, which is not known here");
        return Err(Signed::not(Standing::Unchecked, note));
    }
    Ok(candidates)
}

fn refuted(error: &dyn std::fmt::Display) -> Signed {
    Signed::not(Standing::Refuted, error.to_string())
}

fn keyless(identity: Identity, when: Option<Timestamp>, trust: &Trust) -> Signed {
    let name = identity.to_string();
    if !trust.identities.is_empty() && !trust.identities.iter().any(|wanted| wanted.fits(&identity)) {
        let wanted: Vec<_> = trust.identities.iter().map(ToString::to_string).collect();
        return Signed::not(
            Standing::Refuted,
            format!(
                "the signature is good, but by {name}, where {} was expected",
                wanted.join(" or ")
            ),
        );
    }
    let named = trust.names(&identity);
    let note = if named {
        "certificate, log and time are good, and it is who was expected"
    } else {
        "certificate, log and time are good; nothing said beforehand who should have signed"
    };
    let signer = Signer {
        name,
        identity: Some(identity),
        fingerprints: Vec::new(),
        keys: Vec::new(),
        named,
    };
    Signed::by(signer, when, note)
}

/// A good signature of `key`, which counts only for so long.
fn within_window(key: &TrustedKey, fingerprint: &str, when: Option<Timestamp>, note: &str) -> Signed {
    let moment = when.unwrap_or_else(Timestamp::now);
    if let Some(reason) = key.refusal(moment) {
        let reason = match when {
            Some(_) => reason,
            None => format!("{reason}, and nothing shows that the signature is older"),
        };
        return Signed::not(Standing::Refuted, reason);
    }
    let signer = Signer {
        name: key.name.clone(),
        identity: None,
        fingerprints: vec![format!("sha256:{fingerprint}")],
        keys: vec![key.name.clone()],
        named: key.name != npm::SIGNER,
    };
    Signed::by(signer, when, note)
}

pub(super) fn verify_envelope(envelope: &Envelope, trust: &Trust) -> Signed {
    let keys = trust.plain_keys();
    if keys.is_empty() {
        let names: Vec<_> = envelope
            .signatures
            .iter()
            .map(|(keyid, _)| format!("{keyid:?}"))
            .collect();
        let note = format!(
            "it was signed with plain keys ({}), and none was named to check them with",
            if names.is_empty() {
                "none at all".to_owned()
            } else {
                names.join(", ")
            }
        );
        return Signed::not(Standing::Unchecked, note);
    }
    verify_with(envelope, &keys, trust.threshold)
}

fn verify_with(envelope: &Envelope, keys: &[(&TrustedKey, &PublicKey)], threshold: usize) -> Signed {
    over_message(
        &envelope.pre_authentication(),
        &envelope.signatures,
        keys,
        threshold,
    )
}

/// Verifies signatures by plain keys over bytes of their own, such as those of in-toto links.
pub(super) fn verify_message(message: &[u8], signatures: &[(String, Vec<u8>)], trust: &Trust) -> Signed {
    let keys = trust.plain_keys();
    if keys.is_empty() {
        return Signed::not(Standing::Unchecked, "no plain key was named to check it with");
    }
    over_message(message, signatures, &keys, 1)
}

fn over_message(
    message: &[u8],
    signatures: &[(String, Vec<u8>)],
    keys: &[(&TrustedKey, &PublicKey)],
    threshold: usize,
) -> Signed {
    let now = Timestamp::now();
    let alive: Vec<_> = keys
        .iter()
        .filter(|(key, _)| key.refusal(now).is_none())
        .collect();
    let plain: Vec<_> = alive.iter().map(|(_, plain)| *plain).collect();
    match dsse::signers(message, signatures, &plain, threshold) {
        Ok(signers) => {
            let signers = || signers.iter().filter_map(|at| alive.get(*at));
            let names: Vec<_> = signers().map(|(key, _)| key.name.clone()).collect();
            let signer = Signer {
                name: names.join(", "),
                named: names.iter().all(|name| name != npm::SIGNER),
                keys: names,
                identity: None,
                fingerprints: signers()
                    .map(|(_, plain)| format!("sha256:{}", plain.fingerprint()))
                    .collect(),
            };
            Signed::by(
                signer,
                None,
                "the signature is good; no log or timestamp shows when it was made",
            )
        }
        Err(error) => {
            let expired: Vec<_> = keys.iter().filter_map(|(key, _)| key.refusal(now)).collect();
            let expired = if expired.is_empty() {
                String::new()
            } else {
                format!("; {}", expired.join("; "))
            };
            Signed::not(Standing::Refuted, format!("{error}{expired}"))
        }
    }
}

fn open(artifact: &Artifact) -> Result<File, Signed> {
    let path = artifact.path.as_ref().ok_or_else(|| {
        Signed::not(
            Standing::Unchecked,
            "the artifact's bytes are not here to check it over",
        )
    })?;
    File::open(path)
        .map_err(|error| Signed::not(Standing::Unchecked, format!("cannot read the artifact: {error}")))
}

fn in_memory(artifact: &Artifact) -> Result<Vec<u8>, Signed> {
    let mut bytes = Vec::new();
    open(artifact)?
        .take(MEMORY_LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Signed::not(Standing::Unchecked, format!("cannot read the artifact: {error}")))?;
    if bytes.len() as u64 > MEMORY_LIMIT {
        let note = "the artifact is too large for a signature that must be checked over it whole";
        return Err(Signed::not(Standing::Unchecked, note));
    }
    Ok(bytes)
}

fn good_key(key: &TrustedKey, note: String) -> Signed {
    if let Some(reason) = key.refusal(Timestamp::now()) {
        return Signed::not(Standing::Refuted, reason);
    }
    let signer = Signer {
        name: key.name.clone(),
        identity: None,
        fingerprints: key.fingerprints(),
        keys: vec![key.name.clone()],
        named: key.name != npm::SIGNER,
    };
    Signed::by(signer, None, note)
}

pub(super) fn openpgp_detached(signature: &[u8], artifact: &Artifact, trust: &Trust) -> Signed {
    let mut reasons = Vec::new();
    for key in &trust.keys {
        let KeyMaterial::OpenPgp(keyring) = &key.material else {
            continue;
        };
        let file = match open(artifact) {
            Ok(file) => file,
            Err(signed) => return signed,
        };
        match keyring.verify_detached(&artifact.name, signature, file) {
            Ok(signers) => return good_key(key, format!("the signature is good, by {}", signers.join(", "))),
            Err(error) => reasons.push(error.to_string()),
        }
    }
    if reasons.is_empty() {
        return match openpgp::issuers(&artifact.name, signature) {
            Ok(issuers) => Signed::not(
                Standing::Unchecked,
                format!("it names the key {}, which is not known here", issuers.join(", ")),
            ),
            Err(error) => refuted(&error),
        };
    }
    Signed::not(Standing::Refuted, reasons.join("; "))
}

/// Verifies an inline-signed text with the trusted certificates; second, the text, even where nobody vouches for it.
pub(super) fn verify_inline(text: &[u8], trust: &Trust, what: &str) -> (Signed, Vec<u8>) {
    let mut reasons = Vec::new();
    for key in &trust.keys {
        if let KeyMaterial::OpenPgp(keyring) = &key.material {
            match keyring.verify(what, text) {
                Ok(signed) => {
                    let note = format!("the signature is good, by {}", signed.signers.join(", "));
                    return (good_key(key, note), signed.into_inner().text);
                }
                Err(error) => reasons.push(error.to_string()),
            }
        }
    }
    match openpgp::read_unverified(what, text) {
        Err(error) => (refuted(&error), Vec::new()),
        Ok((content, issuers)) if reasons.is_empty() => {
            let note = format!("it names the key {}, which is not known here", issuers.join(", "));
            (Signed::not(Standing::Unchecked, note), content)
        }
        Ok((content, _)) => (Signed::not(Standing::Refuted, reasons.join("; ")), content),
    }
}

pub(super) fn minisign(signature: &minisign_verify::Signature, artifact: &Artifact, trust: &Trust) -> Signed {
    let keys = trust.keys.iter().filter_map(|key| match &key.material {
        KeyMaterial::Minisign(public, _) => Some((key, public)),
        _ => None,
    });
    let mut result = Signed::not(Standing::Unchecked, "no minisign key was named to check it with");
    for (key, public) in keys {
        match minisign_with(public, signature, artifact) {
            Ok(()) => {
                let comment = signature.trusted_comment();
                // The comment is signed too, and says which file was meant.
                let named = named_in(comment);
                if let Some(other) = named.filter(|name| *name != artifact.name) {
                    let note = format!(
                        "the signature is good, but its signed comment says that it is for {other:?}, not {:?}",
                        artifact.name
                    );
                    return Signed::not(Standing::Elsewhere, note);
                }
                return good_key(
                    key,
                    format!("the signature is good; its signed comment: {comment}"),
                );
            }
            Err(signed) => result = signed,
        }
    }
    result
}

/// The file that a trusted comment names, as minisign writes it: `timestamp:…<tab>file:NAME<tab>hashed`.
fn named_in(comment: &str) -> Option<&str> {
    let tabbed = comment.contains('\t');
    let (_, rest) = comment.match_indices("file").find_map(|(at, _)| {
        comment[at..]
            .split_once(':')
            .filter(|(word, _)| matches!(word.trim_end(), "file" | "filename" | "file name"))
    })?;
    let name = rest.trim_start();
    let name = if tabbed {
        name.split('\t').next()
    } else {
        name.split(' ').next()
    };
    let name = name?.trim().trim_matches(['"', '\'']);
    name.rsplit('/').next()
}

fn minisign_with(
    public: &minisign_verify::PublicKey,
    signature: &minisign_verify::Signature,
    artifact: &Artifact,
) -> Result<(), Signed> {
    let bad = |error: minisign_verify::Error| Signed::not(Standing::Refuted, format!("minisign: {error}"));
    if let Ok(mut verifier) = public.verify_stream(signature) {
        let mut file = open(artifact)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return verifier.finalize().map_err(bad),
                Ok(count) => verifier.update(buffer.get(..count).unwrap_or_default()),
                Err(error) => {
                    return Err(Signed::not(
                        Standing::Unchecked,
                        format!("cannot read the artifact: {error}"),
                    ));
                }
            }
        }
    }
    // The older form is over the bytes themselves, which takes them whole.
    public.verify(&in_memory(artifact)?, signature, true).map_err(bad)
}

pub(super) fn ssh(signature: &ssh_key::SshSig, artifact: &Artifact, trust: &Trust) -> Signed {
    // Signatures made for other purposes (git commits, e-mail) must not pass for releases.
    if signature.namespace() != "file" {
        return Signed::not(
            Standing::Refuted,
            format!(
                "it was made for the purpose {:?}, not for a file",
                signature.namespace()
            ),
        );
    }
    let keys = trust.keys.iter().filter_map(|key| match &key.material {
        KeyMaterial::Ssh(public) => Some((key, public)),
        _ => None,
    });
    let bytes = match in_memory(artifact) {
        Ok(bytes) => bytes,
        Err(signed) => return signed,
    };
    let own = ssh_key::PublicKey::new(signature.public_key().clone(), "");
    let own = own.fingerprint(ssh_key::HashAlg::Sha256);
    let mut result = Signed::not(
        Standing::Unchecked,
        format!("it was made with the key {own}, which is not known here"),
    );
    for (key, public) in keys {
        match public.verify("file", &bytes, signature) {
            Ok(()) => return good_key(key, "the signature is good".to_owned()),
            Err(error) => {
                result = Signed::not(
                    Standing::Refuted,
                    format!("SSH: {error} (it was made with {own})"),
                );
            }
        }
    }
    result
}
