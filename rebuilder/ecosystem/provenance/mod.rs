//! Anything that SLSA provenance describes: the plan follows the provenance or, if that does not say how to build, a
//! recipe.
//!
//! Container-based provenance names image and command, so it needs no recipe.

mod by_recipe;
mod container_based;
pub(super) mod dependencies;
mod plan;

use super::{PlanError, Planner};
use crate::artifact::Digests;
use crate::artifact::git_source::GitSource;
use crate::evidence::assess::Artifact;
use crate::evidence::slsa::Provenance;
use crate::evidence::statement::Descriptor;
use crate::plan::{
    Assumption, Expected, Origin, Phase, PinnedContainer, PinnedGit, PinnedInput, Recipe, assume,
};
use crate::store::Checkout;

pub use container_based::declared_steps;
pub(super) use plan::plan;

/// Everything that is known before it is decided how to build.
struct Job<'a> {
    planner: &'a Planner<'a>,
    title: String,
    expected: Vec<Expected>,
    not_asked_for: Vec<String>,
    provenance: &'a Provenance,
    declared_by: String,
    source: GitSource,
    checkout: Option<Checkout>,
}

/// How to build.
struct How {
    recipe: Recipe,
    container: PinnedContainer,
    inputs: Vec<PinnedInput>,
    git: PinnedGit,
    build: Phase,
    assumptions: Vec<Assumption>,
}

impl Job<'_> {
    fn declared(&self) -> Origin {
        Origin::Declared(self.declared_by.clone())
    }

    fn cannot(&self, reason: String, help: &str) -> PlanError {
        PlanError::NotRebuildable {
            subject: self.title.clone(),
            reason,
            help: help.to_owned(),
        }
    }

    /// The pinned source, with the digest of its archive if the repository could be reached.
    async fn pinned_source(&self, submodules: bool) -> Result<(PinnedGit, Assumption), PlanError> {
        let archive = match &self.checkout {
            Some(checkout) => {
                let archive = self.planner.workshop.fetcher.git_archive(checkout, submodules);
                Some(archive.await?.sha256)
            }
            None => None,
        };
        let commit = self.source.commit.as_deref().unwrap_or_default();
        let source = assume(
            "source",
            format!("{} at {commit}", self.source.repository),
            self.declared(),
        );
        Ok((
            PinnedGit::source(self.source.clone(), submodules, archive),
            source,
        ))
    }
}

/// The artifacts that a provenance's own statement names, by digest alone, for planning without the files.
pub fn declared_artifacts(subjects: &[Descriptor]) -> Vec<Artifact> {
    let artifact = |subject: &Descriptor| {
        let sha256 = subject.digest.get("sha256")?.parse().ok()?;
        Some(Artifact {
            name: subject.file_name()?.to_owned(),
            purl: None,
            digests: Digests::known(sha256),
            path: None,
        })
    };
    subjects.iter().filter_map(artifact).collect()
}
