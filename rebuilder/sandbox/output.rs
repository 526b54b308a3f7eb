//! Files that come out of a sandbox. Whatever ran inside may have put anything there, so links, devices and
//! sockets are refused, names are checked, and sizes are bounded.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};

use crate::artifact::{HashingWriter, Sha256};

/// One file that a build made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// File name, without folders.
    pub name: String,
    /// Digest of its bytes.
    pub sha256: Sha256,
    /// Length in bytes.
    pub size: u64,
}

/// An output folder that holds what it must not.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[allow(missing_docs)]
pub enum OutputError {
    #[error("the build left {name:?} in its output folder, which is not a regular file")]
    #[diagnostic(help("only plain files may leave the sandbox"))]
    NotAFile { name: String },
    #[error("the build left {found} in its output folder, more than {limit}")]
    TooMuch { found: String, limit: String },
    #[error("cannot take {name} out of the sandbox")]
    Io { name: String, source: io::Error },
}

const MOST_FILES: usize = 4096;

/// Copies the regular files of `from` to `to`, hashing on the way; at most `limit` bytes.
pub(super) fn collect(from: &Path, to: &Path, limit: u64) -> Result<Vec<Output>, OutputError> {
    let error = |name: &str| {
        let name = name.to_owned();
        move |source| OutputError::Io { name, source }
    };
    let mut outputs = Vec::new();
    let mut room = limit;
    for entry in fs::read_dir(from).map_err(error("the output folder"))? {
        let entry = entry.map_err(error("the output folder"))?;
        let name = entry
            .file_name()
            .into_string()
            .map_err(|name| OutputError::NotAFile {
                name: name.to_string_lossy().into_owned(),
            })?;
        if outputs.len() == MOST_FILES {
            return Err(OutputError::TooMuch {
                found: format!("over {MOST_FILES} files"),
                limit: format!("the {MOST_FILES} files allowed"),
            });
        }
        // No link is followed, and a FIFO does not block: what the check sees is what is read.
        let file = File::options()
            .read(true)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
            .open(entry.path());
        let file = match file {
            Ok(file) => file,
            Err(source)
                if source.raw_os_error() == Some(nix::libc::ELOOP)
                    || source.raw_os_error() == Some(nix::libc::ENXIO) =>
            {
                return Err(OutputError::NotAFile { name });
            }
            Err(source) => return Err(OutputError::Io { name, source }),
        };
        if !file.metadata().map_err(error(&name))?.is_file() {
            return Err(OutputError::NotAFile { name });
        }
        let output = receive(file, &to.join(&name), &name, room)?;
        room -= output.size;
        outputs.push(output);
    }
    outputs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(outputs)
}

/// Writes one output whose bytes come from `reader`, bounded by `room` bytes.
pub(super) fn receive(
    reader: impl io::Read,
    to: &Path,
    name: &str,
    room: u64,
) -> Result<Output, OutputError> {
    let error = |source| OutputError::Io {
        name: name.to_owned(),
        source,
    };
    let mut writer = HashingWriter::new(File::create_new(to).map_err(error)?);
    let copied = io::copy(&mut reader.take(room.saturating_add(1)), &mut writer).map_err(error)?;
    if copied > room {
        return Err(OutputError::TooMuch {
            found: format!("{name} and other files"),
            limit: "the disk limit".into(),
        });
    }
    let (_, sha256, size) = writer.finish();
    Ok(Output {
        name: name.to_owned(),
        sha256,
        size,
    })
}

/// A folder of staged inputs: hard links into the store where that works, copies elsewhere.
pub(crate) fn stage(inputs: &[super::Input], folder: &Path) -> io::Result<()> {
    for input in inputs {
        let place: PathBuf = folder.join(&input.name);
        if Path::new(&input.name)
            .components()
            .any(|part| !matches!(part, std::path::Component::Normal(_)))
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("bad input name {:?}", input.name),
            ));
        }
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)?;
        }
        if fs::hard_link(&input.path, &place).is_err() {
            fs::copy(&input.path, &place)?;
        }
    }
    Ok(())
}
