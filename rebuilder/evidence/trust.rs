//! What a verifier trusts: public keys of every common kind, and Sigstore's roots.
//!
//! A key file's content tells its kind. Nothing here fetches anything.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::identity::Identity;
use super::key_json;
use super::openpgp::Keyring;
use super::public_key::ED25519;
pub use super::public_key::{PublicKey, TrustError};
use super::sigstore::Sigstore;
use crate::artifact::pattern;

/// The keys and roots that claims are checked against.
#[derive(Clone)]
pub struct Trust {
    /// Sigstore's authorities and logs.
    pub sigstore: Arc<Sigstore>,
    /// Keys that the user named.
    pub keys: Vec<TrustedKey>,
    /// Number of different plain keys that must have signed an envelope.
    pub threshold: usize,
    /// Identities of which one must have signed without a key. If this is empty, anyone may sign, but nobody is
    /// trusted.
    pub identities: Vec<ExpectedIdentity>,
    /// Identities that the policy trusts without a key; signatures of others are shown, and do not count as wrong.
    pub policy_identities: Vec<ExpectedIdentity>,
}

/// An expected signer: each part is exact, or a pattern with `*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedIdentity {
    /// E-mail address or workflow URI in the certificate.
    pub subject: String,
    /// OpenID Connect issuer.
    pub issuer: String,
}

impl ExpectedIdentity {
    /// Whether a certificate's identity is the expected one.
    pub fn fits(&self, identity: &Identity) -> bool {
        pattern::fits(&self.subject, &identity.subject) && pattern::fits(&self.issuer, &identity.issuer)
    }
}

impl std::fmt::Display for ExpectedIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.subject, self.issuer)
    }
}

/// A key, and the period in which its signatures count.
#[derive(Debug, Clone)]
pub struct TrustedKey {
    /// The user's name for it.
    pub name: String,
    /// The key itself.
    pub material: KeyMaterial,
    /// Signatures from before this time do not count.
    pub valid_from: Option<Timestamp>,
    /// Signatures from after this time do not count.
    pub valid_until: Option<Timestamp>,
    /// When the key was compromised, and how.
    pub revoked: Option<(Timestamp, String)>,
}

/// A key of a kind that releases are signed with.
#[derive(Debug, Clone)]
pub enum KeyMaterial {
    /// A plain public key: PEM, securesystemslib's JSON, or a Nix cache's.
    Plain(PublicKey),
    /// OpenPGP certificates.
    OpenPgp(Keyring),
    /// A minisign (or signify) public key.
    Minisign(Box<minisign_verify::PublicKey>, String),
    /// An OpenSSH public key.
    Ssh(Box<ssh_key::PublicKey>),
}

impl TrustedKey {
    /// Reads a key file of any known kind; the key counts without time limits.
    pub fn read(path: &Path) -> Result<Self, TrustError> {
        let bytes = std::fs::read(path).map_err(|source| TrustError::Read {
            path: path.to_owned(),
            source,
        })?;
        let name = path.display().to_string();
        Self::parse(&name, &bytes)
    }

    /// The same key under the user's name for it, which evidence may also use.
    #[must_use]
    pub fn named(self, name: String) -> Self {
        let material = match self.material {
            KeyMaterial::Plain(key) => KeyMaterial::Plain(key.also_called(&name)),
            other => other,
        };
        Self {
            name,
            material,
            ..self
        }
    }

    /// Reads a key of any known kind.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, TrustError> {
        let text = std::str::from_utf8(bytes).unwrap_or_default().trim();
        let invalid = |reason: String| TrustError::Key {
            name: name.to_owned(),
            reason,
        };
        let material = if text.starts_with("-----BEGIN PUBLIC KEY-----") {
            let blocks = pem::parse_many(text).map_err(|error| invalid(error.to_string()))?;
            let [pem] = blocks.as_slice() else {
                let count = blocks.len();
                return Err(invalid(format!("it has {count} keys, and only one is allowed")));
            };
            KeyMaterial::Plain(PublicKey::from_spki(name, pem.contents())?)
        } else if text.starts_with("ssh-") || text.starts_with("ecdsa-sha2-") || text.starts_with("sk-") {
            let key = ssh_key::PublicKey::from_openssh(text).map_err(|error| invalid(error.to_string()))?;
            KeyMaterial::Ssh(Box::new(key))
        } else if text.starts_with('{') {
            KeyMaterial::Plain(key_json::parse(name, bytes)?)
        } else if let Some(der) = nix(text) {
            // Signatures use the name that Nix gave it.
            let own = text.split(':').next().unwrap_or_default();
            KeyMaterial::Plain(PublicKey::from_spki(name, &der)?.also_called(own))
        } else if text.starts_with("untrusted comment:") || text.starts_with("RW") && !text.contains('\n') {
            let (key, encoded) = minisign(text).map_err(|error| invalid(error.to_string()))?;
            KeyMaterial::Minisign(Box::new(key), encoded)
        } else {
            let keyring = Keyring::parse(name, bytes);
            KeyMaterial::OpenPgp(keyring.map_err(|_| invalid("its form is not supported".into()))?)
        };
        Ok(Self {
            name: name.to_owned(),
            material,
            valid_from: None,
            valid_until: None,
            revoked: None,
        })
    }

    /// Why a signature made at `when` does not count, if it does not.
    pub fn refusal(&self, when: Timestamp) -> Option<String> {
        if let Some((since, why)) = self.revoked.as_ref().filter(|(since, _)| when >= *since) {
            return Some(format!("the key {} was revoked as of {since}: {why}", self.name));
        }
        match (self.valid_from, self.valid_until) {
            (Some(from), _) if when < from => {
                Some(format!("the key {} is valid only from {from} on", self.name))
            }
            (_, Some(until)) if when > until => {
                Some(format!("the key {} was valid only until {until}", self.name))
            }
            _ => None,
        }
    }

    /// Names that distinguish keys, whatever the user calls them; a keyring has several.
    pub fn fingerprints(&self) -> Vec<String> {
        match &self.material {
            KeyMaterial::Plain(key) => vec![format!("sha256:{}", key.fingerprint())],
            KeyMaterial::OpenPgp(keyring) => keyring.fingerprints(),
            KeyMaterial::Minisign(_, encoded) => vec![format!("minisign:{encoded}")],
            KeyMaterial::Ssh(key) => vec![key.fingerprint(ssh_key::HashAlg::Sha256).to_string()],
        }
    }
}

/// A key of a Nix cache, `NAME:BASE64` of 32 bytes, as an Ed25519 SubjectPublicKeyInfo (RFC 8410).
fn nix(text: &str) -> Option<Vec<u8>> {
    let (name, encoded) = text.split_once(':')?;
    let key = STANDARD.decode(encoded).ok().filter(|key| key.len() == 32)?;
    let fine = !name.is_empty() && !name.contains(char::is_whitespace);
    fine.then(|| [&ED25519[..], &key].concat())
}

/// Reads a minisign key with or without its comment line; also returns its base64.
fn minisign(text: &str) -> Result<(minisign_verify::PublicKey, String), minisign_verify::Error> {
    let encoded = text.lines().last().unwrap_or_default().trim().to_owned();
    Ok((minisign_verify::PublicKey::from_base64(&encoded)?, encoded))
}

impl Trust {
    /// Trusts the public-good Sigstore instance, and no key.
    pub fn public_good() -> Result<Self, TrustError> {
        Ok(Self {
            sigstore: Arc::new(Sigstore::public_good()?),
            keys: Vec::new(),
            threshold: 1,
            identities: Vec::new(),
            policy_identities: Vec::new(),
        })
    }

    /// Trusts more keys; a key that is already known gets the name given here.
    #[must_use]
    pub fn with(mut self, keys: &[TrustedKey]) -> Self {
        self.keys.splice(0..0, keys.iter().cloned());
        self
    }

    /// Whether the user or the policy named this identity beforehand.
    pub(super) fn names(&self, identity: &Identity) -> bool {
        let mut named = self.identities.iter().chain(&self.policy_identities);
        named.any(|wanted| wanted.fits(identity))
    }

    /// The plain keys.
    pub(super) fn plain_keys(&self) -> Vec<(&TrustedKey, &PublicKey)> {
        self.keys
            .iter()
            .filter_map(|key| match &key.material {
                KeyMaterial::Plain(plain) => Some((key, plain)),
                _ => None,
            })
            .collect()
    }
}
