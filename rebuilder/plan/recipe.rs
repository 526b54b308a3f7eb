//! `recipes/NAME.toml`: how packages of one kind are built, as data.
//!
//! A recipe names a container, the steps and their environment. Values of the subject reach the steps as
//! environment variables, which the recipe lists; there is no other templating.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::{Phase, Step};
use crate::artifact::pattern;
use crate::evidence::slsa::Provenance;

/// One recipe.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// One line for people.
    pub description: String,
    /// Name of the container definition.
    pub container: String,
    /// Image by digest, instead of a container definition.
    #[serde(default)]
    pub image: Option<String>,
    /// Provenance that the recipe is for; any where it is left out.
    #[serde(default, rename = "match")]
    pub matches: RecipeMatch,
    /// How the source is laid out before the build.
    #[serde(default)]
    pub source: RecipeSource,
    /// Files that come out, as patterns below the source folder; the steps themselves fill `/out` where it is empty.
    #[serde(default)]
    pub outputs: Vec<String>,
    /// Which lock file of the source names build dependencies.
    #[serde(default)]
    pub dependencies: Dependencies,
    /// npm: whether lifecycle scripts run where no provenance says so; they never do otherwise.
    #[serde(default)]
    pub scripts: bool,
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

/// Provenance that a recipe is for; each list holds patterns, and an empty one fits everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RecipeMatch {
    /// Builders.
    #[serde(default)]
    pub builder: Vec<String>,
    /// Build types.
    #[serde(default)]
    pub build_type: Vec<String>,
    /// Source repositories.
    #[serde(default)]
    pub repository: Vec<String>,
}

/// How a source from git is laid out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeSource {
    /// Whether submodules are checked out too.
    #[serde(default)]
    pub submodules: bool,
    /// Folder that the build starts in, below the source's.
    #[serde(default)]
    pub folder: String,
    /// Where the source lies while it is built; `/build/NAME` where it is left out.
    #[serde(default)]
    pub path: Option<String>,
}

/// Where a source names its build dependencies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dependencies {
    /// Nowhere: the container has all that is needed.
    #[default]
    None,
    /// `Cargo.lock`, with checksums of crates.
    Cargo,
    /// `[build-system]` of `pyproject.toml`, solved as of the commit's time.
    Python,
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
const PYPI_NATIVE_WHEEL: &str = include_str!("../../recipes/pypi-native-wheel.toml");
const NPM: &str = include_str!("../../recipes/npm.toml");
const CRATE: &str = include_str!("../../recipes/crate.toml");
const CONTAINER_BASED: &str = include_str!("../../recipes/container-based.toml");
/// Recipes for any provenance, by the name that `--recipe` takes.
const NAMED: [(&str, &str); 5] = [
    ("c-make", include_str!("../../recipes/c-make.toml")),
    ("go", include_str!("../../recipes/go.toml")),
    ("npm-scripts", include_str!("../../recipes/npm-scripts.toml")),
    ("python-wheel", include_str!("../../recipes/python-wheel.toml")),
    ("rust-cargo", include_str!("../../recipes/rust-cargo.toml")),
];

/// Recipes that others can begin from, with `base = NAME`.
const BASES: [(&str, &str); 5] = [
    ("crate", CRATE),
    ("debian", DEBIAN),
    ("npm", NPM),
    ("pypi-native-wheel", PYPI_NATIVE_WHEEL),
    ("pypi-wheel", PYPI_WHEEL),
];

impl Recipe {
    /// The recipe for Debian source packages.
    pub fn debian() -> Result<Self, RecipeError> {
        Self::parse("recipes/debian.toml", DEBIAN)
    }

    /// The recipe for wheels.
    pub fn pypi_wheel() -> Result<Self, RecipeError> {
        Self::parse("recipes/pypi-wheel.toml", PYPI_WHEEL)
    }

    /// The recipe for wheels with compiled code.
    pub fn pypi_native_wheel() -> Result<Self, RecipeError> {
        Self::parse("recipes/pypi-native-wheel.toml", PYPI_NATIVE_WHEEL)
    }

    /// The recipe for tarballs of the npm registry.
    pub fn npm() -> Result<Self, RecipeError> {
        Self::parse("recipes/npm.toml", NPM)
    }

    /// The recipe for crates of crates.io.
    pub fn crates() -> Result<Self, RecipeError> {
        Self::parse("recipes/crate.toml", CRATE)
    }

    /// The recipe for provenance that names image and command itself.
    pub fn container_based() -> Result<Self, RecipeError> {
        Self::parse("recipes/container-based.toml", CONTAINER_BASED)
    }

    /// Every step that a plan made from the built-in recipes may have.
    pub fn built_in_steps() -> Vec<Step> {
        let texts = BASES.iter().chain(&NAMED).map(|(name, text)| (*name, *text));
        let texts = texts.chain([("container-based", CONTAINER_BASED)]);
        let recipes = texts.filter_map(|(name, text)| Self::parse(name, text).ok());
        recipes.flat_map(Self::all_steps).collect()
    }

    /// Every step of a plan that is made from it.
    pub fn all_steps(self) -> Vec<Step> {
        let last = self.hand_out();
        self.setup
            .steps
            .into_iter()
            .chain(self.build.steps)
            .chain(last)
            .collect()
    }

    /// The step that hands out the files which it names as outputs; none where its own steps do.
    pub fn hand_out(&self) -> Option<Step> {
        (!self.outputs.is_empty()).then(|| Step {
            name: "hand out the outputs".into(),
            run: format!("cd \"$SOURCE/$FOLDER\"\ncp -- {} /out/\n", self.outputs.join(" ")),
        })
    }

    /// Names of the built-in recipes for any provenance.
    pub fn names() -> Vec<&'static str> {
        NAMED.iter().map(|(name, _)| *name).collect()
    }

    /// A built-in recipe by its name, or a recipe of the user's by its path.
    pub fn read(path: &Path) -> Result<Self, RecipeError> {
        let name = path.display().to_string();
        if let Some((_, text)) = NAMED
            .iter()
            .find(|(known, _)| *known == name)
            .filter(|_| !path.exists())
        {
            return Self::parse(&name, text);
        }
        let text = crate::bounded::read_text(path, crate::bounded::DOCUMENT).map_err(|source| {
            RecipeError::Read {
                path: name.clone(),
                source,
            }
        })?;
        Self::parse(&name, &text)
    }

    fn parse(path: &str, text: &str) -> Result<Self, RecipeError> {
        let invalid = |reason: String| RecipeError::Invalid {
            path: path.to_owned(),
            reason,
        };
        let read =
            |text: &str| toml::from_str::<toml::Table>(text).map_err(|error| invalid(error.to_string()));
        let mut own = read(text)?;
        let Some(base) = own.remove("base") else {
            return toml::from_str(text).map_err(|error| invalid(error.to_string()));
        };
        // The base's keys, but for those that the recipe has itself.
        let name = base.as_str().unwrap_or_default();
        let (_, text) = BASES
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| invalid(format!("there is no recipe {name:?} to begin from")))?;
        let mut whole = read(text)?;
        whole.extend(own);
        whole
            .try_into()
            .map_err(|error: toml::de::Error| invalid(error.to_string()))
    }

    /// Which part of a provenance the recipe is not for, if there is one.
    pub fn misfit(&self, provenance: &Provenance) -> Option<String> {
        let repository = provenance
            .source
            .as_ref()
            .map(|source| source.repository.as_str());
        [
            (
                "builder",
                &self.matches.builder,
                Some(provenance.builder.as_str()),
            ),
            (
                "build type",
                &self.matches.build_type,
                Some(provenance.build_type.as_str()),
            ),
            ("repository", &self.matches.repository, repository),
        ]
        .into_iter()
        .find_map(|(what, patterns, found)| {
            let found = found.unwrap_or("none");
            let fits = patterns.is_empty() || patterns.iter().any(|wanted| pattern::fits(wanted, found));
            (!fits).then(|| {
                format!(
                    "it is for the {what} {}, and this is {found}",
                    patterns.join(" or ")
                )
            })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_recipe_can_be_read() {
        for recipe in [
            Recipe::debian(),
            Recipe::pypi_wheel(),
            Recipe::pypi_native_wheel(),
            Recipe::npm(),
            Recipe::crates(),
            Recipe::container_based(),
        ] {
            recipe.unwrap();
        }
        for name in Recipe::names() {
            Recipe::read(Path::new(name)).unwrap();
        }
    }
}
