//! OpenPGP and SSH signatures, over a file's bytes or around a text.

use std::fs::File;
use std::io::Read as _;

use super::{good_key, refuted, unverifiable};
use crate::evidence::assessment::Artifact;
use crate::evidence::openpgp::{OpenPgpError, SignedText};
use crate::evidence::trust::{KeyMaterial, Trust};
use crate::evidence::{Proof, Unproven, Verified, openpgp};

/// Maximum number of bytes of an artifact that are read into memory, for signatures that cannot be verified in a
/// stream.
const MEMORY_LIMIT: u64 = 512 << 20;

pub(super) fn unreadable(error: &std::io::Error) -> Unproven {
    Unproven::Unverifiable(format!("cannot read the artifact: {error}"))
}

pub(super) fn open(artifact: &Artifact) -> Result<File, Unproven> {
    let path = artifact.path.as_ref();
    let path =
        path.ok_or_else(|| unverifiable("the artifact itself is not available to verify it against"))?;
    File::open(path).map_err(|error| unreadable(&error))
}

pub(super) fn in_memory(artifact: &Artifact) -> Result<Vec<u8>, Unproven> {
    let mut bytes = Vec::new();
    open(artifact)?
        .take(MEMORY_LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > MEMORY_LIMIT {
        return Err(unverifiable(
            "the artifact is too large for this kind of signature, which is verified in memory",
        ));
    }
    Ok(bytes)
}

pub(in crate::evidence::assess) fn openpgp_detached(
    signature: &[u8],
    artifact: &Artifact,
    trust: &Trust,
) -> Proof {
    let (mut reasons, mut over_text) = (Vec::new(), None);
    for key in &trust.keys {
        let KeyMaterial::OpenPgp(keyring) = &key.material else {
            continue;
        };
        match keyring.verify_detached(&artifact.name, signature, open(artifact)?) {
            Ok(signers) => return good_key(key, format!("the signature is good, by {}", signers.join(", "))),
            Err(error @ OpenPgpError::OverText { .. }) => over_text = Some(error.to_string()),
            // Another certificate than this one made the signature.
            Err(error) if error.is_unknown_key() => {}
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
    Unproven::Unverifiable(format!("it names the key {names}, which is not trusted here"))
}

/// Verifies an inline-signed text with the trusted certificates; also returns the text, even if no signature verifies.
pub(in crate::evidence::assess) fn verify_inline(text: &[u8], trust: &Trust, what: &str) -> (Proof, Vec<u8>) {
    let mut reasons = Vec::new();
    for key in &trust.keys {
        if let KeyMaterial::OpenPgp(keyring) = &key.material {
            match keyring.verify(what, text) {
                Ok(Verified(SignedText { text, signers })) => {
                    let note = format!("the signature is good, by {}", signers.join(", "));
                    return (good_key(key, note), text);
                }
                Err(error) if error.is_unknown_key() => {}
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

pub(in crate::evidence::assess) fn ssh(
    signature: &ssh_key::SshSig,
    artifact: &Artifact,
    trust: &Trust,
) -> Proof {
    // Signatures made for other purposes (git commits, e-mail) must not pass for releases.
    if signature.namespace() != "file" {
        return Err(Unproven::Invalid(format!(
            "it was made for the purpose {:?}, not for files",
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
    let note = format!("it was made with the key {own}, which is not trusted here");
    let mut last = Unproven::Unverifiable(note);
    // The signature carries its key; if another key made it, that says nothing about this one.
    for (key, public) in keys.filter(|(_, public)| public.key_data() == signature.public_key()) {
        match public.verify("file", &bytes, signature) {
            Ok(()) => return good_key(key, "the signature is good".to_owned()),
            Err(error) => last = Unproven::Invalid(format!("SSH: {error} (it was made with {own})")),
        }
    }
    Err(last)
}
