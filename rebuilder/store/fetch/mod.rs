//! The only way in from the network: files by URL and digest, from mirrors tried in order (`download` makes one try).
//!
//! A file without a known digest is kept only if its reader accepts it.

mod error;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use self::error::says_no;
use super::address::{AddressTrust, Word};
use super::blobs::Blob;
use super::download::{RequestFailure, innermost};
use super::git::GitArchives;
use super::public::PublicOnly;
use super::unreachable::Unreachable;
use super::{AllowedHost, GitMirror, MirrorMap, Store};
use crate::artifact::PinnedFile;
use crate::ledger::Ledger;
use crate::progress::{Progress, ProgressBar};
use crate::text::redacted;

pub use error::FetchError;
pub(super) use error::{Attempt, NotGiven};

/// A file that was fetched by name alone, such as the newest index.
#[derive(Debug, Clone)]
pub struct Received {
    /// The bytes, as they are kept now.
    pub blob: Blob,
    /// Which of the URLs answered.
    pub url: String,
}

/// Fetches into a [`Store`].
#[derive(Clone)]
pub struct Fetcher {
    store: Store,
    /// Made on first use: it reads the machine's certificates, which takes longer than verifying a bundle.
    chosen: Arc<OnceLock<Result<reqwest::Client, String>>>,
    /// A client for hosts that the user did not choose: it connects to public addresses only.
    outside: Arc<OnceLock<Result<reqwest::Client, String>>>,
    word: Arc<Word>,
    git_mirrors: Arc<Vec<GitMirror>>,
    offline: bool,
    progress: Progress,
    ledger: Ledger,
    /// Indexes as they were when this process first asked for them: all of its plans see the same state.
    indexes: Arc<Mutex<HashMap<String, Received>>>,
    unreachable: Unreachable,
    /// Archives of commits that this process made.
    git_archives: Arc<Mutex<GitArchives>>,
}

const PARALLEL: usize = 8;

impl Fetcher {
    /// A fetcher that fills `store`; with `offline` it refuses to fetch anything that the store does not have.
    pub fn new(store: &Store, mirrors: Vec<MirrorMap>, offline: bool, progress: Progress) -> Self {
        Self {
            store: store.clone(),
            chosen: Arc::default(),
            outside: Arc::default(),
            word: Arc::new(Word::new(mirrors)),
            git_mirrors: Arc::default(),
            offline,
            progress,
            ledger: Ledger::default(),
            indexes: Arc::default(),
            unreachable: Unreachable::remembered(store),
            git_archives: Arc::default(),
        }
    }

    pub(super) fn git_archives(&self) -> MutexGuard<'_, GitArchives> {
        self.git_archives.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn client(&self, trust: AddressTrust) -> Result<&reqwest::Client, RequestFailure> {
        let place = match trust {
            AddressTrust::Chosen => &self.chosen,
            AddressTrust::Outside => &self.outside,
        };
        let made = place.get_or_init(|| {
            let builder = reqwest::Client::builder()
                .user_agent(concat!("rebuilder/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(Duration::from_secs(10))
                .read_timeout(Duration::from_mins(1))
                .redirect(reqwest::redirect::Policy::none())
                .referer(false);
            let builder = match trust {
                AddressTrust::Chosen => builder,
                AddressTrust::Outside => builder.dns_resolver(PublicOnly),
            };
            builder
                .build()
                .map_err(|error| format!("cannot start the HTTP client: {}", innermost(&error)))
        });
        made.as_ref()
            .map_err(|reason| RequestFailure::Trouble(reason.clone()))
    }

    /// The same fetcher, with hosts that addresses from documents may lead to although they are not public.
    #[must_use]
    pub fn with_allowed_hosts(mut self, hosts: Vec<AllowedHost>) -> Self {
        self.word = Arc::new(self.word.with_hosts(hosts));
        self
    }

    /// Takes an address, and everything below it, as the user's own choice: the user typed it, or a container
    /// definition names it.
    pub fn choose(&self, prefix: &str) {
        self.word.choose(prefix);
    }

    /// Allows plain HTTP below an address, since a signed index pins the files there.
    pub fn allow_plain(&self, prefix: &str) {
        self.word.allow_plain(prefix);
    }

    pub(super) fn word(&self) -> &Word {
        &self.word
    }

    /// The same fetcher, with mirrors of git repositories.
    #[must_use]
    pub fn with_git_mirrors(mut self, mirrors: Vec<GitMirror>) -> Self {
        self.git_mirrors = Arc::new(mirrors);
        self
    }

    /// The same fetcher for another job, with its own progress and its own account of the time.
    #[must_use]
    pub fn for_job(&self, progress: Progress, ledger: Ledger) -> Self {
        Self {
            progress,
            ledger,
            ..self.clone()
        }
    }

    /// Forgets the indexes, so that they are asked for again.
    pub fn forget_indexes(&self) {
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        indexes.clear();
    }

    /// The account of the job's time.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(super) fn unreachable(&self) -> &Unreachable {
        &self.unreachable
    }

    pub(super) fn git_mirrors(&self) -> &[GitMirror] {
        &self.git_mirrors
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Whether the fetcher refuses to use the network.
    pub fn is_offline(&self) -> bool {
        self.offline
    }

    /// The store behind it.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Returns the pinned file, from the store or from the first of its URLs that gives the right bytes.
    pub async fn get(&self, material: &PinnedFile) -> Result<Blob, FetchError> {
        self.get_with(material, &ProgressBar::hidden()).await
    }

    /// Returns many pinned files in the order of `materials`; several are fetched at a time.
    pub async fn get_all(&self, what: &str, materials: &[PinnedFile]) -> Result<Vec<Blob>, FetchError> {
        let sizes = materials.iter().map(|material| material.size);
        // The sizes are claims of others, so their sum may overflow.
        let bar = self.progress.bytes(what, sizes.fold(0, u64::saturating_add));
        let pending: Vec<_> = materials
            .iter()
            .map(|material| self.get_with(material, &bar))
            .collect();
        let blobs = stream::iter(pending).buffered(PARALLEL).try_collect().await;
        bar.finish_and_clear();
        blobs
    }

    async fn get_with(&self, material: &PinnedFile, bar: &ProgressBar) -> Result<Blob, FetchError> {
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
        let differs = |url: String, what: &'static str, expected: String, found: String| {
            let name = material.name.clone();
            Some(FetchError::Differs {
                name,
                what,
                expected,
                found,
                url,
            })
        };
        let mut wrong = None;
        let mut barred = None;
        let mut attempts = Vec::new();
        for url in &material.urls {
            let shown = redacted(url);
            match self.download(url, material.size, bar).await {
                Ok(sealed) if sealed.sha256 == material.sha256 => return Ok(self.store.admit(sealed)?),
                Ok(sealed) if sealed.size == material.size => {
                    wrong = differs(shown, "SHA-256", material.sha256.to_hex(), sealed.sha256.to_hex());
                }
                Ok(sealed) => {
                    wrong = differs(shown, "size", material.size.to_string(), sealed.size.to_string());
                }
                Err(RequestFailure::Store(error)) => return Err(error.into()),
                Err(RequestFailure::TooLarge) => {
                    let found = format!("more than {}", material.size);
                    wrong = differs(shown, "size", material.size.to_string(), found);
                }
                Err(RequestFailure::Barred(reason)) => {
                    barred = Some(FetchError::barred(&material.name, reason));
                }
                Err(RequestFailure::Status(status)) => {
                    attempts.push(Attempt::new(shown, NotGiven::Status(status)));
                }
                Err(RequestFailure::Trouble(reason)) => {
                    attempts.push(Attempt::new(shown, NotGiven::Trouble(reason)));
                }
            }
        }
        // Report wrong bytes first, then an address that is not followed, then a mirror that is down.
        Err(wrong.or(barred).unwrap_or(FetchError::Unavailable {
            name: material.name.clone(),
            attempts,
        }))
    }

    /// Fetches a file whose digest is not known beforehand, of at most `limit` bytes, from the first URL that answers.
    /// `read` gets the file before it is kept; a file that `read` refuses is not kept.
    ///
    /// Only for indexes, which are trusted by their own signature or because the user chose the registry, and for
    /// files that an index pins by other means than a SHA-256.
    pub async fn get_unpinned<T, E: From<FetchError>>(
        &self,
        name: &str,
        urls: &[String],
        limit: u64,
        read: impl Fn(&Blob) -> Result<T, E>,
    ) -> Result<(T, Received), E> {
        if self.offline {
            let name = name.to_owned();
            return Err(FetchError::Offline { name }.into());
        }
        let known = || self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        let found = urls.iter().find_map(|url| known().get(url).cloned());
        if let Some(received) = found {
            return Ok((read(&received.blob)?, received));
        }
        let mut attempts = Vec::new();
        let mut missing = None;
        let mut barred = None;
        for url in urls {
            let shown = redacted(url);
            match self.download(url, limit, &ProgressBar::hidden()).await {
                Ok(sealed) => {
                    let value = read(&sealed.unkept())?;
                    let received = Received {
                        blob: self.store.admit(sealed).map_err(FetchError::from)?,
                        url: url.clone(),
                    };
                    known().insert(url.clone(), received.clone());
                    return Ok((value, received));
                }
                Err(RequestFailure::Store(error)) => return Err(FetchError::from(error).into()),
                Err(RequestFailure::TooLarge) => {
                    let (name, url) = (name.to_owned(), shown);
                    return Err(FetchError::TooLarge { name, url, limit }.into());
                }
                Err(RequestFailure::Barred(reason)) => barred = Some(FetchError::barred(name, reason)),
                Err(RequestFailure::Status(status)) => {
                    missing = says_no(status).then(|| (shown.clone(), status));
                    attempts.push(Attempt::new(shown, NotGiven::Status(status)));
                }
                Err(RequestFailure::Trouble(reason)) => {
                    attempts.push(Attempt::new(shown, NotGiven::Trouble(reason)));
                }
            }
        }
        if let Some(barred) = barred {
            return Err(barred.into());
        }
        let name = name.to_owned();
        let error = match missing {
            Some((url, status)) if attempts.len() == 1 => FetchError::NotFound { name, url, status },
            _ => FetchError::Unavailable { name, attempts },
        };
        Err(error.into())
    }
}
