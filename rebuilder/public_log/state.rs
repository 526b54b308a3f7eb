//! What the writer of a log remembers: how far it came, and what of which private log is public.
//!
//! Written before a checkpoint is signed, and never taken back: so no two checkpoints of one size have different roots.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sigstore_verify::types::Sha256Hash;

use super::PublicLogError;
use super::checkpoint::{Checkpoint, base64, unbase64};
use super::entry::Entry;
use super::files;
use crate::artifact::Sha256;
use crate::artifact::serialise;
use crate::attest::log::Log;
use crate::bounded;
use crate::store::write_atomically;

/// The state of a log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    version: u32,
    /// Names the log.
    pub origin: String,
    /// The key that verifies its checkpoints.
    pub key: String,
    /// Entries.
    pub size: u64,
    root: String,
    /// How much of each private log is public, by the digest of its first line.
    sources: BTreeMap<String, Source>,
    /// Size of the last checkpoint that each witness signed, by its key.
    #[serde(default)]
    pub cosigned: BTreeMap<String, u64>,
}

/// How much of a private log is public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    lines: u64,
    /// Digest of the last of these lines.
    head: Sha256,
}

impl State {
    /// That of a log with this head.
    pub fn new(head: &Checkpoint, key: String) -> Self {
        Self {
            version: 1,
            origin: head.origin.clone(),
            key,
            size: head.size,
            root: base64(&head.root),
            sources: BTreeMap::new(),
            cosigned: BTreeMap::new(),
        }
    }

    /// Reads what is kept, if anything is.
    pub fn read(path: &Path) -> Result<Option<Self>, PublicLogError> {
        files::read_kept(path, bounded::DOCUMENT, |state: &Self| {
            if state.version != 1 || unbase64(&state.root).is_none() {
                return Err("it has another version, or no root");
            }
            Ok(())
        })
    }

    /// Keeps it, and waits until the disk has it.
    pub fn write(&self, path: &Path) -> Result<(), PublicLogError> {
        write_atomically(path, &serialise::pretty("the state of the log", self)?)?;
        files::sync(path.parent().unwrap_or(Path::new(".")))
    }

    pub fn root(&self) -> Option<Sha256Hash> {
        unbase64(&self.root)
    }

    /// Moves on to a longer log.
    pub fn grow(&mut self, size: u64, root: &Sha256Hash) {
        self.size = size;
        self.root = base64(root);
    }

    /// What of a private log is not public yet; the log must still have all that is.
    pub fn gather(&mut self, path: &Path, entries: &mut Vec<Entry>) -> Result<(), PublicLogError> {
        let rewritten = |reason: String| PublicLogError::Rewritten {
            path: path.to_owned(),
            reason,
        };
        if !path.exists() {
            return Ok(());
        }
        // Nobody writes half a line into it meanwhile.
        let _held = Log::open(path)?;
        let (mut id, mut known, mut now) = (None, None, None);
        let mut changed = false;
        let sources = &self.sources;
        Log::each_digested(path, |line, digest| {
            if line.sequence == 0 {
                id = Some(digest.to_hex());
                known = sources.get(&digest.to_hex()).copied();
            }
            let lines = line.sequence.saturating_add(1);
            let public = known.map_or(0, |source: Source| source.lines);
            changed |= known.is_some_and(|source| source.lines == lines && source.head != digest);
            now = Some(Source { lines, head: digest });
            if lines > public {
                entries.extend(Entry::of_line(line, digest));
            }
        })?;
        let (Some(id), Some(now)) = (id, now) else {
            return Ok(());
        };
        if changed || known.is_some_and(|source| source.lines > now.lines) {
            let lines = known.map_or(0, |source| source.lines);
            return Err(rewritten(format!(
                "its first {lines} lines are public, and it no longer has all of them"
            )));
        }
        self.sources.insert(id, now);
        Ok(())
    }
}

/// Name of the file with the state of a log, in the folder of the configuration.
pub fn state_file(folder: &Path, origin: &str) -> PathBuf {
    let name: String = origin.chars().map(|c| if c == '/' { '_' } else { c }).collect();
    let digest = Sha256::of(origin).short();
    folder.join("public-logs").join(format!("{name}-{digest}.json"))
}
