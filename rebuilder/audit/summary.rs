//! A batch in numbers.

use std::collections::BTreeMap;

use serde::Serialize;

use super::alarm::Watched;
use super::{Alarm, NotDone, Regressed, ResultLine, SubjectResult};
use crate::ledger::Spent;
use crate::run::Cost;

/// What came of a list.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Name of the audit.
    pub audit: String,
    /// Number of this run in it, from 1.
    pub run: i64,
    /// When the run began; it may have been interrupted meanwhile.
    pub began: jiff::Timestamp,
    /// Whether there is an older run to compare with.
    pub has_past: bool,
    /// Subjects whose verdict is worse than it was.
    pub regressed: Vec<Regressed>,
    /// Alarms that this run raised.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<Alarm>,
    /// Suspicions that were not told, as the control was not good; later runs look again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<Alarm>,
    /// Suspicions that came out well each time that they were rebuilt.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub taken_back: Vec<Alarm>,
    /// Whom an alarm could not be told, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_told: Vec<String>,
    /// What was not rebuilt, and why.
    pub not_done: NotDone,
    /// Subjects with a result.
    pub total: usize,
    /// How many have each verdict.
    pub verdicts: BTreeMap<&'static str, usize>,
    /// How many that are not reproduced have each first cause, normalisations or stage.
    pub causes: BTreeMap<String, usize>,
    /// How many were rebuilt by this process; the others were finished before.
    pub rebuilt_now: usize,
    /// Jobs at the same time.
    pub jobs: usize,
    /// What the wall time of this process went into: a second counts for a kind of work while any job does it, and for
    /// this tool while none does anything else.
    pub wall: Spent,
    /// Part of the wall time in which a build command ran, dependencies were installed, or something was fetched.
    pub share: f64,
    /// What the time of the jobs went into, summed.
    pub jobs_spent: Spent,
    /// What it costs to have all of them verified.
    pub cost: Cost,
    /// Every result, in the list's order.
    pub results: Vec<ResultLine>,
}

/// How a run stands in its audit.
pub(super) struct Standing {
    pub audit: String,
    pub run: i64,
    pub began: jiff::Timestamp,
    pub has_past: bool,
    pub regressed: Vec<Regressed>,
    pub not_done: NotDone,
}

impl Summary {
    pub(super) fn of(
        standing: Standing,
        results: Vec<ResultLine>,
        now: &[ResultLine],
        wall: Spent,
        jobs: usize,
    ) -> Self {
        let mut verdicts = BTreeMap::new();
        let mut causes = BTreeMap::new();
        for line in &results {
            *verdicts.entry(line.outcome.word()).or_default() += 1;
            if let Some(cause) = line.outcome.cause() {
                *causes
                    .entry(format!("{}: {cause}", line.outcome.word()))
                    .or_default() += 1;
            }
        }
        let mut cost = Cost::default();
        for line in &results {
            line.cost.iter().for_each(|of_one| cost.add(of_one));
        }
        let mut spent = Spent::default();
        for line in now {
            spent.add(&line.spent);
        }
        Self {
            audit: standing.audit,
            run: standing.run,
            began: standing.began,
            has_past: standing.has_past,
            regressed: standing.regressed,
            not_done: standing.not_done,
            alarms: Vec::new(),
            withheld: Vec::new(),
            taken_back: Vec::new(),
            not_told: Vec::new(),
            total: results.len(),
            verdicts,
            causes,
            rebuilt_now: now.len(),
            wall,
            jobs,
            share: wall.share(),
            jobs_spent: spent,
            cost,
            results,
        }
    }

    /// Adds what came of looking into what is suspicious.
    pub(super) fn watched(&mut self, watched: Watched) {
        self.alarms = watched.raised;
        self.withheld = watched.withheld;
        self.taken_back = watched.taken_back;
        self.not_told = watched.not_told;
    }

    /// Whether every subject is reproduced, or equivalent if that is enough.
    pub fn all_good(&self, allow_equivalent: bool) -> bool {
        self.results.iter().all(|line| match line.outcome {
            SubjectResult::Reproduced => true,
            SubjectResult::Equivalent { .. } => allow_equivalent,
            _ => false,
        })
    }

    /// Whether some subject was not reproduced, rather than not built.
    pub fn any_bad(&self, allow_equivalent: bool) -> bool {
        self.results.iter().any(|line| match line.outcome {
            SubjectResult::Mismatch { .. } | SubjectResult::NotReproduced { .. } => true,
            SubjectResult::Equivalent { .. } => !allow_equivalent,
            _ => false,
        })
    }
}
