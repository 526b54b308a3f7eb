//! A tracer between the helper and a build: it records which process wrote, read, renamed or removed which file.
//!
//! It is the helper's own main thread, by ptrace: a seccomp filter stops a process at the few calls that matter
//! ([`calls`]), and at no other one; starts, programs and ends are events of ptrace. Nothing of a process is changed.
//! What a build can notice is its `TracerPid`, and that no other tracer (a debugger, a leak checker) gets at it.
//!
//! A process that is killed while it is stopped is gone at the next request (`ESRCH`), which is no error here.

mod calls;
mod memory;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::libc;
use nix::sys::ptrace::{self, Event as Stop, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use seccompiler::{BackendError, BpfProgram};

use super::super::ExitReason;
use crate::trace::{COMMAND_LINE, Event, MOST};
use calls::{Act, Call};
use memory::{Registers, Seen};

/// The file of events, beside what the build writes and out of its reach.
pub(super) const EVENTS: &str = "events";

/// The filter that stops processes for the tracer.
pub(super) fn filter() -> Result<BpfProgram, BackendError> {
    calls::program()
}

/// Where files are that a build only reads because the system has them; such reads are not recorded.
const SYSTEM: [&str; 9] = [
    "/usr/",
    "/lib",
    "/etc/",
    "/proc/",
    "/dev/",
    "/sys/",
    "/bin/",
    "/sbin/",
    "/var/lib/",
];

/// How often a process that has been stopped by a signal is looked at.
const NAP: Duration = Duration::from_millis(5);

/// What a call that has not returned yet will have done.
enum Pending {
    Opened,
    Done(Event),
}

/// A task of the kernel: a process or a thread of it.
struct Task {
    process: u32,
    pending: Option<Pending>,
}

/// The tracer of one container.
pub(super) struct Tracer {
    events: Option<BufWriter<File>>,
    written: u64,
    /// `/proc` of this process's namespace.
    processes: PathBuf,
    tasks: HashMap<i32, Task>,
    /// Stopped at their start, before who started them was told of them.
    early: HashSet<i32>,
    /// Stopped by a signal, until another one continues them.
    paused: HashSet<i32>,
    /// What each process has read, so that it is recorded once.
    read: HashSet<(u32, PathBuf)>,
    next: u32,
}

impl Tracer {
    /// Takes hold of the container's first process, which waits to be started.
    pub(super) fn seize(init: Pid, events: &Path, processes: PathBuf) -> Result<Self, String> {
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACESECCOMP
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_EXITKILL;
        ptrace::seize(init, options).map_err(|error| format!("cannot trace the build: {error}"))?;
        let file = File::create(events).map_err(|error| format!("cannot write the trace: {error}"))?;
        let mut this = Self {
            events: Some(BufWriter::with_capacity(1 << 16, file)),
            written: 0,
            processes,
            tasks: HashMap::new(),
            early: HashSet::new(),
            paused: HashSet::new(),
            read: HashSet::new(),
            next: 0,
        };
        this.add(init.as_raw(), None);
        Ok(this)
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
        if let Some(events) = &mut self.events {
            // A disk that is full shows in the build's own end.
            let _ = events.flush();
        }
        ended
    }

    fn stopped(&mut self, status: WaitStatus) {
        // Only a process that is gone refuses to go on.
        let _ = match status {
            WaitStatus::PtraceEvent(pid, _, event) if event == Stop::PTRACE_EVENT_SECCOMP as i32 => {
                match self.entered(pid) {
                    Some(pending) => {
                        if let Some(task) = self.tasks.get_mut(&pid.as_raw()) {
                            task.pending = Some(pending);
                        }
                        ptrace::syscall(pid, None)
                    }
                    None => ptrace::cont(pid, None),
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
                self.left(pid);
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
        if self.tasks.contains_key(&pid.as_raw()) {
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

    fn add(&mut self, pid: i32, by: Option<u32>) {
        let process = self.next;
        self.next = self.next.saturating_add(1);
        self.tasks.insert(
            pid,
            Task {
                process,
                pending: None,
            },
        );
        self.record(&Event::Start { p: process, by });
    }

    fn started(&mut self, parent: Pid, child: i32, event: i32) {
        let Some(by) = self.tasks.get(&parent.as_raw()).map(|task| task.process) else {
            return;
        };
        let seen = self.seen(Pid::from_raw(child));
        let thread = event == Stop::PTRACE_EVENT_CLONE as i32
            && seen.thread_group().is_some_and(|group| group != child);
        if thread {
            let task = Task {
                process: by,
                pending: None,
            };
            self.tasks.insert(child, task);
        } else {
            self.add(child, Some(by));
        }
        if self.early.remove(&child) {
            let _ = ptrace::cont(Pid::from_raw(child), None);
        }
    }

    fn executed(&mut self, pid: Pid) {
        // The thread that executes takes the number of its process.
        let former = ptrace::getevent(pid)
            .ok()
            .and_then(|former| i32::try_from(former).ok());
        if let Some(former) = former.filter(|former| *former != pid.as_raw()) {
            self.tasks.remove(&former);
        }
        let Some(task) = self.tasks.get_mut(&pid.as_raw()) else {
            return;
        };
        task.pending = None;
        let process = task.process;
        let seen = self.seen(pid);
        let event = Event::Exec {
            p: process,
            argv: seen.command_line(COMMAND_LINE),
            cwd: shown(&seen.cwd().unwrap_or_default()),
            out: seen
                .handle(1)
                .filter(|path| is_file(path))
                .map(|path| shown(&path)),
        };
        self.record(&event);
    }

    fn gone(&mut self, pid: Pid) {
        self.early.remove(&pid.as_raw());
        self.paused.remove(&pid.as_raw());
        if let Some(task) = self.tasks.remove(&pid.as_raw())
            && !self.tasks.values().any(|other| other.process == task.process)
        {
            self.read.retain(|(process, _)| *process != task.process);
            self.record(&Event::End { p: task.process });
        }
    }

    fn seen(&self, pid: Pid) -> Seen<'_> {
        Seen {
            processes: &self.processes,
            pid,
        }
    }

    /// At a call: what it will have done, if its end must be waited for.
    fn entered(&mut self, pid: Pid) -> Option<Pending> {
        self.events.as_ref()?;
        let p = self.tasks.get(&pid.as_raw())?.process;
        let registers = memory::registers(pid).ok()?;
        let call = Call::find(registers.number)?;
        let get = |index: usize| registers.arguments.get(index).copied();
        let flags = match call.act {
            Act::Open(index) => Some(get(index)?),
            Act::OpenHow(index) => Some(memory::word(pid, get(index)?)?),
            Act::Create => return Some(Pending::Opened),
            _ => None,
        };
        if let Some(flags) = flags {
            return if writes(flags) {
                Some(Pending::Opened)
            } else {
                self.reads(p, pid, call, &registers);
                None
            };
        }
        let seen = self.seen(pid);
        let path = |arg| Some(shown(&seen.place_of(&seen.path(&registers, arg)?)));
        let first = || path(call.first);
        let second = || path(call.second?);
        Some(Pending::Done(match call.act {
            Act::Move => Event::Move {
                p,
                from: first()?,
                to: second()?,
            },
            Act::Link => Event::Link {
                p,
                from: first()?,
                to: second()?,
            },
            Act::Symlink => symbolic(p, &seen, call, &registers)?,
            Act::Remove => Event::Remove { p, path: first()? },
            Act::Times => Event::Times { p, path: first()? },
            Act::Mode => Event::Mode { p, path: first()? },
            Act::Folder => Event::Folder { p, path: first()? },
            Act::Truncate => Event::Open { p, path: first()? },
            Act::Open(_) | Act::OpenHow(_) | Act::Create => return None,
        }))
    }

    /// A call for reading; most are of the system's own files, and what they give is not waited for.
    fn reads(&mut self, p: u32, pid: Pid, call: &Call, registers: &Registers) {
        let seen = self.seen(pid);
        let Some(path) = seen.path(registers, call.first) else {
            return;
        };
        let path = memory::lexical(&path);
        let text = path.to_string_lossy();
        if SYSTEM.iter().any(|folder| text.starts_with(folder)) || path.parent().is_none() {
            return;
        }
        let event = Event::Read {
            p,
            path: text.into_owned(),
        };
        if self.read.insert((p, path)) {
            self.record(&event);
        }
    }

    /// At the end of a call.
    fn left(&mut self, pid: Pid) {
        let Some(task) = self.tasks.get_mut(&pid.as_raw()) else {
            return;
        };
        let (p, pending) = (task.process, task.pending.take());
        let (Some(pending), Ok(result)) = (pending, memory::result(pid)) else {
            return;
        };
        let Ok(result) = u64::try_from(result) else {
            return;
        };
        match pending {
            Pending::Done(event) => self.record(&event),
            Pending::Opened => {
                let path = self.seen(pid).handle(result);
                let path = path.filter(|path| is_file(path));
                if let Some(path) = path {
                    self.record(&Event::Open {
                        p,
                        path: shown(&path),
                    });
                }
            }
        }
    }

    fn record(&mut self, event: &Event) {
        let Some(events) = &mut self.events else {
            return;
        };
        let full = self.written > MOST;
        let Ok(mut line) = serde_json::to_vec(if full { &Event::Cut } else { event }) else {
            return;
        };
        line.push(b'\n');
        self.written = self.written.saturating_add(line.len() as u64);
        let written = events.write_all(&line);
        if full || written.is_err() {
            let _ = events.flush();
            self.events = None;
        }
    }
}

/// A symbolic link, with what it points at.
fn symbolic(p: u32, seen: &Seen<'_>, call: &Call, registers: &Registers) -> Option<Event> {
    let calls::Arg::Path(index) = call.first else {
        return None;
    };
    let text = memory::text(seen.pid, registers.arguments.get(index).copied()?)?;
    let to = seen.place_of(&seen.path(registers, call.second?)?);
    let target = PathBuf::from(String::from_utf8_lossy(&text).into_owned());
    let from = memory::lexical(&to.parent().unwrap_or(Path::new("/")).join(target));
    Some(Event::Link {
        p,
        from: shown(&from),
        to: shown(&to),
    })
}

/// Whether a path is not that of a device or of the kernel's own files.
fn is_file(path: &Path) -> bool {
    !["/dev", "/proc", "/sys"]
        .iter()
        .any(|folder| path.starts_with(folder))
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn writes(flags: u64) -> bool {
    let of = |flag: libc::c_int| u64::from(flag.cast_unsigned());
    let path = of(libc::O_PATH);
    flags & path == 0
        && flags & (of(libc::O_WRONLY) | of(libc::O_RDWR) | of(libc::O_CREAT) | of(libc::O_TRUNC)) != 0
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
