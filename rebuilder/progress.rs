//! Progress of long work: bars and live lines on a terminal, one line per stage elsewhere.
//!
//! Everything goes to stderr; stdout belongs to results. What is shown may come from outside, such as the last line of a
//! build, and is made visible here.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressDrawTarget, ProgressStyle};

use crate::telemetry;
use crate::text::visible;

/// Maximum length of a name of a stage; a longer one would take more than a line from everything else.
const NAME_LIMIT: usize = 160;

/// A stage that is running.
#[derive(Debug, Clone)]
pub struct ProgressBar(indicatif::ProgressBar);

impl ProgressBar {
    /// One that is not shown.
    pub fn hidden() -> Self {
        Self(indicatif::ProgressBar::hidden())
    }

    /// Shows what is being worked on.
    pub fn set_message(&self, text: impl AsRef<str>) {
        self.0.set_message(visible(text.as_ref()).into_owned());
    }

    /// Sets the amount of work.
    pub fn set_length(&self, length: u64) {
        self.0.set_length(length);
    }

    /// Sets the amount that is done.
    pub fn set_position(&self, position: u64) {
        self.0.set_position(position);
    }

    /// Adds to the amount that is done.
    pub fn inc(&self, more: u64) {
        self.0.inc(more);
    }

    /// Ends the stage.
    pub fn finish_and_clear(&self) {
        self.0.finish_and_clear();
    }
}

/// Where progress goes. Cheap to clone; clones draw to the same place.
#[derive(Clone)]
pub struct Progress {
    bars: MultiProgress,
    mode: Mode,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Live,
    Lines,
    Silent,
}

impl Progress {
    /// Bars on a terminal, plain lines in a pipe, nothing when `quiet`.
    pub fn new(quiet: bool) -> Self {
        let mode = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Mode::Silent,
            (false, true) => Mode::Live,
            (false, false) => Mode::Lines,
        };
        let target = if mode == Mode::Live {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            bars: MultiProgress::with_draw_target(target),
            mode,
        }
    }

    /// Shows nothing at all.
    pub fn silent() -> Self {
        Self::new(true)
    }

    /// Whether only results and errors are shown.
    pub fn is_silent(&self) -> bool {
        self.mode == Mode::Silent
    }

    /// Whether progress goes to a terminal.
    pub fn is_live(&self) -> bool {
        self.mode == Mode::Live
    }

    /// Starts a stage of unknown length, such as "solving build dependencies".
    pub fn stage(&self, name: impl AsRef<str>) -> ProgressBar {
        let name = self.announce(name.as_ref());
        let bar = self.bars.add(indicatif::ProgressBar::new_spinner());
        bar.set_style(style(
            "{spinner:.cyan} {prefix} {elapsed:.dim}\n  {wide_msg:.dim}",
        ));
        bar.set_prefix(name);
        if self.mode == Mode::Live {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        ProgressBar(bar)
    }

    /// Starts a stage that moves `total` bytes.
    pub fn bytes(&self, name: impl AsRef<str>, total: u64) -> ProgressBar {
        let name = self.announce(name.as_ref());
        let bar = self.bars.add(indicatif::ProgressBar::new(total));
        bar.set_style(style(
            "{spinner:.cyan} {prefix} [{bar:24.cyan/dim}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec:.dim} {wide_msg:.dim}",
        ));
        bar.set_prefix(name);
        ProgressBar(bar)
    }

    /// Starts a stage of `total` pieces of work.
    pub fn count(&self, name: impl AsRef<str>, total: u64) -> ProgressBar {
        let name = self.announce(name.as_ref());
        let bar = self.bars.add(indicatif::ProgressBar::new(total));
        bar.set_style(style(
            "{spinner:.cyan} {prefix} [{bar:24.cyan/dim}] {pos}/{len} {elapsed:.dim} {wide_msg:.dim}",
        ));
        bar.set_prefix(name);
        if self.mode == Mode::Live {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        ProgressBar(bar)
    }

    /// Prints one line that stays on the screen, or is an event in the log if there is one.
    pub fn note(&self, text: &str) {
        if telemetry::logs() {
            tracing::info!("{text}");
            return;
        }
        match self.mode {
            Mode::Live => {
                let _ = self.bars.println(visible(text));
            }
            Mode::Lines => write_line(text),
            Mode::Silent => {}
        }
    }

    /// The same for what needs attention, or is tried again.
    pub fn trouble(&self, text: &str) {
        if telemetry::logs() {
            tracing::warn!("{text}");
        } else {
            self.note(text);
        }
    }

    /// Prints a line of the log, whatever else is shown.
    pub fn log_line(&self, line: &str) {
        match self.mode {
            Mode::Live => {
                let _ = self.bars.println(visible(line));
            }
            Mode::Lines | Mode::Silent => write_line(line),
        }
    }

    /// Prints that a stage begins, if bars are not shown; returns its name as it is shown.
    fn announce(&self, name: &str) -> String {
        if self.mode == Mode::Lines && telemetry::logs() {
            tracing::info!("{name}");
        } else if self.mode == Mode::Lines {
            write_line(name);
        }
        let shown = visible(name);
        match shown.char_indices().nth(NAME_LIMIT) {
            Some((end, _)) => format!("{}…", &shown[..end]),
            None => shown.into_owned(),
        }
    }
}

fn write_line(text: &str) {
    // If stderr is closed, there is no reader to report that to.
    let _ = writeln!(std::io::stderr(), "{}", visible(text));
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
