//! What keeps a public log from being written or believed.

use std::path::{Path, PathBuf};

use crate::artifact::serialise::SerialiseError;
use crate::attest::KeyError;
use crate::attest::log::LogError;
use crate::store::{FetchError, StoreError};

/// A public log that cannot be written, read or believed.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum PublicLogError {
    #[error("cannot use {path}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("cannot use {key:?} as the key of a log: {reason}")]
    #[diagnostic(help(
        "give the line that \"rebuilder log key\" prints, NAME+ID+BASE64, or a file that has it; only Ed25519 keys can sign a log"
    ))]
    LogKey { key: String, reason: String },
    #[error("cannot use {path} as a policy for logs: line {line}: {reason}")]
    #[diagnostic(help("its form is that of c2sp.org/tlog-policy; docs/public-log.md has an example"))]
    Policy {
        path: PathBuf,
        line: usize,
        reason: String,
    },
    #[error("cannot use {origin:?} as the name of a log: {reason}")]
    #[diagnostic(help("name it by its address without the scheme, such as example.com/verdicts"))]
    Origin { origin: String, reason: String },

    // Reading.
    #[error("cannot read the log {log}: {path} is missing")]
    #[diagnostic(help(
        "the log is not complete there, or its address is another one; try again, or ask a mirror"
    ))]
    Missing { log: String, path: String },
    #[error("cannot read the log {log}: it takes too long to answer")]
    Slow { log: String },
    #[error("cannot read the log {log}: it has {size} entries, and the most is {most}")]
    TooLarge { log: String, size: u64, most: u64 },
    #[error("the checkpoint of the log {log} is not valid: {reason}")]
    #[diagnostic(help("nothing in this log can be believed; ask its owner, and keep the checkpoint"))]
    Checkpoint { log: String, reason: String },
    #[error(
        "the checkpoint of the log {log} is of another log: its origin is {found}, and {expected} was expected"
    )]
    #[diagnostic(help("check the address and the key of the log"))]
    WrongOrigin {
        log: String,
        expected: String,
        found: String,
    },
    #[error("the checkpoint of the log {log} is not signed with the key {key}")]
    #[diagnostic(help("ask the owner of the log for its key, on another way than the log's own server"))]
    NotSigned { log: String, key: String },
    #[error(
        "the checkpoint of the log {log} with {size} entries lacks witnesses: {count} signed it, and the policy asks for more"
    )]
    #[diagnostic(help(
        "try again later; if it stays so, the log may show different entries to different people"
    ))]
    TooFewWitnesses { log: String, size: u64, count: usize },
    #[error("{path} of the log {log} is not what its checkpoint says: {reason}")]
    #[diagnostic(help("the file was changed or is damaged; fetch it again, or ask a mirror"))]
    Tampered {
        log: String,
        path: String,
        reason: String,
    },
    #[error("entry {index} of the log {log} is not what its checkpoint says")]
    #[diagnostic(help(
        "the entry was changed after it was signed for, or the file is damaged; ask a mirror"
    ))]
    Entry { log: String, index: u64 },
    #[error("the proof is not valid: {reason}")]
    #[diagnostic(help("make it again with \"rebuilder log prove\""))]
    Proof { reason: String },
    #[error("the log {log} has no entry about {what}")]
    #[diagnostic(help("\"rebuilder log publish\" appends what was signed; or it is in another log"))]
    NotIn { log: String, what: String },

    // Alarms.
    #[error(
        "ALARM: the log {log} forked: at {size} entries its root was {then}, and what it shows now begins with another one, {now}"
    )]
    #[diagnostic(help(
        "both checkpoints are signed by the log, and prove that it changed its past: {}; show them to others",
        evidence.display()
    ))]
    Forked {
        log: String,
        size: u64,
        then: String,
        now: String,
        evidence: PathBuf,
    },
    #[error("ALARM: the log {log} shrank: it had {before} entries, and has {after}")]
    #[diagnostic(help(
        "a cache may show an old checkpoint, so ask again; both checkpoints are kept: {}",
        evidence.display()
    ))]
    Shrunk {
        log: String,
        before: u64,
        after: u64,
        evidence: PathBuf,
    },

    // Writing.
    #[error("cannot append to the log in {folder}: {reason}")]
    #[diagnostic(help("nothing was signed; docs/public-log.md says how a log is moved or restored"))]
    NotOurs { folder: PathBuf, reason: String },
    #[error(
        "cannot append to the log in {folder}: it has a checkpoint of {size} entries, but {state} does not know it"
    )]
    #[diagnostic(help(
        "restore that file; if it is lost for good, and no later checkpoint was ever published, take the log over with --adopt"
    ))]
    NoState {
        folder: PathBuf,
        size: u64,
        state: PathBuf,
    },
    #[error("{path} is not what was kept about a public log: {reason}")]
    State { path: PathBuf, reason: String },
    #[error("cannot publish {path}: {reason}")]
    #[diagnostic(help(
        "what is in the public log must stay in the private one; keep both, and find out what happened"
    ))]
    Rewritten { path: PathBuf, reason: String },
    #[error("cannot show the log with its {size} entries: too few witnesses signed the checkpoint: {reason}")]
    #[diagnostic(help(
        "the entries are kept, and the last checkpoint stays; run \"rebuilder log publish\" again when the witnesses answer"
    ))]
    NotCosigned { size: u64, reason: String },

    #[error(transparent)]
    #[diagnostic(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Serialise(#[from] SerialiseError),
}

impl PublicLogError {
    /// For use with `map_err`.
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    pub(super) fn invalid_key(key: &str, reason: &str) -> Self {
        Self::LogKey {
            key: key.to_owned(),
            reason: reason.to_owned(),
        }
    }
}
