//! What an entry says: one JSON object (RFC 8785), made of a line of the private log alone, so that it comes out the same
//! each time.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::tile::LONGEST_ENTRY;
use crate::artifact::Sha256;
use crate::artifact::serialise::{self, SerialiseError};
use crate::attest::log::{Event, Line};

/// Form of entries.
const VERSION: u32 = 1;

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case")]
pub enum Entry {
    /// A verdict was signed.
    Verdict(VerdictEntry),
    /// A verdict that was signed is no longer held.
    Withdrawal(WithdrawalEntry),
}

/// A verdict that was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictEntry {
    /// Form of the entry; 1.
    pub version: u32,
    /// When it was signed.
    pub time: Timestamp,
    /// Package URL.
    pub subject: String,
    /// The verdict.
    pub verdict: String,
    /// SHA-256 of the released files; empty if there are too many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub released: Vec<Sha256>,
    /// Name of the run.
    pub run: String,
    /// Digest of `record.json`.
    pub record: Sha256,
    /// Digest of the plan.
    pub plan: Sha256,
    /// Digest of the statement: the payload of the DSSE envelope.
    pub statement: Sha256,
    /// Digests of everything else that was signed about the run, by its form.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub also: BTreeMap<String, Sha256>,
    /// The key or identity that signed it.
    pub key: String,
    /// Workers that had this outcome; 0 if the signer ran the build itself.
    pub workers: u64,
    /// Digest of the line of the private log.
    pub line: Sha256,
}

/// A verdict that is no longer held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithdrawalEntry {
    /// Form of the entry; 1.
    pub version: u32,
    /// When it was withdrawn.
    pub time: Timestamp,
    /// Package URL.
    pub subject: String,
    /// Name of the run.
    pub run: String,
    /// Digest of the statement that is withdrawn.
    pub statement: Sha256,
    /// Why.
    pub because: String,
    /// Digest of the line of the private log.
    pub line: Sha256,
}

impl Entry {
    /// What others are to see of a line of the private log, if anything.
    pub fn of_line(line: Line, digest: Sha256) -> Option<Self> {
        match line.event {
            Event::Signed {
                run,
                subject,
                plan,
                record,
                verdict,
                statement,
                key,
                workers,
                also,
                released,
                ..
            } => Some(Self::Verdict(VerdictEntry {
                version: VERSION,
                time: line.time,
                workers: workers.len() as u64,
                line: digest,
                subject,
                verdict,
                released,
                run,
                record,
                plan,
                statement,
                also,
                key,
            })),
            Event::Withdrawn {
                run,
                subject,
                statement,
                reason,
            } => Some(Self::Withdrawal(WithdrawalEntry {
                version: VERSION,
                time: line.time,
                because: reason,
                line: digest,
                subject,
                run,
                statement,
            })),
            Event::Submitted { .. }
            | Event::Refused { .. }
            | Event::Started { .. }
            | Event::Recovered { .. } => None,
        }
    }

    /// The bytes in the log. What makes an entry too long is left out: the statement has it.
    pub fn bytes(&self) -> Result<Vec<u8>, SerialiseError> {
        let bytes = serialise::canonical("the entry", self)?;
        match self {
            Self::Verdict(verdict) if bytes.len() > LONGEST_ENTRY => {
                let short = VerdictEntry {
                    released: Vec::new(),
                    also: BTreeMap::new(),
                    ..verdict.clone()
                };
                serialise::canonical("the entry", &Self::Verdict(short))
            }
            _ => Ok(bytes),
        }
    }

    /// Reads an entry; `None` if it is not one that this version knows.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let entry: Self = serde_json::from_slice(bytes).ok()?;
        let (Self::Verdict(VerdictEntry { version, .. }) | Self::Withdrawal(WithdrawalEntry { version, .. })) =
            &entry;
        (*version == VERSION).then_some(entry)
    }

    /// Digest of the line of the private log that it was made of.
    pub fn line(&self) -> Sha256 {
        match self {
            Self::Verdict(verdict) => verdict.line,
            Self::Withdrawal(withdrawal) => withdrawal.line,
        }
    }

    /// Whether it says that this statement was signed.
    pub fn signs(&self, wanted: &Sha256) -> bool {
        match self {
            Self::Verdict(verdict) => {
                verdict.statement == *wanted || verdict.also.values().any(|other| other == wanted)
            }
            Self::Withdrawal(_) => false,
        }
    }
}
