//! Signatures on git commits and tags: OpenPGP, SSH, and X.509 (gitsign).
//!
//! A commit has its signature in a header, a tag at the end of its message. The signature is over the object without
//! it (gitformat-signature(5)).

use jiff::Timestamp;

pub use super::object_signature::ObjectSignature;
use super::trust::{KeyMaterial, Trust};
use super::{Standing, gitsign, openpgp};

/// Ids of the keys with which GitHub signs commits made on its site.
const HOST_KEYS: [&str; 2] = ["B5690EEEBB952194", "4AEE18F83AFDEB23"];

/// Verifies the signature of a raw commit object.
pub fn of_commit(object: &[u8], trust: &Trust) -> ObjectSignature {
    let (payload, signature) = split_commit(object);
    verify(&payload, signature.as_deref(), trust)
}

/// Verifies the signature of a raw tag object.
pub fn of_tag(object: &[u8], trust: &Trust) -> ObjectSignature {
    let starts = [
        "-----BEGIN PGP SIGNATURE-----",
        "-----BEGIN SSH SIGNATURE-----",
        "-----BEGIN SIGNED MESSAGE-----",
    ];
    let text = String::from_utf8_lossy(object);
    let at = starts
        .iter()
        .filter_map(|start| text.rfind(&format!("\n{start}")))
        .max()
        .filter(|_| matches!(text, std::borrow::Cow::Borrowed(_)));
    let split = at.and_then(|at| {
        let at = at.checked_add(1)?;
        Some((object.get(..at)?, text.get(at..)?))
    });
    match split {
        Some((payload, signature)) => verify(payload, Some(signature), trust),
        None => verify(object, None, trust),
    }
}

/// The object without its signature header, and the signature.
fn split_commit(object: &[u8]) -> (Vec<u8>, Option<String>) {
    let mut payload = Vec::with_capacity(object.len());
    let mut signature: Option<Vec<u8>> = None;
    let (mut in_header, mut in_signature) = (true, false);
    for line in object.split_inclusive(|byte| *byte == b'\n') {
        if in_header
            && in_signature
            && let Some(more) = line.strip_prefix(b" ")
        {
            if let Some(signature) = &mut signature {
                signature.extend_from_slice(more);
            }
            continue;
        }
        in_signature = false;
        if in_header && let Some(begun) = line.strip_prefix(b"gpgsig ") {
            in_signature = true;
            signature = Some(begun.to_vec());
            continue;
        }
        if line == b"\n" {
            in_header = false;
        }
        payload.extend_from_slice(line);
    }
    let signature = signature.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (payload, signature)
}

fn verify(payload: &[u8], signature: Option<&str>, trust: &Trust) -> ObjectSignature {
    let Some(signature) = signature.map(str::trim_start) else {
        return ObjectSignature::new(Standing::Missing, None, "it is not signed");
    };
    if signature.starts_with("-----BEGIN SSH SIGNATURE-----") {
        ssh(payload, signature, trust)
    } else if signature.starts_with("-----BEGIN SIGNED MESSAGE-----") {
        gitsign::verify(payload, signature, &trust.sigstore)
    } else {
        pgp(payload, signature, trust)
    }
}

fn pgp(payload: &[u8], signature: &str, trust: &Trust) -> ObjectSignature {
    let issuers = openpgp::issuers("the signature", signature.as_bytes());
    // A key may be in several keyrings; one that refuses the signature does not speak for the others.
    let mut refused = None;
    for key in &trust.keys {
        let KeyMaterial::OpenPgp(keyring) = &key.material else {
            continue;
        };
        match keyring.verify_detached("the commit", signature.as_bytes(), payload) {
            Ok(signers) => {
                let Some(reason) = key.refusal(Timestamp::now()) else {
                    let by = Some(signers.join(", "));
                    return ObjectSignature::new(Standing::Verified, by, "the OpenPGP signature is good");
                };
                refused.get_or_insert((Some(key.name.clone()), reason));
            }
            Err(error) if issuers.is_ok() && !error.is_unknown_key() => {
                refused.get_or_insert((None, error.to_string()));
            }
            Err(_) => {}
        }
    }
    if let Some((by, reason)) = refused {
        return ObjectSignature::new(Standing::Invalid, by, reason);
    }
    let issuers = match issuers {
        Ok(issuers) => issuers,
        // The forges' own signatures are not always well-formed.
        Err(error) => {
            let note = format!("cannot read the signature, so it was not verified: {error}");
            return ObjectSignature::new(Standing::Unverifiable, None, note);
        }
    };
    let by_host = issuers
        .iter()
        .any(|issuer| HOST_KEYS.iter().any(|key| issuer.ends_with(key)));
    let note = if by_host {
        "it names the key with which GitHub signs commits made on its site; that key is not trusted here, so the signature was not verified"
    } else {
        "the OpenPGP key is not trusted here, so the signature was not verified"
    };
    ObjectSignature {
        by_host,
        ..ObjectSignature::new(Standing::Unverifiable, Some(issuers.join(", ")), note)
    }
}

fn ssh(payload: &[u8], signature: &str, trust: &Trust) -> ObjectSignature {
    let read = match ssh_key::SshSig::from_pem(signature.trim_end()) {
        Ok(read) => read,
        Err(error) => {
            return ObjectSignature::new(Standing::Invalid, None, format!("not an SSH signature: {error}"));
        }
    };
    if read.namespace() != "git" {
        let note = format!(
            "it was made for the purpose {:?}, not for git objects",
            read.namespace()
        );
        return ObjectSignature::new(Standing::Invalid, None, note);
    }
    let own = ssh_key::PublicKey::new(read.public_key().clone(), "");
    let fingerprint = own.fingerprint(ssh_key::HashAlg::Sha256).to_string();
    // The signature carries its key, so it can be verified before the key is known to be trusted.
    if let Err(error) = own.verify("git", payload, &read) {
        return ObjectSignature::new(Standing::Invalid, Some(fingerprint), format!("SSH: {error}"));
    }
    let known = trust.keys.iter().find(
        |key| matches!(&key.material, KeyMaterial::Ssh(public) if public.key_data() == read.public_key()),
    );
    match known.map(|key| (key, key.refusal(Timestamp::now()))) {
        Some((key, None)) => ObjectSignature::new(
            Standing::Verified,
            Some(format!("{} ({fingerprint})", key.name)),
            "the SSH signature is good",
        ),
        Some((key, Some(reason))) => ObjectSignature::new(Standing::Invalid, Some(key.name.clone()), reason),
        None => ObjectSignature::new(
            Standing::Unverifiable,
            Some(fingerprint),
            "the SSH signature is good for the key that it carries, but that key is not trusted here",
        ),
    }
}

#[cfg(test)]
mod tests {
    use ssh_key::{HashAlg, LineEnding, PrivateKey};

    use super::super::trust::TrustedKey;
    use super::*;

    const COMMIT: &str = "tree 29a6bb89945c528d2e2a2702899db3e46ba2e6ee\nauthor A <a@b.c> 1 +0000\ncommitter A <a@b.c> 1 +0000\n\nmessage\n";

    /// An Ed25519 key that signs only in tests.
    fn key(seed: u8) -> PrivateKey {
        PrivateKey::from(ssh_key::private::Ed25519Keypair::from_seed(&[seed; 32]))
    }

    fn signed(key: &PrivateKey, namespace: &str) -> Vec<u8> {
        let signature = key.sign(namespace, HashAlg::Sha512, COMMIT.as_bytes()).unwrap();
        let signature = signature.to_pem(LineEnding::LF).unwrap();
        let folded = signature.trim_end().replace('\n', "\n ");
        COMMIT
            .replacen("\n\n", &format!("\ngpgsig {folded}\n\n"), 1)
            .into_bytes()
    }

    #[test]
    fn tells_good_ssh_signatures_from_unknown_and_bad_ones() {
        let (known, other) = (key(1), key(2));
        let mut trust = Trust::public_good().unwrap();
        trust
            .keys
            .push(TrustedKey::parse("release", known.public_key().to_openssh().unwrap().as_bytes()).unwrap());
        let standing = |object: &[u8]| of_commit(object, &trust).standing;
        assert_eq!(standing(COMMIT.as_bytes()), Standing::Missing);
        assert_eq!(standing(&signed(&known, "git")), Standing::Verified);
        assert_eq!(standing(&signed(&other, "git")), Standing::Unverifiable);
        assert_eq!(standing(&signed(&known, "file")), Standing::Invalid);
        let changed = String::from_utf8(signed(&known, "git"))
            .unwrap()
            .replace("message", "another");
        assert_eq!(standing(changed.as_bytes()), Standing::Invalid);
    }

    #[test]
    fn a_tag_carries_its_signature_at_the_end() {
        let known = key(1);
        let mut trust = Trust::public_good().unwrap();
        trust
            .keys
            .push(TrustedKey::parse("release", known.public_key().to_openssh().unwrap().as_bytes()).unwrap());
        let signature = known.sign("git", HashAlg::Sha512, COMMIT.as_bytes()).unwrap();
        let tag = format!("{COMMIT}{}", signature.to_pem(LineEnding::LF).unwrap());
        assert_eq!(of_tag(tag.as_bytes(), &trust).standing, Standing::Verified);
        assert_eq!(of_tag(COMMIT.as_bytes(), &trust).standing, Standing::Missing);
    }

    proptest::proptest! {
        #[test]
        fn no_object_makes_the_reader_panic(object in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let trust = Trust::public_good().unwrap();
            let mut commit = b"gpgsig -----BEGIN SIGNED MESSAGE-----\n ".to_vec();
            commit.extend_from_slice(&object);
            let _ = of_commit(&commit, &trust);
            let _ = of_tag(&object, &trust);
        }
    }
}
