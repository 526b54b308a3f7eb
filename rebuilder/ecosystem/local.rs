//! The build dependencies of a local source tree, pinned like those of a release.

use std::collections::BTreeMap;
use std::path::Path;

use super::crates::lockfile;
use super::npm;
use super::provenance::dependencies as pyproject;
use super::pypi::{interpreter, requirements};
use super::{PlanError, Planner};
use crate::apt::Binary;
use crate::artifact::{PinnedFile, PinnedImage};
use crate::bounded;
use crate::container::Root;
use crate::container::apt_resolver::AptResolver;
use crate::evidence::json::member;
use crate::plan::{Assumption, Dependencies, Origin, PinnedContainer, PinnedInput, Recipe, Role, assume};
use crate::text::plural;

/// A source tree.
pub struct LocalSource<'a> {
    /// The name of the project.
    pub title: &'a str,
    /// Its folder.
    pub tree: &'a Path,
    /// The container that it is built in.
    pub container: &'a PinnedContainer,
    /// The root of that container.
    pub root: &'a Root,
    /// Packages of the container's archive that it needs.
    pub packages: &'a [String],
    /// Whether to install the build dependencies that `debian/control` names.
    pub debian: bool,
    /// Whether node and npm build it.
    pub npm: bool,
    /// The time of the source, in Unix seconds.
    pub time: i64,
}

/// The build dependencies of a source tree.
pub struct Found {
    /// The pinned files.
    pub inputs: Vec<PinnedInput>,
    /// The assumptions behind them.
    pub assumptions: Vec<Assumption>,
}

/// The container of a recipe, pinned.
pub fn container(planner: &Planner<'_>, title: &str, recipe: &Recipe) -> Result<PinnedContainer, PlanError> {
    let Some(image) = &recipe.image else {
        return Ok(planner.pinned_container(recipe)?);
    };
    let image = PinnedImage::parse(image, None).map_err(|error| PlanError::NotRebuildable {
        subject: title.to_owned(),
        reason: error.to_string(),
        help: "name the image as NAME@sha256:DIGEST".into(),
    })?;
    Ok(PinnedContainer::Image { image })
}

/// Pins what the source requires, and has the recipe's setup install it.
pub async fn dependencies(
    planner: &Planner<'_>,
    local: &LocalSource<'_>,
    recipe: &mut Recipe,
) -> Result<Found, PlanError> {
    let mut found = Found {
        inputs: Vec::new(),
        assumptions: Vec::new(),
    };
    match recipe.dependencies {
        Dependencies::None => {}
        Dependencies::Cargo => {
            let text = local.text("Cargo.lock")?;
            let files = lockfile::crates(planner.workshop.fetcher, local.title, &text).await?;
            found.assume(
                "crates",
                plural(files.len(), "crate"),
                Origin::Declared("Cargo.lock of the source".into()),
            );
            found.add(files);
        }
        Dependencies::Python => found.add_wheels(planner, local).await?,
    }
    if local.npm {
        found.add_node(planner, local).await?;
    }
    if local.debian || !local.packages.is_empty() {
        let files = packages(planner, local, &recipe.container).await?;
        if files.is_empty() {
            return Ok(found);
        }
        let names: Vec<_> = files.iter().map(|file| file.name.clone()).collect();
        found.assume(
            "packages",
            names.join(", "),
            Origin::Inferred("what apt chooses today for what the project asks for".into()),
        );
        found.add(files);
        if !local.debian {
            let debian = Recipe::built_in("debian")?;
            let own = std::mem::take(&mut recipe.setup.steps);
            recipe.setup.steps = debian.setup.steps.into_iter().chain(own).collect();
            let own = std::mem::take(&mut recipe.setup.env);
            recipe.setup.env = debian.setup.env.into_iter().chain(own).collect();
        }
    }
    Ok(found)
}

impl Found {
    fn assume(&mut self, what: &str, value: String, origin: Origin) {
        self.assumptions.push(assume(what, value, origin));
    }

    fn add(&mut self, files: Vec<PinnedFile>) {
        self.inputs.extend(files.into_iter().map(|file| PinnedInput {
            role: Role::Dependency,
            purl: None,
            place: format!("dependencies/{}", file.name),
            file,
        }));
    }

    /// Node and npm, whose versions `package.json` may name.
    async fn add_node(&mut self, planner: &Planner<'_>, local: &LocalSource<'_>) -> Result<(), PlanError> {
        let package: serde_json::Value = serde_json::from_str(&local.text("package.json")?)
            .map_err(|error| local.unusable("package.json", error.to_string()))?;
        let engines = member(&package, ["engines", "node"]).as_str();
        let time = jiff::Timestamp::from_second(local.time).ok();
        let (inputs, assumptions) =
            npm::of_source(planner.workshop.fetcher, local.title, engines, time).await?;
        self.inputs.extend(inputs);
        self.assumptions.extend(assumptions);
        Ok(())
    }

    /// Adds what `pyproject.toml` requires, as pip would have chosen it at the time of the source or, if that fails,
    /// today.
    async fn add_wheels(&mut self, planner: &Planner<'_>, local: &LocalSource<'_>) -> Result<(), PlanError> {
        let text = local.text("pyproject.toml").unwrap_or_default();
        let required =
            pyproject::requirements(&text).map_err(|reason| local.unusable("pyproject.toml", reason))?;
        let python = interpreter::version_of(local.container.lock());
        let solve = async |before| {
            requirements::solve(planner, local.root, local.title, &required, before, &[], &python).await
        };
        let then = jiff::Timestamp::from_second(local.time).unwrap_or_else(|_| jiff::Timestamp::now());
        let (solution, when) = match solve(then).await {
            Err(PlanError::NotRebuildable { .. }) => (solve(jiff::Timestamp::now()).await?, "today"),
            other => (other?, "as of the time of the source"),
        };
        let names: Vec<_> = solution.files.iter().map(|file| file.name.clone()).collect();
        self.assume(
            "build requirements",
            names.join(", "),
            Origin::Inferred(format!("pip's choice for pyproject.toml, {when}")),
        );
        self.add(solution.files);
        Ok(())
    }
}

impl LocalSource<'_> {
    fn text(&self, name: &str) -> Result<String, PlanError> {
        bounded::read_text_within(self.tree, Path::new(name), bounded::DOCUMENT)
            .map_err(|error| self.unusable(name, error.to_string()))
    }

    fn unusable(&self, document: &str, reason: String) -> PlanError {
        PlanError::Document {
            subject: self.title.to_owned(),
            document: document.to_owned(),
            reason,
        }
    }
}

/// The packages that apt installs for the given names, and for the build dependencies of a Debian source.
async fn packages(
    planner: &Planner<'_>,
    local: &LocalSource<'_>,
    container: &str,
) -> Result<Vec<PinnedFile>, PlanError> {
    let workshop = planner.workshop;
    let definition = workshop.catalog.definition(container)?;
    let indexes = workshop
        .catalog
        .indexes(workshop.fetcher, container, &definition.debian)
        .await?;
    let resolver = AptResolver {
        root: local.root,
        indexes: &indexes,
        sandbox: workshop.sandbox,
        fetcher: workshop.fetcher,
        progress: workshop.progress,
    };
    let mut chosen: Vec<Binary> = Vec::new();
    if local.debian {
        let text = stand_in(&local.text("debian/control")?);
        let dsc = workshop.fetcher.store().keep(text.as_bytes())?;
        chosen.extend(resolver.build_dependencies(local.title, &dsc, &[]).await?);
    }
    if !local.packages.is_empty() {
        let names: Vec<_> = local.packages.iter().map(String::as_str).collect();
        chosen.extend(resolver.install(&names).await?);
    }
    let files: BTreeMap<String, PinnedFile> = chosen
        .iter()
        .map(|binary| indexes.material(binary))
        .map(|file| (file.name.clone(), file))
        .collect();
    Ok(files.into_values().collect())
}

/// A stand-in for the `.dsc` of a source that is not packed yet: the control file's fields about the source and its
/// build dependencies (deb-src-control(5)).
fn stand_in(control: &str) -> String {
    let mut text = String::from("Format: 3.0 (native)\nVersion: 0\nArchitecture: any\n");
    let mut wanted = false;
    for line in control
        .lines()
        .skip_while(|line| line.trim().is_empty() || line.starts_with('#'))
    {
        if line.trim().is_empty() {
            break;
        }
        if line.starts_with('#') {
            continue;
        }
        if !line.starts_with([' ', '\t']) {
            let field = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
            wanted = field == "source" || field.starts_with("build-");
        }
        if wanted {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_file_stands_for_a_source_that_is_not_packed() {
        let control = "# comment\nSource: hello\nMaintainer: Me <me@example.org>\nBuild-Depends: debhelper-compat (= 13),\n# another\n               zlib1g-dev\nStandards-Version: 4.6.2\n\nPackage: hello\nDepends: other\n";
        assert_eq!(
            stand_in(control),
            "Format: 3.0 (native)\nVersion: 0\nArchitecture: any\nSource: hello\nBuild-Depends: debhelper-compat (= 13),\n               zlib1g-dev\n"
        );
    }
}
