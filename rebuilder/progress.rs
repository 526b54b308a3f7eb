//! What a person sees while long work runs: bars and live lines on a terminal, one line per stage elsewhere.
//!
//! Everything goes to stderr; stdout belongs to results.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

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

    /// Starts a stage of unknown length, such as "solving build dependencies".
    pub fn stage(&self, name: impl Into<String>) -> ProgressBar {
        let name = name.into();
        self.line(&name);
        let bar = self.bars.add(ProgressBar::new_spinner());
        bar.set_style(style(
            "{spinner:.cyan} {prefix} {elapsed:.dim}\n  {wide_msg:.dim}",
        ));
        bar.set_prefix(name);
        if self.mode == Mode::Live {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        bar
    }

    /// Starts a stage that moves `total` bytes.
    pub fn bytes(&self, name: impl Into<String>, total: u64) -> ProgressBar {
        let name = name.into();
        self.line(&name);
        let bar = self.bars.add(ProgressBar::new(total));
        bar.set_style(style(
            "{spinner:.cyan} {prefix} [{bar:24.cyan/dim}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec:.dim} {wide_msg:.dim}",
        ));
        bar.set_prefix(name);
        bar
    }

    /// Starts a stage of `total` pieces of work.
    pub fn count(&self, name: impl Into<String>, total: u64) -> ProgressBar {
        let name = name.into();
        self.line(&name);
        let bar = self.bars.add(ProgressBar::new(total));
        bar.set_style(style(
            "{spinner:.cyan} {prefix} [{bar:24.cyan/dim}] {pos}/{len} {elapsed:.dim} {wide_msg:.dim}",
        ));
        bar.set_prefix(name);
        if self.mode == Mode::Live {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        bar
    }

    /// Says one thing that stays on the screen.
    pub fn note(&self, text: &str) {
        match self.mode {
            Mode::Live => {
                let _ = self.bars.println(text);
            }
            Mode::Lines => eprintln!("{text}"),
            Mode::Silent => {}
        }
    }

    fn line(&self, name: &str) {
        if self.mode == Mode::Lines {
            eprintln!("{name}");
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
