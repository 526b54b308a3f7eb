//! The main job for a subject whose build is not recorded: plan, run, compare. If the bytes differ, the comparison
//! shows which assumption to change; the job is repeated with it, a bounded number of times.
//!
//! Every attempt is kept with its plan and its log. The closest one is the run that is reported and signed; its plan
//! says which values were tried.

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::path::Path;
use std::time::Instant;

use tracing::Instrument as _;

use super::{RebuildError, Rebuilder, write};
use crate::artifact::{Sha256, Subject};
use crate::ecosystem::hints::{Alternative, EndedRun, Hints};
use crate::ecosystem::{self, PlanError, Planner};
use crate::execute::{ExecuteError, PlanRefused};
use crate::plan::Plan;
use crate::run::{Attempt, OutputResult, Record, RunFolder, Verdict};
use crate::store::StoreError;

/// A search without any run.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum AttemptError {
    #[error(transparent)]
    #[diagnostic(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Rebuild(#[from] RebuildError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
    #[error("no plan was tried for {0}")]
    None(String),
}

impl AttemptError {
    /// Whether the evidence or the policy refuses the build, rather than something being unavailable.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Plan(error) => error.is_refusal(),
            Self::Rebuild(RebuildError::Execute(ExecuteError::Container(error))) => error.is_refusal(),
            Self::Rebuild(RebuildError::Execute(ExecuteError::Refused(PlanRefused::Answer { .. }))) => true,
            _ => false,
        }
    }
}

/// An attempt with a record.
struct Done {
    at: usize,
    hints: Hints,
    plan: Plan,
    record: Record,
}

impl Done {
    /// How far it is from the release; smaller is closer.
    fn distance(&self) -> (u8, usize, u64) {
        let rank = match self.record.verdict {
            Verdict::Reproduced => 0,
            Verdict::Equivalent => 1,
            Verdict::Mismatch | Verdict::NotReproduced => 2,
            Verdict::Inconclusive { .. } => 3,
        };
        (rank, absent(&self.record.outputs), self.record.places())
    }
}

/// Number of files that the build did not make. Such a file counts as one place, although all of it differs.
fn absent(outputs: &[OutputResult]) -> usize {
    outputs.iter().filter(|output| output.rebuilt.is_none()).count()
}

/// Rebuilds `subject` with at most `limit` plans, and leaves the closest run in `folder`, an existing empty folder.
pub async fn search(
    planner: &mut Planner<'_>,
    subject: &Subject,
    rebuilder: &Rebuilder<'_>,
    limit: usize,
    folder: &Path,
) -> Result<(Plan, Record), AttemptError> {
    let mut search = Search::starting_from(planner.hints.clone());
    while search.attempts.len() < limit.max(1)
        && !search.has_reproduced()
        && let Some(next) = search.pop()
    {
        let (begun, number) = (Instant::now(), search.attempts.len().saturating_add(1));
        if !next.because.is_empty() {
            let note = format!("attempt {number}: {}", next.because);
            planner.workshop.progress.note(&note);
        }
        planner.hints = next.hints.clone();
        let span = tracing::info_span!("plan", number);
        let planned = planner.plan(subject).instrument(span).await;
        if planned.as_ref().is_ok_and(|plan| !search.is_new(plan)) {
            continue;
        }
        let place = folder.join("attempts").join(number.to_string());
        fs::create_dir_all(&place).map_err(StoreError::io("make the folder", &place))?;
        let ended = match planned {
            Ok(plan) => rebuilder
                .rebuild(plan, &RunFolder::new(&place))
                .await
                .map_err(Into::into),
            Err(error) => Err(error.into()),
        };
        search.take(subject, next, ended, begun)?;
    }
    match (search.best, search.first_error) {
        (Some(best), _) => keep(best, search.attempts, folder),
        (None, Some(error)) => Err(error),
        (None, None) => Err(AttemptError::None(subject.purl())),
    }
}

/// What was tried, and what may be tried next.
struct Search {
    attempts: Vec<Attempt>,
    best: Option<Done>,
    first_error: Option<AttemptError>,
    tried: Vec<Hints>,
    /// Other hints may lead to a plan that was tried.
    ran: HashSet<Sha256>,
    open: VecDeque<Alternative>,
}

impl Search {
    fn starting_from(hints: Hints) -> Self {
        let first = Alternative {
            hints,
            because: String::new(),
        };
        Self {
            attempts: Vec::new(),
            best: None,
            first_error: None,
            tried: Vec::new(),
            ran: HashSet::new(),
            open: VecDeque::from([first]),
        }
    }

    fn has_reproduced(&self) -> bool {
        let best = self.best.as_ref();
        best.is_some_and(|best| best.record.verdict == Verdict::Reproduced)
    }

    /// The next alternative that was not tried.
    fn pop(&mut self) -> Option<Alternative> {
        let next = loop {
            let next = self.open.pop_front()?;
            if !self.tried.contains(&next.hints) {
                break next;
            }
        };
        self.tried.push(next.hints.clone());
        Some(next)
    }

    /// Whether no plan before this one ran the same; it counts as tried from now on.
    fn is_new(&mut self, plan: &Plan) -> bool {
        work(plan).is_none_or(|work| self.ran.insert(work))
    }

    /// Takes an attempt that ended; the error is one that ends the search.
    fn take(
        &mut self,
        subject: &Subject,
        next: Alternative,
        ended: Result<(Plan, Record), AttemptError>,
        begun: Instant,
    ) -> Result<(), AttemptError> {
        let mut attempt = Attempt {
            number: self.attempts.len().saturating_add(1),
            because: (!next.because.is_empty()).then_some(next.because),
            plan: None,
            ended: String::new(),
            places: 0,
            seconds: 0.0,
            chosen: false,
        };
        match ended {
            Ok((plan, record)) => {
                attempt.plan = Some(record.plan);
                attempt.ended = record.verdict.to_string();
                attempt.places = record.places();
                let done = Done {
                    at: self.attempts.len(),
                    hints: next.hints,
                    plan,
                    record,
                };
                let best = self.best.as_ref();
                if best.is_none_or(|best| done.distance() < best.distance()) {
                    // Suggestions from a worse plan no longer apply.
                    let run = EndedRun::Built(&done.plan, &done.record);
                    self.open = ecosystem::alternatives(subject, &run, &done.hints).into();
                    self.best = Some(done);
                }
            }
            Err(error @ AttemptError::Rebuild(RebuildError::Interrupted)) => return Err(error),
            // A refusal by evidence or policy applies to every plan.
            Err(error) if self.attempts.is_empty() && !allows_another_plan(&error) => return Err(error),
            Err(error) => {
                attempt.ended = error.to_string();
                if self.best.is_none() {
                    let run = EndedRun::Unplanned(&attempt.ended);
                    self.open
                        .extend(ecosystem::alternatives(subject, &run, &next.hints));
                }
                self.first_error.get_or_insert(error);
            }
        }
        attempt.seconds = begun.elapsed().as_secs_f64();
        self.attempts.push(attempt);
        Ok(())
    }
}

/// Digest of what a plan runs, whatever its reasons: plans that agree in it produce the same bytes.
fn work(plan: &Plan) -> Option<Sha256> {
    let bare = Plan {
        claims: Vec::new(),
        assumptions: Vec::new(),
        ..plan.clone()
    };
    bare.digest().ok()
}

/// Whether another source or other tools could help.
fn allows_another_plan(error: &AttemptError) -> bool {
    matches!(
        error,
        AttemptError::Plan(
            PlanError::NotRebuildable { .. } | PlanError::Lacking { .. } | PlanError::Document { .. }
        )
    )
}

/// Moves the best attempt up to be the run itself, and keeps what explains the others.
fn keep(best: Done, mut attempts: Vec<Attempt>, folder: &Path) -> Result<(Plan, Record), AttemptError> {
    let Done {
        at, plan, mut record, ..
    } = best;
    let all = folder.join("attempts");
    let io = |what: &'static str| StoreError::io(what, &all);
    let chosen = all.join(at.saturating_add(1).to_string());
    for entry in fs::read_dir(&chosen).map_err(io("read"))? {
        let entry = entry.map_err(io("read"))?;
        fs::rename(entry.path(), folder.join(entry.file_name())).map_err(io("move files out of"))?;
    }
    fs::remove_dir(&chosen).map_err(io("remove a folder of"))?;
    if attempts.len() == 1 {
        fs::remove_dir(&all).map_err(io("remove"))?;
        return Ok((plan, record));
    }
    for number in 1..=attempts.len() {
        for bytes in ["rebuilt", "released"] {
            let bytes = all.join(number.to_string()).join(bytes);
            if bytes.exists() {
                fs::remove_dir_all(&bytes).map_err(io("remove a folder of"))?;
            }
        }
    }
    if let Some(attempt) = attempts.get_mut(at) {
        attempt.chosen = true;
    }
    record.attempts = attempts;
    write(&RunFolder::new(folder), &record)?;
    Ok((plan, record))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_another_name_is_no_place_of_the_released_one() {
        let output = |name: &str, released: Option<Sha256>, rebuilt: Option<Sha256>| OutputResult {
            name: name.to_owned(),
            released,
            rebuilt,
            sizes: (None, None),
            differs: None,
        };
        let (one, two) = (Some(Sha256::of("one")), Some(Sha256::of("two")));
        assert_eq!(absent(&[output("a-1.whl", one, two)]), 0);
        let unknown = [output("a-1.whl", one, None), output("UNKNOWN-0.whl", None, two)];
        assert_eq!(absent(&unknown), 1);
    }
}
