//! Visits to a log: what it shows now must begin with what it showed before.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::PublicLogError;
use super::checkpoint::{base64, unbase64};
use super::entry::Entry;
use super::files;
use super::reader::OpenLog;
use crate::artifact::Sha256;
use crate::artifact::serialise;
use crate::bounded;
use crate::store::write_atomically;

/// Maximum number of entries, and approximate maximum of bytes, that one visit reads. The next visit continues from
/// there.
const ENTRIES: u64 = 100_000;
const BYTES: usize = 64 << 20;

/// What is kept between visits.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u32,
    origin: String,
    size: u64,
    root: String,
    /// Entries that were read.
    read: u64,
    time: Timestamp,
    /// The signed checkpoint: evidence, if another one contradicts it.
    checkpoint: String,
}

/// An entry that a visit saw first.
#[derive(Debug, Clone, Serialize)]
pub struct Seen {
    /// Its place in the log.
    pub index: u64,
    /// What it says; `None` if this version cannot read it.
    pub says: Option<Entry>,
}

/// What a visit found.
#[derive(Debug, Clone, Serialize)]
pub struct Visit {
    /// Names the log.
    pub origin: String,
    /// The key that verified it.
    pub log_key: String,
    /// Entries.
    pub size: u64,
    /// Root of the tree, in base64.
    pub root: String,
    /// Entries at the visit before; `None` if this is the first.
    pub before: Option<u64>,
    /// Witnesses that signed the checkpoint.
    pub cosigned: Vec<String>,
    /// New entries, in their order.
    pub new: Vec<Seen>,
    /// New entries that are left for the next visit.
    pub left: u64,
}

/// The folder in which visits to a log of this name and key are kept, below the data folder.
pub fn name(origin: &str, key: &str) -> Sha256 {
    Sha256::of(format!("{origin}\n{key}"))
}

impl OpenLog {
    /// Compares the log with the visit before, reads what is new, and keeps this visit in `folder`.
    pub async fn visit(&mut self, folder: &Path) -> Result<Visit, PublicLogError> {
        let mut made = DirBuilder::new();
        made.recursive(true).mode(0o700);
        made.create(folder).map_err(PublicLogError::io(folder))?;
        let path = folder.join("last.json");
        let kept = Kept::read(&path)?;
        if let Some(kept) = &kept {
            self.follows(kept, folder).await?;
        }
        let head = self.checkpoint.head.clone();
        let read = kept.as_ref().map_or(0, |kept| kept.read);
        let entries = self.proven_entries(read, ENTRIES, BYTES).await?;
        let new: Vec<_> = (read..)
            .zip(&entries)
            .map(|(index, entry)| Seen {
                says: Entry::read(entry),
                index,
            })
            .collect();
        let read = read.saturating_add(new.len() as u64);
        let now = Kept {
            version: 1,
            origin: head.origin.clone(),
            size: head.size,
            root: base64(&head.root),
            time: Timestamp::now(),
            checkpoint: self.checkpoint.note.clone(),
            read,
        };
        write_atomically(&path, &serialise::pretty("the visit", &now)?)?;
        Ok(Visit {
            log_key: self.checkpoint.key.clone(),
            size: head.size,
            root: now.root,
            before: kept.map(|kept| kept.size),
            cosigned: self.checkpoint.witnesses(),
            left: head.size.saturating_sub(read),
            origin: head.origin,
            new,
        })
    }

    /// Whether the log begins with what it was at a visit before.
    async fn follows(&mut self, kept: &Kept, folder: &Path) -> Result<(), PublicLogError> {
        let head = self.checkpoint.head.clone();
        if head.size < kept.size {
            return Err(PublicLogError::Shrunk {
                log: self.name(),
                before: kept.size,
                after: head.size,
                evidence: self.keep_evidence(kept, folder)?,
            });
        }
        let now = base64(&self.proven_root(kept.size).await?);
        if now == kept.root {
            return Ok(());
        }
        Err(PublicLogError::Forked {
            log: self.name(),
            size: kept.size,
            then: kept.root.clone(),
            evidence: self.keep_evidence(kept, folder)?,
            now,
        })
    }

    /// Keeps two checkpoints that contradict each other; the visit before stays what later ones are compared with.
    fn keep_evidence(&self, kept: &Kept, folder: &Path) -> Result<PathBuf, PublicLogError> {
        let both = format!("{}\n\n{}", kept.checkpoint, self.checkpoint.note);
        let path = folder.join(format!("alarm-{}.txt", Sha256::of(&both).short()));
        if !path.exists() {
            write_atomically(&path, both.as_bytes())?;
        }
        Ok(path)
    }
}

impl Kept {
    fn read(path: &Path) -> Result<Option<Self>, PublicLogError> {
        files::read_kept(path, bounded::SHORT, |kept: &Self| {
            if kept.version != 1 || unbase64(&kept.root).is_none() || kept.read > kept.size {
                return Err("it has another version, or contradicts itself");
            }
            Ok(())
        })
    }
}
