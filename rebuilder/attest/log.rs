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
use crate::artifact::serialise::{self, SerialiseError};

/// Longest line that is read.
const LINE: u64 = 1 << 20;
/// Longest line that is written: well below what is read, so that no writer can bar a reader.
const LONGEST: usize = 256 << 10;
/// Longest text in a line, in bytes; reasons are cut to this length, anything else that is longer is refused.
pub(crate) const TEXT: usize = 4 << 10;
/// Most workers that a line names.
const WORKERS: usize = 64;

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
        /// The place that the statement names, where that is an earlier line: the one by which the run was handed in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<Anchor>,
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
        /// What the worker states beyond what the signer found out itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stated: Option<Stated>,
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
    /// The last line was not whole, after a crash; it was cut off, and this line follows the last whole one.
    Recovered {
        /// Length of what was cut off.
        bytes: u64,
        /// Digest of it.
        torn: Sha256,
    },
}

/// What one worker states of its run, in short: enough to tell later in what another worker's run was otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stated {
    /// Digest of everything below, whether it is listed or not.
    pub all: Option<Sha256>,
    /// Each value by its name, or the digest of a long one; nothing where the list would be too long for a line.
    pub values: BTreeMap<String, String>,
}

impl Stated {
    /// Most bytes of all names and values that are listed.
    const LISTED: usize = 64 << 10;
    /// Longest value that is kept as it is.
    const VALUE: usize = 128;

    /// From names and values.
    pub fn of(values: BTreeMap<String, String>) -> Result<Self, SerialiseError> {
        let all = serialise::canonical("what the worker states", &values)?;
        let all = Some(Sha256::of(all));
        let short = |text: String| {
            let fits = text.len() <= Self::VALUE && is_plain(&text);
            if fits {
                text
            } else {
                format!("sha256:{}", Sha256::of(text))
            }
        };
        let mut listed = BTreeMap::new();
        let mut size = 0_usize;
        for (name, value) in values {
            let (name, value) = (short(name), short(value));
            // What JSON adds to each, at the most.
            size = [name.len(), value.len(), 8]
                .into_iter()
                .fold(size, usize::saturating_add);
            listed.insert(name, value);
        }
        if size > Self::LISTED {
            listed = BTreeMap::new();
        }
        Ok(Self { all, values: listed })
    }

    /// Names of what differs between two; none where one of them has no list.
    pub fn differing(&self, other: &Self) -> Option<Vec<String>> {
        if self.all.is_some() && self.all == other.all {
            return Some(Vec::new());
        }
        if self.values.is_empty() || other.values.is_empty() {
            return None;
        }
        let names: BTreeSet<_> = self.values.keys().chain(other.values.keys()).collect();
        let differs = |name: &&&String| self.values.get(**name) != other.values.get(**name);
        Some(names.iter().filter(differs).map(|name| (*name).clone()).collect())
    }
}

/// Whether a text can stand in a log or a message as it is: no control characters, nothing that turns the reading
/// direction.
pub(crate) fn is_plain(text: &str) -> bool {
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    !text.chars().any(odd)
}

/// The text, made plain and at most [`TEXT`] bytes long.
pub(crate) fn shortened(text: &str) -> String {
    let mut plain = String::with_capacity(text.len().min(TEXT));
    for c in text.chars() {
        let c = if is_plain(c.encode_utf8(&mut [0; 4])) {
            c
        } else {
            ' '
        };
        if plain.len().saturating_add(c.len_utf8()) > TEXT.saturating_sub('\u{2026}'.len_utf8()) {
            plain.push('\u{2026}');
            break;
        }
        plain.push(c);
    }
    plain
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
    #[error("cannot write a line into the log: {reason}")]
    #[diagnostic(help(
        "nothing was written; what a run says of itself must be short enough for the log's reader"
    ))]
    Line { reason: String },
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
pub struct VerifiedLog {
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
            if let Event::Signed { statement, place, .. } = &line.event {
                let own = Anchor {
                    sequence: line.sequence,
                    previous: line.previous,
                };
                let holds = |anchor: &Anchor| {
                    *anchor == place.unwrap_or(own) && places.get(&anchor.sequence) == Some(&anchor.previous)
                };
                open.retain(|(wanted, anchor, _)| {
                    *wanted != *statement || anchor.as_ref().is_some_and(|anchor| !holds(anchor))
                });
            }
        })?;
        checked.attestations = attestations.len().saturating_sub(open.len()) as u64;
        match open.first() {
            None => Ok(checked),
            Some((_, anchor, name)) => Err(LogError::NotIn {
                path: path.to_owned(),
                attestation: name.clone(),
                reason: anchor.map_or_else(
                    || "no line is about it".into(),
                    |anchor| {
                        format!(
                            "line {} is not as it was when it was signed",
                            anchor.sequence.saturating_add(1)
                        )
                    },
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
}

impl Event {
    fn word(&self) -> &'static str {
        match self {
            Self::Signed { .. } => "signed",
            Self::Submitted { .. } => "submitted",
            Self::Refused { .. } => "refused",
            Self::Started { .. } => "started",
            Self::Recovered { .. } => "recovered",
        }
    }

    /// The event with its reason cut to a length that fits; a refusal can always be written down.
    fn shortened(self) -> Self {
        match self {
            Self::Refused { run, reason, worker } => Self::Refused {
                run: shortened(&run),
                reason: shortened(&reason),
                worker: shortened(&worker),
            },
            other => other,
        }
    }

    /// The texts that come from elsewhere.
    fn texts(&self) -> Vec<&str> {
        match self {
            Self::Signed {
                run,
                subject,
                verdict,
                key,
                workers,
                ..
            } => [run, subject, verdict, key]
                .into_iter()
                .chain(workers)
                .map(String::as_str)
                .collect(),
            Self::Submitted {
                run,
                subject,
                worker,
                stated,
                ..
            } => {
                let stated = stated.iter().flat_map(|stated| &stated.values);
                let stated = stated.flat_map(|(name, value)| [name, value]);
                [run, subject, worker]
                    .into_iter()
                    .chain(stated)
                    .map(String::as_str)
                    .collect()
            }
            Self::Refused { run, reason, worker } => vec![run, reason, worker],
            Self::Started { key, .. } => vec![key],
            Self::Recovered { .. } => Vec::new(),
        }
    }
}

/// The only way to make a line: bounded, plain, and read back by the log's own reader before anyone writes it.
fn encode(line: &Line) -> Result<Vec<u8>, LogError> {
    let refuse = |reason: String| LogError::Line { reason };
    if let Event::Signed { workers, .. } = &line.event
        && workers.len() > WORKERS
    {
        return Err(refuse(format!("it names {} workers", workers.len())));
    }
    for text in line.event.texts() {
        if text.len() > TEXT {
            return Err(refuse(format!(
                "a text has {} bytes, and the most is {TEXT}: {}",
                text.len(),
                shortened(text).chars().take(40).collect::<String>()
            )));
        }
        if !is_plain(text) {
            return Err(refuse(format!("{text:?} has control characters")));
        }
    }
    let bytes = serde_jcs::to_vec(line).map_err(|error| refuse(error.to_string()))?;
    if bytes.len() > LONGEST {
        return Err(refuse(format!(
            "it has {} bytes, and the most is {LONGEST}",
            bytes.len()
        )));
    }
    match serde_json::from_slice::<Line>(&bytes) {
        Ok(again) if again == *line => Ok(bytes),
        Ok(_) => Err(refuse("it would be read as another one".into())),
        Err(error) => Err(refuse(error.to_string())),
    }
}

/// A package URL without version and qualifiers.
fn project(subject: &str) -> String {
    let name = subject.split(['?', '#']).next().unwrap_or_default();
    name.rsplit_once('@').map_or(name, |(name, _)| name).to_owned()
}

/// Where a line would be added, and what of a last line that is not whole was cut off.
fn next(path: &Path, file: &mut File) -> Result<(Anchor, Option<(u64, Sha256)>), LogError> {
    let io = |source| LogError::Io {
        path: path.to_owned(),
        source,
    };
    let length = file.seek(SeekFrom::End(0)).map_err(io)?;
    let first = Anchor {
        sequence: 0,
        previous: Sha256::of(""),
    };
    if length == 0 {
        return Ok((first, None));
    }
    // Half a line, and the whole one before it.
    let from = length.saturating_sub(2 * LINE);
    file.seek(SeekFrom::Start(from)).map_err(io)?;
    let mut tail = Vec::new();
    (&mut *file).take(2 * LINE).read_to_end(&mut tail).map_err(io)?;
    let broken = |reason: &str| LogError::Broken {
        path: path.to_owned(),
        line: 0,
        reason: format!("the last one {reason}"),
    };
    let mut torn = None;
    if tail.last() != Some(&b'\n') {
        // A crash left half a line. Nothing was signed for it, because signing waits for the disk.
        let whole = tail
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at.saturating_add(1));
        if whole == 0 && from > 0 {
            return Err(broken("is too long"));
        }
        let rest = tail.split_off(whole);
        torn = Some((rest.len() as u64, Sha256::of(&rest)));
        file.set_len(from.saturating_add(whole as u64))
            .and_then(|()| file.sync_data())
            .map_err(io)?;
        if tail.is_empty() {
            return Ok((first, torn));
        }
    }
    let body = tail.strip_suffix(b"\n").unwrap_or(&tail);
    let start = body
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at.saturating_add(1));
    let last = body.get(start..).unwrap_or_default();
    let line: Line = serde_json::from_slice(last).map_err(|error| broken(&error.to_string()))?;
    let sequence = line
        .sequence
        .checked_add(1)
        .ok_or_else(|| broken("has the highest number"))?;
    Ok((
        Anchor {
            sequence,
            previous: Sha256::of(last),
        },
        torn,
    ))
}

fn each(path: &Path, mut take: impl FnMut(Line, Sha256)) -> Result<(), LogError> {
    let io = |source| LogError::Io {
        path: path.to_owned(),
        source,
    };
    let mut reader = BufReader::new(File::open(path).map_err(io)?);
    let (mut previous, mut sequence, mut bytes) = (Sha256::of(""), 0_u64, Vec::new());
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
            line: sequence.saturating_add(1),
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
        sequence = sequence.saturating_add(1);
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
