//! Which engine answers, and what it supports.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bollard::Docker as Engine;
use bollard::models::SystemInfo;

use super::engine_error;
use crate::sandbox::SandboxError;

/// The kind of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EngineKind {
    Docker,
    Podman,
}

/// What an engine says about itself.
#[derive(Debug, Clone)]
pub(super) struct EngineInfo {
    pub(super) kind: EngineKind,
    version: String,
    /// Its socket, if that is on this machine.
    socket: Option<PathBuf>,
    /// Whether a container's root is another user on the engine's machine.
    pub(super) remapped: bool,
    /// Number of processors that the engine has.
    pub(super) processors: usize,
}

impl EngineInfo {
    pub(super) async fn of(engine: &Engine) -> Result<Self, SandboxError> {
        let version = engine.version().await.map_err(|error| super::unusable(&error))?;
        let info = engine.info().await.map_err(engine_error("describe itself"))?;
        let podman = version
            .components
            .iter()
            .flatten()
            .any(|component| component.name.starts_with("Podman"));
        let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".into());
        let socket = host.strip_prefix("unix://").map(PathBuf::from);
        Ok(Self {
            kind: if podman {
                EngineKind::Podman
            } else {
                EngineKind::Docker
            },
            version: version.version.unwrap_or_default(),
            remapped: is_remapped(&info, podman.then_some(socket.as_deref()).flatten()),
            socket,
            processors: info
                .ncpu
                .and_then(|count| usize::try_from(count).ok())
                .filter(|count| *count > 0)
                .unwrap_or(1),
        })
    }

    /// The engine's name and version.
    pub(super) fn name(&self) -> String {
        let kind = match self.kind {
            EngineKind::Docker => "Docker",
            EngineKind::Podman => "Podman",
        };
        format!("{kind} {}", self.version)
    }

    /// Whether the engine's folders are on this machine.
    pub(super) fn is_here(&self) -> bool {
        self.socket.is_some()
    }

    /// Docker receives the filter of system calls with the request; Podman reads it from a file that this process
    /// writes. Podman's own filter allows namespaces, so an engine that cannot read ours is not used.
    pub(super) fn takes_our_filter(&self) -> Result<(), SandboxError> {
        let reads_our_files = self
            .socket
            .as_deref()
            .and_then(owner_of)
            .is_some_and(|owner| owner == 0 || owner == nix::unistd::Uid::effective().as_raw());
        if self.kind == EngineKind::Docker || reads_our_files {
            return Ok(());
        }
        Err(super::refused(
            "this Podman is another user's or another machine's, and cannot read the filter of system calls that its \
             containers need",
            "run rebuilder as the user whose Podman it is, on the same machine, or name another engine in DOCKER_HOST",
        ))
    }
}

/// Docker reports this itself. Podman does not report it through this interface, but the owner of its socket tells.
fn is_remapped(info: &SystemInfo, podman_socket: Option<&Path>) -> bool {
    let told = info.security_options.iter().flatten().any(|option| {
        let mut words = option.split(',');
        words.any(|word| matches!(word, "name=userns" | "name=rootless"))
    });
    told || podman_socket.and_then(owner_of).is_some_and(|owner| owner != 0)
}

fn owner_of(socket: &Path) -> Option<u32> {
    std::fs::metadata(socket).ok().map(|about| about.uid())
}
