//! The signer's log: one JSON object per line, each with the digest of the line before, so that a changed, removed or
//! inserted line shows in every later line.
//!
//! The file's owner could still write a new one, or cut its end off. So each attestation names the line
//! before its own (`signingLog`): a published attestation pins the log as it was ([`Log::verify`] with attestations).

mod event;
mod line;
mod plain;
mod stated;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

pub use event::{Event, Line};
pub(crate) use plain::{TEXT, is_plain, shortened};
pub use stated::Stated;

use crate::artifact::Sha256;
use line::{each, encode, next};

/// A place in a log: how many lines are before it, and the digest of the last of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// Position of the line that is written next.
    pub sequence: u64,
    /// Digest of the line before.
    pub previous: Sha256,
}

/// A log that cannot be written, or that is not intact.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum LogError {
    #[error("cannot use the log {path}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("cannot write a line to the log: {reason}")]
    #[diagnostic(help("nothing was written; a text in the run's description is too long for the log"))]
    Line { reason: String },
    #[error("the log {path} is not intact: line {line}: {reason}")]
    #[diagnostic(help("the log was changed or its disk is damaged; keep it, and compare it with a copy"))]
    Broken {
        path: PathBuf,
        line: u64,
        reason: String,
    },
    #[error("{attestation} does not match the log {path}: {reason}")]
    #[diagnostic(help("the log was truncated or replaced, or it is another signer's log"))]
    NotIn {
        path: PathBuf,
        attestation: String,
        reason: String,
    },
}

/// A log that is open, and locked against other writers.
pub struct Log {
    path: PathBuf,
    file: Flock<File>,
    next: Anchor,
}

/// A log that is intact.
#[derive(Debug, Clone, Serialize)]
pub struct VerifiedLog {
    /// Number of lines.
    pub lines: u64,
    /// Digest of the last line; with it others can tell whether the log was changed.
    pub head: Sha256,
    /// Lines by event.
    pub events: BTreeMap<String, u64>,
    /// Attestations whose line was found.
    pub attestations: u64,
}

/// The signed statements about a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedBefore {
    /// Digest of `record.json`.
    pub record: Sha256,
    /// The place in the log that the statement names.
    pub place: Anchor,
    /// Digest of the statement.
    pub statement: Sha256,
    /// Digests of what else was signed, by its form.
    pub also: BTreeMap<String, Sha256>,
}

/// The uses of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Uses {
    /// Signatures.
    pub count: u64,
    /// The last.
    pub last: Option<Timestamp>,
    /// Package URLs without their versions.
    pub projects: BTreeSet<String>,
}

impl SignedBefore {
    /// Whether the run has another record now, or this statement, or something else of a form that was signed before, is not
    /// what was signed.
    pub(super) fn contradicts(
        &self,
        record: Sha256,
        statement: Sha256,
        also: &BTreeMap<String, Sha256>,
    ) -> bool {
        let other =
            |(form, digest): (&String, &Sha256)| self.also.get(form).is_some_and(|known| known != digest);
        self.record != record || self.statement != statement || also.iter().any(other)
    }
}

impl Log {
    /// Opens the log at `path`, or begins it; waits for other writers.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let io = |source| LogError::Io {
            path: path.to_owned(),
            source,
        };
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(io)?;
        }
        let file = File::options()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o640)
            .open(path)
            .map_err(io)?;
        let mut file = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| io(error.into()))?;
        let (next, torn) = next(path, &mut file)?;
        let mut log = Self {
            path: path.to_owned(),
            file,
            next,
        };
        if let Some((bytes, torn)) = torn {
            log.append(Event::Recovered { bytes, torn }, Timestamp::now())?;
        }
        Ok(log)
    }

    /// Where the next line goes.
    pub fn anchor(&self) -> Anchor {
        self.next
    }

    /// Adds a line, and waits until the disk has it. Reasons of refusals are shortened; any other text that is too long
    /// or not plain is an error, and then nothing is written.
    pub fn append(&mut self, event: Event, now: Timestamp) -> Result<(), LogError> {
        let line = Line {
            sequence: self.next.sequence,
            previous: self.next.previous,
            time: now,
            event: event.shortened(),
        };
        let io = |source| LogError::Io {
            path: self.path.clone(),
            source,
        };
        let mut bytes = encode(&line)?;
        let digest = Sha256::of(&bytes);
        bytes.push(b'\n');
        self.file
            .write_all(&bytes)
            .and_then(|()| self.file.sync_data())
            .map_err(io)?;
        self.next = Anchor {
            sequence: line.sequence.saturating_add(1),
            previous: digest,
        };
        Ok(())
    }

    /// Reads every line and checks the chain; then finds the line of each attestation, given as digest of its
    /// statement, the place that it names, and a name for people.
    pub fn verify(
        path: &Path,
        attestations: &[(Sha256, Option<Anchor>, String)],
    ) -> Result<VerifiedLog, LogError> {
        let mut checked = VerifiedLog {
            lines: 0,
            head: Sha256::of(""),
            events: BTreeMap::new(),
            attestations: 0,
        };
        let mut open: Vec<_> = attestations.iter().collect();
        // Lines that attestations name as their place, as they really are.
        let named: BTreeSet<u64> = attestations
            .iter()
            .filter_map(|(_, anchor, _)| anchor.map(|anchor| anchor.sequence))
            .collect();
        let mut places: BTreeMap<u64, Sha256> = BTreeMap::new();
        each(path, |line, digest| {
            if named.contains(&line.sequence) {
                places.insert(line.sequence, line.previous);
            }
            checked.lines = checked.lines.saturating_add(1);
            checked.head = digest;
            let events = checked.events.entry(line.event.word().to_owned()).or_default();
            *events = events.saturating_add(1);
            if let Event::Signed {
                statement,
                place,
                also,
                ..
            } = &line.event
            {
                let own = Anchor {
                    sequence: line.sequence,
                    previous: line.previous,
                };
                let holds = |anchor: &Anchor| {
                    *anchor == place.unwrap_or(own) && places.get(&anchor.sequence) == Some(&anchor.previous)
                };
                open.retain(|(wanted, anchor, _)| {
                    let is_it = *wanted == *statement || also.values().any(|other| other == wanted);
                    !is_it || anchor.as_ref().is_some_and(|anchor| !holds(anchor))
                });
            }
        })?;
        checked.attestations = attestations.len().saturating_sub(open.len()) as u64;
        match open.first() {
            None => Ok(checked),
            Some((_, anchor, name)) => Err(LogError::NotIn {
                path: path.to_owned(),
                attestation: name.clone(),
                reason: not_in(*anchor),
            }),
        }
    }

    /// What `key` signed last about the run of this name; `None` if it signed nothing, or there is no log yet.
    pub fn signed(path: &Path, run: &str, key: &str) -> Result<Option<SignedBefore>, LogError> {
        let mut last: Option<SignedBefore> = None;
        if !path.exists() {
            return Ok(None);
        }
        each(path, |line, _| {
            let own = Anchor {
                sequence: line.sequence,
                previous: line.previous,
            };
            match line.event {
                Event::Signed {
                    run: about,
                    record,
                    key: by,
                    statement,
                    place,
                    also,
                    ..
                } if about == run && by == key => {
                    // What went with the same statement before still counts.
                    let earlier = last.take().filter(|before| before.statement == statement);
                    let mut all = earlier.map(|before| before.also).unwrap_or_default();
                    all.extend(also);
                    last = Some(SignedBefore {
                        record,
                        place: place.unwrap_or(own),
                        statement,
                        also: all,
                    });
                }
                _ => {}
            }
        })?;
        Ok(last)
    }

    /// What each key was used for, by name.
    pub fn uses(path: &Path) -> Result<BTreeMap<String, Uses>, LogError> {
        let mut all: BTreeMap<String, Uses> = BTreeMap::new();
        each(path, |line, _| {
            if let Event::Signed { key, subject, .. } = line.event {
                let uses = all.entry(key).or_default();
                uses.count = uses.count.saturating_add(1);
                uses.last = uses.last.max(Some(line.time));
                uses.projects.insert(project(&subject));
            }
        })?;
        Ok(all)
    }

    /// Calls `take` with each line, after checking it against the one before.
    pub fn each(path: &Path, take: impl FnMut(Line)) -> Result<(), LogError> {
        let mut take = take;
        each(path, |line, _| take(line))
    }

    /// The same with the digest of each line.
    pub fn each_digested(path: &Path, take: impl FnMut(Line, Sha256)) -> Result<(), LogError> {
        each(path, take)
    }
}

/// Why an attestation is not in a log, which it names its place in if it names any.
fn not_in(anchor: Option<Anchor>) -> String {
    match anchor {
        None => "the log has no line about it".into(),
        Some(anchor) => format!(
            "line {} was changed after the attestation was signed",
            anchor.sequence.saturating_add(1)
        ),
    }
}

/// A package URL without version and qualifiers.
fn project(subject: &str) -> String {
    let name = subject.split(['?', '#']).next().unwrap_or_default();
    name.rsplit_once('@').map_or(name, |(name, _)| name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(run: &str) -> Event {
        Event::Refused {
            run: run.into(),
            reason: "a test".into(),
            worker: "uid 1".into(),
        }
    }

    #[test]
    fn any_change_shows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        for run in ["a", "b", "c"] {
            Log::open(&path)
                .unwrap()
                .append(refused(run), Timestamp::UNIX_EPOCH)
                .unwrap();
        }
        let whole = std::fs::read_to_string(&path).unwrap();
        assert_eq!(Log::verify(&path, &[]).unwrap().lines, 3);
        let lines: Vec<_> = whole.lines().collect();
        let table = [
            ("changed", whole.replacen("\"b\"", "\"x\"", 1), 3),
            ("dropped", format!("{}\n{}\n", lines[0], lines[2]), 2),
            (
                "swapped",
                format!("{}\n{}\n{}\n", lines[1], lines[0], lines[2]),
                1,
            ),
            ("doubled", format!("{whole}{}\n", lines[2]), 4),
            ("half", whole[..whole.len() - 5].to_owned(), 3),
        ];
        for (what, text, at) in table {
            std::fs::write(&path, text).unwrap();
            let error = Log::verify(&path, &[]).unwrap_err();
            assert!(
                matches!(error, LogError::Broken { line, .. } if line == at),
                "{what}: {error}"
            );
        }
        // Whole lines that were cut off show only to readers of a later attestation.
        std::fs::write(&path, format!("{}\n", lines[0])).unwrap();
        assert!(Log::verify(&path, &[]).is_ok());
        let anchor = Anchor {
            sequence: 2,
            previous: Sha256::of(lines[1]),
        };
        let published = [(Sha256::of("statement"), Some(anchor), "a.json".to_owned())];
        assert!(matches!(
            Log::verify(&path, &published),
            Err(LogError::NotIn { .. })
        ));
    }

    #[test]
    fn projects_have_no_versions() {
        for (subject, expected) in [
            ("pkg:pypi/idna@3.10?file_name=x", "pkg:pypi/idna"),
            ("pkg:npm/%40a/b@1.0", "pkg:npm/%40a/b"),
            ("pkg:deb/debian/jq", "pkg:deb/debian/jq"),
        ] {
            assert_eq!(project(subject), expected);
        }
    }
}
