//! When long work must end: because its time is up, because its caller has gone, or because of a signal.
//!
//! Code that reads the files of strangers calls [`Deadline::check`] for each piece that it reads. A check takes some
//! nanoseconds. The reason to end travels inside an [`io::Error`] through readers, which can return no other error.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Set once, by a signal.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Ends all work in the process that checks a deadline, for good.
pub fn interrupt() {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Why work must end now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Over {
    /// Its time is up.
    #[error("the time limit was reached")]
    Time,
    /// Its caller has gone, or the process got a signal.
    #[error("it was interrupted")]
    Interrupted,
}

impl Over {
    /// The reason to end that an error carries, if it does.
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl From<Over> for io::Error {
    fn from(over: Over) -> Self {
        Self::other(over)
    }
}

/// A point in time, shared by all work that must end by then. The default never comes by itself.
#[derive(Debug, Clone, Default)]
pub struct Deadline {
    end: Option<Instant>,
    called_off: Arc<AtomicBool>,
}

impl Deadline {
    /// This far from now.
    pub fn within(time: Duration) -> Self {
        Self::default().at_most(time)
    }

    /// The same, but no later than this far from now.
    #[must_use]
    pub fn at_most(&self, time: Duration) -> Self {
        // A time that the clock cannot represent is never reached.
        let end = Instant::now().checked_add(time);
        Self {
            end: match (self.end, end) {
                (Some(own), Some(other)) => Some(own.min(other)),
                (own, other) => own.or(other),
            },
            called_off: self.called_off.clone(),
        }
    }

    /// Whether work may continue.
    pub fn check(&self) -> Result<(), Over> {
        if INTERRUPTED.load(Ordering::Relaxed) || self.called_off.load(Ordering::Relaxed) {
            return Err(Over::Interrupted);
        }
        match self.end {
            Some(end) if Instant::now() > end => Err(Over::Time),
            _ => Ok(()),
        }
    }

    /// A reader that fails at the deadline.
    pub fn reader<R>(&self, inner: R) -> Reader<R> {
        Reader {
            inner,
            deadline: self.clone(),
        }
    }

    /// Ends the work when the guard is dropped, since its caller has gone then.
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

/// Ends the work when it is dropped.
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
    fn it_comes_with_time_or_when_the_caller_goes() {
        let never = Deadline::within(Duration::MAX);
        assert_eq!(never.check(), Ok(()));
        let past = never.at_most(Duration::ZERO);
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(past.check(), Err(Over::Time));
        // A later one does not move an earlier one.
        assert_eq!(past.at_most(Duration::from_mins(1)).check(), Err(Over::Time));
        let error = past.reader(io::empty()).read(&mut [0]).unwrap_err();
        assert_eq!(Over::of(&error), Some(Over::Time));
        assert_eq!(never.check(), Ok(()));
        drop(never.guard());
        assert_eq!(never.check(), Err(Over::Interrupted));
    }
}
