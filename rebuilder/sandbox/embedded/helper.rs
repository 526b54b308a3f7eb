//! The helper process: enters a user namespace, then does one task there.
//!
//! It is single-threaded until the task begins, owns no secrets, and is killed by the kernel when its worker
//! ends, however that ends.

use std::io::{self, BufRead as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::sched::CloneFlags;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid};
use serde::{Deserialize, Serialize};

use super::runtime::{self, RunTask};
use super::{HELPER_ARGUMENT, IdMap};
use crate::container::{self, LayerPlan, UnpackPlan};
use crate::sandbox::{Ended, SandboxError};

/// What a helper is asked to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Task {
    /// Run a script in a container.
    Run(Box<RunTask>),
    /// Unpack packages into a folder.
    Unpack { target: PathBuf, plan: UnpackPlan },
    /// Unpack image layers into a folder.
    UnpackLayers { target: PathBuf, plan: LayerPlan },
    /// Normalise a root and give its digest.
    Normalise { root: PathBuf, epoch: Option<i64> },
    /// Write layers, lowest first, as a tar file.
    Export { layers: Vec<PathBuf>, file: PathBuf },
    /// Remove a tree.
    Remove { path: PathBuf },
}

/// What a helper says, one JSON line each, on its stderr.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum Event {
    /// It is in its user namespace and waits for the id maps.
    WantsMap { pid: i32 },
    /// The job's first command begins.
    Started,
    /// The job is over.
    Ended { ended: Ended },
    /// Another task is over; its result.
    Done { value: serde_json::Value },
    /// It could not do what it was asked.
    Failed { reason: String },
}

impl Event {
    pub(super) fn send(&self) {
        if let Ok(mut line) = serde_json::to_vec(self) {
            line.push(b'\n');
            // A worker that is gone reads nothing; the kernel ends us anyway.
            let _ = io::stderr().write_all(&line);
        }
    }
}

/// The command that starts a helper: this very binary, nothing of our environment.
pub(super) fn command() -> io::Result<Command> {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new(std::env::current_exe()?);
    // Its own process group: Ctrl-C on the terminal is for the worker, which then ends its helpers.
    command
        .arg(HELPER_ARGUMENT)
        .env_clear()
        .current_dir("/")
        .process_group(0);
    Ok(command)
}

/// Runs a small task to its end without an async runtime; used when cleaning up.
pub(super) fn run_blocking(ids: &IdMap, task: &Task) -> Result<(), SandboxError> {
    let broken = |reason: String| SandboxError::Broken {
        during: "cleaning up",
        reason,
    };
    let mut child = command()
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
    for line in io::BufReader::new(stderr).lines() {
        let line = line.map_err(SandboxError::io("talk to the sandbox helper"))?;
        match serde_json::from_str(&line).map_err(|error| broken(error.to_string()))? {
            Event::WantsMap { pid } => {
                ids.write(pid)?;
                writeln!(stdin, "go").map_err(SandboxError::io("talk to the sandbox helper"))?;
            }
            Event::Failed { reason } => return Err(broken(reason)),
            _ => {}
        }
    }
    child
        .wait()
        .map_err(SandboxError::io("wait for the sandbox helper"))?;
    Ok(())
}

/// Entry point of the helper process; returns its exit status.
pub fn serve() -> i32 {
    match work() {
        Ok(()) => 0,
        Err(reason) => {
            Event::Failed { reason }.send();
            1
        }
    }
}

fn work() -> Result<(), String> {
    die_with_parent()?;
    let mut lines = io::stdin().lines();
    let mut read = || lines.next().and_then(Result::ok).ok_or("the worker said nothing");
    let task: Task = serde_json::from_str(&read()?).map_err(|error| error.to_string())?;

    let mut namespaces = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS;
    if matches!(task, Task::Run(_)) {
        namespaces |= CloneFlags::CLONE_NEWNET;
    }
    nix::sched::unshare(namespaces).map_err(|error| {
        format!("the kernel gives no user namespace: {error} (look at /proc/sys/user/max_user_namespaces)")
    })?;
    // Opened while we still are who owns the data folder, which others may not enter.
    let folders = runtime::Folders::open(&task).map_err(|error| error.to_string())?;
    Event::WantsMap {
        pid: nix::unistd::getpid().as_raw(),
    }
    .send();
    if read()? != "go" {
        return Err("the worker gave up".into());
    }
    become_root().map_err(|error| format!("cannot become the sandbox's root: {error}"))?;
    die_with_parent()?;

    match task {
        Task::Run(run) => {
            let ended = runtime::run(&run, &folders)?;
            Event::Ended { ended }.send();
        }
        Task::Unpack { mut plan, .. } => {
            let target = folders.first().ok_or("no folder")?;
            plan.folder = folders.path(1).ok_or("no folder")?;
            container::unpack(&plan, &target).map_err(|error| chain(&error))?;
            Event::Done {
                value: serde_json::Value::Null,
            }
            .send();
        }
        Task::UnpackLayers { mut plan, .. } => {
            let target = folders.first().ok_or("no folder")?;
            plan.folder = folders.path(1).ok_or("no folder")?;
            container::unpack_layers(&plan, &target).map_err(|error| chain(&error))?;
            Event::Done {
                value: serde_json::Value::Null,
            }
            .send();
        }
        Task::Normalise { epoch, .. } => {
            let root = folders.first().ok_or("no folder")?;
            let contents = container::normalise(&root, epoch).map_err(|error| chain(&error))?;
            let value = serde_json::to_value(contents).map_err(|error| error.to_string())?;
            Event::Done { value }.send();
        }
        Task::Export { .. } => {
            runtime::export(&folders)?;
            Event::Done {
                value: serde_json::Value::Null,
            }
            .send();
        }
        Task::Remove { .. } => {
            let path = folders.first().ok_or("no folder")?;
            empty_folder(&path).map_err(|error| error.to_string())?;
            Event::Done {
                value: serde_json::Value::Null,
            }
            .send();
        }
    }
    Ok(())
}

/// Removes what is in a folder; the folder itself may belong to who asks.
fn empty_folder(path: &std::path::Path) -> io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn die_with_parent() -> Result<(), String> {
    let before = nix::unistd::getppid();
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|error| error.to_string())?;
    // The worker may have ended between the two calls.
    if nix::unistd::getppid() != before {
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

/// An error with all its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
