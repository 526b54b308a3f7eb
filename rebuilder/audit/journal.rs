//! The finished part of an audit on this host: `results.jsonl`, one line of JSON for the newest result of
//! each subject, and `runs/`, a folder for each rebuild.
//!
//! A run is moved into its place whole, then its line is appended and synced, then the memory is told. A kill
//! between the first two steps leaves a run without a line; the line is made again from the run. A line that
//! was cut short is dropped, and made again in the same way. What the memory was not told, it is told when
//! the audit resumes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nix::fcntl::{Flock, FlockArg};

use super::result::ResultLine;
use super::runs;
use crate::artifact::Sha256;
use crate::run::{Record, RunFolder};
use crate::store::{PendingRun, StoreError, sweep, write_atomically};

/// A folder that cannot be used for an audit.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum JournalError {
    #[error("cannot use {0}: another audit is running in it")]
    #[diagnostic(help("wait for it, or name another folder with --out"))]
    Busy(PathBuf),
    #[error("line {line} of {path} is not a result: {reason}")]
    #[diagnostic(help("another version wrote it, or it was edited; name another folder with --out"))]
    Line {
        path: PathBuf,
        line: usize,
        reason: String,
    },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
}

/// The results of an audit, opened by one process at a time.
pub struct Journal {
    folder: PathBuf,
    known: Mutex<BTreeMap<String, ResultLine>>,
    file: Mutex<File>,
    _lock: Flock<File>,
}

/// Name of the journal.
const RESULTS: &str = "results.jsonl";
/// The file in a run folder that names the run's subject.
const SUBJECT: &str = "subject.txt";

impl Journal {
    /// Opens or creates an audit's folder, and takes up what an earlier process left in it.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        let runs = runs(folder);
        fs::create_dir_all(&runs).map_err(StoreError::io("make the folder", &runs))?;
        let path = folder.join("lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(StoreError::io("open", &path))?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|_| JournalError::Busy(folder.to_owned()))?;
        let path = folder.join(RESULTS);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(StoreError::io("read", &path)(error).into()),
        };
        let mut known = BTreeMap::new();
        for (number, line) in (1..).zip(text.split_inclusive('\n')) {
            // Only the last line can have been cut short.
            if !line.ends_with('\n') {
                break;
            }
            let line: ResultLine = serde_json::from_str(line).map_err(|error| JournalError::Line {
                path: path.clone(),
                line: number,
                reason: error.to_string(),
            })?;
            known.insert(line.subject.clone(), line);
        }
        adopt(&runs, &mut known).map_err(StoreError::io("read", &runs))?;
        let whole: String = known.values().map(as_text).collect();
        if whole != text {
            write_atomically(&path, whole.as_bytes())?;
        }
        let file = File::options().append(true).create(true).open(&path);
        let file = file.map_err(StoreError::io("open", &path))?;
        Ok(Self {
            folder: folder.to_owned(),
            known: Mutex::new(known),
            file: Mutex::new(file),
            _lock: lock,
        })
    }

    /// The newest result of each subject.
    pub fn lines(&self) -> Vec<ResultLine> {
        self.known().values().cloned().collect()
    }

    /// A folder for a run that is not finished yet.
    pub(super) fn pending(&self) -> Result<PendingRun, StoreError> {
        PendingRun::below(&runs(&self.folder))
    }

    /// Moves the run into its place, and appends its line.
    pub(super) fn finish(&self, pending: PendingRun, line: &mut ResultLine) -> Result<(), StoreError> {
        if RunFolder::new(pending.path()).record().exists() {
            let marker = pending.path().join(SUBJECT);
            write_atomically(&marker, line.subject.as_bytes())?;
            let name = run_name(&line.subject, line.finished);
            let place = runs(&self.folder).join(&name);
            pending.keep(&place)?;
            line.run = Some(format!("runs/{name}"));
        }
        let path = self.folder.join(RESULTS);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(as_text(line).as_bytes())
            .and_then(|()| file.sync_data())
            .map_err(StoreError::io("write", &path))?;
        drop(file);
        self.known().insert(line.subject.clone(), line.clone());
        Ok(())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, ResultLine>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes unfinished runs, and makes the missing lines of finished ones.
fn adopt(runs: &Path, known: &mut BTreeMap<String, ResultLine>) -> std::io::Result<()> {
    // A helper of a killed audit may still write its last file there. What cannot be removed now is removed later.
    sweep(runs);
    for entry in fs::read_dir(runs)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(PendingRun::PREFIX) {
            continue;
        }
        let Ok(subject) = crate::bounded::read_text(&entry.path().join(SUBJECT), crate::bounded::SHORT)
        else {
            continue;
        };
        // Each rebuild of a subject has its own run folder, and their names are in order of time: only a run
        // that is newer than the newest line can lack its line.
        let newest = known
            .get(&subject)
            .map(|line| line.run.as_deref().unwrap_or_default());
        if newest.is_some_and(|run| !is_newer(&name, run.trim_start_matches("runs/"))) {
            continue;
        }
        let record = crate::bounded::read(&RunFolder::new(&entry.path()).record(), crate::bounded::PLAN)?;
        match serde_json::from_slice::<Record>(&record) {
            Ok(record) => {
                let mut line = ResultLine::of_record(&subject, &record);
                line.run = Some(format!("runs/{name}"));
                if known
                    .get(&subject)
                    .is_none_or(|other| other.finished < line.finished)
                {
                    known.insert(subject, line);
                }
            }
            // Without a readable record, the subject is rebuilt.
            Err(_) => fs::remove_dir_all(entry.path())?,
        }
    }
    Ok(())
}

/// Whether the run with the first name ended after the one with the second name. Names that an earlier
/// version of this program gave have no time; these runs are older.
fn is_newer(name: &str, than: &str) -> bool {
    name.len() > than.len() || (name.len() == than.len() && name > than)
}

/// The name of a run's folder: readable and unique.
fn run_name(subject: &str, finished: jiff::Timestamp) -> String {
    let readable: String = subject
        .trim_start_matches("pkg:")
        .split('?')
        .next()
        .unwrap_or_default()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-._".contains(c) {
                c
            } else {
                '_'
            }
        })
        .take(80)
        .collect();
    let stamp = finished.strftime("%Y%m%dT%H%M%S%3fZ");
    format!("{readable}-{}-{stamp}", Sha256::of(subject).short())
}

fn as_text(line: &ResultLine) -> String {
    let mut text = crate::text::json(line);
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::super::result::SubjectResult;
    use jiff::Timestamp;

    use super::*;
    use crate::ledger::Spent;

    fn line(subject: &str) -> ResultLine {
        ResultLine {
            subject: subject.to_owned(),
            outcome: SubjectResult::Reproduced,
            outputs: (1, 1),
            attempts: 1,
            version: None,
            plan: None,
            run: None,
            not_signed: None,
            started: Timestamp::UNIX_EPOCH,
            finished: Timestamp::UNIX_EPOCH,
            spent: Spent::default(),
            cost: None,
            built: None,
        }
    }

    #[test]
    fn an_audit_resumes_while_helpers_of_a_killed_one_still_write() {
        let folder = tempfile::tempdir().unwrap();
        let left = runs(folder.path()).join(format!("{}left", PendingRun::PREFIX));
        fs::create_dir_all(&left).unwrap();
        let running = std::sync::atomic::AtomicBool::new(true);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0.. {
                    if !running.load(std::sync::atomic::Ordering::Relaxed) {
                        break;
                    }
                    let _ = fs::create_dir_all(&left);
                    let _ = fs::write(left.join(number.to_string()), "");
                }
            });
            let opened = (0..20)
                .map(|_| Journal::open(folder.path()).map(drop))
                .find(Result::is_err);
            running.store(false, std::sync::atomic::Ordering::Relaxed);
            assert!(opened.is_none(), "{opened:?}");
        });
        drop(Journal::open(folder.path()).unwrap());
        assert!(!left.exists());
    }

    #[test]
    fn a_line_cut_short_is_dropped_and_the_rest_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        for subject in ["a", "b"] {
            let pending = journal.pending().unwrap();
            journal.finish(pending, &mut line(subject)).unwrap();
        }
        assert!(matches!(Journal::open(folder.path()), Err(JournalError::Busy(_))));
        drop(journal);
        let path = folder.path().join(RESULTS);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() - 5]).unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        let known: Vec<_> = journal.lines().into_iter().map(|line| line.subject).collect();
        assert_eq!(known, ["a"]);
        let mut again = line("b");
        journal.finish(journal.pending().unwrap(), &mut again).unwrap();
        drop(journal);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn a_line_of_another_kind_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(RESULTS), "{\"subject\": \"a\"}\n").unwrap();
        let Err(error) = Journal::open(folder.path()) else {
            panic!("it was taken");
        };
        assert!(error.to_string().starts_with("line 1 of "), "{error}");
    }
}
