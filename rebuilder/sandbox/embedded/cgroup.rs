//! Limits on memory and processes through control groups of either version, if the worker may create them.
//!
//! The limits are set from outside before the job starts, on groups that the job cannot see. Root creates groups at
//! the top; an ordinary user creates them where systemd or the administrator has delegated a subtree (`systemd-run
//! --user --scope -p Delegate=yes`). If neither is possible, the outcome reports it. Groups are also the last way to
//! end a run's processes: everything that is left in one is killed with it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::plan::Limits;
use crate::sandbox::Bound;
use crate::store::Store;

const TOP: &str = "/sys/fs/cgroup";
const PREFIX: &str = "rebuilder-";
/// The group that a delegated worker moves into: a group that has members cannot limit the groups below it.
const WORKER: &str = "rebuilder-worker";

/// The control groups of one run, removed with everything in them when this is dropped.
#[derive(Debug)]
pub(super) struct Cgroup {
    groups: Vec<PathBuf>,
    /// The groups that a process with a single thread can enter by itself.
    entered: Vec<PathBuf>,
    not_enforced: Vec<Bound>,
}

impl Cgroup {
    /// Creates the groups and sets their limits, as far as this machine allows it.
    pub(super) fn make(store: &Store, id: &str, limits: &Limits) -> Self {
        let mut this = Self {
            groups: Vec::new(),
            entered: Vec::new(),
            not_enforced: Vec::new(),
        };
        let name = name(store, id);
        let (memory, pids) = (limits.memory.to_string(), limits.pids.to_string());
        let mut missing = vec![
            (
                Bound::Memory,
                vec![("memory.max", &memory)],
                vec![("memory.limit_in_bytes", &memory)],
            ),
            (Bound::Pids, vec![("pids.max", &pids)], vec![("pids.max", &pids)]),
        ];
        if let Some(parent) = unified_parent() {
            let group = parent.join(&name);
            if make(&group) {
                // Swapped-out memory would exceed the limit; without swap this file does not exist.
                let _ = fs::write(group.join("memory.swap.max"), "0");
                let all = missing.len();
                missing.retain(|(_, settings, _)| !set(&group, settings));
                // One that limits nothing, beside version 1, would only cost the time of moving a process into it.
                if missing.len() < all {
                    this.groups.push(group);
                } else {
                    remove(&group);
                }
            }
        }
        for (bound, _, settings) in missing {
            // Version 1 names its controllers as records name the bounds.
            let group = Path::new(TOP).join(bound.as_str()).join(&name);
            let made = make(&group);
            if !made || !set(&group, &settings) {
                this.not_enforced.push(bound);
            }
            if made {
                this.entered.push(group.clone());
                this.groups.push(group);
            }
        }
        this
    }

    /// The groups that the helper enters by itself (see [`enter`]).
    pub(super) fn entered(&self) -> &[PathBuf] {
        &self.entered
    }

    /// The limits that this machine does not enforce.
    pub(super) fn not_enforced(&self) -> &[Bound] {
        &self.not_enforced
    }

    /// Moves a process into the groups that it does not enter by itself; its children follow automatically.
    pub(super) fn admission(&self, pid: u32) -> Admission {
        let others = self.groups.iter().filter(|group| !self.entered.contains(group));
        Admission {
            groups: others.cloned().collect(),
            pid,
        }
    }

    /// Kills every process in the groups.
    pub(super) fn kill(&self) {
        self.groups.iter().for_each(|group| end(group));
    }

    /// Removes the groups of a run whose worker has ended.
    pub(super) fn remove(store: &Store, id: &str) {
        let name = name(store, id);
        parents()
            .map(|parent| parent.join(&name))
            .for_each(|group| remove(&group));
    }

    /// Removes groups of this store whose run has no scratch folder any more.
    pub(super) fn sweep(store: &Store) {
        let ours = name(store, "");
        for parent in parents() {
            for entry in fs::read_dir(&parent).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                let Some(id) = name.strip_prefix(&ours) else {
                    continue;
                };
                if !store.scratch_folder(id).exists() {
                    remove(&entry.path());
                }
            }
        }
    }
}

/// Moves this process, which has a single thread, into groups of version 1. When a whole process or another process
/// moves, the kernel makes the caller wait for milliseconds; it does not when a thread moves itself.
pub(super) fn enter(groups: &[PathBuf]) -> io::Result<()> {
    groups
        .iter()
        .try_for_each(|group| fs::write(group.join("tasks"), "0"))
}

/// A pending move of one process into the groups of a run.
#[derive(Debug)]
pub(super) struct Admission {
    groups: Vec<PathBuf>,
    pid: u32,
}

impl Admission {
    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Moves the process. Blocks for as long as the kernel takes: milliseconds.
    pub(super) fn carry_out(self) {
        for group in &self.groups {
            // A process that has already ended needs no limit.
            let _ = fs::write(group.join("cgroup.procs"), self.pid.to_string());
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.groups.iter().for_each(|group| remove(group));
    }
}

/// Names include the store: groups of other stores are left alone.
fn name(store: &Store, id: &str) -> String {
    format!("{PREFIX}{}-{id}", store.id().short())
}

/// Creates a group that only this user may change, whatever the file mode mask is.
fn make(group: &Path) -> bool {
    let closed = fs::Permissions::from_mode(0o755);
    fs::create_dir(group)
        .and_then(|()| fs::set_permissions(group, closed))
        .is_ok()
}

fn set(group: &Path, settings: &[(&str, &String)]) -> bool {
    settings
        .iter()
        .all(|(file, value)| fs::write(group.join(file), value.as_str()).is_ok())
}

/// Every folder that may contain our groups.
fn parents() -> impl Iterator<Item = PathBuf> {
    let fixed = [
        TOP,
        "/sys/fs/cgroup/unified",
        "/sys/fs/cgroup/memory",
        "/sys/fs/cgroup/pids",
    ];
    fixed.map(PathBuf::from).into_iter().chain(own_group())
}

/// The mount point of version 2: alone, or beside version 1.
fn unified() -> Option<PathBuf> {
    [TOP, "/sys/fs/cgroup/unified"]
        .into_iter()
        .map(PathBuf::from)
        .find(|top| top.join("cgroup.controllers").exists())
}

/// The group of version 2 that this process is in, or that it was in before it moved into [`WORKER`].
fn own_group() -> Option<PathBuf> {
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let group = unified()?.join(path);
    Some(if group.ends_with(WORKER) {
        group.parent()?.to_owned()
    } else {
        group
    })
}

/// The group of version 2 below which the groups of runs are created.
fn unified_parent() -> Option<PathBuf> {
    let top = unified()?;
    if nix::unistd::Uid::effective().is_root() {
        enable(&top);
        return Some(top);
    }
    let group = own_group()?;
    delegate(&group).ok()?;
    Some(group)
}

/// Prepares a delegated group to limit groups below it: its only member, this process, moves into a group of its own.
fn delegate(group: &Path) -> io::Result<()> {
    // The group is writable only if it was delegated.
    nix::unistd::access(
        &group.join("cgroup.subtree_control"),
        nix::unistd::AccessFlags::W_OK,
    )?;
    let worker = group.join(WORKER);
    match fs::create_dir(&worker) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    for pid in members(group) {
        fs::write(worker.join("cgroup.procs"), pid.to_string())?;
    }
    enable(group);
    Ok(())
}

fn enable(group: &Path) {
    for controller in ["+memory", "+pids"] {
        // A missing controller is reported when its limit cannot be set.
        let _ = fs::write(group.join("cgroup.subtree_control"), controller);
    }
}

fn members(group: &Path) -> Vec<i32> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

/// Kills everything in a group and in the groups below it.
fn end(group: &Path) {
    // Version 2 does it at once, from Linux 5.14 on.
    if fs::write(group.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    for _ in 0..100 {
        let members = members(group);
        if members.is_empty() {
            return;
        }
        for pid in members {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Removes a group and those below it. If that is not possible now, the next start does it.
fn remove(group: &Path) {
    for _ in 0..40 {
        let below = fs::read_dir(group).into_iter().flatten().flatten();
        below
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .for_each(|entry| remove(&entry.path()));
        // The group is busy until the kernel has reaped the last process.
        if !group.exists() || fs::remove_dir(group).is_ok() {
            return;
        }
        end(group);
        std::thread::sleep(Duration::from_millis(5));
    }
}
