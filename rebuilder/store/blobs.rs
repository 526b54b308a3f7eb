//! The content-addressed part of the store: one read-only file per SHA-256.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::{Store, StoreError};
use crate::artifact::{HashingWriter, Sha256};

/// A complete, verified file of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Where the bytes are; read-only.
    pub path: PathBuf,
    /// The digest that was computed from these bytes.
    pub sha256: Sha256,
    /// Length in bytes.
    pub size: u64,
}

impl Blob {
    /// Opens the file.
    pub fn open(&self) -> Result<File, StoreError> {
        File::open(&self.path).map_err(StoreError::io("read", &self.path))
    }

    /// All bytes; for documents, whose size was limited when they were fetched.
    pub fn bytes(&self) -> Result<Vec<u8>, StoreError> {
        fs::read(&self.path).map_err(StoreError::io("read", &self.path))
    }
}

/// Result of reading every file of the store again.
#[derive(Debug, Default, serde::Serialize)]
pub struct StoreCheck {
    /// Files whose bytes have the digest of their name.
    pub sound: u64,
    /// Bytes in those files.
    pub bytes: u64,
    /// Names of files whose bytes have another digest; they were set aside.
    pub corrupt: Vec<String>,
}

/// A file that is being written into the store.
pub(super) struct Incoming {
    file: HashingWriter<NamedTempFile>,
}

impl Incoming {
    pub(super) fn size(&self) -> u64 {
        self.file.size()
    }

    /// Ends the writing; the digest is known afterwards.
    pub(super) fn seal(self) -> Sealed {
        let (file, sha256, size) = self.file.finish();
        Sealed { file, sha256, size }
    }
}

/// A complete file that is not visible in the store yet; if it is dropped, nothing is left.
pub(super) struct Sealed {
    file: NamedTempFile,
    pub(super) sha256: Sha256,
    pub(super) size: u64,
}

impl Sealed {
    /// The file in the folder of temporary files, for the check that decides whether it is kept.
    pub(super) fn unkept(&self) -> Blob {
        Blob {
            path: self.file.path().to_owned(),
            sha256: self.sha256,
            size: self.size,
        }
    }
}

impl Write for Incoming {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Store {
    /// The file with this digest; it is hashed again before it is returned.
    ///
    /// A file whose bytes changed on disk is set aside in `quarantine/` and reported as absent, so that the caller
    /// fetches it again.
    pub fn get(&self, digest: Sha256) -> Result<Option<Blob>, StoreError> {
        let path = self.blob_path(digest);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io("read", &path)(error)),
        };
        let (found, size) = Sha256::of_reader(file).map_err(StoreError::io("read", &path))?;
        if found == digest {
            return Ok(Some(Blob {
                path,
                sha256: digest,
                size,
            }));
        }
        match fs::rename(&path, self.set_aside(digest)) {
            Ok(()) => Ok(None),
            // Another process set it aside first.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("set aside the corrupted", &path)(error)),
        }
    }

    pub(super) fn incoming(&self) -> Result<Incoming, StoreError> {
        let folder = self.tmp();
        let file = NamedTempFile::new_in(&folder).map_err(StoreError::io("write into", &folder))?;
        Ok(Incoming {
            file: HashingWriter::new(file),
        })
    }

    /// Makes a finished file visible under its digest.
    pub(super) fn admit(&self, sealed: Sealed) -> Result<Blob, StoreError> {
        let Sealed { file, sha256, size } = sealed;
        let path = self.blob_path(sha256);
        let folder = path.parent().unwrap_or(&self.data).to_owned();
        fs::create_dir_all(&folder).map_err(StoreError::io("make the folder", &folder))?;
        file.as_file()
            .set_permissions(fs::Permissions::from_mode(0o444))
            .and_then(|()| file.as_file().sync_all())
            .map_err(StoreError::io("write", &path))?;
        file.persist(&path)
            .map_err(|error| StoreError::io("write", &path)(error.error))?;
        Ok(Blob { path, sha256, size })
    }

    /// Keeps everything that a reader gives, under its digest.
    pub fn keep(&self, mut bytes: impl io::Read) -> Result<Blob, StoreError> {
        let mut incoming = self.incoming()?;
        let folder = self.tmp();
        io::copy(&mut bytes, &mut incoming).map_err(StoreError::io("write into", &folder))?;
        self.admit(incoming.seal())
    }

    /// Reads every file again, and sets aside those whose bytes changed.
    pub fn verify(&self) -> Result<StoreCheck, StoreError> {
        let mut check = StoreCheck::default();
        for path in self.blob_files()? {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            match name
                .parse()
                .ok()
                .map(|digest| self.get(digest))
                .transpose()?
                .flatten()
            {
                Some(blob) => {
                    check.sound = check.sound.saturating_add(1);
                    check.bytes = check.bytes.saturating_add(blob.size);
                }
                None => check.corrupt.push(name),
            }
        }
        Ok(check)
    }

    fn blob_files(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut files = Vec::new();
        for folder in entries(&self.blobs())? {
            files.extend(entries(&folder)?);
        }
        files.sort();
        Ok(files)
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(StoreError::io("list", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_set_aside_and_can_come_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(folder.path().to_owned())).unwrap();
        let blob = store.keep(&b"released bytes"[..]).unwrap();
        assert_eq!(store.get(blob.sha256).unwrap(), Some(blob.clone()));

        fs::set_permissions(&blob.path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&blob.path, b"other bytes").unwrap();
        assert_eq!(store.get(blob.sha256).unwrap(), None);
        assert_eq!(fs::read_dir(folder.path().join("quarantine")).unwrap().count(), 1);

        store.keep(&b"released bytes"[..]).unwrap();
        assert_eq!(store.get(blob.sha256).unwrap(), Some(blob));
    }

    #[test]
    fn many_writers_of_one_file_leave_one_whole_file() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = vec![7_u8; 300_000];
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let store = Store::open(Some(folder.path().to_owned())).unwrap();
                    for _ in 0..10 {
                        let blob = store.keep(&bytes[..]).unwrap();
                        assert_eq!(store.get(blob.sha256).unwrap(), Some(blob));
                    }
                });
            }
        });
        let store = Store::open(Some(folder.path().to_owned())).unwrap();
        let check = store.verify().unwrap();
        assert_eq!((check.sound, check.corrupt.len()), (1, 0));
        assert_eq!(fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
    }
}
