//! The regression alarm: a package that always reproduced no longer does.
//!
//! A suspicion is looked into before anyone is told: the last good version, or another package that was good,
//! is rebuilt today as a control, and then the package itself. If the control is not good, this machine may
//! be the reason, and the alarm is withheld until a later run finds the control good.

mod changed;
mod look;
mod mail;
mod route;
mod rule;

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::pass::Pass;
use super::result::Built;
use super::{AuditError, Auditor};
use crate::artifact::Subject;
use crate::memory::{Audit, Memory, MemoryError, Suspect};
use crate::run::{RunFolder, VerdictName};
use changed::Changed;
use look::Looking;
pub use mail::{Mail, Relay};
pub use route::{Route, RouteError};
use rule::Basis;

/// What an alarm is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Worth {
    /// The first repeat is bad too, and the control is good.
    Confirmed,
    /// A repeat was good and a later one bad, and the control is good: the build is not deterministic.
    Unstable,
    /// The control is not good, there is no control, or a repeat had no verdict: this machine may be the
    /// reason.
    Withheld,
    /// All repeats are good, and so is the control: the bad result could not be found again.
    TakenBack,
}

impl Worth {
    fn word(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Unstable => "unstable",
            Self::Withheld => "withheld",
            Self::TakenBack => "taken-back",
        }
    }
}

/// A rebuild that was made to look into a suspicion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was rebuilt.
    pub subject: String,
    /// Its verdict.
    pub verdict: VerdictName,
    /// The digests of its plan and outputs.
    #[serde(skip)]
    pub(super) built: Option<Built>,
}

/// The last good result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastGood {
    /// The version.
    pub version: String,
    /// The verdict.
    pub verdict: VerdictName,
    /// When the result was found.
    pub at: Timestamp,
}

/// What the receivers are told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alarm {
    /// The subject as the list writes it.
    pub subject: String,
    /// Package URL without a version.
    pub package: String,
    /// The version.
    pub version: String,
    /// The verdict that raised the suspicion.
    pub verdict: VerdictName,
    /// When it was found.
    pub at: Timestamp,
    /// The audit that found it.
    pub audit: String,
    /// Number of its run.
    pub run: i64,
    /// What it is worth.
    pub worth: Worth,
    /// Why the verdict is suspicious.
    pub basis: Basis,
    /// The last good result, which this one is compared with.
    pub last_good: LastGood,
    /// Rebuilds of the same subject, until one was bad again; none if the control was not good.
    pub repeats: Vec<Check>,
    /// A rebuild of something good; none if nothing but this version was ever good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<Check>,
    /// Whether two rebuilds from the same plan gave different bytes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub nondeterministic: bool,
    /// What changed since the last good result; none if a run folder no longer exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<Changed>,
    /// The same as a signed statement: a Sigstore bundle with a DSSE envelope. The statement states the alarm without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attestation: Option<Value>,
    /// Why it is not signed, if it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_signed: Option<String>,
}

/// When alarms are raised, and where they are sent.
#[derive(Default)]
pub struct Watch {
    /// How many of the nearest earlier versions must be good; 0 raises no alarms.
    pub nearest: usize,
    /// Who is told.
    pub routes: Vec<Route>,
    /// Signs an alarm, if there is a key.
    pub sign: Option<SignAlarm>,
}

/// Called with the run that an alarm is about, and the alarm; gives the bundle, or the reason why there is none. The process
/// that runs builds has no key, so another one signs.
pub type SignAlarm = Box<dyn Fn(&RunFolder, &str) -> Result<Value, String> + Send + Sync>;

/// The outcome of looking into the suspicions of a run.
#[derive(Default)]
pub(super) struct Watched {
    /// Alarms that were raised.
    pub raised: Vec<Alarm>,
    /// Suspicions that could not be confirmed, as the control was not good or a repeat had no verdict.
    pub withheld: Vec<Alarm>,
    /// Bad results that could not be found again.
    pub taken_back: Vec<Alarm>,
    /// The receivers that could not be told of an alarm, and why.
    pub not_told: Vec<String>,
}

/// Looks into the suspicions of this audit, keeps the alarms, and tells the receivers.
pub(super) async fn watch(
    auditor: &Auditor,
    memory: &Memory,
    pass: &Pass,
    allow_equivalent: bool,
) -> Result<Watched, AuditError> {
    let (watch, audit) = (&auditor.watch, &pass.audit);
    let mut watched = Watched::default();
    if watch.nearest == 0 {
        return Ok(watched);
    }
    let mut looking = Looking::new(auditor, memory, pass, allow_equivalent);
    for suspect in memory.suspects(audit).await? {
        let Ok(subject) = suspect.seen.text.parse::<Subject>() else {
            continue;
        };
        let past = memory.history(&suspect.package).await?;
        let (seen, equivalent) = (&suspect.seen, allow_equivalent);
        let found = rule::suspicion(subject.ecosystem, &past, seen, watch.nearest, equivalent);
        let Some(suspicion) = found else { continue };
        // A stale index may be the reason.
        auditor.fetcher.forget_indexes();
        let mut alarm = looking.look(&suspect, suspicion, &past).await?;
        match alarm.worth {
            // Its last repeat is already kept as the newest result.
            Worth::TakenBack => watched.taken_back.push(alarm),
            Worth::Withheld => {
                keep(memory, audit, &suspect, &alarm).await?;
                watched.withheld.push(alarm);
            }
            Worth::Confirmed | Worth::Unstable => {
                if let Some(sign) = &watch.sign {
                    alarm.sign(sign, &suspect);
                }
                keep(memory, audit, &suspect, &alarm).await?;
                watched.raised.push(alarm);
            }
        }
    }
    watched.not_told = route::tell(memory, audit, &watch.routes).await?;
    Ok(watched)
}

/// Keeps an alarm about the newest result of the suspect, which may be the last repeat.
async fn keep(memory: &Memory, audit: &Audit, suspect: &Suspect, alarm: &Alarm) -> Result<(), MemoryError> {
    let now = memory.suspects(audit).await?;
    let newest = now.iter().find(|it| it.seen.text == suspect.seen.text);
    let attempt = newest.map_or(suspect.attempt, |newest| newest.attempt);
    let (at, document) = (Timestamp::now().as_millisecond(), crate::text::json(alarm));
    memory
        .keep_alarm(audit, attempt, alarm.worth.word(), at, &document)
        .await
        .map(drop)
}

impl Alarm {
    /// Has it signed; if that is not possible, it is told without a signature.
    fn sign(&mut self, sign: &SignAlarm, suspect: &Suspect) {
        let folder = suspect.seen.folder.as_ref();
        let folder = folder.map(|folder| Path::new(&suspect.seen.audit).join(folder));
        let signed = match folder.filter(|folder| folder.is_dir()) {
            Some(folder) => sign(&RunFolder::new(&folder), &crate::text::json(self)),
            None => Err("it has no run, and an alarm is signed together with a run".into()),
        };
        match signed {
            Ok(bundle) => self.attestation = Some(bundle),
            Err(reason) => self.not_signed = Some(reason),
        }
    }

    /// One line that describes the alarm.
    pub fn sentence(&self) -> String {
        let because = match &self.basis {
            Basis::SameVersion { .. } => format!(
                "the same version was {} on {}",
                self.last_good.verdict,
                self.last_good.at.strftime("%Y-%m-%d")
            ),
            Basis::EarlierVersions { versions } => format!("{} before it were good", versions.join(", ")),
        };
        let varies = if self.nondeterministic {
            "; two rebuilds from the same plan differ"
        } else {
            ""
        };
        format!(
            "{} {} is {}: {because}{varies}",
            self.package, self.version, self.verdict
        )
    }

    /// Why an alarm was not raised.
    pub fn why_not(&self) -> String {
        match (&self.worth, &self.control) {
            (Worth::TakenBack, _) => "it was good each time that it was rebuilt since".to_owned(),
            (_, None) => "there is nothing good to rebuild as a control".to_owned(),
            (_, Some(control)) if self.repeats.is_empty() => {
                format!("the control {} is {} today", control.subject, control.verdict)
            }
            _ => "it could not be rebuilt once more".to_owned(),
        }
    }
}
