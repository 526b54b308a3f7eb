//! What operators are told: a log that programs can read, and one trace for each job, in a collector of our own.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::Signal;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use prost::Message as _;
use serde_json::Value;

use super::agreement::{Signer, own};
use super::service::{Service, end, wait_until};
use crate::common::{self, NETWORK, SANDBOX, code, needs, rebuilder, text};

/// A collector of OpenTelemetry: takes spans over HTTP, in protobuf.
struct Collector {
    port: u16,
    taken: Arc<Mutex<Vec<(String, Vec<u8>)>>>,
}

/// A span, as far as it is looked at.
#[derive(Debug, Clone)]
struct Span {
    service: String,
    name: String,
    trace: Vec<u8>,
    id: Vec<u8>,
    parent: Vec<u8>,
    attributes: BTreeMap<String, String>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken = Arc::<Mutex<Vec<(String, Vec<u8>)>>>::default();
        let kept = taken.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let request = take(&stream);
                kept.lock().unwrap().extend(request);
                let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                let _ = (&stream).write_all(answer);
            }
        });
        Self { port, taken }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn spans(&self) -> Vec<Span> {
        let taken = self.taken.lock().unwrap();
        let requests = taken.iter().map(|(head, body)| {
            assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
            ExportTraceServiceRequest::decode(body.as_slice()).unwrap()
        });
        let mut spans = Vec::new();
        for resource in requests.flat_map(|request| request.resource_spans) {
            let of = resource.resource.unwrap().attributes;
            let service = of.iter().find(|pair| pair.key == "service.name").unwrap();
            let service = words(service.value.clone().unwrap().value);
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                let attributes = span.attributes.into_iter();
                spans.push(Span {
                    service: service.clone(),
                    name: span.name,
                    trace: span.trace_id,
                    id: span.span_id,
                    parent: span.parent_span_id,
                    attributes: attributes
                        .map(|pair| (pair.key, words(pair.value.and_then(|value| value.value))))
                        .collect(),
                });
            }
        }
        spans
    }
}

/// The head of a request, and its body.
fn take(stream: &TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let begun = head.len();
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
        let line = head[begun..].trim().to_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn words(value: Option<Any>) -> String {
    match value {
        Some(Any::StringValue(text)) => text,
        Some(Any::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn documents(log: &str) -> Vec<Value> {
    let document = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    log.lines().map(document).collect()
}

#[apply(test)]
fn a_job_is_one_trace_from_the_queue_to_the_signature() {
    needs(&[NETWORK, SANDBOX]);
    let collector = Collector::start();
    let url = collector.url();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=collector-secret"),
        ("OTEL_BSP_SCHEDULE_DELAY", "200"),
    ];
    let signer = Signer::start_in(&variables, &["--agree", "1", "--relay", &own()]);
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let (socket, runs) = (path(&signer.place("socket")), path(&signer.place("runs")));
    let more = [
        "--signer",
        &socket,
        "--runs",
        &runs,
        "--log-format",
        "json",
        "--log-level",
        "info",
    ];
    let mut service = Service::start_in(&variables, "60", &more);
    service.operator(&["queue", "add", "pypi:idna==3.10"]);
    let json = ["--log-format", "json", "--log-level", "info"];
    let worker = service.worker("one", Some(&common::store()), &json);
    wait_until("the run is signed", Duration::from_mins(4), || {
        service.operator(&["queue", "status"])["signing"]["signed"] == 1
    });
    // The last spans are sent when a process ends.
    end(worker, Signal::SIGTERM);
    service.end(Signal::SIGTERM);
    signer.end();

    let spans = collector.spans();
    let job = spans.iter().find(|span| span.name == "job").unwrap();
    let traces: BTreeSet<_> = spans.iter().map(|span| &span.trace).collect();
    assert_eq!(traces, BTreeSet::from([&job.trace]), "{spans:#?}");
    let found: BTreeSet<(&str, &str)> = spans
        .iter()
        .map(|span| (span.service.trim_start_matches("rebuilder-"), span.name.as_str()))
        .collect();
    for expected in [
        ("serve", "job"),
        ("serve", "lease"),
        ("worker", "attempt"),
        ("rebuild", "rebuild"),
        ("rebuild", "plan"),
        ("rebuild", "fetch"),
        ("rebuild", "container"),
        ("rebuild", "build"),
        ("rebuild", "compare"),
        (
            "serve",
            "PUT /api/worker/v1/jobs/{job}/{attempt}/artifacts/{sha256}",
        ),
        ("serve", "verdict"),
        ("serve", "hand-in"),
        ("signer", "sign"),
    ] {
        assert!(found.contains(&expected), "{expected:?} is not among {found:?}");
    }
    // All of them hang together: each but the job itself is below another one.
    let ids: BTreeSet<_> = spans.iter().map(|span| &span.id).collect();
    assert_eq!(ids.len(), spans.len());
    for span in &spans {
        let is_below = ids.contains(&span.parent);
        assert_eq!(is_below, span.name != "job", "{span:#?}");
    }
    let one = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    assert_eq!(one("attempt").parent, one("lease").id);
    assert_eq!(one("rebuild").parent, one("attempt").id);
    assert_eq!(one("verdict").parent, one("attempt").id);
    assert_eq!(one("sign").parent, one("hand-in").id);
    for (name, attribute, expected) in [
        ("job", "job", "1"),
        ("job", "verdict", "reproduced"),
        ("job", "attempts", "1"),
        ("lease", "worker", "one"),
        ("lease", "subject", "pkg:pypi/idna@3.10"),
        ("attempt", "outcome", "run"),
        ("rebuild", "verdict", "reproduced"),
        ("verdict", "verdict", "reproduced"),
        ("hand-in", "said", "signed"),
        ("sign", "said", "signed"),
    ] {
        let value = one(name).attributes.get(attribute);
        assert_eq!(value.map(String::as_str), Some(expected), "{name} {attribute}");
    }

    // The log has the same fields, and names the trace.
    let log = service.server_log();
    let lines = documents(&log);
    let trace: String = hex::encode(&job.trace);
    let ended = lines.iter().find(|line| line["message"] == "job ended").unwrap();
    assert_eq!(
        (&ended["job"], &ended["verdict"]),
        (&1.into(), &"reproduced".into())
    );
    let signed = lines
        .iter()
        .find(|line| line["message"] == "the signer answered")
        .unwrap();
    assert_eq!(
        (&signed["said"], &signed["trace_id"]),
        (&"signed".into(), &trace.as_str().into())
    );
    let worker = std::fs::read_to_string(service.folder.path().join("worker-one.log")).unwrap();
    let ended = documents(&worker);
    let ended = ended.iter().find(|line| line["message"] == "ended").unwrap();
    assert_eq!(
        (&ended["job"], &ended["level"], &ended["trace_id"]),
        (&1.into(), &"info".into(), &trace.as_str().into())
    );
    // Nothing secret is in either; the collector alone is sent what is for it.
    let token = std::fs::read_to_string(service.token("one")).unwrap();
    let bodies: Vec<u8> = collector
        .taken
        .lock()
        .unwrap()
        .iter()
        .flat_map(|(_, body)| body.clone())
        .collect();
    let bodies = String::from_utf8_lossy(&bodies).into_owned();
    for secret in [token.trim(), "collector-secret"] {
        for place in [&bodies, &log, &worker] {
            assert!(!place.contains(secret));
        }
    }
    let taken = collector.taken.lock().unwrap();
    assert!(
        taken
            .iter()
            .all(|(head, _)| head.contains("x-key: collector-secret"))
    );
}

#[apply(test)]
fn a_collector_that_is_away_stops_nothing() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://someone:password@{closed}");
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ];
    let mut service = Service::start_in(&variables, "1.5", &[]);
    // Neither a subject without a version's index nor a collector: it ends with a failure, which is a span too.
    service.operator(&["queue", "add", "pypi:rebuilder-does-not-exist==1", "--tries", "1"]);
    service.operator(&["queue", "probe", "--count", "5"]);
    let worker = service.worker("one", None, &["--", "--offline"]);
    assert!(
        service.drained(Duration::from_mins(1)),
        "{}",
        service.server_log()
    );
    assert_eq!((service.jobs("done"), service.jobs("dead")), (5, 1));
    assert!(
        service.server_log().contains("job is dead"),
        "{}",
        service.server_log()
    );
    wait_until("it is said", Duration::from_secs(20), || {
        service.server_log().contains("cannot export traces")
    });
    end(worker, Signal::SIGTERM);
    service.end(Signal::SIGTERM);
    assert!(
        !service.server_log().contains("password"),
        "{}",
        service.server_log()
    );

    let mut command = rebuilder();
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        .args(["serve", "--listen", "127.0.0.1:0"]);
    let output = command.output().unwrap();
    assert_eq!(code(&output), 2, "{}", text(&output));
    assert!(
        text(&output).contains("only http/protobuf is supported"),
        "{}",
        text(&output)
    );
}
