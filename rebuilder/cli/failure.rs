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
use crate::attest::{AttestError, KeyError};
use crate::audit::{AuditError, JournalError, ListError};
use crate::bundle::BundleError;
use crate::compare::CompareError;
use crate::container::ContainerError;
use crate::ecosystem::PlanError;
use crate::ecosystem::oss_rebuild::DefinitionError;
use crate::evidence::document::DocumentError;
use crate::evidence::trust::TrustError;
use crate::execute::{ExecuteError, PlanRefused};
use crate::plan::{PlanFileError, RecipeError};
use crate::policy::{PolicyError, Refusal};
use crate::rebuild::RebuildError;
use crate::rebuild::search::AttemptError;
use crate::report::ReportError;
use crate::sandbox::SandboxError;
use crate::signer::SignerError;
use crate::store::{FetchError, GitError, StoreError};

/// Exit codes, stable: see `docs/exit-codes.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Usage = 2,
    Refused = 3,
    Inconclusive = 4,
    Internal = 70,
    Interrupted = 130,
    Terminated = 143,
}

/// An error together with its exit code.
pub(crate) struct Failure {
    code: Code,
    error: Box<dyn Diagnostic + Send + Sync>,
}

#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{message}")]
struct Plain {
    message: String,
    #[help]
    help: Option<String>,
}

impl Failure {
    pub fn new(code: Code, error: impl Diagnostic + Send + Sync + 'static) -> Self {
        Self {
            code,
            error: Box::new(error),
        }
    }

    pub fn internal(reason: String) -> Self {
        Self::new(
            Code::Internal,
            Plain {
                message: reason,
                help: None,
            },
        )
    }

    pub fn usage(reason: String) -> Self {
        Self::new(
            Code::Usage,
            Plain {
                message: reason,
                help: None,
            },
        )
    }

    pub fn usage_with_help(reason: String, help: Option<String>) -> Self {
        Self::new(
            Code::Usage,
            Plain {
                message: reason,
                help,
            },
        )
    }

    pub fn inconclusive(reason: String) -> Self {
        Self::new(
            Code::Inconclusive,
            Plain {
                message: reason,
                help: None,
            },
        )
    }

    pub fn refused(reason: String, help: String) -> Self {
        Self::new(
            Code::Refused,
            Plain {
                message: reason,
                help: Some(help),
            },
        )
    }

    pub fn interrupted(code: Code) -> Self {
        Self::new(
            code,
            Plain {
                message: "interrupted; nothing was kept".into(),
                help: None,
            },
        )
    }

    /// The message with all causes, as it is: it may repeat what evidence or a mirror said.
    pub fn message(&self) -> String {
        crate::text::redacted(&crate::error::with_causes(self.error.as_ref()))
    }

    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        self.error.help().map(|help| help.to_string())
    }

    /// The error for programs.
    pub fn document(&self) -> serde_json::Value {
        json!({"message": self.message(), "help": self.help(), "exit_code": self.code as u8})
    }

    /// Prints the error and gives the exit code.
    pub fn report(&self, json: bool) -> ExitCode {
        if json {
            // The exit code says it too, if nobody reads this.
            let _ = output::print_json(&json!({"error": self.document()}));
        }
        output::error(&self.message(), self.help().as_deref());
        ExitCode::from(self.code as u8)
    }
}

/// Errors that always end with the same code.
macro_rules! failures {
    ($($error:ty => $code:ident),* $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new(Code::$code, error)
            }
        })*
    };
}

failures! {
    StoreError => Inconclusive,
    SandboxError => Inconclusive,
    SubjectError => Usage,
    RecipeError => Usage,
    PlanFileError => Usage,
    CompareError => Usage,
    ListError => Usage,
    DefinitionError => Usage,
    GatherError => Usage,
    KeyError => Usage,
    SignerError => Usage,
    ReportError => Internal,
    DocumentError => Usage,
    TrustError => Usage,
    PolicyError => Usage,
    Refusal => Refused,
    PlanRefused => Refused,
}

/// An address that is not followed is a refusal; whatever else keeps a file away is not.
impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        let code = if error.is_refusal() {
            Code::Refused
        } else {
            Code::Inconclusive
        };
        Self::new(code, error)
    }
}

impl From<GitError> for Failure {
    fn from(error: GitError) -> Self {
        let code = if error.is_refusal() {
            Code::Refused
        } else {
            Code::Inconclusive
        };
        Self::new(code, error)
    }
}

impl From<ContainerError> for Failure {
    fn from(error: ContainerError) -> Self {
        let code = match error {
            ContainerError::Unknown { .. }
            | ContainerError::Invalid { .. }
            | ContainerError::NotLocked { .. } => Code::Usage,
            ContainerError::Apt(error) => return error.into(),
            _ if error.is_refusal() => Code::Refused,
            _ => Code::Inconclusive,
        };
        Self::new(code, error)
    }
}

impl From<AptError> for Failure {
    fn from(error: AptError) -> Self {
        let code = match error {
            AptError::Fetch(error) => return error.into(),
            _ if error.is_refusal() => Code::Refused,
            _ => Code::Inconclusive,
        };
        Self::new(code, error)
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        let code = match error {
            PlanError::Recipe(error) => return error.into(),
            PlanError::Container(error) => return error.into(),
            _ if error.is_refusal() => Code::Refused,
            _ => Code::Inconclusive,
        };
        Self::new(code, error)
    }
}

impl From<AuditError> for Failure {
    fn from(error: AuditError) -> Self {
        let code = match error {
            AuditError::Journal(JournalError::Store(error)) | AuditError::Store(error) => {
                return error.into();
            }
            AuditError::Journal(_) => Code::Usage,
            AuditError::Bug { .. } => Code::Internal,
            AuditError::Interrupted => Code::Interrupted,
        };
        Self::new(code, error)
    }
}

impl From<AttemptError> for Failure {
    fn from(error: AttemptError) -> Self {
        match error {
            AttemptError::Plan(error) => error.into(),
            AttemptError::Rebuild(error) => error.into(),
            AttemptError::Store(error) => error.into(),
            AttemptError::None(_) => Self::new(Code::Usage, error),
        }
    }
}

impl From<ExecuteError> for Failure {
    fn from(error: ExecuteError) -> Self {
        match error {
            ExecuteError::Fetch(error) => error.into(),
            ExecuteError::Git(error) => error.into(),
            ExecuteError::Container(error) => error.into(),
            ExecuteError::Sandbox(error) => error.into(),
            ExecuteError::Store(error) => error.into(),
            ExecuteError::Serialise(error) => error.into(),
            ExecuteError::Refused(error) => error.into(),
            ExecuteError::Question { .. } => Self::new(Code::Inconclusive, error),
        }
    }
}

impl From<RebuildError> for Failure {
    fn from(error: RebuildError) -> Self {
        match error {
            RebuildError::Execute(error) => error.into(),
            RebuildError::Store(error) => error.into(),
            RebuildError::Serialise(error) => error.into(),
            RebuildError::Compare(error) => Self::new(Code::Inconclusive, error),
            RebuildError::Interrupted => Self::new(Code::Interrupted, error),
            RebuildError::Bug { .. } => Self::new(Code::Internal, error),
        }
    }
}

impl From<BundleError> for Failure {
    fn from(error: BundleError) -> Self {
        let code = match error {
            BundleError::Attest(error) => return error.into(),
            BundleError::Store(error) => return error.into(),
            BundleError::Serialise(error) => return error.into(),
            BundleError::Invalid { .. } | BundleError::NotOne { .. } => Code::Refused,
            BundleError::NoRun { .. } => Code::Inconclusive,
            _ => Code::Usage,
        };
        Self::new(code, error)
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        let code = match error {
            LogError::Io { .. } => Code::Usage,
            LogError::Broken { .. } | LogError::NotIn { .. } | LogError::Line { .. } => Code::Refused,
        };
        Self::new(code, error)
    }
}

impl From<SerialiseError> for Failure {
    fn from(error: SerialiseError) -> Self {
        Self::new(Code::Internal, error)
    }
}

impl From<AttestError> for Failure {
    fn from(error: AttestError) -> Self {
        let code = match error {
            AttestError::Key(error) => return error.into(),
            AttestError::Store(error) => return error.into(),
            AttestError::Log(error) => return error.into(),
            AttestError::Serialise(error) => return error.into(),
            AttestError::Read { .. } => Code::Usage,
            AttestError::Changed { .. } => Code::Refused,
            AttestError::Inconclusive { .. } => Code::Inconclusive,
        };
        Self::new(code, error)
    }
}
