//! The log of a build that runs, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::IntoParams;

use super::documents::Problem;
use super::{Answer, Asked, Question, Running, number, question};
use crate::queue::wire::Lease;
use crate::server::access::Follower;
use crate::server::api::ApiError;
use crate::server::logs::Excerpt;

/// How often the log is looked at, and after how many looks the job.
const LOOK: Duration = Duration::from_millis(250);
const LOOKS: u32 = 8;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(super) struct EventsQuestion {
    /// Byte of the log to begin at.
    #[param(minimum = 0)]
    offset: u64,
}

/// Follows the log of a build that runs.
///
/// The events are "log" with the next text, whose id is the byte after it; "state", when the job changes its state; and
/// "ended", when the build has ended. A client that comes again sends the last id as Last-Event-ID.
#[utoipa::path(get, path = "/queue/{id}/events", params(("id" = i64, Path, description = "Number of the job"), EventsQuestion),
    responses((status = 200, body = String, content_type = "text/event-stream"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn events(
    follower: Result<Follower, ApiError>,
    State(running): Asked,
    id: Result<Path<i64>, PathRejection>,
    asked: Question<EventsQuestion>,
    headers: HeaderMap,
) -> Answer {
    follower?;
    let id = number(id)?;
    let asked = question(asked)?;
    let last = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let place = running.watching.clone().try_acquire_owned();
    let place = place.map_err(|_| ApiError::Crowded)?;
    let watch = Watch {
        running,
        job: id,
        lease: None,
        state: String::new(),
        offset: last.unwrap_or(asked.offset),
        looks: 0,
        over: false,
        _place: place,
    };
    // A job that nobody knows is said at once.
    watch.running.open_job(id).await?.ok_or(ApiError::NotFound)?;
    let events = stream::unfold(watch, async |mut watch: Watch| {
        let event = watch.next().await?;
        Some((Ok::<_, Infallible>(event), watch))
    });
    Ok(streamed(
        Sse::new(events).keep_alive(KeepAlive::default()).into_response(),
    ))
}

/// A proxy must not wait for the end of it.
fn streamed(mut response: Response) -> Response {
    let name = axum::http::HeaderName::from_static("x-accel-buffering");
    response
        .headers_mut()
        .insert(name, axum::http::HeaderValue::from_static("no"));
    response
}

/// One reader of one log.
struct Watch {
    running: Arc<Running>,
    job: i64,
    lease: Option<Lease>,
    state: String,
    offset: u64,
    looks: u32,
    over: bool,
    _place: OwnedSemaphorePermit,
}

impl Watch {
    async fn next(&mut self) -> Option<Event> {
        let mut ending = self.running.ending.clone();
        loop {
            if self.over || *ending.borrow() {
                return None;
            }
            if self.looks.is_multiple_of(LOOKS)
                && let Some(event) = self.look_at_job().await
            {
                return Some(event);
            }
            self.looks = self.looks.wrapping_add(1);
            if let Some(Excerpt { text, end, .. }) = self.excerpt().await
                && !text.is_empty()
            {
                self.offset = end;
                return Some(event("log", &json!({ "text": text })).id(end.to_string()));
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                _ = ending.changed() => {}
            }
        }
    }

    /// What has come of the log since.
    async fn excerpt(&self) -> Option<Excerpt> {
        let (running, offset, lease) = (self.running.clone(), self.offset, self.lease?);
        // It is searched for credentials, which takes a while.
        let read = tokio::task::spawn_blocking(move || running.logs.read(lease, offset));
        read.await.ok().flatten()
    }

    /// What changed of the job, if something did.
    async fn look_at_job(&mut self) -> Option<Event> {
        // If the database is away for a moment, the log goes on.
        let found = self.running.open_job(self.job).await.ok()?;
        let Some(job) = found else {
            self.over = true;
            return Some(event("ended", &json!({ "build": self.job })));
        };
        let lease = (job.state == "running").then_some(Lease {
            job: job.id,
            attempt: job.attempt,
        });
        if self.lease.is_some() && self.lease != lease {
            // Another attempt begins with another log.
            self.offset = 0;
        }
        self.lease = lease;
        let state = crate::report::site::state(&job);
        if state == self.state {
            return None;
        }
        self.state.clone_from(&state);
        // The log is looked at before the job is looked at again.
        self.looks = 1;
        Some(event("state", &json!({ "state": state })))
    }
}

fn event(name: &str, value: &serde_json::Value) -> Event {
    Event::default().event(name).data(value.to_string())
}
