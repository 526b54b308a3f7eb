//! The mounts of a container: an overlay of the root and a throw-away layer, the inputs, the outputs, and private views
//! of processes and control groups.

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::MsFlags;
use nix::sched::CloneFlags;

use super::folders::Folders;
use super::runtime::RunTask;

/// Private working folder of the helper, invisible from outside.
pub(super) const PLACE: &str = "/tmp";

/// Flags of mounts on which set-user-ID bits and devices have no effect.
const CLOSED: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV);

/// Adds what was being mounted to an error.
fn what(doing: &str) -> impl FnOnce(nix::Error) -> String {
    move |error| format!("cannot {doing}: {error}")
}

/// Mounts everything that the container of a job is made of, below `place`.
pub(super) fn prepare(task: &RunTask, folders: &Folders, place: &Path) -> Result<(), String> {
    make_private(place)?;
    for name in ["bundle", "state", "empty"] {
        make_folder(place, name)?;
    }
    root_and_outputs(task, folders, place)?;
    processes(place)?;
    control_groups()
}

/// Makes all mounts private, and `place` a new folder in memory.
fn make_private(place: &Path) -> Result<(), String> {
    let none: Option<&str> = None;
    nix::mount::mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(what("make the mounts private"))?;
    nix::mount::mount(
        Some("tmpfs"),
        place,
        Some("tmpfs"),
        CLOSED,
        Some("mode=0755,size=64m"),
    )
    .map_err(what("mount a private folder"))
}

fn make_folder(place: &Path, name: &str) -> Result<PathBuf, String> {
    let folder = place.join(name);
    fs::create_dir(&folder).map_err(|error| format!("cannot make a folder: {error}"))?;
    Ok(folder)
}

/// Mounts the root with its writable layer, the inputs, and the output folder.
fn root_and_outputs(task: &RunTask, folders: &Folders, place: &Path) -> Result<(), String> {
    let count = task.lowers.len();
    let mut lowers = Vec::new();
    for index in 0..count {
        let lower = make_folder(place, &format!("lower-{index}"))?;
        folders.attach(index, &lower)?;
        lowers.push(lower);
    }
    let (writable, inputs) = (make_folder(place, "writable")?, make_folder(place, "given")?);
    folders.attach(count, &writable)?;
    folders.attach(count.saturating_add(1), &inputs)?;
    let root = make_folder(place, "root")?;
    if task.in_place.is_some() {
        folders.attach(count.saturating_add(2), &root)?;
    } else {
        overlay(&lowers, Some((&writable, "upper", "work")), &root)
            .map_err(what("mount the overlay of root and writable layer"))?;
    }
    // Even single folders are mounted as overlays, so that the build's list of mounts shows no path of this machine.
    let empty = place.join("empty");
    overlay(&[inputs, empty.clone()], None, &make_folder(place, "in")?).map_err(what("mount the inputs"))?;
    overlay(
        &[empty],
        Some((&writable, "out", "out-work")),
        &make_folder(place, "out")?,
    )
    .map_err(what("mount the output folder"))
}

/// Mounts a view of the processes of this namespace.
fn processes(place: &Path) -> Result<(), String> {
    let none: Option<&str> = None;
    let processes = make_folder(place, "processes")?;
    nix::mount::mount(
        Some("proc"),
        &processes,
        Some("proc"),
        CLOSED.union(MsFlags::MS_NOEXEC),
        none,
    )
    .map_err(what("mount a view of the processes"))?;
    // The runtime looks for its own process by its number in here. The machine's processes have other numbers, and inside
    // another container, that one may be missing.
    nix::mount::mount(Some(&processes), "/proc", none, MsFlags::MS_BIND, none)
        .map_err(what("mount a view of the processes"))
}

/// Mounts a private view of the control groups, which the runtime requires. It sees a read-only view of our own group:
/// in a delegated group it would otherwise enable controllers beside the processes there, which bars them from their
/// own group.
fn control_groups() -> Result<(), String> {
    nix::sched::unshare(CloneFlags::CLONE_NEWCGROUP).map_err(what("enter a cgroup namespace"))?;
    // The kernel refuses to mount a file system over itself, which this would be without groups of version 1.
    for (kind, flags, options) in [
        ("tmpfs", CLOSED, Some("size=4k")),
        ("cgroup2", CLOSED.union(MsFlags::MS_RDONLY), None),
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
