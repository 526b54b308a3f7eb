//! From a subject and what is claimed of it to a plan.
//!
//! [`ALL`] is the table of ecosystems. Each row has its own folder: `mod.rs` says how its packages are called,
//! `registry.rs` looks them up, `plan.rs` plans, and `alternatives.rs` says what to try after a run that did not
//! reproduce the release. [`provenance`] has no row: it plans what no registry lists.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod crates;
pub mod debian;
mod error;
pub mod hints;
mod npm;
pub mod oss_rebuild;
pub mod provenance;
mod pypi;
mod released;
mod repository;
mod subject;

use futures_util::future::BoxFuture;

use crate::artifact::{Ecosystem, PinnedFile, Subject, SubjectError};
use crate::container::{self, Catalog, ContainerError, Root, Workshop};
use crate::evidence::Claim;
use crate::evidence::assess::Artifact;
use crate::evidence::document::Document;
use crate::inspect::Case;
use crate::plan::{Lock, PinnedContainer, Plan, Recipe, RecipeError};
use crate::policy::Decision;
use crate::store::Fetcher;
use hints::{Alternative, EndedRun, Hints};
use subject::{Forms, Named};

pub use error::{PlanError, RegistryError};

/// What planning knows of the packages of one ecosystem.
pub(crate) trait Packaging: Sync {
    /// The ecosystem; it gives the name in plans and the type of package URLs.
    fn ecosystem(&self) -> Ecosystem;

    /// How people write its names.
    fn forms(&self) -> Forms;

    /// Checks and normalises a name.
    fn subject(&self, named: &Named<'_>) -> Result<Subject, SubjectError>;

    /// The folder of its packages among OSS Rebuild's build definitions, if these have one.
    fn oss_rebuild(&self) -> Option<&'static str> {
        None
    }

    /// What was released and what is claimed of it; plans nothing.
    fn lookup<'a>(
        &'a self,
        fetcher: &'a Fetcher,
        catalog: &'a Catalog,
        subject: &'a Subject,
    ) -> BoxFuture<'a, Result<Release, PlanError>>;

    /// Verifies what is claimed of the subject, and pins everything that its rebuild needs.
    fn plan<'a>(
        &'a self,
        planner: &'a Planner<'a>,
        subject: &'a Subject,
    ) -> BoxFuture<'a, Result<Plan, PlanError>>;

    /// Further plans that are worth a try after a run that did not reproduce the release, the likeliest first.
    fn alternatives(&self, run: &EndedRun<'_>, hints: &Hints) -> Vec<Alternative>;
}

/// Every ecosystem whose registry can be asked.
pub(crate) static ALL: &[&dyn Packaging] = &[&debian::Debian, &pypi::Pypi, &npm::Npm, &crates::Crates];

/// The row of an ecosystem; subjects are of no others.
fn row(ecosystem: Ecosystem) -> Result<&'static dyn Packaging, PlanError> {
    let row = ALL.iter().find(|row| row.ecosystem() == ecosystem);
    row.copied().ok_or_else(|| PlanError::NotRebuildable {
        subject: ecosystem.to_string(),
        reason: "no registry lists it".into(),
        help: "give its provenance with --provenance".into(),
    })
}

/// Looks a subject up, and gives what is claimed of it.
pub async fn lookup(fetcher: &Fetcher, catalog: &Catalog, subject: &Subject) -> Result<Release, PlanError> {
    row(subject.ecosystem)?.lookup(fetcher, catalog, subject).await
}

/// Further plans that are worth a try after a run that did not reproduce the release, the likeliest first.
pub fn alternatives(subject: &Subject, run: &EndedRun<'_>, hints: &Hints) -> Vec<Alternative> {
    row(subject.ecosystem).map_or_else(|_| Vec::new(), |row| row.alternatives(run, hints))
}

/// What is known of a subject before anything is planned.
pub struct Release {
    /// Its released files.
    pub artifacts: Vec<Artifact>,
    /// Claims that were checked already.
    pub claims: Vec<Claim>,
    /// Evidence that still has to be judged.
    pub documents: Vec<Document>,
    /// Source files that the registry lists beside them.
    pub sources: Vec<PinnedFile>,
    /// When it was released, if the registry says so.
    pub published: Option<jiff::Timestamp>,
}

/// What planning works with.
pub struct Planner<'a> {
    /// Store, network, containers, and where resolvers run.
    pub workshop: Workshop<'a>,
    /// The user's own recipe instead of the built-in one.
    pub recipe: Option<Recipe>,
    /// Compare only the named artifact, not everything built from its source.
    pub only: bool,
    /// The user's evidence, and the policy for it.
    pub case: &'a Case,
    /// Released files that are on this machine; empty if the registry has to be asked.
    pub released: Vec<Artifact>,
    /// What is not declared but known or tried.
    pub hints: Hints,
}

impl Planner<'_> {
    /// Looks the subject up, verifies what is claimed of it, and pins everything that its rebuild needs.
    pub async fn plan(&self, subject: &Subject) -> Result<Plan, PlanError> {
        row(subject.ecosystem)?.plan(self, subject).await
    }

    /// Plans the rebuild of local files, or of what a provenance names, from that provenance alone.
    pub async fn plan_from_provenance(&self) -> Result<Plan, PlanError> {
        provenance::plan(self).await
    }

    /// The user's recipe, or the built-in one of this name.
    fn recipe_or(&self, name: &str) -> Result<Recipe, RecipeError> {
        self.recipe.clone().map_or_else(|| Recipe::built_in(name), Ok)
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

    /// The container of a recipe, by its lock.
    fn pinned_container(&self, recipe: &Recipe) -> Result<PinnedContainer, ContainerError> {
        Ok(PinnedContainer::Packages {
            name: recipe.container.clone(),
            lock: self.workshop.catalog.lock(&recipe.container)?,
        })
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
