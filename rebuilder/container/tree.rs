//! Normalising a made root and naming it by its content.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use serde::{Deserialize, Serialize};

use super::ContainerError;
use crate::artifact::{HashingReader, HashingWriter, Sha256};

/// What a tree holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Digest over path, kind, mode, owner, time and bytes of every entry, in order of path.
    pub digest: Sha256,
    /// Entries.
    pub entries: u64,
    /// Bytes in regular files.
    pub bytes: u64,
}

/// Left by the making itself, different each time, and of no use to a build.
const LEFT_BEHIND: &[&str] = &[
    "etc/hostname",
    "etc/resolv.conf",
    "run",
    "tmp",
    "usr/sbin/policy-rc.d",
    "var/cache/apt",
    "var/cache/debconf/config.dat-old",
    "var/cache/debconf/templates.dat-old",
    "var/cache/ldconfig",
    "var/lib/apt/lists",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/statoverride-old",
    "var/log",
];

/// Removes what the making of a root of packages left, sets times newer than `epoch` back to it, and digests the
/// tree. Without an epoch the tree is digested as it is.
///
/// Times: a file that came out of a package keeps its own; one that was made here gets `epoch` (Unix seconds).
pub fn normalise(root: &Path, epoch: Option<i64>) -> Result<Contents, ContainerError> {
    let io = |what: &'static str| {
        move |source| ContainerError::Io {
            what: format!("{what} the made root"),
            source,
        }
    };
    if epoch.is_some() {
        for name in LEFT_BEHIND {
            empty(&root.join(name)).map_err(io("clean"))?;
        }
    }
    let mut walk = Walk {
        epoch,
        out: HashingWriter::new(io::sink()),
        entries: 0,
        bytes: 0,
    };
    walk.folder(root, &mut PathBuf::new()).map_err(io("read"))?;
    let (_, digest, _) = walk.out.finish();
    Ok(Contents {
        digest,
        entries: walk.entries,
        bytes: walk.bytes,
    })
}

/// Empties a folder, or removes a file; absent is fine.
fn empty(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => {
            for entry in fs::read_dir(path)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    fs::remove_dir_all(entry.path())?;
                } else {
                    fs::remove_file(entry.path())?;
                }
            }
            Ok(())
        }
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

struct Walk {
    epoch: Option<i64>,
    out: HashingWriter<io::Sink>,
    entries: u64,
    bytes: u64,
}

impl Walk {
    fn folder(&mut self, folder: &Path, relative: &mut PathBuf) -> io::Result<()> {
        let mut names = fs::read_dir(folder)?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        for name in names {
            let path = folder.join(&name);
            relative.push(&name);
            self.entry(&path, relative)?;
            relative.pop();
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, relative: &mut PathBuf) -> io::Result<()> {
        use std::io::Write as _;
        let meta = fs::symlink_metadata(path)?;
        let kind = meta.file_type();
        let content = if kind.is_dir() {
            self.folder(path, relative)?;
            String::new()
        } else if kind.is_symlink() {
            fs::read_link(path)?.display().to_string()
        } else if kind.is_file() {
            let mut hashing = HashingReader::new(fs::File::open(path)?);
            self.bytes += io::copy(&mut hashing, &mut io::sink())?;
            hashing.finish().to_hex()
        } else {
            format!("device {}", meta.rdev())
        };
        // Unpacking gives folders the time of the moment.
        let time = match self.epoch {
            Some(epoch) if kind.is_dir() || meta.mtime() > epoch => epoch,
            None if kind.is_dir() => 0,
            _ => meta.mtime(),
        };
        if time != meta.mtime() || meta.mtime_nsec() != 0 {
            let time = TimeSpec::new(time, 0);
            utimensat(
                nix::fcntl::AT_FDCWD,
                path,
                &time,
                &time,
                UtimensatFlags::NoFollowSymlink,
            )?;
        }
        self.entries += 1;
        let mode = meta.permissions().mode();
        writeln!(
            self.out,
            "{:?} {mode:o} {} {} {time} {content:?}",
            relative.display().to_string(),
            meta.uid(),
            meta.gid()
        )
    }
}
