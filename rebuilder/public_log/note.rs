//! Signed notes (c2sp.org/signed-note), the keys that verify them, and cosignatures (c2sp.org/tlog-cosignature).
//!
//! Only Ed25519: signatures of logs (type 1) and of witnesses (type 4).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::PublicLogError;
use crate::artifact::Sha256;
use crate::attest::{Public, Signer};
use crate::evidence::trust::PublicKey;

/// Maximum number of bytes of a note, and of signatures below it.
pub const NOTE_LIMIT: u64 = 64 << 10;
const SIGNATURES: usize = 64;
/// Maximum length of a name of a key.
const NAME: usize = 255;
/// What begins a line with a signature.
const DASH: &str = "\u{2014} ";

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Checkpoints of its own log.
    Log = 1,
    /// Checkpoints of logs that it watches.
    Witness = 4,
}

/// A key that verifies signatures below a note, written `NAME+ID+BASE64`.
#[derive(Debug, Clone)]
pub struct NoteKey {
    /// What it calls itself; a log's is its origin.
    pub name: String,
    pub purpose: Purpose,
    bytes: [u8; 32],
    key: PublicKey,
}

/// A signature below a note.
#[derive(Debug, Clone, Copy)]
struct Signature<'a> {
    name: &'a str,
    line: &'a str,
}

/// A note, none of whose signatures was verified yet.
#[derive(Debug, Clone)]
pub struct Note<'a> {
    /// What is signed.
    pub text: &'a str,
    signatures: Vec<Signature<'a>>,
}

impl NoteKey {
    fn new(name: &str, purpose: Purpose, bytes: [u8; 32]) -> Result<Self, PublicLogError> {
        let invalid = |reason: &str| PublicLogError::invalid_key(name, reason);
        if !is_name(name) {
            return Err(invalid(
                "its name is empty, too long, or has spaces or a plus sign",
            ));
        }
        let key = PublicKey::from_ed25519(name, &bytes).map_err(|error| invalid(&error.to_string()))?;
        Ok(Self {
            name: name.to_owned(),
            purpose,
            bytes,
            key,
        })
    }

    /// The key of a log that `public` signs.
    pub fn of_log(origin: &str, public: &Public) -> Result<Self, PublicLogError> {
        let bytes = public
            .ed25519()
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let name = public.fingerprint().to_hex();
        let bytes = bytes.ok_or_else(|| PublicLogError::invalid_key(&name, "it is not an Ed25519 key"))?;
        Self::new(origin, Purpose::Log, bytes)
    }

    /// The first bytes of the digest of name, purpose and key.
    fn id(&self) -> [u8; 4] {
        let named = [self.name.as_bytes(), b"\n", &[self.purpose as u8], &self.bytes].concat();
        let digest = Sha256::of(named);
        let [a, b, c, d, ..] = *digest.as_bytes();
        [a, b, c, d]
    }

    /// Whether both wrap one key, whatever they call it.
    pub fn is_same(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }

    /// What a signature line of this key has after its id; `None` if the line is not of this key.
    fn own(&self, signature: Signature<'_>) -> Option<Vec<u8>> {
        let bytes = STANDARD.decode(signature.line).ok()?;
        let (id, rest) = bytes.split_first_chunk::<4>()?;
        (signature.name == self.name && *id == self.id()).then(|| rest.to_vec())
    }

    /// Whether the bytes of a signature are this key's over the text; returns the time of a witness in seconds since
    /// 1970.
    fn signed(&self, text: &str, signature: &[u8]) -> Option<u64> {
        match self.purpose {
            Purpose::Log => self.key.verify(text.as_bytes(), signature).then_some(0),
            Purpose::Witness => {
                let (time, signature) = signature.split_first_chunk::<8>()?;
                let time = u64::from_be_bytes(*time);
                let message = cosigned(text, time);
                (time <= i64::MAX.unsigned_abs() && self.key.verify(message.as_bytes(), signature))
                    .then_some(time)
            }
        }
    }
}

/// What a witness signs.
fn cosigned(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME
        && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

impl FromStr for NoteKey {
    type Err = PublicLogError;

    fn from_str(text: &str) -> Result<Self, PublicLogError> {
        let text = text.trim();
        let invalid = |reason: &str| PublicLogError::invalid_key(text, reason);
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(invalid("it is not NAME+ID+BASE64"));
        };
        let bytes = STANDARD
            .decode(key)
            .map_err(|_| invalid("its last part is not base64"))?;
        let (purpose, bytes) = match bytes.split_first() {
            Some((1, rest)) => (Purpose::Log, rest),
            Some((4, rest)) => (Purpose::Witness, rest),
            _ => {
                return Err(invalid(
                    "it is neither an Ed25519 key of a log nor one of a witness",
                ));
            }
        };
        let bytes = bytes
            .try_into()
            .map_err(|_| invalid("an Ed25519 key has 32 bytes"))?;
        let key = Self::new(name, purpose, bytes)?;
        if hex::encode(key.id()) != id {
            return Err(invalid("its id does not belong to it"));
        }
        Ok(key)
    }
}

impl fmt::Display for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.purpose as u8][..], &self.bytes].concat();
        write!(
            f,
            "{}+{}+{}",
            self.name,
            hex::encode(self.id()),
            STANDARD.encode(key)
        )
    }
}

impl<'a> Note<'a> {
    /// Takes a note apart.
    pub fn parse(note: &'a str) -> Result<Self, String> {
        if note.len() as u64 > NOTE_LIMIT {
            return Err("it is too long".into());
        }
        if note.contains(|c: char| c < ' ' && c != '\n') {
            return Err("it has control characters".into());
        }
        let at = note.rfind("\n\n").ok_or("no blank line ends its text")?;
        let (text, rest) = note.split_at(at.saturating_add(1));
        let lines = rest.strip_prefix('\n').unwrap_or(rest);
        Ok(Self {
            text,
            signatures: signature_lines(lines)?,
        })
    }

    /// Whether the key signed the note, and when, if it is a witness's. `None` if no signature is the key's.
    ///
    /// A signature that has the key's name and id and is not the key's is an error.
    pub fn verify(&self, key: &NoteKey) -> Result<Option<u64>, String> {
        let mut found = None;
        for signature in &self.signatures {
            let Some(bytes) = key.own(*signature) else {
                continue;
            };
            let time = key.signed(self.text, &bytes);
            found = Some(
                time.ok_or_else(|| format!("a signature in the name of {} is not by its key", key.name))?,
            );
        }
        Ok(found)
    }
}

/// Takes lines with signatures apart.
fn signature_lines(lines: &str) -> Result<Vec<Signature<'_>>, String> {
    let odd = || "a line with a signature is not \"\u{2014} NAME BASE64\"".to_owned();
    if lines.is_empty() || !lines.ends_with('\n') {
        return Err(odd());
    }
    let mut signatures = Vec::new();
    for line in lines.split_terminator('\n') {
        let (name, line) = line
            .strip_prefix(DASH)
            .and_then(|rest| rest.split_once(' '))
            .ok_or_else(odd)?;
        if !is_name(name) || STANDARD.decode(line).map_or(0, |bytes| bytes.len()) < 5 {
            return Err(odd());
        }
        signatures.push(Signature { name, line });
    }
    if signatures.len() > SIGNATURES {
        return Err("it has too many signatures".into());
    }
    Ok(signatures)
}

/// Signs a text, which ends with a line feed; `key` is that of the signer.
pub fn sign(text: &str, key: &NoteKey, signer: &dyn Signer) -> Result<String, PublicLogError> {
    let signature = signer.signature(text.as_bytes())?;
    let bytes = [&key.id()[..], &signature].concat();
    Ok(format!("{text}\n{DASH}{} {}\n", key.name, STANDARD.encode(bytes)))
}

/// The lines of an answer that are signatures of `key` over the text of a note; lines of other keys are left out.
pub fn cosignature(text: &str, answer: &str, key: &NoteKey) -> Result<Option<String>, String> {
    for signature in signature_lines(answer)? {
        let Some(bytes) = key.own(signature) else { continue };
        if key.signed(text, &bytes).is_some() {
            return Ok(Some(format!("{DASH}{} {}\n", signature.name, signature.line)));
        }
        return Err(format!(
            "the signature in the name of {} is not by its key",
            key.name
        ));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// The example of c2sp.org/signed-note, with the key that Go's documentation gives for another one.
    const GO_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const GO_NOTE: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn takes_what_others_signed_and_nothing_else() {
        let key: NoteKey = GO_KEY.parse().unwrap();
        assert_eq!(key.to_string(), GO_KEY);
        assert_eq!(Note::parse(GO_NOTE).unwrap().verify(&key), Ok(Some(0)));
        let changed = GO_NOTE.replace("answer", "question");
        assert!(Note::parse(&changed).unwrap().verify(&key).is_err());
        let stranger = GO_NOTE.replace("\u{2014} PeterNeumann", "\u{2014} Peter");
        assert_eq!(Note::parse(&stranger).unwrap().verify(&key), Ok(None));
        for broken in [
            GO_NOTE.trim_end(),
            "text\n",
            "text\n\n",
            "text\n\n\u{2014} name\n",
            "text\n\n- name AAAAAAAAAAAA\n",
            "te\u{1b}xt\n\n\u{2014} name AAAAAAAAAAAA\n",
        ] {
            assert!(Note::parse(broken).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn keys_are_read_exactly() {
        for broken in [
            "",
            "name+c74f20a3",
            "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a3+BRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a3+ARpc2QcUPDhM",
        ] {
            assert!(broken.parse::<NoteKey>().is_err(), "{broken}");
        }
    }
}
