//! Scratch folders of running builds, and the sweep that removes those of killed ones.
//!
//! Each process holds an advisory lock on its scratch folder as long as it lives, so a folder whose lock is free is no
//! longer used. Files inside may belong to user ids of the build's own, so removing them is the sandbox's job; this
//! module only says which folders are stale.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};

use super::{FileClock, Store, StoreError};

const LOCK: &str = "lock";

/// A folder of one running build.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    _lock: Flock<File>,
}

impl Scratch {
    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder's name, unique in this store.
    pub fn id(&self) -> String {
        self.path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }
}

impl Store {
    /// Makes a new, empty scratch folder.
    pub fn scratch(&self) -> Result<Scratch, StoreError> {
        let parent = self.scratch_folders();
        let path = tempfile::Builder::new()
            .prefix("run-")
            .rand_bytes(10)
            .tempdir_in(&parent)
            .map_err(StoreError::io("make a folder in", &parent))?
            .keep();
        let lock = take_lock(&path)?.ok_or_else(|| {
            StoreError::io("lock", &path)(std::io::Error::from(std::io::ErrorKind::WouldBlock))
        })?;
        Ok(Scratch { path, _lock: lock })
    }

    /// Scratch folders whose process has ended. They are locked, so that no other process sweeps them too.
    pub fn stale_scratch(&self) -> Result<Vec<Scratch>, StoreError> {
        let parent = self.scratch_folders();
        let mut stale = Vec::new();
        let clock = FileClock::of(&parent).map_err(StoreError::io("make a file in", &parent))?;
        for entry in fs::read_dir(&parent).map_err(StoreError::io("list", &parent))? {
            let path = entry.map_err(StoreError::io("list", &parent))?.path();
            // An empty folder is being made right now, unless it is old. A folder that is not empty but lacks its lock
            // file was being removed when its process ended.
            if is_empty(&path) && !is_older(clock, &path, Duration::from_mins(1)) {
                continue;
            }
            if let Ok(Some(lock)) = take_lock(&path) {
                stale.push(Scratch { path, _lock: lock });
            }
        }
        Ok(stale)
    }
}

impl Store {
    /// Temporary files and folders that a killed process left: they are older than a day, and those of running
    /// processes are not. Some contain what builds made, so removing them is the sandbox's job too.
    pub fn stale_temporaries(&self) -> Vec<PathBuf> {
        self.swept()
            .iter()
            .filter_map(|(folder, prefix)| Some((FileClock::of(folder).ok()?, folder, prefix)))
            .flat_map(|(clock, folder, prefix)| {
                let entries = fs::read_dir(folder).into_iter().flatten().flatten();
                let named =
                    entries.filter(move |entry| entry.file_name().to_string_lossy().starts_with(prefix));
                let paths = named.map(|entry| entry.path());
                paths.filter(move |path| is_older(clock, path, Duration::from_hours(24)))
            })
            .collect()
    }
}

fn is_empty(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

fn is_older(clock: FileClock, path: &Path, than: Duration) -> bool {
    clock.age(path).is_ok_and(|age| age >= than)
}

fn take_lock(folder: &Path) -> Result<Option<Flock<File>>, StoreError> {
    let path = folder.join(LOCK);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(StoreError::io("open", &path))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(StoreError::io("lock", &path)(error.into())),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_was_removing_when_it_ended_is_stale() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(folder.path().join("store"))).unwrap();
        let used = store.scratch().unwrap();
        let made = |name: &str| {
            let path = store.scratch_folders().join(name);
            fs::create_dir(&path).unwrap();
            path
        };
        let (half, left) = (made("run-half"), made("run-left"));
        made("run-new");
        fs::write(half.join("root"), "").unwrap();
        fs::write(left.join(LOCK), "").unwrap();
        let mut stale: Vec<_> = store.stale_scratch().unwrap();
        stale.sort_by(|one, other| one.path.cmp(&other.path));
        let stale: Vec<_> = stale.iter().map(Scratch::path).collect();
        assert_eq!(stale, [half.as_path(), left.as_path()]);
        assert!(!stale.contains(&used.path()));
    }
}
