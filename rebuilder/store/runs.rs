//! The folder of a run while it is being filled.
//!
//! The process that fills it holds a lock on it, which ends with the process. So a folder whose lock can be taken is
//! left over, and the next run removes it at once. A folder outside the store is remembered there by a link.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg, OFlag};

use super::{Store, StoreError};
use crate::artifact::Sha256;
use crate::bounded;
use crate::run::{Record, RunFolder};

/// The folder of a run while it is being filled; it gets its name when it is whole, and is removed when it is dropped.
#[derive(Debug)]
pub struct PendingRun {
    path: PathBuf,
    /// The link that remembers it, if it is not in the store.
    link: Option<PathBuf>,
    kept: bool,
    _lock: Flock<File>,
}

/// How often a folder is made again, if a sweep took it before it was locked.
const TRIES: usize = 100;

impl PendingRun {
    /// Begins the names of such folders.
    pub const PREFIX: &'static str = ".rebuilding-";

    /// Makes one below `parent`, and removes those there that were left over.
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

    /// Makes one among the runs of a store.
    pub fn new(store: &Store) -> Result<Self, StoreError> {
        Self::below(&store.runs())
    }

    /// The same, remembered in `runs`, so that a later run finds it wherever it is.
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
                // The name is new in `parent`, which says nothing of `runs`.
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

    /// Moves it to `place`, which must be on the same file system.
    pub fn keep(mut self, place: &Path) -> Result<RunFolder, StoreError> {
        fs::rename(&self.path, place).map_err(StoreError::io("move the run to", place))?;
        // Its name is gone, so nothing is left to remove.
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
        // Their names begin with the time.
        runs.sort_by(|a, b| a.path().cmp(b.path()));
        runs
    }

    /// The newest finished run in the store that is about the released file with this digest.
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

/// Removes a folder; work that was called off may be writing its last file into it, for longer on a busy machine.
fn remove(path: &Path) {
    for _ in 0..50 {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            // What cannot be removed now is found by the next run.
            _ => return,
        }
    }
}

/// Removes the folders in `parent`, and those remembered there, that were left over.
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
        // A link says no more than where to look: what is there must be such a folder, and our own.
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

/// The lock on a folder of this user, unless another process has it or the folder is gone.
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
        // Left by processes that were killed: here, beside a folder that the user wanted, and made a moment ago.
        let left = runs.path().join(".rebuilding-left");
        let elsewhere = other.path().join(".rebuilding-elsewhere");
        for folder in [&left, &elsewhere] {
            fs::create_dir_all(folder.join("rebuilt")).unwrap();
            fs::write(folder.join("rebuilt/part"), "x").unwrap();
        }
        symlink(&elsewhere, runs.path().join(".rebuilding-elsewhere")).unwrap();
        // Links that somebody else put there lead nowhere.
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
        // The planted link, and nothing else of ours.
        assert_eq!(names(runs.path()), 1);
        assert_eq!(names(other.path()), 3);
    }
    /// Two programs that draw the same name must not meet in the folder of the links.
    #[test]
    fn a_name_that_is_taken_among_the_links_is_not_used() {
        let folder = || tempfile::tempdir().unwrap();
        let (runs, one, two) = (folder(), folder(), folder());
        fastrand::seed(1);
        let first = PendingRun::remembered(one.path(), runs.path()).unwrap();
        fastrand::seed(1);
        let second = PendingRun::remembered(two.path(), runs.path()).unwrap();
        assert_ne!(first.path().file_name(), second.path().file_name());
        // The one whose name was taken is gone again.
        assert_eq!(fs::read_dir(two.path()).unwrap().count(), 1);
        let target = |run: &PendingRun| fs::read_link(run.link.as_ref().unwrap()).unwrap();
        assert_eq!(target(&first), first.path());
        assert_eq!(target(&second), second.path());
    }
}
