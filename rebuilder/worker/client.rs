//! The server, as a worker sees it.

use std::path::Path;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::{Host, Url};

use crate::artifact::Sha256;
use crate::queue::wire::{Beats, Claim, Claimed, Digests, Held, Lease, Refusal, Results, Taken};
use crate::telemetry;

/// Maximum length of an answer.
const ANSWER: usize = 16 << 20;
/// How long a question without a wait may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// What keeps a worker from its server.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum ClientError {
    #[error("cannot use {0:?} as the address of a server")]
    #[diagnostic(help("use https://HOST, or http://HOST:PORT for a server on this machine"))]
    Address(String),
    #[error("cannot send a token to {0}: others on the network could read it")]
    #[diagnostic(help("use https://, or --plain-http on a trusted network"))]
    Plain(String),
    #[error("cannot start the HTTP client")]
    Start(#[source] reqwest::Error),
    #[error("cannot reach the server")]
    Away(#[source] reqwest::Error),
    #[error("the server answered {status}: {reason}")]
    Trouble { status: u16, reason: String },
    #[error("the server does not accept the token: {reason}")]
    #[diagnostic(help("create a new one with \"rebuilder serve token add\" on the server"))]
    Token { reason: String },
    #[error("the server refused the request: {reason}")]
    Refused { reason: String },
    #[error("the lease is lost")]
    Lost,
    #[error("cannot read the server's answer: {0}")]
    Answer(String),
    #[error("cannot read {path}")]
    File { path: String, source: std::io::Error },
}

impl ClientError {
    /// Whether a retry is useless.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Token { .. })
    }

    /// Whether the same would be answered to the same.
    pub(super) fn is_answer(&self) -> bool {
        matches!(
            self,
            Self::Token { .. } | Self::Refused { .. } | Self::Lost | Self::File { .. }
        )
    }
}

/// A connection to a server, with a token.
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: HeaderValue,
}

impl Client {
    /// `plain`: whether the token may be sent unencrypted to another machine.
    pub fn new(server: &str, token: &str, plain: bool) -> Result<Self, ClientError> {
        let wrong = || ClientError::Address(server.to_owned());
        let mut base = Url::parse(server).map_err(|_| wrong())?;
        let near = match base.host().ok_or_else(wrong)? {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        match base.scheme() {
            "https" => {}
            "http" if near || plain => {}
            "http" => return Err(ClientError::Plain(server.to_owned())),
            _ => return Err(wrong()),
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let mut token =
            HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| ClientError::Token {
                reason: "it has characters that no token has".into(),
            })?;
        token.set_sensitive(true);
        let http = reqwest::Client::builder()
            .user_agent(concat!("rebuilder/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            // The server closes what is idle for longer.
            .pool_idle_timeout(Duration::from_secs(20))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .build()
            .map_err(ClientError::Start)?;
        Ok(Self { http, base, token })
    }

    fn url(&self, path: &str) -> Result<Url, ClientError> {
        let joined = self.base.join(&format!("api/worker/v1/{path}"));
        joined.map_err(|_| ClientError::Address(self.base.to_string()))
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        question: &impl Serialize,
        patience: Duration,
    ) -> Result<T, ClientError> {
        let sent = self
            .http
            .post(self.url(path)?)
            .header(AUTHORIZATION, self.token.clone())
            .header(CONTENT_TYPE, "application/json")
            .timeout(patience)
            .body(crate::text::json(question))
            .send();
        let bytes = answered(sent.await.map_err(ClientError::Away)?).await?;
        serde_json::from_slice(&bytes).map_err(|error| ClientError::Answer(error.to_string()))
    }

    pub(super) async fn claim(&self, claim: &Claim) -> Result<Claimed, ClientError> {
        let patience = PATIENCE.saturating_add(Duration::from_millis(claim.wait));
        self.ask("claim", claim, patience).await
    }

    pub(super) async fn heartbeat(&self, held: &[Lease]) -> Result<Beats, ClientError> {
        self.ask("heartbeat", &Held { held: held.to_vec() }, PATIENCE)
            .await
    }

    pub(super) async fn release(&self, held: &[Lease]) -> Result<(), ClientError> {
        self.ask("release", &Held { held: held.to_vec() }, PATIENCE).await
    }

    pub(super) async fn results(&self, results: &Results) -> Result<Taken, ClientError> {
        self.ask("results", results, PATIENCE).await
    }

    pub(super) async fn missing(&self, sha256: Vec<Sha256>) -> Result<Vec<Sha256>, ClientError> {
        let missing: Digests = self.ask("missing", &Digests { sha256 }, PATIENCE).await?;
        Ok(missing.sha256)
    }

    /// Sends a file as an artifact of a lease.
    pub(super) async fn send(
        &self,
        lease: Lease,
        sha256: Sha256,
        size: u64,
        path: &Path,
    ) -> Result<(), ClientError> {
        let failed = |source| ClientError::File {
            path: path.display().to_string(),
            source,
        };
        let file = tokio::fs::File::open(path).await.map_err(failed)?;
        let address = format!("jobs/{}/{}/artifacts/{sha256}", lease.job, lease.attempt);
        // At 100 kB/s, and a while for the server's disk.
        let patience = PATIENCE.saturating_add(Duration::from_secs(size / 100_000));
        let sent = traced(self.http.put(self.url(&address)?))
            .header(AUTHORIZATION, self.token.clone())
            .header(CONTENT_LENGTH, size)
            .timeout(patience)
            .body(reqwest::Body::from(file))
            .send();
        answered(sent.await.map_err(ClientError::Away)?).await.map(|_| ())
    }

    /// Sends a part of a log, and returns how much of it the server has.
    pub(super) async fn log(&self, lease: Lease, offset: u64, bytes: Vec<u8>) -> Result<u64, ClientError> {
        #[derive(serde::Deserialize)]
        struct Length {
            length: u64,
        }
        let address = format!("jobs/{}/{}/log?offset={offset}", lease.job, lease.attempt);
        let sent = traced(self.http.post(self.url(&address)?))
            .header(AUTHORIZATION, self.token.clone())
            .timeout(PATIENCE)
            .body(bytes)
            .send();
        let response = sent.await.map_err(ClientError::Away)?;
        let bytes = if response.status() == StatusCode::CONFLICT {
            bounded(response).await?
        } else {
            answered(response).await?
        };
        let length: Length =
            serde_json::from_slice(&bytes).map_err(|error| ClientError::Answer(error.to_string()))?;
        Ok(length.length)
    }
}

/// A request that names the span that it belongs to.
fn traced(request: RequestBuilder) -> RequestBuilder {
    match telemetry::current() {
        Some(span) => request.header("traceparent", span.to_string()),
        None => request,
    }
}

async fn bounded(mut response: Response) -> Result<Vec<u8>, ClientError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(ClientError::Away)? {
        if bytes.len().saturating_add(chunk.len()) > ANSWER {
            return Err(ClientError::Answer(format!("it is longer than {ANSWER} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The body of a good answer; the error of any other.
async fn answered(response: Response) -> Result<Vec<u8>, ClientError> {
    let status = response.status();
    let bytes = bounded(response).await?;
    if status.is_success() {
        return Ok(bytes);
    }
    let reason = match serde_json::from_slice::<Refusal>(&bytes) {
        Ok(refusal) => refusal.error,
        Err(_) => String::from_utf8_lossy(&bytes).chars().take(200).collect(),
    };
    Err(match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ClientError::Token { reason },
        StatusCode::GONE => ClientError::Lost,
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::PAYLOAD_TOO_LARGE => {
            ClientError::Refused { reason }
        }
        _ => ClientError::Trouble {
            status: status.as_u16(),
            reason,
        },
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_token_goes_unencrypted_to_this_machine_alone() {
        for (server, plain, good) in [
            ("https://rebuilds.example.org", false, true),
            ("https://rebuilds.example.org/base", false, true),
            ("http://127.0.0.1:8030", false, true),
            ("http://[::1]:8030", false, true),
            ("http://localhost:8030", false, true),
            ("http://10.0.0.1:8030", false, false),
            ("http://10.0.0.1:8030", true, true),
            ("http://localhost.example.org", false, false),
            ("ftp://localhost", true, false),
            ("localhost:8030", true, false),
        ] {
            assert_eq!(
                Client::new(server, "rbw_x", plain).is_ok(),
                good,
                "{server} {plain}"
            );
        }
        let client = Client::new("https://h/base", "t", false).unwrap();
        assert_eq!(
            client.url("claim").unwrap().as_str(),
            "https://h/base/api/worker/v1/claim"
        );
    }
}
