//! Files that carry evidence: told apart by their content, taken out of the wrappings of the registries.
//!
//! Reading believes nothing; what comes out still has to be assessed.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::buildinfo::BuildInfo;
use super::dsse::{self, DsseError, Envelope};
use super::hash_list::{HashList, HashListError};
use super::json::{self, JsonError};
use super::link::{Link, LinkError};
use super::sigstore::{SigstoreError, Unverified};
use super::statement::{Statement, StatementError};
use crate::artifact::Sha256;

/// A piece of evidence, unverified.
pub struct Document {
    /// File that it came from, for people.
    pub origin: String,
    /// Digest of that file.
    pub digest: Sha256,
    /// What it is.
    pub kind: Kind,
}

/// What a piece of evidence is.
pub enum Kind {
    /// A Sigstore bundle.
    Bundle(Box<Unverified>),
    /// A Sigstore bundle with neither certificate nor log: one signature by a key known beforehand. Such bundles come
    /// in thousands, and everything in them is read without the Sigstore crates.
    KeyBundle {
        /// What the bundle calls the key.
        hint: String,
        /// What is signed.
        envelope: Envelope,
    },
    /// An envelope signed with plain keys.
    Envelope(Envelope),
    /// A statement that nobody signed.
    Statement(Statement),
    /// A detached OpenPGP signature.
    OpenPgpDetached(Vec<u8>),
    /// A text with an OpenPGP signature around it.
    OpenPgpInline(Vec<u8>),
    /// A minisign signature.
    Minisign(Box<minisign_verify::Signature>),
    /// An OpenSSH signature.
    Ssh(Box<ssh_key::SshSig>),
    /// Debian's record of a build.
    BuildInfo(Box<BuildInfo>),
    /// An in-toto link.
    Link(Box<Link>),
    /// A list of digests.
    HashList(Box<HashList>),
}

/// A file that is no evidence of a known kind.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[allow(missing_docs)]
pub enum DocumentError {
    #[error("cannot read the evidence {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{origin} cannot be used as evidence: {reason}")]
    #[diagnostic(help(
        "known are Sigstore bundles, npm's and PyPI's attestations, DSSE envelopes, in-toto statements and links, OpenPGP, minisign and SSH signatures, .buildinfo files, lists of digests and .narinfo files"
    ))]
    Unusable { origin: String, reason: String },
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

/// Reads a file of evidence.
pub fn read_file(path: &Path) -> Result<Vec<Document>, DocumentError> {
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
    Ok(kinds.into_iter().map(document).collect())
}

fn pieces(bytes: &[u8]) -> Result<Vec<Kind>, PieceError> {
    if bytes.len() as u64 > json::SIZE_LIMIT {
        return Err(JsonError::TooLarge.into());
    }
    // As rebuilderd keeps and hands out its links.
    if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let other = |error: std::io::Error| PieceError::Other(format!("it is no whole zstd file: {error}"));
        let mut inside = Vec::new();
        let reader = zstd::Decoder::new(bytes).map_err(other)?;
        reader
            .take(json::SIZE_LIMIT + 1)
            .read_to_end(&mut inside)
            .map_err(other)?;
        if inside.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            return Err(PieceError::Other("it is compressed twice".into()));
        }
        return pieces(&inside);
    }
    // Binary OpenPGP begins with a packet tag of a signature, in the old or the new form.
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
    let other = |error: &dyn std::fmt::Display| PieceError::Other(error.to_string());
    Ok(vec![if start.starts_with("-----BEGIN PGP SIGNATURE-----") {
        Kind::OpenPgpDetached(bytes.to_vec())
    } else if start.starts_with("-----BEGIN PGP SIGNED MESSAGE-----") {
        if let Some(info) = BuildInfo::signed(bytes) {
            Kind::BuildInfo(Box::new(info.map_err(|error| other(&error))?))
        } else {
            Kind::OpenPgpInline(bytes.to_vec())
        }
    } else if start.starts_with("-----BEGIN SSH SIGNATURE-----") {
        let signature = ssh_key::SshSig::from_pem(start.trim_end());
        Kind::Ssh(Box::new(signature.map_err(|error| other(&error))?))
    } else if start.starts_with("untrusted comment:") {
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
    } else {
        return Err(PieceError::Other("it is of no known form".into()));
    }])
}

fn json_pieces(bytes: &[u8], text: &str) -> Result<Vec<Kind>, PieceError> {
    match json::parse(bytes) {
        Ok(value) => unwrap(&value),
        // One document a line, as the SLSA generators write several.
        Err(error) => {
            let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let first = lines.next().map(|line| json::parse(line.as_bytes()));
            let (Some(Ok(first)), Some(second)) = (first, lines.next()) else {
                return Err(error.into());
            };
            let mut kinds = unwrap(&first)?;
            for line in std::iter::once(second).chain(lines) {
                kinds.extend(unwrap(&json::parse(line.as_bytes())?)?);
            }
            Ok(kinds)
        }
    }
}

/// Takes the pieces out of what registries wrap round them.
fn unwrap(value: &Value) -> Result<Vec<Kind>, PieceError> {
    let each = |list: &Value, take: &dyn Fn(&Value) -> Result<Vec<Kind>, PieceError>| {
        let list = list.as_array().into_iter().flatten();
        let kinds: Result<Vec<_>, _> = list.map(take).collect();
        kinds.map(|kinds| kinds.into_iter().flatten().collect())
    };
    if let Value::Array(_) = value {
        return each(value, &unwrap);
    }
    if value["attestations"].is_array() {
        // npm's `/-/npm/v1/attestations/NAME@VERSION`, and each of PyPI's bundles.
        return each(&value["attestations"], &|item| {
            unwrap(if item["bundle"].is_object() {
                &item["bundle"]
            } else {
                item
            })
        });
    }
    if value["attestation_bundles"].is_array() {
        return each(&value["attestation_bundles"], &unwrap);
    }
    if let Some(bundle) = key_bundle(value) {
        return Ok(vec![bundle?]);
    }
    Ok(vec![if value["verificationMaterial"].is_object() {
        Kind::Bundle(Box::new(Unverified::from_value(value)?))
    } else if value["verification_material"].is_object() && value["envelope"].is_object() {
        Kind::Bundle(Box::new(Unverified::from_value(&bundle_of_pep740(value)?)?))
    } else if Link::is_one(value) {
        Kind::Link(Box::new(Link::from_value(value)?))
    } else if value["payloadType"].is_string() {
        Kind::Envelope(Envelope::from_value(value)?)
    } else if value["_type"].is_string() {
        Kind::Statement(Statement::parse(value.to_string().as_bytes())?)
    } else {
        return Err(PieceError::Other(
            "its JSON is of no known kind of evidence".into(),
        ));
    }])
}

/// A bundle (v0.3) that names its key and nothing else; none where it is of another form.
fn key_bundle(value: &Value) -> Option<Result<Kind, PieceError>> {
    let material = value["verificationMaterial"].as_object()?;
    let none = |name: &str| {
        let list = material.get(name);
        list.is_none_or(|list| list.is_null() || list.as_array().is_some_and(Vec::is_empty))
    };
    let fits = value["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
        && value["dsseEnvelope"]["signatures"]
            .as_array()
            .is_some_and(|list| list.len() == 1)
        && none("tlogEntries")
        && none("timestampVerificationData")
        && material
            .keys()
            .all(|key| ["publicKey", "tlogEntries", "timestampVerificationData"].contains(&key.as_str()));
    let hint = material.get("publicKey")?["hint"].as_str().filter(|_| fits)?;
    let envelope = Envelope::from_value(&value["dsseEnvelope"]);
    Some(
        envelope
            .map_err(PieceError::from)
            .map(|envelope| Kind::KeyBundle {
                hint: hint.to_owned(),
                envelope,
            }),
    )
}

/// PyPI's own spelling of a bundle (PEP 740), in Sigstore's.
fn bundle_of_pep740(value: &Value) -> Result<Value, PieceError> {
    if value["version"] != 1 {
        return Err(PieceError::Other(format!(
            "version {} of PEP 740 attestations is not known",
            value["version"]
        )));
    }
    let material = &value["verification_material"];
    let envelope = &value["envelope"];
    let statement = envelope["statement"].as_str().and_then(dsse::decode);
    let statement = statement.ok_or_else(|| PieceError::Other("its statement is not base64".into()))?;
    Ok(json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {
            "certificate": {"rawBytes": material["certificate"]},
            "tlogEntries": material["transparency_entries"],
        },
        "dsseEnvelope": {
            "payload": STANDARD.encode(statement),
            "payloadType": dsse::IN_TOTO,
            "signatures": [{"sig": envelope["signature"]}],
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_wrong_with_a_file() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
        let table: [(&[u8], &str); 9] = [
            (b"", "no known form"),
            (b"hello", "no known form"),
            (b"\xff\xfe\x00", "not UTF-8"),
            (b"{\"a\":1", "EOF"),
            (b"{\"a\":1}", "no known kind"),
            (b"{\"payloadType\":\"x\",\"payloadType\":\"y\"}", "stands twice"),
            (
                b"{\"payloadType\":\"x\",\"payload\":\"%\",\"signatures\":[]}",
                "payload",
            ),
            (
                b"{\"mediaType\":\"x\",\"verificationMaterial\":{}}",
                "no Sigstore bundle",
            ),
            (deep.as_bytes(), "recursion limit"),
        ];
        for (bytes, expected) in table {
            let error = read("x", bytes).err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
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
