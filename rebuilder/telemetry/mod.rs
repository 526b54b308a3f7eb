//! What long-running commands tell their operators: a log of events, and traces for OpenTelemetry.
//!
//! Events and spans are those of the `tracing` crate, of this program alone: what libraries say may contain headers. The
//! log goes where the caller says, line by line ([`Log`]). Spans are exported if the environment names a collector, and
//! only then ([`traces`]). Fields are names, numbers and verdicts, never a token, a password or the text of a message.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod export;
mod log;
mod traces;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Metadata;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub use export::TelemetryError;
pub use log::{Format, Level, Log};
pub use traces::{Attribute, TraceParent, adopt, closed_span, current, of_span};

/// How long the last spans may take on their way to the collector.
const LAST: Duration = Duration::from_secs(3);

/// The target of what is always said, such as where a server listens.
pub const NOTE: &str = "rebuilder::note";

static LOGS: AtomicBool = AtomicBool::new(false);
static DOCUMENTS: AtomicBool = AtomicBool::new(false);

/// Whether what is told to people goes to the log.
pub fn logs() -> bool {
    LOGS.load(Relaxed)
}

/// Whether each line of the log is a JSON document, so that nothing else may be between them.
pub fn logs_documents() -> bool {
    logs() && DOCUMENTS.load(Relaxed)
}

/// A log and an export that run. The last spans are sent when this is dropped.
pub struct Telemetry(Option<SdkTracerProvider>);

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = self.0.take() {
            // The collector may be away; that is said in the log.
            let end = || drop(provider.shutdown_with_timeout(LAST));
            // It waits for the runtime's other threads.
            match tokio::runtime::Handle::try_current() {
                Ok(_) => tokio::task::block_in_place(end),
                Err(_) => end(),
            }
        }
    }
}

/// Whether this program says it, and not a library.
fn is_own(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("rebuilder")
}

/// Starts the log, if there is to be one, and the export of spans, if the environment names a collector. `service` is
/// the name of this process in traces. To be called once, on the runtime.
pub fn start(service: &'static str, log: Option<Log>) -> Result<Telemetry, TelemetryError> {
    let provider = export::provider(service)?;
    let spans = provider.as_ref().map(|provider| {
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("rebuilder"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        layer.with_filter(filter_fn(|metadata| metadata.is_span() && is_own(metadata)))
    });
    if let Some(provider) = &provider {
        traces::exports_to(provider);
    }
    if let Some(log) = &log {
        DOCUMENTS.store(log.format == Format::Json, Relaxed);
    }
    let has_log = log.is_some();
    let log = log.map(|log| {
        let level = log.level.filter();
        // Spans give events their fields, whatever their level.
        let wanted = move |metadata: &Metadata<'_>| {
            metadata.is_span() || *metadata.level() <= level || metadata.target() == NOTE
        };
        log.with_filter(filter_fn(move |metadata| is_own(metadata) && wanted(metadata)))
    });
    if has_log || provider.is_some() {
        // A program that uses this library may have a subscriber of its own.
        let begun = tracing_subscriber::registry().with(spans).with(log).try_init();
        LOGS.store(has_log && begun.is_ok(), Relaxed);
    }
    Ok(Telemetry(provider))
}
