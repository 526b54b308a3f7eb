//! The only place that writes to stdout and, except for progress, to stderr. Output must be a [`Screen`] or a value for
//! JSON, so that text from outside is always made visible; `tests/cli.rs` finds code that prints in another way.

use std::io::{self, Read, Write as _};

use serde::Serialize;
use serde_json::Value;

use super::failure::Failure;
use crate::telemetry;
use crate::text::{self, Screen, Style};

/// An empty screen for stdout.
pub(crate) fn screen() -> Screen {
    Screen::new(colour())
}

/// Whether stdout may have colours.
pub(crate) fn colour() -> bool {
    may_colour(&io::stdout())
}

/// Writes a result for people to stdout.
pub(crate) fn print(screen: &Screen) -> Result<(), Failure> {
    written(write(screen.as_str().as_bytes()))
}

/// Writes one JSON document to stdout, on one line.
pub(crate) fn print_json(value: &(impl Serialize + ?Sized)) -> Result<(), Failure> {
    written(write((text::json(value) + "\n").as_bytes()))
}

/// Writes one JSON document to stdout, on several lines.
pub(crate) fn print_json_pretty(value: &(impl Serialize + ?Sized)) -> Result<(), Failure> {
    written(write((text::json_pretty(value) + "\n").as_bytes()))
}

/// The document with more members.
pub(crate) fn with(mut document: Value, more: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    if let Some(members) = document.as_object_mut() {
        members.extend(more.into_iter().map(|(name, value)| (name.to_owned(), value)));
    }
    document
}

/// Writes this program's own text to stdout: completions, the manual page.
pub(crate) fn print_own(bytes: &[u8]) -> Result<(), Failure> {
    written(write(bytes))
}

/// Writes the log of a build to stdout. If `raw`, it writes the exact bytes, for programs.
pub(crate) fn print_log(log: impl Read, raw: bool) -> Result<(), Failure> {
    let mut log = io::BufReader::new(log);
    let mut to = io::stdout().lock();
    written(if raw {
        io::copy(&mut log, &mut to).and_then(|_| to.flush())
    } else {
        text::copy_visible(log, to)
    })
}

/// Prints a message to stderr that is not part of the result, or puts it into the log if there is one.
pub(crate) fn note(text: &str) {
    if telemetry::logs_documents() {
        tracing::info!(target: telemetry::NOTE, "{text}");
        return;
    }
    let mut screen = Screen::new(may_colour(&io::stderr()));
    screen.say(text);
    tell(&screen);
}

/// Prints an error and what to do about it.
pub(crate) fn error(message: &str, help: Option<&str>) {
    if telemetry::logs_documents() {
        tracing::error!(help, "{message}");
        return;
    }
    let mut screen = Screen::new(may_colour(&io::stderr()));
    screen.paragraph(&Style::Bad.of("error:"), message);
    if let Some(help) = help {
        screen.paragraph(&Style::Help.of("help:"), help);
    }
    tell(&screen);
}

/// Whether the stream is a terminal and the user has not asked for plain text (no-color.org).
fn may_colour(stream: &impl io::IsTerminal) -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && stream.is_terminal()
}

fn tell(screen: &Screen) {
    // If stderr is closed, there is no reader to report that to.
    let _ = io::stderr().write_all(screen.as_str().as_bytes());
}

fn write(bytes: &[u8]) -> io::Result<()> {
    io::stdout().write_all(bytes).and_then(|()| io::stdout().flush())
}

/// It is not an error if the reader closed the pipe early.
fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::internal(format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}
