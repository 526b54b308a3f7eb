//! Fetches one file from one address: over HTTP with its redirects, or from a folder of this machine.
//!
//! Others write these addresses, so every address goes through `Word::route` before anything is opened, and every
//! redirect through `Word::redirect`.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use reqwest::header;
use url::Url;

use super::address::{AddressTrust, Barred, Route};
use super::blobs::{Blob, Incoming, Sealed};
use super::public::NotPublic;
use super::unreachable::Outlook;
use super::{FetchError, Fetcher, StoreError};
use crate::artifact::PinnedFile;
use crate::ledger::Work;
use crate::progress::ProgressBar;

const ATTEMPTS: u32 = 3;
/// The pause before the second and last try to connect to a host.
const SECOND_CALL: Duration = Duration::from_millis(400);
/// Maximum number of redirects.
const REDIRECTS: usize = 5;
/// A host that sends less than this number of bytes in a second, after the first minute, is given up.
const SLOWEST: u64 = 1 << 10;
const PATIENCE: Duration = Duration::from_mins(1);

/// Maximum duration of a download: 15 minutes, and one second for each 256 KiB.
pub(super) fn deadline(limit: u64) -> Duration {
    Duration::from_secs((limit >> 18).saturating_add(900))
}

/// Why an address gave nothing.
#[derive(Debug)]
pub(super) enum RequestFailure {
    Status(u16),
    Trouble(String),
    Store(StoreError),
    TooLarge,
    Barred(Barred),
}

/// Headers of a request.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ask<'a> {
    pub accept: Option<&'a str>,
    /// A token, sent only to the host of the address.
    pub bearer: Option<&'a str>,
}

impl Fetcher {
    /// Streams one URL into a temporary file; tries again if the trouble may pass.
    pub(super) async fn download(
        &self,
        address: &str,
        limit: u64,
        bar: &ProgressBar,
    ) -> Result<Sealed, RequestFailure> {
        let route = self.word().route(address).map_err(RequestFailure::Barred)?;
        let _entry = self.ledger().begin(Work::Download);
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
                    if matches!(self.unreachable().outlook(&url), Outlook::Hopeless(_)) {
                        break;
                    }
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

    /// Requests one answer; each redirect is judged before it is followed.
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
            let response = self.send(&at, request).await?;
            let location = response.headers().get(header::LOCATION);
            let (Some(location), 301 | 302 | 303 | 307 | 308) = (location, response.status().as_u16()) else {
                return Ok(response);
            };
            let target = location.to_str().ok().and_then(|text| at.join(text).ok());
            let target =
                target.ok_or_else(|| RequestFailure::Trouble("it redirects to no address".to_owned()))?;
            trust = self
                .word()
                .redirect(&at, trust, &target)
                .map_err(RequestFailure::Barred)?;
            at = target;
        }
        let reason = format!("it redirects more than {REDIRECTS} times");
        Err(RequestFailure::Barred(Barred::new(url.as_str(), reason)))
    }

    /// Sends a request, unless this process could not connect to the host lately.
    async fn send(
        &self,
        at: &Url,
        request: reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, RequestFailure> {
        let outlook = self.unreachable().outlook(at);
        if let Outlook::Hopeless(reason) = outlook {
            return Err(RequestFailure::Trouble(reason));
        }
        let again = request.try_clone().filter(|_| outlook == Outlook::Fair);
        let mut answer = request.send().await;
        if let (Err(error), Some(again)) = (&answer, again)
            && error.is_connect()
            && !error.is_timeout()
        {
            tokio::time::sleep(SECOND_CALL).await;
            answer = again.send().await;
        }
        match answer {
            Ok(response) => {
                self.unreachable().answered(at);
                Ok(response)
            }
            Err(error) => {
                let lost = error.is_connect();
                let failure = refusal(at, error);
                if let (true, RequestFailure::Trouble(reason)) = (lost, &failure) {
                    self.unreachable().failed(at, reason);
                }
                Err(failure)
            }
        }
    }

    /// Whether no connection could be made lately to the host of an address. Callers that can do without it should not
    /// wait.
    pub fn is_unreachable(&self, address: &str) -> bool {
        match self.word().route(address) {
            Ok(Route::Http { url, .. }) => self.unreachable().outlook(&url) != Outlook::Fair,
            _ => false,
        }
    }

    /// A pinned file that the caller can do without: hosts that could not be reached lately are not asked.
    pub async fn get_optional(&self, material: &PinnedFile) -> Result<Blob, FetchError> {
        let mut within_reach = material.clone();
        within_reach.urls.retain(|url| !self.is_unreachable(url));
        self.get(&within_reach).await
    }

    /// Receives the content of an answer, of at most `limit` bytes.
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
        let mut incoming = self.store().incoming().map_err(RequestFailure::Store)?;
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

    /// Copies a file from a mirror that is a folder.
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
        let mut incoming = self.store().incoming().map_err(RequestFailure::Store)?;
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
        let tmp = self.store().tmp();
        incoming
            .write_all(bytes)
            .map_err(|error| RequestFailure::Store(StoreError::io("write into", &tmp)(error)))
    }
}

/// Opens a file below a folder without blocking on it (it may be a pipe) and without leaving the folder. The folder
/// itself is the user's, and may be reached through a link; if there are no parts, the user named the file itself.
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

/// The reason of a failed request; a name that resolves to no public address has its own.
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

/// The innermost cause says what happened ("connection refused"); the outer ones only say that something failed.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
