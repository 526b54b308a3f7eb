//! The description of a container for the OCI runtime (opencontainers/runtime-spec 1.2).

use std::path::Path;

use serde_json::{Map, Value, json};

use super::super::OPEN_FILES;
use super::runtime::RunTask;
use super::shown;
use crate::plan::{INPUTS, OUT};

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

/// The specification of the container of a job, whose files are below `place`.
pub(super) fn spec(task: &RunTask, place: &Path) -> Value {
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
            "rlimits": limits(task)
        },
        "mounts": mounts(task, place),
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
    Value::Object(spec)
}

/// The limits of each process.
fn limits(task: &RunTask) -> Vec<Value> {
    let limit = |kind: &str, soft: u64, hard: u64| json!({"type": kind, "soft": soft, "hard": hard});
    let mut limits = vec![
        limit("RLIMIT_CORE", 0, 0),
        limit("RLIMIT_NOFILE", OPEN_FILES.0, OPEN_FILES.1),
        limit("RLIMIT_FSIZE", task.limits.disk, task.limits.disk),
        limit("RLIMIT_SIGPENDING", 4096, 4096),
        limit("RLIMIT_MSGQUEUE", 256 << 10, 256 << 10),
        limit("RLIMIT_MEMLOCK", 64 << 10, 64 << 10),
    ];
    if task.limit_by_user {
        limits.push(limit("RLIMIT_NPROC", task.limits.pids, task.limits.pids));
    }
    limits
}

/// What the runtime mounts in the root; of the machine, only what the job is shown.
fn mounts(task: &RunTask, place: &Path) -> Vec<Value> {
    let mount = |to: &str, kind: &str, source: &str, options: &[&str]| json!({"destination": to, "type": kind, "source": source, "options": options});
    let bind = |to: &str, from: &str, options: &[&str]| {
        let mut all = vec!["bind", "nosuid", "nodev"];
        all.extend(options);
        mount(to, "bind", &place.join(from).display().to_string(), &all)
    };
    let mut mounts = vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount(
            "/dev",
            "tmpfs",
            "tmpfs",
            &["nosuid", "strictatime", "mode=755", "size=65536k"],
        ),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &[
                "nosuid",
                "noexec",
                "newinstance",
                "ptmxmode=0666",
                "mode=0620",
                "gid=5",
                "max=256",
            ],
        ),
        mount(
            "/dev/shm",
            "tmpfs",
            "shm",
            &[
                "nosuid",
                "noexec",
                "nodev",
                "mode=1777",
                &format!("size={}", task.limits.memory),
            ],
        ),
        bind(INPUTS, "in", &["ro", "noexec"]),
        bind(OUT, "out", &[]),
    ];
    mounts.extend(
        shown::files(&task.view)
            .map(|(name, place)| bind(&format!("/proc/{place}"), name, &["ro", "noexec"])),
    );
    mounts
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}
