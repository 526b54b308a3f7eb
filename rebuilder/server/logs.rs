//! Logs of builds that run, as far as they have come. They end with the job: the whole log is an artifact of its run.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::api::ApiError;
use super::artifacts::ArtifactsError;
use crate::queue::wire::{self, Lease};

/// A folder with a file for each lease. It goes with the server; workers then begin again.
pub(super) struct Logs(tempfile::TempDir);

impl Logs {
    pub(super) fn below(scratch: &Path) -> Result<Self, ArtifactsError> {
        let folder = tempfile::Builder::new().prefix("serve-").tempdir_in(scratch);
        folder.map(Self).map_err(|error| ArtifactsError::Place {
            place: scratch.display().to_string(),
            reason: error.to_string(),
        })
    }

    /// Where what arrives is until it is whole.
    pub(super) fn folder(&self) -> &Path {
        self.0.path()
    }

    fn path(&self, lease: Lease) -> PathBuf {
        self.0.path().join(format!("{}-{}.log", lease.job, lease.attempt))
    }

    /// Adds bytes that begin at `offset`, and gives the new length. What came before is passed over, so a part may be sent
    /// again; one after a gap is refused with the length so far.
    pub(super) fn append(&self, lease: Lease, offset: u64, bytes: &[u8]) -> Result<u64, ApiError> {
        let failed = |error: std::io::Error| ApiError::Request(format!("cannot keep the log: {error}"));
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
        let room = usize::try_from(wire::LOG.saturating_sub(length)).unwrap_or(usize::MAX);
        file.write_all(new.get(..room).unwrap_or(new)).map_err(failed)?;
        // Bytes beyond the bound count as taken, so that nobody sends them again.
        Ok(length.max(offset.saturating_add(bytes.len() as u64)))
    }

    pub(super) fn remove(&self, lease: Lease) {
        // A job may have had no log.
        let _ = std::fs::remove_file(self.path(lease));
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
        logs.remove(lease);
        assert!(matches!(logs.append(lease, 8, b"x"), Err(ApiError::LogLength(0))));
    }
}
