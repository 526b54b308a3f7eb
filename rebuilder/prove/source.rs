//! The source of a project as one archive, and its own time.
//!
//! What git ignores is left out, and so are the folders of version control themselves; what is not committed is in it.
//! Only names, bytes, links and the executable bit count, as in a checkout.

use std::fs::{self, File};
use std::io::{self, Seek as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use super::checkout::Checkout;
use crate::bounded;
use crate::store::{Blob, Store, StoreError};

/// Folders that are not part of a source.
const LEFT_OUT: [&str; 5] = [".git", ".hg", ".svn", ".bzr", ".jj"];

/// Maximum number of bytes of all files of a source, at their full size: sparse files are packed byte for byte.
const MOST_BYTES: u64 = 4 << 30;

/// The files of a source tree, relative to it, in the order of their names.
pub(super) fn files(tree: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = match Checkout::of(tree).and_then(|checkout| checkout.files()) {
        Some(files) => files,
        None => walked(tree)?,
    };
    // What was deleted and not committed is listed still. What a list names behind a link is not in the source.
    let top = File::open(tree)?;
    files.retain(|file| bounded::open_within(&top, file, OFlag::O_PATH).is_ok());
    files.sort();
    files.dedup();
    Ok(files)
}

fn walked(tree: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = walkdir::WalkDir::new(tree).min_depth(1).into_iter();
    let kept = entries.filter_entry(|entry| !LEFT_OUT.iter().any(|name| entry.file_name() == *name));
    let mut files = Vec::new();
    for entry in kept {
        let entry = entry?;
        if !entry.file_type().is_dir()
            && let Ok(path) = entry.path().strip_prefix(tree)
        {
            files.push(path.to_owned());
        }
    }
    Ok(files)
}

/// The tree as a tar archive in the store; the same tree produces the same bytes.
pub(super) fn pack(store: &Store, tree: &Path) -> Result<Blob, StoreError> {
    fn error(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        StoreError::io("read the source", path)
    }
    let files = files(tree).map_err(error(tree))?;
    let mut archive = tar::Builder::new(tempfile::tempfile().map_err(error(tree))?);
    let top = File::open(tree).map_err(error(tree))?;
    let mut room = MOST_BYTES;
    for file in files {
        append(&mut archive, &top, &file, &mut room).map_err(error(&tree.join(&file)))?;
    }
    let mut packed = archive.into_inner().map_err(error(tree))?;
    packed.rewind().map_err(error(tree))?;
    store.keep(packed)
}

fn append(archive: &mut tar::Builder<File>, top: &File, name: &Path, room: &mut u64) -> io::Result<()> {
    let file = File::from(bounded::open_within(top, name, OFlag::O_PATH)?);
    let meta = file.metadata()?;
    let mut header = tar::Header::new_gnu();
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    if meta.is_symlink() {
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        let target = nix::fcntl::readlinkat(&file, "")?;
        return archive.append_link(&mut header, name, target);
    }
    if !meta.is_file() {
        // A submodule without its files, a socket: nothing that a checkout has.
        return Ok(());
    }
    let executable = meta.permissions().mode() & 0o100 != 0;
    // The mask of whoever unpacks it decides about the rest.
    header.set_mode(if executable { 0o777 } else { 0o666 });
    header.set_size(meta.len());
    *room = room.checked_sub(meta.len()).ok_or_else(too_large)?;
    let file = File::from(bounded::open_within(top, name, OFlag::O_NONBLOCK)?);
    archive.append_data(&mut header, name, file)
}

fn too_large() -> io::Error {
    let what = format!(
        "with it, the source is larger than {} GiB; let git ignore files that are not part of the source",
        MOST_BYTES >> 30
    );
    io::Error::new(io::ErrorKind::FileTooLarge, what)
}

/// The time of the source in Unix seconds, and where it comes from: the last commit, or else the newest file.
pub(super) fn time(tree: &Path) -> io::Result<(i64, &'static str)> {
    if let Some(time) = Checkout::of(tree).and_then(|checkout| checkout.time()) {
        return Ok((time, "the time of the last commit"));
    }
    let mut newest = 0;
    for file in files(tree)? {
        newest = newest.max(fs::symlink_metadata(tree.join(file))?.mtime());
    }
    Ok((newest, "the time of the newest file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_behind_a_link_is_of_the_source() {
        let place = tempfile::tempdir().unwrap();
        let (tree, outside) = (place.path().join("tree"), place.path().join("outside"));
        for folder in [&tree, &outside] {
            fs::create_dir(folder).unwrap();
        }
        fs::write(outside.join("secret"), "s").unwrap();
        fs::write(tree.join("a"), "a").unwrap();
        std::os::unix::fs::symlink("../outside", tree.join("d")).unwrap();
        let git = |words: &[&str]| {
            let status = std::process::Command::new("git")
                .arg("-C")
                .arg(&tree)
                .args(words)
                .status();
            assert!(status.unwrap().success(), "{words:?}");
        };
        git(&["init", "-q"]);
        git(&["add", "a"]);
        fs::write(tree.join(".git/info/exclude"), "d\n").unwrap();
        // git itself refuses to add it, and takes it from whoever writes an index.
        git(&[
            "update-index",
            "--add",
            "--cacheinfo",
            "100644,e69de29bb2d1d6434b8b29ae775ad8c2e48c5391,d/secret",
        ]);
        assert_eq!(files(&tree).unwrap(), [PathBuf::from("a")]);
    }

    #[test]
    fn a_source_is_packed_without_what_differs_between_checkouts() {
        let store = tempfile::tempdir().unwrap();
        let store = Store::open(Some(store.path().join("store"))).unwrap();
        let make = |mode: u32, time: &str| {
            let tree = tempfile::tempdir().unwrap();
            fs::create_dir(tree.path().join("b")).unwrap();
            fs::write(tree.path().join("b/run.sh"), "#!/bin/sh\n").unwrap();
            fs::set_permissions(tree.path().join("b/run.sh"), fs::Permissions::from_mode(mode)).unwrap();
            fs::write(tree.path().join("a"), "a").unwrap();
            fs::create_dir(tree.path().join(".hg")).unwrap();
            fs::write(tree.path().join(".hg/state"), time).unwrap();
            std::os::unix::fs::symlink("a", tree.path().join("c")).unwrap();
            pack(&store, tree.path()).unwrap()
        };
        let (one, other) = (make(0o755, "1"), make(0o700, "2"));
        assert_eq!(one.sha256, other.sha256);
        assert_ne!(one.sha256, make(0o644, "1").sha256);
        let mut archive = tar::Archive::new(File::open(&one.path).unwrap());
        let names = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string());
        assert_eq!(names.collect::<Vec<_>>(), ["a", "b/run.sh", "c"]);
    }
}
