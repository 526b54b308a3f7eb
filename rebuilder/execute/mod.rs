//! Running a plan: its inputs from the store or the network, its root, its jobs in a sandbox, and what they leave.
//!
//! This module turns a plan into bytes; [`crate::rebuild`] finds out whether they are the right ones.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod checked;

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use tokio::sync::SemaphorePermit;

use crate::artifact::PinnedFile;
use crate::artifact::serialise::SerialiseError;
use crate::bounded;
use crate::container::{self, ContainerError, Root, Workshop, has_layer, keep_layer, kept_layer};
use crate::credentials;
use crate::ledger;
use crate::plan::{PinnedGit, Plan, Role, SetupJob, Work};
use crate::run::failure::log::shortened;
use crate::run::{RunFolder, Stage};
use crate::sandbox::{
    ExitReason, Input, Job, KeepMode, MachineView, Output, RootLayers, Sandbox, SandboxError,
};
use crate::store::{Blob, FetchError, GitError, PendingRun, StoreError};

pub use checked::{CheckedPlan, PlanRefused};

/// A plan that could not be run to its end.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum ExecuteError {
    #[error("{stage}: {reason}; last output: {last}")]
    Question {
        stage: Stage,
        reason: String,
        last: String,
    },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Refused(#[from] PlanRefused),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Container(#[from] ContainerError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Serialise(#[from] SerialiseError),
}

/// Runs plans with one backend.
#[derive(Clone, Copy)]
pub struct Executor<'a> {
    /// Store, network and helper.
    pub workshop: Workshop<'a>,
    /// Runs the build.
    pub backend: &'a dyn Sandbox,
}

/// The files that a run of a plan reads, on this machine.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// The plan's inputs that are sources, in its order.
    pub sources: Vec<Blob>,
    /// Those that are dependencies; `None` if the store has the layer that the setup makes of them, the only one to
    /// read them.
    pub dependencies: Option<Vec<Blob>>,
    /// The released files, in the plan's order; `None` if only the digest is known.
    pub released: Vec<Option<Blob>>,
    /// Archives of the plan's sources from git, in its order.
    pub git: Vec<Blob>,
}

/// What the jobs of a plan came to.
#[derive(Debug)]
pub struct Execution {
    /// How they ended.
    pub end: BuildEnd,
    /// Seconds for the setup; almost none if its layer was kept from an earlier run.
    pub setup_seconds: f64,
    /// Seconds for the build.
    pub build_seconds: f64,
}

/// How the jobs of a plan ended.
#[derive(Debug)]
pub enum BuildEnd {
    /// They left outputs.
    Built {
        /// The outputs.
        outputs: Vec<Output>,
        /// Limits that this machine could not enforce.
        not_enforced: Vec<String>,
    },
    /// One of them failed, so there is nothing to compare.
    Failed {
        /// The phase.
        stage: Stage,
        /// What happened there.
        reason: String,
        /// How the command ended.
        ended: ExitReason,
    },
}

/// What became of the setup of a plan.
enum Layer {
    /// The folder with the installed build dependencies.
    Ready(PathBuf),
    /// The setup failed.
    Failed(ExitReason),
}

impl Executor<'_> {
    /// The plan with the digest of every archive that it takes from git.
    pub async fn pinned(&self, plan: CheckedPlan) -> Result<CheckedPlan, ExecuteError> {
        let mut archives = Vec::new();
        for git in &plan.git {
            archives.push(self.git_archive(git).await?.sha256);
        }
        Ok(plan.with_archives(&archives)?)
    }

    /// The files that a run of the plan reads, verified, from the store or its mirrors.
    pub async fn fetch(&self, plan: &CheckedPlan) -> Result<Inputs, ExecuteError> {
        let fetcher = self.workshop.fetcher;
        // A file without a URL is in the store, or only its digest is known and compared.
        let expected = plan.expected.iter().map(|expected| &expected.file);
        let public: Vec<PinnedFile> = expected
            .clone()
            .filter(|file| !file.urls.is_empty())
            .cloned()
            .collect();
        let fetched = fetcher.get_all("fetching what was released", &public).await?;
        let mut fetched = fetched.into_iter();
        let mut released = Vec::new();
        for file in expected {
            released.push(if file.urls.is_empty() {
                fetcher.store().get(file.sha256)?
            } else {
                fetched.next()
            });
        }
        Ok(Inputs {
            released,
            ..self.fetch_inputs(plan).await?
        })
    }

    /// The root of the plan, built or reused.
    pub async fn root(&self, plan: &CheckedPlan) -> Result<Root, ExecuteError> {
        Ok(container::root(&plan.container, self.workshop).await?)
    }

    /// Setup, then build; the outputs are written to `run`, a folder that already has its log.
    pub async fn run(
        &self,
        plan: &CheckedPlan,
        root: &Root,
        inputs: &Inputs,
        run: &RunFolder,
        keep: KeepMode,
    ) -> Result<Execution, ExecuteError> {
        let same = |_: &mut Job<'_>| {};
        self.run_varied(plan, root, inputs, run, keep, same).await
    }

    /// The same with a build that `vary` may change in what the plan does not say, or says for the setup as well.
    pub async fn run_varied(
        &self,
        plan: &CheckedPlan,
        root: &Root,
        inputs: &Inputs,
        run: &RunFolder,
        keep: KeepMode,
        vary: impl FnOnce(&mut Job<'_>) + Send,
    ) -> Result<Execution, ExecuteError> {
        let jobs = plan.jobs(&root.config)?;
        let begun = Instant::now();
        let mut layers = root.layers();
        let work = match &jobs.setup {
            Some(setup) if self.backend.takes_layers() => {
                match self.setup_layer(plan, setup, &layers, inputs, run).await? {
                    Layer::Ready(layer) => layers.folders.push(layer),
                    Layer::Failed(ended) => {
                        return Ok(Execution {
                            end: failed(Stage::Setup, ended),
                            setup_seconds: 0.0,
                            build_seconds: 0.0,
                        });
                    }
                }
                &jobs.build
            }
            _ => &jobs.together,
        };
        let setup_seconds = begun.elapsed().as_secs_f64();

        let bar = self.workshop.progress.stage(format!("building {}", jobs.title));
        let (rebuilt, log) = (run.rebuilt(), run.log());
        let mut job = Job {
            keep,
            outputs: &rebuilt,
            ..self.job(plan, work, &layers, inputs, &rebuilt, &log)?
        };
        vary(&mut job);
        let place = self.place().await;
        let outcome = self.backend.run(&job, &bar).await?;
        drop(place);
        bar.finish_and_clear();
        let ledger = self.workshop.fetcher.ledger();
        ledger.ended(ledger::Work::Build, outcome.took);
        Ok(Execution {
            end: if outcome.ended.succeeded() {
                BuildEnd::Built {
                    outputs: outcome.outputs,
                    not_enforced: outcome.not_enforced.iter().map(ToString::to_string).collect(),
                }
            } else {
                failed(Stage::Build, outcome.ended)
            },
            setup_seconds,
            build_seconds: outcome.took.as_secs_f64(),
        })
    }

    /// Runs a plan's build for one small file, such as a build backend's answer; for planners.
    pub async fn output_of(&self, plan: Plan, name: &str, root: &Root) -> Result<Vec<u8>, ExecuteError> {
        let plan = CheckedPlan::check(plan)?;
        let folder = PendingRun::new(self.workshop.fetcher.store())?;
        let run = RunFolder::new(folder.path());
        fs::create_dir(run.rebuilt()).map_err(StoreError::io("write into", folder.path()))?;
        let inputs = self.fetch_inputs(&plan).await?;
        let execution = self.run(&plan, root, &inputs, &run, KeepMode::Answer).await?;
        if let BuildEnd::Failed { stage, reason, .. } = execution.end {
            let log = bounded::tail(&run.log(), LAST_OUTPUT).unwrap_or_default();
            let lines: Vec<_> = log.lines().rev().take(3).map(shortened).collect();
            let last = lines.into_iter().rev().collect::<Vec<_>>().join(" / ");
            let last = credentials::redacted(&last).unwrap_or(last);
            return Err(ExecuteError::Question { stage, reason, last });
        }
        let path = run.rebuilt().join(name);
        Ok(bounded::read(&path, bounded::ANSWER).map_err(StoreError::io("read", &path))?)
    }

    async fn fetch_inputs(&self, plan: &CheckedPlan) -> Result<Inputs, ExecuteError> {
        let store = self.workshop.fetcher.store();
        let is_kept = self.backend.takes_layers()
            && !plan.setup.steps.is_empty()
            && has_layer(store, plan.setup_digest()?);
        let sources = self.fetch_all(plan, Role::Source).await?;
        let dependencies = if is_kept {
            None
        } else {
            Some(self.fetch_all(plan, Role::Dependency).await?)
        };
        let mut git = Vec::new();
        for pinned in &plan.git {
            git.push(self.git_archive(pinned).await?);
        }
        Ok(Inputs {
            sources,
            dependencies,
            released: Vec::new(),
            git,
        })
    }

    /// The plan's inputs with this role, in its order.
    async fn fetch_all(&self, plan: &CheckedPlan, role: Role) -> Result<Vec<Blob>, FetchError> {
        let inputs = plan.inputs.iter().filter(|input| input.role == role);
        let files: Vec<_> = inputs.map(|input| input.file.clone()).collect();
        self.workshop.fetcher.get_all("fetching the inputs", &files).await
    }

    /// The archive of a commit: the pinned one from the store, or a new one that is compared with it.
    async fn git_archive(&self, git: &PinnedGit) -> Result<Blob, GitError> {
        let fetcher = self.workshop.fetcher;
        if let Some(pinned) = git.archive
            && let Some(blob) = fetcher.store().get(pinned)?
        {
            return Ok(blob);
        }
        let blob;
        let checkout;
        if git.without.is_empty() {
            checkout = fetcher.git(&git.source).await?;
            blob = fetcher.git_archive(&checkout, git.submodules).await?;
        } else {
            checkout = fetcher.git_or_parts(&git.source).await?;
            blob = fetcher.git_archive_without(&checkout, &git.without).await?;
        }
        match git.archive {
            Some(expected) if expected != blob.sha256 => Err(GitError::Differs {
                repository: git.source.repository.clone(),
                commit: checkout.commit,
                expected,
                found: blob.sha256,
            }),
            _ => Ok(blob),
        }
    }

    /// Installs the build dependencies once; later runs with the same ones take the layer as it is.
    async fn setup_layer(
        &self,
        plan: &CheckedPlan,
        setup: &SetupJob,
        root: &RootLayers,
        inputs: &Inputs,
        run: &RunFolder,
    ) -> Result<Layer, ExecuteError> {
        let Workshop {
            fetcher,
            sandbox,
            progress,
            ..
        } = self.workshop;
        let store = fetcher.store();
        if let Some(layer) = kept_layer(store, setup.digest, sandbox, progress).await? {
            return Ok(Layer::Ready(layer));
        }
        let bar = progress.stage("installing the build dependencies");
        let outputs = tempfile::tempdir_in(run.path()).map_err(StoreError::io("write into", run.path()))?;
        let log = run.log();
        let fetched;
        let inputs = if inputs.dependencies.is_some() {
            inputs
        } else {
            // The layer was there when the inputs were fetched, and then its contents turned out to be other ones.
            fetched = Inputs {
                dependencies: Some(self.fetch_all(plan, Role::Dependency).await?),
                ..inputs.clone()
            };
            &fetched
        };
        let mut job = self.job(plan, &setup.work, root, inputs, outputs.path(), &log)?;
        job.keep = KeepMode::Layer;
        let place = self.place().await;
        let outcome = sandbox.run(&job, &bar).await?;
        drop(place);
        fetcher.ledger().ended(ledger::Work::Setup, outcome.took);
        bar.finish_and_clear();
        let Some(made) = outcome.layer.filter(|_| outcome.ended.succeeded()) else {
            return Ok(Layer::Failed(outcome.ended));
        };
        let folder = made.parent().unwrap_or(&made);
        let layer = keep_layer(store, setup.digest, folder, sandbox).await?;
        Ok(Layer::Ready(layer))
    }

    /// Waits for a place among the builds that run at the same time, and notes how long that took.
    async fn place(&self) -> Option<SemaphorePermit<'_>> {
        let _waiting = self.workshop.fetcher.ledger().begin(ledger::Work::Wait);
        self.workshop.sandbox.place().await
    }

    /// The job for a piece of a plan's work, on some layers.
    fn job<'a>(
        &self,
        plan: &CheckedPlan,
        work: &Work,
        root: &'a RootLayers,
        inputs: &Inputs,
        outputs: &'a std::path::Path,
        log: &'a std::path::Path,
    ) -> Result<Job<'a>, ExecuteError> {
        let input = |name: &str, path: PathBuf| Input {
            name: name.to_owned(),
            path,
        };
        let mut staged = Vec::new();
        for role in &work.roles {
            let blobs = match role {
                Role::Source => Some(&inputs.sources),
                Role::Dependency => inputs.dependencies.as_ref(),
            };
            let pinned = plan.inputs.iter().filter(|input| input.role == *role);
            let files = pinned.zip(blobs.into_iter().flatten());
            staged.extend(files.map(|(pinned, blob)| input(&pinned.place, blob.path.clone())));
        }
        if work.roles.contains(&Role::Source) {
            for file in &plan.files {
                let kept = self.workshop.fetcher.store().keep(file.text.as_bytes())?;
                staged.push(input(&file.place, kept.path));
            }
            let archives = plan.git.iter().zip(&inputs.git);
            staged.extend(archives.map(|(git, blob)| input(&git.place, blob.path.clone())));
        }
        Ok(Job {
            root,
            inputs: staged,
            script: work.script.clone(),
            env: work.env.clone(),
            hostname: plan.hostname.clone(),
            umask: plan.umask,
            limits: plan.limits,
            view: MachineView::default(),
            keep: KeepMode::Outputs,
            outputs,
            log,
        })
    }
}

/// How many bytes of a log are searched for its last lines.
const LAST_OUTPUT: u64 = 64 << 10;

fn failed(stage: Stage, ended: ExitReason) -> BuildEnd {
    BuildEnd::Failed {
        stage,
        reason: format!("the command {ended}; see build.log"),
        ended,
    }
}
