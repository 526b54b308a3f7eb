//! What a signer verified of another user's run, and what only that user states.
//!
//! Each field of a statement has one of two origins: the signer verified it itself, or the worker states it. What the
//! worker states is set apart in the statement (`workerStated`, or `statedBy` at an input), and whether the other
//! workers' runs were the same in it is said beside it (`agreement`).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::log::Stated;
use super::predicate::{NamedRecipe, OtherWorker, WorkerStated};
use super::statement::attempts;
use crate::artifact::Sha256;
use crate::artifact::serialise::SerialiseError;
use crate::plan::Plan;
use crate::policy::Decision;
use crate::run::Record;

/// Maximum number of differing values that are listed for each other worker.
const LISTED: usize = 100;

/// What the signer verified itself.
#[derive(Debug, Clone)]
pub struct Vouched {
    /// The decision of its own policy.
    pub policy: Decision,
    /// Name and digest of the recipe of its own that gives this plan.
    pub recipe: (String, Sha256),
    /// What names the container: `catalogue`, `provenance`, `recipe` or `configuration`.
    pub container: &'static str,
    /// Inputs that something other than the worker names, by their place.
    pub inputs: BTreeMap<String, Named>,
    /// Values of the plan that only the worker states.
    pub stated: BTreeMap<String, String>,
    /// When it signs, by its own clock.
    pub signed_on: Timestamp,
    /// The other workers with this outcome.
    pub agreement: Vec<Agreeing>,
}

/// An input, and who names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// `provenance`, `registry`, `archive index` or `lock file of the source`.
    pub by: &'static str,
    /// Its name and address there, if known.
    pub name: Option<String>,
    /// Likewise.
    pub uri: Option<String>,
}

/// Another worker whose run had the same outcome.
#[derive(Debug, Clone)]
pub struct Agreeing {
    /// Its plan.
    pub plan: Sha256,
    /// Names of the values that it states otherwise; `None` if they are not known.
    pub differing: Option<Vec<String>>,
}

impl Vouched {
    /// Everything that the worker states, by name; for the comparison with others.
    pub fn words(&self, plan: &Plan, record: &Record) -> Result<Stated, SerialiseError> {
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut all = self.stated.clone();
        all.insert("backend".into(), record.backend.clone());
        all.insert("limits not enforced".into(), record.not_enforced.join(", "));
        all.insert("version of rebuilder".into(), record.rebuilder.clone());
        for assumption in &plan.assumptions {
            all.insert(
                format!("assumption: {}", assumption.what),
                text(json!([assumption.value, assumption.origin])),
            );
        }
        let open = |place: &String| !self.inputs.contains_key(place);
        for input in plan.inputs.iter().filter(|input| open(&input.place)) {
            all.insert(format!("input: {}", input.place), input.file.sha256.to_hex());
        }
        for git in plan.git.iter().filter(|git| open(&git.place)) {
            all.insert(
                format!("source: {}", git.place),
                text(json!([git.source, git.archive])),
            );
        }
        Stated::of(all)
    }

    pub(super) fn named_recipe(&self) -> NamedRecipe {
        let (name, sha256) = self.recipe.clone();
        NamedRecipe { name, sha256 }
    }

    /// The part of a statement that only the worker states.
    pub(super) fn worker_stated(&self, plan: &Plan, record: &Record) -> WorkerStated {
        let open = |place: &&String| !self.inputs.contains_key(*place);
        let inputs = plan.inputs.iter().map(|input| &input.place);
        let inputs = inputs.chain(plan.git.iter().map(|git| &git.place));
        WorkerStated {
            backend: record.backend.clone(),
            not_enforced: record.not_enforced.clone(),
            rebuilder: record.rebuilder.clone(),
            started_on: record.started,
            finished_on: record.finished,
            assumptions: plan.assumptions.clone(),
            attempts: attempts(record),
            values: self.stated.clone(),
            inputs: inputs.filter(open).cloned().collect(),
        }
    }

    /// The other workers' plans, and the names of the values that these state otherwise.
    pub(super) fn agreement(&self) -> Vec<OtherWorker> {
        let short = |names: &Vec<String>| {
            let mut names: Vec<_> = names.iter().take(LISTED + 1).cloned().collect();
            if names.len() > LISTED {
                names.truncate(LISTED);
                names.push("…".into());
            }
            names
        };
        let others = self.agreement.iter().map(|other| OtherWorker {
            plan: other.plan,
            differing: other.differing.as_ref().map(short),
        });
        others.collect()
    }
}
