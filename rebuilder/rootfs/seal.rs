//! The seal of a kept tree: tells whether the tree changed, without reading its files.

use std::ffi::CString;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{Mode, SFlag, fstatat};
use rayon::prelude::*;

use super::RootfsError;
use crate::artifact::{HashingWriter, Sha256};

const FOLDER: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

/// The seal of a kept tree: a digest over the metadata that the kernel keeps of every entry, including the time of
/// change (ctime).
///
/// A write into a file, or a change of its owner, mode, name or attributes, changes that time, and no system call sets
/// it to a chosen value. So a tree whose seal is unchanged has the same content; that takes a look at each entry
/// instead of reading every file.
pub fn seal(root: &Path) -> Result<Sha256, RootfsError> {
    let sealed = || -> io::Result<Sha256> {
        // The helper passes its root as a link to a handle.
        let top = open(root, FOLDER.difference(OFlag::O_NOFOLLOW), Mode::empty())?;
        let mut out = HashingWriter::new(io::sink());
        // Level by level, so that nothing recurses and only one folder of each thread is open at a time.
        let mut level = vec![PathBuf::from(".")];
        while !level.is_empty() {
            let folders: Vec<Folder> = level
                .par_iter()
                .map(|path| Folder::read(&top, path))
                .collect::<io::Result<_>>()?;
            for folder in &folders {
                out.write_all(&folder.notes)?;
            }
            level = folders.into_iter().flat_map(|folder| folder.folders).collect();
        }
        Ok(out.finish().1)
    };
    sealed().map_err(|source| RootfsError::Io {
        what: "look at the root".to_owned(),
        source,
    })
}

/// The metadata of the entries of one folder.
struct Folder {
    /// The folder's path, and the name and the numbers of each entry, in order of name.
    notes: Vec<u8>,
    /// The folders in it.
    folders: Vec<PathBuf>,
}

impl Folder {
    fn read(top: &OwnedFd, path: &Path) -> io::Result<Self> {
        let mut folder = Dir::from_fd(openat(top, path, FOLDER, Mode::empty())?)?;
        let names = folder.iter().map(|entry| Ok(entry?.file_name().to_owned()));
        let mut names = names.collect::<nix::Result<Vec<CString>>>()?;
        names.retain(|name| ![c".", c".."].contains(&name.as_c_str()));
        names.sort();
        let mut this = Self {
            notes: path.as_os_str().as_bytes().to_vec(),
            folders: Vec::new(),
        };
        for name in names {
            let meta = fstatat(folder.as_fd(), name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW)?;
            // No name contains a zero byte, so what follows cannot be taken for a part of the name.
            this.notes.push(0);
            this.notes.extend(name.as_bytes_with_nul());
            let numbers = [
                meta.st_ino,
                u64::from(meta.st_mode),
                u64::from(meta.st_uid),
                u64::from(meta.st_gid),
                meta.st_size.cast_unsigned(),
                meta.st_rdev,
                meta.st_mtime.cast_unsigned(),
                meta.st_mtime_nsec.cast_unsigned(),
                meta.st_ctime.cast_unsigned(),
                meta.st_ctime_nsec.cast_unsigned(),
            ];
            this.notes
                .extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
            if SFlag::from_bits_truncate(meta.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR {
                this.folders
                    .push(path.join(std::ffi::OsStr::from_bytes(name.as_bytes())));
            }
        }
        // The number of entries, so that the next folder's path cannot be taken for one of them.
        this.notes.push(0);
        this.notes.extend(this.folders.len().to_le_bytes());
        Ok(this)
    }
}
