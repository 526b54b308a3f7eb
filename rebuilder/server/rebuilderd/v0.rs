//! Version 0, which has whole lists and no pages.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;

use serde::Deserialize;

use super::documents::{OldDashboard, OldWorker, PkgRelease, QueueItem, QueueList, Suite, Time};
use super::{MOST, Place, Question, v1};
use crate::queue::published::{Filter, Open, Output, Page};
use crate::server::Running;
use crate::server::answer::{self, Changed, JSON, TEXT, document};
use crate::server::api::{ApiError, Message};

type Answer = Result<Response, ApiError>;

pub(super) async fn packages(
    State(running): State<Arc<Running>>,
    Path(place): Path<Place>,
    Query(question): Query<Question>,
    headers: HeaderMap,
) -> Answer {
    // Asked for before the list: what is published meanwhile is then read again.
    let changed = Changed::now(&running).await?;
    if let Some(unchanged) = changed.unchanged(&headers) {
        return Ok(changed.mark(unchanged));
    }
    let filter = Filter {
        distribution: question.distro.clone(),
        component: question.suite.clone(),
        release: None,
        ..question.filter(&place)
    };
    let all = Page {
        limit: i64::MAX,
        ..Page::default()
    };
    let outputs = running.queue.binaries(&filter, &all).await?;
    let releases: Vec<_> = outputs.into_iter().map(PkgRelease::from).collect();
    Ok(changed.mark(document(&headers, &releases)?))
}

/// The first released file of a build that has what is asked for.
async fn first(running: &Running, place: &Place, has: impl Fn(&Output) -> bool) -> Result<Output, ApiError> {
    let outputs = running.queue.outputs_of(place.id).await?;
    outputs.into_iter().find(has).ok_or(ApiError::NotFound)
}

pub(super) async fn diffoscope(
    State(running): State<Arc<Running>>,
    Path(place): Path<Place>,
    headers: HeaderMap,
) -> Answer {
    let output = first(&running, &place, |output| output.comparison.is_some()).await?;
    answer::file(&running, &headers, TEXT, output.comparison).await
}

pub(super) async fn attestation(
    State(running): State<Arc<Running>>,
    Path(place): Path<Place>,
    headers: HeaderMap,
) -> Answer {
    let output = first(&running, &place, |output| output.link.is_some()).await?;
    answer::file(&running, &headers, JSON, output.link).await
}

/// The body of a request for the queue.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ListQueue {
    limit: Option<i64>,
}

fn items(running: &Running, jobs: Vec<Open>) -> Vec<QueueItem> {
    let item = |job: Open| {
        let seen = job
            .worker
            .as_deref()
            .and_then(|worker| running.presence.seen(worker));
        QueueItem::new(job, seen.map(Time))
    };
    jobs.into_iter().map(item).collect()
}

/// A request that changes nothing, although its method is POST.
pub(super) async fn queue(
    State(running): State<Arc<Running>>,
    headers: HeaderMap,
    Message(asked): Message<ListQueue>,
) -> Answer {
    let page = Page {
        limit: asked.limit.unwrap_or(MOST).clamp(0, MOST),
        ..Page::default()
    };
    let (_, jobs) = running.queue.open_jobs(&page).await?;
    let (_, now) = running.queue.changed().await?;
    let (now, queue) = (Time(now), items(&running, jobs));
    document(&headers, &QueueList { now, queue })
}

/// Those that are connected.
pub(super) async fn workers(State(running): State<Arc<Running>>, headers: HeaderMap) -> Answer {
    let mut all = v1::known(&running).await?;
    all.retain(|worker| worker.is_online);
    let all: Vec<_> = all.into_iter().map(OldWorker::from).collect();
    document(&headers, &all)
}

pub(super) async fn dashboard(
    State(running): State<Arc<Running>>,
    Path(place): Path<Place>,
    headers: HeaderMap,
) -> Answer {
    let mut suites: BTreeMap<String, Suite> = BTreeMap::new();
    for (component, status, count) in running.components(place.arch.as_deref()).await?.iter() {
        let suite = suites.entry(component.clone()).or_default();
        let place = match status.as_str() {
            "GOOD" => &mut suite.good,
            "BAD" => &mut suite.bad,
            _ => &mut suite.unknown,
        };
        *place = place.saturating_add(*count);
    }
    let (queue_length, _) = running.queue.open_jobs(&Page::default()).await?;
    let (_, now) = running.queue.changed().await?;
    let all = Page {
        limit: MOST,
        ..Page::default()
    };
    let (_, active) = running.queue.running_jobs(&all).await?;
    let active_builds = items(&running, active);
    document(
        &headers,
        &OldDashboard {
            suites,
            active_builds,
            queue_length,
            now: Time(now),
        },
    )
}
