//! PyPI: a pure wheel, rebuilt from the source distribution beside it.
//!
//! The registry keeps no record of a build, so much is concluded from the released wheel itself: the backend and
//! its version from `Generator`, the other requirements from what was uploaded before, clock and modes from
//! the archive's entries. Each is an assumption in the plan.

pub(super) mod requirements;
mod sdist;
mod wheel;

use std::path::Path;

use serde_json::json;

use super::{Found, PlanError, Planner};
use crate::artifact::{PypiSubject, Subject};
use crate::compare;
use crate::container::{Lock, Root};
use crate::evidence::Claim;
use crate::evidence::pypi::{self, Project, PypiError, ReleasedFile};
use crate::plan::{
    Assumption, Expected, InlineFile, Origin, PinnedContainer, PinnedInput, Plan, Recipe, Role, VERSION,
};
use crate::policy::Decision;
use crate::rebuild::{Evidence, Rebuilder};
use crate::sandbox::Limits;
use crate::store::{FetchError, Fetcher, Material};
use sdist::BuildSystem;
use wheel::WheelFacts;

const DRIVER: &str = include_str!("../../../recipes/pypi/build_wheel.py");

async fn find_project(fetcher: &Fetcher, subject: &PypiSubject) -> Result<Project, PlanError> {
    let project = pypi::project(fetcher, &subject.name).await;
    project.map_err(|error| match error {
        PypiError::Fetch(FetchError::NotFound { .. }) => PlanError::Unknown {
            subject: subject.name.clone(),
            place: pypi::INDEX.into(),
            help: "check the project's name".into(),
        },
        other => other.into(),
    })
}

/// What is claimed of a wheel, without planning anything.
pub(super) async fn look_up(fetcher: &Fetcher, subject: &PypiSubject) -> Result<Found, PlanError> {
    let project = find_project(fetcher, subject).await?;
    let released = choose_wheel(&project, subject)?;
    let source = choose_sdist(&project, subject, released).ok();
    let (documents, attestation) = pypi::attestations(fetcher, released).await;
    let blob = fetcher.get(&released.file).await?;
    Ok(Found {
        artifacts: vec![super::artifact(
            Some(file_purl(&project.name, released)),
            &released.file,
            &blob,
        )?],
        claims: pypi::claims(&project, released, source, attestation),
        documents,
    })
}

/// Plans the rebuild of one wheel.
pub(super) async fn plan(planner: &Planner<'_>, subject: &PypiSubject) -> Result<Plan, PlanError> {
    let project = find_project(planner.fetcher, subject).await?;
    let released = choose_wheel(&project, subject)?;
    let source = choose_sdist(&project, subject, released)?;
    let named = Subject::Pypi(PypiSubject {
        name: subject.name.clone(),
        version: Some(released.version.to_string()),
        file_name: Some(released.file.name.clone()),
    });
    let purl = named.purl();
    let fetched = [released.file.clone(), source.file.clone()];
    let blobs = planner
        .fetcher
        .get_all("fetching wheel and source distribution", &fetched)
        .await?;
    let (documents, attestation) = pypi::attestations(planner.fetcher, released).await;
    let claims = pypi::claims(&project, released, Some(source), attestation);
    let artifact = super::artifact(Some(purl.clone()), &released.file, &blobs[0])?;
    let (claims, policy) = planner.judge(&purl, &[artifact], claims, &documents).await?;
    let facts = wheel::read(&blobs[0].path)
        .map_err(|error| document(&purl, &released.file.name, &error))?
        .ok_or_else(|| document(&purl, &released.file.name, "it has no WHEEL file"))?;
    let (system, declared) = sdist::build_system(&source.file.name, &blobs[1].path)
        .map_err(|error| document(&purl, &source.file.name, &error))?;

    let recipe = planner.recipe.clone().map_or_else(Recipe::pypi_wheel, Ok)?;
    let (lock, root) = planner.container(&recipe.container).await?;
    let draft = Draft {
        planner,
        purl,
        claims,
        policy,
        project: &project,
        released,
        source,
        facts,
        system,
        declared,
        recipe,
        lock,
        root,
    };
    let mut required = draft.static_requirements();
    let dialect = draft
        .facts
        .dialect
        .as_ref()
        .map(|dialect| dialect.requirement.clone());
    let with_dialect: Vec<_> = required.iter().cloned().chain(dialect).collect();
    let mut plan = match draft.plan(&with_dialect).await {
        // The form of METADATA is the weaker evidence: where it contradicts the declared requirements, they win.
        Err(PlanError::NotRebuildable { .. }) if with_dialect != required => draft.plan(&required).await?,
        other => {
            required = with_dialect;
            other?
        }
    };
    // A backend may name more requirements once it runs (PEP 517); asked in the sandbox, with what is known so far.
    let more: Vec<_> = draft
        .dynamic_requirements(&plan)
        .await?
        .into_iter()
        .filter(|more| !known(&required, more))
        .collect();
    if !more.is_empty() {
        required.extend(more);
        plan = draft.plan(&required).await?;
    }
    Ok(plan)
}

fn known(required: &[String], more: &str) -> bool {
    let name = |text: &str| -> String {
        let end = text
            .find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)))
            .unwrap_or(text.len());
        text[..end].to_lowercase().replace(['_', '.'], "-")
    };
    let is_bare = name(more).len() == more.trim().len();
    required
        .iter()
        .any(|known| known == more || is_bare && name(known) == name(more))
}

fn choose_wheel<'a>(project: &'a Project, subject: &PypiSubject) -> Result<&'a ReleasedFile, PlanError> {
    let unknown = |what: String, help: String| PlanError::Unknown {
        subject: what,
        place: pypi::INDEX.into(),
        help,
    };
    let wanted: Option<pep440_rs::Version> = subject.version.as_deref().and_then(|text| text.parse().ok());
    let fits = |file: &&ReleasedFile| match (&subject.file_name, &wanted) {
        (Some(name), _) => file.file.name == *name,
        (None, Some(version)) => file.version == *version,
        (None, None) => !file.yanked && !file.version.any_prerelease(),
    };
    let fitting: Vec<_> = project.files.iter().filter(fits).collect();
    let newest = fitting.iter().map(|file| &file.version).max();
    let Some(newest) = newest else {
        let mut versions: Vec<_> = project.files.iter().map(|file| file.version.clone()).collect();
        versions.sort();
        versions.dedup();
        let last: Vec<_> = versions.iter().rev().take(5).map(ToString::to_string).collect();
        let what = subject.file_name.clone().unwrap_or_else(|| {
            subject.version.as_ref().map_or_else(
                || subject.name.clone(),
                |version| format!("{} {version}", subject.name),
            )
        });
        return Err(unknown(
            what,
            format!("its newest versions are {}", last.join(", ")),
        ));
    };
    let pure = fitting
        .iter()
        .find(|file| file.version == *newest && file.is_pure_wheel());
    pure.copied().ok_or_else(|| PlanError::NotRebuildable {
        subject: format!("{} {newest}", subject.name),
        reason: "it has no pure wheel (NAME-VERSION-py3-none-any.whl)".into(),
        help: "wheels with compiled code cannot be rebuilt yet".into(),
    })
}

fn choose_sdist<'a>(
    project: &'a Project,
    subject: &PypiSubject,
    wheel: &ReleasedFile,
) -> Result<&'a ReleasedFile, PlanError> {
    let sdists = project
        .files
        .iter()
        .filter(|file| !file.wheel && file.version == wheel.version);
    let readable =
        |file: &&ReleasedFile| file.file.name.ends_with(".tar.gz") || file.file.name.ends_with(".zip");
    sdists
        .filter(readable)
        .min_by_key(|file| file.file.name.ends_with(".zip"))
        .ok_or_else(|| PlanError::NotRebuildable {
            subject: format!("{} {}", subject.name, wheel.version),
            reason: "it was released without a source distribution".into(),
            help: "without a source there is nothing to build from".into(),
        })
}

/// Everything that is known before the requirements are solved.
struct Draft<'a> {
    planner: &'a Planner<'a>,
    purl: String,
    claims: Vec<Claim>,
    policy: Decision,
    project: &'a Project,
    released: &'a ReleasedFile,
    source: &'a ReleasedFile,
    facts: WheelFacts,
    system: BuildSystem,
    declared: bool,
    recipe: Recipe,
    lock: Lock,
    root: Root,
}

impl Draft<'_> {
    fn is_universal(&self) -> bool {
        self.facts.generator.starts_with("bdist_wheel")
            && self.released.file.name.contains("-py2.py3-none-any")
    }

    fn static_requirements(&self) -> Vec<String> {
        let mut required = self.system.requires.clone();
        for requirement in
            wheel::backend_requirement(&self.facts.generator, &self.system.build_backend).unwrap_or_default()
        {
            if !required.contains(&requirement) {
                required.push(requirement);
            }
        }
        // setuptools needs the package "wheel" until 70.1, whether a project says so or not.
        if self.system.build_backend.starts_with("setuptools")
            && !required.iter().any(|r| r.starts_with("wheel"))
        {
            required.push("wheel".into());
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
        )
        .await?;
        let mut inputs = vec![PinnedInput {
            role: Role::Source,
            purl: Some(file_purl(&self.project.name, self.source)),
            place: format!("source/{}", self.source.file.name),
            file: self.source.file.clone(),
        }];
        inputs.extend(solution.files.iter().map(|file| PinnedInput {
            role: Role::Dependency,
            purl: None,
            place: format!("dependencies/{}", file.name),
            file: file.clone(),
        }));
        let (time, _) = clock_words(&self.facts);
        Ok(Plan {
            version: VERSION,
            subject: self.purl.clone(),
            ecosystem: "pypi".into(),
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
            git: Vec::new(),
            files: self.files("build_wheel"),
            setup: self.recipe.setup.with(&[]),
            build: self.recipe.build.with(&[]),
            hostname: self.recipe.hostname.clone(),
            umask: self.facts.umask,
            limits: Limits::default(),
            assumptions: self.assumptions(required, &solution.files, time),
        })
    }

    /// The driver, and what it needs to know.
    fn files(&self, hook: &str) -> Vec<InlineFile> {
        let build = json!({
            "sdist": self.source.file.name,
            "backend": self.system.build_backend,
            "backend_path": self.system.backend_path,
            "hook": hook,
            "universal": self.is_universal(),
            "uniform": self.facts.clock.uniform,
            "entries": self.facts.clock.entries
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
        let planner = self.planner;
        let rebuilder = Rebuilder {
            fetcher: planner.fetcher,
            embedded: planner.sandbox,
            backend: planner.sandbox,
            progress: planner.progress,
            evidence: Evidence::Verified,
            compare: compare::Options::default(),
        };
        let mut asking = plan.clone();
        asking.files = self.files("get_requires_for_build_wheel");
        let unable = |reason: String| PlanError::NotRebuildable {
            subject: self.purl.clone(),
            reason: format!(
                "the backend {} does not tell its requirements: {reason}",
                self.system.build_backend
            ),
            help: "its version may not fit the source; a recipe with --recipe can say what to install".into(),
        };
        let found = rebuilder.output_of(&asking, "requires.json", &self.root).await;
        let text = found.map_err(|error| unable(error.to_string()))?;
        serde_json::from_slice(&text).map_err(|error| unable(error.to_string()))
    }

    fn assumptions(&self, required: &[String], chosen: &[Material], time: String) -> Vec<Assumption> {
        let assume = |what: &str, value: String, origin| Assumption {
            what: what.into(),
            value,
            origin,
        };
        let backend_origin = if self.declared {
            Origin::Declared("pyproject.toml of the source distribution".into())
        } else {
            Origin::Convention("PEP 517 for projects that name none".into())
        };
        let names: Vec<_> = chosen.iter().map(|file| file.name.clone()).collect();
        let (_, clock_origin) = clock_words(&self.facts);
        let dialect = self
            .facts
            .dialect
            .iter()
            .filter(|dialect| required.contains(&dialect.requirement));
        let dialect = dialect.map(|dialect| {
            let origin = Origin::Inferred(format!(
                "{:?} in METADATA of the released wheel",
                dialect.evidence
            ));
            assume("version of setuptools", dialect.requirement.clone(), origin)
        });
        let mut all: Vec<_> = dialect.collect();
        if self.is_universal() {
            let origin = Origin::Inferred("the tag py2.py3 of the released wheel".into());
            all.push(assume(
                "setuptools option",
                "[bdist_wheel] universal = 1".into(),
                origin,
            ));
        }
        all.extend([
            assume("build backend", self.system.build_backend.clone(), backend_origin),
            assume(
                "version of the backend",
                self.facts.generator.clone(),
                Origin::Inferred("Generator in WHEEL of the released wheel".into()),
            ),
            assume(
                "build requirements",
                required.join(", "),
                Origin::Declared("the source distribution, and the line above".into()),
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
                "as stored in the released wheel, where the content is the same".into(),
                Origin::Inferred("entries of the released wheel".into()),
            ),
            assume(
                "umask",
                format!("{:03o}", self.facts.umask),
                Origin::Inferred("mode of METADATA in the released wheel".into()),
            ),
            assume(
                "Python",
                format!("{} of Debian 12", requirements::PYTHON),
                Origin::Convention("the container".into()),
            ),
        ]);
        all
    }
}

fn clock_words(facts: &WheelFacts) -> (String, Origin) {
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

fn file_purl(name: &str, file: &ReleasedFile) -> String {
    Subject::Pypi(PypiSubject {
        name: name.to_owned(),
        version: Some(file.version.to_string()),
        file_name: Some(file.file.name.clone()),
    })
    .purl()
}

fn document(subject: &str, document: impl AsRef<Path>, reason: &(impl ToString + ?Sized)) -> PlanError {
    PlanError::Document {
        subject: subject.to_owned(),
        document: document.as_ref().display().to_string(),
        reason: reason.to_string(),
    }
}
