//! The database of audits: SQLite in a file, or PostgreSQL for many hosts. The address decides which.
//!
//! One SQL text serves both, with `$1` placeholders, numbers of 64 bits and texts; what differs is in [`Dialect`]. In
//! SQLite one connection writes and others read, and a transaction that will write says so when it begins: one that reads
//! first cannot wait for the lock. Nothing here decides what an audit does; `audit` asks and tells.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod address;
mod alarms;
mod attempts;
mod audits;
mod error;
mod listener;
mod migrate;
mod schedules;

use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::{Any, AnyConnection, AnyPool, Connection as _, Executor as _, Transaction};

use crate::store::Store;
use address::Address;
pub use alarms::{Seen, StoredAlarm, Suspect};
pub use attempts::{Attempt, Outcome};
pub use audits::{Audit, Member, Run};
pub use error::MemoryError;
pub use listener::Listener;
pub use schedules::Schedule;

/// A transaction of the memory.
pub type Tx = Transaction<'static, Any>;

/// What the two databases write differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite, in a file.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Dialect {
    /// The time by the database's clock, in milliseconds since 1970.
    pub fn now(self) -> &'static str {
        match self {
            Self::Sqlite => "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
            Self::Postgres => "(extract(epoch from clock_timestamp()) * 1000)::bigint",
        }
    }

    /// Ends a SELECT whose rows nobody else may take meanwhile.
    pub fn skip_locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => "FOR UPDATE SKIP LOCKED",
        }
    }

    /// Ends a SELECT whose rows this transaction will change.
    pub fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => "FOR UPDATE",
        }
    }

    fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }

    fn begin_by_index(self) -> &'static str {
        match self {
            Self::Sqlite => self.begin(),
            Self::Postgres => {
                "BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off;
                 SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
            }
        }
    }
}

/// Connections that read beside the one that writes, or connections to PostgreSQL.
const CONNECTIONS: u32 = 8;
/// How long a server may take to let somebody in.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long work waits for a connection, longer than SQLite waits for a lock.
const TURN: Duration = Duration::from_mins(2);

/// An open database, in its present form. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Memory {
    place: String,
    url: listener::Url,
    dialect: Dialect,
    write: AnyPool,
    read: AnyPool,
}

impl Memory {
    /// Opens the database at `url`, or the one in the store, makes it if it is a file, and brings it up to date.
    pub async fn open(url: Option<&str>, store: &Store) -> Result<Self, MemoryError> {
        let address = match url {
            Some(url) => Address::parse(url)?,
            None => Address::File(store.memory()),
        };
        Self::connect(&address, |memory| async move {
            migrate::forward(&memory).await?;
            Ok(memory)
        })
        .await
    }

    /// Undoes the last migration, and returns its number. The previous version of rebuilder can then use the database.
    pub async fn back(url: Option<&str>, store: &Store) -> Result<i64, MemoryError> {
        let address = match url {
            Some(url) => Address::parse(url)?,
            None => Address::File(store.memory()),
        };
        Self::connect(&address, |memory| async move { migrate::back(&memory).await }).await
    }

    /// Connects, and does what only one process may do at a time in a file.
    async fn connect<T, F: Future<Output = Result<T, MemoryError>>>(
        address: &Address,
        alone: impl FnOnce(Self) -> F,
    ) -> Result<T, MemoryError> {
        sqlx::any::install_default_drivers();
        let place = address.place();
        let dialect = address.dialect();
        let _lock = address.lock().await?;
        let open = |connections: u32, only_reads: bool| {
            let options = AnyPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(TURN);
            options.after_connect(move |connection, _| {
                Box::pin(async move {
                    match dialect {
                        Dialect::Postgres => {
                            connection.execute(POSTGRES).await?;
                        }
                        Dialect::Sqlite => {
                            connection.execute(SQLITE).await?;
                            if only_reads {
                                connection.execute("PRAGMA query_only = ON").await?;
                            }
                        }
                    }
                    Ok(())
                })
            })
        };
        let url = address.url();
        let failed = |source| MemoryError::Open {
            place: place.clone(),
            source,
        };
        if dialect == Dialect::Postgres {
            // A pool would take a refusal for a server that is starting, and hide it behind a time-out.
            let first = tokio::time::timeout(PATIENCE, AnyConnection::connect(&url)).await;
            let first = first.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(failed)?;
            first.close().await.map_err(failed)?;
        }
        let write = match dialect {
            Dialect::Sqlite => open(1, false),
            Dialect::Postgres => open(CONNECTIONS, false),
        };
        let write = write.connect(&url).await.map_err(failed)?;
        let read = match dialect {
            Dialect::Sqlite => open(CONNECTIONS, true).connect_lazy(&url).map_err(failed)?,
            Dialect::Postgres => write.clone(),
        };
        alone(Self {
            place,
            url: listener::Url(url),
            dialect,
            write,
            read,
        })
        .await
    }

    /// Its address, without a password.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What this database writes in its own way.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Connections for statements that read.
    pub fn read(&self) -> &AnyPool {
        &self.read
    }

    /// Connections for single statements that write.
    pub fn write(&self) -> &AnyPool {
        &self.write
    }

    /// Begins a transaction that may write.
    pub async fn begin(&self) -> Result<Tx, MemoryError> {
        let begun = self.write.begin_with(self.dialect.begin()).await;
        begun.map_err(MemoryError::query("begin a change"))
    }

    /// Begins a transaction that may write, and whose statements each read a few rows by an index that has them in order.
    /// PostgreSQL does not know that of a table which has grown since it was analysed: it would read and sort all of it.
    pub async fn begin_by_index(&self) -> Result<Tx, MemoryError> {
        let begun = self.write.begin_with(self.dialect.begin_by_index()).await;
        begun.map_err(MemoryError::query("begin a change"))
    }

    /// Closes all connections; what was committed stays.
    pub async fn close(&self) {
        self.write.close().await;
        self.read.close().await;
    }
}

/// What each connection to a server begins with. Most statements take less time than it takes to compile them, or to start
/// other processes for them; the server counts what takes longer in the background.
const POSTGRES: &str = "SET jit = off; SET max_parallel_workers_per_gather = 0";

/// What each connection to a file begins with. What was committed survives a power cut.
const SQLITE: &str = "PRAGMA busy_timeout = 30000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;";
