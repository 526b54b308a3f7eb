//! Looks into a suspicion: rebuilds something good as a control, then the package itself again, and decides
//! what the suspicion is worth.
//!
//! A bad result counts only if a rebuild repeats it and the control is good. A bad result that no rebuild
//! repeats is taken back: this machine, its network or a mirror was at fault, or the cause cannot be known.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;

use super::rule::Suspicion;
use super::{Alarm, Check, LastGood, Worth, changed};
use crate::artifact::Subject;
use crate::audit::pass::Pass;
use crate::audit::result::{Built, ResultLine};
use crate::audit::{AuditError, Auditor};
use crate::bounded;
use crate::memory::{Memory, Seen, Suspect};
use crate::plan::Plan;
use crate::run::{Record, RunFolder, VerdictName};

/// How often a package is rebuilt before its bad result is taken back; the last rebuild is kept as its newest
/// result.
const REPEATS: usize = 3;
/// Maximum number of controls that are tried until one has a verdict.
const CONTROLS: usize = 3;
/// Number of controls without a good verdict after which a run makes no more of them.
const TROUBLE: usize = 3;

/// The rebuilds that one run makes to be sure.
pub(super) struct Looking<'a> {
    auditor: &'a Auditor,
    memory: &'a Memory,
    pass: &'a Pass,
    allow_equivalent: bool,
    /// Controls of this run, by subject.
    controls: BTreeMap<String, Check>,
    trouble: usize,
}

impl<'a> Looking<'a> {
    pub(super) fn new(
        auditor: &'a Auditor,
        memory: &'a Memory,
        pass: &'a Pass,
        allow_equivalent: bool,
    ) -> Self {
        Self {
            auditor,
            memory,
            pass,
            allow_equivalent,
            controls: BTreeMap::new(),
            trouble: 0,
        }
    }

    fn is_good(&self, verdict: VerdictName) -> bool {
        verdict.is_good(self.allow_equivalent)
    }

    /// Finds out what a suspicion is worth.
    pub(super) async fn look(
        &mut self,
        suspect: &Suspect,
        suspicion: Suspicion,
        past: &[Seen],
    ) -> Result<Alarm, AuditError> {
        let control = self.control(suspect, &suspicion, past).await?;
        let is_good = control.as_ref().is_some_and(|check| self.is_good(check.verdict));
        let (worth, repeats) = if is_good {
            self.repeat(&suspect.seen.text).await?
        } else {
            (Worth::Withheld, Vec::new())
        };
        let seen = &suspect.seen;
        let time = |at: i64| Timestamp::from_millisecond(at).unwrap_or_default();
        Ok(Alarm {
            subject: seen.text.clone(),
            package: suspect.package.clone(),
            version: seen.version.clone(),
            verdict: seen.verdict,
            at: time(seen.at),
            audit: self.pass.audit.name.clone(),
            run: suspect.run,
            worth,
            basis: suspicion.basis,
            nondeterministic: varies(seen, &repeats),
            changed: compare(&suspicion.last_good, seen),
            last_good: LastGood {
                version: suspicion.last_good.version,
                verdict: suspicion.last_good.verdict,
                at: time(suspicion.last_good.at),
            },
            repeats,
            control,
            attestation: None,
            not_signed: None,
        })
    }

    /// Rebuilds the package until it is bad again, or until it was good `REPEATS` times.
    async fn repeat(&self, text: &str) -> Result<(Worth, Vec<Check>), AuditError> {
        let mut repeats = Vec::new();
        for number in 1..=REPEATS {
            let check = self.check(text, number == REPEATS).await?;
            let (good, bad) = (self.is_good(check.verdict), check.verdict.is_bad());
            repeats.push(check);
            match (good, bad) {
                (true, _) => {}
                (_, true) if number == 1 => return Ok((Worth::Confirmed, repeats)),
                (_, true) => return Ok((Worth::Unstable, repeats)),
                _ => return Ok((Worth::Withheld, repeats)),
            }
        }
        Ok((Worth::TakenBack, repeats))
    }

    /// Rebuilds the last good version, or the nearest other subject that was good. A control with a verdict, good or
    /// bad, is the answer; a control without one says nothing, so the next one is tried.
    async fn control(
        &mut self,
        suspect: &Suspect,
        suspicion: &Suspicion,
        past: &[Seen],
    ) -> Result<Option<Check>, AuditError> {
        let mut last = None;
        for text in self.candidates(suspect, suspicion, past).await? {
            let check = match self.controls.get(&text) {
                Some(known) => known.clone(),
                None if self.trouble >= TROUBLE => break,
                None => {
                    let check = self.check(&text, false).await?;
                    if !self.is_good(check.verdict) {
                        self.trouble = self.trouble.saturating_add(1);
                    }
                    self.controls.insert(text, check.clone());
                    check
                }
            };
            let says_something = self.is_good(check.verdict) || check.verdict.is_bad();
            last = Some(check);
            if says_something {
                break;
            }
        }
        Ok(last)
    }

    async fn candidates(
        &self,
        suspect: &Suspect,
        suspicion: &Suspicion,
        past: &[Seen],
    ) -> Result<Vec<String>, AuditError> {
        let other = |seen: &&Seen| seen.version != suspect.seen.version && self.is_good(seen.verdict);
        let mut all: Vec<String> = Some(&suspicion.last_good)
            .into_iter()
            .filter(other)
            .chain(past.iter().rev().filter(other))
            .filter_map(|seen| versioned(seen, &suspect.package))
            .collect();
        let newest = self.memory.latest(&self.pass.audit).await?;
        let mut packages: Vec<_> = newest
            .iter()
            .filter(|outcome| self.is_good(outcome.verdict) && outcome.text != suspect.seen.text)
            .collect();
        packages.sort_by_key(|outcome| std::cmp::Reverse(outcome.finished));
        all.extend(packages.into_iter().map(|outcome| outcome.text.clone()));
        let mut candidates: Vec<String> = Vec::new();
        for text in all {
            if candidates.len() < CONTROLS && !candidates.contains(&text) {
                candidates.push(text);
            }
        }
        Ok(candidates)
    }

    /// Rebuilds a subject. Without `keep`, nothing but the verdict is kept; with it, a result that has a
    /// verdict becomes the subject's newest.
    async fn check(&self, text: &str, keep: bool) -> Result<Check, AuditError> {
        let line: Option<ResultLine> = match text.parse::<Subject>() {
            Ok(subject) if keep => {
                let line = self.auditor.another(text, &subject, &self.pass.journal).await?;
                if line.outcome.has_verdict() {
                    self.pass.record(self.memory, &line, &subject).await?;
                }
                Some(line)
            }
            Ok(subject) => {
                let folder = Path::new(&self.pass.audit.folder);
                self.auditor.rebuilt(text, &subject, folder).await?
            }
            Err(_) => None,
        };
        let name = |line: &ResultLine| line.outcome.name();
        Ok(Check {
            subject: text.to_owned(),
            verdict: line.as_ref().map_or(VerdictName::Inconclusive, name),
            built: line.and_then(|line| line.built),
        })
    }
}

/// A text that names this very version, if the list names none.
fn versioned(seen: &Seen, package: &str) -> Option<String> {
    if seen
        .text
        .parse::<Subject>()
        .is_ok_and(|subject| subject.version.is_some())
    {
        return Some(seen.text.clone());
    }
    let mut subject: Subject = package.parse().ok()?;
    subject.version = Some(seen.version.clone());
    Some(subject.purl())
}

/// Whether one plan gave different bytes, in the bad run (if its folder still exists) and in the repeats.
fn varies(bad: &Seen, repeats: &[Check]) -> bool {
    let first = read(bad).map(|(_, record)| Built::of(&record));
    let all = first
        .iter()
        .chain(repeats.iter().filter_map(|check| check.built.as_ref()));
    let all: Vec<&Built> = all.collect();
    let mut pairs = all.iter().zip(all.iter().skip(1));
    pairs.any(|(one, next)| one.contradicts(next))
}

/// What changed between the runs of two results, if both run folders still exist.
fn compare(good: &Seen, bad: &Seen) -> Option<changed::Changed> {
    let (was, _) = read(good)?;
    let (is, record) = read(bad)?;
    Some(changed::changed(&was, &is, &record))
}

fn read(seen: &Seen) -> Option<(Plan, Record)> {
    let run = RunFolder::new(&Path::new(&seen.audit).join(seen.folder.as_ref()?));
    let plan = bounded::read(&run.plan(), bounded::PLAN).ok()?;
    let record = bounded::read(&run.record(), bounded::PLAN).ok()?;
    Some((
        serde_json::from_slice(&plan).ok()?,
        serde_json::from_slice(&record).ok()?,
    ))
}
