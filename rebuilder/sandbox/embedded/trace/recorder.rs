//! Records what traced processes do to files.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use nix::libc;
use nix::sys::ptrace::{self, Event as Stop};
use nix::unistd::Pid;

use super::calls::{self, Act, Call};
use super::memory::{self, Registers, Seen};
use crate::trace::{COMMAND_LINE, Event, MOST};

/// Folders of files that the system brings; reads of these files are not recorded.
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

/// What a call will have done if it returns without an error.
enum Pending {
    Opened,
    Done(Event),
}

/// A kernel task: a process, or a thread of one.
struct Task {
    process: u32,
    pending: Option<Pending>,
}

/// The record of one container.
pub(super) struct Recorder {
    /// `None` when the record is full.
    events: Option<BufWriter<File>>,
    written: u64,
    /// `/proc` of the namespace of this process.
    processes: PathBuf,
    tasks: HashMap<i32, Task>,
    /// Tasks that were found before their parent's event.
    found: HashSet<i32>,
    /// The files that each process has read, so that each is recorded once.
    read: HashMap<u32, HashSet<PathBuf>>,
    next: u32,
}

impl Recorder {
    /// Begins with the container's first process.
    pub(super) fn new(init: Pid, events: File, processes: PathBuf) -> Self {
        let mut this = Self {
            events: Some(BufWriter::with_capacity(1 << 16, events)),
            written: 0,
            processes,
            tasks: HashMap::new(),
            found: HashSet::new(),
            read: HashMap::new(),
            next: 0,
        };
        this.add(init.as_raw(), None);
        this
    }

    /// A write error is ignored: a full disk shows in the build's own end.
    pub(super) fn finish(&mut self) {
        if let Some(events) = &mut self.events {
            let _ = events.flush();
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

    /// A process has started another one, or a thread.
    pub(super) fn started(&mut self, parent: Pid, child: i32, event: i32) {
        if self.found.remove(&child) {
            return;
        }
        let Some(by) = self.tasks.get(&parent.as_raw()).map(|task| task.process) else {
            return;
        };
        // A task that was killed before its first moment may already have been reported as ended.
        let Some(family) = self.seen(Pid::from_raw(child)).family() else {
            return;
        };
        if event == Stop::PTRACE_EVENT_CLONE as i32 && family.process != child {
            self.add_thread(child, by);
        } else {
            self.add(child, Some(by));
        }
    }

    /// A task is in its first moment. Its parent's event may never come: the parent may have been killed meanwhile,
    /// and then the task has another parent by now.
    pub(super) fn found(&mut self, pid: Pid) {
        let task = pid.as_raw();
        if self.tasks.contains_key(&task) {
            return;
        }
        let Some(family) = self.seen(pid).family() else {
            return;
        };
        self.found.insert(task);
        let process = |task: i32| self.tasks.get(&task).map(|task| task.process);
        match process(family.process) {
            Some(process) => self.add_thread(task, process),
            None => self.add(task, process(family.parent)),
        }
    }

    fn add_thread(&mut self, task: i32, process: u32) {
        let task_of = Task {
            process,
            pending: None,
        };
        self.tasks.insert(task, task_of);
    }

    /// A process has executed another program.
    pub(super) fn executed(&mut self, pid: Pid) {
        // A thread that executes a program gets the id of its process.
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

    /// A process or a thread has ended.
    pub(super) fn gone(&mut self, pid: Pid) {
        if let Some(task) = self.tasks.remove(&pid.as_raw())
            && !self.tasks.values().any(|other| other.process == task.process)
        {
            self.read.remove(&task.process);
            self.record(&Event::End { p: task.process });
        }
    }

    fn seen(&self, pid: Pid) -> Seen<'_> {
        Seen {
            processes: &self.processes,
            pid,
        }
    }

    /// At the entry of a call: returns whether its exit must be awaited, to know whether it succeeded.
    pub(super) fn entered(&mut self, pid: Pid) -> bool {
        let pending = self.will_do(pid);
        let waits = pending.is_some();
        if let Some(task) = self.tasks.get_mut(&pid.as_raw()) {
            task.pending = pending;
        }
        waits
    }

    fn will_do(&mut self, pid: Pid) -> Option<Pending> {
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

    /// Records a read. Most reads are of the system's own files, and their results are not awaited.
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
        if self.read.entry(p).or_default().insert(path) {
            self.record(&event);
        }
    }

    /// At the exit of a call.
    pub(super) fn left(&mut self, pid: Pid) {
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

/// The creation of a symbolic link, with its target.
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

/// Whether a path is neither that of a device nor one of the kernel's own files.
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
