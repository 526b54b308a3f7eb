//! Questions to services: the answer is read before any of it is kept, and "not found" counts as an answer.

use std::time::Duration;

use reqwest::header::LINK;
use url::Url;

use super::address::{AddressTrust, Barred, Route};
use super::blobs::Sealed;
use super::download::{Ask, RequestFailure};
use super::fetch::NotGiven;
use super::{Blob, FetchError, Fetcher, StoreError};
use crate::progress::ProgressBar;
use crate::text::redacted;

/// What to ask, and how.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What is asked for, for messages.
    pub name: &'a str,
    /// The address.
    pub url: &'a str,
    /// Media types to accept.
    pub accept: Option<&'a str>,
    /// A token, sent only to the host of the address.
    pub token: Option<&'a str>,
    /// Maximum number of bytes of the answer.
    pub limit: u64,
}

/// An answer that its reader accepted.
pub struct Answered<T> {
    /// The value that the reader made of the answer.
    pub value: T,
    /// The address of the next page, if it names one (RFC 8288).
    pub next: Option<String>,
    sealed: Sealed,
}

impl<T> Answered<T> {
    /// Keeps the bytes of the answer in the store.
    pub fn keep(self, fetcher: &Fetcher) -> Result<Blob, StoreError> {
        fetcher.store().admit(self.sealed)
    }
}

/// The pause before the second and last try, if the trouble may pass.
const PAUSE: Duration = Duration::from_millis(300);

impl Fetcher {
    /// Asks once, and once more if the trouble may pass; `None` if the service answers that it has nothing there.
    ///
    /// `read` gets the bytes before they are kept, and says why it does not accept them. The caller sets the time
    /// limit.
    pub async fn ask<T>(
        &self,
        request: Request<'_>,
        read: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<Option<Answered<T>>, FetchError> {
        if self.is_offline() {
            return Err(FetchError::Offline {
                name: request.name.to_owned(),
            });
        }
        let mut got = self.ask_once(request).await;
        if let Err(RequestFailure::Trouble(_) | RequestFailure::Status(429 | 500..)) = got {
            tokio::time::sleep(PAUSE).await;
            got = self.ask_once(request).await;
        }
        let (sealed, next) = match got {
            Ok(got) => got,
            Err(RequestFailure::Status(404 | 410)) => return Ok(None),
            Err(refusal) => return Err(failed(request, refusal)),
        };
        let path = sealed.unkept().path;
        let bytes = std::fs::read(&path).map_err(StoreError::io("read", &path))?;
        let value = read(&bytes).map_err(|reason| FetchError::Unreadable {
            name: request.name.to_owned(),
            url: redacted(request.url),
            reason,
        })?;
        Ok(Some(Answered { value, next, sealed }))
    }

    async fn ask_once(&self, request: Request<'_>) -> Result<(Sealed, Option<String>), RequestFailure> {
        let route = self.word().route(request.url).map_err(RequestFailure::Barred)?;
        let (url, trust) = match route {
            // A mirror of the user's that is a folder has no pages, and needs no token.
            Route::File { .. } => {
                let hidden = ProgressBar::hidden();
                let sealed = self.download(request.url, request.limit, &hidden).await?;
                return Ok((sealed, None));
            }
            Route::Http { url, trust } => (url, trust),
        };
        self.ask_host(&url, trust, request).await
    }

    async fn ask_host(
        &self,
        url: &Url,
        trust: AddressTrust,
        request: Request<'_>,
    ) -> Result<(Sealed, Option<String>), RequestFailure> {
        let ask = Ask {
            accept: request.accept,
            bearer: request.token,
        };
        let response = self.request(url, trust, ask).await?;
        if !response.status().is_success() {
            return Err(RequestFailure::Status(response.status().as_u16()));
        }
        let links = response.headers().get_all(LINK).iter();
        let next = links.filter_map(|link| link.to_str().ok()).find_map(next_page);
        let next = next.and_then(|next| response.url().join(&next).ok());
        let next = next.map(|next| page_of(url, request.url, &next)).transpose()?;
        let sealed = self
            .receive(response, request.limit, &ProgressBar::hidden())
            .await?;
        Ok((sealed, next))
    }
}

/// The address of the next page, if it is at the host that was asked: by the name `asked`, or by the name that a
/// mirror stands for. The caller asks for it with the same token.
fn page_of(asked: &Url, named: &str, next: &Url) -> Result<String, RequestFailure> {
    let named = Url::parse(named).ok();
    let same = [Some(asked), named.as_ref()]
        .into_iter()
        .flatten()
        .any(|own| own.origin().is_tuple() && own.origin() == next.origin());
    if same {
        return Ok(next.to_string());
    }
    let reason = format!(
        "it is named as the next page of an answer of {}, and is at another host",
        asked.origin().ascii_serialization()
    );
    Err(RequestFailure::Barred(Barred::new(next.as_str(), reason)))
}

/// The address with the relation `next` in a `Link` header (RFC 8288).
fn next_page(header: &str) -> Option<String> {
    header.split(',').find_map(|link| {
        let (address, relations) = link.split_once('>')?;
        let is_next = relations
            .split(';')
            .any(|part| matches!(part.trim(), "rel=\"next\"" | "rel=next"));
        is_next.then(|| address.trim().trim_start_matches('<').to_owned())
    })
}

pub(super) fn failed(request: Request<'_>, refusal: RequestFailure) -> FetchError {
    let name = request.name.to_owned();
    let url = redacted(request.url);
    match refusal {
        RequestFailure::Barred(barred) => FetchError::barred(request.name, barred),
        RequestFailure::Store(error) => error.into(),
        RequestFailure::TooLarge => FetchError::TooLarge {
            name,
            limit: request.limit,
            url,
        },
        RequestFailure::Status(status) => FetchError::unavailable(name, url, NotGiven::Status(status)),
        RequestFailure::Trouble(reason) => FetchError::unavailable(name, url, NotGiven::Trouble(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // One long table.
    #[test]
    fn the_next_page_is_at_the_host_that_was_asked() {
        for (asked, named, next, expected) in [
            (
                "https://a.example/x",
                "https://a.example/x",
                "https://a.example/y?n=2",
                true,
            ),
            (
                "https://a.example/x",
                "https://a.example/x",
                "https://a.example:443/y",
                true,
            ),
            (
                "https://a.example/x",
                "https://a.example/x",
                "https://b.example/y",
                false,
            ),
            (
                "https://a.example/x",
                "https://a.example/x",
                "https://a.example.b.example/y",
                false,
            ),
            (
                "https://a.example/x",
                "https://a.example/x",
                "https://a.example@b.example/y",
                false,
            ),
            (
                "https://a.example/x",
                "https://a.example/x",
                "http://a.example/y",
                false,
            ),
            (
                "https://a.example/x",
                "https://a.example/x",
                "https://a.example:8443/y",
                false,
            ),
            (
                "https://a.example/x",
                "https://a.example/x",
                "file:///etc/passwd",
                false,
            ),
            // A mirror of the user's repeats the addresses of the service.
            (
                "http://127.0.0.1:1/x",
                "https://a.example/x",
                "https://a.example/y",
                true,
            ),
            (
                "http://127.0.0.1:1/x",
                "https://a.example/x",
                "http://127.0.0.1:1/y",
                true,
            ),
            (
                "http://127.0.0.1:1/x",
                "https://a.example/x",
                "http://127.0.0.1:2/y",
                false,
            ),
        ] {
            let found = page_of(&Url::parse(asked).unwrap(), named, &Url::parse(next).unwrap());
            assert_eq!(found.is_ok(), expected, "{asked} {named} {next}");
        }
    }

    #[test]
    fn finds_the_next_page() {
        let table = [
            (
                "<https://a.example/x?after=5>; rel=\"next\"",
                Some("https://a.example/x?after=5"),
            ),
            (
                "<https://a.example/x>; rel=\"prev\", </x?n=2>; rel=\"next\"",
                Some("/x?n=2"),
            ),
            ("<https://a.example/x>; rel=\"last\"", None),
            ("nonsense", None),
        ];
        for (header, expected) in table {
            assert_eq!(next_page(header).as_deref(), expected, "{header}");
        }
    }
}
