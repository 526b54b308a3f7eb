//! The sandbox in a Docker engine, or behind Podman's compatible socket.
//!
//! The root is the one that the embedded backend makes, imported under its digest. The container has no network,
//! no mounts of the host, few capabilities, no way to gain more; inputs and outputs pass as tar streams.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};

use bollard::Docker as Engine;
use bollard::models::{ContainerCreateBody, HostConfig, ResourcesUlimits};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, DownloadFromContainerOptionsBuilder,
    ListContainersOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    UploadToContainerOptionsBuilder,
};
use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::io::AsyncWriteExt as _;

use super::embedded::{CAPABILITIES, Embedded, last_line};
use super::{
    Ended, INPUTS, Job, OPEN_FILES, OUT, Outcome, Output, OutputError, RootLayers, Sandbox, SandboxError,
    output, shell_command,
};
use crate::progress::ProgressBar;
use crate::store::Store;

/// Marks our containers, with the process that owns them.
const LABEL: &str = "rebuilder.owner";

/// A connected engine.
pub struct Docker {
    engine: Engine,
    version: String,
    embedded: Embedded,
    store: Store,
}

impl Docker {
    /// Connects to the engine that `DOCKER_HOST` names, or to the usual sockets, and removes containers of
    /// runs whose process is gone.
    pub async fn connect(store: &Store, embedded: &Embedded) -> Result<Self, SandboxError> {
        let (engine, version) = open().await?;
        let this = Self {
            engine,
            version,
            embedded: embedded.clone(),
            store: store.clone(),
        };
        this.sweep().await?;
        Ok(this)
    }

    /// The version of the engine that answers, if one does.
    pub async fn reach() -> Result<String, SandboxError> {
        open().await.map(|(_, version)| version)
    }

    /// The version of the engine.
    pub fn version(&self) -> &str {
        &self.version
    }

    async fn sweep(&self) -> Result<(), SandboxError> {
        let filters = HashMap::from([("label".to_owned(), vec![LABEL.to_owned()])]);
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&filters)
            .build();
        let refused = |source| SandboxError::Engine {
            what: "list its containers",
            source,
        };
        for container in self
            .engine
            .list_containers(Some(options))
            .await
            .map_err(refused)?
        {
            let owner = container
                .labels
                .unwrap_or_default()
                .remove(LABEL)
                .unwrap_or_default();
            if let Some(id) = container.id.filter(|_| !owner_lives(&owner)) {
                remove(&self.engine, &id).await;
            }
        }
        Ok(())
    }

    /// The image of a root, imported when the engine does not have it yet.
    async fn image(&self, root: &RootLayers) -> Result<String, SandboxError> {
        let (repository, tag) = ("rebuilder/root", root.name.to_hex());
        let name = format!("{repository}:{tag}");
        if self.engine.inspect_image(&name).await.is_ok() {
            return Ok(name);
        }
        // Engines do not take two imports of the same content at once.
        let store = self.store.clone();
        let lock = format!("image-{tag}");
        let lock = tokio::task::spawn_blocking(move || store.exclusive(&lock)).await;
        let _lock = lock.map_err(|error| SandboxError::Broken {
            during: "waiting",
            reason: error.to_string(),
        })??;
        if self.engine.inspect_image(&name).await.is_ok() {
            return Ok(name);
        }
        let folder =
            tempfile::tempdir_in(self.store.path().join("tmp")).map_err(SandboxError::io("make a folder"))?;
        let file = folder.path().join("root.tar");
        self.embedded.export(&root.folders, &file).await?;
        let tar = tokio::fs::File::open(&file)
            .await
            .map_err(SandboxError::io("read the exported root"))?;
        let body = bollard::body_try_stream(tokio_util::io::ReaderStream::with_capacity(tar, 1 << 18));
        let options = CreateImageOptionsBuilder::default()
            .from_src("-")
            .repo(repository)
            .tag(&tag)
            .build();
        let mut progress = self.engine.create_image(Some(options), Some(body), None);
        while let Some(step) = progress.next().await {
            step.map_err(|source| SandboxError::Engine {
                what: "import the root",
                source,
            })?;
        }
        Ok(name)
    }

    async fn run_job(&self, job: &Job<'_>, bar: &ProgressBar) -> Result<Outcome, SandboxError> {
        let image = self.image(job.root).await?;
        let options = CreateContainerOptionsBuilder::default()
            .name(&format!("rebuilder-{}", unique()))
            .build();
        let created = self
            .engine
            .create_container(Some(options), container(job, &image))
            .await;
        let id = created
            .map_err(|source| SandboxError::Engine {
                what: "create the container",
                source,
            })?
            .id;
        // Removes the container when this future is dropped half-way, too.
        let guard = RemoveOnDrop {
            engine: self.engine.clone(),
            id: Some(id.clone()),
        };
        let outcome = self.run_in(job, &id, bar).await;
        guard.now().await;
        outcome
    }

    async fn run_in(&self, job: &Job<'_>, id: &str, bar: &ProgressBar) -> Result<Outcome, SandboxError> {
        self.send_inputs(job, id).await?;
        let started = self.engine.start_container(id, None).await;
        started.map_err(|source| SandboxError::Engine {
            what: "start the container",
            source,
        })?;
        let clock = Instant::now();
        let logs = self.copy_log(job.log, id, bar);
        let ended = match tokio::time::timeout(Duration::from_secs(job.limits.seconds), logs).await {
            Ok(copied) => {
                copied?;
                self.ended(id).await?
            }
            Err(_) => Ended::TimedOut,
        };
        let took = clock.elapsed();
        let outputs = if ended.well() {
            self.receive_outputs(job, id).await?
        } else {
            Vec::new()
        };
        Ok(Outcome {
            ended,
            took,
            outputs,
            layer: None,
            not_enforced: vec!["disk".into()],
        })
    }

    async fn send_inputs(&self, job: &Job<'_>, id: &str) -> Result<(), SandboxError> {
        let folder =
            tempfile::tempdir_in(self.store.path().join("tmp")).map_err(SandboxError::io("make a folder"))?;
        let staged = folder.path().join("in");
        std::fs::create_dir(&staged).map_err(SandboxError::io("stage the inputs"))?;
        output::stage(&job.inputs, &staged).map_err(SandboxError::io("stage the inputs"))?;
        let file = folder.path().join("in.tar");
        let packed = std::fs::File::create(&file).and_then(|file| {
            let mut tar = tar::Builder::new(std::io::BufWriter::new(file));
            tar.mode(tar::HeaderMode::Deterministic);
            // Engines do not read the sparse form that files with holes would get.
            tar.sparse(false);
            tar.append_dir_all(INPUTS.trim_start_matches('/'), &staged)?;
            tar.into_inner()?
                .into_inner()
                .map_err(std::io::IntoInnerError::into_error)
                .map(drop)
        });
        packed.map_err(SandboxError::io("pack the inputs"))?;
        let tar = tokio::fs::File::open(&file)
            .await
            .map_err(SandboxError::io("read the packed inputs"))?;
        let body = bollard::body_try_stream(tokio_util::io::ReaderStream::with_capacity(tar, 1 << 18));
        let options = UploadToContainerOptionsBuilder::default().path("/").build();
        let sent = self.engine.upload_to_container(id, Some(options), body).await;
        sent.map_err(|source| SandboxError::Engine {
            what: "take the inputs",
            source,
        })
    }

    async fn copy_log(&self, path: &Path, id: &str, bar: &ProgressBar) -> Result<(), SandboxError> {
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
        let options = LogsOptionsBuilder::default()
            .follow(true)
            .stdout(true)
            .stderr(true)
            .build();
        let mut logs = self.engine.logs(id, Some(options));
        while let Some(chunk) = logs.next().await {
            let chunk = chunk.map_err(|source| SandboxError::Engine {
                what: "hand out the log",
                source,
            })?;
            let bytes = chunk.into_bytes();
            file.write_all(&bytes).await.map_err(error)?;
            if let Some(line) = last_line(&bytes) {
                bar.set_message(line);
            }
        }
        file.flush().await.map_err(error)
    }

    async fn ended(&self, id: &str) -> Result<Ended, SandboxError> {
        // The log ends a moment before the engine has noted the exit.
        for _ in 0..600 {
            let refused = |source| SandboxError::Engine {
                what: "tell how the container ended",
                source,
            };
            let state = self
                .engine
                .inspect_container(id, None)
                .await
                .map_err(refused)?
                .state
                .unwrap_or_default();
            if state.running != Some(true) {
                let code = i32::try_from(state.exit_code.unwrap_or(-1)).unwrap_or(-1);
                return Ok(Ended::from_status(code));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(Ended::TimedOut)
    }

    async fn receive_outputs(&self, job: &Job<'_>, id: &str) -> Result<Vec<Output>, SandboxError> {
        let folder =
            tempfile::tempdir_in(self.store.path().join("tmp")).map_err(SandboxError::io("make a folder"))?;
        let path = folder.path().join("out.tar");
        let mut file = tokio::fs::File::create(&path)
            .await
            .map_err(SandboxError::io("receive the outputs"))?;
        let options = DownloadFromContainerOptionsBuilder::default().path(OUT).build();
        let mut stream = self.engine.download_from_container(id, Some(options));
        let mut room = job.most_output();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|source| SandboxError::Engine {
                what: "hand out the outputs",
                source,
            })?;
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
        let tar = std::fs::File::open(&path).map_err(SandboxError::io("receive the outputs"))?;
        Ok(unpack_outputs(tar, job)?)
    }
}

/// Takes the regular files of `/out` from the engine's tar stream, and refuses anything else.
fn unpack_outputs(tar: std::fs::File, job: &Job<'_>) -> Result<Vec<Output>, OutputError> {
    let error = |source| OutputError::Io {
        name: "the outputs".into(),
        source,
    };
    let mut outputs = Vec::new();
    let mut archive = tar::Archive::new(tar);
    for entry in archive.entries().map_err(error)? {
        let mut entry = entry.map_err(error)?;
        let path = entry.path().map_err(error)?.into_owned();
        let kind = entry.header().entry_type();
        let mut parts = path
            .components()
            .filter(|part| matches!(part, std::path::Component::Normal(_)));
        let (top, name, rest) = (parts.next(), parts.next(), parts.next());
        let Some(name) = name else {
            if kind.is_dir() && top.is_some() {
                continue;
            }
            return Err(OutputError::NotAFile {
                name: path.display().to_string(),
            });
        };
        let name = name.as_os_str().to_string_lossy().into_owned();
        if !kind.is_file() || rest.is_some() {
            return Err(OutputError::NotAFile { name });
        }
        let size = entry.size();
        outputs.push(output::receive(
            entry.by_ref().take(size),
            &job.outputs.join(&name),
            &name,
            job.limits.disk,
        )?);
    }
    outputs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(outputs)
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
    ) -> BoxFuture<'a, Result<Outcome, SandboxError>> {
        self.run_job(job, bar).boxed()
    }
}

async fn open() -> Result<(Engine, String), SandboxError> {
    let unusable = |error: bollard::errors::Error| {
        SandboxError::Unusable {
        backend: "docker",
        reason: error.to_string(),
        help: "start a Docker engine or Podman's socket, and name it in DOCKER_HOST (unix:///path/to/docker.sock)".into(),
    }
    };
    let engine = Engine::connect_with_defaults().map_err(unusable)?;
    let version = engine.version().await.map_err(unusable)?;
    Ok((engine, version.version.unwrap_or_default()))
}

fn container(job: &Job<'_>, image: &str) -> ContainerCreateBody {
    let limits = &job.limits;
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let ulimit = |name: &str, soft: u64, hard: u64| ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: Some(number(soft)),
        hard: Some(number(hard)),
    };
    // The engine sets HOSTNAME and HOME by itself; the job's own environment must be the whole.
    let script = format!(
        "umask {:03o}\nexec {}",
        job.umask,
        shell_command(&job.env, &job.script)
    );
    ContainerCreateBody {
        image: Some(image.to_owned()),
        hostname: Some(job.hostname.clone()),
        user: Some("0:0".into()),
        working_dir: Some("/".into()),
        entrypoint: Some(Vec::new()),
        cmd: Some(vec!["/bin/sh".into(), "-eu".into(), "-c".into(), script]),
        env: Some(vec!["PATH=/usr/sbin:/usr/bin:/sbin:/bin".into()]),
        network_disabled: Some(true),
        labels: Some(HashMap::from([(LABEL.to_owned(), owner())])),
        host_config: Some(HostConfig {
            network_mode: Some("none".into()),
            privileged: Some(false),
            cap_drop: Some(vec!["ALL".into()]),
            cap_add: Some(
                CAPABILITIES
                    .iter()
                    .map(|name| name.trim_start_matches("CAP_").to_owned())
                    .collect(),
            ),
            security_opt: Some(vec!["no-new-privileges".into()]),
            memory: Some(number(limits.memory)),
            memory_swap: Some(number(limits.memory)),
            pids_limit: Some(number(limits.pids)),
            cpuset_cpus: Some(format!("0-{}", limits.cpus.clamp(1, available()) - 1)),
            ulimits: Some(vec![
                ulimit("core", 0, 0),
                ulimit("nofile", OPEN_FILES.0, OPEN_FILES.1),
                ulimit("fsize", limits.disk, limits.disk),
            ]),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

fn available() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn unique() -> String {
    format!(
        "{}-{}",
        std::process::id(),
        jiff::Timestamp::now().as_nanosecond()
    )
}

/// This process, in a form that survives the reuse of its number: number and start time.
fn owner() -> String {
    let pid = std::process::id();
    format!("{pid}@{}", start_time(&pid.to_string()).unwrap_or_default())
}

fn owner_lives(owner: &str) -> bool {
    owner
        .split_once('@')
        .is_some_and(|(pid, start)| start_time(pid).as_deref() == Some(start))
}

/// Field 22 of `/proc/PID/stat`: start of the process in clock ticks since boot.
fn start_time(pid: &str) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(19)
        .map(str::to_owned)
}

/// Removes a container, running or not; what is gone already, or cannot be removed now, is the next sweep's.
async fn remove(engine: &Engine, id: &str) {
    let options = RemoveContainerOptionsBuilder::default()
        .force(true)
        .v(true)
        .build();
    let _ = engine.remove_container(id, Some(options)).await;
}

struct RemoveOnDrop {
    engine: Engine,
    id: Option<String>,
}

impl RemoveOnDrop {
    async fn now(mut self) {
        if let Some(id) = self.id.take() {
            remove(&self.engine, &id).await;
        }
    }
}

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let engine = self.engine.clone();
        // The runtime that drops us may be ending, so the removal gets a thread and a runtime of its own.
        let removal = std::thread::spawn(move || {
            if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
                runtime.block_on(remove(&engine, &id));
            }
        });
        let _ = removal.join();
    }
}
