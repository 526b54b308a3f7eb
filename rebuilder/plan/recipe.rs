//! `recipes/NAME.toml`: how packages of one kind are built, as data.
//!
//! A recipe names a container, the steps and their environment. Values of the subject reach the steps as
//! environment variables, which the recipe lists; there is no other templating.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::{Phase, Step};
use crate::artifact::{Ecosystem, pattern};
use crate::evidence::slsa::Provenance;
use crate::reader::{Reader, as_file};

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
    /// Provenance that the recipe is for; any if it is left out.
    #[serde(default, rename = "match")]
    pub matches: RecipeMatch,
    /// How the source is laid out before the build.
    #[serde(default)]
    pub source: RecipeSource,
    /// Output files, as patterns below the source folder; if it is empty, the steps themselves fill `/out`.
    #[serde(default)]
    pub outputs: Vec<String>,
    /// Which lock file of the source names build dependencies.
    #[serde(default)]
    pub dependencies: Dependencies,
    /// npm: whether lifecycle scripts run although no provenance says so.
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
    /// Folder that the build starts in, below the source.
    #[serde(default)]
    pub folder: String,
    /// Where the source is while it is built; `/build/NAME` if it is left out.
    #[serde(default)]
    pub path: Option<String>,
}

/// Where a source names its build dependencies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dependencies {
    /// Nowhere: the container has everything that is needed.
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
pub enum RecipeError {
    #[error("cannot read the recipe {path}")]
    Read { path: String, source: std::io::Error },
    #[error("{path} is not a recipe: {reason}")]
    #[diagnostic(help("docs/recipes.md describes the file"))]
    Invalid { path: String, reason: String },
}

/// The folder `recipes/`, as the binary carries it.
static BUILT_IN: include_dir::Dir<'_> = include_dir::include_dir!("$CARGO_MANIFEST_DIR/recipes");

/// A recipe that the binary carries.
struct BuiltIn {
    name: &'static str,
    /// The ecosystem whose plans follow it, unless the user names another; the others are for any provenance.
    ecosystem: Option<Ecosystem>,
    /// The built-in recipe that it begins from.
    base: Option<String>,
    table: toml::Table,
}

impl BuiltIn {
    fn read(file: &'static include_dir::File<'static>) -> Result<Self, RecipeError> {
        let name = file.path().file_stem().and_then(std::ffi::OsStr::to_str);
        let invalid = |reason: String| RecipeError::Invalid {
            path: format!("recipes/{}", file.path().display()),
            reason,
        };
        let text = file
            .contents_utf8()
            .ok_or_else(|| invalid("it is not a text".into()))?;
        let mut table: toml::Table = toml::from_str(text).map_err(|error| invalid(error.to_string()))?;
        let ecosystem = table.remove("ecosystem").map(toml::Value::try_into).transpose();
        let base = table.get("base").and_then(toml::Value::as_str);
        Ok(Self {
            name: name.unwrap_or_default(),
            ecosystem: ecosystem.map_err(|error| invalid(error.to_string()))?,
            base: base.map(str::to_owned),
            table,
        })
    }

    /// All of them, by name.
    fn all() -> Result<Vec<Self>, RecipeError> {
        let is_recipe =
            |file: &&include_dir::File<'_>| file.path().extension().is_some_and(|end| end == "toml");
        let mut all = BUILT_IN
            .files()
            .filter(is_recipe)
            .map(Self::read)
            .collect::<Result<Vec<_>, _>>()?;
        all.sort_by_key(|recipe| recipe.name);
        Ok(all)
    }

    /// Whether other recipes can begin from it: it says how packages of a registry are built.
    fn is_base(&self) -> bool {
        self.ecosystem
            .is_some_and(|ecosystem| ecosystem != Ecosystem::Provenance)
    }

    fn recipe(self) -> Result<Recipe, RecipeError> {
        Recipe::of_table(&format!("recipes/{}.toml", self.name), self.table)
    }
}

impl Recipe {
    /// The built-in recipe of this name.
    pub(crate) fn built_in(name: &str) -> Result<Self, RecipeError> {
        let found = BuiltIn::all()?.into_iter().find(|recipe| recipe.name == name);
        found
            .ok_or_else(|| RecipeError::Invalid {
                path: name.to_owned(),
                reason: "it is not built in".into(),
            })?
            .recipe()
    }

    /// The built-in recipes that plans of an ecosystem follow, by name; those that begin from others come last.
    pub(crate) fn of(ecosystem: Ecosystem) -> Result<Vec<(&'static str, Self)>, RecipeError> {
        let mut own = BuiltIn::all()?;
        own.retain(|recipe| recipe.ecosystem == Some(ecosystem));
        own.sort_by_key(|recipe| recipe.base.is_some());
        own.into_iter()
            .map(|recipe| Ok((recipe.name, recipe.recipe()?)))
            .collect()
    }

    /// The step that hands out the files which it names as outputs; `None` if its own steps do.
    pub fn hand_out(&self) -> Option<Step> {
        (!self.outputs.is_empty()).then(|| Step {
            name: "hand out the outputs".into(),
            run: format!("cd \"$SOURCE/$FOLDER\"\ncp -- {} /out/\n", self.outputs.join(" ")),
        })
    }

    /// Names of the built-in recipes for any provenance.
    pub fn names() -> Vec<&'static str> {
        let all = BuiltIn::all().unwrap_or_default().into_iter();
        all.filter(|recipe| recipe.ecosystem.is_none())
            .map(|recipe| recipe.name)
            .collect()
    }

    /// A built-in recipe for any provenance by its name, or the user's own recipe by its path.
    pub fn read(path: &Path) -> Result<Self, RecipeError> {
        let name = path.display().to_string();
        if !path.exists() && Self::names().contains(&name.as_str()) {
            return Self::built_in(&name);
        }
        let text = crate::bounded::read_text(path, crate::bounded::DOCUMENT).map_err(|source| {
            RecipeError::Read {
                path: name.clone(),
                source,
            }
        })?;
        let invalid = |error: toml::de::Error| RecipeError::Invalid {
            path: name.clone(),
            reason: error.to_string(),
        };
        let table: toml::Table = toml::from_str(&text).map_err(invalid)?;
        if table.contains_key("base") {
            return Self::of_table(&name, table);
        }
        // Read from the text, so that an error tells the line.
        toml::from_str(&text).map_err(invalid)
    }

    fn of_table(path: &str, mut own: toml::Table) -> Result<Self, RecipeError> {
        let invalid = |reason: String| RecipeError::Invalid {
            path: path.to_owned(),
            reason,
        };
        let whole = match own.remove("base") {
            None => own,
            Some(base) => {
                // The base's keys, except for those that the recipe has itself.
                let name = base.as_str().unwrap_or_default();
                let bases = BuiltIn::all()?;
                let base = bases.into_iter().find(|base| base.is_base() && base.name == name);
                let base =
                    base.ok_or_else(|| invalid(format!("there is no recipe {name:?} to begin from")))?;
                let mut whole = base.table;
                whole.extend(own);
                whole
            }
        };
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

/// For fuzzing.
pub const READERS: &[Reader] = &[("recipe", |bytes| as_file(bytes, |path| drop(Recipe::read(path))))];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_recipe_can_be_read() {
        for recipe in BuiltIn::all().unwrap() {
            recipe.recipe().unwrap();
        }
    }

    #[test]
    fn the_binary_carries_the_whole_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
        let entries = std::fs::read_dir(folder).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().into_string().unwrap());
        let mut names: Vec<_> = names
            .filter_map(|name| Some(name.strip_suffix(".toml")?.to_owned()))
            .collect();
        names.sort();
        let all: Vec<_> = BuiltIn::all().unwrap().iter().map(|recipe| recipe.name).collect();
        assert_eq!(all, names);
    }

    #[test]
    fn every_ecosystem_has_its_recipes_and_the_others_are_named() {
        let of = |ecosystem| {
            let own = Recipe::of(ecosystem).unwrap();
            own.iter().map(|(name, _)| *name).collect::<Vec<_>>()
        };
        for ecosystem in Ecosystem::ALL {
            assert_ne!(of(*ecosystem), Vec::<&str>::new(), "{ecosystem}");
        }
        assert_eq!(
            of(Ecosystem::Pypi),
            ["pypi-wheel", "pypi-wheel-python2", "pypi-native-wheel"]
        );
        let page = include_str!("../../docs/recipes.md");
        for name in Recipe::names() {
            assert!(
                page.contains(&format!("| `{name}` |")),
                "docs/recipes.md lacks {name}"
            );
        }
    }

    #[test]
    fn a_recipe_may_begin_from_that_of_an_ecosystem() {
        let table = |text: &str| toml::from_str(text).unwrap();
        let own = Recipe::of_table(
            "own.toml",
            table("base = \"npm\"\ndescription = \"own\"\nscripts = true\n"),
        );
        let (own, npm) = (own.unwrap(), Recipe::built_in("npm").unwrap());
        assert_eq!((own.description.as_str(), own.scripts), ("own", true));
        assert_eq!(own.build.steps, npm.build.steps);
        for base in ["container-based", "go", "none"] {
            let error = Recipe::of_table("own.toml", table(&format!("base = \"{base}\"\n"))).unwrap_err();
            assert!(error.to_string().contains("to begin from"), "{error}");
        }
        let error = Recipe::of_table("own.toml", table("base = \"npm\"\necosystem = \"npm\"\n")).unwrap_err();
        assert!(error.to_string().contains("unknown field"), "{error}");
    }
}
