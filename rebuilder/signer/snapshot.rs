//! What a run holds, read once: after that its worker can no longer change anything.
//!
//! Everything is opened below the run's folder without following any link or leaving the file system; only regular files
//! are taken, and only up to a size that is known before. Most files are hashed and not copied. Only the two sides of a
//! comparison that has to be made again are copied, into a scratch folder that is swept after a crash, and within a
//! budget that each worker has for itself.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

use super::copies::{Budget, Share};
use super::{SignerError, bounds};
use crate::artifact::{HashingWriter, Sha256};
use crate::attest::{AttestError, Digested};
use crate::evidence::document::{self, Document};
use crate::plan::Plan;
use crate::run::{Record, RunFolder};

/// A run whose documents are read, and whose outputs are not yet.
pub(super) struct OpenedRun {
    run: File,
    /// `record.json`.
    pub record: Record,
    /// `plan.json`.
    pub plan: Plan,
    /// Evidence that came with it.
    pub documents: Vec<Document>,
    digested: Digested,
    until: Instant,
}

/// Everything that was read of a run; copies go when this is dropped.
pub(super) struct Snapshot {
    /// Documents and digests.
    pub digested: Digested,
    folder: Option<tempfile::TempDir>,
    _shares: Vec<Share>,
}

fn failed(what: &Path, reason: &dyn std::fmt::Display) -> SignerError {
    SignerError::Snapshot {
        what: what.display().to_string(),
        reason: reason.to_string(),
    }
}

impl OpenedRun {
    /// Opens the run at `path`, which must be below one of `allowed` and belong to `uid`, and reads its documents.
    pub(super) fn open(
        path: &Path,
        uid: u32,
        allowed: &[PathBuf],
        until: Instant,
    ) -> Result<Self, SignerError> {
        let run = folder(path, allowed)?;
        let meta = run.metadata().map_err(|error| failed(path, &error))?;
        let owner = meta.uid();
        if owner != uid {
            return Err(SignerError::NotOwner {
                run: path.display().to_string(),
                owner,
                uid,
            });
        }
        let mut digested = Digested {
            record: read(&run, Path::new("record.json"), bounds::RECORD, until)?,
            plan: read(&run, Path::new("plan.json"), bounds::PLAN, until)?,
            digests: BTreeMap::new(),
        };
        let record: Record = serde_json::from_slice(&digested.record)
            .map_err(|error| failed(Path::new("record.json"), &error))?;
        bounds::record(&record)?;
        for output in &record.outputs {
            let name = Path::new(&output.name);
            let mut parts = name.components();
            if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
                return Err(failed(name, &"it is not a plain file name"));
            }
        }
        for (name, most) in [("build.log", bounds::LOG), ("report.html", bounds::REPORT)] {
            let digest = hash(&run, Path::new(name), None, most, until)?;
            digested.digests.insert(name.to_owned(), digest.0);
        }
        // The plan's own reader refuses names that lead elsewhere.
        let plan = Plan::parse(&digested.plan).map_err(|reason| failed(Path::new("plan.json"), &reason))?;
        let documents = documents(&run, until)?;
        Ok(Self {
            run,
            record,
            plan,
            documents,
            digested,
            until,
        })
    }

    /// Hashes the outputs; `size` gives the length of what was released by its digest, where anyone but the worker says so.
    pub(super) fn outputs(
        self,
        size: impl Fn(Sha256) -> Option<u64>,
        scratch: &Path,
        budget: &Budget,
    ) -> Result<Snapshot, SignerError> {
        let Self {
            run,
            record,
            mut digested,
            until,
            ..
        } = self;
        let mut left = bounds::ALL;
        let mut copies: Option<tempfile::TempDir> = None;
        let mut shares = Vec::new();
        for output in &record.outputs {
            let Some(rebuilt) = output.rebuilt else { continue };
            let name = Path::new("rebuilt").join(&output.name);
            let known = output.released.and_then(&size);
            // The length that it has if its digest is to be that of the release.
            let expected = known.filter(|_| output.released == Some(rebuilt));
            // What differs from a release is about as long as it; an unknown length is bounded all the same.
            let most = known.map_or(bounds::OTHER, |size| bounds::OTHER.max(size.saturating_mul(4)));
            if output.equivalent() {
                let copies = match &copies {
                    Some(folder) => folder.path().to_owned(),
                    None => copies.insert(copy_folder(scratch)?).path().to_owned(),
                };
                // If the length is unknown, the budget bounds both.
                let most = if known.is_some() { most } else { budget.most };
                for (place, most) in [("rebuilt", most), ("released", known.unwrap_or(budget.most))] {
                    let name = Path::new(place).join(&output.name);
                    let copied = copy(&run, &name, &copies.join(&name), most.min(left), budget, until)?;
                    let (digest, size, share) = copied;
                    left = left.saturating_sub(size);
                    shares.push(share);
                    if place == "rebuilt" {
                        digested.digests.insert(name.display().to_string(), digest);
                    }
                }
            } else {
                let most = if output.released == Some(rebuilt) {
                    known.unwrap_or(bounds::UNKNOWN)
                } else {
                    most
                };
                // Nothing is longer than the worker itself says.
                let most = output.sizes.1.map_or(most, |stated| most.min(stated));
                let (digest, size) = hash(&run, &name, expected, most.min(left), until)?;
                left = left.saturating_sub(size);
                digested.digests.insert(name.display().to_string(), digest);
            }
        }
        Ok(Snapshot {
            digested,
            folder: copies,
            _shares: shares,
        })
    }
}

impl Snapshot {
    /// The copies; only of those files that a comparison needs.
    pub(super) fn run(&self) -> RunFolder {
        RunFolder::new(
            self.folder
                .as_ref()
                .map_or(Path::new("/nonexistent"), |it| it.path()),
        )
    }
}

fn copy_folder(scratch: &Path) -> Result<tempfile::TempDir, SignerError> {
    let folder = tempfile::Builder::new().prefix("run-").tempdir_in(scratch);
    let folder = folder.map_err(|error| failed(scratch, &error))?;
    for name in ["rebuilt", "released"] {
        fs::create_dir(folder.path().join(name)).map_err(|error| failed(scratch, &error))?;
    }
    Ok(folder)
}

/// Opens a run's folder below one of those that are allowed. The worker's path is not looked at before it is known to lie
/// there: it could lead to a file system that never answers.
fn folder(path: &Path, allowed: &[PathBuf]) -> Result<File, SignerError> {
    let outside = || SignerError::Outside {
        run: path.display().to_string(),
    };
    let plain = |part| matches!(part, Component::RootDir | Component::Normal(_));
    if !path.is_absolute() || !path.components().all(plain) {
        return Err(outside());
    }
    for named in allowed {
        let real = named.canonicalize().unwrap_or_else(|_| named.clone());
        let below = path.strip_prefix(&real).or_else(|_| path.strip_prefix(named));
        let Ok(below) = below else { continue };
        if below.as_os_str().is_empty() {
            continue;
        }
        let parent = File::open(&real).map_err(|error| failed(&real, &error))?;
        return match open(parent.as_fd(), below, OFlag::O_DIRECTORY) {
            Ok(run) => Ok(run.into()),
            Err(Errno::ELOOP | Errno::EXDEV) => Err(outside()),
            Err(error) => Err(failed(path, &error)),
        };
    }
    Err(outside())
}

fn open(folder: impl AsFd, name: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(flags | OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)
        .resolve(
            ResolveFlag::RESOLVE_BENEATH
                | ResolveFlag::RESOLVE_NO_SYMLINKS
                | ResolveFlag::RESOLVE_NO_MAGICLINKS
                | ResolveFlag::RESOLVE_NO_XDEV,
        );
    openat2(folder, name, how)
}

/// Opens a regular file of the run; gives its length.
fn file(run: &File, name: &Path, most: u64) -> Result<(File, u64), SignerError> {
    let file: File = open(run.as_fd(), name, OFlag::empty())
        .map_err(|error| failed(name, &error))?
        .into();
    let meta = file.metadata().map_err(|error| failed(name, &error))?;
    if !meta.is_file() {
        return Err(failed(name, &"it is not a regular file"));
    }
    if meta.len() > most {
        return Err(failed(name, &format!("it has more than {most} bytes")));
    }
    Ok((file, meta.len()))
}

/// Reads a file to the length that it had when it was opened, piece by piece, and refuses one that changes meanwhile.
fn pour(
    mut file: File,
    length: u64,
    name: &Path,
    until: Instant,
    mut take: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> Result<(), SignerError> {
    let mut piece = vec![0; 1 << 20];
    let mut left = length;
    loop {
        if Instant::now() > until {
            return Err(failed(name, &"reading it took too long"));
        }
        let count = file.read(&mut piece).map_err(|error| failed(name, &error))?;
        if count as u64 > left || count == 0 && left > 0 {
            return Err(failed(name, &"it changed while it was read"));
        }
        if count == 0 {
            return Ok(());
        }
        left = left.saturating_sub(count as u64);
        take(piece.get(..count).unwrap_or_default()).map_err(|error| failed(name, &error))?;
    }
}

fn read(run: &File, name: &Path, most: u64, until: Instant) -> Result<Vec<u8>, SignerError> {
    let (file, length) = file(run, name, most)?;
    let mut bytes = Vec::new();
    pour(file, length, name, until, |piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(bytes)
}

/// Hashes a file; `expected` is the length that it must have.
fn hash(
    run: &File,
    name: &Path,
    expected: Option<u64>,
    most: u64,
    until: Instant,
) -> Result<(Sha256, u64), SignerError> {
    let (file, length) = file(run, name, u64::MAX)?;
    if let Some(expected) = expected.filter(|expected| *expected != length) {
        return Err(AttestError::Changed {
            path: name.display().to_string(),
            expected: format!("{expected} bytes"),
            found: format!("{length} bytes"),
        }
        .into());
    }
    if length > most {
        return Err(failed(name, &format!("it has more than {most} bytes")));
    }
    let mut writer = HashingWriter::new(std::io::sink());
    pour(file, length, name, until, |piece| writer.write_all(piece))?;
    let (_, digest, _) = writer.finish();
    Ok((digest, length))
}

fn copy(
    run: &File,
    name: &Path,
    to: &Path,
    most: u64,
    budget: &Budget,
    until: Instant,
) -> Result<(Sha256, u64, Share), SignerError> {
    let (file, length) = file(run, name, most)?;
    let share = budget.take(length).ok_or_else(|| {
        failed(
            name,
            &format!(
                "the copies of this worker's runs would take more than {} bytes",
                budget.most
            ),
        )
    })?;
    let copy = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(|error| failed(name, &error))?;
    let mut writer = HashingWriter::new(copy);
    pour(file, length, name, until, |piece| writer.write_all(piece))?;
    let (mut copy, digest, _) = writer.finish();
    copy.flush().map_err(|error| failed(name, &error))?;
    Ok((digest, length, share))
}

/// Reads the documents that a run relies on; their names are their digests, and nothing else is taken.
fn documents(run: &File, until: Instant) -> Result<Vec<Document>, SignerError> {
    let name = Path::new("documents");
    let folder = match open(run.as_fd(), name, OFlag::O_DIRECTORY) {
        Ok(folder) => folder,
        Err(Errno::ENOENT) => return Ok(Vec::new()),
        Err(error) => return Err(failed(name, &error)),
    };
    let mut entries = nix::dir::Dir::from_fd(folder).map_err(|error| failed(name, &error))?;
    let mut names = Vec::new();
    for (count, entry) in entries.iter().enumerate() {
        if count > bounds::ENTRIES {
            return Err(failed(
                name,
                &format!("it has more than {} entries", bounds::ENTRIES),
            ));
        }
        let entry = entry.map_err(|error| failed(name, &error))?;
        let digest = entry
            .file_name()
            .to_str()
            .ok()
            .filter(|it| it.parse::<Sha256>().is_ok());
        names.extend(digest.map(str::to_owned));
    }
    if names.len() > bounds::DOCUMENTS {
        return Err(failed(
            name,
            &format!("it has more than {} documents", bounds::DOCUMENTS),
        ));
    }
    names.sort();
    let mut left = bounds::EVIDENCE;
    let mut all = Vec::new();
    for digest in names {
        let below = name.join(digest);
        let bytes = read(run, &below, left.min(crate::evidence::json::SIZE_LIMIT), until)?;
        left = left.saturating_sub(bytes.len() as u64);
        // What is not evidence says nothing, as before a build.
        all.extend(document::read(&below.display().to_string(), &bytes).unwrap_or_default());
    }
    Ok(all)
}
