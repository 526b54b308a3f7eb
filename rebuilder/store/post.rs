//! Sends documents to a service that the user chose, and reads its short answer.

use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::header::{ACCEPT, CONTENT_TYPE};

use super::address::Route;
use super::download::{RequestFailure, innermost};
use super::{FetchError, Fetcher, Request, ask};

/// What a service answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// HTTP status.
    pub status: u16,
    /// The body, up to the number of bytes that the caller allows.
    pub body: Vec<u8>,
}

impl Fetcher {
    /// Sends a document of a media type, once; redirects are not followed. An answer with an error status is returned,
    /// too.
    pub async fn post(
        &self,
        request: Request<'_>,
        (kind, body): (&str, String),
        patience: Duration,
    ) -> Result<Posted, FetchError> {
        if self.is_offline() {
            return Err(FetchError::Offline {
                name: request.name.to_owned(),
            });
        }
        let sent = tokio::time::timeout(patience, self.post_once(request, kind, body)).await;
        let late = |_| Err(RequestFailure::Trouble("it took too long".to_owned()));
        sent.unwrap_or_else(late)
            .map_err(|refusal| ask::failed(request, refusal))
    }

    async fn post_once(
        &self,
        request: Request<'_>,
        kind: &str,
        body: String,
    ) -> Result<Posted, RequestFailure> {
        let route = self.word().route(request.url).map_err(RequestFailure::Barred)?;
        let Route::Http { url, trust } = route else {
            return Err(RequestFailure::Trouble("a folder takes no documents".to_owned()));
        };
        let trouble = |error: reqwest::Error| RequestFailure::Trouble(innermost(&error.without_url()));
        let mut sent = self
            .client(trust)?
            .post(url)
            .header(CONTENT_TYPE, kind)
            .body(body);
        if let Some(accept) = request.accept {
            sent = sent.header(ACCEPT, accept);
        }
        if let Some(token) = request.token {
            sent = sent.bearer_auth(token);
        }
        let response = sent.send().await.map_err(trouble)?;
        let status = response.status().as_u16();
        let (mut body, mut chunks) = (Vec::new(), response.bytes_stream());
        while let Some(chunk) = chunks.next().await {
            body.extend_from_slice(&chunk.map_err(trouble)?);
            if body.len() as u64 > request.limit {
                return Err(RequestFailure::TooLarge);
            }
        }
        Ok(Posted { status, body })
    }
}
