//! The helper process: enters a user namespace, then does one task in it.
//!
//! It consists of two processes of this program; for a run, of a sealed copy. The first process enters the namespaces
//! while it is still the worker's user, has the worker write its id maps, and forks. The second one is process 1 of
//! its own process namespace and does the task. The kernel kills the second process with the first, the first with the
//! worker, and everything that the task started with the second. No signal that a build could block or clear is needed
//! for that.

use std::fs::File;
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::process::{Command, Stdio};

use nix::sched::CloneFlags;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Gid, Pid, Uid};

use super::folders::Folders;
use super::protocol::{Failure, HelperEvent, Task, TaskAnswer};
use super::{HELPER_ARGUMENT, IdMap};
use super::{cgroup, mounts, runtime, sealed};
use crate::rootfs;
use crate::rootfs::removal;
use crate::rootfs::{LayerPlan, UnpackPlan};
use crate::sandbox::SandboxError;

/// What a helper is started for; the worker sends the exact task later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To run untrusted code.
    Run,
    /// To read and write files.
    Files,
}

impl Purpose {
    pub(super) fn of(task: &Task) -> Self {
        match task {
            Task::Run(_) => Self::Run,
            _ => Self::Files,
        }
    }
}

/// The command that starts a helper: this program, with an empty environment.
pub(super) fn command(purpose: Purpose) -> io::Result<Command> {
    use std::os::unix::process::CommandExt as _;
    let program = match purpose {
        Purpose::Run => format!("/proc/self/fd/{}", sealed::program()?.as_raw_fd()),
        Purpose::Files => "/proc/self/exe".to_owned(),
    };
    let mut command = Command::new(program);
    // Its own process group: Ctrl-C on the terminal is for the worker, which then ends its helpers.
    command
        .arg0("rebuilder")
        .arg(HELPER_ARGUMENT)
        .env_clear()
        .current_dir("/")
        .process_group(0);
    Ok(command)
}

/// Maximum number of bytes of one line that a helper sends.
pub(super) const LINE_LIMIT: u64 = 1 << 20;

/// Runs a small task to its end without an async runtime; used for cleaning up.
pub(super) fn run_blocking(ids: &IdMap, task: &Task) -> Result<(), SandboxError> {
    let broken = |reason: String| SandboxError::Broken {
        during: "cleaning up",
        reason,
    };
    let mut child = command(Purpose::of(task))
        .and_then(|mut command| {
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
        })
        .map_err(SandboxError::io("start the sandbox helper"))?;
    let (Some(mut stdin), Some(stderr)) = (child.stdin.take(), child.stderr.take()) else {
        return Err(broken("the pipes are missing".into()));
    };
    let line = serde_json::to_string(task).map_err(|error| broken(error.to_string()))?;
    writeln!(stdin, "{line}").map_err(SandboxError::io("talk to the sandbox helper"))?;
    let mut failed = None;
    for line in io::BufReader::new(stderr.take(LINE_LIMIT)).lines() {
        let line = line.map_err(SandboxError::io("talk to the sandbox helper"))?;
        match serde_json::from_str(&line).map_err(|error| broken(error.to_string()))? {
            HelperEvent::WantsMap { pid, .. } => {
                ids.write(pid, None)?;
                writeln!(stdin, "go").map_err(SandboxError::io("talk to the sandbox helper"))?;
            }
            HelperEvent::Failed(failure) => failed = Some(failure.reason),
            _ => {}
        }
    }
    let status = child
        .wait()
        .map_err(SandboxError::io("wait for the sandbox helper"))?;
    match failed {
        Some(reason) => Err(broken(reason)),
        None if status.success() => Ok(()),
        None => Err(broken(format!("the helper process ended early ({status})"))),
    }
}

/// Entry point of the helper process; returns its exit status.
pub fn serve() -> i32 {
    match enter() {
        Ok(status) => status,
        Err(failure) => {
            HelperEvent::Failed(failure).send();
            1
        }
    }
}

/// The first process: enters the namespaces, then forks and waits.
fn enter() -> Result<i32, Failure> {
    let worker = nix::unistd::getppid();
    die_with(worker)?;
    let mut lines = io::stdin().lines();
    let mut read = || lines.next().and_then(Result::ok).ok_or("the worker said nothing");
    let task: Task = serde_json::from_str(&read()?).map_err(|error| error.to_string())?;

    if let Task::Run(run) = &task {
        cgroup::enter(&run.groups).map_err(|error| format!("cannot enter the control groups: {error}"))?;
    }
    // Mounts that show other ids can only be made before entering; all others must be made of what is visible inside.
    let mapped = match &task {
        Task::Run(run) => Folders::with_own_ids(&task, run),
        _ => None,
    };
    let mut namespaces = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID;
    if matches!(task, Task::Run(_)) {
        namespaces |= CloneFlags::CLONE_NEWNET;
    }
    nix::sched::unshare(namespaces).map_err(|error| {
        format!("the kernel gives no user namespace: {error} (look at /proc/sys/user/max_user_namespaces)")
    })?;
    let shared_ids = mapped.is_none();
    // Opened while this process still owns the data folder, which others may not enter.
    let folders = match mapped {
        Some(folders) => folders,
        None => Folders::open(&task).map_err(|error| format!("cannot open the folders: {error}"))?,
    };
    HelperEvent::WantsMap {
        pid: nix::unistd::getpid().as_raw(),
        shared_ids,
    }
    .send();
    if read()? != "go" {
        return Err("the worker gave up".into());
    }
    drop(lines);
    become_root().map_err(|error| format!("cannot become the sandbox's root: {error}"))?;
    // Changing the user has cleared this setting.
    die_with(worker)?;
    // No other process may inspect this one, or its children, until the build's own program runs.
    prctl::set_dumpable(false).map_err(|error| error.to_string())?;

    fork_and_wait(&task, folders)
}

/// Forks the second process, which does the task, and waits for its end. It reports that its end is tied to this process,
/// and continues only if this process answers.
fn fork_and_wait(task: &Task, folders: Folders) -> Result<i32, Failure> {
    let (tied, untied) = (pipe()?, pipe()?);
    match fork::fork().map_err(|error| format!("cannot start a process: {error}"))? {
        fork::Fork::Child => {
            drop((tied.0, untied.1));
            Ok(match first_of_namespace(task, &folders, tied.1, untied.0) {
                Ok(()) => 0,
                Err(failure) => {
                    HelperEvent::Failed(failure).send();
                    1
                }
            })
        }
        fork::Fork::Parent(child) => {
            drop((tied.1, untied.0, folders));
            let mut byte = [0];
            let alive = File::from(tied.0).read(&mut byte).is_ok_and(|count| count == 1);
            if alive {
                let _ = File::from(untied.1).write_all(&byte);
            }
            Ok(wait_for(Pid::from_raw(child)))
        }
    }
}

/// Process 1 of the process namespace of the task.
fn first_of_namespace(
    task: &Task,
    folders: &Folders,
    tied: std::os::fd::OwnedFd,
    go: std::os::fd::OwnedFd,
) -> Result<(), Failure> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|error| error.to_string())?;
    let mut byte = [1];
    File::from(tied)
        .write_all(&byte)
        .map_err(|error| error.to_string())?;
    // If the pipe ends without the byte, the first process has ended.
    File::from(go)
        .read_exact(&mut byte)
        .map_err(|_| "the worker is gone".to_owned())?;
    if !matches!(task, Task::Run(_)) {
        // An untrusted archive must not make a decompressor use all of the machine's memory.
        setrlimit(Resource::RLIMIT_DATA, TASK_MEMORY, TASK_MEMORY).map_err(|error| error.to_string())?;
    }
    work(task, folders)
}

/// Maximum number of bytes of memory for a task other than a run: enough for several large decompressors.
const TASK_MEMORY: u64 = 2 << 30;

fn wait_for(child: Pid) -> i32 {
    loop {
        match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, status)) => return status,
            Ok(WaitStatus::Signaled(_, signal, _)) => return (signal as i32).saturating_add(128),
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(_) => return 1,
        }
    }
}

fn work(task: &Task, folders: &Folders) -> Result<(), Failure> {
    let event = match task {
        Task::Run(run) => HelperEvent::Ended {
            ended: runtime::run(run, folders)?,
        },
        _ => HelperEvent::Done {
            answer: answer(task, folders)?,
        },
    };
    event.send();
    Ok(())
}

/// Does a task other than a run.
fn answer(task: &Task, folders: &Folders) -> Result<TaskAnswer, Failure> {
    let first = folders.first().ok_or("no folder")?;
    Ok(match task {
        Task::Run(_) => return Err("a run is not such a task".into()),
        Task::Unpack { plan, .. } => {
            let plan = UnpackPlan {
                folder: folders.path(1).ok_or("no folder")?,
                packages: plan.packages.clone(),
            };
            rootfs::unpack(&plan, &first)?;
            TaskAnswer::Done
        }
        Task::UnpackLayers { plan, .. } => {
            let plan = LayerPlan {
                folder: folders.path(1).ok_or("no folder")?,
                files: plan.files.clone(),
            };
            rootfs::unpack_layers(&plan, &first)?;
            TaskAnswer::Done
        }
        Task::Normalise { times, .. } => TaskAnswer::Tree(rootfs::normalise(&first, *times)?),
        Task::Digest { .. } => TaskAnswer::Tree(rootfs::digest(&first)?),
        Task::Seal { .. } => TaskAnswer::Seal(rootfs::seal(&first)?),
        Task::Export { .. } => {
            mounts::export(folders)?;
            TaskAnswer::Done
        }
        Task::Remove { .. } => {
            removal::empty(&first).map_err(|error| error.to_string())?;
            TaskAnswer::Done
        }
    })
}

fn pipe() -> Result<(std::os::fd::OwnedFd, std::os::fd::OwnedFd), String> {
    nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(|error| error.to_string())
}

/// Has the kernel kill this process when its parent ends; the parent must still be `worker`.
fn die_with(worker: Pid) -> Result<(), String> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|error| error.to_string())?;
    if nix::unistd::getppid() != worker {
        return Err("the worker is gone".into());
    }
    Ok(())
}

fn become_root() -> nix::Result<()> {
    let (uid, gid) = (Uid::from_raw(0), Gid::from_raw(0));
    nix::unistd::setresgid(gid, gid, gid)?;
    nix::unistd::setgroups(&[])?;
    nix::unistd::setresuid(uid, uid, uid)
}
