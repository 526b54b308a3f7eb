//! A copy of a run that its worker can no longer change.
//!
//! Everything is opened below the run's folder without following any link, only regular files are taken, and only
//! up to a size.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

use super::SignerError;
use crate::artifact::Sha256;
use crate::plan::Plan;
use crate::rebuild::{Record, RunFolder};

/// Most bytes of each document, and of all outputs together.
const DOCUMENT: u64 = 256 << 20;
const OUTPUTS: u64 = 64 << 30;
/// Most documents of evidence.
const DOCUMENTS: usize = 64;

/// The copy; it goes when this is dropped.
pub struct Snapshot {
    folder: tempfile::TempDir,
}

impl Snapshot {
    /// Copies the run at `path`, which must lie below one of `allowed` and belong to `uid`, below `scratch`.
    pub fn take(path: &Path, uid: u32, allowed: &[PathBuf], scratch: &Path) -> Result<Self, SignerError> {
        let failed = |what: &Path, reason: &dyn std::fmt::Display| SignerError::Snapshot {
            what: what.display().to_string(),
            reason: reason.to_string(),
        };
        // The path that is checked and the folder that is read are one: it is opened from `/` by its real name.
        let real = path.canonicalize().map_err(|error| failed(path, &error))?;
        let inside = allowed.iter().filter_map(|folder| folder.canonicalize().ok());
        if !inside.into_iter().any(|folder| real.starts_with(folder)) {
            return Err(SignerError::Outside {
                run: path.display().to_string(),
            });
        }
        let root = File::open("/").map_err(|error| failed(path, &error))?;
        let below = real.strip_prefix("/").unwrap_or(&real);
        let run: File = open(root.as_fd(), below, OFlag::O_DIRECTORY)
            .map_err(|error| failed(path, &error))?
            .into();
        let owner = run.metadata().map_err(|error| failed(path, &error))?.uid();
        if owner != uid {
            return Err(SignerError::NotOwner {
                run: path.display().to_string(),
                owner,
                uid,
            });
        }
        let folder = tempfile::Builder::new().prefix("signing-").tempdir_in(scratch);
        let folder = folder.map_err(|error| failed(scratch, &error))?;
        let copy = RunFolder::new(folder.path());
        for name in ["record.json", "plan.json", "build.log", "report.html"] {
            take(&run, Path::new(name), &folder.path().join(name), DOCUMENT)?;
        }
        let read = |path: PathBuf| std::fs::read(&path).map_err(|error| failed(&path, &error));
        let record: Record = serde_json::from_slice(&read(copy.record())?)
            .map_err(|error| failed(Path::new("record.json"), &error))?;
        // The plan's own reader refuses names that lead elsewhere.
        Plan::read(&copy.plan()).map_err(|error| failed(Path::new("plan.json"), &error))?;
        documents(&run, folder.path())?;
        let mut left = OUTPUTS;
        for place in [copy.rebuilt(), copy.released()] {
            std::fs::create_dir(&place).map_err(|error| failed(&place, &error))?;
        }
        for output in &record.outputs {
            let plain = Path::new(&output.name).components().count() == 1
                && matches!(
                    Path::new(&output.name).components().next(),
                    Some(std::path::Component::Normal(_))
                );
            if !plain {
                return Err(failed(Path::new(&output.name), &"it is no plain file name"));
            }
            if output.rebuilt.is_some() {
                let name = Path::new("rebuilt").join(&output.name);
                left -= take(&run, &name, &folder.path().join(&name), left)?;
            }
            // Only an equivalence is compared again.
            if output.equivalent() {
                let name = Path::new("released").join(&output.name);
                left -= take(&run, &name, &folder.path().join(&name), left)?;
            }
        }
        Ok(Self { folder })
    }

    /// The copy.
    pub fn run(&self) -> RunFolder {
        RunFolder::new(self.folder.path())
    }
}

fn open(folder: impl AsFd, name: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(flags | OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
        .resolve(
            ResolveFlag::RESOLVE_BENEATH
                | ResolveFlag::RESOLVE_NO_SYMLINKS
                | ResolveFlag::RESOLVE_NO_MAGICLINKS,
        );
    openat2(folder, name, how)
}

/// Copies the documents that a run relies on; their names are their digests, and nothing else is taken.
fn documents(run: &File, to: &Path) -> Result<(), SignerError> {
    let name = Path::new("documents");
    let failed = |reason: &dyn std::fmt::Display| SignerError::Snapshot {
        what: name.display().to_string(),
        reason: reason.to_string(),
    };
    let folder = match open(run.as_fd(), name, OFlag::O_DIRECTORY) {
        Ok(folder) => folder,
        Err(nix::errno::Errno::ENOENT) => return Ok(()),
        Err(error) => return Err(failed(&error)),
    };
    std::fs::create_dir(to.join(name)).map_err(|error| failed(&error))?;
    let mut entries = nix::dir::Dir::from_fd(folder).map_err(|error| failed(&error))?;
    let names: Vec<String> = entries
        .iter()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned))
        .filter(|name| name.parse::<Sha256>().is_ok())
        .take(DOCUMENTS)
        .collect();
    for digest in names {
        let below = name.join(digest);
        take(run, &below, &to.join(&below), crate::evidence::json::SIZE_LIMIT)?;
    }
    Ok(())
}

/// Copies one regular file of at most `most` bytes; gives its size.
fn take(run: &File, name: &Path, to: &Path, most: u64) -> Result<u64, SignerError> {
    let failed = |reason: &dyn std::fmt::Display| SignerError::Snapshot {
        what: name.display().to_string(),
        reason: reason.to_string(),
    };
    let file: File = open(run.as_fd(), name, OFlag::empty())
        .map_err(|error| failed(&error))?
        .into();
    let meta = file.metadata().map_err(|error| failed(&error))?;
    if !meta.is_file() {
        return Err(failed(&"it is no regular file"));
    }
    let mut copy = File::options()
        .write(true)
        .create_new(true)
        .open(to)
        .map_err(|error| failed(&error))?;
    let size =
        std::io::copy(&mut file.take(most.saturating_add(1)), &mut copy).map_err(|error| failed(&error))?;
    if size > most {
        return Err(failed(&format!("it has more than {most} bytes")));
    }
    copy.flush().map_err(|error| failed(&error))?;
    Ok(size)
}
