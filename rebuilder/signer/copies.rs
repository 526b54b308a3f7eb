//! Where copies of runs are made, and how much of the disk each worker's may take.

use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::fcntl::{Flock, FlockArg, OFlag};

use super::SignerError;

/// Where copies are made: a folder for each process that signs, with a lock that shows whether it still lives.
pub(super) struct SnapshotFolder {
    folder: tempfile::TempDir,
    _lock: Flock<File>,
}

const PREFIX: &str = "signing-";
const LOCK: &str = "lock";

impl SnapshotFolder {
    /// Makes one below `parent`, and removes those that a crash left behind.
    pub(super) fn below(parent: &Path) -> Result<Self, SignerError> {
        let failed = |error: std::io::Error| SignerError::Snapshot {
            what: parent.display().to_string(),
            reason: error.to_string(),
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(failed)?;
        sweep(parent);
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent);
        let folder = folder.map_err(failed)?;
        let lock = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(folder.path().join(LOCK))
            .map_err(failed)?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock);
        let lock = lock.map_err(|(_, error)| failed(error.into()))?;
        Ok(Self { folder, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes the copies of processes that are gone. Their locks went with them.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !name.to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let lock = File::options()
            .write(true)
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(entry.path().join(LOCK));
        let lives = match lock {
            Ok(lock) => Flock::lock(lock, FlockArg::LockExclusiveNonblock).is_err(),
            // Without a lock it is one that was just begun, or a copy of an earlier version.
            Err(_) => entry
                .metadata()
                .and_then(|meta| meta.modified())
                .is_ok_and(|time| time.elapsed().is_ok_and(|age| age.as_secs() < 3600)),
        };
        if !lives {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// What one worker's copies may take on the disk, all together.
#[derive(Clone)]
pub(super) struct Budget {
    used: Arc<AtomicU64>,
    pub(super) most: u64,
}

impl Budget {
    pub(super) fn new(most: u64) -> Self {
        Self {
            used: Arc::default(),
            most,
        }
    }

    /// Takes `bytes`, or none.
    pub(super) fn take(&self, bytes: u64) -> Option<Share> {
        let add = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= self.most);
        self.used
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, add)
            .ok()?;
        Some(Share {
            used: self.used.clone(),
            bytes,
        })
    }
}

/// A part of a budget, given back when it is dropped.
pub(super) struct Share {
    used: Arc<AtomicU64>,
    bytes: u64,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::SeqCst);
    }
}
