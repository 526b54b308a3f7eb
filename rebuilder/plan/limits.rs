//! The bounds of a run, which a plan states and a sandbox enforces.

use serde::{Deserialize, Serialize};

/// Bounds of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Wall-clock seconds.
    pub seconds: u64,
    /// Bytes of memory, page cache included.
    pub memory: u64,
    /// Bytes written to the throw-away layer and to `/out`.
    pub disk: u64,
    /// Processes and threads.
    pub pids: u64,
    /// Processors that the job may use and sees.
    pub cpus: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            seconds: 3600,
            memory: 8 << 30,
            disk: 20 << 30,
            pids: 4096,
            cpus: 2,
        }
    }
}
