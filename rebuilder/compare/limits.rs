//! What a comparison may cost. Archives are untrusted, so every walk counts what it unpacks; a limit that is hit
//! becomes a finding with a name, never a crash and never a pass.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::deadline::{Deadline, Over};

/// Names of the limits, as reports show them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// Archives within archives.
    Depth,
    /// Members in all archives together.
    Members,
    /// Bytes that the archives unpack to.
    UnpackedBytes,
    /// Memory that one decompressor asks for.
    DecoderMemory,
    /// Bytes of one member's name.
    NameLength,
    /// Entries of a zip archive that share bytes.
    OverlappingEntries,
    /// Seconds.
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

/// How far a comparison goes.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Archives within archives.
    pub depth: u32,
    /// Members of both sides together.
    pub members: u64,
    /// Bytes unpacked of both sides together, every pass counted.
    pub unpacked: u64,
    /// Bytes unpacked for each byte of the two files, if that allows less than `unpacked`.
    pub expansion: u64,
    /// Time; none if it may take as long as it takes.
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

/// Least time for two files that come from outside, and how much more there is for each of their bytes: a twentieth of
/// the speed at which a slow machine compares what is packed well.
const LEAST_TIME: Duration = Duration::from_mins(1);
const BYTES_IN_A_SECOND: u64 = 1 << 20;
const MOST_TIME: Duration = Duration::from_hours(1);

impl Limits {
    /// How long it may take to look at files of so many bytes, unless a limit was given.
    pub fn time_for(bytes: u64) -> Duration {
        let more = Duration::from_secs(bytes / BYTES_IN_A_SECOND);
        LEAST_TIME.saturating_add(more).min(MOST_TIME)
    }
}

/// Small files may expand to this much whatever the factor.
const ALWAYS_ALLOWED: u64 = 4 << 30;
/// Maximum length of a member name, in bytes.
pub(super) const LONGEST_NAME: usize = 1 << 16;
/// Most memory of one decompressor: enough for `xz -9` and `zstd --long=27`.
pub(super) const DECODER_MEMORY: u64 = 160 << 20;

/// A limit that was hit; travels inside an [`io::Error`].
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

    /// The limit behind an error, if one is.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref().and_then(|inner| inner.downcast_ref())
    }

    /// An error as the limit that it is, if it says that time is over.
    pub fn named(error: io::Error) -> io::Error {
        Over::of(&error).map_or(error, Self::over)
    }

    pub fn over(over: Over) -> io::Error {
        Self::error(Limit::Time, over.to_string())
    }
}

/// Counts for one comparison; shared by its threads.
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
    /// For two files of `size` bytes together.
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

    /// For looking ahead: nothing that is read this way counts, but time does.
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

    /// How much one stream may unpack to: half of what is left, so that the rest can still be compared.
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

/// Counts what is read through it.
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
