//! The machine that a build is shown, if that is not the machine that it runs on.
//!
//! Views serve to find out what a build depends on. They do not isolate: a build that searches for the real machine
//! may find it.

use serde::{Deserialize, Serialize};

/// What a build is shown of its machine; fields that are `None` show the real machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineView {
    /// The wall clock, and with it the times of files that the build writes.
    pub clock: Option<Clock>,
    /// The order in which folders list their entries.
    pub listing: Option<Listing>,
    /// The kernel, as uname(2) describes it.
    pub kernel: Option<Kernel>,
    /// The processors in `/proc`, and how many of them the build may use.
    pub processors: Option<Processors>,
    /// The NIS domain name, as uname(2) tells it.
    pub domain: Option<String>,
}

impl MachineView {
    /// Whether the view shows the real machine.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Whether system calls must be answered in the kernel's place.
    pub(super) fn needs_tracing(&self) -> bool {
        self.clock.is_some() || self.listing.is_some() || self.kernel.is_some()
    }
}

/// A wall clock, in Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// It stands still.
    Held(i64),
    /// It starts at this time and runs.
    From(i64),
}

/// An order of listings. Folders with thousands of entries are listed in parts, each of them in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Listing {
    /// By the bytes of the names.
    ByName,
    /// By the bytes of the names, backwards.
    Backwards,
}

/// A kernel, as uname(2) describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    /// Such as `6.1.0`; at most 64 bytes.
    pub release: String,
    /// Such as `#1 SMP`; at most 64 bytes.
    pub version: String,
}

/// The processors of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Processors {
    /// How many there are.
    pub count: usize,
    /// Their model name.
    pub model: String,
}
