//! The main job: plan in, bytes out; bytes against bytes, verdict out.

mod cost;
mod outputs;
mod pending;
mod record;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::artifact::Sha256;
use crate::bounded;
use crate::compare::{self, CompareError};
use crate::container::{ContainerError, ImageConfig, Root, keep_layer, kept_layer};
use crate::credentials::{self, Findings, InPlan, Searched};
use crate::deadline::{Deadline, Over};
use crate::ledger::Work;
use crate::plan::{Phase, PinnedGit, Plan, Role};
use crate::progress::Progress;
use crate::report;
use crate::sandbox::embedded::Embedded;
use crate::sandbox::{
    Ended, Input, Job, Keep, Output, RootLayers, Sandbox, SandboxError, quote, shell_command,
};
use crate::store::{Blob, FetchError, Fetcher, GitError, Store, StoreError, write_atomically};

pub use cost::Cost;
pub use pending::{PendingRun, sweep};
pub use record::{Attempt, Evidence, OutputResult, Record, RunFolder, Timings, Verdict};

use outputs::compare_outputs;

/// Variable with the entrypoint of the image that a step runs in, as shell words.
pub const IMAGE_ENTRYPOINT: &str = "IMAGE_ENTRYPOINT";

/// A rebuild that broke before it could conclude anything.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[allow(missing_docs)]
pub enum RebuildError {
    #[error("{verdict}; its last words: {last}")]
    Asking { verdict: String, last: String },
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
    Compare(#[from] CompareError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Report(#[from] report::ReportError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Credential(#[from] InPlan),
    #[error("the input {place} is the released {name} itself, so building it again would show nothing")]
    #[diagnostic(help(
        "nothing was built; where the source needs itself to be built, a plan must bring another version of it"
    ))]
    Answer { place: String, name: String },
    #[error("the rebuild was interrupted; nothing of it was kept")]
    Interrupted,
    #[error("a bug ended the comparison: {reason}")]
    Bug { reason: String },
}

/// What a rebuild works with.
pub struct Rebuilder<'a> {
    /// The way to pinned files.
    pub fetcher: &'a Fetcher,
    /// Makes roots, and layers where the backend takes them.
    pub embedded: &'a Embedded,
    /// Runs the build.
    pub backend: &'a dyn Sandbox,
    /// Where progress goes.
    pub progress: &'a Progress,
    /// Whether the plans that it follows were made, and their claims verified, in this run.
    pub evidence: Evidence,
    /// How what differs is compared.
    pub compare: compare::Options,
    /// Sources that were searched for credentials before.
    pub searched: Searched,
}

impl Rebuilder<'_> {
    /// Follows `plan` to its end and leaves everything about it in `run`, a folder that is there and empty.
    pub async fn rebuild(&self, plan: &Plan, run: &RunFolder) -> Result<Record, RebuildError> {
        let (started, clock) = (Timestamp::now(), Instant::now());
        credentials::check_plan(plan)?;
        without_the_answer(plan)?;
        let mut timings = Timings::default();
        let rebuilt = run.rebuilt();
        fs::create_dir(&rebuilt).map_err(StoreError::io("make the folder", &rebuilt))?;
        let plan = &self.pinned(plan).await?;
        write_atomically(&run.plan(), &plan.canonical())?;
        fs::write(run.log(), "").map_err(StoreError::io("write", &run.log()))?;

        let blobs = self.fetch(plan).await?;
        let root = plan
            .container
            .root(self.fetcher, self.embedded, self.progress)
            .await?;
        timings.prepare = clock.elapsed().as_secs_f64();

        let built = self
            .run_phases(plan, &root, &blobs, run, Keep::Outputs, &mut timings)
            .await?;

        let before = clock.elapsed();
        let digest = plan.digest();
        let mut record = Record {
            version: 1,
            id: format!("{}-{}", started.strftime("%Y%m%dT%H%M%S%3fZ"), digest.short()),
            subject: plan.subject.clone(),
            verdict: Verdict::Mismatch,
            plan: digest,
            evidence: self.evidence,
            outputs: Vec::new(),
            not_compared: Vec::new(),
            backend: self.backend.name().to_owned(),
            credentials: Vec::new(),
            not_searched: Vec::new(),
            not_enforced: Vec::new(),
            attempts: Vec::new(),
            log: Sha256::of(""),
            report: Sha256::of(""),
            rebuilder: env!("CARGO_PKG_VERSION").to_owned(),
            started,
            finished: started,
            timings,
        };
        let bar = self.progress.stage("comparing");
        let aftermath = Aftermath {
            plan: plan.clone(),
            blobs,
            run: run.clone(),
            searched: self.searched.clone(),
            compare: self.compare.clone(),
            deadline: Deadline::default(),
        };
        // It waits for nothing, so it has a thread of its own; if nobody waits for it any more, it ends.
        let _guard = aftermath.deadline.guard();
        let worked = tokio::task::spawn_blocking(move || {
            aftermath.follow(built, &mut record)?;
            record.timings.compare = clock.elapsed().saturating_sub(before).as_secs_f64();
            record.timings.total = clock.elapsed().as_secs_f64();
            record.finished = Timestamp::now();
            record.write(&aftermath.plan, &aftermath.run)?;
            Ok(record)
        });
        let record = worked.await.unwrap_or_else(|error| {
            Err(RebuildError::Bug {
                reason: error.to_string(),
            })
        });
        bar.finish_and_clear();
        record
    }

    /// Runs a plan's build phase for one small file, such as what a backend answers when asked; for planners.
    pub async fn output_of(&self, plan: &Plan, name: &str, root: &Root) -> Result<Vec<u8>, RebuildError> {
        let folder = PendingRun::below(&self.fetcher.store().path().join("runs"))?;
        let run = RunFolder::new(folder.path());
        fs::create_dir(run.rebuilt()).map_err(StoreError::io("write into", folder.path()))?;
        let mut git = Vec::new();
        for pinned in &plan.git {
            git.push(self.git_archive(pinned).await?);
        }
        let blobs = Blobs {
            inputs: self.fetch_inputs(plan).await?,
            released: Vec::new(),
            git,
        };
        let built = self
            .run_phases(plan, root, &blobs, &run, Keep::Answer, &mut Timings::default())
            .await?;
        if let Err(verdict) = built {
            let log = bounded::tail(&run.log(), LAST_WORDS).unwrap_or_default();
            let lines: Vec<_> = log.lines().rev().take(3).collect();
            let last = lines.into_iter().rev().collect::<Vec<_>>().join(" / ");
            let last = credentials::redacted(&last).unwrap_or(last);
            return Err(RebuildError::Asking {
                verdict: verdict.to_string(),
                last,
            });
        }
        let path = run.rebuilt().join(name);
        Ok(bounded::read(&path, bounded::ANSWER).map_err(StoreError::io("read", &path))?)
    }

    /// The plan with the digest of every archive that it takes from git.
    pub async fn pinned(&self, plan: &Plan) -> Result<Plan, RebuildError> {
        let mut plan = plan.clone();
        for git in &mut plan.git {
            git.archive = Some(self.git_archive(git).await?.sha256);
        }
        Ok(plan)
    }

    /// The archive of a commit: the pinned one from the store, or made again and compared.
    async fn git_archive(&self, git: &PinnedGit) -> Result<Blob, GitError> {
        if let Some(pinned) = git.archive
            && let Some(blob) = self.fetcher.store().get(pinned)?
        {
            return Ok(blob);
        }
        let checkout = self.fetcher.git(&git.source).await?;
        let blob = self.fetcher.git_archive(&checkout, git.submodules).await?;
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

    async fn fetch_inputs(&self, plan: &Plan) -> Result<Vec<Blob>, FetchError> {
        let inputs: Vec<_> = plan.inputs.iter().map(|input| input.file.clone()).collect();
        self.fetcher.get_all("fetching the inputs", &inputs).await
    }

    /// Every file that the plan names, verified, from the store or its mirrors.
    async fn fetch(&self, plan: &Plan) -> Result<Blobs, RebuildError> {
        // Without a URL a file is in the store, or only its digest is known and the digests are compared.
        let files = plan.expected.iter().map(|expected| &expected.file);
        let public: Vec<_> = files
            .clone()
            .filter(|file| !file.urls.is_empty())
            .cloned()
            .collect();
        let fetched = self
            .fetcher
            .get_all("fetching what was released", &public)
            .await?;
        let mut fetched = fetched.into_iter();
        let mut released = Vec::new();
        for file in files {
            released.push(if file.urls.is_empty() {
                self.fetcher.store().get(file.sha256)?
            } else {
                fetched.next()
            });
        }
        let mut git = Vec::new();
        for pinned in &plan.git {
            git.push(self.git_archive(pinned).await?);
        }
        Ok(Blobs {
            inputs: self.fetch_inputs(plan).await?,
            released,
            git,
        })
    }

    /// Setup, then build; inside, the outputs and the limits that were not enforced, or why there are none.
    async fn run_phases(
        &self,
        plan: &Plan,
        root: &Root,
        blobs: &Blobs,
        run: &RunFolder,
        keep: Keep,
        timings: &mut Timings,
    ) -> Result<Built, RebuildError> {
        let begun = Instant::now();
        let setup = if self.backend.takes_layers() {
            self.setup_layer(plan, root, blobs, run).await?
        } else {
            Setup::None
        };
        timings.setup = begun.elapsed().as_secs_f64();
        match setup {
            Setup::Failed(ended) => Ok(Err(inconclusive("setup", ended))),
            Setup::Layer(layer) => {
                self.build(plan, root, Some(layer), blobs, run, keep, timings)
                    .await
            }
            Setup::None => self.build(plan, root, None, blobs, run, keep, timings).await,
        }
    }

    /// Installs the build dependencies once; later runs with the same ones take the layer as it is.
    async fn setup_layer(
        &self,
        plan: &Plan,
        root: &Root,
        blobs: &Blobs,
        run: &RunFolder,
    ) -> Result<Setup, RebuildError> {
        if plan.setup.steps.is_empty() {
            return Ok(Setup::None);
        }
        let (store, key) = (self.fetcher.store(), plan.setup_digest());
        if let Some(layer) = kept_layer(store, key, self.embedded, self.progress).await? {
            return Ok(Setup::Layer(layer));
        }
        let bar = self.progress.stage("installing the build dependencies");
        let layers = root.layers();
        let outputs = tempfile::tempdir_in(run.path()).map_err(StoreError::io("write into", run.path()))?;
        let log = run.log();
        let mut job = job(plan, &layers, outputs.path(), &log);
        job.inputs = staged(plan, blobs, Role::Dependency);
        job.script = plan.setup.script();
        job.env = environment(&plan.setup, &root.config);
        job.keep = Keep::Layer;
        let outcome = self.embedded.run(&job, &bar).await?;
        self.fetcher.ledger().ended(Work::Setup, outcome.took);
        bar.finish_and_clear();
        let Some(made) = outcome.layer.filter(|_| outcome.ended.well()) else {
            return Ok(Setup::Failed(outcome.ended));
        };
        let folder = made.parent().unwrap_or(&made);
        Ok(Setup::Layer(keep_layer(store, key, folder, self.embedded).await?))
    }

    #[allow(clippy::too_many_arguments)]
    async fn build(
        &self,
        plan: &Plan,
        root: &Root,
        layer: Option<PathBuf>,
        blobs: &Blobs,
        run: &RunFolder,
        keep: Keep,
        timings: &mut Timings,
    ) -> Result<Built, RebuildError> {
        let bar = self.progress.stage(format!("building {}", plan.title()));
        let mut layers = root.layers();
        let has_layer = layer.is_some();
        layers.folders.extend(layer);
        let (rebuilt, log) = (run.rebuilt(), run.log());
        let mut job = job(plan, &layers, &rebuilt, &log);
        job.keep = keep;
        job.inputs = staged(plan, blobs, Role::Source);
        job.inputs.extend(inline(plan, self.fetcher.store())?);
        job.inputs
            .extend(plan.git.iter().zip(&blobs.git).map(|(git, blob)| Input {
                name: git.place.clone(),
                path: blob.path.clone(),
            }));
        if has_layer || plan.setup.steps.is_empty() {
            job.script = plan.build.script();
            job.env = environment(&plan.build, &root.config);
        } else {
            // One sandbox for both phases; each has its own environment.
            job.inputs.extend(staged(plan, blobs, Role::Dependency));
            job.script = [&plan.setup, &plan.build]
                .map(|phase| shell_command(&environment(phase, &root.config), &phase.script()))
                .join("\n");
        }
        let outcome = self.backend.run(&job, &bar).await?;
        bar.finish_and_clear();
        timings.build = outcome.took.as_secs_f64();
        self.fetcher.ledger().ended(Work::Build, outcome.took);
        if !outcome.ended.well() {
            return Ok(Err(inconclusive("build", outcome.ended)));
        }
        Ok(Ok((outcome.outputs, outcome.not_enforced)))
    }
}

/// Outputs and limits that were not enforced, or the verdict that there is nothing to compare.
type Built = Result<(Vec<Output>, Vec<String>), Verdict>;

/// How much of a log is told where a question was not answered.
const LAST_WORDS: u64 = 64 << 10;

/// Refuses a plan that hands the released bytes to the build: it could copy them.
///
/// Debian's own archive is the exception. Its compilers and its tools for packages are built with themselves, so their
/// build dependencies hold what was released, as they did when the archive built it; the plan lists each one.
pub fn without_the_answer(plan: &Plan) -> Result<(), RebuildError> {
    let bootstraps = plan.ecosystem == "debian";
    let inputs = plan.inputs.iter();
    let inputs = inputs
        .filter(|input| !(bootstraps && input.role == Role::Dependency))
        .map(|input| (&input.place, input.file.sha256));
    let files = plan
        .files
        .iter()
        .map(|file| (&file.place, Sha256::of(&file.text)));
    let git = plan.git.iter().filter_map(|git| Some((&git.place, git.archive?)));
    for (place, sha256) in inputs.chain(files).chain(git) {
        if let Some(expected) = plan
            .expected
            .iter()
            .find(|expected| expected.file.sha256 == sha256)
        {
            return Err(RebuildError::Answer {
                place: place.clone(),
                name: expected.file.name.clone(),
            });
        }
    }
    Ok(())
}

/// What follows a build: everything that came out is a stranger's, so all of it has one time limit and can be ended.
struct Aftermath {
    plan: Plan,
    blobs: Blobs,
    run: RunFolder,
    searched: Searched,
    compare: compare::Options,
    deadline: Deadline,
}

impl Aftermath {
    /// Compares and searches the outputs, takes credentials out of the log, and concludes.
    fn follow(&self, built: Built, record: &mut Record) -> Result<(), RebuildError> {
        match built {
            Ok((outputs, not_enforced)) => {
                let deadline = self.deadline.at_most(self.time(&outputs));
                let options = compare::Options {
                    deadline: deadline.clone(),
                    ..self.compare.clone()
                };
                let (compared, found) = std::thread::scope(|scope| {
                    let search = scope.spawn(|| self.search(&outputs, &deadline));
                    let compared =
                        compare_outputs(&self.plan, &outputs, &self.blobs.released, &self.run, &options);
                    (compared, search.join().unwrap_or_default())
                });
                (record.outputs, record.not_compared) = compared?;
                record.outputs = without_credentials(std::mem::take(&mut record.outputs));
                (record.credentials, record.not_searched) = found.into_lists();
                record.not_enforced = not_enforced;
                record.verdict = record.concluded(&self.plan);
            }
            Err(verdict) => record.verdict = verdict,
        }
        let (log, mut in_log) = (self.run.log(), Findings::default());
        in_log.redact_file("log build.log", &log, &self.deadline.at_most(LOG_TIME))?;
        let (found, not_searched) = in_log.into_lists();
        record.credentials.extend(found);
        record.not_searched.extend(not_searched);
        let read = fs::File::open(&log).and_then(Sha256::of_reader);
        record.log = read.map_err(StoreError::io("read", &log))?.0;
        // A run that was interrupted says nothing; time that ran out is in the record.
        match self.deadline.check() {
            Err(Over::Interrupted) => Err(RebuildError::Interrupted),
            Err(Over::Time) | Ok(()) => Ok(()),
        }
    }

    /// How long comparing and searching may take: in proportion to the files.
    fn time(&self, outputs: &[Output]) -> Duration {
        let released = self.blobs.released.iter().flatten().map(|blob| blob.size);
        let sources = self.plan.inputs.iter().zip(&self.blobs.inputs);
        let sources = sources
            .filter(|(input, _)| input.role == Role::Source)
            .map(|(_, blob)| blob.size);
        let git = self.blobs.git.iter().map(|blob| blob.size);
        let outputs = outputs.iter().map(|output| output.size);
        let all = released.chain(sources).chain(git).chain(outputs);
        compare::Limits::time_for(all.fold(0, u64::saturating_add))
    }

    /// Looks for credentials in the sources and in what came out.
    fn search(&self, outputs: &[Output], deadline: &Deadline) -> Findings {
        let mut findings = Findings::default();
        let inputs = self.plan.inputs.iter().zip(&self.blobs.inputs);
        for (input, blob) in inputs.filter(|(input, _)| input.role == Role::Source) {
            let name = format!("source {}", input.place);
            self.searched.look_through(&mut findings, &name, blob, deadline);
        }
        for (git, blob) in self.plan.git.iter().zip(&self.blobs.git) {
            let name = format!("source {}", git.place);
            self.searched.look_through(&mut findings, &name, blob, deadline);
        }
        for output in outputs {
            let name = format!("output {}", output.name);
            findings.look_through(&name, &self.run.rebuilt().join(&output.name), deadline);
        }
        findings
    }
}

/// Most time that taking credentials out of a log may need. The largest log that is kept needs a quarter of it.
const LOG_TIME: Duration = Duration::from_secs(120);

/// Comparisons quote what differs; a credential in such a quotation is taken out.
fn without_credentials(outputs: Vec<OutputResult>) -> Vec<OutputResult> {
    let clean = |output: OutputResult| {
        let Some(differs) = &output.differs else {
            return output;
        };
        let mut document = serde_json::to_value(differs).unwrap_or_default();
        credentials::redact_document(&mut document);
        match serde_json::from_value(document) {
            Ok(differs) => OutputResult {
                differs: Some(differs),
                ..output
            },
            // It was written by this tool a moment ago, so it reads back; and if not, nothing is quoted.
            Err(_) => OutputResult {
                differs: None,
                ..output
            },
        }
    };
    outputs.into_iter().map(clean).collect()
}

enum Setup {
    None,
    Layer(PathBuf),
    Failed(Ended),
}

#[derive(Clone)]
struct Blobs {
    inputs: Vec<Blob>,
    /// None where only the digest is known.
    released: Vec<Option<Blob>>,
    git: Vec<Blob>,
}

/// A phase's variables over those of the image, whose entrypoint is added as shell words.
fn environment(phase: &Phase, image: &ImageConfig) -> BTreeMap<String, String> {
    let pairs = image.env.iter().filter_map(|pair| pair.split_once('='));
    let mut env: BTreeMap<_, _> = pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    if !image.entrypoint.is_empty() {
        let words: Vec<_> = image.entrypoint.iter().map(|word| quote(word)).collect();
        env.insert(IMAGE_ENTRYPOINT.to_owned(), words.join(" "));
    }
    env.extend(phase.env.clone());
    env
}

fn inconclusive(stage: &str, ended: Ended) -> Verdict {
    Verdict::Inconclusive {
        stage: stage.to_owned(),
        reason: format!("it {ended}; build.log has the rest"),
    }
}

fn job<'a>(plan: &Plan, root: &'a RootLayers, outputs: &'a Path, log: &'a Path) -> Job<'a> {
    Job {
        root,
        inputs: Vec::new(),
        script: String::new(),
        env: BTreeMap::new(),
        hostname: plan.hostname.clone(),
        umask: plan.umask,
        limits: plan.limits,
        keep: Keep::Outputs,
        outputs,
        log,
    }
}

fn staged(plan: &Plan, blobs: &Blobs, role: Role) -> Vec<Input> {
    plan.inputs
        .iter()
        .zip(&blobs.inputs)
        .filter(|(input, _)| input.role == role)
        .map(|(input, blob)| Input {
            name: input.place.clone(),
            path: blob.path.clone(),
        })
        .collect()
}

fn inline(plan: &Plan, store: &Store) -> Result<Vec<Input>, StoreError> {
    plan.files
        .iter()
        .map(|file| {
            Ok(Input {
                name: file.place.clone(),
                path: store.keep(file.text.as_bytes())?.path,
            })
        })
        .collect()
}
