//! Signatures of links in in-toto's own form: by plain keys, or OpenPGP's.

use super::plain::{unknown_key, verify_message};
use super::{good_key, unverifiable};
use crate::evidence::link::Link;
use crate::evidence::openpgp::Keyring;
use crate::evidence::trust::{KeyMaterial, Trust, TrustedKey};
use crate::evidence::{Proof, Unproven};

/// Verifies a link; one good signature is enough.
pub(super) fn verify_link(link: &Link, trust: &Trust) -> Proof {
    if link.openpgp.is_empty() {
        return verify_message(&link.signed, &link.signatures, trust);
    }
    let openpgp = match by_certificates(link, trust) {
        Err(unproven) if !link.signatures.is_empty() => unproven,
        proof => return proof,
    };
    match verify_message(&link.signed, &link.signatures, trust) {
        // What does not verify counts more than what nobody here can verify.
        Err(Unproven::Unverifiable(_)) if matches!(openpgp, Unproven::Invalid(_)) => Err(openpgp),
        proof => proof,
    }
}

fn by_certificates(link: &Link, trust: &Trust) -> Proof {
    let (mut reasons, mut unsupported) = (Vec::new(), None);
    for (key, keyring) in keyrings(trust) {
        for signature in link.openpgp.iter().filter(|it| keyring.holds(&it.keyid)) {
            if let Some(reason) = signature.unsupported() {
                unsupported = Some(reason);
                continue;
            }
            match signature.by_certificate(keyring, &link.signed) {
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
    let names: Vec<_> = link.openpgp.iter().map(|it| it.keyid.as_str()).collect();
    Err(match unsupported {
        Some(reason) => unverifiable(&format!("its OpenPGP signature cannot be verified: {reason}")),
        None => unknown_key(&names),
    })
}

/// Whether an OpenPGP signature of a link names one of the trusted certificates.
pub(super) fn openpgp_names_one_of(link: &Link, trust: &Trust) -> bool {
    keyrings(trust).any(|(_, keyring)| link.openpgp.iter().any(|it| keyring.holds(&it.keyid)))
}

fn keyrings(trust: &Trust) -> impl Iterator<Item = (&TrustedKey, &Keyring)> {
    trust.keys.iter().filter_map(|key| match &key.material {
        KeyMaterial::OpenPgp(keyring) => Some((key, keyring)),
        _ => None,
    })
}
