//! Everything that is known of a wheel before its build requirements are solved, and the plan that comes of it.

use std::str::FromStr as _;

use pep508_rs::{Requirement, VerbatimUrl, VersionOrUrl};
use serde_json::json;

use super::release;
use super::requirements;
use super::source::{Place, Source};
use super::wheel::{self, WheelFacts};
use crate::artifact::{Ecosystem, PinnedFile};
use crate::container::Root;
use crate::ecosystem::provenance::assume;
use crate::ecosystem::pypi::registry::{Project, ReleasedFile};
use crate::ecosystem::{PlanError, Planner};
use crate::evidence::Claim;
use crate::execute::Executor;
use crate::plan::Limits;
use crate::plan::Lock;
use crate::plan::{
    Assumption, Expected, InlineFile, Origin, PinnedContainer, PinnedInput, Plan, Recipe, Role, VERSION,
};
use crate::policy::Decision;

const DRIVER: &str = include_str!("../../../recipes/pypi/build_wheel.py");

/// Tools that are no projects of PyPI.
const OTHER_TOOLS: [&str; 3] = ["node", "npm", "cargo"];

pub(super) struct Draft<'a> {
    pub planner: &'a Planner<'a>,
    pub purl: String,
    pub claims: Vec<Claim>,
    pub policy: Decision,
    pub project: &'a Project,
    pub released: &'a ReleasedFile,
    /// Whether it holds compiled code.
    pub native: bool,
    pub source: Source,
    pub facts: WheelFacts,
    pub recipe: Recipe,
    pub lock: Lock,
    pub root: Root,
}

impl Draft<'_> {
    /// Solves the requirements, asks the backend for more, and writes the plan.
    pub(super) async fn finish(&self) -> Result<Plan, PlanError> {
        let mut required = self.static_requirements();
        let dialect = self.dialect();
        let with_dialect: Vec<_> = required.iter().cloned().chain(dialect).collect();
        let mut plan = match self.plan(&with_dialect).await {
            // The form of METADATA is the weaker evidence: where it contradicts the declared requirements, they win.
            Err(PlanError::NotRebuildable { .. }) if with_dialect != required => self.plan(&required).await?,
            other => {
                required = with_dialect;
                other?
            }
        };
        if !self.source.system.may_ask_for_more() {
            return Ok(plan);
        }
        // A backend may name more requirements once it runs (PEP 517); asked in the sandbox, with what is known so far.
        let more: Vec<_> = self
            .dynamic_requirements(&plan)
            .await?
            .into_iter()
            .filter(|more| !known(&required, more))
            .collect();
        if !more.is_empty() {
            required.extend(more);
            plan = self.plan(&required).await?;
        }
        Ok(plan)
    }

    /// The bound that the form of `METADATA` sets, unless a hint says which setuptools it was.
    fn dialect(&self) -> Option<String> {
        let dialect = self.facts.dialect.as_ref()?;
        let hinted = self.planner.hints.tools.contains_key("setuptools");
        (!hinted).then(|| dialect.requirement.clone())
    }

    /// The folders of the source in which the backend itself is, where the wheel was not built by another version of
    /// that backend than the one that it holds.
    fn backend_path(&self) -> &[String] {
        let generator = self.facts.generator.split_once(' ');
        let bootstraps = generator.is_none_or(|(name, version)| {
            name != self.project.name
                || version == self.released.version.to_string()
                || version.contains("+local")
        });
        if bootstraps {
            &self.source.system.backend_path
        } else {
            &[]
        }
    }

    fn static_requirements(&self) -> Vec<String> {
        let system = &self.source.system;
        let mut required = system.requires.clone();
        let pins =
            wheel::backend_requirement(&self.facts.generator, &system.build_backend).unwrap_or_default();
        for pin in pins {
            // A maintainer's tool may be another one than the source asks for; the released wheel says which.
            required.retain(|other| !contradicts(other, &pin));
            if !required.contains(&pin) {
                required.push(pin);
            }
        }
        for (name, hint) in &self.planner.hints.tools {
            if !OTHER_TOOLS.contains(&name.as_str()) {
                let digit = hint.value.starts_with(|c: char| c.is_ascii_digit());
                let pin = format!("{name}{}{}", if digit { "==" } else { "" }, hint.value);
                required.retain(|other| !contradicts(other, &pin));
                required.push(pin);
            }
        }
        // setuptools needs the package "wheel" until 70.1, whether a project says so or not.
        if system.build_backend.starts_with("setuptools") && !required.iter().any(|r| r.starts_with("wheel"))
        {
            required.push("wheel".into());
        }
        if self.native {
            required.push("auditwheel".into());
        }
        required
    }

    async fn plan(&self, required: &[String]) -> Result<Plan, PlanError> {
        let solution = requirements::solve(
            self.planner,
            &self.root,
            &self.purl,
            required,
            self.released.uploaded,
            &[self.released.file.sha256],
        )
        .await?;
        let mut inputs = Vec::new();
        let mut git = Vec::new();
        match &self.source.place {
            Place::Sdist(file) => inputs.push(PinnedInput {
                role: Role::Source,
                purl: Some(release::purl(&self.project.name, file)),
                place: format!("source/{}", file.file.name),
                file: file.file.clone(),
            }),
            Place::Git { pinned, .. } => git.push(pinned.clone()),
        }
        inputs.extend(solution.files.iter().map(|file| PinnedInput {
            role: Role::Dependency,
            purl: None,
            place: format!("dependencies/{}", file.name),
            file: file.clone(),
        }));
        let version = self.released.version.to_string();
        let values = [
            // Tools that would ask git for the version; there is no repository around the files of a commit.
            ("SETUPTOOLS_SCM_PRETEND_VERSION", version.as_str()),
            ("PBR_VERSION", &version),
            ("PDM_BUILD_SCM_VERSION", &version),
            ("POETRY_DYNAMIC_VERSIONING_BYPASS", &version),
        ];
        let values = if git.is_empty() { &[][..] } else { &values[..] };
        Ok(Plan {
            version: VERSION,
            subject: self.purl.clone(),
            ecosystem: Ecosystem::Pypi,
            claims: self.claims.clone(),
            policy: self.policy.clone(),
            expected: vec![Expected {
                purl: self.purl.clone(),
                file: self.released.file.clone(),
            }],
            not_compared: self.recipe.unreleased.clone(),
            container: PinnedContainer::Packages {
                name: self.recipe.container.clone(),
                lock: self.lock.clone(),
            },
            inputs,
            git,
            files: self.files("build_wheel"),
            setup: self.recipe.setup.with(&[]),
            build: self.recipe.build.with(values),
            hostname: self.recipe.hostname.clone(),
            umask: self.facts.umask,
            limits: Limits::default(),
            assumptions: self.assumptions(required, &solution.files),
        })
    }

    /// Options of bdist_wheel that the wheel's tags show.
    fn options(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut options = serde_json::Map::new();
        let name = &self.released.file.name;
        if self.facts.generator.starts_with("bdist_wheel") && !self.native {
            if name.contains("-py2.py3-none-any") {
                options.insert("universal".into(), json!(1));
            } else if name.contains("-py2-none-any") {
                options.insert("python_tag".into(), json!("py2"));
            }
        }
        options
    }

    /// The driver, and what it needs to know.
    fn files(&self, hook: &str) -> Vec<InlineFile> {
        let version = &self.released.version;
        let (archive, top, folder) = match &self.source.place {
            Place::Sdist(file) => (format!("source/{}", file.file.name), None, ""),
            Place::Git { pinned, folder } => (
                pinned.place.clone(),
                Some(format!("{}-{version}", self.project.name)),
                folder.as_str(),
            ),
        };
        let platform = self.native.then(|| {
            let stem = self.released.file.name.trim_end_matches(".whl");
            stem.rsplit('-')
                .next()
                .and_then(|tags| tags.split('.').next())
                .unwrap_or_default()
        });
        let build = json!({
            "archive": archive,
            "top": top,
            "folder": folder,
            "backend": self.source.system.build_backend,
            "backend_path": self.backend_path(),
            "hook": hook,
            "options": self.options(),
            "uniform": self.facts.clock.uniform,
            "entries": self.facts.clock.shown(),
            "windows": self.facts.windows,
            "python": self.facts.python,
            "platform": platform
        });
        vec![
            InlineFile {
                place: "recipe/build_wheel.py".into(),
                text: DRIVER.into(),
            },
            InlineFile {
                place: "recipe/build.json".into(),
                text: format!("{build}\n"),
            },
        ]
    }

    /// What the backend's own hook asks for, with the static requirements installed.
    async fn dynamic_requirements(&self, plan: &Plan) -> Result<Vec<String>, PlanError> {
        let workshop = self.planner.workshop;
        let executor = Executor {
            workshop,
            backend: workshop.sandbox,
        };
        let mut asking = plan.clone();
        asking.files = self.files("get_requires_for_build_wheel");
        let unable = |reason: String| PlanError::NotRebuildable {
            subject: self.purl.clone(),
            reason: format!(
                "the backend {} does not tell its requirements: {reason}",
                self.source.system.build_backend
            ),
            help: "its version may not fit the source; --tool NAME=VERSION names another one".into(),
        };
        let found = executor.output_of(asking, "requires.json", &self.root).await;
        let text = found.map_err(|error| unable(error.to_string()))?;
        serde_json::from_slice(&text).map_err(|error| unable(error.to_string()))
    }

    fn assumptions(&self, required: &[String], chosen: &[PinnedFile]) -> Vec<Assumption> {
        let system = &self.source.system;
        let wheel = "of the released wheel";
        let backend_origin = if self.source.declared {
            Origin::Declared("pyproject.toml of the source".into())
        } else {
            Origin::Convention("PEP 517 for projects that name none".into())
        };
        let names: Vec<_> = chosen.iter().map(|file| file.name.clone()).collect();
        let mut all = vec![self.source.assumption.clone()];
        if let Some(dialect) = self
            .facts
            .dialect
            .iter()
            .find(|it| required.contains(&it.requirement))
        {
            let origin = Origin::Inferred(format!("{:?} in METADATA {wheel}", dialect.evidence));
            all.push(assume(
                "version of setuptools",
                dialect.requirement.clone(),
                origin,
            ));
        }
        for (name, hint) in &self.planner.hints.tools {
            all.push(assume(
                &format!("version of {name}"),
                hint.value.clone(),
                hint.origin.clone(),
            ));
        }
        for (name, value) in self.options() {
            let origin = Origin::Inferred(format!("the tags {wheel}"));
            all.push(assume(
                "setuptools option",
                format!("[bdist_wheel] {name} = {value}"),
                origin,
            ));
        }
        if self.facts.windows {
            all.push(assume(
                "host system, as shown to the build",
                "Windows: CR LF and cp1252 for text files, its mark in the archive",
                Origin::Inferred(format!("system of all entries {wheel}")),
            ));
        }
        if let Some(python) = &self.facts.python {
            all.push(assume(
                "version of Python in file names",
                python.clone(),
                Origin::Inferred(format!("name of the namespace file {wheel}")),
            ));
        }
        if !self.source.system.backend_path.is_empty() && self.backend_path().is_empty() {
            all.push(assume(
                "backend in the source's own folder",
                "not used",
                Origin::Inferred(format!("another version of it in WHEEL {wheel}")),
            ));
        }
        let (time, clock_origin) = clock(&self.facts);
        all.extend([
            assume("build backend", system.build_backend.clone(), backend_origin),
            assume(
                "version of the backend",
                self.facts.generator.clone(),
                Origin::Inferred(format!("Generator in WHEEL {wheel}")),
            ),
            assume(
                "build requirements",
                required.join(", "),
                Origin::Declared("the source, and the line above".into()),
            ),
            assume(
                "versions of the build requirements",
                names.join(", "),
                Origin::Inferred(format!(
                    "pip's choice among files uploaded before {}",
                    self.released.uploaded
                )),
            ),
            assume("clock", time, clock_origin),
            assume(
                "file modes",
                "as stored in the released wheel: of the source's files of the same names, and of what the build writes",
                Origin::Inferred(format!("entries {wheel}")),
            ),
            assume(
                "umask",
                format!("{:03o}", self.facts.umask),
                Origin::Inferred(format!("mode of METADATA {wheel}")),
            ),
            assume(
                "Python",
                format!(
                    "{} of Debian 12, with the names that it dropped from its library",
                    requirements::PYTHON
                ),
                Origin::Convention("the container".into()),
            ),
        ]);
        all
    }
}

fn clock(facts: &WheelFacts) -> (String, Origin) {
    match facts.clock.uniform {
        Some(time) => (
            format!("SOURCE_DATE_EPOCH={time}"),
            Origin::Inferred("the one time of all entries of the released wheel".into()),
        ),
        None => (
            "a time for each file, as stored in the released wheel".into(),
            Origin::Inferred(
                "entries of the released wheel; files that the build writes show these times as well".into(),
            ),
        ),
    }
}

fn parsed(text: &str) -> Option<Requirement<VerbatimUrl>> {
    Requirement::from_str(text).ok()
}

/// Whether a requirement excludes the one version that `pin` names, of the same project.
fn contradicts(other: &str, pin: &str) -> bool {
    let (Some(other), Some(pin)) = (parsed(other), parsed(pin)) else {
        return false;
    };
    let (Some(VersionOrUrl::VersionSpecifier(allowed)), Some(VersionOrUrl::VersionSpecifier(pinned))) =
        (&other.version_or_url, &pin.version_or_url)
    else {
        return false;
    };
    let exact = pinned
        .iter()
        .find(|it| *it.operator() == pep440_rs::Operator::Equal);
    other.name == pin.name && exact.is_some_and(|exact| !allowed.contains(exact.version()))
}

/// Whether a requirement without bounds is met by one that is there already, or is there itself.
fn known(required: &[String], more: &str) -> bool {
    let Some(wanted) = parsed(more) else {
        return required.iter().any(|known| known == more);
    };
    let same = |known: &String| parsed(known).is_some_and(|known| known.name == wanted.name);
    required
        .iter()
        .any(|known| known == more || wanted.version_or_url.is_none() && same(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_released_version_wins_over_bounds_of_the_source() {
        for (other, pin, expected) in [
            ("flit_core >=2,<3", "flit_core==3.8.0", true),
            ("flit-core", "flit_core==3.8.0", false),
            ("setuptools>=61", "wheel==0.40.0", false),
            ("wheel<0.40", "wheel==0.40.0", true),
            ("setuptools>=61", "setuptools<58", false),
        ] {
            assert_eq!(contradicts(other, pin), expected, "{other} {pin}");
        }
    }

    #[test]
    fn a_bare_requirement_adds_nothing_to_a_known_one() {
        let required = ["wheel==0.40.0".to_owned(), "setuptools>=61".to_owned()];
        for (more, expected) in [
            ("wheel", true),
            ("Wheel>=0.41", false),
            ("setuptools>=61", true),
            ("numpy", false),
        ] {
            assert_eq!(known(&required, more), expected, "{more}");
        }
    }
}
