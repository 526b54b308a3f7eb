//! Signatures in in-toto's own form and in envelopes: by plain keys, or OpenPGP's.

use super::plain::{unknown_key, verify_message};
use super::{good_key, unverifiable};
use crate::evidence::link::Link;
use crate::evidence::openpgp::Keyring;
use crate::evidence::openpgp::in_toto::JsonSignature;
use crate::evidence::trust::{KeyMaterial, Trust, TrustedKey};
use crate::evidence::{Proof, Unproven};

/// Verifies a link; one good signature is enough.
pub(super) fn verify_link(link: &Link, trust: &Trust) -> Proof {
    with_openpgp(
        (&link.signed, &link.openpgp),
        !link.signatures.is_empty(),
        trust,
        || verify_message(&link.signed, &link.signatures, trust),
    )
}

/// Verifies something that OpenPGP may have signed, beside plain keys.
pub(super) fn with_openpgp(
    (message, openpgp): (&[u8], &[JsonSignature]),
    has_plain: bool,
    trust: &Trust,
    by_plain_keys: impl Fn() -> Proof,
) -> Proof {
    if openpgp.is_empty() {
        return by_plain_keys();
    }
    let unproven = match by_certificates(message, openpgp, trust) {
        Err(unproven) if has_plain => unproven,
        proof => return proof,
    };
    match by_plain_keys() {
        // What does not verify counts more than what nobody here can verify.
        Err(Unproven::Unverifiable(_)) if matches!(unproven, Unproven::Invalid(_)) => Err(unproven),
        proof => proof,
    }
}

fn by_certificates(message: &[u8], openpgp: &[JsonSignature], trust: &Trust) -> Proof {
    let (mut reasons, mut unsupported) = (Vec::new(), None);
    for (key, keyring) in keyrings(trust) {
        for signature in openpgp.iter().filter(|it| keyring.holds(&it.keyid)) {
            if let Some(reason) = signature.unsupported() {
                unsupported = Some(reason);
                continue;
            }
            match signature.by_certificate(keyring, message) {
                Ok(signers) => {
                    return good_key(key, format!("the signature is good, by {}", signers.join(", ")));
                }
                Err(error) => reasons.push(error.to_string()),
            }
        }
    }
    if !reasons.is_empty() {
        return Err(Unproven::Invalid(reasons.join("; ")));
    }
    let names: Vec<_> = openpgp.iter().map(|it| it.keyid.as_str()).collect();
    Err(match unsupported {
        Some(reason) => unverifiable(&format!("its OpenPGP signature cannot be verified: {reason}")),
        None => unknown_key(&names),
    })
}

/// Whether one of these OpenPGP signatures names one of the trusted certificates.
pub(super) fn openpgp_names_one_of(openpgp: &[JsonSignature], trust: &Trust) -> bool {
    keyrings(trust).any(|(_, keyring)| openpgp.iter().any(|it| keyring.holds(&it.keyid)))
}

fn keyrings(trust: &Trust) -> impl Iterator<Item = (&TrustedKey, &Keyring)> {
    trust.keys.iter().filter_map(|key| match &key.material {
        KeyMaterial::OpenPgp(keyring) => Some((key, keyring)),
        _ => None,
    })
}
