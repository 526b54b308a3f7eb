//! Whether a signature is good, and whose it is; what it is about is not asked here.

use std::fs::File;
use std::io::Read;

use jiff::Timestamp;

use super::Artifact;
use crate::evidence::dsse::{self, Envelope};
use crate::evidence::hash_list::{is_plain_path, warning};
use crate::evidence::openpgp::{OpenPgpError, SignedText};
use crate::evidence::sigstore::{CertifiedSignature, Content, SigstoreSignature, Unverified};
use crate::evidence::trust::{KeyMaterial, PublicKey, Trust, TrustedKey};
use crate::evidence::{Proof, Signature, Signer, Unproven, Verified, npm, openpgp};

/// Most bytes of an artifact that are read into memory, for signatures that cannot be checked in a stream.
const MEMORY_LIMIT: u64 = 512 << 20;

/// Verifies a bundle; second, what it is a signature over, even if that does not verify.
pub(super) fn verify_bundle(bundle: &Unverified, trust: &Trust) -> (Proof, Option<Content>) {
    let Some(hint) = bundle.key_hint() else {
        return match trust.sigstore.verify_certificate(bundle) {
            Ok(certified) => (keyless(&certified, trust), Some(certified.0.signature.content)),
            Err(error) => (Err(refuted(&error)), bundle.content().ok()),
        };
    };
    let candidates = match candidates(hint, trust) {
        Ok(candidates) => candidates,
        Err(unknown) => return (Err(unknown), bundle.content().ok()),
    };
    if !bundle.is_logged() {
        return match bundle.content() {
            Ok(Content::Envelope(envelope)) => {
                let proof = verify_with(&envelope, &candidates, 1);
                (proof, Some(Content::Envelope(envelope)))
            }
            Ok(content) => {
                let note = "no transparency log vouches for it".to_owned();
                (Err(Unproven::Invalid(note)), Some(content))
            }
            Err(error) => (Err(refuted(&error)), None),
        };
    }
    let mut last = None;
    for (key, plain) in candidates {
        match trust.sigstore.verify_key(bundle, plain) {
            Ok(signature) => return (logged(key, plain, &signature), Some(signature.0.content)),
            Err(error) => last = Some(error),
        }
    }
    let note = last.map_or_else(String::new, |error| error.to_string());
    (Err(Unproven::Invalid(note)), bundle.content().ok())
}

/// Verifies the envelope of a bundle that names its key and nothing else.
pub(super) fn verify_key_bundle(hint: &str, envelope: &Envelope, trust: &Trust) -> Proof {
    match candidates(hint, trust) {
        Ok(candidates) => verify_with(envelope, &candidates, 1),
        Err(unknown) => Err(unknown),
    }
}

/// The keys that a bundle's hint may mean.
fn candidates<'a>(hint: &str, trust: &'a Trust) -> Result<Vec<(&'a TrustedKey, &'a PublicKey)>, Unproven> {
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
        return Err(Unproven::Unverifiable(note));
    }
    Ok(candidates)
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
            "the signature is good, but by {name}, where {} was expected",
            wanted.join(" or ")
        )));
    }
    let named = trust.names(identity);
    let note = if named {
        "certificate, log and time are good, and it is who was expected"
    } else {
        "certificate, log and time are good; nothing said beforehand who should have signed"
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
        note: note.to_owned(),
    }))
}

/// A logged signature of `key`, which counts only for so long.
fn logged(key: &TrustedKey, plain: &PublicKey, signature: &Verified<SigstoreSignature>) -> Proof {
    let when = signature.first_seen;
    if let Some(reason) = key.refusal(when.unwrap_or_else(Timestamp::now)) {
        return Err(Unproven::Invalid(match when {
            Some(_) => reason,
            None => format!("{reason}, and nothing shows that the signature is older"),
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
        note: "a transparency log has seen it".to_owned(),
    }))
}

pub(super) fn verify_envelope(envelope: &Envelope, trust: &Trust) -> Proof {
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
        return Err(Unproven::Unverifiable(note));
    }
    verify_with(envelope, &keys, trust.threshold)
}

fn verify_with(envelope: &Envelope, keys: &[(&TrustedKey, &PublicKey)], threshold: usize) -> Proof {
    over_message(
        &envelope.pre_authentication(),
        &envelope.signatures,
        keys,
        threshold,
    )
}

/// Verifies signatures by plain keys over bytes of their own, such as those of in-toto links.
pub(super) fn verify_message(message: &[u8], signatures: &[(String, Vec<u8>)], trust: &Trust) -> Proof {
    let keys = trust.plain_keys();
    if keys.is_empty() {
        return Err(unverifiable("no plain key was named to check it with"));
    }
    over_message(message, signatures, &keys, 1)
}

fn over_message(
    message: &[u8],
    signatures: &[(String, Vec<u8>)],
    keys: &[(&TrustedKey, &PublicKey)],
    threshold: usize,
) -> Proof {
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
            Ok(Verified(Signature {
                signer: Signer {
                    name: names.join(", "),
                    named: names.iter().all(|name| name != npm::SIGNER),
                    keys: names,
                    identity: None,
                    fingerprints: signers()
                        .map(|(_, plain)| format!("sha256:{}", plain.fingerprint()))
                        .collect(),
                },
                when: None,
                note: "the signature is good; no log or timestamp shows when it was made".to_owned(),
            }))
        }
        Err(error) => {
            let expired: Vec<_> = keys.iter().filter_map(|(key, _)| key.refusal(now)).collect();
            let expired = if expired.is_empty() {
                String::new()
            } else {
                format!("; {}", expired.join("; "))
            };
            Err(Unproven::Invalid(format!("{error}{expired}")))
        }
    }
}

fn unverifiable(note: &str) -> Unproven {
    Unproven::Unverifiable(note.to_owned())
}

fn unreadable(error: &std::io::Error) -> Unproven {
    Unproven::Unverifiable(format!("cannot read the artifact: {error}"))
}

fn open(artifact: &Artifact) -> Result<File, Unproven> {
    let path = artifact.path.as_ref();
    let path = path.ok_or_else(|| unverifiable("the artifact's bytes are not here to check it over"))?;
    File::open(path).map_err(|error| unreadable(&error))
}

fn in_memory(artifact: &Artifact) -> Result<Vec<u8>, Unproven> {
    let mut bytes = Vec::new();
    open(artifact)?
        .take(MEMORY_LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > MEMORY_LIMIT {
        return Err(unverifiable(
            "the artifact is too large for a signature that must be checked over it whole",
        ));
    }
    Ok(bytes)
}

/// A good signature of `key`, of which nothing shows when it was made.
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

pub(super) fn openpgp_detached(signature: &[u8], artifact: &Artifact, trust: &Trust) -> Proof {
    let (mut reasons, mut over_text) = (Vec::new(), None);
    for key in &trust.keys {
        let KeyMaterial::OpenPgp(keyring) = &key.material else {
            continue;
        };
        match keyring.verify_detached(&artifact.name, signature, open(artifact)?) {
            Ok(signers) => return good_key(key, format!("the signature is good, by {}", signers.join(", "))),
            Err(error @ OpenPgpError::OverText { .. }) => over_text = Some(error.to_string()),
            Err(error) => reasons.push(error.to_string()),
        }
    }
    if let Some(note) = over_text {
        return Err(Unproven::Unverifiable(note));
    }
    if reasons.is_empty() {
        let issuers = openpgp::issuers(&artifact.name, signature).map_err(|error| refuted(&error))?;
        return Err(unknown_key(&issuers));
    }
    Err(Unproven::Invalid(reasons.join("; ")))
}

fn unknown_key(issuers: &[String]) -> Unproven {
    let names = issuers.join(", ");
    Unproven::Unverifiable(format!("it names the key {names}, which is not known here"))
}

/// Verifies an inline-signed text with the trusted certificates; second, the text, even where nobody vouches for it.
pub(super) fn verify_inline(text: &[u8], trust: &Trust, what: &str) -> (Proof, Vec<u8>) {
    let mut reasons = Vec::new();
    for key in &trust.keys {
        if let KeyMaterial::OpenPgp(keyring) = &key.material {
            match keyring.verify(what, text) {
                Ok(Verified(SignedText { text, signers })) => {
                    let note = format!("the signature is good, by {}", signers.join(", "));
                    return (good_key(key, note), text);
                }
                Err(error) => reasons.push(error.to_string()),
            }
        }
    }
    match openpgp::read_unverified(what, text) {
        Err(error) => (Err(refuted(&error)), Vec::new()),
        Ok((content, issuers)) if reasons.is_empty() => (Err(unknown_key(&issuers)), content),
        Ok((content, _)) => (Err(Unproven::Invalid(reasons.join("; "))), content),
    }
}

pub(super) fn minisign(signature: &minisign_verify::Signature, artifact: &Artifact, trust: &Trust) -> Proof {
    let keys = trust.keys.iter().filter_map(|key| match &key.material {
        KeyMaterial::Minisign(public, _) => Some((key, public)),
        _ => None,
    });
    let mut last = unverifiable("no minisign key was named to check it with");
    for (key, public) in keys {
        match minisign_with(public, signature, artifact) {
            Ok(Verified(comment)) => return commented(key, comment, &artifact.name),
            Err(unproven) => last = unproven,
        }
    }
    Err(last)
}

/// A good minisign signature, by what its comment says: that is signed too, and says which file was meant; or anything
/// else.
fn commented(key: &TrustedKey, comment: &str, file: &str) -> Proof {
    match comment_on(comment, file) {
        Comment::Usual => good_key(
            key,
            format!("the signature is good; its signed comment: {comment}"),
        ),
        Comment::Another(other) => Err(Unproven::SubjectMismatch(format!(
            "the signature is good, but its signed comment says that it is for {other:?}, not {file:?}"
        ))),
        Comment::Free => Err(Unproven::Unverifiable(format!(
            "the signature is good, but its signed comment says what only people understand: {comment:?}"
        ))),
    }
}

/// What the trusted comment of a minisign signature says of a file.
#[derive(Debug, PartialEq, Eq)]
enum Comment<'a> {
    /// Nothing, or that it was meant.
    Usual,
    /// That another file was meant.
    Another(&'a str),
    /// Something else.
    Free,
}

/// Reads a trusted comment in the forms that programs write, and no other: `timestamp:SECONDS<tab>file:NAME<tab>hashed`,
/// "signature from minisign secret key", the file's name, or nothing.
fn comment_on<'a>(comment: &'a str, file: &str) -> Comment<'a> {
    let tools = ["minisign", "rsign", "rsign2", "signify", "zig"];
    let from_key = |text: &str| {
        let tool = text
            .strip_prefix("signature from ")
            .and_then(|rest| rest.strip_suffix(" secret key"));
        tool.is_some_and(|tool| tools.contains(&tool))
    };
    if comment.is_empty() || comment == file || from_key(comment) {
        return Comment::Usual;
    }
    let (mut when, mut name, mut how) = (None, None, None);
    for part in comment.split('\t') {
        let (label, value) = part.split_once(':').unwrap_or((part, ""));
        // Each once, and in this order.
        let (slot, good) = match label {
            "timestamp" => {
                let good =
                    !value.is_empty() && value.len() <= 20 && value.bytes().all(|c| c.is_ascii_digit());
                (&mut when, good && name.is_none() && how.is_none())
            }
            "file" | "filename" | "file name" => (&mut name, !value.trim().is_empty() && how.is_none()),
            "hashed" | "prehashed" => (&mut how, label == part && name.is_some()),
            _ => return Comment::Free,
        };
        if !good || slot.replace(value).is_some() {
            return Comment::Free;
        }
    }
    let Some(name) = name else {
        return Comment::Usual;
    };
    let name = name.trim().trim_matches(['"', '\'']);
    let path = name.strip_prefix("./").unwrap_or(name);
    let (folder, own) = path.rsplit_once('/').unwrap_or(("", path));
    if own != file {
        Comment::Another(name)
    } else if is_plain_path(path) && warning(folder).is_none() {
        Comment::Usual
    } else {
        Comment::Free
    }
}

/// Verifies with one key; gives the signed comment. The steps are those of minisign's signature format
/// (jedisct1.github.io/minisign).
fn minisign_with<'a>(
    public: &minisign_verify::PublicKey,
    signature: &'a minisign_verify::Signature,
    artifact: &Artifact,
) -> Result<Verified<&'a str>, Unproven> {
    let bad = |error: minisign_verify::Error| Unproven::Invalid(format!("minisign: {error}"));
    // 1. "key_id: 8 random bytes, matching the public key": the library refuses another one.
    // 2. "signature (prehashed): ed25519(Blake2b-512(<file data>))", in a stream.
    if let Ok(mut verifier) = public.verify_stream(signature) {
        let mut file = open(artifact)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => {
                    // 3. "global_signature: ed25519(<signature> || <trusted_comment>)": the library verifies both.
                    verifier.finalize().map_err(bad)?;
                    return Ok(Verified(signature.trusted_comment()));
                }
                Ok(count) => verifier.update(buffer.get(..count).unwrap_or_default()),
                Err(error) => return Err(unreadable(&error)),
            }
        }
    }
    // 2. "signature (legacy): ed25519(<file data>)": over the bytes themselves, which takes them whole; then 3.
    let bytes = in_memory(artifact)?;
    public.verify(&bytes, signature, true).map_err(bad)?;
    Ok(Verified(signature.trusted_comment()))
}

pub(super) fn ssh(signature: &ssh_key::SshSig, artifact: &Artifact, trust: &Trust) -> Proof {
    // Signatures made for other purposes (git commits, e-mail) must not pass for releases.
    if signature.namespace() != "file" {
        return Err(Unproven::Invalid(format!(
            "it was made for the purpose {:?}, not for a file",
            signature.namespace()
        )));
    }
    let keys = trust.keys.iter().filter_map(|key| match &key.material {
        KeyMaterial::Ssh(public) => Some((key, public)),
        _ => None,
    });
    let bytes = in_memory(artifact)?;
    let own = ssh_key::PublicKey::new(signature.public_key().clone(), "");
    let own = own.fingerprint(ssh_key::HashAlg::Sha256);
    let note = format!("it was made with the key {own}, which is not known here");
    let mut last = Unproven::Unverifiable(note);
    for (key, public) in keys {
        match public.verify("file", &bytes, signature) {
            Ok(()) => return good_key(key, "the signature is good".to_owned()),
            Err(error) => last = Unproven::Invalid(format!("SSH: {error} (it was made with {own})")),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trusted_comment_says_which_file_was_meant_or_nothing() {
        for comment in [
            "",
            "tool",
            "signature from minisign secret key",
            "signature from rsign secret key",
            "timestamp:1732540000",
            "timestamp:1732540000\tfile:tool",
            "timestamp:1732540000\tfile:tool\thashed",
            "timestamp:1732540000\tfile:tool\tprehashed",
            "timestamp:1732540000\tfile:dist/tool\thashed",
            "timestamp:1\tfile:./tool",
            "file: tool",
            "filename:\"tool\"",
        ] {
            assert_eq!(comment_on(comment, "tool"), Comment::Usual, "{comment:?}");
        }
        for (comment, other) in [
            ("timestamp:1\tfile:tool-vulnerable\thashed", "tool-vulnerable"),
            ("file: other", "other"),
            ("file:tool is malware", "tool is malware"),
            ("filename:\"dist/other\"", "dist/other"),
            ("file:tool/", "tool/"),
        ] {
            assert_eq!(
                comment_on(comment, "tool"),
                Comment::Another(other),
                "{comment:?}"
            );
        }
        for comment in [
            "THIS IS MALWARE, DO NOT USE",
            "malware",
            "tool is malware",
            "tool tool",
            "Tool",
            "signature from a stolen secret key",
            "signature from minisign secret key, which was stolen",
            "timestamp:now",
            "timestamp:",
            "timestamp:1 revoked\tfile:tool",
            "timestamp:1\tfile:tool\thashed\trevoked",
            "timestamp:1\tfile:tool\thashed:no",
            "timestamp:1\tfile:tool\tfile:tool",
            "timestamp:1\tfile:tool\tfile:other",
            "timestamp:1\tstatus:revoked\tfile:tool",
            "file:tool\ttimestamp:1",
            "timestamp:1\tfile:known-malware/tool\thashed",
            "timestamp:1\tfile:DO NOT USE/tool",
            "file:",
            "hashed",
        ] {
            assert_eq!(comment_on(comment, "tool"), Comment::Free, "{comment:?}");
        }
    }
}
