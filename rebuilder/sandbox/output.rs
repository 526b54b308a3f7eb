//! Files that leave a sandbox. What ran inside may have put anything there, so links, devices and
//! sockets are refused, names are checked, and sizes are bounded.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};

use crate::artifact::{HashingWriter, Sha256};
use crate::deadline::Deadline;

/// One file that a build produced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// File name, without folders.
    pub name: String,
    /// Digest of its bytes.
    pub sha256: Sha256,
    /// Length in bytes.
    pub size: u64,
}

/// An output folder with content that is not allowed.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum OutputError {
    #[error("{name:?} in the build's output folder is not a regular file")]
    #[diagnostic(help("only plain files may leave the sandbox"))]
    NotAFile { name: String },
    #[error("the build left {found} in its output folder, more than {limit}")]
    TooMuch { found: String, limit: String },
    #[error("cannot copy {name} out of the sandbox")]
    Io { name: String, source: io::Error },
}

pub(super) const MOST_FILES: usize = 4096;
/// Maximum duration of collecting the outputs of one job: enough for the default disk limit on a slow disk.
const LONGEST: Duration = Duration::from_mins(15);

/// Copies the regular files of `from` to `to` and hashes them; at most `limit` bytes.
pub(super) fn collect(from: &Path, to: &Path, limit: u64) -> Result<Vec<Output>, OutputError> {
    let error = |name: &str| {
        let name = name.to_owned();
        move |source| OutputError::Io { name, source }
    };
    let mut outputs = Vec::new();
    let mut room = limit;
    let deadline = Deadline::within(LONGEST);
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
        // No link is followed, and a FIFO does not block: the file that is checked is the file that is read.
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
        let output = receive(deadline.reader(file), &to.join(&name), &name, room)?;
        room = room.saturating_sub(output.size);
        outputs.push(output);
    }
    outputs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(outputs)
}

/// Writes one output whose bytes come from `reader`, at most `room` bytes.
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
            limit: "the bytes that are taken".into(),
        });
    }
    let (_, sha256, size) = writer.finish();
    Ok(Output {
        name: name.to_owned(),
        sha256,
        size,
    })
}

/// Stages inputs in a folder: as copies, which share their blocks with the store if the file system supports that.
///
/// Never as links: the store's files would get another name, through which something could write, lock or change them.
pub(crate) fn stage(inputs: &[super::Input], folder: &Path) -> io::Result<()> {
    for input in inputs {
        let invalid = |reason: &str| {
            let text = format!("the input name {:?} {reason}", input.name);
            io::Error::new(io::ErrorKind::InvalidInput, text)
        };
        let mut parts = Path::new(&input.name).components();
        if input.name.is_empty() || !parts.all(|part| matches!(part, std::path::Component::Normal(_))) {
            return Err(invalid("is not a relative path below the folder"));
        }
        let place: PathBuf = folder.join(&input.name);
        // The build must be able to read them, whatever the worker's file mode mask is.
        let mut above: Vec<_> = place
            .ancestors()
            .skip(1)
            .take_while(|path| *path != folder)
            .collect();
        while let Some(path) = above.pop() {
            match fs::create_dir(path) {
                Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(0o755))?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        let mut from = File::open(&input.path)?;
        let mut to = File::options()
            .write(true)
            .create_new(true)
            .mode(0o444)
            .open(&place)
            .map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => invalid("is used twice"),
                _ => error,
            })?;
        // Copies within the kernel, by reference if possible.
        io::copy(&mut from, &mut to)?;
        to.set_permissions(fs::Permissions::from_mode(0o444))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;
    use crate::sandbox::Input;

    #[test]
    fn staged_files_are_copies_and_no_place_is_taken_twice() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, other) = (folder.path().join("kept"), folder.path().join("other"));
        fs::write(&kept, "kept").unwrap();
        fs::write(&other, "other").unwrap();
        let input = |name: &str, path: &Path| Input {
            name: name.to_owned(),
            path: path.to_owned(),
        };
        for (number, (names, fits)) in [
            (&["a", "b/c"][..], true),
            (&["a", "a"], false),
            (&["a", "a/b"], false),
            (&["a/b", "a"], false),
            (&["a/b", "a/./b"], false),
            (&["../a"], false),
            (&["/etc/a"], false),
            (&[""], false),
        ]
        .into_iter()
        .enumerate()
        {
            let place = folder.path().join(number.to_string());
            fs::create_dir(&place).unwrap();
            let paths = [&kept, &other];
            let inputs: Vec<_> = names
                .iter()
                .zip(paths)
                .map(|(name, path)| input(name, path))
                .collect();
            assert_eq!(stage(&inputs, &place).is_ok(), fits, "{names:?}");
        }
        assert_eq!(fs::read_to_string(&kept).unwrap(), "kept");
        assert_eq!(fs::metadata(&kept).unwrap().nlink(), 1);
    }
}
