//! Sandboxes for untrusted build steps: the contract and its backends.
//!
//! A job sees a root filesystem with a throw-away writable layer, its inputs read-only at `/inputs`, an empty `/out`,
//! and nothing else: no network but loopback, no host environment, no host files, no capabilities that have effects
//! outside its user namespace. Only regular files in `/out` are taken back, and they are treated as hostile.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod bound;
pub mod docker;
pub mod embedded;
mod output;
mod view;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

pub use bound::Bound;
pub(crate) use output::stage;
pub use output::{Output, OutputError};
pub use view::{Clock, Kernel, Listing, MachineView, Processors};

use crate::plan::Limits;
use crate::progress::ProgressBar;
use crate::store::StoreError;

/// Maximum number of open files per process, soft and hard: what every machine and engine allows, so that all builds
/// see the same.
pub(crate) const OPEN_FILES: (u64, u64) = (1024, 4096);

/// A file that the job finds at `/inputs/NAME`.
#[derive(Debug, Clone)]
pub struct Input {
    /// Relative path below `/inputs`; no `..`.
    pub name: String,
    /// The file on this machine.
    pub path: PathBuf,
}

/// The read-only folders that make up a root, lowest first, and a name for the whole.
#[derive(Debug, Clone)]
pub struct RootLayers {
    /// Folders, lowest first.
    pub folders: Vec<PathBuf>,
    /// Digest that names this stack of layers; backends with an image store use it as the tag.
    pub name: crate::artifact::Sha256,
}

/// What is kept of a job besides its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepMode {
    /// The files in `/out`.
    Outputs,
    /// The files in `/out`, which are small, as they answer a question.
    Answer,
    /// The small files in `/out`, and everything that the job changed in its root.
    Layer,
}

/// One job for a sandbox.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// Its root.
    pub root: &'a RootLayers,
    /// Its inputs.
    pub inputs: Vec<Input>,
    /// Shell script, run by `/bin/sh -eu` as root of the sandbox.
    pub script: String,
    /// The complete environment.
    pub env: BTreeMap<String, String>,
    /// Host name that the job sees.
    pub hostname: String,
    /// File mode creation mask.
    pub umask: u32,
    /// Limits on time, memory, disk and processes.
    pub limits: Limits,
    /// How the machine is presented to the job.
    pub view: MachineView,
    /// What to keep.
    pub keep: KeepMode,
    /// Folder on this machine that receives the outputs; must be empty.
    pub outputs: &'a Path,
    /// File on this machine that the log is appended to.
    pub log: &'a Path,
}

/// Maximum number of bytes of files in `/out` if no outputs are asked for.
pub(crate) const ANSWERS: u64 = 64 << 20;

impl Job<'_> {
    /// Maximum number of bytes that are taken back from `/out`.
    pub(crate) fn most_output(&self) -> u64 {
        match self.keep {
            KeepMode::Outputs => self.limits.disk,
            KeepMode::Answer | KeepMode::Layer => self.limits.disk.min(ANSWERS),
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitReason {
    /// By itself, with this exit status.
    Exited(i32),
    /// By a signal; `9` if memory ran out.
    Signalled(i32),
    /// Stopped, because its time limit was reached.
    TimedOut,
    /// Stopped, because it wrote more than its disk limit.
    DiskFull,
}

impl ExitReason {
    /// Reads a process's exit status; shells return `128 + SIGNAL` if a signal ended the command that they ran.
    pub(crate) fn from_status(code: i32) -> Self {
        match code.checked_sub(128) {
            Some(signal) if signal > 0 => Self::Signalled(signal),
            _ => Self::Exited(code),
        }
    }

    /// Whether the job exited with status 0.
    pub fn succeeded(self) -> bool {
        self == Self::Exited(0)
    }
}

impl std::fmt::Display for ExitReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with status {code}"),
            Self::Signalled(9) => f.write_str("was killed (signal 9; memory may have run out)"),
            Self::Signalled(signal) => write!(f, "was killed by signal {signal}"),
            Self::TimedOut => f.write_str("ran longer than its time limit"),
            Self::DiskFull => f.write_str("wrote more than its disk limit"),
        }
    }
}

/// The result of a job.
#[derive(Debug)]
pub struct CommandResult {
    /// How it ended.
    pub ended: ExitReason,
    /// Time from the start of its first command to its end.
    pub took: Duration,
    /// Its outputs, sorted by name; empty unless it succeeded.
    pub outputs: Vec<Output>,
    /// Folder with the job's changes to its root, for [`KeepMode::Layer`]; it belongs to the caller from here on.
    pub layer: Option<PathBuf>,
    /// The limits of the contract that this machine cannot enforce.
    pub not_enforced: Vec<Bound>,
}

/// A sandbox that cannot be used, or that broke.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum SandboxError {
    #[error("the {backend} backend does not work here: {reason}")]
    #[diagnostic(help("{help}"))]
    Unusable {
        backend: &'static str,
        reason: String,
        help: String,
    },
    #[error("the sandbox failed while {during}: {reason}")]
    Broken { during: &'static str, reason: String },
    #[error("cannot {what}")]
    Io { what: String, source: std::io::Error },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Output(#[from] OutputError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
    #[error("the Docker engine refused to {what}")]
    Engine {
        what: &'static str,
        source: bollard::errors::Error,
    },
}

impl SandboxError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// A backend that keeps the contract of this module.
pub trait Sandbox: Send + Sync {
    /// Name as in `--backend` and in the attestation.
    fn name(&self) -> &'static str;

    /// Whether it can run on stacks of layers that were made before.
    fn takes_layers(&self) -> bool;

    /// Runs one job to its end. Dropping the future kills everything that it started.
    fn run<'a>(
        &'a self,
        job: &'a Job<'a>,
        bar: &'a ProgressBar,
    ) -> BoxFuture<'a, Result<CommandResult, SandboxError>>;
}
