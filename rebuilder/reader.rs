//! Readers of outside data by name: each module lists its own in a table, which fuzzing goes through.

use std::io::Write as _;
use std::path::Path;

/// A name, and a function that reads any bytes and forgets what they say.
pub type Reader = (&'static str, fn(&[u8]));

/// Calls `read` with the bytes as text, as a reader of text gets them.
pub(crate) fn as_text(bytes: &[u8], read: impl FnOnce(&str)) {
    read(&String::from_utf8_lossy(bytes));
}

/// Calls `read` with a file of these bytes, as a reader of files wants them.
pub(crate) fn as_file(bytes: &[u8], read: impl FnOnce(&Path)) {
    let written = tempfile::NamedTempFile::new().and_then(|mut file| file.write_all(bytes).map(|()| file));
    if let Ok(file) = written {
        read(file.path());
    }
}

/// Calls `read` with a folder in which a file of these bytes has this name.
pub(crate) fn as_folder(bytes: &[u8], name: &str, read: impl FnOnce(&Path)) {
    let Ok(folder) = tempfile::tempdir() else {
        return;
    };
    if std::fs::write(folder.path().join(name), bytes).is_ok() {
        read(folder.path());
    }
}
