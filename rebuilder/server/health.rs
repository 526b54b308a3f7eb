//! Liveness, readiness and counters, for service managers, proxies and Prometheus.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
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

/// In Prometheus' text format, version 0.0.4.
pub(super) async fn metrics(State(running): State<Arc<Running>>, _: Reader) -> Result<Response, ApiError> {
    let mut tally = running.tally().await?;
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
            "# HELP {name} {help}\n# TYPE {name} counter\n{name} {}\n",
            value.load(Relaxed)
        );
    }
    let up = u8::from(!counters.without_database.load(Relaxed));
    let _ = write!(
        text,
        "# HELP rebuilder_database_up Whether the database answered last.\n# TYPE rebuilder_database_up gauge\nrebuilder_database_up {up}\n"
    );
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}
