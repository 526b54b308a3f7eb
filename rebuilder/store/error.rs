//! Errors of the store.

use std::io;
use std::path::{Path, PathBuf};

/// A store that cannot be used, or a file in it that cannot be read or written.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum StoreError {
    #[error("cannot {what} {path}")]
    #[diagnostic(help("check the permissions, or name another folder with --store or XDG_DATA_HOME"))]
    Io {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// `needs` says how much space would be enough, after a semicolon, if that is known.
    #[error("no space in {path} ({free} MB free{needs})")]
    #[diagnostic(help("free some space, or name another folder with --store or XDG_DATA_HOME"))]
    Full {
        path: PathBuf,
        free: u64,
        needs: &'static str,
    },
    #[error("files in {path} get the group id {found}, not that of this process ({group})")]
    #[diagnostic(help(
        "run \"chmod g-s {}\", mount its file system without \"grpid\", or name another folder with --store \
        or XDG_DATA_HOME",
        path.display()
    ))]
    Group { path: PathBuf, found: u32, group: u32 },
    #[error(
        "cannot use the folder {path} for data: it belongs to user id {owner}, not to this user ({user})"
    )]
    #[diagnostic(help("name one of your own folders with --store or XDG_DATA_HOME"))]
    Foreign { path: PathBuf, owner: u32, user: u32 },
    #[error("cannot use the folder {path} for data: other users can write to it")]
    #[diagnostic(help(
        "remove that permission with \"chmod go-w\", or name one of your own folders with --store or \
        XDG_DATA_HOME"
    ))]
    Open { path: PathBuf },
    #[error("cannot determine the home directory for the store")]
    #[diagnostic(help("set XDG_DATA_HOME, or name a folder with --store"))]
    NoHome,
}

impl StoreError {
    /// For use with `map_err`: says what was being done, and where.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| {
            if is_no_space(&source) {
                return Self::full(&path);
            }
            Self::Io { what, path, source }
        }
    }

    /// There is no space for more at `path`.
    pub(crate) fn full(path: &Path) -> Self {
        Self::Full {
            free: free(path),
            path: path.to_owned(),
            needs: "",
        }
    }
}

/// Whether a file system, or a user's quota of it, is full.
pub(crate) fn is_no_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Megabytes that this user may still write at `path`, or in the nearest folder above it that exists.
pub(super) fn free(path: &Path) -> u64 {
    let found = path
        .ancestors()
        .find_map(|folder| nix::sys::statvfs::statvfs(folder).ok());
    found.map_or(0, |found| {
        found.blocks_available().saturating_mul(found.fragment_size()) / 1_000_000
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("not/there");
        let told = |kind: io::ErrorKind| StoreError::io("write", &path)(kind.into()).to_string();
        assert!(told(io::ErrorKind::StorageFull).starts_with("no space in "));
        assert!(told(io::ErrorKind::QuotaExceeded).ends_with(" MB free)"));
        assert!(told(io::ErrorKind::PermissionDenied).starts_with("cannot write "));
    }
}
