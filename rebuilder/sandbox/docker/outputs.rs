//! The outputs of a container: a tar stream that the engine makes of a folder which the build filled.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use crate::bounded::HeaderLimit;
use crate::sandbox::output::{self, MOST_FILES, Output, OutputError};

/// Bytes of a tar stream besides the files' own, for the maximum number of files: headers, long names, padding,
/// attributes.
pub(super) const OVERHEAD: u64 = 64 << 20;

/// Extracts the regular files of `/out` from the engine's tar file to `to`, at most `limit` bytes; anything else in
/// the stream is an error.
pub(super) fn unpack(tar: File, to: &Path, limit: u64) -> Result<Vec<Output>, OutputError> {
    let error = |source| OutputError::Io {
        name: "the outputs".into(),
        source,
    };
    let mut outputs: Vec<Output> = Vec::new();
    let mut room = limit;
    let headers = HeaderLimit::default();
    let mut archive = tar::Archive::new(headers.over(tar));
    for entry in headers.entries(&mut archive).map_err(error)? {
        let entry = entry.map_err(error)?;
        let path = entry.path().map_err(error)?.into_owned();
        let kind = entry.header().entry_type();
        let Some(name) = name_in_out(&path)? else {
            if kind.is_dir() {
                continue;
            }
            return Err(OutputError::NotAFile {
                name: path.display().to_string(),
            });
        };
        if outputs.len() == MOST_FILES {
            return Err(OutputError::TooMuch {
                found: format!("over {MOST_FILES} files"),
                limit: format!("the {MOST_FILES} files allowed"),
            });
        }
        let place = to.join(&name);
        let output = if kind.is_file() {
            extract(entry, &place, name, room)?
        } else if kind.is_hard_link() {
            // Another name of a file counts as a file, too.
            let first = entry.link_name().map_err(error)?.unwrap_or_default().into_owned();
            let first = name_in_out(&first)?.filter(|first| outputs.iter().any(|known| known.name == *first));
            let Some(first) = first else {
                return Err(OutputError::NotAFile { name });
            };
            let file = File::open(to.join(first)).map_err(error)?;
            output::receive(file, &place, &name, room)?
        } else {
            return Err(OutputError::NotAFile { name });
        };
        room = room.saturating_sub(output.size);
        outputs.push(output);
    }
    outputs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(outputs)
}

/// Extracts one file, which must be as long as its header says.
fn extract<R: io::Read>(
    entry: tar::Entry<'_, R>,
    place: &Path,
    name: String,
    room: u64,
) -> Result<Output, OutputError> {
    let size = entry.size();
    if size > room {
        return Err(OutputError::TooMuch {
            found: format!("{name} and other files"),
            limit: "the disk limit".into(),
        });
    }
    let output = output::receive(entry.take(size), place, &name, room)?;
    if output.size == size {
        Ok(output)
    } else {
        Err(OutputError::Io {
            name,
            source: io::Error::from(io::ErrorKind::UnexpectedEof),
        })
    }
}

/// The name of a file directly in the folder that the stream contains; `None` for the folder itself.
fn name_in_out(path: &Path) -> Result<Option<String>, OutputError> {
    let refuse = || OutputError::NotAFile {
        name: path.display().to_string(),
    };
    let mut parts: Vec<PathBuf> = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => parts.push(part.into()),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err(refuse()),
        }
    }
    match parts.as_slice() {
        [_] => Ok(None),
        [_, name] => Ok(Some(name.to_str().ok_or_else(refuse)?.to_owned())),
        _ => Err(refuse()),
    }
}

#[cfg(test)]
mod tests {
    use tar::{Builder, EntryType, Header};

    use super::*;

    type Entry<'a> = (EntryType, &'a [u8], &'a [u8]);

    fn stream(entries: &[Entry]) -> File {
        let mut builder = Builder::new(tempfile::tempfile().unwrap());
        for (kind, name, content) in entries {
            let mut header = Header::new_ustar();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name);
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            if *kind == EntryType::Link || *kind == EntryType::Symlink {
                header.as_mut_bytes()[157..157 + content.len()].copy_from_slice(content);
                header.set_size(0);
            } else {
                header.set_size(content.len() as u64);
            }
            header.set_cksum();
            let content: &[u8] = if kind.is_file() { content } else { &[] };
            builder.append(&header, content).unwrap();
        }
        let mut file = builder.into_inner().unwrap();
        io::Seek::rewind(&mut file).unwrap();
        file
    }

    fn names(entries: &[Entry]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let outputs = unpack(stream(entries), folder.path(), 10).map_err(|error| error.to_string())?;
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            outputs.len(),
            "every file that was written is an output"
        );
        Ok(outputs.into_iter().map(|output| output.name).collect())
    }

    const DIR: EntryType = EntryType::Directory;
    const FILE: EntryType = EntryType::Regular;

    #[test]
    fn plain_files_and_second_names_of_them_come_back() {
        let entries: &[Entry] = &[
            (DIR, b"out/", b""),
            (FILE, b"out/b", b"12345"),
            (EntryType::Link, b"out/a", b"out/b"),
            (FILE, b"./out/.hidden", b""),
        ];
        assert_eq!(names(entries).unwrap(), [".hidden", "a", "b"]);
    }

    #[test]
    fn anything_else_is_refused() {
        let cases: &[(&str, &[Entry])] = &[
            ("a folder", &[(DIR, b"out/x/", b"")]),
            ("a file in a folder", &[(FILE, b"out/x/y", b"1")]),
            ("a file above", &[(FILE, b"out/../x", b"1")]),
            ("a file beside", &[(FILE, b"x", b"1")]),
            ("an absolute name", &[(FILE, b"/etc/x/passwd", b"1")]),
            ("a link", &[(EntryType::Symlink, b"out/x", b"/etc/passwd")]),
            ("the folder as a link", &[(EntryType::Symlink, b"out", b"/etc")]),
            ("a pipe", &[(EntryType::Fifo, b"out/x", b"")]),
            ("a device", &[(EntryType::Char, b"out/x", b"")]),
            (
                "a second name of what is not there",
                &[(EntryType::Link, b"out/x", b"out/y")],
            ),
            (
                "a second name of something outside",
                &[(EntryType::Link, b"out/x", b"etc/y")],
            ),
            (
                "a second name further up",
                &[(EntryType::Link, b"out/x", b"out/../../etc/passwd")],
            ),
            ("a name that is not text", &[(FILE, b"out/\xff", b"1")]),
            (
                "one name twice",
                &[(FILE, b"out/x", b"1"), (FILE, b"out/x", b"2")],
            ),
            (
                "too many bytes",
                &[(FILE, b"out/x", b"123456"), (FILE, b"out/y", b"123456")],
            ),
            (
                "too many bytes by second names",
                &[(FILE, b"out/x", b"123456"), (EntryType::Link, b"out/y", b"out/x")],
            ),
        ];
        for (what, entries) in cases {
            assert!(names(entries).is_err(), "{what}");
        }
    }

    #[test]
    fn there_are_only_so_many() {
        let names: Vec<_> = (0..=MOST_FILES).map(|number| format!("out/{number}")).collect();
        let entries: Vec<_> = names
            .iter()
            .map(|name| (FILE, name.as_bytes(), &b""[..]))
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let refused = unpack(stream(&entries), folder.path(), 10).unwrap_err();
        assert!(refused.to_string().contains("4096 files"), "{refused}");
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(
            unpack(stream(&entries[1..]), folder.path(), 10).unwrap().len(),
            MOST_FILES
        );
    }
}
