//! Which database stores audits and jobs.

use clap::Args;

use crate::cli::Context;
use crate::cli::failure::Failure;
use crate::memory::Memory;
use crate::queue::Queue;

/// The database of audits and jobs.
#[derive(Args, Clone)]
pub(crate) struct MemoryArgs {
    /// Database of audits and jobs: sqlite:FILE, or postgres://USER@HOST/DATABASE [default: a file in the store]
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "REBUILDER_MEMORY",
        hide_env_values = true,
        help_heading = "Database"
    )]
    memory: Option<String>,
}

impl MemoryArgs {
    /// The database as the user named it, if so.
    pub(crate) fn url(&self) -> Option<&str> {
        self.memory.as_deref()
    }

    pub(crate) async fn open(&self, context: &Context) -> Result<Memory, Failure> {
        Ok(Memory::open(self.url(), &context.store).await?)
    }

    pub(crate) async fn queue(&self, context: &Context) -> Result<Queue, Failure> {
        Ok(Queue::new(self.open(context).await?))
    }
}
