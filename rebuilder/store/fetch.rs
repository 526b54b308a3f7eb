//! The only way in from the network: files by URL and digest, from mirrors tried in order (`download` makes one try).
//!
//! A file without a known digest is kept only if its reader accepts it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::address::{AddressTrust, Barred, Word};
use super::blobs::Blob;
use super::download::{RequestFailure, innermost};
use super::git::GitArchives;
use super::public::PublicOnly;
use super::unreachable::Unreachable;
use super::{AllowedHost, GitMirror, MirrorMap, Store, StoreError};
use crate::artifact::PinnedFile;
use crate::ledger::Ledger;
use crate::progress::{Progress, ProgressBar};
use crate::text::redacted;

/// A file that was fetched by name alone, such as the newest index.
#[derive(Debug, Clone)]
pub struct Received {
    /// The bytes, as they are kept now.
    pub blob: Blob,
    /// Which of the URLs answered.
    pub url: String,
}

/// A file that could not be fetched.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum FetchError {
    #[error("{name} does not exist: {url} answered {status}")]
    #[diagnostic(help("check the name and the version"))]
    NotFound { name: String, url: String, status: u16 },
    #[error("cannot fetch {name}: {}", Attempts(attempts))]
    #[diagnostic(help(
        "check the network, or map the address to a working mirror with --mirror URL-PREFIX=URL"
    ))]
    Unavailable { name: String, attempts: Vec<Attempt> },
    #[error("{name} is not in the store, and this run is offline")]
    #[diagnostic(help("run once without --offline to fetch it"))]
    Offline { name: String },
    #[error("{name} has the wrong {what}: expected {expected}, found {found} at {url}")]
    #[diagnostic(help(
        "the mirror may be in the middle of an update, or the file was changed; try another mirror"
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
    #[error("cannot fetch {name}: refused to follow the address {address}: {reason}")]
    #[diagnostic(help(
        "addresses in indexes, lock files, provenance and redirects may only point to public https hosts; \
        if you trust this one, use --allow-host HOST[:PORT], or map it to your own mirror with --mirror \
        URL-PREFIX=URL"
    ))]
    Barred {
        name: String,
        address: String,
        reason: String,
    },
    #[error("cannot read {name} from {url}: {reason}")]
    #[diagnostic(help("it was not kept; try another mirror, or report it to the registry"))]
    Unreadable {
        name: String,
        url: String,
        reason: String,
    },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
}

/// An address that did not give the file.
#[derive(Debug)]
pub struct Attempt {
    pub(super) url: String,
    pub(super) reason: NotGiven,
}

/// Why an address did not give a file.
#[derive(Debug)]
pub(super) enum NotGiven {
    /// It answered with this HTTP status.
    Status(u16),
    /// Something else, in words.
    Trouble(String),
}

impl fmt::Display for NotGiven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "HTTP status {status}"),
            Self::Trouble(reason) => f.write_str(reason),
        }
    }
}

/// Whether a server that answers with this status says that it has no such file.
fn says_no(status: u16) -> bool {
    matches!(status, 404 | 410)
}

struct Attempts<'a>(&'a [Attempt]);

impl fmt::Display for Attempts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no address is known for it");
        }
        for (index, Attempt { url, reason }) in self.0.iter().enumerate() {
            write!(f, "{}{url}: {reason}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
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

impl Attempt {
    pub(super) fn new(url: String, reason: NotGiven) -> Self {
        Self { url, reason }
    }
}

impl FetchError {
    /// The only address of a file did not give it.
    pub(super) fn unavailable(name: String, url: String, reason: NotGiven) -> Self {
        Self::Unavailable {
            name,
            attempts: vec![Attempt::new(url, reason)],
        }
    }

    pub(super) fn barred(name: &str, Barred { address, reason }: Barred) -> Self {
        Self::Barred {
            name: name.to_owned(),
            address,
            reason,
        }
    }

    /// Whether an address was not followed, rather than something being unavailable.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Barred { .. })
    }

    /// Whether every address answered that it has no such file.
    pub fn is_gone(&self) -> bool {
        match self {
            Self::NotFound { .. } => true,
            Self::Unavailable { attempts, .. } => {
                let says_no =
                    |attempt: &Attempt| matches!(attempt.reason, NotGiven::Status(status) if says_no(status));
                !attempts.is_empty() && attempts.iter().all(says_no)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_gone_only_if_every_address_says_so() {
        let status = NotGiven::Status;
        let trouble = |reason: &str| NotGiven::Trouble(reason.to_owned());
        for (reasons, gone) in [
            (vec![], false),
            (vec![status(404)], true),
            (vec![status(404), status(410)], true),
            (vec![status(404), status(503)], false),
            (vec![status(404), trouble("it took too long")], false),
            (vec![trouble("the gateway answered with status 404")], false),
        ] {
            let error = FetchError::Unavailable {
                name: "a".into(),
                attempts: reasons
                    .into_iter()
                    .map(|reason| Attempt::new("https://h/a".into(), reason))
                    .collect(),
            };
            assert_eq!(error.is_gone(), gone, "{error}");
        }
    }
}
