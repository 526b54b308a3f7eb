//! What the processes of a build did to files, event by event, and which process wrote which file.
//!
//! The sandbox writes the events while a build runs, one JSON line each; [`Writers`] answers questions about them.
//! Paths are absolute, as the build sees them. A build can influence every event, so they are read up to a limit and
//! shown like any other untrusted text.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod readers;
mod siblings;
#[cfg(test)]
mod tests;
mod ways;
mod writers;

use serde::{Deserialize, Serialize};

#[doc(hidden)]
pub use readers::READERS;
pub use ways::{How, Slice, Step};
pub use writers::{Command, Hand, Writers};

/// Maximum number of bytes of events that are kept of one build.
pub const MOST: u64 = 256 << 20;

/// Maximum length of a command line, in bytes over all its words; the rest is left out.
pub const COMMAND_LINE: usize = 32 << 10;

/// Stands for a path that is not known: the kernel does not tell paths of more than 4096 bytes.
pub const UNKNOWN: &str = "?";

/// One action of a process. Processes are numbered in the order of their start, from 0; no number is used twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A process began.
    Start {
        /// Its number.
        p: u32,
        /// The process that started it; the first process has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<u32>,
    },
    /// It executed another program.
    Exec {
        /// The process.
        p: u32,
        /// Its command line.
        argv: Vec<String>,
        /// Its working folder.
        cwd: String,
        /// The file that its standard output goes to, if it is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        out: Option<String>,
    },
    /// It opened a file for writing, and may have created it.
    Open {
        /// The process.
        p: u32,
        /// The file.
        path: String,
    },
    /// It was about to open a file for reading, which need not exist.
    Read {
        /// The process.
        p: u32,
        /// The file.
        path: String,
    },
    /// It renamed a file or a folder.
    Move {
        /// The process.
        p: u32,
        /// The old name.
        from: String,
        /// The new name.
        to: String,
    },
    /// It gave a file another name: a hard link or a symbolic link.
    Link {
        /// The process.
        p: u32,
        /// The existing name.
        from: String,
        /// The new name.
        to: String,
    },
    /// It removed a name.
    Remove {
        /// The process.
        p: u32,
        /// The name.
        path: String,
    },
    /// It set the times of a file or folder.
    Times {
        /// The process.
        p: u32,
        /// The file.
        path: String,
    },
    /// It set permissions.
    Mode {
        /// The process.
        p: u32,
        /// The file.
        path: String,
    },
    /// It made a folder.
    Folder {
        /// The process.
        p: u32,
        /// The folder.
        path: String,
    },
    /// The process ended.
    End {
        /// The process.
        p: u32,
    },
    /// Nothing is recorded from here on: [`MOST`] was reached.
    Cut,
}
