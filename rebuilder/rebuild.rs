//! The main job: plan in, bytes out; bytes against bytes, verdict out.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::artifact::Sha256;
use crate::compare::{self, CompareError, Where};
use crate::container::{self, ContainerError, Root};
use crate::ecosystem::Planner;
use crate::plan::{Phase, Plan, Role};
use crate::progress::Progress;
use crate::report;
use crate::sandbox::embedded::Embedded;
use crate::sandbox::{Ended, Input, Job, Keep, Output, RootLayers, Sandbox, SandboxError, quote};
use crate::store::{Blob, FetchError, Fetcher, Store, StoreError, write_atomically};

/// What a rebuild concludes; an absence of evidence is an answer of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// Every declared output came out bit for bit, and nothing else did.
    Reproduced,
    /// Some output differs, is missing, or is not declared.
    Mismatch,
    /// The build gave no outputs to compare.
    Inconclusive {
        /// Stage that ended it.
        stage: String,
        /// What happened there.
        reason: String,
    },
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Reproduced => f.write_str("reproduced"),
            Self::Mismatch => f.write_str("mismatch"),
            Self::Inconclusive { stage, reason } => write!(f, "inconclusive ({stage}: {reason})"),
        }
    }
}

/// One output: what was released, what came out, where they differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputResult {
    /// File name.
    pub name: String,
    /// Released digest; none where the output was never released.
    pub released: Option<Sha256>,
    /// Rebuilt digest; none where it did not come out.
    pub rebuilt: Option<Sha256>,
    /// Lengths in bytes, released and rebuilt.
    pub sizes: (Option<u64>, Option<u64>),
    /// Members that differ; none where the files are the same or their format has no reader.
    pub differs: Option<Where>,
}

impl OutputResult {
    /// Whether what was released came out bit for bit.
    pub fn reproduced(&self) -> bool {
        self.released.is_some() && self.released == self.rebuilt
    }
}

/// Seconds spent, by stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// Reading or fetching inputs and making the root.
    pub prepare: f64,
    /// Installing build dependencies; almost nothing where the layer was there.
    pub setup: f64,
    /// The build command itself.
    pub build: f64,
    /// Comparing.
    pub compare: f64,
    /// Everything, from the plan on.
    pub total: f64,
}

/// What is kept of a run, as `record.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Form of this document; 1.
    pub version: u32,
    /// Name of this run.
    pub id: String,
    /// Package URL of the subject.
    pub subject: String,
    /// The conclusion.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Digest of the plan's canonical form.
    pub plan: Sha256,
    /// Every output, declared or not.
    pub outputs: Vec<OutputResult>,
    /// Names of outputs that are released nowhere, and were not compared.
    pub unreleased: Vec<String>,
    /// Backend that ran the build.
    pub backend: String,
    /// Limits that this machine could not enforce.
    pub not_enforced: Vec<String>,
    /// Digest of `build.log`.
    pub log: Sha256,
    /// Digest of `report.html`.
    pub report: Sha256,
    /// Version of this tool.
    pub rebuilder: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// Seconds by stage.
    pub timings: Timings,
}

impl Record {
    /// The verdict that follows from the plan and the digests alone; the signer recomputes it.
    pub fn concluded(&self, plan: &Plan) -> Verdict {
        if let Verdict::Inconclusive { .. } = self.verdict {
            return self.verdict.clone();
        }
        let came_out = |expected: &crate::plan::Expected| {
            self.outputs.iter().any(|output| {
                output.name == expected.file.name
                    && output.released == Some(expected.file.sha256)
                    && output.rebuilt == Some(expected.file.sha256)
            })
        };
        let all = !plan.expected.is_empty() && plan.expected.iter().all(came_out);
        let nothing_else = self.outputs.iter().all(OutputResult::reproduced);
        if all && nothing_else { Verdict::Reproduced } else { Verdict::Mismatch }
    }
}

/// Where the files of a run lie in its folder.
#[derive(Debug, Clone)]
pub struct RunFolder(PathBuf);

#[allow(missing_docs)]
impl RunFolder {
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }
    pub fn path(&self) -> &Path {
        &self.0
    }
    pub fn plan(&self) -> PathBuf {
        self.0.join("plan.json")
    }
    pub fn record(&self) -> PathBuf {
        self.0.join("record.json")
    }
    pub fn log(&self) -> PathBuf {
        self.0.join("build.log")
    }
    pub fn report(&self) -> PathBuf {
        self.0.join("report.html")
    }
    pub fn bundle(&self) -> PathBuf {
        self.0.join("attestation.sigstore.json")
    }
    /// Folder of the outputs that came out.
    pub fn rebuilt(&self) -> PathBuf {
        self.0.join("rebuilt")
    }
}

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
    Container(#[from] ContainerError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Compare(#[from] CompareError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Report(#[from] report::ReportError),
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
}

impl Rebuilder<'_> {
    /// Follows `plan` to its end and leaves everything about it in `run`, a folder that is there and empty.
    pub async fn rebuild(&self, plan: &Plan, run: &RunFolder) -> Result<Record, RebuildError> {
        let (started, clock) = (Timestamp::now(), Instant::now());
        let mut timings = Timings::default();
        let rebuilt = run.rebuilt();
        fs::create_dir(&rebuilt).map_err(StoreError::io("make the folder", &rebuilt))?;
        write_atomically(&run.plan(), &plan.canonical())?;
        fs::write(run.log(), "").map_err(StoreError::io("write", &run.log()))?;

        let blobs = self.fetch(plan).await?;
        let root = container::from_lock(&plan.container, self.fetcher, self.embedded, self.progress).await?;
        timings.prepare = clock.elapsed().as_secs_f64();

        let before = clock.elapsed();
        let setup = if self.backend.takes_layers() { self.setup_layer(plan, &root, &blobs, run).await? } else { Setup::None };
        timings.setup = (clock.elapsed() - before).as_secs_f64();

        let built = match setup {
            Setup::Failed(ended) => Err(inconclusive("setup", ended)),
            Setup::Layer(layer) => self.build(plan, &root, Some(layer), &blobs, run, &mut timings).await?,
            Setup::None => self.build(plan, &root, None, &blobs, run, &mut timings).await?,
        };

        let before = clock.elapsed();
        let mut record = Record {
            version: 1,
            id: format!("{}-{}", started.strftime("%Y%m%dT%H%M%SZ"), plan.digest().short()),
            subject: plan.subject.clone(),
            verdict: Verdict::Mismatch,
            plan: plan.digest(),
            outputs: Vec::new(),
            unreleased: Vec::new(),
            backend: self.backend.name().to_owned(),
            not_enforced: Vec::new(),
            log: Sha256::of(""),
            report: Sha256::of(""),
            rebuilder: env!("CARGO_PKG_VERSION").to_owned(),
            started,
            finished: started,
            timings,
        };
        match built {
            Ok((outputs, not_enforced)) => {
                let bar = self.progress.stage("comparing");
                (record.outputs, record.unreleased) = compare_outputs(plan, &outputs, &blobs.released, run)?;
                record.not_enforced = not_enforced;
                record.verdict = record.concluded(plan);
                bar.finish_and_clear();
            }
            Err(verdict) => record.verdict = verdict,
        }
        record.timings.compare = (clock.elapsed() - before).as_secs_f64();
        record.timings.total = clock.elapsed().as_secs_f64();
        record.finished = Timestamp::now();
        let log = fs::File::open(run.log()).and_then(Sha256::of_reader);
        record.log = log.map_err(StoreError::io("read", &run.log()))?.0;
        let html = report::html(plan, &record)?;
        record.report = Sha256::of(&html);
        write_atomically(&run.report(), html.as_bytes())?;
        write_atomically(&run.record(), &serde_json::to_vec_pretty(&record).unwrap_or_default())?;
        Ok(record)
    }

    /// Every file that the plan names, verified, from the store or its mirrors.
    async fn fetch(&self, plan: &Plan) -> Result<Blobs, RebuildError> {
        let inputs: Vec<_> = plan.inputs.iter().map(|input| input.file.clone()).collect();
        let released: Vec<_> = plan.expected.iter().map(|expected| expected.file.clone()).collect();
        Ok(Blobs {
            inputs: self.fetcher.get_all("fetching the inputs", &inputs).await?,
            released: self.fetcher.get_all("fetching what was released", &released).await?,
        })
    }

    /// Installs the build dependencies once; later runs with the same ones take the layer as it is.
    async fn setup_layer(&self, plan: &Plan, root: &Root, blobs: &Blobs, run: &RunFolder) -> Result<Setup, RebuildError> {
        if plan.setup.steps.is_empty() {
            return Ok(Setup::None);
        }
        let home = self.fetcher.store().layer(plan.setup_digest());
        let layer = home.join("upper");
        if layer.exists() {
            return Ok(Setup::Layer(layer));
        }
        let bar = self.progress.stage("installing the build dependencies");
        let layers = root.layers();
        let outputs = tempfile::tempdir_in(run.path()).map_err(StoreError::io("write into", run.path()))?;
        let log = run.log();
        let mut job = job(plan, &layers, outputs.path(), &log);
        job.inputs = staged(plan, blobs, Role::Dependency);
        job.script = plan.setup.script();
        job.env.clone_from(&plan.setup.env);
        job.keep = Keep::Layer;
        let outcome = self.embedded.run(&job, &bar).await?;
        bar.finish_and_clear();
        let Some(made) = outcome.layer.filter(|_| outcome.ended.well()) else {
            return Ok(Setup::Failed(outcome.ended));
        };
        let parent = made.parent().unwrap_or(&made).to_owned();
        if fs::rename(&parent, &home).is_err() {
            // Another process was first; its layer is as good.
            self.embedded.remove_now(&parent)?;
        }
        Ok(Setup::Layer(layer))
    }

    async fn build(
        &self,
        plan: &Plan,
        root: &Root,
        layer: Option<PathBuf>,
        blobs: &Blobs,
        run: &RunFolder,
        timings: &mut Timings,
    ) -> Result<Result<(Vec<Output>, Vec<String>), Verdict>, RebuildError> {
        let bar = self.progress.stage(format!("building {}", plan.subject));
        let mut layers = root.layers();
        let has_layer = layer.is_some();
        layers.folders.extend(layer);
        let (rebuilt, log) = (run.rebuilt(), run.log());
        let mut job = job(plan, &layers, &rebuilt, &log);
        job.inputs = staged(plan, blobs, Role::Source);
        job.inputs.extend(inline(plan, self.fetcher.store())?);
        if has_layer || plan.setup.steps.is_empty() {
            job.script = plan.build.script();
            job.env.clone_from(&plan.build.env);
        } else {
            // One sandbox for both phases; each has its own environment.
            job.inputs.extend(staged(plan, blobs, Role::Dependency));
            job.script = [&plan.setup, &plan.build].map(enclosed).concat();
        }
        let outcome = self.backend.run(&job, &bar).await?;
        bar.finish_and_clear();
        timings.build = outcome.took.as_secs_f64();
        if !outcome.ended.well() {
            return Ok(Err(inconclusive("build", outcome.ended)));
        }
        Ok(Ok((outcome.outputs, outcome.not_enforced)))
    }
}

/// Runs a plan's build phase for one small file, such as what a backend answers when asked; for planners.
pub async fn output_of(plan: &Plan, name: &str, planner: &Planner<'_>, root: &Root) -> Result<Vec<u8>, RebuildError> {
    let (fetcher, embedded, progress) = (planner.fetcher, planner.sandbox, planner.progress);
    let rebuilder = Rebuilder { fetcher, embedded, backend: embedded, progress };
    let folder = fetcher.store().path().join("tmp");
    let folder = tempfile::tempdir_in(&folder).map_err(StoreError::io("write into", &folder))?;
    let run = RunFolder::new(folder.path());
    fs::create_dir(run.rebuilt()).map_err(StoreError::io("write into", folder.path()))?;
    let inputs: Vec<_> = plan.inputs.iter().map(|input| input.file.clone()).collect();
    let blobs = Blobs { inputs: fetcher.get_all("fetching the inputs", &inputs).await?, released: Vec::new() };
    let built = match rebuilder.setup_layer(plan, root, &blobs, &run).await? {
        Setup::Failed(ended) => Err(inconclusive("setup", ended)),
        Setup::Layer(layer) => rebuilder.build(plan, root, Some(layer), &blobs, &run, &mut Timings::default()).await?,
        Setup::None => rebuilder.build(plan, root, None, &blobs, &run, &mut Timings::default()).await?,
    };
    if let Err(verdict) = built {
        let log = fs::read_to_string(run.log()).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(3).collect();
        let last = lines.into_iter().rev().collect::<Vec<_>>().join(" / ");
        return Err(RebuildError::Asking { verdict: verdict.to_string(), last });
    }
    let path = run.rebuilt().join(name);
    Ok(fs::read(&path).map_err(StoreError::io("read", &path))?)
}

enum Setup {
    None,
    Layer(PathBuf),
    Failed(Ended),
}

struct Blobs {
    inputs: Vec<Blob>,
    released: Vec<Blob>,
}

fn inconclusive(stage: &str, ended: Ended) -> Verdict {
    Verdict::Inconclusive { stage: stage.to_owned(), reason: format!("it {ended}; build.log has the rest") }
}

fn job<'a>(plan: &Plan, root: &'a RootLayers, outputs: &'a Path, log: &'a Path) -> Job<'a> {
    Job {
        title: plan.subject.clone(),
        root,
        inputs: Vec::new(),
        script: String::new(),
        env: std::collections::BTreeMap::new(),
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
        .map(|(input, blob)| Input { name: input.place.clone(), path: blob.path.clone() })
        .collect()
}

fn inline(plan: &Plan, store: &Store) -> Result<Vec<Input>, StoreError> {
    plan.files
        .iter()
        .map(|file| Ok(Input { name: file.place.clone(), path: store.keep(file.text.as_bytes())?.path }))
        .collect()
}

/// A phase as one command with an environment of its own.
fn enclosed(phase: &Phase) -> String {
    let env: Vec<_> = phase.env.iter().map(|(key, value)| quote(&format!("{key}={value}"))).collect();
    format!("env -i {} /bin/sh -eu -c {}\n", env.join(" "), quote(&phase.script()))
}

/// Pairs what was released with what came out.
fn compare_outputs(
    plan: &Plan,
    outputs: &[Output],
    released: &[Blob],
    run: &RunFolder,
) -> Result<(Vec<OutputResult>, Vec<String>), RebuildError> {
    let mut results = Vec::new();
    for (expected, blob) in plan.expected.iter().zip(released) {
        let name = &expected.file.name;
        let output = outputs.iter().find(|output| output.name == *name);
        let differs = match output {
            Some(output) if output.sha256 != blob.sha256 => {
                compare::locate(name, &blob.path, &run.rebuilt().join(name))?
            }
            _ => None,
        };
        results.push(OutputResult {
            name: name.clone(),
            released: Some(blob.sha256),
            rebuilt: output.map(|output| output.sha256),
            sizes: (Some(blob.size), output.map(|output| output.size)),
            differs,
        });
    }
    let mut unreleased = Vec::new();
    for output in outputs.iter().filter(|output| !plan.expected.iter().any(|expected| expected.file.name == output.name)) {
        if plan.unreleased.iter().any(|pattern| fits(pattern, &output.name)) {
            unreleased.push(output.name.clone());
            continue;
        }
        results.push(OutputResult {
            name: output.name.clone(),
            released: None,
            rebuilt: Some(output.sha256),
            sizes: (None, Some(output.size)),
            differs: None,
        });
    }
    Ok((results, unreleased))
}

/// Shell-like pattern with `*` only.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, rest)) => name.strip_prefix(before).is_some_and(|tail| {
            (0..=tail.len()).filter(|at| tail.is_char_boundary(*at)).any(|at| fits(rest, &tail[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_names() {
        for (pattern, name, expected) in [
            ("*-dbgsym_*.deb", "jq-dbgsym_1.6_amd64.deb", true),
            ("*-dbgsym_*.deb", "jq_1.6_amd64.deb", false),
            ("*.udeb", "a.udeb", true),
            ("*.udeb", "a.udeb.deb", false),
            ("exact", "exact", true),
            ("exact", "exactly", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
