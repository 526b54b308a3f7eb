//! Which trace something belongs to, across processes: W3C Trace Context (<https://www.w3.org/TR/trace-context/>).

use std::cell::Cell;
use std::fmt;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, Tracer as _,
    TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracerProvider};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// An attribute of a span.
pub type Attribute = (&'static str, String);

/// A span of a trace, as others are told of it: `00-TRACE-SPAN-FLAGS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace: [u8; 16],
    span: [u8; 8],
    sampled: bool,
}

impl TraceParent {
    /// The span of these ids; `None` if one of them is zero, which is not an id.
    pub fn new(trace: [u8; 16], span: [u8; 8]) -> Option<Self> {
        let sampled = true;
        (trace != [0; 16] && span != [0; 8]).then_some(Self { trace, span, sampled })
    }

    /// Reads a `traceparent`; what cannot be read is as good as none.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let mut parts = text.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if version != "00" || parts.next().is_some() || ![trace, span, flags].into_iter().all(is_hex) {
            return None;
        }
        let (mut ids, mut flag) = (([0; 16], [0; 8]), [0; 1]);
        hex::decode_to_slice(trace, &mut ids.0).ok()?;
        hex::decode_to_slice(span, &mut ids.1).ok()?;
        hex::decode_to_slice(flags, &mut flag).ok()?;
        let sampled = flag[0] & 1 == 1;
        Some(Self {
            sampled,
            ..Self::new(ids.0, ids.1)?
        })
    }

    /// The id of the trace, in hexadecimal.
    pub fn trace_id(&self) -> String {
        hex::encode(self.trace)
    }

    fn of_context(context: &SpanContext) -> Option<Self> {
        let ids = Self::new(context.trace_id().to_bytes(), context.span_id().to_bytes())?;
        let sampled = context.is_sampled();
        Some(Self { sampled, ..ids })
    }

    fn context(self) -> Context {
        let flags = TraceFlags::default().with_sampled(self.sampled);
        Context::new().with_remote_span_context(SpanContext::new(
            TraceId::from_bytes(self.trace),
            SpanId::from_bytes(self.span),
            flags,
            true,
            TraceState::default(),
        ))
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (hex::encode(self.trace), hex::encode(self.span));
        write!(f, "00-{trace}-{span}-{:02x}", u8::from(self.sampled))
    }
}

/// Makes a new span a child of one of another process.
pub fn adopt(span: &Span, parent: Option<TraceParent>) {
    if let Some(parent) = parent {
        // Without an export there is nothing to join.
        let _ = span.set_parent(parent.context());
    }
}

/// The current span, for another process; `None` if spans are not exported.
pub fn current() -> Option<TraceParent> {
    EXPORT.get()?;
    of_span(&Span::current())
}

/// A span, for another process; `None` if spans are not exported.
pub fn of_span(span: &Span) -> Option<TraceParent> {
    EXPORT.get()?;
    TraceParent::of_context(span.context().span().span_context())
}

static EXPORT: OnceLock<SdkTracerProvider> = OnceLock::new();

pub(super) fn exports_to(provider: &SdkTracerProvider) {
    // There is one provider for each process.
    let _ = EXPORT.set(provider.clone());
}

thread_local! {
    static NEXT: Cell<Option<TraceParent>> = const { Cell::new(None) };
}

/// Random ids, except for those of [`closed_span`].
#[derive(Debug, Default)]
pub(super) struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        let next = NEXT.get();
        next.map_or_else(|| self.0.new_trace_id(), |next| TraceId::from_bytes(next.trace))
    }

    fn new_span_id(&self) -> SpanId {
        let next = NEXT.get();
        next.map_or_else(|| self.0.new_span_id(), |next| SpanId::from_bytes(next.span))
    }
}

/// Exports a span that has these ids, no parent, began so many milliseconds after 1970 and ends now. Processes that know its
/// ids could be its children before it was there.
pub fn closed_span(name: &'static str, ids: TraceParent, began: i64, attributes: Vec<Attribute>) {
    let Some(provider) = EXPORT.get() else { return };
    let began = Duration::from_millis(u64::try_from(began).unwrap_or(0));
    let tracer = provider.tracer("rebuilder");
    let mut builder = tracer.span_builder(name);
    builder.start_time = SystemTime::UNIX_EPOCH.checked_add(began);
    builder.attributes = Some(
        attributes
            .into_iter()
            .map(|(name, value)| KeyValue::new(name, value))
            .collect(),
    );
    NEXT.set(Some(ids));
    let mut span = tracer.build_with_context(builder, &Context::new());
    NEXT.set(None);
    span.end();
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_no_traceparent_is_none() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(TraceParent::parse(good).unwrap().to_string(), good);
        let unsampled = good.replace("-01", "-00");
        assert_eq!(TraceParent::parse(&unsampled).unwrap().to_string(), unsampled);
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0\u{e9}",
        ] {
            assert_eq!(TraceParent::parse(bad), None, "{bad}");
        }
    }
}
