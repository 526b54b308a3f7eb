//! Removes trees that an untrusted build made: any depth, any number of entries, any names.
//!
//! Folders are lifted to the top before they are emptied, so that two open handles are enough for a tree of any
//! depth, no path grows, and nothing recurses. No link is followed.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

const FOLDER: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

/// Removes everything in the folder at `path`, and leaves the folder; it may be absent.
pub fn empty(path: &Path) -> io::Result<()> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let top = match nix::fcntl::open(path, flags, Mode::empty()) {
        Ok(top) => top,
        Err(Errno::ENOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut lifted = 0_u64;
    loop {
        let names = names(&top)?;
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            if unlink(&top, &name)? {
                continue;
            }
            flatten(&top, &name, &mut lifted)?;
            match unlinkat(&top, name.as_c_str(), UnlinkatFlags::RemoveDir) {
                // A process that is still ending may add entries; the next round removes them.
                Ok(()) | Err(Errno::ENOENT | Errno::ENOTEMPTY) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Removes the files of the folder `name`, and moves its folders up, beside it.
fn flatten(top: &OwnedFd, name: &CString, lifted: &mut u64) -> io::Result<()> {
    let folder = match openat(top, name.as_c_str(), FOLDER, Mode::empty()) {
        Err(Errno::EACCES) => {
            allow(top, name)?;
            openat(top, name.as_c_str(), FOLDER, Mode::empty())
        }
        other => other,
    };
    let folder = match folder {
        Ok(folder) => folder,
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for inner in names(&folder)? {
        if unlink_in(&folder, &inner, top, name)? {
            continue;
        }
        match unlinkat(&folder, inner.as_c_str(), UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => continue,
            Err(_) => {}
        }
        loop {
            *lifted = lifted.saturating_add(1);
            let target = format!(".gone-{lifted}");
            match renameat(&folder, inner.as_c_str(), top, target.as_str()) {
                Ok(()) | Err(Errno::ENOENT) => break,
                Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOTDIR) => {}
                // Moving a folder writes into it, and its own mode may forbid that.
                Err(Errno::EACCES) => allow(&folder, &inner)?,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// Does what [`unlink`] does, in a folder that may not be writable yet.
fn unlink_in(folder: &OwnedFd, inner: &CString, top: &OwnedFd, name: &CString) -> io::Result<bool> {
    match unlink(folder, inner) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            allow(top, name)?;
            unlink(folder, inner)
        }
        other => other,
    }
}

/// Removes an entry that is not a folder; returns whether it is gone.
fn unlink(folder: &OwnedFd, name: &CString) -> io::Result<bool> {
    match unlinkat(folder, name.as_c_str(), UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(true),
        // Linux returns the first error for a folder, POSIX specifies the second.
        Err(Errno::EISDIR) => Ok(false),
        Err(Errno::EPERM) if is_folder(folder, name) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn is_folder(folder: &OwnedFd, name: &CString) -> bool {
    openat(
        folder,
        name.as_c_str(),
        FOLDER.union(OFlag::O_PATH),
        Mode::empty(),
    )
    .is_ok()
}

/// Gives the owner every right over the folder `name`, through a handle, so that no link is followed.
fn allow(folder: &OwnedFd, name: &CString) -> io::Result<()> {
    let handle = openat(
        folder,
        name.as_c_str(),
        FOLDER.union(OFlag::O_PATH),
        Mode::empty(),
    )?;
    let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}

/// The names in a folder, at most as many as fit into bounded memory; callers ask again until none are left.
fn names(folder: &OwnedFd) -> io::Result<Vec<CString>> {
    const MOST: usize = 1 << 16;
    let mut dir = Dir::openat(
        folder.as_fd(),
        ".",
        OFlag::O_RDONLY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )?;
    let mut names = Vec::new();
    for entry in dir.iter() {
        let name = entry?.file_name().to_owned();
        if name.as_bytes() != b"." && name.as_bytes() != b".." {
            names.push(name);
        }
        if names.len() == MOST {
            break;
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A chain of folders that no path could name.
    fn dig(top: &Path, name: &str, levels: usize) {
        let mut folder = nix::fcntl::open(top, FOLDER, Mode::empty()).unwrap();
        for _ in 0..levels {
            nix::sys::stat::mkdirat(&folder, name, Mode::S_IRWXU).unwrap();
            folder = openat(&folder, name, FOLDER, Mode::empty()).unwrap();
        }
    }

    #[test]
    fn removes_what_no_path_reaches() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("top");
        fs::create_dir(&top).unwrap();
        dig(&top, "d", 5_000);
        dig(&folder.path().join("top/d/d"), "e", 300);
        empty(&top).unwrap();
        assert_eq!(fs::read_dir(&top).unwrap().count(), 0);
    }

    #[test]
    fn removes_many_wide_and_forbidden_folders_and_follows_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let (top, outside) = (folder.path().join("top"), folder.path().join("outside"));
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "kept").unwrap();
        symlink(&outside, top.join("link")).unwrap();
        symlink(&outside, top.join("a/link")).unwrap();
        for index in 0..3_000 {
            fs::create_dir(top.join(format!("a/b/{index}"))).unwrap();
            fs::write(top.join(format!("a/b/{index}/.gone-{index}")), "x").unwrap();
        }
        for name in ["a/b/1", "a/b", "a"] {
            fs::set_permissions(top.join(name), fs::Permissions::from_mode(0o0)).unwrap();
        }
        empty(&top).unwrap();
        assert_eq!(fs::read_dir(&top).unwrap().count(), 0);
        assert!(outside.join("kept").exists());
    }
}
