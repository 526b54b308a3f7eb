//! Signing keys: PKCS#8 in PEM, Ed25519 or ECDSA over P-256. The cryptography is aws-lc's.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use pem::Pem;

use crate::artifact::Sha256;

/// Kinds of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Algorithm {
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// ECDSA over P-256 with SHA-256.
    P256,
}

/// A private key, ready to sign.
pub struct SigningKey {
    pair: Pair,
    spki: Vec<u8>,
}

enum Pair {
    Ed25519(Box<Ed25519KeyPair>),
    P256(Box<EcdsaKeyPair>),
}

/// A key that cannot be made, read or used.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[allow(missing_docs)]
pub enum KeyError {
    #[error("there is no key at {path}")]
    #[diagnostic(help("make one with \"rebuilder key generate\", or name another with --key"))]
    Missing { path: PathBuf },
    #[error("{path} exists already")]
    #[diagnostic(help(
        "a signing key is never overwritten; name another file with --to, or move the old one away"
    ))]
    Exists { path: PathBuf },
    #[error("others than its owner may read {path}")]
    #[diagnostic(help("chmod 600 it; if others could read it, make a new key"))]
    Exposed { path: PathBuf },
    #[error("cannot use the key file {path}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path} holds no PKCS#8 key in PEM form of a kind that is known here")]
    #[diagnostic(help("Ed25519 and ECDSA P-256 are known; \"rebuilder key generate\" makes one"))]
    Invalid { path: PathBuf },
    #[error("the cryptographic library failed to {what}")]
    Crypto { what: &'static str },
}

impl SigningKey {
    /// Makes a key and writes it to `path`, readable by its owner only; the public half goes to `PATH.pub`.
    pub fn generate(algorithm: Algorithm, path: &Path) -> Result<Self, KeyError> {
        let failed = |_| KeyError::Crypto {
            what: "generate a key",
        };
        let pkcs8: Vec<u8> = match algorithm {
            Algorithm::Ed25519 => Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
                .map_err(failed)?
                .as_ref()
                .to_vec(),
            Algorithm::P256 => {
                let made =
                    EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
                made.map_err(failed)?.as_ref().to_vec()
            }
        };
        let key = Self::from_pkcs8(&pkcs8).ok_or(KeyError::Crypto {
            what: "read its own key",
        })?;
        let io = |source| KeyError::Io {
            path: path.to_owned(),
            source,
        };
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(io)?;
        }
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        let mut file = file.map_err(|source| match source.kind() {
            std::io::ErrorKind::AlreadyExists => KeyError::Exists {
                path: path.to_owned(),
            },
            _ => io(source),
        })?;
        let text = pem::encode(&Pem::new("PRIVATE KEY", pkcs8));
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(io)?;
        let public = public_path(path);
        fs::write(&public, key.public_pem()).map_err(|source| KeyError::Io { path: public, source })?;
        Ok(key)
    }

    /// Reads a key that only its owner can read.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let meta = fs::metadata(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => KeyError::Missing {
                path: path.to_owned(),
            },
            _ => KeyError::Io {
                path: path.to_owned(),
                source,
            },
        })?;
        if meta.permissions().mode() & 0o077 != 0 {
            return Err(KeyError::Exposed {
                path: path.to_owned(),
            });
        }
        let bytes = fs::read(path).map_err(|source| KeyError::Io {
            path: path.to_owned(),
            source,
        })?;
        let invalid = || KeyError::Invalid {
            path: path.to_owned(),
        };
        let pem = pem::parse(bytes).map_err(|_| invalid())?;
        Self::from_pkcs8(pem.contents())
            .filter(|_| pem.tag() == "PRIVATE KEY")
            .ok_or_else(invalid)
    }

    fn from_pkcs8(der: &[u8]) -> Option<Self> {
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8(der) {
            let spki = pair.public_key().as_der().ok()?.as_ref().to_vec();
            return Some(Self {
                pair: Pair::Ed25519(Box::new(pair)),
                spki,
            });
        }
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der).ok()?;
        let spki = pair.public_key().as_der().ok()?.as_ref().to_vec();
        Some(Self {
            pair: Pair::P256(Box::new(pair)),
            spki,
        })
    }

    /// SHA-256 of the public key in SubjectPublicKeyInfo form: the key's name.
    pub fn fingerprint(&self) -> Sha256 {
        Sha256::of(&self.spki)
    }

    /// The public key, SubjectPublicKeyInfo in PEM.
    pub fn public_pem(&self) -> String {
        pem::encode(&Pem::new("PUBLIC KEY", self.spki.clone()))
    }

    /// Signs `message`; ECDSA signatures are in ASN.1 form.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let failed = |_| KeyError::Crypto { what: "sign" };
        match &self.pair {
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::P256(pair) => Ok(pair
                .sign(&SystemRandom::new(), message)
                .map_err(failed)?
                .as_ref()
                .to_vec()),
        }
    }
}

/// Where the public half of the key at `path` is kept.
fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}
