//! Plans a build that the provenance does not describe, with a recipe that the user names.

use super::{How, Job};
use crate::artifact::PinnedImage;
use crate::ecosystem::PlanError;
use crate::plan::{Origin, Phase, PinnedContainer, Recipe, assume};
use crate::store::{Checkout, GitError};

impl Job<'_> {
    pub(super) async fn by_recipe(
        &self,
        recipe: &Recipe,
        no_source: Option<GitError>,
    ) -> Result<How, PlanError> {
        if let Some(misfit) = recipe.misfit(self.provenance) {
            return Err(self.cannot(
                format!("the recipe ({}) does not fit it: {misfit}", recipe.description),
                "name another recipe with --recipe",
            ));
        }
        let Some(checkout) = &self.checkout else {
            return Err(no_source
                .unwrap_or_else(|| GitError::NoCommit {
                    repository: self.source.repository.clone(),
                })
                .into());
        };
        let (git, source) = self.pinned_source(recipe.source.submodules).await?;
        let time = checkout.time()?;
        let container = self.container(recipe)?;
        let (inputs, dependencies) = self.dependencies(recipe, checkout, &container, time).await?;
        let path = recipe.source.path.clone();
        let path = path.unwrap_or_else(|| format!("/build/{}", self.source.name()));
        let build = self.build(recipe, checkout, &path, time)?;
        let mut assumptions = vec![source];
        assumptions.extend(dependencies);
        assumptions.extend([
            assume(
                "recipe",
                recipe.description.clone(),
                Origin::Declared("the user, who named it".into()),
            ),
            assume("build path", path, Origin::Declared("the recipe".into())),
            assume(
                "SOURCE_DATE_EPOCH",
                time.to_string(),
                Origin::Inferred("the commit's time".into()),
            ),
        ]);
        Ok(How {
            recipe: recipe.clone(),
            container,
            inputs,
            git,
            build,
            assumptions,
        })
    }

    fn container(&self, recipe: &Recipe) -> Result<PinnedContainer, PlanError> {
        let Some(image) = &recipe.image else {
            return Ok(self.planner.pinned_container(recipe)?);
        };
        let image = PinnedImage::parse(image, None).map_err(|error| {
            self.cannot(
                error.to_string(),
                "a recipe names its image as NAME@sha256:DIGEST",
            )
        })?;
        Ok(PinnedContainer::Image { image })
    }

    /// The recipe's build with the subject's values.
    fn build(&self, recipe: &Recipe, checkout: &Checkout, path: &str, time: u64) -> Result<Phase, PlanError> {
        let names = self.expected.iter().map(|expected| expected.file.name.as_str());
        let names: Vec<_> = names.collect();
        if let Some(odd) = names.iter().find(|name| name.contains(char::is_whitespace)) {
            return Err(self.cannot(
                format!("recipes do not support outputs with spaces in their names ({odd:?})"),
                "nothing was built",
            ));
        }
        let (outputs, epoch) = (names.join(" "), time.to_string());
        let mut build = recipe.build.with(&[
            ("SOURCE", path),
            ("FOLDER", recipe.source.folder.as_str()),
            ("OUTPUTS", outputs.as_str()),
            ("SOURCE_REPOSITORY", self.source.repository.as_str()),
            ("SOURCE_COMMIT", checkout.commit.as_str()),
            ("SOURCE_REF", self.source.reference.as_deref().unwrap_or_default()),
            ("SOURCE_DATE_EPOCH", epoch.as_str()),
        ]);
        build.steps.extend(recipe.hand_out());
        Ok(build)
    }
}
