//! Runs one container: its mounts, its description for the OCI runtime, start, wait.
//!
//! Runs inside the helper, which is root of its own user, mount, process and network namespaces. Every mount that is
//! made here is private to them and disappears with the last process.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use libcontainer::container::Container;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::network::link::LinkClient;
use libcontainer::network::wrapper::create_network_client;
use libcontainer::syscall::syscall::SyscallType;
use nix::sched::CpuSet;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use seccompiler::{BackendError, BpfProgram};
use serde::{Deserialize, Serialize};

use super::super::{ExitReason, MachineView};
use super::folders::Folders;
use super::mounts::{self, PLACE};
use super::payload::Payload;
use super::protocol::HelperEvent;
use super::seccomp;
use super::shown;
use super::spec::spec;
use super::trace::{self, Tracer};
use super::usage::Watch;
use super::veil::{self, Veil};
use super::wait::{self, Change};
use crate::error::with_causes;
use crate::plan::Limits;

/// Everything that the helper needs to know to run a job.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RunTask {
    pub id: String,
    /// Read-only folders, topmost first, as overlayfs wants them.
    pub lowers: Vec<PathBuf>,
    /// The folder that contains the folders of [`WRITABLE`].
    pub writable: PathBuf,
    /// A root that is changed permanently, instead of a layer above `lowers`.
    pub in_place: Option<PathBuf>,
    pub inputs: PathBuf,
    /// First of the host's ids that only this run has; `None` if it uses those of the kept trees.
    pub own_ids: Option<u32>,
    /// Whether the kernel's count of processes per user must limit the number of processes.
    pub limit_by_user: bool,
    pub script: String,
    pub env: Vec<String>,
    pub hostname: String,
    pub umask: u32,
    pub limits: Limits,
    /// Control groups that the helper enters before it does anything else.
    pub groups: Vec<PathBuf>,
    pub view: MachineView,
    /// Whether to record what the run's processes do to files.
    pub traced: bool,
}

/// The folders that a run writes into: the layer above the root, overlayfs's work folder for it, and the same two for
/// `/out`.
pub(super) const WRITABLE: [&str; 4] = ["upper", "work", "out", "out-work"];

/// Runs the job to its end.
pub(super) fn run(task: &RunTask, folders: &Folders) -> Result<ExitReason, String> {
    let place = Path::new(PLACE);
    mounts::prepare(task, folders, place)?;
    bound_kernel_objects()?;
    bring_loopback_up()?;
    let cpus = task
        .view
        .processors
        .as_ref()
        .map_or(usize::MAX, |shown| shown.count);
    limit_processors(task.limits.cpus.min(cpus))
        .map_err(|error| format!("cannot choose processors: {error}"))?;

    shown::write(&task.view, &task.limits, place)
        .map_err(|error| format!("cannot describe the machine: {error}"))?;
    let spec = spec(task, place).to_string();
    fs::write(place.join("bundle/config.json"), spec).map_err(|error| error.to_string())?;
    let mut container = container(task, place)?;
    let init = container.pid().ok_or("the container has no first process")?;
    let init = Pid::from_raw(init.as_raw());
    let tracer = tracer(task, init, place)?;
    container.start().map_err(|error| with_causes(&error))?;
    HelperEvent::Started.send();
    Ok(wait_for(init, watch(task, place), tracer))
}

/// Whether a tracer must follow the processes of the job.
fn is_followed(task: &RunTask) -> bool {
    task.traced || task.view.needs_tracing()
}

/// The filters of system calls for the job, with those for the calls that a tracer must see.
fn filters(task: &RunTask) -> Result<Vec<BpfProgram>, BackendError> {
    let mut filters = seccomp::programs()?;
    if is_followed(task) {
        filters.push(seccomp::watched()?);
    }
    if task.traced {
        filters.push(trace::filter()?);
    }
    if task.view.needs_tracing() {
        filters.extend(veil::filters(&task.view)?);
    }
    Ok(filters)
}

/// The container, made from the bundle but not started.
fn container(task: &RunTask, place: &Path) -> Result<Container, String> {
    let null = File::open("/dev/null").map_err(|error| error.to_string())?;
    let log = || {
        std::os::fd::AsFd::as_fd(&std::io::stdout())
            .try_clone_to_owned()
            .map_err(|error| error.to_string())
    };
    ContainerBuilder::new(task.id.clone(), SyscallType::default())
        .with_executor(Payload {
            seccomp: filters(task).map_err(|error| error.to_string())?,
            traced: is_followed(task),
            env: task.env.clone(),
        })
        .with_stdin(OwnedFd::from(null))
        .with_stdout(log()?)
        .with_stderr(log()?)
        .with_root_path(place.join("state"))
        .map_err(|error| with_causes(&error))?
        .as_init(place.join("bundle"))
        .with_systemd(false)
        .with_detach(true)
        .build()
        .map_err(|error| with_causes(&error))
}

/// The tracer of the container's processes, if the job needs one.
fn tracer(task: &RunTask, init: Pid, place: &Path) -> Result<Option<Tracer>, String> {
    if !is_followed(task) {
        return Ok(None);
    }
    let events = place.join("writable").join(trace::EVENTS);
    let events = task.traced.then_some(events.as_path());
    let veil = task.view.needs_tracing().then(|| Veil::new(&task.view));
    Tracer::seize(init, events, veil, place.join("processes")).map(Some)
}

/// The folders in which the writes of the job are counted, and their limit.
fn watch(task: &RunTask, place: &Path) -> Watch {
    // Overlayfs's work folders are left out: the build cannot reach them, and what is made there moves at once.
    let trees: &[&str] = if task.in_place.is_some() {
        &["root", "writable/out"]
    } else {
        &["writable/upper", "writable/out"]
    };
    Watch {
        trees: trees.iter().map(|tree| place.join(tree)).collect(),
        mounts: ["root", "out"].map(|mount| place.join(mount)).to_vec(),
        processes: place.join("processes"),
        limit: task.limits.disk,
    }
}

/// Maximum numbers of objects that the kernel counts for each user of the machine, not for each container.
const KERNEL_OBJECTS: [(&str, u64); 4] = [
    ("max_inotify_instances", 32),
    ("max_inotify_watches", 65_536),
    ("max_fanotify_groups", 0),
    ("max_user_namespaces", 0),
];

fn bound_kernel_objects() -> Result<(), String> {
    for (name, most) in KERNEL_OBJECTS {
        let path = Path::new("/proc/sys/user").join(name);
        // A kernel without the object has no limit for it.
        if path.exists() {
            fs::write(&path, most.to_string())
                .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
    }
    Ok(())
}

fn bring_loopback_up() -> Result<(), String> {
    let fail = |error: &dyn std::error::Error| format!("cannot bring loopback up: {}", with_causes(error));
    let mut links = LinkClient::new(create_network_client()).map_err(|error| fail(&error))?;
    let loopback = links.get_by_name("lo").map_err(|error| fail(&error))?;
    links.set_up(loopback.header.index).map_err(|error| fail(&error))
}

fn limit_processors(count: usize) -> nix::Result<()> {
    let this = Pid::from_raw(0);
    let allowed = nix::sched::sched_getaffinity(this)?;
    let mut chosen = CpuSet::new();
    for cpu in (0..CpuSet::count())
        .filter(|cpu| allowed.is_set(*cpu).unwrap_or(false))
        .take(count.max(1))
    {
        chosen.set(cpu)?;
    }
    nix::sched::sched_setaffinity(this, &chosen)
}

/// Waits for the container's first process, and ends it if it has written too much.
fn wait_for(init: Pid, watch: Watch, tracer: Option<Tracer>) -> ExitReason {
    let (watch, full) = (Arc::new(watch), Arc::new(AtomicBool::new(false)));
    let free = watch.free();
    let (watching, told) = (watch.clone(), full.clone());
    // The thread ends with this process, so nothing waits for it.
    std::thread::spawn(move || {
        watching.until_full();
        told.store(true, Ordering::SeqCst);
        let _ = kill(init, Signal::SIGKILL);
    });
    let ended = match tracer {
        Some(mut tracer) => tracer.until_end(),
        None => until_end(init),
    };
    if full.load(Ordering::SeqCst) || watch.is_full(free) {
        ExitReason::DiskFull
    } else {
        ended
    }
}

fn until_end(init: Pid) -> ExitReason {
    loop {
        match wait::next(Some(init), false) {
            Ok(Some((_, Change::Ended(ended)))) => return ended,
            Ok(_) => {}
            Err(_) => return ExitReason::Signalled(Signal::SIGKILL as i32),
        }
    }
}
