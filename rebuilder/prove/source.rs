//! The source of a project as one archive, and its own time.
//!
//! What git ignores is left out, and so are the folders of version control themselves; what is not committed is in it.
//! Only names, bytes, links and the executable bit count, as in a checkout.

use std::fs::{self, File};
use std::io::{self, Seek as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::store::{Blob, Store, StoreError};

/// Folders that are no part of a source.
const LEFT_OUT: [&str; 5] = [".git", ".hg", ".svn", ".bzr", ".jj"];

/// The files of a source tree, relative to it, in the order of their names.
pub(super) fn files(tree: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = match listed_by_git(tree) {
        Some(files) => files,
        None => walked(tree)?,
    };
    // What was deleted and not committed is listed still.
    files.retain(|file| fs::symlink_metadata(tree.join(file)).is_ok());
    files.sort();
    files.dedup();
    Ok(files)
}

/// What git tracks, and what it would track if it was added.
fn listed_by_git(tree: &Path) -> Option<Vec<PathBuf>> {
    let listed = git(
        tree,
        &["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    )?;
    let names = listed.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let paths: Vec<_> = names
        .map(|name| PathBuf::from(std::ffi::OsStr::from_bytes(name)))
        .collect();
    (!paths.is_empty()).then_some(paths)
}

/// What git says about the tree, if it is one of git's.
fn git(tree: &Path, words: &[&str]) -> Option<Vec<u8>> {
    let mut command = Command::new("git");
    // A tree's own configuration may name a program that is run for each listing.
    command
        .args(["-c", "core.fsmonitor=false", "-C"])
        .arg(tree)
        .args(words);
    command
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stderr(Stdio::null())
        .stdin(Stdio::null());
    let output = command.output().ok()?;
    output.status.success().then_some(output.stdout)
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

/// The tree as a tar archive in the store; the same tree gives the same bytes.
pub(super) fn pack(store: &Store, tree: &Path) -> Result<Blob, StoreError> {
    fn error(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        StoreError::io("read the source", path)
    }
    let files = files(tree).map_err(error(tree))?;
    let mut archive = tar::Builder::new(tempfile::tempfile().map_err(error(tree))?);
    for file in files {
        let path = tree.join(&file);
        append(&mut archive, &path, &file).map_err(error(&path))?;
    }
    let mut packed = archive.into_inner().map_err(error(tree))?;
    packed.rewind().map_err(error(tree))?;
    store.keep(packed)
}

fn append(archive: &mut tar::Builder<File>, path: &Path, name: &Path) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    let mut header = tar::Header::new_gnu();
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    if meta.is_symlink() {
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        return archive.append_link(&mut header, name, fs::read_link(path)?);
    }
    if !meta.is_file() {
        // A submodule without its files, a socket: nothing that a checkout has.
        return Ok(());
    }
    let executable = meta.permissions().mode() & 0o100 != 0;
    // The mask of whoever unpacks it decides about the rest.
    header.set_mode(if executable { 0o777 } else { 0o666 });
    header.set_size(meta.len());
    archive.append_data(&mut header, name, File::open(path)?)
}

/// The time of the source in Unix seconds, and what says so: the last commit's, or else that of its newest file.
pub(super) fn time(tree: &Path) -> io::Result<(i64, &'static str)> {
    let commit = git(tree, &["log", "-1", "--format=%ct"]);
    let commit = commit.and_then(|text| String::from_utf8(text).ok()?.trim().parse().ok());
    if let Some(time) = commit {
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
