//! What statements are signed with: a key in a file, in a PKCS#11 token, behind a command, or none at all (Sigstore).
//!
//! A key is named by one word, its reference: a path; a `pkcs11:` URI (RFC 7512); `command:PROGRAM`; or `sigstore`.
//! The cryptography is that of libraries and tokens.

mod command;
mod file;
mod inventory;
mod keyless;
mod pkcs11;

use std::path::PathBuf;
use std::str::FromStr;

use pem::{EncodeConfig, LineEnding, Pem};
use pkcs8::der::asn1::{AnyRef, BitStringRef, ObjectIdentifier};
use pkcs8::der::{Decode as _, Encode as _};
use pkcs8::spki::{AlgorithmIdentifier, SubjectPublicKeyInfo, SubjectPublicKeyInfoRef};
use serde_json::{Value, json};

pub use file::FileKey;
pub use inventory::{
    Entry as KeyEntry, Finding as KeyFinding, Inventory, Listed as ListedKey, State as KeyState,
};

use crate::artifact::Sha256;
use crate::evidence::dsse::{self, Envelope};
use crate::evidence::trust::PublicKey;

/// Ed25519 (RFC 8410).
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// Kinds of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Algorithm {
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// ECDSA over P-256 with SHA-256.
    P256,
}

/// Something that signs.
pub trait Signer: Send + Sync {
    /// Its public key; `None` if each signature has a key of its own.
    fn public(&self) -> Option<&Public>;
    /// What names it: the fingerprint of its public key, or an identity.
    fn name(&self) -> String {
        self.public()
            .map_or_else(String::new, |public| public.fingerprint().to_hex())
    }
    /// Signs an in-toto statement; gives a Sigstore bundle (v0.3) with a DSSE envelope.
    fn bundle(&self, statement: &[u8]) -> Result<Value, KeyError>;
    /// Signs bytes as they are, for formats without an envelope, and checks the signature; ECDSA in ASN.1 form.
    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, KeyError>;
}

/// A public key, SubjectPublicKeyInfo in DER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Public(Vec<u8>);

impl Public {
    /// SHA-256 of the SubjectPublicKeyInfo: the key's name.
    pub fn fingerprint(&self) -> Sha256 {
        Sha256::of(&self.0)
    }

    /// Reads a SubjectPublicKeyInfo in PEM.
    pub fn from_pem(text: &str) -> Option<Self> {
        let block = ::pem::parse(text)
            .ok()
            .filter(|block| block.tag() == "PUBLIC KEY")?;
        SubjectPublicKeyInfoRef::from_der(block.contents()).ok()?;
        Some(Self(block.into_contents()))
    }

    /// SubjectPublicKeyInfo in PEM.
    pub fn pem(&self) -> String {
        pem("PUBLIC KEY", self.0.clone())
    }

    /// The 32 bytes of an Ed25519 key (RFC 8410); `None` if it is of another kind.
    pub(crate) fn ed25519(&self) -> Option<Vec<u8>> {
        let info = SubjectPublicKeyInfoRef::from_der(&self.0).ok()?;
        let bytes = info.subject_public_key.as_bytes()?;
        (info.algorithm.oid == ED25519 && bytes.len() == 32).then(|| bytes.to_vec())
    }

    /// The same key with a NULL parameter that RFC 8410 forbids, in PEM: in-toto's Rust library, and so every client of
    /// rebuilderd, reads no other form. `None` if it is not Ed25519.
    pub fn in_toto_pem(&self) -> Option<String> {
        let bytes = self.ed25519()?;
        let info = SubjectPublicKeyInfo {
            algorithm: AlgorithmIdentifier {
                oid: ED25519,
                parameters: Some(AnyRef::NULL),
            },
            subject_public_key: BitStringRef::from_bytes(&bytes).ok()?,
        };
        Some(pem("PUBLIC KEY", info.to_der().ok()?))
    }

    /// Signs with the key that belongs to it, and makes sure that it does.
    fn sign(
        &self,
        message: &[u8],
        sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, KeyError>,
    ) -> Result<Vec<u8>, KeyError> {
        let signature = sign(message)?;
        let own = PublicKey::from_spki("the signing key", &self.0);
        // A token or a command may have signed with another key than the one that it shows.
        if !own.is_ok_and(|own| own.verify(message, &signature)) {
            return Err(KeyError::WrongSignature {
                name: self.fingerprint().to_hex(),
            });
        }
        Ok(signature)
    }

    /// Signs a statement with the key that belongs to it.
    fn bundle(
        &self,
        statement: &[u8],
        sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, KeyError>,
    ) -> Result<Value, KeyError> {
        let message = dsse::pre_authentication(dsse::IN_TOTO, statement);
        let signature = self.sign(&message, sign)?;
        let envelope = Envelope {
            payload_type: dsse::IN_TOTO.to_owned(),
            payload: statement.to_vec(),
            signatures: vec![(self.fingerprint().to_hex(), signature)],
            openpgp: Vec::new(),
            certificates: Vec::new(),
            text: None,
        };
        Ok(bundle(&envelope))
    }
}

/// The Sigstore bundle of an envelope that a key signed, which the envelope names.
pub(super) fn bundle(envelope: &Envelope) -> Value {
    let hint = envelope.signatures.first().map(|(name, _)| name.as_str());
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": hint.unwrap_or_default()}, "tlogEntries": []},
        "dsseEnvelope": envelope.to_value()
    })
}

/// A key that cannot be made, read or used.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum KeyError {
    #[error("there is no key at {path}")]
    #[diagnostic(help("create one with \"rebuilder key generate\", or name another with --key"))]
    Missing { path: PathBuf },
    #[error("{path} already exists")]
    #[diagnostic(help(
        "a signing key is never overwritten; name another file with --to, or move this one away"
    ))]
    Exists { path: PathBuf },
    #[error("{path} is readable by other users")]
    #[diagnostic(help("run \"chmod 600\" on it; if others could have read it, create a new key"))]
    Exposed { path: PathBuf },
    #[error("cannot use {path}: it belongs to user {owner}, but this is user {own}")]
    #[diagnostic(help(
        "a key and its folder must belong to the user who signs, or to root; change their owner, or sign as \
        their owner"
    ))]
    Foreign { path: PathBuf, owner: u32, own: u32 },
    #[error("cannot keep a key in {folder}: every user can write to it")]
    #[diagnostic(help("run \"chmod o-w\" on it, or keep the key in a separate folder"))]
    OpenFolder { folder: PathBuf },
    #[error("cannot protect this process from debuggers and core dumps before it loads a key")]
    Process(#[source] std::io::Error),
    #[error("cannot use the key file {path}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path} does not contain a supported PKCS#8 PEM key")]
    #[diagnostic(help("use an Ed25519 or ECDSA P-256 key; \"rebuilder key generate\" creates one"))]
    Invalid { path: PathBuf },
    #[error("{path} is encrypted, but no passphrase was given")]
    #[diagnostic(help(
        "name a file that contains it with --passphrase-file, or run on a terminal to be \
    asked for it"
    ))]
    Locked { path: PathBuf },
    #[error("cannot read the passphrase from {path}")]
    #[diagnostic(help(
        "name a text file that the user who signs can read, with --passphrase-file or \
        REBUILDER_PASSPHRASE_FILE"
    ))]
    Passphrase { path: PathBuf, source: std::io::Error },
    #[error("the passphrase of {path} is wrong")]
    WrongPassphrase { path: PathBuf },
    #[error("the cryptographic library failed to {what}")]
    Crypto { what: &'static str },
    #[error("{reference:?} is not a key reference: {reason}")]
    #[diagnostic(help(
        "a key is a file, pkcs11:token=…;object=…?module-path=…&pin-source=…, command:PROGRAM, or sigstore"
    ))]
    Reference { reference: String, reason: String },
    #[error("PKCS#11 signing failed: {what}: {reason}")]
    #[diagnostic(help("\"pkcs11-tool --module MODULE --list-objects --login\" lists the keys in the token"))]
    Token { what: &'static str, reason: String },
    #[error("the signing command {program} failed: {reason}")]
    #[diagnostic(help(
        "\"PROGRAM public\" must print a PEM public key, \"PROGRAM sign\" must sign its stdin to its stdout"
    ))]
    Command { program: String, reason: String },
    #[error("Sigstore did not sign: {reason}")]
    #[diagnostic(help(
        "keyless signing needs an identity token (SIGSTORE_ID_TOKEN, or the token of a CI job) and a network"
    ))]
    Keyless { reason: String },
    #[error("the returned signature does not verify with the key {name}")]
    #[diagnostic(help(
        "nothing was signed; the token or command signs with another key than the one that it reports"
    ))]
    WrongSignature { name: String },
    #[error("the key {name} was revoked on {at}: {because}")]
    #[diagnostic(help("a revoked key can no longer sign; create a new one with \"rebuilder key rotate\""))]
    Revoked {
        name: String,
        at: jiff::Timestamp,
        because: String,
    },
    #[error("the key {name} was retired on {at}")]
    #[diagnostic(help("sign with the key that replaced it; \"rebuilder key list\" shows which"))]
    Retired { name: String, at: jiff::Timestamp },
    #[error("{path} is not an inventory of keys: {reason}")]
    Inventory { path: PathBuf, reason: String },
    #[error("the inventory has no key that begins with {name}")]
    #[diagnostic(help("\"rebuilder key list\" shows all keys; \"rebuilder key add\" adds one"))]
    Unknown { name: String },
    #[error("cannot sign an in-toto link with the key {name}: it is not an Ed25519 key")]
    #[diagnostic(help(
        "readers of links support only Ed25519; create such a key with \"rebuilder key generate --algorithm \
        ed25519\""
    ))]
    NotEd25519 { name: String },
    #[error("cannot create the key {reference}: it is not a file")]
    #[diagnostic(help("create it in the token or the service, then name it with --to"))]
    NotMade { reference: String },
}

/// Shuts this process to debuggers, to other processes of the same user that look into its memory, and to core files.
/// Everything that loads a key goes through here first.
pub fn close_process() -> Result<(), KeyError> {
    use nix::sys::resource::{Resource, setrlimit};
    let failed = |error: nix::errno::Errno| KeyError::Process(error.into());
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(failed)?;
    nix::sys::prctl::set_dumpable(false).map_err(failed)
}

/// PEM with the line ends of this system.
fn pem(label: &str, der: Vec<u8>) -> String {
    let lines = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_config(&Pem::new(label, der), lines)
}

/// What names a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// PKCS#8 in PEM, encrypted or not.
    File(PathBuf),
    /// A token, by RFC 7512.
    Pkcs11(pkcs11::Uri),
    /// A program that signs, such as a client of a key service.
    Command(String),
    /// No key: a certificate for an identity (Fulcio), and a log (Rekor).
    Sigstore,
}

impl FromStr for Reference {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if text == "sigstore" {
            return Ok(Self::Sigstore);
        }
        // Schemes are the same in upper case. Whatever looks like one must not end up in a message as a file name, for a
        // PIN may be in it.
        if pkcs11::is_one(text) {
            return pkcs11::Uri::parse(text).map(Self::Pkcs11);
        }
        Ok(match text.strip_prefix("command:") {
            Some(program) => Self::Command(program.to_owned()),
            None => Self::File(PathBuf::from(text)),
        })
    }
}

/// Gives the passphrase of a key; `None` if nobody can be asked.
pub type AskPassphrase<'a> = &'a dyn Fn() -> Result<Option<String>, KeyError>;

impl Reference {
    /// Opens the key; a passphrase comes from `passphrase` where it is needed.
    pub fn open(&self, passphrase: AskPassphrase<'_>) -> Result<Box<dyn Signer>, KeyError> {
        close_process()?;
        Ok(match self {
            Self::File(path) => Box::new(FileKey::read(path, passphrase)?),
            Self::Pkcs11(uri) => Box::new(pkcs11::TokenKey::open(uri)?),
            Self::Command(program) => Box::new(command::CommandKey::open(program)?),
            Self::Sigstore => Box::new(keyless::Keyless::open()?),
        })
    }
}
