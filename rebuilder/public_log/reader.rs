//! Reads a log that someone else serves: nothing is believed that its signed checkpoint does not prove.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use sigstore_merkle::{hash_leaf, verify_consistency_proof};
use sigstore_verify::types::Sha256Hash;

use super::PublicLogError;
use super::checkpoint::SignedCheckpoint;
use super::entry::Entry;
use super::files;
use super::note::NOTE_LIMIT;
use super::policy::LogPolicy;
use super::tile::{BUNDLE_LIMIT, TILE_LIMIT, Tile, WIDTH, read_bundle, read_row};
use super::tree::{Edge, Needed, Row, Tiles};
use super::watch::Seen;
use super::writer::CHECKPOINT;
use crate::store::{Fetcher, Request};
use crate::text::redacted;

/// Maximum number of entries of a log that is read.
const MOST: u64 = 1 << 32;
/// How long one file may take, and everything that one command reads.
const FILE: Duration = Duration::from_mins(2);
const ALL: Duration = Duration::from_hours(6);

/// Where a log is.
#[derive(Clone)]
pub enum Place {
    Folder(PathBuf),
    Url(String, Box<Fetcher>),
}

impl Place {
    /// The place as messages name it.
    pub fn name(&self) -> String {
        match self {
            Self::Folder(folder) => folder.display().to_string(),
            Self::Url(url, _) => redacted(url),
        }
    }
}

/// A log whose checkpoint was verified.
pub struct OpenLog {
    place: Place,
    until: Option<Instant>,
    pub checkpoint: SignedCheckpoint,
    tiles: Tiles,
}

impl OpenLog {
    /// Reads the checkpoint, which the policy must accept.
    pub async fn open(place: Place, policy: &LogPolicy) -> Result<Self, PublicLogError> {
        let until = Instant::now().checked_add(ALL);
        let note = get(&place, until, CHECKPOINT, NOTE_LIMIT).await?;
        let name = place.name();
        let note = note.ok_or_else(|| PublicLogError::Missing {
            log: name.clone(),
            path: CHECKPOINT.to_owned(),
        })?;
        let note = String::from_utf8(note).map_err(|_| PublicLogError::Checkpoint {
            log: name.clone(),
            reason: "it is not UTF-8".into(),
        })?;
        let checkpoint = SignedCheckpoint::verify(&name, &note, policy)?;
        let size = checkpoint.head.size;
        if size > MOST {
            return Err(PublicLogError::TooLarge {
                log: name,
                size,
                most: MOST,
            });
        }
        Ok(Self {
            place,
            until,
            checkpoint,
            tiles: Tiles::new(size),
        })
    }

    pub fn name(&self) -> String {
        self.place.name()
    }

    pub fn size(&self) -> u64 {
        self.checkpoint.head.size
    }

    async fn get(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, PublicLogError> {
        get(&self.place, self.until, path, limit).await
    }

    /// A file that is named after a tile; the full one serves as well, for a log may remove partial ones then.
    async fn get_tile(
        &self,
        tile: Tile,
        path: impl Fn(Tile) -> String,
        limit: u64,
    ) -> Result<(Vec<u8>, u64), PublicLogError> {
        if let Some(bytes) = self.get(&path(tile), limit).await? {
            return Ok((bytes, tile.width));
        }
        if !tile.is_full()
            && let Some(bytes) = self.get(&path(tile.full()), limit).await?
        {
            return Ok((bytes, WIDTH));
        }
        Err(PublicLogError::Missing {
            log: self.name(),
            path: path(tile),
        })
    }

    pub(super) fn tampered(&self, path: String, reason: &str) -> PublicLogError {
        PublicLogError::Tampered {
            log: self.name(),
            path,
            reason: reason.to_owned(),
        }
    }

    /// The hashes of a tile, as they are served.
    pub(super) async fn row(&self, tile: Tile) -> Result<Row, PublicLogError> {
        let (bytes, width) = self.get_tile(tile, Tile::path, TILE_LIMIT).await?;
        let row = read_row(&bytes, width);
        let mut row = row.ok_or_else(|| self.tampered(tile.path(), "it has another length"))?;
        row.truncate(usize::try_from(tile.width).unwrap_or(usize::MAX));
        Ok(row)
    }

    /// The entries of a bundle, as they are served.
    pub(super) async fn bundle(&self, tile: Tile) -> Result<Vec<Vec<u8>>, PublicLogError> {
        let (bytes, width) = self.get_tile(tile, Tile::bundle_path, BUNDLE_LIMIT).await?;
        let entries = read_bundle(&bytes, width);
        let entries =
            entries.ok_or_else(|| self.tampered(tile.bundle_path(), "it has another number of entries"))?;
        let width = usize::try_from(tile.width).unwrap_or(usize::MAX);
        Ok(entries.into_iter().take(width).map(<[u8]>::to_vec).collect())
    }

    /// Computes something from tiles, and reads those that it takes.
    pub(super) async fn with_tiles<T>(
        &mut self,
        compute: impl Fn(&Tiles) -> Result<T, Needed>,
    ) -> Result<T, PublicLogError> {
        loop {
            match compute(&self.tiles) {
                Ok(value) => return Ok(value),
                Err(Needed(tile)) => {
                    let row = self.row(tile).await?;
                    self.tiles.insert(tile, row);
                }
            }
        }
    }

    /// The root of the first `size` entries, proven by the checkpoint.
    pub(super) async fn proven_root(&mut self, size: u64) -> Result<Sha256Hash, PublicLogError> {
        let (whole, root) = (self.size(), self.checkpoint.head.root);
        if size >= whole {
            return Ok(root);
        }
        let then = self.with_tiles(|tiles| tiles.root(size)).await?;
        let proof = self.with_tiles(|tiles| tiles.consistency(size)).await?;
        verify_consistency_proof(size, whole, &proof, &then, &root)
            .map_err(|_| self.tampered("tile/".into(), "its tiles do not give the root"))?;
        Ok(then)
    }

    /// The end of the first `size` entries, proven by the checkpoint.
    pub(super) async fn proven_edge(&mut self, size: u64) -> Result<Edge, PublicLogError> {
        let root = self.proven_root(size).await?;
        let edge = self.with_tiles(|tiles| tiles.edge(size)).await?;
        if edge.root() == root {
            Ok(edge)
        } else {
            Err(self.tampered("tile/".into(), "its tiles do not give the root"))
        }
    }

    /// Entries from `from` on, proven by the checkpoint: at most `most` of them, and about `bytes` bytes.
    pub(super) async fn proven_entries(
        &mut self,
        from: u64,
        most: u64,
        bytes: usize,
    ) -> Result<Vec<Vec<u8>>, PublicLogError> {
        let mut edge = self.proven_edge(from).await?;
        let (mut entries, mut length) = (Vec::new(), 0_usize);
        let to = self.size().min(from.saturating_add(most));
        while edge.size() < to && length < bytes {
            let index = edge.size() / WIDTH;
            let Some(tile) = Tile::of(0, index, self.size()) else {
                break;
            };
            let begun = usize::try_from(edge.size() % WIDTH).unwrap_or(0);
            let rest = usize::try_from(to.saturating_sub(edge.size())).unwrap_or(usize::MAX);
            for entry in self.bundle(tile).await?.into_iter().skip(begun).take(rest) {
                edge.push(&entry);
                length = length.saturating_add(entry.len());
                entries.push(entry);
            }
        }
        if edge.root() != self.proven_root(edge.size()).await? {
            return Err(self.first_wrong(from, &entries).await);
        }
        Ok(entries)
    }

    /// The last entries, proven by the checkpoint.
    pub async fn last(&mut self, most: u64) -> Result<Vec<Seen>, PublicLogError> {
        let from = self.size().saturating_sub(most);
        let entries = self.proven_entries(from, most, usize::MAX).await?;
        let seen = |(index, entry): (u64, &Vec<u8>)| Seen {
            says: Entry::read(entry),
            index,
        };
        Ok((from..).zip(&entries).map(seen).collect())
    }

    /// Which of these entries is not what the tiles say; the tiles are proven.
    async fn first_wrong(&mut self, from: u64, entries: &[Vec<u8>]) -> PublicLogError {
        for (index, entry) in (from..).zip(entries) {
            let Some(tile) = Tile::of(0, index / WIDTH, self.size()) else {
                break;
            };
            let row = match self.row(tile).await {
                Ok(row) => row,
                Err(error) => return error,
            };
            let place = usize::try_from(index % WIDTH).unwrap_or(0);
            if row.get(place) != Some(&hash_leaf(entry)) {
                let log = self.name();
                return PublicLogError::Entry { log, index };
            }
        }
        self.tampered("tile/entries/".into(), "its entries do not give the root")
    }
}

/// A file of a log; `None` if it is not there.
async fn get(
    place: &Place,
    until: Option<Instant>,
    path: &str,
    limit: u64,
) -> Result<Option<Vec<u8>>, PublicLogError> {
    let (base, fetcher) = match place {
        Place::Folder(folder) => return files::read(folder, path, limit),
        Place::Url(base, fetcher) => (base.trim_end_matches('/'), fetcher),
    };
    fetcher.choose(base);
    let url = format!("{base}/{path}");
    let request = Request {
        name: path,
        url: &url,
        accept: None,
        token: None,
        limit,
    };
    let asked = fetcher.ask(request, |bytes| Ok(bytes.to_vec()));
    let slow = || PublicLogError::Slow { log: place.name() };
    let left = until.map_or(FILE, |until| until.saturating_duration_since(Instant::now()));
    let answered = tokio::time::timeout(left.min(FILE), asked)
        .await
        .map_err(|_| slow())?;
    Ok(answered?.map(|answered| answered.value))
}
