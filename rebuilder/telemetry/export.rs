//! Spans on their way to a collector: OTLP over HTTP, in protobuf, as the variables `OTEL_…` say.

use std::env::{self, VarError};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;

use super::traces::Ids;

/// How long the collector may take, and how long its answer may be.
const PATIENCE: Duration = Duration::from_secs(10);
const ANSWER: usize = 1 << 20;
/// How often it is said that the collector does not take spans.
const SAY: Duration = Duration::from_mins(1);

/// An export that the environment asks for and that cannot be.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum TelemetryError {
    #[error("cannot export traces with {variable}={value}: only http/protobuf is supported")]
    #[diagnostic(help("unset the variable, and name the collector's HTTP port, which usually is 4318"))]
    Protocol { variable: &'static str, value: String },
    #[error("cannot export traces: the variables OTEL_EXPORTER_OTLP_… cannot be used")]
    Variables(#[source] ExporterBuildError),
    #[error("cannot start the HTTP client for traces")]
    Client(#[source] reqwest::Error),
}

/// Whether a variable says something, and what.
fn variable(name: &str) -> Option<String> {
    match env::var(name) {
        Ok(text) if !text.trim().is_empty() => Some(text),
        Err(VarError::NotUnicode(text)) => Some(text.to_string_lossy().into_owned()),
        _ => None,
    }
}

/// The exporter that the environment asks for, if it names a collector.
pub(super) fn provider(service: &'static str) -> Result<Option<SdkTracerProvider>, TelemetryError> {
    const COLLECTORS: [&str; 2] = [
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
    ];
    const PROTOCOLS: [&str; 2] = [
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
    ];
    let is_off = variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        || variable("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
    if is_off || !COLLECTORS.iter().any(|name| variable(name).is_some()) {
        return Ok(None);
    }
    let protocol = PROTOCOLS
        .into_iter()
        .find_map(|name| Some((name, variable(name)?)));
    if let Some((variable, value)) = protocol.filter(|(_, value)| value != "http/protobuf") {
        return Err(TelemetryError::Protocol { variable, value });
    }
    let http = reqwest::Client::builder()
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(TelemetryError::Client)?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Collector {
            http,
            runtime: Handle::current(),
            said: Mutex::new(None),
        })
        .with_protocol(Protocol::HttpBinary)
        .build()
        .map_err(TelemetryError::Variables)?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_id_generator(Ids::default())
        .with_resource(resource(service))
        .build();
    Ok(Some(provider))
}

/// What is said of this process. The operator's variables come first.
fn resource(service: &'static str) -> Resource {
    let attributes = variable("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let is_named = variable("OTEL_SERVICE_NAME").is_some()
        || attributes
            .split(',')
            .any(|pair| pair.trim_start().starts_with("service.name="));
    let mut resource =
        Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if !is_named {
        resource = resource.with_service_name(service);
    }
    resource.build()
}

/// The collector. The exporter has a thread without a runtime, so requests are made on that of the program.
#[derive(Debug)]
struct Collector {
    http: reqwest::Client,
    runtime: Handle,
    said: Mutex<Option<Instant>>,
}

impl Collector {
    /// Says that spans are lost, not too often.
    fn say(&self, reason: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|at| at.elapsed() > SAY) {
            *said = Some(Instant::now());
            tracing::warn!("cannot export traces: {reason}");
        }
    }
}

type Sent<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Collector {
    // What the macro of async_trait makes of an async function.
    fn send_bytes<'a, 'b>(&'a self, request: Request<Bytes>) -> Sent<'b>
    where
        'a: 'b,
        Self: 'b,
    {
        let http = self.http.clone();
        let sent = self.runtime.spawn(send(http, request));
        Box::pin(async move {
            let sent = match sent.await {
                Ok(sent) => sent,
                Err(error) => Err(error.into()),
            };
            match &sent {
                Ok(answer) if !answer.status().is_success() => {
                    self.say(&format!("the collector answered {}", answer.status()));
                }
                Ok(_) => {}
                Err(error) => self.say(&crate::error::with_causes(error.as_ref())),
            }
            sent
        })
    }
}

async fn send(http: reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let request = reqwest::Request::try_from(request).map_err(reqwest::Error::without_url)?;
    // An address may hold a password.
    let mut answer = http.execute(request).await.map_err(reqwest::Error::without_url)?;
    let status = answer.status();
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
        if bytes.len().saturating_add(chunk.len()) > ANSWER {
            return Err("the collector's answer is too long".into());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Response::builder().status(status).body(Bytes::from(bytes))?)
}
