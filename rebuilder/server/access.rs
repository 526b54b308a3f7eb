//! Authentication: a bearer token is looked up by its digest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::FromRequestParts;
use axum::http::HeaderName;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use jiff::Timestamp;
use tokio::sync::OwnedSemaphorePermit;

use super::Running;
use super::api::ApiError;
use super::readers::Peer;
use crate::artifact::Sha256;
use crate::queue::{Holder, Scope};

const X_AUTH_COOKIE: HeaderName = HeaderName::from_static("x-auth-cookie");

/// How long a token is cached after a look-up. A revoked token stops working after this time.
const KNOWN: Duration = Duration::from_secs(2);
/// Maximum number of cached tokens.
const MOST: usize = 10_000;

/// Recently looked-up tokens. Only valid ones are cached, so strangers cannot fill the cache.
#[derive(Default)]
pub(super) struct Doors(Mutex<HashMap<Sha256, (Instant, Arc<Holder>)>>);

impl Doors {
    fn known(&self, digest: &Sha256) -> Option<Arc<Holder>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, holder) = known.get(digest)?;
        (at.elapsed() < KNOWN).then(|| holder.clone())
    }

    fn keep(&self, digest: Sha256, holder: Arc<Holder>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(digest, (Instant::now(), holder));
    }
}

/// The holder of a request's token.
async fn holder(parts: &Parts, running: &Running, scope: Scope) -> Result<Arc<Holder>, ApiError> {
    let header = |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = header(AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    // Clients of rebuilderd send what they have in a header of their own.
    let cookie = (scope == Scope::Read).then(|| header(X_AUTH_COOKIE)).flatten();
    let secret = bearer.or(cookie).map(str::trim);
    let secret = secret
        .filter(|secret| secret.len() < 200)
        .ok_or(ApiError::NoToken)?;
    let digest = Sha256::of(secret);
    let holder = if let Some(holder) = running.doors.known(&digest) {
        holder
    } else {
        let holder = running.queue.holder_of(secret).await?.ok_or(ApiError::NoToken)?;
        let holder = Arc::new(holder);
        running.doors.keep(digest, holder.clone());
        holder
    };
    if holder.may(scope) {
        Ok(holder)
    } else {
        Err(ApiError::Scope(scope))
    }
}

/// A worker with a valid token.
pub(super) struct Worker {
    holder: Arc<Holder>,
    /// Its place among the worker's requests, until this one is answered.
    _place: OwnedSemaphorePermit,
}

impl Worker {
    pub(super) fn name(&self) -> &str {
        &self.holder.name
    }
}

impl FromRequestParts<Arc<Running>> for Worker {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, running: &Arc<Running>) -> Result<Self, ApiError> {
        let holder = holder(parts, running, Scope::Worker).await?;
        let place = running.questions.take(&holder.name)?;
        running.presence.saw(&holder.name);
        Ok(Self {
            holder,
            _place: place,
        })
    }
}

/// A reader of metrics with a valid token.
pub(super) struct Reader;

impl FromRequestParts<Arc<Running>> for Reader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, running: &Arc<Running>) -> Result<Self, ApiError> {
        holder(parts, running, Scope::Metrics).await.map(|_| Self)
    }
}

/// A reader of results: anyone if they are public, or the holder of a token for it.
pub(super) struct Viewer;

impl FromRequestParts<Arc<Running>> for Viewer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, running: &Arc<Running>) -> Result<Self, ApiError> {
        let known = holder(parts, running, Scope::Read).await;
        if running.reading.public && known.is_err() {
            let peer = parts.extensions.get::<Peer>().copied();
            running.readers.take(peer, &parts.headers)?;
            return Ok(Self);
        }
        known.map(|_| Self)
    }
}

/// A reader of logs of builds that run. Whether there is a credential in one is known for certain only at its end.
pub(super) struct Follower;

impl FromRequestParts<Arc<Running>> for Follower {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, running: &Arc<Running>) -> Result<Self, ApiError> {
        if running.reading.live_logs {
            return Viewer::from_request_parts(parts, running).await.map(|_| Self);
        }
        holder(parts, running, Scope::Read).await.map(|_| Self)
    }
}

/// A reader of what is never public, such as the workers.
pub(super) struct Operator;

impl FromRequestParts<Arc<Running>> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, running: &Arc<Running>) -> Result<Self, ApiError> {
        holder(parts, running, Scope::Read).await.map(|_| Self)
    }
}

/// When this process last heard from each worker, in milliseconds since 1970.
#[derive(Default)]
pub(super) struct Presence(Mutex<HashMap<String, i64>>);

impl Presence {
    fn saw(&self, worker: &str) {
        let now = Timestamp::now().as_millisecond();
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Only holders of tokens are kept.
        seen.insert(worker.to_owned(), now);
    }

    pub(super) fn seen(&self, worker: &str) -> Option<i64> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(worker).copied()
    }

    /// Whether a worker that was last seen then is still connected. An idle worker asks every half minute.
    pub(super) fn is_online(seen: Option<i64>, lease: Duration) -> bool {
        let quiet = lease.max(Duration::from_mins(1)).as_millis();
        let ago = seen.map(|seen| Timestamp::now().as_millisecond().saturating_sub(seen));
        ago.is_some_and(|ago| u128::try_from(ago).unwrap_or(0) < quiet)
    }
}
