//! Bounds of the sandbox contract that not every machine can enforce.

use std::fmt;

/// A bound that a run may have lacked; records use the names that [`Bound::as_str`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Bytes of memory.
    Memory,
    /// Processes and threads.
    Pids,
    /// Bytes written, as enforced by the file system itself; the sandbox counts them in any case.
    Disk,
    /// User ids that no other run uses.
    Ids,
}

impl Bound {
    const ALL: [Self; 4] = [Self::Memory, Self::Pids, Self::Disk, Self::Ids];

    /// The name in records and statements.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Disk => "disk",
            Self::Ids => "ids",
        }
    }

    /// The bound with that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bound| bound.as_str() == name)
    }

    /// Whether a build without this bound is less isolated from other runs, rather than only free to exhaust the
    /// machine.
    pub(crate) fn isolates(self) -> bool {
        match self {
            Self::Memory | Self::Pids | Self::Disk => false,
            Self::Ids => true,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
