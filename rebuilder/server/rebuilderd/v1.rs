//! Version 1.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::documents::{
    Artifact, BinaryPackage, Dashboard, Jobs, List, QueuedJob, Rebuild, Rebuilds, SourcePackage, Time, Worker,
};
use super::{Place, Question, output};
use crate::queue::Scope;
use crate::queue::published::{Build, Column, Filter, Page};
use crate::server::Running;
use crate::server::access::Presence;
use crate::server::answer::{self, JSON, TEXT, document};
use crate::server::api::ApiError;

type Answer = Result<Response, ApiError>;
type Asked = State<Arc<Running>>;

fn list<T, R: From<T> + serde::Serialize>(headers: &HeaderMap, (total, rows): (i64, Vec<T>)) -> Answer {
    let records: Vec<R> = rows.into_iter().map(R::from).collect();
    document(headers, &List { total, records })
}

pub(super) async fn binaries(
    State(running): Asked,
    Path(place): Path<Place>,
    Query(question): Query<Question>,
    headers: HeaderMap,
) -> Answer {
    let filter = question.filter(&place);
    let total = running.count_binaries(&filter).await?;
    let rows = if total == 0 {
        Vec::new()
    } else {
        running.queue.binaries(&filter, &question.page()).await?
    };
    list::<_, BinaryPackage>(&headers, (total, rows))
}

pub(super) async fn binary(State(running): Asked, Path(place): Path<Place>, headers: HeaderMap) -> Answer {
    let found = running.queue.output(place.id).await?.ok_or(ApiError::NotFound)?;
    document(&headers, &BinaryPackage::from(found))
}

async fn list_of_builds(
    running: &Running,
    place: &Place,
    question: &Question,
    only_newest: bool,
) -> Result<(i64, Vec<Build>), ApiError> {
    let filter = question.filter(place);
    let total = running.count_builds(&filter, only_newest).await?;
    let rows = if total == 0 {
        Vec::new()
    } else {
        let page = question.page();
        running.queue.builds(&filter, &page, only_newest).await?
    };
    Ok((total, rows))
}

pub(super) async fn sources(
    State(running): Asked,
    Path(place): Path<Place>,
    Query(question): Query<Question>,
    headers: HeaderMap,
) -> Answer {
    let found = list_of_builds(&running, &place, &question, true).await?;
    list::<_, SourcePackage>(&headers, found)
}

async fn find(running: &Running, place: &Place) -> Result<Build, ApiError> {
    running.queue.build(place.id).await?.ok_or(ApiError::NotFound)
}

pub(super) async fn source(State(running): Asked, Path(place): Path<Place>, headers: HeaderMap) -> Answer {
    document(&headers, &SourcePackage::from(find(&running, &place).await?))
}

pub(super) async fn builds(
    State(running): Asked,
    Path(place): Path<Place>,
    Query(question): Query<Question>,
    headers: HeaderMap,
) -> Answer {
    let found = list_of_builds(&running, &place, &question, false).await?;
    list::<_, Rebuild>(&headers, found)
}

pub(super) async fn build(State(running): Asked, Path(place): Path<Place>, headers: HeaderMap) -> Answer {
    document(&headers, &Rebuild::from(find(&running, &place).await?))
}

pub(super) async fn log(State(running): Asked, Path(place): Path<Place>, headers: HeaderMap) -> Answer {
    let build = find(&running, &place).await?;
    answer::file(&running, &headers, TEXT, build.log).await
}

pub(super) async fn artifacts(State(running): Asked, Path(place): Path<Place>, headers: HeaderMap) -> Answer {
    let build = find(&running, &place).await?;
    let outputs = running.queue.outputs_of(build.id).await?;
    let all: Vec<_> = outputs.into_iter().map(Artifact::from).collect();
    document(&headers, &all)
}

pub(super) async fn artifact(State(running): Asked, Path(place): Path<Place>, headers: HeaderMap) -> Answer {
    document(&headers, &Artifact::from(output(&running, &place).await?))
}

pub(super) async fn diffoscope(
    State(running): Asked,
    Path(place): Path<Place>,
    headers: HeaderMap,
) -> Answer {
    let found = output(&running, &place).await?;
    answer::file(&running, &headers, TEXT, found.comparison).await
}

pub(super) async fn attestation(
    State(running): Asked,
    Path(place): Path<Place>,
    headers: HeaderMap,
) -> Answer {
    let found = output(&running, &place).await?;
    answer::file(&running, &headers, JSON, found.link).await
}

fn within(place: &Place) -> Filter {
    Filter {
        distribution: Some(place.distribution.clone()).filter(|name| !name.is_empty()),
        // A dash stands for none.
        release: match place.release.as_str() {
            "" => None,
            "-" => Some(String::new()),
            name => Some(name.to_owned()),
        },
        architectures: place.arch.iter().cloned().collect(),
        ..Filter::default()
    }
}

async fn seen(running: &Running, place: &Place, headers: &HeaderMap, column: Column) -> Answer {
    let names = running.seen(column, &within(place)).await?;
    let names: Vec<_> = names
        .iter()
        .map(|name| Some(name).filter(|name| !name.is_empty()))
        .collect();
    document(headers, &names)
}

pub(super) async fn distributions(
    State(running): Asked,
    Path(place): Path<Place>,
    headers: HeaderMap,
) -> Answer {
    seen(&running, &place, &headers, Column::Distribution).await
}

pub(super) async fn releases(State(running): Asked, Path(place): Path<Place>, headers: HeaderMap) -> Answer {
    seen(&running, &place, &headers, Column::Release).await
}

pub(super) async fn architectures(
    State(running): Asked,
    Path(place): Path<Place>,
    headers: HeaderMap,
) -> Answer {
    seen(&running, &place, &headers, Column::Architecture).await
}

pub(super) async fn dashboard(State(running): Asked, Path(place): Path<Place>, headers: HeaderMap) -> Answer {
    let mut rebuilds = Rebuilds::default();
    for count in running.counts(place.arch.as_deref()).await?.iter() {
        let place = match count.status.as_str() {
            "GOOD" => &mut rebuilds.good,
            "BAD" => &mut rebuilds.bad,
            "FAIL" => &mut rebuilds.fail,
            _ => &mut rebuilds.unknown,
        };
        *place = place.saturating_add(count.count);
    }
    let open = running.queue.open().await?.jobs;
    let of = |state: &str| open.get(state).copied().unwrap_or(0);
    let jobs = Jobs {
        running: of("running"),
        available: of("ready"),
        pending: of("later"),
    };
    document(&headers, &Dashboard { rebuilds, jobs })
}

pub(super) async fn queue(
    State(running): Asked,
    Query(question): Query<Question>,
    headers: HeaderMap,
) -> Answer {
    let found = running.queue.open_jobs(&question.page()).await?;
    list::<_, QueuedJob>(&headers, found)
}

pub(super) async fn queued(State(running): Asked, Path(place): Path<Place>, headers: HeaderMap) -> Answer {
    let found = running.open_job(place.id).await?;
    document(&headers, &QueuedJob::from(found.ok_or(ApiError::NotFound)?))
}

/// Those that may take jobs now, in the order in which their tokens were made.
pub(super) async fn known(running: &Running) -> Result<Vec<Worker>, ApiError> {
    let mut tokens = running.queue.tokens().await?;
    tokens.retain(|token| token.may(Scope::Worker));
    tokens.sort_by(|one, other| (one.created, &one.name).cmp(&(other.created, &other.name)));
    let all = Page {
        limit: super::MOST,
        ..Page::default()
    };
    let (_, jobs) = running.queue.running_jobs(&all).await?;
    let worker = |(id, token): (i64, crate::queue::Holder)| {
        let job = jobs.iter().find(|job| job.worker.as_ref() == Some(&token.name));
        let seen = running.presence.seen(&token.name);
        Worker {
            id,
            status: job.map(|job| format!("working hard on {}", job.subject)),
            // A worker's address would be that of the proxy before the server.
            address: String::new(),
            last_ping: Time(seen.unwrap_or(token.created)),
            is_online: token.revoked.is_none() && Presence::is_online(seen, running.lease),
            name: token.name,
        }
    };
    Ok((1..).zip(tokens).map(worker).collect())
}

pub(super) async fn workers(State(running): Asked, headers: HeaderMap) -> Answer {
    let records = known(&running).await?;
    let total = i64::try_from(records.len()).unwrap_or(i64::MAX);
    document(&headers, &List { total, records })
}

pub(super) async fn worker(State(running): Asked, Path(place): Path<Place>, headers: HeaderMap) -> Answer {
    let all = known(&running).await?;
    let found = all.into_iter().find(|worker| worker.id == place.id);
    document(&headers, &found.ok_or(ApiError::NotFound)?)
}
