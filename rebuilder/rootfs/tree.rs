//! Trees that are kept: normalised once, named by their content, and sealed against change.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::libc;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use serde::{Deserialize, Serialize};

use super::RootfsError;
use super::removal;
use crate::artifact::{HashingReader, HashingWriter, Sha256};

/// The content of a tree, in brief.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeContents {
    /// Digest over the path, kind, mode, owner, time and bytes of every entry, in order of path.
    pub digest: Sha256,
    /// Number of entries.
    pub entries: u64,
    /// Number of bytes in regular files.
    pub bytes: u64,
}

/// Files that the making of a root leaves behind; they differ each time, and no build needs them.
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

/// How the times in a made tree are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Times {
    /// For a root made of packages: a file from a package keeps its time, a file that was made here gets this time
    /// (Unix seconds), and what the making left behind is removed.
    Epoch(i64),
    /// For a root made of layers: folders get the time 0, since unpacking gives them the current one.
    Layers,
    /// No time is changed.
    AsTheyAre,
}

/// Removes from a made tree what differs from run to run and what would be dangerous outside a sandbox, and digests
/// the rest.
///
/// Set-id bits and write permissions of other users are removed. Inside a sandbox nothing gains privileges by them
/// anyway, and outside they would be a way to act as the tree's owner.
pub fn normalise(root: &Path, times: Times) -> Result<TreeContents, RootfsError> {
    if let Times::Epoch(_) = times {
        // Inside the root, its own links cannot lead elsewhere.
        enter(root)?;
        for name in LEFT_BEHIND {
            clear(&Path::new("/").join(name)).map_err(io("clean"))?;
        }
        return walk(Path::new("/"), Some(times));
    }
    walk(root, Some(times))
}

/// Digests a tree as [`normalise`] left it, and changes nothing.
pub fn digest(root: &Path) -> Result<TreeContents, RootfsError> {
    walk(root, None)
}

fn walk(root: &Path, change: Option<Times>) -> Result<TreeContents, RootfsError> {
    if change.is_some() {
        // The mode of the top folder is not part of the digest, so it must be the same for every tree.
        fs::set_permissions(root, fs::Permissions::from_mode(0o755)).map_err(self::io("close"))?;
    }
    let mut walk = Walk {
        change,
        out: HashingWriter::new(io::sink()),
        entries: 0,
        bytes: 0,
    };
    walk.folder(root, &mut PathBuf::new()).map_err(self::io("read"))?;
    let (_, digest, _) = walk.out.finish();
    Ok(TreeContents {
        digest,
        entries: walk.entries,
        bytes: walk.bytes,
    })
}

fn io(what: &'static str) -> impl FnOnce(io::Error) -> RootfsError {
    move |source| RootfsError::Io {
        what: format!("{what} the made root"),
        source,
    }
}

fn enter(root: &Path) -> Result<(), RootfsError> {
    nix::unistd::chroot(root)
        .and_then(|()| nix::unistd::chdir("/"))
        .map_err(|error| io("enter")(error.into()))
}

fn sorted(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    Ok(entries)
}

/// Empties a folder, or removes a file; it may be absent.
fn clear(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => removal::empty(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

struct Walk {
    /// The times to change on the way; `None` if the tree is only read.
    change: Option<Times>,
    out: HashingWriter<io::Sink>,
    entries: u64,
    bytes: u64,
}

impl Walk {
    fn folder(&mut self, folder: &Path, relative: &mut PathBuf) -> io::Result<()> {
        for entry in sorted(folder)? {
            relative.push(entry.file_name());
            self.entry(&entry.path(), relative)?;
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
            exact(fs::read_link(path)?.as_os_str())
        } else if kind.is_file() {
            let mut hashing = HashingReader::new(fs::File::open(path)?);
            self.bytes = self
                .bytes
                .saturating_add(io::copy(&mut hashing, &mut io::sink())?);
            hashing.finish().to_hex()
        } else {
            format!("device {}", meta.rdev())
        };
        let (mut mode, mut time) = (meta.permissions().mode(), meta.mtime());
        if let Some(times) = self.change {
            mode = change_mode(path, &meta)?;
            time = change_time(path, &meta, times)?;
        }
        self.entries = self.entries.saturating_add(1);
        writeln!(
            self.out,
            "{:?} {mode:o} {} {} {time} {content:?}",
            exact(relative.as_os_str()),
            meta.uid(),
            meta.gid()
        )
    }
}

/// A name as text; one that is not UTF-8 is given in hex.
fn exact(name: &std::ffi::OsStr) -> String {
    let bytes = || format!("not text: {}", hex::encode(name.as_encoded_bytes()));
    // A name that reads like the form for bytes takes that form too, so that no two names have one text.
    let text = name.to_str().filter(|text| !text.starts_with("not text: "));
    text.map_or_else(bytes, str::to_owned)
}

/// Removes the rights that other users would have through a file or folder; returns its new mode.
fn change_mode(path: &Path, meta: &fs::Metadata) -> io::Result<u32> {
    let mode = meta.permissions().mode();
    let kind = meta.file_type();
    let taken = if meta.is_file() || kind.is_fifo() || kind.is_socket() {
        libc::S_ISUID | libc::S_ISGID | libc::S_IWOTH
    } else if meta.is_dir() && mode & libc::S_ISVTX == 0 {
        libc::S_IWOTH
    } else {
        0
    };
    let closed = mode & !taken;
    if closed != mode {
        fs::set_permissions(path, fs::Permissions::from_mode(closed))?;
    }
    Ok(closed)
}

/// Sets the time of an entry; returns it in seconds.
fn change_time(path: &Path, meta: &fs::Metadata, times: Times) -> io::Result<i64> {
    let time = match times {
        Times::Epoch(epoch) if meta.is_dir() || meta.mtime() > epoch => epoch,
        Times::Layers if meta.is_dir() => 0,
        Times::AsTheyAre => return Ok(meta.mtime()),
        _ => meta.mtime(),
    };
    if time != meta.mtime() || meta.mtime_nsec() != 0 {
        let spec = TimeSpec::new(time, 0);
        let here = nix::fcntl::AT_FDCWD;
        utimensat(here, path, &spec, &spec, UtimensatFlags::NoFollowSymlink)?;
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rootfs::seal;

    #[test]
    fn a_seal_changes_with_everything_but_reading() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        fs::create_dir(top.join("etc")).unwrap();
        let file = top.join("etc/passwd");
        fs::write(&file, "root").unwrap();
        let time = fs::metadata(&file).unwrap().modified().unwrap();
        let first = seal(top).unwrap();
        fs::read(&file).unwrap();
        assert_eq!(seal(top).unwrap(), first);

        // The same length, and the modification time restored: the kernel still changes the ctime.
        let write = || {
            let file = fs::File::options().write(true).open(&file).unwrap();
            io::Write::write_all(&mut &file, b"evil").unwrap();
            file.set_modified(time).unwrap();
        };
        let chmod = || fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let add = || fs::write(top.join("etc/ld.so.preload"), "").unwrap();
        let rename = || fs::rename(top.join("etc"), top.join("usr")).unwrap();
        let mut before = first;
        for change in [&write as &dyn Fn(), &chmod, &add, &rename] {
            change();
            let after = seal(top).unwrap();
            assert_ne!(after, before);
            before = after;
        }
    }

    #[test]
    fn a_kept_tree_gives_nobody_else_any_right() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for (name, mode, expected) in [
            ("su", 0o4755, 0o755),
            ("wall", 0o2755, 0o755),
            ("open", 0o666, 0o664),
        ] {
            fs::write(top.join(name), "").unwrap();
            set(&top.join(name), mode);
            normalise(top, Times::AsTheyAre).unwrap();
            let found = fs::metadata(top.join(name)).unwrap().permissions().mode();
            assert_eq!(found & 0o7777, expected, "{name}");
        }
        for (name, mode, expected) in [
            ("etc", 0o777, 0o775),
            ("tmp", 0o1777, 0o1777),
            ("mail", 0o2775, 0o2775),
        ] {
            fs::create_dir(top.join(name)).unwrap();
            set(&top.join(name), mode);
            normalise(top, Times::AsTheyAre).unwrap();
            let found = fs::metadata(top.join(name)).unwrap().permissions().mode();
            assert_eq!(found & 0o7777, expected, "{name}");
        }
        assert_eq!(
            normalise(top, Times::AsTheyAre).unwrap(),
            digest(top).unwrap(),
            "reading gives what changing gave"
        );
    }
}
