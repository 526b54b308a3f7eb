//! The tracer between the helper and a build: it records which process wrote, read, renamed or removed which file, and
//! shows the build another machine.
//!
//! It is the helper's own main thread, by ptrace: seccomp filters stop a process at the few calls that matter
//! ([`calls`], [`super::veil`]), and at no other one; starts, programs and ends are events of ptrace. A process has one
//! tracer, so both jobs are done here. What a build can notice is its `TracerPid`, and that no other tracer (a debugger,
//! a leak checker) gets at it.
//!
//! A process that is killed while it is stopped is gone at the next request (`ESRCH`), which is no error here.

mod calls;
mod memory;
mod recorder;

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::ptrace::{self, Event as Stop, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use seccompiler::{BackendError, BpfProgram};

use super::super::ExitReason;
use super::veil::Veil;
use recorder::Recorder;

/// The file of events, beside what the build writes and out of its reach.
pub(super) const EVENTS: &str = "events";

/// The filter that stops processes where something is to be recorded.
pub(super) fn filter() -> Result<BpfProgram, BackendError> {
    calls::program()
}

/// How often a process that has been stopped by a signal is looked at.
const NAP: Duration = Duration::from_millis(5);

/// The tracer of one container.
pub(super) struct Tracer {
    recorder: Option<Recorder>,
    veil: Option<Veil>,
    /// `/proc` of this process's namespace.
    processes: PathBuf,
    /// Stopped at their start, before the recorder was told of them.
    early: HashSet<i32>,
    /// Stopped by a signal, until another one continues them.
    paused: HashSet<i32>,
}

impl Tracer {
    /// Takes hold of the container's first process, which waits to be started. `events` is the file to record in.
    pub(super) fn seize(
        init: Pid,
        events: Option<&Path>,
        veil: Option<Veil>,
        processes: PathBuf,
    ) -> Result<Self, String> {
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACESECCOMP
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_EXITKILL;
        ptrace::seize(init, options).map_err(|error| format!("cannot trace the build: {error}"))?;
        let recorder = match events {
            Some(path) => {
                let file = File::create(path).map_err(|error| format!("cannot write the trace: {error}"))?;
                Some(Recorder::new(init, file, processes.clone()))
            }
            None => None,
        };
        Ok(Self {
            recorder,
            veil,
            processes,
            early: HashSet::new(),
            paused: HashSet::new(),
        })
    }

    /// Follows everything until the first process has ended.
    pub(super) fn until_end(&mut self, init: Pid) -> ExitReason {
        let ended = loop {
            let status = if self.paused.is_empty() {
                waitpid(None, Some(WaitPidFlag::__WALL))
            } else {
                waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG))
            };
            match status {
                Ok(WaitStatus::Exited(pid, code)) if pid == init => break ExitReason::from_status(code),
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == init => {
                    break ExitReason::Signalled(signal as i32);
                }
                Ok(WaitStatus::StillAlive) => {
                    std::thread::sleep(NAP);
                    self.wake();
                }
                Ok(status) => self.stopped(status),
                Err(nix::Error::EINTR) => {}
                // A real-time signal, which this tracer cannot pass on: better no build than another one.
                Err(nix::Error::EINVAL) => {
                    let _ = kill(init, Signal::SIGKILL);
                }
                Err(_) => break ExitReason::Signalled(Signal::SIGKILL as i32),
            }
        };
        if let Some(recorder) = &mut self.recorder {
            recorder.finish();
        }
        ended
    }

    fn stopped(&mut self, status: WaitStatus) {
        // Only a process that is gone refuses to go on.
        let _ = match status {
            WaitStatus::PtraceEvent(pid, _, event) if event == Stop::PTRACE_EVENT_SECCOMP as i32 => {
                // The record is of what the process asked for, so it comes before the veil changes that.
                let recorded = self
                    .recorder
                    .as_mut()
                    .is_some_and(|recorder| recorder.entered(pid));
                let veiled = self.veil.as_mut().is_some_and(|veil| veil.entered(pid));
                if recorded || veiled {
                    ptrace::syscall(pid, None)
                } else {
                    ptrace::cont(pid, None)
                }
            }
            WaitStatus::PtraceEvent(pid, signal, event) if event == Stop::PTRACE_EVENT_STOP as i32 => {
                self.halted(pid, signal)
            }
            WaitStatus::PtraceEvent(pid, _, event) => {
                if event == Stop::PTRACE_EVENT_EXEC as i32 {
                    self.executed(pid);
                } else if let Ok(child) = ptrace::getevent(pid) {
                    self.started(pid, i32::try_from(child).unwrap_or(0), event);
                }
                ptrace::cont(pid, None)
            }
            WaitStatus::PtraceSyscall(pid) => {
                if let Some(veil) = &mut self.veil {
                    veil.left(pid);
                }
                if let Some(recorder) = &mut self.recorder {
                    recorder.left(pid);
                }
                ptrace::cont(pid, None)
            }
            WaitStatus::Stopped(pid, signal) => ptrace::cont(pid, signal),
            WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..) => {
                self.gone(pid);
                Ok(())
            }
            _ => Ok(()),
        };
    }

    /// A stop that no call caused: a task's first moment, or a signal that stops all of a process.
    fn halted(&mut self, pid: Pid, signal: Signal) -> nix::Result<()> {
        let stops = [Signal::SIGSTOP, Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU];
        if stops.contains(&signal) {
            self.paused.insert(pid.as_raw());
            return Ok(());
        }
        if self.recorder.as_ref().is_none_or(|recorder| recorder.knows(pid)) {
            return ptrace::cont(pid, None);
        }
        self.early.insert(pid.as_raw());
        Ok(())
    }

    /// Lets those go on that another process has sent the signal to.
    fn wake(&mut self) {
        let processes = &self.processes;
        let woken: Vec<_> = self
            .paused
            .iter()
            .copied()
            .filter(|pid| {
                let status = std::fs::read_to_string(processes.join(pid.to_string()).join("status"));
                status.map_or(true, |status| is_continued(&status))
            })
            .collect();
        for pid in woken {
            self.paused.remove(&pid);
            let _ = ptrace::cont(Pid::from_raw(pid), None);
        }
    }

    fn started(&mut self, parent: Pid, child: i32, event: i32) {
        if let Some(recorder) = &mut self.recorder {
            recorder.started(parent, child, event);
        }
        if self.early.remove(&child) {
            let _ = ptrace::cont(Pid::from_raw(child), None);
        }
    }

    fn executed(&mut self, pid: Pid) {
        if let Some(veil) = &self.veil {
            veil.executed(pid);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.executed(pid);
        }
    }

    fn gone(&mut self, pid: Pid) {
        self.early.remove(&pid.as_raw());
        self.paused.remove(&pid.as_raw());
        if let Some(veil) = &mut self.veil {
            veil.gone(pid);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.gone(pid);
        }
    }
}

/// Whether SIGCONT waits for a process, by its `/proc/PID/status` (proc_pid_status(5)), or it is gone.
fn is_continued(status: &str) -> bool {
    let pending = status.lines().filter_map(|line| {
        let mask = line
            .strip_prefix("ShdPnd:")
            .or_else(|| line.strip_prefix("SigPnd:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    });
    let bit = 1 << (Signal::SIGCONT as u32).saturating_sub(1);
    pending.fold(0, |all, mask| all | mask) & bit != 0
}
