//! The machine that a build is shown, where that is not the machine that it runs on.
//!
//! It serves to find out what a build depends on. Nothing of it isolates: a build that looks for the real machine may
//! find it.

use serde::{Deserialize, Serialize};

/// What a build is shown of its machine; what is `None` is as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineView {
    /// The wall clock, and with it the times of files that the build writes.
    pub clock: Option<Clock>,
    /// The order in which folders list their entries.
    pub listing: Option<Listing>,
    /// What uname(2) says of the kernel.
    pub kernel: Option<Kernel>,
    /// What `/proc` says of the processors, and how many of them the build may use.
    pub processors: Option<Processors>,
    /// The NIS domain name, as uname(2) has it.
    pub domain: Option<String>,
}

impl MachineView {
    /// Whether it shows the machine as it is.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Whether system calls have to be answered in the kernel's place.
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
    /// It starts with this and runs.
    From(i64),
}

/// An order of listings. Folders with thousands of entries are in this order part by part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Listing {
    /// By the bytes of the names.
    ByName,
    /// The other way round.
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
