//! `recipes/NAME.toml`: how packages of one kind are built, as data.
//!
//! A recipe names a container, the steps and their environment. Values of the subject reach the steps as
//! environment variables, which the recipe lists; there is no other templating.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::{Phase, Step};

/// One recipe.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// One line for people.
    pub description: String,
    /// Name of the container definition.
    pub container: String,
    /// Patterns of outputs that are released nowhere.
    #[serde(default)]
    pub unreleased: Vec<String>,
    /// Host name inside.
    pub hostname: String,
    /// Steps before the source is there.
    pub setup: RecipePhase,
    /// Steps that make the outputs.
    pub build: RecipePhase,
}

/// One phase of a recipe.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipePhase {
    /// Fixed environment.
    pub env: BTreeMap<String, String>,
    /// The steps.
    pub steps: Vec<Step>,
}

/// A recipe that cannot be used.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[allow(missing_docs)]
pub enum RecipeError {
    #[error("cannot read the recipe {path}")]
    Read { path: String, source: std::io::Error },
    #[error("{path} is not a recipe: {reason}")]
    #[diagnostic(help("docs/recipes.md describes the file"))]
    Invalid { path: String, reason: String },
}

/// Recipes that the binary carries.
const DEBIAN: &str = include_str!("../../recipes/debian.toml");
const PYPI_WHEEL: &str = include_str!("../../recipes/pypi-wheel.toml");

impl Recipe {
    /// The recipe for Debian source packages.
    pub fn debian() -> Result<Self, RecipeError> {
        Self::parse("recipes/debian.toml", DEBIAN)
    }

    /// The recipe for wheels.
    pub fn pypi_wheel() -> Result<Self, RecipeError> {
        Self::parse("recipes/pypi-wheel.toml", PYPI_WHEEL)
    }

    /// Reads a recipe of the user's.
    pub fn read(path: &Path) -> Result<Self, RecipeError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| RecipeError::Read {
            path: name.clone(),
            source,
        })?;
        Self::parse(&name, &text)
    }

    fn parse(path: &str, text: &str) -> Result<Self, RecipeError> {
        toml::from_str(text).map_err(|error| RecipeError::Invalid {
            path: path.to_owned(),
            reason: error.to_string(),
        })
    }
}

impl RecipePhase {
    /// The phase with the subject's own values added to its environment.
    pub fn with(&self, values: &[(&str, &str)]) -> Phase {
        let mut env = self.env.clone();
        env.extend(
            values
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned())),
        );
        Phase {
            env,
            steps: self.steps.clone(),
        }
    }
}
