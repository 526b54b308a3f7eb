//! What one process tells others through PostgreSQL. It only says that there is something to look for: who does not hear it,
//! or uses SQLite, finds the same by looking from time to time.

use std::fmt;

use sqlx::Executor as _;
use sqlx::postgres::PgListener;

use super::{Dialect, Memory, MemoryError, Tx};

/// An address with a password in it, which is not shown.
#[derive(Clone)]
pub(super) struct Url(pub(super) String);

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(an address)")
    }
}

/// The name under which jobs are announced.
const JOBS: &str = "rebuilder_jobs";

/// Hears of new jobs. It has a connection of its own.
pub struct Listener(PgListener);

impl Listener {
    /// Waits until jobs are announced. After an error, what was announced meanwhile may have been missed.
    pub async fn heard(&mut self) -> Result<(), MemoryError> {
        let heard = self.0.recv().await;
        heard.map(drop).map_err(MemoryError::query("listen for jobs"))
    }
}

impl Memory {
    /// Listens for new jobs; `None` in SQLite, which tells nobody.
    pub async fn listen(&self) -> Result<Option<Listener>, MemoryError> {
        if self.dialect == Dialect::Sqlite {
            return Ok(None);
        }
        let listen = async {
            let mut listener = PgListener::connect(&self.url.0).await?;
            listener.listen(JOBS).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        let listener = listen.await.map_err(MemoryError::query("listen for jobs"))?;
        Ok(Some(Listener(listener)))
    }

    /// Tells everyone who listens of new jobs, once this change is committed.
    pub async fn announce_jobs(&self, change: &mut Tx) -> Result<(), MemoryError> {
        if self.dialect == Dialect::Postgres {
            let told = change.execute("NOTIFY rebuilder_jobs").await;
            told.map_err(MemoryError::query("announce jobs"))?;
        }
        Ok(())
    }
}
