//! Open handles of the folders that a task works on, in the task's order, and the ids that the folders show.
//!
//! The helper opens them while it still has the worker's identity; afterwards it reaches the folders only through
//! them.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use libcontainer::syscall::Syscall;
use libcontainer::syscall::linux::{LinuxSyscall, MountAttr};
use nix::fcntl::OFlag;
use nix::mount::MsFlags;
use nix::sched::CloneFlags;
use nix::sys::stat::Mode;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use super::idmap::{COUNT, ROOT_BASE};
use super::protocol::Task;
use super::runtime::RunTask;

// linux/mount.h and linux/fcntl.h
const AT_EMPTY_PATH: u32 = 0x1000;
const OPEN_TREE_CLONE: u32 = 1;
const OPEN_TREE_CLOEXEC: u32 = 0o2_000_000;
const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;
const MOVE_MOUNT_F_EMPTY_PATH: u32 = 4;
const MOVE_MOUNT_T_EMPTY_PATH: u32 = 0x40;

/// The handles of a task's folders.
pub(super) struct Folders {
    handles: Vec<OwnedFd>,
    /// Whether the handles are detached mounts, rather than folders.
    detached: bool,
}

impl Folders {
    pub(super) fn open(task: &Task) -> nix::Result<Self> {
        let (paths, file): (Vec<&PathBuf>, Option<&PathBuf>) = match task {
            Task::Run(run) => (
                run.lowers
                    .iter()
                    .chain([&run.writable, &run.inputs])
                    .chain(&run.in_place)
                    .collect(),
                None,
            ),
            Task::Unpack { target, plan } => (vec![target, &plan.folder], None),
            Task::UnpackLayers { target, plan } => (vec![target, &plan.folder], None),
            Task::Normalise { root: path, .. }
            | Task::Digest { root: path }
            | Task::Seal { root: path }
            | Task::Remove { path } => (vec![path], None),
            Task::Export { layers, file } => (layers.iter().collect(), Some(file)),
        };
        let mut handles = Vec::new();
        for path in paths {
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            handles.push(nix::fcntl::open(path, flags, Mode::empty())?);
        }
        if let Some(file) = file {
            let flags = OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            handles.push(nix::fcntl::open(file, flags, Mode::empty())?);
        }
        Ok(Self {
            handles,
            detached: false,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.handles.len()
    }

    /// A path to the folder, valid in this process only.
    pub(super) fn path(&self, index: usize) -> Option<PathBuf> {
        let handle = self.handles.get(index)?;
        Some(PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd())))
    }

    /// The folder of a task that has only one.
    pub(super) fn first(&self) -> Option<PathBuf> {
        self.path(0)
    }

    /// The handle with this number as a file.
    pub(super) fn file(&self, index: usize) -> Option<io::Result<File>> {
        self.handles
            .get(index)
            .map(|handle| handle.try_clone().map(File::from))
    }

    /// Mounts a folder at `target`, in the mount namespace of this process.
    pub(super) fn attach(&self, index: usize, target: &Path) -> Result<(), String> {
        let failed = |error: &dyn std::fmt::Display| format!("cannot bind a folder: {error}");
        let handle = self.handles.get(index).ok_or("a folder is missing")?;
        if !self.detached {
            let path = self.path(index).unwrap_or_default();
            let none: Option<&str> = None;
            return nix::mount::mount(Some(&path), target, none, MsFlags::MS_BIND, none)
                .map_err(|error| failed(&error));
        }
        let place = File::open(target).map_err(|error| failed(&error))?;
        LinuxSyscall
            .move_mount(
                handle.as_fd(),
                None,
                place.as_fd(),
                None,
                MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH,
            )
            .map_err(|error| failed(&error))
    }

    /// Opens the folders so that they show ids that only this run has, instead of those that own kept trees on disk:
    /// then the run owns nothing that another run can see. `None` if this machine cannot do that.
    pub(super) fn with_own_ids(task: &Task, run: &RunTask) -> Option<Self> {
        let map = map_of(run.own_ids?).ok()?;
        let handles = Self::open(task).ok()?.handles;
        // Kernels before 5.19 and some file systems cannot do this.
        let mapped: Result<_, _> = handles.iter().map(|handle| mapped(handle, &map)).collect();
        Some(Self {
            handles: mapped.ok()?,
            detached: true,
        })
    }
}

/// A mount of the folder that shows other ids.
fn mapped(handle: &OwnedFd, map: &File) -> Result<OwnedFd, String> {
    let flags = AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
    let tree = LinuxSyscall
        .open_tree(handle.as_raw_fd(), None, flags)
        .map_err(|error| error.to_string())?;
    let attributes = MountAttr {
        attr_set: MOUNT_ATTR_IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd: u64::try_from(map.as_raw_fd()).map_err(|error| error.to_string())?,
    };
    LinuxSyscall
        .mount_setattr(
            tree.as_fd(),
            Path::new(""),
            AT_EMPTY_PATH,
            &attributes,
            size_of::<MountAttr>(),
        )
        .map_err(|error| error.to_string())?;
    Ok(tree)
}

/// A user namespace that maps the ids of kept trees to those from `first` on.
fn map_of(first: u32) -> io::Result<File> {
    let (ready, entered) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    let (wait, done) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    match fork::fork()? {
        fork::Fork::Child => {
            drop((ready, done));
            let inside = nix::sched::unshare(CloneFlags::CLONE_NEWUSER).is_ok();
            if inside && File::from(entered).write_all(b"x").is_ok() {
                // Waits until the other end is closed, which also happens if the other process ends.
                let _ = File::from(wait).read(&mut [0]);
            }
            std::process::exit(0)
        }
        fork::Fork::Parent(child) => {
            drop((entered, wait));
            let made = File::from(ready)
                .read_exact(&mut [0])
                .and_then(|()| {
                    ["uid_map", "gid_map"].iter().try_for_each(|file| {
                        fs::write(
                            format!("/proc/{child}/{file}"),
                            format!("{ROOT_BASE} {first} {COUNT}\n"),
                        )
                    })
                })
                .and_then(|()| File::open(format!("/proc/{child}/ns/user")));
            drop(done);
            let _ = waitpid(Pid::from_raw(child), None);
            made
        }
    }
}
