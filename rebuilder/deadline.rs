//! When long work must end: because its time is up, because nobody waits for it any more, or because of a signal.
//!
//! Whatever reads what a stranger wrote asks [`Deadline::check`] for each piece that it reads. The answer costs some
//! nanoseconds, and an end travels inside an [`io::Error`] where only such errors can.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Set once, by a signal: everything ends then.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Ends all work that asks, in the whole process and for good.
pub fn interrupt() {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Why work must end now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Over {
    /// Its time is up.
    #[error("the time allowed is over")]
    Time,
    /// It was called off, or the process was told to end.
    #[error("it was interrupted")]
    Interrupted,
}

impl Over {
    /// The end behind an error, if one is.
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl From<Over> for io::Error {
    fn from(over: Over) -> Self {
        Self::other(over)
    }
}

/// A point in time, shared by everything that must be done by then. The default one never comes by itself.
#[derive(Debug, Clone, Default)]
pub struct Deadline {
    end: Option<Instant>,
    called_off: Arc<AtomicBool>,
}

impl Deadline {
    /// So far from now.
    pub fn within(time: Duration) -> Self {
        Self::default().at_most(time)
    }

    /// The same, but not later than so far from now.
    #[must_use]
    pub fn at_most(&self, time: Duration) -> Self {
        // A time that no clock reaches is no limit.
        let end = Instant::now().checked_add(time);
        Self {
            end: match (self.end, end) {
                (Some(own), Some(other)) => Some(own.min(other)),
                (own, other) => own.or(other),
            },
            called_off: self.called_off.clone(),
        }
    }

    /// Whether work may go on.
    pub fn check(&self) -> Result<(), Over> {
        if INTERRUPTED.load(Ordering::Relaxed) || self.called_off.load(Ordering::Relaxed) {
            return Err(Over::Interrupted);
        }
        match self.end {
            Some(end) if Instant::now() > end => Err(Over::Time),
            _ => Ok(()),
        }
    }

    /// A reader that ends with an error when the time comes.
    pub fn reader<R>(&self, inner: R) -> Reader<R> {
        Reader {
            inner,
            deadline: self.clone(),
        }
    }

    /// Calls the work off when the guard is dropped: nobody waits for it then.
    pub fn guard(&self) -> Guard {
        Guard(self.called_off.clone())
    }
}

/// Reads until a deadline.
#[derive(Debug)]
pub struct Reader<R> {
    inner: R,
    deadline: Deadline,
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.deadline.check()?;
        self.inner.read(buffer)
    }
}

/// Calls work off when it is dropped.
#[derive(Debug)]
pub struct Guard(Arc<AtomicBool>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn it_comes_with_time_or_with_the_last_who_waits() {
        let never = Deadline::within(Duration::MAX);
        assert_eq!(never.check(), Ok(()));
        let past = never.at_most(Duration::ZERO);
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(past.check(), Err(Over::Time));
        // A later one does not move an earlier one.
        assert_eq!(past.at_most(Duration::from_secs(60)).check(), Err(Over::Time));
        let error = past.reader(io::empty()).read(&mut [0]).unwrap_err();
        assert_eq!(Over::of(&error), Some(Over::Time));
        assert_eq!(never.check(), Ok(()));
        drop(never.guard());
        assert_eq!(never.check(), Err(Over::Interrupted));
    }
}
