//! Reads whole files from builds, registries and strangers, up to the size that the caller allows for such a file.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod headers;

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

pub(crate) use headers::HeaderLimit;

/// A reply of a build backend or a resolver.
pub const ANSWER: u64 = 8 << 20;
/// A document that people write: a policy, a recipe, a list of packages.
pub const DOCUMENT: u64 = 16 << 20;
/// A plan or a record, which this tool writes and users hand in.
pub const PLAN: u64 = 64 << 20;
/// A key, or a text of a few lines.
pub const SHORT: u64 = 1 << 20;

/// Reads to the end of a reader, if that is at most `limit` bytes.
pub fn read_from(reader: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(too_large(limit));
    }
    Ok(bytes)
}

/// A reader that fails where there is more than it may give: what is cut off in silence looks whole.
#[derive(Debug)]
pub struct AtMost<R> {
    inner: R,
    limit: u64,
    left: u64,
}

impl<R: Read> AtMost<R> {
    /// The first `limit` bytes of a reader.
    pub fn new(inner: R, limit: u64) -> Self {
        let left = limit;
        Self { inner, limit, left }
    }
}

impl<R: Read> Read for AtMost<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            let more = !buffer.is_empty() && self.inner.read(&mut [0])? > 0;
            return if more { Err(too_large(self.limit)) } else { Ok(0) };
        }
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.inner.read(buffer.get_mut(..room).unwrap_or_default())?;
        self.left = self.left.saturating_sub(read as u64);
        Ok(read)
    }
}

fn too_large(limit: u64) -> io::Error {
    let what = format!("it is larger than {limit} bytes, the limit for such a file");
    io::Error::new(io::ErrorKind::FileTooLarge, what)
}

/// Reads a whole file of at most `limit` bytes. A pipe without a writer is empty and does not block.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = File::options()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY)
        .open(path)?;
    read_from(file, limit)
}

/// The same as text.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    String::from_utf8(read(path, limit)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// The text of a file below a stranger's folder. No link is followed: it would lead to what the stranger may not read.
pub fn read_text_within(folder: &Path, name: &Path, limit: u64) -> io::Result<String> {
    let file = File::from(open_within(
        &File::open(folder)?,
        name,
        OFlag::O_NONBLOCK | OFlag::O_NOCTTY,
    )?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
    }
    let bytes = read_from(file, limit)?;
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// A handle of what has this name below a folder, if no link leads there; with `O_PATH` also of a link itself.
pub fn open_within(folder: impl AsFd, name: &Path, flags: OFlag) -> io::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
    openat2(folder, name, how).map_err(|error| match error {
        nix::Error::ELOOP | nix::Error::EXDEV => io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is a link, or is reached through one",
        ),
        other => other.into(),
    })
}

/// The last `limit` bytes of a file as text.
pub fn tail(path: &Path, limit: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(limit)))?;
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn nothing_beyond_the_bound_is_read() {
        for (size, limit, whole) in [(0, 0, true), (1, 0, false), (10, 10, true), (11, 10, false)] {
            let read = read_from(&vec![b'x'; size][..], limit);
            assert_eq!(read.is_ok(), whole, "{size} {limit}");
            let mut read = Vec::new();
            let done = AtMost::new(&vec![b'x'; size][..], limit).read_to_end(&mut read);
            assert_eq!((done.is_ok(), read.len() as u64), (whole, limit.min(size as u64)));
        }
        // An endless reader is given up after the bound, too.
        let error = read_from(io::repeat(0), 1 << 20).unwrap_err();
        assert!(error.to_string().contains("larger than 1048576 bytes"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "first\nlast\n").unwrap();
        assert_eq!(tail(&path, 5).unwrap(), "last\n");
        assert_eq!(tail(&path, 500).unwrap(), "first\nlast\n");
        assert_eq!(read_text(&path, 11).unwrap(), "first\nlast\n");
        assert!(read(&path, 10).is_err());
    }

    #[test]
    fn no_link_in_a_strangers_folder_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("source");
        std::fs::create_dir_all(place.join("inner")).unwrap();
        std::fs::write(folder.path().join("secret"), "secret").unwrap();
        std::fs::write(place.join("inner/file"), "text").unwrap();
        for (link, target) in [("up", ".."), ("file", "../secret"), ("own", "inner")] {
            std::os::unix::fs::symlink(target, place.join(link)).unwrap();
        }
        for (name, text) in [
            ("inner/file", Some("text")),
            ("inner/../inner/file", Some("text")),
            ("file", None),
            ("up/secret", None),
            ("own/file", None),
            ("../secret", None),
            ("/etc/hostname", None),
            ("inner", None),
        ] {
            let found = read_text_within(&place, Path::new(name), SHORT);
            assert_eq!(found.ok().as_deref(), text, "{name}");
        }
    }
}
