//! The inputs of planning.

use super::error::PlanError;
use super::hints::Hints;
use crate::container::{self, ContainerError, Root, Workshop};
use crate::evidence::Claim;
use crate::evidence::assess::Artifact;
use crate::evidence::document::Document;
use crate::inspect::InspectionRequest;
use crate::plan::{Lock, PinnedContainer, Recipe, RecipeError};
use crate::policy::Decision;

/// The inputs of planning.
pub struct Planner<'a> {
    /// Store, network, containers, and the sandbox for resolvers.
    pub workshop: Workshop<'a>,
    /// The user's own recipe instead of the built-in one.
    pub recipe: Option<Recipe>,
    /// Compare only the named artifact, not everything built from its source.
    pub only: bool,
    /// The user's evidence, and the policy for it.
    pub case: &'a InspectionRequest,
    /// Released files on this machine; empty if the registry must be asked.
    pub released: Vec<Artifact>,
    /// Values that no document declares.
    pub hints: Hints,
}

impl Planner<'_> {
    /// The user's recipe, or the built-in one of this name.
    pub(super) fn recipe_or(&self, name: &str) -> Result<Recipe, RecipeError> {
        self.recipe.clone().map_or_else(|| Recipe::built_in(name), Ok)
    }

    /// Judges all evidence about some artifacts, including the registry's; an error if the policy refuses it.
    pub(super) async fn judge(
        &self,
        subject: &str,
        artifacts: &[Artifact],
        claims: Vec<Claim>,
        documents: &[Document],
    ) -> Result<(Vec<Claim>, Decision), PlanError> {
        let judgement = self
            .case
            .inspect(artifacts, claims, documents, self.workshop.fetcher)
            .await;
        let decision = judgement.policy.gate(subject)?;
        Ok((judgement.inspection.claims(), decision))
    }

    /// The container of a recipe, by its lock.
    pub(super) fn pinned_container(&self, recipe: &Recipe) -> Result<PinnedContainer, ContainerError> {
        Ok(PinnedContainer::Packages {
            name: recipe.container.clone(),
            lock: self.workshop.catalog.lock(&recipe.container)?,
        })
    }

    /// Whether the root of a container is in the store.
    pub(super) fn is_made(&self, name: &str) -> bool {
        let lock = self.workshop.catalog.lock(name);
        lock.is_ok_and(|lock| container::is_made(self.workshop.fetcher.store(), &lock))
    }

    /// The lock and the root of a container.
    pub(super) async fn container(&self, name: &str) -> Result<(Lock, Root), ContainerError> {
        container::build(name, self.workshop).await
    }
}
