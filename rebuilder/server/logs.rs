//! Logs of builds that run, as far as they have come. They end with the lease: the whole log is an artifact of its run.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::fcntl::{Flock, FlockArg};

use super::api::ApiError;
use super::artifacts::ArtifactsError;
use crate::credentials;
use crate::queue::wire::{self, Lease};
use crate::store::FileClock;
use crate::text::visible_lines;

/// What folders of servers are called, and the file in each that its server holds locked.
const PREFIX: &str = "serve-";
const LOCK: &str = "lock";

/// Most bytes of a log that are read at a time.
const EXCERPT: u64 = 64 << 10;

/// What of a log before an excerpt tells whether there is a credential in it, and the longest key in armour.
const BEFORE: u64 = 16 << 10;
const BLOCK: usize = 16 << 10;

/// A part of a log.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Excerpt {
    pub(super) text: String,
    /// Where it begins and ends, in bytes.
    pub(super) begin: u64,
    pub(super) end: u64,
}

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

    /// The text of a log from a byte on, as far as whole lines have come, without the credentials that can be told by then
    /// and with what could move a cursor made visible; `None` if there is no log.
    pub(super) fn read(&self, lease: Lease, offset: u64) -> Option<Excerpt> {
        let mut file = File::open(self.path(lease)).ok()?;
        let begin = offset.saturating_sub(BEFORE);
        file.seek(SeekFrom::Start(begin)).ok()?;
        let mut bytes = Vec::new();
        let most = EXCERPT.saturating_add(offset.saturating_sub(begin));
        file.take(most).read_to_end(&mut bytes).ok()?;
        let from = usize::try_from(offset.saturating_sub(begin))
            .ok()?
            .min(bytes.len());
        let whole = whole_lines(&bytes, from, bytes.len() as u64 == most);
        // A follower asks several times a second, mostly before there is anything new.
        if whole == from {
            return Some(Excerpt {
                begin: offset,
                end: offset,
                text: String::new(),
            });
        }
        let text = credentials::redacted_from(bytes.get(..whole).unwrap_or_default(), from);
        Some(Excerpt {
            begin: offset,
            end: begin.saturating_add(whole as u64),
            text: visible_lines(&text).into_owned(),
        })
    }

    /// The last lines of a log, not more than an excerpt.
    pub(super) fn last(&self, lease: Lease) -> Option<Excerpt> {
        let length = std::fs::metadata(self.path(lease)).ok()?.len();
        let begin = length.saturating_sub(EXCERPT);
        let found = self.read(lease, begin)?;
        if begin == 0 {
            return Some(found);
        }
        // The first line is a part of one.
        let text = found.text.split_once('\n').map(|(_, rest)| rest.to_owned());
        Some(Excerpt {
            text: text.unwrap_or_default(),
            ..found
        })
    }

    pub(super) fn remove(&self, lease: Lease) {
        // A job may have had no log.
        let _ = std::fs::remove_file(self.path(lease));
    }
}

/// Up to where a log can be shown from `from` on: whole lines, unless one is longer than an excerpt, and not a key in armour
/// whose end has not come, as only the whole of it is known for one.
fn whole_lines(bytes: &[u8], from: usize, is_full: bool) -> usize {
    let new = bytes.get(from..).unwrap_or_default();
    let lines = memchr::memrchr(b'\n', new).map(|last| from.saturating_add(last).saturating_add(1));
    let end = lines.unwrap_or(if is_full { bytes.len() } else { from });
    let shown = bytes.get(..end).unwrap_or_default();
    match memchr::memmem::rfind(shown, b"-----BEGIN") {
        Some(armour)
            if memchr::memmem::find(shown.get(armour..).unwrap_or_default(), b"-----END").is_none()
                && end.saturating_sub(armour) < BLOCK =>
        {
            let line = memchr::memrchr(b'\n', shown.get(..armour).unwrap_or_default());
            line.map_or(0, |last| last.saturating_add(1)).max(from)
        }
        _ => end,
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
    let Ok(clock) = FileClock::of(scratch) else { return };
    let entries = std::fs::read_dir(scratch).into_iter().flatten().flatten();
    for path in entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX))
        .map(|entry| entry.path())
    {
        // One without a lock file is of an older version, or is just being made.
        let is_new = clock.age(&path).is_ok_and(|age| age < Duration::from_mins(1));
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
    fn a_log_is_read_by_whole_lines_and_shows_what_is_hidden() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::below(folder.path()).unwrap();
        let lease = Lease { job: 1, attempt: 1 };
        assert_eq!(logs.read(lease, 0), None);
        logs.append(lease, 0, b"one\ntwo \x1b[2J\nthr").unwrap();
        let found = logs.read(lease, 0).unwrap();
        assert_eq!((found.text.lines().count(), found.end), (2, 13));
        assert!(!found.text.contains('\x1b'), "{:?}", found.text);
        assert_eq!(logs.read(lease, 13).unwrap().text, "");
        logs.append(lease, 16, b"ee\n").unwrap();
        assert_eq!(logs.read(lease, 13).unwrap().text, "three\n");
        // A line without an end comes in parts, and the last lines begin with a whole one.
        let long = Lease { job: 2, attempt: 1 };
        logs.append(long, 0, &vec![b'x'; 100_000]).unwrap();
        assert_eq!(logs.read(long, 0).unwrap().end, EXCERPT);
        logs.append(long, 100_000, b"\nlast\n").unwrap();
        assert_eq!(logs.last(long).unwrap().text, "last\n");
    }

    #[test]
    fn credentials_are_not_shown_while_a_build_runs() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::below(folder.path()).unwrap();
        let lease = Lease { job: 1, attempt: 1 };
        // Put together here, so that nobody takes it for a leaked one.
        let token = ["ghp", "_", "wJ8vXh2LqT5sNc0ZrE4kYp7uGb1mAd6fRi3O"].concat();
        let mut end = 0;
        let mut tell = |text: &str| end = logs.append(lease, end, text.as_bytes()).unwrap();
        tell(&format!("fetching with {token}\n"));
        let first = logs.read(lease, 0).unwrap();
        assert!(
            first.text.starts_with("fetching with [redacted: "),
            "{}",
            first.text
        );
        // A key is shown once it is whole, which is not at all.
        let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n".repeat(20);
        let armour = |word: &str| ["-----", word, " PRIVATE KEY-----\n"].concat();
        tell("next\n");
        tell(&armour("BEGIN"));
        tell(&body);
        let second = logs.read(lease, first.end).unwrap();
        assert_eq!(second.text, "next\n");
        assert_eq!(logs.read(lease, second.end).unwrap().text, "");
        tell(&armour("END"));
        tell("after\n");
        let third = logs.read(lease, second.end).unwrap();
        assert!(
            third.text.ends_with("after\n") && !third.text.contains("MIIEvQ"),
            "{}",
            third.text
        );
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
