//! Builds the project with some knobs turned.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::input::{Project, SETTINGS, missing_packages};
use super::knob::Variation;
use super::{Outputs, ProveError, source, vary};
use crate::artifact::{Ecosystem, PinnedFile, Sha256};
use crate::bounded;
use crate::container::Root;
use crate::credentials;
use crate::ecosystem::Planner;
use crate::ecosystem::local::{self, LocalSource};
use crate::execute::{BuildEnd, CheckedPlan, Executor};
use crate::plan::{
    Assumption, Basis, Expected, InlineFile, Origin, PinnedContainer, PinnedInput, Plan, Recipe, Role, assume,
};
use crate::policy::Decision;
use crate::run::RunFolder;
use crate::run::failure::log::shortened;
use crate::sandbox::{KeepMode, MachineView};
use crate::store::{Blob, PendingRun, Store, StoreError};

/// The builds of one project: its plan, its root, and the folder for outputs.
pub struct Builds<'a> {
    executor: Executor<'a>,
    /// The project.
    pub project: Project,
    tree: PathBuf,
    packed: Blob,
    base: Plan,
    basis: vary::Basis,
    root: Root,
    folder: PendingRun,
    count: AtomicUsize,
    held: AtomicBool,
}

/// Placeholder for the outputs in a plan, before they are known.
const NOT_KNOWN_YET: &str = "the outputs of the build";

impl<'a> Builds<'a> {
    /// Locks and fetches the dependencies of the project, and makes its root. If `out` is given, builds are made next
    /// to it and kept there.
    pub async fn prepare(
        planner: &Planner<'_>,
        executor: Executor<'a>,
        project: Project,
        tree: &Path,
        out: Option<&Path>,
    ) -> Result<Self, ProveError> {
        let folder_error = |source| ProveError::Folder {
            path: tree.display().to_string(),
            source,
        };
        let store = executor.workshop.fetcher.store();
        let tree = fs::canonicalize(tree).map_err(folder_error)?;
        let (epoch, said_by) = source::time(&tree).map_err(folder_error)?;
        let packed = source::pack(store, &tree)?;
        let mut recipe = project.recipe.clone();
        let container = local::container(planner, &project.name, &recipe)?;
        let root = crate::container::root(&container, executor.workshop).await?;
        let local = LocalSource {
            title: &project.name,
            tree: &tree,
            container: &container,
            root: &root,
            packages: &project.packages,
            debian: project.kind == "debian",
            npm: project.kind == "npm",
            time: epoch,
        };
        let found = local::dependencies(planner, &local, &mut recipe).await?;
        let base = base_plan(&project, &recipe, container, found, (epoch, said_by));
        let now = jiff::Timestamp::now().as_second();
        let basis = vary::Basis {
            name: project.name.clone(),
            folder: String::new(),
            now: vary::clock_for(epoch, now),
            owns: project.owns.clone(),
        };
        Ok(Self {
            folder: match out.map(beside) {
                Some(parent) => PendingRun::remembered(&parent, &store.runs())?,
                None => PendingRun::new(store)?,
            },
            count: AtomicUsize::new(0),
            held: AtomicBool::new(true),
            executor,
            project,
            tree,
            packed,
            base,
            basis,
            root,
        })
    }

    /// The folder of the project.
    pub fn tree(&self) -> &Path {
        &self.tree
    }

    /// Number of builds so far.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Name of the backend.
    pub fn backend(&self) -> &'static str {
        self.executor.backend.name()
    }

    /// The environment of the builds, for people.
    pub fn container(&self) -> String {
        self.base.container.describe()
    }

    /// The assumptions about the project.
    pub fn plan_assumptions(&self) -> &[Assumption] {
        &self.base.assumptions
    }

    /// Whether the baseline's clock is stopped.
    pub fn is_clock_held(&self) -> bool {
        self.held.load(Ordering::SeqCst)
    }

    /// Lets the baseline's clock run, for builds that wait for time to pass.
    pub(super) fn let_clock_run(&self) {
        self.held.store(false, Ordering::SeqCst);
    }

    /// The folder of all builds while they are made.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The store.
    pub(super) fn store(&self) -> &Store {
        self.executor.workshop.fetcher.store()
    }

    /// The packed source.
    pub(super) fn packed(&self) -> &Blob {
        &self.packed
    }

    /// Moves the folder of all builds to its final place.
    pub(super) fn settle(self, place: &Path) -> Result<(), ProveError> {
        self.folder.keep(place)?;
        Ok(())
    }

    /// The error of a build of the baseline.
    pub(super) fn broken(&self, reason: String, outputs: &Outputs) -> ProveError {
        ProveError::Fails {
            reason,
            last: outputs.last_lines(),
            log: outputs.log.display().to_string(),
            missing: self.missing(outputs),
        }
    }

    /// The same error, with a log that is kept after the builds are removed.
    pub(super) fn with_log_kept(error: ProveError) -> ProveError {
        let ProveError::Fails {
            reason,
            last,
            log,
            missing,
        } = error
        else {
            return error;
        };
        let place = tempfile::Builder::new()
            .prefix("rebuilder-prove-")
            .suffix(".log")
            .tempfile();
        let kept = place.ok().and_then(|place| {
            fs::copy(&log, place.path()).ok()?;
            place.into_temp_path().keep().ok()
        });
        ProveError::Fails {
            reason,
            last,
            log: kept.map_or(log, |path| path.display().to_string()),
            missing,
        }
    }

    /// Packages with the files that a build did not find.
    pub(super) fn missing(&self, outputs: &Outputs) -> Vec<String> {
        let log = bounded::tail(&outputs.log, 64 << 10).unwrap_or_default();
        missing_packages(&log, &self.tree).into_iter().collect()
    }

    /// Digest of the source archive.
    pub fn source(&self) -> Sha256 {
        self.packed.sha256
    }

    /// The plan of a build of the project's own tree.
    pub fn plan(&self, variation: &Variation) -> Plan {
        self.plan_of(variation, &self.packed, &self.project)
    }

    fn plan_of(&self, variation: &Variation, packed: &Blob, project: &Project) -> Plan {
        let mut plan = vary::plan(&self.base, &self.basis, variation, &project.env);
        plan.inputs.push(PinnedInput {
            role: Role::Source,
            purl: None,
            place: vary::SOURCE.into(),
            file: PinnedFile {
                name: format!("{}.tar", self.project.name),
                urls: Vec::new(),
                sha256: packed.sha256,
                size: packed.size,
            },
        });
        for (place, text) in [
            (vary::SCRIPT, project.build.clone()),
            (vary::HAND_OUT, project.hand_out()),
        ] {
            plan.files.push(InlineFile {
                place: place.into(),
                text,
            });
        }
        plan
    }

    /// Builds a source tree: the project's own, or a copy of it with a change.
    pub async fn run(&self, variation: &Variation, tree: &Path) -> Result<Outputs, ProveError> {
        self.run_by(self.executor, variation, tree).await
    }

    /// Builds the project's own tree, and records in `events` what its processes do to files.
    pub(super) async fn run_traced(
        &self,
        variation: &Variation,
        events: &Path,
    ) -> Result<Outputs, ProveError> {
        let traced = self.executor.workshop.sandbox.traced(events);
        let executor = Executor {
            backend: &traced,
            ..self.executor
        };
        self.run_by(executor, variation, &self.tree).await
    }

    /// The build script, and the file of the project that contains its text, if any.
    pub(super) fn script(&self) -> Option<(&'static str, &'static str)> {
        let says = Project::says_how(&self.tree);
        says.then_some((vary::SCRIPT_PATH, SETTINGS))
    }

    /// The folder of the source in a build.
    pub(super) fn source_path(&self, variation: &Variation) -> String {
        vary::source(&self.basis, variation)
    }

    async fn run_by(
        &self,
        executor: Executor<'_>,
        variation: &Variation,
        tree: &Path,
    ) -> Result<Outputs, ProveError> {
        let store = executor.workshop.fetcher.store();
        let (packed, project) = if tree == self.tree {
            (self.packed.clone(), self.project.clone())
        } else {
            // A change may be one of the settings.
            (source::pack(store, tree)?, self.project.changed(tree)?)
        };
        let number = self.count.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        let folder = self.folder.path().join(format!("build-{number}"));
        let run = RunFolder::new(&folder);
        fs::create_dir_all(run.rebuilt()).map_err(StoreError::io("make the folder", &folder))?;
        fs::write(run.log(), "").map_err(StoreError::io("write", &run.log()))?;
        let plan = CheckedPlan::check(self.plan_of(variation, &packed, &project))?;
        let inputs = executor.fetch(&plan).await?;
        let hostname = vary::hostname(&self.basis, variation);
        let view = if executor.backend.name() == "embedded" && cfg!(target_arch = "x86_64") {
            vary::view(&self.basis, variation, self.is_clock_held())
        } else {
            MachineView::default()
        };
        let execution = executor
            .run_varied(&plan, &self.root, &inputs, &run, KeepMode::Outputs, move |job| {
                hostname.clone_into(&mut job.hostname);
                job.view = view;
            })
            .await?;
        let (files, failed) = match execution.end {
            BuildEnd::Built { outputs, .. } => (outputs, None),
            BuildEnd::Failed { reason, .. } => (Vec::new(), Some(reason)),
        };
        Ok(Outputs {
            variation: variation.clone(),
            folder: run.rebuilt(),
            files,
            log: run.log(),
            seconds: execution.build_seconds,
            failed,
        })
    }
}

/// The parent folder of a path.
fn beside(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new(".")).to_owned()
}

/// The plan of the project without anything varied; `epoch` is the time of its source, and what says so.
fn base_plan(
    project: &Project,
    recipe: &Recipe,
    container: PinnedContainer,
    found: local::Found,
    (epoch, said_by): (i64, &str),
) -> Plan {
    let mut base = Plan::of(Basis {
        ecosystem: Ecosystem::Provenance,
        subject: format!("pkg:generic/{}", project.name),
        claims: Vec::new(),
        policy: Decision::default(),
        expected: vec![not_known_yet(&project.name)],
        recipe,
        container,
    });
    base.inputs = found.inputs;
    base.assumptions = found.assumptions;
    // Debian's tools take it from the changelog.
    if project.kind != "debian" && !project.env.contains_key("SOURCE_DATE_EPOCH") {
        base.build
            .env
            .insert("SOURCE_DATE_EPOCH".into(), epoch.to_string());
        base.assumptions.push(assume(
            "SOURCE_DATE_EPOCH",
            epoch.to_string(),
            Origin::Inferred(said_by.into()),
        ));
    }
    if !project.provided.is_empty() {
        base.assumptions.push(assume(
            "packages for missing programs",
            project.provided.join(", "),
            Origin::Inferred("the build needs files in these packages, which the container lacks".into()),
        ));
    }
    base.build.env.insert("INSTALLED".into(), "/tmp/installed".into());
    base
}

fn not_known_yet(name: &str) -> Expected {
    Expected {
        purl: format!("pkg:generic/{name}"),
        file: PinnedFile {
            name: NOT_KNOWN_YET.into(),
            urls: Vec::new(),
            sha256: Sha256::of(NOT_KNOWN_YET),
            size: 0,
        },
    }
}

impl Outputs {
    /// The last lines of its log, without credentials.
    pub fn last_lines(&self) -> String {
        let log = bounded::tail(&self.log, 64 << 10).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(3).map(shortened).collect();
        let last = lines.into_iter().rev().collect::<Vec<_>>().join(" / ");
        credentials::redacted(&last).unwrap_or(last)
    }
}
