//! This program, in a place where nothing can change it.
//!
//! Code in a container may reach the program that started it (through `/proc/self/exe`, while the container's first
//! program is being loaded). If that were the file on disk, the code could change the user's own program.

use std::fs::{self, File};
use std::io::{self, Seek as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl};
use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
};

/// How long the kernel may hold on to pages of the copy.
const PINNED: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// The sealed program, to be executed through its handle.
pub(super) fn program() -> io::Result<&'static File> {
    static PROGRAM: OnceLock<Result<File, (io::ErrorKind, String)>> = OnceLock::new();
    let sealed = PROGRAM.get_or_init(|| {
        // A view costs nothing, but needs rights that an ordinary user lacks.
        let program = view().or_else(|_| copy());
        program.map_err(|error| (error.kind(), error.to_string()))
    });
    sealed
        .as_ref()
        .map_err(|(kind, reason)| io::Error::new(*kind, reason.clone()))
}

/// Prepares the program while the worker does other things: a copy takes as long as the start of a sandbox.
pub(super) fn prepare() {
    // Callers that need the program wait for it, and get the error if there is one.
    std::thread::spawn(|| drop(program()));
}

/// The program through an overlay without an upper layer, which nothing can make writable.
fn view() -> io::Result<File> {
    let running = fs::metadata("/proc/self/exe")?;
    let path = fs::read_link("/proc/self/exe")?;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::NotFound.into());
    };
    let handle = |path: &Path| {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        File::options().read(true).custom_flags(flags.bits()).open(path)
    };
    // An overlay without an upper layer needs two lower ones, neither of them inside the other.
    let apart = |place: &Path| place.is_dir() && !folder.starts_with(place);
    let places = [std::env::temp_dir(), "/run".into()];
    let place = places
        .iter()
        .find(|place| apart(place))
        .ok_or(io::ErrorKind::NotFound)?;
    let empty = tempfile::tempdir_in(place)?;
    let (folder, nothing) = (handle(folder)?, handle(empty.path())?);
    let below = |handle: &File| format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(handle));
    let overlay = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    // Handles instead of paths: a path may contain the separators of the option.
    let layers = format!("{}:{}", below(&folder), below(&nothing));
    fsconfig_set_string(overlay.as_fd(), "lowerdir", layers.as_str())?;
    fsconfig_create(overlay.as_fd())?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV;
    let mounted: OwnedFd = fsmount(overlay.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let program = File::from(nix::fcntl::openat(
        &mounted,
        name,
        flags,
        nix::sys::stat::Mode::empty(),
    )?);
    // An upgrade may have replaced the file since this program was started.
    let found = program.metadata()?;
    let same = |of: fn(&fs::Metadata) -> i64| of(&found) == of(&running);
    let unchanged = found.ino() == running.ino()
        && found.size() == running.size()
        && same(fs::Metadata::mtime)
        && same(fs::Metadata::mtime_nsec);
    if !unchanged {
        return Err(io::ErrorKind::StaleNetworkFileHandle.into());
    }
    Ok(program)
}

/// A copy in sealed memory.
fn copy() -> io::Result<File> {
    let mut program = File::open("/proc/self/exe")?;
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let executable = MFdFlags::from_bits_retain(libc::MFD_EXEC);
    // Kernels before 6.3 do not know the flag, and make such files executable without it.
    let copy =
        memfd_create(c"rebuilder", flags | executable).or_else(|_| memfd_create(c"rebuilder", flags))?;
    let mut copy = File::from(copy);
    io::copy(&mut program, &mut copy)?;
    copy.rewind()?;
    let seals =
        SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE;
    patiently(|| fcntl(&copy, FcntlArg::F_ADD_SEALS(seals)).map(drop))?;
    Ok(copy)
}

/// Adds seals. The kernel refuses one against writing with `EBUSY` while anything refers to a page of the file; on a
/// machine short of memory, its own reclaim does so for moments. Nobody else knows the file, so it is tried again.
fn patiently(mut add: impl FnMut() -> nix::Result<()>) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        match add() {
            Err(Errno::EBUSY) if begun.elapsed() < PINNED => std::thread::sleep(PAUSE),
            answer => return Ok(answer?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_in_use_delay_the_seal_and_other_errors_end_it() {
        let mut answers = [Err(Errno::EBUSY), Err(Errno::EBUSY), Ok(())].into_iter();
        patiently(|| answers.next().unwrap()).unwrap();
        assert_eq!(answers.len(), 0);
        let refused = patiently(|| Err(Errno::EPERM)).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(nix::libc::EPERM));
    }

    #[test]
    fn nothing_writes_into_the_view_or_the_copy() {
        let mut programs = vec![copy().unwrap()];
        if nix::unistd::geteuid().is_root() {
            programs.push(view().unwrap());
        }
        let bytes = fs::read("/proc/self/exe").unwrap();
        for program in programs {
            let place = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&program));
            assert!(fs::read(&place).unwrap() == bytes);
            let opened = File::options().write(true).open(&place);
            let written = opened.and_then(|mut file| io::Write::write_all(&mut file, b"x"));
            assert!(written.is_err());
        }
    }
}
