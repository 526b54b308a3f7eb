//! Runs one container: overlay of the root and a throw-away layer, OCI spec, start, wait.
//!
//! Runs inside the helper, which is root of its own user, mount, process and network namespaces. Every mount that is
//! made here is private to them and disappears with the last process.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use libcontainer::container::builder::ContainerBuilder;
use libcontainer::network::link::LinkClient;
use libcontainer::network::wrapper::create_network_client;
use libcontainer::syscall::syscall::SyscallType;
use nix::mount::MsFlags;
use nix::sched::{CloneFlags, CpuSet};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::{ExitReason, MachineView, OPEN_FILES};
use super::folders::Folders;
use super::payload::Payload;
use super::protocol::HelperEvent;
use super::seccomp;
use super::shown;
use super::trace::{self, Tracer};
use super::usage::Watch;
use super::veil::{self, Veil};
use super::wait::{self, Change};
use crate::error::with_causes;
use crate::plan::{INPUTS, Limits, OUT};

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

/// Private working folder of the helper, invisible from outside.
const PLACE: &str = "/tmp";

/// Capabilities that package builds need over their own files and processes; none has effects outside the namespace.
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
pub(super) fn run(task: &RunTask, folders: &Folders) -> Result<ExitReason, String> {
    let place = Path::new(PLACE);
    prepare(task, folders, place)?;
    bound_kernel_objects()?;
    bring_loopback_up()?;
    let cpus = task
        .view
        .processors
        .as_ref()
        .map_or(usize::MAX, |shown| shown.count);
    limit_processors(task.limits.cpus.min(cpus))
        .map_err(|error| format!("cannot choose processors: {error}"))?;

    let spec = spec(task, place);
    shown::write(&task.view, &task.limits, place)
        .map_err(|error| format!("cannot describe the machine: {error}"))?;
    let write = |path: PathBuf, bytes: &[u8]| fs::write(path, bytes).map_err(|error| error.to_string());
    write(place.join("bundle/config.json"), spec.to_string().as_bytes())?;
    let mut seccomp = seccomp::programs().map_err(|error| error.to_string())?;
    let veiled = task.view.needs_tracing();
    if task.traced || veiled {
        seccomp.push(seccomp::watched().map_err(|error| error.to_string())?);
    }
    if task.traced {
        seccomp.push(trace::filter().map_err(|error| error.to_string())?);
    }
    if veiled {
        seccomp.extend(veil::filters(&task.view).map_err(|error| error.to_string())?);
    }
    let null = File::open("/dev/null").map_err(|error| error.to_string())?;
    let log = || {
        std::os::fd::AsFd::as_fd(&std::io::stdout())
            .try_clone_to_owned()
            .map_err(|error| error.to_string())
    };
    let mut container = ContainerBuilder::new(task.id.clone(), SyscallType::default())
        .with_executor(Payload {
            seccomp,
            traced: task.traced || veiled,
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
        .map_err(|error| with_causes(&error))?;
    let init = container.pid().ok_or("the container has no first process")?;
    let init = Pid::from_raw(init.as_raw());
    let tracer = if task.traced || veiled {
        let events = place.join("writable").join(trace::EVENTS);
        let events = task.traced.then_some(events.as_path());
        let veil = veiled.then(|| Veil::new(&task.view));
        Some(Tracer::seize(init, events, veil, place.join("processes"))?)
    } else {
        None
    };
    container.start().map_err(|error| with_causes(&error))?;
    HelperEvent::Started.send();
    // Overlayfs's work folders are left out: the build cannot reach them, and what is made there moves at once.
    let watched: &[&str] = if task.in_place.is_some() {
        &["root", "writable/out"]
    } else {
        &["writable/upper", "writable/out"]
    };
    let watch = Watch {
        trees: watched.iter().map(|tree| place.join(tree)).collect(),
        mounts: ["root", "out"].map(|mount| place.join(mount)).to_vec(),
        processes: place.join("processes"),
        limit: task.limits.disk,
    };
    Ok(wait_for(init, watch, tracer))
}

/// Adds what was being mounted to an error.
fn what(doing: &str) -> impl FnOnce(nix::Error) -> String {
    move |error| format!("cannot {doing}: {error}")
}

fn prepare(task: &RunTask, folders: &Folders, place: &Path) -> Result<(), String> {
    let none: Option<&str> = None;
    nix::mount::mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(what("make the mounts private"))?;
    let closed = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    nix::mount::mount(
        Some("tmpfs"),
        place,
        Some("tmpfs"),
        closed,
        Some("mode=0755,size=64m"),
    )
    .map_err(what("mount a private folder"))?;
    let made = |name: String| -> Result<PathBuf, String> {
        let folder = place.join(name);
        fs::create_dir(&folder).map_err(|error| format!("cannot make a folder: {error}"))?;
        Ok(folder)
    };
    for name in ["bundle", "state", "empty"] {
        made(name.to_owned())?;
    }
    let count = task.lowers.len();
    let mut lowers = Vec::new();
    for index in 0..count {
        let lower = made(format!("lower-{index}"))?;
        folders.attach(index, &lower)?;
        lowers.push(lower);
    }
    let (writable, inputs) = (made("writable".into())?, made("given".into())?);
    folders.attach(count, &writable)?;
    folders.attach(count.saturating_add(1), &inputs)?;
    let root = made("root".into())?;
    if task.in_place.is_some() {
        folders.attach(count.saturating_add(2), &root)?;
    } else {
        overlay(&lowers, Some((&writable, "upper", "work")), &root)
            .map_err(what("mount the overlay of root and writable layer"))?;
    }
    // Even single folders are mounted as overlays, so that the build's list of mounts shows no path of this machine.
    let empty = place.join("empty");
    overlay(&[inputs, empty.clone()], None, &made("in".into())?).map_err(what("mount the inputs"))?;
    overlay(
        &[empty],
        Some((&writable, "out", "out-work")),
        &made("out".into())?,
    )
    .map_err(what("mount the output folder"))?;
    let processes = made("processes".into())?;
    nix::mount::mount(
        Some("proc"),
        &processes,
        Some("proc"),
        closed | MsFlags::MS_NOEXEC,
        none,
    )
    .map_err(what("mount a view of the processes"))?;
    // The runtime looks for its own process by its number in here. The machine's processes have other numbers, and inside
    // another container, that one may be missing.
    nix::mount::mount(Some(&processes), "/proc", none, MsFlags::MS_BIND, none)
        .map_err(what("mount a view of the processes"))?;
    // The runtime requires control groups. It sees a private, read-only view of our own group: in a delegated group it
    // would otherwise enable controllers beside the processes there, which bars them from their own group.
    nix::sched::unshare(CloneFlags::CLONE_NEWCGROUP).map_err(what("enter a cgroup namespace"))?;
    // The kernel refuses to mount a file system over itself, which this would be without groups of version 1.
    for (kind, flags, options) in [
        ("tmpfs", closed, Some("size=4k")),
        ("cgroup2", closed | MsFlags::MS_RDONLY, none),
    ] {
        nix::mount::mount(Some(kind), "/sys/fs/cgroup", Some(kind), flags, options)
            .map_err(what("mount the control group view"))?;
    }
    Ok(())
}

/// Mounts folders over one another, topmost first, below a writable layer if there is one.
fn overlay(lowers: &[PathBuf], layer: Option<(&Path, &str, &str)>, target: &Path) -> nix::Result<()> {
    let lowers: Vec<_> = lowers.iter().map(|lower| lower.display().to_string()).collect();
    let mut options = format!("lowerdir={},userxattr", lowers.join(":"));
    let mut flags = MsFlags::MS_NODEV;
    if let Some((folder, upper, work)) = layer {
        let (upper, work) = (folder.join(upper), folder.join(work));
        options.push_str(&format!(
            ",upperdir={},workdir={}",
            upper.display(),
            work.display()
        ));
    } else {
        flags |= MsFlags::MS_RDONLY;
    }
    nix::mount::mount(
        Some("overlay"),
        target,
        Some("overlay"),
        flags,
        Some(options.as_str()),
    )
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

/// The OCI runtime specification of the container (opencontainers/runtime-spec 1.2).
fn spec(task: &RunTask, place: &Path) -> serde_json::Value {
    let limit = |kind: &str, soft: u64, hard: u64| json!({"type": kind, "soft": soft, "hard": hard});
    let mount = |to: &str, kind: &str, source: &str, options: &[&str]| json!({"destination": to, "type": kind, "source": source, "options": options});
    let bind = |to: &str, from: &str, options: &[&str]| {
        let mut all = vec!["bind", "nosuid", "nodev"];
        all.extend(options);
        mount(to, "bind", &place.join(from).display().to_string(), &all)
    };
    let mut rlimits = vec![
        limit("RLIMIT_CORE", 0, 0),
        limit("RLIMIT_NOFILE", OPEN_FILES.0, OPEN_FILES.1),
        limit("RLIMIT_FSIZE", task.limits.disk, task.limits.disk),
        limit("RLIMIT_SIGPENDING", 4096, 4096),
        limit("RLIMIT_MSGQUEUE", 256 << 10, 256 << 10),
        limit("RLIMIT_MEMLOCK", 64 << 10, 64 << 10),
    ];
    if task.limit_by_user {
        rlimits.push(limit("RLIMIT_NPROC", task.limits.pids, task.limits.pids));
    }
    let mut spec = object(json!({
        "ociVersion": "1.2.0",
        "hostname": task.hostname,
        "root": {"path": place.join("root"), "readonly": false},
        "process": {
            "terminal": false,
            "cwd": "/",
            "user": {"uid": 0, "gid": 0, "umask": task.umask},
            "args": ["/bin/sh", "-eu", "-c", task.script],
            // Only for the runtime: otherwise it looks for its user's home in the container's root.
            "env": ["HOME=/"],
            "noNewPrivileges": true,
            "capabilities": {
                "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES,
                "inheritable": [], "ambient": []
            },
            "rlimits": rlimits
        },
        "mounts": [
            mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
            mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount("/dev/pts", "devpts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5", "max=256"]),
            mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", &format!("size={}", task.limits.memory)]),
            bind(INPUTS, "in", &["ro", "noexec"]),
            bind(OUT, "out", &[])
        ],
        "linux": {
            "cgroupsPath": format!("/{}", task.id),
            "namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "ipc"}, {"type": "uts"}],
            "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/driver/rtc", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                            "/proc/sched_debug", "/proc/scsi", "/proc/sysrq-trigger", "/proc/sysvipc"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"]
        }
    }));
    if let Some(domain) = &task.view.domain {
        spec.insert("domainname".to_owned(), json!(domain));
    }
    if let Some(mounts) = spec.get_mut("mounts").and_then(serde_json::Value::as_array_mut) {
        mounts.extend(
            shown::files(&task.view)
                .map(|(name, place)| bind(&format!("/proc/{place}"), name, &["ro", "noexec"])),
        );
    }
    serde_json::Value::Object(spec)
}

fn object(value: serde_json::Value) -> serde_json::Map<String, serde_json::Value> {
    match value {
        serde_json::Value::Object(object) => object,
        _ => serde_json::Map::new(),
    }
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

/// Writes the merged layers as a tar stream to the file that was opened last.
pub(super) fn export(folders: &Folders) -> Result<(), String> {
    let none: Option<&str> = None;
    let count = folders.len().checked_sub(1).ok_or("no folder")?;
    let mount = |error: nix::Error| format!("cannot mount the layers: {error}");
    nix::mount::mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).map_err(mount)?;
    let tree = if count == 1 {
        folders.path(0).ok_or("no folder")?
    } else {
        let lowers: Vec<_> = (0..count).rev().filter_map(|index| folders.path(index)).collect();
        overlay(&lowers, None, Path::new(PLACE)).map_err(mount)?;
        PathBuf::from(PLACE)
    };
    let write = |error: std::io::Error| format!("cannot write the image: {error}");
    let file = folders.file(count).ok_or("no file")?.map_err(write)?;
    let mut archive = tar::Builder::new(std::io::BufWriter::with_capacity(1 << 20, file));
    archive.follow_symlinks(false);
    // Engines cannot read the sparse form that files with holes would get.
    archive.sparse(false);
    archive.append_dir_all(".", &tree).map_err(write)?;
    archive
        .into_inner()
        .and_then(|mut file| std::io::Write::flush(&mut file))
        .map_err(write)
}
