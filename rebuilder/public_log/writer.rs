//! Writes a log into a folder, so that a kill at any moment leaves it whole.
//!
//! The order is all there is to it: bundles and tiles, then the state, then the signature, then the checkpoint. Files
//! beyond the state's size were never signed for, and the next writer writes them again. What the state says may be signed,
//! and is never taken back.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sigstore_merkle::hash_leaf;

use super::PublicLogError;
use super::checkpoint::{Checkpoint, SignedCheckpoint};
use super::entry::Entry;
use super::files::{self, LogFolder};
use super::note::{self, NOTE_LIMIT, NoteKey};
use super::policy::LogPolicy;
use super::state::State;
use super::tile::{BUNDLE_LIMIT, TILE_LIMIT, Tile, add_entry, read_bundle, read_row, write_row};
use super::tree::{Edge, Needed, Row, Tiles};
use super::witness::Witnesses;
use crate::artifact::Sha256;
use crate::attest::Signer;

/// The one file that changes.
pub const CHECKPOINT: &str = "checkpoint";

/// A log that is open for writing, and closed to other writers.
pub struct Writer<'a> {
    folder: LogFolder,
    state_path: PathBuf,
    state: State,
    signer: &'a dyn Signer,
    key: NoteKey,
    edge: Edge,
    /// Tiles that were filled, whose partial forms nobody needs any more once the checkpoint is there.
    filled: Vec<Tile>,
    _lock: nix::fcntl::Flock<fs::File>,
}

/// Refuses names that could make a checkpoint look like something else that the key signs, and those that no address has.
pub fn check_origin(origin: &str) -> Result<(), PublicLogError> {
    let refuse = |reason: &str| PublicLogError::Origin {
        origin: origin.to_owned(),
        reason: reason.to_owned(),
    };
    let fine = |c: char| c.is_ascii_alphanumeric() || "-._~:/%".contains(c);
    if origin.contains("://") {
        return Err(refuse("it has a scheme"));
    }
    if origin.is_empty() || origin.len() > 200 || !origin.contains(fine) || !origin.chars().all(fine) {
        return Err(refuse("only letters, digits and -._~:/% can be in it"));
    }
    if origin.starts_with('/')
        || origin.ends_with('/')
        || !origin.contains(['.', ':', '/'])
        || origin == "cosignature/v1"
    {
        return Err(refuse("it does not look like an address"));
    }
    Ok(())
}

impl<'a> Writer<'a> {
    /// Opens the log in `folder`, or begins it; waits for other writers. With `adopt`, a log whose state is lost is taken
    /// over as its checkpoint shows it.
    pub fn open(
        folder: &Path,
        origin: &str,
        state_path: &Path,
        signer: &'a dyn Signer,
        adopt: bool,
    ) -> Result<Self, PublicLogError> {
        check_origin(origin)?;
        let public = signer.public().ok_or_else(|| {
            PublicLogError::invalid_key(
                &signer.name(),
                "keyless signing has no key that others could know",
            )
        })?;
        let key = NoteKey::of_log(origin, public)?;
        let kept = state_path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(kept).map_err(PublicLogError::io(kept))?;
        let lock = files::lock(&state_path.with_extension("lock"))?;
        let folder = LogFolder::open(folder)?;
        let shown = shown(&folder, &key)?;
        let state = match (State::read(state_path)?, shown) {
            (Some(state), shown) => {
                fits(&state, shown.as_ref(), &key).map_err(|reason| PublicLogError::NotOurs {
                    folder: folder.path().to_owned(),
                    reason,
                })?;
                state
            }
            (None, None) => State::new(&empty(origin), key.to_string()),
            (None, Some(shown)) if adopt => State::new(&shown.head, key.to_string()),
            (None, Some(shown)) => {
                return Err(PublicLogError::NoState {
                    folder: folder.path().to_owned(),
                    size: shown.head.size,
                    state: state_path.to_owned(),
                });
            }
        };
        let edge = edge(&folder, &state)?;
        Ok(Self {
            folder,
            state_path: state_path.to_owned(),
            state,
            signer,
            key,
            edge,
            filled: Vec::new(),
            _lock: lock,
        })
    }

    pub fn state(&mut self) -> &mut State {
        &mut self.state
    }

    pub fn key(&self) -> &NoteKey {
        &self.key
    }

    /// The head as it may be signed.
    pub fn head(&self) -> Checkpoint {
        Checkpoint {
            origin: self.state.origin.clone(),
            size: self.state.size,
            root: self.edge.root(),
        }
    }

    /// Appends entries, and keeps how far it came.
    pub fn append(&mut self, entries: &[Vec<u8>]) -> Result<(), PublicLogError> {
        let mut bundle = self.begun()?;
        for entry in entries {
            add_entry(&mut bundle, entry).ok_or_else(|| PublicLogError::NotOurs {
                folder: self.folder.path().to_owned(),
                reason: format!("an entry has {} bytes", entry.len()),
            })?;
            for (tile, row) in self.edge.push(entry) {
                if tile.level == 0 {
                    self.folder
                        .write(&tile.bundle_path(), &std::mem::take(&mut bundle))?;
                }
                self.folder.write(&tile.path(), &write_row(&row))?;
                self.filled.push(tile);
            }
        }
        for tile in Tile::edge(self.edge.size()) {
            if Tile::edge(self.state.size).any(|before| before == tile) {
                continue;
            }
            if tile.level == 0 {
                self.folder.write(&tile.bundle_path(), &bundle)?;
            }
            self.folder
                .write(&tile.path(), &write_row(self.edge.row(tile.level)))?;
        }
        self.folder.settle()?;
        self.state.grow(self.edge.size(), &self.edge.root());
        self.state.write(&self.state_path)?;
        Ok(())
    }

    /// Shows everything that was appended: signs the head, asks the witnesses, and replaces the checkpoint. Returns the
    /// witnesses that signed.
    pub fn show(&mut self, witnesses: Option<&Witnesses>) -> Result<SignedCheckpoint, PublicLogError> {
        let (head, own) = (self.head(), LogPolicy::of_log(self.key.clone()));
        let policy = witnesses.map_or(own, |witnesses| {
            witnesses.policy.clone().with_log(self.key.clone())
        });
        let name = self.folder.path().display().to_string();
        if let Some(note) = self.folder.read(CHECKPOINT, NOTE_LIMIT)?
            && let Ok(shown) = SignedCheckpoint::verify(&name, &String::from_utf8_lossy(&note), &policy)
            && shown.head == head
        {
            return Ok(shown);
        }
        let mut note = note::sign(&head.text(), &self.key, self.signer)?;
        if let Some(witnesses) = witnesses {
            let folder = self.folder.path();
            let asked = witnesses.ask(&head, &note, &self.state.cosigned, |size| {
                consistency(folder, head.size, size)
            })?;
            note.push_str(&asked.lines);
            self.state.cosigned.extend(asked.sizes.clone());
            self.state.write(&self.state_path)?;
            if !policy.is_enough(&asked.names.iter().map(String::as_str).collect::<Vec<_>>()) {
                return Err(PublicLogError::NotCosigned {
                    size: head.size,
                    reason: asked.reason(),
                });
            }
        }
        self.folder.write(CHECKPOINT, note.as_bytes())?;
        self.folder.settle()?;
        for tile in std::mem::take(&mut self.filled) {
            self.folder.prune(&tile.path())?;
            if tile.level == 0 {
                self.folder.prune(&tile.bundle_path())?;
            }
        }
        SignedCheckpoint::verify(&name, &note, &policy)
    }

    /// Digests of the private lines that the log has entries of.
    pub fn lines(&self) -> Result<BTreeSet<Sha256>, PublicLogError> {
        let mut lines = BTreeSet::new();
        for index in 0.. {
            let Some(tile) = Tile::of(0, index, self.state.size) else {
                break;
            };
            let path = tile.bundle_path();
            let bytes = self.folder.read(&path, BUNDLE_LIMIT)?;
            let entries = bytes.as_deref().and_then(|bytes| read_bundle(bytes, tile.width));
            let entries = entries.ok_or_else(|| lacks(&self.folder, &path, "cannot be read"))?;
            lines.extend(
                entries
                    .into_iter()
                    .filter_map(Entry::read)
                    .map(|entry| entry.line()),
            );
        }
        Ok(lines)
    }

    /// The bundle that is not full yet, which must have the entries of the edge.
    fn begun(&self) -> Result<Vec<u8>, PublicLogError> {
        let Some(tile) = Tile::edge(self.state.size).find(|tile| tile.level == 0) else {
            return Ok(Vec::new());
        };
        let path = tile.bundle_path();
        let bytes = self.folder.read(&path, BUNDLE_LIMIT)?;
        let bytes = bytes.ok_or_else(|| lacks(&self.folder, &path, "is missing"))?;
        let entries = read_bundle(&bytes, tile.width);
        let hashes = entries.map(|entries| entries.into_iter().map(hash_leaf).collect::<Row>());
        if hashes.as_deref() != Some(self.edge.row(0)) {
            return Err(lacks(&self.folder, &path, "has other entries"));
        }
        Ok(bytes)
    }
}

/// The head of a log that nobody wrote into.
fn empty(origin: &str) -> Checkpoint {
    Checkpoint {
        origin: origin.to_owned(),
        size: 0,
        root: Edge::default().root(),
    }
}

/// The checkpoint in the folder, which must be signed with the key.
fn shown(folder: &LogFolder, key: &NoteKey) -> Result<Option<SignedCheckpoint>, PublicLogError> {
    let Some(note) = folder.read(CHECKPOINT, NOTE_LIMIT)? else {
        return Ok(None);
    };
    let name = folder.path().display().to_string();
    let policy = LogPolicy::of_log(key.clone());
    SignedCheckpoint::verify(&name, &String::from_utf8_lossy(&note), &policy).map(Some)
}

/// Whether the state is that of this log, and not older than what it shows.
fn fits(state: &State, shown: Option<&SignedCheckpoint>, key: &NoteKey) -> Result<(), String> {
    if state.key != key.to_string() {
        return Err(format!(
            "it was signed with the key {}, and this one is {key}",
            state.key
        ));
    }
    let Some(head) = shown.map(|shown| &shown.head) else {
        return Ok(());
    };
    if head.size > state.size {
        return Err(format!(
            "its checkpoint has {} entries, and what was kept about it ends at {}: an old copy was restored, and going on \
             from there would fork the log",
            head.size, state.size
        ));
    }
    if head.size == state.size && Some(head.root) != state.root() {
        return Err("its checkpoint has another root than what was kept about it".into());
    }
    Ok(())
}

fn lacks(folder: &LogFolder, path: &str, what: &str) -> PublicLogError {
    PublicLogError::NotOurs {
        folder: folder.path().to_owned(),
        reason: format!("{path} {what}"),
    }
}

/// The end of the log as the state knows it, from the tiles in the folder.
fn edge(folder: &LogFolder, state: &State) -> Result<Edge, PublicLogError> {
    let mut tiles = Tiles::new(state.size);
    for tile in Tile::edge(state.size) {
        let path = tile.path();
        let bytes = folder.read(&path, TILE_LIMIT)?;
        let bytes = bytes.ok_or_else(|| lacks(folder, &path, "is missing"))?;
        let row = read_row(&bytes, tile.width).ok_or_else(|| lacks(folder, &path, "has another length"))?;
        tiles.insert(tile, row);
    }
    let edge = tiles
        .edge(state.size)
        .map_err(|Needed(tile)| lacks(folder, &tile.path(), "is missing"))?;
    if Some(edge.root()) != state.root() {
        return Err(lacks(folder, "tile/", "does not give the root that was kept"));
    }
    Ok(edge)
}

/// The proof for a witness that knows the first `size` entries.
fn consistency(folder: &Path, whole: u64, size: u64) -> Result<Row, PublicLogError> {
    let mut tiles = Tiles::new(whole);
    loop {
        match tiles.consistency(size) {
            Ok(proof) => return Ok(proof),
            Err(Needed(tile)) => {
                let path = tile.path();
                let bytes = files::read(folder, &path, TILE_LIMIT)?;
                let row = bytes.and_then(|bytes| read_row(&bytes, tile.width));
                let missing = || PublicLogError::Missing {
                    log: folder.display().to_string(),
                    path,
                };
                tiles.insert(tile, row.ok_or_else(missing)?);
            }
        }
    }
}
