//! One container: overlay of root and throw-away layer, OCI spec, start, wait.
//!
//! Runs inside the helper, which is root of its own user, mount and network namespaces. Every mount made here
//! is private to them and vanishes with the last process.

use std::fs::{self, File};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use libcontainer::container::builder::ContainerBuilder;
use libcontainer::network::link::LinkClient;
use libcontainer::network::wrapper::create_network_client;
use libcontainer::syscall::syscall::SyscallType;
use libcontainer::workload::{Executor, ExecutorError, ExecutorValidationError};
use nix::fcntl::OFlag;
use nix::mount::MsFlags;
use nix::sched::{CloneFlags, CpuSet};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::helper::{Event, Task, chain};
use super::seccomp;
use crate::sandbox::{Ended, INPUTS, Limits, OPEN_FILES, OUT};

/// Everything the helper needs to know to run a job.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RunTask {
    pub id: String,
    /// Read-only folders, topmost first, as overlayfs wants them.
    pub lowers: Vec<PathBuf>,
    pub upper: PathBuf,
    /// Whether `upper` is the whole root, to be changed for good, rather than a layer above `lowers`.
    pub in_place: bool,
    pub work: PathBuf,
    pub inputs: PathBuf,
    pub out: PathBuf,
    pub script: String,
    pub env: Vec<String>,
    pub hostname: String,
    pub umask: u32,
    pub limits: Limits,
}

/// Open handles of the folders that a task works on, in the task's order.
///
/// The helper opens them while it still has the worker's identity; later it reaches them only through these.
pub(super) struct Folders(Vec<OwnedFd>);

impl Folders {
    pub(super) fn open(task: &Task) -> nix::Result<Self> {
        let (paths, file): (Vec<&PathBuf>, Option<&PathBuf>) = match task {
            Task::Run(run) => (
                run.lowers
                    .iter()
                    .chain([&run.upper, &run.work, &run.inputs, &run.out])
                    .collect(),
                None,
            ),
            Task::Unpack { target, plan } => (vec![target, &plan.folder], None),
            Task::UnpackLayers { target, plan } => (vec![target, &plan.folder], None),
            Task::Normalise { root: path, .. } | Task::Remove { path } => (vec![path], None),
            Task::Export { layers, file } => (layers.iter().collect(), Some(file)),
        };
        let mut handles = Vec::new();
        for path in paths {
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            handles.push(nix::fcntl::open(path, flags, Mode::empty())?);
        }
        if let Some(file) = file {
            handles.push(nix::fcntl::open(
                file,
                OFlag::O_WRONLY | OFlag::O_CLOEXEC,
                Mode::empty(),
            )?);
        }
        Ok(Self(handles))
    }

    /// A path to the folder, good in this process only.
    pub(super) fn path(&self, index: usize) -> Option<PathBuf> {
        self.0
            .get(index)
            .map(|handle| PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd())))
    }

    /// The only folder of tasks that have one.
    pub(super) fn first(&self) -> Option<PathBuf> {
        self.path(0)
    }
}

/// Private working place of the helper; nothing outside sees it.
const PLACE: &str = "/tmp";

/// Capabilities that package builds need over their own files and processes; none reaches out of the namespace.
pub const CAPABILITIES: [&str; 9] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SYS_CHROOT",
];

/// Runs the job to its end.
pub(super) fn run(task: &RunTask, folders: &Folders) -> Result<Ended, String> {
    let place = Path::new(PLACE);
    prepare(task, folders, place).map_err(|(what, error)| format!("cannot {what}: {error}"))?;
    bring_loopback_up()?;
    limit_processors(task.limits.cpus).map_err(|error| format!("cannot choose processors: {error}"))?;

    let spec = spec(task, place);
    let write = |path: PathBuf, bytes: &[u8]| fs::write(path, bytes).map_err(|error| error.to_string());
    write(place.join("bundle/config.json"), spec.to_string().as_bytes())?;
    let null = File::open("/dev/null").map_err(|error| error.to_string())?;
    let log = || {
        std::os::fd::AsFd::as_fd(&std::io::stdout())
            .try_clone_to_owned()
            .map_err(|error| error.to_string())
    };
    let mut container = ContainerBuilder::new(task.id.clone(), SyscallType::default())
        .with_executor(Payload {
            seccomp: seccomp::programs().map_err(|error| error.to_string())?,
        })
        .with_stdin(OwnedFd::from(null))
        .with_stdout(log()?)
        .with_stderr(log()?)
        .with_root_path(place.join("state"))
        .map_err(|error| chain(&error))?
        .as_init(place.join("bundle"))
        .with_systemd(false)
        .with_detach(true)
        .build()
        .map_err(|error| chain(&error))?;
    let init = container.pid().ok_or("the container has no first process")?;
    container.start().map_err(|error| chain(&error))?;
    Event::Started.send();
    Ok(wait(
        Pid::from_raw(init.as_raw()),
        &place.join("writable"),
        task.limits.disk,
    ))
}

type Step = (&'static str, nix::Error);

fn prepare(task: &RunTask, folders: &Folders, place: &Path) -> Result<(), Step> {
    let none: Option<&str> = None;
    let handle = |index| folders.path(index).ok_or(("find a folder", nix::Error::EINVAL));
    nix::mount::mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(|error| ("make the mounts private", error))?;
    let tmpfs = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    nix::mount::mount(
        Some("tmpfs"),
        place,
        Some("tmpfs"),
        tmpfs,
        Some("mode=0755,size=64m"),
    )
    .map_err(|error| ("mount a private folder", error))?;
    for folder in ["bundle", "state", "root", "in", "out", "writable"] {
        fs::create_dir(place.join(folder)).map_err(|error| {
            (
                "make a folder",
                nix::Error::from_raw(error.raw_os_error().unwrap_or(0)),
            )
        })?;
    }
    let count = task.lowers.len();
    let root = place.join("root");
    if task.in_place {
        nix::mount::mount(Some(&handle(count)?), &root, none, MsFlags::MS_BIND, none)
            .map_err(|error| ("bind the root", error))?;
    } else {
        let lowers = (0..count).map(|index| handle(index).map(|path| path.display().to_string()));
        let options = format!(
            "lowerdir={},upperdir={},workdir={},userxattr",
            lowers.collect::<Result<Vec<_>, _>>()?.join(":"),
            handle(count)?.display(),
            handle(count + 1)?.display()
        );
        nix::mount::mount(
            Some("overlay"),
            &root,
            Some("overlay"),
            MsFlags::empty(),
            Some(options.as_str()),
        )
        .map_err(|error| ("mount the overlay of root and writable layer", error))?;
    }
    for (index, name) in [(count, "writable"), (count + 2, "in"), (count + 3, "out")] {
        nix::mount::mount(
            Some(&handle(index)?),
            &place.join(name),
            none,
            MsFlags::MS_BIND,
            none,
        )
        .map_err(|error| ("bind a folder", error))?;
    }
    // The runtime wants to see control groups; what it sees is the private view of our own, where it may change nothing.
    nix::sched::unshare(CloneFlags::CLONE_NEWCGROUP).map_err(|error| ("enter a cgroup namespace", error))?;
    nix::mount::mount(Some("cgroup2"), "/sys/fs/cgroup", Some("cgroup2"), tmpfs, none)
        .map_err(|error| ("mount the control group view", error))
}

fn bring_loopback_up() -> Result<(), String> {
    let fail = |error: &dyn std::error::Error| format!("cannot bring loopback up: {}", chain(error));
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

/// The OCI runtime specification of the container (opencontainers/runtime-spec 1.2).
fn spec(task: &RunTask, place: &Path) -> serde_json::Value {
    let limit = |kind: &str, soft: u64, hard: u64| json!({"type": kind, "soft": soft, "hard": hard});
    let mount = |to: &str, kind: &str, source: &str, options: &[&str]| json!({"destination": to, "type": kind, "source": source, "options": options});
    let bind = |to: &str, from: &str, options: &[&str]| {
        let mut all = vec!["bind", "nosuid", "nodev"];
        all.extend(options);
        mount(to, "bind", &place.join(from).display().to_string(), &all)
    };
    json!({
        "ociVersion": "1.2.0",
        "hostname": task.hostname,
        "root": {"path": place.join("root"), "readonly": false},
        "process": {
            "terminal": false,
            "cwd": "/",
            "user": {"uid": 0, "gid": 0, "umask": task.umask},
            "args": ["/bin/sh", "-eu", "-c", task.script],
            "env": task.env,
            "noNewPrivileges": true,
            "capabilities": {
                "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES,
                "inheritable": [], "ambient": []
            },
            "rlimits": [
                limit("RLIMIT_CORE", 0, 0),
                limit("RLIMIT_NOFILE", OPEN_FILES.0, OPEN_FILES.1),
                limit("RLIMIT_FSIZE", task.limits.disk, task.limits.disk)
            ]
        },
        "mounts": [
            mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
            mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount("/dev/pts", "devpts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777"]),
            bind(INPUTS, "in", &["ro", "noexec"]),
            bind(OUT, "out", &[])
        ],
        "linux": {
            "cgroupsPath": format!("/{}", task.id),
            "namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "ipc"}, {"type": "uts"}],
            "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                            "/proc/sched_debug", "/proc/scsi", "/proc/sysrq-trigger"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"]
        }
    })
}

/// What becomes of the container's first process once everything around it stands.
#[derive(Clone)]
struct Payload {
    seccomp: Vec<seccompiler::BpfProgram>,
}

impl Executor for Payload {
    /// Called before the start signal; from here on the process ends with its helper.
    fn validate(&self, _: &oci_spec::runtime::Spec) -> Result<(), ExecutorValidationError> {
        prctl::set_pdeathsig(Signal::SIGKILL)
            .map_err(|error| ExecutorValidationError::ArgValidationError(error.to_string()))
    }

    fn exec(&self, spec: &oci_spec::runtime::Spec) -> Result<(), ExecutorError> {
        use std::os::unix::process::CommandExt as _;
        let process = spec.process().as_ref().ok_or(ExecutorError::InvalidArg)?;
        let args = process.args().clone().unwrap_or_default();
        // The runtime adds variables of its own, such as HOME; the job's environment is the whole.
        let env: Vec<_> = process
            .env()
            .iter()
            .flatten()
            .filter_map(|pair| pair.split_once('='))
            .collect();
        let (program, rest) = args.split_first().ok_or(ExecutorError::InvalidArg)?;
        for filter in &self.seccomp {
            seccompiler::apply_filter(filter).map_err(|error| ExecutorError::Other(error.to_string()))?;
        }
        let error = std::process::Command::new(program)
            .args(rest)
            .env_clear()
            .envs(env)
            .exec();
        Err(ExecutorError::Other(format!("{program}: {error}")))
    }
}

/// Waits for the container's first process, and ends it when the writable layer grows too large.
fn wait(init: Pid, writable: &Path, disk: u64) -> Ended {
    let full = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writable = writable.to_owned();
    let flag = full.clone();
    std::thread::spawn(move || {
        loop {
            let begun = Instant::now();
            if used(&writable) > disk {
                flag.store(true, std::sync::atomic::Ordering::SeqCst);
                let _ = kill(init, Signal::SIGKILL);
                return;
            }
            // Measuring stays below a twentieth of the time.
            std::thread::sleep((begun.elapsed() * 20).max(Duration::from_secs(1)));
        }
    });
    let ended = loop {
        match waitpid(init, None) {
            Ok(WaitStatus::Exited(_, code)) => break Ended::from_status(code),
            Ok(WaitStatus::Signaled(_, signal, _)) => break Ended::Signalled(signal as i32),
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(_) => break Ended::Signalled(Signal::SIGKILL as i32),
        }
    };
    if full.load(std::sync::atomic::Ordering::SeqCst) {
        Ended::DiskFull
    } else {
        ended
    }
}

/// Bytes that a tree takes on disk.
fn used(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => used(&entry.path()),
            Ok(meta) => meta.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}

/// Writes the layers, merged, as a tar stream to the file that was opened last.
pub(super) fn export(folders: &Folders) -> Result<(), String> {
    let none: Option<&str> = None;
    let count = folders.0.len() - 1;
    let mount = |error: nix::Error| format!("cannot mount the layers: {error}");
    nix::mount::mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).map_err(mount)?;
    let tree = if count == 1 {
        folders.path(0).ok_or("no folder")?
    } else {
        let lowers: Vec<_> = (0..count)
            .rev()
            .filter_map(|index| folders.path(index))
            .map(|path| path.display().to_string())
            .collect();
        let options = format!("lowerdir={},userxattr", lowers.join(":"));
        nix::mount::mount(
            Some("overlay"),
            PLACE,
            Some("overlay"),
            MsFlags::MS_RDONLY,
            Some(options.as_str()),
        )
        .map_err(mount)?;
        PathBuf::from(PLACE)
    };
    let write = |error: std::io::Error| format!("cannot write the image: {error}");
    let handle = folders
        .0
        .get(count)
        .ok_or("no file")?
        .try_clone()
        .map_err(write)?;
    let mut archive = tar::Builder::new(std::io::BufWriter::with_capacity(1 << 20, File::from(handle)));
    archive.follow_symlinks(false);
    // Engines do not read the sparse form that files with holes would get.
    archive.sparse(false);
    archive.append_dir_all(".", &tree).map_err(write)?;
    archive
        .into_inner()
        .and_then(|mut file| std::io::Write::flush(&mut file))
        .map_err(write)
}
