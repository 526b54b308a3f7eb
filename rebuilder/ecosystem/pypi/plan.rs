//! The plan of a wheel: everything that is known before its build requirements are solved, then these.

use super::registry::{self, Fitness, Project, ReleasedFile};
use super::source::{Place, Source};
use super::wheel::{self, WheelFacts};
use super::{document, release, required, requirements};
use crate::artifact::{Ecosystem, PinnedFile, Subject};
use crate::container::Root;
use crate::ecosystem::released::artifact;
use crate::ecosystem::{PlanError, Planner};
use crate::evidence::Claim;
use crate::plan::{Basis, Expected, Lock, PinnedContainer, PinnedGit, PinnedInput, Plan, Recipe, Role};
use crate::policy::Decision;

/// Plans the rebuild of one wheel.
pub(super) async fn plan(planner: &Planner<'_>, subject: &Subject) -> Result<Plan, PlanError> {
    let fetcher = planner.workshop.fetcher;
    let project = release::project(fetcher, subject).await?;
    let released = release::wheel(&project, subject)?;
    let sdist = release::sdist(&project, released);
    let purl = release::purl(&project.name, released);
    let fetched: Vec<_> = [Some(released), sdist]
        .into_iter()
        .flatten()
        .map(|file| file.file.clone())
        .collect();
    let blobs = fetcher
        .get_all("fetching wheel and source distribution", &fetched)
        .await?;
    let (documents, attestation) = registry::attestations(fetcher, released).await;
    let claims = registry::claims(&project, released, sdist, attestation);
    let wheel = blobs
        .first()
        .ok_or_else(|| document(&purl, &released.file.name, &"it was not fetched"))?;
    let artifact = artifact(Some(purl.clone()), &released.file, wheel)?;
    let mut judgement = planner
        .case
        .inspect(&[artifact], claims, &documents, fetcher)
        .await;
    let policy = judgement.policy.gate(&purl)?;
    let facts = wheel::read(&wheel.path)
        .map_err(|error| document(&purl, &released.file.name, &error))?
        .ok_or_else(|| document(&purl, &released.file.name, "it has no WHEEL file"))?;

    let hint = planner.hints.source.as_ref();
    let source = match (sdist, blobs.get(1)) {
        (Some(sdist), Some(blob)) if hint.is_none() => Source::sdist(&purl, sdist, blob)?,
        _ => {
            let attested = judgement
                .source
                .take()
                .map(|checkout| (checkout.source, judgement.declared_by.clone()));
            let about = (project.name.as_str(), &facts.addresses[..]);
            Source::git(planner, &purl, released, about, attested, hint).await?
        }
    };
    let source = source.signed_by(&facts.generator);
    let native = released.fitness() == Some(Fitness::Native);
    let recipe = match &planner.recipe {
        Some(recipe) => recipe.clone(),
        None => Recipe::built_in(if native { "pypi-native-wheel" } else { "pypi-wheel" })?,
    };
    let (lock, root) = planner.container(&recipe.container).await?;
    let draft = Draft {
        planner,
        purl,
        claims: judgement.inspection.claims(),
        policy,
        project: &project,
        released,
        native,
        source,
        facts,
        recipe,
        lock,
        root,
    };
    draft.finish().await
}

pub(super) struct Draft<'a> {
    pub planner: &'a Planner<'a>,
    pub purl: String,
    pub claims: Vec<Claim>,
    pub policy: Decision,
    pub project: &'a Project,
    pub released: &'a ReleasedFile,
    /// Whether it has compiled code.
    pub native: bool,
    pub source: Source,
    pub facts: WheelFacts,
    pub recipe: Recipe,
    pub lock: Lock,
    pub root: Root,
}

impl Draft<'_> {
    /// Solves the requirements, asks the backend for more, and writes the plan.
    async fn finish(&self) -> Result<Plan, PlanError> {
        let mut required = self.static_requirements();
        let dialect = self.dialect();
        let with_dialect: Vec<_> = required.iter().cloned().chain(dialect).collect();
        let mut plan = match self.plan(&with_dialect).await {
            // The form of METADATA is the weaker evidence: if it contradicts the declared requirements, they win.
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
            .filter(|more| !required::known(&required, more))
            .collect();
        if !more.is_empty() {
            required.extend(more);
            plan = self.plan(&required).await?;
        }
        Ok(plan)
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
        let (inputs, git) = self.inputs(&solution.files);
        let version = self.released.version.to_string();
        // Tools that would ask git for the version; the files of a commit have no repository around them.
        let values = [
            "SETUPTOOLS_SCM_PRETEND_VERSION",
            "PBR_VERSION",
            "PDM_BUILD_SCM_VERSION",
            "POETRY_DYNAMIC_VERSIONING_BYPASS",
        ]
        .map(|name| (name, version.as_str()));
        let values = if git.is_empty() { &[][..] } else { &values[..] };
        Ok(Plan {
            inputs,
            git,
            files: self.files("build_wheel"),
            build: self.recipe.build.with(values),
            umask: self.facts.umask,
            assumptions: self.assumptions(required, &solution),
            ..Plan::of(Basis {
                ecosystem: Ecosystem::Pypi,
                subject: self.purl.clone(),
                claims: self.claims.clone(),
                policy: self.policy.clone(),
                expected: vec![Expected {
                    purl: self.purl.clone(),
                    file: self.released.file.clone(),
                }],
                recipe: &self.recipe,
                container: PinnedContainer::Packages {
                    name: self.recipe.container.clone(),
                    lock: self.lock.clone(),
                },
            })
        })
    }

    /// The source, and the chosen requirements.
    fn inputs(&self, chosen: &[PinnedFile]) -> (Vec<PinnedInput>, Vec<PinnedGit>) {
        let (mut inputs, mut git) = (Vec::new(), Vec::new());
        match &self.source.place {
            Place::Sdist(file) => inputs.push(PinnedInput {
                role: Role::Source,
                purl: Some(release::purl(&self.project.name, file)),
                place: format!("source/{}", file.file.name),
                file: file.file.clone(),
            }),
            Place::Git { pinned, .. } => git.push(pinned.clone()),
        }
        inputs.extend(chosen.iter().map(|file| PinnedInput {
            role: Role::Dependency,
            purl: None,
            place: format!("dependencies/{}", file.name),
            file: file.clone(),
        }));
        (inputs, git)
    }
}
