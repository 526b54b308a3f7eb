//! OpenPGP signatures (RFC 9580): inline-signed files such as `InRelease` and `.dsc`.
//!
//! Sequoia verifies signatures, the validity of certificates and the algorithms; this module only decides which
//! certificates count, and reports every signature that it saw.

mod collector;
pub mod in_toto;

use std::fmt;
use std::path::{Path, PathBuf};

use collector::{detached, read};
use openpgp::Cert;
use openpgp::cert::CertParser;
use openpgp::parse::Parse as _;
use sequoia_openpgp as openpgp;

use super::Verified;

/// Trusted OpenPGP certificates.
#[derive(Debug, Clone)]
pub struct Keyring {
    name: String,
    certs: Vec<Cert>,
}

/// A signed text that does not verify, or a keyring that cannot be read.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum OpenPgpError {
    #[error("cannot read the keyring {path}")]
    #[diagnostic(help("name a file with OpenPGP certificates, binary or armored"))]
    Keyring { path: PathBuf, source: anyhow::Error },
    #[error("{document} is not an OpenPGP signature")]
    Malformed { document: String, source: anyhow::Error },
    #[error(
        "{document} is signed as text (by {}), so the signature does not cover its exact line endings",
        signers.join(", ")
    )]
    #[diagnostic(help("ask the signer for a signature in binary mode, which gpg makes without --textmode"))]
    OverText { document: String, signers: Vec<String> },
    #[error("no signature of {document} verifies with {keyring}: {}", Reasons(reasons))]
    #[diagnostic(help("check who should have signed the file, and whether the keyring is up to date"))]
    Refused {
        document: String,
        keyring: String,
        reasons: Vec<Uncounted>,
    },
}

/// Why a signature does not count.
#[derive(Debug)]
pub enum Uncounted {
    /// The keyring has no key with this id.
    UnknownKey(String),
    /// Something else, in words.
    Other(String),
}

impl fmt::Display for Uncounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey(key) => write!(f, "key {key} is not in the keyring"),
            Self::Other(reason) => f.write_str(reason),
        }
    }
}

struct Reasons<'a>(&'a [Uncounted]);

impl fmt::Display for Reasons<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("it carries no signature");
        }
        for (index, reason) in self.0.iter().enumerate() {
            write!(f, "{}{reason}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl OpenPgpError {
    /// Whether the only problem is that the keyring does not have the key.
    pub(in crate::evidence) fn is_unknown_key(&self) -> bool {
        let unknown = |reason: &Uncounted| matches!(reason, Uncounted::UnknownKey(_));
        matches!(self, Self::Refused { reasons, .. } if !reasons.is_empty() && reasons.iter().all(unknown))
    }
}

/// The text that was signed, and its signers.
#[derive(Debug, Clone)]
pub struct SignedText {
    /// Exactly the signed bytes, without the armour.
    pub text: Vec<u8>,
    /// `FINGERPRINT (user id)` of each certificate whose signature is good; never empty.
    pub signers: Vec<String>,
}

impl Keyring {
    /// Reads certificates, binary or armored.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, OpenPgpError> {
        let error = |source| OpenPgpError::Keyring {
            path: name.into(),
            source,
        };
        let certs = CertParser::from_bytes(bytes)
            .and_then(Iterator::collect::<openpgp::Result<Vec<Cert>>>)
            .map_err(error)?;
        if certs.is_empty() {
            return Err(error(anyhow::anyhow!("it contains no certificate")));
        }
        Ok(Self {
            name: name.to_owned(),
            certs,
        })
    }

    /// Reads a keyring file.
    pub fn read(path: &Path) -> Result<Self, OpenPgpError> {
        let bytes = std::fs::read(path).map_err(|error| OpenPgpError::Keyring {
            path: path.to_owned(),
            source: error.into(),
        })?;
        Self::parse(&path.to_string_lossy(), &bytes)
    }

    /// Fingerprints of all certificates in it.
    pub fn fingerprints(&self) -> Vec<String> {
        self.certs
            .iter()
            .map(|cert| format!("{:X}", cert.fingerprint()))
            .collect()
    }

    /// Whether one of its keys, or of their subkeys, has this fingerprint (in hexadecimal digits).
    pub(in crate::evidence) fn holds(&self, fingerprint: &str) -> bool {
        let mut keys = self.certs.iter().flat_map(|cert| cert.keys());
        keys.any(|key| key.key().fingerprint().to_hex().eq_ignore_ascii_case(fingerprint))
    }

    /// Verifies a detached signature over everything that `signed` yields; gives the good signers.
    pub fn verify_detached(
        &self,
        document: &str,
        signature: &[u8],
        signed: impl std::io::Read + Send + Sync,
    ) -> Result<Verified<Vec<String>>, OpenPgpError> {
        // 1. "For binary document signatures (type 0x00), the document data is hashed directly" (RFC 9580, 5.2.4). The
        //    library hashes, and looks for the key in these certificates; `Collector::check` says which results count.
        let seen = detached(document, signature, signed, &self.certs)?;
        // 2. A text document signature (type 0x01) is over the text with normalised line ends, which these bytes need
        // not have.
        if seen.good.is_empty() && !seen.over_text.is_empty() {
            return Err(OpenPgpError::OverText {
                document: document.to_owned(),
                signers: seen.over_text,
            });
        }
        // 3. One good signature is enough; the bad ones are reported only if there is none.
        if seen.good.is_empty() {
            return Err(self.refused(document, seen.bad));
        }
        Ok(Verified(seen.good))
    }

    fn refused(&self, document: &str, reasons: Vec<Uncounted>) -> OpenPgpError {
        OpenPgpError::Refused {
            document: document.to_owned(),
            keyring: self.name.clone(),
            reasons,
        }
    }

    /// Verifies an inline-signed text; at least one signature must be good, today, under the standard policy.
    pub fn verify(&self, document: &str, signed: &[u8]) -> Result<Verified<SignedText>, OpenPgpError> {
        // 1. The cleartext signature framework (RFC 9580, 7) or an inline-signed message: the library extracts the
        // text, and that text is used from here on, not the input.
        let read = read(document, signed, &self.certs)?;
        // 2. At least one good signature over the extracted text.
        if read.good.is_empty() {
            return Err(self.refused(document, read.bad));
        }
        Ok(Verified(SignedText {
            text: read.text,
            signers: read.good,
        }))
    }
}

/// The text of a signed document and the issuers that it names, without any verification.
pub fn read_unverified(document: &str, signed: &[u8]) -> Result<(Vec<u8>, Vec<String>), OpenPgpError> {
    let read = read(document, signed, &[])?;
    Ok((read.text, read.issuers))
}

/// Key ids in a detached signature; not verified.
pub fn issuers(document: &str, signature: &[u8]) -> Result<Vec<String>, OpenPgpError> {
    let malformed = |source| OpenPgpError::Malformed {
        document: document.to_owned(),
        source,
    };
    let pile = openpgp::PacketPile::from_bytes(signature).map_err(malformed)?;
    let signatures = pile.descendants().filter_map(|packet| match packet {
        openpgp::Packet::Signature(signature) => Some(signature),
        _ => None,
    });
    let mut names: Vec<_> = signatures
        .flat_map(sequoia_openpgp::packet::Signature::get_issuers)
        .map(|id| format!("{id:X}"))
        .collect();
    if names.is_empty() {
        return Err(malformed(anyhow::anyhow!(
            "it contains no signature that names a key"
        )));
    }
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::{Duration, SystemTime};

    use openpgp::cert::CertBuilder;
    use openpgp::policy::StandardPolicy;
    use openpgp::serialize::Serialize as _;
    use openpgp::serialize::stream::{Message, Signer};
    use openpgp::types::SignatureType;

    use super::*;

    fn cert(created: Duration, valid: Option<Duration>) -> Cert {
        CertBuilder::new()
            .add_userid("archive")
            .add_signing_subkey()
            .set_creation_time(SystemTime::now() - created)
            .set_validity_period(valid)
            .generate()
            .unwrap()
            .0
    }

    fn keyring(cert: &Cert) -> Keyring {
        let mut bytes = Vec::new();
        cert.serialize(&mut bytes).unwrap();
        Keyring::parse("test keyring", &bytes).unwrap()
    }

    /// Signs inline, one minute after the certificate was made.
    fn sign(cert: &Cert, created: Duration, text: &str) -> Vec<u8> {
        let when = SystemTime::now() - created + Duration::from_mins(1);
        let policy = StandardPolicy::at(when);
        let key = cert
            .keys()
            .secret()
            .with_policy(&policy, when)
            .for_signing()
            .next()
            .unwrap();
        let mut signed = Vec::new();
        let message = Message::new(&mut signed);
        let signer = Signer::new(message, key.key().clone().into_keypair().unwrap()).unwrap();
        let mut writer = signer.cleartext().creation_time(when).build().unwrap();
        writer.write_all(text.as_bytes()).unwrap();
        writer.finalize().unwrap();
        signed
    }

    const DAY: Duration = Duration::from_hours(24);
    const TEXT: &str = "Suite: test\nCodename: test\n";

    #[test]
    fn takes_only_good_signatures_of_known_and_valid_keys() {
        let (good, other) = (cert(DAY * 9, None), cert(DAY * 9, None));
        let expired = cert(DAY * 9, Some(DAY));
        let signed = sign(&good, DAY * 9, TEXT);
        let verified = keyring(&good).verify("InRelease", &signed).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&verified.text).trim_end(),
            TEXT.trim_end()
        );
        assert!(verified.signers[0].contains("archive"), "{:?}", verified.signers);

        let refused =
            |keyring: Keyring, signed: &[u8]| keyring.verify("InRelease", signed).unwrap_err().to_string();
        let unknown = refused(keyring(&other), &signed);
        assert!(unknown.contains("is not in the keyring"), "{unknown}");
        let is_unknown = |cert: &Cert, signed: &[u8]| {
            let error = keyring(cert).verify("InRelease", signed).unwrap_err();
            error.is_unknown_key()
        };
        assert!(is_unknown(&other, &signed));
        assert!(!is_unknown(&expired, &sign(&expired, DAY * 9, TEXT)));
        let late = refused(keyring(&expired), &sign(&expired, DAY * 9, TEXT));
        assert!(late.contains("expired") || late.contains("not live"), "{late}");
        let changed = String::from_utf8(signed.clone())
            .unwrap()
            .replace("Codename: test", "Codename: evil");
        let bad = refused(keyring(&good), changed.as_bytes());
        assert!(bad.contains("no signature of InRelease verifies"), "{bad}");
        assert!(
            keyring(&good).verify("InRelease", TEXT.as_bytes()).is_err(),
            "unsigned text was taken"
        );
        assert!(
            keyring(&good)
                .verify("InRelease", &signed[..signed.len() / 2])
                .is_err(),
            "half a file was taken"
        );
    }

    #[test]
    fn a_signature_over_a_text_is_none_over_bytes() {
        let good = cert(DAY * 9, None);
        let detached = |kind, bytes: &[u8]| {
            let when = SystemTime::now() - DAY * 9 + Duration::from_mins(1);
            let policy = StandardPolicy::at(when);
            let keys = good.keys().secret().with_policy(&policy, when).for_signing();
            let key = keys.into_iter().next().unwrap().key().clone();
            let mut signature = Vec::new();
            let builder = openpgp::packet::signature::SignatureBuilder::new(kind);
            let message = Message::new(&mut signature);
            let signer = Signer::with_template(message, key.into_keypair().unwrap(), builder).unwrap();
            let mut writer = signer.detached().creation_time(when).build().unwrap();
            writer.write_all(bytes).unwrap();
            writer.finalize().unwrap();
            signature
        };
        for (kind, signed, bytes, expected) in [
            (SignatureType::Binary, "a\nb\n", "a\nb\n", "good"),
            (SignatureType::Binary, "a\nb\n", "a\r\nb\r\n", "refused"),
            (SignatureType::Text, "a\nb\n", "a\r\nb\r\n", "text"),
            (SignatureType::Text, "a\r\nb\r\n", "a\nb\n", "text"),
            (SignatureType::Text, "a\nb\n", "a\nb\n", "text"),
            (SignatureType::Text, "a\nb\n", "a\nc\n", "refused"),
        ] {
            let signature = detached(kind, signed.as_bytes());
            let found = match keyring(&good).verify_detached("a", &signature, bytes.as_bytes()) {
                Ok(_) => "good",
                Err(OpenPgpError::OverText { .. }) => "text",
                Err(_) => "refused",
            };
            assert_eq!(found, expected, "{kind:?} {signed:?} {bytes:?}");
        }
    }

    #[test]
    fn tells_issuers_without_vouching_for_them() {
        let good = cert(DAY * 9, None);
        let (text, issuers) = read_unverified("a.dsc", &sign(&good, DAY * 9, TEXT)).unwrap();
        assert_eq!(String::from_utf8_lossy(&text).trim_end(), TEXT.trim_end());
        assert!(!issuers.is_empty());
    }
}
