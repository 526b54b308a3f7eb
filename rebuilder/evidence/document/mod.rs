//! Files with evidence: recognised by their content, and taken out of the wrappings of registries.
//!
//! Reading verifies nothing; each document still has to be assessed.

mod cloud_build;
mod cosign;
mod pairing;
mod piece;
mod unreadable;
mod wrapping;

use std::io::Read as _;
use std::path::{Path, PathBuf};

pub(super) use cosign::{cosign_envelope, cosign_logged};
use pairing::with_entries;
pub use pairing::{lone_envelopes, paired};
use piece::piece;
pub use unreadable::{Unreadable, read_beside};
use wrapping::{json_lines, json_pieces};

use super::blob_signature::{BlobSignature, Certificate};
use super::buildinfo::BuildInfo;
use super::dsse::{DsseError, Envelope};
use super::hash_list::{HashList, HashListError};
use super::json::{self, JsonError};
use super::layout::Layout;
use super::link::{Link, LinkError};
use super::oci;
use super::rekor::{Entry, LoggedEnvelope};
use super::sigstore::{SigstoreError, Unverified};
use super::simple_signing::SimpleSigning;
use super::statement::{Statement, StatementError};
use crate::artifact::Sha256;

/// A piece of evidence, unverified.
pub struct Document {
    /// The file that it came from.
    pub origin: String,
    /// Digest of that file.
    pub digest: Sha256,
    /// Its kind and content.
    pub kind: Kind,
}

/// The kinds of evidence.
pub enum Kind {
    /// A Sigstore bundle.
    Bundle(Box<Unverified>),
    /// A Sigstore bundle with neither certificate nor log: one signature by a key that is known beforehand. Such
    /// bundles come in thousands, and they are read without the Sigstore crates.
    KeyBundle {
        /// The bundle's name for the key.
        hint: String,
        /// What is signed.
        envelope: Envelope,
    },
    /// An envelope signed with plain keys.
    Envelope(Envelope),
    /// An envelope with a certificate beside its signature, and the log's entries about it, which came separately.
    Logged(Box<LoggedEnvelope>),
    /// A log entry whose envelope is in another file, or missing.
    LogEntry(Box<Entry>),
    /// A statement without a signature.
    Statement(Statement),
    /// A detached OpenPGP signature.
    OpenPgpDetached(Vec<u8>),
    /// A text with an OpenPGP signature around it.
    OpenPgpInline(Vec<u8>),
    /// A minisign signature.
    Minisign(Box<minisign_verify::Signature>),
    /// An OpenSSH signature.
    Ssh(Box<ssh_key::SshSig>),
    /// Debian's build record.
    BuildInfo(Box<BuildInfo>),
    /// An in-toto link.
    Link(Box<Link>),
    /// An in-toto layout.
    Layout(Box<Layout>),
    /// A list of digests.
    HashList(Box<HashList>),
    /// A signature over a file's bytes that does not name its key.
    Blob(Box<BlobSignature>),
    /// A certificate whose signature is in another file.
    Certificate(Box<Certificate>),
    /// An envelope whose signature this program cannot verify.
    Unproven {
        /// What is signed.
        envelope: Envelope,
        /// The reason, in one sentence.
        reason: String,
    },
    /// An envelope of Google Cloud Build, whose signatures have forms of their own.
    CloudBuild(Envelope),
    /// Cosign's signature of a container image.
    Image(Box<SimpleSigning>),
    /// Something unsupported in a place where evidence is expected.
    Unreadable(Unreadable),
}

/// A file that is not evidence of a supported kind.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum DocumentError {
    #[error("cannot read the evidence {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("cannot use {origin} as evidence: {reason}")]
    #[diagnostic(help(
        "supported: Sigstore bundles, npm's and PyPI's attestations, DSSE envelopes, in-toto statements and links, OpenPGP, minisign and SSH signatures, .buildinfo files, lists of digests and .narinfo files"
    ))]
    Unusable { origin: String, reason: String },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Oci(#[from] oci::OciError),
}

/// Reads one self-contained document, for callers that know that there is only one; the error is a sentence.
pub(super) fn one_document(bytes: &[u8]) -> Result<Kind, String> {
    let value = json::parse_evidence(bytes).map_err(|error| error.to_string())?;
    piece(&value).map_err(|error| error.to_string())
}

/// Why one piece of a file cannot be read.
#[derive(Debug, thiserror::Error)]
enum PieceError {
    #[error(transparent)]
    Json(#[from] JsonError),
    #[error(transparent)]
    Dsse(#[from] DsseError),
    #[error(transparent)]
    Sigstore(#[from] SigstoreError),
    #[error(transparent)]
    Statement(#[from] StatementError),
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    HashList(#[from] HashListError),
    #[error("{0}")]
    Other(String),
}

/// Reads a file of evidence, or every document in an OCI layout that belongs to its images.
pub fn read_file(path: &Path) -> Result<Vec<Document>, DocumentError> {
    if oci::is_layout(path) {
        return Ok(oci::images(path)?.into_documents());
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(json::SIZE_LIMIT + 1).read_to_end(&mut bytes))
        .map_err(|source| DocumentError::Read {
            path: path.to_owned(),
            source,
        })?;
    read(&path.display().to_string(), &bytes)
}

/// Reads the bytes of a file of evidence.
pub fn read(origin: &str, bytes: &[u8]) -> Result<Vec<Document>, DocumentError> {
    let mut documents = read_from_registry(origin, bytes)?;
    for document in &mut documents {
        // No signature covers the publisher, so it counts only if the index itself names it.
        if let Kind::Bundle(bundle) = &mut document.kind {
            bundle.set_publisher(None);
        }
    }
    Ok(documents)
}

/// Does the same for the answer of a registry, which may name the publisher.
pub fn read_from_registry(origin: &str, bytes: &[u8]) -> Result<Vec<Document>, DocumentError> {
    let kinds = pieces(bytes).map_err(|error| DocumentError::Unusable {
        origin: origin.to_owned(),
        reason: error.to_string(),
    })?;
    let digest = Sha256::of(bytes);
    let document = |kind| Document {
        origin: origin.to_owned(),
        digest,
        kind,
    };
    Ok(with_entries(kinds.into_iter().map(document).collect()))
}

/// Reads a file that must be a single Sigstore bundle, with nothing around it.
pub fn read_bundle(origin: &str, bytes: &[u8]) -> Result<Document, DocumentError> {
    let read = || {
        let kind = piece(&json::parse_evidence(bytes)?)?;
        match kind {
            Kind::Bundle(_) | Kind::KeyBundle { .. } => Ok(kind),
            _ => Err(PieceError::Other("not a Sigstore bundle".into())),
        }
    };
    let kind = read().map_err(|error: PieceError| DocumentError::Unusable {
        origin: origin.to_owned(),
        reason: error.to_string(),
    })?;
    Ok(Document {
        origin: origin.to_owned(),
        digest: Sha256::of(bytes),
        kind,
    })
}

fn pieces(bytes: &[u8]) -> Result<Vec<Kind>, PieceError> {
    if bytes.len() as u64 > json::SIZE_LIMIT {
        return Err(JsonError::TooLarge.into());
    }
    // rebuilderd keeps and serves its links in this form.
    if bytes.starts_with(ZSTD) {
        return pieces(&decompressed(bytes)?);
    }
    // A binary OpenPGP file begins with the packet tag of a signature, in the old or the new form.
    if bytes
        .first()
        .is_some_and(|first| [0x88, 0x89, 0x8a, 0xc2].contains(first))
    {
        return Ok(vec![Kind::OpenPgpDetached(bytes.to_vec())]);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| JsonError::NotUtf8(error.valid_up_to()))?;
    let start = text.trim_start();
    if start.starts_with('{') || start.starts_with('[') {
        return json_pieces(bytes, text);
    }
    if start.starts_with(CLEAR_SIGNED) {
        one_signed_text(start)?;
    }
    match of_text(bytes, text, start)? {
        Some(kind) => Ok(vec![kind]),
        None if text.lines().any(|line| line.trim_start().starts_with('{')) => json_lines(text),
        None => Err(PieceError::Other("its form is not supported".into())),
    }
}

/// The first bytes of a zstd frame.
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// The content of a zstd file, up to the size limit of evidence.
fn decompressed(bytes: &[u8]) -> Result<Vec<u8>, PieceError> {
    let other = |error: std::io::Error| PieceError::Other(format!("not a complete zstd file: {error}"));
    let mut inside = Vec::new();
    let reader = zstd::Decoder::new(bytes).map_err(other)?;
    reader
        .take(json::SIZE_LIMIT + 1)
        .read_to_end(&mut inside)
        .map_err(other)?;
    if inside.starts_with(ZSTD) {
        return Err(PieceError::Other("it is compressed twice".into()));
    }
    Ok(inside)
}

/// Reads a form that its first words or the whole text identify; `None` if it is none of these. `start` is the text
/// from its first word on.
fn of_text(bytes: &[u8], text: &str, start: &str) -> Result<Option<Kind>, PieceError> {
    let other = |error: &dyn std::fmt::Display| PieceError::Other(error.to_string());
    Ok(Some(if start.starts_with("-----BEGIN PGP SIGNATURE-----") {
        Kind::OpenPgpDetached(bytes.to_vec())
    } else if start.starts_with(CLEAR_SIGNED) {
        if let Some(info) = BuildInfo::signed(bytes) {
            Kind::BuildInfo(Box::new(info.map_err(|error| other(&error))?))
        } else {
            Kind::OpenPgpInline(bytes.to_vec())
        }
    } else if start.starts_with("-----BEGIN SSH SIGNATURE-----") {
        let signature = ssh_key::SshSig::from_pem(start.trim_end());
        Kind::Ssh(Box::new(signature.map_err(|error| other(&error))?))
    } else if start.starts_with("untrusted comment:") {
        // The parser reads only the first four lines, but people read the others too.
        if start.trim_end().lines().count() != 4 {
            return Err(PieceError::Other(
                "a minisign signature must have exactly four lines".into(),
            ));
        }
        let signature = minisign_verify::Signature::decode(text);
        Kind::Minisign(Box::new(signature.map_err(|error| other(&error))?))
    } else if start.starts_with("Format: 1.0") {
        Kind::BuildInfo(Box::new(
            BuildInfo::unsigned(bytes).map_err(|error| other(&error))?,
        ))
    } else if HashList::is_narinfo(text) {
        Kind::HashList(Box::new(HashList::parse_narinfo(text)?))
    } else if HashList::is_one(text) {
        Kind::HashList(Box::new(HashList::parse(text)?))
    } else if Certificate::is_one(text) {
        let certificate = Certificate::parse(text);
        Kind::Certificate(Box::new(certificate.map_err(|error| other(&error))?))
    } else if let Some(signature) = BlobSignature::parse(text) {
        Kind::Blob(Box::new(signature))
    } else {
        return Ok(None);
    }))
}

const CLEAR_SIGNED: &str = "-----BEGIN PGP SIGNED MESSAGE-----";

/// Refuses a clear-signed file with text outside its signature: people and other programs would read that text too.
fn one_signed_text(text: &str) -> Result<(), PieceError> {
    let other = |reason: &str| Err(PieceError::Other(reason.to_owned()));
    let mut lines = text.trim_end().lines().map(str::trim_end);
    // Between the first line and the empty one are only the names of the signature's hashes, and none of it is signed.
    let mut head = lines.by_ref().skip(1).take_while(|line| !line.is_empty());
    if !head.all(|line| line.starts_with("Hash: ")) {
        return other("it has unsigned text before the signed text");
    }
    let marks: Vec<&str> = lines.filter(|line| line.starts_with("-----")).collect();
    let last = text.trim_end().lines().last().map(str::trim_end);
    if marks != ["-----BEGIN PGP SIGNATURE-----", "-----END PGP SIGNATURE-----"]
        || marks.last().copied() != last
    {
        return other("it must be one signed text, followed by its signature and nothing else");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_wrong_with_a_file() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
        let table: [(&[u8], &str); 9] = [
            (b"", "form is not supported"),
            (b"hello", "form is not supported"),
            (b"\xff\xfe\x00", "not UTF-8"),
            (b"{\"a\":1", "EOF"),
            (b"{\"a\":1}", "not a supported kind"),
            (b"{\"payloadType\":\"x\",\"payloadType\":\"y\"}", "occurs twice"),
            (
                b"{\"payloadType\":\"x\",\"payload\":\"%\",\"signatures\":[]}",
                "payload",
            ),
            (
                b"{\"mediaType\":\"x\",\"verificationMaterial\":{}}",
                "not a Sigstore bundle",
            ),
            (deep.as_bytes(), "recursion limit"),
        ];
        for (bytes, expected) in table {
            let error = read("x", bytes).err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn takes_one_content_in_one_place() {
        let envelope = r#"{"payloadType":"x","payload":"","signatures":[]}"#;
        let bundle = r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"k"}},"dsseEnvelope":{"payloadType":"x","payload":"","signatures":[{"sig":""}]}}"#.to_owned();
        let with = |member: &str| bundle.replacen('{', &format!("{{{member},"), 1);
        let good = [
            envelope.to_owned(),
            bundle.clone(),
            format!(r#"{{"attestations":[{{"bundle":{bundle},"repository_id":1,"bundle_url":"u"}}]}}"#),
            format!("{envelope}\n{envelope}\n"),
            format!("[{envelope}]"),
        ];
        for text in good {
            assert!(read("x", text.as_bytes()).is_ok(), "{text}");
        }
        let bad = [
            with(r#""messageSignature":{}"#),
            with(r#""messageSignature":null"#),
            with(r#""dsse_envelope":{}"#),
            with(r#""attestations":[]"#),
            with(r#""payload":"""#),
            with(r#""more":{}"#),
            bundle.replacen(r#""publicKey""#, r#""certificate":{},"publicKey""#, 1),
            bundle.replacen("dsseEnvelope", "DsseEnvelope", 1),
            envelope.replacen("payload\":", "payload\":\"\",\"content\":", 1),
            envelope.replacen("payload\"", "Payload\"", 1),
            format!(r#"{{"attestations":[{{"bundle":{bundle},"envelope":{envelope}}}]}}"#),
            format!(r#"{{"attestations":[{{"bundle":{{"attestations":[{bundle}]}}}}]}}"#),
            r#"{"attestations":[],"attestation_bundles":[]}"#.to_owned(),
            format!("[[{envelope}]]"),
            format!("{envelope}{envelope}"),
        ];
        for text in bad {
            assert!(read("x", text.as_bytes()).is_err(), "{text}");
        }
        assert!(read_bundle("x", bundle.as_bytes()).is_ok());
        for text in [
            envelope.to_owned(),
            format!("[{bundle}]"),
            format!("{bundle}\n{bundle}"),
        ] {
            assert!(read_bundle("x", text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(
            start in "(\\{\"payloadType\":|-----BEGIN PGP SIGNED MESSAGE-----\n|-----BEGIN SSH SIGNATURE-----\n|untrusted comment: x\n|Format: 1.0\n|StorePath: /nix/store/a-b\nNarHash: sha256:|[0-9a-f]{64}  |\\{\"signed\":\\{\"_type\":\"link\",|\u{88}|)",
            rest in proptest::collection::vec(proptest::num::u8::ANY, 0..80),
        ) {
            let mut bytes = start.into_bytes();
            bytes.extend(rest);
            let _ = read("x", &bytes);
        }
    }
}
