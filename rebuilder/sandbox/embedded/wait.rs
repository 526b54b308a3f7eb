//! The state changes of processes, in plain numbers: nix has no names for signals from 32 on, and fails for them.
//! Ordinary programs use these signals, as C libraries cancel threads and change the ids of all threads with them.

use nix::libc;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use rustix::process::{WaitOptions, wait, waitpid};

use super::super::ExitReason;

/// A state change of a child or of a traced task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It has ended.
    Ended(ExitReason),
    /// It stopped for its tracer: the event, and its signal.
    Event(i32, i32),
    /// It stopped at the exit of a call.
    Call,
    /// It stopped for a signal that is about to be delivered.
    Signal(i32),
}

impl Change {
    /// Reads a status of wait(2); `None` for one that does not matter.
    fn from_status(status: i32) -> Option<Self> {
        let stop = libc::WSTOPSIG(status);
        let event = status >> 16;
        if libc::WIFEXITED(status) {
            Some(Self::Ended(ExitReason::from_status(libc::WEXITSTATUS(status))))
        } else if libc::WIFSIGNALED(status) {
            Some(Self::Ended(ExitReason::Signalled(libc::WTERMSIG(status))))
        } else if !libc::WIFSTOPPED(status) {
            None
        } else if event != 0 {
            Some(Self::Event(event, stop))
        } else if stop == libc::SIGTRAP | 0x80 {
            Some(Self::Call)
        } else {
            Some(Self::Signal(stop))
        }
    }
}

/// The next change of a child or a traced task, or of the one with the given id; `None` if `at_once` is set and there
/// is none yet.
pub(super) fn next(of: Option<Pid>, at_once: bool) -> nix::Result<Option<(Pid, Change)>> {
    let mut options = WaitOptions::from_bits_retain(libc::__WALL.cast_unsigned());
    if at_once {
        options |= WaitOptions::NOHANG;
    }
    let of = of.and_then(|pid| rustix::process::Pid::from_raw(pid.as_raw()));
    loop {
        // Without an id, `waitpid` of this crate waits for the process group.
        let found = match of {
            Some(of) => waitpid(Some(of), options),
            None => wait(options),
        };
        match found {
            Ok(Some((pid, status))) => {
                if let Some(change) = Change::from_status(status.as_raw()) {
                    return Ok(Some((Pid::from_raw(pid.as_raw_nonzero().get()), change)));
                }
            }
            Ok(None) if at_once => return Ok(None),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(nix::Error::from_raw(error.raw_os_error())),
        }
    }
}

/// Continues a task from the stop for a signal, which is then delivered.
pub(super) fn pass_on(pid: Pid, signal: i32) -> nix::Result<()> {
    if let Ok(signal) = Signal::try_from(signal) {
        return ptrace::cont(pid, signal);
    }
    // Of the crates that call ptrace(2), this one accepts the signal as a number. The constructor's name warns of
    // tasks that are not stopped; for those the kernel refuses the request, and nothing happens.
    let stopped = safeptrace::Stopped::new_unchecked(safeptrace::Pid::from_raw(pid.as_raw()));
    match stopped.resume_raw(signal) {
        Ok(_) => Ok(()),
        Err(_) => Err(nix::Error::ESRCH),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_told_in_numbers() {
        let cases = [
            (0x0300, Some(Change::Ended(ExitReason::Exited(3)))),
            (33, Some(Change::Ended(ExitReason::Signalled(33)))),
            (0x217f, Some(Change::Signal(33))),
            (0x057f | 0x8000, Some(Change::Call)),
            (0x0007_057f, Some(Change::Event(7, 5))),
            (0xffff, None),
        ];
        for (status, change) in cases {
            assert_eq!(Change::from_status(status), change, "{status:x}");
        }
    }
}
