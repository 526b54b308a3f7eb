//! The regression alarm: a package always reproduced, and now it does not.
//!
//! A suspicious result is looked into before anyone is told: the package is rebuilt once more, and the last good version,
//! or another package that was good, is rebuilt today as a control. If the control is not good either, the reason may be
//! this machine, and the alarm is withheld until a later run finds the control good.

mod changed;
mod route;
mod rule;

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use super::Auditor;
use super::result::ResultLine;
use crate::artifact::Subject;
use crate::bounded;
use crate::memory::{Audit, Memory, MemoryError, Seen, Suspect};
use crate::plan::Plan;
use crate::run::{Record, RunFolder};
use changed::Changed;
pub use route::{Route, RouteError};
use rule::{Basis, Suspicion};

/// Type of the statement that an alarm is.
pub const PREDICATE: &str = "urn:rebuilder:predicate:regression:v1";

/// What an alarm is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Worth {
    /// Another rebuild is bad too, and the control is good.
    Confirmed,
    /// Another rebuild is good: the build does not always give the same.
    Unstable,
    /// The control is not good, or there is none: the reason may be here.
    Withheld,
}

impl Worth {
    fn word(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Unstable => "unstable",
            Self::Withheld => "withheld",
        }
    }
}

/// A rebuild that was made to be sure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was rebuilt.
    pub subject: String,
    /// What came of it.
    pub verdict: String,
}

/// The last good result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastGood {
    /// The version.
    pub version: String,
    /// The verdict.
    pub verdict: String,
    /// When.
    pub at: Timestamp,
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alarm {
    /// The subject as the list writes it.
    pub subject: String,
    /// Package URL without a version.
    pub package: String,
    /// The version.
    pub version: String,
    /// The verdict that should not be.
    pub verdict: String,
    /// When it was found.
    pub at: Timestamp,
    /// The audit that found it.
    pub audit: String,
    /// Number of its run.
    pub run: i64,
    /// What it is worth.
    pub worth: Worth,
    /// Why it should not be.
    pub basis: Basis,
    /// The result that it is held against.
    pub last_good: LastGood,
    /// The same, rebuilt once more.
    pub repeat: Check,
    /// Something good, rebuilt today; none if nothing was good before but this version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<Check>,
    /// What changed since the last good result; none if a run folder is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<Changed>,
}

/// When alarms are raised, and where they are sent.
#[derive(Default)]
pub struct Watch {
    /// How many of the nearest earlier versions must be good; 0 raises no alarms.
    pub nearest: usize,
    /// Who is told.
    pub routes: Vec<Route>,
}

/// Looks into what of this audit is suspicious, keeps the alarms, and tells them. Gives those that were raised now, and
/// what could not be told.
pub(super) async fn watch(
    auditor: &Auditor,
    memory: &Memory,
    audit: &Audit,
    allow_equivalent: bool,
    watch: &Watch,
) -> Result<(Vec<Alarm>, Vec<String>), MemoryError> {
    if watch.nearest == 0 {
        return Ok((Vec::new(), Vec::new()));
    }
    let mut raised = Vec::new();
    for suspect in memory.suspects(audit).await? {
        let Ok(subject) = suspect.seen.text.parse::<Subject>() else {
            continue;
        };
        let past = memory.history(&suspect.package).await?;
        let found = rule::suspicion(
            subject.ecosystem,
            &past,
            &suspect.seen,
            watch.nearest,
            allow_equivalent,
        );
        let Some(suspicion) = found else { continue };
        let alarm = look(
            auditor,
            memory,
            audit,
            &suspect,
            suspicion,
            &past,
            allow_equivalent,
        )
        .await?;
        let document = crate::text::json(&alarm);
        let now = Timestamp::now().as_millisecond();
        memory
            .keep_alarm(audit, suspect.attempt, alarm.worth.word(), now, &document)
            .await?;
        if alarm.worth != Worth::Withheld {
            raised.push(alarm);
        }
    }
    let failures = route::tell(memory, audit, &watch.routes).await?;
    Ok((raised, failures))
}

/// Finds out what a suspicion is worth.
async fn look(
    auditor: &Auditor,
    memory: &Memory,
    audit: &Audit,
    suspect: &Suspect,
    suspicion: Suspicion,
    past: &[Seen],
    allow_equivalent: bool,
) -> Result<Alarm, MemoryError> {
    let seen = &suspect.seen;
    let good = |verdict: &str| rule::is_good(verdict, allow_equivalent);
    let repeat = check(auditor, &audit.folder, &seen.text).await;
    let control = match control(memory, audit, suspect, &suspicion, past, allow_equivalent).await? {
        Some(text) => Some(check(auditor, &audit.folder, &text).await),
        None => None,
    };
    let control_good = control.as_ref().is_some_and(|check| good(&check.verdict));
    let worth = if !control_good {
        Worth::Withheld
    } else if good(&repeat.verdict) {
        Worth::Unstable
    } else if rule::is_bad(&repeat.verdict) {
        Worth::Confirmed
    } else {
        Worth::Withheld
    };
    let time = |at: i64| Timestamp::from_millisecond(at).unwrap_or_default();
    Ok(Alarm {
        subject: seen.text.clone(),
        package: suspect.package.clone(),
        version: seen.version.clone(),
        verdict: seen.verdict.clone(),
        at: time(seen.at),
        audit: audit.name.clone(),
        run: suspect.run,
        worth,
        basis: suspicion.basis,
        changed: compare(&suspicion.last_good, seen),
        last_good: LastGood {
            version: suspicion.last_good.version,
            verdict: suspicion.last_good.verdict,
            at: time(suspicion.last_good.at),
        },
        repeat,
        control,
    })
}

/// What is rebuilt as a control: the last good version, or the nearest thing to it that is another one.
async fn control(
    memory: &Memory,
    audit: &Audit,
    suspect: &Suspect,
    suspicion: &Suspicion,
    past: &[Seen],
    allow_equivalent: bool,
) -> Result<Option<String>, MemoryError> {
    let other =
        |seen: &&Seen| seen.version != suspect.seen.version && rule::is_good(&seen.verdict, allow_equivalent);
    if other(&&suspicion.last_good) {
        return Ok(versioned(&suspicion.last_good, &suspect.package));
    }
    if let Some(seen) = past.iter().rev().find(other) {
        return Ok(versioned(seen, &suspect.package));
    }
    let newest = memory.latest(audit).await?;
    let mut good: Vec<_> = newest
        .iter()
        .filter(|outcome| {
            rule::is_good(&outcome.verdict, allow_equivalent) && outcome.text != suspect.seen.text
        })
        .collect();
    good.sort_by_key(|outcome| outcome.finished);
    Ok(good.last().map(|outcome| outcome.text.clone()))
}

/// A text that names this very version, where the list may name none.
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

/// Rebuilds something, and keeps nothing of it but the verdict.
async fn check(auditor: &Auditor, folder: &str, text: &str) -> Check {
    let verdict = match text.parse::<Subject>() {
        Ok(subject) => auditor.rebuilt(text, &subject, Path::new(folder)).await,
        Err(_) => None,
    };
    Check {
        subject: text.to_owned(),
        verdict: verdict.map_or_else(
            || "inconclusive".to_owned(),
            |line: ResultLine| line.outcome.word().to_owned(),
        ),
    }
}

/// What changed between the runs of two results, if both are still there.
fn compare(good: &Seen, bad: &Seen) -> Option<Changed> {
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

impl Alarm {
    /// One line for people.
    pub fn sentence(&self) -> String {
        let because = match &self.basis {
            Basis::SameVersion { .. } => format!(
                "the same version was {} on {}",
                self.last_good.verdict,
                self.last_good.at.strftime("%Y-%m-%d")
            ),
            Basis::EarlierVersions { versions } => format!("{} before it were good", versions.join(", ")),
        };
        format!("{} {} is {}: {because}", self.package, self.version, self.verdict)
    }
}
