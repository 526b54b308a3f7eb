//! Build dependencies that a source's own lock file or build system names, pinned.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Job;
use crate::artifact::PinnedFile;
use crate::container;
use crate::ecosystem::PlanError;
use crate::ecosystem::crates::lockfile;
use crate::ecosystem::pypi::interpreter;
use crate::plan::{Assumption, Dependencies, Origin, PinnedContainer, PinnedInput, Recipe, Role, assume};
use crate::store::Checkout;
use crate::text::plural;

impl Job<'_> {
    pub(super) async fn dependencies(
        &self,
        recipe: &Recipe,
        checkout: &Checkout,
        container: &PinnedContainer,
        time: u64,
    ) -> Result<(Vec<PinnedInput>, Vec<Assumption>), PlanError> {
        let file = |name: &str| {
            let path = match recipe.source.folder.trim_matches('/') {
                "" => name.to_owned(),
                folder => format!("{folder}/{name}"),
            };
            let found = checkout.file(&path)?;
            let found = found.ok_or_else(|| {
                self.cannot(
                    format!("its source has no {path}"),
                    "the recipe may name another folder, or other dependencies",
                )
            })?;
            Ok::<String, PlanError>(String::from_utf8_lossy(&found).into_owned())
        };
        let files = match recipe.dependencies {
            Dependencies::None => Vec::new(),
            Dependencies::Cargo => {
                let planner = self.planner;
                lockfile::crates(planner.workshop.fetcher, &self.title, &file("Cargo.lock")?).await?
            }
            Dependencies::Python => self.python(&file("pyproject.toml")?, container, time).await?,
        };
        let assumptions = match recipe.dependencies {
            Dependencies::Cargo => vec![assume(
                "crates",
                plural(files.len(), "crate"),
                Origin::Declared("Cargo.lock of the source".into()),
            )],
            Dependencies::Python => vec![assume(
                "build requirements",
                files
                    .iter()
                    .map(|file| file.name.clone())
                    .collect::<Vec<_>>()
                    .join(", "),
                Origin::Inferred("pip's choice for pyproject.toml, as of the commit's time".into()),
            )],
            Dependencies::None => Vec::new(),
        };
        let inputs = files.into_iter().map(|file| PinnedInput {
            role: Role::Dependency,
            purl: None,
            place: format!("dependencies/{}", file.name),
            file,
        });
        Ok((inputs.collect(), assumptions))
    }

    /// What `pyproject.toml` requires, as pip would have chosen it when the commit was made.
    async fn python(
        &self,
        text: &str,
        container: &PinnedContainer,
        time: u64,
    ) -> Result<Vec<PinnedFile>, PlanError> {
        let unusable = |reason: String| PlanError::Document {
            subject: self.title.clone(),
            document: "pyproject.toml".into(),
            reason,
        };
        let required = requirements(text).map_err(unusable)?;
        let planner = self.planner;
        let root = container::root(container, planner.workshop).await?;
        let before = i64::try_from(time)
            .ok()
            .and_then(|time| jiff::Timestamp::from_second(time).ok());
        let before = before.ok_or_else(|| unusable("the commit's time is out of range".into()))?;
        let released: Vec<_> = self
            .expected
            .iter()
            .map(|expected| expected.file.sha256)
            .collect();
        let solution = crate::ecosystem::pypi::requirements::solve(
            planner,
            &root,
            &self.title,
            &required,
            before,
            &released,
            &interpreter::version_of(container.lock()),
        )
        .await?;
        Ok(solution.files)
    }
}

/// The build requirements in a `pyproject.toml`, with the defaults if it has none; the error is a reason.
pub(in crate::ecosystem) fn requirements(text: &str) -> Result<Vec<String>, String> {
    let project: PyProject = toml::from_str(text).map_err(|error| error.to_string())?;
    let mut required = project.build_system.requires;
    if required.iter().any(|text| text.starts_with("setuptools"))
        && !required.iter().any(|text| text.starts_with("wheel"))
    {
        required.push("wheel".into());
    }
    Ok(required)
}

#[derive(Deserialize)]
struct PyProject {
    #[serde(rename = "build-system", default)]
    build_system: BuildSystem,
}

#[derive(Deserialize)]
struct BuildSystem {
    requires: Vec<String>,
    #[serde(flatten)]
    _rest: BTreeMap<String, toml::Value>,
}

impl Default for BuildSystem {
    fn default() -> Self {
        // The defaults of PEP 518 for a missing table.
        Self {
            requires: vec!["setuptools".into(), "wheel".into()],
            _rest: BTreeMap::new(),
        }
    }
}
