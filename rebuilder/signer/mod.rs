//! The signer as a service: a separate process, under a separate user, that alone can reach the key.
//!
//! ```text
//!  worker ──▶ socket ──▶ snapshot ──▶ admission ──▶ examine ──▶ vouch ──▶ agreement ──▶ log ──▶ key ──▶ bundle
//!  any user   who asks   read once    registry,    digests,    recipe,   of workers
//!                        bounded      policy       verdict     inputs
//! ```
//!
//! A worker may be under an attacker's control, so nothing that it says is believed. The signer reads the run once, so that
//! it cannot change under its hands; asks the registry itself what was released, and its own policy whether that is worth
//! signing; examines the run as `rebuilder attest` does; and finds out which of its own recipes gives that plan. What is
//! left is in the statement as what the worker states. Whether a build really took place it cannot see: that is what a
//! second worker, under another user or on another machine, is for. `docs/signing.md` has the protocol,
//! `docs/attestations.md` the origin of every field.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod admission;
mod bounds;
mod copies;
mod door;
mod inputs;
mod outcomes;
mod recipe;
mod released;
mod serve;
mod snapshot;
mod wire;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use admission::Admission;
pub use door::Door;
pub use serve::Service;
#[doc(hidden)]
pub use wire::READERS;
pub use wire::{ask, ask_for};

use crate::artifact::serialise::SerialiseError;
use crate::attest::log::LogError;
use crate::attest::{AttestError, Extra, Signed};
use crate::ecosystem::PlanError;
use crate::policy::Refusal;
use crate::public_log::PublicLogError;

/// Maximum length of a request, in bytes.
const REQUEST: u64 = 16 << 10;

/// What a worker asks for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Form of this message; 1.
    pub version: u32,
    /// Folder of the run.
    pub run: std::path::PathBuf,
    /// What is to be signed besides the statement.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub extras: BTreeSet<Extra>,
    /// The worker that did it, if a relay asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// The span that asks (W3C `traceparent`), if it exports spans. Nothing depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// What the signer answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Reply {
    /// It signed.
    Signed(Box<Signed>),
    /// It holds, and waits until others had the same outcome.
    Waiting {
        /// Workers with this outcome, this one included.
        agree: usize,
        /// How many are needed.
        needed: usize,
        /// Workers with another outcome.
        otherwise: usize,
    },
    /// It did not sign.
    Refused {
        /// Why.
        reason: String,
    },
}

impl Reply {
    /// What it says, in a word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Signed(_) => "signed",
            Self::Waiting { .. } => "waiting",
            Self::Refused { .. } => "refused",
        }
    }
}

/// Why the signer does not sign.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum SignerError {
    #[error("user {uid} is not an authorised worker of this signer")]
    Stranger { uid: u32 },
    #[error("{run} is not in a folder of runs that this signer reads")]
    Outside { run: String },
    #[error("{run} belongs to user {owner}, but user {uid} asked")]
    NotOwner { run: String, owner: u32, uid: u32 },
    #[error("cannot accept {what} of the run: {reason}")]
    Snapshot { what: String, reason: String },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Serialise(#[from] SerialiseError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Attest(#[from] AttestError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    PublicLog(#[from] PublicLogError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Refusal(#[from] Refusal),
    #[error("cannot determine what was released")]
    Registry(#[from] Box<PlanError>),
    #[error("the plan {0}")]
    Plan(String),
    #[error("the run {0}")]
    Run(String),
    #[error("user {uid} {wrong}")]
    #[diagnostic(help(
        "\"rebuilder signer --relay USER\" lets a server name the workers whose runs it hands in"
    ))]
    Relay { uid: u32, wrong: &'static str },
    #[error("the run {id} was already handed in with another record")]
    Replayed { id: String },
    #[error("cannot accept another run from this worker now: it handed in too many recently")]
    #[diagnostic(help("hand it in again later"))]
    Busy,
    #[error("invalid request: {0}")]
    Request(String),
    #[error("cannot use the socket {path}")]
    #[diagnostic(help("check that \"rebuilder signer\" is running and that this user may open its socket"))]
    Socket {
        path: std::path::PathBuf,
        source: std::io::Error,
    },
}
