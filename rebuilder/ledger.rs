//! How the time of a job is spent: on downloads, on commands in sandboxes, and on this tool itself.
//!
//! Work that runs at the same time within one job counts once.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Kinds of work outside of this tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Waiting for the network.
    Download,
    /// The resolver or build backend of the ecosystem, run in the sandbox.
    Resolve,
    /// Installing build dependencies, in the sandbox.
    Setup,
    /// The build command.
    Build,
    /// Waiting until fewer builds run.
    Wait,
}

#[derive(Clone, Copy)]
struct Span {
    work: Work,
    from: Instant,
    to: Instant,
}

/// Records the work of one job; clones write into the same ledger.
#[derive(Clone, Default)]
pub struct Ledger {
    spans: Arc<Mutex<Vec<Span>>>,
    /// The ledger of the batch, which also records the work of each job.
    batch: Option<Arc<Ledger>>,
}

/// Seconds of a job by kind of work; each second counts once, for the first kind below that covers it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// Build commands.
    pub build: f64,
    /// Installing build dependencies.
    pub setup: f64,
    /// Resolvers and build backends, run in the sandbox.
    pub resolve: f64,
    /// The network.
    pub download: f64,
    /// Waiting until fewer builds run.
    #[serde(default)]
    pub wait: f64,
    /// This tool itself.
    pub own: f64,
    /// The sum.
    pub total: f64,
}

/// Records the time from its creation until it is dropped.
pub struct Entry {
    ledger: Ledger,
    work: Work,
    from: Instant,
}

impl Ledger {
    /// A ledger for one job of this batch.
    #[must_use]
    pub fn job(&self) -> Self {
        Self {
            spans: Arc::default(),
            batch: Some(Arc::new(self.clone())),
        }
    }

    /// Begins a piece of work that ends when the entry is dropped.
    pub fn begin(&self, work: Work) -> Entry {
        Entry {
            ledger: self.clone(),
            work,
            from: Instant::now(),
        }
    }

    /// Records a piece of work that took this long and ends now.
    pub fn ended(&self, work: Work, took: Duration) {
        let to = Instant::now();
        let from = to.checked_sub(took).unwrap_or(to);
        self.note(Span { work, from, to });
    }

    fn note(&self, span: Span) {
        if let Some(batch) = &self.batch {
            batch.note(span);
        }
        self.spans
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(span);
    }

    /// How `total`, the time since the job or the batch began, was spent.
    pub fn spent(&self, total: Duration) -> Spent {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kinds = Vec::new();
        let mut before = 0.0;
        // What this kind covers and none before it does.
        let mut covered = |kind: Work| {
            kinds.push(kind);
            let up_to = union(spans.iter().filter(|span| kinds.contains(&span.work)));
            up_to - std::mem::replace(&mut before, up_to)
        };
        let build = covered(Work::Build);
        let setup = covered(Work::Setup);
        let resolve = covered(Work::Resolve);
        let download = covered(Work::Download);
        let wait = covered(Work::Wait);
        let total = total.as_secs_f64();
        Spent {
            build,
            setup,
            resolve,
            download,
            wait,
            own: (total - before).max(0.0),
            total,
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let (work, from) = (self.work, self.from);
        self.ledger.note(Span {
            work,
            from,
            to: Instant::now(),
        });
    }
}

impl Spent {
    /// The sum over several jobs.
    pub fn add(&mut self, other: &Self) {
        self.build += other.build;
        self.setup += other.setup;
        self.resolve += other.resolve;
        self.download += other.download;
        self.wait += other.wait;
        self.own += other.own;
        self.total += other.total;
    }

    /// Share of builds, installing dependencies and downloads in the time, from 0 to 1.
    pub fn share(&self) -> f64 {
        if self.total > 0.0 {
            (self.build + self.setup + self.download) / self.total
        } else {
            1.0
        }
    }
}

/// Seconds that at least one of the spans covers.
fn union<'a>(spans: impl Iterator<Item = &'a Span>) -> f64 {
    let mut spans: Vec<_> = spans.map(|span| (span.from, span.to)).collect();
    spans.sort();
    let mut covered = Duration::ZERO;
    let mut reached: Option<Instant> = None;
    for (from, to) in spans {
        let from = reached.map_or(from, |reached| reached.max(from));
        covered = covered.saturating_add(to.saturating_duration_since(from));
        reached = Some(reached.map_or(to, |reached| reached.max(to)));
    }
    covered.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_counts_once() {
        let ledger = Ledger::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for (work, from, to) in [
            (Work::Download, 0, 4),
            (Work::Download, 1, 3),
            (Work::Build, 3, 8),
            (Work::Resolve, 9, 10),
        ] {
            let (from, to) = (at(from), at(to));
            ledger.note(Span { work, from, to });
        }
        let spent = ledger.spent(Duration::from_secs(12));
        let rounded =
            [spent.build, spent.resolve, spent.download, spent.own].map(|seconds| format!("{seconds:.0}"));
        assert_eq!(rounded.join(" "), "5 1 3 3");
        assert!((spent.share() - 8.0 / 12.0).abs() < 0.01);
    }
}
