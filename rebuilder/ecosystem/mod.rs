//! From a subject and what is claimed of it to a plan; one module per ecosystem.

pub mod debian;
pub mod pypi;

use crate::artifact::Subject;
use crate::container::apt_resolver::ResolveError;
use crate::container::{self, Catalog, ContainerError, Lock, Root};
use crate::evidence::apt::AptError;
use crate::evidence::pypi::PypiError;
use crate::plan::{Plan, Recipe, RecipeError};
use crate::progress::Progress;
use crate::sandbox::SandboxError;
use crate::sandbox::embedded::Embedded;
use crate::store::{FetchError, Fetcher, StoreError};

/// What planning works with.
pub struct Planner<'a> {
    /// The way to the network.
    pub fetcher: &'a Fetcher,
    /// Known containers.
    pub catalog: &'a Catalog,
    /// Where resolvers run.
    pub sandbox: &'a Embedded,
    /// Where progress goes.
    pub progress: &'a Progress,
    /// The user's own recipe instead of the built-in one.
    pub recipe: Option<Recipe>,
    /// Compare only the artifact that was named, not everything its source builds.
    pub only: bool,
}

/// A subject for which no plan can be made.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[allow(missing_docs)]
pub enum PlanError {
    #[error("{subject} is not in {place}")]
    #[diagnostic(help("{help}"))]
    Unknown {
        subject: String,
        place: String,
        help: String,
    },
    #[error("{subject} cannot be rebuilt: {reason}")]
    #[diagnostic(help("{help}"))]
    NotRebuildable {
        subject: String,
        reason: String,
        help: String,
    },
    #[error("the evidence for {subject} does not hold: {reason}")]
    #[diagnostic(help("nothing was built; ask whoever released it, and do not use it"))]
    Contradiction { subject: String, reason: String },
    #[error("{document} of {subject} cannot be read: {reason}")]
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
    Pypi(#[from] PypiError),
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

impl Planner<'_> {
    /// Looks the subject up, verifies what is claimed of it, and pins everything that building it takes.
    pub async fn plan(&self, subject: &Subject) -> Result<Plan, PlanError> {
        match subject {
            Subject::Deb(deb) => debian::plan(self, deb).await,
            Subject::Pypi(pypi) => pypi::plan(self, pypi).await,
        }
    }

    /// The lock and the made root of a container.
    async fn container(&self, name: &str) -> Result<(Lock, Root), ContainerError> {
        container::build(name, self.catalog, self.fetcher, self.sandbox, self.progress).await
    }
}
