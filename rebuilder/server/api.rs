//! `/api/worker/v1/`: the requests of workers, and the answers. The previous version of rebuilder can still read
//! version 1.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, MatchedPath, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, RETRY_AFTER};
use axum::middleware::{Next, from_fn, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;
use tracing::field::Empty;

use super::access::Worker;
use super::artifacts::ArtifactsError;
use super::{Running, answer, health, rebuilderd, results, site};
use crate::artifact::Sha256;
use crate::error::with_causes;
use crate::progress::Progress;
use crate::queue::wire::{
    self, Beats, Claim, Claimed, Digests, Held, Job, Lease, Refusal, Results, Taken, Task,
};
use crate::queue::{Claimant, QueueError, Scope};
use crate::telemetry::{self, TraceParent};
use crate::text::redacted;

/// Maximum time that a claim waits.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Maximum time for the body of a message.
const BODY: Duration = Duration::from_mins(1);

/// An error answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error("a valid token is required; \"rebuilder serve token add\" creates one")]
    NoToken,
    #[error("the token does not have the scope {0}")]
    Scope(Scope),
    #[error("{0}")]
    Request(String),
    #[error("the lease is lost: another worker has the job, or it has ended")]
    Lost,
    #[error("not found")]
    NotFound,
    #[error("the log has {0} bytes so far")]
    LogLength(u64),
    #[error("the log is full: its first {0} bytes are kept")]
    LogFull(u64),
    #[error("the request was not complete within {} seconds", BODY.as_secs())]
    Slow,
    #[error("this worker sends too many requests at the same time")]
    Busy,
    #[error("too many requests came from this address; ask again in {0} s")]
    TooOften(u64),
    #[error("too many readers follow logs; ask again later")]
    Crowded,
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Artifacts(#[from] ArtifactsError),
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::NoToken => StatusCode::UNAUTHORIZED,
            Self::Scope(_) => StatusCode::FORBIDDEN,
            Self::Request(_) | Self::Artifacts(ArtifactsError::Other { .. }) => StatusCode::BAD_REQUEST,
            Self::Lost => StatusCode::GONE,
            Self::LogFull(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Busy | Self::Crowded => StatusCode::TOO_MANY_REQUESTS,
            Self::TooOften(seconds) => {
                let error = self.to_string();
                let wait = [(RETRY_AFTER, seconds.to_string())];
                return (StatusCode::TOO_MANY_REQUESTS, wait, Json(Refusal { error })).into_response();
            }
            // Clients of rebuilderd show it to people as it is.
            Self::NotFound => return (StatusCode::NOT_FOUND, "Not found\n").into_response(),
            Self::LogLength(length) => {
                return (StatusCode::CONFLICT, Json(serde_json::json!({"length": length}))).into_response();
            }
            Self::Queue(_) | Self::Artifacts(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        // Why the database or the disk failed is for the operator, not for workers.
        if status == StatusCode::SERVICE_UNAVAILABLE {
            Progress::new(false).trouble(&with_causes(&self));
        }
        let error = self.to_string();
        (status, Json(Refusal { error })).into_response()
    }
}

/// JSON whose errors are answered like all other errors.
struct Message<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Message<T> {
    type Rejection = ApiError;

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, ApiError> {
        let json = timeout(BODY, Json::from_request(request, state)).await;
        let json: Result<Json<T>, JsonRejection> = json.map_err(|_| ApiError::Slow)?;
        json.map(|Json(value)| Self(value))
            .map_err(|error| ApiError::Request(error.body_text()))
    }
}

/// A part of a log.
struct Part(axum::body::Bytes);

impl<S: Send + Sync> FromRequest<S> for Part {
    type Rejection = ApiError;

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, ApiError> {
        let bytes = timeout(BODY, axum::body::Bytes::from_request(request, state)).await;
        let bytes = bytes.map_err(|_| ApiError::Slow)?;
        bytes
            .map(Self)
            .map_err(|error| ApiError::Request(error.body_text()))
    }
}

type Answer<T> = Result<Json<T>, ApiError>;

pub(super) fn router(running: Arc<Running>) -> Router {
    let worker = Router::new()
        .route("/claim", post(claim))
        .route("/heartbeat", post(heartbeat))
        .route("/release", post(release))
        .route("/results", post(results))
        .route("/missing", post(missing))
        .route("/jobs/{job}/{attempt}/log", post(log))
        .layer(DefaultBodyLimit::max(wire::MESSAGE))
        // Artifacts have a bound of their own, which is the length that they announce.
        .route(
            "/jobs/{job}/{attempt}/artifacts/{sha256}",
            put(artifact).layer(DefaultBodyLimit::disable()),
        )
        .route_layer(from_fn(traced));
    Router::new()
        .nest("/api/worker/v1", worker)
        .route("/health/live", get(async || "live\n"))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .merge(rebuilderd::router(&running))
        .merge(results::router(&running))
        .merge(site::router(&running))
        .layer(map_response(answer::harden))
        .with_state(running)
}

fn few(count: usize) -> Result<(), ApiError> {
    if count > wire::BATCH {
        return Err(ApiError::Request(format!(
            "more than {} at the same time",
            wire::BATCH
        )));
    }
    Ok(())
}

async fn claim(
    State(running): State<Arc<Running>>,
    worker: Worker,
    Message(claim): Message<Claim>,
) -> Answer<Claimed> {
    few(claim.slots as usize)?;
    let wait = Duration::from_millis(claim.wait).min(LONGEST_WAIT);
    let until = Instant::now().checked_add(wait).unwrap_or_else(Instant::now);
    let who = Claimant {
        worker: worker.name().to_owned(),
        architecture: claim.architecture,
        free: claim.free,
    };
    let mut ending = running.ending.clone();
    loop {
        let news = running.news.notified();
        tokio::pin!(news);
        // From now on nothing is missed that becomes ready while the database is asked.
        news.as_mut().enable();
        let is_ending = *ending.borrow();
        let mut jobs = if is_ending {
            Vec::new()
        } else {
            running
                .queue
                .claim(&who, i64::from(claim.slots), running.lease)
                .await?
        };
        if !jobs.is_empty() || is_ending || Instant::now() >= until {
            running.counters.claimed(jobs.len());
            for job in &mut jobs {
                handed_out(job, worker.name());
            }
            let lease = u64::try_from(running.lease.as_millis()).unwrap_or(u64::MAX);
            return Ok(Json(Claimed { lease, jobs }));
        }
        tokio::select! {
            () = news => {}
            () = tokio::time::sleep_until(until) => {}
            _ = ending.changed() => {}
        }
    }
}

/// Says that a job was handed out, and makes the lease the span that the attempt is below.
fn handed_out(job: &mut Job, worker: &str) {
    let (lease, what) = (job.lease, "job handed out");
    let Task::Rebuild { subject, .. } = &job.task else {
        tracing::debug!(job = lease.job, attempt = lease.attempt, worker, "{what}");
        return;
    };
    let subject = redacted(subject);
    let span =
        tracing::info_span!(parent: None, "lease", job = lease.job, attempt = lease.attempt, worker, subject);
    telemetry::adopt(&span, job.trace.as_deref().and_then(TraceParent::parse));
    span.in_scope(|| tracing::info!("{what}"));
    if let Some(span) = telemetry::of_span(&span) {
        job.trace = Some(span.to_string());
    }
}

/// Makes a request that is about a job a span in its trace.
async fn traced(route: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let named = request.headers().get("traceparent");
    let parent = named.and_then(|value| TraceParent::parse(value.to_str().ok()?));
    let route = route.map(|route| route.as_str().to_owned()).unwrap_or_default();
    let begun = Instant::now();
    let span = if parent.is_none() {
        tracing::Span::none()
    } else {
        tracing::info_span!(
            parent: None,
            "request",
            otel.name = format!("{method} {route}"),
            otel.kind = "server",
            http.request.method = %method,
            http.route = route,
            http.response.status_code = Empty,
        )
    };
    telemetry::adopt(&span, parent);
    let answer = next.run(request).instrument(span.clone()).await;
    let status = answer.status().as_u16();
    span.record("http.response.status_code", status);
    let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::debug!(parent: &span, %method, route, status, milliseconds, "request");
    answer
}

async fn heartbeat(
    State(running): State<Arc<Running>>,
    worker: Worker,
    Message(held): Message<Held>,
) -> Answer<Beats> {
    few(held.held.len())?;
    let held = running
        .queue
        .heartbeat(worker.name(), &held.held, running.lease)
        .await?;
    Ok(Json(Beats { held }))
}

async fn release(
    State(running): State<Arc<Running>>,
    worker: Worker,
    Message(held): Message<Held>,
) -> Answer<()> {
    few(held.held.len())?;
    let released = running.queue.release(worker.name(), &held.held).await?;
    running.leases_ended(&released);
    if !released.is_empty() {
        running.news.notify_waiters();
    }
    Ok(Json(()))
}

async fn results(
    State(running): State<Arc<Running>>,
    worker: Worker,
    Message(sent): Message<Results>,
) -> Answer<Taken> {
    few(sent.results.len())?;
    let taken = running.take_results(worker.name(), sent.results).await?;
    running.counters.ended(taken.taken.len());
    Ok(Json(taken))
}

async fn missing(
    State(running): State<Arc<Running>>,
    _: Worker,
    Message(asked): Message<Digests>,
) -> Answer<Digests> {
    few(asked.sha256.len())?;
    let mut missing = Vec::new();
    for sha256 in asked.sha256 {
        if running.artifacts.size(sha256).await?.is_none() {
            missing.push(sha256);
        }
    }
    Ok(Json(Digests { sha256: missing }))
}

impl Running {
    async fn held_by(&self, worker: &Worker, lease: Lease) -> Result<(), ApiError> {
        if self.queue.holds(worker.name(), lease).await? {
            Ok(())
        } else {
            Err(ApiError::Lost)
        }
    }
}

async fn artifact(
    State(running): State<Arc<Running>>,
    worker: Worker,
    Path((job, attempt, sha256)): Path<(i64, i64, String)>,
    headers: axum::http::HeaderMap,
    body: Body,
) -> Answer<()> {
    let lease = Lease { job, attempt };
    running.held_by(&worker, lease).await?;
    let sha256: Sha256 = sha256
        .parse()
        .map_err(|_| ApiError::Request("the address does not contain a SHA-256".into()))?;
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let length: u64 = length.ok_or_else(|| {
        ApiError::Request(
            "an artifact must be sent with its \
    length"
                .into(),
        )
    })?;
    if length > wire::ARTIFACT {
        return Err(ApiError::Request(format!(
            "an artifact has at most {} bytes",
            wire::ARTIFACT
        )));
    }
    running.quota.take(lease, length)?;
    running.may_send(worker.name(), length).await?;
    let end = running.sending.end_of(lease);
    let receiving = async {
        let place = running.uploads.wait(worker.name()).await?;
        let scratch = running.logs.folder();
        let stream = body.into_data_stream();
        let file = running.artifacts.receive(sha256, length, stream, scratch).await?;
        Ok((place, file))
    };
    let (_place, file) = tokio::select! {
        received = receiving => received,
        () = end.cancelled() => Err(ApiError::Lost),
    }?;
    // What is there already has a name, or is known to have none.
    if running.artifacts.size(sha256).await? == Some(length) {
        running.queue.spoken_of(&BTreeSet::from([sha256])).await?;
    } else {
        running.queue.unnamed(sha256).await?;
    }
    let _storing = running.storing.acquire().await.map_err(|_| ApiError::Lost)?;
    running.artifacts.put(sha256, length, file).await?;
    running.counters.received(length);
    Ok(Json(()))
}

#[derive(Deserialize)]
struct Place {
    offset: u64,
}

async fn log(
    State(running): State<Arc<Running>>,
    worker: Worker,
    Path((job, attempt)): Path<(i64, i64)>,
    Query(place): Query<Place>,
    Part(bytes): Part,
) -> Answer<serde_json::Value> {
    let lease = Lease { job, attempt };
    running.held_by(&worker, lease).await?;
    if bytes.len() > wire::CHUNK {
        return Err(ApiError::Request(format!(
            "a part of a log has at most {} bytes",
            wire::CHUNK
        )));
    }
    running.may_send(worker.name(), bytes.len() as u64).await?;
    let length = running.logs.append(lease, place.offset, &bytes)?;
    Ok(Json(serde_json::json!({"length": length})))
}
