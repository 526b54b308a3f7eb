//! Plain public keys, and the error for a key or root file that cannot be used.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sigstore_verify::crypto::{KeyAlgorithm, SigningScheme, VerificationKey};
use sigstore_verify::types::{DerPublicKey, HashAlgorithm, SignatureBytes};

use super::ecdsa;
use crate::artifact::Sha256;

/// A key or a root that cannot be used.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum TrustError {
    #[error("cannot read the public key {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("cannot use {name} as a public key: {reason}")]
    #[diagnostic(help(
        "name a public key in PEM form (Ed25519, ECDSA P-256, P-384 or P-521, RSA), OpenPGP certificates, \
        or a minisign, OpenSSH or Nix public key"
    ))]
    Key { name: String, reason: String },
    #[error("cannot read the trusted root {path}")]
    Root { path: PathBuf, source: std::io::Error },
    #[error("cannot use {name} as a Sigstore trusted root: {reason}")]
    #[diagnostic(help("name the trusted_root.json of a Sigstore instance with --trusted-root"))]
    InvalidRoot { name: String, reason: String },
}

/// A plain public key: Ed25519, ECDSA over P-256, P-384 or P-521, or RSA.
#[derive(Clone)]
pub struct PublicKey {
    /// The user's name for it.
    pub name: String,
    spki: DerPublicKey,
    keys: Arc<[VerificationKey]>,
    /// The point of a P-521 key; such a key has no `keys`.
    p521: Option<Arc<[u8]>>,
    /// Length in bytes of r and of s in a signature, for keys on a curve.
    half: Option<usize>,
    fingerprint: Sha256,
    /// Other names for it in bundles and envelopes.
    hints: Arc<[String]>,
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (sha256:{})", self.name, self.fingerprint())
    }
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo, in DER.
    pub fn from_spki(name: &str, der: &[u8]) -> Result<Self, TrustError> {
        Self::with_schemes(name, der, None)
    }

    /// Takes the 32 bytes of an Ed25519 key (RFC 8032).
    pub fn from_ed25519(name: &str, bytes: &[u8; 32]) -> Result<Self, TrustError> {
        Self::from_spki(name, &[&ED25519[..], bytes].concat())
    }

    /// The same for a key that signs only with this scheme.
    pub(super) fn of_scheme(name: &str, der: &[u8], scheme: SigningScheme) -> Result<Self, TrustError> {
        Self::with_schemes(name, der, Some(scheme))
    }

    /// The same key, which evidence may also call by this name.
    #[must_use]
    pub(super) fn also_called(mut self, name: &str) -> Self {
        self.hints = self.hints.iter().cloned().chain([name.to_owned()]).collect();
        self
    }

    fn with_schemes(name: &str, der: &[u8], only: Option<SigningScheme>) -> Result<Self, TrustError> {
        let invalid = |reason: String| TrustError::Key {
            name: name.to_owned(),
            reason,
        };
        let der = &without_parameters(der);
        let spki = DerPublicKey::from_bytes(der);
        if let Some(point) = ecdsa::p521_point(der) {
            return Ok(Self::with(name, spki, Vec::new(), Some(point), Some(66)));
        }
        let algorithm = KeyAlgorithm::from_spki(&spki).map_err(|error| invalid(error.to_string()))?;
        let half = match algorithm {
            KeyAlgorithm::EcdsaP256 => Some(32),
            KeyAlgorithm::EcdsaP384 => Some(48),
            _ => None,
        };
        // Envelopes do not say which hash and padding they use, so all usual ones are tried.
        let schemes: &[SigningScheme] = match algorithm {
            KeyAlgorithm::Ed25519 => &[SigningScheme::Ed25519],
            KeyAlgorithm::EcdsaP256 => &[SigningScheme::EcdsaP256Sha256],
            KeyAlgorithm::EcdsaP384 => &[SigningScheme::EcdsaP384Sha384, SigningScheme::EcdsaP384Sha256],
            KeyAlgorithm::Rsa => &[
                SigningScheme::RsaPssSha256,
                SigningScheme::RsaPkcs1Sha256,
                SigningScheme::RsaPssSha512,
                SigningScheme::RsaPkcs1Sha512,
            ],
            other => return Err(invalid(format!("keys of the kind {other:?} are not supported"))),
        };
        if only.is_some_and(|only| !schemes.contains(&only)) {
            return Err(invalid(format!(
                "it is a key of the kind {algorithm:?}, which does not sign by its scheme"
            )));
        }
        let keys: Result<_, _> = schemes
            .iter()
            .filter(|scheme| only.is_none_or(|only| only == **scheme))
            .map(|scheme| VerificationKey::from_spki_with_scheme(&spki, *scheme))
            .collect();
        let keys: Vec<_> = keys.map_err(|error| invalid(error.to_string()))?;
        Ok(Self::with(name, spki, keys, None, half))
    }

    fn with(
        name: &str,
        spki: DerPublicKey,
        keys: Vec<VerificationKey>,
        p521: Option<Vec<u8>>,
        half: Option<usize>,
    ) -> Self {
        let fingerprint = Sha256::of(spki.as_bytes());
        let base64 = STANDARD.encode(fingerprint.as_bytes());
        let short = format!("SHA256:{}", base64.trim_end_matches('='));
        Self {
            name: name.to_owned(),
            keys: keys.into(),
            p521: p521.map(Into::into),
            half,
            spki,
            fingerprint,
            hints: Arc::new([fingerprint.to_hex(), base64, short]),
        }
    }

    /// SHA-256 of the SubjectPublicKeyInfo.
    pub fn fingerprint(&self) -> Sha256 {
        self.fingerprint
    }

    /// Whether this bundle hint or DSSE key id may refer to this key.
    pub(super) fn is_called(&self, hint: &str) -> bool {
        self.name == hint || self.hints.iter().any(|name| name == hint)
    }

    pub(super) fn spki(&self) -> &DerPublicKey {
        &self.spki
    }

    /// Whether this key made `signature` over `message`. For a key on a curve, it may be DER, or r and s side by side.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.in_each_form(signature, |signature| {
            if let Some(point) = &self.p521 {
                return ecdsa::p521_signed(point, message, signature);
            }
            let signature = SignatureBytes::from_bytes(signature);
            self.keys
                .iter()
                .any(|key| key.verify(message, &signature).is_ok())
        })
    }

    /// Whether this key made `signature` over a message with this digest; always false for keys that cannot sign a
    /// digest (Ed25519).
    pub(super) fn verify_digest(&self, algorithm: HashAlgorithm, digest: &[u8], signature: &[u8]) -> bool {
        self.in_each_form(signature, |signature| {
            if let Some(point) = &self.p521 {
                return ecdsa::p521_signed_digest(point, algorithm, digest, signature);
            }
            let signature = SignatureBytes::from_bytes(signature);
            let mut keys = self
                .keys
                .iter()
                .filter(|key| key.scheme().hash_algorithm() == Some(algorithm));
            keys.any(|key| key.verify_prehashed(digest, &signature).is_ok())
        })
    }

    /// Whether the Sigstore crates support keys of this kind.
    pub(super) fn signs_usually(&self) -> bool {
        self.p521.is_none()
    }

    /// Whether a signature by this key has the form of r and s side by side.
    pub(super) fn is_side_by_side(&self, signature: &[u8]) -> bool {
        // A DER signature begins with its tag and the length of the rest.
        let in_der = match signature {
            [0x30, 0x81, length, rest @ ..] | [0x30, length, rest @ ..] => rest.len() == usize::from(*length),
            _ => false,
        };
        let half = self.half.map(|half| half.saturating_mul(2));
        half == Some(signature.len()) && !in_der
    }

    /// Whether a signature of this key can be verified with a digest of the message.
    pub(super) fn signs_digests(&self) -> bool {
        self.keys.iter().all(|key| key.scheme().supports_prehashed())
    }

    fn in_each_form(&self, signature: &[u8], good: impl Fn(&[u8]) -> bool) -> bool {
        let side_by_side = || ecdsa::as_der(signature, self.half?);
        good(signature) || side_by_side().is_some_and(|der| good(&der))
    }
}

/// The beginning of an Ed25519 SubjectPublicKeyInfo (RFC 8410), before the 32 bytes of the key.
pub(super) const ED25519: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// The same with parameters, which RFC 8410 forbids; in-toto's Rust library, and so rebuilderd, writes them.
const ED25519_WITH_NULL: [u8; 14] = [
    0x30, 0x2c, 0x30, 0x07, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x05, 0x00, 0x03, 0x21, 0x00,
];

/// Converts an Ed25519 key to the form of RFC 8410; other keys stay as they are.
fn without_parameters(der: &[u8]) -> Vec<u8> {
    match der.strip_prefix(&ED25519_WITH_NULL) {
        Some(key) => [&ED25519[..], key].concat(),
        None => der.to_vec(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

    use super::*;

    #[test]
    fn a_number_that_begins_like_der_is_still_a_number() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let der = pair.public_key().as_der().unwrap();
        let key = PublicKey::from_spki("a key", der.as_ref()).unwrap();
        for (start, length, expected) in [
            ([0x12, 0x34], 64, true),
            ([0x30, 0x34], 64, true),
            // A short DER signature: the second byte is the length of the rest.
            ([0x30, 62], 64, false),
            ([0x12, 0x34], 63, false),
            ([0x30, 69], 71, false),
        ] {
            let mut signature = vec![7; length];
            signature[..2].copy_from_slice(&start);
            assert_eq!(key.is_side_by_side(&signature), expected, "{start:?} {length}");
        }
    }
}
