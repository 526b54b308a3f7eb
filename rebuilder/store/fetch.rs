//! The only way in from the network: files by URL and digest, from mirrors tried in order.
//!
//! Every address goes through [`Word::route`] before anything is opened, and every redirect through
//! [`Word::redirect`]: others wrote them. What has no known digest is kept only if its reader takes it.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use reqwest::header;
use url::Url;

use super::address::{AddressTrust, AllowedHost, Barred, MirrorMap, NotPublic, PublicOnly, Route, Word};
use super::blobs::{Blob, Incoming, Sealed};
use super::{GitMirror, Store, StoreError};
use crate::artifact::PinnedFile;
use crate::ledger::{Ledger, Work};
use crate::progress::{Progress, ProgressBar};
use crate::text::redacted;

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
    #[error("cannot fetch {name}: the address {address} is not followed: {reason}")]
    #[diagnostic(help(
        "addresses in indexes, lock files, provenance and redirects may lead to public https hosts only; if you trust \
         this one, give --allow-host HOST[:PORT], or map it to a place of yours: --mirror URL-PREFIX=URL"
    ))]
    Barred {
        name: String,
        address: String,
        reason: String,
    },
    #[error("cannot read {name}, as {url} gives it: {reason}")]
    #[diagnostic(help("it was not kept; ask the registry, or try another mirror"))]
    Unreadable {
        name: String,
        url: String,
        reason: String,
    },
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

/// Fetches into a [`Store`].
#[derive(Clone)]
pub struct Fetcher {
    store: Store,
    /// Made on first use: it reads the machine's certificates, which takes longer than verifying a bundle.
    chosen: Arc<OnceLock<Result<reqwest::Client, String>>>,
    /// The same for hosts that nobody chose: it connects to public addresses only.
    outside: Arc<OnceLock<Result<reqwest::Client, String>>>,
    word: Arc<Word>,
    git_mirrors: Arc<Vec<GitMirror>>,
    offline: bool,
    progress: Progress,
    ledger: Ledger,
    /// Indexes as they were when they were first asked for: several plans of one process see the same state.
    indexes: Arc<Mutex<HashMap<String, Received>>>,
}

const PARALLEL: usize = 8;
const ATTEMPTS: u32 = 3;
/// Redirects from one address to the next.
const REDIRECTS: usize = 5;
/// A host that sends less than this in a second, after the first minute, is not waited for.
const SLOWEST: u64 = 1 << 10;
const PATIENCE: Duration = Duration::from_secs(60);

/// Longest that a download may take: a quarter of an hour, and a second for each quarter of a megabyte.
pub(super) fn deadline(limit: u64) -> Duration {
    Duration::from_secs((limit >> 18).saturating_add(900))
}

/// Why one address gave nothing.
#[derive(Debug)]
pub(super) enum RequestFailure {
    Status(u16),
    Trouble(String),
    Store(StoreError),
    TooLarge,
    Barred(Barred),
}

/// What goes into a request besides its address.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ask<'a> {
    pub accept: Option<&'a str>,
    /// A token, for the host of the address alone.
    pub bearer: Option<&'a str>,
}

impl Fetcher {
    /// A fetcher that fills `store`; `offline` makes it refuse everything that the store does not have.
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
        }
    }

    fn client(&self, trust: AddressTrust) -> Result<&reqwest::Client, RequestFailure> {
        let place = match trust {
            AddressTrust::Chosen => &self.chosen,
            AddressTrust::Outside => &self.outside,
        };
        let made = place.get_or_init(|| {
            let builder = reqwest::Client::builder()
                .user_agent(concat!("rebuilder/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(Duration::from_secs(20))
                .read_timeout(Duration::from_secs(60))
                .redirect(reqwest::redirect::Policy::none())
                .referer(false);
            let builder = match trust {
                AddressTrust::Chosen => builder,
                AddressTrust::Outside => builder.dns_resolver(PublicOnly),
            };
            builder
                .build()
                .map_err(|error| format!("the HTTP client does not start: {}", innermost(&error)))
        });
        made.as_ref()
            .map_err(|reason| RequestFailure::Trouble(reason.clone()))
    }

    /// The same, with hosts that addresses from documents may lead to although they are not public.
    #[must_use]
    pub fn with_allowed_hosts(mut self, hosts: Vec<AllowedHost>) -> Self {
        self.word = Arc::new(self.word.with_hosts(hosts));
        self
    }

    /// Takes an address, and all below it, as the user's own: it was typed, or a definition of a container names it.
    pub fn choose(&self, prefix: &str) {
        self.word.choose(prefix);
    }

    /// Lets what lies below an address come over plain HTTP, since a signed index pins it.
    pub fn allow_plain(&self, prefix: &str) {
        self.word.allow_plain(prefix);
    }

    pub(super) fn word(&self) -> &Word {
        &self.word
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
    pub async fn get(&self, material: &PinnedFile) -> Result<Blob, FetchError> {
        self.get_with(material, &ProgressBar::hidden()).await
    }

    /// Many pinned files, several at a time, in the order they were asked for.
    pub async fn get_all(&self, what: &str, materials: &[PinnedFile]) -> Result<Vec<Blob>, FetchError> {
        let sizes = materials.iter().map(|material| material.size);
        // The sizes are what others say.
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
        let mut differs = None;
        let mut barred = None;
        let mut attempts = Vec::new();
        for url in &material.urls {
            let shown = redacted(url);
            match self.download(url, material.size, bar).await {
                Ok(sealed) if sealed.sha256 == material.sha256 => return Ok(self.store.admit(sealed)?),
                Ok(sealed) => {
                    let (what, expected, found) = if sealed.size == material.size {
                        ("SHA-256", material.sha256.to_hex(), sealed.sha256.to_hex())
                    } else {
                        ("size", material.size.to_string(), sealed.size.to_string())
                    };
                    differs = Some(FetchError::Differs {
                        name: material.name.clone(),
                        what,
                        expected,
                        found,
                        url: shown,
                    });
                }
                Err(RequestFailure::Store(error)) => return Err(error.into()),
                Err(RequestFailure::TooLarge) => {
                    differs = Some(FetchError::Differs {
                        name: material.name.clone(),
                        what: "size",
                        expected: material.size.to_string(),
                        found: format!("more than {}", material.size),
                        url: shown,
                    });
                }
                Err(RequestFailure::Barred(reason)) => {
                    barred = Some(FetchError::barred(&material.name, reason))
                }
                Err(RequestFailure::Status(status)) => {
                    attempts.push((shown, format!("HTTP status {status}")))
                }
                Err(RequestFailure::Trouble(reason)) => attempts.push((shown, reason)),
            }
        }
        // Wrong bytes matter more than an address that is not followed, and that more than a mirror that is down.
        Err(differs.or(barred).unwrap_or(FetchError::Unavailable {
            name: material.name.clone(),
            attempts,
        }))
    }

    /// A file whose digest is not known before, of at most `limit` bytes, from the first URL that answers; `read`
    /// gets it before it is kept, and what `read` refuses is not.
    ///
    /// Only indexes are fetched this way, and what they pin by other means than a SHA-256: their own signature, or the
    /// user's choice of registry, stands for them.
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
                    missing = (status == 404 || status == 410).then(|| (shown.clone(), status));
                    attempts.push((shown, format!("HTTP status {status}")));
                }
                Err(RequestFailure::Trouble(reason)) => attempts.push((shown, reason)),
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

    /// Streams one URL into a temporary file; retries what may pass.
    async fn download(&self, address: &str, limit: u64, bar: &ProgressBar) -> Result<Sealed, RequestFailure> {
        let route = self.word.route(address).map_err(RequestFailure::Barred)?;
        let _entry = self.ledger.begin(Work::Download);
        let (url, trust) = match route {
            Route::File { root, parts } => {
                let (this, bar) = (self.clone(), bar.clone());
                // A disk may be slow, and a thread of the runtime must not wait for it.
                let copied = tokio::task::spawn_blocking(move || this.copy(&root, &parts, limit, &bar)).await;
                return copied.unwrap_or_else(|error| Err(RequestFailure::Trouble(error.to_string())));
            }
            Route::Http { url, trust } => (url, trust),
        };
        let tries = async {
            let mut last = RequestFailure::Trouble("not tried".to_owned());
            for attempt in 0..ATTEMPTS {
                if attempt > 0 {
                    tokio::time::sleep(Duration::from_millis(400 << attempt)).await;
                }
                match self.download_once(&url, trust, limit, bar).await {
                    Err(RequestFailure::Status(status)) if status >= 500 || status == 429 => {
                        last = RequestFailure::Status(status);
                    }
                    Err(RequestFailure::Trouble(reason)) => last = RequestFailure::Trouble(reason),
                    done => return done,
                }
            }
            Err(last)
        };
        let done = tokio::time::timeout(deadline(limit), tries).await;
        done.unwrap_or_else(|_| Err(RequestFailure::Trouble("it took too long".to_owned())))
    }

    async fn download_once(
        &self,
        url: &Url,
        trust: AddressTrust,
        limit: u64,
        bar: &ProgressBar,
    ) -> Result<Sealed, RequestFailure> {
        let accept = url
            .path()
            .contains("/simple/")
            .then_some("application/vnd.pypi.simple.v1+json");
        let ask = Ask {
            accept,
            ..Ask::default()
        };
        let response = self.request(url, trust, ask).await?;
        if !response.status().is_success() {
            return Err(RequestFailure::Status(response.status().as_u16()));
        }
        self.receive(response, limit, bar).await
    }

    /// One answer, after redirects; each of them is judged before it is followed.
    pub(super) async fn request(
        &self,
        url: &Url,
        trust: AddressTrust,
        ask: Ask<'_>,
    ) -> Result<reqwest::Response, RequestFailure> {
        let (mut at, mut trust) = (url.clone(), trust);
        for _ in 0..=REDIRECTS {
            let mut request = self.client(trust)?.get(at.clone());
            if let Some(accept) = ask.accept {
                request = request.header(header::ACCEPT, accept);
            }
            if let Some(token) = ask.bearer.filter(|_| at.origin() == url.origin()) {
                request = request.bearer_auth(token);
            }
            let response = request.send().await.map_err(|error| refusal(&at, error))?;
            let location = response.headers().get(header::LOCATION);
            let (Some(location), 301 | 302 | 303 | 307 | 308) = (location, response.status().as_u16()) else {
                return Ok(response);
            };
            let target = location.to_str().ok().and_then(|text| at.join(text).ok());
            let target =
                target.ok_or_else(|| RequestFailure::Trouble("it redirects to no address".to_owned()))?;
            trust = self
                .word
                .redirect(&at, trust, &target)
                .map_err(RequestFailure::Barred)?;
            at = target;
        }
        let reason = format!("it redirects more than {REDIRECTS} times");
        Err(RequestFailure::Barred(Barred::new(url.as_str(), reason)))
    }

    /// The content of an answer, of at most `limit` bytes.
    pub(super) async fn receive(
        &self,
        response: reqwest::Response,
        limit: u64,
        bar: &ProgressBar,
    ) -> Result<Sealed, RequestFailure> {
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(RequestFailure::TooLarge);
        }
        let url = response.url().clone();
        let begun = Instant::now();
        let mut incoming = self.store.incoming().map_err(RequestFailure::Store)?;
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| refusal(&url, error))?;
            self.append(&mut incoming, &chunk, limit, bar)?;
            let waited = begun.elapsed();
            let expected = waited.as_secs().saturating_mul(SLOWEST);
            if waited > PATIENCE && incoming.size() < expected {
                return Err(RequestFailure::Trouble("it answers too slowly".to_owned()));
            }
        }
        Ok(incoming.seal())
    }

    /// A file of a mirror that is a folder.
    fn copy(
        &self,
        root: &Path,
        parts: &[String],
        limit: u64,
        bar: &ProgressBar,
    ) -> Result<Sealed, RequestFailure> {
        let trouble = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => RequestFailure::Status(404),
            _ => RequestFailure::Trouble(error.to_string()),
        };
        let mut file = open(root, parts).map_err(|error| match Errno::try_from(error) {
            Ok(Errno::EXDEV | Errno::ELOOP) => RequestFailure::Barred(Barred::new(
                &format!("file://{}/{}", root.display(), parts.join("/")),
                "a link leads out of the mirror's folder",
            )),
            Ok(errno) => trouble(errno.into()),
            Err(error) => trouble(error),
        })?;
        if !file.metadata().map_err(trouble)?.is_file() {
            return Err(RequestFailure::Trouble("it is not a regular file".to_owned()));
        }
        let mut incoming = self.store.incoming().map_err(RequestFailure::Store)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = file.read(&mut buffer).map_err(trouble)?;
            if count == 0 {
                return Ok(incoming.seal());
            }
            self.append(&mut incoming, buffer.get(..count).unwrap_or_default(), limit, bar)?;
        }
    }

    fn append(
        &self,
        incoming: &mut Incoming,
        bytes: &[u8],
        limit: u64,
        bar: &ProgressBar,
    ) -> Result<(), RequestFailure> {
        if incoming.size().saturating_add(bytes.len() as u64) > limit {
            return Err(RequestFailure::TooLarge);
        }
        bar.inc(bytes.len() as u64);
        let tmp = self.store.tmp();
        incoming
            .write_all(bytes)
            .map_err(|error| RequestFailure::Store(StoreError::io("write into", &tmp)(error)))
    }
}

/// Opens a file below a folder without waiting for it (it may be a pipe), and without leaving the folder. The folder is
/// the user's, who may well have reached it through a link; if there are no parts, the user named the file itself.
fn open(root: &Path, parts: &[String]) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    if parts.is_empty() {
        return Ok(nix::fcntl::open(root, flags, nix::sys::stat::Mode::empty())?.into());
    }
    let folder = nix::fcntl::open(
        root,
        OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
        nix::sys::stat::Mode::empty(),
    )?;
    let how = OpenHow::new()
        .flags(flags)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let path: PathBuf = parts.iter().collect();
    Ok(openat2(folder.as_fd(), &path, how)?.into())
}

impl FetchError {
    pub(super) fn barred(name: &str, Barred { address, reason }: Barred) -> Self {
        Self::Barred {
            name: name.to_owned(),
            address,
            reason,
        }
    }

    /// Whether an address was not followed, rather than something being out of reach.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Barred { .. })
    }
}

/// What a failed request says; a name that leads to no public address is told apart.
fn refusal(url: &Url, error: reqwest::Error) -> RequestFailure {
    let error = error.without_url();
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(inner) = cause {
        let not_public = inner
            .downcast_ref::<io::Error>()
            .and_then(|error| error.get_ref()?.downcast_ref::<NotPublic>());
        if let Some(not_public) = not_public {
            return RequestFailure::Barred(Barred::new(&super::address::place(url), not_public.to_string()));
        }
        cause = inner.source();
    }
    RequestFailure::Trouble(innermost(&error))
}

/// The innermost cause says what happened ("connection refused"); the outer ones only that something did.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
