//! Where an audit stands: its runs, what its newest results come to, and what is due.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::due::{Due, NotDone, due};
use super::standing::{self, Regressed};
use crate::memory::{Audit, Memory, MemoryError, Run};

/// Where an audit stands.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Its name.
    pub audit: String,
    /// Folder of its runs.
    pub folder: String,
    /// Subjects that its list names.
    pub subjects: usize,
    /// How many of these have no result yet.
    pub untried: usize,
    /// How many of these have each verdict.
    pub verdicts: BTreeMap<String, usize>,
    /// How many of those without one have each failure.
    pub failures: BTreeMap<String, usize>,
    /// Subjects whose verdict is worse than it was.
    pub regressed: Vec<Regressed>,
    /// Subjects that a run would rebuild now.
    pub due: usize,
    /// What it would not rebuild, and why.
    pub not_due: NotDone,
    /// Its runs, the oldest first.
    pub runs: Vec<RunStatus>,
}

/// A run, as its audit shows it.
#[derive(Debug, Clone, Serialize)]
pub struct RunStatus {
    /// Counted from 1.
    pub number: i64,
    /// When it began.
    pub started: Timestamp,
    /// When it ended; without it, the run was interrupted or is going on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Rebuilds that it made.
    pub rebuilds: i64,
}

impl Status {
    /// Reads it from the memory.
    pub async fn of(memory: &Memory, audit: &Audit, allow_equivalent: bool) -> Result<Self, MemoryError> {
        let time = |at: i64| Timestamp::from_millisecond(at).unwrap_or_default();
        let now = Timestamp::now().as_millisecond();
        let runs = memory.runs(audit).await?;
        let rebuilds = memory.rebuilds(audit).await?;
        let next = Run {
            id: 0,
            number: 0,
            started: now,
            ended: None,
            // An interrupted run keeps what it was asked.
            redo_before: runs
                .last()
                .filter(|run| run.ended.is_none())
                .and_then(|run| run.redo_before),
            retry_before: runs
                .last()
                .filter(|run| run.ended.is_none())
                .and_then(|run| run.retry_before),
        };
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
            runs: Vec::new(),
        };
        let add = |count: &mut usize| *count = count.saturating_add(1);
        for text in &listed {
            let outcome = newest.get(text.as_str()).copied();
            match outcome {
                None => add(&mut status.untried),
                Some(outcome) => {
                    add(status.verdicts.entry(outcome.verdict.clone()).or_default());
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
        status.runs = runs
            .iter()
            .map(|run| RunStatus {
                number: run.number,
                started: time(run.started),
                ended: run.ended.map(time),
                rebuilds: rebuilds.get(&run.number).copied().unwrap_or_default(),
            })
            .collect();
        Ok(status)
    }
}
