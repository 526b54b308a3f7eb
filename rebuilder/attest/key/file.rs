//! Keys in files: PKCS#8 in PEM, encrypted (PBES2) or not; Ed25519 or ECDSA over P-256. The cryptography is aws-lc's,
//! the encryption RustCrypto's.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use pkcs8::EncryptedPrivateKeyInfo;
use pkcs8::der::Encode as _;
use pkcs8::pkcs5::{pbes2, scrypt};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{Algorithm, AskPassphrase, KeyError, Public, Signer};
use crate::store::write_atomically;

/// PEM label of an encrypted key.
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// Maximum number of bytes of a key file.
const LARGEST: u64 = 64 << 10;

/// A private key, ready to sign.
pub struct FileKey {
    pair: Pair,
    public: Public,
}

enum Pair {
    Ed25519(Box<Ed25519KeyPair>),
    P256(Box<EcdsaKeyPair>),
}

impl FileKey {
    /// Makes a key and writes it to `path`, readable by its owner only; the public half goes to `PATH.pub`. With a
    /// passphrase it is encrypted by a key that scrypt derives from it.
    pub fn generate(algorithm: Algorithm, path: &Path, passphrase: Option<&str>) -> Result<Self, KeyError> {
        super::close_process()?;
        let failed = |_| KeyError::Crypto {
            what: "generate a key",
        };
        let pkcs8: Vec<u8> = match algorithm {
            Algorithm::Ed25519 => Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new())
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
        let folder = folder(path);
        make_private(folder).map_err(io)?;
        check_folder(folder)?;
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
        let text = match passphrase {
            None => super::pem("PRIVATE KEY", pkcs8),
            Some(passphrase) => super::pem(ENCRYPTED, encrypt(&pkcs8, passphrase)?),
        };
        let text = Zeroizing::new(text);
        // The umask may have taken more away than it should, never less.
        file.set_permissions(fs::Permissions::from_mode(0o600))
            .and_then(|()| file.write_all(text.as_bytes()))
            .and_then(|()| file.sync_all())
            .map_err(io)?;
        let public = public_path(path);
        // In its place at once, whatever was there before: a link is replaced and not followed.
        let written = write_atomically(&public, key.public.pem().as_bytes()).map_err(std::io::Error::other);
        // Verifiers are other users, whatever the umask is.
        written
            .and_then(|()| fs::set_permissions(&public, fs::Permissions::from_mode(0o644)))
            .map_err(|source| KeyError::Io { path: public, source })?;
        Ok(key)
    }

    /// Reads a key that only its owner can read; `passphrase` is asked for if it is encrypted.
    pub fn read(path: &Path, passphrase: AskPassphrase<'_>) -> Result<Self, KeyError> {
        super::close_process()?;
        let io = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::NotFound => KeyError::Missing {
                path: path.to_owned(),
            },
            _ => KeyError::Io {
                path: path.to_owned(),
                source,
            },
        };
        // What is checked is what is read: one handle, and a pipe does not keep anyone waiting.
        let file = File::options()
            .read(true)
            .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits())
            .open(path)
            .map_err(io)?;
        let meta = file.metadata().map_err(io)?;
        if !meta.is_file() {
            return Err(io(std::io::Error::other("it is not a regular file")));
        }
        check_owner(path, meta.uid())?;
        if meta.permissions().mode() & 0o077 != 0 {
            return Err(KeyError::Exposed {
                path: path.to_owned(),
            });
        }
        check_folder(folder(path))?;
        // Where a link leads to another folder, that one counts too.
        if let Ok(real) = path.canonicalize() {
            check_folder(folder(&real))?;
        }
        let mut bytes = Vec::new();
        file.take(LARGEST).read_to_end(&mut bytes).map_err(io)?;
        let invalid = || KeyError::Invalid {
            path: path.to_owned(),
        };
        let bytes = Zeroizing::new(bytes);
        let pem = pem::parse(&*bytes).map_err(|_| invalid())?;
        let key = match pem.tag() {
            "PRIVATE KEY" => Self::from_pkcs8(pem.contents()),
            ENCRYPTED => {
                let locked = EncryptedPrivateKeyInfo::try_from(pem.contents()).map_err(|_| invalid())?;
                let path = path.to_owned();
                let passphrase = passphrase()?.ok_or_else(|| KeyError::Locked { path: path.clone() })?;
                let passphrase = Zeroizing::new(passphrase);
                let open = locked.decrypt(passphrase.as_bytes());
                Self::from_pkcs8(open.map_err(|_| KeyError::WrongPassphrase { path })?.as_bytes())
            }
            _ => None,
        };
        key.ok_or_else(invalid)
    }

    /// Whether the file at `path` is encrypted; what cannot be read is not.
    pub fn is_encrypted(path: &Path) -> bool {
        let text = fs::read(path).map(Zeroizing::new);
        text.is_ok_and(|text| pem::parse(&*text).is_ok_and(|pem| pem.tag() == ENCRYPTED))
    }

    fn from_pkcs8(der: &[u8]) -> Option<Self> {
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8(der) {
            let spki = pair.public_key().as_der().ok()?.as_ref().to_vec();
            return Some(Self {
                pair: Pair::Ed25519(Box::new(pair)),
                public: Public(spki),
            });
        }
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der).ok()?;
        let spki = pair.public_key().as_der().ok()?.as_ref().to_vec();
        Some(Self {
            pair: Pair::P256(Box::new(pair)),
            public: Public(spki),
        })
    }

    /// The public half.
    pub fn public_key(&self) -> &Public {
        &self.public
    }

    /// Signs `message`; ECDSA signatures are in ASN.1 form.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
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

impl Signer for FileKey {
    fn public(&self) -> Option<&Public> {
        Some(&self.public)
    }

    fn bundle(&self, statement: &[u8]) -> Result<Value, KeyError> {
        self.public.bundle(statement, |message| self.sign(message))
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.public.sign(message, |message| self.sign(message))
    }
}

/// The folder of a file.
fn folder(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Makes a folder, and those above it that are missing, for its owner only; the umask cannot widen that.
pub(super) fn make_private(folder: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// A key of another user is one that this user can change or take away at any time.
fn check_owner(path: &Path, owner: u32) -> Result<(), KeyError> {
    let own = nix::unistd::geteuid().as_raw();
    if owner == own || owner == 0 {
        return Ok(());
    }
    Err(KeyError::Foreign {
        path: path.to_owned(),
        owner,
        own,
    })
}

/// A user who can write into a folder can replace a key in it.
fn check_folder(folder: &Path) -> Result<(), KeyError> {
    let meta = fs::metadata(folder).map_err(|source| KeyError::Io {
        path: folder.to_owned(),
        source,
    })?;
    check_owner(folder, meta.uid())?;
    if meta.permissions().mode() & 0o002 != 0 {
        return Err(KeyError::OpenFolder {
            folder: folder.to_owned(),
        });
    }
    Ok(())
}

/// PKCS#8 by PKCS#5: scrypt, then AES-256-CBC.
fn encrypt(pkcs8: &[u8], passphrase: &str) -> Result<Vec<u8>, KeyError> {
    fn failed<E>(_: E) -> KeyError {
        KeyError::Crypto {
            what: "encrypt the key",
        }
    }
    let (mut salt, mut vector) = ([0_u8; 16], [0_u8; 16]);
    let random = SystemRandom::new();
    random.fill(&mut salt).map_err(failed)?;
    random.fill(&mut vector).map_err(failed)?;
    // N = 2^14, r = 8, p = 1: 16 MiB for each guess, and the most that OpenSSL opens without further options.
    let cost = scrypt::Params::new(14, 8, 1, 32).map_err(failed)?;
    let scheme = pbes2::Parameters::scrypt_aes256cbc(cost, &salt, &vector).map_err(failed)?;
    let sealed = scheme.encrypt(passphrase, pkcs8).map_err(failed)?;
    let info = EncryptedPrivateKeyInfo {
        encryption_algorithm: scheme.into(),
        encrypted_data: &sealed,
    };
    info.to_der().map_err(failed)
}

/// Where the public half of the key at `path` is kept.
fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}
