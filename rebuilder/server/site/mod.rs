//! Pages for people: what is published, as `report` writes it. A page may load its style from here, and nothing else.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{from_extractor_with_state, map_response};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::Running;
use super::access::{Follower, Viewer};
use super::answer::{self, HTML, JSON, TEXT, answer, document};
use super::api::ApiError;
use crate::artifact::Sha256;
use crate::bounded;
use crate::plan::Plan;
use crate::queue::published::{Build, Listed, Order, Page, Reason};
use crate::queue::wire::Lease;
use crate::report::{ReportError, site};

/// What pages may load.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// What the page of a job that runs may load as well: its script, and what comes of the log.
const LIVE: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// Lines of tables, cells of a history, and packages that a search gives.
const LINES: u16 = 20;
const CELLS: u16 = 100;
const FOUND: u16 = 100;
/// Maximum length of a text that is searched for, in characters.
const QUERY: usize = 100;

pub(super) fn router(running: &Arc<Running>) -> Router<Arc<Running>> {
    Router::new()
        .route("/", get(overview))
        .route("/style.css", get(style))
        .route("/live.js", get(script))
        .route("/rates", get(rates))
        .route("/causes", get(causes))
        .route("/causes/shared", get(shared))
        .route("/jobs/{id}", get(job))
        .route("/packages", get(search))
        .route("/packages/{*package}", get(package))
        .route("/builds/{id}", get(build))
        .route("/builds/{id}/{file}", get(file))
        .route("/feed.xml", get(feed))
        .route("/badge.svg", get(badge))
        .route("/badge.json", get(badge_endpoint))
        .route_layer(map_response(confine))
        .route_layer(from_extractor_with_state::<Viewer, _>(running.clone()))
}

/// Lets a page load its style; an answer that says what it may load keeps that.
async fn confine(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let is_page = headers.get(CONTENT_TYPE).is_some_and(|kind| kind == HTML);
    if is_page && !headers.contains_key(CONTENT_SECURITY_POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    }
    response
}

type Answer = Result<Response, ApiError>;
type Asked = State<Arc<Running>>;

fn page(headers: &HeaderMap, page: Result<String, ReportError>) -> Answer {
    let page = page.map_err(|error| ApiError::Request(error.to_string()))?;
    Ok(answer(headers, HTML, page.into_bytes(), true))
}

fn nothing(headers: &HeaderMap, what: &str) -> Answer {
    let mut response = page(headers, site::message("Not found", what))?;
    response.headers_mut().remove(ETAG);
    *response.status_mut() = StatusCode::NOT_FOUND;
    Ok(response)
}

async fn overview(State(running): Asked, headers: HeaderMap) -> Answer {
    let counts = running.counts(None).await?;
    let trends = running.trends().await?;
    let regressions = running.queue.regressions(LINES).await?;
    let negatives = running.queue.negatives(LINES).await?;
    let latest = running.queue.latest_builds(LINES).await?;
    let first = Page {
        limit: i64::from(LINES),
        ..Page::default()
    };
    let (waiting, jobs) = running.queue.open_jobs(&first).await?;
    let shown = site::Overview {
        counts: &counts,
        trends: &trends,
        regressions: &regressions,
        negatives: &negatives,
        latest: &latest,
        waiting,
        jobs: &jobs,
    };
    page(&headers, site::overview(&shown))
}

async fn script(headers: HeaderMap) -> Response {
    let kind = "text/javascript; charset=utf-8";
    answer(&headers, kind, site::LIVE.as_bytes().to_vec(), true)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Kind {
    ecosystem: Option<String>,
}

async fn rates(State(running): Asked, Query(kind): Query<Kind>, headers: HeaderMap) -> Answer {
    let trends = running.trends().await?;
    page(&headers, site::rates(&trends, kind.ecosystem.as_deref()))
}

async fn causes(State(running): Asked, headers: HeaderMap) -> Answer {
    page(&headers, site::causes_page(&running.clusters().await?))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SameReason {
    cause: String,
    shared: String,
    released: String,
    rebuilt: String,
}

async fn shared(State(running): Asked, Query(asked): Query<SameReason>, headers: HeaderMap) -> Answer {
    let reason = Reason {
        cause: asked.cause,
        shared: asked.shared,
        released: asked.released,
        rebuilt: asked.rebuilt,
    };
    let listed = Listed {
        reason: Some(reason.clone()),
        newest: true,
        ..Listed::default()
    };
    let first = Page {
        limit: i64::from(FOUND).saturating_add(1),
        order: Order::Descending,
        ..Page::default()
    };
    let mut builds = running.queue.list_builds(&listed, &first).await?;
    let more = builds.len() > usize::from(FOUND);
    builds.truncate(usize::from(FOUND));
    page(&headers, site::shared(&reason, &builds, more))
}

async fn job(
    follower: Result<Follower, ApiError>,
    State(running): Asked,
    Path(id): Path<i64>,
    headers: HeaderMap,
) -> Answer {
    let Some(job) = running.open_job(id).await? else {
        if running.queue.build(id).await?.is_some() {
            return Ok(Redirect::to(&format!("/builds/{id}")).into_response());
        }
        return nothing(
            &headers,
            "There is no such job, or it has ended and is not published yet.",
        );
    };
    let lease = Lease {
        job: id,
        attempt: job.attempt,
    };
    let log = if follower.is_ok() && job.state == "running" {
        let running = running.clone();
        let read = tokio::task::spawn_blocking(move || running.logs.last(lease));
        Some(read.await.ok().flatten().unwrap_or_default())
    } else {
        None
    };
    let log = log
        .as_ref()
        .map(|log| (log.text.as_str(), log.end, log.begin > 0));
    let mut response = page(&headers, site::job(&job, log))?;
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(LIVE));
    Ok(response)
}

async fn style(headers: HeaderMap) -> Response {
    answer(
        &headers,
        "text/css; charset=utf-8",
        site::STYLE.as_bytes().to_vec(),
        true,
    )
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Question {
    q: String,
    package: Option<String>,
}

async fn search(State(running): Asked, Query(question): Query<Question>, headers: HeaderMap) -> Answer {
    let query: String = question.q.trim().chars().take(QUERY).collect();
    let mut found = if query.is_empty() {
        Vec::new()
    } else {
        running.queue.search(&query, FOUND.saturating_add(1)).await?
    };
    let more = found.len() > usize::from(FOUND);
    found.truncate(usize::from(FOUND));
    page(&headers, site::search(&query, &found, more))
}

async fn package(State(running): Asked, Path(package): Path<String>, headers: HeaderMap) -> Answer {
    let builds = running.queue.history(&package, CELLS).await?;
    if builds.is_empty() {
        return nothing(&headers, "This server has no finished build of this package.");
    }
    page(&headers, site::package(&package, &builds))
}

async fn build(State(running): Asked, Path(id): Path<i64>, headers: HeaderMap) -> Answer {
    let Some(build) = running.queue.build(id).await? else {
        return nothing(&headers, "This build does not exist, or has not ended yet.");
    };
    let outputs = running.queue.outputs_of(id).await?;
    let plan = match build.plan {
        // A page without its plan is better than none.
        Some(plan) => running.artifacts.bytes(plan, bounded::PLAN).await.ok().flatten(),
        None => None,
    };
    let plan: Option<Plan> = plan.and_then(|plan| serde_json::from_slice(&plan).ok());
    page(&headers, site::build(&build, &outputs, plan.as_ref()))
}

async fn file(State(running): Asked, Path((id, name)): Path<(i64, String)>, headers: HeaderMap) -> Answer {
    let build = running.queue.build(id).await?.ok_or(ApiError::NotFound)?;
    let (kind, digest) = match name.as_str() {
        "report.html" => return report(&running, &headers, build.report).await,
        "plan.json" => (JSON, build.plan),
        "record.json" => (JSON, build.record),
        "attestation.sigstore.json" => (JSON, build.attestation),
        "build.log" => (TEXT, build.log),
        _ => return Err(ApiError::NotFound),
    };
    answer::file(&running, &headers, kind, digest).await
}

/// A report, which has its style in itself: only that very style is allowed.
async fn report(running: &Running, headers: &HeaderMap, digest: Option<Sha256>) -> Answer {
    let digest = digest.ok_or(ApiError::NotFound)?;
    let bytes = running
        .artifacts
        .bytes(digest, bounded::PLAN)
        .await?
        .ok_or(ApiError::NotFound)?;
    let policy = style_of(&bytes).map(|style| {
        let hash = STANDARD.encode(Sha256::of(style).as_bytes());
        format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
    });
    let mut response = answer(headers, HTML, bytes, true);
    if let Some(policy) = policy.and_then(|policy| HeaderValue::from_str(&policy).ok()) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    Ok(response)
}

/// What stands in the first style of a page. It comes before all values from outside.
fn style_of(page: &[u8]) -> Option<&str> {
    let page = std::str::from_utf8(page).ok()?;
    let (_, rest) = page.split_once("<style>")?;
    rest.split_once("</style>").map(|(style, _)| style)
}

async fn of_package(running: &Running, question: &Question) -> Result<Vec<Build>, ApiError> {
    let package = question.package.as_deref();
    let package =
        package.ok_or_else(|| ApiError::Request("no package is named: add ?package=pkg:…".into()))?;
    Ok(running.queue.history(package, CELLS).await?)
}

async fn feed(State(running): Asked, Query(question): Query<Question>, headers: HeaderMap) -> Answer {
    let builds = match &question.package {
        Some(_) => of_package(&running, &question).await?,
        None => running.queue.latest_builds(CELLS).await?,
    };
    let feed = site::feed(question.package.as_deref(), &builds);
    let feed = feed.map_err(|error| ApiError::Request(error.to_string()))?;
    Ok(answer(
        &headers,
        "application/atom+xml; charset=utf-8",
        feed.into_bytes(),
        true,
    ))
}

/// Badges are shown on the pages of others.
fn shown_elsewhere(mut response: Response) -> Response {
    let corp = HeaderName::from_static("cross-origin-resource-policy");
    response
        .headers_mut()
        .insert(corp, HeaderValue::from_static("cross-origin"));
    response
}

async fn badge(State(running): Asked, Query(question): Query<Question>, headers: HeaderMap) -> Answer {
    let builds = of_package(&running, &question).await?;
    let badge = site::badge(&builds).into_bytes();
    Ok(shown_elsewhere(answer(&headers, "image/svg+xml", badge, false)))
}

async fn badge_endpoint(
    State(running): Asked,
    Query(question): Query<Question>,
    headers: HeaderMap,
) -> Answer {
    let builds = of_package(&running, &question).await?;
    Ok(shown_elsewhere(document(
        &headers,
        &site::badge_endpoint(&builds),
    )?))
}
