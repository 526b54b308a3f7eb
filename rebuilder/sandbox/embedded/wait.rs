//! What becomes of processes, in plain numbers: nix gives signals from 32 on no name, and fails where one comes.
//! Ordinary programs use them, as C libraries cancel threads and change the ids of all threads by them.

use nix::libc;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use rustix::process::{WaitOptions, wait, waitpid};

use super::super::ExitReason;

/// What became of a child, or of a traced task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It is gone.
    Ended(ExitReason),
    /// It stopped for its tracer: the event, and the signal with it.
    Event(i32, i32),
    /// It stopped at the end of a call.
    Call,
    /// It stopped for a signal that is about to reach it.
    Signal(i32),
}

impl Change {
    /// From a status of wait(2); nothing for one that is of no interest.
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

/// The next change of a child, a traced task or one of the given number; none if there is none yet and `at_once`.
pub(super) fn next(of: Option<Pid>, at_once: bool) -> nix::Result<Option<(Pid, Change)>> {
    let mut options = WaitOptions::from_bits_retain(libc::__WALL.cast_unsigned());
    if at_once {
        options |= WaitOptions::NOHANG;
    }
    let of = of.and_then(|pid| rustix::process::Pid::from_raw(pid.as_raw()));
    loop {
        // Without a number, waitpid of this crate means the group of this process.
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

/// Lets a task go on from the stop for a signal, which reaches it then.
pub(super) fn pass_on(pid: Pid, signal: i32) -> nix::Result<()> {
    if let Ok(signal) = Signal::try_from(signal) {
        return ptrace::cont(pid, signal);
    }
    // Of the crates that call ptrace(2), this one takes the signal as a number. Its name for the constructor warns of tasks
    // that do not stand still; for those the kernel refuses the request, and nothing happens.
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
