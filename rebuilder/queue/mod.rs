//! Jobs that wait for workers, in the database of the audits.
//!
//! ```text
//!  enqueue ──▶ later ──▶ ready ──▶ running ──▶ done        one verdict each, written with the end of the job
//!                ▲         ▲          ├──────▶ cancelled
//!                └─────────┴── again ─┴──────▶ dead
//! ```
//!
//! A lease is (job, attempt), the only thing that a heartbeat or a result goes by; times are those of the database's clock.
//! A job whose lease ran out is handed out again, in its old place in the line, and being lost counts as an attempt. Workers
//! never see the database: they ask a server ([`wire`]). `docs/decisions/015-queue.md` says why this is not a library.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod admin;
mod bounds;
mod claims;
mod enqueue;
pub mod files;
pub mod published;
mod readers;
mod returns;
mod sql;
mod tokens;
mod traced;
mod trail;
pub mod wire;

pub use admin::{DueRun, HeldTask, Listed, Tally};
pub use bounds::Unnamed;
pub use claims::{Claimant, Ending, REFUSED};
pub use enqueue::{Enqueued, NewJob};
#[doc(hidden)]
pub use readers::READERS;
pub use tokens::{Holder, Scope, Token, TokenError};
pub use traced::Traced;
pub use trail::Step;

use sqlx::AnyPool;

use crate::memory::{Listener, Memory, MemoryError, Tx};

/// Jobs in a database.
#[derive(Clone)]
pub struct Queue {
    memory: Memory,
}

/// A queue that cannot be used.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum QueueError {
    #[error("cannot {doing} in the database")]
    #[diagnostic(help(
        "check that the database is running and its disk is not full; \"rebuilder serve\" and workers retry \
        by themselves"
    ))]
    Database {
        doing: &'static str,
        source: sqlx::Error,
    },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Memory(#[from] MemoryError),
    #[error("job {0} does not exist, or its state does not allow this")]
    #[diagnostic(help("\"rebuilder queue list\" shows the jobs and their states"))]
    NoJob(i64),
    #[error("the database contains a job that this version cannot read: {0}")]
    #[diagnostic(help("a newer version wrote it; upgrade this one"))]
    Unreadable(String),
}

impl QueueError {
    /// For `map_err`.
    fn when(doing: &'static str) -> impl Fn(sqlx::Error) -> Self {
        move |source| Self::Database { doing, source }
    }
}

impl Queue {
    /// The queue in a database whose tables are there.
    pub fn new(memory: Memory) -> Self {
        Self { memory }
    }

    /// The time by the database's clock, so that no host's clock decides over a lease.
    fn now(&self) -> &'static str {
        self.memory.dialect().now()
    }

    /// Ends a selection of jobs that several servers may make at a time.
    fn skip_locked(&self) -> &'static str {
        self.memory.dialect().skip_locked()
    }

    /// Listens for jobs that others queue; `None` if the database tells nobody.
    pub async fn listen(&self) -> Result<Option<Listener>, QueueError> {
        Ok(self.memory.listen().await?)
    }

    fn write(&self) -> &AnyPool {
        self.memory.write()
    }

    async fn begin(&self) -> Result<Tx, QueueError> {
        Ok(self.memory.begin().await?)
    }

    /// Begins a change of leases, of which there are many a second.
    async fn begin_leases(&self) -> Result<Tx, QueueError> {
        Ok(self.memory.begin_by_index().await?)
    }
}
