//! Lines of the log, and what they are about.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Anchor, Stated, shortened};
use crate::artifact::Sha256;

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
        /// Digests of everything else that was signed about the run at once, by its form.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        also: BTreeMap<String, Sha256>,
        /// SHA-256 of the released files; empty if there are too many, and in lines of earlier versions.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        released: Vec<Sha256>,
    },
    /// A statement that was signed is no longer held; its line stays.
    Withdrawn {
        /// Run that it is about.
        run: String,
        /// Package URL.
        subject: String,
        /// Digest of the statement.
        statement: Sha256,
        /// Why.
        reason: String,
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
        /// Digest of the outcome.
        outcome: Sha256,
        /// User who handed it in.
        worker: String,
        /// What the worker states beyond what the signer verified itself.
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
        /// Digest of the policy, if there is one.
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

impl Event {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Signed { .. } => "signed",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Submitted { .. } => "submitted",
            Self::Refused { .. } => "refused",
            Self::Started { .. } => "started",
            Self::Recovered { .. } => "recovered",
        }
    }

    /// The event with its reason cut to a length that fits; a refusal can always be written down.
    pub(super) fn shortened(self) -> Self {
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
    pub(super) fn texts(&self) -> Vec<&str> {
        match self {
            Self::Signed {
                run,
                subject,
                verdict,
                key,
                workers,
                also,
                ..
            } => [run, subject, verdict, key]
                .into_iter()
                .chain(workers)
                .chain(also.keys())
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
            Self::Withdrawn {
                run, subject, reason, ..
            } => vec![run, subject, reason],
            Self::Refused { run, reason, worker } => vec![run, reason, worker],
            Self::Started { key, .. } => vec![key],
            Self::Recovered { .. } => Vec::new(),
        }
    }
}
