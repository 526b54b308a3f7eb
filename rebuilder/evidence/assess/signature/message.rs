//! A bundle's signature over a file if no log shows the signed digest: verified with the digest that the bundle names,
//! or with the file.

use sigstore_verify::types::HashAlgorithm;

use super::file::in_memory;
use super::{candidates, good_key, keyless, unless_unknown, unproven, unverifiable};
use crate::evidence::assessment::Artifact;
use crate::evidence::sigstore::Unverified;
use crate::evidence::trust::{PublicKey, Trust, TrustedKey};
use crate::evidence::{Proof, Unproven};

fn algorithm(name: &str) -> Option<HashAlgorithm> {
    match name {
        "sha256" => Some(HashAlgorithm::Sha2256),
        "sha384" => Some(HashAlgorithm::Sha2384),
        "sha512" => Some(HashAlgorithm::Sha2512),
        _ => None,
    }
}

/// Verifies a signature over a file with this digest, with keys alone.
pub(super) fn over_digest(
    bundle: &Unverified,
    name: &str,
    digits: &str,
    candidates: &[(&TrustedKey, &PublicKey)],
    note: &str,
) -> Proof {
    let (Some(algorithm), Ok(digest)) = (algorithm(name), hex::decode(digits)) else {
        return Err(unverifiable("its digest is of a kind that is not supported"));
    };
    let signature = bundle.signature();
    let signed =
        |(_, plain): &&(&TrustedKey, &PublicKey)| plain.verify_digest(algorithm, &digest, &signature);
    if let Some((key, _)) = candidates.iter().find(signed) {
        return good_key(key, format!("the signature is good; {note}"));
    }
    // Some keys sign the file itself, not a digest of it.
    if candidates.iter().all(|(_, plain)| plain.signs_digests()) {
        return Err(Unproven::Invalid(
            "the signature is not that of a trusted key over this digest".into(),
        ));
    }
    Err(unverifiable(
        "its key signs whole files, which cannot be verified by a digest; give the file",
    ))
}

/// Verifies a signature over a file with the file itself.
pub(in crate::evidence::assess) fn over_artifact(
    bundle: &Unverified,
    artifact: &Artifact,
    trust: &Trust,
) -> Proof {
    let Some(hint) = bundle.key_hint() else {
        let sha256 = artifact.digests.sha256.to_hex();
        return match trust.sigstore.verify_certificate_over(bundle, &sha256) {
            Ok(certified) => keyless(&certified, trust),
            Err(error) => Err(unproven(&error)),
        };
    };
    let candidates = candidates(hint, trust)?;
    let signature = bundle.signature();
    for name in ["sha256", "sha384", "sha512"] {
        let digest = artifact
            .digests
            .get(name)
            .and_then(|digits| hex::decode(digits).ok());
        let (Some(algorithm), Some(digest)) = (algorithm(name), digest) else {
            continue;
        };
        let signed =
            |(_, plain): &&(&TrustedKey, &PublicKey)| plain.verify_digest(algorithm, &digest, &signature);
        if let Some((key, _)) = candidates.iter().find(signed) {
            return good_key(
                key,
                "the signature is good; no log proves when it was made".into(),
            );
        }
    }
    let bytes = in_memory(artifact)?;
    let signed = |(_, plain): &&(&TrustedKey, &PublicKey)| plain.verify(&bytes, &signature);
    if let Some((key, _)) = candidates.iter().find(signed) {
        return good_key(
            key,
            "the signature is good; no log proves when it was made".into(),
        );
    }
    let note = "the signature is not that of a trusted key over this file";
    unless_unknown(Err(Unproven::Invalid(note.into())), hint, &candidates)
}
