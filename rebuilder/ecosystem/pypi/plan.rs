//! The plan for a wheel: first everything that is known before its build requirements are solved, then the
//! requirements.

use jiff::{SignedDuration, Timestamp};

use super::interpreter::{self, Choice, Interpreter};
use super::registry::{self, Fitness, Project, ReleasedFile};
use super::requirements::{self, Solution};
use super::source::{Place, Source};
use super::wheel::{self, WheelFacts};
use super::{backend, document, release, required};
use crate::artifact::{Ecosystem, Subject};
use crate::container::Root;
use crate::ecosystem::released::artifact;
use crate::ecosystem::{PlanError, Planner, compressor};
use crate::evidence::Claim;
use crate::plan::{
    Assumption, Basis, Expected, Lock, Origin, PinnedContainer, PinnedGit, PinnedInput, Plan, Recipe, Role,
    places,
};
use crate::policy::Decision;
use crate::store::Blob;

/// How much younger than the release its build requirements may be, where those of the day do not work.
const WEEKS_AFTER: SignedDuration = SignedDuration::from_hours(28 * 24);

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
    let facts = facts(&purl, &released.file.name, wheel)?;
    let hint = planner.hints.source.as_ref();
    let attested = judgement
        .source
        .take()
        .map(|checkout| (checkout.source, judgement.declared_by.clone()));
    let about = (project.name.as_str(), &facts.addresses[..]);
    let settings = &planner.hints.settings;
    let source = match (sdist, blobs.get(1)) {
        (Some(sdist), Some(blob)) if hint.is_none() => {
            let source = Source::sdist(&purl, sdist, blob)?;
            match &settings.completed {
                Some(origin) => {
                    let whole = Source::git(planner, &purl, released, about, attested, hint).await?;
                    source.completed_from(whole, origin)
                }
                None => match &settings.empty {
                    Some(origin) => source.with_empty_packages(&purl, blob, origin)?,
                    None => source,
                },
            }
        }
        _ => Source::git(planner, &purl, released, about, attested, hint).await?,
    };
    let source = source.signed_by(&facts.generator, released.uploaded);
    let source = match (blobs.get(1), &settings.installed) {
        (Some(blob), Some(_)) => source.with_requirements(&purl, blob)?,
        _ => source,
    };
    let source = match &settings.flag {
        Some(flag) => source.with_flag(&purl, blobs.get(1), &facts, flag)?,
        None => source,
    };
    let native = released.fitness(interpreter::usual().interpreter.series) == Some(Fitness::Native);
    let (mut recipe, python) = recipe_and_python(planner, &purl, released, &facts, native)?;
    let known = [
        compressor::ZLIB_NG,
        compressor::ZLIB_NG_2_2,
        compressor::CLOUDFLARE,
    ];
    let compressor = compressor::choose(planner, &purl, &known, "Python's zlib").await?;
    let (python, lock, root) = prepare(planner, python, &mut recipe).await?;
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
        compressor,
        recipe,
        lock,
        root,
        python,
    };
    draft.finish_on_some_python().await
}

/// The Python that a hint names.
fn named_python(planner: &Planner<'_>, purl: &str, native: bool) -> Result<Option<Choice>, PlanError> {
    let Some(hint) = planner.hints.tools.get("python") else {
        return Ok(None);
    };
    let refused = |reason: &str, help: String| PlanError::NotRebuildable {
        subject: purl.to_owned(),
        reason: format!("Python {} cannot build it: {reason}", hint.value),
        help,
    };
    if native || planner.recipe.is_some() {
        let help = "omit --tool python, or write a recipe with another container".to_owned();
        let reason = if native {
            "wheels with compiled code are built with the Python of bookworm-python-native"
        } else {
            "the recipe says which container builds"
        };
        return Err(refused(reason, help));
    }
    let interpreter = Interpreter::named(&hint.value).ok_or_else(|| {
        let help = format!("known: {}", Interpreter::known());
        refused("no built-in container has it", help)
    })?;
    Ok(Some(Choice {
        interpreter,
        origin: hint.origin.clone(),
        of_day: None,
    }))
}

/// The facts about its build that the released wheel shows.
fn facts(purl: &str, name: &str, wheel: &Blob) -> Result<WheelFacts, PlanError> {
    wheel::read(&wheel.path)
        .map_err(|error| document(purl, name, &error))?
        .ok_or_else(|| document(purl, name, "it has no WHEEL file"))
}

/// The recipe, and the Python whose container builds the wheel: one that a hint names, or that the wheel shows signs
/// of.
fn recipe_and_python(
    planner: &Planner<'_>,
    purl: &str,
    released: &ReleasedFile,
    facts: &WheelFacts,
    native: bool,
) -> Result<(Recipe, Choice), PlanError> {
    // Another compressor is compiled first, and only that container has a compiler.
    let compressing = planner.hints.tools.contains_key(compressor::TOOL);
    let recipe = match &planner.recipe {
        Some(recipe) => recipe.clone(),
        None => Recipe::built_in("pypi-native-wheel")?,
    };
    let named = named_python(planner, purl, native)?;
    if native || planner.recipe.is_some() {
        return Ok((recipe, interpreter::usual()));
    }
    let chosen = || {
        let chosen = interpreter::choose(facts.python.as_ref(), released);
        // Other backends write the same wheels on every Python, and later versions of this one do not run there.
        let needless = chosen.interpreter.is_python_2() && !backend::runs_on_python_2(&facts.generator);
        if needless { interpreter::usual() } else { chosen }
    };
    let python = named.unwrap_or_else(chosen);
    let usual = interpreter::usual().interpreter;
    if compressing && python.interpreter != usual {
        return Err(PlanError::NotRebuildable {
            subject: purl.to_owned(),
            reason: format!(
                "Python {} cannot use another compressor",
                python.interpreter.version()
            ),
            help: format!(
                "only the container of Python {} has a compiler to build it",
                usual.version()
            ),
        });
    }
    if compressing {
        let of_day = None;
        return Ok((recipe, Choice { of_day, ..python }));
    }
    Ok((recipe_with(python.interpreter)?, python))
}

/// The recipe for a Python, in its container.
fn recipe_with(interpreter: Interpreter) -> Result<Recipe, PlanError> {
    let mut recipe = Recipe::built_in(interpreter.recipe())?;
    interpreter.container.clone_into(&mut recipe.container);
    Ok(recipe)
}

/// Prepares the container of a Python; if that is not available, that of the default, unless a hint named the Python.
async fn prepare(
    planner: &Planner<'_>,
    python: Choice,
    recipe: &mut Recipe,
) -> Result<(Choice, Lock, Root), PlanError> {
    match planner.container(&recipe.container).await {
        Ok((lock, root)) => Ok((python, lock, root)),
        Err(error) if matches!(python.origin, Origin::Inferred(_)) && !error.is_refusal() => {
            let usual = interpreter::instead_of(&python, &error);
            *recipe = recipe_with(usual.interpreter)?;
            let (lock, root) = planner.container(&recipe.container).await?;
            Ok((usual, lock, root))
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) struct Draft<'a> {
    pub planner: &'a Planner<'a>,
    pub purl: String,
    pub claims: Vec<Claim>,
    pub policy: Decision,
    pub project: &'a Project,
    pub released: &'a ReleasedFile,
    /// Whether the wheel has compiled code.
    pub native: bool,
    pub source: Source,
    pub facts: WheelFacts,
    /// The source of another compressor than Python's own, and what is assumed about it.
    pub compressor: Option<(PinnedInput, Assumption)>,
    pub recipe: Recipe,
    pub lock: Lock,
    pub root: Root,
    pub python: Choice,
}

impl Draft<'_> {
    /// Switches to another Python, since there is no plan with the current one.
    async fn switch_to(&mut self, interpreter: Interpreter, because: &PlanError) -> Result<(), PlanError> {
        self.recipe = recipe_with(interpreter)?;
        (self.lock, self.root) = self.planner.container(interpreter.container).await?;
        let before = self.python.interpreter.version();
        self.python = Choice {
            interpreter,
            origin: Origin::Tried(format!("no plan on Python {before}: {because}")),
            of_day: None,
        };
        Ok(())
    }

    /// The plan, with another Python if there is none with this one.
    async fn finish_on_some_python(&mut self) -> Result<Plan, PlanError> {
        match (self.finish().await, self.python.of_day) {
            // Packages of that day may not run on a later Python.
            (Err(error @ PlanError::NotRebuildable { .. }), Some(of_day)) => {
                if self.switch_to(of_day, &error).await.is_err() {
                    return Err(error);
                }
                self.finish().await.map_err(|_| error)
            }
            (ended, _) => ended,
        }
    }

    /// Solves the requirements, asks the backend for more, and makes the plan.
    async fn finish(&self) -> Result<Plan, PlanError> {
        let mut required = self.static_requirements();
        let dialect = self.dialect(&required);
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
        // A backend may require more when it runs (PEP 517); it is asked in the sandbox, with the requirements known
        // so far.
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

    /// The time before which a build requirement must have been uploaded.
    pub(super) fn newest(&self) -> Timestamp {
        let uploaded = self.released.uploaded;
        match self.planner.hints.settings.later {
            Some(_) => uploaded.checked_add(WEEKS_AFTER).unwrap_or(uploaded),
            None => uploaded,
        }
    }

    async fn plan(&self, required: &[String]) -> Result<Plan, PlanError> {
        let solution = requirements::solve(
            self.planner,
            &self.root,
            &self.purl,
            required,
            self.newest(),
            &[self.released.file.sha256],
            &interpreter::version_of(Some(&self.lock)),
        )
        .await?;
        let (inputs, git) = self.inputs(&solution);
        let version = self.released.version.to_string();
        // For tools that ask git for the version: the files of a commit have no repository around them.
        let values = [
            "SETUPTOOLS_SCM_PRETEND_VERSION",
            "PBR_VERSION",
            "PDM_BUILD_SCM_VERSION",
            "POETRY_DYNAMIC_VERSIONING_BYPASS",
        ]
        .map(|name| (name, version.as_str()));
        let values = match &self.source.place {
            Place::Sdist(_) => &[][..],
            Place::Git { .. } => &values[..],
        };
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
        let further = self.source.further.iter();
        git.extend(further.map(|further| further.pinned.clone()));
        let installer = chosen.installer.iter().map(|file| (places::INSTALLER, file));
        let dependencies = chosen.files.iter().map(|file| ("dependencies", file));
        inputs.extend(installer.chain(dependencies).map(|(folder, file)| PinnedInput {
            role: Role::Dependency,
            purl: None,
            place: format!("{folder}/{}", file.name),
            file: file.clone(),
        }));
        inputs.extend(self.compressor.iter().map(|(input, _)| input.clone()));
        (inputs, git)
    }
}
