//! The signer's log: one JSON object a line, each with the digest of the line before, so that none can be changed,
//! dropped or put in between without every later one showing it.
//!
//! Whoever owns the file could still write a whole new one, or cut its end off. So each attestation names the line
//! before its own (`signingLog`): a published attestation pins the log as it was ([`Log::verify`] with attestations).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::artifact::Sha256;

/// Longest line.
const LINE: u64 = 1 << 20;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A statement was signed.
    Signed {
        /// Run that it is about.
        run: String,
        /// Package URL.
        subject: String,
        /// Digest of the plan.
        plan: Sha256,
        /// Digest of `record.json`.
        record: Sha256,
        /// The verdict.
        verdict: String,
        /// Digest of the statement.
        statement: Sha256,
        /// The key or identity.
        key: String,
        /// Users whose runs agree.
        workers: Vec<String>,
    },
    /// A run was handed in, and waits for others that agree.
    Submitted {
        /// Run.
        run: String,
        /// Package URL.
        subject: String,
        /// Digest of the plan.
        plan: Sha256,
        /// Digest of `record.json`.
        record: Sha256,
        /// Digest of what came out.
        outcome: Sha256,
        /// User who handed it in.
        worker: String,
    },
    /// A request was refused.
    Refused {
        /// What was asked for.
        run: String,
        /// Why.
        reason: String,
        /// User who asked.
        worker: String,
    },
    /// The signer started.
    Started {
        /// The key or identity.
        key: String,
        /// Digest of the policy, where there is one.
        policy: Option<Sha256>,
    },
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Position, from 0.
    pub sequence: u64,
    /// Digest of the line before, without its end; of nothing for the first.
    pub previous: Sha256,
    /// When.
    pub time: Timestamp,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// A place in a log: how many lines are before it, and the digest of the last of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// Position of the line that is written next.
    pub sequence: u64,
    /// Digest of the line before.
    pub previous: Sha256,
}

/// A log that cannot be written or does not hold.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[allow(missing_docs)]
pub enum LogError {
    #[error("cannot use the log {path}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path} does not hold: line {line}: {reason}")]
    #[diagnostic(help("someone changed the log, or a disk did; keep it, and compare it with a copy"))]
    Broken {
        path: PathBuf,
        line: u64,
        reason: String,
    },
    #[error("{attestation} was not signed by whoever keeps {path}: {reason}")]
    #[diagnostic(help("the log was cut, begun anew, or is that of another signer"))]
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

/// What a log holds.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// Lines.
    pub lines: u64,
    /// Digest of the last; give it to others, who can then tell whether it was changed.
    pub head: Sha256,
    /// Lines by event.
    pub events: BTreeMap<String, u64>,
    /// Attestations whose line was found.
    pub attestations: u64,
}

/// What a key was used for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Uses {
    /// Signatures.
    pub count: u64,
    /// The last.
    pub last: Option<Timestamp>,
    /// Package URLs without their versions.
    pub projects: BTreeSet<String>,
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
        let next = next(path, &mut file)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            next,
        })
    }

    /// Where the next line goes.
    pub fn anchor(&self) -> Anchor {
        self.next
    }

    /// Adds a line, and waits until the disk has it.
    pub fn append(&mut self, event: Event, now: Timestamp) -> Result<(), LogError> {
        let line = Line {
            sequence: self.next.sequence,
            previous: self.next.previous,
            time: now,
            event,
        };
        let io = |source| LogError::Io {
            path: self.path.clone(),
            source,
        };
        let mut bytes = serde_jcs::to_vec(&line).map_err(|error| io(std::io::Error::other(error)))?;
        let digest = Sha256::of(&bytes);
        bytes.push(b'\n');
        self.file
            .write_all(&bytes)
            .and_then(|()| self.file.sync_data())
            .map_err(io)?;
        self.next = Anchor {
            sequence: line.sequence + 1,
            previous: digest,
        };
        Ok(())
    }

    /// Reads every line and checks the chain; then finds the line of each attestation, given as digest of its
    /// statement, the place that it names, and a name for people.
    pub fn verify(
        path: &Path,
        attestations: &[(Sha256, Option<Anchor>, String)],
    ) -> Result<Checked, LogError> {
        let mut checked = Checked {
            lines: 0,
            head: Sha256::of(""),
            events: BTreeMap::new(),
            attestations: 0,
        };
        let mut open: Vec<_> = attestations.iter().collect();
        each(path, |line, digest| {
            checked.lines += 1;
            checked.head = digest;
            *checked.events.entry(line.event.word().to_owned()).or_default() += 1;
            if let Event::Signed { statement, .. } = &line.event {
                open.retain(|(wanted, anchor, _)| {
                    let own = Anchor {
                        sequence: line.sequence,
                        previous: line.previous,
                    };
                    *wanted != *statement || anchor.is_some_and(|anchor| anchor != own)
                });
            }
        })?;
        checked.attestations = (attestations.len() - open.len()) as u64;
        match open.first() {
            None => Ok(checked),
            Some((_, anchor, name)) => Err(LogError::NotIn {
                path: path.to_owned(),
                attestation: name.clone(),
                reason: anchor.map_or_else(
                    || "no line is about it".into(),
                    |anchor| format!("line {} is not as it was when it was signed", anchor.sequence + 1),
                ),
            }),
        }
    }

    /// What each key was used for, by name.
    pub fn uses(path: &Path) -> Result<BTreeMap<String, Uses>, LogError> {
        let mut all: BTreeMap<String, Uses> = BTreeMap::new();
        each(path, |line, _| {
            if let Event::Signed { key, subject, .. } = line.event {
                let uses = all.entry(key).or_default();
                uses.count += 1;
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
}

impl Event {
    fn word(&self) -> &'static str {
        match self {
            Self::Signed { .. } => "signed",
            Self::Submitted { .. } => "submitted",
            Self::Refused { .. } => "refused",
            Self::Started { .. } => "started",
        }
    }
}

/// A package URL without version and qualifiers.
fn project(subject: &str) -> String {
    let name = subject.split(['?', '#']).next().unwrap_or_default();
    name.rsplit_once('@').map_or(name, |(name, _)| name).to_owned()
}

/// Where a line would be added: the last line must be whole.
fn next(path: &Path, file: &mut File) -> Result<Anchor, LogError> {
    let io = |source| LogError::Io {
        path: path.to_owned(),
        source,
    };
    let length = file.seek(SeekFrom::End(0)).map_err(io)?;
    if length == 0 {
        return Ok(Anchor {
            sequence: 0,
            previous: Sha256::of(""),
        });
    }
    let from = length.saturating_sub(LINE);
    file.seek(SeekFrom::Start(from)).map_err(io)?;
    let mut tail = Vec::new();
    (&mut *file).take(LINE).read_to_end(&mut tail).map_err(io)?;
    let broken = |reason: &str| LogError::Broken {
        path: path.to_owned(),
        line: 0,
        reason: format!("the last one {reason}"),
    };
    if tail.last() != Some(&b'\n') {
        // A power cut left half a line. Nothing was signed for it, because signing waits for the disk.
        let whole = tail
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        if whole == 0 && from > 0 {
            return Err(broken("is too long"));
        }
        tail.truncate(whole);
        file.set_len(from + whole as u64)
            .and_then(|()| file.sync_all())
            .map_err(io)?;
        if whole == 0 {
            return Ok(Anchor {
                sequence: 0,
                previous: Sha256::of(""),
            });
        }
    }
    let body = tail.strip_suffix(b"\n").unwrap_or(&tail);
    let start = body
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let last: Line = serde_json::from_slice(&body[start..]).map_err(|error| broken(&error.to_string()))?;
    Ok(Anchor {
        sequence: last.sequence + 1,
        previous: Sha256::of(&body[start..]),
    })
}

fn each(path: &Path, mut take: impl FnMut(Line, Sha256)) -> Result<(), LogError> {
    let io = |source| LogError::Io {
        path: path.to_owned(),
        source,
    };
    let mut reader = BufReader::new(File::open(path).map_err(io)?);
    let (mut previous, mut sequence, mut bytes) = (Sha256::of(""), 0, Vec::new());
    loop {
        bytes.clear();
        let read = reader
            .by_ref()
            .take(LINE)
            .read_until(b'\n', &mut bytes)
            .map_err(io)?;
        if read == 0 {
            return Ok(());
        }
        let broken = |reason: String| LogError::Broken {
            path: path.to_owned(),
            line: sequence + 1,
            reason,
        };
        let body = bytes
            .strip_suffix(b"\n")
            .ok_or_else(|| broken("it is not whole".into()))?;
        let line: Line = serde_json::from_slice(body).map_err(|error| broken(error.to_string()))?;
        if line.sequence != sequence {
            return Err(broken(format!(
                "it has the number {}, not {sequence}",
                line.sequence
            )));
        }
        if line.previous != previous {
            return Err(broken(format!(
                "it follows {}, and the line before is {previous}",
                line.previous
            )));
        }
        previous = Sha256::of(body);
        sequence += 1;
        take(line, previous);
    }
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
        // What was cut off whole shows only to those who hold a later attestation.
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
