//! The files of a commit as a tar archive whose bytes depend only on the commit and on the files that are left out.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::GitError;
use super::checkout::{BLOB, Checkout, LINK_MODE, SUBMODULE_MODE};
use super::objects::{Objects, TreeEntry};

/// Maximum number of bytes of all files of an archive; a few objects that name each other many times can make any
/// number of files.
const ARCHIVE_LIMIT: u64 = 16 << 30;
/// Maximum length of a symbolic link's target (`PATH_MAX`).
const LINK_LIMIT: u64 = 4096;

/// A commit whose files go below a prefix, except those with the paths in `without`.
pub(super) struct Part {
    pub prefix: Vec<u8>,
    pub checkout: Checkout,
    pub without: Vec<String>,
}

/// Writes the files of several commits, each below its prefix, in git's order.
///
/// Ends early, with an error, once `unwanted` is set.
pub(super) fn write_archive(
    parts: &[Part],
    out: impl io::Write,
    unwanted: &AtomicBool,
) -> Result<(), GitError> {
    let out = Until { out, unwanted };
    let mut left = ARCHIVE_LIMIT;
    let mut tar = tar::Builder::new(io::BufWriter::with_capacity(1 << 18, out));
    let Some(first) = parts.first().map(|part| &part.checkout) else {
        return Ok(());
    };
    let time = first.time()?;
    for part in parts {
        let entries = part.entries()?;
        part.append_to(&mut tar, &entries, time, &mut left)
            .map_err(|error| part.checkout.unread(&error))?;
    }
    tar.into_inner()
        .and_then(|mut out| out.flush())
        .map_err(|error| first.content(&error))
}

/// A writer that fails once the archive is not wanted any more.
struct Until<'a, W> {
    out: W,
    unwanted: &'a AtomicBool,
}

impl<W: io::Write> io::Write for Until<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.unwanted.load(Ordering::Relaxed) {
            return Err(io::Error::other("the archive is no longer wanted"));
        }
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Part {
    /// The files and links that go into the archive.
    fn entries(&self) -> Result<Vec<TreeEntry>, GitError> {
        let mut entries = self.checkout.entries()?;
        entries.retain(|entry| {
            let left_out = self.without.iter().any(|path| path.as_bytes() == entry.path);
            entry.mode != SUBMODULE_MODE && !left_out
        });
        Ok(entries)
    }

    fn append_to(
        &self,
        tar: &mut tar::Builder<impl io::Write>,
        entries: &[TreeEntry],
        time: u64,
        left: &mut u64,
    ) -> Result<(), io::Error> {
        use std::os::unix::ffi::OsStrExt as _;
        Objects::each(&self.checkout, entries, |entry, head, content| {
            let path = [self.prefix.as_slice(), &entry.path].concat();
            let path = Path::new(std::ffi::OsStr::from_bytes(&path));
            let mut header = tar::Header::new_gnu();
            header.set_mtime(time);
            header.set_uid(0);
            header.set_gid(0);
            if head.kind != BLOB {
                return Err(io::Error::other(format!("{} is not a file", entry.id)));
            }
            // A header takes a block, whatever the size of the file.
            *left = left
                .checked_sub(head.size.saturating_add(512))
                .ok_or_else(|| io::Error::other(format!("its files have more than {ARCHIVE_LIMIT} bytes")))?;
            if entry.mode == LINK_MODE {
                if head.size > LINK_LIMIT {
                    return Err(io::Error::other("one of its links is longer than any path"));
                }
                let mut target = Vec::new();
                content.read_to_end(&mut target)?;
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_mode(0o777);
                header.set_size(0);
                tar.append_link(&mut header, path, Path::new(std::ffi::OsStr::from_bytes(&target)))
            } else {
                header.set_mode(if entry.mode == "100755" { 0o755 } else { 0o644 });
                header.set_size(head.size);
                tar.append_data(&mut header, path, content)
            }
        })
    }
}
