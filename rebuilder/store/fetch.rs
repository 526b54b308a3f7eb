//! The only way in from the network: files by URL and digest, from mirrors tried in order.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};

use super::blobs::{Blob, Incoming, Sealed};
use super::{GitMirror, Store, StoreError};
use crate::artifact::Sha256;
use crate::ledger::{Ledger, Work};
use crate::progress::{Progress, ProgressBar};

/// A file that is pinned: what it is called, where it can be had, and which bytes it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Material {
    /// File name, without folders.
    pub name: String,
    /// Places to fetch it from, tried in order.
    pub urls: Vec<String>,
    /// Digest of its bytes.
    pub sha256: Sha256,
    /// Length in bytes.
    pub size: u64,
}

/// A file that was fetched by name alone, such as the newest index, with what was found there.
#[derive(Debug, Clone)]
pub struct Received {
    /// The bytes as they are kept now.
    pub blob: Blob,
    /// The URL, among those asked for, that answered.
    pub url: String,
}

/// A file that could not be had.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[allow(missing_docs)]
pub enum FetchError {
    #[error("{name} does not exist: {url} answered {status}")]
    #[diagnostic(help("check the name and the version"))]
    NotFound { name: String, url: String, status: u16 },
    #[error("cannot fetch {name}: {}", Attempts(attempts))]
    #[diagnostic(help(
        "check the network, or map the address to a mirror that answers: --mirror URL-PREFIX=URL"
    ))]
    Unavailable {
        name: String,
        attempts: Vec<(String, String)>,
    },
    #[error("{name} is not in the store and the run is offline")]
    #[diagnostic(help("run once without --offline, so that the store has it"))]
    Offline { name: String },
    #[error("{name} has the wrong {what}: expected {expected}, found {found} at {url}")]
    #[diagnostic(help(
        "the mirror may be half-way through an update, or someone changed the file; try another mirror"
    ))]
    Differs {
        name: String,
        what: &'static str,
        expected: String,
        found: String,
        url: String,
    },
    #[error("{name} at {url} is larger than {limit} bytes")]
    TooLarge { name: String, url: String, limit: u64 },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
}

struct Attempts<'a>(&'a [(String, String)]);

impl fmt::Display for Attempts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no address is known for it");
        }
        for (index, (url, reason)) in self.0.iter().enumerate() {
            write!(f, "{}{url}: {reason}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

/// `PREFIX=REPLACEMENT`: URLs that begin with the prefix are fetched from the replacement instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorMap {
    prefix: String,
    replacement: String,
}

impl std::str::FromStr for MirrorMap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((prefix, replacement)) if prefix.contains("://") && replacement.contains("://") => {
                Ok(Self {
                    prefix: prefix.to_owned(),
                    replacement: replacement.to_owned(),
                })
            }
            _ => Err(
                "write it as https://host/path=URL, with http, https, file or (for images) docker".to_owned(),
            ),
        }
    }
}

/// Fetches into a [`Store`].
#[derive(Clone)]
pub struct Fetcher {
    store: Store,
    /// Made on first use: it reads the machine's certificates, which takes longer than verifying a bundle.
    client: Arc<OnceLock<Result<reqwest::Client, String>>>,
    mirrors: Arc<Vec<MirrorMap>>,
    git_mirrors: Arc<Vec<GitMirror>>,
    offline: bool,
    progress: Progress,
    ledger: Ledger,
    /// Indexes as they were when they were first asked for: several plans of one process see the same state.
    indexes: Arc<Mutex<HashMap<String, Received>>>,
}

const PARALLEL: usize = 8;
const ATTEMPTS: u32 = 3;

enum Refusal {
    Status(u16),
    Trouble(String),
    Store(StoreError),
    TooLarge,
}

impl Fetcher {
    /// A fetcher that fills `store`; `offline` makes it refuse everything that the store does not have.
    pub fn new(store: &Store, mirrors: Vec<MirrorMap>, offline: bool, progress: Progress) -> Self {
        Self {
            store: store.clone(),
            client: Arc::default(),
            mirrors: Arc::new(mirrors),
            git_mirrors: Arc::default(),
            offline,
            progress,
            ledger: Ledger::default(),
            indexes: Arc::default(),
        }
    }

    fn client(&self) -> Result<&reqwest::Client, Refusal> {
        let made = self.client.get_or_init(|| {
            reqwest::Client::builder()
                .user_agent(concat!("rebuilder/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(Duration::from_secs(20))
                .read_timeout(Duration::from_secs(60))
                .build()
                .map_err(|error| format!("the HTTP client does not start: {}", innermost(&error)))
        });
        made.as_ref().map_err(|reason| Refusal::Trouble(reason.clone()))
    }

    /// The same, with mirrors of git repositories.
    #[must_use]
    pub fn with_git_mirrors(mut self, mirrors: Vec<GitMirror>) -> Self {
        self.git_mirrors = Arc::new(mirrors);
        self
    }

    /// The same for another job: its own progress, and its own account of the time.
    #[must_use]
    pub fn for_job(&self, progress: Progress, ledger: Ledger) -> Self {
        Self {
            progress,
            ledger,
            ..self.clone()
        }
    }

    /// The account of the job's time.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(super) fn git_mirrors(&self) -> &[GitMirror] {
        &self.git_mirrors
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Whether it refuses to use the network.
    pub fn is_offline(&self) -> bool {
        self.offline
    }

    /// The store behind it.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The pinned file, from the store or from the first of its URLs that gives the right bytes.
    pub async fn get(&self, material: &Material) -> Result<Blob, FetchError> {
        self.get_with(material, &ProgressBar::hidden()).await
    }

    /// Many pinned files, several at a time, in the order they were asked for.
    pub async fn get_all(&self, what: &str, materials: &[Material]) -> Result<Vec<Blob>, FetchError> {
        let bar = self
            .progress
            .bytes(what, materials.iter().map(|material| material.size).sum());
        let pending: Vec<_> = materials
            .iter()
            .map(|material| self.get_with(material, &bar))
            .collect();
        let blobs = stream::iter(pending).buffered(PARALLEL).try_collect().await;
        bar.finish_and_clear();
        blobs
    }

    async fn get_with(&self, material: &Material, bar: &ProgressBar) -> Result<Blob, FetchError> {
        let store = self.store.clone();
        let digest = material.sha256;
        let held = tokio::task::spawn_blocking(move || store.get(digest)).await;
        if let Some(blob) = held.unwrap_or_else(|_| self.store.get(digest))? {
            bar.inc(blob.size);
            return Ok(blob);
        }
        if self.offline {
            return Err(FetchError::Offline {
                name: material.name.clone(),
            });
        }
        bar.set_message(material.name.clone());
        let mut differs = None;
        let mut attempts = Vec::new();
        for url in &material.urls {
            match self.download(url, material.size, bar).await {
                Ok(sealed) if sealed.sha256 == material.sha256 => return Ok(self.store.admit(sealed)?),
                Ok(sealed) => {
                    let (what, expected, found) = if sealed.size == material.size {
                        ("SHA-256", material.sha256.to_hex(), sealed.sha256.to_hex())
                    } else {
                        ("size", material.size.to_string(), sealed.size.to_string())
                    };
                    let (name, url) = (material.name.clone(), url.clone());
                    differs = Some(FetchError::Differs {
                        name,
                        what,
                        expected,
                        found,
                        url,
                    });
                }
                Err(Refusal::Store(error)) => return Err(error.into()),
                Err(Refusal::TooLarge) => {
                    differs = Some(FetchError::Differs {
                        name: material.name.clone(),
                        what: "size",
                        expected: material.size.to_string(),
                        found: format!("more than {}", material.size),
                        url: url.clone(),
                    });
                }
                Err(Refusal::Status(status)) => attempts.push((url.clone(), format!("HTTP status {status}"))),
                Err(Refusal::Trouble(reason)) => attempts.push((url.clone(), reason)),
            }
        }
        // Wrong bytes matter more than a mirror that is down.
        Err(differs.unwrap_or(FetchError::Unavailable {
            name: material.name.clone(),
            attempts,
        }))
    }

    /// A file whose digest is not known before, of at most `limit` bytes, from the first URL that answers.
    ///
    /// Only indexes are fetched this way: their own signature, or the user's choice of registry, stands for them.
    pub async fn get_unpinned(
        &self,
        name: &str,
        urls: &[String],
        limit: u64,
    ) -> Result<Received, FetchError> {
        if self.offline {
            return Err(FetchError::Offline {
                name: name.to_owned(),
            });
        }
        let known = || self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        let found = urls.iter().find_map(|url| known().get(url).cloned());
        if let Some(received) = found {
            return Ok(received);
        }
        let mut attempts = Vec::new();
        let mut missing = None;
        for url in urls {
            match self.download(url, limit, &ProgressBar::hidden()).await {
                Ok(sealed) => {
                    let received = Received {
                        blob: self.store.admit(sealed)?,
                        url: url.clone(),
                    };
                    known().insert(url.clone(), received.clone());
                    return Ok(received);
                }
                Err(Refusal::Store(error)) => return Err(error.into()),
                Err(Refusal::TooLarge) => {
                    return Err(FetchError::TooLarge {
                        name: name.to_owned(),
                        url: url.clone(),
                        limit,
                    });
                }
                Err(Refusal::Status(status)) => {
                    attempts.push((url.clone(), format!("HTTP status {status}")));
                    missing = (status == 404 || status == 410).then(|| (url.clone(), status));
                }
                Err(Refusal::Trouble(reason)) => attempts.push((url.clone(), reason)),
            }
        }
        Err(match missing {
            Some((url, status)) if attempts.len() == 1 => FetchError::NotFound {
                name: name.to_owned(),
                url,
                status,
            },
            _ => FetchError::Unavailable {
                name: name.to_owned(),
                attempts,
            },
        })
    }

    pub(super) fn rewrite(&self, url: &str) -> String {
        for map in self.mirrors.iter() {
            if let Some(rest) = url.strip_prefix(&map.prefix) {
                return format!("{}{rest}", map.replacement);
            }
        }
        url.to_owned()
    }

    /// Streams one URL into a temporary file; retries what may pass.
    async fn download(&self, url: &str, limit: u64, bar: &ProgressBar) -> Result<Sealed, Refusal> {
        let url = self.rewrite(url);
        let _entry = self.ledger.begin(Work::Download);
        if url.starts_with("file://") {
            let path = url::Url::parse(&url).ok().and_then(|url| url.to_file_path().ok());
            let path = path.ok_or_else(|| Refusal::Trouble("the file address is not valid".into()))?;
            return self.copy(&path, limit, bar);
        }
        let mut last = Refusal::Trouble("not tried".to_owned());
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(400 << attempt)).await;
            }
            match self.download_once(&url, limit, bar).await {
                Err(Refusal::Status(status)) if status >= 500 || status == 429 => {
                    last = Refusal::Status(status);
                }
                Err(Refusal::Trouble(reason)) => last = Refusal::Trouble(reason),
                done => return done,
            }
        }
        Err(last)
    }

    async fn download_once(&self, url: &str, limit: u64, bar: &ProgressBar) -> Result<Sealed, Refusal> {
        let trouble = |error: reqwest::Error| Refusal::Trouble(innermost(&error.without_url()));
        let mut request = self.client()?.get(url);
        if url.contains("/simple/") {
            request = request.header("accept", "application/vnd.pypi.simple.v1+json");
        }
        let response = request.send().await.map_err(trouble)?;
        if !response.status().is_success() {
            return Err(Refusal::Status(response.status().as_u16()));
        }
        let mut incoming = self.store.incoming().map_err(Refusal::Store)?;
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(trouble)?;
            self.append(&mut incoming, &chunk, limit, bar)?;
        }
        Ok(incoming.seal())
    }

    fn copy(&self, path: &std::path::Path, limit: u64, bar: &ProgressBar) -> Result<Sealed, Refusal> {
        let trouble = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => Refusal::Status(404),
            _ => Refusal::Trouble(error.to_string()),
        };
        let mut file = File::open(path).map_err(trouble)?;
        let mut incoming = self.store.incoming().map_err(Refusal::Store)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = file.read(&mut buffer).map_err(trouble)?;
            if count == 0 {
                return Ok(incoming.seal());
            }
            self.append(&mut incoming, &buffer[..count], limit, bar)?;
        }
    }

    fn append(
        &self,
        incoming: &mut Incoming,
        bytes: &[u8],
        limit: u64,
        bar: &ProgressBar,
    ) -> Result<(), Refusal> {
        if incoming.size() + bytes.len() as u64 > limit {
            return Err(Refusal::TooLarge);
        }
        bar.inc(bytes.len() as u64);
        let tmp = self.store.tmp();
        incoming
            .write_all(bytes)
            .map_err(|error| Refusal::Store(StoreError::io("write into", &tmp)(error)))
    }
}

/// The innermost cause says what happened ("connection refused"); the outer ones only that something did.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
