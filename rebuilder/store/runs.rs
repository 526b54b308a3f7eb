//! The folder of a run while it is being filled.
//!
//! The process that fills a folder holds a lock on it, which ends with the process. So a folder whose lock is free is
//! a leftover, and the next run removes it at once. A folder outside the store is remembered in the store by a link.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg, OFlag};

use super::{Store, StoreError};
use crate::artifact::Sha256;
use crate::bounded;
use crate::run::{Record, RunFolder};

/// The folder of a run while it is being filled. It is renamed when the run is complete; otherwise, dropping it
/// removes it.
#[derive(Debug)]
pub struct PendingRun {
    path: PathBuf,
    /// The link in the store that remembers the folder, if it is elsewhere.
    link: Option<PathBuf>,
    kept: bool,
    _lock: Flock<File>,
}

/// How often to make another folder if a sweep removed it before it was locked.
const TRIES: usize = 100;

impl PendingRun {
    /// Prefix of the names of such folders.
    pub const PREFIX: &'static str = ".rebuilding-";

    /// Makes a folder below `parent`, and removes leftovers there.
    pub fn below(parent: &Path) -> Result<Self, StoreError> {
        sweep(parent);
        fs::create_dir_all(parent).map_err(StoreError::io("make the folder", parent))?;
        for _ in 0..TRIES {
            let path = tempfile::Builder::new()
                .prefix(Self::PREFIX)
                .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
                .tempdir_in(parent)
                .map_err(StoreError::io("write into", parent))?
                .keep();
            if let Some(lock) = lock(&path) {
                return Ok(Self {
                    path,
                    link: None,
                    kept: false,
                    _lock: lock,
                });
            }
        }
        let busy = std::io::ErrorKind::ResourceBusy.into();
        Err(StoreError::io("lock a new folder in", parent)(busy))
    }

    /// Makes a folder among the runs of a store.
    pub fn new(store: &Store) -> Result<Self, StoreError> {
        Self::below(&store.runs())
    }

    /// Makes a folder below `parent` and remembers it in `runs`, so that a later run finds it wherever it is.
    pub fn remembered(parent: &Path, runs: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(runs).map_err(StoreError::io("make the folder", runs))?;
        sweep(runs);
        for _ in 0..TRIES {
            let mut pending = Self::below(parent)?;
            let absolute = pending
                .path
                .canonicalize()
                .map_err(StoreError::io("open", &pending.path))?;
            if absolute.parent() == runs.canonicalize().ok().as_deref() {
                return Ok(pending);
            }
            let link = runs.join(absolute.file_name().unwrap_or_default());
            match symlink(&absolute, &link) {
                Ok(()) => {
                    pending.link = Some(link);
                    return Ok(pending);
                }
                // The name is new in `parent`, but may be taken in `runs`.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(StoreError::io("write", &link)(error)),
            }
        }
        let busy = std::io::ErrorKind::ResourceBusy.into();
        Err(StoreError::io("remember a folder in", runs)(busy))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Renames the folder to `place`, which must be on the same file system.
    pub fn keep(mut self, place: &Path) -> Result<RunFolder, StoreError> {
        fs::rename(&self.path, place).map_err(StoreError::io("move the run to", place))?;
        // Its old name no longer exists, so there is nothing to remove.
        self.kept = true;
        Ok(RunFolder::new(place))
    }
}

impl Drop for PendingRun {
    fn drop(&mut self) {
        if !self.kept {
            remove(&self.path);
        }
        if let Some(link) = &self.link {
            let _ = fs::remove_file(link);
        }
    }
}

impl Store {
    /// The finished runs in the store, the oldest first.
    pub fn finished_runs(&self) -> Vec<RunFolder> {
        let entries = fs::read_dir(self.runs()).into_iter().flatten().flatten();
        let mut runs: Vec<_> = entries.map(|entry| RunFolder::new(&entry.path())).collect();
        let is_pending = |run: &RunFolder| {
            let name = run.path().file_name().unwrap_or_default();
            name.to_string_lossy().starts_with(PendingRun::PREFIX)
        };
        runs.retain(|run| !is_pending(run) && run.record().is_file());
        // The names begin with the time.
        runs.sort_by(|a, b| a.path().cmp(b.path()));
        runs
    }

    /// The newest finished run in the store for the released file with this digest.
    pub fn newest_run(&self, released: Sha256) -> Option<RunFolder> {
        let entries = fs::read_dir(self.runs()).into_iter().flatten().flatten();
        let about = |run: RunFolder| {
            let bytes = bounded::read(&run.record(), bounded::PLAN).ok()?;
            let record: Record = serde_json::from_slice(&bytes).ok()?;
            let mut outputs = record.outputs.iter();
            let fits = outputs.any(|output| output.released == Some(released));
            fits.then_some((record.finished, run))
        };
        let runs = entries.filter_map(|entry| about(RunFolder::new(&entry.path())));
        runs.max_by_key(|(finished, _)| *finished).map(|(_, run)| run)
    }
}

/// Removes a folder. Cancelled work may still be writing its last file into it, so a few tries may be needed.
fn remove(path: &Path) {
    for _ in 0..50 {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            // If it cannot be removed now, the next run finds it.
            _ => return,
        }
    }
}

/// Removes leftover folders in `parent`, and those that links in it remember.
pub fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        if !entry
            .file_name()
            .to_string_lossy()
            .starts_with(PendingRun::PREFIX)
        {
            continue;
        }
        let path = entry.path();
        let Ok(target) = fs::read_link(&path) else {
            sweep_one(&path);
            continue;
        };
        // A link only says where to look: what is there must be such a folder, and our own.
        if target.file_name() == path.file_name() {
            sweep_one(&target);
        }
        if matches!(fs::symlink_metadata(&target), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
        {
            let _ = fs::remove_file(&path);
        }
    }
}

fn sweep_one(path: &Path) {
    if let Some(lock) = lock(path) {
        remove(path);
        drop(lock);
    }
}

/// The lock on a folder of this user; `None` if another process has it or the folder no longer exists.
fn lock(path: &Path) -> Option<Flock<File>> {
    let folder = File::options()
        .read(true)
        .custom_flags((OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).bits())
        .open(path)
        .ok()?;
    let found = folder.metadata().ok()?;
    if found.uid() != nix::unistd::geteuid().as_raw() {
        return None;
    }
    let lock = Flock::lock(folder, FlockArg::LockExclusiveNonblock).ok()?;
    let there = fs::symlink_metadata(path).ok()?;
    (there.ino() == found.ino() && there.dev() == found.dev()).then_some(lock)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn names(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn what_nobody_fills_goes_and_what_somebody_fills_stays() {
        let (runs, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        // Leftovers of killed processes, here and elsewhere; that they are new makes no difference.
        let left = runs.path().join(".rebuilding-left");
        let elsewhere = other.path().join(".rebuilding-elsewhere");
        for folder in [&left, &elsewhere] {
            fs::create_dir_all(folder.join("rebuilt")).unwrap();
            fs::write(folder.join("rebuilt/part"), "x").unwrap();
        }
        symlink(&elsewhere, runs.path().join(".rebuilding-elsewhere")).unwrap();
        // Links that somebody else made lead nowhere.
        let innocent = other.path().join("innocent");
        fs::create_dir(&innocent).unwrap();
        symlink(&innocent, runs.path().join(".rebuilding-link")).unwrap();
        symlink(&innocent, other.path().join(".rebuilding-direct")).unwrap();

        let filled = PendingRun::remembered(other.path(), runs.path()).unwrap();
        assert!(!left.exists() && !elsewhere.exists() && innocent.exists());
        let again = PendingRun::remembered(other.path(), runs.path()).unwrap();
        assert!(filled.path().exists() && again.path().exists());
        drop(filled);
        let place = other.path().join("run");
        again.keep(&place).unwrap();
        assert!(place.exists());
        // The link that somebody else made is left, and nothing of ours.
        assert_eq!(names(runs.path()), 1);
        assert_eq!(names(other.path()), 3);
    }
    /// Two programs that draw the same name must not share a link.
    #[test]
    fn a_name_that_is_taken_among_the_links_is_not_used() {
        let folder = || tempfile::tempdir().unwrap();
        let (runs, one, two) = (folder(), folder(), folder());
        fastrand::seed(1);
        let first = PendingRun::remembered(one.path(), runs.path()).unwrap();
        fastrand::seed(1);
        let second = PendingRun::remembered(two.path(), runs.path()).unwrap();
        assert_ne!(first.path().file_name(), second.path().file_name());
        // The folder whose name was taken has been removed again.
        assert_eq!(fs::read_dir(two.path()).unwrap().count(), 1);
        let target = |run: &PendingRun| fs::read_link(run.link.as_ref().unwrap()).unwrap();
        assert_eq!(target(&first), first.path());
        assert_eq!(target(&second), second.path());
    }
}
