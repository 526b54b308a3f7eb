//! The read-only part of rebuilderd's API, so that its clients can use this server: version 1, and version 0, which the
//! status tools of Debian and Arch Linux still use.
//!
//! Each is below `/api` and below `/{arch}/api`, because Debian has one rebuilder for each architecture.
//! `docs/reading.md` says what its words stand for here.

mod documents;
mod v0;
mod v1;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::from_extractor_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use serde::Deserialize;

use super::Running;
use super::access::{Operator, Viewer};
use super::answer;
use super::api::ApiError;
use crate::queue::published::{Filter, Order, Output, Page};

/// The addresses of both versions, in one table.
pub(super) fn router(running: &Arc<Running>) -> Router<Arc<Running>> {
    let viewers = from_extractor_with_state::<Viewer, _>(running.clone());
    let operators = from_extractor_with_state::<Operator, _>(running.clone());
    let read = Router::new()
        .route("/v1/packages/binary", get(v1::binaries))
        .route("/v1/packages/binary/{id}", get(v1::binary))
        .route("/v1/packages/source", get(v1::sources))
        .route("/v1/packages/source/{id}", get(v1::source))
        .route("/v1/builds", get(v1::builds))
        .route("/v1/builds/{id}", get(v1::build))
        .route("/v1/builds/{id}/log", get(v1::log))
        .route("/v1/builds/{id}/artifacts", get(v1::artifacts))
        .route("/v1/builds/{id}/artifacts/{artifact}", get(v1::artifact))
        .route(
            "/v1/builds/{id}/artifacts/{artifact}/diffoscope",
            get(v1::diffoscope),
        )
        .route(
            "/v1/builds/{id}/artifacts/{artifact}/attestation",
            get(v1::attestation),
        )
        .route("/v1/meta/public-keys", get(public_keys))
        .route("/v1/meta/distributions", get(v1::distributions))
        .route(
            "/v1/meta/distributions/{distribution}/releases",
            get(v1::releases),
        )
        .route(
            "/v1/meta/distributions/{distribution}/architectures",
            get(v1::architectures),
        )
        .route(
            "/v1/meta/distributions/{distribution}/releases/{release}/architectures",
            get(v1::architectures),
        )
        .route("/v1/dashboard", get(v1::dashboard))
        .route("/v1/queue", get(v1::queue))
        .route("/v1/queue/{id}", get(v1::queued))
        .route("/v0/public-keys", get(public_keys))
        .route("/v0/pkgs/list", get(v0::packages))
        .route("/v0/builds/{id}/log", get(v1::log))
        .route("/v0/builds/{id}/diffoscope", get(v0::diffoscope))
        .route("/v0/builds/{id}/attestation", get(v0::attestation))
        .route("/v0/dashboard", get(v0::dashboard))
        .route(
            "/v0/queue/list",
            post(v0::queue).layer(DefaultBodyLimit::max(SHORT)),
        )
        .method_not_allowed_fallback(nothing)
        .route_layer(viewers);
    let workers = Router::new()
        .route("/v1/workers", get(v1::workers))
        .route("/v1/workers/{id}", get(v1::worker))
        .route("/v0/workers", get(v0::workers))
        .method_not_allowed_fallback(nothing)
        .route_layer(operators);
    let all = read
        .merge(workers)
        .route("/v1/{*rest}", any(nothing))
        .route("/v0/{*rest}", any(nothing));
    Router::new().nest("/api", all.clone()).nest("/{arch}/api", all)
}

/// Answers unknown paths, and every request that would change something.
async fn nothing(method: Method) -> Response {
    if method == Method::GET || method == Method::HEAD {
        return ApiError::NotFound.into_response();
    }
    let error = "this API is read-only; add jobs with \"rebuilder queue add\"";
    (
        StatusCode::NOT_IMPLEMENTED,
        axum::Json(serde_json::json!({ "error": error })),
    )
        .into_response()
}

/// The query of an address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Place {
    arch: Option<String>,
    id: i64,
    artifact: i64,
    distribution: String,
    release: String,
}

/// The path of an address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Question {
    distribution: Option<String>,
    release: Option<String>,
    component: Option<String>,
    architecture: Option<String>,
    name: Option<String>,
    version: Option<String>,
    source_name: Option<String>,
    status: Option<String>,
    /// The words of version 0 for distribution and component.
    distro: Option<String>,
    suite: Option<String>,
    limit: Option<i64>,
    before: Option<i64>,
    after: Option<i64>,
    sort: Option<String>,
    direction: Option<String>,
}

/// Most bytes of a question.
const SHORT: usize = 4096;

/// Records on a page, and the most that a reader may ask for.
const RECORDS: i64 = 1000;
const MOST: i64 = 10_000;

impl Question {
    fn filter(&self, place: &Place) -> Filter {
        let architectures = [&place.arch, &self.architecture];
        Filter {
            distribution: self.distribution.clone(),
            release: self.release.clone(),
            component: self.component.clone(),
            architectures: architectures.into_iter().flatten().cloned().collect(),
            name: self.name.clone(),
            version: self.version.clone(),
            source: self.source_name.clone(),
            status: self.status.clone(),
        }
    }

    /// Clients sort by a name, and go on after the last id of a page. So the order is always that of the ids: in any other, a
    /// page would repeat or leave out what is on another one. Only the direction of ids is followed.
    fn page(&self) -> Page {
        let by_id = self.sort.as_deref().is_none_or(|sort| sort == "id");
        let down = self
            .direction
            .as_deref()
            .is_some_and(|direction| direction.eq_ignore_ascii_case("descending"));
        Page {
            after: self.after,
            before: self.before,
            limit: self.limit.unwrap_or(RECORDS).clamp(1, MOST),
            order: if by_id && down {
                Order::Descending
            } else {
                Order::Ascending
            },
        }
    }
}

async fn public_keys(State(running): State<Arc<Running>>, headers: HeaderMap) -> Result<Response, ApiError> {
    let current = running.reading.keys.as_slice();
    answer::document(&headers, &documents::PublicKeys { current })
}

/// The released file `artifact` of the build `id`.
async fn output(running: &Running, place: &Place) -> Result<Output, ApiError> {
    let found = running.queue.output(place.artifact).await?;
    found
        .filter(|output| output.build == place.id)
        .ok_or(ApiError::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_in_the_order_of_ids() {
        let question = |sort: Option<&str>, direction: Option<&str>, limit| Question {
            sort: sort.map(str::to_owned),
            direction: direction.map(str::to_owned),
            limit,
            ..Question::default()
        };
        for (question, order, limit) in [
            (question(None, None, None), Order::Ascending, 1000),
            (
                question(Some("name"), Some("Descending"), Some(50)),
                Order::Ascending,
                50,
            ),
            (
                question(Some("id"), Some("Descending"), Some(0)),
                Order::Descending,
                1,
            ),
            (
                question(None, Some("descending"), Some(i64::MAX)),
                Order::Descending,
                10_000,
            ),
            (question(None, Some("Ascending"), Some(-1)), Order::Ascending, 1),
        ] {
            let page = question.page();
            assert_eq!((page.order, page.limit), (order, limit), "{question:?}");
        }
    }
}
