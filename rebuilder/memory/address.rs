//! Addresses of databases, as a user writes them.

use std::fs::File;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use url::Url;

use super::{Dialect, MemoryError};
use crate::store::StoreError;

/// Where a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// A file of SQLite.
    File(PathBuf),
    /// A server of PostgreSQL.
    Server(Url),
}

/// What a path must not contain as it is, if a URL is made of it.
const PATH: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#').add(b' ');

impl Address {
    pub(super) fn parse(text: &str) -> Result<Self, MemoryError> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.starts_with(':') {
                let reason = "it names no file".to_owned();
                return Err(MemoryError::Address {
                    url: text.to_owned(),
                    reason,
                });
            }
            return Ok(Self::File(PathBuf::from(path)));
        }
        let wrong = |url: &str, reason: &str| MemoryError::Address {
            url: url.to_owned(),
            reason: reason.to_owned(),
        };
        // What cannot be read as a URL may still hold a password.
        let url = Url::parse(text).map_err(|error| wrong("this address", &error.to_string()))?;
        match url.scheme() {
            "postgres" | "postgresql" => Ok(Self::Server(url)),
            scheme if url.cannot_be_a_base() => Err(wrong(
                &format!("an address of the kind {scheme:?}"),
                "only SQLite and PostgreSQL are supported",
            )),
            _ => Err(wrong(
                &without_password(&url),
                "only SQLite and PostgreSQL are supported",
            )),
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        match self {
            Self::File(_) => Dialect::Sqlite,
            Self::Server(_) => Dialect::Postgres,
        }
    }

    /// For people.
    pub(super) fn place(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Server(url) => without_password(url),
        }
    }

    /// For the driver.
    pub(super) fn url(&self) -> String {
        match self {
            Self::File(path) => {
                let path = utf8_percent_encode(&path.to_string_lossy(), PATH).to_string();
                format!("sqlite:{path}?mode=rwc")
            }
            Self::Server(url) => url.to_string(),
        }
    }

    /// Makes a file that only this user can read, and keeps other processes out until the lock is dropped. A server
    /// has locks of its own.
    pub(super) async fn lock(&self) -> Result<Option<Flock<File>>, MemoryError> {
        let Self::File(path) = self else { return Ok(None) };
        let path = path.clone();
        let locked = tokio::task::spawn_blocking(move || make_and_lock(&path)).await;
        let cancelled =
            |_| StoreError::io("lock", Path::new("the memory"))(std::io::ErrorKind::Interrupted.into());
        Ok(Some(locked.map_err(cancelled)??))
    }
}

fn make_and_lock(path: &Path) -> Result<Flock<File>, StoreError> {
    if let Some(folder) = path.parent() {
        let made = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder);
        made.map_err(StoreError::io("make the folder", folder))?;
    }
    let open = |path: &Path| {
        let mut options = File::options();
        options.create(true).truncate(false).write(true).mode(0o600);
        options.open(path).map_err(StoreError::io("open", path))
    };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let beside = PathBuf::from(beside);
    let lock = Flock::lock(open(&beside)?, FlockArg::LockExclusive);
    let lock = lock.map_err(|(_, error)| StoreError::io("lock", &beside)(error.into()))?;
    open(path)?;
    Ok(lock)
}

fn without_password(url: &Url) -> String {
    let mut url = url.clone();
    // An address without a host has no password either.
    let _ = url.set_password(None);
    let others: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(key, _)| key != "password")
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    url.set_query(None);
    if !others.is_empty() {
        url.query_pairs_mut().extend_pairs(others);
    }
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_passwords() {
        for (text, place) in [
            ("sqlite:/tmp/a b.sqlite", Some("/tmp/a b.sqlite")),
            ("sqlite:///tmp/a", Some("/tmp/a")),
            ("sqlite:relative", Some("relative")),
            ("sqlite:", None),
            ("sqlite::memory:", None),
            ("postgres://u:secret@h:1/d", Some("postgres://u@h:1/d")),
            (
                "postgresql://u@h/d?password=secret&host=/run",
                Some("postgresql://u@h/d?host=%2Frun"),
            ),
            ("mysql://u:secret@h/d", None),
            ("u:secret@h", None),
        ] {
            match (Address::parse(text), place) {
                (Ok(address), Some(place)) => assert_eq!(address.place(), place),
                (Err(error), None) => assert!(!error.to_string().contains("secret"), "{error}"),
                (other, _) => panic!("{text}: {other:?}"),
            }
        }
    }
}
