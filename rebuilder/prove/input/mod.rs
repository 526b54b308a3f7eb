//! Which kind of project a folder contains, and how to build it: detected, or set in its `rebuilder.toml`.
//!
//! `kind` is the table of what can be detected. Whatever `rebuilder.toml` says comes before the table. `hand_out` is the
//! script that takes the outputs out of a finished build.

mod debian;
mod hand_out;
mod kind;
mod missing;
mod settings;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::plan::{Dependencies, Recipe};
use crate::prove::ProveError;

use hand_out::hand_out;
use kind::Kind;
pub use kind::names;
pub(super) use missing::packages as missing_packages;
#[doc(hidden)]
pub use settings::READERS;
pub use settings::{SETTINGS, Settings, template};

/// How a project is built.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its name, which can be the name of a folder.
    pub name: String,
    /// Its kind, or what says how it is built.
    pub kind: String,
    /// What gives container, setup and environment.
    pub recipe: Recipe,
    /// How it is built.
    pub build: String,
    /// Patterns of its outputs, below the source folder; none for what is installed and, without that, all that is new.
    pub outputs: Vec<String>,
    /// Whether the project itself named these patterns.
    pub names_outputs: bool,
    /// Folders of the root that the build writes to.
    pub owns: Vec<String>,
    /// Additional packages of the container's archive that it needs.
    pub packages: Vec<String>,
    /// Those of them that were added because the build needs files in them.
    pub provided: Vec<String>,
    /// Variables that its settings name.
    pub env: BTreeMap<String, String>,
}

impl Project {
    /// Looks at a folder.
    pub fn find(folder: &Path) -> Result<Self, ProveError> {
        let name = name_of(folder)?;
        let settings = Settings::read(folder)?;
        let wanted = settings.kind.as_deref();
        let kind = match wanted {
            Some(wanted) => Some(Kind::named(wanted).ok_or_else(|| ProveError::UnknownKind {
                kind: wanted.to_owned(),
                known: names().join(", "),
            })?),
            None => Kind::of_folder(folder),
        };
        let (kind, said) = match (kind, &settings.build) {
            (Some(kind), _) => (kind, kind.name),
            // Whoever says how it is built needs no kind.
            (None, Some(_)) => (Kind::plain(), SETTINGS),
            (None, None) => {
                return Err(ProveError::NoRecipe {
                    folder: folder.display().to_string(),
                });
            }
        };
        let mut recipe = Recipe::built_in(kind.recipe)?;
        if let Some(container) = &settings.container {
            recipe.container.clone_from(container);
        }
        if let Some(image) = &settings.image {
            recipe.image = Some(image.clone());
        }
        if settings.build.is_some() && wanted.is_none() && said == SETTINGS {
            recipe.dependencies = Dependencies::None;
        }
        if let Some(dependencies) = settings.dependencies {
            recipe.dependencies = dependencies;
        }
        let strings = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Ok(Self {
            name,
            kind: said.to_owned(),
            recipe,
            build: settings.build.clone().unwrap_or_else(|| kind.build.to_owned()),
            names_outputs: settings.outputs.is_some(),
            outputs: match &settings.outputs {
                Some(outputs) => outputs.clone(),
                None if settings.build.is_some() => Vec::new(),
                None => strings(kind.outputs),
            },
            owns: strings(kind.owns),
            packages: strings(kind.packages)
                .into_iter()
                .chain(settings.packages.clone())
                .collect(),
            provided: Vec::new(),
            env: settings.env,
        })
    }

    /// The same project with a change: built as its own settings say, in what was made for the one without.
    pub(super) fn changed(&self, folder: &Path) -> Result<Self, ProveError> {
        let other = Self::find(folder)?;
        Ok(Self {
            build: other.build,
            outputs: other.outputs,
            names_outputs: other.names_outputs,
            env: other.env,
            ..self.clone()
        })
    }

    /// Adds packages that the build asked for; whether there are any that it did not have.
    pub(super) fn provide(&mut self, packages: &[String]) -> bool {
        let new: Vec<_> = packages
            .iter()
            .filter(|name| !self.packages.contains(*name))
            .cloned()
            .collect();
        self.packages.extend(new.iter().cloned());
        self.provided.extend(new.iter().cloned());
        !new.is_empty()
    }

    /// Whether its own settings have the text of the script that builds it.
    pub(super) fn says_how(folder: &Path) -> bool {
        Settings::read(folder).is_ok_and(|settings| settings.build.is_some())
    }

    /// The script that hands the outputs out, for `sh -eu` in the source folder.
    pub(super) fn hand_out(&self) -> String {
        hand_out(&self.outputs, self.names_outputs)
    }
}

/// The name of a folder, with nothing in it that a shell, a path or a package URL takes for something else.
fn name_of(folder: &Path) -> Result<String, ProveError> {
    let error = |source| ProveError::Folder {
        path: folder.display().to_string(),
        source,
    };
    let whole = fs::canonicalize(folder).map_err(error)?;
    if !whole.is_dir() {
        return Err(error(std::io::ErrorKind::NotADirectory.into()));
    }
    let name = whole.file_name().unwrap_or_default().to_string_lossy();
    let name: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "._+-".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    let name = name.trim_matches(['.', '-']);
    Ok(if name.is_empty() {
        "project".to_owned()
    } else {
        name.to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_known_by_its_marks_and_its_own_settings_come_first() {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("my project");
        fs::create_dir(&project).unwrap();
        let error = Project::find(&project).unwrap_err();
        assert!(matches!(error, ProveError::NoRecipe { .. }));
        fs::write(project.join("Makefile"), "all:\n").unwrap();
        let found = Project::find(&project).unwrap();
        assert_eq!((found.kind.as_str(), found.name.as_str()), ("make", "my-project"));
        fs::write(project.join("Cargo.toml"), "").unwrap();
        assert_eq!(Project::find(&project).unwrap().kind, "cargo");
        fs::write(
            project.join(SETTINGS),
            "kind = \"make\"\noutputs = [\"x\"]\n[env]\nCC = \"gcc\"\n",
        )
        .unwrap();
        let found = Project::find(&project).unwrap();
        assert_eq!(
            (found.kind.as_str(), &found.outputs[..]),
            ("make", &["x".to_owned()][..])
        );
        assert_eq!(found.env["CC"], "gcc");
        for bad in ["kind = \"nothing\"\n", "kinds = \"make\"\n"] {
            fs::write(project.join(SETTINGS), bad).unwrap();
            Project::find(&project).unwrap_err();
        }
    }
}
