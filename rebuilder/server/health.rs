//! Liveness, readiness and counters, for service managers, proxies and Prometheus.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::Running;
use super::access::Reader;
use super::api::ApiError;

/// How long a bucket may take before artifacts count as not stored.
const PATIENCE: Duration = Duration::from_secs(5);

/// What this process has done.
#[derive(Default)]
pub(super) struct Counters {
    claimed: AtomicU64,
    ended: AtomicU64,
    received: AtomicU64,
    without_database: AtomicBool,
}

impl Counters {
    pub(super) fn claimed(&self, jobs: usize) {
        self.claimed.fetch_add(jobs as u64, Relaxed);
    }
    pub(super) fn ended(&self, jobs: usize) {
        self.ended.fetch_add(jobs as u64, Relaxed);
    }
    pub(super) fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Relaxed);
    }
    pub(super) fn database(&self, works: bool) {
        self.without_database.store(!works, Relaxed);
    }
}

/// Whether jobs can be given out and completed: the database answers, and artifacts can be stored.
pub(super) async fn ready(State(running): State<Arc<Running>>) -> Response {
    let database = running
        .queue
        .newest()
        .await
        .err()
        .map(|_| "the database does not answer\n");
    let checked = tokio::time::timeout(PATIENCE, running.artifacts.check()).await;
    let artifacts = (!matches!(checked, Ok(Ok(())))).then_some("artifacts cannot be stored\n");
    match database.or(artifacts) {
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason).into_response(),
        None => "ready\n".into_response(),
    }
}

/// The two text formats. Their samples are the same; what differs is how a counter is announced, and how the text ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    /// Prometheus' own, version 0.0.4.
    Prometheus,
    /// That of the CNCF, which newer scrapers ask for.
    OpenMetrics,
}

impl Format {
    fn asked(headers: &HeaderMap) -> Self {
        let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
        let is_open = |kind: &str| kind.trim_start().starts_with("application/openmetrics-text");
        if accept.is_some_and(|accept| accept.split(',').any(is_open)) {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The name under which the samples `name` of a counter are announced.
    fn counter(self, name: &str) -> &str {
        match self {
            Self::Prometheus => name,
            Self::OpenMetrics => name.strip_suffix("_total").unwrap_or(name),
        }
    }

    fn end(self) -> &'static str {
        match self {
            Self::Prometheus => "",
            Self::OpenMetrics => "# EOF\n",
        }
    }
}

/// In the format that the scraper asks for.
pub(super) async fn metrics(
    State(running): State<Arc<Running>>,
    _: Reader,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let format = Format::asked(&headers);
    let (mut tally, age) = running.tally().await?;
    // A series that is sometimes missing cannot be watched.
    for state in ["later", "ready", "running", "done", "dead", "cancelled"] {
        tally.jobs.entry(state.to_owned()).or_default();
    }
    for state in ["due", "waits", "signed", "refused"] {
        tally.signing.entry(state.to_owned()).or_default();
    }
    let counters = &running.counters;
    let mut text = String::new();
    let gauges = [
        ("jobs", "Jobs in the database.", "state", &tally.jobs),
        (
            "verdicts",
            "Verdicts in the database.",
            "verdict",
            &tally.verdicts,
        ),
        ("signing", "Runs for the signer.", "state", &tally.signing),
    ];
    for (name, help, label, values) in gauges {
        let _ = write!(
            text,
            "# HELP rebuilder_{name} {help}\n# TYPE rebuilder_{name} gauge\n"
        );
        for (value, count) in values {
            let _ = writeln!(text, "rebuilder_{name}{{{label}=\"{value}\"}} {count}");
        }
    }
    for (name, help, value) in [
        (
            "rebuilder_jobs_claimed_total",
            "Leases given by this process.",
            &counters.claimed,
        ),
        (
            "rebuilder_jobs_ended_total",
            "Results taken by this process.",
            &counters.ended,
        ),
        (
            "rebuilder_artifact_bytes_total",
            "Bytes of artifacts received by this process.",
            &counters.received,
        ),
    ] {
        let _ = write!(
            text,
            "# HELP {announced} {help}\n# TYPE {announced} counter\n{name} {}\n",
            value.load(Relaxed),
            announced = format.counter(name)
        );
    }
    let up = f64::from(u8::from(!counters.without_database.load(Relaxed)));
    for (name, help, value) in [
        (
            "rebuilder_ended_age_seconds",
            "Age of the numbers of jobs and runs that have ended.",
            age.as_secs_f64(),
        ),
        ("rebuilder_database_up", "Whether the database answered last.", up),
    ] {
        let _ = write!(
            text,
            "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"
        );
    }
    text.push_str(format.end());
    Ok(([(CONTENT_TYPE, format.content_type())], text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scraper_gets_the_format_that_it_asks_for() {
        for (accept, expected) in [
            (None, Format::Prometheus),
            (Some("*/*"), Format::Prometheus),
            (Some("text/plain;version=0.0.4"), Format::Prometheus),
            (Some("application/openmetrics-text"), Format::OpenMetrics),
            // What Prometheus sends.
            (
                Some(
                    "application/openmetrics-text;version=1.0.0;q=0.5, text/plain;version=0.0.4;q=0.4,*/*;q=0.3",
                ),
                Format::OpenMetrics,
            ),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(ACCEPT, accept.parse().unwrap());
            }
            assert!(Format::asked(&headers) == expected, "{accept:?}");
        }
    }
}
