//! A whole log, checked file by file: every entry, every tile, and the root that the checkpoint signs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::PublicLogError;
use super::checkpoint::base64;
use super::entry::Entry;
use super::reader::OpenLog;
use super::tile::{Tile, WIDTH};
use super::tree::{Edge, Row};
use crate::artifact::Sha256;

/// Maximum number of verdicts of different words that are counted one by one.
const WORDS: usize = 32;

/// A log that is whole.
#[derive(Debug, Clone, Default, Serialize)]
pub struct VerifiedPublicLog {
    /// Names the log.
    pub origin: String,
    /// The key that verified it.
    pub log_key: String,
    /// Entries.
    pub size: u64,
    /// Root of the tree, in base64.
    pub root: String,
    /// Entries by verdict, `withdrawal`, and `unknown` for those that this version cannot read.
    pub entries: BTreeMap<String, u64>,
    /// Verdicts that were withdrawn.
    pub withdrawn: u64,
    /// Witnesses that signed the checkpoint.
    pub cosigned: Vec<String>,
}

/// A tile that is not what the entries give, and the first hash of it that is another one.
struct Wrong {
    tile: Tile,
    place: u64,
}

impl OpenLog {
    /// Reads everything that the log has.
    pub async fn verify_all(&mut self) -> Result<VerifiedPublicLog, PublicLogError> {
        let head = self.checkpoint.head.clone();
        let (mut edge, mut counted) = (Edge::default(), VerifiedPublicLog::default());
        let (mut signed, mut withdrawn) = (BTreeSet::new(), BTreeSet::new());
        let mut wrong = None;
        for index in 0.. {
            let Some(tile) = Tile::of(0, index, head.size) else {
                break;
            };
            for entry in self.bundle(tile).await? {
                count(&entry, &mut counted, &mut signed, &mut withdrawn);
                for (tile, row) in edge.push(&entry) {
                    self.compare(tile, &row, &mut wrong).await?;
                }
            }
        }
        for tile in Tile::edge(head.size) {
            let row = edge.row(tile.level).to_vec();
            self.compare(tile, &row, &mut wrong).await?;
        }
        if edge.root() == head.root {
            if let Some(Wrong { tile, .. }) = wrong {
                return Err(self.tampered(tile.path(), "its hashes are not those of the entries"));
            }
        } else {
            return Err(self.culprit(wrong).await?);
        }
        Ok(VerifiedPublicLog {
            log_key: self.checkpoint.key.clone(),
            size: head.size,
            root: base64(&head.root),
            withdrawn: signed.intersection(&withdrawn).count() as u64,
            cosigned: self.checkpoint.witnesses(),
            origin: head.origin,
            ..counted
        })
    }

    /// Holds a tile against what it should be; only the first that differs is kept.
    async fn compare(
        &self,
        tile: Tile,
        expected: &Row,
        wrong: &mut Option<Wrong>,
    ) -> Result<(), PublicLogError> {
        let row = self.row(tile).await?;
        let place = row
            .iter()
            .zip(expected)
            .position(|(found, expected)| found != expected);
        if let (Some(place), None) = (place, &wrong) {
            *wrong = Some(Wrong {
                tile,
                place: place as u64,
            });
        }
        Ok(())
    }

    /// What to blame if the entries do not give the root: an entry, if the tiles do.
    async fn culprit(&mut self, wrong: Option<Wrong>) -> Result<PublicLogError, PublicLogError> {
        let (size, root) = (self.size(), self.checkpoint.head.root);
        let tiles = self.with_tiles(|tiles| tiles.root(size)).await?;
        Ok(match wrong {
            Some(Wrong { tile, place }) if tiles == root && tile.level == 0 => PublicLogError::Entry {
                log: self.name(),
                index: tile.index.saturating_mul(WIDTH).saturating_add(place),
            },
            Some(Wrong { tile, .. }) => {
                self.tampered(tile.path(), "neither it nor the entries give the root")
            }
            None => self.tampered("checkpoint".into(), "its root is not that of tiles and entries"),
        })
    }
}

fn count(
    entry: &[u8],
    counted: &mut VerifiedPublicLog,
    signed: &mut BTreeSet<Sha256>,
    withdrawn: &mut BTreeSet<Sha256>,
) {
    let word = match Entry::read(entry) {
        Some(Entry::Verdict(verdict)) => {
            signed.insert(verdict.statement);
            verdict.verdict
        }
        Some(Entry::Withdrawal(withdrawal)) => {
            withdrawn.insert(withdrawal.statement);
            "withdrawal".to_owned()
        }
        None => "unknown".to_owned(),
    };
    let full = counted.entries.len() >= WORDS && !counted.entries.contains_key(&word);
    let word = if full { "unknown".to_owned() } else { word };
    let count = counted.entries.entry(word).or_default();
    *count = count.saturating_add(1);
}
