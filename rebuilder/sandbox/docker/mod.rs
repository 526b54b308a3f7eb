//! The sandbox in a Docker engine, or behind Podman's compatible socket.
//!
//! The root is the one that the embedded backend makes, imported and found again by its content. The container has no
//! network, no mounts of the host, few capabilities, and no way to gain more. Inputs and outputs pass as tar streams,
//! the log as a stream that the engine does not store. The engine may be shared and on another machine: nothing is
//! trusted because it carries our name, and nothing is removed unless it is certainly ours.

mod contract;
mod engine;
mod guard;
mod image;
mod outputs;
mod owner;
mod running;
mod seccomp;
mod transfer;
mod watch;

use std::collections::HashMap;
use std::pin::pin;
use std::time::{Duration, Instant};

use bollard::Docker as Engine;
use bollard::errors::Error as EngineError;
use bollard::models::{ContainerCreateBody, ContainerInspectResponse};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, InspectContainerOptionsBuilder,
    ListContainersOptionsBuilder,
};
use futures_util::future::{BoxFuture, Either, FutureExt as _, select};

use super::embedded::Embedded;
use super::{Bound, CommandResult, ExitReason, Job, Sandbox, SandboxError};
use crate::progress::ProgressBar;
use crate::store::Store;
use engine::{EngineInfo, EngineKind};
pub use guard::{GUARD_ARGUMENT, guard};
use owner::Owner;
use running::{RunningContainer, remove};
use transfer::copy_log;

/// Maximum duration of removing the containers of killed workers at the start.
const SWEEP_TIME: Duration = Duration::from_mins(2);

/// How often, and with what pause, the containers are listed again if the state of one cannot be read.
const LOOKS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// Maximum time for the rest of a log to arrive after the container's end.
const DRAIN: Duration = Duration::from_mins(1);

/// A connected engine.
pub struct Docker {
    engine: Engine,
    about: EngineInfo,
    embedded: Embedded,
    store: Store,
    owner: Owner,
}

impl Docker {
    /// Connects to the engine that `DOCKER_HOST` names, or to the default socket, and removes containers of this
    /// store's runs whose worker has ended.
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

    /// The name and version of the engine that answers.
    pub async fn reach() -> Result<String, SandboxError> {
        let engine = Engine::connect_with_defaults().map_err(|error| unusable(&error))?;
        Ok(EngineInfo::of(&engine).await?.name())
    }

    /// The engine's name and version, and which rights a container's root has on the engine's machine.
    pub fn description(&self) -> String {
        let root = if self.about.remapped {
            "root of a container is an ordinary user of the engine's machine"
        } else {
            "root of a container is root of the engine's machine, kept in by capabilities and filters alone"
        };
        format!("{}; {root}", self.about.name())
    }

    /// Removes containers whose worker has ended: only this store's, and only if that is certain.
    async fn sweep(&self) -> Result<(), SandboxError> {
        let ours = format!("{}={}", owner::STORE, self.owner.store());
        let filters = HashMap::from([("label".to_owned(), vec![ours])]);
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&filters)
            .build();
        let mut listed = None;
        for _ in 0..LOOKS {
            match self.engine.list_containers(Some(options.clone())).await {
                // Podman has a state `stopped` between running and exited, which Docker does not know. It passes; if
                // it does not, the next start sweeps.
                Err(EngineError::JsonDataError { .. }) => tokio::time::sleep(PAUSE).await,
                other => {
                    listed = Some(other.map_err(engine_error("list its containers"))?);
                    break;
                }
            }
        }
        let Some(containers) = listed.filter(|listed| !listed.is_empty()) else {
            return Ok(());
        };
        // By the engine's clock, as the times of its containers are.
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
        if !job.view.is_plain() {
            return Err(refused(
                "an engine shows a build the machine as it is",
                "use the embedded backend",
            ));
        }
        let image = self.image(job.root).await?;
        let claim = self.owner.claim()?;
        let name = format!("rebuilder-{}", claim.name());
        let guard = guard::ContainerGuard::start(&name, job.limits.seconds).await?;
        // Removes the container even if this future is dropped half-way.
        let running = RunningContainer {
            engine: self.engine.clone(),
            name: Some(name),
            guard: Some(guard),
            claim,
        };
        // The limit covers everything that a build can prolong: inputs, start, log, end and outputs.
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

    /// Creates the container, and reads back what the engine made; returns its id and the limits that it lacks.
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
        // Only some file systems have quotas; an engine on another one refuses the whole container.
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

    /// The filter of system calls, in the form that this engine accepts.
    fn seccomp(&self) -> Result<String, SandboxError> {
        let profile = seccomp::profile();
        if self.about.kind == EngineKind::Docker {
            return Ok(profile);
        }
        // Podman reads the filter from a file.
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
        // Attached before the start, as the log is not stored anywhere else.
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
                // A container that a full disk has stopped is removed right away; its log is read until then.
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

/// Runs blocking work on another thread.
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
