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
        "give the line that \"rebuilder log key\" prints (NAME+ID+BASE64), or a file that contains it; only \
        Ed25519 keys can sign a log"
    ))]
    LogKey { key: String, reason: String },
    #[error("cannot use {path} as a policy for logs: line {line}: {reason}")]
    #[diagnostic(help("c2sp.org/tlog-policy describes the format; docs/public-log.md has an example"))]
    Policy {
        path: PathBuf,
        line: usize,
        reason: String,
    },
    #[error("cannot use {origin:?} as the name of a log: {reason}")]
    #[diagnostic(help("use its address without the scheme, such as example.com/verdicts"))]
    Origin { origin: String, reason: String },

    // Reading.
    #[error("cannot read the log {log}: {path} is missing")]
    #[diagnostic(help(
        "the log is incomplete or at another address; check the address, try again, or use a mirror"
    ))]
    Missing { log: String, path: String },
    #[error("cannot read the log {log}: its server takes too long to answer")]
    Slow { log: String },
    #[error("cannot read the log {log}: it has {size} entries, but the maximum is {most}")]
    TooLarge { log: String, size: u64, most: u64 },
    #[error("the checkpoint of the log {log} is not valid: {reason}")]
    #[diagnostic(help(
        "do not trust any entry of this log; keep the checkpoint, and ask the log's operator"
    ))]
    Checkpoint { log: String, reason: String },
    #[error(
        "the checkpoint of the log {log} belongs to another log: expected the origin {expected}, found \
        {found}"
    )]
    #[diagnostic(help("check the address and the key of the log"))]
    WrongOrigin {
        log: String,
        expected: String,
        found: String,
    },
    #[error("the checkpoint of the log {log} is not signed with the key {key}")]
    #[diagnostic(help("ask the log's operator for its key, but not through the log's own server"))]
    NotSigned { log: String, key: String },
    #[error(
        "the checkpoint of the log {log} with {size} entries lacks witnesses: {count} signed it, but the \
        policy requires more"
    )]
    #[diagnostic(help(
        "try again later; if this persists, the log may show different entries to different people"
    ))]
    TooFewWitnesses { log: String, size: u64, count: usize },
    #[error("{path} of the log {log} does not match its checkpoint: {reason}")]
    #[diagnostic(help("the file was changed or is damaged; fetch it again, or use a mirror"))]
    Tampered {
        log: String,
        path: String,
        reason: String,
    },
    #[error("entry {index} of the log {log} does not match its checkpoint")]
    #[diagnostic(help(
        "the entry was changed after the checkpoint was signed, or the file is damaged; use a mirror"
    ))]
    Entry { log: String, index: u64 },
    #[error("the proof is not valid: {reason}")]
    #[diagnostic(help("create it again with \"rebuilder log prove\""))]
    Proof { reason: String },
    #[error("the log {log} has no entry about {what}")]
    #[diagnostic(help("append signed statements with \"rebuilder log publish\", or name another log"))]
    NotIn { log: String, what: String },

    // Alarms.
    #[error("ALARM: the log {log} forked: its first {size} entries had the root {then}, but now have {now}")]
    #[diagnostic(help(
        "the log signed both checkpoints, which proves that it changed its past: {}; show them to others",
        evidence.display()
    ))]
    Forked {
        log: String,
        size: u64,
        then: String,
        now: String,
        evidence: PathBuf,
    },
    #[error("ALARM: the log {log} shrank: it had {before} entries, and now has {after}")]
    #[diagnostic(help(
        "a cache may have served an old checkpoint, so try again; both checkpoints are kept: {}",
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
        "cannot append to the log in {folder}: {state} does not contain its checkpoint of {size} entries"
    )]
    #[diagnostic(help(
        "restore that file; if it is lost for good, and no later checkpoint was ever published, continue \
        the log with --adopt"
    ))]
    NoState {
        folder: PathBuf,
        size: u64,
        state: PathBuf,
    },
    #[error("{path} is not a saved state of a public log: {reason}")]
    State { path: PathBuf, reason: String },
    #[error("cannot publish {path}: {reason}")]
    #[diagnostic(help(
        "the private log must keep every entry of the public one; keep both, and find out what happened"
    ))]
    Rewritten { path: PathBuf, reason: String },
    #[error(
        "cannot publish the log with its {size} entries: too few witnesses signed the checkpoint: \
    {reason}"
    )]
    #[diagnostic(help(
        "the entries and the last checkpoint are kept; run \"rebuilder log publish\" again when the \
        witnesses answer"
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
