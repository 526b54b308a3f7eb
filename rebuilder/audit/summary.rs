//! The results of an audit in numbers.

use std::collections::BTreeMap;

use serde::Serialize;

use super::alarm::Watched;
use super::{Alarm, NotDone, Regressed, ResultLine, SubjectResult};
use crate::ledger::Spent;
use crate::run::Cost;

/// The results of one run of an audit.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Name of the audit.
    pub audit: String,
    /// Number of this run, counted from 1.
    pub run: i64,
    /// When the run began; it may have been interrupted since.
    pub began: jiff::Timestamp,
    /// Whether there is an older run to compare with.
    pub has_past: bool,
    /// Subjects whose verdict is worse than it was.
    pub regressed: Vec<Regressed>,
    /// Alarms that this run raised.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<Alarm>,
    /// Suspicions that could not be confirmed; later runs look into them again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<Alarm>,
    /// Suspicions of which every repeat was good.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub taken_back: Vec<Alarm>,
    /// The receivers that could not be told of an alarm, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_told: Vec<String>,
    /// The subjects that were not rebuilt, by reason.
    pub not_done: NotDone,
    /// Number of subjects with a result.
    pub total: usize,
    /// Number of subjects with each verdict.
    pub verdicts: BTreeMap<&'static str, usize>,
    /// Number of subjects that are not reproduced, by first cause, normalisations or stage.
    pub causes: BTreeMap<String, usize>,
    /// Number of subjects that this process rebuilt; the others were finished before.
    pub rebuilt_now: usize,
    /// Number of jobs at the same time.
    pub jobs: usize,
    /// How the wall time of this process was spent: a second counts for a kind of work if any job does it,
    /// and for this tool if no job does anything else.
    pub wall: Spent,
    /// The share of the wall time in which a build command ran, dependencies were installed, or something was
    /// fetched.
    pub share: f64,
    /// How the time of the jobs was spent, summed.
    pub jobs_spent: Spent,
    /// What it costs to have all results verified.
    pub cost: Cost,
    /// Every result, in the list's order.
    pub results: Vec<ResultLine>,
}

/// How a run compares with the audit's earlier ones.
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
        let count = |of: &mut usize| *of = of.saturating_add(1);
        for line in &results {
            count(verdicts.entry(line.outcome.word()).or_default());
            if let Some(cause) = line.outcome.cause() {
                count(
                    causes
                        .entry(format!("{}: {cause}", line.outcome.word()))
                        .or_default(),
                );
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

    /// Adds the outcome of looking into the suspicions.
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

    /// Whether some subject was built but not reproduced.
    pub fn any_bad(&self, allow_equivalent: bool) -> bool {
        self.results.iter().any(|line| match line.outcome {
            SubjectResult::Mismatch { .. } | SubjectResult::NotReproduced { .. } => true,
            SubjectResult::Equivalent { .. } => !allow_equivalent,
            _ => false,
        })
    }
}
