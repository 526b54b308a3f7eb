//! The state of an audit: its runs, the newest results in numbers, and what is due.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::due::{Due, NotDone, due};
use super::standing::{self, Regressed};
use crate::memory::{Audit, Memory, MemoryError, Run};

/// The state of an audit.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Its name.
    pub audit: String,
    /// Folder of its runs.
    pub folder: String,
    /// Subjects that its list names.
    pub subjects: usize,
    /// Subjects that have no result yet.
    pub untried: usize,
    /// Number of subjects with each verdict.
    pub verdicts: BTreeMap<String, usize>,
    /// Number of subjects without a verdict, by failure.
    pub failures: BTreeMap<String, usize>,
    /// Subjects whose verdict is worse than it was.
    pub regressed: Vec<Regressed>,
    /// Subjects that a run would rebuild now.
    pub due: usize,
    /// The subjects that a run would not rebuild now, by reason.
    pub not_due: NotDone,
    /// The runs of the audit, the oldest first.
    pub runs: Vec<RunStatus>,
}

/// A run, as its audit shows it.
#[derive(Debug, Clone, Serialize)]
pub struct RunStatus {
    /// Its number, counted from 1.
    pub number: i64,
    /// When it began.
    pub started: Timestamp,
    /// When it ended; `None` if it was interrupted or is still going on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Number of rebuilds that it made.
    pub rebuilds: i64,
}

impl Status {
    /// Reads the state of an audit from the memory.
    pub async fn of(memory: &Memory, audit: &Audit, allow_equivalent: bool) -> Result<Self, MemoryError> {
        let now = Timestamp::now().as_millisecond();
        let runs = memory.runs(audit).await?;
        let rebuilds = memory.rebuilds(audit).await?;
        let next = next(&runs, now);
        let listed = memory.listed(audit).await?;
        let newest = memory.latest(audit).await?;
        let newest: BTreeMap<_, _> = newest.iter().map(|it| (it.text.as_str(), it)).collect();
        let mut status = Self {
            audit: audit.name.clone(),
            folder: audit.folder.clone(),
            subjects: listed.len(),
            untried: 0,
            verdicts: BTreeMap::new(),
            failures: BTreeMap::new(),
            regressed: standing::regressed(&memory.doubtful(audit).await?, allow_equivalent),
            due: 0,
            not_due: NotDone::default(),
            runs: runs.iter().map(|run| RunStatus::of(run, &rebuilds)).collect(),
        };
        let add = |count: &mut usize| *count = count.saturating_add(1);
        for text in &listed {
            let outcome = newest.get(text.as_str()).copied();
            match outcome {
                None => add(&mut status.untried),
                Some(outcome) => {
                    add(status.verdicts.entry(outcome.verdict.to_string()).or_default());
                    if let Some(failure) = &outcome.failure {
                        add(status.failures.entry(failure.clone()).or_default());
                    }
                }
            }
            match due(outcome, &next, now) {
                Due::Now => add(&mut status.due),
                other => status.not_due.add(other),
            }
        }
        Ok(status)
    }
}

impl RunStatus {
    /// A run, with the number of rebuilds of each run by its number.
    fn of(run: &Run, rebuilds: &BTreeMap<i64, i64>) -> Self {
        let time = |at: i64| Timestamp::from_millisecond(at).unwrap_or_default();
        Self {
            number: run.number,
            started: time(run.started),
            ended: run.ended.map(time),
            rebuilds: rebuilds.get(&run.number).copied().unwrap_or_default(),
        }
    }
}

/// The run that would begin now. It continues an interrupted one, with the demands that this one began with.
fn next(runs: &[Run], now: i64) -> Run {
    let interrupted = runs.last().filter(|run| run.ended.is_none());
    Run {
        id: 0,
        number: 0,
        started: now,
        ended: None,
        redo_before: interrupted.and_then(|run| run.redo_before),
        retry_before: interrupted.and_then(|run| run.retry_before),
    }
}
