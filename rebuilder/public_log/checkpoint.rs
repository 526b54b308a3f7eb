//! Checkpoints (c2sp.org/tlog-checkpoint): what a log says it is, and who vouches for that.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sigstore_verify::types::Sha256Hash;

use super::PublicLogError;
use super::note::Note;
use super::policy::LogPolicy;

/// The head of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Names the log.
    pub origin: String,
    /// Entries.
    pub size: u64,
    /// Root of the tree.
    pub root: Sha256Hash,
}

/// A checkpoint that a log of a policy signed, and enough witnesses with it.
#[derive(Debug, Clone)]
pub struct SignedCheckpoint {
    pub head: Checkpoint,
    /// The note as it is served.
    pub note: String,
    /// The key that verifies it.
    pub key: String,
    /// Witnesses that signed it too, by their names in the policy, with the seconds since 1970.
    pub cosigned: Vec<(String, u64)>,
}

impl SignedCheckpoint {
    /// Names of the witnesses that signed it too.
    pub fn witnesses(&self) -> Vec<String> {
        self.cosigned.iter().map(|(name, _)| name.clone()).collect()
    }
}

impl Checkpoint {
    /// The text that is signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, base64(&self.root))
    }

    /// Reads the text of a note. Further lines are allowed, and mean nothing here.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.split_terminator('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err("it has fewer than three lines".into());
        };
        if origin.is_empty() || lines.any(str::is_empty) {
            return Err("it has an empty line".into());
        }
        Ok(Self {
            origin: origin.to_owned(),
            size: decimal(size).ok_or("its size is not a number")?,
            root: unbase64(root).ok_or("its root is not a SHA-256 digest in base64")?,
        })
    }
}

impl SignedCheckpoint {
    /// Takes a checkpoint that the policy accepts; `log` names the log for messages.
    pub fn verify(log: &str, note: &str, policy: &LogPolicy) -> Result<Self, PublicLogError> {
        let invalid = |reason: String| PublicLogError::Checkpoint {
            log: log.to_owned(),
            reason,
        };
        let parsed = Note::parse(note).map_err(invalid)?;
        let head = Checkpoint::parse(parsed.text).map_err(invalid)?;
        let key = policy
            .log(&head.origin)
            .ok_or_else(|| PublicLogError::WrongOrigin {
                log: log.to_owned(),
                expected: policy.origins(),
                found: head.origin.clone(),
            })?;
        if parsed.verify(key).map_err(invalid)?.is_none() {
            return Err(PublicLogError::NotSigned {
                log: log.to_owned(),
                key: key.to_string(),
            });
        }
        let mut cosigned = Vec::new();
        for witness in policy.witnesses() {
            if let Some(time) = parsed.verify(&witness.key).map_err(invalid)? {
                cosigned.push((witness.name.clone(), time));
            }
        }
        let names: Vec<_> = cosigned.iter().map(|(name, _)| name.as_str()).collect();
        if !policy.is_enough(&names) {
            return Err(PublicLogError::TooFewWitnesses {
                log: log.to_owned(),
                size: head.size,
                count: names.len(),
            });
        }
        Ok(Self {
            key: key.to_string(),
            note: note.to_owned(),
            head,
            cosigned,
        })
    }
}

/// A number as these formats write it: decimal, without leading zeroes.
pub fn decimal(text: &str) -> Option<u64> {
    let fine = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    fine.then(|| text.parse().ok()).flatten()
}

/// A hash as these formats write it.
pub fn base64(hash: &Sha256Hash) -> String {
    STANDARD.encode(hash.as_bytes())
}

/// A hash as these formats write it.
pub fn unbase64(text: &str) -> Option<Sha256Hash> {
    let bytes = STANDARD.decode(text).ok()?;
    bytes.try_into().ok().map(Sha256Hash::new)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn heads_are_read_exactly() {
        const ROOT: &str = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
        let good = format!("example.com/log\n20852163\n{ROOT}\n");
        let head = Checkpoint::parse(&good).unwrap();
        assert_eq!((head.origin.as_str(), head.size), ("example.com/log", 20_852_163));
        assert_eq!(head.text(), good);
        assert!(Checkpoint::parse(&format!("{good}more\n")).is_ok());
        for broken in [
            "example.com/log\n1\n".to_owned(),
            format!("\n1\n{ROOT}\n"),
            format!("a\n01\n{ROOT}\n"),
            format!("a\n+1\n{ROOT}\n"),
            format!("a\n-1\n{ROOT}\n"),
            format!("a\n99999999999999999999\n{ROOT}\n"),
            format!("a\n\n{ROOT}\n"),
            format!("a\n1\n{}\n", &ROOT[4..]),
            format!("a\n1\n{ROOT}\n\nmore\n"),
        ] {
            assert!(Checkpoint::parse(&broken).is_err(), "{broken:?}");
        }
    }
}
