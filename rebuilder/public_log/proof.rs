//! That a log has an entry, as a file that is checked without the log (c2sp.org/tlog-proof).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sigstore_merkle::{hash_leaf, verify_inclusion_proof};

use super::PublicLogError;
use super::checkpoint::{SignedCheckpoint, base64, decimal, unbase64};
use super::entry::Entry;
use super::note::NOTE_LIMIT;
use super::policy::LogPolicy;
use super::reader::OpenLog;
use super::tile::{LONGEST_ENTRY, Tile};
use super::tree::Row;
use crate::artifact::Sha256;

/// The first line of a proof.
const FIRST: &str = "c2sp.org/tlog-proof@v1\n";
/// Maximum number of bytes of a proof: the entry in base64, the hashes, and the checkpoint.
const PROOF_LIMIT: u64 = 2 * LONGEST_ENTRY as u64 + NOTE_LIMIT + 8192;
/// Maximum number of hashes in a proof.
const HASHES: usize = 64;

/// A proof as a file has it; nothing of it was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogProof {
    /// The entry: extra data of the proof, which the hashes prove.
    entry: Vec<u8>,
    index: u64,
    hashes: Row,
    checkpoint: String,
}

/// An entry that a signed checkpoint has.
#[derive(Debug, Clone)]
pub struct ProvenEntry {
    pub checkpoint: SignedCheckpoint,
    pub index: u64,
    pub entry: Entry,
}

impl LogProof {
    /// Maximum number of bytes of a file with a proof.
    pub const LIMIT: u64 = PROOF_LIMIT;

    /// Whether a text begins as proofs do.
    pub fn is_one(text: &[u8]) -> bool {
        text.starts_with(FIRST.as_bytes())
    }

    /// The proof as a file.
    pub fn text(&self) -> String {
        let hashes: String = self.hashes.iter().map(|hash| base64(hash) + "\n").collect();
        let entry = STANDARD.encode(&self.entry);
        format!(
            "{FIRST}extra {entry}\nindex {}\n{hashes}\n{}",
            self.index, self.checkpoint
        )
    }

    /// Reads a file.
    pub fn parse(text: &str) -> Result<Self, PublicLogError> {
        Self::read(text).map_err(|reason| PublicLogError::Proof {
            reason: reason.to_owned(),
        })
    }

    fn read(text: &str) -> Result<Self, &'static str> {
        let text = text
            .strip_prefix(FIRST)
            .ok_or("its first line is not c2sp.org/tlog-proof@v1")?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or("it has no checkpoint")?;
        let mut lines = head.split('\n');
        let extra = lines.next().and_then(|line| line.strip_prefix("extra "));
        let entry = extra.ok_or("it does not have the entry")?;
        let entry = STANDARD.decode(entry).map_err(|_| "the entry is not base64")?;
        let index = lines
            .next()
            .and_then(|line| decimal(line.strip_prefix("index ")?));
        let hashes: Option<Row> = lines.map(unbase64).collect();
        let hashes = hashes.filter(|hashes| hashes.len() <= HASHES);
        Ok(Self {
            entry,
            index: index.ok_or("it has no index")?,
            hashes: hashes.ok_or("a line is not a SHA-256 digest in base64")?,
            checkpoint: checkpoint.to_owned(),
        })
    }

    /// Checks the proof.
    pub fn verify(&self, policy: &LogPolicy) -> Result<ProvenEntry, PublicLogError> {
        let checkpoint = SignedCheckpoint::verify("in the proof", &self.checkpoint, policy)?;
        let head = &checkpoint.head;
        let proof = |reason: &str| PublicLogError::Proof {
            reason: reason.to_owned(),
        };
        let leaf = hash_leaf(&self.entry);
        verify_inclusion_proof(&leaf, self.index, head.size, &self.hashes, &head.root)
            .map_err(|_| proof("its hashes do not lead from the entry to the root of the checkpoint"))?;
        Ok(ProvenEntry {
            entry: Entry::read(&self.entry).ok_or_else(|| proof("this version does not know its entry"))?,
            index: self.index,
            checkpoint,
        })
    }
}

impl OpenLog {
    /// The last entry that says that one of these statements was signed.
    pub async fn prove(&mut self, statements: &[Sha256], what: &str) -> Result<LogProof, PublicLogError> {
        let size = self.size();
        // What was published last is looked for most.
        let bundles = size.div_ceil(super::tile::WIDTH);
        for index in (0..bundles).rev() {
            let Some(tile) = Tile::of(0, index, size) else {
                break;
            };
            let entries = self.bundle(tile).await?;
            let signs = |bytes: &Vec<u8>| {
                Entry::read(bytes).is_some_and(|entry| statements.iter().any(|wanted| entry.signs(wanted)))
            };
            if let Some(place) = entries.iter().rposition(signs) {
                let index = tile
                    .index
                    .saturating_mul(super::tile::WIDTH)
                    .saturating_add(place as u64);
                let entry = entries.into_iter().nth(place).unwrap_or_default();
                return self.proof_of(index, entry).await;
            }
        }
        Err(PublicLogError::NotIn {
            log: self.name(),
            what: what.to_owned(),
        })
    }

    async fn proof_of(&mut self, index: u64, entry: Vec<u8>) -> Result<LogProof, PublicLogError> {
        let hashes = self.with_tiles(|tiles| tiles.inclusion(index)).await?;
        let (size, root) = (self.size(), self.checkpoint.head.root);
        if verify_inclusion_proof(&hash_leaf(&entry), index, size, &hashes, &root).is_err() {
            let log = self.name();
            return Err(PublicLogError::Entry { log, index });
        }
        Ok(LogProof {
            checkpoint: self.checkpoint.note.clone(),
            entry,
            index,
            hashes,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::super::checkpoint::Checkpoint;
    use super::super::note::Note;
    use super::super::tile::{add_entry, read_bundle};
    use super::*;

    fn proof(entry: Vec<u8>, index: u64, hashes: &[[u8; 32]]) -> LogProof {
        let root = base64(&hash_leaf(&entry));
        LogProof {
            hashes: hashes
                .iter()
                .copied()
                .map(sigstore_verify::types::Sha256Hash::new)
                .collect(),
            checkpoint: format!("a.example/log\n1\n{root}\n\n\u{2014} a.example/log AAAAAAAAAAAA\n"),
            entry,
            index,
        }
    }

    proptest! {
        #[test]
        fn proofs_are_read_as_they_were_written(
            entry in proptest::collection::vec(any::<u8>(), 0..300),
            index in any::<u64>(),
            hashes in proptest::collection::vec(any::<[u8; 32]>(), 0..=64),
        ) {
            let proof = proof(entry, index, &hashes);
            prop_assert_eq!(LogProof::parse(&proof.text()).unwrap(), proof);
        }

        #[test]
        fn whatever_a_server_sends_is_read_or_refused(text in "(\\PC|\n|\u{2014} )*", bytes in any::<Vec<u8>>()) {
            let _ = LogProof::parse(&format!("{FIRST}{text}"));
            let _ = Checkpoint::parse(&text);
            if let Ok(note) = Note::parse(&text) {
                prop_assert!(text.starts_with(note.text));
            }
            if let Some(entries) = read_bundle(&bytes, 2) {
                let mut again = Vec::new();
                for entry in entries {
                    add_entry(&mut again, entry).unwrap();
                }
                prop_assert_eq!(again, bytes);
            }
        }
    }
}
