//! How a failed command ends: one message with its causes, a line of help, and a documented exit code.

use std::process::ExitCode;

use miette::Diagnostic;
use serde_json::json;

use super::output;
use crate::agreement::GatherError;
use crate::apt::AptError;
use crate::artifact::SubjectError;
use crate::artifact::serialise::SerialiseError;
use crate::attest::log::LogError;
use crate::attest::{AttestError, KeyError, LayoutError};
use crate::audit::{AuditError, JournalError, ListError, ScheduleError, SourceError};
use crate::bundle::BundleError;
use crate::compare::CompareError;
use crate::container::ContainerError;
use crate::ecosystem::PlanError;
use crate::ecosystem::oss_rebuild::DefinitionError;
use crate::evidence::document::DocumentError;
use crate::evidence::trust::TrustError;
use crate::execute::{ExecuteError, PlanRefused};
use crate::memory::MemoryError;
use crate::plan::{PlanFileError, RecipeError};
use crate::policy::{PolicyError, Refusal};
use crate::prove::ProveError;
use crate::public_log::PublicLogError;
use crate::queue::{QueueError, TokenError};
use crate::rebuild::RebuildError;
use crate::rebuild::failure;
use crate::rebuild::search::AttemptError;
use crate::report::ReportError;
use crate::run::failure::Failure as Kind;
use crate::sandbox::SandboxError;
use crate::server::{ArtifactsError, ServerError};
use crate::signer::SignerError;
use crate::store::{FetchError, GitError, StoreError};
use crate::telemetry::TelemetryError;
use crate::worker::ClientError;

/// Exit codes, stable: see `docs/exit-codes.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Usage = 2,
    Refused = 3,
    Inconclusive = 4,
    Alarm = 5,
    Regressed = 6,
    Internal = 70,
    Interrupted = 130,
    Terminated = 143,
}

/// An error together with its exit code.
pub(crate) struct Failure {
    code: Code,
    error: Box<dyn Diagnostic + Send + Sync>,
    /// Advice that replaces the error's own.
    help: Option<String>,
    /// The kind of failure that ended a rebuild.
    kind: Option<Box<Kind>>,
}

#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{0}")]
struct Plain(String);

impl Failure {
    pub fn new(code: Code, error: impl Diagnostic + Send + Sync + 'static) -> Self {
        Self {
            code,
            error: Box::new(error),
            help: None,
            kind: None,
        }
    }

    pub fn internal(reason: String) -> Self {
        Self::new(Code::Internal, Plain(reason))
    }

    pub fn usage(reason: String) -> Self {
        Self::new(Code::Usage, Plain(reason))
    }
    pub fn inconclusive(reason: String) -> Self {
        Self::new(Code::Inconclusive, Plain(reason))
    }

    pub fn refused(reason: String, help: String) -> Self {
        Self::new(Code::Refused, Plain(reason)).with_help(help)
    }

    pub fn interrupted(code: Code) -> Self {
        Self::new(code, Plain("interrupted; nothing was kept".into()))
    }

    /// The error of a rebuild that left no run. Only inconclusive ones have a kind.
    pub fn of_attempt(error: AttemptError) -> Self {
        let kind = Box::new(failure::of_attempt(&error));
        let failure = Self::from(error);
        Self {
            kind: (failure.code == Code::Inconclusive).then_some(kind),
            ..failure
        }
    }

    /// Whether a signal ended it.
    pub fn is_interrupted(&self) -> bool {
        matches!(self.code, Code::Interrupted | Code::Terminated)
    }

    /// The same failure with this advice.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The message with all causes, not made visible: it may repeat text from evidence or a mirror.
    pub fn message(&self) -> String {
        crate::text::redacted(&crate::error::with_causes(self.error.as_ref()))
    }

    /// Advice on what to do about it.
    pub fn help(&self) -> Option<String> {
        let own = || self.error.help().map(|help| help.to_string());
        let of_kind = || Some(self.kind.as_ref()?.code.about().help.to_owned());
        self.help.clone().or_else(own).or_else(of_kind)
    }

    /// The error for programs.
    pub fn document(&self) -> serde_json::Value {
        let document = json!({"message": self.message(), "help": self.help(), "exit_code": self.code as u8});
        output::with(document, self.kind.as_ref().map(|kind| ("failure", json!(kind))))
    }

    /// Prints the error and gives the exit code.
    pub fn report(&self, json: bool) -> ExitCode {
        if json {
            // The exit code says it too, if nobody reads this.
            let _ = output::print_json(&json!({"error": self.document()}));
        }
        output::error(&self.message(), self.help().as_deref());
        if let Some(kind) = &self.kind {
            output::note(&kind.sentence());
        }
        ExitCode::from(self.code as u8)
    }
}

/// Where an error gets its exit code from.
///
/// An error of a variant in brackets is that of a lower stage, passed on, and has the code that it has by itself. Then
/// come variants with a code of their own, and last the code of all others. `refusal or CODE` asks the error whether it
/// is a refusal.
macro_rules! exit_codes {
    ($($error:ident $([$($inner:ident)*])? $({$($variant:ident)|+ => $own:ident})* => $($others:ident)+;)*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                #[allow(clippy::match_single_binding)]
                let error = match error {
                    $($($error::$inner(inner) => return inner.into(),)*)?
                    other => other,
                };
                #[allow(clippy::match_single_binding)]
                let code = match &error {
                    $($($error::$variant { .. })|+ => Code::$own,)*
                    _ => exit_codes!(@ error $($others)+),
                };
                Self::new(code, error)
            }
        })*
    };
    (@ $error:ident refusal or $code:ident) => {
        if $error.is_refusal() { Code::Refused } else { Code::$code }
    };
    (@ $error:ident $code:ident) => {
        Code::$code
    };
}

exit_codes! {
    // What was asked.
    SubjectError => Usage;
    ListError => Usage;
    ScheduleError => Usage;
    RecipeError => Usage;
    DefinitionError => Usage;
    PlanFileError => Usage;
    PolicyError => Usage;
    DocumentError => Usage;
    TrustError => Usage;
    CompareError => Usage;

    // The machine.
    StoreError => Inconclusive;
    MemoryError [Store] {Open | Query | Migrate => Inconclusive} => Usage;
    QueueError [Memory] {NoJob => Usage} => Inconclusive;
    TokenError [Queue] => Usage;
    ServerError [Queue Artifacts] => Usage;
    ArtifactsError {Place => Usage} => Inconclusive;
    TelemetryError => Usage;
    ClientError {Address | Plain | Token => Usage} => Inconclusive;
    SandboxError => Inconclusive;
    FetchError => refusal or Inconclusive;
    GitError => refusal or Inconclusive;
    AptError [Fetch] => refusal or Inconclusive;
    ContainerError [Apt] {Unknown | Invalid | NotLocked => Usage} => refusal or Inconclusive;

    // Planning and running.
    Refusal => Refused;
    PlanRefused => Refused;
    PlanError [Refused Git Recipe Container Apt Fetch Sandbox Store] => refusal or Inconclusive;
    ExecuteError [Fetch Git Container Sandbox Store Refused Serialise] => Inconclusive;
    RebuildError [Execute Store Serialise] {Interrupted => Interrupted} {Bug => Internal} => Inconclusive;
    SourceError [List Plan] => Usage;
    AttemptError [Plan Rebuild Store] => Usage;
    ProveError [Recipe Plan Refused Container Execute Store Compare] {Fails => Inconclusive} {Bug => Internal} => Usage;
    JournalError [Store] => Usage;
    AuditError [Journal Store Memory] {Interrupted => Interrupted} => Internal;

    // What follows from a run.
    ReportError => Internal;
    SerialiseError => Internal;
    KeyError => Usage;
    SignerError [PublicLog] => Usage;
    GatherError => Usage;
    LogError {Io => Usage} => Refused;
    AttestError [Key Store Log Serialise] {Changed => Refused} {Inconclusive => Inconclusive} => Usage;
    PublicLogError [Key Log Fetch Store Serialise]
        {Io | LogKey | Policy | Origin | NoState | State => Usage}
        {Missing | Slow | NotIn | NotCosigned | TooFewWitnesses => Inconclusive}
        {Forked | Shrunk => Alarm} => Refused;
    LayoutError [Store] {Exists => Refused} => Usage;
    BundleError [Attest Store Serialise] {Invalid | NotOne => Refused} {NoRun => Inconclusive} => Usage;
}
