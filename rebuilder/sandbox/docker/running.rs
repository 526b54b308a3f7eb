//! A container that must be removed when its run ends.

use bollard::Docker as Engine;
use bollard::errors::Error as EngineError;
use bollard::query_parameters::RemoveContainerOptionsBuilder;

use super::guard::ContainerGuard;
use super::owner::RunClaim;

/// Removes a container, running or not, and returns whether it is gone; a container that stays is removed by the next
/// sweep.
pub(super) async fn remove(engine: &Engine, name: &str) -> bool {
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

/// A container that must be removed when its run ends, however that ends.
pub(super) struct RunningContainer {
    pub(super) engine: Engine,
    pub(super) name: Option<String>,
    pub(super) guard: Option<ContainerGuard>,
    pub(super) claim: RunClaim,
}

impl RunningContainer {
    pub(super) async fn end(mut self) {
        let Some(name) = self.name.take() else { return };
        // A guard that is not dismissed keeps trying.
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
        // The runtime that drops this value may be shutting down, so the removal has a thread and a runtime of its
        // own.
        let removal = std::thread::spawn(move || {
            if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
                runtime.block_on(remove(&engine, &name));
            }
        });
        let _ = removal.join();
    }
}
