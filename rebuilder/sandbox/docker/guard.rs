//! The guard: a process beside the worker that outlives it, and removes its container.
//!
//! An engine keeps a container running when the client that started it has ended. Nothing inside the container can be
//! trusted to end it, as the build controls everything there. So each run has a guard: another process of this
//! program, in its own process group, so that an interrupt of the terminal does not reach it. It holds a pipe to the
//! worker. If the pipe closes (even by `kill -9`), or if the time limit is long past, the guard removes the container.
//! If the guard is killed too, or its machine stops, the next sweep of the same store removes it.

use std::io::BufRead as _;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};

use super::remove;
use crate::sandbox::SandboxError;

/// First argument that makes this binary a guard.
pub const GUARD_ARGUMENT: &str = "__guard";

/// How many seconds after its time limit the worker gets to remove the container itself.
const GRACE: u64 = 120;

/// How often the guard tries again if the engine does not answer.
const ATTEMPTS: u32 = 120;

const DONE: &[u8] = b"done\n";

#[derive(Debug, Serialize, Deserialize)]
struct WatchedContainer {
    container: String,
    seconds: u64,
}

/// A running guard; it ends on its own.
#[derive(Debug)]
pub(super) struct ContainerGuard {
    pipe: Option<ChildStdin>,
    _process: Child,
}

impl ContainerGuard {
    /// Starts a guard for the container that will have this name.
    pub(super) async fn start(container: &str, seconds: u64) -> Result<Self, SandboxError> {
        let mut command = std::process::Command::new("/proc/self/exe");
        command.arg0("rebuilder").arg(GUARD_ARGUMENT).current_dir("/");
        command.env_clear();
        for (name, value) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("DOCKER_") {
                command.env(name, value);
            }
        }
        command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let starting = "start the guard of the container";
        let mut process = Command::from(command)
            .spawn()
            .map_err(SandboxError::io(starting))?;
        let watch = WatchedContainer {
            container: container.to_owned(),
            seconds,
        };
        let mut line = serde_json::to_vec(&watch).map_err(|error| SandboxError::Broken {
            during: starting,
            reason: error.to_string(),
        })?;
        line.push(b'\n');
        let mut pipe = process.stdin.take();
        if let Some(pipe) = pipe.as_mut() {
            pipe.write_all(&line).await.map_err(SandboxError::io(starting))?;
        }
        Ok(Self {
            pipe,
            _process: process,
        })
    }

    /// Tells the guard that the container is gone.
    pub(super) async fn dismiss(mut self) {
        if let Some(mut pipe) = self.pipe.take() {
            // A guard that does not get this message asks the engine once more, and finds nothing.
            let _ = pipe.write_all(DONE).await;
        }
    }
}

/// Runs the guard of one container, which the worker names on the guard's standard input.
pub fn guard() -> u8 {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return 70;
    };
    runtime.block_on(async {
        // The worker decides when the guard ends: a signal that ends both ends the worker, and the pipe reports that.
        for kind in [
            tokio::signal::unix::SignalKind::terminate(),
            tokio::signal::unix::SignalKind::interrupt(),
            tokio::signal::unix::SignalKind::hangup(),
        ] {
            if let Ok(mut signal) = tokio::signal::unix::signal(kind) {
                tokio::spawn(async move { while signal.recv().await.is_some() {} });
            }
        }
        let (send_watch, watch) = tokio::sync::oneshot::channel();
        let (send_end, end) = tokio::sync::oneshot::channel();
        // Reading blocks, so another thread does it, which the time limit does not wait for.
        std::thread::spawn(move || {
            let mut lines = std::io::stdin().lock();
            let mut line = String::new();
            let read = lines.read_line(&mut line);
            let Some(watch) = read
                .ok()
                .and_then(|_| serde_json::from_str::<WatchedContainer>(&line).ok())
            else {
                return;
            };
            let _ = send_watch.send(watch);
            line.clear();
            let _ = lines.read_line(&mut line);
            let _ = send_end.send(line.as_bytes() == DONE);
        });
        let Ok(watch) = watch.await else { return 64 };
        let time = Duration::from_secs(watch.seconds.saturating_add(GRACE));
        if let Ok(Ok(true)) = tokio::time::timeout(time, end).await {
            return 0;
        }
        for _ in 0..ATTEMPTS {
            if let Ok(engine) = bollard::Docker::connect_with_defaults()
                && remove(&engine, &watch.container).await
            {
                return 0;
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        1
    })
}
