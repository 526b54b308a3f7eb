//! Everything that is kept on disk: fetched bytes by digest, roots and layers, and scratch space of running builds.
//!
//! Only this module decides where things are below the data folder (`places`). Bytes enter through a temporary file
//! that is hashed, synced and renamed, so an entry is whole or absent; they are hashed again on each read.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod address;
mod age;
mod answers;
mod ask;
mod blobs;
mod derived;
mod download;
mod error;
mod fetch;
mod git;
mod hosts;
mod mirror;
mod places;
mod post;
mod public;
mod readers;
mod referrers;
mod registry;
mod runs;
mod scratch;
mod unreachable;

use std::fs::File;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;

pub(crate) use age::FileClock;
pub use ask::{Answered, Request};
pub use blobs::{Blob, StoreCheck};
pub use error::StoreError;
pub use fetch::{FetchError, Fetcher, Received};
pub use git::{Checkout, GitError, GitMirror, Lacking, Tag, Wanted};
pub use hosts::AllowedHost;
pub use mirror::MirrorMap;
use places::FOLDERS;
pub use post::Posted;
#[doc(hidden)]
pub use readers::READERS;
pub use referrers::Referrers;
pub use registry::ImageFiles;
pub use runs::{PendingRun, sweep};
pub use scratch::Scratch;

/// The data folder of one user, usually `$XDG_DATA_HOME/rebuilder`.
#[derive(Debug, Clone)]
pub struct Store {
    data: PathBuf,
}

impl Store {
    /// Opens the store at `data` or the XDG data directory, creating it if needed.
    pub fn open(data: Option<PathBuf>) -> Result<Self, StoreError> {
        let data = match data {
            Some(data) => data,
            None => etcetera::base_strategy::Xdg::new()
                .map_err(|_| StoreError::NoHome)?
                .data_dir()
                .join("rebuilder"),
        };
        make_closed(&data)?;
        let data = data.canonicalize().map_err(StoreError::io("open", &data))?;
        let mode = owned(&data)?;
        // A folder that also contains other things is not ours to close, nor is a sticky one such as `/tmp`.
        let mut entries = std::fs::read_dir(&data).map_err(StoreError::io("list", &data))?;
        if mode & 0o1000 == 0
            && entries.all(|entry| entry.is_ok_and(|entry| places::is_ours(&entry.file_name())))
        {
            close(&data, mode)?;
        } else if mode & 0o1000 == 0 && mode & 0o022 != 0 {
            return Err(StoreError::Open { path: data });
        }
        for folder in FOLDERS {
            let path = data.join(folder);
            make_closed(&path)?;
            let mode = owned(&path)?;
            close(&path, mode)?;
        }
        let store = Self { data };
        gives_our_group(&store.scratch_folders())?;
        Ok(store)
    }
}

fn make_closed(path: &Path) -> Result<(), StoreError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(StoreError::io("make the folder", path))
}

/// The mode of a folder, which must belong to this user.
fn owned(folder: &Path) -> Result<u32, StoreError> {
    let meta = std::fs::metadata(folder).map_err(StoreError::io("open", folder))?;
    let user = nix::unistd::Uid::effective().as_raw();
    if meta.uid() == user {
        return Ok(meta.permissions().mode());
    }
    Err(StoreError::Foreign {
        path: folder.to_owned(),
        owner: meta.uid(),
        user,
    })
}

/// Closes one of our folders to everyone else: what is below it has the owners and modes that builds gave it.
///
/// The set-group-id bit is removed too. A folder inherits it from its parent, and passes its group on to everything
/// that is made in it; the sandbox's ids do not include that group, so the sandbox could not change the owner of such
/// files.
fn close(folder: &Path, mode: u32) -> Result<(), StoreError> {
    if mode & 0o2077 != 0 {
        let closed = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(folder, closed).map_err(StoreError::io("close to other users", folder))?;
    }
    Ok(())
}

/// Refuses a folder in which new files get another group than this process has; some mount options cause that.
fn gives_our_group(folder: &Path) -> Result<(), StoreError> {
    let group = nix::unistd::Gid::effective().as_raw();
    let of = |path: &Path| std::fs::metadata(path).map(|meta| meta.gid());
    // Root gives the files that it makes to the ids of the sandbox.
    let root = nix::unistd::Uid::effective().is_root();
    if root || of(folder).map_err(StoreError::io("open", folder))? == group {
        return Ok(());
    }
    let made = tempfile::tempdir_in(folder).map_err(StoreError::io("make a folder in", folder))?;
    let found = of(made.path()).map_err(StoreError::io("open", made.path()))?;
    if found == group {
        return Ok(());
    }
    Err(StoreError::Group {
        path: folder.to_owned(),
        found,
        group,
    })
}

/// Writes a small file so that readers see either the old bytes or the new ones, never a part. A device or a pipe is
/// written to, not replaced.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    use std::io::Write as _;
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        let file = File::options().write(true).open(path);
        let written = file.and_then(|mut file| file.write_all(bytes));
        return written.map_err(StoreError::io("write", path));
    }
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let whole = nameless(folder, bytes).or_else(|error| match error.kind() {
        // Not every file system has files without a name.
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Err(error),
        _ => named(folder, bytes),
    });
    let whole = whole.map_err(StoreError::io("write into", folder))?;
    whole
        .persist(path)
        .map_err(|error| StoreError::io("write", path)(error.error))?;
    Ok(())
}

const NEW_FILE: &str = ".new-";

/// A new file with these bytes, which gets a name when it is whole: nothing is left of it if the process is killed
/// while it writes.
fn nameless(folder: &Path, bytes: &[u8]) -> std::io::Result<tempfile::TempPath> {
    use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;
    let flags = OFlag::O_TMPFILE | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o644);
    let mut file = File::from(nix::fcntl::open(folder, flags, mode)?);
    file.write_all(bytes)?;
    file.sync_all()?;
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    let link = |name: &Path| -> std::io::Result<()> {
        let follow = AtFlags::AT_SYMLINK_FOLLOW;
        Ok(nix::unistd::linkat(
            AT_FDCWD,
            own.as_str(),
            AT_FDCWD,
            name,
            follow,
        )?)
    };
    let linked = tempfile::Builder::new().prefix(NEW_FILE).make_in(folder, link)?;
    Ok(linked.into_temp_path())
}

/// The same with a name from the start.
fn named(folder: &Path, bytes: &[u8]) -> std::io::Result<tempfile::TempPath> {
    use std::io::Write as _;
    let mut file = tempfile::Builder::new()
        .prefix(NEW_FILE)
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file.into_temp_path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_by_a_whole_one_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report");
        std::fs::write(&path, "the old one").unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        // The same from a file system without nameless files.
        let named = named(folder.path(), b"newer").unwrap();
        let modes =
            [path.as_path(), &named].map(|path| std::fs::metadata(path).unwrap().permissions().mode());
        assert_eq!(modes[0], modes[1]);
        named.persist(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"newer");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_above_does_not_hand_its_group_on() {
        let folder = tempfile::tempdir().unwrap();
        let above = folder.path().join("above");
        std::fs::create_dir(&above).unwrap();
        // Only root may give a folder to a group that is not its own.
        let _ = std::os::unix::fs::chown(&above, None, Some(12_345));
        std::fs::set_permissions(&above, std::fs::Permissions::from_mode(0o2755)).unwrap();
        for data in [above.join("store"), above.clone()] {
            let store = Store::open(Some(data)).unwrap();
            let scratch = store.scratch().unwrap();
            let meta = std::fs::metadata(scratch.path()).unwrap();
            assert_eq!(meta.gid(), nix::unistd::Gid::effective().as_raw());
            assert_eq!(meta.permissions().mode() & 0o2000, 0);
        }
    }

    #[test]
    fn what_is_kept_is_closed_and_what_else_lies_there_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let open = |path: &Path| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        let own = folder.path().join("own");
        let store = Store::open(Some(own.clone())).unwrap();
        for path in [own.clone(), own.join("roots")] {
            assert_eq!(mode(&path), 0o700);
            open(&path);
        }
        Store::open(Some(own.clone())).unwrap();
        assert_eq!((mode(&own), mode(&own.join("roots"))), (0o700, 0o700));
        assert_eq!(store.data, own.canonicalize().unwrap());

        let shared = folder.path().join("shared");
        std::fs::create_dir(&shared).unwrap();
        std::fs::write(shared.join("something else"), "").unwrap();
        open(&shared);
        Store::open(Some(shared.clone())).unwrap();
        assert_eq!((mode(&shared), mode(&shared.join("scratch"))), (0o755, 0o700));

        // Like `/tmp`: only what is made below it is closed.
        let everyones = folder.path().join("everyones");
        std::fs::create_dir(&everyones).unwrap();
        std::fs::set_permissions(&everyones, std::fs::Permissions::from_mode(0o1777)).unwrap();
        Store::open(Some(everyones.clone())).unwrap();
        assert_eq!(
            (mode(&everyones), mode(&everyones.join("scratch"))),
            (0o777, 0o700)
        );

        std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(Store::open(Some(shared)), Err(StoreError::Open { .. })));
    }
}
