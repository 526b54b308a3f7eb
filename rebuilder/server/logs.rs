//! Logs of builds that run, as far as they have come. They end with the lease: the whole log is an artifact of its run.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::fcntl::{Flock, FlockArg};

use super::api::ApiError;
use super::artifacts::ArtifactsError;
use crate::queue::wire::{self, Lease};

/// What folders of servers are called, and the file in each that its server holds locked.
const PREFIX: &str = "serve-";
const LOCK: &str = "lock";

/// A folder with a file for each lease. It goes with the server, or is swept by the next one; workers then begin again.
pub(super) struct Logs {
    folder: tempfile::TempDir,
    _lock: Flock<File>,
    /// Maximum size of a log, in bytes.
    most: u64,
}

impl Logs {
    pub(super) fn below(scratch: &Path) -> Result<Self, ArtifactsError> {
        sweep(scratch);
        let make = || {
            let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(scratch)?;
            let lock = lock(folder.path())?;
            Ok(Self {
                folder,
                _lock: lock,
                most: wire::LOG,
            })
        };
        make().map_err(|error: std::io::Error| ArtifactsError::Place {
            place: scratch.display().to_string(),
            reason: error.to_string(),
        })
    }

    /// Leases that have a log.
    pub(super) fn known(&self) -> BTreeSet<Lease> {
        // What is old is taken for a dead process's by whoever clears the store.
        let _ = File::open(self.folder()).and_then(|folder| folder.set_modified(SystemTime::now()));
        let entries = std::fs::read_dir(self.folder()).into_iter().flatten().flatten();
        let lease = |name: &str| {
            let (job, attempt) = name.strip_suffix(".log")?.split_once('-')?;
            Some(Lease {
                job: job.parse().ok()?,
                attempt: attempt.parse().ok()?,
            })
        };
        entries
            .filter_map(|entry| lease(entry.file_name().to_str()?))
            .collect()
    }

    /// Where what arrives is until it is whole.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn path(&self, lease: Lease) -> PathBuf {
        self.folder().join(format!("{}-{}.log", lease.job, lease.attempt))
    }

    /// Adds bytes that begin at `offset`, and returns the new length. What came before is ignored, so a part may be
    /// sent again; one after a gap is refused with the length so far, and what comes once the log is full is refused
    /// for good.
    pub(super) fn append(&self, lease: Lease, offset: u64, bytes: &[u8]) -> Result<u64, ApiError> {
        let failed = |error: std::io::Error| ApiError::Request(format!("cannot store the log: {error}"));
        let open = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.path(lease));
        let mut file = open.map_err(failed)?;
        let length = file.seek(SeekFrom::End(0)).map_err(failed)?;
        if offset > length {
            return Err(ApiError::LogLength(length));
        }
        let known = usize::try_from(length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let new = bytes.get(known..).unwrap_or_default();
        let room = usize::try_from(self.most.saturating_sub(length)).unwrap_or(usize::MAX);
        let kept = new.get(..room).unwrap_or(new);
        file.write_all(kept).map_err(failed)?;
        if kept.len() < new.len() {
            return Err(ApiError::LogFull(self.most));
        }
        Ok(length.saturating_add(kept.len() as u64))
    }

    pub(super) fn remove(&self, lease: Lease) {
        // A job may have had no log.
        let _ = std::fs::remove_file(self.path(lease));
    }
}

fn lock(folder: &Path) -> std::io::Result<Flock<File>> {
    let path = folder.join(LOCK);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| error.into())
}

/// Removes the folders of killed servers, whose locks are free.
fn sweep(scratch: &Path) {
    let entries = std::fs::read_dir(scratch).into_iter().flatten().flatten();
    for path in entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX))
        .map(|entry| entry.path())
    {
        // One without a lock file is of an older version, or is just being made.
        let made = std::fs::symlink_metadata(&path).and_then(|meta| meta.modified());
        let is_new = made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age.as_secs() < 60));
        if is_new && !path.join(LOCK).exists() {
            continue;
        }
        if let Ok(_lock) = lock(&path) {
            // What cannot be removed is tried again at the next start.
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_part_that_comes_twice_is_there_once() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::below(folder.path()).unwrap();
        let lease = Lease { job: 1, attempt: 1 };
        for (offset, bytes, length) in [(0, "one ", 4), (0, "one ", 4), (2, "e two", 7), (7, "", 7)] {
            assert_eq!(logs.append(lease, offset, bytes.as_bytes()).unwrap(), length);
        }
        assert!(matches!(logs.append(lease, 8, b"x"), Err(ApiError::LogLength(7))));
        assert_eq!(std::fs::read_to_string(logs.path(lease)).unwrap(), "one two");
        assert_eq!(logs.known(), BTreeSet::from([lease]));
        logs.remove(lease);
        assert!(logs.known().is_empty());
        assert!(matches!(logs.append(lease, 8, b"x"), Err(ApiError::LogLength(0))));
    }

    #[test]
    fn a_full_log_says_so_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let mut logs = Logs::below(folder.path()).unwrap();
        logs.most = 8;
        let lease = Lease { job: 1, attempt: 1 };
        for (offset, bytes, length) in [
            (0, "12345", Some(5)),
            (5, "678", Some(8)),
            (8, "9", None),
            (8, "9", None),
            (9, "0", Some(8)),
            (4, "5678", Some(8)),
            (4, "56789", None),
        ] {
            match (logs.append(lease, offset, bytes.as_bytes()), length) {
                (Ok(found) | Err(ApiError::LogLength(found)), Some(length)) => assert_eq!(found, length),
                (Err(ApiError::LogFull(8)), None) => {}
                (other, _) => panic!("{offset} {bytes} {other:?}"),
            }
        }
        assert_eq!(std::fs::read_to_string(logs.path(lease)).unwrap(), "12345678");
    }

    #[test]
    fn what_killed_servers_left_is_swept_and_what_runs_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let runs = Logs::below(folder.path()).unwrap();
        let killed = folder.path().join("serve-killed");
        std::fs::create_dir(&killed).unwrap();
        std::fs::write(killed.join(LOCK), "").unwrap();
        std::fs::write(killed.join("1-1.log"), "x").unwrap();
        std::fs::create_dir(folder.path().join("other")).unwrap();
        let next = Logs::below(folder.path()).unwrap();
        assert!(!killed.exists() && folder.path().join("other").exists());
        assert!(runs.folder().exists() && next.folder().exists());
    }
}
