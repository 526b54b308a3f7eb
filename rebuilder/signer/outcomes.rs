//! What earlier requests came to: which workers had which outcome, and how much each has asked of late.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::SignerError;
use crate::artifact::Sha256;
use crate::attest::log::{Event, Log, Stated};

/// What one worker has put into the log of late. Beyond a measure, what it is refused is told to it and not written down,
/// and what it hands in has to wait: no worker fills the disk with lines.
pub(super) struct Pace {
    minute: (Instant, u32),
    hour: (Instant, usize),
}

impl Pace {
    /// Lines in a minute, and bytes in an hour.
    const LINES: u32 = 200;
    const BYTES: usize = 16 << 20;

    pub(super) fn new() -> Self {
        Self {
            minute: (Instant::now(), 0),
            hour: (Instant::now(), 0),
        }
    }

    /// Whether a line of about so many bytes may be written now.
    pub(super) fn allows(&mut self, bytes: usize) -> bool {
        if self.minute.0.elapsed() > Duration::from_mins(1) {
            self.minute = (Instant::now(), 0);
        }
        if self.hour.0.elapsed() > Duration::from_hours(1) {
            self.hour = (Instant::now(), 0);
        }
        self.minute.1 = self.minute.1.saturating_add(1);
        self.hour.1 = self.hour.1.saturating_add(bytes);
        self.minute.1 <= Self::LINES && self.hour.1 <= Self::BYTES
    }
}

/// One worker's run with an outcome, in short.
#[derive(Debug, Clone)]
pub(super) struct Handing {
    pub(super) plan: Sha256,
    pub(super) stated: Option<Stated>,
}

/// For each subject, the outcomes and the workers that had them; and the record of each
/// worker's runs.
#[derive(Default)]
pub(super) struct Outcomes {
    by_subject: BTreeMap<String, BTreeMap<Sha256, BTreeMap<String, Handing>>>,
    pub(super) records: BTreeMap<(String, String), Sha256>,
}

impl Outcomes {
    /// What the log says of earlier requests.
    pub(super) fn read(log: &Path) -> Result<Self, SignerError> {
        let mut outcomes = Self::default();
        if log.exists() {
            Log::each(log, |line| {
                if let Event::Submitted {
                    run,
                    subject,
                    record,
                    outcome,
                    worker,
                    plan,
                    stated,
                } = line.event
                {
                    outcomes.add(&subject, outcome, &worker, Handing { plan, stated });
                    outcomes.records.insert((worker, run), record);
                }
            })?;
        }
        Ok(outcomes)
    }

    pub(super) fn add(&mut self, subject: &str, outcome: Sha256, worker: &str, handing: Handing) {
        let outcomes = self.by_subject.entry(subject.to_owned()).or_default();
        outcomes
            .entry(outcome)
            .or_default()
            .insert(worker.to_owned(), handing);
    }

    /// Workers with this outcome and what each handed in, and how many had another one.
    pub(super) fn of(&self, subject: &str, outcome: Sha256) -> (BTreeMap<String, Handing>, usize) {
        let Some(outcomes) = self.by_subject.get(subject) else {
            return (BTreeMap::new(), 0);
        };
        let same = outcomes.get(&outcome).cloned().unwrap_or_default();
        let others = outcomes.iter().filter(|(other, _)| **other != outcome);
        (same, others.map(|(_, workers)| workers.len()).sum())
    }
}

/// What a thread panicked over is not lost: the values behind these locks are whole between any two statements.
pub(super) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
