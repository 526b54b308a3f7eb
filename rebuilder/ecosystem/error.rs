//! Errors of planning.

use crate::apt::AptError;
use crate::container::ContainerError;
use crate::container::apt_resolver::ResolveError;
use crate::plan::RecipeError;
use crate::policy::Refusal;
use crate::run::failure::FailureCode;
use crate::sandbox::SandboxError;
use crate::store::{FetchError, GitError, StoreError};

/// A registry that cannot be reached, or whose answer cannot be read.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum RegistryError {
    #[error(transparent)]
    #[diagnostic(transparent)]
    Fetch(#[from] FetchError),
    #[error("cannot read {document}: {reason}")]
    #[diagnostic(help("{help}"))]
    Answer {
        document: String,
        reason: String,
        help: &'static str,
    },
}

/// A subject for which no plan can be made.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum PlanError {
    #[error("{subject} is not in {place}")]
    #[diagnostic(help("{help}"))]
    Unknown {
        subject: String,
        place: String,
        help: String,
    },
    #[error("cannot rebuild {subject}: {reason}")]
    #[diagnostic(help("{help}"))]
    NotRebuildable {
        subject: String,
        reason: String,
        help: String,
    },
    /// Like `Unknown`, for a reason that has a failure code.
    #[error("cannot rebuild {subject}: {reason}")]
    #[diagnostic(help("{help}"))]
    Lacking {
        code: FailureCode,
        subject: String,
        reason: String,
        help: String,
    },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Git(#[from] GitError),
    #[error("the evidence for {subject} does not verify: {reason}")]
    #[diagnostic(help("nothing was built; do not use this artifact, and contact its publisher"))]
    Contradiction { subject: String, reason: String },
    #[error("cannot read {document} of {subject}: {reason}")]
    Document {
        subject: String,
        document: String,
        reason: String,
    },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Resolve(#[from] ResolveError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Recipe(#[from] RecipeError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Container(#[from] ContainerError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Apt(#[from] AptError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
}

impl PlanError {
    /// Whether the evidence or the policy refuses the build, rather than something being unavailable.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Contradiction { .. } => true,
            Self::Container(error) => error.is_refusal(),
            Self::Apt(error) => error.is_refusal(),
            Self::Git(error) => error.is_refusal(),
            Self::Registry(RegistryError::Fetch(error)) | Self::Fetch(error) => error.is_refusal(),
            _ => false,
        }
    }
}
