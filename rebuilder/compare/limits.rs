//! Limits on the cost of a comparison. Archives are untrusted, so every walk counts what it unpacks; reaching a limit
//! becomes a named finding, never a crash and never a pass.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::deadline::{Deadline, Over};

/// Names of the limits in reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// Depth of nested archives.
    Depth,
    /// Members in all archives together.
    Members,
    /// Bytes that the archives unpack to.
    UnpackedBytes,
    /// Memory that one decompressor needs.
    DecoderMemory,
    /// Length in bytes of a member's name.
    NameLength,
    /// Entries of a zip archive that share bytes.
    OverlappingEntries,
    /// Duration.
    Time,
}

impl Limit {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Depth => "depth",
            Self::Members => "members",
            Self::UnpackedBytes => "unpacked-bytes",
            Self::DecoderMemory => "decoder-memory",
            Self::NameLength => "name-length",
            Self::OverlappingEntries => "overlapping-entries",
            Self::Time => "time",
        }
    }
}

/// Limits of a comparison.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Maximum depth of nested archives.
    pub depth: u32,
    /// Maximum number of members of both sides together.
    pub members: u64,
    /// Maximum number of bytes that are unpacked of both sides together; every pass counts.
    pub unpacked: u64,
    /// Maximum number of unpacked bytes for each byte of the two files, if that is less than `unpacked`.
    pub expansion: u64,
    /// Maximum duration; `None` for no limit.
    pub time: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 32,
            members: 2_000_000,
            unpacked: 256 << 30,
            expansion: 1000,
            time: None,
        }
    }
}

/// Minimum time limit for two files from outside, and the additional time for their size: a twentieth of the speed at
/// which a slow machine compares well-compressed files.
const LEAST_TIME: Duration = Duration::from_mins(1);
const BYTES_IN_A_SECOND: u64 = 1 << 20;
const MOST_TIME: Duration = Duration::from_hours(1);

impl Limits {
    /// The time limit for files with this number of bytes, unless a limit was given.
    pub fn time_for(bytes: u64) -> Duration {
        let more = Duration::from_secs(bytes / BYTES_IN_A_SECOND);
        LEAST_TIME.saturating_add(more).min(MOST_TIME)
    }
}

/// Small files may always expand to this number of bytes, whatever the factor is.
const ALWAYS_ALLOWED: u64 = 4 << 30;
/// Maximum length of a member name, in bytes.
pub(super) const LONGEST_NAME: usize = 1 << 16;
/// Maximum memory of one decompressor: enough for `xz -9` and `zstd --long=27`.
pub(super) const DECODER_MEMORY: u64 = 160 << 20;

/// A limit that was reached, inside an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("the limit {} is reached: {what}", limit.name())]
pub(super) struct Hit {
    pub limit: Limit,
    pub what: String,
}

impl Hit {
    pub fn error(limit: Limit, what: impl Into<String>) -> io::Error {
        io::Error::other(Self {
            limit,
            what: what.into(),
        })
    }

    /// The limit behind an error, if there is one.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref().and_then(|inner| inner.downcast_ref())
    }

    /// Turns an error about the deadline into one about the time limit.
    pub fn named(error: io::Error) -> io::Error {
        Over::of(&error).map_or(error, Self::over)
    }

    pub fn over(over: Over) -> io::Error {
        Self::error(Limit::Time, over.to_string())
    }
}

/// The counters of one comparison, shared by its threads.
#[derive(Debug)]
pub(super) struct Meter {
    unpacked: AtomicU64,
    most: u64,
    members: AtomicU64,
    most_members: u64,
    pub depth: u32,
    pub deadline: Deadline,
}

impl Meter {
    /// A meter for two files of `size` bytes together.
    pub fn new(limits: &Limits, deadline: &Deadline, size: u64) -> Self {
        let by_size = size.saturating_mul(limits.expansion).max(ALWAYS_ALLOWED);
        Self {
            unpacked: AtomicU64::new(0),
            most: limits.unpacked.min(by_size),
            members: AtomicU64::new(0),
            most_members: limits.members,
            depth: limits.depth,
            deadline: limits
                .time
                .map_or_else(|| deadline.clone(), |time| deadline.at_most(time)),
        }
    }

    /// A meter for looking ahead: bytes that are read with it do not count, but time does.
    pub fn apart(&self) -> Self {
        Self {
            unpacked: AtomicU64::new(0),
            members: AtomicU64::new(0),
            deadline: self.deadline.clone(),
            ..*self
        }
    }

    pub fn unpacked(&self, bytes: u64) -> io::Result<()> {
        let before = self.unpacked.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.most {
            return Err(Hit::error(
                Limit::UnpackedBytes,
                format!("it unpacks to more than {} bytes", self.most),
            ));
        }
        self.deadline.check().map_err(Hit::over)
    }

    /// Maximum number of bytes that one stream may unpack to: half of what is left, so that the rest can still be
    /// compared.
    pub fn share(&self) -> u64 {
        self.most
            .saturating_sub(self.unpacked.load(Ordering::Relaxed))
            .div_ceil(2)
    }

    pub fn member(&self, name: usize) -> io::Result<()> {
        if name > LONGEST_NAME {
            let what = format!("a name of {name} bytes, more than {LONGEST_NAME}");
            return Err(Hit::error(Limit::NameLength, what));
        }
        if self.members.fetch_add(1, Ordering::Relaxed) >= self.most_members {
            let what = format!("more than {} members", self.most_members);
            return Err(Hit::error(Limit::Members, what));
        }
        self.unpacked(0)
    }
}

/// A reader that counts the bytes that are read through it.
pub(super) struct Metered<'a, R> {
    pub inner: R,
    pub meter: &'a Meter,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.meter.unpacked(read as u64)?;
        Ok(read)
    }
}
