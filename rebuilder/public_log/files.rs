//! Files of the served folder: whole or absent, on the disk before anything builds on them, readable for a web server.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use serde::de::DeserializeOwned;

use super::PublicLogError;
use crate::bounded;

/// Where files are made before they get their names; it is emptied at each start.
const NEW: &str = ".new";

/// The folder of a log, kept from other writers.
pub struct LogFolder {
    path: PathBuf,
    changed: BTreeSet<PathBuf>,
    _lock: Flock<File>,
}

/// Waits until nobody else holds the lock.
pub fn lock(path: &Path) -> Result<Flock<File>, PublicLogError> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path);
    let file = file.map_err(PublicLogError::io(path))?;
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| PublicLogError::io(path)(error.into()))
}

/// Makes sure that the names in a folder are on the disk.
pub fn sync(folder: &Path) -> Result<(), PublicLogError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(PublicLogError::io(folder))
}

/// Reads what was kept about a log in a JSON file of at most `limit` bytes, if anything was; `check` says what is wrong
/// with it.
pub fn read_kept<T: DeserializeOwned>(
    path: &Path,
    limit: u64,
    check: impl FnOnce(&T) -> Result<(), &'static str>,
) -> Result<Option<T>, PublicLogError> {
    let bytes = match bounded::read(path, limit) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(PublicLogError::io(path)(error)),
    };
    let invalid = |reason: String| PublicLogError::State {
        path: path.to_owned(),
        reason,
    };
    let kept = serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
    check(&kept).map_err(|reason| invalid(reason.into()))?;
    Ok(Some(kept))
}

impl LogFolder {
    /// Takes the folder, which is made if need be.
    pub fn open(path: &Path) -> Result<Self, PublicLogError> {
        let new = path.join(NEW);
        fs::create_dir_all(&new).map_err(PublicLogError::io(&new))?;
        let folder = Self {
            _lock: lock(&new.join("lock"))?,
            path: path.to_owned(),
            changed: BTreeSet::new(),
        };
        readable(path, 0o755)?;
        // Others may look into what is served, and need not see what is not finished.
        readable(&new, 0o700)?;
        for entry in fs::read_dir(&new).map_err(PublicLogError::io(&new))?.flatten() {
            if entry.file_name() != "lock" {
                fs::remove_file(entry.path()).map_err(PublicLogError::io(&entry.path()))?;
            }
        }
        Ok(folder)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file of at most `limit` bytes, if it is there.
    pub fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, PublicLogError> {
        read(&self.path, path, limit)
    }

    /// Writes a file under its name, whole.
    pub fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), PublicLogError> {
        let to = self.path.join(path);
        let folder = to.parent().unwrap_or(&self.path).to_owned();
        self.make(&folder)?;
        let new = self.path.join(NEW);
        let mut file = tempfile::NamedTempFile::new_in(&new).map_err(PublicLogError::io(&new))?;
        let written = file.write_all(bytes).and_then(|()| file.as_file().sync_all());
        written.map_err(PublicLogError::io(&to))?;
        readable(file.path(), 0o644)?;
        file.persist(&to)
            .map_err(|error| PublicLogError::io(&to)(error.error))?;
        self.changed.insert(folder);
        Ok(())
    }

    fn make(&mut self, folder: &Path) -> Result<(), PublicLogError> {
        if folder.is_dir() {
            return Ok(());
        }
        if let Some(above) = folder.parent().filter(|_| folder != self.path) {
            self.make(above)?;
            self.changed.insert(above.to_owned());
        }
        fs::create_dir(folder).map_err(PublicLogError::io(folder))?;
        readable(folder, 0o755)
    }

    /// Waits until the names of all that was written are on the disk.
    pub fn settle(&mut self) -> Result<(), PublicLogError> {
        for folder in std::mem::take(&mut self.changed) {
            sync(&folder)?;
        }
        Ok(())
    }

    /// Removes a folder of partial tiles, whose full tile is there.
    pub fn prune(&self, full: &str) -> Result<(), PublicLogError> {
        let partial = self.path.join(format!("{full}.p"));
        match fs::remove_dir_all(&partial) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(PublicLogError::io(&partial)(error)),
            _ => Ok(()),
        }
    }
}

/// A file of a log in a folder, if it is there.
pub fn read(folder: &Path, path: &str, limit: u64) -> Result<Option<Vec<u8>>, PublicLogError> {
    let path = folder.join(path);
    match bounded::read(&path, limit) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(PublicLogError::io(&path)(error)),
    }
}

/// Sets a mode, whatever the umask is.
fn readable(path: &Path, mode: u32) -> Result<(), PublicLogError> {
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(PublicLogError::io(path))
}
