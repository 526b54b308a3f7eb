//! The plan of a wheel: everything that is known before its build requirements are solved, then these.

use super::interpreter::{self, Choice, Interpreter};
use super::registry::{self, Fitness, Project, ReleasedFile};
use super::requirements::{self, Solution};
use super::source::{Place, Source};
use super::wheel::{self, WheelFacts};
use super::{document, release, required};
use crate::artifact::{Ecosystem, Subject};
use crate::container::Root;
use crate::ecosystem::released::artifact;
use crate::ecosystem::{PlanError, Planner};
use crate::evidence::Claim;
use crate::plan::{
    Basis, Expected, Lock, Origin, PinnedContainer, PinnedGit, PinnedInput, Plan, Recipe, Role,
};
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
    let source = source.signed_by(&facts.generator, released.uploaded);
    let native = released.fitness(interpreter::usual().interpreter.minor) == Some(Fitness::Native);
    let mut recipe = match &planner.recipe {
        Some(recipe) => recipe.clone(),
        None => Recipe::built_in(if native { "pypi-native-wheel" } else { "pypi-wheel" })?,
    };
    let python = if native || planner.recipe.is_some() {
        interpreter::usual()
    } else {
        let hint = planner.hints.tools.get("python");
        let hint = hint.map(|hint| (hint.value.as_str(), &hint.origin));
        let python = interpreter::choose(hint, facts.python.as_ref(), released);
        python.interpreter.container.clone_into(&mut recipe.container);
        python
    };
    let (lock, root) = planner.container(&recipe.container).await?;
    let mut draft = Draft {
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
        python,
    };
    match (draft.finish().await, draft.python.of_day) {
        // What was there on the day may run on no later Python.
        (Err(error @ PlanError::NotRebuildable { .. }), Some(of_day)) => {
            draft.switch_to(of_day, &error).await?;
            draft.finish().await.map_err(|_| error)
        }
        (ended, _) => ended,
    }
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
    pub python: Choice,
}

impl Draft<'_> {
    /// The same on another Python, since there is no plan on the one before.
    async fn switch_to(&mut self, interpreter: Interpreter, because: &PlanError) -> Result<(), PlanError> {
        interpreter.container.clone_into(&mut self.recipe.container);
        (self.lock, self.root) = self.planner.container(interpreter.container).await?;
        let before = self.python.interpreter.version();
        self.python = Choice {
            interpreter,
            origin: Origin::Tried(format!("no plan on Python {before}: {because}")),
            of_day: None,
        };
        Ok(())
    }

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
            &interpreter::version_of(Some(&self.lock)),
        )
        .await?;
        let (inputs, git) = self.inputs(&solution);
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
    fn inputs(&self, chosen: &Solution) -> (Vec<PinnedInput>, Vec<PinnedGit>) {
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
        let installer = chosen
            .installer
            .iter()
            .map(|file| (requirements::INSTALLER, file));
        let dependencies = chosen.files.iter().map(|file| ("dependencies", file));
        inputs.extend(installer.chain(dependencies).map(|(folder, file)| PinnedInput {
            role: Role::Dependency,
            purl: None,
            place: format!("{folder}/{}", file.name),
            file: file.clone(),
        }));
        (inputs, git)
    }
}
