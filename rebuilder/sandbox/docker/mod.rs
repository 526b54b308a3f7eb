//! The sandbox in a Docker engine, or behind Podman's compatible socket.
//!
//! The root is the one that the embedded backend makes, imported and found again by its content. The container has no
//! network, no mounts of the host, few capabilities, no way to gain more; inputs and outputs pass as tar streams, the
//! log as a stream that the engine does not keep. The engine may be shared and far away: nothing that carries our
//! name is believed, and nothing is removed that is not provably ours.

mod contract;
mod engine;
mod guard;
mod image;
mod outputs;
mod owner;
mod seccomp;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, Instant};

use bollard::Docker as Engine;
use bollard::container::LogOutput;
use bollard::errors::Error as EngineError;
use bollard::models::{ContainerCreateBody, ContainerInspectResponse};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder,
    InspectContainerOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
    UploadToContainerOptionsBuilder, WaitContainerOptionsBuilder,
};
use futures_util::future::{BoxFuture, Either, FutureExt as _, select};
use futures_util::{Stream, StreamExt as _};
use tokio::io::AsyncWriteExt as _;

use super::embedded::{Embedded, LOG_LIMIT, last_line};
use super::{Bound, CommandResult, ExitReason, Job, Output, OutputError, Sandbox, SandboxError, output};
use crate::plan::{INPUTS, OUT};
use crate::progress::ProgressBar;
use crate::store::Store;
use engine::{EngineInfo, EngineKind};
pub use guard::{GUARD_ARGUMENT, guard};
use owner::{Owner, RunClaim};

/// How long removing containers of killed workers may take at the start.
const SWEEP_TIME: Duration = Duration::from_secs(120);

/// How often a container is looked at while it runs.
const GLANCE: Duration = Duration::from_millis(250);

/// How long what is left of a log may take to arrive after the end.
const DRAIN: Duration = Duration::from_secs(60);

/// How long an engine may be unable to say how much a container has written.
const BLIND: Duration = Duration::from_secs(60);

/// How long an engine may need to describe a container that has ended.
const SETTLED: Duration = Duration::from_secs(20);

/// For each so many bytes of its disk limit, a build may make one file.
const BYTES_PER_FILE: u64 = 4096;

/// As many files as a build may make under any disk limit.
const FEWEST_FILES: u64 = 65_536;

/// A connected engine.
pub struct Docker {
    engine: Engine,
    about: EngineInfo,
    embedded: Embedded,
    store: Store,
    owner: Owner,
}

impl Docker {
    /// Connects to the engine that `DOCKER_HOST` names, or to the usual socket, and removes containers of this
    /// store's runs whose worker is gone.
    pub async fn connect(store: &Store, embedded: &Embedded) -> Result<Self, SandboxError> {
        let engine = Engine::connect_with_defaults().map_err(|error| unusable(&error))?;
        let about = EngineInfo::of(&engine).await?;
        about.takes_our_filter()?;
        let this = Self {
            about,
            engine,
            embedded: embedded.clone(),
            store: store.clone(),
            owner: Owner::of(store)?,
        };
        tokio::time::timeout(SWEEP_TIME, this.sweep())
            .await
            .map_err(|_| SandboxError::Broken {
                during: "removing what killed runs left",
                reason: "the engine does not answer".into(),
            })??;
        Ok(this)
    }

    /// The engine that answers, if one does.
    pub async fn reach() -> Result<String, SandboxError> {
        let engine = Engine::connect_with_defaults().map_err(|error| unusable(&error))?;
        Ok(EngineInfo::of(&engine).await?.name())
    }

    /// The engine's name and version, and what a build in it could do to its machine.
    pub fn description(&self) -> String {
        let root = if self.about.remapped {
            "root of a container is an ordinary user of the engine's machine"
        } else {
            "root of a container is root of the engine's machine, kept in by capabilities and filters alone"
        };
        format!("{}; {root}", self.about.name())
    }

    /// Removes containers whose worker is gone: only this store's, and only where that is certain.
    async fn sweep(&self) -> Result<(), SandboxError> {
        let ours = format!("{}={}", owner::STORE, self.owner.store());
        let filters = HashMap::from([("label".to_owned(), vec![ours])]);
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&filters)
            .build();
        let containers = self
            .engine
            .list_containers(Some(options))
            .await
            .map_err(engine_error("list its containers"))?;
        if containers.is_empty() {
            return Ok(());
        }
        // The engine's clock, as the times of its containers are by it.
        let info = self.engine.info().await.map_err(engine_error("tell its time"))?;
        let now = info
            .system_time
            .and_then(|time| time.parse::<jiff::Timestamp>().ok())
            .map(jiff::Timestamp::as_second);
        for container in containers {
            let labels = container.labels.unwrap_or_default();
            let age = now
                .zip(container.created)
                .and_then(|(now, created)| u64::try_from(now.saturating_sub(created)).ok());
            if self.owner.has_left(&labels, age)
                && let Some(id) = container.id
            {
                remove(&self.engine, &id).await;
            }
        }
        Ok(())
    }

    async fn run_job(&self, job: &Job<'_>, bar: &ProgressBar) -> Result<CommandResult, SandboxError> {
        let image = self.image(job.root).await?;
        let claim = self.owner.claim()?;
        let name = format!("rebuilder-{}", claim.name());
        let guard = guard::ContainerGuard::start(&name, job.limits.seconds).await?;
        // Removes the container when this future is dropped half-way, too.
        let running = RunningContainer {
            engine: self.engine.clone(),
            name: Some(name),
            guard: Some(guard),
            claim,
        };
        // Everything that a build can draw out counts: its inputs, start, log, end and outputs.
        let time = Duration::from_secs(job.limits.seconds);
        let all = async {
            let (id, missing) = self.create(job, &image, &running).await?;
            self.run_in(job, &id, missing, bar).await
        };
        let outcome = tokio::time::timeout(time, all).await;
        running.end().await;
        outcome.unwrap_or_else(|_| {
            Ok(CommandResult {
                ended: ExitReason::TimedOut,
                took: time,
                outputs: Vec::new(),
                layer: None,
                not_enforced: Vec::new(),
            })
        })
    }

    /// Makes the container, and reads back what the engine made; gives its id and the limits that it has not.
    async fn create(
        &self,
        job: &Job<'_>,
        image: &str,
        running: &RunningContainer,
    ) -> Result<(String, Vec<Bound>), SandboxError> {
        let seccomp = self.seccomp()?;
        let labels = self.owner.labels(&running.claim, job.limits.seconds);
        let body = |quota| contract::container(job, image, &self.about, &seccomp, labels.clone(), quota);
        let name = running.name.clone().unwrap_or_default();
        // Only some file systems know quotas; an engine on another one refuses the whole container.
        let mut asked = body(true);
        let id = match self.ask_for(&name, asked.clone()).await {
            Err(EngineError::DockerResponseServerError { message, .. })
                if message.contains("storage-opt") =>
            {
                asked = body(false);
                self.ask_for(&name, asked.clone()).await
            }
            other => other,
        }
        .map_err(engine_error("create the container"))?;
        let made = self.inspect(&id, false).await?;
        let missing = contract::kept(&made, &asked, image)?;
        Ok((id, missing))
    }

    async fn ask_for(&self, name: &str, body: ContainerCreateBody) -> Result<String, EngineError> {
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        Ok(self.engine.create_container(Some(options), body).await?.id)
    }

    /// The filter of system calls in the form that this engine takes.
    fn seccomp(&self) -> Result<String, SandboxError> {
        let profile = seccomp::profile();
        if self.about.kind == EngineKind::Docker {
            return Ok(profile);
        }
        // Podman reads it from a file.
        let path = self.store.engine_filter();
        if std::fs::read_to_string(&path).ok().as_deref() != Some(&profile) {
            crate::store::write_atomically(&path, profile.as_bytes())?;
        }
        Ok(path.display().to_string())
    }

    async fn inspect(&self, id: &str, size: bool) -> Result<ContainerInspectResponse, SandboxError> {
        let options = InspectContainerOptionsBuilder::default().size(size).build();
        let about = self.engine.inspect_container(id, Some(options)).await;
        about.map_err(engine_error("describe the container"))
    }

    async fn run_in(
        &self,
        job: &Job<'_>,
        id: &str,
        not_enforced: Vec<Bound>,
        bar: &ProgressBar,
    ) -> Result<CommandResult, SandboxError> {
        self.send_inputs(job, id).await?;
        // Before the start, for nothing of the log is kept anywhere else.
        let options = AttachContainerOptionsBuilder::default()
            .stream(true)
            .stdout(true)
            .stderr(true)
            .build();
        let attached = self.engine.attach_container(id, Some(options)).await;
        let log = attached.map_err(engine_error("hand out the log"))?.output;
        let started = self.engine.start_container(id, None).await;
        started.map_err(engine_error("start the container"))?;
        let clock = Instant::now();
        let copied = copy_log(log, job.log, bar);
        let ended = async {
            let ended = self.watch(job, id).await;
            (ended, clock.elapsed())
        };
        let (ended, took) = match select(pin!(copied), pin!(ended)).await {
            Either::Left((copied, ended)) => {
                copied?;
                ended.await
            }
            Either::Right((ended, copied)) => {
                // What a full disk has stopped is removed right away; its log goes on until then.
                if matches!(ended.0, Ok(ExitReason::Exited(_) | ExitReason::Signalled(_)))
                    && let Ok(copied) = tokio::time::timeout(DRAIN, copied).await
                {
                    copied?;
                }
                ended
            }
        };
        let mut outcome = CommandResult {
            ended: ended?,
            took,
            outputs: Vec::new(),
            layer: None,
            not_enforced,
        };
        if outcome.ended.succeeded() {
            outcome.outputs = self.receive_outputs(job, id).await?;
        }
        Ok(outcome)
    }

    async fn send_inputs(&self, job: &Job<'_>, id: &str) -> Result<(), SandboxError> {
        let folder = self.store.temporary_folder()?;
        let (staged, file) = (folder.path().join("in"), folder.path().join("in.tar"));
        let (inputs, packed) = (job.inputs.clone(), file.clone());
        blocking("packing the inputs", move || {
            std::fs::create_dir(&staged).map_err(SandboxError::io("stage the inputs"))?;
            output::stage(&inputs, &staged).map_err(SandboxError::io("stage the inputs"))?;
            pack(&staged, &packed).map_err(SandboxError::io("pack the inputs"))
        })
        .await?;
        let tar = tokio::fs::File::open(&file)
            .await
            .map_err(SandboxError::io("read the packed inputs"))?;
        let body = bollard::body_try_stream(tokio_util::io::ReaderStream::with_capacity(tar, 1 << 18));
        let options = UploadToContainerOptionsBuilder::default().path("/").build();
        let sent = self.engine.upload_to_container(id, Some(options), body).await;
        sent.map_err(engine_error("take the inputs"))
    }

    /// Waits for the end of a container, and looks meanwhile how much it has written.
    async fn watch(&self, job: &Job<'_>, id: &str) -> Result<ExitReason, SandboxError> {
        let mut exit = pin!(self.exit(id));
        let mut pause = GLANCE;
        let mut seen = Instant::now();
        loop {
            if let Either::Left((ended, _)) = select(exit.as_mut(), pin!(tokio::time::sleep(pause))).await {
                // A build that ends in time does not get past its limit either.
                return Ok(match self.disk_at_end(job, id).await {
                    Disk::Within => ended?,
                    Disk::Beyond | Disk::Unknown => ExitReason::DiskFull,
                });
            }
            let begun = Instant::now();
            match self.disk(job, id).await {
                Disk::Within => seen = Instant::now(),
                Disk::Beyond => return Ok(ExitReason::DiskFull),
                Disk::Unknown if seen.elapsed() > BLIND => return Ok(ExitReason::DiskFull),
                Disk::Unknown => {}
            }
            // Measuring reads folders of any size: it must not take most of the time.
            pause = GLANCE.max(begun.elapsed().saturating_mul(4));
        }
    }

    async fn exit(&self, id: &str) -> Result<ExitReason, SandboxError> {
        let options = WaitContainerOptionsBuilder::default()
            .condition("not-running")
            .build();
        loop {
            let mut answers = self.engine.wait_container(id, Some(options.clone()));
            let code = match answers.next().await {
                Some(Ok(answer)) => answer.status_code,
                Some(Err(EngineError::DockerContainerWaitError { code, .. })) => code,
                // Nobody waits for an answer for as long as a build may take.
                None | Some(Err(EngineError::RequestTimeoutError)) => {
                    tokio::time::sleep(GLANCE).await;
                    continue;
                }
                Some(Err(other)) => return Err(engine_error("tell how the container ended")(other)),
            };
            return Ok(ExitReason::from_status(i32::try_from(code).unwrap_or(-1)));
        }
    }

    /// Engines need a moment to put a container that has ended into order, and cannot describe it until then.
    async fn disk_at_end(&self, job: &Job<'_>, id: &str) -> Disk {
        let begun = Instant::now();
        loop {
            match self.disk(job, id).await {
                Disk::Unknown if begun.elapsed() < SETTLED => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                known => return known,
            }
        }
    }

    /// How much a container has written, as far as its engine says.
    async fn disk(&self, job: &Job<'_>, id: &str) -> Disk {
        let Ok(about) = self.inspect(id, true).await else {
            return Disk::Unknown;
        };
        let Some(bytes) = about.size_rw.and_then(|size| u64::try_from(size).ok()) else {
            return Disk::Unknown;
        };
        if bytes > job.limits.disk {
            return Disk::Beyond;
        }
        // Empty files and folders have no bytes; they can be counted where the engine's folders are readable here.
        let upper = about
            .graph_driver
            .and_then(|mut driver| driver.data.remove("UpperDir"))
            .map(PathBuf::from)
            .filter(|folder| self.about.is_here() && folder.is_dir());
        let most = (job.limits.disk / BYTES_PER_FILE).max(FEWEST_FILES);
        let counted = match upper {
            Some(folder) => blocking("counting files", move || Ok(count(&folder, most))).await,
            None => Ok(Some(0)),
        };
        match counted {
            Ok(Some(count)) if count <= most => Disk::Within,
            Ok(Some(_)) => Disk::Beyond,
            Ok(None) | Err(_) => Disk::Unknown,
        }
    }

    async fn receive_outputs(&self, job: &Job<'_>, id: &str) -> Result<Vec<Output>, SandboxError> {
        let folder = self.store.temporary_folder()?;
        let path = folder.path().join("out.tar");
        let mut file = tokio::fs::File::create(&path)
            .await
            .map_err(SandboxError::io("receive the outputs"))?;
        let options = DownloadFromContainerOptionsBuilder::default().path(OUT).build();
        let mut stream = self.engine.download_from_container(id, Some(options));
        let mut room = job.most_output().saturating_add(outputs::OVERHEAD);
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(engine_error("hand out the outputs"))?;
            room = room
                .checked_sub(chunk.len() as u64)
                .ok_or_else(|| OutputError::TooMuch {
                    found: "more bytes".into(),
                    limit: "the disk limit".into(),
                })?;
            file.write_all(&chunk)
                .await
                .map_err(SandboxError::io("receive the outputs"))?;
        }
        file.flush()
            .await
            .map_err(SandboxError::io("receive the outputs"))?;
        let (to, limit) = (job.outputs.to_owned(), job.most_output());
        let taken = blocking("taking the outputs", move || {
            let tar = std::fs::File::open(&path).map_err(SandboxError::io("receive the outputs"))?;
            Ok(outputs::unpack(tar, &to, limit)?)
        });
        taken.await
    }
}

/// How much a container has written.
enum Disk {
    Within,
    Beyond,
    Unknown,
}

/// The entries below a folder, up to one more than `most`; nothing if some lie deeper than a path can say, for what is
/// there the engine does not see either. What cannot be read counts as one: it may be gone by now.
fn count(folder: &Path, most: u64) -> Option<u64> {
    let mut count = 0_u64;
    for entry in walkdir::WalkDir::new(folder) {
        let too_deep = |error: &walkdir::Error| {
            error.io_error().and_then(std::io::Error::raw_os_error) == Some(nix::libc::ENAMETOOLONG)
        };
        if entry.as_ref().err().is_some_and(too_deep) {
            return None;
        }
        count = count.saturating_add(1);
        if count > most {
            break;
        }
    }
    Some(count)
}

/// Writes staged inputs as a tar file.
fn pack(staged: &Path, file: &Path) -> std::io::Result<()> {
    let mut tar = tar::Builder::new(std::io::BufWriter::new(std::fs::File::create(file)?));
    tar.mode(tar::HeaderMode::Deterministic);
    // Engines do not read the sparse form that files with holes would get.
    tar.sparse(false);
    tar.append_dir_all(INPUTS.trim_start_matches('/'), staged)?;
    tar.into_inner()?
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)
        .map(drop)
}

/// Copies the log to its file and its newest line to the screen. What is beyond the limit is read and dropped, so
/// that a build does not wait for it.
async fn copy_log(
    mut log: impl Stream<Item = Result<LogOutput, EngineError>> + Unpin,
    path: &Path,
    bar: &ProgressBar,
) -> Result<(), SandboxError> {
    let error = |source| SandboxError::Io {
        what: format!("write {}", path.display()),
        source,
    };
    let mut file = tokio::fs::File::options()
        .create(true)
        .append(true)
        .open(path)
        .await
        .map_err(error)?;
    let mut room = LOG_LIMIT;
    while let Some(chunk) = log.next().await {
        let bytes = chunk.map_err(engine_error("hand out the log"))?.into_bytes();
        let kept = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        file.write_all(bytes.get(..kept).unwrap_or_default())
            .await
            .map_err(error)?;
        room = room.saturating_sub(kept as u64);
        if let Some(line) = last_line(&bytes) {
            bar.set_message(line);
        }
    }
    file.flush().await.map_err(error)
}

impl Sandbox for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn takes_layers(&self) -> bool {
        false
    }

    fn run<'a>(
        &'a self,
        job: &'a Job<'a>,
        bar: &'a ProgressBar,
    ) -> BoxFuture<'a, Result<CommandResult, SandboxError>> {
        self.run_job(job, bar).boxed()
    }
}

fn unusable(error: &EngineError) -> SandboxError {
    refused(
        &error.to_string(),
        "start a Docker engine or Podman's socket, and name it in DOCKER_HOST (unix:///path/to/docker.sock)",
    )
}

fn refused(reason: &str, help: &str) -> SandboxError {
    SandboxError::Unusable {
        backend: "docker",
        reason: reason.to_owned(),
        help: help.to_owned(),
    }
}

fn engine_error(what: &'static str) -> impl FnOnce(EngineError) -> SandboxError {
    move |source| SandboxError::Engine { what, source }
}

/// Work that blocks, on a thread of its own.
async fn blocking<T: Send + 'static>(
    during: &'static str,
    work: impl FnOnce() -> Result<T, SandboxError> + Send + 'static,
) -> Result<T, SandboxError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| SandboxError::Broken {
            during,
            reason: error.to_string(),
        })?
}

/// Removes a container, running or not, and says whether it is gone; what cannot be removed now is the next sweep's.
async fn remove(engine: &Engine, name: &str) -> bool {
    let options = RemoveContainerOptionsBuilder::default()
        .force(true)
        .v(true)
        .build();
    match engine.remove_container(name, Some(options)).await {
        Ok(()) => true,
        Err(EngineError::DockerResponseServerError { status_code, .. }) => status_code == 404,
        Err(_) => false,
    }
}

/// A container that must go when its run ends, however that ends.
struct RunningContainer {
    engine: Engine,
    name: Option<String>,
    guard: Option<guard::ContainerGuard>,
    claim: RunClaim,
}

impl RunningContainer {
    async fn end(mut self) {
        let Some(name) = self.name.take() else { return };
        // A guard that is not dismissed goes on trying.
        if remove(&self.engine, &name).await
            && let Some(guard) = self.guard.take()
        {
            guard.dismiss().await;
        }
    }
}

impl Drop for RunningContainer {
    fn drop(&mut self) {
        let Some(name) = self.name.take() else { return };
        let engine = self.engine.clone();
        // The runtime that drops us may be ending, so the removal gets a thread and a runtime of its own.
        let removal = std::thread::spawn(move || {
            if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
                runtime.block_on(remove(&engine, &name));
            }
        });
        let _ = removal.join();
    }
}
