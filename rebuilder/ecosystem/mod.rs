//! From a subject and what is claimed of it to a plan; one module per ecosystem.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod crates;
pub mod debian;
pub mod hints;
pub mod npm;
pub mod oss_rebuild;
pub mod provenance;
pub mod pypi;
mod repository;

use crate::apt::AptError;
use crate::artifact::PinnedFile;
use crate::artifact::{Digests, Subject};
use crate::container;
use crate::container::Workshop;
use crate::container::apt_resolver::ResolveError;
use crate::container::{Catalog, ContainerError, Root};
use crate::ecosystem::crates::registry::CratesError;
use crate::ecosystem::pypi::registry::PypiError;
use crate::evidence::Claim;
use crate::evidence::assess::Artifact;
use crate::evidence::document::Document;
use crate::inspect::Case;
use crate::plan::Lock;
use crate::plan::{Expected, Plan, Recipe, RecipeError};
use crate::policy::{Decision, Refusal};
use crate::sandbox::SandboxError;
use crate::store::{Blob, FetchError, Fetcher, GitError, StoreError};
use hints::{Ended, Hints, Next};

/// What planning works with.
pub struct Planner<'a> {
    /// Store, network, containers, and where resolvers run.
    pub workshop: Workshop<'a>,
    /// The user's own recipe instead of the built-in one.
    pub recipe: Option<Recipe>,
    /// Compare only the artifact that was named, not everything its source builds.
    pub only: bool,
    /// Evidence of the user's, and the policy that it is held against.
    pub case: &'a Case,
    /// Released files that are on this machine; none where the registry has to be asked.
    pub released: Vec<Artifact>,
    /// What is not declared and yet known, or tried.
    pub hints: Hints,
}

/// What is known of a subject before anything is planned.
pub struct Found {
    /// Its released files.
    pub artifacts: Vec<Artifact>,
    /// Claims that were checked already.
    pub claims: Vec<Claim>,
    /// Evidence that still has to be judged.
    pub documents: Vec<Document>,
    /// Source files that the registry lists beside them.
    pub sources: Vec<PinnedFile>,
    /// When it was released, where the registry says so.
    pub published: Option<jiff::Timestamp>,
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
    #[error(transparent)]
    #[diagnostic(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Git(#[from] GitError),
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
    Crates(#[from] CratesError),
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
    /// Whether the evidence or the policy speaks against building, rather than something being out of reach.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Contradiction { .. } => true,
            Self::Container(error) => error.is_refusal(),
            Self::Apt(error) => error.is_refusal(),
            Self::Git(error) => error.is_refusal(),
            Self::Pypi(PypiError::Fetch(error))
            | Self::Crates(CratesError::Fetch(error))
            | Self::Fetch(error) => error.is_refusal(),
            _ => false,
        }
    }
}

impl Planner<'_> {
    /// Looks the subject up, verifies what is claimed of it, and pins everything that building it takes.
    pub async fn plan(&self, subject: &Subject) -> Result<Plan, PlanError> {
        match subject {
            Subject::Deb(deb) => debian::plan(self, deb).await,
            Subject::Pypi(pypi) => pypi::plan(self, pypi).await,
            Subject::Npm(npm) => npm::plan(self, npm).await,
            Subject::Crate(it) => crates::plan(self, it).await,
        }
    }

    /// Plans the rebuild of local files, or of what a provenance names, from that provenance alone.
    pub async fn plan_from_provenance(&self) -> Result<Plan, PlanError> {
        provenance::plan(self).await
    }

    /// Judges all evidence about some artifacts, what a registry offers included; what the policy refuses ends here.
    async fn judge(
        &self,
        subject: &str,
        artifacts: &[Artifact],
        claims: Vec<Claim>,
        documents: &[Document],
    ) -> Result<(Vec<Claim>, Decision), PlanError> {
        let judgement = self
            .case
            .judge(artifacts, claims, documents, self.workshop.fetcher)
            .await;
        let decision = judgement.policy.gate(subject)?;
        Ok((judgement.inspection.claims(), decision))
    }

    /// The lock and the made root of a container.
    async fn container(&self, name: &str) -> Result<(Lock, Root), ContainerError> {
        container::build(
            name,
            self.workshop.catalog,
            self.workshop.fetcher,
            self.workshop.sandbox,
            self.workshop.progress,
        )
        .await
    }
}

/// Further plans that are worth a try after one that did not reproduce the release, the likeliest first.
pub fn next(subject: &Subject, ended: &Ended, hints: &Hints) -> Vec<Next> {
    match subject {
        Subject::Pypi(_) => pypi::next::next(ended, hints),
        Subject::Crate(_) => crates::next::next(ended, hints),
        Subject::Npm(_) => npm::next::next(ended, hints),
        Subject::Deb(_) => debian::next::next(ended, hints),
    }
}

/// Looks a subject up, and gives what is claimed of it.
pub async fn look_up(fetcher: &Fetcher, catalog: &Catalog, subject: &Subject) -> Result<Found, PlanError> {
    match subject {
        Subject::Deb(deb) => debian::look_up(fetcher, catalog, deb).await,
        Subject::Pypi(pypi) => pypi::look_up(fetcher, pypi).await,
        Subject::Npm(npm) => npm::look_up(fetcher, npm).await,
        Subject::Crate(it) => crates::look_up(fetcher, it).await,
    }
}

/// A released file that lies in the store.
fn artifact(purl: Option<String>, file: &PinnedFile, blob: &Blob) -> Result<Artifact, PlanError> {
    let digests = std::fs::File::open(&blob.path).and_then(Digests::of_reader);
    Ok(Artifact {
        name: file.name.clone(),
        purl,
        digests: digests.map_err(StoreError::io("read", &blob.path))?,
        path: Some(blob.path.clone()),
    })
}

/// The released files that a plan expects.
fn artifacts(expected: &[Expected], blobs: &[Blob]) -> Result<Vec<Artifact>, PlanError> {
    let both = expected.iter().zip(blobs);
    both.map(|(expected, blob)| artifact(Some(expected.purl.clone()), &expected.file, blob))
        .collect()
}

/// Keeps a local file in the store, so that a plan can be followed when the file has gone.
fn keep(fetcher: &Fetcher, artifact: &Artifact) -> Result<(), PlanError> {
    if let Some(path) = &artifact.path {
        let file = std::fs::File::open(path).map_err(StoreError::io("read", path))?;
        fetcher.store().keep(file)?;
    }
    Ok(())
}
