//! The tracer between the helper and a build: it records which process wrote, read, renamed or removed which file, and
//! shows the build another machine.
//!
//! The tracer is the helper's main thread, and uses ptrace: seccomp filters stop a process only at the few calls that
//! matter ([`calls`], [`super::veil`]); starts of processes and programs, and ends, are events of ptrace. A process
//! can have only one tracer, so both jobs are done here. A build can notice its `TracerPid`, and that no other tracer
//! (a debugger, a leak checker) can attach.
//!
//! If a process is killed while it is stopped, the next request fails with `ESRCH`; that is not an error here.

mod calls;
mod memory;
mod recorder;

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::ptrace::{self, Event as Stop, Options};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use seccompiler::{BackendError, BpfProgram};

use super::super::ExitReason;
use super::veil::Veil;
use super::wait::{self, Change};
use memory::Seen;
use recorder::Recorder;

/// The file of events, beside the folders that the build writes into, and out of its reach.
pub(super) const EVENTS: &str = "events";

/// The filter that stops processes at the calls to record.
pub(super) fn filter() -> Result<BpfProgram, BackendError> {
    calls::program()
}

/// How often a process that a signal has stopped is checked.
const LOOK: Duration = Duration::from_millis(5);
/// How long to wait for the next event without sleeping, while some process is stopped.
const AWAKE: Duration = Duration::from_micros(200);
/// The first sleep; each is twice as long as the one before, up to [`LOOK`].
const NAP: Duration = Duration::from_micros(50);

/// The tracer of one container.
pub(super) struct Tracer {
    init: Pid,
    recorder: Option<Recorder>,
    veil: Option<Veil>,
    /// `/proc` of the namespace of this process.
    processes: PathBuf,
    /// Processes that a signal has stopped, until another one continues them.
    paused: HashSet<i32>,
    /// When they were last checked.
    looked: Instant,
}

impl Tracer {
    /// Attaches to the container's first process, which waits to be started. `events` is the file to record in.
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
            init,
            recorder,
            veil,
            processes,
            paused: HashSet::new(),
            looked: Instant::now(),
        })
    }

    /// Traces everything until the first process has ended.
    pub(super) fn until_end(&mut self) -> ExitReason {
        let ended = loop {
            match self.next() {
                Ok((pid, Change::Ended(ended))) if pid == self.init => break ended,
                Ok((pid, change)) => self.changed(pid, change),
                Err(_) => break ExitReason::Signalled(Signal::SIGKILL as i32),
            }
        };
        if let Some(recorder) = &mut self.recorder {
            recorder.finish();
        }
        ended
    }

    /// Waits for the next event, and checks stopped processes meanwhile: no event tells when another signal continues
    /// them.
    fn next(&mut self) -> nix::Result<(Pid, Change)> {
        let (begun, mut nap) = (Instant::now(), NAP);
        loop {
            if !self.paused.is_empty() && self.looked.elapsed() >= LOOK {
                self.wake();
                self.looked = Instant::now();
            }
            if let Some(change) = wait::next(None, !self.paused.is_empty())? {
                return Ok(change);
            }
            if begun.elapsed() < AWAKE {
                std::thread::yield_now();
            } else {
                std::thread::sleep(nap);
                nap = nap.saturating_mul(2).min(LOOK);
            }
        }
    }

    fn changed(&mut self, pid: Pid, change: Change) {
        // Continuing fails only for a process that has ended.
        let _ = match change {
            Change::Event(event, _) if event == Stop::PTRACE_EVENT_SECCOMP as i32 => {
                // Recorded before the veil changes the call, so that the record has what the process asked for.
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
            Change::Event(event, signal) if event == Stop::PTRACE_EVENT_STOP as i32 => {
                self.halted(pid, signal)
            }
            Change::Event(event, _) => {
                if event == Stop::PTRACE_EVENT_EXEC as i32 {
                    self.executed(pid);
                } else if let (Some(recorder), Ok(child)) = (&mut self.recorder, ptrace::getevent(pid)) {
                    recorder.started(pid, i32::try_from(child).unwrap_or(0), event);
                }
                ptrace::cont(pid, None)
            }
            Change::Call => {
                if let Some(veil) = &mut self.veil {
                    veil.left(pid);
                }
                if let Some(recorder) = &mut self.recorder {
                    recorder.left(pid);
                }
                ptrace::cont(pid, None)
            }
            // Without a tracer, the first process of a namespace never gets this signal.
            Change::Signal(libc::SIGSTOP) if self.is_first(pid) => ptrace::cont(pid, None),
            Change::Signal(signal) => wait::pass_on(pid, signal),
            Change::Ended(_) => {
                self.gone(pid);
                Ok(())
            }
        };
    }

    /// Whether a task belongs to the container's first process.
    fn is_first(&self, pid: Pid) -> bool {
        let seen = Seen {
            processes: &self.processes,
            pid,
        };
        seen.family()
            .is_some_and(|family| family.process == self.init.as_raw())
    }

    /// Handles a stop that no call caused: a task's first moment, or a signal that stops a whole process.
    fn halted(&mut self, pid: Pid, signal: i32) -> nix::Result<()> {
        // The parent's event reports the task too, unless the parent is killed before.
        if let Some(recorder) = &mut self.recorder {
            recorder.found(pid);
        }
        let stops = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
        if stops.contains(&signal) {
            self.paused.insert(pid.as_raw());
            return Ok(());
        }
        ptrace::cont(pid, None)
    }

    /// Continues the stopped processes that another process has sent SIGCONT to.
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

    fn executed(&mut self, pid: Pid) {
        if let Some(veil) = &mut self.veil {
            veil.executed(pid);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.executed(pid);
        }
    }

    fn gone(&mut self, pid: Pid) {
        self.paused.remove(&pid.as_raw());
        if let Some(veil) = &mut self.veil {
            veil.gone(pid);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.gone(pid);
        }
    }
}

/// Whether SIGCONT is pending for a process, by its `/proc/PID/status` (proc_pid_status(5)), or the process has ended.
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
