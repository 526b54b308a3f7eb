//! `/api/results/v1/`: our own API for readers. Its OpenAPI document is made from the handlers and is served beside them.

mod documents;
mod live;

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{from_extractor_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{IntoParams, Modify, OpenApi as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Running;
use super::access::Viewer;
use super::answer::document;
use super::api::ApiError;
use crate::queue::published::{Listed, Order, Page};
use documents::{
    BuildDetail, BuildSummary, Builds, Count, Jobs, Packages, Problem, Rates, Regressions, SharedCauses,
};

/// Where it lies.
const BASE: &str = "/api/results/v1";
/// Records on a page, and the most that a reader may ask for.
const RECORDS: i64 = 100;
const MOST: i64 = 1000;
/// Packages, shared reasons and regressions that are listed at most.
const FOUND: u16 = 100;
/// Longest text that is searched for, in characters.
const QUERY: usize = 100;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "rebuilder: results",
        description = "What released packages rebuilt to. Everything is read, and nothing can be written. \
            If the server is not public, a token with the scope read is needed.",
        version = "1",
        license(name = "Apache-2.0 OR MIT")
    ),
    modifiers(&Token),
    security((), ("token" = []))
)]
struct Description;

/// Bearer tokens, which a public server does not ask for.
struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

fn described() -> (Router<Arc<Running>>, OpenApi) {
    let routes = OpenApiRouter::new()
        .routes(routes!(packages))
        .routes(routes!(builds))
        .routes(routes!(build))
        .routes(routes!(rates))
        .routes(routes!(causes))
        .routes(routes!(regressions))
        .routes(routes!(queue))
        .routes(routes!(live::events));
    OpenApiRouter::with_openapi(Description::openapi())
        .nest(BASE, routes)
        .split_for_parts()
}

pub(super) fn router(running: &Arc<Running>) -> Router<Arc<Running>> {
    let (router, document) = described();
    let document = Arc::new(document);
    let openapi = move |headers: HeaderMap| {
        let document = document.clone();
        async move { self::document(&headers, &*document) }
    };
    router
        .route(&format!("{BASE}/openapi.json"), get(openapi))
        .route(
            &format!("{BASE}/{{*rest}}"),
            get(async || Failed(ApiError::NotFound)),
        )
        .route_layer(map_response(refused))
        .route_layer(from_extractor_with_state::<Viewer, _>(running.clone()))
        .layer(map_response(refused))
}

/// An error as RFC 9457 has it.
pub(super) struct Failed(ApiError);

impl<E: Into<ApiError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let detail = self.0.to_string();
        problem(self.0.into_response(), detail)
    }
}

fn problem(answer: Response, detail: String) -> Response {
    let (mut parts, _) = answer.into_parts();
    let title = parts.status.canonical_reason().unwrap_or("Error").to_owned();
    let status = parts.status.as_u16();
    let body = Json(Problem {
        title,
        status,
        detail,
    });
    let mut response = (parts.status, body).into_response();
    parts.headers.remove(CONTENT_TYPE);
    parts.headers.remove(axum::http::header::CONTENT_LENGTH);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.extend(parts.headers);
    response
}

/// What was refused before a handler saw it, such as for want of a token, is said in the same form.
async fn refused(answer: Response) -> Response {
    let kind = answer.headers().get(CONTENT_TYPE);
    let is_said = kind.is_some_and(|kind| kind == "application/problem+json");
    let status = answer.status();
    if is_said || !(status.is_client_error() || status.is_server_error()) {
        return answer;
    }
    let detail = match status {
        StatusCode::UNAUTHORIZED => ApiError::NoToken.to_string(),
        StatusCode::FORBIDDEN => ApiError::Scope(crate::queue::Scope::Read).to_string(),
        StatusCode::METHOD_NOT_ALLOWED => "this is only read".to_owned(),
        other => other.canonical_reason().unwrap_or("error").to_lowercase(),
    };
    problem(answer, detail)
}

type Asked = State<Arc<Running>>;
type Answer = Result<Response, Failed>;
/// What an address asks for, or what is wrong with it.
type Question<T> = Result<Query<T>, QueryRejection>;

fn question<T>(asked: Question<T>) -> Result<T, ApiError> {
    asked
        .map(|Query(question)| question)
        .map_err(|error| ApiError::Request(error.body_text()))
}

fn number(asked: Result<Path<i64>, PathRejection>) -> Result<i64, ApiError> {
    asked.map(|Path(id)| id).map_err(|_| ApiError::NotFound)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SearchQuestion {
    /// Text in the name of the package or its source.
    #[param(max_length = 100)]
    q: String,
}

/// Packages with this text in their names.
#[utoipa::path(get, path = "/packages", params(SearchQuestion), responses(
    (status = 200, body = Packages), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn packages(State(running): Asked, asked: Question<SearchQuestion>, headers: HeaderMap) -> Answer {
    let query = question(asked)?.q;
    if query.chars().count() > QUERY {
        return Err(ApiError::Request(format!("q has at most {QUERY} characters")).into());
    }
    let query = query.trim();
    let mut found = running.queue.search(query, FOUND.saturating_add(1)).await?;
    let more = found.len() > usize::from(FOUND);
    found.truncate(usize::from(FOUND));
    let packages = found.into_iter().map(Into::into).collect();
    Ok(document(&headers, &Packages { packages, more })?)
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct BuildsQuestion {
    /// Package URL without version and qualifiers.
    package: Option<String>,
    ecosystem: Option<String>,
    verdict: Option<String>,
    /// Name of a cause.
    cause: Option<String>,
    /// Only the build to show of each package version.
    newest: bool,
    /// Only builds with a lower number.
    before: Option<i64>,
    /// Builds on a page.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<i64>,
}

/// Builds that ended, the newest first.
#[utoipa::path(get, path = "/builds", params(BuildsQuestion), responses(
    (status = 200, body = Builds), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn builds(State(running): Asked, asked: Question<BuildsQuestion>, headers: HeaderMap) -> Answer {
    let asked = question(asked)?;
    let limit = limit(asked.limit)?;
    let page = Page {
        before: asked.before,
        limit,
        order: Order::Descending,
        ..Page::default()
    };
    let values = [
        ("package", &asked.package),
        ("ecosystem", &asked.ecosystem),
        ("verdict", &asked.verdict),
        ("cause", &asked.cause),
    ];
    let mut next = Next::of("builds", limit);
    for (name, value) in values {
        next.and(name, value.as_deref());
    }
    next.and("newest", asked.newest.then_some("true"));
    let listed = Listed {
        package: asked.package,
        ecosystem: asked.ecosystem,
        verdict: asked.verdict,
        cause: asked.cause,
        reason: None,
        newest: asked.newest,
    };
    let found = running.queue.list_builds(&listed, &page).await?;
    let next = next.after("before", found.len(), found.last().map(|build| build.id));
    let builds: Vec<BuildSummary> = found.iter().map(Into::into).collect();
    Ok(document(&headers, &Builds { builds, next })?)
}

fn limit(asked: Option<i64>) -> Result<i64, ApiError> {
    let limit = asked.unwrap_or(RECORDS);
    if (1..=MOST).contains(&limit) {
        return Ok(limit);
    }
    Err(ApiError::Request(format!("limit is between 1 and {MOST}")))
}

/// The address of the next page.
struct Next {
    address: String,
    limit: i64,
}

impl Next {
    fn of(name: &str, limit: i64) -> Self {
        Self {
            address: format!("{BASE}/{name}?limit={limit}"),
            limit,
        }
    }

    fn and(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            let value = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
            self.address = format!("{}&{name}={value}", self.address);
        }
    }

    /// `None` if this page is not full.
    fn after(self, name: &str, count: usize, last: Option<i64>) -> Option<String> {
        let is_full = i64::try_from(count).is_ok_and(|count| count >= self.limit);
        let last = last.filter(|_| is_full)?;
        Some(format!("{}&{name}={last}", self.address))
    }
}

/// One build, with the addresses of its files.
#[utoipa::path(get, path = "/builds/{id}", params(("id" = i64, Path, description = "Number of the build")), responses(
    (status = 200, body = BuildDetail), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn build(State(running): Asked, id: Result<Path<i64>, PathRejection>, headers: HeaderMap) -> Answer {
    let id = number(id)?;
    let build = running.queue.build(id).await?.ok_or(ApiError::NotFound)?;
    let reasons = running.queue.reasons(id).await?;
    let outputs = running.queue.outputs_of(id).await?;
    Ok(document(&headers, &BuildDetail::of(&build, reasons, &outputs))?)
}

/// Rates by ecosystem, now and over the last half year.
#[utoipa::path(get, path = "/rates", responses(
    (status = 200, body = Rates), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn rates(State(running): Asked, headers: HeaderMap) -> Answer {
    let counts = running.counts(None).await?;
    let trends = running.trends().await?;
    let mut present: Vec<Count> = Vec::new();
    // They come in the order of ecosystem and verdict, one for each status.
    for each in counts.iter() {
        match present.last_mut() {
            Some(last) if last.ecosystem == each.ecosystem && last.verdict == each.verdict => {
                last.count = last.count.saturating_add(each.count);
            }
            _ => present.push(Count {
                ecosystem: each.ecosystem.clone(),
                verdict: each.verdict.clone(),
                count: each.count,
            }),
        }
    }
    let rates = Rates {
        present,
        verdicts: trends.rates.iter().map(Into::into).collect(),
        causes: trends.causes.iter().map(Into::into).collect(),
    };
    Ok(document(&headers, &rates)?)
}

/// Reasons that packages share, the most common first.
#[utoipa::path(get, path = "/causes", responses(
    (status = 200, body = SharedCauses), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn causes(State(running): Asked, headers: HeaderMap) -> Answer {
    let clusters = running.clusters().await?;
    let causes = clusters.iter().map(Into::into).collect();
    Ok(document(&headers, &SharedCauses { causes })?)
}

/// Regressions that audits found, the newest first.
#[utoipa::path(get, path = "/regressions", responses(
    (status = 200, body = Regressions), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn regressions(State(running): Asked, headers: HeaderMap) -> Answer {
    let found = running.queue.regressions(FOUND).await?;
    let regressions = found.into_iter().map(Into::into).collect();
    Ok(document(&headers, &Regressions { regressions })?)
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct QueueQuestion {
    /// Only jobs with a higher number.
    after: Option<i64>,
    /// Jobs on a page.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<i64>,
}

/// Jobs that wait or run, the oldest first.
#[utoipa::path(get, path = "/queue", params(QueueQuestion), responses(
    (status = 200, body = Jobs), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn queue(State(running): Asked, asked: Question<QueueQuestion>, headers: HeaderMap) -> Answer {
    let asked = question(asked)?;
    let limit = limit(asked.limit)?;
    let page = Page {
        after: asked.after,
        limit,
        ..Page::default()
    };
    let (total, found) = running.queue.open_jobs(&page).await?;
    let next = Next::of("queue", limit).after("after", found.len(), found.last().map(|job| job.id));
    let jobs = found.into_iter().map(Into::into).collect();
    Ok(document(&headers, &Jobs { total, jobs, next })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The document that is committed is the one that is served.
    #[test]
    fn the_document_is_the_one_in_the_folder_of_schemas() {
        let (_, document) = described();
        let made = serde_json::to_value(&document).unwrap_or_default();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/schema/results.openapi.json");
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            let text = format!("{made:#}\n");
            assert!(std::fs::write(path, text).is_ok());
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        let kept: serde_json::Value = serde_json::from_str(&kept).unwrap_or_default();
        assert!(kept == made, "UPDATE_SCHEMAS=1 writes {path} again");
    }
}
