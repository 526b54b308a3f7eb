//! Signatures by plain keys, which evidence may name.

use jiff::Timestamp;

use super::{unsigned, unverifiable};
use crate::evidence::dsse::{self, DsseError, Envelope};
use crate::evidence::trust::{PublicKey, Trust, TrustedKey};
use crate::evidence::{Proof, Signature, Signer, Unproven, Verified, npm};

/// The same proof, except that a signature which names an unknown key is unverifiable rather than invalid.
pub(super) fn unless_unknown(proof: Proof, hint: &str, candidates: &[(&TrustedKey, &PublicKey)]) -> Proof {
    let is_known = hint.is_empty() || candidates.iter().any(|(_, key)| key.is_called(hint));
    match proof {
        Err(Unproven::Invalid(_)) if !is_known => Err(unknown_key(&[hint])),
        proof => proof,
    }
}

pub(super) fn unknown_key(names: &[&str]) -> Unproven {
    let names: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
    unverifiable(&format!(
        "it is signed with the key {}, which is not trusted here",
        names.join(", ")
    ))
}

pub(super) fn verify_with(
    envelope: &Envelope,
    keys: &[(&TrustedKey, &PublicKey)],
    threshold: usize,
) -> Proof {
    over_message(
        &envelope.pre_authentication(),
        &envelope.signatures,
        keys,
        threshold,
    )
}

/// Verifies signatures by plain keys over bytes that are not in an envelope, such as those of in-toto links.
pub(in crate::evidence::assess) fn verify_message(
    message: &[u8],
    signatures: &[(String, Vec<u8>)],
    trust: &Trust,
) -> Proof {
    let keys = trust.plain_keys();
    if keys.is_empty() && !signatures.is_empty() {
        return Err(unverifiable("no plain key was given to verify it with"));
    }
    over_message(message, signatures, &keys, 1)
}

pub(super) fn over_message(
    message: &[u8],
    signatures: &[(String, Vec<u8>)],
    keys: &[(&TrustedKey, &PublicKey)],
    threshold: usize,
) -> Proof {
    // Nobody signed it, so no key shows anything about it.
    if signatures.is_empty() {
        return Err(unsigned());
    }
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
                note: "the signature is good; no log or timestamp proves when it was made".to_owned(),
            }))
        }
        // The signer may be unknown here, so nothing shows that the signature is wrong.
        Err(DsseError::Threshold { good: 0, .. }) if strangers(signatures, keys) => {
            let names: Vec<_> = signatures.iter().map(|(name, _)| name.as_str()).collect();
            Err(unknown_key(&names))
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

/// Whether each signature names a key, and none of these keys.
fn strangers(signatures: &[(String, Vec<u8>)], keys: &[(&TrustedKey, &PublicKey)]) -> bool {
    let is_known = |name: &String| name.is_empty() || keys.iter().any(|(_, key)| key.is_called(name));
    !signatures.iter().any(|(name, _)| is_known(name))
}
