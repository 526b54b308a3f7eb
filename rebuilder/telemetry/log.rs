//! The log: one line for each event, with the fields of the spans that it is in.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::traces;
use crate::text;

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    // Time, level, message and fields, for people.
    Text,
    // A JSON document, for programs.
    Json,
}

/// The least important events that are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Level {
    // What ends or breaks something.
    Error,
    // What is tried again, or needs attention.
    Warn,
    // What was done.
    Info,
    // Each request and each lease.
    Debug,
}

impl Level {
    pub(super) fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
        }
    }
}

/// A log.
pub struct Log {
    pub format: Format,
    pub level: Level,
    /// Writes a line, which has no line break.
    pub write: Arc<dyn Fn(&str) + Send + Sync>,
}

/// Fields of a span, an event or a line, in their order; the last value of a name counts.
#[derive(Clone, Default)]
struct Fields(Vec<(String, Value)>);

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl Fields {
    fn insert(&mut self, name: &str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(at).1)
    }

    fn put(&mut self, field: &Field, value: Value) {
        self.insert(field.name(), value);
    }

    /// Addresses may hold a password.
    fn put_text(&mut self, field: &Field, text: &str) {
        self.put(field, Value::String(text::redacted(text)));
    }
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, value);
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put_text(field, &format!("{value:?}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Log {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut own = Fields::default();
        event.record(&mut own);
        let message = own.take("message").unwrap_or_default();
        let mut fields = Fields::default();
        let spans = context
            .event_scope(event)
            .into_iter()
            .flat_map(tracing_subscriber::registry::Scope::from_root);
        for span in spans {
            let extensions = span.extensions();
            for (name, value) in extensions
                .get::<Fields>()
                .into_iter()
                .flat_map(|of_span| &of_span.0)
            {
                fields.insert(name, value.clone());
            }
        }
        for (name, value) in own.0 {
            fields.insert(&name, value);
        }
        // These are the exporter's own.
        fields.0.retain(|(name, _)| !name.starts_with("otel."));
        if let Some(parent) = traces::current() {
            fields.insert("trace_id", parent.trace_id().into());
        }
        let level = event.metadata().level().as_str();
        (self.write)(&line(self.format, Timestamp::now(), level, &message, fields));
    }
}

/// One line. Text from outside cannot steer a terminal in either form, nor end the line.
fn line(format: Format, at: Timestamp, level: &str, message: &Value, fields: Fields) -> String {
    let at = at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
    if format == Format::Json {
        let mut document = Fields(vec![
            ("time".into(), at.into()),
            ("level".into(), level.to_lowercase().into()),
            ("message".into(), message.clone()),
        ]);
        // What is above says what the line is.
        let is_free = |name: &str| !["time", "level", "message"].contains(&name);
        document
            .0
            .extend(fields.0.into_iter().filter(|(name, _)| is_free(name)));
        return text::json(&document);
    }
    let mut line = format!("{at} {level:5} {}", message.as_str().unwrap_or_default());
    for (name, value) in fields.0 {
        // A string takes everything.
        let _ = match value {
            Value::String(text) if is_plain(&text) => write!(line, " {name}={text}"),
            other => write!(line, " {name}={other}"),
        };
    }
    text::visible(&line).into_owned()
}

/// Whether a text needs no quotes to be told from what is beside it.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || "\"=".contains(c))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_line_is_one_line_whatever_it_is_about() {
        let fields = || {
            let mut fields = Fields::default();
            fields.insert("job", 6.into());
            fields.insert("subject", "a\n\u{202e}b".into());
            fields.insert("worker", "one".into());
            fields.insert("level", "forged".into());
            fields.insert("job", 7.into());
            fields
        };
        let message = Value::from("ended\r\nerror: forged \u{1b}[2J");
        let text = line(Format::Text, Timestamp::UNIX_EPOCH, "INFO", &message, fields());
        assert_eq!(
            text,
            "1970-01-01T00:00:00.000Z INFO  ended<U+000D><U+000A>error: forged <U+001B>[2J job=7 \
             subject=\"a\\n<U+202E>b\" worker=one level=forged"
        );
        let json = line(Format::Json, Timestamp::UNIX_EPOCH, "INFO", &message, fields());
        assert!(!json.contains(['\n', '\u{1b}', '\u{202e}']), "{json}");
        let document: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(document["level"], "info");
        assert_eq!(document["message"], message);
        assert_eq!(
            (&document["job"], &document["subject"]),
            (&7.into(), &"a\n\u{202e}b".into())
        );
    }
}
