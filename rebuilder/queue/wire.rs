//! The protocol between workers and the server: JSON over HTTP, `/api/worker/v1/`.
//!
//! Readers ignore unknown fields, so that a server works with workers of the previous version.

use serde::{Deserialize, Serialize};

use crate::artifact::Sha256;
use crate::run::failure::FailureCode;

/// Maximum length of a request that is not an artifact, in bytes.
pub const MESSAGE: usize = 4 << 20;
/// Maximum number of jobs that one message is about.
pub const BATCH: usize = 1000;
/// Largest artifact, in bytes.
pub const ARTIFACT: u64 = 8 << 30;
/// Maximum number of bytes of a log that one message has, and that a job may have in all.
pub const CHUNK: usize = 1 << 20;
pub const LOG: u64 = 256 << 20;
/// Maximum number of bytes of all files of one run.
pub const RUN: u64 = 32 << 30;
/// Maximum number of files of one run.
pub const FILES: usize = 10_000;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Task {
    /// Rebuild a released package. The worker makes the plan: workers that follow one plan repeat its mistake.
    Rebuild {
        /// A package URL or short form.
        subject: String,
        /// Maximum number of plans to try; the worker's own default if it is not there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attempts: Option<u16>,
    },
    /// Nothing, for so long: shows that a job finds its way, and how fast.
    Probe {
        /// What makes it another job than other probes.
        #[serde(default)]
        number: u64,
        #[serde(default)]
        milliseconds: u64,
    },
}

/// The lease of a job: one attempt of it. Whoever holds it names both, and is heard only as long as both are current.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lease {
    /// The job.
    pub job: i64,
    /// Which attempt of it, from 1.
    pub attempt: i64,
}

/// What a machine has free, or a job needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Mebibytes of memory.
    #[serde(default)]
    pub memory: i64,
    /// Mebibytes of disk.
    #[serde(default)]
    pub disk: i64,
    /// Processors.
    #[serde(default)]
    pub cores: i64,
}

/// `POST claim`: asks for jobs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claim {
    /// Maximum number of jobs.
    pub slots: u32,
    /// How long the answer may wait for a job, in milliseconds.
    #[serde(default)]
    pub wait: u64,
    /// The processor, as Rust names it: `x86_64`, `aarch64`.
    pub architecture: String,
    /// What is free.
    pub free: Resources,
    /// Version of the worker's program.
    #[serde(default)]
    pub version: String,
}

/// A job that was handed out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    #[serde(flatten)]
    pub lease: Lease,
    pub task: Task,
    /// What it needs.
    #[serde(default)]
    pub needs: Resources,
    /// The span that its attempt is below (W3C `traceparent`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// The answer to `claim`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claimed {
    /// How long a lease holds after each heartbeat, in milliseconds.
    pub lease: u64,
    pub jobs: Vec<Job>,
}

/// `POST heartbeat`, `POST release`: the leases that a worker holds, or gives back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Held {
    pub held: Vec<Lease>,
}

/// A lease that was renewed. One that is not among the answers is lost: its work ends, and nothing of it is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    #[serde(flatten)]
    pub lease: Lease,
    /// Whether the operator cancelled the job: its work ends, and that is its result.
    pub cancel: bool,
}

/// The answer to `heartbeat`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Beats {
    pub held: Vec<Beat>,
}

/// A file of a run, by content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFile {
    /// Its path in the run's folder.
    pub path: String,
    pub sha256: Sha256,
    /// In bytes.
    pub size: u64,
}

/// How an attempt ended, as the worker tells it. What the record says the server reads itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ended", rename_all = "kebab-case")]
pub enum Outcome {
    /// With a run, whose files the server has.
    Run { files: Vec<RunFile> },
    /// Without one.
    Failed {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<FailureCode>,
        message: String,
    },
    /// The evidence or the policy refused the build.
    Refused { message: String },
    /// It was cancelled.
    Cancelled,
    /// The answer to a probe.
    Probed,
}

impl Outcome {
    /// How it ended, in a word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Run { .. } => "run",
            Self::Failed { .. } => "failed",
            Self::Refused { .. } => "refused",
            Self::Cancelled => "cancelled",
            Self::Probed => "probed",
        }
    }
}

/// The end of one attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ended {
    #[serde(flatten)]
    pub lease: Lease,
    pub outcome: Outcome,
    /// The span of the attempt (W3C `traceparent`), if the worker exports spans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// `POST results`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Results {
    pub results: Vec<Ended>,
}

/// The answer to `results`: those that were taken, now or when they were sent before. The others came from a lease that is
/// lost.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Taken {
    pub taken: Vec<Lease>,
    /// Results that cannot be taken as they are, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<(Lease, String)>,
}

/// `POST missing`: which of these artifacts the server does not have.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Digests {
    pub sha256: Vec<Sha256>,
}

/// An answer that is an error.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refusal {
    pub error: String,
}
